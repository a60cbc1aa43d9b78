"""Measures which modes of a mixture, or which part of the real data, the samples reach."""

from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jwgan import numerics
from jwgan.check import require
from jwgan.types import Array


class Coverage(NamedTuple):
    """What `mode_coverage` reports.  M modes.

    Attributes:
      modes_covered: [] int32, modes that hold enough high-quality samples.
      high_quality_share: [] in [0, 1], samples that are near their nearest mode.
      counts: [M] int32, high-quality samples of each mode.
      kl: [] nats, KL(shares of the modes || uniform) over the high-quality samples; 0 when all
        modes are equally frequent, log M for a single mode, and log M if no sample is near any.
    """

    modes_covered: Array
    high_quality_share: Array
    counts: Array
    kl: Array


def mode_coverage(
    x: Array, modes: Array, std: float, num_std: float = 4.0, min_share: float = 0.2
) -> Coverage:
    """Counts the samples near each mode of a mixture of equally likely round Gaussians.

    A sample is of high quality if it lies within `num_std * std` of its nearest mode; true data in
    the plane do with probability 1 - exp(-num_std^2 / 2): .989 for 3, .9997 for 4.  A mode is
    covered if its high-quality samples are at least `min_share` of its fair share N / M.

    Published counts use 3 or 4 standard deviations and often call a mode covered as soon as one
    sample falls into it (Srivastava et al., VEEGAN, 2017: 3): `min_share=0` does that.

    Args:
      x: Samples [N, D].
      modes: Centres [M, D].
      std: Standard deviation of a mode per coordinate, in the units of `x`.
      num_std: Radius of a mode in standard deviations.
      min_share: Part of the fair share N / M that makes a mode covered; at least one sample.

    Raises:
      ValueError: x and modes are not of one dimension, or a width is not above 0.

    Three samples at the first of two modes, one between them:

    >>> x = jnp.array([[0.0, 0.0], [0.0, 0.1], [0.1, 0.0], [5.0, 0.0]])
    >>> found = coverage.mode_coverage(x, jnp.array([[0.0, 0.0], [10.0, 0.0]]), std=0.1)
    >>> found.modes_covered.item(), found.high_quality_share.item(), found.counts.tolist()
    (1, 0.75, [3, 0])
    >>> round(found.kl.item(), 4)  # a single mode of two: log 2
    0.6931
    """
    shapes = (x.shape, modes.shape)
    fits = x.ndim == modes.ndim == 2 and x.shape[1] == modes.shape[1] and min(map(min, shapes)) > 0
    require(fits, "x, modes", shapes, "give [N, D] and [M, D]")
    require(std > 0, "std", std, "give a standard deviation > 0")
    require(num_std > 0, "num_std", num_std, "give a radius > 0")
    square = numerics.square_distances(x, modes)  # [N, M]
    near = square.min(axis=1) <= (num_std * std) ** 2
    mine = square.argmin(axis=1)[:, None] == jnp.arange(len(modes))[None, :]
    counts = (mine & near[:, None]).sum(axis=0, dtype=jnp.int32)
    # Even with min_share 0 an empty mode is not covered: hence at least one sample.
    enough = jnp.maximum(min_share * len(x) / len(modes), 1.0)
    share = counts / jnp.maximum(counts.sum(), 1)
    # 0 log 0 = 0: the shares of empty modes become 1 before the logarithm.
    log_share = jnp.log(jnp.where(share > 0, share, 1.0))
    kl = (share * (log_share + jnp.log(len(modes)))).sum()
    return Coverage(
        modes_covered=(counts >= enough).sum(dtype=jnp.int32),
        high_quality_share=near.mean(),
        counts=counts,
        kl=jnp.where(near.any(), kl, jnp.log(len(modes))),
    )


def neighbour_coverage(real: Array, fake: Array, num_neighbours: int = 5) -> Array:
    """Computes the share of real samples with a fake one as near as their k-th real neighbour.

    Fakes from the data's own distribution reach about 1 - 2^-k (N = M), a collapsed generator the
    share of its modes. Needs no knowledge of the modes; distances are Euclidean, in whatever
    features it is given.

    A fake at the neighbour's very distance counts, which the paper leaves out: of data with
    repeated rows that distance is 0, and copies of the data would cover nothing.

    Args:
      real: samples [N, *D], N > num_neighbours.
      fake: samples [M, *D].
      num_neighbours: k.

    Returns:
      [] in [0, 1].

    Raises:
      ValueError: there are not enough real samples, or no fake one, or samples of another shape.

    Reference: Naeem et al., 2020, Reliable Fidelity and Diversity Metrics for Generative Models.

    Two clusters, of which the fakes reach one:

    >>> real = jnp.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]])
    >>> coverage.neighbour_coverage(real, jnp.array([[0.1]]), num_neighbours=2).item()
    0.5
    """
    require(len(real) >= 2, "real", real.shape, "give at least two samples")
    good = 1 <= num_neighbours < len(real)
    require(good, "num_neighbours", num_neighbours, f"give 1 to {len(real) - 1}, below N")
    require(len(fake) >= 1, "fake", fake.shape, "give at least one sample")
    require(real.shape[1:] == fake.shape[1:], "fake", fake.shape, f"give [M, *{real.shape[1:]}]")
    real, fake = real.reshape(len(real), -1), fake.reshape(len(fake), -1)
    # Index 0 after sorting is each sample's distance to itself.
    radius = jnp.sort(numerics.square_distances(real, real), axis=1)[:, num_neighbours]
    return (numerics.square_distances(real, fake).min(axis=1) <= radius).mean()


class Neighbours(NamedTuple):
    """What `neighbours` reports; k-th neighbours are others of the same set.

    Attributes:
      precision: share of the fakes that lie as near to a real sample as its k-th neighbour.
      recall: share of the real samples that lie as near to a fake one as its k-th neighbour.
      density: mean number of real balls around a fake, over k: 1 for fakes of the data's own law,
        above 1 for fakes in the data's dense parts.
      coverage: share of the real samples with a fake as near as their k-th neighbour.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbours(
    real, fake, *, num_neighbours: int = 3, num_neighbours_density: int = 5, block: int = 1024
) -> Neighbours:
    """Precision, recall, density and coverage by balls that reach to each sample's k-th neighbour.

    Ties count: a sample at the neighbour's very distance is inside.  So for two equal sets all four
    are 1, however many rows are duplicates: density takes of the samples on a ball's edge
    the share that makes each ball hold k real ones, its centre included; without ties that is the
    paper's open ball.

    Host code in float64, block by block: the memory is that of N + M rows and of one block's
    distances.  Distances are those of products of matrices; two that differ by less than 1e-11 of
    the rows' squared norms about their mean are ties.

    Args:
      real: Features [N, F], N above both numbers of neighbours.
      fake: Features [M, F], M above num_neighbours.
      num_neighbours: k of precision and recall.
      num_neighbours_density: k of density and coverage.
      block: Rows whose distances are held at once.

    Raises:
      ValueError: too few rows, rows of another length, or values that are not finite.

    Reference: Kynkaanniemi et al., 2019, Improved Precision and Recall Metric for Assessing
    Generative Models (k = 3); Naeem et al., 2020, Reliable Fidelity and Diversity Metrics for
    Generative Models (k = 5).

    Fakes that copy half of the data:

    >>> real = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> how = {"num_neighbours": 1, "num_neighbours_density": 1}
    >>> coverage.neighbours(real, real[:3], **how)
    Neighbours(precision=1.0, recall=0.5, density=1.0, coverage=0.5)
    """
    real, fake = _checked_rows(real, fake)
    ks = (num_neighbours, num_neighbours_density)
    require(min(ks) >= 1, "num_neighbours", ks, "give at least 1")
    require(len(real) > max(ks), "real", real.shape, f"give more than {max(ks)} rows")
    require(len(fake) > ks[0], "fake", fake.shape, f"give more than {ks[0]} rows")
    # About the mean the norms are small, and so is what the products lose.
    middle = real.mean(axis=0)
    real, fake = real - middle, fake - middle
    ((_, of_fake),) = _balls(fake, ks[:1], block)
    (_, of_real), (edge, wide) = _balls(real, ks, block)
    near_fake, near_real = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    covered, density = np.zeros(len(real), bool), 0.0
    for rows, square, slack in _distances(real, fake, block):  # real [n], fake [M]
        near_fake |= (square <= of_real[rows, None] + slack).any(axis=0)
        near_real[rows] = (square <= of_fake + slack).any(axis=1)
        inside, on_edge = _sides(square, wide[rows, None], slack)
        covered[rows] = (inside | on_edge).any(axis=1)
        density += (inside + on_edge * edge[rows, None]).sum()
    return Neighbours(
        precision=float(near_fake.mean()),
        recall=float(near_real.mean()),
        density=float(density / (ks[1] * len(fake))),
        coverage=float(covered.mean()),
    )


def _checked_rows(real, fake) -> tuple[np.ndarray, np.ndarray]:
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    require(real.ndim == 2 and real.size > 0, "real", real.shape, "give [N, F]")
    fits = fake.ndim == 2 and real.shape[1:] == fake.shape[1:]
    require(fits, "fake", fake.shape, f"give [M, {real.shape[1]}]")
    finite = np.isfinite(real).all() and np.isfinite(fake).all()
    require(finite, "features", "not finite", "look for NaN in the samples")
    return real, fake


def _distances(
    x: np.ndarray, y: np.ndarray, block: int
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """(rows of x, their squared distances to all of y, what these may be off), block by block."""
    norms = (y**2).sum(axis=1)
    for first in range(0, len(x), block):
        rows = slice(first, first + block)
        both = (x[rows] ** 2).sum(axis=1)[:, None] + norms
        yield rows, both - 2 * x[rows] @ y.T, 1e-11 * both


def _balls(x: np.ndarray, ks: tuple[int, ...], block: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(share of a ball's edge that counts, its squared radius), [N] each, for each k."""
    found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in ks]
    for _, square, slack in _distances(x, x, block):
        for k, pieces in zip(ks, found, strict=True):
            # Index 0 is the row itself, or its duplicate.
            radius = np.partition(square, k, axis=1)[:, k, None]
            inside, on_edge = _sides(square, radius, slack)
            share = (k - inside.sum(axis=1)) / on_edge.sum(axis=1)
            pieces.append((share, radius[:, 0]))
    joined = [[np.concatenate(part) for part in zip(*pieces, strict=True)] for pieces in found]
    return [(share, radius) for share, radius in joined]


def _sides(
    square: np.ndarray, radius: np.ndarray, slack: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(whether a distance is inside of a ball, whether it is on its edge)."""
    return square < radius - slack, abs(square - radius) <= slack
