"""Modes covered and exact W1 over many seeds in one program: one member on one 2-D world.

    python -m experiments.modes --member wgan_gp --seeds 16 --json

Every seed is a whole training run; they are vmapped, so 16 seeds are one compiled program. The
figures are those of experiments.toy2d, per seed, with median and quartiles; each member has toy2d's
settings. A mode is covered, by a criterion fixed beforehand (`metrics.coverage.mode_coverage`), if
at least a fifth of its fair share of the samples lies within 4 standard deviations of it.
"""

import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments import toy2d
from jwgan import loop, many
from jwgan.run import evaluate, options, sweep_build, tasks, xla
from jwgan.run.options import option


@dataclasses.dataclass(frozen=True)
class Config:
    member: str = option("wgan_gp", "one of " + ", ".join(toy2d.MEMBERS))
    dataset: str = option("eight_gaussians", "eight_gaussians, twenty_five_gaussians, ring, ...")
    seeds: int = option(16, "runs, with keys 0, 1, 2, ...")
    steps: int = option(4000, "generator updates of each run")
    batch_size: int = option(64, "samples in a batch")
    n_critic: int = option(5, "critic updates for each generator update")
    width: int = option(64, "units in each of the three hidden layers")
    latent: int = option(2, "dimensions of the normal latents")
    precision: str = option("float32", "of the networks: float32 or bfloat16")
    json: bool = option(False, "print one line of JSON at the end")


def train(
    config: Config,
    task: Any,
    *,
    first_seed: int = 0,
    record: Callable[[int, Any], Any] = lambda first, info: None,
    chunk_steps: int = 500,
    **kwargs: Any,
) -> tuple[Any, Any]:
    """(algorithm of all, states [K, ...]) after training every seed in one program.

    `record` is the loop's; `kwargs` are the member's, before toy2d's.
    """
    algorithm = many.over(lambda: toy2d.build(config, task.shape, **kwargs))
    one = lambda n_critic: task.source(n_critic, config.batch_size)
    source = many.drawn(one, [config.n_critic] * config.seeds)
    keys = many.keys(range(first_seed, first_seed + config.seeds))
    states = jax.jit(lambda keys: algorithm.init(keys, source.batch))(keys)
    return algorithm, loop.train(
        algorithm, states, source, steps=config.steps, chunk_steps=chunk_steps, record=record
    )


def main() -> None:
    config = options.parse(Config, None, __doc__)
    try:
        options.check_numbers(config)
    except ValueError as error:
        options.fail(error)
    xla.use_compilation_cache()
    xla.use_eigen()
    try:
        task = tasks.load_world(config.dataset)
        began = time.perf_counter()
        _, states = train(config, task)
    except ValueError as error:
        options.fail(error)
    seconds = time.perf_counter() - began
    one = toy2d.build(config, task.shape)
    keys = jax.random.split(jax.random.key(13), config.seeds)
    sample = jax.vmap(lambda key, state: one.sample(key, state, evaluate.POINTS))
    fakes = np.asarray(jax.jit(sample)(keys, states))
    figures = [evaluate.world_quality(task, fake) for fake in fakes]
    result = {
        **dataclasses.asdict(config),
        "seconds": round(seconds, 2),
        "finite": bool(np.isfinite(fakes).all()),
        "exact_w1_of_real": figures[0]["exact_w1_of_real"],
        "exact_w1": sweep_build.summary([f["exact_w1"] for f in figures]),
        "per_seed": figures,
    }
    if task.problem.modes is not None:
        for name in ("modes_covered", "high_quality_share"):
            result[name] = sweep_build.summary([f[name] for f in figures])
    print(json.dumps(result) if config.json else json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
