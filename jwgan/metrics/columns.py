"""How alike the columns of two tables are, and the channels of two sets of series.

Every figure is 0 for two equal sets, and is compared with that of two sets of real data.
"""

import jax.numpy as jnp

from jwgan.check import require
from jwgan.metrics.sliced import w1_on_line
from jwgan.types import Array


def relative_w1(real: Array, fake: Array) -> Array:
    """W1 between two samples of a number, in standard deviations of the real one.

    Args:
      real: [N], not all equal.
      fake: [M].

    >>> columns.relative_w1(jnp.array([0.0, 2.0]), jnp.array([3.0, 5.0])).item()  # std 1
    3.0
    """
    return w1_on_line(real, fake) / jnp.asarray(real).std()


def total_variation(real: Array, fake: Array, num_categories: int) -> Array:
    """Half the summed differences of the categories' shares: 0 if equal, 1 if none is shared.

    Args:
      real: [N] integers in [0, num_categories).
      fake: [M] the same.

    >>> columns.total_variation(jnp.array([0, 0, 1, 1]), jnp.array([0, 0, 0, 2]), 3).item()
    0.5
    """
    share = lambda x: jnp.bincount(jnp.asarray(x), length=num_categories) / len(x)
    return jnp.abs(share(real) - share(fake)).sum() / 2


def correlation_difference(real: Array, fake: Array) -> Array:
    """Mean absolute difference of the correlations of all pairs of columns.

    A column that is constant in one of the sets has correlation 0 there.

    Args:
      real: [N, F], F >= 2.
      fake: [M, F].

    Raises:
      ValueError: the samples are not of one number of columns, or there are fewer than two.

    >>> x = jnp.array([[0.0, 0.0], [1.0, 1.0]])
    >>> round(columns.correlation_difference(x, x * jnp.array([[1.0, -1.0]])).item(), 5)
    2.0
    """
    real, fake = jnp.asarray(real), jnp.asarray(fake)
    fits = real.ndim == fake.ndim == 2 and real.shape[1] == fake.shape[1] > 1
    require(fits, "real, fake", (real.shape, fake.shape), "give [N, F] and [M, F], F >= 2")
    pairs = jnp.triu_indices(real.shape[1], 1)
    return jnp.abs(_correlations(real)[pairs] - _correlations(fake)[pairs]).mean()


def _correlations(x: Array) -> Array:  # [N, F] -> [F, F]
    x = x - x.mean(axis=0, keepdims=True)
    spread = jnp.sqrt((x**2).mean(axis=0))
    # A one-hot column that a generator never chooses does not vary at all.
    varies = spread > 1e-6
    x = jnp.where(varies[None], x / jnp.where(varies, spread, 1)[None], 0)
    return x.T @ x / len(x)


def autocorrelations(x: Array, num_lags: int) -> Array:
    """Autocorrelation of each channel over all series: [N, T, C] -> [num_lags, C], lags 1 on.

    Means and variances are those of the whole set, so a set of constant series that differ has 1.

    Raises:
      ValueError: x has another shape, or a lag reaches beyond a series.

    >>> wave = jnp.array([1.0, -1.0, 1.0, -1.0]).reshape(1, 4, 1)
    >>> columns.autocorrelations(wave, 2).round(4).tolist()
    [[-1.0], [1.0]]
    """
    x = jnp.asarray(x)
    require(x.ndim == 3 and x.size, "x.shape", x.shape, "give series [N, T, C]")
    good = 1 <= num_lags < x.shape[1]
    require(good, "num_lags", num_lags, f"give 1 to {x.shape[1] - 1}, less than the length")
    x = x - x.mean(axis=(0, 1), keepdims=True)
    variance = jnp.maximum((x**2).mean(axis=(0, 1)), 1e-12)
    lagged = [(x[:, lag:] * x[:, :-lag]).mean(axis=(0, 1)) for lag in range(1, num_lags + 1)]
    return jnp.stack(lagged) / variance[None]
