"""Writes a trained run's generator, with its weights, as one file for cpu, cuda and tpu.

Whoever has jax, numpy and flatbuffers, and nothing of this package, draws from it:

    import jax.export
    import numpy as np

    with open("generator.bin", "rb") as file:
        generator = jax.export.deserialize(bytearray(file.read()))
    size = generator.in_avals[0].shape[1:]  # of one latent
    z = np.random.default_rng(0).standard_normal((16, *size), np.float32)
    x = np.asarray(generator.call(z))  # 16 samples, images in [-1, 1]

(BEGAN's latents are uniform: `.uniform(-1, 1, (16, *size)).astype(np.float32)`. The generator of a
conditional run is called with labels too: `generator.call(z, np.full(16, 7, np.int32))`.)

With --onnx FILE the generator is written for other runtimes, z [B, *Z] -> x [B, *D], and compared
with the original by onnxruntime. That needs `pip install 'jwgan[onnx]'` and, since it asks for an
older orbax-checkpoint than a run, `pip install --no-deps 'jax2onnx>=0.17'`.
"""

import contextlib
import dataclasses
import importlib.util
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from jwgan import check, files
from jwgan.run import options, output, reading, xla
from jwgan.run.options import option
from jwgan.types import Labelled, inputs

PLATFORMS = ("cpu", "cuda", "tpu")
SAME = 1e-3  # largest difference of a converted generator's samples, whose range is [-1, 1]


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `export`.

    >>> export.Config("runs/mine").out
    'generator.bin'
    """

    run_dir: str = option("", "the run's directory")
    out: str = option("generator.bin", "file to write")
    onnx: str | None = option(None, "file to write as ONNX, for other runtimes, in place of --out")
    trial: int = option(0, "which one of a run with --seeds or --sweep, counted from 0")
    best: bool = option(False, "take the best checkpoint (by sliced distance), not the newest")


@contextlib.contextmanager
def _without_source_places() -> Iterator[None]:
    """Keeps out of a program in which file and line each operation was written."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)


def export_generator(algorithm: Any, state: Any) -> Any:
    """z [b, *Z] -> x [b, *D] with the state's weights inside, a `jax.export.Exported`.

    Of a conditional run it is (z [b, *Z], label [b]) -> x [b, *D].

    >>> z = np.ones((3, 4), np.float32)
    >>> x = export.export_generator(member, state).call(z)
    >>> x.shape, np.allclose(x, member.generate(state, z))
    ((3, 2, 2, 1), True)
    """
    # The prior is asked for the shape and dtype of a latent; nothing is drawn.
    latent = jax.eval_shape(lambda: algorithm.prior(jax.random.key(0), 1))
    # A symbol stands for the batch size: the file generates any number of samples.
    (num,) = jax.export.symbolic_shape("b")
    shape = lambda leaf: jax.ShapeDtypeStruct((num, *leaf.shape[1:]), leaf.dtype)
    shapes = map(shape, inputs(latent))
    # The state is closed over, so the weights become constants of the program, and one file is all
    # there is.
    generate = jax.jit(
        lambda z, *label: algorithm.generate(state, Labelled(z, *label) if label else z)
    )
    # The files' paths are those of this machine: a file that is given away must not tell them, and
    # its bytes must not depend on them.
    with _without_source_places():
        # Each platform has a lowering of its own: the file may be made on a machine without a GPU.
        return jax.export.export(generate, platforms=PLATFORMS)(*shapes)


def save(run_dir: str, find: reading.Find, out: str, trial: int = 0, best: bool = False) -> None:
    """Writes a run's generator; of a sweep, that of one trial.

    Raises:
      ValueError: there is no run to read.
      check.MissingPackageError: flatbuffers or what a checkpoint needs is not installed.

    >>> import tempfile
    >>> export.save(str(finished), find, tempfile.mkdtemp() + "/generator.bin")
    /...generator.bin: ... bytes, z float32[b,4] -> float32[b,2,2,1], step 2, cpu, cuda, tpu
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
    label = f", label {exported.in_avals[1]}" if len(exported.in_avals) > 1 else ""
    shapes = f"z {exported.in_avals[0]}{label} -> {exported.out_avals[0]}"
    output.show(
        f"{out}: {len(artifact)} bytes, {shapes}, step {int(state.step)}, {', '.join(PLATFORMS)}"
    )


def _require_onnx() -> None:
    """Raises MissingPackageError unless generators can be converted to ONNX and run there."""
    check.require_package("onnxruntime", "onnx")
    if importlib.util.find_spec("jax2onnx") is None:
        raise check.MissingPackageError(
            "jax2onnx is not installed: pip install --no-deps 'jax2onnx>=0.17' (it asks for an "
            "older orbax-checkpoint than a run needs)",
            name="jax2onnx",
        )


# Where an equation keeps the program that it calls.
_CALLED = ("jaxpr", "call_jaxpr", "fun_jaxpr", "call")


def without_platforms(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function x -> y in operations that every runtime has.

    `models.conv` asks at lowering which platform it is for, and states its own derivatives;
    a converter knows neither. Here the platform is none that is known, and calls are inlined.

    >>> double = jax.jit(lambda x: 2 * x)
    >>> plain = export.without_platforms(double)
    >>> ["jit" in str(jax.make_jaxpr(fn)(3.0)) for fn in (double, plain)], plain(3.0).item()
    ([True, False], 6.0)
    """

    def run(x: Any) -> Any:
        closed = jax.make_jaxpr(fn)(x)
        (y,) = _evaluated(closed.jaxpr, closed.consts, [x])
        return y

    return run


def _usual_kernel(kernel: Any, layout: Any) -> tuple[Any, Any]:
    """A convolution's kernel as [KH, KW, I, O], which converters know, and the layout that says so.

    A transposed convolution has one with I and O exchanged.
    """
    outputs, inputs, *space = layout.rhs_spec
    num = len(space)
    usual = layout._replace(rhs_spec=(num + 1, num, *range(num)))
    return jnp.transpose(kernel, (*space, inputs, outputs)), usual


def _padded(x: Any, value: Any, config: Sequence[tuple[int, int, int]]) -> Any:
    """`lax.pad` by concatenation: converters cannot pad where a name stands for the batch size."""
    for axis, (low, high, _) in enumerate(config):
        if low or high:
            edge = jax.lax.slice_in_dim(x, 0, 1, axis=axis) * 0 + value
            x = jnp.concatenate([*[edge] * low, x, *[edge] * high], axis)
    return x


def _evaluated(program: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """Evaluates a traced program, equation by equation; its calls in its own place."""
    names = (*program.constvars, *program.invars)
    known = dict(zip(names, (*consts, *args), strict=True))
    value = lambda atom: atom.val if hasattr(atom, "val") else known[atom]
    for equation in program.eqns:
        kind, params = equation.primitive, equation.params
        values = [value(atom) for atom in equation.invars]
        called = [params[name] for name in _CALLED if name in params]
        if kind.name == "platform_index":
            # The last entry, None, is that of all platforms without one of their own.
            outs = [np.int32(list(params["platforms"]).index(None))]
        elif kind.name == "cond" and isinstance(values[0], np.integer):
            branch = params["branches"][int(values[0])]
            outs = _evaluated(branch.jaxpr, branch.consts, values[1:])
        elif called and kind.name not in ("scan", "while", "cond"):
            outs = _evaluated(called[0].jaxpr, called[0].consts, values)
        elif kind.name == "conv_general_dilated":
            kernel, layout = _usual_kernel(values[1], params["dimension_numbers"])
            outs = [kind.bind(values[0], kernel, **{**params, "dimension_numbers": layout})]
        elif kind.name == "pad" and all(
            min(pads) >= 0 == pads[2] for pads in params["padding_config"]
        ):
            outs = [_padded(values[0], values[1], params["padding_config"])]
        else:
            made = kind.bind(*values, **kind.get_bind_params(params))
            outs = made if kind.multiple_results else [made]
        known.update(zip(equation.outvars, outs, strict=True))
    return [value(atom) for atom in program.outvars]


def to_onnx(algorithm: Any, state: Any) -> tuple[bytes, float]:
    """The generator as an ONNX file, and its samples' largest difference from the original's.

    Raises:
      MissingPackageError: jax2onnx or onnxruntime is not installed.
      ValueError: the generator cannot be converted, or makes other samples then.
    """
    _require_onnx()
    import jax2onnx
    import onnxruntime

    z = np.asarray(algorithm.prior(jax.random.key(0), 7))
    generate = lambda z: algorithm.generate(state, z)
    try:
        # A name stands for the batch size: the file makes any number of samples.
        model = jax2onnx.to_onnx(
            without_platforms(generate),
            [("B", *z.shape[1:])],
            input_names=["z"],
            output_names=["x"],
        ).SerializeToString()
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        (x,) = session.run(None, {"z": z})
    except Exception as error:  # a converter meets what it does not know in many ways
        raise ValueError(
            f"jax2onnx cannot convert this generator ({check.one_line(error)}): leave --onnx out "
            "for a file that jax reads"
        ) from error
    difference = float(np.abs(x - np.asarray(generate(z))).max())
    check.require(
        difference <= SAME, "the ONNX samples' difference", difference, "leave --onnx out"
    )
    return model, difference


def save_onnx(
    run_dir: str, find: reading.Find, out: str, trial: int = 0, best: bool = False
) -> dict[str, Any]:
    """Writes a run's generator as ONNX; arguments as those of `save`.

    Returns:
      The file's bytes, the step, and the samples' largest difference from jax's.

    Raises:
      ValueError: there is no run to read, or it cannot be converted.
      MissingPackageError: a package is not installed.
    """
    _require_onnx()
    xla.use_compilation_cache()
    _, algorithm, state = reading.read_run(
        pathlib.Path(run_dir), find, trial, with_data=False, best=best
    )
    model, difference = to_onnx(algorithm, state)
    files.replace(pathlib.Path(out), model)
    return {"bytes": len(model), "step": int(state.step), "largest_difference": difference}


def describe_onnx(out: str, figures: dict[str, Any]) -> str:
    """What is said of the file that `save_onnx` wrote.

    >>> export.describe_onnx("g.onnx", {"bytes": 900, "step": 2, "largest_difference": 1.5e-7})
    "g.onnx: 900 bytes, step 2, largest difference from jax's samples 1.5e-07"
    """
    return (
        f"{out}: {figures['bytes']} bytes, step {figures['step']}, largest difference from jax's "
        f"samples {figures['largest_difference']:.2g}"
    )


def main(find: reading.Find, argv: list[str] | None = None, doc: str | None = __doc__) -> None:
    """The command `export RUN_DIR`; arguments as those of `sample.main`.

    >>> import contextlib, sys
    >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
    ...     export.main(find, ["nowhere"])
    error: nowhere/config.json is no run's description (ValueError: no regular file): ...
    """
    config = options.parse(Config, argv, doc or "", "run_dir", options.program_name(argv, "export"))
    try:
        if config.onnx:
            found = save_onnx(config.run_dir, find, config.onnx, config.trial, config.best)
            output.show(describe_onnx(config.onnx, found))
        else:
            save(config.run_dir, find, config.out, config.trial, config.best)
    except (ValueError, OSError) as error:
        options.fail(error)
