"""How good the alarm is: precision and recall on labelled runs kept apart from its thresholds.

    python -m experiments.alarm --json              # the labelled test runs
    python -m experiments.alarm --tune --json       # the runs the thresholds were set on

Every run is a small one on 8 Gaussians; a setting's seeds are trained as one program. Half of the
settings are known to be bad (rates too high, no penalty, saturating loss, critics too weak). The
label does not look at the alarm's figures: a run is bad if at its end fewer than half of the modes
are covered (`metrics.coverage.mode_coverage`) or a figure is not finite. The alarm is what
`experiments.session` warns of at the run's last checkpoint. Criterion, fixed beforehand: precision
and recall of at least .9 on the test settings, whose members, rates and seeds were not looked at
when the thresholds were set.
"""

import dataclasses
import json
import time
from typing import Any

import jax
import numpy as np

from experiments import modes, toy2d
from jwgan import many
from jwgan.run import alarms, evaluate, options, tasks, xla
from jwgan.run.options import option

# name -> (member, arguments beside toy2d's, n_critic); bad ones are marked by what they do wrong
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
STRETCH = 500  # steps between two looks, as between checkpoints


@dataclasses.dataclass(frozen=True)
class Config:
    tune: bool = option(False, "run the settings the thresholds were set on")
    seeds: int = option(8, "runs of each setting")
    steps: int = option(4000, "generator updates of each run")
    width: int = option(64, "units in each of the three hidden layers")
    batch_size: int = option(64, "samples in a batch")
    json: bool = option(False, "print one line of JSON at the end")


def run_setting(config: Config, name: str, first_seed: int) -> list[dict[str, Any]]:
    """The setting's runs, see `look_at`."""
    member, kwargs, n_critic = (TUNING | TESTING)[name]
    task = tasks.load_world("eight_gaussians")
    chosen = modes.Config(
        member=member, n_critic=n_critic, width=config.width, batch_size=config.batch_size,
        seeds=config.seeds, steps=config.steps,
    )  # fmt: skip
    infos: list[dict[str, Any]] = []  # of every stretch: {figure: [length, K]}

    def record(first: int, info: Any) -> None:
        figures = {**info._asdict(), **info.objective}
        infos.append({name: x for name, x in figures.items() if name != "objective"})

    _, states = modes.train(
        chosen, task, record=record, chunk_steps=STRETCH, first_seed=first_seed, **kwargs
    )
    algorithm = toy2d.build(chosen, task.shape, **kwargs)
    probe, runs = evaluate.make_probe(task, algorithm), []
    for k in range(config.seeds):
        state = many.trial(states, k)
        mine = [{name: x[:, k] for name, x in info.items()} for info in infos]
        figures = look_at(task, algorithm, state, mine)
        runs.append({"setting": name, "seed": first_seed + k, **figures, "health": probe(state)})
    return runs


def look_at(task: Any, algorithm: Any, state: Any, stretches: list[Any]) -> dict[str, Any]:
    """A run's label, and the alarm's sums of its first and last stretch."""
    finite = all(np.isfinite(x).all() for stretch in stretches for x in stretch.values())
    fake = np.asarray(algorithm.sample(jax.random.key(13), state, evaluate.POINTS))
    covered = evaluate.world_quality(task, fake)["modes_covered"] if finite else 0
    return {
        "finite": finite,
        "modes_covered": covered,
        "bad": covered < len(task.problem.modes) / 2,
        "reference": alarms.add(alarms.EMPTY, stretches[0]),
        "recent": alarms.add(alarms.EMPTY, stretches[-1]),
    }


def grade(runs: list[dict[str, Any]], thresholds: Any) -> dict[str, Any]:
    """Precision and recall of the alarm, and which warnings a run gave."""
    for run in runs:
        found = alarms.judge(run["reference"], run["recent"], run["health"], thresholds)
        run["warnings"] = sorted(found) if run["finite"] else ["non_finite"]
    hits = sum(run["bad"] and bool(run["warnings"]) for run in runs)
    warned, bad = sum(bool(run["warnings"]) for run in runs), sum(run["bad"] for run in runs)
    return {
        "runs": len(runs),
        "bad": bad,
        "warned": warned,
        "hits": hits,
        "precision": round(hits / warned, 4) if warned else None,
        "recall": round(hits / bad, 4) if bad else None,
    }


def main() -> None:
    config = options.parse(Config, None, __doc__)
    try:
        options.check_numbers(config)
    except ValueError as error:
        options.fail(error)
    xla.use_compilation_cache()
    xla.use_eigen()
    began, runs = time.perf_counter(), []
    for name in TUNING if config.tune else TESTING:
        runs += run_setting(config, name, first_seed=0 if config.tune else 1000)
    result = {**dataclasses.asdict(config), **grade(runs, alarms.Thresholds())}
    result["seconds"] = round(time.perf_counter() - began, 1)
    result["thresholds"] = alarms.Thresholds()._asdict()
    result["per_run"] = runs
    print(json.dumps(result) if config.json else json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
