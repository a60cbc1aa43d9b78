"""Ten minutes on a GPU: the most telling timings first, each kept as soon as it is there.

    python -m experiments.speed --gpu --json
    python -m experiments.speed --gpu --dry-run --json    # small networks, on any device

Every part is a process of its own: XLA reads its flags once, and a part that does not fit the card
costs no other. What has not begun when the time is up is listed under "left_out". PyTorch's side is
timed without --gpu, by a case and --peer. The parts:

* resnet: WGAN-GP on its paper's ResNet, batch 64 and 256; began128: BEGAN on 128x128 images, batch
  16; tiny_mlp and dcgan32 as in `cases`, alone and with seeds side by side;
* float32 is JAX's default for it, TF32 on a GPU; bfloat16 is that of the networks;
* graphs: with CUDA graphs of convolutions and loops too, which XLA leaves out by default;
* first_picture: seconds from a start of `experiments.wgan_gp` to its first picture, with an empty
  compilation cache and with a full one.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jwgan
from experiments.export import papers
from experiments.speed import cases, timing
from jwgan import many, networks, priors, sources
from jwgan.models import dcgan
from jwgan.run import options

GRAPHS = (
    "--xla_gpu_enable_command_buffer=+CONVOLUTION,+WHILE --xla_gpu_command_buffer_unroll_loops=true"
)
SECONDS = 600.0  # of all parts together
MEMBERS = {"resnet": "wgan_gp", "began128": "began"}  # on their papers' networks
STEPS = {"tiny_mlp": 200, "dcgan32": 20}  # in one program; 10 of the others


class Part(NamedTuple):
    """One timing: a case, or "first_picture"."""

    case: str
    precision: str = "float32"
    batch_size: int | None = None  # None: the case's
    seeds: int = 1
    graphs: bool = False


PARTS = {
    "resnet": Part("resnet"),
    "resnet_bfloat16": Part("resnet", "bfloat16"),
    "resnet_graphs": Part("resnet", graphs=True),
    "tiny_mlp": Part("tiny_mlp"),
    "tiny_mlp_graphs": Part("tiny_mlp", graphs=True),
    "dcgan32": Part("dcgan32"),
    "began128": Part("began128"),
    "first_picture": Part("first_picture"),
    "tiny_mlp_64_seeds": Part("tiny_mlp", seeds=64),
    "dcgan32_8_seeds": Part("dcgan32", seeds=8),
    "resnet_256": Part("resnet", batch_size=256),
    "resnet_256_bfloat16": Part("resnet", "bfloat16", 256),
    "resnet_bfloat16_graphs": Part("resnet", "bfloat16", graphs=True),
    "dcgan32_graphs": Part("dcgan32", graphs=True),
    "began128_bfloat16": Part("began128", "bfloat16"),
}


# --- one part, in its own process -----------------------------------------------------------------


def _small() -> tuple[Any, Any]:
    """A WGAN-GP of a few channels and its source, in place of every case with images."""
    shape = (8, 8, 1)
    players = map(jwgan.from_linen, (dcgan.DCGANCritic(shape, 4), dcgan.DCGANGenerator(shape, 4)))
    images = jnp.zeros((16, *shape))
    return jwgan.wgan_gp(*players, prior=priors.normal(4)), sources.from_array(
        images, n_critic=2, batch_size=4
    )


def made(part: Part, dry: bool) -> tuple[Any, Any]:
    """Builds (algorithm, source) of a part; with `dry` small ones."""
    if dry and part.case != "tiny_mlp":
        return _small()
    if part.case in cases.CASES:
        parts = cases.players(part.case)
        return cases.member(part.case, parts), parts.source
    low = lambda network: networks.in_dtype(network, jnp.bfloat16)
    changed = {"network": low} if part.precision == "bfloat16" else {}
    member = MEMBERS[part.case]
    n_critic, batch_size, *shape = papers.batch(member).shape
    images = jax.random.uniform(jax.random.key(0), (2048, *shape), minval=-1.0)
    source = sources.from_array(images, n_critic=n_critic, batch_size=part.batch_size or batch_size)
    return papers.build(member, **changed), source


def _side_by_side(algorithm: Any, source: Any, seeds: int) -> tuple[Any, Any, Any]:
    """So many seeds as one program: (algorithm, source, keys)."""
    n_critic = source.batch.shape[0]
    runs = many.trials(
        lambda: algorithm, lambda n_critic: source, seeds=range(seeds), n_critic=n_critic
    )
    return runs.algorithm, runs.source, runs.keys


def measure(name: str, dry: bool) -> dict[str, Any]:
    """Times one part on the device that is here.

    Raises:
      ValueError: there is no such part.
    """
    part = PARTS[options.require_choice("part", name, tuple(PARTS))]
    if part.case == "first_picture":
        return first_picture(dry)
    algorithm, source = made(part, dry)
    keys = jax.random.key(0)
    if part.seeds > 1:
        algorithm, source, keys = _side_by_side(algorithm, source, 2 if dry else part.seeds)
    program = timing.Program(algorithm, source, 2 if dry else STEPS.get(part.case, 10), keys)
    repeats = timing.repeats_in(program, 0.01 if dry else 4.0)
    rates = timing.medians([timing.clock(program, repeats, program.iterations) for _ in range(3)])
    memory = jax.devices()[0].memory_stats() or {}  # a CPU has none
    return {
        "device": jax.devices()[0].device_kind,
        **rates,
        "compile_seconds": round(program.compile_seconds, 1),
        "peak_memory_mb": memory.get("peak_bytes_in_use", 0) // 2**20,
        "finite": all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(program())),
    }


def first_picture(dry: bool) -> dict[str, Any]:
    """Seconds to the first picture of `experiments.wgan_gp`, cold and warm."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cold", "warm"):
            words = ["--steps", "2" if dry else "50", "--no-quality", "--json"]
            words += ["--run-dir", os.path.join(folder, name), *(["--width", "4"] if dry else [])]
            # A cache of its own: the user's may be full.
            environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": os.path.join(folder, "cache")}
            done = subprocess.run(
                [sys.executable, "-m", "experiments.wgan_gp", *words],
                stdout=subprocess.PIPE, text=True, check=True, env=environment,
            )  # fmt: skip
            said = json.loads(done.stdout.strip().splitlines()[-1])
            found[f"{name}_seconds"] = said["seconds_to_first_picture"]
    return found


# --- all parts ------------------------------------------------------------------------------------


def run(dry: bool, seconds: float = SECONDS) -> dict[str, Any]:
    """Times part after part until the time is up or the user stops it; keeps what there is."""
    end, rows, left_out = time.monotonic() + seconds, {}, list(PARTS)
    try:
        while left_out and (left := end - time.monotonic()) > 0:
            name = left_out[0]
            rows[name] = _apart(name, dry, left)
            left_out.pop(0)
            print(json.dumps({name: rows[name]}), file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("stopped; what was timed is kept", file=sys.stderr)
    return {"dry_run": dry, "parts": rows, "left_out": left_out}


def _apart(name: str, dry: bool, seconds: float) -> dict[str, Any]:
    """Runs `measure` in a process; of one that failed the last line of what it said."""
    words = [sys.executable, "-m", "experiments.speed", "--gpu-part", name, "--json"]
    environment = dict(os.environ)
    if PARTS[name].graphs:
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {GRAPHS}".strip()
    try:
        done = subprocess.run(
            [*words, *(["--dry-run"] if dry else [])],
            capture_output=True, text=True, check=False, env=environment, timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"failed": "the time was up"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no word"])[-1][-500:]}
    return json.loads(done.stdout.strip().splitlines()[-1])
