"""The kernel maximum mean discrepancy, unbiased.

`mmd2(real, fake, polynomial())` is the estimator that is called KID when the features are those of
the original Inception network; with other features it is a kernel distance in their space.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jwgan import numerics
from jwgan.check import require
from jwgan.types import Array

Kernel = Callable[[Array, Array], Array]  # (x [N, F], y [M, F]) -> [N, M]


def mmd2(real: Array, fake: Array, kernel: Kernel) -> Array:
    """Estimates the squared maximum mean discrepancy without bias; so it may be below 0.

    E k(x, x') + E k(y, y') - 2 E k(x, y) over pairs of different rows.

    Args:
      real: Features [N, F], N >= 2.
      fake: Features [M, F], M >= 2.
      kernel: `polynomial(...)`, `rbf(...)` or any other.

    Returns:
      [] in the kernel's units.

    Raises:
      ValueError: fewer than two rows.

    Reference: Gretton et al., 2012, A Kernel Two-Sample Test, lemma 6.

    With the linear kernel it is the squared distance of the means, here 3^2, less the noise in it:

    >>> linear = kernel.polynomial(degree=1, offset=0.0)
    >>> real, fake = jnp.zeros((4, 1)), jnp.full((4, 1), 3.0)
    >>> kernel.mmd2(real, fake, linear).item()
    9.0
    """
    require(min(len(real), len(fake)) >= 2, "rows", (len(real), len(fake)), "give at least 2")
    cross = kernel(real, fake).mean(axis=1).mean()
    return _mean_of_pairs(kernel(real, real)) + _mean_of_pairs(kernel(fake, fake)) - 2 * cross


def mmd2_of_subsets(
    real, fake, kernel: Kernel, *, num_subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """Mean and standard deviation of `mmd2` between random subsets of the rows.

    With `polynomial()` and the features of the original Inception network this is KID as it is
    published; the subsets are those that torch-fidelity draws, on the host, in the features' own
    precision.

    Args:
      real: Features [N, F], N >= subset_size.
      fake: Features [M, F], M >= subset_size.
      kernel: `polynomial(...)` or another.
      num_subsets: Pairs of subsets, each without repetition.
      subset_size: Rows of each, at least 2.
      seed: Of the draws.

    Raises:
      ValueError: fewer rows than a subset has, or no subset.

    Reference: Binkowski et al., 2018, Demystifying MMD GANs.

    Subsets of all rows differ only in their order:

    >>> linear = kernel.polynomial(degree=1, offset=0.0)
    >>> real, fake = np.zeros((4, 1)), np.full((4, 1), 3.0)
    >>> kernel.mmd2_of_subsets(real, fake, linear, num_subsets=5, subset_size=4)
    (9.0, 0.0)
    """
    most = min(len(real), len(fake))
    require(num_subsets >= 1, "num_subsets", num_subsets, "give at least 1")
    remedy = f"give 2 to {most}, the rows that there are"
    require(2 <= subset_size <= most, "subset_size", subset_size, remedy)
    real, fake = np.asarray(real), np.asarray(fake)
    random, found = np.random.RandomState(seed), []
    for _ in range(num_subsets):
        # The fakes are drawn first: torch-fidelity's input1.
        some_fake = fake[random.choice(len(fake), subset_size, replace=False)]
        some_real = real[random.choice(len(real), subset_size, replace=False)]
        found.append(_mmd2_on_host(some_real, some_fake, kernel))
    return float(np.mean(found)), float(np.std(found))


def _mmd2_on_host(real: np.ndarray, fake: np.ndarray, kernel: Any) -> float:
    """`mmd2` of equally many rows, in float64 where it sums."""
    num = len(real)
    gram = lambda x, y: np.asarray(kernel(x, y), np.float64)
    within = [gram(x, x) for x in (real, fake)]
    pairs = sum((found.sum() - np.trace(found)) / (num * (num - 1)) for found in within)
    return float(pairs - 2 * gram(real, fake).mean())


def _mean_of_pairs(gram: Array) -> Array:  # [N, N] -> []
    num = len(gram)
    others = jnp.where(jnp.eye(num, dtype=bool), 0.0, gram)
    return (others.sum(axis=1) / (num - 1)).mean()  # row by row: float32 sums stay short


def polynomial(degree: int = 3, scale: float | None = None, offset: float = 1.0) -> Kernel:
    """The kernel (scale * <x, y> + offset)^degree; `scale` is 1 / F by default.

    The defaults are those of Binkowski et al., 2018, Demystifying MMD GANs (KID).

    >>> kernel.polynomial()(jnp.ones((1, 4)), jnp.ones((1, 4))).item()  # (4 / 4 + 1)^3
    8.0
    """

    def kernel(x: Array, y: Array) -> Array:
        return ((1 / x.shape[1] if scale is None else scale) * (x @ y.T) + offset) ** degree

    return kernel


def rbf(bandwidth: float) -> Kernel:
    """The kernel exp(-|x - y|^2 / (2 bandwidth^2)).

    Raises:
      ValueError: bandwidth <= 0.

    >>> round(kernel.rbf(1.0)(jnp.zeros((1, 2)), jnp.ones((1, 2))).item(), 4)  # exp(-1)
    0.3679
    """
    require(bandwidth > 0, "bandwidth", bandwidth, "give a length > 0")

    def kernel(x: Array, y: Array) -> Array:
        return jnp.exp(-numerics.square_distances(x, y) / (2 * bandwidth**2))

    return kernel
