"""Latent distributions: () -> prior(key, num) -> z [num, *Z]."""

from collections.abc import Sequence

import jax

from jwgan.check import require
from jwgan.sharding import over_data
from jwgan.types import Array, Key, Prior


def _shape(name: str, shape: int | tuple[int, ...]) -> tuple[int, ...]:
    axes = shape if isinstance(shape, Sequence) else (shape,)
    good = len(axes) > 0 and all(hasattr(s, "__index__") and s >= 1 for s in axes)
    require(good, name, shape, "give whole numbers of dimensions, >= 1")
    return tuple(map(int, axes))


def normal(shape: int | tuple[int, ...]) -> Prior:
    """Standard normal latents of the given shape (an int is one axis)."""
    shape = _shape("shape", shape)

    def prior(key: Key, num: int) -> Array:
        return over_data(jax.random.normal(key, (num, *shape)))

    return prior


def uniform(shape: int | tuple[int, ...], low: float = -1.0, high: float = 1.0) -> Prior:
    """Latents uniform on [low, high) in every coordinate (BEGAN: [-1, 1])."""
    shape = _shape("shape", shape)
    require(low < high, "low, high", (low, high), "give low < high")

    def prior(key: Key, num: int) -> Array:
        return over_data(jax.random.uniform(key, (num, *shape), minval=low, maxval=high))

    return prior
