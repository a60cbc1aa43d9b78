"""Is the alarm for bad runs right? Precision and recall on labelled runs it was not tuned on.

    python -m experiments.alarm --json              # the labelled test runs
    python -m experiments.alarm --tune --json       # the runs the thresholds were set on

Every run is a small one on 8 Gaussians; a setting's seeds are trained as one program. Half of the
settings are known to be bad (rates too high, no penalty, saturating loss, critics too weak). The
label does not depend on what the alarm reads: a run is bad if at its end fewer than half of the
modes are covered (`metrics.coverage.mode_coverage`) or a scalar was not finite. The alarm is what
`jwgan.run.session` warns of at the run's last checkpoint. Criterion, fixed beforehand: precision
and recall of at least .9 on the test settings, whose members, rates and seeds were not known when
the thresholds were set.

The recorded figures are of the alarm of 0.1.0, which called every low coverage a collapse. Today
coverage must have been good once, at the end of a window here: a run that never learns is left to
the other warnings, or to none.
"""

import dataclasses
import time
from typing import Any

import jax
import numpy as np

from experiments import toy2d
from jwgan import adversarial, loop
from jwgan.run import alarms, command, evaluate, tasks
from jwgan.run.options import option

# name -> (member, arguments beside toy2d's, n_critic). A name says what is wrong with a
# setting that is expected to be bad; its runs' label is measured all the same, see `evaluate_run`.
TUNING: dict[str, tuple[str, dict[str, Any], int]] = {
    "wgan_gp": ("wgan_gp", {}, 5),
    "gan": ("gan", {}, 5),
    "r1_gan": ("r1_gan", {}, 5),
    "wgan_div": ("wgan_div", {}, 5),
    "gan_minimax": ("gan_minimax", {}, 5),
    "wgan_gp, no penalty": ("wgan_gp", {"weight": 0.0}, 5),
    "wgan_gp, rate 0.1": ("wgan_gp", {"learning_rate": 0.1}, 5),
    "gan, rate 0.03": ("gan", {"learning_rate": 0.03}, 1),
}
# Settings the thresholds were not set on: other members, other rates, and seeds from 1000 on.
TESTING: dict[str, tuple[str, dict[str, Any], int]] = {
    "wgan_lp": ("wgan_lp", {}, 5),
    "dragan": ("dragan", {}, 5),
    "r1_r2_gan": ("r1_r2_gan", {}, 5),
    "sngan": ("sngan", {}, 5),
    "rpgan": ("rpgan", {}, 5),
    "gan_minimax, 1 critic step": ("gan_minimax", {}, 1),
    "wgan_lp, no penalty": ("wgan_lp", {"weight": 0.0}, 5),
    "rpgan, rate 0.1": ("rpgan", {"learning_rate": 0.1}, 5),
    "dragan, rate 0.05": ("dragan", {"learning_rate": 0.05}, 1),
    "began": ("began", {}, 1),
}
WINDOW = 500  # steps whose infos the alarm sums up, as between two checkpoints


@dataclasses.dataclass(frozen=True)
class Config:
    tune: bool = option(False, "run the settings the thresholds were set on")
    seeds: int = option(8, "runs of each setting", at_least=1)
    steps: int = option(4000, "generator updates of each run", at_least=1)
    width: int = option(64, "units in each of the three hidden layers", at_least=1)
    batch_size: int = option(64, "samples in a batch", at_least=1)
    json: bool = option(False, "print one line of JSON at the end")


def run_setting(config: Config, name: str, first_seed: int) -> list[dict[str, Any]]:
    """Trains a setting's seeds in one program.

    Of each: what `evaluate_run` finds, "health" of its last samples, and what the alarm remembers
    of those before.
    """
    # No name is in both tables, so the union loses none.
    member, kwargs, n_critic = (TUNING | TESTING)[name]
    task = tasks.load_world("eight_gaussians")
    chosen = toy2d.Config(
        member=member, n_critic=n_critic, width=config.width, batch_size=config.batch_size,
        seed=first_seed, seeds=config.seeds, steps=config.steps,
    )  # fmt: skip
    runs = toy2d.trials(chosen, task, **kwargs)
    infos: list[dict[str, Any]] = []  # of every window: {name: [length, K]}
    # `runs.algorithm` is all seeds at once; the metrics below are of one state at a time.
    algorithm = toy2d.build(chosen, task.shape, **kwargs)
    sample_metrics, rows = evaluate.make_sample_metrics(task, algorithm), []
    memory = [alarms.Memory()] * config.seeds

    def look(step: int, states: Any) -> None:
        for k, mine in enumerate(memory):
            memory[k] = alarms.remembered(sample_metrics(runs.trial(states, k)), mine)

    states = loop.train(
        runs.algorithm,
        runs.init(),
        runs.source,
        steps=config.steps,
        chunk_steps=WINDOW,
        record=lambda first, info: infos.append(adversarial.scalars(info)),
        # The last state is what the alarm judges.
        due=lambda step: 0 < step < config.steps,
        observe=look,
    )
    for k, seed in enumerate(runs.settings["seed"]):
        state = runs.trial(states, k)
        # The alarm reads one run, [length], as it does in a session.
        mine = [{name: x[:, k] for name, x in info.items()} for info in infos]
        found = evaluate_run(task, algorithm, state, mine)
        own = {**memory[k]._asdict(), "health": sample_metrics(state)}
        rows.append({"setting": name, "seed": seed, **found, **own})
    return rows


def evaluate_run(task: Any, algorithm: Any, state: Any, windows: list[Any]) -> dict[str, Any]:
    """Labels a run, and sums what the alarm needs of its first and its last window.

    Args:
      task: the world.
      algorithm: that was trained.
      state: at the end.
      windows: {name: [length]} of every window, the step's scalars.
    """
    finite = all(np.isfinite(x).all() for window in windows for x in window.values())
    # The key is that of `evaluate.quality`, so the label is what a run's own report would say.
    fake = np.asarray(algorithm.sample(jax.random.key(13), state, evaluate.POINTS))
    # A run with a scalar that was not finite is bad whatever its last samples are: 0 modes.
    covered = evaluate.world_quality(task, fake)["modes_covered"] if finite else 0
    return {
        "finite": finite,
        "modes_covered": covered,
        "bad": covered < len(task.problem.modes) / 2,
        # The first window is what the alarm compares later ones with, here only the last.
        "reference": alarms.add(alarms.EMPTY, windows[0]),
        "recent": alarms.add(alarms.EMPTY, windows[-1]),
    }


def grade(runs: list[dict[str, Any]], thresholds: Any) -> dict[str, Any]:
    """Counts the alarm's precision and recall, and notes each run's warnings in its row."""
    for run in runs:
        # The runs recorded by 0.1.0 have no best share: one that is good, and no more.
        memory = alarms.Memory(run.get("best_share", thresholds.good), run.get("stale", 0))
        found = alarms.warnings_of(
            run["reference"], run["recent"], run["health"], thresholds, memory
        )
        # A session stops at numbers that are not finite, which is a warning of its own.
        run["warnings"] = sorted(found) if run["finite"] else ["non_finite"]
    hits = sum(run["bad"] and bool(run["warnings"]) for run in runs)
    warned, bad = sum(bool(run["warnings"]) for run in runs), sum(run["bad"] for run in runs)
    return {
        "runs": len(runs),
        "bad": bad,
        "warned": warned,
        "hits": hits,
        # Without a warning there is no precision, and without a bad run no recall: null in JSON.
        "precision": round(hits / warned, 4) if warned else None,
        "recall": round(hits / bad, 4) if bad else None,
    }


def graded(config: Any, runs: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The result of labelled runs: the options, the alarm's grades, its thresholds, every run."""
    return {
        **dataclasses.asdict(config),
        **grade(runs, alarms.Thresholds()),
        "seconds": round(seconds, 1),
        "thresholds": alarms.Thresholds()._asdict(),
        "per_run": runs,
    }


def measure(config: Config) -> dict[str, Any]:
    """Trains the labelled runs and grades the alarm on them."""
    began, runs = time.perf_counter(), []
    for name in TUNING if config.tune else TESTING:
        # The two sets share no seed either.
        runs += run_setting(config, name, first_seed=0 if config.tune else 1000)
    return graded(config, runs, time.perf_counter() - began)


def main(argv: list[str] | None = None) -> None:
    command.run(Config, measure, __doc__, argv=argv)


if __name__ == "__main__":
    main()
