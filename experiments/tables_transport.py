"""The README's tables of experiments.parallel_lines, experiments.divergences and --w1-every."""

from typing import Any

from experiments import divergences, parallel_lines, record


def _figures(name: str) -> dict[str, Any]:
    return record.load(name)["figures"] if (record.RESULTS / f"{name}.json").exists() else {}


def _markdown(head: Any, rows: Any) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def lines() -> str:
    """The right half of the picture; the left one mirrors it."""
    run = _figures("parallel_lines")
    rows = parallel_lines.rows(run)[len(parallel_lines.THETAS) // 2 :] if run else []
    return _markdown(parallel_lines.HEAD, rows)


def gaussians() -> str:
    run = _figures("divergences")
    return _markdown(divergences.HEAD, divergences.rows(run) if run else [])


def few_samples() -> str:
    run = _figures("divergences")
    return _markdown(divergences.FEW_HEAD, divergences.few_rows(run) if run else [])


def criteria() -> str:
    """Every part of both criteria, and its verdict."""
    rows = [
        [f"`{name}`", part.replace("_", " "), "holds" if good else "**fails**"]
        for name in ("parallel_lines", "divergences")
        for part, good in _figures(name).get("holds", {}).items()
    ]
    return _markdown(("experiment", "part of the criterion", "measured"), rows)


def during_training() -> str:
    """The last look of runs with --w1-every."""
    rows = []
    for name in ("w1-every-wgan_gp", "w1-every-gan", "w1-every-digits"):
        run = _figures(name)
        if run:
            found = run["transport"]
            kind = "exact_w1" if "exact_w1" in found else "sample_w1"
            command = record.load(name)["command"].removeprefix("python -m experiments.")
            rows.append(
                [
                    f"`{command.removesuffix(' --json')}`",
                    "W1" if kind == "exact_w1" else "between samples, by pixels",
                    *(f"{found[k]:.3f}" for k in (kind, f"{kind}_of_real", "critic_estimate")),
                    f"{found['critic_estimate_per_slope']:.3f}",
                    f"{found['critic_held_out_gap']:.3f}",
                    f"{found['seconds']:.1f}",
                ]
            )
    head = ("run", "exact", "samples", "real data", "critic", "over slope", "gap", "s to measure")
    return _markdown(head, rows)


TABLES = {
    "parallel-lines": lines,
    "gaussians": gaussians,
    "few-samples": few_samples,
    "transport-criteria": criteria,
    "w1-every": during_training,
}
