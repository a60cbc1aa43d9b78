"""A run from its state to its end: what is written on the way, when it stops, what if it fails.

`train` is the whole of it. The state of the run itself is one pytree; what else a run remembers
(its best checkpoint, its retries, the alarm's sums) is the Journal, and both are in every
checkpoint.
"""

import contextlib
import dataclasses
import pathlib
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from experiments import console, hosts, members

START = time.perf_counter()
MAX_RETRIES = 10


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
    many: Any = None  # `members.Many` with --seeds or --sweep
    measure: Any = None  # `measure.Measure` with --w1-every


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
    members: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # of several runs

    @classmethod
    def from_extra(cls, extra: dict[str, Any]) -> "Journal":
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in extra.items() if name in known})


def is_picture_step(step: int, chunk_steps: int) -> bool:
    """Pictures after 1, 2, 4, 8, ... chunks: early progress is where the eye learns most."""
    chunks, rest = divmod(step, chunk_steps)
    return chunks > 0 and rest == 0 and chunks & (chunks - 1) == 0


def first_non_finite(first: int, scalars: dict[str, Any]) -> NonFinite | None:
    """The earliest NaN or infinity in a chunk of figures {quantity: [length]}."""
    import numpy as np

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
        from jwgan import alarms

        scalars = {**info._asdict(), **info.objective}
        del scalars["objective"]
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
        from experiments import evaluate
        from jwgan import report

        image = evaluate.picture(self.run.task, self.run.algorithm, state)
        report.save_png(self.run.folder / "samples" / f"{step:08d}.png", image)
        self.writer.image("samples", step, image)
        self.first_picture = self.first_picture or time.perf_counter() - START

    def examine(self, step: int, state: Any) -> None:
        """Looks at samples and figures, and warns."""
        from jwgan import alarms

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


def _only_first(make: Callable[[], Any]) -> Any:
    """The context manager, in the process that writes."""
    return make() if hosts.is_first() else contextlib.nullcontext()


def step_of(state: Any) -> int:
    """The step counter, which several runs have in common."""
    import numpy as np

    return int(np.ravel(np.asarray(state.step))[0])


def _stretch(run: Run, journal: Journal, probe: Callable) -> tuple[Any, Session]:
    """Trains until the last step, a signal, the time limit or a non-finite figure."""
    from jwgan import checkpoint, loop, report

    config, labels = run.config, []
    kind: type[Session] = Session
    if run.many:
        from experiments import many_session

        kind, labels = many_session.ManySession, [m.label for m in run.many.members]
    best = lambda extra: -(extra.get("sliced_distance") or float("inf"))
    with (
        console.stop_signals() as caught,
        checkpoint.Checkpoints(run.folder / "checkpoints", config.keep, best) as checkpoints,
        _only_first(lambda: report.Writer(run.folder, run.step, members=labels)) as writer,
        _only_first(lambda: console.progress_bar(run.name, config.steps, run.step)) as show,
    ):
        session = kind(run, journal, probe, writer, checkpoints)
        session.caught, session.show = caught, show or session.show
        state = loop.train(
            run.algorithm,
            run.state,
            run.source,
            steps=config.steps,
            chunk_steps=config.chunk_steps,
            record=session.record,
            due=session.due,
            observe=session.observe,
            stop=session.stop,
            rescue=lambda step, state: session.save(step, session.local(state)),
            mesh=run.mesh,
        )
        session.finish(step_of(state), state)
    return state, session


def init(run: Run) -> Any:
    """The state before the first step, a function of the seed; traced."""
    import jax

    key = run.many.keys if run.many else jax.random.key(run.config.seed)
    return run.algorithm.init(key, run.source.batch)


def first_state(run: Run) -> Any:
    """The state before the first step."""
    import jax

    if run.many:  # keys are an argument: XLA would take minutes to draw so much at compile time
        return jax.jit(lambda keys: run.algorithm.init(keys, run.source.batch))(run.many.keys)
    return hosts.placed(jax.jit(lambda: init(run))(), run.mesh)


def newest(run: Run) -> tuple[Run, tuple[str, ...]]:
    """The run as its newest whole checkpoint has it, or as it began, and what was passed over.

    Raises:
      CheckpointError: there are checkpoints, and none of them is whole or fits.
    """
    import jax

    from jwgan import checkpoint

    folder = run.folder / "checkpoints"
    if not checkpoint.steps(folder):
        return run._replace(state=first_state(run), step=0, extra={}), ()
    found = checkpoint.restore(folder, jax.eval_shape(lambda: init(run)))
    place = members.placed if run.many else hosts.placed
    state = place(found.state, run.many.mesh if run.many else run.mesh)
    return run._replace(state=state, step=found.step, extra=found.extra), found.skipped


def keep_for_inspection(run: Run, trouble: NonFinite) -> None:
    """Repeats the run up to the bad step and saves the state before it, which is still finite."""
    from jwgan import checkpoint, loop

    state = loop.train(
        run.algorithm,
        run.state,
        run.source,
        steps=trouble.step,
        chunk_steps=run.config.chunk_steps,
        mesh=run.mesh,
    )
    with checkpoint.Checkpoints(run.folder / "nonfinite", keep=1) as checkpoints:
        checkpoints.save(trouble.step, hosts.local(state, run.mesh), {"trouble": str(trouble)})


def _retry(run: Run, trouble: NonFinite, retries: list[dict[str, Any]]) -> tuple[Run, Journal]:
    """Back to the last finite checkpoint: on with another key, or the end with an explanation."""
    from jwgan import loop

    hosts.wait_for_all("saved")  # before the others read what the first one writes
    run, _ = newest(run)
    if run.config.on_nonfinite == "stop" or len(retries) >= MAX_RETRIES:
        start = run.step
        keep_for_inspection(run, trouble)
        raise NonFiniteError(
            f"{trouble}; the state before that step is in {run.folder / 'nonfinite'}, the last "
            f"finite checkpoint is of step {start}: lower the learning rate, or go on from there "
            "with --resume --on-nonfinite restore"
        )
    journal = Journal.from_extra(run.extra)
    journal.retries = [*retries, {"trouble": str(trouble), "restored_step": run.step}]
    print(f"warning: {trouble}; back to step {run.step} with another key", file=sys.stderr)
    return run._replace(state=loop.with_fresh_key(run.state, len(retries))), journal


def _make_probe(run: Run) -> Callable:
    from experiments import evaluate, many_session

    if run.many:
        return many_session.make_probe(run.many)
    return evaluate.make_probe(run.task, run.algorithm)


def train(run: Run) -> tuple[Any, dict[str, Any]]:
    """Trains and writes everything; returns the final state and the figures of the run.

    Raises:
      NonFiniteError: a figure is not finite, and --on-nonfinite is stop or of no help.
    """
    from jwgan import checkpoint

    began, start, journal = time.perf_counter(), run.step, Journal.from_extra(run.extra)
    probe, run = _make_probe(run), _with_measure(run)
    state, session = _stretch(run, journal, probe)
    while session.trouble:
        run, journal = _retry(run, session.trouble, journal.retries)
        state, session = _stretch(run, journal, probe)
    step, seconds = step_of(state), time.perf_counter() - began
    state = hosts.local(state, run.mesh)
    return state, {
        "run_dir": str(run.folder),
        "steps": step,
        "seconds": round(seconds, 2),
        "seconds_to_first_picture": round(session.first_picture or 0.0, 2),
        "seconds_saving": round(session.saving, 3),
        "steps_per_second": round((step - start) / seconds, 3),
        "wasserstein_estimate": session.estimate,
        "state_sha256": checkpoint.state_sha256(state),
        "stopped_by": signal.Signals(session.caught[0]).name if session.caught else None,
        "best": journal.best,
        "retries": journal.retries,
        "warnings": list(journal.warnings.values()),
        **session.more(),
        **_measured(run, session),
    }


def _with_measure(run: Run) -> Run:
    """The run with what --w1-every looks at."""
    from experiments import measure

    if not run.config.w1_every or not hosts.is_first():
        return run
    return run._replace(measure=measure.make(run.task, run.algorithm))


def _measured(run: Run, session: Session) -> dict[str, Any]:
    """The last exact W1, what it is, and the time all of them took; {} without --w1-every."""
    if not session.measured:
        return {}
    seconds = round(session.measuring, 3)
    return {"transport": {**session.measured, "seconds": seconds, "what": run.measure.words}}
