"""Measures a finished or running run: quality of its samples, exact W1, the critic's estimate.

Metrics are those that a run measures itself: quality as at its end, W1 as with --w1-every. They are
of the newest whole checkpoint, and printed as one JSON object.
"""

import dataclasses
import json
import pathlib

from jwgan.run import evaluate, exact_w1, options, output, reading, xla
from jwgan.run.options import option


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `measure`."""

    run_dir: str = option("", "the run's directory")
    trial: int = option(0, "which one of a run with --seeds or --sweep, counted from 0")
    best: bool = option(False, "take the best checkpoint (by sliced distance), not the newest")
    json: bool = option(False, "print one line of JSON")


def main(find: reading.Find, argv: list[str] | None = None, doc: str | None = __doc__) -> None:
    """The command `measure RUN_DIR`; arguments as those of `sample.main`."""
    config = options.parse(
        Config, argv, doc or "", "run_dir", options.program_name(argv, "measure")
    )
    xla.use_compilation_cache()
    # Runs do the same: on a CPU the same kernels give the same numbers.
    xla.use_eigen()
    try:
        folder = pathlib.Path(config.run_dir)
        task, algorithm, state = reading.read_run(folder, find, config.trial, best=config.best)
        # This is the probe of --w1-every, with its keys and points, so its metrics compare with the
        # run's own.
        probe = exact_w1.make(task, algorithm)
        found = {
            "step": int(state.step),
            "trial": config.trial,
            "quality": evaluate.quality(task, algorithm, state),
            "transport": {**probe.metrics(state), "what": probe.description},
        }
    except (ValueError, OSError) as error:
        options.fail(error)
    output.show(json.dumps(found) if config.json else json.dumps(found, indent=1))
