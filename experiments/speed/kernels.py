"""Reads a trace of `jax.profiler`: in what share of the time kernels run, which take longest."""

import collections
import gzip
import json
import pathlib
from typing import Any


def read(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The events of the trace in a folder that `jax.profiler.start_trace` was given.

    Raises:
      ValueError: there is none.
    """
    found = sorted(folder.rglob("*.trace.json.gz"))
    if not found:
        raise ValueError(f"{folder} has no trace: stop the profiler before it is read")
    with gzip.open(found[-1], "rt") as file:
        return json.load(file)["traceEvents"]


def runs(events: list[dict[str, Any]]) -> list[tuple[float, float, str]]:
    """(start, end, name) in microseconds of all that ran on a device, by its start.

    On a GPU those are the events of its streams; a trace of a CPU has the threads of XLA.
    """
    processes, threads = {}, {}
    for event in events:
        if event.get("ph") == "M" and event["name"] == "process_name":
            processes[event["pid"]] = event["args"]["name"]
        elif event.get("ph") == "M" and event["name"] == "thread_name":
            threads[event["pid"], event["tid"]] = event["args"]["name"]
    devices = [pid for pid, name in processes.items() if name.startswith("/device:")]
    # Other rows of a GPU show the same time again, by XLA's operations and by steps.
    begin = "Stream" if devices else "tf_XLA"
    lines = {
        line for line, name in threads.items()
        if name.startswith(begin) and (line[0] in devices or not devices)
    }  # fmt: skip
    return sorted(
        (event["ts"], event["ts"] + event.get("dur", 0), event["name"])
        for event in events
        if event.get("ph") == "X"
        and (event["pid"], event["tid"]) in lines
        # What a CPU's thread pool does beside its kernels.
        and "::" not in event["name"]
        and not event["name"].startswith("end: ")
    )


def summary(events: list[dict[str, Any]], longest: int = 8) -> dict[str, Any]:
    """The share of the time, from the first kernel to the end of the last, in which any ran.

    Returns:
      {"kernel_share", "kernels", "milliseconds", "longest"}: the share, their number, the time from
      first to last, and of the names that took most time the milliseconds of all their runs. The
      share is None if nothing ran.
    """
    ran = runs(events)
    busy, until = 0.0, float("-inf")
    by_name: dict[str, float] = collections.defaultdict(float)
    for start, end, name in ran:
        # Streams run side by side: time that two share counts once.
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
        by_name[name] += end - start
    whole = until - ran[0][0] if ran else 0.0
    return {
        "kernel_share": round(busy / whole, 3) if whole else None,
        "kernels": len(ran),
        "milliseconds": round(whole / 1e3, 3),
        "longest": {
            name: round(us / 1e3, 3)
            for name, us in sorted(by_name.items(), key=lambda pair: -pair[1])[:longest]
        },
    }
