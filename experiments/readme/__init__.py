"""Renders the tables of README.md and of the commands' pages from recorded results."""

import re
from collections.abc import Callable

from experiments import results
from experiments.claims import tables as claims_tables
from experiments.growth import tables as growth_tables
from experiments.plan import tables as plan_tables
from experiments.readme import exact, training
from experiments.results import markdown
from experiments.speed import tables as speed_tables
from experiments.w1_benchmark import tables as w1_tables


def render(text: str, tables: dict[str, Callable[[], str]]) -> str:
    """`text` with every marked block replaced by its table."""

    def block(match: re.Match) -> str:
        return f"<!-- table {match[1]} -->\n{tables[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table ([\w-]+) -->\n.*?<!-- end -->", block, text, flags=re.DOTALL)


TABLES = {
    "members": training.members,
    "main-job": training.main_job,
    "fashion": training.fashion,
    "convolution": speed_tables.convolution,
    "alarm": training.alarm,
    "pipeline": training.pipeline,
    "plan": plan_tables.plan,
    "growth": lambda: markdown.table(*growth_tables.growth(results.figures("growth"))),
    "side-by-side": lambda: markdown.table(*growth_tables.side_by_side(results.figures("growth"))),
    "parallel-lines": exact.lines,
    "gaussians": exact.moving_gaussians,
    "few-samples": exact.few_samples,
    "transport-criteria": exact.criteria,
    "w1-every": training.during_training,
    "w1-ours": w1_tables.summary,
    "w1-faithful": w1_tables.faithful,
    "w1-seeds": w1_tables.spread,
    "speed": speed_tables.speed,
    "speed-idle": lambda: speed_tables.speed("-idle"),
    "speed-penalty": speed_tables.penalty,
    "h100": speed_tables.h100,
    "claims": claims_tables.verdicts,
    "claims-grid": claims_tables.grid,
    "claims-random": claims_tables.at_random,
}
