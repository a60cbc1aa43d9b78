"""Tables of experiments.speed: for the terminal, and for the README from recorded results."""

from typing import Any

from experiments import results
from experiments.results import figures, markdown
from experiments.results.markdown import table
from experiments.speed.cases import GOALS, result_name


def comparison(cases: list[dict[str, Any]]) -> str:
    """One row for each case; the peer's columns are empty without one."""
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
    recorded = [figures(result_name(case, seeds) + machine) for case, seeds in GOALS]
    return comparison([case for case in recorded if case])


def penalty() -> str:
    """A critic update with the gradient penalty beside one with clipping."""
    rows = [
        [f"`{name}`", case["penalty_ms"], case["clipping_ms"], case["ratio"]]
        for name, case in figures("speed-penalty").items()
    ]
    return table(["case", "with the penalty, ms", "with clipping, ms", "ratio"], rows)


def convolution() -> str:
    rows = []
    for name in ("jwgan", "lax"):
        run = results.figures(f"dcgan32-{name}")
        if run:
            rows.append(
                [
                    name,
                    run["iterations_per_second"],
                    run["cpu_seconds_per_iteration"],
                    f"{100 * run['roofline_share']:.0f} %",
                    run["compile_seconds"],
                    run["peak_memory_mb"],
                ]
            )
    head = ["convolution", "iterations/s", "CPU s/iteration", "of roofline", "compile s", "MB"]
    return markdown.table(head, rows)


def h100() -> str:
    timed, run = results.figures("speed-tiny_mlp-h100"), results.figures("digits-wgan_gp-h100")
    rows: list[list[Any]] = []
    if timed:
        peer = timed["peer"]["iterations_per_second"]
        rows.append(["`tiny_mlp`, iterations/s", timed["iterations_per_second"]])
        rows.append(["the same in PyTorch 2.11 eager", peer])
    if run:
        rows.append(["1,000 steps of `experiments.wgan_gp`, s", run["seconds"]])
        rows.append(["of which to the first picture, s", run["seconds_to_first_picture"]])
    return markdown.table(["on one H100", ""], rows)
