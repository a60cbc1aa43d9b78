"""Tables of experiments.speed: for the terminal, and for the README from recorded results."""

from typing import Any


def comparison(cases: list[dict[str, Any]]) -> str:
    """One row for each case; the peer's columns are empty without one."""
    from experiments.tables import table

    rows = []
    for case in cases:
        peer = case.get("peer", {})
        rows.append(
            [
                f"`{case['case']}`",
                case["seeds"],
                case["iterations_per_second"],
                peer.get("iterations_per_second", ""),
                case.get("ratio", ""),
                case.get("goal") or "",
                case["cpu_seconds_per_iteration"],
                peer.get("cpu_seconds_per_iteration", ""),
                f"{100 * case['nominal_share']:.0f} %",
                f"{100 * case['roofline_share']:.0f} %",
                case["compile_seconds"],
                case["peak_memory_mb"],
            ]
        )
    head = ["case", "seeds", "iterations/s", "PyTorch", "ratio", "goal", "CPU s", "PyTorch's"]
    return table([*head, "of roofline", "done", "compile s", "MB"], rows)


def speed(machine: str = "") -> str:
    """`comparison` of the recorded cases; of another machine, "-idle"."""
    from experiments.speed import GOALS, result_name
    from experiments.tables import figures

    recorded = [figures(result_name(case, seeds) + machine) for case, seeds in GOALS]
    return comparison([case for case in recorded if case])


def penalty() -> str:
    """A critic update with the gradient penalty beside one with clipping."""
    from experiments.tables import figures, table

    rows = [
        [f"`{name}`", case["penalty_ms"], case["clipping_ms"], case["ratio"]]
        for name, case in figures("speed-penalty").items()
    ]
    return table(["case", "with the penalty, ms", "with clipping, ms", "ratio"], rows)
