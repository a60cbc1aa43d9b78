"""Does the data pipeline keep up with the training step?

    python -m experiments.pipeline --json
    python -m experiments.pipeline --dataset tfds/faces --data-dir tfds_data --image-size 64 --json

Reads a data set as a streamed run does (experiments.wgan_gp --stream), alone and while its step
trains. JSON: images_per_second of the pipeline alone; images_per_second_needed by the step on data
held on the device; share_waiting, the part of a streamed run's time in which the device had nothing
to do, 1 - (streamed rate / rate on held data), which noise can make negative.
"""

import dataclasses
import time
from typing import Any

import jax
import numpy as np

from experiments import wgan_gp
from jwgan import loop, sources
from jwgan.run import command, options, tasks
from jwgan.run.options import option


@dataclasses.dataclass(frozen=True)
class Config(wgan_gp.Config):
    steps: int = option(400, "steps timed, after as many that warm up", at_least=1)


def seconds(source: Any, config: Config, algorithm: Any = None) -> float:
    """Reads the timed steps' data, and trains on them if there is an algorithm: wall seconds.

    The first half of the steps is not timed: they compile, and fill the pipeline's buffers.
    """
    length = config.chunk_steps
    state = None
    if algorithm is not None:
        program = loop.chunk_program(algorithm, source)
        state = jax.jit(lambda: algorithm.init(jax.random.key(config.seed), source.batch))()
    began = 0.0
    for first in range(0, 2 * config.steps, length):
        # `measure` sees to it that this step begins a chunk.
        if first == config.steps:
            # What was dispatched before must be done when the clock starts, and all when it stops.
            jax.block_until_ready(state)
            began = time.perf_counter()
        operand = source.fetch(first, length)
        if algorithm is not None:
            state, _ = program(state, operand, length)
    jax.block_until_ready(state)
    return time.perf_counter() - began


def measure(config: Config) -> dict[str, Any]:
    """Times the pipeline alone, the step on held data, and both together.

    Raises:
      ValueError: an option fits nothing, or the data cannot be read.
    """
    options.check(config)
    # Otherwise no chunk would begin where the clock starts.
    if config.steps % config.chunk_steps:
        raise ValueError(f"steps is {config.steps}: give a multiple of {config.chunk_steps}")
    task = tasks.from_config(dataclasses.replace(config, stream=True))
    sizes: dict[str, Any] = {"n_critic": config.n_critic, "batch_size": config.batch_size}
    streamed = task.source(**sizes)
    # The same images on the device: its rate is what the pipeline has to keep up with.
    held = sources.from_array(np.asarray(task.dataset.images), **sizes)
    algorithm = wgan_gp.build(config, task.shape)
    images = config.steps * config.n_critic * config.batch_size  # read in the timed steps
    alone = seconds(streamed, config)
    on_held, on_streamed = (seconds(s, config, algorithm) for s in (held, streamed))
    return {
        "dataset": config.dataset,
        "shape": list(task.shape),
        "images_per_second": round(images / alone),
        "images_per_second_needed": round(images / on_held),
        "images_per_second_streamed": round(images / on_streamed),
        "share_waiting": round(1 - on_held / on_streamed, 4),
    }


def main(argv: list[str] | None = None) -> None:
    command.run(Config, measure, __doc__, argv=argv)


if __name__ == "__main__":
    main()
