"""What an experiment trains on: the names of the command line, and the data behind them."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import data, sources
from jwgan.data import streams
from jwgan.problems import gaussians, rolls
from jwgan.run.options import Config, require_choice


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
    """

    name: str
    shape: tuple[int, ...]
    source: Callable[..., Any]
    held_out: Any
    dataset: Any = None
    problem: Any = None
    checksum: str = ""


TFDS = "tfds/"  # and a name as TFDS has it
IMAGES = ("digits", "mnist", "fashion_mnist", "folder")
WORLDS = ("eight_gaussians", "twenty_five_gaussians", "ring", "swiss_roll")


def load_images(
    name: str, data_dir: str | None = None, image_size: int | None = None, channels: int = 1
) -> Task:
    """An image task by name; `image_size` pads or resizes, and is needed for a folder."""
    # These are functions, so that only the chosen data set is read, and only its packages are
    # needed.
    loaders: dict[str, Callable[[], Any]] = {
        "digits": lambda: data.digits(),
        "mnist": lambda: data.mnist(data_dir),
        "fashion_mnist": lambda: data.fashion_mnist(data_dir),
        "folder": lambda: _folder(data_dir, image_size, channels),
    }
    if name.startswith(TFDS):
        dataset = data.from_tfds(name.removeprefix(TFDS), data_dir)
    else:
        dataset = loaders[require_choice("dataset", name, [*loaders, f"{TFDS}NAME"])]()
    # The held-out part is resized as well: metrics compare it with samples of that size.
    if image_size and dataset.images.shape[1] != image_size:
        test = dataset.test_images
        dataset = dataset._replace(
            images=data.resize(dataset.images, image_size),
            test_images=None if test is None else data.resize(test, image_size),
        )
    return image_task(dataset, name)


def image_task(dataset: data.Dataset, name: str = "") -> Task:
    """Makes a task of images that fit in the device's memory.

    Without a held-out part the training images stand in its place: quality that needs labels of
    held-out data cannot be measured then.

    Args:
      dataset: images [N, H, W, C] in [-1, 1], with or without labels and a test part.
      name: shown in the run's files; the data set's own unless given.
    """
    images = dataset.images
    return Task(
        name=name or dataset.name,
        shape=images.shape[1:],
        source=lambda n_critic, batch_size, mesh=None: sources.from_array(
            images, n_critic=n_critic, batch_size=batch_size, mesh=mesh
        ),
        held_out=images if dataset.test_images is None else dataset.test_images,
        dataset=dataset,
        # A resume compares it: a run must not go on with other data without being told.
        checksum=data.checksum(images),
    )


def stream_images(
    name: str, data_dir: str | None, image_size: int | None, channels: int, seed: int
) -> Task:
    """An image task whose batches are read on the host while the device trains.

    A folder's images are decoded when they are needed; the first thousand of them stand for the
    data in metrics. Other data sets are read once and kept on the host.
    """
    # A folder's images have many sizes; a batch has one.
    size = image_size or 32
    if name.startswith(TFDS):
        tfds_rows = streams.TFDSRows(
            name.removeprefix(TFDS), data_dir, image_size=size, channels=channels
        )
        files = sorted(tfds_rows.folder.iterdir())
        rows: Any = tfds_rows
        task = _streamed_task(name, rows, files, str(tfds_rows.folder))
    elif name == "folder":
        rows = streams.FolderRows(_path(data_dir), size, channels)
        task = _streamed_task(name, rows, rows.paths, str(data_dir))
    else:
        # The data fit the host and are streamed from there: the device holds only batches.
        task = load_images(name, data_dir, image_size, channels)
        rows = task.dataset.images
    return task._replace(
        source=lambda n_critic, batch_size, mesh=None: streams.from_rows(
            rows, n_critic=n_critic, batch_size=batch_size, seed=seed, mesh=mesh
        )
    )


def _streamed_task(name: str, rows: Any, files: list[Any], path: str) -> Task:
    """A task whose source is still to be replaced; it hashes the files' names and sizes.

    To hash the files themselves would mean to read all of them before the first step.
    """
    # Metrics need images in memory: the first thousand stand for all.
    shown = np.stack([rows[i] for i in range(min(len(rows), 1000))])
    listing = "".join(f"{file.name} {file.stat().st_size}\n" for file in files)
    return Task(
        name=name,
        shape=shown.shape[1:],
        source=functools.partial(sources.from_array, shown),  # replaced by `stream_images`
        held_out=shown,
        dataset=data.Dataset(name=name, images=shown, source=path),
        checksum=hashlib.sha256(listing.encode()).hexdigest(),
    )


def _path(data_dir: str | None) -> str:
    if not data_dir:
        raise ValueError("data_dir is None: give --data-dir, the folder of images")
    return data_dir


def _folder(data_dir: str | None, image_size: int | None, channels: int) -> Any:
    return data.folder(_path(data_dir), image_size=image_size or 32, channels=channels)


def without_data(described: dict[str, Any]) -> Task:
    """The task of a run whose data are not loaded: its name, its shape, and zeros for samples.

    Args:
      described: `data` of the run's config.json.

    Raises:
      ValueError: there is no shape in it.
    """
    shape = described.get("shape")
    # config.json is untrusted. `type`: True is an int, and no length.
    if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError(f"its data's shape is {shape!r}")
    # A source is needed for the batch's shape only; nobody trains on this.
    zeros = lambda key, num: jnp.zeros((num, *shape))
    return Task(
        name=str(described.get("name", "")),
        shape=tuple(shape),
        source=lambda n_critic, batch_size, mesh=None: sources.from_sampler(
            zeros, n_critic=n_critic, batch_size=batch_size
        ),
        held_out=None,
    )


def load_world(name: str) -> Task:
    """A 2-D world by name, drawn fresh for every batch."""
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
    """The image task that the options name."""
    size = config.image_size
    if config.stream:
        return stream_images(config.dataset, config.data_dir, size, config.channels, config.seed)
    return load_images(config.dataset, config.data_dir, size, config.channels)
