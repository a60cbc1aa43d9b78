"""Is the alarm right about images? Precision and recall on labelled runs it was not tuned on.

    python -m experiments.alarm_images --json            # the labelled test runs
    python -m experiments.alarm_images --tune --json     # the runs the thresholds were set on

The first command takes over an hour of one core. An interrupted one goes on with the same --out.

Healthy and collapsed runs on the digits and on Fashion-MNIST, BEGAN with its paper's settings among
them, which has few classes from the start. The label does not depend on what the alarm reads. A run
is bad if, at its end, fewer than 8 of 10 classes have 3 % of its samples, by a classifier of the
data; or the quality of the samples is below 0.8, where that of noise is 0, that of real data 1, and
the Frechet distance lies between; or a scalar was not finite. The alarm is what `jwgan.run.session`
warns of at the run's last checkpoint, "memorised" left out: a critic that knows its training data
by heart says nothing of the samples. Criterion, fixed beforehand: precision and recall of at least
.9 on the test runs, whose members, rates and seeds were not known when the thresholds were set;
so far these were set on the digits alone.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from experiments import alarm, began, dcgan, ebgan, gan, lsgan, sngan, wgan_gp, wgan_lp
from experiments.created_equal.search import Log
from jwgan import adversarial, loop, many
from jwgan.run import alarms, command, evaluate, sweep_build, tasks
from jwgan.run.options import option, require_choice

Setting = tuple[Any, dict[str, Any]]  # an experiment, and its options


def _rate(value: float) -> dict[str, Any]:
    """The options that give both players this rate."""
    return {"learning_rate": value, "critic_learning_rate": value}


# BEGAN as its paper has it, on a black background: it has few classes from its first steps on.
OLD_BEGAN = {"network": "auto", "gamma": 0.5, "lambda_k": 1e-3, "zero": 0.0}
# The defaults of `experiments.began` until 2026-11-28: three classes of the digits.
DEFAULTS = {"network": "auto", "gamma": 0.9, "lambda_k": 1e-2}
# A name says what is wrong with a setting that is expected to be bad; the label is measured.
TUNING: dict[str, Setting] = {
    "wgan_gp": (wgan_gp, {}),
    "gan": (gan, {}),
    "r1_gan": (gan, {"member": "r1_gan"}),
    "dcgan": (dcgan, {}),
    "wgan_gp, no penalty": (wgan_gp, {"weight": 0.0}),
    "wgan_gp, rate 0.05": (wgan_gp, {"learning_rate": 0.05}),
    "gan, rate 0.02": (gan, _rate(0.02)),
    "began, lambda 0.01": (began, {**OLD_BEGAN, "lambda_k": 1e-2}),
}
# Settings the thresholds were not set on, with seeds from 1000 on.
TESTING: dict[str, Setting] = {
    "wgan_lp": (wgan_lp, {}),
    "r1_r2_gan": (gan, {"member": "r1_r2_gan"}),
    "sngan": (sngan, {}),
    "lsgan": (lsgan, {}),
    "ebgan": (ebgan, {}),
    "wgan_lp, no penalty": (wgan_lp, {"weight": 0.0}),
    "dragan, rate 0.02": (gan, {"member": "dragan", **_rate(0.02)}),
    "rpgan, rate 0.05": (gan, {"member": "rpgan", **_rate(0.05)}),
    "began, the paper's": (began, OLD_BEGAN),
    "began, the old defaults": (began, DEFAULTS),
}
WINDOWS = 12  # evaluations of a run, as many as one of the default length has
LEAST_CLASSES, LEAST_QUALITY = 0.8, 0.8  # of a run that is not bad
STEPS = {"digits": 3000, "fashion_mnist": 960}
SHARED = ("steps", "width", "batch_size")  # what all runs of a data set have in common


@dataclasses.dataclass(frozen=True)
class Config:
    tune: bool = option(False, "run the settings the thresholds were set on")
    dataset: str = option("all", "digits, fashion_mnist, or all")
    seeds: int = option(4, "runs of each setting", at_least=1)
    steps: int | None = option(
        None, "generator updates (default: 3000 on the digits, 960 on Fashion-MNIST)", at_least=1
    )
    width: int = option(8, "of the networks", at_least=1)
    batch_size: int = option(64, "samples in a batch", at_least=1)
    out: str = option("runs/alarm_images", "folder; runs that are done there already are kept")
    json: bool = option(False, "print one line of JSON at the end")


def run_setting(
    config: Config, task: Any, judge: Any, name: str, seeds: Sequence[int], steps: int
) -> list[dict[str, Any]]:
    """Trains a setting's seeds in one program; of each, its label and what the alarm reads.

    Args:
      config: the options.
      task: of the data set.
      judge: of `make_judge`.
      name: of the setting.
      seeds: [K].
      steps: generator updates of each.
    """
    module, options = (TUNING | TESTING)[name]
    given = {"width": config.width, "batch_size": config.batch_size, "ema": 0.99, **options}
    made = module.EXPERIMENT.config(**module.EXPERIMENT.with_settings(given))
    mesh = sweep_build.make_mesh(len(seeds), None)
    mapped = many.divided(mesh) if mesh else jax.vmap
    one = module.build(made, task.shape)
    algorithm = many.over(lambda: module.build(made, task.shape), mapped=mapped)
    draw = lambda n_critic: task.source(n_critic, config.batch_size)
    source = many.drawn(draw, [made.n_critic] * len(seeds), mapped)
    states = jax.jit(lambda keys: algorithm.init(keys, source.batch))(many.keys(seeds))
    sample_metrics = evaluate.make_sample_metrics(task, one)
    infos: list[dict[str, Any]] = []  # of every window: {name: [length, K]}
    memory = [alarms.Memory()] * len(seeds)

    def look(step: int, states: Any) -> None:
        for k, mine in enumerate(memory):
            memory[k] = alarms.remembered(sample_metrics(many.trial(states, k)), mine)

    states = loop.train(
        algorithm,
        states,
        source,
        steps=steps,
        chunk_steps=max(1, steps // WINDOWS),
        record=lambda first, info: infos.append(adversarial.scalars(info)),
        due=lambda step: 0 < step < steps,  # the last state is what the alarm judges
        observe=look,
    )
    key, num = jax.random.key(13), 1000 if task.name == "digits" else 2000
    fakes = np.asarray(jax.jit(algorithm.sample, static_argnums=2)(key, states, num))
    rows = []
    for k, seed in enumerate(seeds):
        windows = [{name: x[:, k] for name, x in info.items()} for info in infos]
        label = _labelled(judge, fakes[k], windows)
        health = sample_metrics(many.trial(states, k))
        health.pop("membership_auc", None)
        rows.append(
            {"setting": name, "seed": seed, **label, **memory[k]._asdict(), "health": health}
        )
    return rows


def make_judge(task: Any) -> Callable[[Any], dict[str, Any]]:
    """Makes `samples [N, H, W, C] -> {"classes_present", "frechet_distance", "quality", "bad"}`."""
    fitted = evaluate.fit_classifier(task.dataset)
    noise = np.random.default_rng(0).uniform(-1, 1, (2000, *task.shape)).astype(np.float32)
    worst = evaluate.image_quality(task, noise, fitted)["frechet_distance"]

    def judge(fake: Any) -> dict[str, Any]:
        found = evaluate.image_quality(task, fake, fitted)
        distance, classes = found["frechet_distance"], found["classes_present"]
        real = found["frechet_distance_of_real"]
        quality = 1 - (distance - real) / (worst - real)
        share = classes / len(task.dataset.class_names)
        return {
            "classes_present": classes,
            "frechet_distance": distance,
            "quality": round(quality, 3),
            "bad": share < LEAST_CLASSES or quality < LEAST_QUALITY,
        }

    return judge


def _labelled(judge: Any, fake: Any, windows: list[Any]) -> dict[str, Any]:
    """The label of a run, and the sums of its first and its last window."""
    finite = all(np.isfinite(x).all() for window in windows for x in window.values())
    finite = finite and bool(np.isfinite(fake).all())
    bad = {"classes_present": 0, "frechet_distance": None, "quality": None, "bad": True}
    return {
        "finite": finite,
        **(judge(fake) if finite else bad),
        "reference": alarms.add(alarms.EMPTY, windows[0]),
        "recent": alarms.add(alarms.EMPTY, windows[-1]),
    }


def measure(config: Config) -> dict[str, Any]:
    """Trains the labelled runs and grades the alarm on them.

    Raises:
      ValueError: there is no such data set.
    """
    require_choice("dataset", config.dataset, ("all", *STEPS))
    names = tuple(STEPS) if config.dataset == "all" else (config.dataset,)
    began, runs = time.perf_counter(), []
    folder = pathlib.Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    log = Log(folder / "runs.jsonl", ("dataset", "setting", "seed", *SHARED))
    for dataset in names:
        task = tasks.load_images(dataset)
        judge = make_judge(task)
        # The two sets share no seed either.
        first = 0 if config.tune else 1000
        for name in TUNING if config.tune else TESTING:
            seeds = range(first, first + config.seeds)
            steps = config.steps or STEPS[dataset]
            values = (steps, config.width, config.batch_size)
            one = {"dataset": dataset, **dict(zip(SHARED, values, strict=True))}
            there = {row["seed"] for row in log.of(setting=name, **one)}
            if missing := [seed for seed in seeds if seed not in there]:
                rows = run_setting(config, task, judge, name, missing, steps)
                log.add([{**one, **row} for row in rows])
            found = log.of(setting=name, **one)
            runs += [row for row in found if row["seed"] in seeds]
    return alarm.graded(config, runs, time.perf_counter() - began)


def main(argv: list[str] | None = None) -> None:
    command.run(Config, measure, __doc__, argv=argv)


if __name__ == "__main__":
    main()
