"""Where batches come from: -> Source, as `loop.train` takes it.

A Source has a host half and a compiled half, so that data held on the device never leave it: the
batch of step t is a function of the run's key and t, whatever the chunk length and wherever the
run was resumed.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jwgan.check import require
from jwgan.sharding import over_data
from jwgan.types import DATA_FOLD, Array, Key


class Source(NamedTuple):
    """Batches for chunks of steps.

    Attributes:
      batch: shape [n_critic, B, *D] and dtype of one step's batch.
      fetch: `(first_step, length) -> operand`, on the host: what the compiled chunk is handed.
      batches: `(operand, key, length) -> (xs, take)`, traced: `take(x)` is the batch
        [n_critic, B, *D] of one slice x of xs, whose leading axis is `length`.
    """

    batch: jax.ShapeDtypeStruct
    fetch: Callable[[int, int], Any]
    batches: Callable[[Any, Key, int], tuple[Any, Callable[[Any], Array]]]


def _check(n_critic: int, batch_size: int) -> None:
    whole = lambda n: isinstance(n, int | np.integer) and n >= 1
    require(whole(n_critic), "n_critic", n_critic, "give at least one critic update a step")
    require(whole(batch_size), "batch_size", batch_size, "give at least one sample, a whole number")


def epoch_positions(key: Key, epoch: Array, offset: Array, count: int, size: int) -> Array:
    """Row indices [count] of consecutive draws, each epoch a fresh permutation of all rows.

    Args:
      key: the run's data key.
      epoch, offset: [] int32, where the first draw stands; 0 <= offset < size.
      count: draws wanted.
      size: number of rows.
    """
    epochs = epoch + jnp.arange(math.ceil((count - 1) / size) + 1)
    permute = lambda e: jax.random.permutation(jax.random.fold_in(key, e), size)
    table = jax.vmap(permute)(epochs)  # [E, size]
    draws = offset + jnp.arange(count)
    return table[draws // size, draws % size]


def from_array(array: Any, *, n_critic: int, batch_size: int, mesh: Mesh | None = None) -> Source:
    """Rows of a real array [N, *D] held on the device, without replacement within an epoch.

    With a mesh, every device holds all rows.

    Raises:
      ValueError: if n_critic or batch_size is no whole number above 0, the batch is larger than the
        data, or they are whole numbers, as bytes of images are.
    """
    _check(n_critic, batch_size)
    is_real = jnp.issubdtype(array.dtype, jnp.floating)
    remedy = "give floats in the generator's range, for images x / 127.5 - 1"
    require(is_real, "array's dtype", str(array.dtype), remedy)
    size = array.shape[0]
    remedy = f"there are only {size} samples; give a smaller batch or more data"
    require(batch_size <= size, "batch_size", batch_size, remedy)
    array = jax.device_put(array, None if mesh is None else NamedSharding(mesh, P()))
    per_step = n_critic * batch_size

    def fetch(first_step: int, length: int) -> Any:
        del length
        # Python integers: first_step * per_step passes 2**31 in a long run
        epoch, offset = divmod(first_step * per_step, size)
        return array, np.int32(epoch), np.int32(offset)

    def batches(operand: Any, key: Key, length: int) -> tuple[Any, Callable[[Any], Array]]:
        rows, epoch, offset = operand
        data_key = jax.random.fold_in(key, DATA_FOLD)
        index = epoch_positions(data_key, epoch, offset, length * per_step, size)
        return index.reshape(length, n_critic, batch_size), lambda i: over_data(rows[i], 1)

    batch = jax.ShapeDtypeStruct((n_critic, batch_size, *array.shape[1:]), array.dtype)
    return Source(batch, fetch, batches)


def from_sampler(sample: Callable[[Key, int], Array], *, n_critic: int, batch_size: int) -> Source:
    """Fresh draws `sample(key, num) -> x [num, *D]`, inside the compiled program."""
    _check(n_critic, batch_size)
    num = n_critic * batch_size

    def fetch(first_step: int, length: int) -> Any:
        del length
        return np.int32(first_step)

    def batches(operand: Array, key: Key, length: int) -> tuple[Any, Callable[[Any], Array]]:
        data_key = jax.random.fold_in(key, DATA_FOLD)

        def take(step: Array) -> Array:
            x = sample(jax.random.fold_in(data_key, step), num)
            return over_data(x.reshape(n_critic, batch_size, *x.shape[1:]), 1)

        return operand + jnp.arange(length), take

    x = jax.eval_shape(lambda key: sample(key, num), jax.random.key(0))
    batch = jax.ShapeDtypeStruct((n_critic, batch_size, *x.shape[1:]), x.dtype)
    return Source(batch, fetch, batches)


def from_iterator(iterator: Iterator[Any], batch: Any) -> Source:
    """Batches [n_critic, B, *D] from a host iterator, one `next` for each step.

    The iterator's own state must be saved beside the run's to resume exactly.

    Args:
      iterator: yields arrays of `batch`'s shape and dtype.
      batch: a ShapeDtypeStruct [n_critic, B, *D].
    """

    def fetch(first_step: int, length: int) -> Array:
        del first_step
        rows = [next(iterator) for _ in range(length)]
        for row in rows:
            remedy = f"the run was built for {tuple(batch.shape)}; make every batch that shape"
            require(row.shape == tuple(batch.shape), "streamed batch's shape", row.shape, remedy)
        return jnp.stack([jnp.asarray(row, batch.dtype) for row in rows])

    def batches(operand: Array, key: Key, length: int) -> tuple[Any, Callable[[Any], Array]]:
        del key, length
        return operand, lambda x: over_data(x, 1)

    return Source(batch, fetch, batches)
