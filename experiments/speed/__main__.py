"""How fast a training step is, through the public algorithms and the public loop.

    python -m experiments.speed dcgan32 --json
    python -m experiments.speed tiny_mlp --seeds 64 --json
    python -m experiments.speed --all --peer "python torch_peer.py"
    python -m experiments.speed --penalty-cost
    python -m experiments.speed dcgan32 --convolution lax --chunk-steps 1 --seconds 1 --json
    python -m experiments.speed --gpu --json      # ten minutes on a GPU, see gpu.py

One iteration is one generator update with all its critic updates; with --seeds K, K runs in one
program, and iterations of all of them are counted. Roofline: the arithmetic of an iteration over
the rate of a 2048 x 2048 x 2048 float32 matrix product (8192 on an accelerator) timed in the same
run; `roofline_share` is of the multiplications that are done, `nominal_share` of those of the
networks as written down (resnet32 and began32 join upsampling and pooling to the convolution beside
them, 4/9 of the work).

--peer is another program that times the same cases: `COMMAND CASE --iterations N --layout L` must
print a JSON line with iterations_per_second and cpu_seconds_per_iteration. The two sides run
alternately, --repeats times, with both of its layouts; medians are compared, its better layout
counts. Nothing is taken from JAX's compilation cache. `cases.py` describes the cases.
"""

import dataclasses
import json
import resource
import shlex
import statistics
import subprocess
import sys
from typing import Any

import jax

from experiments.speed import cases, gpu, penalty, tables, timing
from experiments.speed.cases import CASES, MLPS
from jwgan import joined, many
from jwgan.run import command, options, sweep_build, xla
from jwgan.run.options import option

# PyTorch's names of an image's memory layouts. Which one is faster depends on the case.
LAYOUTS = ("channels_last", "contiguous")


@dataclasses.dataclass(frozen=True)
class Config:
    case: str = option("", "one of " + ", ".join(CASES), optional=True)
    all: bool = option(False, "every case, each in a process of its own, and the table")
    seeds: int = option(1, "runs side by side in one program", at_least=1)
    peer: str = option("", "command that times the other side; with --gpu 'PYTHON FILE.py'")
    repeats: int = option(
        3, "timings, alternating with the peer's; medians are reported", at_least=1
    )
    seconds: float = option(5.0, "of one timing, about", above=0)
    devices: int | None = option(None, "of the seeds; default: cores of a CPU that divide them")
    join: bool = option(False, "call the networks as seldom as they can be, see jwgan.joined")
    chunk_steps: int | None = option(
        None, "iterations in one program; default: the case's", at_least=1
    )
    penalty_cost: bool = option(False, "a critic update with the penalty against one with clipping")
    gpu: bool = option(False, "ten minutes on a GPU: every part of gpu.py, the most telling first")
    gpu_part: str = option("", "only this part of gpu.py, in this process")
    dry_run: bool = option(False, "with --gpu: small networks, to try the script on any device")
    out: str = option("", "with --gpu: JSON file that is written again after every part")
    convolution: str = option("jwgan", "jwgan's closed family, or lax (dcgan32 only)")
    json: bool = option(False, "print one line of JSON at the end")


def case_program(config: Config) -> timing.Program:
    """Compiles the program of a case, with all its seeds."""
    parts = cases.players(config.case, config.convolution)
    called = joined.with_joined_calls if config.join else lambda algorithm: algorithm
    make = lambda: called(cases.member(config.case, parts))
    algorithm, source = make(), parts.source
    # A single run has one key [], K of them side by side have [K].
    keys = jax.random.key(0)
    if config.seeds > 1:
        # Seeds need not talk to each other, so each core can have some of them.
        mesh = sweep_build.make_mesh(config.seeds, config.devices)
        runs = many.trials(
            make,
            lambda n_critic: parts.source,
            seeds=range(config.seeds),
            n_critic=source.batch.shape[0],
            mapped=many.divided(mesh) if mesh else jax.vmap,
        )
        algorithm, source, keys = runs.algorithm, runs.source, runs.keys
    length = config.chunk_steps or cases.CHUNK_STEPS.get(config.case, 2)
    return timing.Program(algorithm, source, length, keys)


def ask_peer(config: Config, layout: str, iterations: int) -> timing.Timing:
    """Asks the other side for one timing.

    Raises:
      ValueError: if the command fails or prints no such JSON.
    """
    words = [*shlex.split(config.peer), config.case, "--iterations", str(iterations)]
    try:
        # The peer is a process of its own: neither side's threads or memory are in the other's way.
        done = subprocess.run(
            [*words, "--layout", layout], stdout=subprocess.PIPE, text=True, check=True
        )
        said = json.loads(done.stdout.strip().splitlines()[-1])
        return timing.Timing(said["iterations_per_second"], said["cpu_seconds_per_iteration"])
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError, KeyError) as error:
        raise ValueError(f"peer is {config.peer!r}: it gave no timing ({error})") from error


def compare(
    config: Config, ours: list[timing.Timing], peer: dict[str, list[timing.Timing]]
) -> dict[str, Any]:
    """Finds the peer's better layout, and the ratio of the medians; {} without a peer."""
    if not peer:
        return {}
    found = {layout: timing.medians(timings) for layout, timings in peer.items()}
    # The peer's better layout counts, so that the ratio is never flattered.
    layout = max(found, key=lambda name: found[name]["iterations_per_second"])
    rate = timing.medians(ours)["iterations_per_second"]
    # `goal` is None for a number of seeds that has none; the table then has an empty cell.
    goal = cases.GOALS.get((config.case, config.seeds))
    return {
        "peer": {"layout": layout, **found[layout]},
        "ratio": float(f"{rate / found[layout]['iterations_per_second']:.3g}"),
        "goal": goal,
    }


def measure(config: Config) -> dict[str, Any]:
    """Times the loop on one case, alternating with the peer if there is one."""
    # XLA reads both settings when the first array is made, so they come before anything else.
    xla.use_eigen()
    if config.seeds > 1:
        xla.use_cores(config.seeds, config.devices)
    program = case_program(config)
    repeats = timing.repeats_in(program, config.seconds)
    ours: list[timing.Timing] = []
    # `products` has GFLOP/s of the matrix product, two for each timing.
    products: list[float] = []
    # A multilayer perceptron has no layout.
    layouts = LAYOUTS[:1] if config.case in MLPS else LAYOUTS
    peer: dict[str, list[timing.Timing]] = {layout: [] for layout in layouts if config.peer}
    # The two sides take turns: a machine that gets busy slows both. The matrix product, which is
    # the roofline, is timed right before and right after.
    for _ in range(config.repeats):
        products.append(timing.matmul_gflops())
        ours.append(timing.clock(program, repeats, program.iterations))
        products.append(timing.matmul_gflops())
        # The peer is given iterations for about as many seconds, if the ratio is what the goal
        # says.
        expected = ours[-1].iterations_per_second / cases.GOALS.get((config.case, config.seeds), 1)
        for layout, timings in peer.items():
            timings.append(ask_peer(config, layout, max(1, round(config.seconds * expected))))
    found = timing.medians(ours)
    rate, product = found["iterations_per_second"], statistics.median(products)
    # `nominal` counts the networks as written, `done` what is left of them to do.
    nominal, done = (cases.iteration_gflop(config.case, less) for less in (False, True))
    return {
        "case": config.case,
        "device": jax.devices()[0].device_kind,
        "convolution": config.convolution,
        "seeds": config.seeds,
        "joined": config.join,
        **found,
        "gflop_per_iteration": float(f"{done:.4g}"),
        "nominal_gflop_per_iteration": float(f"{nominal:.4g}"),
        "matmul_gflops": round(product, 1),
        "roofline_share": round(done * rate / product, 3),
        "nominal_share": round(nominal * rate / product, 3),
        "compile_seconds": round(program.compile_seconds, 2),
        "trace_seconds": round(program.trace_seconds, 2),
        # Linux reports KiB. The peak is of the whole process, compilation included.
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **compare(config, ours, peer),
    }


def penalty_cost(config: Config) -> dict[str, Any]:
    """Times critic updates: {case: milliseconds with the penalty and with clipping, the ratio}."""
    xla.use_eigen()
    chosen = [config.case] if config.case else cases.PENALISED
    costs = {}
    for name in chosen:
        options.require_choice("case", name, cases.PENALISED)
        ways = penalty.programs(name)
        times: dict[str, list[float]] = {way: [] for way in ways}
        # Either way gets as many runs as fill its time.
        repeats = {way: timing.repeats_in(run, config.seconds) for way, run in ways.items()}
        for _ in range(config.repeats):
            for way, run in ways.items():
                # A run is N_CRITIC critic updates, each counted as one.
                timed = timing.clock(run, repeats[way], cases.N_CRITIC)
                times[way].append(1e3 / timed.iterations_per_second)
        costs[name] = {way: float(f"{statistics.median(ms):.4g}") for way, ms in times.items()}
        costs[name]["ratio"] = round(costs[name]["penalty_ms"] / costs[name]["clipping_ms"], 2)
    return costs


def run_all(config: Config) -> list[dict[str, Any]]:
    """Times every case with a goal in a fresh process, whose memory and threads are its own."""
    results = []
    for case, seeds in cases.GOALS:
        flags = ["--peer", config.peer] if config.peer else []
        flags += ["--join"] if config.join else []
        flags += ["--seeds", str(seeds), "--repeats", str(config.repeats)]
        words = [sys.executable, "-m", "experiments.speed", case, *flags]
        done = subprocess.run(
            [*words, "--seconds", str(config.seconds), "--json"],
            stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ValueError(f"{case} with {seeds} seeds failed with code {done.returncode}")
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{case}, {seeds} seeds: {results[-1]}", file=sys.stderr)
    return results


def check(config: Config) -> None:
    """Raises ValueError for options that fit nothing."""
    if config.dry_run and not (config.gpu or config.gpu_part):
        raise ValueError("dry_run is True: give --gpu beside it")
    if config.out and not config.gpu:
        raise ValueError(f"out is {config.out!r}: give --gpu beside it")
    if not (config.all or config.penalty_cost or config.gpu or config.gpu_part):
        options.require_choice("case", config.case, CASES)
    options.require_choice("convolution", config.convolution, ("jwgan", "lax"))
    # `lax_players` has no other case's networks.
    if config.convolution == "lax" and config.case != "dcgan32":
        raise ValueError(f"convolution is 'lax': the case is {config.case}, give dcgan32")


def run(config: Config) -> dict[str, Any]:
    """Times what the options ask for.

    Raises:
      ValueError: options that fit nothing, or a peer that gives no timing.
    """
    check(config)
    if config.gpu_part:
        return gpu.measure(config.gpu_part, config.dry_run)
    if config.gpu:
        return gpu.run(config.dry_run, config.peer, config.out)
    if config.penalty_cost:
        return penalty_cost(config)
    return {"cases": run_all(config)} if config.all else measure(config)


def setup() -> None:
    """Compiles everything anew: the seconds of compiling are part of the result."""
    jax.config.update("jax_enable_compilation_cache", False)


def text(config: Config, result: dict[str, Any]) -> str:
    """Writes what is printed."""
    if config.all and not config.json:
        return tables.comparison(result["cases"])
    return command.as_json(config, result)


def main(argv: list[str] | None = None) -> None:
    command.run(Config, run, __doc__, argv=argv, positional="case", setup=setup, text=text)


if __name__ == "__main__":
    main()
