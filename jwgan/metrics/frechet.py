"""The Frechet distance between Gaussians fitted to two sets of features.

Host code in float64 numpy: the square roots lose half the digits, and eigenvalue problems are slow
or missing on accelerators.  The features decide what the number means; it is called FID only with
the original Inception weights, which are not used here.
"""

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
