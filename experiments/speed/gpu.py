"""Ten minutes on a GPU: the most telling timings first, each kept as soon as it is there.

    python -m experiments.speed --gpu --peer "python torch_peer.py" --json
    python -m experiments.speed --gpu --out timings.json      # written again after every part
    python -m experiments.speed --gpu --dry-run --json        # small networks, on any device

Every part is a process of its own: XLA reads its flags once, and a part that does not fit the card
costs no other. A part that takes longer than its share of the time is given up; what has not begun
when the time is up is listed under "left_out". The parts:

* resnet: WGAN-GP on its paper's ResNet, batch 64 and 256; began128: BEGAN on 128x128 images, batch
  16; tiny_mlp and dcgan32 as in `cases`, alone and with seeds side by side;
* float32 is JAX's default for it, TF32 on a GPU; bfloat16 is that of the networks;
* networks are called as a run calls them on a GPU (`jwgan.joined`); apart: one batch after another;
* graphs, conv_fusion, nchw: with these of XLA's flags, see `jwgan.run.xla.GPU_FLAGS`;
* torch_graph, torch_eager, torch_compile: PyTorch's side, see `torch_gpu`; with --peer alone, which
  is then "PYTHON FILE.py": a Python that has PyTorch, and the file with its networks;
* first_picture: seconds from a start of `experiments.wgan_gp` to its first picture, with an empty
  compilation cache and with a full one.

The first part of every case has a profile of at least 20 steps, too: the share of the time in which
any kernel ran, how many ran in a step, and which took longest.
"""

import contextlib
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jwgan
from experiments.export import papers
from experiments.speed import cases, kernels, timing
from jwgan import files, joined, many, networks, priors, sources
from jwgan.models import dcgan
from jwgan.run import options, xla

SECONDS = 600.0  # of all parts together
MEMBERS = {"resnet": "wgan_gp", "began128": "began"}  # on their papers' networks
STEPS = {"tiny_mlp": 200, "dcgan32": 20}  # in one program; 10 of the others
PROFILED_STEPS = 20  # at least, and whole programs
TORCH = pathlib.Path(__file__).with_name("torch_gpu.py")


class Part(NamedTuple):
    """One timing: a case, or "first_picture".

    Attributes:
      case: as in the document.
      precision: of the networks.
      batch_size: None for the case's.
      seeds: side by side.
      flags: a name in `xla.GPU_FLAGS`.
      torch: PyTorch's way, or "" for ours.
      apart: whether the networks are called for each batch alone.
      profile: whether its kernels are looked at.
      seconds: after which it is given up.
    """

    case: str
    precision: str = "float32"
    batch_size: int | None = None
    seeds: int = 1
    flags: str = ""
    torch: str = ""
    apart: bool = False
    profile: bool = False
    seconds: float = 75.0

    @property
    def name(self) -> str:
        """What tells it from the others, for example resnet_256_bfloat16_graphs."""
        words = [self.case, str(self.batch_size or ""), self.torch and f"torch_{self.torch}"]
        words += ["bfloat16" if self.precision == "bfloat16" else "", self.flags]
        words += [f"{self.seeds}_seeds" if self.seeds > 1 else "", "apart" if self.apart else ""]
        return "_".join(filter(None, words))


_LIST = (
    Part("resnet", profile=True),
    Part("resnet", torch="graph"),
    Part("resnet", "bfloat16"),
    Part("resnet", flags="graphs"),
    Part("resnet", apart=True),
    Part("tiny_mlp", profile=True),
    Part("tiny_mlp", torch="graph"),
    Part("dcgan32", profile=True),
    Part("dcgan32", torch="graph"),
    Part("began128", profile=True),
    Part("began128", torch="graph"),
    Part("first_picture", seconds=120.0),
    Part("tiny_mlp", flags="graphs"),
    Part("resnet", "bfloat16", torch="graph"),
    Part("tiny_mlp", seeds=64),
    Part("dcgan32", seeds=8),
    Part("resnet", torch="eager"),
    Part("resnet", batch_size=256),
    Part("resnet", batch_size=256, torch="graph"),
    Part("resnet", "bfloat16", 256),
    Part("resnet", flags="conv_fusion"),
    Part("resnet", flags="nchw"),
    Part("resnet", "bfloat16", flags="graphs"),
    Part("dcgan32", flags="graphs"),
    Part("resnet", torch="compile", seconds=120.0),
    Part("dcgan32", torch="eager"),
    Part("tiny_mlp", torch="eager"),
    Part("began128", torch="eager"),
    Part("began128", "bfloat16"),
    Part("dcgan32", torch="compile", seconds=120.0),
    Part("tiny_mlp", torch="compile", seconds=120.0),
    Part("began128", torch="compile", seconds=120.0),
)
PARTS = {part.name: part for part in _LIST}

# (part, what of it, at least or at most, the goal on one H100); a second part divides the first.
GOALS = (
    ("resnet", "", ">=", 100.0),
    ("resnet_bfloat16", "", ">=", 160.0),
    ("resnet", "resnet_torch_graph", ">=", 1.3),
    ("tiny_mlp", "tiny_mlp_torch_graph", ">=", 1.0),
    ("dcgan32", "dcgan32_torch_graph", ">=", 1.2),
    ("began128", "began128_torch_graph", ">=", 1.2),
    ("first_picture", "cold_seconds", "<=", 15.0),
    ("first_picture", "warm_seconds", "<=", 6.0),
)


def goals(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The goals whose parts were timed: what was asked for, what was found, whether it is met."""
    found = []
    for name, other, sign, goal in GOALS:
        key = other if other in rows.get(name, {}) else "iterations_per_second"
        value = rows.get(name, {}).get(key)
        if value is not None and key != other and other:
            divisor = rows.get(other, {}).get(key)
            value = value / divisor if divisor else None
        if value is not None:
            met = value >= goal if sign == ">=" else value <= goal
            what = f"{name} over {other}" if other and key != other else f"{name} {key}"
            found.append({"what": f"{what} {sign} {goal:g}", "is": round(value, 2), "met": met})
    return found


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
    """Times one part of ours on the device that is here.

    Raises:
      ValueError: there is no such part.
    """
    part = PARTS[options.require_choice("part", name, [n for n, p in PARTS.items() if not p.torch])]
    if part.case == "first_picture":
        return first_picture(dry)
    xla.use_gpu_flags(part.flags)
    algorithm, source = made(part, dry)
    algorithm = algorithm if part.apart else joined.with_joined_calls(algorithm)
    keys = jax.random.key(0)
    if part.seeds > 1:
        algorithm, source, keys = _side_by_side(algorithm, source, 2 if dry else part.seeds)
    program = timing.Program(algorithm, source, 2 if dry else STEPS.get(part.case, 10), keys)
    repeats = timing.repeats_in(program, 0.01 if dry else 2.0)
    rates = timing.medians([timing.clock(program, repeats, program.iterations) for _ in range(3)])
    memory = jax.devices()[0].memory_stats() or {}  # a CPU has none
    return {
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        **rates,
        "compile_seconds": round(program.compile_seconds, 1),
        "peak_memory_mb": memory.get("peak_bytes_in_use", 0) // 2**20,
        "finite": all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(program())),
        **({"profile": profile(program)} if part.profile else {}),
    }


def profile(program: timing.Program) -> dict[str, Any]:
    """What the device does in some steps, see `kernels.summary`, with the number of those steps."""
    runs = -(-PROFILED_STEPS // program.length)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(runs):
                info = program()
            jax.block_until_ready(info)
        found = kernels.summary(kernels.read(pathlib.Path(folder)))
    steps = runs * program.length
    return {"steps": steps, "kernels_per_step": round(found["kernels"] / steps, 1), **found}


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


def run(dry: bool, peer: str = "", out: str = "", seconds: float = SECONDS) -> dict[str, Any]:
    """Times part after part until the time is up or the user stops it; keeps what there is.

    Args:
      dry: small networks, on any device.
      peer: "PYTHON FILE.py" of PyTorch's side; "" leaves its parts out.
      out: a file that has the result after every part; "" for none.
      seconds: of all parts.

    Raises:
      ValueError: the peer is none.
      OSError: the file cannot be written.
    """
    if peer and len(shlex.split(peer)) != 2:
        raise ValueError(f"peer is {peer!r}: with --gpu give 'PYTHON FILE.py'")
    end = time.monotonic() + seconds
    rows: dict[str, Any] = {}
    left_out = [name for name, part in PARTS.items() if peer or not part.torch]
    result = lambda: {
        "dry_run": dry, "parts": rows, "goals": [] if dry else goals(rows), "left_out": left_out
    }  # fmt: skip
    try:
        while left_out and (left := end - time.monotonic()) > 0:
            name = left_out[0]
            limit = left if dry else min(left, PARTS[name].seconds)
            rows[name] = _apart(name, dry, peer, limit)
            left_out.pop(0)
            print(json.dumps({name: rows[name]}), file=sys.stderr, flush=True)
            if out:
                files.replace(pathlib.Path(out), json.dumps(result(), indent=1).encode())
    except KeyboardInterrupt:
        print("stopped; what was timed is kept", file=sys.stderr)
    return result()


def _command(name: str, dry: bool, peer: str) -> list[str]:
    """The words of a part's process."""
    part = PARTS[name]
    if not part.torch:
        words = [sys.executable, "-m", "experiments.speed", "--gpu-part", name, "--json"]
        return [*words, *(["--dry-run"] if dry else [])]
    python, file = shlex.split(peer)
    words = [python, str(TORCH), file, part.case, "--way", part.torch]
    words += ["--precision", part.precision]
    words += ["--batch-size", str(part.batch_size)] if part.batch_size and not dry else []
    return [*words, *(["--dry", "--seconds", "0.01"] if dry else [])]


def _apart(name: str, dry: bool, peer: str, seconds: float) -> dict[str, Any]:
    """Runs a part in a process; of one that failed the last line of what it said."""
    try:
        started = subprocess.Popen(
            _command(name, dry, peer),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return {"failed": str(error)}
    with started as process:
        try:
            said, complaint = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return {"failed": f"it took more than {seconds:.0f} s"}
        finally:
            # Nothing of a part may stay on the card: what it started is of its session.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        return {"failed": (complaint.strip().splitlines() or ["no word"])[-1][-500:]}
    return json.loads(said.strip().splitlines()[-1])
