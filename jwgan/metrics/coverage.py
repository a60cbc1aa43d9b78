"""Measures which modes of a mixture, or which part of the real data, the samples reach."""

from typing import NamedTuple

import jax.numpy as jnp

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
