"""Pictures to be measured, whatever they lie in: a run, a folder, an array file, a data set.

Pictures become bytes, as they would in a file: samples of a run are rounded, so a run's figure is
that of its saved pictures. None of these sets is read whole: `batches` reads what is asked for.

The examples use three grey pictures of 2 x 2 pixels:

    >>> import pathlib, tempfile
    >>> x = np.array([-1.0, 0.0, 1.0], np.float32).reshape(3, 1, 1, 1).repeat(2, 1).repeat(2, 2)
    >>> folder = pathlib.Path(tempfile.mkdtemp())
"""

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jwgan import check, data
from jwgan.data import images
from jwgan.run import options, reading, tasks, views

NAMED = tuple(name for name in tasks.IMAGES if name not in ("folder", "array"))  # by name alone
PIECE = 500  # samples that are drawn at once: one compiled program, and it bounds the memory
ARRAYS = (".npy", ".npz")


class Choice(NamedTuple):
    """What a user says of the pictures beside their place; see the options of `measure`."""

    image_size: int | None = None
    channels: int | None = None
    data_dir: str | None = None
    split: str = "train"
    follow_links: bool = False
    num: int = 0  # of a run's samples, and of other pictures at most; 0: as many as there are
    seed: int = 0
    trial: int = 0
    best: bool = False


class PictureSet(NamedTuple):
    """Pictures, or points, of one shape.

    Attributes:
      about: what they are, for the result: kind, where from, and what a reader should know.
      shape: (H, W, C) of pictures, which come as bytes, or (D,) of points, which come as floats.
      num: how many there are.
      batches: `(places, size) -> arrays [at most size, *shape]`, of these places in their order.
      labels: [num] int, or None.
      class_names: of the labels; () without any.
      asked_for: of a conditional run, whose pictures are made to order: `labels [num] -> the set
        with these labels`. None of others, whose labels are what they are.
    """

    about: dict[str, Any]
    shape: tuple[int, ...]
    num: int
    batches: Callable[[Sequence[int], int], Iterator[np.ndarray]]
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    asked_for: Callable[[np.ndarray], "PictureSet"] | None = None


def is_run(where: str) -> bool:
    """Tells a run's directory from a folder of pictures.

    >>> picture_sets.is_run(str(folder))  # it has no config.json
    False
    """
    return (pathlib.Path(where) / "config.json").is_file()


def of(where: str, choice: Choice, find: reading.Find) -> PictureSet:
    """The pictures of a run directory, an .npy or .npz file, a folder, or a data set by its name.

    Raises:
      ValueError: there is nothing of that kind, or it is damaged.

    >>> np.savez(folder / "x.npz", images=x, labels=np.array([7, 7, 4]))
    >>> found = picture_sets.of(str(folder / "x.npz"), picture_sets.Choice(), find=None)
    >>> found.shape, found.num, found.class_names, found.labels.tolist()
    ((2, 2, 1), 3, ('4', '7'), [1, 1, 0])
    """
    path = pathlib.Path(where)
    if is_run(where):
        return _of_run(path, choice, find)
    if path.suffix.lower() in ARRAYS:
        return _of_array(path)
    if path.is_dir():
        rows = images.FolderRows(path, choice.image_size, choice.channels, choice.follow_links)
        return _of_rows(rows, {"kind": "folder", "folder": where}, rows.labels)
    if where in NAMED:
        task = tasks.load_images(where, choice.data_dir, choice.image_size, choice.channels)
        return of_task(task, choice.split)
    if where.startswith(tasks.TFDS):
        return _of_tfds(where, choice)
    raise ValueError(
        f"{check.printable(where)!r} is no run, no folder, and no .npy or .npz file that is there; "
        f"as a data set give {', '.join(NAMED)} or {tasks.TFDS}NAME"
    )


def _of_run(folder: pathlib.Path, choice: Choice, find: reading.Find) -> PictureSet:
    """Samples of a run's newest whole checkpoint, or of its best one, drawn when they are read.

    A conditional run is asked for its classes in turn; `in_proportion` asks for those of others.
    """
    task, algorithm, state = reading.read_run(
        folder, find, choice.trial, with_data=False, best=choice.best
    )
    sample = jax.jit(algorithm.sample, static_argnums=2)
    key = jax.random.key(choice.seed)
    # A shape has no values: any class will do.
    label = np.zeros(1, np.int32) if task.classes else None
    shape = jax.eval_shape(lambda: algorithm.sample(key, state, 1, label)).shape[1:]
    num = choice.num or 10_000
    about = {"kind": "run", "run": str(folder), "step": int(state.step), "seed": choice.seed}
    about |= {"trial": choice.trial} if choice.trial else {}

    def with_labels(labels: np.ndarray | None) -> PictureSet:
        def batches(places: Sequence[int], size: int) -> Iterator[np.ndarray]:
            if list(places) != list(range(len(places))):
                raise ValueError("samples of a run are drawn in their order")
            for first in range(0, len(places), PIECE):
                # The last piece is filled up with any labels, and cut.
                part = None if labels is None else np.resize(labels[first:], PIECE)
                drawn = jax.random.fold_in(key, first // PIECE)
                x = _in_their_units(task, np.asarray(sample(drawn, state, PIECE, part)))
                yield from _in_batches(_as_stored(x[: len(places) - first], str(folder)), size)

        return PictureSet(about, shape, num, batches, labels, task.classes)

    if not task.classes:
        return with_labels(None)
    found = with_labels(np.arange(num, dtype=np.int32) % len(task.classes))
    return found._replace(asked_for=with_labels)


def in_proportion(measured: PictureSet, against: PictureSet, places: Sequence[int]) -> PictureSet:
    """A conditional run's samples with the labels of what it is compared with, where it has them.

    Otherwise a run that is asked for all classes alike would be far from data where some are rare.

    >>> alike = np.array([0, 1, 0, 1])  # what a run of two classes is asked for by itself
    >>> made = picture_sets.of_numbers(np.zeros((4, 2)), {}, "made")
    >>> made = made._replace(labels=alike, class_names=("cat", "dog"))
    >>> made = made._replace(asked_for=lambda labels: made._replace(labels=labels))
    >>> real = picture_sets.of_numbers(np.zeros((4, 2)), {}, "real")
    >>> real = real._replace(labels=np.array([0, 0, 0, 1]), class_names=("cat", "dog"))
    >>> sorted(picture_sets.in_proportion(made, real, range(4)).labels.tolist())
    [0, 0, 0, 1]
    """
    names = tuple(against.class_names)
    if measured.asked_for is None or against.labels is None or names != measured.class_names:
        return measured
    labels = np.asarray(against.labels)[list(places)]
    mixed = np.random.default_rng(0).permutation(labels).astype(np.int32)
    return measured.asked_for(np.resize(mixed, measured.num))


def _of_rows(rows: Any, about: dict[str, Any], labels: Any) -> PictureSet:
    """Files that are decoded when they are read: `data.images.FolderRows` or `TFDSRows`."""

    def batches(places: Sequence[int], size: int) -> Iterator[np.ndarray]:
        for first in range(0, len(places), size):
            yield np.stack(list(rows.each_of(list(places[first : first + size]))))

    about = {**about, **({"notes": list(rows.notes)} if rows.notes else {})}
    names = rows.class_names if labels is not None else ()
    return PictureSet(about, tuple(rows.form), len(rows), batches, labels, names)


def _of_tfds(where: str, choice: Choice) -> PictureSet:
    name = where.removeprefix(tasks.TFDS)
    rows = images.TFDSRows(
        name, choice.data_dir, image_size=choice.image_size, channels=choice.channels
    )
    options.require_choice("split", choice.split, rows.splits)
    rows = rows.part(choice.split) if choice.split != rows.split else rows
    labels = rows.labels_of(list(range(len(rows))))
    return _of_rows(rows, {"kind": "data set", "name": where, "split": choice.split}, labels)


def of_task(task: Any, split: str) -> PictureSet:
    """The training images of a run's data, or their held-out part.

    Raises:
      ValueError: the data have no such part.

    >>> task = run.image_task(data.Dataset("mine", x, None, x[:2]))
    >>> picture_sets.of_task(task, "train").num, picture_sets.of_task(task, "test").num
    (3, 2)
    """
    if task.dataset is None:
        x = task.held_out
        return of_numbers(
            x, {"kind": "data set", "name": task.name, "split": "held out"}, task.name
        )
    found: data.Dataset = task.dataset
    parts = {
        "train": (found.images, found.labels),
        "test": (found.test_images, found.test_labels),
    }
    options.require_choice("split", split, parts)
    x, labels = parts[split]
    if x is None:
        raise ValueError(f"split is {split!r}: {task.name} has no held-out part; give train")
    x = _in_their_units(task, x)
    about = {"kind": "data set", "name": task.name, "split": split}
    names = found.class_names if labels is not None else ()
    found_numbers = of_numbers(x, about, task.name)
    return found_numbers._replace(labels=labels, class_names=names)


def _in_their_units(task: Any, x: np.ndarray) -> np.ndarray:
    """Points that a run scaled, scaled back; images are in [-1, 1] whatever they were."""
    return x if x.ndim == 4 else views.decoded(task, x)


def _of_array(path: pathlib.Path) -> PictureSet:
    """The array of a file; of an .npz one named images, samples, x or arr_0, and labels beside it.

    Raises:
      ValueError: no such file, damaged, or no pictures or points; a pickle in it is not opened.
    """
    try:
        x, labels = _arrays(path)
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds
        raise ValueError(f"{path}: no array: {check.one_line(error)}") from error
    if x is None:
        raise ValueError(f"{path}: no array named images, samples, x or arr_0")
    found = of_numbers(x, {"kind": "array", "file": str(path)}, str(path))
    if labels is None:
        return found
    if labels.shape != (len(x),) or labels.dtype.kind not in "iu":
        raise ValueError(f"{path}: labels of shape {labels.shape} are not a class for each picture")
    classes, labels = np.unique(labels, return_inverse=True)
    return found._replace(labels=labels, class_names=tuple(map(str, classes)))


def _arrays(path: pathlib.Path) -> tuple[Any, Any]:
    """(pictures, labels) of a file, each None if it has none; nothing is unpickled."""
    if path.suffix.lower() == ".npy":  # it stays on the disk until it is read
        return np.load(path, mmap_mode="r", allow_pickle=False), None
    # A damaged archive would stay open if NumPy opened it.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as loaded:
        pictures_or_none = _entry(loaded, ("images", "samples", "x", "arr_0"))
        return pictures_or_none, _entry(loaded, ("labels", "label", "y", "arr_1"))


def _entry(loaded: Any, names: Sequence[str]) -> Any:
    return next((loaded[name] for name in names if name in loaded.files), None)


def of_numbers(x: Any, about: dict[str, Any], name: str) -> PictureSet:
    """Images [N, H, W, C], bytes or floats in [-1, 1], or points [N, D]; `name` is for errors.

    Raises:
      ValueError: they are of another shape or dtype; from `batches`, a value is not finite or far
        outside of [-1, 1].

    >>> found = picture_sets.of_numbers(x, {}, "mine")  # as bytes, two at once:
    >>> [batch[:, 0, 0, 0].tolist() for batch in found.batches([0, 1, 2], 2)]
    [[0, 128], [255]]
    """
    images_or_points = x.ndim == 2 or (x.ndim == 4 and x.shape[3] in (1, 3))
    good = x.dtype == np.uint8 or x.dtype.kind == "f"
    if not images_or_points or not good or min(x.shape) < 1:
        raise ValueError(
            f"{name}: {x.dtype} of shape {x.shape}: give images [N, H, W, 1 or 3], bytes or floats "
            "in [-1, 1], or points [N, D]"
        )

    def batches(places: Sequence[int], size: int) -> Iterator[np.ndarray]:
        for first in range(0, len(places), size):
            yield _as_stored(np.asarray(x[list(places[first : first + size])]), name)

    return PictureSet(about, tuple(x.shape[1:]), len(x), batches)


def _as_stored(x: np.ndarray, name: str) -> np.ndarray:
    """Images as bytes; points, and what is bytes already, as they are."""
    if x.ndim != 4 or x.dtype == np.uint8:
        return x
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: some pictures are not finite: nothing can be measured")
    if x.min() < -1.5 or x.max() > 1.5:
        raise ValueError(f"{name}: values reach {float(abs(x).max()):g}: give floats in [-1, 1]")
    return np.rint(x.clip(-1, 1) * 127.5 + 127.5).astype(np.uint8)


def _in_batches(x: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (x[i : i + size] for i in range(0, len(x), size))


def places_of(found: PictureSet, num: int) -> list[int]:
    """The places of at most so many pictures, evenly spread: files often come class by class.

    >>> hundred = picture_sets.of_numbers(np.zeros((100, 2)), {}, "mine")
    >>> picture_sets.places_of(hundred, 4)
    [0, 25, 50, 75]
    """
    return images.spread(found.num, num or found.num)
