"""A run from its state to its end: what is written on the way, when it stops, what if it fails.

`train` is the whole of it. The state of the run itself is one pytree; what else a run remembers
(its best checkpoint, its retries, the alarm's sums) is the Journal, and both are in every
checkpoint.
"""

import dataclasses
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jwgan import adversarial, report
from jwgan.run import alarms, evaluate, hosts

START = time.perf_counter()


class Run(NamedTuple):
    """A run ready to train."""

    config: Any
    name: str
    folder: pathlib.Path
    task: Any
    algorithm: Any
    source: Any
    state: Any
    step: int
    extra: dict[str, Any]  # of the checkpoint it goes on from; {} at the start
    mesh: Any = None  # of several devices
    many: Any = None  # `sweep_build.Many` with --seeds or --sweep
    measure: Any = None  # `exact_w1.Measure` with --w1-every


class NonFiniteError(RuntimeError):
    """A figure is NaN or infinite."""


class NonFinite(NamedTuple):
    quantity: str
    value: float
    step: int

    def __str__(self) -> str:
        return f"{self.quantity} is {self.value} at step {self.step}"


@dataclasses.dataclass
class Journal:
    """What a run remembers beside its state, as JSON keeps it."""

    best: dict[str, Any] | None = None  # {"step", "sliced_distance"} of the best checkpoint
    retries: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    warnings: dict[str, str] = dataclasses.field(default_factory=dict)
    reference: dict[str, float] = dataclasses.field(default_factory=dict)  # the alarm's sums
    stretch: dict[str, float] = dataclasses.field(default_factory=dict)
    health: dict[str, Any] = dataclasses.field(default_factory=dict)  # not yet in a row
    trials: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # of a sweep

    @classmethod
    def from_extra(cls, extra: dict[str, Any]) -> "Journal":
        known = {field.name for field in dataclasses.fields(cls)}
        if "members" in extra:  # as trials were called until 0.1.0
            extra = {**extra, "trials": extra["members"]}
        return cls(**{name: value for name, value in extra.items() if name in known})


def is_picture_step(step: int, chunk_steps: int) -> bool:
    """Pictures after 1, 2, 4, 8, ... chunks: early progress is where the eye learns most."""
    chunks, rest = divmod(step, chunk_steps)
    return chunks > 0 and rest == 0 and chunks & (chunks - 1) == 0


def first_non_finite(first: int, scalars: dict[str, Any]) -> NonFinite | None:
    """The earliest NaN or infinity in a chunk of figures {quantity: [length]}."""
    found = [
        NonFinite(name, float(values[i]), first + int(i))
        for name, values in scalars.items()
        for i in np.flatnonzero(~np.isfinite(values))[:1]
    ]
    return min(found, key=lambda it: it.step, default=None)


class Session:
    """The callbacks of `loop.train` over one stretch of a run."""

    def __init__(self, run: Run, journal: Journal, probe: Callable, writer: Any, checkpoints: Any):
        self.run, self.journal, self.probe = run, journal, probe
        self.measured: dict[str, Any] = {}  # the last exact W1, and the step of it
        self.measuring = 0.0  # seconds
        self.writer, self.checkpoints = writer, checkpoints
        self.saved = self.examined = run.step
        self.began = time.perf_counter()
        self.saving = 0.0  # seconds
        self.first_picture: float | None = None
        self.estimate: float | None = None
        self.trouble: NonFinite | None = None
        self.caught: list[int] = []
        self.show: Callable[[int, float, str], None] = lambda step, estimate, warning: None

    def local(self, state: Any) -> Any:
        return hosts.local(state, self.run.mesh)

    def drawn(self, step: int) -> bool:
        return is_picture_step(step, self.run.config.chunk_steps)

    def complete(self, step: int) -> bool:
        """Whether a multiple of checkpoint_every was passed: a property of the step, wherever the
        run was resumed."""
        every = self.run.config.checkpoint_every
        return step // every > self.saved // every

    def measures(self, step: int) -> bool:
        every = self.run.config.w1_every
        return every > 0 and step % every == 0

    def due(self, step: int) -> bool:
        kinds = (self.drawn, self.complete, self.measures)
        return step > self.run.step and any(is_due(step) for is_due in kinds)

    def observe(self, step: int, state: Any) -> None:
        if self.trouble or not hosts.is_first():
            return
        state = self.local(state)
        if self.drawn(step):
            self.picture(step, state)
        if self.measures(step):
            self.measure(step, state)
        if self.complete(step):
            self.examine(step, state)
            self.save(step, state, self.journal.health["sliced_distance"])

    def stop(self, step: int) -> bool:
        minutes = self.run.config.minutes
        late = minutes and time.perf_counter() - self.began > 60 * minutes
        number = hosts.largest(self.caught[0] if self.caught else 0)
        if number and not self.caught:  # another process was asked to stop
            self.caught.append(number)
        return bool(hosts.largest(bool(number or late or self.trouble)))

    def record(self, first: int, info: Any) -> None:
        scalars = adversarial.scalars(info)
        if hosts.is_first():
            self.writer.scalars(first, scalars, self.journal.health)
        self.journal.health = {}
        self.trouble = self.trouble or first_non_finite(first, scalars)
        if not self.trouble:
            self.journal.stretch = alarms.add(self.journal.stretch, scalars)
            self.estimate = float(info.wasserstein_estimate[-1])
            warning = ", ".join(self.journal.warnings)
            self.show(first + len(info.penalty), self.estimate, warning)

    def picture(self, step: int, state: Any) -> None:
        image = evaluate.picture(self.run.task, self.run.algorithm, state)
        report.save_png(self.run.folder / "samples" / f"{step:08d}.png", image)
        self.writer.image("samples", step, image)
        self.first_picture = self.first_picture or time.perf_counter() - START

    def examine(self, step: int, state: Any) -> None:
        """Looks at samples and figures, and warns."""
        journal = self.journal
        health = self.probe(state)
        journal.health = {**journal.health, **health}
        self.examined = step
        if journal.best is None or health["sliced_distance"] < journal.best["sliced_distance"]:
            journal.best = {"step": step, "sliced_distance": health["sliced_distance"]}
        found = alarms.judge(journal.reference, journal.stretch, health)
        for kind in found.keys() - journal.warnings.keys():
            print(f"warning at step {step}: {found[kind]}", file=sys.stderr)
        journal.warnings = found
        journal.reference = journal.reference or journal.stretch
        journal.stretch = {}

    def measure(self, step: int, state: Any) -> None:
        """Exact W1 beside the critic's estimate."""
        began = time.perf_counter()
        figures = self.run.measure.figures(state)
        self.journal.health = {**self.journal.health, **figures}
        self.measured = {"step": step, **figures}
        self.measuring += time.perf_counter() - began

    def save(self, step: int, state: Any, sliced_distance: float | None = None) -> None:
        began = time.perf_counter()
        self.saved = step
        extra = {**dataclasses.asdict(self.journal), "sliced_distance": sliced_distance}
        self.checkpoints.save(step, state, extra)
        self.saving += time.perf_counter() - began

    def more(self) -> dict[str, Any]:
        """Figures of the end beside a single run's."""
        return {}

    def finish(self, step: int, state: Any) -> None:
        """The last checkpoint, picture and look; after a signal there is no time for the latter.

        The look comes after the checkpoint: a run that goes on from here must not remember it.
        """
        if self.trouble or not hosts.is_first():
            return
        state = self.local(state)
        if step > self.saved or step == 0:
            self.save(step, state)
        self.picture(step, state)
        if step > self.examined and not self.caught:
            self.examine(step, state)
        if self.run.measure and self.measured.get("step") != step and not self.caught:
            self.measure(step, state)
