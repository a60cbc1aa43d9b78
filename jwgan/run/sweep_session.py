"""Several runs in one program, from their states to their end: what differs from a single one.

Every metric has a column for each trial. A trial with a metric that is not finite is marked,
with its step, and counts no more; the others go on, and the run ends when none is left.

The examples have two trials whose states are numbers; what a trial generates is its number:

    >>> import types
    >>> from jwgan.run import session, sweep, sweep_build
    >>> def sample(key, state, num, label=None):
    ...     return jnp.full((num, 1), state)
    >>> one = types.SimpleNamespace(sample=sample)
    >>> def each(function, states):
    ...     return jax.vmap(lambda state: function(one, state))(states)
    >>> configs = [types.SimpleNamespace(seed=0, c=c) for c in (0.01, 0.1)]
    >>> trials = [sweep.Trial(f"c {own.c}", f"c {own.c}", own) for own in configs]
    >>> zeros = run.Task("zeros", (1,), None, held_out=np.zeros((8, 1), np.float32))
    >>> both = sweep_build.Sweep(zeros, trials, ["c"], one, each, None, None)
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jwgan import adversarial, report
from jwgan.report import quantities
from jwgan.run import alarms, classes, evaluate, hosts, session, views
from jwgan.run.sweep_build import Sweep, summary

STRIP = 10  # samples of each trial in a picture of images
SHOWN = {"images": 64, "points": 16}  # trials in a picture, at most


def make_sample_metrics(sweep: Sweep) -> Callable[[Any], dict[str, list[float | None]]]:
    """Makes `evaluate.make_sample_metrics` of all trials, a list for each metric.

    None stands for a value that is not finite.

    >>> metrics_of = sweep_session.make_sample_metrics(both)
    >>> metrics_of(jnp.array([0.0, 2.0]))["sliced_distance"]  # the data are zeros
    [0.0, 2.0]
    """
    # The metrics are traced for one trial and mapped: all K are measured by one program.
    of_one = lambda one, mine: evaluate.sample_metrics(sweep.task, one, mine)
    of_all = jax.jit(lambda state: sweep.each(of_one, state))
    of_real = evaluate.coverage(*evaluate.held_out_points(sweep.task))
    # None stands in the list, since a list with a column for each trial has no gap to leave out.
    plain = lambda x: round(float(x), 6) if np.isfinite(x) else None

    def metrics_of(state: Any) -> dict[str, list[float | None]]:
        found = {name: [*map(plain, x)] for name, x in jax.device_get(of_all(state)).items()}
        real = {f"{name}_of_real": [plain(x)] * len(sweep.trials) for name, x in of_real.items()}
        return {**found, **real}

    return metrics_of


class SweepSession(session.Session):
    """The callbacks of `loop.train`, with a column for each trial.

    >>> start = session.Run(run.Config(), "two", finished, zeros, one, None, None, 0, {})
    >>> journal = session.Journal()
    >>> callbacks = sweep_session.SweepSession(
    ...     start._replace(sweep=both), journal, None, None, None, None
    ... )
    >>> callbacks.mark_dead(0, session.NonFinite("critic_loss", float("nan"), step=7))
    >>> callbacks.alive(), journal.warnings
    ([1], {'0 died': 'c 0.01: critic_loss is nan at step 7; it counts no more'})
    """

    def __init__(self, run: Any, journal: Any, *args: Any):
        super().__init__(run, journal, *args)
        self.labels = [trial.label for trial in run.sweep.trials]
        self.estimates: Any = [None] * len(self.labels)
        # A journal that comes from a checkpoint knows its trials already, the dead ones too.
        journal.trials = journal.trials or [
            {"died": "", "reference": {}, "window": {}, "best_share": 0.0, "stale": 0}
            for _ in self.labels
        ]

    def alive(self) -> list[int]:
        """Numbers of the trials whose metrics have been finite so far."""
        return [i for i, mine in enumerate(self.journal.trials) if not mine["died"]]

    def record(self, first: int, info: Any) -> None:
        """Writes a chunk's metrics, marks trials that are not finite, moves the progress bar."""
        scalars = adversarial.scalars(info)
        if hosts.is_first():
            self.writer.scalars(first, scalars, self.journal.pending)
        self.journal.pending = {}
        # A dead trial goes on in the same program, since vmap cannot leave it out; nobody looks at
        # its metrics any more.
        for i in self.alive():
            mine, own = self.journal.trials[i], {name: x[:, i] for name, x in scalars.items()}
            non_finite = session.first_non_finite(first, own)
            if non_finite:
                self.mark_dead(i, non_finite)
            else:
                mine["window"] = alarms.add(mine["window"], own)
        alive, self.estimates = self.alive(), info.wasserstein_estimate[-1]
        if alive:
            self.journal.estimate = float(np.median(self.estimates[alive]))
            self.show_step(first + len(info.penalty))

    def warning(self) -> str:
        """How many warnings there are: the bar has one line, and K trials may have many."""
        count = len(self.journal.warnings)
        return f"{count} warnings" if count > 1 else "1 warning" if count else ""

    def mark_dead(self, i: int, non_finite: session.NonFinite) -> None:
        """Marks a trial whose metrics are not finite; the last one ends the run."""
        self.journal.trials[i]["died"] = str(non_finite)
        line = f"{self.labels[i]}: {non_finite}; it counts no more"
        # Kinds begin with the trial's number: `more` sorts warnings by it.
        self.journal.warnings[f"{i} died"] = line
        print(f"warning: {line}", file=sys.stderr)
        if not self.alive():
            name = f"no trial is left, the last was {self.labels[i]}: {non_finite.quantity}"
            # A non-finite metric of the whole run ends the loop, as a single run's does.
            self.non_finite = non_finite._replace(quantity=name)

    def draw(self, state: Any) -> Any:
        """One picture of all trials."""
        return _picture(self.run.sweep, state)

    def evaluate(self, step: int, state: Any) -> None:
        """Measures each trial's samples, keeps the best step of their median, and warns."""
        journal = self.journal
        metrics = self.metrics_of(state)
        journal.pending = {**journal.pending, **metrics}
        self.evaluated, self.last_metrics = step, {"step": step, **metrics}
        distance = self.score()
        if distance is not None and (
            journal.best is None or distance < journal.best["sliced_distance"]
        ):
            journal.best = {"step": step, "sliced_distance": distance}
        # A death is not found anew at each evaluation, as other warnings are.
        found = {kind: line for kind, line in journal.warnings.items() if kind.endswith(" died")}
        for i in self.alive():
            mine = journal.trials[i]
            own = {name: x[i] for name, x in metrics.items() if x[i] is not None}
            # Journals of 0.1.0 know neither.
            memory = alarms.Memory(mine.get("best_share", 0.0), mine.get("stale", 0))
            of_trial = alarms.warnings_of(mine["reference"], mine["window"], own, memory=memory)
            for kind, line in of_trial.items():
                found[f"{i} {kind}"] = f"{self.labels[i]}: {line}"
            mine["best_share"], mine["stale"] = alarms.remembered(own, memory)
            # The first window is what all later ones are compared with.
            mine["reference"] = mine["reference"] or mine["window"]
            mine["window"] = {}
        self.warn(step, found)

    def score(self) -> float | None:
        """The median of the trials' sliced distances."""
        distances = self.journal.pending.get("sliced_distance")
        return None if distances is None else self.median(distances)

    def more(self) -> dict[str, Any]:
        """Each trial's label, numbers, last estimate and what happened to it."""
        rows = []
        for i, trial in enumerate(self.run.sweep.trials):
            died = self.journal.trials[i]["died"]
            # The trial's number is the first word of a kind.
            own = {k: v for k, v in self.journal.warnings.items() if k.split(" ")[0] == str(i)}
            warnings = [
                # The row has the label in a column of its own.
                line.removeprefix(f"{trial.label}: ")
                for kind, line in own.items()
                if kind != f"{i} died"
            ]
            last = None if died or self.estimates[i] is None else float(self.estimates[i])
            evaluated = {
                name: None if died else values[i]
                for name, values in self.last_metrics.items()
                if name != "step"
            }
            row = {**trial.described(self.run.sweep.swept), "wasserstein_estimate": last}
            rows.append({**row, **evaluated, "died": died, "warnings": warnings})
        return {"per_trial": rows}

    def median(self, values: Sequence[float | None]) -> float | None:
        """Median over the trials that are left."""
        own = [x for i in self.alive() if (x := values[i]) is not None]
        return round(float(np.median(own)), 6) if own else None


def _picture(sweep: Sweep, state: Any) -> Any:
    """A strip of images, or a scatter of points, for each trial; all from the same latents."""
    key, sample = jax.random.key(12), jax.jit(sweep.algorithm.sample, static_argnums=2)
    labels = [trial.label for trial in sweep.trials]
    if sweep.task.problem is None:
        # More would not be readable; samples and checkpoints have every trial.
        labels = labels[: SHOWN["images"]]
        # Of a conditional run: its classes in turn.
        x = np.asarray(sample(key, state, STRIP, classes.in_rows(len(sweep.task.classes), STRIP)))
        strips = [views.draw(sweep.task, x[i], columns=STRIP) for i in range(len(labels))]
        return report.labelled(strips, labels, columns=1)
    labels = labels[: SHOWN["points"]]
    fake = np.asarray(sample(key, state, evaluate.POINTS))  # [K, N, 2]
    # `score` of the algorithm is of all trials at once [K, P]. It is computed when the first plot
    # asks, and kept: the frame, and so the points, are the same for every plot.
    scores: list[Any] = []

    def score_of(i: int) -> Callable[[Any], Any]:
        def score(x: Any) -> Any:
            scores[:] = scores or [np.asarray(jax.jit(sweep.algorithm.score)(state, x))]
            return scores[0][i]

        return score

    real = sweep.task.held_out[: evaluate.POINTS]
    plots = [report.scatter(real, fake[i], score_of(i), pixels=300) for i in range(len(labels))]
    return report.labelled(plots, labels, columns=2)


def add_quality(sweep: Sweep, state: Any, result: dict[str, Any]) -> None:
    """Adds `evaluate.quality` to each trial whose metrics are finite, and its spread.

    >>> rows = [{"setting": "c 0.01", "died": ""}, {"setting": "c 0.1", "died": "nan at step 7"}]
    >>> result = {"per_trial": rows}
    >>> sweep_session.add_quality(both, jnp.array([0.0, 2.0]), result)
    >>> result["quality"]  # with metrics too, if the data had a part to measure them by
    {'c 0.01': {'runs': 1, 'not_finite': 0}, 'c 0.1': {'runs': 1, 'not_finite': 1}}
    """
    rows = result["per_trial"]
    alive = [i for i, row in enumerate(rows) if not row["died"]]
    for row, metrics in zip(rows, _quality(sweep, state, alive), strict=True):
        row["quality"] = metrics
    result["quality"] = by_setting(rows)


def _quality(sweep: Sweep, state: Any, alive: Sequence[int]) -> list[dict[str, Any]]:
    """`evaluate.quality` of each trial that is alive, {} for the others."""
    task, key, sample = (
        sweep.task,
        jax.random.key(13),
        jax.jit(sweep.algorithm.sample, static_argnums=2),
    )
    found: list[dict[str, Any]] = [{} for _ in sweep.trials]
    classifier = label = None
    if task.problem is not None or (task.dataset is not None and len(task.shape) != 3):
        fakes = np.asarray(sample(key, state, evaluate.POINTS))
    elif task.dataset is None or task.dataset.labels is None:
        return found
    else:
        evaluate.require_labels(task.dataset)
        # The same latents as `evaluate.quality`: a trial has its solo run's quality.
        fakes, label = evaluate.samples(task, sweep.algorithm, state, axis=1)
        # The classifier depends on the data alone: one serves all trials.
        classifier = evaluate.fit_classifier(task.dataset)
    for i in alive:
        # Metrics were finite when last looked at; the samples may not be.
        if np.isfinite(fakes[i]).all():
            found[i] = (
                evaluate.image_quality(task, fakes[i], classifier, label)
                if classifier
                else (evaluate.world_quality if task.problem else views.quality)(task, fakes[i])
            )
    return found


def best_first(sweep: Sweep, result: dict[str, Any]) -> list[dict[str, Any]]:
    """The table to choose a trial by: its number, its options, its metrics, the best one first.

    Trials are ordered by the first of `quantities.BEST_BY` that any of them has; those without it,
    the dead among them, come last.

    >>> row = lambda c, distance: {"seed": 0, "c": c, "sliced_distance": distance, "died": ""}
    >>> rows = [row(0.01, 0.5), row(0.1, 0.25)]
    >>> best, other = sweep_session.best_first(both, {"per_trial": rows})
    >>> best
    {'trial': 1, 'seed': 0, 'c': 0.1, 'sliced_distance': 0.25}
    """
    found = []
    for number, row in enumerate(result["per_trial"]):
        numbers = {**row.get("quality", {}), **row}
        # What has no direction, or is the same for all, as figures of real data are, is no help.
        useful = {n: value for n, value in numbers.items() if quantities.has_direction(n)}
        useful.pop("classifier_held_out_accuracy", None)  # of real data
        described = {name: row[name] for name in ("seed", *sweep.swept)}
        died = {"not_finite": row["died"]} if row["died"] else {}
        found.append({"trial": number, **described, **useful, **died})
    has = lambda name: any(row.get(name) is not None for row in found)
    by = next((name for name in quantities.BEST_BY if has(name)), "")
    worst = lambda row: (row.get(by) is None, row.get(by) or 0.0)
    return sorted(found, key=worst)


def by_setting(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{setting: {metric: median and quartiles over its trials, "runs", "not_finite"}}.

    >>> row = lambda w1: {"setting": "c 0.1", "died": "", "quality": {"exact_w1": w1}}
    >>> sweep_session.by_setting([row(1.0), row(2.0), row(3.0)])
    {'c 0.1': {'runs': 3, 'not_finite': 0,
               'exact_w1': {'median': 2.0, 'lower_quartile': 1.5, 'upper_quartile': 2.5}}}
    """
    found: dict[str, dict[str, Any]] = {}
    for setting in dict.fromkeys(row["setting"] for row in rows):
        mine = [row for row in rows if row["setting"] == setting]
        names = dict.fromkeys(name for row in mine for name in row.get("quality", {}))
        columns = {
            name: [r["quality"][name] for r in mine if name in r.get("quality", {})]
            for name in names
        }
        # Names (of the features) and lists have no median.
        numeric = {n: v for n, v in columns.items() if all(isinstance(x, int | float) for x in v)}
        found[setting or "all"] = {
            "runs": len(mine),
            "not_finite": sum(bool(row["died"]) for row in mine),
            **{name: summary(values) for name, values in numeric.items()},
        }
    return found
