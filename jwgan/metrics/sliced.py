"""The sliced Wasserstein-1 distance: exact in one dimension, averaged over directions."""

import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.types import Array, Key


def sliced_w1(key: Key, real: Array, fake: Array, num_projections: int = 128) -> Array:
    """Averages the exact W1 between projected samples over random directions.

    Never above W1; a shift by d gives |d| E|u_1|, u uniform on the sphere (2 / pi in the plane).
    The key fixes the directions: use one key to compare runs.

    Args:
      key: For the directions.
      real: Samples [N, D].
      fake: Samples [M, D].
      num_projections: Directions; the error falls with their square root.

    Returns:
      [] in units of the samples.

    Raises:
      ValueError: the samples are not of one dimension, there are none, or no directions.

    Reference: Bonneel et al., 2015, Sliced and Radon Wasserstein Barycenters of Measures.

    >>> real = jnp.zeros((4, 2))
    >>> shifted = real + jnp.array([[3.0, 4.0]])
    >>> distance = sliced.sliced_w1(jax.random.key(0), real, shifted, num_projections=10_000)
    >>> bool(abs(distance - 5 * 2 / jnp.pi) < 0.05)
    True
    """
    shapes = (real.shape, fake.shape)
    fits = (
        real.ndim == fake.ndim == 2 and real.shape[1] == fake.shape[1] and min(map(min, shapes)) > 0
    )
    require(fits, "real, fake", shapes, "give [N, D] and [M, D]")
    require(num_projections >= 1, "num_projections", num_projections, "give at least 1")
    directions = jax.random.normal(key, (real.shape[1], num_projections))
    directions /= jnp.linalg.norm(directions, axis=0, keepdims=True)
    return jax.vmap(w1_on_line)((real @ directions).T, (fake @ directions).T).mean()


def w1_on_line(real: Array, fake: Array) -> Array:
    """Computes W1 [] between samples [N] and [M] on the line exactly.

    It is the area between their distribution functions.

    >>> sliced.w1_on_line(jnp.array([0.0, 1.0]), jnp.array([5.0, 2.0])).item()
    3.0
    >>> sliced.w1_on_line(jnp.array([0.0]), jnp.array([5.0, 2.0])).item()
    3.5
    """
    real, fake = jnp.sort(real), jnp.sort(fake)
    # With equal numbers the best matching on the line is in order.
    if len(real) == len(fake):
        return jnp.abs(real - fake).mean()
    both = jnp.sort(jnp.concatenate([real, fake]))
    below_real = jnp.searchsorted(real, both[:-1], side="right") / len(real)
    below_fake = jnp.searchsorted(fake, both[:-1], side="right") / len(fake)
    return (jnp.abs(below_real - below_fake) * jnp.diff(both)).sum()
