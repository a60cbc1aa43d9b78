"""Several runs in one program, from their states to their end: what differs from a single one.

Every figure has a column for each trial. A trial with a figure that is not finite is marked,
with its step, and counts no more; the others go on, and the run ends when none is left.
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jwgan import adversarial, report
from jwgan.metrics import coverage
from jwgan.run import alarms, evaluate, hosts, session
from jwgan.run.sweep_build import Many, summary

STRIP = 10  # samples of each trial in a picture of images
SHOWN = {"images": 64, "points": 16}  # trials in a picture, at most


def make_probe(many: Many) -> Callable[[Any], dict[str, list[float | None]]]:
    """`evaluate.make_probe`'s figures, a list each; None for what is not finite."""
    of_one = lambda one, mine: evaluate.health(many.task, one, mine)
    figures = jax.jit(lambda state: many.each(of_one, state))
    of_real = coverage.neighbour_coverage(*evaluate.health_points(many.task))
    plain = lambda x: round(float(x), 6) if np.isfinite(x) else None

    def probe(state: Any) -> dict[str, list[float | None]]:
        found = {name: [*map(plain, x)] for name, x in jax.device_get(figures(state)).items()}
        return {**found, "coverage_of_real": [plain(of_real)] * len(many.trials)}

    return probe


class SweepSession(session.Session):
    """The callbacks of `loop.train`, with a column for each trial."""

    def __init__(self, run: Any, journal: Any, *args: Any):
        super().__init__(run, journal, *args)
        self.labels = [trial.label for trial in run.many.trials]
        self.estimates: Any = [None] * len(self.labels)
        journal.trials = journal.trials or [
            {"died": "", "reference": {}, "stretch": {}} for _ in self.labels
        ]

    def alive(self) -> list[int]:
        return [i for i, mine in enumerate(self.journal.trials) if not mine["died"]]

    def record(self, first: int, info: Any) -> None:
        scalars = adversarial.scalars(info)
        rare = {name: np.array(values, float) for name, values in self.journal.health.items()}
        if hosts.is_first():
            self.writer.scalars(first, scalars, rare)
        self.journal.health = {}
        for i in self.alive():
            mine, own = self.journal.trials[i], {name: x[:, i] for name, x in scalars.items()}
            trouble = session.first_non_finite(first, own)
            if trouble:
                self.bury(i, trouble)
            else:
                mine["stretch"] = alarms.add(mine["stretch"], own)
        alive, self.estimates = self.alive(), info.wasserstein_estimate[-1]
        if alive:
            self.estimate = float(np.median(self.estimates[alive]))
            count = len(self.journal.warnings)
            warning = f"{count} warnings" if count else ""
            self.show(first + len(info.penalty), self.estimate, warning)

    def bury(self, i: int, trouble: session.NonFinite) -> None:
        """Marks a trial whose figures are lost; the last one ends the run."""
        self.journal.trials[i]["died"] = str(trouble)
        line = f"{self.labels[i]}: {trouble}; it counts no more"
        self.journal.warnings[f"{i} died"] = line
        print(f"warning: {line}", file=sys.stderr)
        if not self.alive():
            name = f"no trial is left, the last was {self.labels[i]}: {trouble.quantity}"
            self.trouble = trouble._replace(quantity=name)

    def picture(self, step: int, state: Any) -> None:
        image = picture(self.run.many, state)
        report.save_png(self.run.folder / "samples" / f"{step:08d}.png", image)
        self.writer.image("samples", step, image)
        self.first_picture = self.first_picture or time.perf_counter() - session.START

    def examine(self, step: int, state: Any) -> None:
        """Looks at each trial's samples and figures, and warns."""
        journal = self.journal
        health = self.probe(state)
        journal.health = {**journal.health, **health}
        self.examined = step
        distance = self.middle(health["sliced_distance"])
        if distance is not None and (
            journal.best is None or distance < journal.best["sliced_distance"]
        ):
            journal.best = {"step": step, "sliced_distance": distance}
        found = {kind: line for kind, line in journal.warnings.items() if kind.endswith(" died")}
        for i in self.alive():
            mine = journal.trials[i]
            own = {name: x[i] for name, x in health.items() if x[i] is not None}
            for kind, line in alarms.judge(mine["reference"], mine["stretch"], own).items():
                found[f"{i} {kind}"] = f"{self.labels[i]}: {line}"
            mine["reference"] = mine["reference"] or mine["stretch"]
            mine["stretch"] = {}
        for kind in found.keys() - journal.warnings.keys():
            print(f"warning at step {step}: {found[kind]}", file=sys.stderr)
        journal.warnings = found

    def save(self, step: int, state: Any, sliced_distance: Any = None) -> None:
        super().save(step, state, sliced_distance and self.middle(sliced_distance))

    def more(self) -> dict[str, Any]:
        """Each trial's label, numbers, last estimate and what happened to it."""
        rows = []
        for i, (trial, mine) in enumerate(
            zip(self.run.many.trials, self.journal.trials, strict=True)
        ):
            said = {
                k: line for k, line in self.journal.warnings.items() if k.split(" ")[0] == str(i)
            }
            warnings = [
                line.removeprefix(f"{trial.label}: ")
                for kind, line in said.items()
                if kind != f"{i} died"
            ]
            last = None if mine["died"] or self.estimates[i] is None else float(self.estimates[i])
            row = {**trial.described(self.run.many.swept), "wasserstein_estimate": last}
            rows.append({**row, "died": mine["died"], "warnings": warnings})
        return {"per_trial": rows}

    def middle(self, values: Sequence[float | None]) -> float | None:
        """Median over the trials that are left."""
        own = [x for i in self.alive() if (x := values[i]) is not None]
        return round(float(np.median(own)), 6) if own else None


def picture(many: Many, state: Any) -> Any:
    """A strip of images, or a scatter of points, for each trial; all from the same latents."""
    key, sample = jax.random.key(12), jax.jit(many.algorithm.sample, static_argnums=2)
    labels = [trial.label for trial in many.trials]
    if many.task.problem is None:
        labels = labels[: SHOWN["images"]]
        x = np.asarray(sample(key, state, STRIP))
        strips = [report.image_grid(x[i], columns=STRIP) for i in range(len(labels))]
        return report.labelled(strips, labels, columns=1)
    labels = labels[: SHOWN["points"]]
    fake = np.asarray(sample(key, state, evaluate.POINTS))
    scores: list[Any] = []  # of every trial; the frame, and so the points, are the same for all

    def score_of(i: int) -> Callable[[Any], Any]:
        def score(x: Any) -> Any:
            scores[:] = scores or [np.asarray(jax.jit(many.algorithm.score)(state, x))]
            return scores[0][i]

        return score

    real = many.task.held_out[: evaluate.POINTS]
    plots = [report.scatter(real, fake[i], score_of(i), pixels=300) for i in range(len(labels))]
    return report.labelled(plots, labels, columns=2)


def add_quality(many: Many, state: Any, result: dict[str, Any]) -> None:
    """Adds `evaluate.quality` to each trial whose figures are finite, and its spread."""
    rows = result["per_trial"]
    alive = [i for i, row in enumerate(rows) if not row["died"]]
    for row, figures in zip(rows, quality(many, state, alive), strict=True):
        row["quality"] = figures
    result["quality"] = by_setting(rows)


def quality(many: Many, state: Any, alive: Sequence[int]) -> list[dict[str, Any]]:
    """`evaluate.quality` of each trial that is alive, {} for the others."""
    task, key, sample = (
        many.task,
        jax.random.key(13),
        jax.jit(many.algorithm.sample, static_argnums=2),
    )
    found: list[dict[str, Any]] = [{} for _ in many.trials]
    judge = None
    if task.problem is not None:
        fakes = np.asarray(sample(key, state, evaluate.POINTS))
    elif task.dataset.labels is None:
        return found
    else:
        num = 1000 if task.name == "digits" else 10000
        keys = jax.random.split(key, num // 500)
        fakes = np.concatenate([sample(k, state, 500) for k in keys], axis=1)
        judge = evaluate.fit_judge(task.dataset)
    for i in alive:
        if np.isfinite(fakes[i]).all():
            found[i] = (
                evaluate.image_quality(task, fakes[i], judge)
                if judge
                else evaluate.world_quality(task, fakes[i])
            )
    return found


def by_setting(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{setting: {figure: median and quartiles over its trials, "runs", "not_finite"}}."""
    found: dict[str, dict[str, Any]] = {}
    for setting in dict.fromkeys(row["setting"] for row in rows):
        mine = [row for row in rows if row["setting"] == setting]
        names = dict.fromkeys(name for row in mine for name in row.get("quality", {}))
        columns = {
            name: [r["quality"][name] for r in mine if name in r.get("quality", {})]
            for name in names
        }
        numeric = {n: v for n, v in columns.items() if all(isinstance(x, int | float) for x in v)}
        found[setting or "all"] = {
            "runs": len(mine),
            "not_finite": sum(bool(row["died"]) for row in mine),
            **{name: summary(values) for name, values in numeric.items()},
        }
    return found
