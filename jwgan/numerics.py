"""Numbers that need care: roots and ReLUs at 0, distances of near points, typed random keys."""

from typing import Any

import jax
import jax.numpy as jnp

from jwgan.types import Array


def safe_sqrt(square: Array) -> Array:
    """The square root, with derivative 0 instead of infinity where `square` is 0.

    For norms: a chain rule that meets the infinite derivative of sqrt at 0 returns NaN, even where
    the factor beside it is 0.

    Args:
      square: array of any shape, >= 0.

    Returns:
      An array of the same shape.

    >>> jax.grad(lambda x: jnp.sqrt(x**2))(0.0).item()
    nan
    >>> jax.grad(lambda x: numerics.safe_sqrt(x**2))(0.0).item()
    0.0
    >>> numerics.safe_sqrt(jnp.array([0.0, 4.0, 9.0])).tolist()
    [0.0, 2.0, 3.0]
    """
    positive = square > 0
    # The inner `where` keeps 0 away from sqrt; the outer one alone would still multiply its
    # infinite derivative by 0, which is NaN.
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


@jax.custom_jvp
def relu(x: Array) -> Array:
    """max(x, 0), of any shape; its derivatives are those of `jax.nn.relu`, 0 at 0.

    They are read from the result, which is not 0 where x is positive. `jax.nn.relu` keeps x for
    them, so a compiler cannot join the maximum to the convolution that makes x.

    >>> numerics.relu(jnp.array([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 2.0]
    >>> jax.vmap(jax.grad(numerics.relu))(jnp.array([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 1.0]
    """
    return jnp.maximum(x, 0)


# Of "y > 0" XLA would make "x > 0".
relu.defjvps(lambda dx, y, x: jax.lax.select(y != 0, dx, jnp.zeros_like(dx)))


def square_distances(x: Array, y: Array) -> Array:
    """Squared Euclidean distances between rows: x [N, F], y [M, F] -> [N, M].

    Each is a sum of squared differences: |x|^2 + |y|^2 - 2 <x, y> would lose the digits of near
    points that lie far from 0. Differences are taken in float32 or better, so unsigned bytes do not
    wrap around, and always added in the same order: two pairs of equal points have equal distances
    whatever the number of rows.

    >>> numerics.square_distances(jnp.array([[1000.0], [1000.5]]), jnp.array([[1000.25]])).tolist()
    [[0.0625], [0.0625]]
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    dtype = jnp.promote_types(jnp.promote_types(x.dtype, y.dtype), jnp.float32)
    columns = (x.T.astype(dtype), y.T.astype(dtype))

    def add(total: Array, column: tuple[Array, Array]) -> tuple[Array, None]:
        a, b = column
        return total + (a[:, None] - b[None]) ** 2, None

    # Feature by feature: the memory is that of the answer, and not F times as much.
    total, _ = jax.lax.scan(add, jnp.zeros((len(x), len(y)), dtype), columns)
    return total


def one_hot(label: Array, classes: int, dtype: Any = jnp.float32) -> Array:
    """Labels [B] as rows [B, K] of zeros with a one in the label's column.

    The row of a label outside of 0 to K - 1 is NaN: of zeros nobody would notice it.

    >>> numerics.one_hot(jnp.array([1, 0, 2]), 2).tolist()
    [[0.0, 1.0], [1.0, 0.0], [nan, nan]]
    """
    hot = jax.nn.one_hot(label, classes, dtype=dtype)
    known = (label >= 0) & (label < classes)
    return jnp.where(known[:, None], hot, jnp.nan)


def is_key(leaf: Any) -> bool:
    """Tells typed random keys, which are no numbers, from the other leaves of a state.

    Args:
      leaf: anything; arrays and `jax.ShapeDtypeStruct`s may be keys, what has no dtype is none.

    >>> [numerics.is_key(leaf) for leaf in (jax.random.key(0), jnp.zeros(3), 0)]
    [True, False, False]
    """
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
