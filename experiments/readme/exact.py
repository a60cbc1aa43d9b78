"""Tables of experiments.parallel_lines and experiments.divergences."""

from experiments import parallel_lines, results
from experiments.divergences import gaussians
from experiments.results import markdown


def lines() -> str:
    """The right half of the picture; the left one mirrors it."""
    run = results.figures("parallel_lines")
    rows = parallel_lines.rows(run)[len(parallel_lines.THETAS) // 2 :] if run else []
    return markdown.table(parallel_lines.HEAD, rows)


def moving_gaussians() -> str:
    run = results.figures("divergences")
    return markdown.table(gaussians.HEAD, gaussians.rows(run) if run else [])


def few_samples() -> str:
    run = results.figures("divergences")
    return markdown.table(gaussians.FEW_HEAD, gaussians.few_rows(run) if run else [])


def criteria() -> str:
    """Every part of both criteria, and its verdict."""
    rows = [
        [f"`{name}`", part.replace("_", " "), "holds" if good else "**fails**"]
        for name in ("parallel_lines", "divergences")
        for part, good in results.figures(name).get("holds", {}).items()
    ]
    return markdown.table(("experiment", "part of the criterion", "measured"), rows)
