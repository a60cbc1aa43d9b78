"""Kills a training at random moments for an hour, and asks what that cost and what it changed.

    python -m experiments.survival --minutes 60 --every 15
    python -m experiments.survival --case dcgan28 --stream --processes 2 --minutes 8 --every 60

A small MLP on 8x8 digits and a DCGAN on 28x28 ones, with the data on the device and streamed, by
one process and by two: eight cells, which share the minutes. In each, a training is killed with
SIGKILL (all of its processes at once), at moments that follow each other as those of a Poisson
process do, --every seconds apart on average, and is started again at once with the same command,
`--resume auto`. At its end it is compared with an undisturbed twin, byte for byte: parameters,
optimizers, averages, key (state_sha256), every row of metrics.jsonl, every picture.

goodput: the steps in the last checkpoint over those that the twin would have made in the same time.
The twin's rate counts from its first step and has no saves by the clock, so that all of starting,
restoring, saving and repeating is lost time here. steps lost: rows behind the last checkpoint when
the kill came. restart: seconds from the start of the command to its first row of metrics; starts
that were killed before are counted apart. Programs are compiled before the clock runs.

The state is saved every sqrt(2 x 0.05 x EVERY) seconds, the best interval for a save that costs
0.05 s (Young, 1974, Communications of the ACM), unless --saving says otherwise.
"""

import dataclasses
import itertools
import math
import pathlib
import sys
import tempfile
from typing import Any

from experiments.results import markdown
from experiments.survival import cells, tables
from jwgan.run import command, options
from jwgan.run.options import option

SAVE_COSTS = 0.05  # seconds


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the bench."""

    minutes: float = option(60.0, "for everything", above=0)
    every: float = option(15.0, "mean seconds between two kills", above=0)
    case: str = option("", "one cell alone: mlp or dcgan28")
    stream: bool = option(False, "of that cell: read images while training")
    processes: int = option(1, "of that cell: 1 or 2", at_least=1)
    saving: float | None = option(None, "seconds between two saves", above=0)
    seed: int = option(0, "of the moments", at_least=0)
    json: bool = option(False, "print one line of JSON at the end")


def chosen(config: Config) -> list[cells.Cell]:
    """The cells that the options ask for.

    Raises:
      ValueError: there is no such case, or a part of a cell is given without one.
    """
    if config.case:
        options.require_choice("case", config.case, cells.CASES)
        return [cells.Cell(config.case, config.stream, config.processes)]
    if config.stream or config.processes != 1:
        raise ValueError("case is '': give --case beside --stream and --processes")
    return [cells.Cell(*parts) for parts in itertools.product(cells.CASES, (False, True), (1, 2))]


def measure(config: Config) -> dict[str, Any]:
    """Measures the cells in turn.

    Raises:
      ValueError: a training failed by itself, or a killed run differs from its twin.
    """
    wanted = chosen(config)
    saving = config.saving or math.sqrt(2 * SAVE_COSTS * config.every)
    rows = []
    for cell in wanted:
        with tempfile.TemporaryDirectory(prefix="survival-") as folder:
            minutes = config.minutes / len(wanted)
            root = pathlib.Path(folder)
            row = cells.measure(cell, minutes, config.every, saving, config.seed, root)
        rows.append(row)
        print(f"{cell}: goodput {row['goodput']}", file=sys.stderr)
        if row["different"]:
            raise ValueError(f"{cell}: killed and undisturbed differ in {row['different']}")
    return {"every": config.every, "saving": round(saving, 3), "cells": rows}


def text(config: Config, result: dict[str, Any]) -> str:
    """The table, or JSON."""
    if config.json:
        return command.as_json(config, result)
    return markdown.table(*tables.survival(result))


def main(argv: list[str] | None = None) -> None:
    # Nothing is computed in this process: it has no use for XLA's settings.
    command.run(Config, measure, __doc__, argv=argv, setup=lambda: None, text=text)


if __name__ == "__main__":
    main()
