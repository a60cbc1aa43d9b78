"""Tables of experiments.growth, for its page."""

from typing import Any

# Number -> the power to which the work of a step grows with it, as it is written.
UNITS = {"batch": "", "n_critic": "", "width": "²", "seeds": "", "side": "²"}


def growth(result: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Lists each number's fitted lines, and the values at which they are missed: (head, rows)."""
    rows = []
    for name, found in result["axes"].items():
        values = [row[name] for row in found["rows"]]
        time, memory = found["fits"]["cpu_ms"], found["fits"]["memory_mb"]
        line = lambda fit, name=name: f"{fit['a']:.3g} + {fit['b']:.3g} {name}{UNITS[name]}"
        off = lambda fit, values=values: ", ".join(str(values[i]) for i in fit["off"]) or "none"
        span = f"{values[0]} to {values[-1]}"
        rows.append([name, span, line(time), off(time), line(memory), off(memory)])
    head = ["number", "range", "CPU time of a step, ms", "time is off the line at"]
    return [*head, "memory of a chunk, MB", "memory is off the line at"], rows


def side_by_side(result: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Compares trials in one program with as many runs alone: (head, rows)."""
    rows = [
        [
            row["case"],
            row["members"],
            row["way"],
            row["alone"]["cpu_ms"],
            row["together"]["cpu_ms"],
            row["times_faster"],
        ]
        for row in result["side_by_side"]
    ]
    head = ["run", "trials", "way", "one alone, CPU ms a step", "all together, CPU ms a step"]
    return [*head, "times faster than in turn"], rows
