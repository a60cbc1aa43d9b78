"""Spirals in the plane."""

import jax
import jax.numpy as jnp

from jwgan.problems import Problem
from jwgan.types import Array, Key


def swiss_roll(noise: float = 0.25, scale: float = 1 / 7.5) -> Problem:
    """The spiral (t cos t, t sin t), t uniform on [1.5 pi, 4.5 pi), plus normal noise, scaled.

    The same distribution as columns 0 and 2 of scikit-learn's `make_swiss_roll(noise=.25)` divided
    by 7.5: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, figure 1, as scaled in
    the authors' code (construction: Marsland, 2009, Machine Learning, chapter 10).

    Args:
      noise: Standard deviation of the noise per coordinate, before scaling.
      scale: Multiplies everything.

    Without noise the radius is t / 7.5, from 0.63 to 1.88:

    >>> x = rolls.swiss_roll(noise=0.0).sample(jax.random.key(0), 10_000)
    >>> radius = jnp.linalg.norm(x, axis=1)
    >>> x.shape, round(radius.min().item(), 2), round(radius.max().item(), 2)
    ((10000, 2), 0.63, 1.88)
    """

    def sample(key: Key, num: int) -> Array:
        key_turn, key_noise = jax.random.split(key)
        t = 1.5 * jnp.pi * (1 + 2 * jax.random.uniform(key_turn, (num,)))
        spiral = jnp.stack([t * jnp.cos(t), t * jnp.sin(t)], axis=1)
        return scale * (spiral + noise * jax.random.normal(key_noise, (num, 2)))

    return Problem("swiss_roll", sample)
