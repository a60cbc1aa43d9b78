"""Trains settings of one structure in one program, each for its share of the time, and judges."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from experiments.created_equal.ranges import Setting
from jwgan import loop, many
from jwgan.run import evaluate, members, sweep_build, tasks

# What no setting changes. The generator's average is a short one: runs are of a few thousand steps.
BATCH_SIZE, EMA = 64, 0.99
LATENT = {"digits": 16, "fashion_mnist": 32}
CHUNK_STEPS = {"digits": 50, "fashion_mnist": 10}
SAMPLES = {"digits": 1000, "fashion_mnist": 5000}


def load(dataset: str) -> tasks.Task:
    """The task of a data set: the real pictures, and the source that draws batches of them."""
    return tasks.load_images(dataset)


def config_of(member: str, dataset: str, structure: dict[str, Any]) -> Any:
    """The options of a member with a structure (of `ranges.structures`)."""
    made = members.config_of(member)
    network = "shallow" if member in members.ENERGIES else "auto"
    latent = LATENT[dataset]
    return made(dataset=dataset, network=network, latent=latent, ema=EMA, **structure)


def train(
    member: str,
    task: Any,
    dataset: str,
    settings: Sequence[Setting],
    seeds: Sequence[int],
    budget: float,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Trains settings of one structure side by side.

    Args:
      member: its name.
      task: of the data set.
      dataset: its name.
      settings: [K], all of one structure.
      seeds: [K].
      budget: CPU seconds of each. They count from the end of the first chunk of steps, since
        compiling is no training; all K stop together when K times as many are used up.

    Returns:
      Samples [K, N, H, W, C], and what each was trained: {"steps", "cpu_seconds"}.
    """
    base, count = config_of(member, dataset, settings[0].structure), len(settings)
    build = members.experiment_of(member).build
    make = lambda **numbers: build(dataclasses.replace(base, **numbers), task.shape)
    columns = {name: [one.numbers[name] for one in settings] for name in settings[0].numbers}
    # Trials say nothing to each other: where the cores divide them, each core has its own.
    mesh = sweep_build.make_mesh(count, None)
    mapped = many.divided(mesh) if mesh else jax.vmap
    algorithm = many.over(make, columns, mapped)
    draw = lambda n_critic: task.source(n_critic, BATCH_SIZE)
    source = many.drawn(draw, [base.n_critic] * count, mapped)
    states = jax.jit(lambda keys: algorithm.init(keys, source.batch))(many.keys(seeds))

    began: list[float] = []  # CPU seconds at the end of the first chunk

    def record(first_step: int, info: Any) -> None:
        if first_step == 0:
            began.append(time.process_time())

    spent = lambda: time.process_time() - began[0] if began else 0.0
    states = loop.train(
        algorithm,
        states,
        source,
        steps=2**30,
        chunk_steps=CHUNK_STEPS[dataset],
        record=record,
        stop=lambda step: spent() >= budget * count,
    )
    figures = {"steps": int(states.step[0]), "cpu_seconds": round(spent() / count, 2)}
    # The key is that of a run's own evaluation; all trials are shown the same latents.
    sample = jax.jit(lambda states: algorithm.sample(jax.random.key(13), states, SAMPLES[dataset]))
    return np.asarray(sample(states)), figures


def judge(task: Any, fitted: Any, fake: np.ndarray) -> dict[str, Any]:
    """Measures samples as a run does at its end; a run that is not finite has 0 classes.

    Args:
      task: of the data set.
      fitted: its classifier, of `evaluate.fit_classifier`.
      fake: samples [N, H, W, C].
    """
    if not np.isfinite(fake).all():
        return {"frechet_distance": None, "classes_present": 0, "smallest_class_share": 0.0}
    found = evaluate.image_quality(task, fake, fitted)
    names = ("frechet_distance", "classes_present", "smallest_class_share")
    return {name: found[name] for name in names}
