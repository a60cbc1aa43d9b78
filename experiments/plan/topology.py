"""Compiles a data-sharded step for TPU chips that are not there, and reads what the compiler made.

libtpu brings the compiler of every TPU generation; nothing runs, and no TPU is looked for:

    pip install "jax[tpu]==YOUR_JAX_VERSION"

One process compiles for one kind of chip, since libtpu reads its environment when it is loaded.
XLA's own cost analysis counts a loop's body once and makes no difference between the chip's memory
(HBM) and the buffers that live on the chip; so bytes are read from the compiled program's text:
operands and results of every instruction that lie in HBM, times the runs of their loop.
"""

import importlib.util
import os
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec

from experiments.plan import hlo

# kind -> (topology of 8 chips, accelerator type)
KINDS = {"v5e": ("v5e:2x4", "v5litepod-8"), "v6e": ("v6e:2x4", "v6e-8")}
_COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")


class Traffic(NamedTuple):
    """What one chip's program moves in one step.

    Attributes:
      memory: bytes read from and written to HBM.
      network: bytes of the arrays that collectives combine.
      collectives: how many of those there are.
    """

    memory: float
    network: float
    collectives: int


class Compiled(NamedTuple):
    """One chip's program.

    Attributes:
      flops: as XLA counts them, a loop's body once.
      traffic: see `Traffic`.
      memory: bytes of arguments, results that share no memory with them, buffers and code.
    """

    flops: float
    traffic: Traffic
    memory: dict[str, int]


def available() -> bool:
    """Says whether libtpu is installed."""
    return importlib.util.find_spec("libtpu") is not None


def devices(kind: str) -> Any:
    """Describes the 8 chips of a slice; call it before anything else of JAX."""
    topology, accelerator = KINDS[kind]
    os.environ |= {
        # The compiler recurses deeply: with the default stack it dies on WGAN-GP's ResNet for v6e
        "LIBTPU_INIT_ARGS": f"--fibers_default_thread_stack_size={128 * 2**20}",
        # No TPU is looked for, though libtpu is loaded.
        "JAX_PLATFORMS": "cpu",
        # A TPU machine would ask its metadata server (MDS); the last three say what that would.
        "TPU_SKIP_MDS_QUERY": "1",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_WORKER_ID": "0",
        "TPU_ACCELERATOR_TYPE": accelerator,
    }
    return topologies.get_topology_desc(topology, platform="tpu").devices


def compile_step(algorithm: Any, state: Any, batch: Any, mesh: Any) -> Compiled:
    """Compiles `parallel.sharded_step` for the mesh's devices, from shapes, its state donated."""
    # The state is whole on every chip, the batch [n_critic, B, ...] is divided over B.
    everywhere = NamedSharding(mesh, PartitionSpec())
    split = NamedSharding(mesh, PartitionSpec(None, "data"))
    jitted = jax.jit(
        algorithm.step,
        in_shardings=(everywhere, split),
        out_shardings=(everywhere, everywhere),
        # The loop donates the state, too: otherwise two states would be resident.
        donate_argnums=0,
    )
    with jax.set_mesh(mesh):
        compiled = jitted.lower(state, batch).compile()
    sizes: Any = compiled.memory_analysis()
    cost: Any = compiled.cost_analysis()
    text: Any = compiled.as_text()
    return Compiled(
        flops=cost["flops"],
        traffic=read_traffic(text, batch.shape[0]),
        memory={
            "arguments": sizes.argument_size_in_bytes,
            # Results that took a donated argument's memory are counted with the arguments.
            "results": sizes.output_size_in_bytes - sizes.alias_size_in_bytes,
            "buffers": sizes.temp_size_in_bytes,
            "code": sizes.generated_code_size_in_bytes,
        },
    )


# --- the compiled program's text ------------------------------------------------------------------


def _memory_bytes(instruction: hlo.Instruction, sizes: dict[str, int]) -> int:
    """Counts the bytes in HBM that an instruction reads and writes."""
    # An asynchronous pair is counted at its start.
    if instruction.op in hlo.FREE or instruction.op.endswith("-done"):
        return 0
    if instruction.op in ("copy-start", "slice-start"):  # (to, from, context) in some order
        # The context is a word of 4 bytes. The smaller array is what is copied, and it counts once
        # for each end that lies in HBM.
        arrays = [pair for pair in instruction.arrays if pair[0] > 4] or instruction.arrays[:2]
        return min(size for size, _ in arrays) * sum(in_memory for _, in_memory in arrays)
    # `sizes` has of each operand only what lies in HBM.
    read = sum(sizes.get(name, 0) for name in instruction.operands)
    return read + sum(size for size, in_memory in instruction.arrays if in_memory)


def read_traffic(text: str, trips: int) -> Traffic:
    """Counts the traffic of a compiled step whose loop over critic updates runs `trips` times.

    Raises:
      ValueError: if the program has a loop inside a loop, whose runs are not known here.
    """
    computations = hlo.instructions(text)

    def add(name: str, times: int) -> Traffic:
        sizes = {
            i.name: sum(size for size, in_memory in i.arrays if in_memory)
            for i in computations[name]
        }
        memory, network, count = 0.0, 0.0, 0
        for instruction in computations[name]:
            if instruction.op == "while":
                if times > 1:
                    raise ValueError(f"program has a loop in the loop {name}: not known how long")
                inner = add(instruction.called("body"), trips)
                memory, network = memory + inner.memory, network + inner.network
                count += inner.collectives
            memory += times * _memory_bytes(instruction, sizes)
            # Collectives come alone or as a pair, of which the start counts.
            if instruction.op.removesuffix("-start") in _COLLECTIVES:
                network += times * sum(size for size, _ in instruction.arrays)
                count += times
        return Traffic(memory, network, count)

    return add("ENTRY", 1)
