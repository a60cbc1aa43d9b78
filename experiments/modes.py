"""Modes covered and exact W1 over many seeds in one program: one member on one 2-D world.

    python -m experiments.modes --member wgan_gp --seeds 16 --json

A preset of experiments.toy2d, with smaller networks. Every seed is a whole training run; they are
vmapped, so 16 seeds are one compiled program. The metrics are those of experiments.toy2d, per seed,
with median and quartiles; each member has toy2d's settings. A mode is covered, by a criterion fixed
beforehand (`metrics.coverage.mode_coverage`), if at least a fifth of its fair share of the samples
lies within 4 standard deviations of it. The command above takes about 47 s on 2 CPU cores; what
each member reaches is in experiments/README.md.
"""

import dataclasses
import time
from typing import Any

import jax
import numpy as np

from experiments import toy2d
from jwgan import loop
from jwgan.run import command, evaluate, sweep_build, tasks
from jwgan.run.options import option

CHUNK_STEPS = 500  # steps in one compiled program


@dataclasses.dataclass(frozen=True)
class Config:
    member: str = option("wgan_gp", "one of " + ", ".join(toy2d.MEMBERS))
    dataset: str = option("eight_gaussians", "eight_gaussians, twenty_five_gaussians, ring, ...")
    seeds: int = option(16, "runs, with keys 0, 1, 2, ...", at_least=1)
    steps: int = option(4000, "generator updates of each run", at_least=1)
    batch_size: int = option(64, "samples in a batch", at_least=1)
    n_critic: int = option(5, "critic updates for each generator update", at_least=1)
    width: int = option(64, "units in each of the three hidden layers", at_least=1)
    latent: int = option(2, "dimensions of the normal latents", at_least=1)
    precision: str = option("float32", "of the networks: float32 or bfloat16")
    json: bool = option(False, "print one line of JSON at the end")


def measure(config: Config) -> dict[str, Any]:
    """Trains every seed in one program and evaluates each.

    Raises:
      ValueError: the member or the world is unknown.
    """
    # toy2d's config has every option of this one, so the two share their settings.
    task, preset = tasks.load_world(config.dataset), toy2d.Config(**dataclasses.asdict(config))
    # The seconds count the compilation, too: it is one for all seeds.
    began = time.perf_counter()
    runs = toy2d.trials(preset, task)
    states = loop.train(
        runs.algorithm, runs.init(), runs.source, steps=config.steps, chunk_steps=CHUNK_STEPS
    )
    # JAX returns before the device is done; without this the clock would stop too early.
    jax.block_until_ready(states)
    seconds = time.perf_counter() - began
    # `runs.algorithm` gives every trial the same latents; one trial's algorithm is vmapped instead.
    one = toy2d.build(preset, task.shape)
    # Every seed has its own latents, so that the medians below are over independent samples. The
    # key is `evaluate.quality`'s.
    keys = jax.random.split(jax.random.key(13), config.seeds)
    sample = jax.vmap(lambda key, state: one.sample(key, state, evaluate.POINTS))
    fakes = np.asarray(jax.jit(sample)(keys, states))  # [K, POINTS, 2]
    per_seed = [evaluate.world_quality(task, fake) for fake in fakes]
    summary = lambda name: sweep_build.summary([row[name] for row in per_seed])
    result = {
        **dataclasses.asdict(config),
        "seconds": round(seconds, 2),
        "finite": bool(np.isfinite(fakes).all()),
        # W1 between real points does not depend on the seed: any row has it.
        "exact_w1_of_real": per_seed[0]["exact_w1_of_real"],
        "exact_w1": summary("exact_w1"),
        "per_seed": per_seed,
    }
    if task.problem.modes is not None:
        result |= {name: summary(name) for name in ("modes_covered", "high_quality_share")}
    return result


def main(argv: list[str] | None = None) -> None:
    command.run(Config, measure, __doc__, argv=argv)


if __name__ == "__main__":
    main()
