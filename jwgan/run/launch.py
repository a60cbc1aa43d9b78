"""`main`: from the command line to the end of a run, or to one of the commands that read a run."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from jwgan import check
from jwgan.run import export, lifecycle, measure, reading, sample, session, sweep, xla
from jwgan.run.experiment import Experiment
from jwgan.run.options import fail, parse

# What every run imports on its way, beside jax and optax; asked for before anything is written.
PACKAGES = ("flax", "orbax.checkpoint", "rich", "tensorboardX", "matplotlib", "PIL")
# What reads a run: `python mine.py sample RUN_DIR`.
COMMANDS = {"sample": sample.main, "measure": measure.main, "export": export.main}


@contextlib.contextmanager
def missing_package_ends() -> Iterator[None]:
    """A command that misses an optional package ends with one line: the package, its extra."""
    try:
        yield
    except check.MissingPackageError as error:
        fail(error)


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
    with missing_package_ends():
        if argv[:1] and argv[0] in COMMANDS:
            COMMANDS[argv[0]](reading.only(experiment), argv[1:])
        else:
            train(experiment, argv)


def train(experiment: Experiment, argv: list[str]) -> None:
    """One run, or all runs of a sweep, from the command line to the page."""
    config: Any = parse(experiment.config, argv, (experiment.doc or "") + xla.CACHE_NOTE)
    for package in PACKAGES:
        check.require_package(package, "run")
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
