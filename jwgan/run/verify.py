"""Computes a chunk of steps a second time and compares the bits of the states (--verify-every).

The same steps from the same state give the same bits, so a difference has one cause: something
that they were computed from, or with, was changed on the way, as by a faulty memory or core (Dixit
et al., 2021, Silent Data Corruptions at Scale). Such a fault stops nothing by itself: the run would
go on to a wrong end. What is checked is one chunk in so many: the parameters, the optimizers'
averages and the data while it is computed.

With N = 10 it took 14 % of the time of an MLP's 4,000 steps and 12 % of a streamed DCGAN's 400 at
28x28 (2 CPU cores), a second compilation of the program included.
"""

import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp

from jwgan import checkpoint, loop
from jwgan.checkpoint import leaves
from jwgan.run import hosts


class CorruptionError(RuntimeError):
    """A chunk of steps gave other bits when it was computed again."""


class Verifier:
    """Keeps a state at the start of a chunk, and computes that chunk again at its end.

    Args:
      run: what is trained (`session.Run`); its `make_source` reads the data anew.

    >>> import types
    >>> config = run.Config(chunk_steps=25, verify_every=4)
    >>> verifier = verify.Verifier(types.SimpleNamespace(config=config))
    >>> [step for step in range(0, 300, 25) if verifier.starts(step)]  # one chunk in four
    [0, 100, 200]
    >>> verifier.observe(0, {"w": jnp.ones(2)})  # keeps the state until that chunk has ended
    >>> verifier.first, verifier.kept["w"].tolist()
    (0, [1.0, 1.0])
    """

    def __init__(self, run: Any):
        self.run = run
        self.first: int | None = None  # the first step of the chunk that is checked
        self.kept: Any = None  # the state before it
        self.program: Any = None
        self.seconds = 0.0

    def starts(self, step: int) -> bool:
        """Whether the chunk from this step on is checked: a property of the step, so that a resumed
        run checks what an undisturbed one does."""
        config = self.run.config
        return (step // config.chunk_steps) % config.verify_every == 0

    def due(self, step: int) -> bool:
        """Whether `observe` has something to do."""
        return self.first is not None or self.starts(step)

    def observe(self, step: int, state: Any) -> None:
        """Checks the chunk that has ended, and keeps the state if the next one is checked.

        Every process must call it.

        Raises:
          CorruptionError: the bits differ, in any of the processes.
        """
        began = time.perf_counter()
        if self.first is not None and step > self.first:
            self._compare(self.first, step, state)
        self.first = self.kept = None
        if self.starts(step):
            # A copy, since the state itself is donated to the chunk.
            self.first, self.kept = step, jax.tree.map(jnp.copy, state)
            jax.block_until_ready(self.kept)
        self.seconds += time.perf_counter() - began

    def _compare(self, first: int, step: int, state: Any) -> None:
        run = self.run
        # The program is compiled anew, and the data come from where they lie: what is in memory may
        # be what is broken.
        self.program = self.program or loop.chunk_program(run.algorithm, run.source, run.mesh)
        length = step - first
        again, _ = self.program(self.kept, run.make_source().fetch(first, length), length)
        states = [hosts.local(one, run.mesh) for one in (state, again)]
        records = [[leaves.record(leaf) for leaf in leaves.host(one)] for one in states]
        different = [one["path"] for one, two in zip(*records, strict=True) if one != two]
        # A collective: one process that sees a difference ends all of them.
        if not hosts.largest(bool(different)):
            return
        folder = run.folder / "verify"
        if hosts.is_first():
            _keep(folder, step, states)
        where = f"of {len(different)} parts of the state, {different[0]} first" if different else ""
        raise CorruptionError(
            f"steps {first} to {step - 1} gave other bits when they were computed again ({where}): "
            "the memory or a core of this machine is at fault, or XLA was set to be quick and not "
            f"repeatable; both states are in {folder}; go on from the last checkpoint with "
            "--resume, on another machine if there is one"
        )


def _keep(folder: pathlib.Path, step: int, states: Any) -> None:
    """Saves the state of the run and the one that was computed again, as checkpoints."""
    for name, state in zip(("run", "again"), states, strict=True):
        with checkpoint.Checkpoints(folder / name, keep=1) as checkpoints:
            checkpoints.save(step, state)
