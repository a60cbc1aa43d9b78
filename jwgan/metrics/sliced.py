"""The sliced Wasserstein-1 distance: exact in one dimension, averaged over directions."""

import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.types import Array, Key

_EXACT = jax.lax.Precision.HIGHEST  # accelerators round a product's factors to 8 or 11 bits


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
    # A common offset changes nothing but the digits that are left: the products lose them.
    middle = _floats(real).mean(axis=0, keepdims=True)
    on_lines = lambda x: jnp.matmul(_floats(x) - middle, directions, precision=_EXACT).T
    return jax.vmap(w1_on_line)(on_lines(real), on_lines(fake)).mean()


def w1_on_line(real: Array, fake: Array) -> Array:
    """Computes W1 [] between samples [N] and [M] on the line exactly.

    It is the area between their distribution functions, in float32 or the samples' own precision.

    Raises:
      ValueError: not two vectors, or an empty one.

    >>> sliced.w1_on_line(jnp.array([0.0, 1.0]), jnp.array([5.0, 2.0])).item()
    3.0
    >>> sliced.w1_on_line(jnp.array([0.0]), jnp.array([5.0, 2.0])).item()
    3.5
    """
    require(real.ndim == fake.ndim == 1, "real, fake", (real.shape, fake.shape), "give [N] and [M]")
    require(min(len(real), len(fake)) >= 1, "samples", (len(real), len(fake)), "give at least one")
    real, fake = jnp.sort(_floats(real)), jnp.sort(_floats(fake))
    # With equal numbers the best matching on the line is in order.
    if len(real) == len(fake):
        return jnp.abs(real - fake).mean()
    both = jnp.sort(jnp.concatenate([real, fake]))
    # In the samples' own precision: a quotient of integers is float32, under x64 too.
    share = lambda x: jnp.searchsorted(x, both[:-1], side="right").astype(x.dtype) / len(x)
    return (jnp.abs(share(real) - share(fake)) * jnp.diff(both)).sum()


def _floats(x: Array) -> Array:
    """The samples in float32 or better: differences of unsigned bytes would wrap around."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
