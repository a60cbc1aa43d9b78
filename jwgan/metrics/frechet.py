"""The Frechet distance between Gaussians fitted to two sets of features.

Host code in float64 numpy: the square roots lose half the digits, and eigenvalue problems are slow
or missing on accelerators.  The features decide what the number means; it is called FID only with
the original Inception weights (`jwgan.metrics.inception`), which the user has.
"""

from typing import NamedTuple

import numpy as np

from jwgan.check import require


def frechet_distance(real, fake) -> float:
    """Computes the squared Frechet distance (2-Wasserstein) of Gaussians fitted to the rows.

    |m_r - m_f|^2 + tr(C_r + C_f - 2 (C_r C_f)^(1/2)).  Its estimate is biased upwards, more so
    for fewer rows: compare only equal numbers of rows.

    Args:
      real: Features [N, F], N >= 2.
      fake: Features [M, F], M >= 2.

    Returns:
      A float >= 0, in squared units of the features.

    Raises:
      ValueError: Fewer than two rows, other shapes, or a value that is not finite.

    Reference: Heusel et al., 2017, GANs Trained by a Two Time-Scale Update Rule; Dowson and
    Landau, 1982, The Frechet Distance between Multivariate Normal Distributions.

    A shift by (3, 4) has distance 5^2:

    >>> real = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> round(frechet.frechet_distance(real, real + [3.0, 4.0]), 6)
    25.0
    """
    return distance_of_moments(*moments(real), *moments(fake))


def moments(features) -> tuple[np.ndarray, np.ndarray]:
    """Computes mean [F] and unbiased covariance [F, F] of the rows of features [N, F], in float64.

    Raises:
      ValueError: fewer than two rows, another shape, or a value that is not finite.

    >>> frechet.moments([[0.0], [2.0]])
    (array([1.]), array([[2.]]))
    """
    features = np.asarray(features, np.float64)
    fits = features.ndim == 2 and len(features) >= 2 and features.shape[1] >= 1
    require(fits, "features", features.shape, "give [N>=2, F>=1]")
    finite = np.isfinite(features).all()
    require(finite, "features", "not finite", "look for NaN in the samples")
    return features.mean(axis=0), np.cov(features, rowvar=False).reshape(2 * features.shape[1:])


class Sums(NamedTuple):
    """Sums over rows that came so far, from which mean and covariance are known.

    Attributes:
      num: N, rows.
      mean: [F] float64.
      scatter: [F, F] float64, the sum of the outer squares of the rows' differences from the mean.
    """

    num: int
    mean: np.ndarray
    scatter: np.ndarray


def add(sums: Sums | None, features) -> Sums:
    """Takes rows of features [n, F] into the sums, in float64: millions of rows need no memory.

    The sums are kept about the mean (Chan, Golub and LeVeque, 1983, Algorithms for Computing the
    Sample Variance), so that features far from 0 keep their digits.

    Args:
      sums: of the rows before; None at the beginning.
      features: n may be 0 or differ from call to call.

    Raises:
      ValueError: another shape, or a value that is not finite.

    >>> sums = frechet.add(frechet.add(None, [[0.0], [1.0]]), [[5.0]])
    >>> sums.num, sums.mean.tolist(), frechet.moments_of_sums(sums)[1].tolist()
    (3, [2.0], [[7.0]])
    """
    features = np.asarray(features, np.float64)
    fits = features.ndim == 2 and features.shape[1] >= 1
    fits = fits and (sums is None or features.shape[1] == len(sums.mean))
    require(fits, "features", features.shape, "give [n, F], F that of the rows before")
    finite = np.isfinite(features).all()
    require(finite, "features", "not finite", "look for NaN in the samples")
    num = len(features)
    if num == 0:
        width = features.shape[1]
        return sums or Sums(0, np.zeros(width), np.zeros((width, width)))
    mean = features.mean(axis=0)
    centred = features - mean
    scatter = centred.T @ centred
    if sums is None or sums.num == 0:
        return Sums(num, mean, scatter)
    total, difference = sums.num + num, mean - sums.mean
    between = np.outer(difference, difference) * (sums.num * num / total)
    return Sums(total, sums.mean + difference * (num / total), sums.scatter + scatter + between)


def moments_of_sums(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Mean [F] and unbiased covariance [F, F] of all rows of the sums, as `moments` has them.

    Raises:
      ValueError: fewer than two rows.

    >>> frechet.moments_of_sums(frechet.add(None, [[0.0], [2.0]]))
    (array([1.]), array([[2.]]))
    """
    require(sums.num >= 2, "rows", sums.num, "give at least two")
    return sums.mean, sums.scatter / (sums.num - 1)


def distance_of_moments(real_mean, real_cov, fake_mean, fake_cov) -> float:
    """Computes `frechet_distance` from means [F] and covariances [F, F], which may be singular.

    Raises:
      ValueError: means of different lengths.

    Deviations 1 and 3, means 4 apart: 4^2 + 2^2.

    >>> round(frechet.distance_of_moments([0.0], [[1.0]], [4.0], [[9.0]]), 6)
    20.0
    """
    shapes = (np.shape(real_mean), np.shape(fake_mean))
    require(shapes[0] == shapes[1], "real, fake", shapes, "give features of equal length")
    difference = np.subtract(real_mean, fake_mean, dtype=np.float64)
    # tr (C_r C_f)^(1/2) is the nuclear norm of the product of the roots: no product is squared,
    # so singular covariances keep their digits.
    roots = _root(real_cov) @ _root(fake_cov)
    overlap = np.linalg.svd(roots, compute_uv=False).sum()
    distance = difference @ difference + np.trace(real_cov) + np.trace(fake_cov) - 2 * overlap
    return max(float(distance), 0.0)


def _root(cov) -> np.ndarray:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(np.asarray(cov, np.float64))
    return (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
