"""What an experiment trains on: the names of the command line, and the data behind them.

The examples use five grey pictures of 2 x 2 pixels, of two classes:

    >>> import pathlib, tempfile
    >>> x = np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 2, 2, 1)
    >>> label = np.array([0, 0, 1, 1, 1])
    >>> dataset = data.Dataset("five", x, label, class_names=("cat", "dog"))
    >>> folder = pathlib.Path(tempfile.mkdtemp())
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import check, data, sources
from jwgan.data import arrays, images, memory, pictures, scalers, streams, tables
from jwgan.problems import gaussians, rolls
from jwgan.run.options import Config, require_choice
from jwgan.types import Labelled


class Task(NamedTuple):
    """Data to train on and the truth to compare with.

    Attributes:
      name: the name on the command line.
      shape: D, of one sample.
      source: `(n_critic, batch_size, mesh=None) -> jwgan.sources.Source`.
      held_out: real samples [N, *D] that training never sees.
      dataset: `jwgan.data.Dataset` of an image task, else None.
      problem: `jwgan.problems.Problem` of a synthetic world, else None.
      checksum: sha256 of the training data, "" for a synthetic world.
      notes: what a user should know of the data, a line each; printed when the run starts.
      encoding: `data.scalers.Scaler` or `data.tables.Table` that made the samples of the data; None
        where they are as they were.
      classes: names of the labels, if the source's batches are `types.Labelled`; else ().
    """

    name: str
    shape: tuple[int, ...]
    source: Callable[..., Any]
    held_out: Any
    dataset: Any = None
    problem: Any = None
    checksum: str = ""
    notes: tuple[str, ...] = ()
    encoding: Any = None
    classes: tuple[str, ...] = ()


def is_conditional(config: Any) -> bool:
    """Whether a run trains on labels.

    >>> config = run.ImageConfig(conditional="projection")
    >>> tasks.is_conditional(config), tasks.is_conditional(run.ImageConfig())
    (True, False)
    """
    # Experiments on other than images have no such option.
    return getattr(config, "conditional", "none") != "none"


def held_out_labels(task: Task) -> Any:
    """The labels [N] of a task's held-out samples; None where there are none.

    >>> tested = dataset._replace(test_images=x[:2], test_labels=label[:2])
    >>> tasks.held_out_labels(tasks.image_task(tested)).tolist()
    [0, 0]
    """
    if task.dataset is None:
        return None
    data = task.dataset
    return data.labels if data.test_images is None else data.test_labels


TFDS = "tfds/"  # and a name as TFDS has it
IMAGES = ("digits", "mnist", "fashion_mnist", "emoji", "folder", "array")
WORLDS = ("eight_gaussians", "twenty_five_gaussians", "ring", "swiss_roll")


def load_images(
    name: str,
    data_dir: str | None = None,
    image_size: int | None = None,
    channels: int | None = None,
    follow_links: bool = False,
    labels: str = "",
) -> Task:
    """An image task by name; None for a size and channels as the data have them.

    Pictures of a folder and of TFDS are cropped and resized; emoji are made in any size from 16 to
    128 (None: 64); the images of the other data sets are padded, or blocks of their pixels are
    averaged, and grey is repeated for three channels.

    Raises:
      ValueError: there is no data set of that name, or it cannot be had in that size.

    >>> tasks.load_images("digits").shape, tasks.load_images("digits", None, 4, 3).shape
    ((8, 8, 1), (4, 4, 3))
    """
    if name == "folder":
        dataset = data.folder(
            _path(data_dir),
            image_size=image_size,
            channels=channels,
            follow_links=follow_links,
            labels=labels or None,
        )
        return image_task(dataset, name)
    if name.startswith(TFDS):
        dataset = data.from_tfds(
            name.removeprefix(TFDS), data_dir, image_size=image_size, channels=channels
        )
        return image_task(dataset, name)
    if name == "array":
        return load_array(data_dir, image_size, channels)
    # These are functions, so that only the chosen data set is read, and only its packages are
    # needed.
    loaders: dict[str, Callable[[], Any]] = {
        "digits": lambda: data.digits(),
        "mnist": lambda: data.mnist(data_dir),
        "fashion_mnist": lambda: data.fashion_mnist(data_dir),
        "emoji": lambda: data.emoji(data_dir, image_size=image_size, channels=channels),
    }
    pictures.require_form(image_size, channels)
    dataset = loaders[
        require_choice("dataset", name, [*loaders, "folder", "array", f"{TFDS}NAME"])
    ]()
    # The held-out part is changed as well: metrics compare it with samples.
    train, test = (
        _repeated(_resized(part, image_size), channels)
        for part in (dataset.images, dataset.test_images)
    )
    return image_task(dataset._replace(images=train, test_images=test), name)


def load_array(
    path: str | None,
    image_size: int | None = None,
    channels: int | None = None,
    per_channel: bool | None = None,
) -> Task:
    """A task of an .npy or .npz file of samples [N, *D]; size and channels are of images only.

    Raises:
      ValueError: see `data.arrays.load`; or an option that samples of their shape cannot have.

    >>> np.save(folder / "x.npy", [[0.0, 10.0], [4.0, 30.0], [1.0, 20.0]])
    >>> task = tasks.load_array(str(folder / "x.npy"))
    >>> task.shape, task.encoding.decode([[-1.0, 1.0]]).tolist()
    ((2,), [[0.0, 30.0]])
    """
    change = _change(image_size, channels)
    dataset, scaler = arrays.load(_path(path, _ARRAY), per_channel)
    changed: Any = {
        name: change(part)
        for name in ("images", "test_images")
        if (part := getattr(dataset, name)) is not None
    }
    return array_task(dataset._replace(**changed), "array", scaler)


_ARRAY = "the .npy or .npz file"


def _change(image_size: int | None, channels: int | None) -> Callable[[np.ndarray], np.ndarray]:
    """What the options make of an array file's samples [N, *D]."""
    pictures.require_form(image_size, channels)

    def change(x: np.ndarray) -> np.ndarray:
        if not (image_size or channels):
            return x
        are_images = x.ndim == 4 and x.shape[3] in (1, channels or x.shape[3])
        remedy = "give images [N, H, W, 1 or 3], or leave --image-size and --channels out"
        check.require(are_images, "the samples' shape", list(x.shape[1:]), remedy)
        return _repeated(_resized(x, image_size), channels)

    return change


def stream_array(
    path: str | None,
    seed: int,
    image_size: int | None = None,
    channels: int | None = None,
    per_channel: bool | None = None,
) -> Task:
    """The task of `load_array` whose batches are read on the host while the device trains.

    An .npy file may be larger than the memory; an .npz file is unpacked there. Of an .npy file a
    thousand samples, evenly spread, stand for the data in metrics, and are compared on a resume.

    Raises:
      ValueError: as of `load_array`.

    >>> np.save(folder / "many.npy", np.arange(128.0).reshape(64, 2))
    >>> task = tasks.stream_array(str(folder / "many.npy"), seed=0)
    >>> task.source(n_critic=5, batch_size=8).batch.shape
    (5, 8, 2)
    """
    path = _path(path, _ARRAY)
    if arrays.is_archive(path):
        task = load_array(path, image_size, channels, per_channel)
        return _with_stream(task, _in_memory(task), seed)
    change, rows = _change(image_size, channels), arrays.ArrayRows(path, per_channel)
    rows.change = change
    task = _streamed_task("array", rows, None, "", [])
    found = f"{len(rows)} {data.checksum(task.dataset.images)}"
    checksum = hashlib.sha256(found.encode()).hexdigest()
    return _with_stream(task._replace(checksum=checksum, encoding=rows.scaler), rows, seed)


def _in_memory(task: Task) -> Any:
    return images.LabelledArray(task.dataset.images, task.dataset.labels)


def _with_stream(task: Task, rows: Any, seed: int) -> Task:
    """The task whose source streams these rows."""

    def source(
        n_critic: int, batch_size: int, mesh: Any = None, label: bool = False
    ) -> sources.Source:
        chosen = images.WithLabels(rows) if label else rows
        settings: dict[str, Any] = {"n_critic": n_critic, "batch_size": batch_size, "mesh": mesh}
        return streams.from_rows(chosen, seed=seed, **settings)

    return task._replace(source=source)


def load_table(path: str | None, schema: str | None = None) -> Task:
    """A task of a CSV file's rows; its encoding is the `data.tables.Table` that made them vectors.

    Raises:
      ValueError: see `data.tables.load`.

    >>> rows = "age,likes\\n31,tea\\n40,coffee\\n52,tea\\n20,tea\\n"
    >>> size = (folder / "people.csv").write_text(rows)
    >>> task = tasks.load_table(str(folder / "people.csv"))
    >>> [column.kind for column in task.encoding.columns], task.shape  # a number, two categories
    (['whole', 'category'], (3,))
    """
    dataset, table = tables.load(_path(path, "the CSV file"), schema)
    return array_task(dataset, "csv", table)


def _resized(images: Any, size: int | None) -> Any:
    return data.resize(images, size) if size and images.shape[1] != size else images


def _repeated(images: Any, channels: int | None) -> Any:
    # Of grey images [N, H, W, 1], which is what the data sets here have.
    return np.repeat(images, 3, axis=-1) if channels == 3 and images.shape[-1] == 1 else images


def image_task(dataset: data.Dataset, name: str = "") -> Task:
    """Makes a task of images that fit in the device's memory.

    Without a held-out part the training images stand in its place: quality that needs labels of
    held-out data cannot be measured then.

    Args:
      dataset: images [N, H, W, C] in [-1, 1], with or without labels and a test part.
      name: shown in the run's files; the data set's own unless given.

    Raises:
      ValueError: the images are no [N, H, W, C]; from the task's source, they are whole numbers.

    >>> task = tasks.image_task(dataset)
    >>> task.name, task.shape, task.source(n_critic=5, batch_size=4).batch.shape
    ('five', (2, 2, 1), (5, 4, 2, 2, 1))
    """
    shape = dataset.images.shape
    check.require(len(shape) == 4, "images' shape", shape, "give images [N, H, W, C]")
    return array_task(dataset, name)


def array_task(dataset: data.Dataset, name: str = "", encoding: Any = None) -> Task:
    """Makes a task of samples [N, *D] of any shape, as `image_task` does of images.

    Args:
      dataset: its images are the samples, in [-1, 1] as a rule.
      name: shown in the run's files; the data set's own unless given.
      encoding: of the task.

    >>> points = data.Dataset("points", np.zeros((8, 2), np.float32), None)
    >>> tasks.array_task(points).source(n_critic=5, batch_size=4).batch.shape
    (5, 4, 2)
    """
    held = dataset.images
    what = "the images" if held.ndim == 4 else "the samples"

    def source(
        n_critic: int, batch_size: int, mesh: Any = None, label: bool = False
    ) -> sources.Source:
        memory.require_on_device(held.nbytes, what, "add --stream, or give smaller ones")
        settings: dict[str, Any] = {"n_critic": n_critic, "batch_size": batch_size, "mesh": mesh}
        if label:
            settings |= {"label": dataset.labels, "classes": len(dataset.class_names)}
        return sources.from_array(held, **settings)

    return Task(
        name=name or dataset.name,
        shape=held.shape[1:],
        source=source,
        held_out=held if dataset.test_images is None else dataset.test_images,
        dataset=dataset,
        # A resume compares it: a run must not go on with other data without being told.
        checksum=data.checksum(held),
        notes=(_shape_note(name or dataset.name, len(held), held.shape[1:]), *dataset.notes),
        encoding=encoding,
    )


def with_labels(task: Task) -> Task:
    """The image task whose batches have the labels of the data.

    Raises:
      ValueError: the data have none, or some that are no classes.

    >>> task = tasks.with_labels(tasks.image_task(dataset))
    >>> task.classes, task.source(n_critic=5, batch_size=4).batch.label.shape
    (('cat', 'dog'), (5, 4))
    """
    dataset = task.dataset
    labels = None if dataset is None else dataset.labels
    if labels is None or not dataset.class_names:
        raise ValueError(
            f"conditional: {task.name or 'the data'} has no labels; give pictures in a folder for "
            "each class, --labels FILE.csv of file,label, or leave --conditional out"
        )
    return task._replace(
        source=lambda n_critic, batch_size, mesh=None: task.source(
            n_critic, batch_size, mesh, label=True
        ),
        checksum=hashlib.sha256(f"{task.checksum} {data.checksum(labels)}".encode()).hexdigest(),
        classes=dataset.class_names,
    )


def _shape_note(name: str, num: int, shape: tuple[int, ...]) -> str:
    if len(shape) != 3:
        return f"data: {name}, {num} samples of shape {list(shape)}"
    kind = {1: "grey", 3: "in colour"}.get(shape[2], f"of {shape[2]} channels")
    return f"data: {name}, {num} images of {shape[0]} x {shape[1]} pixels (height x width), {kind}"


def _stream_images(
    name: str,
    data_dir: str | None,
    image_size: int | None,
    channels: int | None,
    seed: int,
    follow_links: bool = False,
    labels: str = "",
) -> Task:
    """An image task whose batches are read on the host while the device trains.

    The images of a folder and of TFDS are decoded when they are needed; a thousand of them, evenly
    spread, stand for the data in metrics. For arrays see `stream_array`. Other data sets are read
    once and kept on the host.
    """
    if name.startswith(TFDS):
        rows: Any = streams.TFDSRows(
            name.removeprefix(TFDS), data_dir, image_size=image_size, channels=channels
        )
        split, said = images.held_out_split(rows)
        held_out = rows.part(split) if split else None
        task = _streamed_task(name, rows, held_out, said, sorted(rows.folder.iterdir()))
    elif name == "folder":
        rows = streams.FolderRows(
            _path(data_dir), image_size, channels, follow_links, labels or None
        )
        task = _streamed_task(name, rows, None, "", rows.paths)
    elif name == "array":
        return stream_array(data_dir, seed, image_size, channels)
    else:
        # The data fit the host and are streamed from there: the device holds only batches.
        task = load_images(name, data_dir, image_size, channels)
        rows = _in_memory(task)
    return _with_stream(task, rows, seed)


SHOWN = 1000  # of a streamed data set: images that metrics look at


def _shown(rows: Any) -> tuple[Any, Any]:
    """Images [M, H, W, C] and labels [M] or None that stand for all, from all classes and parts."""
    indices = images.spread(len(rows), SHOWN)
    return np.stack([rows[i] for i in indices]), rows.labels_of(indices)


def _streamed_task(name: str, rows: Any, held_out: Any, said: str, files: list[Any]) -> Task:
    """A task whose source is still to be replaced; it hashes the files' names and sizes.

    To hash the files themselves would mean to read all of them before the first step.
    """
    shown, labels = _shown(rows)
    test, test_labels = _shown(held_out) if held_out is not None else (None, None)
    listing = "".join(f"{file.name} {file.stat().st_size}\n" for file in files)
    names = data.names_of(rows.class_names, labels)
    notes = (*rows.notes, *images.missing_labels(rows, labels), *filter(None, [said]))
    if held_out is not None:
        notes = (*notes, *images.missing_labels(held_out, test_labels))
    return Task(
        name=name,
        shape=shown.shape[1:],
        source=functools.partial(sources.from_array, shown),  # replaced by `_with_stream`
        held_out=shown if test is None else test,
        dataset=data.Dataset(name, shown, labels, test, test_labels, names),
        checksum=hashlib.sha256(listing.encode()).hexdigest(),
        notes=(_shape_note(name, len(rows), shown.shape[1:]), *notes),
    )


def _path(data_dir: str | None, what: str = "the folder of images") -> str:
    if not data_dir:
        raise ValueError(f"data_dir is None: give --data-dir, {what}")
    return data_dir


def without_data(described: dict[str, Any], encoding: Any = None) -> Task:
    """The task of a run whose data are not loaded: its name, its shape, and zeros for samples.

    Args:
      described: `data` of the run's config.json.
      encoding: of config.json as well; None where there is none.

    Raises:
      ValueError: there is no shape in it, its classes are no names, or the encoding is damaged.

    >>> task = tasks.without_data({"name": "five", "shape": [2, 2, 1]})
    >>> task.shape, task.source(n_critic=5, batch_size=4).batch.shape
    ((2, 2, 1), (5, 4, 2, 2, 1))
    """
    shape = described.get("shape")
    # config.json is untrusted. `type`: True is an int, and no length.
    if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError(f"its data's shape is {shape!r}")
    names = described.get("classes", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"its data's classes are {str(names)[:80]!r}")

    # A source is needed for the batch's shape only; nobody trains on this.
    def zeros(key: Any, num: int) -> Any:
        x = jnp.zeros((num, *shape))
        return Labelled(x, jnp.zeros(num, jnp.int32)) if names else x

    return Task(
        name=str(described.get("name", "")),
        shape=tuple(shape),
        source=lambda n_critic, batch_size, mesh=None: sources.from_sampler(
            zeros, n_critic=n_critic, batch_size=batch_size
        ),
        held_out=None,
        encoding=_encoding(encoding, tuple(shape)),
        classes=tuple(names),
    )


def _encoding(described: Any, shape: tuple[int, ...]) -> Any:
    """The encoding that a run's config.json describes, of samples of that shape."""
    if described is None:
        return None
    kind = described.get("kind") if isinstance(described, dict) else None
    if kind == "table":
        table = tables.from_dict(described)
        if shape != (table.width,):
            raise ValueError(f"its table makes {table.width} columns, its data have {shape}")
        return table
    if kind != "scaler":
        raise ValueError(f"its data's encoding is of kind {kind!r}")
    scaler = scalers.from_dict(described)
    if len(scaler.low) not in (1, shape[-1]):
        raise ValueError(f"its scaler has {len(scaler.low)} channels, its data {shape[-1]}")
    return scaler


def load_world(name: str) -> Task:
    """A 2-D world by name, drawn fresh for every batch.

    Raises:
      ValueError: there is no world of that name.

    >>> world = tasks.load_world("ring")
    >>> radii = np.linalg.norm(world.held_out, axis=1)
    >>> radii.shape, round(float(radii.mean()), 1)
    ((4000,), 1.0)
    """
    worlds = {
        "eight_gaussians": gaussians.eight_gaussians,
        "twenty_five_gaussians": gaussians.twenty_five_gaussians,
        "ring": gaussians.ring,
        "swiss_roll": rolls.swiss_roll,
    }
    # A world has an endless supply: every batch is new, and a critic cannot learn it by heart.
    problem = worlds[require_choice("world", name, worlds)]()
    return Task(
        name=name,
        shape=(2,),
        source=lambda n_critic, batch_size, mesh=None: sources.from_sampler(
            problem.sample, n_critic=n_critic, batch_size=batch_size
        ),
        # A key that no run is likely to have: held-out points are the same for every run, and new
        # to it.
        held_out=np.asarray(problem.sample(jax.random.key(2**31 - 1), 4000)),
        problem=problem,
    )


def from_config(config: Config) -> Task:
    """The image task that the options name.

    Raises:
      ValueError: there are no such data, or they cannot be had so.

    >>> tasks.from_config(run.ImageConfig(dataset="digits", image_size=4)).shape
    (4, 4, 1)
    """
    name, folder = config.dataset, config.data_dir
    size, channels, links = config.image_size, config.channels, config.follow_links
    if config.labels and name != "folder":
        raise ValueError(f"labels is {config.labels!r}: only --dataset folder takes a file of them")
    if config.stream:
        task = _stream_images(name, folder, size, channels, config.seed, links, config.labels)
    else:
        task = load_images(name, folder, size, channels, links, config.labels)
    return with_labels(task) if is_conditional(config) else task


def with_classes(config: Any, task: Task) -> Any:
    """The options with the number of the data's classes in them, which the networks need.

    Raises:
      ValueError: another number was given.

    >>> task = tasks.with_labels(tasks.image_task(dataset))
    >>> tasks.with_classes(run.ImageConfig(conditional="concat"), task).classes
    2
    """
    if not is_conditional(config):
        return config
    if not task.classes:
        raise ValueError(
            f"conditional is {config.conditional!r}: {task.name} has no labels; leave it out"
        )
    there = len(task.classes)
    if config.classes not in (0, there):
        raise ValueError(f"classes is {config.classes}: {task.name} has {there}; leave it out")
    return dataclasses.replace(config, classes=there)


def recorded_form(config: dict[str, Any], shape: Any) -> dict[str, Any]:
    """The options of config.json that say what shape the data had: --image-size and --channels.

    A run goes on with the shape that it began with. Where the options were left out, the pictures
    decided, and may be others now; and until 0.1.0 a folder's default was 32 grey pixels, while
    --channels was passed over by all data sets in memory but folders.

    Args:
      config: of a run's config.json.
      shape: of its data there.

    Returns:
      The options to be put in place of the recorded ones.

    >>> config = {"dataset": "folder", "image_size": None, "channels": None}
    >>> tasks.recorded_form(config, [32, 32, 3])
    {'channels': 3, 'image_size': 32}
    """
    dataset = config.get("dataset")
    # config.json is untrusted. `type`: True is an int, and no length.
    whole = isinstance(shape, list) and len(shape) == 3 and all(type(n) is int for n in shape)
    if not whole or not isinstance(dataset, str) or shape[2] not in (1, 3):
        return {}
    pictures_decide = dataset == "folder" or dataset.startswith(TFDS)
    found = {}
    if "channels" in config and (pictures_decide or config["channels"] is not None):
        found["channels"] = shape[2]
    if "image_size" in config and pictures_decide and shape[0] == shape[1]:
        found["image_size"] = shape[0]
    return found
