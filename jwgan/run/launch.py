"""`main`: from the command line to the end of a run, or to one of the commands that read a run."""

import sys
from typing import Any

from jwgan.run import export, lifecycle, measure, reading, sample, session, sweep, xla
from jwgan.run.experiment import Experiment
from jwgan.run.options import fail, parse

# What reads a run: `python mine.py sample RUN_DIR`.
COMMANDS = {"sample": sample.main, "measure": measure.main, "export": export.main}


def main(experiment: Experiment, argv: list[str] | None = None) -> None:
    """Trains, evaluates and reports; or reads a run, if the first word is one of `COMMANDS`.

    Exit code 2 for bad input, 1 for a run that failed, 128 + n for signal n.

    Args:
      experiment: the document's parts.
      argv: command line, `sys.argv[1:]` by default.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        experiment = experiment.named()
    except ValueError as error:
        fail(error)
    if argv[:1] and argv[0] in COMMANDS:
        COMMANDS[argv[0]](reading.only(experiment), argv[1:])
    else:
        train(experiment, argv)


def train(experiment: Experiment, argv: list[str]) -> None:
    """One run, or all runs of a sweep, from the command line to the page."""
    config: Any = parse(experiment.config, argv, (experiment.doc or "") + xla.CACHE_NOTE)
    xla.use_compilation_cache()
    xla.use_eigen()
    try:
        if sweep.several(config):
            xla.use_cores(sweep.count(config), sweep.devices(config))
        run = lifecycle.prepare(experiment, config)
    except (ValueError, OSError) as error:
        fail(error)
    try:
        lifecycle.finish(run)
    except (session.NonFiniteError, ValueError, OSError) as error:
        if not lifecycle.is_expected(error):
            raise
        fail(f"{error}; what was saved is in {run.folder}", code=1)
