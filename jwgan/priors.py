"""Latent distributions: () -> prior(key, num) -> z [num, *Z]."""

import jax

from jwgan.check import require
from jwgan.split import over_data
from jwgan.types import Array, Key, Prior


def _shape(name: str, shape: int | tuple[int, ...]) -> tuple[int, ...]:
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    require(shape and all(s >= 1 for s in shape), name, shape, "give dimensions >= 1")
    return shape


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
