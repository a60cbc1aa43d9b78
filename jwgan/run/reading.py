"""Finds a finished or running run, rebuilds it, and hands it to sample, measure and export.

A run's config.json is untrusted: it names an experiment, and whoever reads the run says which
experiments there are (`Find`). So nothing that a file names is ever imported.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import jax

from jwgan import check, checkpoint, many
from jwgan.run import directory, options, session, sweep, sweep_build, tasks
from jwgan.run.experiment import Experiment

# From a run's description to its experiment; ValueError if it is none of the finder's.
Find = Callable[[dict[str, Any]], Experiment]


def only(experiment: Experiment) -> Find:
    """Finds runs of this experiment alone.

    >>> find = reading.only(mine)
    >>> find({"experiment": "mine"}).name
    'mine'
    >>> find({"experiment": "yours", "program": "python yours.py"})
    Traceback (most recent call last):
    ValueError: experiment is 'yours', not 'mine'; it was made by python yours.py
    """

    def find(described: dict[str, Any]) -> Experiment:
        if described["experiment"] != experiment.name:
            raise ValueError(
                f"experiment is {described['experiment']!r}, not {experiment.name!r}"
                f"{_made_by(described)}"
            )
        return experiment

    return find


def _made_by(described: dict[str, Any]) -> str:
    program = described.get("program")
    if not (isinstance(program, str) and program):
        return ""
    return f"; it was made by {check.printable(program)}"


def described_run(folder: pathlib.Path, find: Find) -> tuple[dict[str, Any], Experiment, Any, Any]:
    """Reads a run's config.json: (description, experiment, config, task without data).

    Raises:
      ValueError: it is no run, of no known experiment, or has options that nothing can run with.

    >>> described, experiment, config, bare = reading.described_run(finished, reading.only(mine))
    >>> experiment.name, config.batch_size, bare.shape, bare.dataset
    ('mine', 4, (2, 2, 1), None)
    """
    described = directory.read_description(folder)
    try:
        experiment = find(described)
        config = options.from_description(
            experiment.config, experiment.described(described["config"])
        )
        # It checks that the description has a shape, before any file of the data is read.
        bare = tasks.without_data(described["data"], described.get("encoding"))
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'}: {error}") from error
    # A stranger's config.json may hold any numbers: they are checked as a command line's are.
    options.check(config)
    return described, experiment, config, bare


def read_run(
    folder: pathlib.Path, find: Find, trial: int = 0, with_data: bool = True, best: bool = False
) -> tuple[Any, Any, Any]:
    """The (task, algorithm, state) of a run, rebuilt from what is in its directory.

    Args:
      folder: the run directory.
      find: from its description to its experiment.
      trial: which one of a run with --seeds or --sweep, counted from 0.
      with_data: whether to load what it was trained on; without, the task has only a name and a
        shape, and the run can be read where its data are not.
      best: whether to take the best checkpoint, and not the newest.

    Raises:
      ValueError: it is no run, has no such trial, or no best checkpoint.

    >>> task, algorithm, state = reading.read_run(finished, reading.only(mine))
    >>> task.name, int(state.step), algorithm.sample(jax.random.key(0), state, 9).shape
    ('dots', 2, (9, 2, 2, 1))
    """
    _, experiment, config, bare = described_run(folder, find)
    task = experiment.load(config) if with_data else bare
    return task, *restore(folder, config, experiment.build_for(task), task, trial, best)


def best_step(folder: pathlib.Path) -> int:
    """The step of the checkpoint with the smallest sliced distance.

    Raises:
      ValueError: no checkpoint was saved with an evaluation.

    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with checkpoint.Checkpoints(folder / "checkpoints") as checkpoints:
    ...     checkpoints.save(10, {"w": jnp.zeros(4)}, {"sliced_distance": 0.25})
    ...     checkpoints.save(20, {"w": jnp.ones(4)}, {"sliced_distance": 0.5})
    >>> reading.best_step(folder)
    10
    """
    found = checkpoint.extras(folder / "checkpoints")
    scores = {step: session.score_of(extra) for step, extra in found.items()}
    # NaN, of a checkpoint that was not evaluated, is not equal to itself.
    scores = {step: score for step, score in scores.items() if score == score}
    if not scores:
        raise ValueError(f"{folder} has no evaluated checkpoint: leave --best out for the newest")
    return max(scores, key=lambda step: scores[step])


def restore(
    folder: pathlib.Path, config: Any, build: Any, task: Any, trial: int, best: bool = False
) -> Any:
    """(algorithm, state) of the newest whole checkpoint; of a sweep, those of one trial.

    Raises:
      ValueError: there is no checkpoint, no such trial, or no best checkpoint.

    >>> config = mine.config(batch_size=4)
    >>> algorithm, state = reading.restore(finished, config, mine.build, dots, trial=0)
    >>> int(state.step)
    2
    >>> reading.restore(finished, config, mine.build, dots, trial=1)
    Traceback (most recent call last):
    ValueError: trial is 1: give 0 to 0, from the only one to the only one
    """
    if not checkpoint.steps(folder / "checkpoints"):
        raise ValueError(f"{folder} has no checkpoint yet: wait for the first, or go on with it")
    step = best_step(folder) if best else None
    together = sweep_build.assemble(config, build, task) if sweep.several(config) else None
    count = len(together.trials) if together else 1
    if not 0 <= trial < count:
        labels = [one.label for one in together.trials] if together else ["the only one"]
        raise ValueError(
            f"trial is {trial}: give 0 to {count - 1}, from {labels[0]} to {labels[-1]}"
        )
    if together:
        # `eval_shape` computes no state, which the checkpoint is about to fill.
        init = lambda: together.algorithm.init(together.keys, together.source.batch)
        states = checkpoint.restore(folder / "checkpoints", jax.eval_shape(init), step).state
        # From here on the trial is the run that its own options would make alone.
        own = together.trials[trial].config
        return build(own, task.shape), many.trial(states, trial)
    algorithm = build(config, task.shape)
    # The batch is needed for its shape; nothing is drawn from the source.
    batch = task.source(config.n_critic, config.batch_size).batch
    target = jax.eval_shape(lambda: algorithm.init(jax.random.key(config.seed), batch))
    return algorithm, checkpoint.restore(folder / "checkpoints", target, step).state
