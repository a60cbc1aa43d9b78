"""How time and memory of a training step grow: measured curves beside the expected straight line.

    python -m experiments.growth --json                     # measures, and writes runs/growth.html
    python -m experiments.growth --recorded                 # the page of the recorded measurement

One number at a time is changed: batch, n_critic, width and seeds of WGAN-GP on 8 Gaussians with
multilayer perceptrons, image side of WGAN-GP with convolutions (DCGAN without normalisation).
Steps run as the loop runs them, many in one compiled chunk on data drawn on the device. Time is
the least of three timings, as CPU seconds of the process and as wall seconds; memory is what the
compiler plans for the chunk: arguments, results and temporaries.

The law expected is a straight line a + b u in the work u of a step: batch, n_critic, seeds, width
squared (a hidden layer's matrix product), side squared (pixels). It is fitted to all points with
equal relative weight; a point is off the line where it differs from it by more than 15 %.
"""

import dataclasses
import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import jwgan
from experiments import results, wgan_gp
from experiments.growth import page as growth_page
from experiments.speed import timing
from jwgan import files, many, priors, sources
from jwgan.models import dcgan, mlp
from jwgan.problems import gaussians
from jwgan.run import command, tasks
from jwgan.run.options import option

OFF = 0.15  # a point further from the line, relative to it, is off it
STEPS = 10  # in a chunk
REPEATS, SECONDS = 3, 0.3  # timings, and about how long each is


@dataclasses.dataclass(frozen=True)
class Config:
    recorded: bool = option(False, "draw the page of the recorded measurement, without a new one")
    out: str = option("runs/growth.html", "file for the page")
    json: bool = option(False, "print one line of JSON at the end")


class Axis(NamedTuple):
    """A number that is changed alone."""

    name: str
    values: tuple[int, ...]
    power: int  # u is the number to this power
    time_words: str  # why the time is what it is
    memory_words: str


# Every number that is not changed has this value.
MLP = {"batch": 64, "n_critic": 5, "width": 64, "seeds": 1}
CONV = {"batch": 8, "n_critic": 2, "width": 8, "side": 32}
AXES = (
    Axis(
        "batch", (8, 32, 64, 128, 256, 512, 1024), 1,
        "A small batch leaves the matrix products too thin to fill the core, and every operation "
        "has a fixed price (dispatch, and the optimizer, which does not see the batch): that is a. "
        "Above, the line holds as long as a layer's activations stay in the caches.",
        "Parameters and Adam's moments do not depend on the batch; activations are proportional.",
    ),
    Axis(
        "n_critic", (1, 2, 5, 10, 16), 1,
        "Critic updates follow one another in a loop, each costing the same; a is the generator's "
        "update, once a step.",
        "The loop reuses its memory; only the rows drawn for a step grow, and they are small.",
    ),
    Axis(
        "width", (16, 32, 64, 128, 256, 512), 2,
        "Hidden layers cost width squared; input, output, activations and noise cost width, and "
        "every operation a fixed price. So narrow networks lie above the line's slope: their time "
        "is mostly a.",
        "Weights and their moments, gradients and copies grow with width squared, activations with "
        "width.",
    ),
    Axis(
        "seeds", (1, 2, 4, 8, 16, 32), 1,
        "A step of this width already fills the core, so vmapped seeds only add up; for networks "
        "so small that dispatch dominates the first seeds are nearly free, and wide ones cost more "
        "side by side than alone (last section); caches are the likely reason, not a measured one.",
        "Every seed has its own state and activations.",
    ),
    Axis(
        "side", (16, 24, 32, 48, 64), 2,
        "Convolutions cost pixels, and every doubling of the side adds a level of about as many "
        "operations again (a quarter of the pixels, four times the pairs of channels): side "
        "squared times its logarithm. A side between two powers of two has the levels of the upper "
        "one, and lies above the line.",
        "Activations grow with the pixels; an added level has four times the weights of the one "
        "before it, and sides between two powers of two have it already.",
    ),
)  # fmt: skip


def build(axis: str, value: int) -> tuple[Any, Any, Any]:
    """Builds a run with one number changed: (algorithm, source, keys)."""
    if axis == "side":
        # The images are noise: what they show has no part in the time.
        own = {**CONV, axis: value}
        shape = (own["side"], own["side"], 1)
        sample = lambda key, num: jax.random.uniform(key, (num, *shape), minval=-1.0)
        critic: Any = dcgan.DCGANCritic(shape, width=own["width"])
        generator: Any = dcgan.DCGANGenerator(shape, width=own["width"])
    else:
        own = {**MLP, axis: value}
        sample = gaussians.eight_gaussians().sample
        critic = mlp.MLPCritic((own["width"],) * 3)
        generator = mlp.MLPGenerator((2,), (own["width"],) * 3)
    algorithm = jwgan.wgan_gp(
        jwgan.from_linen(critic), jwgan.from_linen(generator), prior=priors.normal(8)
    )
    draw = lambda n: sources.from_sampler(sample, n_critic=n, batch_size=own["batch"])
    # CONV has no seeds: its only axis is the side.
    seeds = own.get("seeds", 1)
    # One seed is measured as a plain run, which is what K of them are compared with.
    if seeds == 1:
        return algorithm, draw(own["n_critic"]), jax.random.key(0)
    runs = many.trials(lambda: algorithm, draw, seeds=range(seeds), n_critic=own["n_critic"])
    return runs.algorithm, runs.source, runs.keys


def side_by_side() -> list[dict[str, Any]]:
    """Measures K trials in one program beside K times one of them alone."""
    rows = []
    # Whether trials side by side pay depends on the layers: both kinds are measured.
    for name, config, count, ways in (
        ("wgan_gp on digits", wgan_gp.Config(), 16, {"vmap": jax.vmap}),
        (
            "wgan_gp, DCGAN on digits of 16x16",
            wgan_gp.Config(network="dcgan", width=8, batch_size=16, image_size=16),
            4,
            {"vmap": jax.vmap, "in turn": many.in_turn()},
        ),
    ):
        task = tasks.from_config(config)
        # The defaults bind this iteration's values: the functions are called later.
        make = lambda config=config, task=task: wgan_gp.build(config, task.shape)
        draw = lambda n, config=config, task=task: task.source(n, config.batch_size)
        alone = measure(make(), draw(config.n_critic), jax.random.key(0))
        for way, mapped in ways.items():
            runs = many.trials(
                make, draw, seeds=range(count), n_critic=config.n_critic, mapped=mapped
            )
            together = measure(runs.algorithm, runs.source, runs.keys)
            # The ratio is above 1 if one program is faster than as many programs in turn.
            ratio = count * alone["cpu_ms"] / together["cpu_ms"]
            row = {"case": name, "members": count, "way": way, "alone": alone}
            rows.append({**row, "together": together, "times_faster": round(ratio, 2)})
    return rows


def measure(algorithm: Any, source: Any, keys: Any) -> dict[str, Any]:
    """Times a step, and reads the memory that the compiler planned for a chunk of them.

    A step is one of all trials, if there are several.
    """
    program = timing.Program(algorithm, source, STEPS, keys)
    repeats = timing.repeats_in(program, SECONDS)
    # The count is STEPS and not program.iterations: a step of all seeds counts once.
    timings = [timing.clock(program, repeats, STEPS) for _ in range(REPEATS)]
    plan = program.run_chunk.memory_analysis()
    planned = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
    return {
        # The least time and the highest rate count: noise only ever adds time.
        "cpu_ms": round(1000 * min(one.cpu_seconds_per_iteration for one in timings), 4),
        "wall_ms": round(1000 / max(one.iterations_per_second for one in timings), 4),
        # The state's buffers are donated: they are arguments and results, but there once.
        "memory_mb": round((planned - plan.alias_size_in_bytes) / 1e6, 4),
    }


def fit(us: Sequence[float], ys: Sequence[float]) -> dict[str, Any]:
    """Fits the line a + b u of least squared relative distance, and lists the points off it."""
    u, y = np.asarray(us, float), np.asarray(ys, float)
    # Divided by y, a residual is a relative distance, and every point weighs the same.
    a, b = np.linalg.lstsq(np.stack([1 / y, u / y], axis=1), np.ones(len(y)), rcond=None)[0]
    distance = y / (a + b * u) - 1
    return {
        "a": float(f"{a:.4g}"),
        "b": float(f"{b:.4g}"),
        # `not <=` puts NaN off the line.
        "off": [i for i, d in enumerate(distance) if not abs(d) <= OFF],
        "distance": [round(float(d), 3) for d in distance],
    }


def grown() -> dict[str, Any]:
    """Measures every axis and fits its lines."""
    began, axes = time.perf_counter(), {}
    for axis in AXES:
        rows = [{axis.name: x, **measure(*build(axis.name, x))} for x in axis.values]
        us = [value**axis.power for value in axis.values]
        fits = {
            name: fit(us, [row[name] for row in rows])
            for name in ("cpu_ms", "wall_ms", "memory_mb")
        }
        axes[axis.name] = {"rows": rows, "fits": fits}
    return {
        "mlp": MLP,
        "conv": CONV,
        "off": OFF,
        "axes": axes,
        "side_by_side": side_by_side(),
        "seconds": round(time.perf_counter() - began, 1),
    }


def run(config: Config) -> dict[str, Any]:
    """Measures, or loads the recorded measurement, and writes the page."""
    result = results.load("growth")["figures"] if config.recorded else grown()
    out = pathlib.Path(config.out)
    files.replace(out, growth_page.render(result, AXES).encode())
    return result


def text(config: Config, result: dict[str, Any]) -> str:
    """Writes what is printed."""
    return json.dumps(result) if config.json else f"page: {config.out}, {result['seconds']} s"


def main(argv: list[str] | None = None) -> None:
    command.run(Config, run, __doc__, argv=argv, text=text)


if __name__ == "__main__":
    main()
