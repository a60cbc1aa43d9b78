"""Exports every member's step and sampler, on its paper's models, for platforms that are not here.

    python -m experiments.export --platforms cuda tpu cpu --json
    python -m experiments.export wgan_gp began --platforms tpu
    python -m experiments.export --save RUN_DIR --out generator.bin
    python -m experiments.export --save RUN_DIR --onnx generator.onnx

The first forms lower and serialise the programs of `experiments.export.papers` by `jax.export`,
from shapes alone; nothing is allocated or run. For every member: operations (counted from the
operands' shapes of matrix products and convolutions in the accelerators' form, padding not
counted), bytes of parameters, of the state and of activations (an upper estimate: program order,
nothing fused), what would hurt on the platform (callbacks and unknown custom calls, float64,
dynamic shapes) and the artifacts' bytes. Exit code 1 if a program failed.

The third form writes a trained run's generator with its weights, for any batch size, on cpu, cuda
and tpu. Whoever has jax, numpy and flatbuffers, and nothing of this package, draws from it:

    import jax.export
    import numpy as np

    with open("generator.bin", "rb") as file:
        generator = jax.export.deserialize(bytearray(file.read()))
    size = generator.in_avals[0].shape[1:]  # of one latent
    z = np.random.default_rng(0).standard_normal((16, *size), np.float32)
    x = np.asarray(generator.call(z))  # 16 samples, images in [-1, 1]

(BEGAN's latents are uniform: `.uniform(-1, 1, (16, *size)).astype(np.float32)`.)

The fourth form writes it for other runtimes, and compares its samples with the original's;
jwgan/run/export.py says what that needs.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.export

from experiments import sample
from experiments.export import papers, programs
from jwgan import check
from jwgan.run import export as run_export
from jwgan.run import options, output


def export_program(function: Callable, shapes: Sequence[Any], platform: str) -> dict[str, Any]:
    """Exports a program for a platform: the bytes of its artifact, and what "hurts" there.

    "failed" is there, with the reason, if the program cannot be lowered or serialised.
    """
    jitted, text = jax.jit(function), ""
    result: dict[str, Any] = {}
    # Any exception: a missing rule is NotImplementedError, a foreign backend ValueError, and more.
    try:
        exported = jax.export.export(jitted, platforms=(platform,))(*shapes)
        # The text is kept from the export, so that a program is lowered once for each platform.
        text = exported.mlir_module()
        result["bytes"] = len(exported.serialize())
    except Exception as error:
        result["failed"] = check.one_line(error)
    if not text:  # Perhaps it can be lowered, though not serialised.
        with contextlib.suppress(Exception):
            text = jitted.trace(*shapes).lower(lowering_platforms=(platform,)).as_text()
    return result | {"hurts": programs.portability_problems(text, platform)}


def member_programs(algorithm: Any, state: Any, batch: Any) -> dict[str, tuple[Callable, list]]:
    """Makes a member's step and sampler (of a batch) flat: {name: (function, its shapes)}."""
    # The key is a shape alone; nothing is allocated.
    key = jax.eval_shape(lambda: jax.random.key(0))
    sample = lambda key, state: algorithm.sample(key, state, batch.shape[1])
    return {
        "step": programs.flat(algorithm.step, state, batch),
        "sampler": programs.flat(sample, key, state),
    }


def describe(algorithm: Any, state: Any, batch: Any, platforms: Sequence[str]) -> dict[str, Any]:
    """Counts what a member costs and exports it; "failed" lists the exports that did not work."""
    exported, problems, failed, gflop, peak = {}, [], [], {}, {}
    for name, (function, shapes) in member_programs(algorithm, state, batch).items():
        for platform in platforms:
            one = export_program(function, shapes, platform)
            problems += [f"{name}/{platform}: {what}" for what in one["hurts"]]
            failed += [f"{name}/{platform}: {one['failed']}"] if "failed" in one else []
            exported[f"{name}_{platform}"] = one.get("bytes")
        work = programs.work(jax.jit(function).trace(*shapes), "cuda")  # accelerators' kernels
        gflop[name], peak[name] = round(work.gflop, 3), int(work.peak)
    return {
        "gflop": gflop["step"],
        "gflop_sampler": gflop["sampler"],
        "critic_parameter_bytes": programs.num_bytes(state.critic.params),
        "generator_parameter_bytes": programs.num_bytes(state.generator.params),
        "state_bytes": programs.num_bytes(state),
        "activation_bytes": peak["step"],
        "artifact_bytes": exported,
        "hurts": problems,
        "failed": failed,
    }


def export_all(members: Sequence[str], platforms: Sequence[str]) -> dict[str, Any]:
    """Exports the members on their papers' models.

    Raises:
      ValueError: for an unknown member or platform.
    """
    # Platforms are checked before the first export, which takes long.
    for platform in platforms:
        options.require_choice("platform", platform, run_export.PLATFORMS)
    rows: dict[str, Any] = {}
    for member in members or papers.MEMBERS:
        setting, began = papers.setting(member), time.perf_counter()
        described = describe(
            papers.build(member), papers.state(member), papers.batch(member), platforms
        )
        rows[member] = {
            "model": setting.model,
            "batch": [setting.n_critic, setting.batch_size, *setting.shape],
            **described,
            "seconds": round(time.perf_counter() - began, 1),
        }
        print(f"{member}: {rows[member]['seconds']} s", file=sys.stderr)
    # Failures go to the end, where the exit code comes from.
    failed = [f"{member}/{reason}" for member in rows for reason in rows[member].pop("failed")]
    return {
        "jax": jax.__version__,
        "platforms": list(platforms),
        "counted": "2 per multiplication of matrix products and convolutions, padding left out",
        "members": rows,
        "failed": failed,
    }


def table(result: dict[str, Any]) -> str:
    """Writes the result as a table for the terminal."""
    lines = [f"{'member':12} {'gflop':>8} {'parameters':>11} {'activations':>12}  hurts"]
    for member, row in result["members"].items():
        parameters = row["critic_parameter_bytes"] + row["generator_parameter_bytes"]
        lines.append(
            f"{member:12} {row['gflop']:8.1f} {parameters / 1e6:8.1f} MB "
            f"{row['activation_bytes'] / 1e6:9.0f} MB  {'; '.join(row['hurts']) or 'nothing'}"
        )
    return "\n".join([*lines, *(f"failed: {reason}" for reason in result["failed"])])


# --- command line ---------------------------------------------------------------------------------


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # A bad option ends with the one line that all commands have, not with argparse's usage.
    setattr(parser, "error", lambda message: options.fail(f"{message}; see --help"))  # noqa: B010
    parser.add_argument("members", nargs="*", metavar="MEMBER", help="members (default: all)")
    parser.add_argument(
        "--platforms", nargs="+", default=list(run_export.PLATFORMS), metavar="PLATFORM"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON at the end")
    parser.add_argument("--save", metavar="RUN_DIR", help="save this run's generator instead")
    parser.add_argument("--out", default="generator.bin", help="its file")
    parser.add_argument("--onnx", metavar="FILE", help="write it as ONNX, in place of --out")
    parser.add_argument("--trial", type=int, default=0, help="of a run with --seeds or --sweep")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    given = arguments(argv)
    if "JAX_PLATFORMS" not in os.environ:
        jax.config.update("jax_platforms", "cpu")  # lowering needs no device
    try:
        if given.save:
            if given.onnx:
                found = run_export.save_onnx(given.save, sample.find, given.onnx, given.trial)
                text = run_export.describe_onnx(given.onnx, found)
                output.show(json.dumps(found) if given.json else text)
            else:
                run_export.save(given.save, sample.find, given.out, given.trial)
            return
        result = export_all(given.members, given.platforms)
    except (ValueError, OSError, check.MissingPackageError) as error:
        options.fail(error)
    output.show(json.dumps(result) if given.json else table(result))
    if result["failed"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
