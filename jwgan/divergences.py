"""Divergences between distributions in nats: exact, by quadrature, or through a classifier."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import rel_entr

from jwgan.check import require
from jwgan.types import Array

LogDensity = Callable[[Array], Array]  # x [K] -> log density [K], -inf where there is none


def kl(p: Any, q: Any) -> Array:
    """Computes the Kullback-Leibler divergence sum p log(p / q) of two histograms of one shape.

    Infinite where q is 0 and p is not.  -> [], jittable.

    Raises:
      ValueError: Different shapes, or (known values) not probabilities that sum to 1.

    Reference: Kullback and Leibler, 1951, On Information and Sufficiency.

    >>> round(divergences.kl([1.0, 0.0], [0.5, 0.5]).item(), 4)  # log 2
    0.6931
    """
    p, q = _histograms(p, q)
    return rel_entr(p, q).sum()


def js(p: Any, q: Any) -> Array:
    """Computes the Jensen-Shannon divergence of two histograms of one shape, in [0, log 2].

    The mean of `kl` from p and from q to the mixture (p + q) / 2.  -> [], jittable; errors: those
    of `kl`.

    Reference: Lin, 1991, Divergence Measures Based on the Shannon Entropy.

    >>> round(divergences.js([1.0, 0.0], [0.0, 1.0]).item(), 4)  # nothing in common: log 2
    0.6931
    """
    p, q = _histograms(p, q)
    middle = (p + q) / 2
    return (rel_entr(p, middle) + rel_entr(q, middle)).sum() / 2


def kl_of_densities(p: LogDensity, q: LogDensity, low: Any, high: Any, num: int = 4001) -> Array:
    """Integrates KL between densities on the line by the trapezoid rule on [low, high].

    Log densities, because a density of exp(-200) is 0 in float32 and its logarithm is not.  Smooth
    densities that vanish at both ends converge faster than any power of the step; a jump costs the
    step times its height.

    Args:
      p: x [K] -> log density [K]; -inf where there is none.
      q: The same.
      low: Where p's mass begins.
      high: Where it ends.
      num: Points of the rule, ends included.

    Returns:
      [], infinite where p has mass and q has none; jittable with p and q closed over.

    Raises:
      ValueError: An empty interval or fewer than two points.

    N(0, 1) against N(1, 1) is 1/2:

    >>> normal = lambda mean: lambda x: jax.scipy.stats.norm.logpdf(x, mean)
    >>> round(divergences.kl_of_densities(normal(0.0), normal(1.0), -10.0, 10.0).item(), 4)
    0.5
    """
    x = _grid(low, high, num)
    return jnp.trapezoid(_relative_entropy(p(x), q(x)), x)


def js_of_densities(p: LogDensity, q: LogDensity, low: Any, high: Any, num: int = 4001) -> Array:
    """Integrates JS between densities on the line by the trapezoid rule on [low, high].

    The interval must hold the mass of both. Args, returns and errors: those of `kl_of_densities`,
    but never infinite.

    >>> normal = lambda mean: lambda x: jax.scipy.stats.norm.logpdf(x, mean)
    >>> round(divergences.js_of_densities(normal(-9.0), normal(9.0), -20.0, 20.0).item(), 4)
    0.6931
    """
    x = _grid(low, high, num)
    log_p, log_q = p(x), q(x)
    middle = jnp.logaddexp(log_p, log_q) - math.log(2)
    both = _relative_entropy(log_p, middle) + _relative_entropy(log_q, middle)
    return jnp.trapezoid(both, x) / 2


def js_lower_bound(real_logits: Any, fake_logits: Any) -> Array:
    """Estimates a lower bound of JS: log 2 minus a classifier's balanced cross-entropy.

    For any fixed classifier with logit D(x) (real: 1), E of this over fresh samples is at most JS,
    with equality for D = log(p / q).  On the samples the classifier was fitted to it is no bound:
    a classifier that knows them by heart scores log 2 whatever the laws.

    Args:
      real_logits: [N].
      fake_logits: [M]; the two halves weigh the same whatever N and M.

    Returns:
      [] at most log 2; negative for a classifier worse than none.

    Raises:
      ValueError: Not two vectors.

    Reference: Goodfellow et al., 2014, Generative Adversarial Nets, theorem 1.

    A classifier that cannot tell has bound 0; one that is sure and right, log 2:

    >>> divergences.js_lower_bound(jnp.zeros(3), jnp.zeros(5)).round(4).item()
    0.0
    >>> round(divergences.js_lower_bound(jnp.full(3, 50.0), jnp.full(5, -50.0)).item(), 4)
    0.6931
    """
    real, fake = jnp.asarray(real_logits), jnp.asarray(fake_logits)
    vectors = real.ndim == fake.ndim == 1 and len(real) and len(fake)
    require(vectors, "logits", (real.shape, fake.shape), "give [N] and [M]")
    cross_entropy = (jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()) / 2
    return math.log(2) - cross_entropy


def _relative_entropy(log_p: Array, log_q: Array) -> Array:
    inside = log_p > -jnp.inf  # 0 log 0 = 0, with a gradient that is 0 and not NaN
    log_p, log_q = jnp.where(inside, log_p, 0.0), jnp.where(inside, log_q, 0.0)
    return jnp.exp(log_p) * (log_p - log_q)


def _grid(low: Any, high: Any, num: int) -> Array:
    require(low < high, "low, high", (low, high), "give low < high")
    require(num >= 2, "num", num, "give at least 2 points")
    return jnp.linspace(low, high, num)


def _histograms(p: Any, q: Any) -> tuple[Array, Array]:
    p, q = jnp.asarray(p), jnp.asarray(q)
    require(p.shape == q.shape, "p, q", (p.shape, q.shape), "give histograms on the same bins")
    for name, histogram in (("p", p), ("q", q)):
        is_one = (histogram >= 0).all() & (abs(histogram.sum() - 1) < 1e-4)  # False for NaN
        require(is_one, name, histogram, "give probabilities that sum to 1")
    return p, q
