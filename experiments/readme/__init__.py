"""Renders README.md and the commands' pages: every number on them is of a recorded result.

A page holds marked places, and `render` fills them anew::

    <!-- table speed -->
    ... a table ...
    <!-- end -->

    It trains in <!-- value main-seconds -->95<!-- end --> s.

`TABLES` and `VALUES` say what a name stands for.
"""

import pathlib
import re
from collections.abc import Callable, Mapping

from experiments import generators, results
from experiments.claims import rates as claims_rates
from experiments.claims import tables as claims_tables
from experiments.created_equal import tables as created_equal_tables
from experiments.growth import tables as growth_tables
from experiments.plan import tables as plan_tables
from experiments.readme import exact, training, values
from experiments.results import markdown
from experiments.speed import tables as speed_tables
from experiments.survival import tables as survival_tables
from experiments.w1_benchmark import tables as w1_tables

Makers = Mapping[str, Callable[[], str]]
# The pattern is not greedy: a place ends at its own mark, also where several share a line.
PLACE = re.compile(r"<!-- (table|value) ([\w-]+) -->.*?<!-- end -->", re.DOTALL)


def render(text: str, tables: Makers, numbers: Makers) -> str:
    """Fills every marked place of `text` anew.

    Raises:
      ValueError: a place has a name that neither has.
    """

    def filled(match: re.Match) -> str:
        kind, name = match.groups()
        makers = tables if kind == "table" else numbers
        if name not in makers:
            raise ValueError(f"{kind} is {name!r}: give one of {', '.join(makers)}")
        content = makers[name]()
        # A Markdown table needs lines of its own, a value stands in its sentence.
        content = f"\n{content}\n" if kind == "table" else content
        return f"<!-- {kind} {name} -->{content}<!-- end -->"

    return PLACE.sub(filled, text)


def pages() -> list[pathlib.Path]:
    """Lists README.md, experiments/README.md and that of every command's folder."""
    folder = results.ROOT / "experiments"
    return [results.ROOT / "README.md", folder / "README.md", *sorted(folder.glob("*/README.md"))]


def render_pages() -> None:
    """Rewrites all pages from the recorded results."""
    # All pages are rendered before the first is written: an unknown name leaves every page as it
    # was.
    texts = {path: render(path.read_text(encoding="utf-8"), TABLES, VALUES) for path in pages()}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


TABLES: Makers = {
    "members": training.members,
    "main-job": training.main_job,
    "began-ablation": training.ablation,
    "fashion": training.fashion,
    "ten-minutes": training.ten_minutes,
    "generators": generators.table,
    "classes": training.classes,
    "created-equal-digits": lambda: created_equal_tables.members("digits"),
    "created-equal-digits-settings": lambda: created_equal_tables.settings("digits"),
    "convolution": speed_tables.convolution,
    "alarm": training.alarm,
    "own-data": training.own_data,
    "pipeline": training.pipeline,
    "plan": plan_tables.plan,
    "plan-compiled": plan_tables.compiled,
    "growth": lambda: markdown.table(*growth_tables.growth(results.metrics("growth"))),
    "side-by-side": lambda: markdown.table(*growth_tables.side_by_side(results.metrics("growth"))),
    "survival-15": lambda: markdown.table(
        *survival_tables.survival(results.metrics("survival-15"))
    ),
    "survival-60": lambda: markdown.table(
        *survival_tables.survival(results.metrics("survival-60"))
    ),
    "survival-60-quiet": survival_tables.quiet,
    "parallel-distances": exact.parallel_distances,
    "parallel-derivatives": exact.parallel_derivatives,
    "gaussian-distances": exact.gaussian_distances,
    "gaussian-derivatives": exact.gaussian_derivatives,
    "few-samples": exact.few_samples,
    "w1-every": training.during_training,
    "w1-ours": w1_tables.summary,
    "w1-faithful": w1_tables.faithful,
    "w1-bias": w1_tables.bias,
    "w1-seeds": w1_tables.spread,
    "speed": speed_tables.speed,
    "speed-idle": lambda: speed_tables.speed("-idle"),
    "speed-penalty": speed_tables.penalty,
    "speed-sides": speed_tables.sides,
    "h100": speed_tables.h100,
    "claims": claims_tables.verdicts,
    "claims-effects": claims_tables.effects,
    "claims-rates": lambda: claims_rates.table(results.metrics("claims-rates")),
    "claims-first": claims_tables.first,
    "claims-grid": claims_tables.grid,
    "claims-random": claims_tables.at_random,
}
VALUES: Makers = values.VALUES
