"""Writes a trained run's generator, with its weights, as one file for cpu, cuda and tpu.

Whoever has jax, numpy and flatbuffers, and nothing of this package, draws from it:

    import jax.export
    import numpy as np

    with open("generator.bin", "rb") as file:
        generator = jax.export.deserialize(bytearray(file.read()))
    size = generator.in_avals[0].shape[1:]  # of one latent
    z = np.random.default_rng(0).standard_normal((16, *size), np.float32)
    x = np.asarray(generator.call(z))  # 16 samples, images in [-1, 1]

(BEGAN's latents are uniform: `.uniform(-1, 1, (16, *size)).astype(np.float32)`.)
"""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.export

from jwgan import check, files
from jwgan.run import options, output, reading, xla
from jwgan.run.options import option

PLATFORMS = ("cpu", "cuda", "tpu")


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `export`."""

    run_dir: str = option("", "the run's directory")
    out: str = option("generator.bin", "file to write")
    trial: int = option(0, "which one of a run with --seeds or --sweep, counted from 0")
    best: bool = option(False, "take the best checkpoint (by sliced distance), not the newest")


def export_generator(algorithm: Any, state: Any) -> Any:
    """z [b, *Z] -> x [b, *D] with the state's weights inside, a `jax.export.Exported`."""
    # The prior is asked for the shape and dtype of a latent; nothing is drawn.
    latent = jax.eval_shape(lambda: algorithm.prior(jax.random.key(0), 1))
    # A symbol stands for the batch size: the file generates any number of samples.
    (num,) = jax.export.symbolic_shape("b")
    shape = jax.ShapeDtypeStruct((num, *latent.shape[1:]), latent.dtype)
    # The state is closed over, so the weights become constants of the program, and one file is all
    # there is.
    generate = jax.jit(lambda z: algorithm.generate(state, z))
    # Each platform has a lowering of its own: the file may be made on a machine without a GPU.
    return jax.export.export(generate, platforms=PLATFORMS)(shape)


def save(run_dir: str, find: reading.Find, out: str, trial: int = 0, best: bool = False) -> None:
    """Writes a run's generator; of a sweep, that of one trial.

    Raises:
      ValueError: there is no run to read.
      check.MissingPackageError: flatbuffers or what a checkpoint needs is not installed.
    """
    check.require_package("flatbuffers", "run")  # jax.export needs it and does not declare it
    xla.use_compilation_cache()
    # Weights and shapes are enough: an export works where the data are not.
    _, algorithm, state = reading.read_run(
        pathlib.Path(run_dir), find, trial, with_data=False, best=best
    )
    exported = export_generator(algorithm, state)
    artifact = exported.serialize()
    files.replace(pathlib.Path(out), artifact)
    shapes = f"z {exported.in_avals[0]} -> {exported.out_avals[0]}"
    output.show(
        f"{out}: {len(artifact)} bytes, {shapes}, step {int(state.step)}, {', '.join(PLATFORMS)}"
    )


def main(find: reading.Find, argv: list[str] | None = None, doc: str | None = __doc__) -> None:
    """The command `export RUN_DIR`; arguments as those of `sample.main`."""
    config = options.parse(Config, argv, doc or "", "run_dir", options.program_name(argv, "export"))
    try:
        save(config.run_dir, find, config.out, config.trial, config.best)
    except (ValueError, OSError) as error:
        options.fail(error)
