"""Draws samples from a finished or running run.

`.npy` holds numbers [num, *D], images in [-1, 1]; `.png` is a grid of images, a scatter plot of
points, curves or histograms; `.csv` has the rows of a table. Data that a run scaled are scaled
back. With --interpolate K each of the num rows is a path of K samples from one latent to another:
along a great circle for normal latents (every point of it is as likely as its ends), along a
straight line for bounded ones. A conditional run (--conditional) is asked for one class by --label,
else for all of them in turn: a row of the grid for each. A name without an ending is a new folder,
of single pictures 00000.png, 00001.png, ... in the generator's own size. The samples come from the
newest whole checkpoint, or with --best from that with the smallest sliced distance to held-out
data. With --generator they come from an exported generator in place of a run, see
`jwgan.run.generators`.
"""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import files, report
from jwgan.data import tables
from jwgan.run import classes, directory, generators, options, output, reading, views, xla
from jwgan.run.options import option
from jwgan.types import Labelled, inputs


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `sample`.

    >>> sample.Config("runs/mine", label="7").num
    100
    """

    run_dir: str = option("", "the run's directory", optional=True)
    generator: str = option(
        "",
        "an exported generator in place of a run: FILE.bin, which has its FILE.json beside it; in "
        "a checkout also a name",
    )
    num: int = option(100, "how many samples, or paths with --interpolate")
    out: str = option(
        "samples.png", "file to write: .npy, .png, or of a table .csv; or a folder of pictures"
    )
    seed: int = option(0, "of the latents")
    interpolate: int = option(0, "samples on each path between two latents; 0: no paths")
    label: str = option("", "of a run with --conditional: the class, its name or number")
    trial: int = option(0, "which one of a run with --seeds or --sweep, counted from 0")
    best: bool = option(False, "take the best checkpoint (by sliced distance), not the newest")


def _paths(start: Any, end: Any, num: int) -> Any:
    """Latents [P, num, *Z] from start [P, *Z] to end [P, *Z]."""
    t = np.linspace(0.0, 1.0, num).reshape(1, num, *[1] * (start.ndim - 1))  # [1, num, 1, ...]
    start, end = np.asarray(start)[:, None], np.asarray(end)[:, None]
    if max(abs(start).max(), abs(end).max()) <= 1:  # a bounded prior: stay in its box
        return (1 - t) * start + t * end
    # cos^2 + sin^2 = 1: between independent normal latents every point of the path is normal with
    # the same variance. On a straight line the middle would be too short.
    return np.cos(t * np.pi / 2) * start + np.sin(t * np.pi / 2) * end


def _labels_of(task: Any, config: Config) -> Any:
    """Labels [num] to ask for; None of a run without labels.

    Raises:
      ValueError: --label names no class of the run.
    """
    if config.label:
        return np.full(config.num, classes.number(config.label, task.classes))
    # Each path is of one class.
    return classes.in_rows(len(task.classes), config.num)


def _columns(task: Any, config: Config) -> int | None:
    """How many samples stand side by side in a grid; None for as many as look well."""
    if config.interpolate or config.label or not task.classes:
        return config.interpolate or None
    columns = classes.row(len(task.classes), config.num)
    return columns if columns > 1 else None


def _draw(algorithm: Any, state: Any, config: Config, label: Any = None) -> Any:
    """Samples [num, *D], or [num * interpolate, *D] path after path; of the labels [num]."""
    key = jax.random.key(config.seed)
    z: Any
    z, *label = inputs(algorithm.latents(key, config.num, label))
    if config.interpolate:
        # With `key` itself both ends would be the same latent.
        end = inputs(algorithm.prior(jax.random.fold_in(key, 1), config.num))[0]
        z = jnp.asarray(_paths(z, end, config.interpolate), z.dtype).reshape(-1, *z.shape[1:])
        label = [jnp.repeat(one, config.interpolate) for one in label]
    z = Labelled(z, *label) if label else z
    # Pieces of 500 bound the memory, however many samples are asked for.
    generate = jax.jit(algorithm.generate)
    part = lambda i: jax.tree.map(lambda leaf: leaf[i : i + 500], z)
    return np.concatenate([generate(state, part(i)) for i in range(0, z.shape[0], 500)])


def _write(x: Any, out: pathlib.Path, task: Any, real: Any, columns: int | None) -> None:
    """Writes samples as an array file, a CSV file or a picture.

    Args:
      x: samples [N, *D].
      out: its ending says what is written: .npy, .csv, .png, or none for a folder of pictures.
      task: what the samples are of; those that were scaled are scaled back.
      real: real points [M, 2] to draw beside the samples; None for the samples alone.
      columns: of a grid of images.
    """
    if out.suffix.lower() == ".npy":
        # np.save itself would add an ending to a name in capitals.
        with files.named(out), out.open("wb") as file:
            np.save(file, views.decoded(task, x))
    elif out.suffix.lower() == ".csv":
        files.replace(out, tables.write_csv(task.encoding, x).encode())
    elif not out.suffix:
        for i, image in enumerate(x):
            # A grid of one image has a line around it.
            single = report.image_grid(image[None], columns=1, scale=1)[1:-1, 1:-1]
            report.save_png(out / f"{i:05d}.png", single)
    elif task.encoding is not None or task.shape != (2,):
        report.save_png(out, views.draw(task, x, columns=columns))
    else:
        report.save_png(out, report.scatter(x if real is None else real[:2000], x))


def _check_out(out: pathlib.Path) -> None:
    """Raises ValueError for a name that nothing can be written to."""
    said = f"out is {str(out)!r}"
    if out.suffix.lower() not in (".npy", ".png", ".csv", ""):
        raise ValueError(
            f"{said}: give a name ending in .npy or .png, of a table .csv, or without an ending "
            "for a folder of pictures"
        )
    if not out.parent.is_dir():
        raise ValueError(f"{said}: there is no folder {out.parent}; make it")
    # Pictures of an earlier call would stay among the new ones.
    if not out.suffix and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ValueError(f"{said}: something is there already; give the name of a new folder")


def _trial(folder: pathlib.Path, number: int) -> str:
    """Names the trial of a sweep that was drawn from; "" of a single run."""
    found = directory.read_description(folder)
    trials: Any = found.get("trials", found.get("members"))  # "members" until 0.1.0
    try:
        return f" of trial {number} ({trials[number]['label']}; --trial for another)"
    except (TypeError, KeyError, IndexError):
        return ""


def _real_points(folder: pathlib.Path, find: reading.Find, trial: int) -> Any:
    """Real points of a 2-D run, where its data can be had."""
    try:
        # The run is read again, now with its data: real points are a nicety, and a picture without
        # them is no error.
        return reading.read_run(folder, find, trial)[0].held_out
    except (ValueError, OSError):
        return None


def _check_origin(config: Config) -> None:
    """Raises ValueError unless the options name one run, or one generator."""
    if not (config.run_dir or config.generator):
        raise ValueError("run_dir is '': give a run's directory, or --generator")
    for name in ("run_dir", "trial", "best") if config.generator else ():
        if value := getattr(config, name):
            raise ValueError(f"{name} is {value!r}: a generator is no run; leave one of them out")


def main(
    find: reading.Find,
    argv: list[str] | None = None,
    doc: str | None = __doc__,
    named: pathlib.Path | None = None,
) -> None:
    """The command `sample RUN_DIR`.

    Args:
      find: from a run's description to its experiment.
      argv: command line, `sys.argv[1:]` by default.
      doc: what --help says.
      named: folder of the generators that --generator knows by name.

    Raises:
      SystemExit: bad input; its code is 2, after one line on stderr.

    >>> from jwgan.run import reading
    >>> out = tempfile.mkdtemp() + "/nine.npy"
    >>> sample.main(reading.only(mine), [str(finished), "--num", "9", "--out", out])
    9 samples of shape (2, 2, 1) from step 2 in ...nine.npy
    >>> np.load(out).shape
    (9, 2, 2, 1)
    """
    config = options.parse(Config, argv, doc or "", "run_dir", options.program_name(argv, "sample"))
    xla.use_compilation_cache()
    out = pathlib.Path(config.out)
    try:
        # The ending is checked before anything is read: a run can take a while to be rebuilt.
        _check_out(out)
        if config.num < 1 or config.interpolate < 0:
            raise ValueError(
                f"num is {config.num}, interpolate {config.interpolate}: give num >= 1"
            )
        _check_origin(config)
        folder = pathlib.Path(config.run_dir)
        if config.generator:
            task, algorithm, state = generators.read(generators.find(config.generator, named))
        else:
            # Samples need the weights alone: the data may be gone, or on another machine.
            task, algorithm, state = reading.read_run(
                folder, find, config.trial, with_data=False, best=config.best
            )
        if out.suffix.lower() == ".csv" and not views.is_table(task):
            raise ValueError(f"out is {config.out!r}: only tables are written so; give .npy")
        if not out.suffix and (task.encoding is not None or len(task.shape) != 3):
            raise ValueError(f"out is {config.out!r}: single pictures are of images; give .npy")
        x = _draw(algorithm, state, config, _labels_of(task, config))
        # Of a table the picture shows real rows as well, where its data can be had.
        picture_of_points = out.suffix.lower() == ".png" and task.shape == (2,)
        needs_real = picture_of_points and not config.generator
        real = _real_points(folder, find, config.trial) if needs_real else None
        _write(x, out, task, real, _columns(task, config))
    except (ValueError, OSError) as error:
        options.fail(error)
    if config.generator:
        origin = task.name
    else:
        origin = f"step {int(state.step)}{_trial(folder, config.trial)}"
    output.show(f"{len(x)} samples of shape {x.shape[1:]} from {origin} in {out}")
