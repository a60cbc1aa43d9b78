"""Brings an old run up to date: what its checkpoints lack gets the value of a run's start.

A later version of a member may keep more in its state, as another average. Whatever a checkpoint
has is kept bit for bit; a part that it lacks gets the value that it has at the start of a run. All
whole checkpoints are brought over; those that were there stay in checkpoints.old. A run whose
states have parts that are gone, or of another shape, is refused. config.json names what was added.
"""

import dataclasses
import pathlib
import sys
from typing import Any

import jax

from jwgan import check, checkpoint, report
from jwgan.run import directory, options, reading, sweep, sweep_build, xla
from jwgan.run.options import option

SHOWN = 5  # names of new parts in config.json and on the terminal


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `upgrade`.

    >>> upgrade.Config("runs/mine").run_dir
    'runs/mine'
    """

    run_dir: str = option("", "the run's directory")


def _fresh_state(config: Any, build: Any, task: Any) -> Any:
    """The state at the start of a run; of a sweep, that of all its trials."""
    if sweep.several(config):
        together = sweep_build.assemble(config, build, task)
        return jax.jit(together.algorithm.init)(together.keys, together.source.batch)
    algorithm = build(config, task.shape)
    batch = task.source(config.n_critic, config.batch_size).batch
    return jax.jit(lambda: algorithm.init(jax.random.key(config.seed), batch))()


def _bring_over(folder: pathlib.Path, fresh: Any) -> tuple[int, tuple[str, ...]]:
    """Writes all whole checkpoints of a run anew, grown; returns the newest step and the new parts.

    Raises:
      ValueError: no checkpoint is whole, or one cannot be brought over.
    """
    old, new, kept = folder / "checkpoints", folder / "checkpoints.new", folder / "checkpoints.old"
    if not old.exists() and new.exists() and kept.exists():  # killed between the two renames below
        new.rename(old)
    newest = checkpoint.restore(old, fresh, grow=True)
    if not newest.added:
        return newest.step, ()
    if kept.exists():
        raise ValueError(f"{kept} is there already: remove it if the run is as you want it")
    steps = [step for step in checkpoint.steps(old) if step <= newest.step]
    with checkpoint.Checkpoints(new, keep=len(steps)) as checkpoints:
        for step in steps:
            try:
                found = checkpoint.restore(old, fresh, step, grow=True)
            except checkpoint.CheckpointError as error:
                print(f"passed over: {check.one_line(error)}", file=sys.stderr)
                continue
            checkpoints.save(step, found.state, found.extra)
    old.rename(kept)
    new.rename(old)
    return newest.step, newest.added


def _upgrade_run(folder: pathlib.Path, find: reading.Find) -> tuple[str, ...]:
    """Brings a run over and records it in config.json; returns the names of the new parts.

    Raises:
      ValueError: it is no run, another process runs there, or it cannot be brought over.
    """
    described, experiment, config, task = reading.described_run(folder, find)
    with directory.lock(folder):
        step, added = _bring_over(folder, _fresh_state(config, experiment.build_for(task), task))
        if added:
            names = ", ".join(added[:SHOWN]) + (", ..." if added[SHOWN:] else "")
            what = f"{len(added)} new parts, as at the start of a run: {names}"
            changed = {"step": step, "changed": {"state": ["as it was saved", what]}}
            changes = [*directory.entries(described, "changes"), changed]
            report.write_json(folder / "config.json", {**described, "changes": changes})
    return added


def main(find: reading.Find, argv: list[str] | None = None, doc: str | None = __doc__) -> None:
    """The command `upgrade RUN_DIR`; arguments as those of `sample.main`.

    Raises:
      SystemExit: bad input; its code is 2, after one line on stderr.

    A run whose state is that of this version is left as it is:

    >>> from jwgan.run import reading
    >>> upgrade.main(reading.only(mine), [str(finished)])
    /...: nothing to bring over, it fits as it is
    """
    program = options.program_name(argv, "upgrade")
    config = options.parse(Config, argv, doc or "", "run_dir", program)
    xla.use_compilation_cache()
    try:
        added = _upgrade_run(pathlib.Path(config.run_dir), find)
    except (ValueError, OSError) as error:
        options.fail(error)
    if added:
        print(f"{config.run_dir}: {len(added)} new parts, {added[0]} first; go on with --resume")
    else:
        print(f"{config.run_dir}: nothing to bring over, it fits as it is")
