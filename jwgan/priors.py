"""Latent distributions. Each function here returns a prior: `(key, num) -> z [num, *Z]`.

Any function of that form is a prior. To train on a mesh, pass its noise through
`sharding.over_data`, as these do.
"""

from collections.abc import Sequence

import jax

from jwgan.check import require
from jwgan.sharding import over_data
from jwgan.types import Array, Key, Prior


def _shape(name: str, shape: int | tuple[int, ...]) -> tuple[int, ...]:
    axes = shape if isinstance(shape, Sequence) else (shape,)
    # Whole numbers of any kind: NumPy's integers have __index__ too.
    good = len(axes) > 0 and all(hasattr(s, "__index__") and s >= 1 for s in axes)
    require(good, name, shape, "give whole numbers of dimensions, >= 1")
    return tuple(map(int, axes))


def normal(shape: int | tuple[int, ...]) -> Prior:
    """Standard normal latents.

    Args:
      shape: of one latent; an int is one axis.

    Raises:
      ValueError: a size that is no whole number >= 1.

    >>> priors.normal(3)(jax.random.key(0), 5).shape
    (5, 3)
    """
    shape = _shape("shape", shape)

    def prior(key: Key, num: int) -> Array:
        return over_data(jax.random.normal(key, (num, *shape)))

    return prior


def uniform(shape: int | tuple[int, ...], low: float = -1.0, high: float = 1.0) -> Prior:
    """Latents uniform on [low, high) in every coordinate; BEGAN's and DCGAN's are on [-1, 1].

    Args:
      shape: of one latent; an int is one axis.
      low, high: bounds.

    Raises:
      ValueError: a size that is no whole number >= 1, or low >= high.

    >>> z = priors.uniform((2, 3))(jax.random.key(0), 5)
    >>> z.shape, bool((abs(z) <= 1).all())
    ((5, 2, 3), True)
    """
    shape = _shape("shape", shape)
    require(low < high, "low, high", (low, high), "give low < high")

    def prior(key: Key, num: int) -> Array:
        return over_data(jax.random.uniform(key, (num, *shape), minval=low, maxval=high))

    return prior
