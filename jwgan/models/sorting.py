"""Sorts all features, as an activation, several times faster on a CPU than XLA sorts floats.

XLA:CPU sorts floats with a comparison function, integers natively. So the order is found on
integers that hold a float's leading bits and its position; values and gradients then follow by
indexing.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jwgan.check import require

Array = jax.Array


@jax.custom_vjp
def descending(x: Array) -> Array:
    """Sorts features from high to low: x [B, F] float32 -> [B, F], F a power of two.

    It permutes each row, so it keeps norms. The order is that of the float32 numbers rounded to
    23 - log2 F bits: values closer than a relative 2^(log2 F - 23) stay in the order they came in.

    Raises:
      ValueError: F is no power of two.

    >>> sorting.descending(jnp.array([[2.0, -1.0, 7.0, 0.5]])).tolist()
    [[7.0, 2.0, 0.5, -1.0]]
    """
    return _forward(x)[0]


def _forward(x: Array) -> tuple[Array, Array]:
    size = x.shape[-1]
    require(size & (size - 1) == 0, "x.shape", x.shape, "make the features a power of two")
    # As integers, positive floats are in the right order and negative ones run backwards.
    bits = lax.bitcast_convert_type(-x, jnp.int32)
    ordered = jnp.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    place = jnp.arange(size, dtype=jnp.int32)[None]
    # The lowest log2 F bits of a key hold the position, which the sort then carries along.
    keys = (ordered & ~(size - 1)) | place
    order = lax.sort(keys, dimension=-1, is_stable=False) & (size - 1)
    rows = jnp.arange(x.shape[0])[:, None]
    return x.at[rows, order].get(mode="promise_in_bounds"), order


def _backward(order: Array, g: Array) -> tuple[Array]:
    rows = jnp.arange(g.shape[0])[:, None]
    place = jnp.zeros_like(g).at[rows, order]
    return (place.set(g, mode="promise_in_bounds", unique_indices=True),)


descending.defvjp(_forward, _backward)
