"""Predicts runs at the papers' sizes on chips that are not here: work, bytes, memory, steps/s.

    python -m experiments.plan --json
    python -m experiments.plan --measure --json      # the same steps, timed on the chip here
    python -m experiments.plan --compile h100 --json # what one GPU's programs do, see gpu.py

Rows: WGAN-GP on CIFAR-10 (ResNet, batch 64, 5 critic updates) and BEGAN on 128x128 images (n 128,
batch 16), each with float32 and with bfloat16 networks (`networks.in_dtype`; penalties stay in
float32), on one H100, and on 8 TPU chips that share the batch (`parallel.sharded_step`).

Peak numbers, from the vendors' data sheets (dense; a chip each):

    H100 SXM  989.4 TFLOP/s bfloat16, 494.7 TF32, 67 float32; 80 GB at 3.35 TB/s
              (NVIDIA H100 Tensor Core GPU data sheet, which lists twice that "with sparsity")
    TPU v5e   197 TFLOP/s bfloat16, 16 GB at 819 GB/s, links 400 GB/s in both directions together
    TPU v6e   918 TFLOP/s bfloat16, 32 GB at 1640 GB/s, links 800 GB/s
              (docs.cloud.google.com/tpu/docs/v5e and /v6e)

By default JAX multiplies float32 arrays in TF32 on an H100 and in one bfloat16 pass on a TPU: hence
those peaks for float32, and a row "H100 without TF32" for `jax_default_matmul_precision=highest`.
(So a float32 penalty's products are rounded too, unless that is set.)
A slice of 2x4 chips has no ring but one through all 8; it uses two of a chip's four links, in both
directions: a quarter of the data sheet's number is what a chip can send.

Assumed, not measured: 40 % of the arithmetic peak, 70 % of memory's and links' rates, 10
microseconds for every collective beside its bytes. Arithmetic and memory overlap, the network waits
for both. So a row is an estimate of its order: the step's time is max(compute, memory) + network.
One H100 reached a quarter to three quarters of it (experiments/results/plan-h100.json): what small
convolutions lack is not bytes or products but work for all of the chip.

Work is counted by `experiments.export.programs`. H100: memory traffic is twice the operands and
results of all convolutions (each once for itself, once for the element-wise work around it), its
memory the state and an upper estimate of activations. TPU: traffic, memory and collectives are
those of the program that libtpu compiles here for such a slice, see `experiments.plan.topology`;
without libtpu the rows have what is known without it, and "missing" says what is not. XLA's own
operation count has a loop's body once, so it is multiplied by the ratio of our counts with all
critic updates and with one. The 8 compilations take half an hour on two busy cores.
"""

import concurrent.futures
import dataclasses
import json
import os
import subprocess
import sys
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.export import papers, programs
from experiments.plan import chips, gpu, topology
from experiments.speed import timing
from jwgan import networks, parallel, sources
from jwgan.run import command, options
from jwgan.run.options import option

MEMBERS = ("wgan_gp", "began")
PRECISIONS = ("float32", "bfloat16")
NO_LIBTPU = (
    'libtpu is not installed; pip install "jax[tpu]", of the version of jax that is here, into a '
    "separate environment"
)


@dataclasses.dataclass(frozen=True)
class Config:
    compile: str = option(
        "", "only compile KIND/MEMBER/PRECISION, for example v5e/began/float32; h100: all members"
    )
    measure: bool = option(False, "time the steps on noise on the device that is here, no estimate")
    json: bool = option(False, "print one line of JSON at the end")


# --- what the programs need -----------------------------------------------------------------------


def algorithm_of(member: str, precision: str) -> Any:
    """Builds a member on its paper's networks in a precision."""
    low = lambda network: networks.in_dtype(network, jnp.bfloat16)
    return papers.build(member, network=low) if precision == "bfloat16" else papers.build(member)


class Counted(NamedTuple):
    """A step's whole work, counted without a compiler."""

    work: Any  # programs.Work
    one_update: float  # operations of a step with one critic update
    state: int  # bytes
    gradients: int  # bytes, of all updates of a step


def count(member: str, precision: str) -> Counted:
    """Counts the work of a member's step."""
    algorithm = algorithm_of(member, precision)
    state, batch = papers.state(member), papers.batch(member)
    # `one` is a batch for one critic update: the two counts tell how often the loop's body runs.
    one = jax.ShapeDtypeStruct((1, *batch.shape[1:]), batch.dtype)
    # The work is counted for "cuda": there the native convolutions are one operation each, which
    # can be counted.
    work, single = (
        programs.work(jax.jit(algorithm.step).trace(state, real), "cuda") for real in (batch, one)
    )
    critic, generator = (programs.num_bytes(p.params) for p in (state.critic, state.generator))
    # The critic's gradients are combined at every update, the generator's once.
    gradients = batch.shape[0] * critic + generator
    return Counted(work, single.gflop * 1e9, programs.num_bytes(state), gradients)


def compile_one(program: str) -> dict[str, Any]:
    """Compiles one chip's program, named KIND/MEMBER/PRECISION, and reads what it does.

    KIND h100 alone compiles every member, see `compile_for_gpu`.
    """
    # The list is padded, so that a name that is too short ends in `require_choice`'s error.
    kind, member, precision = [*program.split("/"), "", ""][:3]
    options.require_choice("kind", kind, ("h100", *topology.KINDS))
    if kind == "h100":
        return compile_for_gpu(program)
    options.require_choice("member", member, MEMBERS)
    options.require_choice("precision", precision, PRECISIONS)
    if not topology.available():
        raise ValueError(f"compile is {program!r}: {NO_LIBTPU}")
    # Nothing of JAX has run before: libtpu reads its environment when it is loaded.
    devices = topology.devices(kind)
    compiled = topology.compile_step(
        algorithm_of(member, precision),
        papers.state(member),
        papers.batch(member),
        parallel.data_mesh(devices),
    )
    traffic = compiled.traffic._asdict()
    return {"flops": compiled.flops, **traffic, "resident": compiled.memory}


def compile_for_gpu(program: str) -> dict[str, Any]:
    """Compiles h100/MEMBER/PRECISION; h100 alone: every member, those of the plan in both."""
    _, member, precision = [*program.split("/"), "", ""][:3]
    chosen = [(name, "float32") for name in (*gpu.CASES, *papers.MEMBERS)]
    chosen += [(name, "bfloat16") for name in MEMBERS]
    if member or precision:
        options.require_choice("member", member, (*gpu.CASES, *papers.MEMBERS))
        options.require_choice("precision", precision or "float32", PRECISIONS)
        chosen = [(member, precision or "float32")]
    if not gpu.available():
        raise ValueError(f"compile is {program!r}: {gpu.NO_PLUGIN}")
    # With the plugin installed JAX looks for a GPU.
    jax.config.update("jax_platforms", "cpu")

    def row(what: tuple[str, str]) -> dict[str, Any]:
        found = gpu.row(*what, None if what[0] in gpu.CASES else algorithm_of(*what))
        print(json.dumps(found), file=sys.stderr)
        return found

    # Several at a time: a compilation is for the most part one thread.
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        rows = list(pool.map(row, chosen))
    return {"jax": jax.__version__, "assumed": gpu.ASSUMED, "rows": rows}


def compile_apart(program: str, missing: list[str]) -> dict[str, Any] | None:
    """Runs `compile_one` in a process of its own; None, and a line in `missing`, if it failed.

    The compiler may end its process, and libtpu knows one kind of chip in a process.
    """
    began = time.perf_counter()
    command = [sys.executable, "-m", "experiments.plan", "--compile", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(f"{program}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    if done.returncode == 0:
        return json.loads(done.stdout.strip().splitlines()[-1])
    # Only the end is shown: a compiler's message can be very long.
    print(done.stderr[-2000:], file=sys.stderr)
    missing.append(f"compiled figures of {program}: exit code {done.returncode}")
    return None


# --- the plan -------------------------------------------------------------------------------------


def gpu_rows(member: str, precision: str, counted: Counted) -> list[dict[str, Any]]:
    """Estimates a step on every GPU that can compute in its types."""
    work, rows = counted.work, []
    for name, chip in chips.GPUS.items():
        # The H100 without TF32 is a row of float32 alone.
        if set(work.flops) <= set(chip.flops):
            what = {"member": member, "networks": precision, "chips": f"1 x {name}"}
            # Traffic counts twice, for the element-wise work around each product, see the document.
            load = chips.Load(work.flops, 2 * work.traffic)
            rows.append(chips.row(what, load, chip, 1, counted.state + work.peak))
    return rows


def tpu_load(counted: Counted, compiled: dict[str, Any] | None) -> tuple[chips.Load, float | None]:
    """Finds (work of one of 8 chips, bytes resident on it): the compiler's, where there are any."""
    # Chips share the batch, so each has its part of the products.
    flops = {dtype: n / chips.CHIPS for dtype, n in counted.work.flops.items()}
    if compiled is None:
        return chips.Load(flops, None, counted.gradients), None
    # The compiler counts a loop's body once: its count over ours of a step with one update.
    scale = compiled["flops"] / (counted.one_update / chips.CHIPS)
    load = chips.Load(
        {dtype: scale * n for dtype, n in flops.items()},
        compiled["memory"],
        compiled["network"],
        compiled["collectives"],
    )
    return load, sum(compiled["resident"].values())


def plan() -> dict[str, Any]:
    """Estimates all rows, and says what is missing in them."""
    if "JAX_PLATFORMS" not in os.environ:
        jax.config.update("jax_platforms", "cpu")  # with libtpu installed JAX looks for a TPU
    missing: list[str] = []
    if not topology.available():
        missing.append(f"memory traffic, memory and collectives on TPUs: {NO_LIBTPU}")
    rows, counts = [], {}
    for member in MEMBERS:
        for precision in PRECISIONS:
            counted = count(member, precision)
            work = counted.work
            counts[f"{member} {precision}"] = {
                "gflop": {dtype: round(n / 1e9, 1) for dtype, n in work.flops.items()},
                "convolution_traffic_gb": round(work.traffic / 1e9, 2),
                "activations_gb": round(work.peak / 1e9, 3),
                "state_mb": round(counted.state / 1e6, 1),
                "gradient_mb": round(counted.gradients / 1e6, 1),
            }
            rows += gpu_rows(member, precision, counted)
            for kind, chip in chips.TPUS.items():
                compiled = None
                if topology.available():
                    compiled = compile_apart(f"{kind}/{member}/{precision}", missing)
                what = {"member": member, "networks": precision, "chips": f"{chips.CHIPS} x {kind}"}
                # `source` tells a reader which rows rest on a compiler, and which on our counts
                # alone.
                what["source"] = "counted" if compiled is None else "compiled"
                load, resident = tpu_load(counted, compiled)
                rows.append(chips.row(what, load, chip, chips.CHIPS, resident))
    return {
        "assumed": {
            "share_of_arithmetic_peak": chips.COMPUTE_SHARE,
            "share_of_memory_rate": chips.MEMORY_SHARE,
            "share_of_link_rate": chips.LINK_SHARE,
            "microseconds_per_collective": chips.COLLECTIVE_SECONDS * 1e6,
        },
        "missing": missing,
        "step": counts,
        "rows": rows,
    }


# --- the same on the chip that is here ------------------------------------------------------------

# networks, and JAX's setting for products of float32 (None: its default, TF32 on an H100)
MEASURED = (("float32", None), ("float32", "highest"), ("bfloat16", None))
MEASURED_STEPS, MEASURED_SECONDS = 10, 5.0  # in a program; of a timing


def measure_one(algorithm: Any, batch: Any) -> dict[str, Any]:
    """Times the loop's program on 2048 images of noise; `batch` is a step's shape."""
    draw = jax.jit(lambda key: jax.random.uniform(key, (2048, *batch.shape[2:]), minval=-1.0))
    n_critic, batch_size = batch.shape[:2]
    images = draw(jax.random.key(0))
    source = sources.from_array(images, n_critic=n_critic, batch_size=batch_size)
    # This is the loop's own program, so dispatch and the reading of data are part of the time.
    program = timing.Program(algorithm, source, MEASURED_STEPS, jax.random.key(0))
    repeats = timing.repeats_in(program, MEASURED_SECONDS)
    rates = timing.medians([timing.clock(program, repeats, program.iterations) for _ in range(3)])
    memory = program.run_chunk.memory_analysis()
    # The images are no part of the estimate, so not of what it is compared with.
    held = (memory.argument_size_in_bytes - images.nbytes, memory.temp_size_in_bytes)
    return {
        "steps_per_second": rates["iterations_per_second"],
        "each": rates["each"],
        "resident_gb": round(sum(held) / 1e9, 3),
        "compile_seconds": round(program.compile_seconds, 1),
        "finite": all(bool(jax.numpy.isfinite(x).all()) for x in jax.tree.leaves(program())),
    }


def measure() -> dict[str, Any]:
    """Times every member and precision of the plan on one device."""
    # The seconds of compiling are reported, so they must not come from the cache.
    jax.config.update("jax_enable_compilation_cache", False)
    rows = []
    for member in MEMBERS:
        for precision, products in MEASURED:
            with jax.default_matmul_precision(products):
                found = measure_one(algorithm_of(member, precision), papers.batch(member))
            what = {"member": member, "networks": precision, "products": products or "default"}
            rows.append({**what, **found})
            print(json.dumps(rows[-1]), file=sys.stderr)
    return {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """Writes the plan as a table for the terminal."""
    head = ["member", "networks", "chips", "gflop", "traffic GB", "resident GB", "network MB"]
    lines = [[*head, "limit", "steps/s"]]
    for one in result["rows"]:
        keys = ["gflop_per_chip", "memory_traffic_gb_per_chip", "resident_gb_per_chip"]
        keys += ["network_mb", "limit", "steps_per_second"]
        lines.append([one[key] for key in ("member", "networks", "chips", *keys)])
    # A figure that needs libtpu is "?" without it.
    text = ["  ".join(f"{'?' if x is None else x!s:>17}" for x in line) for line in lines]
    return "\n".join([*text, *(f"missing: {what}" for what in result["missing"])])


def run(config: Config) -> dict[str, Any]:
    """Measures, compiles one program, or plans, as the options say."""
    if config.measure:
        return measure()
    return compile_one(config.compile) if config.compile else plan()


def text(config: Config, result: dict[str, Any]) -> str:
    """Writes what is printed."""
    as_json = config.json or config.compile or config.measure
    return json.dumps(result) if as_json else table(result)


def main(argv: list[str] | None = None) -> None:
    # No setup: the programs that are counted are those that the user's own flags make.
    command.run(Config, run, __doc__, argv=argv, setup=lambda: None, text=text)


if __name__ == "__main__":
    main()
