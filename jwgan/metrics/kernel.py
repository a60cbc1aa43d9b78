"""The kernel maximum mean discrepancy, unbiased.

`mmd2(real, fake, polynomial())` is the estimator that is called KID when the features are those of
the original Inception network; with other features it is a kernel distance in their space.
"""

from collections.abc import Callable

import jax.numpy as jnp

from jwgan.check import require
from jwgan.types import Array

Kernel = Callable[[Array, Array], Array]  # (x [N, F], y [M, F]) -> [N, M]


def mmd2(real: Array, fake: Array, kernel: Kernel) -> Array:
    """Unbiased estimate of the squared maximum mean discrepancy; below 0 by chance.

    E k(x, x') + E k(y, y') - 2 E k(x, y) over pairs of different rows.

    Args:
      real: Features [N, F], N >= 2.
      fake: Features [M, F], M >= 2.
      kernel: `polynomial(...)`, `rbf(...)` or any other.

    Returns:
      [] in the kernel's units.

    Reference: Gretton et al., A Kernel Two-Sample Test, 2012, lemma 6.
    """
    require(min(len(real), len(fake)) >= 2, "rows", (len(real), len(fake)), "give at least 2")
    cross = kernel(real, fake).mean(axis=1).mean()
    return _mean_of_pairs(kernel(real, real)) + _mean_of_pairs(kernel(fake, fake)) - 2 * cross


def _mean_of_pairs(gram: Array) -> Array:  # [N, N] -> []
    num = len(gram)
    others = jnp.where(jnp.eye(num, dtype=bool), 0.0, gram)
    return (others.sum(axis=1) / (num - 1)).mean()  # row by row: float32 sums stay short


def polynomial(degree: int = 3, scale: float | None = None, offset: float = 1.0) -> Kernel:
    """(scale * x.y + offset)^degree; `scale` is 1 / F by default.

    The defaults are those of Binkowski et al., Demystifying MMD GANs, 2018 (KID).
    """

    def kernel(x: Array, y: Array) -> Array:
        return ((1 / x.shape[1] if scale is None else scale) * (x @ y.T) + offset) ** degree

    return kernel


def rbf(bandwidth: float) -> Kernel:
    """exp(-|x - y|^2 / (2 bandwidth^2))."""
    require(bandwidth > 0, "bandwidth", bandwidth, "give a length > 0")

    def kernel(x: Array, y: Array) -> Array:
        norms = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None, :]
        return jnp.exp(-jnp.maximum(norms - 2 * x @ y.T, 0.0) / (2 * bandwidth**2))

    return kernel
