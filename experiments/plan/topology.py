"""Compiles a data-sharded step for TPU chips that are not there, and reads what the compiler made.

libtpu brings the compiler of every TPU generation; nothing runs, and no TPU is looked for:

    pip install "jax[tpu]==YOUR_JAX_VERSION"

One process compiles for one kind of chip, since libtpu reads its environment when it is loaded.
XLA's own cost analysis counts a loop's body once and makes no difference between the chip's memory
(HBM) and the buffers that live on the chip; so bytes are read from the compiled program's text:
operands and results of every instruction that lie in HBM, times the runs of their loop.
"""

import importlib.util
import math
import os
import re
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec

# kind -> (topology of 8 chips, accelerator type)
KINDS = {"v5e": ("v5e:2x4", "v5litepod-8"), "v6e": ("v6e:2x4", "v6e-8")}
_BITS = {"pred": 8, "bf16": 16}  # other types end in their bits
# Instructions of these kinds name or group buffers; a loop's traffic is that of its body.
_NO_TRAFFIC = ("parameter", "constant", "get-tuple-element", "tuple", "bitcast", "while")
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


class _Instruction(NamedTuple):
    name: str
    op: str
    arrays: list[tuple[int, bool]]  # (bytes, whether in HBM) of every array of the result
    operands: list[str]
    line: str


def _arrays(text: str) -> list[tuple[int, bool]]:
    found = []
    for kind, sizes, layout in re.findall(r"([a-z]+\d*)\[([\d,]*)\](\{[^}]*\})?", text):
        # "f32" has 32 bits; a token has no number and no bytes.
        bits = _BITS.get(kind) or int(re.sub(r"\D", "", kind) or 0)
        count = math.prod(int(size) for size in sizes.split(",") if size)
        # "S(1)" in a layout is a memory space other than HBM, on the chip.
        found.append((bits * count // 8, "S(" not in layout))
    return found


def _instructions(text: str) -> dict[str, list[_Instruction]]:
    """Reads {computation: its instructions}; the entry's name is "ENTRY"."""
    computations: dict[str, list[_Instruction]] = {}
    current: list[_Instruction] = []
    for line in text.splitlines():
        # Computations begin at the margin, their instructions are indented.
        if line.endswith("{") and not line.startswith(" "):
            name = "ENTRY" if line.startswith("ENTRY") else line.split()[0].lstrip("%")
            current = computations.setdefault(name, [])
        made = re.match(r"\s+(?:ROOT )?%([\w.-]+) = (.*)", line)
        op = made and re.search(r" ([a-z][a-z0-9-]*)\(([^)]*)\)", made[2])
        if made and op:
            # Operands are names: their size is that of the instruction that made them.
            operands = re.findall(r"%([\w.-]+)", op[2])
            arrays = _arrays(made[2][: op.start()])
            current.append(_Instruction(made[1], op[1], arrays, operands, line))
    return computations


def _memory_bytes(instruction: _Instruction, sizes: dict[str, int]) -> int:
    """Counts the bytes in HBM that an instruction reads and writes."""
    # An asynchronous pair is counted at its start.
    if instruction.op in _NO_TRAFFIC or instruction.op.endswith("-done"):
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
    computations = _instructions(text)

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
                body = re.search(r"body=%([\w.-]+)", instruction.line)
                assert body is not None
                inner = add(body[1], trips)
                memory, network = memory + inner.memory, network + inner.network
                count += inner.collectives
            memory += times * _memory_bytes(instruction, sizes)
            # Collectives come alone or as a pair, of which the start counts.
            if instruction.op.removesuffix("-start") in _COLLECTIVES:
                network += times * sum(size for size, _ in instruction.arrays)
                count += times
        return Traffic(memory, network, count)

    return add("ENTRY", 1)
