"""Times compiled programs, for the benches: chunks, repeats, the rate of a matrix product."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jwgan import loop
from jwgan.run import xla

# XLA's options for matrix products in Eigen, and in YNNPACK; see `use_eigen`.
MATMUL_LIBRARIES = (
    {xla.FUSION: "LIBRARY_FUSION_TYPE_REDUCE"},
    {xla.FUSION: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"},
)


class Timing(NamedTuple):
    """The rate of one repeat; with K seeds, K iterations are done at a time, and all count."""

    iterations_per_second: float
    cpu_seconds_per_iteration: float


def matmul_gflops() -> float:
    """Times a large float32 matrix product: the best of several, of either library in XLA:CPU."""
    on_cpu = jax.default_backend() == "cpu"
    side = 2048 if on_cpu else 8192  # a large chip needs more to be busy
    # Another jaxlib may not know the option, which would be an error: its default library is timed.
    libraries = MATMUL_LIBRARIES if on_cpu and xla.is_measured_jaxlib() else ({},)
    a = jax.random.normal(jax.random.key(0), (side, side))
    best = float("inf")
    for options_of_xla in libraries:
        product = jax.jit(jnp.dot, compiler_options=options_of_xla)
        # The first call compiles.
        product(a, a).block_until_ready()
        for _ in range(4):
            began = time.perf_counter()
            product(a, a).block_until_ready()
            best = min(best, time.perf_counter() - began)
    # An entry is `side` multiplications and as many additions.
    return 2 * side**3 / best / 1e9


def clock(run: Callable[[], Any], repeats: int, iterations: int) -> Timing:
    """Times `repeats` runs of so many iterations each."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        result = run()
    # Dispatch is asynchronous: the clock stops when the last run is done, and those before it are.
    jax.block_until_ready(result)
    count = iterations * repeats
    cpu = time.process_time() - cpu
    return Timing(count / (time.perf_counter() - wall), cpu / count)


def repeats_in(run: Callable[[], Any], seconds: float) -> int:
    """Counts how many runs take about so many seconds; the first one warms up."""
    clock(run, 1, 1)
    return max(1, round(seconds * clock(run, 1, 1).iterations_per_second))


class Program:
    """A compiled chunk and its moving state: what `loop.train` runs again and again.

    Args:
      algorithm: a member, or K of it side by side.
      source: its data.
      length: steps in the program.
      keys: of the first state; K of them for K side by side.
    """

    def __init__(self, algorithm: Any, source: Any, length: int, keys: Any) -> None:
        # `keys.size` is K, or 1 for a single run.
        self.length, self.iterations = length, length * keys.size
        self.state = jax.jit(lambda keys: algorithm.init(keys, source.batch))(keys)
        self.step, self.fetch = 0, source.fetch
        # The chunk is lowered and compiled by hand, not by a first call, so that both can be timed.
        chunk: Any = loop.chunk_program(algorithm, source)
        began = time.perf_counter()
        lowered = chunk.lower(self.state, self.fetch(0, self.length), self.length)
        # Tracing is a part of compile_seconds.
        self.trace_seconds = time.perf_counter() - began
        self.run_chunk = lowered.compile()
        self.compile_seconds = time.perf_counter() - began

    def __call__(self) -> Any:
        """Runs the next chunk."""
        # The chunk donates its state, so the new one takes its place.
        self.state, info = self.run_chunk(self.state, self.fetch(self.step, self.length))
        self.step += self.length
        return info


def medians(timings: list[Timing]) -> dict[str, Any]:
    """Summarises repeats by their medians, and lists the rate of each."""
    rate, cpu = (statistics.median(column) for column in zip(*timings, strict=True))
    return {
        # Four digits are kept: more would be noise.
        "iterations_per_second": float(f"{rate:.4g}"),
        "cpu_seconds_per_iteration": float(f"{cpu:.4g}"),
        "each": [float(f"{timing.iterations_per_second:.4g}") for timing in timings],
    }
