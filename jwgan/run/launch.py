"""`main`: from the command line to the end of a run, or to one of the commands that read a run.

>>> import contextlib, sys
"""

import contextlib
import gc
import sys
from collections.abc import Iterator

from jwgan import check
from jwgan.run import (
    export,
    lifecycle,
    measure,
    options,
    reading,
    sample,
    session,
    sweep,
    upgrade,
    xla,
)
from jwgan.run.experiment import Experiment

# What every run imports on its way, beside jax and optax; asked for before anything is written.
PACKAGES = ("flax", "orbax.checkpoint", "rich", "tensorboardX", "matplotlib", "PIL")
OUT_OF_MEMORY = (
    "out of memory: give a smaller --batch-size or --width, --accumulate 2 (a batch in two parts), "
    "--precision bfloat16 or --stream (data stay on the disk); stop what else uses the device, or "
    "on a shared GPU start each process with XLA_PYTHON_CLIENT_MEM_FRACTION below its 0.75"
)
# What reads a run: `python mine.py sample RUN_DIR`.
COMMANDS = {
    "sample": sample.main,
    "measure": measure.main,
    "export": export.main,
    "upgrade": upgrade.main,
}


@contextlib.contextmanager
def missing_package_ends() -> Iterator[None]:
    """A command that misses an optional package ends with one line: the package, its extra.

    >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
    ...     with launch.missing_package_ends():
    ...         check.require_package("no_such_package", "run")
    error: no_such_package is not installed: pip install 'jwgan[run]'
    """
    try:
        yield
    except check.MissingPackageError as error:
        options.fail(error)


@contextlib.contextmanager
def _full_memory_ends() -> Iterator[None]:
    """What finds no room on the host or the device ends with one line: the remedies."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not lifecycle.is_out_of_memory(error):
            raise
        options.fail(f"{check.one_line(error)}; {OUT_OF_MEMORY}", code=1)


def main(experiment: Experiment, argv: list[str] | None = None) -> None:
    """Trains, evaluates and reports; or reads a run, if the first word is one of `COMMANDS`.

    Exit code 2 for bad input, 1 for a run that failed, 128 + n for signal n.

    Args:
      experiment: the document's parts.
      argv: command line, `sys.argv[1:]` by default.

    >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
    ...     launch.main(mine, ["--stepz", "4"])
    error: unrecognized arguments: --stepz 4 (did you mean --steps?); see --help
    >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
    ...     launch.main(mine, ["--run-dir", str(finished), "--resume"])
    nothing is left to do: the run in ... has its 2 steps; give more --steps to go on
    """
    if argv is None:  # a command: the process is ours
        argv = sys.argv[1:]
        # Tracing makes many small objects that stay. To look for cycles among them, and among all
        # that was imported, took a tenth of the time from a restart to its first step.
        gc.freeze()
        gc.set_threshold(50_000)
    try:
        experiment = experiment.named()
    except ValueError as error:
        options.fail(error)
    with missing_package_ends(), _full_memory_ends():
        if argv[:1] and argv[0] in COMMANDS:
            COMMANDS[argv[0]](reading.only(experiment), argv[1:])
        else:
            _train(experiment, argv)


def _train(experiment: Experiment, argv: list[str]) -> None:
    """One run, or all runs of a sweep, from the command line to the page."""
    # Options come first, packages second: --help and a mistyped option need none of them.
    given = options.given(
        experiment.config,
        argv,
        (experiment.doc or "") + xla.CACHE_NOTE,
        program=experiment.program,
    )
    for package in PACKAGES:
        check.require_package(package, "run")
    xla.use_compilation_cache()
    xla.use_eigen()
    # The stack holds the directory's lock until the run has ended, however it ends.
    with contextlib.ExitStack() as stack:
        try:
            config = lifecycle.options_of(experiment, given)
            if config.deterministic:
                xla.use_determinism()
            xla.use_gpu_flags(config.gpu_flags)
            if sweep.several(config):
                # `prepare` makes the first array: from then on the CPU's devices are what they are.
                xla.use_cores(sweep.count(config), sweep.devices(config))
            run = lifecycle.prepare(experiment, config, stack, argv)
        except (ValueError, OSError) as error:
            options.fail(error)
        except KeyboardInterrupt:
            options.fail("stopped before anything was written", code=130)
        _finish(run)


def _finish(run: session.Run) -> None:
    """Trains and concludes; what ends it early is one line."""
    try:
        lifecycle.finish(run)
    except Exception as error:
        # A defect of ours keeps its traceback; what a user can mend is one line.
        if not lifecycle.is_expected(error):
            raise
        options.fail(f"{error}; {lifecycle.what_is_there(run)}", code=1)
    except KeyboardInterrupt:  # while the first state is made; later signals end the chunk
        options.fail(f"stopped by SIGINT; {lifecycle.what_is_there(run)}", code=130)
