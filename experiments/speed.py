"""How fast a training step is, through the public algorithms and the public loop.

    python -m experiments.speed dcgan32 --json
    python -m experiments.speed dcgan32 --convolution lax --steps 1 --json

One iteration is one generator update with all its critic updates. The second form builds the same
players on flax's own convolutions, which JAX differentiates itself: on a CPU, inside the compiled
loop, that takes minutes an iteration. Roofline: float32 operations of an iteration over the rate of
a 2048 x 2048 x 2048 matrix product timed before and after, in the same run. Operations are counted
in forward passes: a critic update with a gradient penalty is 10 forwards of the critic and 1 of the
generator, a generator update 2 of the critic and 3 of the generator.

Cases: toy_mlp (3x512, batch 256), small_mlp (3x128, batch 256), tiny_mlp (3x32, batch 64), all
WGAN-GP with weight 0.1 on 8 Gaussians; dcgan32 (32x32x1, 64-128-256 channels, batch 64, WGAN-GP).
"""

import dataclasses
import json
import resource
import time
from typing import Any, NamedTuple

from experiments import options
from experiments.options import option

MLPS = {"toy_mlp": (512, 256), "small_mlp": (128, 256), "tiny_mlp": (32, 64)}  # width, batch
CASES = (*MLPS, "dcgan32")
N_CRITIC = 5


@dataclasses.dataclass(frozen=True)
class Config:
    case: str = option("dcgan32", "one of " + ", ".join(CASES))
    steps: int = option(0, "timed iterations; 0: as many as fit in about 20 s")
    convolution: str = option("jwgan", "jwgan's closed family, or lax (dcgan32 only)")
    json: bool = option(False, "print one line of JSON at the end")


class Case(NamedTuple):
    critic: Any  # Linen modules
    generator: Any
    latent: int
    weight: float
    source: Any


def mlp_case(width: int, batch: int) -> Case:
    from jwgan import sources
    from jwgan.models import mlp
    from jwgan.problems import gaussians

    critic, generator = mlp.MLPCritic((width,) * 3), mlp.MLPGenerator((2,), (width,) * 3)
    sample = gaussians.eight_gaussians().sample
    source = sources.from_sampler(sample, n_critic=N_CRITIC, batch_size=batch)
    return Case(critic, generator, 2, 0.1, source)


def dcgan_case(convolution: str) -> Case:
    import jax

    from jwgan import sources
    from jwgan.models import dcgan

    shape = (32, 32, 1)
    images = jax.random.uniform(jax.random.key(0), (2048, *shape), minval=-1.0)
    source = sources.from_array(images, n_critic=N_CRITIC, batch_size=64)
    if convolution == "lax":
        return Case(*lax_players(), 128, 10.0, source)
    return Case(dcgan.DCGANCritic(shape), dcgan.DCGANGenerator(shape), 128, 10.0, source)


def lax_players() -> tuple[Any, Any]:
    """dcgan32's players on flax.linen's convolutions."""
    import flax.linen as nn
    import jax.numpy as jnp

    class Critic(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for features in (64, 128, 256):
                x = nn.leaky_relu(nn.Conv(features, (5, 5), (2, 2))(x), 0.2)
            return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]

    class Generator(nn.Module):
        @nn.compact
        def __call__(self, z: Any) -> Any:
            x = nn.relu(nn.Dense(4 * 4 * 256)(z)).reshape(-1, 4, 4, 256)
            for features in (128, 64):
                x = nn.relu(nn.ConvTranspose(features, (5, 5), (2, 2))(x))
            return jnp.tanh(nn.ConvTranspose(1, (5, 5), (2, 2))(x))

    return Critic(), Generator()


def forward_gflop(case: str) -> tuple[float, float]:
    """Billions of floating-point operations of one forward pass (critic, generator) of a batch."""
    if case in MLPS:
        width, batch = MLPS[case]
        hidden = 2 * width * width
        return (
            2e-9 * batch * (2 * width + hidden + width),
            2e-9 * batch * (2 * width + hidden + 2 * width),
        )
    layers = [(16, 1, 64), (8, 64, 128), (4, 128, 256)]  # output side, channels in, out
    convolutions = sum(side**2 * 25 * c_in * c_out for side, c_in, c_out in layers)
    dense = 4 * 4 * 256
    return 2e-9 * 64 * (convolutions + dense), 2e-9 * 64 * (convolutions + 128 * dense)


def iteration_gflop(case: str) -> float:
    critic, generator = forward_gflop(case)
    return N_CRITIC * (10 * critic + generator) + 2 * critic + 3 * generator


def matmul_gflops() -> float:
    """Rate of a large float32 matrix product, the best of several."""
    import jax
    import jax.numpy as jnp

    a = jax.random.normal(jax.random.key(0), (2048, 2048))
    product = jax.jit(jnp.dot)
    product(a, a).block_until_ready()
    best = float("inf")
    for _ in range(8):
        began = time.perf_counter()
        product(a, a).block_until_ready()
        best = min(best, time.perf_counter() - began)
    return 2 * 2048**3 / best / 1e9


def build(config: Config) -> tuple[Any, Any]:
    """(algorithm, source) of the case that the options name."""
    import jwgan
    from jwgan import priors

    name = options.one_of("case", config.case, CASES)
    options.one_of("convolution", config.convolution, ("jwgan", "lax"))
    case = mlp_case(*MLPS[name]) if name in MLPS else dcgan_case(config.convolution)
    algorithm = jwgan.wgan_gp(
        jwgan.from_linen(case.critic),
        jwgan.from_linen(case.generator),
        prior=priors.normal(case.latent),
        b1=0.5,
        weight=case.weight,
    )
    return algorithm, case.source


def time_chunks(algorithm: Any, source: Any, steps: int) -> tuple[int, float, float, float]:
    """(iterations, seconds and CPU seconds of each, seconds of compilation) of the loop's chunk."""
    import jax

    from jwgan import loop

    run_chunk = loop.chunk_program(algorithm, source)
    state = jax.jit(lambda: algorithm.init(jax.random.key(0), source.batch))()

    def timed(state: Any, steps: int) -> tuple[Any, float, float]:
        """One chunk; the first of its length is compiled here."""
        wall, cpu = time.perf_counter(), time.process_time()
        state, _ = run_chunk(state, source.fetch(int(state.step), steps), steps)
        jax.block_until_ready(state.step)
        return state, time.perf_counter() - wall, time.process_time() - cpu

    state, first, _ = timed(state, 1)
    state, seconds, cpu = timed(state, 1)
    compilation = first - seconds
    steps = steps or max(2, min(2000, int(20 / seconds)))
    if steps > 1:
        state, _, _ = timed(state, steps)  # compiles and warms the chunk that is timed
        state, seconds, cpu = timed(state, steps)
    return steps, seconds / steps, cpu / steps, compilation


def measure(config: Config) -> dict[str, Any]:
    """Times the loop on one case."""
    algorithm, source = build(config)
    roofline = matmul_gflops()
    steps, seconds, cpu, compilation = time_chunks(algorithm, source, config.steps)
    roofline = max(roofline, matmul_gflops())
    gflop = iteration_gflop(config.case)
    return {
        "case": config.case,
        "convolution": config.convolution,
        "seeds": 1,
        "iterations": steps,
        "iterations_per_second": round(1 / seconds, 4),
        "cpu_seconds_per_iteration": round(cpu, 4),
        "gflop_per_iteration": round(gflop, 3),
        "roofline_gflops": round(roofline, 1),
        "roofline_share": round(gflop / seconds / roofline, 3),
        "compile_seconds": round(compilation, 2),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    config = options.parse(Config, None, __doc__, positional="case")
    try:
        result = measure(config)
    except ValueError as error:
        options.fail(error)
    print(json.dumps(result) if config.json else json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
