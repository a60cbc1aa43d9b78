"""Compiles a training step for an H100 that is not here, and counts what its program does.

JAX's CUDA plugin brings the compiler. It needs neither a GPU nor NVIDIA's libraries: the chip is
given by its description. Nothing runs, so nothing is tuned by timing: which of cuDNN's algorithms
a convolution gets is chosen on the chip itself.

    pip install 'jwgan[run,cuda-compiler]'     # of the version of jaxlib; an environment of its own

What is counted, by step, a loop's body as often as it runs:

* launches: kernels, calls of libraries and copies that are started;
* bytes: those of every launch's operands and results, whole, though a kernel may read a part;
* convolutions by the call of cuDNN that computes them, and copies and transposes;
* zero-stuffed: paddings of zeros between pixels. They come from transposed convolutions that XLA
  did not recognise: it runs those as plain convolutions of four times the pixels at stride 2.
"""

import collections
import importlib.util
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

from experiments.export import papers, programs
from experiments.plan import chips, hlo
from experiments.speed import cases
from jwgan import joined

PLUGINS = ("jax_cuda13_plugin", "jax_cuda12_plugin")
NO_PLUGIN = (
    "JAX's CUDA plugin is not installed; pip install jax-cuda13-plugin jax-cuda13-pjrt, both of "
    "jaxlib's version, in a separate environment (the extra cuda-compiler)"
)
# The cases of experiments.speed that are compiled beside the members on their papers' networks.
CASES = ("tiny_mlp", "dcgan32")
# Assumed: seconds that a launch takes, and the shares of its peaks that an H100 reaches.
LAUNCH_SECONDS, MEMORY_SHARE, COMPUTE_SHARE = 5e-6, 0.9, 0.6
PARTS = ("memory", "launches", "arithmetic", "in_turn", "overlapped")  # of a step's time
ASSUMED = {
    "microseconds_per_launch": LAUNCH_SECONDS * 1e6,
    "share_of_memory_rate": MEMORY_SHARE,
    "share_of_arithmetic_peak": COMPUTE_SHARE,
}

# What XLA asks of a chip, as it describes an H100 SXM itself.
_H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 84929347584 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 13 minor: 0 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


def available() -> bool:
    """Says whether a CUDA plugin is installed."""
    return any(importlib.util.find_spec(name) for name in PLUGINS)


def compiled(step: Callable[..., Any], state: Any, batch: Any) -> str:
    """Compiles a step for one H100, its state donated; gives the program's text.

    Args:
      step: of an algorithm.
      state, batch: their shapes.
    """
    topology = topologies.get_topology_desc(platform="cuda", target_config=_H100, topology="1x1x1")
    sharding = jax.sharding.SingleDeviceSharding(topology.devices[0])
    place = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
    shapes = jax.tree.map(place, (state, batch))
    text: Any = jax.jit(step, donate_argnums=0).lower(*shapes).compile().as_text()
    return text


# --- the program's text ---------------------------------------------------------------------------


class Counts(NamedTuple):
    """What a program does in one call; see the document of this file."""

    launches: int
    bytes: int
    convolutions: dict[str, int]
    zero_stuffed: int
    copies: int
    transposes: int


def count(text: str) -> Counts:
    """Counts a compiled program's launches, bytes, convolutions, copies and transposes.

    Raises:
      ValueError: the program has a loop whose number of rounds is not known.
    """
    computations = hlo.instructions(text)
    found: collections.Counter[str] = collections.Counter()
    convolutions: collections.Counter[str] = collections.Counter()

    def launch(one: hlo.Instruction, sizes: dict[str, int], times: int) -> None:
        found["launches"] += times
        found["bytes"] += times * (sizes[one.name] + sum(sizes.get(x, 0) for x in one.operands))
        if target := re.search(r'custom_call_target="__cudnn\$(\w+)"', one.line):
            convolutions[target[1]] += times
        # A fusion does what stands in its computation.
        inside = {one.op} | {x.op for x in computations.get(one.called("calls"), [])}
        for op in inside & {"copy", "transpose"}:
            found[op] += times

    def visit(name: str, times: int) -> None:
        # A result can be read from its own computation alone.
        sizes = {one.name: sum(size for size, _ in one.arrays) for one in computations[name]}
        for one in computations[name]:
            if one.op == "while":
                visit(one.called("body"), times * _rounds(one))
            elif one.op not in hlo.FREE and not one.op.endswith("-done"):
                launch(one, sizes, times)

    visit("ENTRY", 1)
    # Of every axis a padding says low_high_between; each place in the program counts once.
    stuffed = len(re.findall(r" pad\(.*padding=\S*?\d_\d+_[1-9]", text))
    return Counts(
        found["launches"], found["bytes"], dict(sorted(convolutions.items())), stuffed,
        found["copy"], found["transpose"],
    )  # fmt: skip


def _rounds(loop: hlo.Instruction) -> int:
    known = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.line)
    if known is None:
        raise ValueError(f"program has the loop {loop.name}: not known how long")
    return int(known[1])


# --- a row for every member -----------------------------------------------------------------------


def times(counts: Counts, flops: dict[str, float]) -> dict[str, float]:
    """Estimates milliseconds of memory, launches and arithmetic, in turn and overlapped."""
    chip = chips.GPUS["H100"]
    parts = [
        counts.bytes / (chip.memory_rate * MEMORY_SHARE),
        counts.launches * LAUNCH_SECONDS,
        sum(n / chip.flops[dtype] for dtype, n in flops.items()) / COMPUTE_SHARE,
    ]
    # The truth lies between: the parts wait for one another, or the longest hides the others.
    parts += [sum(parts), max(parts)]
    return {name: round(1e3 * value, 3) for name, value in zip(PARTS, parts, strict=True)}


def row(name: str, precision: str, algorithm: Any = None) -> dict[str, Any]:
    """Compiles and counts a member on its paper's networks; without one a case of CASES."""
    if algorithm is None:
        parts = cases.players(name)
        algorithm, batch = cases.member(name, parts), parts.source.batch
    else:
        batch = papers.batch(name)
    # As `jwgan.run` calls the networks on a GPU.
    algorithm = joined.with_joined_calls(algorithm)
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))
    counts = count(compiled(algorithm.step, state, batch))
    # A new function: the same one would be taken from JAX's caches, lowered for the GPU.
    traced = jax.jit(lambda state, batch: algorithm.step(state, batch)).trace(state, batch)
    flops = programs.work(traced, "cuda").flops
    return {
        "member": name,
        "networks": precision,
        "launches": counts.launches,
        "gigabytes": round(counts.bytes / 1e9, 3),
        "convolutions": counts.convolutions,
        "zero_stuffed": counts.zero_stuffed,
        "copies": counts.copies,
        "transposes": counts.transposes,
        "gflop": float(f"{sum(flops.values()) / 1e9:.4g}"),
        "milliseconds": times(counts, flops),
    }
