"""Streams batches of rows, read on the host while the device computes: for data too large for it.

Grain shuffles, reads ahead in threads and takes this process's share. The position in the stream is
the step counter: batch t is the same whenever it is asked for, so a resumed run needs nothing but
its state. Every epoch is a new permutation, as for data held on the device.

>>> from jwgan.data import streams
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jwgan import check, sharding, sources
from jwgan.data import images
from jwgan.sources import Source
from jwgan.types import Array, Data, Key, Labelled, inputs, require_labels

FolderRows, TFDSRows = images.FolderRows, images.TFDSRows

_THREADS = 8
_READ_AHEAD = 64  # batches
# A stream has no end, and Grain asks for a length: so many rows outlast any run.
_ENDLESS = 2**62


class Rows(Protocol):
    """Anything with a length whose item i is a sample [*D]: an array, a data source, a folder.

    An item may be a `types.Labelled` of a sample and its class.

    >>> class Squares:
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         return np.array([index**2 / 4 - 0.5], np.float32)
    >>> source = streams.from_rows(Squares(), n_critic=1, batch_size=3)
    >>> sorted(source.fetch(0, 1).ravel().tolist())
    [-0.5, -0.25, 0.5]
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


def from_rows(
    rows: Rows,
    *,
    n_critic: int,
    batch_size: int,
    seed: int = 0,
    label: Any = None,
    mesh: Mesh | None = None,
) -> Source:
    """Makes a source of batches of rows, drawn without replacement within an epoch.

    With a mesh over several processes each process reads its own part of every batch only.

    Args:
      rows: samples [*D], all of one shape and dtype.
      n_critic: batches a step.
      batch_size: samples in a batch, of all processes together.
      seed: of the order.
      label: the class of each row [N], for `Labelled` batches; the order does not depend on them.
      mesh: devices to divide the batches over.

    Raises:
      ValueError: there are no rows, they are whole numbers, the labels are none of these rows,
        n_critic or batch_size is below 1, or the processes do not divide the batch; and from
        `fetch` (a `sources.BatchError`), a row of another shape or dtype than the first.
      MissingPackageError: grain is not installed.

    An epoch has each row once:

    >>> rows = np.array([[-1.0], [0.0], [1.0], [0.5]], np.float32)
    >>> source = streams.from_rows(rows, n_critic=2, batch_size=2)
    >>> batches = source.fetch(0, 1)  # [steps, n_critic, B, *D]
    >>> batches.shape, sorted(batches.ravel().tolist())
    ((1, 2, 2, 1), [-1.0, 0.0, 0.5, 1.0])
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
    if label is not None:
        rows = _WithLabels(rows, label)
    # A row's shape is not declared anywhere: one is read to know it.
    first = _arrays(rows[0])
    x = inputs(first)[0]
    sources.require_floats(x.dtype, "rows' dtype")
    sources.warn_of_range(x[None], "the first row")
    # The order of all processes together: each makes the same one, and reads its own part of it.
    draws = grain.MapDataset.source(_Checked(rows, first)).seed(seed).shuffle().repeat(None)
    # The part is taken of the order and before anything is read, so no process decodes an image
    # that another one trains on.
    mine = grain.MapDataset.source(_Part(draws, batch_size, part, parts))
    options = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=_READ_AHEAD)
    steps = mine.batch(n_critic * batch_size // parts)
    iterator = iter(steps.to_iter_dataset(options))  # item t is the batches of step t
    # Without x64 JAX makes float32 of float64.
    plain = lambda leaf: jax.dtypes.canonicalize_dtype(leaf.dtype)
    batch = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((n_critic, batch_size, *leaf.shape), plain(leaf)), first
    )

    def fetch(first_step: int, length: int) -> Array:
        # A new state makes Grain drop what it has read ahead, so it is set after a resume or a jump
        # only, and the usual next chunk finds its batches ready.
        if iterator.get_state()["next_index"] != first_step:
            iterator.set_state({"next_index": first_step})
        read = [next(iterator) for _ in range(length)]
        return jax.tree.map(lambda like, *leaves: place(np.stack(leaves), like), first, *read)

    def place(leaf: np.ndarray, like: np.ndarray) -> Array:
        length = len(leaf)
        # [length, n_critic, B / processes, *D]
        chunk = leaf.reshape(length, n_critic, batch_size // parts, *like.shape)
        chunk = chunk.astype(plain(like), copy=False)
        if mesh is None:
            return jnp.asarray(chunk)
        placement = NamedSharding(mesh, P(None, None, "data"))  # of [length, n_critic, B, *D]
        # Each process hands over its own rows; together they are one global array, of which no
        # process ever holds the whole.
        return jax.make_array_from_process_local_data(placement, chunk)

    def batches(operand: Data, key: Key, length: int) -> tuple[Any, Any]:
        # The order was fixed on the host by `seed`; the state's key has no part in it.
        del key, length
        # [n_critic, B, *D] of one step: the samples stay divided, and no device computes another's.
        return operand, lambda x: sharding.over_data(x, 1)

    return Source(batch, fetch, batches)


def _arrays(row: Any) -> Any:
    """A row as NumPy's array, or of a labelled one both parts."""
    if isinstance(row, Labelled):
        return Labelled(np.asarray(row.x), np.asarray(row.label, np.int32))
    return np.asarray(row)


class _WithLabels:
    """Rows with the class of each."""

    def __init__(self, rows: Rows, label: Any):
        self._rows, self._label = rows, np.asarray(require_labels("label", label))
        remedy = f"give one for each of the {len(rows)} rows"
        check.require(self._label.shape == (len(rows),), "label's shape", self._label.shape, remedy)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Labelled:
        return Labelled(self._rows[index], self._label[index])


class _Checked:
    """Rows, each compared with the first: Grain's own error would name neither row nor shape."""

    def __init__(self, rows: Rows, first: Any):
        self._rows, self._first = rows, first

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Any:
        row, first = _arrays(self._rows[index]), self._first
        # `shape` and `dtype` of a labelled row are those of its sample.
        if (row.shape, row.dtype) != (first.shape, first.dtype):
            raise sources.BatchError(
                f"row {index} is {row.dtype} {list(row.shape)}, row 0 is {first.dtype} "
                f"{list(first.shape)}: make all rows alike"
            )
        return row


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
