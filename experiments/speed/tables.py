"""Tables of experiments.speed: for the terminal, and for its page from recorded results."""

from typing import Any

from experiments import results
from experiments.results import markdown
from experiments.results.markdown import table
from experiments.speed.cases import GOALS, SIDES, result_name


def comparison(cases: list[dict[str, Any]]) -> str:
    """Makes a row for each case; the peer's columns are empty without one."""
    rows = []
    for case in cases:
        # A run without --peer has no such key.
        peer = case.get("peer", {})
        rows.append(
            [
                # Results of before there was --join lack the key.
                f"`{case['case']}`" + (", joined" if case.get("joined") else ""),
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
    head = ["case", "seeds", "iterations/s", "PyTorch, iterations/s", "ratio", "goal of the ratio"]
    head += ["CPU s an iteration", "PyTorch, CPU s an iteration", "written-down work, % of peak"]
    return table([*head, "done work, % of peak", "compiling, s", "peak memory, MB"], rows)


def speed(machine: str = "") -> str:
    """Compares the recorded cases; `machine` is what ends their names, "-idle" for another one."""
    # Cases come in the order of the goals; a case that is not recorded gives {} and no row.
    names = [result_name(*goal) + way for goal in GOALS for way in ("", "-joined")]
    recorded = [results.metrics(name + machine) for name in names]
    return comparison([case for case in recorded if case])


def sides() -> str:
    """Lists time and memory of wide pictures."""
    rows = []
    for name, side in SIDES.items():
        case = results.metrics(result_name(name, 1))
        if case:
            rows.append(
                [
                    f"{side} x {side}",
                    case["iterations_per_second"],
                    case["cpu_seconds_per_iteration"],
                    f"{100 * case['roofline_share']:.0f} %",
                    case["compile_seconds"],
                    case["peak_memory_mb"],
                ]
            )
    head = ["pixels", "iterations/s", "CPU s an iteration", "% of peak", "compiling, s"]
    return table([*head, "peak memory, MB"], rows)


def penalty() -> str:
    """Compares a critic update with the gradient penalty to one with clipping."""
    rows = [
        [f"`{name}`", case["penalty_ms"], case["clipping_ms"], case["ratio"]]
        for name, case in results.metrics("speed-penalty").items()
    ]
    return table(["case", "with the penalty, ms", "with clipping, ms", "ratio"], rows)


def convolution() -> str:
    """Compares dcgan32 on this package's convolutions and on flax's."""
    rows = []
    for name in ("jwgan", "lax"):
        run = results.metrics(f"dcgan32-{name}")
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
    head = ["convolution", "iterations/s", "CPU s an iteration", "done work, % of peak"]
    return markdown.table([*head, "compiling, s", "peak memory, MB"], rows)


def h100() -> str:
    """Lists what was timed on one H100."""
    timed, run = results.metrics("speed-tiny_mlp-h100"), results.metrics("digits-wgan_gp-h100")
    rows: list[list[Any]] = []
    # Either result may be missing: a row is there if its run was recorded.
    if timed:
        peer = timed["peer"]["iterations_per_second"]
        rows.append(["`tiny_mlp`", timed["iterations_per_second"], "iterations/s"])
        rows.append(["`tiny_mlp` in PyTorch 2.11 eager", peer, "iterations/s"])
    if run:
        rows.append(["1,000 steps of `experiments.wgan_gp`", run["seconds"], "s"])
        rows.append(["of which to the first picture", run["seconds_to_first_picture"], "s"])
    return markdown.table(["on one H100", "value", "unit"], rows)
