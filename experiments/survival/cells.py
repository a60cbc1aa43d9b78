"""One cell of experiments.survival: a training that is killed again and again, and its twin."""

import dataclasses
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments import results
from jwgan import checkpoint

# Steps between evaluations, which are a property of the step and so belong to both runs.
EVERY = 2000
CASES = {
    "mlp": ("--network", "mlp", "--width", "8", "--chunk-steps", "50"),
    "dcgan28": (
        *("--image-size", "28", "--network", "dcgan", "--width", "8", "--batch-size", "32"),
        *("--n-critic", "2", "--chunk-steps", "10"),
    ),
}
CHUNK = {name: int(options[options.index("--chunk-steps") + 1]) for name, options in CASES.items()}
POLL = 0.02  # seconds between two looks at metrics.jsonl
PATIENCE = 300.0  # seconds until a start without a step is an error


@dataclasses.dataclass(frozen=True)
class Cell:
    """What is trained, and by how many processes."""

    case: str
    stream: bool
    processes: int


class Training:
    """One start of a training: one process, or several that compute together.

    Args:
      cell: what is trained.
      folder: its run directory.
      cache: folder of compiled programs, the same for all starts.
      options: further options of the command.
    """

    def __init__(self, cell: Cell, folder: pathlib.Path, cache: pathlib.Path, *options: str):
        self.metrics = folder / "metrics.jsonl"
        command = [sys.executable, "-m", "experiments.wgan_gp", *CASES[cell.case]]
        command += ["--checkpoint-every", str(EVERY), "--no-quality", "--resume", "auto"]
        command += [*(["--stream"] if cell.stream else []), "--run-dir", str(folder), *options]
        joined = ["--coordinator", f"127.0.0.1:{_free_port()}", "--num-processes"]
        several = [
            [*command, *joined, str(cell.processes), "--process-id", str(i)]
            for i in range(cell.processes)
        ]
        self.errors = folder.parent / f"{folder.name}.stderr"
        self.began, self.known = time.monotonic(), self.size()
        with self.errors.open("w") as errors:
            self.processes = [
                subprocess.Popen(
                    one,
                    cwd=results.ROOT,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env={
                        **os.environ,
                        "JAX_COMPILATION_CACHE_DIR": str(cache),
                        **({"JAX_NUM_CPU_DEVICES": "1"} if cell.processes > 1 else {}),
                    },
                )
                for one in (several if cell.processes > 1 else [command])
            ]

    def size(self) -> int:
        """Bytes of metrics.jsonl."""
        try:
            return self.metrics.stat().st_size
        except OSError:
            return 0

    def first_step(self, until: float = float("inf")) -> float | None:
        """Seconds from the start to the first row of this start; None if `until` comes before."""
        while time.monotonic() < until:
            now = self.size()
            if now > self.known:
                return time.monotonic() - self.began
            # A resume first removes rows that are later than its checkpoint.
            self.known = min(now, self.known)
            self._require_alive(now)
            time.sleep(POLL)
        return None

    def _require_alive(self, size: int) -> None:
        late = time.monotonic() - self.began > PATIENCE
        ended = any(process.poll() is not None for process in self.processes)
        if ended and self.size() > size:  # it has made its steps since `size` was read
            return
        if ended or late:
            self.kill()
            raise ValueError(f"the training made no step: {_last_line(self.errors)}")

    def kill(self) -> None:
        """SIGKILL to every process, as when a machine is taken away."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    def finish(self) -> None:
        """Waits for the end.

        Raises:
          ValueError: the training failed.
        """
        if any([process.wait() for process in self.processes]):
            raise ValueError(f"the training failed: {_last_line(self.errors)}")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _last_line(path: pathlib.Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def steps_recorded(folder: pathlib.Path) -> int:
    """Steps with a whole row in metrics.jsonl; the file is read from its end."""
    try:
        with (folder / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 2**16))
            whole = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    except OSError:
        return 0
    return int(json.loads(whole)["step"]) + 1 if whole else 0


def steps_saved(folder: pathlib.Path) -> int:
    """Steps of the newest checkpoint, 0 without one."""
    return max(checkpoint.steps(folder / "checkpoints"), default=0)


def measure(
    cell: Cell, minutes: float, every: float, saving: float, seed: int, root: pathlib.Path
) -> dict[str, Any]:
    """Kills and restarts a training for a while, then compares it with its undisturbed twin.

    Args:
      cell: what is trained.
      minutes: for all of it; the twin takes a little less than half.
      every: mean seconds from a start to its kill.
      saving: --checkpoint-seconds of the disturbed run.
      seed: of the moments.
      root: an empty folder for both runs.

    Raises:
      ValueError: a training failed by itself.
    """
    began = time.monotonic()
    cache, chunk = root / "cache", CHUNK[cell.case]
    # All programs are compiled here: a kill before the first one is in the cache would measure the
    # compiler.
    Training(cell, root / "warm", cache, "--steps", str(2 * chunk)).finish()
    # Half of what is left, since the twin has the same steps to make.
    window = max((60 * minutes - (time.monotonic() - began)) / 2, every)
    moments = np.random.default_rng(seed)
    killed, end = root / "killed", time.monotonic() + window
    started, firsts, lost = time.monotonic(), [], []
    while time.monotonic() < end:
        kill_at = min(time.monotonic() + moments.exponential(every), end)
        training = Training(cell, killed, cache, "--steps", str(2**30), *_saving(saving))
        first = training.first_step(kill_at)
        time.sleep(max(0.0, kill_at - time.monotonic()))
        training.kill()
        # Before its first step a start has nothing to lose.
        lost.append(max(0, steps_recorded(killed) - steps_saved(killed)) if first else 0)
        firsts.append(first)
    wall, kept = time.monotonic() - started, steps_saved(killed)
    steps = (kept // chunk + 2) * chunk
    Training(cell, killed, cache, "--steps", str(steps), *_saving(saving)).finish()
    rate = _undisturbed(cell, root / "whole", cache, steps)
    # The first start has nothing to restore, and so is no restart.
    restarts = [first for first in firsts[1:] if first is not None]
    return {
        **dataclasses.asdict(cell),
        "kills": len(firsts),
        "killed_before_a_step": firsts.count(None),
        "steps": steps,
        "steps_per_second": round(rate, 2),
        "goodput": round(kept / (rate * wall), 4),
        "restart_seconds": spread(restarts),
        "steps_lost": spread(lost),
        "different": differences(killed, root / "whole"),
    }


def _saving(seconds: float) -> list[str]:
    return ["--checkpoint-seconds", str(round(seconds, 3))]


def _undisturbed(cell: Cell, folder: pathlib.Path, cache: pathlib.Path, steps: int) -> float:
    """Trains without a kill, and without saves by the clock; steps a second from its first row."""
    training = Training(cell, folder, cache, "--steps", str(steps), *_saving(0))
    training.first_step()
    before, began = steps_recorded(folder), time.monotonic()
    while steps_recorded(folder) < steps and training.processes[0].poll() is None:
        time.sleep(POLL)
    seconds = time.monotonic() - began
    training.finish()
    return (steps - before) / max(seconds, POLL)


def differences(killed: pathlib.Path, whole: pathlib.Path) -> list[str]:
    """Names what differs between two runs: state, best step, rows of metrics, pictures."""
    found = []
    ends = [json.loads((folder / "result.json").read_text()) for folder in (killed, whole)]
    for name in ("steps", "state_sha256", "best", "wasserstein_estimate"):
        if ends[0][name] != ends[1][name]:
            found.append(name)
    if (killed / "metrics.jsonl").read_bytes() != (whole / "metrics.jsonl").read_bytes():
        found.append("metrics.jsonl")
    pictures = [
        {p.name: p.read_bytes() for p in (f / "samples").iterdir()} for f in (killed, whole)
    ]
    return found + [
        f"samples/{name}"
        for name in sorted(pictures[0].keys() | pictures[1].keys())
        if pictures[0].get(name) != pictures[1].get(name)
    ]


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Median and 95th percentile; None without a value."""
    if not values:
        return None
    p95 = float(np.percentile(values, 95))
    return {"median": round(statistics.median(values), 2), "p95": round(p95, 2)}
