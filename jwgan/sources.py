"""Where batches come from. Each function here returns a `Source`, as `loop.train` takes it.

A Source has a host half, `fetch`, and a compiled half, `batches`, so that data held on the device
never leave it. The batch of step t is a function of the run's key and t, whatever the chunk length
and wherever the run was resumed.

The examples look at the batches of the first steps:

    >>> def first_batches(source, steps):
    ...     operand = source.fetch(0, steps)  # on the host
    ...     xs, take = source.batches(operand, jax.random.key(0), steps)  # compiled, in a run
    ...     return jax.lax.map(take, xs)  # [steps, n_critic, B, *D]
"""

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jwgan.check import require
from jwgan.sharding import over_data
from jwgan.types import DATA_FOLD, Array, Data, Key, Labelled, inputs, require_labels


class BatchError(ValueError):
    """Data that end, or are of another shape or kind than was announced, after training began."""


class Source(NamedTuple):
    """Batches for chunks of steps.

    Attributes:
      batch: shape [n_critic, B, *D] and dtype of one step's batch; of labelled data `Labelled`,
        with those of the labels [n_critic, B].
      fetch: `(first_step, length) -> operand`, on the host: what the compiled chunk is handed.
      batches: `(operand, key, length) -> (xs, take)`, traced: `take(x)` is the batch
        [n_critic, B, *D] of one slice x of xs, whose leading axis is `length`.
    """

    batch: Any
    fetch: Callable[[int, int], Any]
    batches: Callable[[Any, Key, int], tuple[Any, Callable[[Any], Data]]]


def _batch_of(n_critic: int, batch_size: int, rows: Any) -> Any:
    """Shapes and dtypes [n_critic, B, ...] of batches of rows [N, ...]."""
    of = lambda leaf: jax.ShapeDtypeStruct((n_critic, batch_size, *leaf.shape[1:]), leaf.dtype)
    return jax.tree.map(of, rows)


def _check(n_critic: int, batch_size: int) -> None:
    whole = lambda n: isinstance(n, int | np.integer) and n >= 1
    require(whole(n_critic), "n_critic", n_critic, "give at least one critic update a step")
    require(whole(batch_size), "batch_size", batch_size, "give at least one sample, a whole number")


def require_floats(dtype: Any, name: str) -> None:
    """Raises ValueError for data that are no real numbers: bytes of images, say, are whole ones.

    >>> sources.require_floats("float32", "array's dtype")
    >>> sources.require_floats("uint8", "array's dtype")
    Traceback (most recent call last):
    ValueError: array's dtype is 'uint8': give floats in the generator's range: ...
    """
    try:
        # jnp.issubdtype knows bfloat16, which NumPy's own does not.
        is_real = jnp.issubdtype(dtype, jnp.floating)
    except TypeError:  # of a structured type, for example
        is_real = False
    remedy = (
        "give floats in the generator's range: bytes of images as x / 127.5 - 1, columns of a "
        "table as (x - mean) / std"
    )
    require(is_real, name, str(dtype), remedy)


def _require_one_trial(key: Key) -> None:
    """Raises ValueError for the keys of several trials, each of which draws its own batches."""
    remedy = "this source draws for a single one; train on that of many.trials, or many.drawn"
    require(key.ndim == 0, "the number of trials", key.shape, remedy)


# Beyond these the data are taken for a slip: images are made by tanh, in [-1, 1], but some are
# divided by their standard deviation; of vectors any unit may be meant.
_FAR = {True: 8.0, False: 1000.0}  # by whether the samples are images [H, W, C]
_LOOKED_AT = 1000  # rows


def warn_of_range(rows: Any, name: str) -> None:
    """Warns if values are far from what a generator makes, as of images in 0 to 255.

    Args:
      rows: samples [N, *D] on the host or a device, of which the first 1,000 are looked at.
      name: of the argument, for the warning.

    >>> sources.warn_of_range(np.ones((2, 4, 4, 1)), "array")
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     sources.warn_of_range(np.full((2, 4, 4, 1), 255.0), "array")
    >>> str(caught[0].message)[:38]
    'array has values from 255 to 255, far '
    """
    # Rows of other processes cannot be looked at.
    here = getattr(rows, "is_fully_addressable", True)
    if isinstance(rows, jax.core.Tracer) or not here or not rows.size:
        return
    # On the host: to compile a program would take longer than this.
    some = np.asarray(rows[:_LOOKED_AT]).astype(np.float32)
    are_images = some.ndim == 4
    finite = some[np.isfinite(some)]
    if finite.size and np.abs(finite).max() > _FAR[are_images]:
        how = "bytes of images by x / 127.5 - 1" if are_images else "columns by (x - mean) / std"
        warnings.warn(
            f"{name} has values from {finite.min():g} to {finite.max():g}, far from what a "
            f"generator makes: scale them, {how}",
            stacklevel=3,
        )


def epoch_positions(key: Key, epoch: Array, offset: Array, count: int, size: int) -> Array:
    """Finds the row indices [count] of consecutive draws; each epoch is a new permutation of rows.

    Args:
      key: the run's data key.
      epoch, offset: [] int32, where the first draw stands; 0 <= offset < size.
      count: draws wanted.
      size: number of rows.

    >>> rows = sources.epoch_positions(jax.random.key(0), jnp.int32(0), jnp.int32(0), 6, size=3)
    >>> sorted(rows[:3].tolist()), sorted(rows[3:].tolist())
    ([0, 1, 2], [0, 1, 2])
    """
    # Draws that begin at the end of an epoch touch one epoch more than their number would fill.
    epochs = epoch + jnp.arange(math.ceil((count - 1) / size) + 1)
    permute = lambda e: jax.random.permutation(jax.random.fold_in(key, e), size)
    table = jax.vmap(permute)(epochs)  # [E, size]
    draws = offset + jnp.arange(count)
    return table[draws // size, draws % size]


def from_array(
    array: Any,
    *,
    n_critic: int,
    batch_size: int,
    label: Any = None,
    classes: int | None = None,
    mesh: Mesh | None = None,
) -> Source:
    """Draws rows of an array held on the device, without replacement within an epoch.

    Args:
      array: real data [N, *D], floats.
      n_critic: critic updates a step, each with its own batch.
      batch_size: B.
      label: the class of each row [N], for `Labelled` batches; the same rows are drawn with labels
        and without.
      classes: K, where it is known: a label outside of 0 to K - 1 is then an error.
      mesh: devices that each hold all rows; None for the default device.

    Raises:
      ValueError: if n_critic or batch_size is no whole number above 0, the batch is larger than the
        data, the data are whole numbers, as bytes of images are, or the labels are no classes of
        these rows.

    >>> data = jnp.arange(8.0).reshape(8, 1)
    >>> batches = first_batches(sources.from_array(data, n_critic=2, batch_size=2), steps=2)
    >>> batches.shape, sorted(batches.ravel().tolist())  # one epoch
    ((2, 2, 2, 1), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    """
    _check(n_critic, batch_size)
    require_floats(array.dtype, "array's dtype")
    size = array.shape[0]
    remedy = f"there are only {size} samples; give a smaller batch or more data"
    require(batch_size <= size, "batch_size", batch_size, remedy)
    warn_of_range(array, "array")
    if label is not None:
        label = require_labels("label", label, classes)
        remedy = f"give one for each of the {size} samples"
        require(label.shape == (size,), "label's shape", label.shape, remedy)
    data = array if label is None else Labelled(array, label)
    data = jax.device_put(data, None if mesh is None else NamedSharding(mesh, P()))
    per_step = n_critic * batch_size

    def fetch(first_step: int, length: int) -> Any:
        del length
        # In Python's integers: first_step * per_step passes 2**31 in a long run.
        epoch, offset = divmod(first_step * per_step, size)
        return data, np.int32(epoch), np.int32(offset)

    def batches(operand: Any, key: Key, length: int) -> tuple[Any, Callable[[Any], Data]]:
        _require_one_trial(key)
        rows, epoch, offset = operand
        data_key = jax.random.fold_in(key, DATA_FOLD)
        # An epoch's permutation is made once for the chunk, and not again in every step.
        index = epoch_positions(data_key, epoch, offset, length * per_step, size)
        take = lambda i: over_data(jax.tree.map(lambda leaf: leaf[i], rows), 1)
        return index.reshape(length, n_critic, batch_size), take

    return Source(_batch_of(n_critic, batch_size, data), fetch, batches)


def from_sampler(sample: Callable[[Key, int], Data], *, n_critic: int, batch_size: int) -> Source:
    """Draws fresh samples for every batch, inside the compiled program.

    Args:
      sample: `(key, num) -> x [num, *D]`, or `Labelled` ones.
      n_critic: critic updates a step, each with its own batch.
      batch_size: B.

    Raises:
      ValueError: if n_critic or batch_size is no whole number above 0, or the samples are whole
        numbers.

    >>> def gaussian(key, num):
    ...     return jax.random.normal(key, (num, 3))
    >>> source = sources.from_sampler(gaussian, n_critic=5, batch_size=4)
    >>> source.batch.shape, first_batches(source, steps=2).shape
    ((5, 4, 3), (2, 5, 4, 3))
    """
    _check(n_critic, batch_size)
    num = n_critic * batch_size

    def fetch(first_step: int, length: int) -> Any:
        del length
        return np.int32(first_step)

    def batches(operand: Array, key: Key, length: int) -> tuple[Any, Callable[[Any], Data]]:
        _require_one_trial(key)
        data_key = jax.random.fold_in(key, DATA_FOLD)

        def take(step: Array) -> Data:
            x = sample(jax.random.fold_in(data_key, step), num)
            cut = lambda leaf: leaf.reshape(n_critic, batch_size, *leaf.shape[1:])
            return over_data(jax.tree.map(cut, x), 1)

        # A slice of xs is the step's number, of which its key is made.
        return operand + jnp.arange(length), take

    x = jax.eval_shape(lambda key: sample(key, num), jax.random.key(0))
    require_floats(x.dtype, "samples' dtype")
    return Source(_batch_of(n_critic, batch_size, x), fetch, batches)


def from_iterator(iterator: Iterable[Any], batch: Any) -> Source:
    """Takes batches [n_critic, B, *D] from a host iterator, one `next` for each step.

    The iterator's own state must be saved beside the run's to resume exactly.

    Args:
      iterator: yields arrays of `batch`'s shape, of floats, which are cast to its dtype; labelled
        ones as `Labelled` or a tuple (x, label).
      batch: a ShapeDtypeStruct [n_critic, B, *D] of floats; `Labelled` with one of the labels
        [n_critic, B].

    Raises:
      ValueError: `batch` is of whole numbers, or `iterator` is none; from `fetch` (a `BatchError`),
        when the iterator ends or yields another shape or whole numbers.

    >>> stream = iter([np.zeros((1, 2, 3)), np.ones((1, 2, 3))])
    >>> source = sources.from_iterator(stream, jax.ShapeDtypeStruct((1, 2, 3), "float32"))
    >>> first_batches(source, steps=2).mean(axis=(1, 2, 3)).tolist()
    [0.0, 1.0]
    """
    require_floats(batch.dtype, "batch's dtype")
    require(isinstance(iterator, Iterable), "iterator", iterator, "give an iterator of batches")
    stream, shape = iter(iterator), tuple(batch.shape)

    def fetch(first_step: int, length: int) -> Data:
        rows = [_next_batch(stream, first_step + i, batch) for i in range(length)]
        if first_step == 0:
            # [n_critic, B, *D] -> [n_critic B, *D]
            x = inputs(rows[0])[0]
            warn_of_range(x.reshape(-1, *shape[2:]), "the streamed batch of step 0")
        cast = lambda like, *leaves: jnp.stack([jnp.asarray(leaf, like.dtype) for leaf in leaves])
        return jax.tree.map(cast, batch, *rows)

    def batches(operand: Data, key: Key, length: int) -> tuple[Any, Callable[[Any], Data]]:
        del length
        _require_one_trial(key)
        return operand, lambda x: over_data(x, 1)

    return Source(batch, fetch, batches)


def _next_batch(stream: Any, step: int, batch: Any) -> Any:
    """The next batch of a host iterator, labelled if `batch` is.

    Raises:
      BatchError: there is none, or it is none of that shape, in floats, with or without labels.
    """
    shape = tuple(batch.shape)
    try:
        row = next(stream)
    except StopIteration:
        fewer = f", or train {step} step{'s' * (step != 1)}" if step else ""
        raise BatchError(
            f"streamed batches ended before step {step}: give an iterator that goes on, such as "
            f"itertools.cycle(batches){fewer}"
        ) from None
    label = None
    if isinstance(batch, Labelled):
        if not isinstance(row, tuple) or len(row) != 2:
            kind = type(row).__name__
            raise BatchError(
                f"the streamed batch of step {step} is a {kind}: give Labelled(x, label)"
            )
        row, label = row
    elif isinstance(row, Labelled):
        raise BatchError(
            f"the streamed batch of step {step} has labels: say so in `batch`, with Labelled(x, "
            "label) of two ShapeDtypeStructs"
        )
    row = _as_array(row)
    try:
        remedy = f"the run was built for {shape}; make every batch that shape (step {step})"
        require(row.shape == shape, "streamed batch's shape", row.shape, remedy)
        require_floats(row.dtype, f"dtype of the streamed batch of step {step}")
        if label is None:
            return row
        label = require_labels(f"label of the streamed batch of step {step}", label)
        require(label.shape == shape[:2], "its labels' shape", label.shape, f"give {shape[:2]}")
    except ValueError as error:
        raise BatchError(str(error)) from None
    return Labelled(row, label)


def _as_array(row: Any) -> Any:
    if hasattr(row, "dtype"):
        return row
    try:
        return np.asarray(row)
    except ValueError:  # of lists of unequal lengths
        return np.empty((), object)
