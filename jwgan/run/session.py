"""Does what is due between two chunks of a run: records, evaluates, saves, and says when to stop.

The state of the run itself is one pytree; what else a run remembers (its best checkpoint, its
retries, the alarm's sums) is the Journal, and both are in every checkpoint. `lifecycle` calls.
"""

import dataclasses
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jwgan import adversarial, check, report
from jwgan.run import alarms, evaluate, hosts, verify


def _process_start() -> float:
    """When this process began, as `time.time()` has it: imports count in "time to first picture".

    Where the system does not say (outside of Linux), when this module was imported.
    """
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
            # The start time is field 22. The line is split after its last ")", since field 2 is the
            # program's name in parentheses, and may have blanks in it.
            ticks = float(file.read().rpartition(")")[2].split()[19])  # since the machine started
    except OSError:
        return _IMPORTED
    up = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")  # seconds
    return time.time() - up


_IMPORTED = time.time()


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
    sweep: Any = None  # `sweep_build.Sweep` with --seeds or --sweep
    w1_probe: Any = None  # `exact_w1.W1Probe` with --w1-every
    make_source: Callable[[], Any] | None = None  # the source once more, its data read anew


DENSE = 100_000  # steps, times the trials, that have a row each where --log-every is not given


def row_widths(config: Any, trials: int = 1) -> dict[str, int]:
    """How many steps a row of metrics.jsonl stands for, as `report.Writer` takes it.

    >>> session.row_widths(run.Config(log_every=10)), session.row_widths(run.Config(), trials=4)
    ({'stride': 10}, {'thin_from': 25000})
    """
    if config.log_every:
        return {"stride": config.log_every}
    # By the steps made and not by those planned: whatever --steps is, the same steps have the same
    # rows.
    return {"thin_from": max(1, DENSE // trials)}


class NonFiniteError(RuntimeError):
    """A metric is NaN or infinite."""


class NonFinite(NamedTuple):
    """The first metric that is NaN or infinite."""

    quantity: str
    value: float
    step: int

    def __str__(self) -> str:
        return f"{self.quantity} is {self.value} at step {self.step}"


# Names in checkpoints that were written until 0.1.0, and what they are called now.
OLD_NAMES = {"members": "trials", "stretch": "window", "health": "pending"}


@dataclasses.dataclass
class Journal:
    """What a run remembers beside its state, as JSON keeps it.

    Attributes:
      best: {"step", "sliced_distance"} of the best checkpoint.
      retries: what went wrong, and the step that was restored.
      warnings: those of the last evaluation, {kind: one sentence}.
      reference: the alarm's sums over the first window of steps.
      window: its sums over the steps since the last evaluation.
      pending: metrics of the last evaluation that are in no row of metrics.jsonl yet.
      trials: of a sweep, what is remembered of each.
      estimate: the last Wasserstein estimate; of a sweep, the median over its trials.
      best_share, stale: what the alarm remembers of earlier evaluations, see `alarms.Memory`.

    >>> extra = {"best": {"step": 50, "sliced_distance": 0.5}, "sliced_distance": 0.75}
    >>> session.Journal.from_extra(extra).best
    {'step': 50, 'sliced_distance': 0.5}
    """

    best: dict[str, Any] | None = None
    retries: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    warnings: dict[str, str] = dataclasses.field(default_factory=dict)
    reference: dict[str, float] = dataclasses.field(default_factory=dict)
    window: dict[str, float] = dataclasses.field(default_factory=dict)
    pending: dict[str, Any] = dataclasses.field(default_factory=dict)
    trials: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    estimate: float | None = None
    best_share: float = 0.0
    stale: int = 0

    @classmethod
    def from_extra(cls, extra: dict[str, Any]) -> "Journal":
        """The journal of a checkpoint; what it does not know is left out."""
        renamed = {OLD_NAMES.get(name, name): value for name, value in extra.items()}
        if renamed.get("trials"):
            of_one = lambda mine: {OLD_NAMES.get(name, name): x for name, x in mine.items()}
            renamed["trials"] = [of_one(mine) for mine in renamed["trials"]]
        # `extra` also has what is not the journal's, for example the checkpoint's score.
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in renamed.items() if name in known})


def score_of(extra: dict[str, Any]) -> float:
    """How good a checkpoint is, from its `extra`: the highest score is the best.

    >>> session.score_of({"sliced_distance": 0.25}), session.score_of({})
    (-0.25, nan)
    """
    # A checkpoint that was saved without an evaluation has no distance, a stranger's may have
    # anything: they are never the best, since NaN counts as no score.
    distance = extra.get("sliced_distance")
    return -distance if isinstance(distance, float) else float("nan")


def is_timed(extra: dict[str, Any]) -> bool:
    """Whether a checkpoint was saved by the clock (--checkpoint-seconds), from its `extra`.

    >>> session.is_timed({"timed": True}), session.is_timed({"sliced_distance": 0.25})
    (True, False)
    """
    return bool(extra.get("timed"))


def is_picture_step(step: int, chunk_steps: int) -> bool:
    """Pictures after 1, 2, 4, 8, ... chunks: early progress is where the eye learns most.

    >>> [step for step in range(0, 501, 25) if session.is_picture_step(step, chunk_steps=25)]
    [25, 50, 100, 200, 400]
    """
    chunks, rest = divmod(step, chunk_steps)
    # A power of two has one bit, which chunks - 1 has not.
    return chunks > 0 and rest == 0 and chunks & (chunks - 1) == 0


def first_non_finite(first: int, scalars: dict[str, Any]) -> NonFinite | None:
    """The earliest NaN or infinity in a chunk of metrics {quantity: [length]}.

    >>> chunk = {"penalty": np.array([1.0, 2.0, np.inf]), "critic_loss": np.array([0, np.nan, 0])}
    >>> str(session.first_non_finite(100, chunk))
    'critic_loss is nan at step 101'
    """
    found = [
        NonFinite(name, float(values[i]), first + int(i))
        for name, values in scalars.items()
        for i in np.flatnonzero(~np.isfinite(values))[:1]  # the first of each
    ]
    return min(found, key=lambda it: it.step, default=None)


class Session:
    """The callbacks of `loop.train`, from one start of the loop to its end.

    Args:
      run: what is trained.
      journal: what it remembers; changed in place.
      metrics_of: `state -> {metric: value}` of samples, see `evaluate.make_sample_metrics`.
      writer: a `report.Writer`; None in processes that do not write.
      checkpoints: a `checkpoint.Checkpoints`.
      clock: a `starts.Clock`, of all starts of the run.

    >>> config = run.Config(chunk_steps=25, checkpoint_every=1000, checkpoint_seconds=0)
    >>> begun = session.Run(config, "mine", finished, dots, None, None, None, 0, {})
    >>> callbacks = session.Session(begun, session.Journal(), None, None, None, None)
    >>> [step for step in range(0, 1001, 25) if callbacks.due(step)]  # pictures, a checkpoint
    [25, 50, 100, 200, 400, 800, 1000]
    """

    def __init__(
        self,
        run: Run,
        journal: Journal,
        metrics_of: Callable,
        writer: Any,
        checkpoints: Any,
        clock: Any,
    ):
        self.run, self.journal, self.metrics_of = run, journal, metrics_of
        self.last_metrics: dict[str, Any] = {}  # of the last evaluation, and its step
        self.last_w1: dict[str, Any] = {}  # the last exact W1, and its step
        self.w1_seconds = 0.0
        self.writer, self.checkpoints, self.clock = writer, checkpoints, clock
        self.saved = self.evaluated = run.step  # what a run resumes from is saved already
        self.saved_at = time.monotonic()
        self.verifier = verify.Verifier(run) if run.config.verify_every else None
        self.began = time.perf_counter()
        self.save_seconds = 0.0
        self.first_picture: float | None = None
        self.not_measured: dict[str, str] = {}  # what failed last, by its name
        self.folder_number = run.folder.stat().st_ino if run.folder.exists() else None
        self.non_finite: NonFinite | None = None
        self.caught: list[int] = []
        self.show: Callable[[int, float, str], None] = lambda step, estimate, warning: None

    def local(self, state: Any) -> Any:
        """This process's copy of the state."""
        return hosts.local(state, self.run.mesh)

    def picture_is_due(self, step: int) -> bool:
        """Whether a picture belongs to this step."""
        return is_picture_step(step, self.run.config.chunk_steps)

    def checkpoint_is_due(self, step: int) -> bool:
        """Whether a multiple of checkpoint_every was passed: a property of the step, wherever the
        run was resumed."""
        every = self.run.config.checkpoint_every
        # A multiple may be passed without being met: chunks need not end at it.
        return step // every > self.saved // every

    def save_is_due(self, step: int) -> bool:
        """Whether --checkpoint-seconds have passed since the last save."""
        seconds = self.run.config.checkpoint_seconds
        return seconds > 0 and step > self.saved and time.monotonic() - self.saved_at >= seconds

    def w1_is_due(self, step: int) -> bool:
        """Whether --w1-every asks for this step."""
        every = self.run.config.w1_every
        return every > 0 and step % every == 0

    def due(self, step: int) -> bool:
        """Whether `observe` has something to do; the loop asks before it waits for the state."""
        if self.verifier and self.verifier.due(step):
            return True
        kinds = (self.picture_is_due, self.checkpoint_is_due, self.w1_is_due, self.save_is_due)
        return step > self.run.step and any(is_due(step) for is_due in kinds)

    def observe(self, step: int, state: Any) -> None:
        """Draws, measures and saves what is due."""
        # After a non-finite metric nothing may be saved: the state is the broken one.
        if self.non_finite:
            return
        # First of all, so that nothing is saved or measured of a state that is wrong; it is the
        # part in which every process is needed.
        if self.verifier:
            self.verifier.observe(step, state)
        if not hosts.is_first() or step == self.run.step:
            return
        state = self.local(state)
        if self.picture_is_due(step):
            self.attempt(self.picture, step, state)
        if self.w1_is_due(step):
            self.attempt(self.probe_w1, step, state)
        if self.checkpoint_is_due(step):
            # The evaluation comes first: its score decides whether this checkpoint stays as the
            # best one.
            self.attempt(self.evaluate, step, state)
            self.save(step, state, self.score())
        elif self.save_is_due(step):
            # No evaluation: what a run computes must not depend on the clock.
            self.save(step, state, timed=True)

    def attempt(self, measure: Callable[[int, Any], None], step: int, state: Any) -> None:
        """Calls `measure(step, state)`; what cannot be measured or drawn does not end the run."""
        try:
            measure(step, state)
        except (ValueError, MemoryError, RuntimeError) as error:
            name = measure.__name__
            line = f"{name} failed at step {step}: {check.one_line(error)}"
            if name not in self.not_measured:  # a later failure is in the result alone
                print(line, file=sys.stderr)
            self.not_measured[name] = line

    def require_folder(self) -> None:
        """Raises OSError if the run's directory is no longer the one that the run began in."""
        try:
            there = self.run.folder.stat().st_ino == self.folder_number
        except OSError:
            there = False
        # Without this a save would make the folder anew, without what was in it.
        if not there:
            raise FileNotFoundError(
                f"{self.run.folder} was moved or removed while the run went on: move it back and "
                "go on with --resume, or start again"
            )

    def stop(self, step: int) -> bool:
        """Whether the run ends here, in all processes alike."""
        minutes = self.run.config.minutes
        late = minutes and time.perf_counter() - self.began > 60 * minutes
        # `largest` is a collective: each process must come by here, and by the one below, whatever
        # it knows by itself.
        number = hosts.largest(self.caught[0] if self.caught else 0)
        if number and not self.caught:  # another process was asked to stop
            self.caught.append(number)
        # Clocks differ, and only one process may be late: any one's reason stops all of them, at
        # the same chunk.
        return bool(hosts.largest(bool(number or late or self.non_finite)))

    def record(self, first: int, info: Any) -> None:
        """Writes a chunk's metrics, looks for what is not finite, and moves the progress bar."""
        scalars = adversarial.scalars(info)
        if hosts.is_first():
            self.require_folder()
            # What was measured at a chunk's end stands in the first row after it: its step is the
            # number of steps behind the measured state.
            self.writer.scalars(first, scalars, self.journal.pending)
        self.journal.pending = {}
        # The first one stays: later chunks are bad because of it.
        self.non_finite = self.non_finite or first_non_finite(first, scalars)
        if not self.non_finite:
            self.journal.window = alarms.add(self.journal.window, scalars)
            self.journal.estimate = float(info.wasserstein_estimate[-1])
            self.show_step(first + len(info.penalty))

    def show_step(self, step: int) -> None:
        """Moves the progress bar."""
        if self.journal.estimate is not None:
            self.show(step, self.journal.estimate, self.warning())

    def warning(self) -> str:
        """The warnings as the progress bar has them."""
        # The bar has the kinds alone: the sentences were printed when they were new.
        return ", ".join(self.journal.warnings)

    def draw(self, state: Any) -> Any:
        """The picture of a state."""
        return evaluate.picture(self.run.task, self.run.algorithm, state)

    def picture(self, step: int, state: Any) -> None:
        """Writes the picture of a step."""
        evaluate.save_real(self.run.task, self.run.folder / "real.png")
        image = self.draw(state)
        report.save_png(self.run.folder / "samples" / f"{step:08d}.png", image)
        self.writer.image("samples", step, image)
        self.first_picture = self.first_picture or time.time() - _process_start()

    def evaluate(self, step: int, state: Any) -> None:
        """Measures samples, keeps the best step, and warns."""
        journal = self.journal
        metrics = self.metrics_of(state)
        journal.pending = {**journal.pending, **metrics}
        self.evaluated, self.last_metrics = step, {"step": step, **metrics}
        distance = self.score()
        if distance is not None and (
            journal.best is None or distance < journal.best["sliced_distance"]
        ):
            journal.best = {"step": step, "sliced_distance": distance}
        memory = alarms.Memory(journal.best_share, journal.stale)
        found = alarms.warnings_of(journal.reference, journal.window, metrics, memory=memory)
        self.warn(step, found)
        # This evaluation is what a later one may fall from.
        journal.best_share, journal.stale = alarms.remembered(metrics, memory)
        # The first window is what all later ones are compared with, once it has been looked at
        # itself.
        journal.reference = journal.reference or journal.window
        journal.window = {}

    def warn(self, step: int, found: dict[str, str]) -> None:
        """Prints warnings that were not there at the last evaluation, and keeps all of them."""
        for kind in found.keys() - self.journal.warnings.keys():
            print(f"warning at step {step}: {found[kind]}", file=sys.stderr)
        self.journal.warnings = found

    def probe_w1(self, step: int, state: Any) -> None:
        """Measures exact W1 beside the critic's estimate."""
        began = time.perf_counter()
        metrics = self.run.w1_probe.metrics(state)
        self.journal.pending = {**self.journal.pending, **metrics}
        self.last_w1 = {"step": step, **metrics}
        self.w1_seconds += time.perf_counter() - began

    def score(self) -> float | None:
        """The sliced distance of the evaluation just made; None where samples are not finite."""
        return self.journal.pending.get("sliced_distance")

    def save(
        self, step: int, state: Any, sliced_distance: float | None = None, timed: bool = False
    ) -> None:
        """Saves a checkpoint of the state and the journal; `timed` is one that makes way."""
        began = time.perf_counter()
        self.saved = step
        extra = {**dataclasses.asdict(self.journal), "sliced_distance": sliced_distance}
        self.checkpoints.save(step, state, {**extra, "timed": True} if timed else extra)
        self.saved_at = time.monotonic()
        self.clock.note(step)
        self.save_seconds += time.perf_counter() - began

    def verified(self) -> dict[str, float]:
        """The time that --verify-every took; {} without it."""
        return {"seconds_verifying": round(self.verifier.seconds, 3)} if self.verifier else {}

    def more(self) -> dict[str, Any]:
        """What the result has beside a single run's."""
        return {}

    def finish(self, step: int, state: Any) -> None:
        """The last checkpoint, picture and evaluation; after a signal nothing is measured.

        The final evaluation comes after the last checkpoint, so that a resumed run does not inherit
        its warnings.
        """
        if self.non_finite or not hosts.is_first():
            return
        state = self.local(state)
        # Step 0 is saved as well: a run that is stopped before its first chunk can be resumed.
        if step > self.saved or step == 0:
            self.save(step, state)
        self.attempt(self.picture, step, state)
        # After a signal every second counts; a resumed run evaluates.
        if step > self.evaluated and not self.caught:
            self.attempt(self.evaluate, step, state)
        if self.run.w1_probe and self.last_w1.get("step") != step and not self.caught:
            self.attempt(self.probe_w1, step, state)
        # No chunk follows that would have these metrics in its first row.
        if self.journal.pending:
            self.writer.evaluation(step, self.journal.pending)
            self.journal.pending = {}
        # The bar stays on the terminal: it says what the last evaluation found.
        self.show_step(step)
