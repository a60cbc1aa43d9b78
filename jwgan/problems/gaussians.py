"""Mixtures of equally likely round Gaussians in the plane."""

import jax
import jax.numpy as jnp
import numpy as np

from jwgan.check import require
from jwgan.problems import Problem
from jwgan.types import Array, Key


def mixture(name: str, modes: Array | np.ndarray, std: float) -> Problem:
    """A mixture of Gaussians of standard deviation `std` around `modes` [M, D], equally likely.

    Args:
      name: what the problem is called.
      modes: [M, D] centres.
      std: of every mode, per coordinate.

    Raises:
      ValueError: `modes` is not [M, D], two modes coincide (that mode would weigh double), or
        `std` is negative.

    >>> points = gaussians.mixture("points", [[0.0, 0.0], [3.0, 4.0]], std=0.0)
    >>> x = points.sample(jax.random.key(0), 100)
    >>> sorted(set(jnp.linalg.norm(x, axis=1).tolist()))
    [0.0, 5.0]
    """
    modes = np.asarray(modes, np.float32)
    require(modes.ndim == 2 and len(modes), "modes", modes.shape, "give an array [M, D]")
    distinct = np.unique(modes.round(5), axis=0)
    require(len(distinct) == len(modes), "modes", modes.tolist(), "give distinct modes")
    require(std >= 0, "std", std, "give a standard deviation >= 0")
    centres = jnp.asarray(modes)

    def sample(key: Key, num: int) -> Array:
        key_mode, key_noise = jax.random.split(key)
        mode = jax.random.randint(key_mode, (num,), 0, len(modes))
        return centres[mode] + std * jax.random.normal(key_noise, (num, modes.shape[1]))

    return Problem(name, sample, centres, std)


def _circle(num: int, radius: float) -> np.ndarray:  # -> [num, 2]
    # arange / num, not linspace(0, 2 pi, num + 1): that repeats the first point.
    angle = 2 * np.pi * np.arange(num) / num
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def eight_gaussians() -> Problem:
    """Eight modes on a circle of radius 2, std .02, all divided by 1.414.

    Reference: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, figure 1, as scaled in
    the authors' code.

    >>> problem = gaussians.eight_gaussians()
    >>> problem.modes.shape, problem.sample(jax.random.key(0), 5).shape
    ((8, 2), (5, 2))
    """
    return mixture("eight_gaussians", _circle(8, 2.0) / 1.414, 0.02 / 1.414)


def twenty_five_gaussians() -> Problem:
    """A 5 x 5 grid of modes at 2 * {-2, ..., 2}, std .05, all divided by 2.828.

    Reference: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, figure 1, as scaled in
    the authors' code.

    >>> gaussians.twenty_five_gaussians().modes.shape
    (25, 2)
    """
    line = 2.0 * np.arange(-2, 3)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return mixture("twenty_five_gaussians", grid / 2.828, 0.05 / 2.828)


def ring() -> Problem:
    """Eight modes on the unit circle, std .01, unscaled.

    Reference: the mixture test of Mao et al., 2017, Least Squares Generative Adversarial Networks
    (after Metz et al., 2017, Unrolled Generative Adversarial Networks).

    >>> problem = gaussians.ring()
    >>> problem.mode_std, round(jnp.linalg.norm(problem.modes[1]).item(), 4)
    (0.01, 1.0)
    """
    return mixture("ring", _circle(8, 1.0), 0.01)
