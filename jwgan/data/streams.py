"""Streams batches of rows, read on the host while the device computes: for data too large for it.

Grain shuffles, reads ahead in threads and takes this process's share. The position in the stream is
the step counter: batch t is the same whenever it is asked for, so a resumed run needs nothing but
its state. Every epoch is a new permutation, as for data held on the device.
"""

import io
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jwgan import check, sharding
from jwgan.data import datasets, readers
from jwgan.sources import Source
from jwgan.types import Array, Key

_THREADS = 8
_READ_AHEAD = 64  # batches
# A stream has no end, and Grain asks for a length: so many rows outlast any run.
_ENDLESS = 2**62


class Rows(Protocol):
    """Anything with a length whose item i is a sample [*D]: an array, a data source, a folder."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class FolderRows:
    """The images below a folder as rows float32 [S, S, C] in [-1, 1]; reads each when asked for.

    Args:
      path: a folder of PNG and JPEG files; see `data.folder` for what is done to them.
      image_size: S, in pixels.
      channels: C, 1 or 3.

    Raises:
      DataError: no such folder, or no image in it; and when a row is read, an unreadable image.
      MissingPackageError: Pillow is not installed.
    """

    def __init__(self, path: str | Path, image_size: int, channels: int = 3):
        self.paths = readers.image_paths(path)
        self.image_size, self.channels = image_size, channels
        self[0]  # read one image now: wrong options must fail here, not in the middle of a run

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        pixels = readers.read_image(self.paths[index], self.image_size, self.channels)
        return pixels.astype(np.float32) / 127.5 - 1


class TFDSRows:
    """The images of a data set that TFDS prepared as array_record; decodes each when asked for.

    Rows are float32 [S, S, C] in [-1, 1], centre-cropped and resized.

    Args:
      name: TFDS's name of the data set, for example "celeb_a" or "imagenet_resized/64x64".
      data_dir: the folder that holds `name/`; default TFDS_DATA_DIR or ~/tensorflow_datasets.
      image_size: S, in pixels.
      channels: C, 1 or 3.
      split: the part of the data set.

    Raises:
      DataError: not prepared there, not array_record, or damaged; and when a row is read, a damaged
        image.
      MissingPackageError: tensorflow-datasets, or a package that it needs, is not installed.
    """

    def __init__(
        self,
        name: str,
        data_dir: str | Path | None = None,
        *,
        image_size: int,
        channels: int = 3,
        split: str = "train",
    ):
        self.folder = datasets.tfds_folder(name, data_dir)
        self._source = readers.open_tfds(self.folder, split)
        self.image_size, self.channels = image_size, channels
        self[0]  # read one image now: see FolderRows

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> np.ndarray:
        encoded = io.BytesIO(self._source[index]["image"])
        try:
            pixels = readers.square(encoded, self.image_size, self.channels)
        except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ...
            what = check.one_line(error)
            raise readers.DataError(
                f"{self.folder}: image {index} is unreadable: {what}; prepare the data set again"
            ) from error
        return pixels.astype(np.float32) / 127.5 - 1


def from_rows(
    rows: Rows, *, n_critic: int, batch_size: int, seed: int = 0, mesh: Mesh | None = None
) -> Source:
    """Makes a source of batches of rows, drawn without replacement within an epoch.

    With a mesh over several processes each process reads its own part of every batch only.

    Args:
      rows: samples [*D], all of one shape and dtype.
      n_critic: batches a step.
      batch_size: samples in a batch, of all processes together.
      seed: of the order.
      mesh: devices to divide the batches over.

    Raises:
      ValueError: there are no rows, n_critic or batch_size is below 1, or the processes do not
        divide the batch.
      MissingPackageError: grain is not installed.
    """
    check.require_package("grain", "data")
    import grain

    check.require(n_critic >= 1, "n_critic", n_critic, "give at least one critic update a step")
    check.require(batch_size >= 1, "batch_size", batch_size, "give at least one sample")
    check.require(len(rows) >= 1, "number of rows", len(rows), "give at least one sample")
    # Without a mesh every process reads whole batches: it trains a run of its own.
    part, parts = (0, 1) if mesh is None else (jax.process_index(), jax.process_count())
    remedy = f"give a multiple of the {parts} processes"
    check.require(batch_size % parts == 0, "batch_size", batch_size, remedy)
    # The order of all processes together: each makes the same one, and reads its own part of it.
    draws = grain.MapDataset.source(rows).seed(seed).shuffle().repeat(None)
    # The part is taken of the order and before anything is read, so no process decodes an image
    # that another one trains on.
    mine = grain.MapDataset.source(_Part(draws, batch_size, part, parts))
    options = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=_READ_AHEAD)
    steps = mine.batch(n_critic * batch_size // parts)
    iterator = iter(steps.to_iter_dataset(options))  # item t is the batches of step t
    # A row's shape is not declared anywhere: one is read to know it.
    first = np.asarray(rows[0])
    batch = jax.ShapeDtypeStruct((n_critic, batch_size, *first.shape), first.dtype)

    def fetch(first_step: int, length: int) -> Array:
        # A new state makes Grain drop what it has read ahead, so it is set after a resume or a jump
        # only, and the usual next chunk finds its batches ready.
        if iterator.get_state()["next_index"] != first_step:
            iterator.set_state({"next_index": first_step})
        chunk = np.stack([next(iterator) for _ in range(length)])
        # [length, n_critic, B / processes, *D]
        chunk = chunk.reshape(length, n_critic, batch_size // parts, *first.shape)
        if mesh is None:
            return jnp.asarray(chunk)
        placement = NamedSharding(mesh, P(None, None, "data"))  # of [length, n_critic, B, *D]
        # Each process hands over its own rows; together they are one global array, of which no
        # process ever holds the whole.
        return jax.make_array_from_process_local_data(placement, chunk)

    def batches(operand: Array, key: Key, length: int) -> tuple[Any, Any]:
        # The order was fixed on the host by `seed`; the state's key has no part in it.
        del key, length
        # [n_critic, B, *D] of one step: the samples stay divided, and no device computes another's.
        return operand, lambda x: sharding.over_data(x, 1)

    return Source(batch, fetch, batches)


class _Part:
    """The draws of one process, which reads its own part of every batch, in order."""

    def __init__(self, draws: Any, batch_size: int, part: int, parts: int):
        self._draws, self._batch_size = draws, batch_size
        self._rows = batch_size // parts
        self._first = part * self._rows

    def __len__(self) -> int:
        return _ENDLESS

    def __getitem__(self, index: int) -> Any:
        # Row r of this process's batch t is draw t B + first + r of all: side by side, the
        # processes' parts are the batch that a single process would have read.
        batch, row = divmod(index, self._rows)
        return self._draws[batch * self._batch_size + self._first + row]
