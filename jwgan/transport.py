"""Exact optimal transport: what the critics' estimates are measured against.

Distances are Euclidean. Linear programmes run on the host in float64 (POT's network simplex); what
is written in JAX can be jitted and mapped. Signs are those of the critics in this library:
W1 = max over 1-Lipschitz f of E_x f - E_y f, so f is high on x (real) and low on y (fake).

Sliced W1 is a metric between samples of any dimension: `metrics.sliced.sliced_w1`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from jwgan import check, numerics
from jwgan.check import require
from jwgan.types import Array, CriticFn, Key

# ---- two discrete measures: one linear programme -------------------------------------------------


class Plan(NamedTuple):
    """A transport plan: how much mass is moved from where to where.

    Attributes:
      w1: its cost, the Wasserstein-1 distance, in units of the points.
      matrix: [N, M] mass moved from x_i to y_j; rows sum to x's weights, columns to y's.
    """

    w1: float
    matrix: np.ndarray


class Dual(NamedTuple):
    """A Kantorovich-Rubinstein potential on the points: 1-Lipschitz on their union.

    Attributes:
      w1: E_x f - E_y f, the Wasserstein-1 distance.
      at_x: [N] f(x_i).
      at_y: [M] f(y_j), with mean 0 under y's weights.
    """

    w1: float
    at_x: np.ndarray
    at_y: np.ndarray


def exact_w1(x, y, x_weights=None, y_weights=None) -> float:
    """Wasserstein-1 distance between two weighted samples; see `plan`.

    The linear programme is solved exactly: .2 s for 1,000 against 1,000 points, 4 s for 4,000.
    As an estimate between the laws that the samples came from it is biased upwards, like n^(-1/D).

    >>> transport.exact_w1([[0.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [1.0, 2.0]])
    2.0
    """
    return plan(x, y, x_weights, y_weights).w1


def plan(x, y, x_weights=None, y_weights=None) -> Plan:
    """Finds the cheapest way to move one discrete measure onto another.

    Args:
      x: Points [N, *D], of which each is one vector.
      y: Points [M, *D].
      x_weights: [N] non-negative, sum 1; None for equal weights.
      y_weights: [M], the same.

    Returns:
      `Plan(w1, matrix [N, M])`, float64; N * M * 16 bytes with the costs.

    Raises:
      ValueError: Not two arrays of points of one dimension, a value that is not finite, weights
        that are not a distribution over the points, or a solver that gave up.

    Reference: Bonneel et al., 2011, Displacement Interpolation Using Lagrangian Mass Transport
    (POT's network simplex).

    A third of the mass at 0 stays, two thirds go to 3:

    >>> found = transport.plan([[0.0]], [[0.0], [3.0]], y_weights=[1 / 3, 2 / 3])
    >>> round(found.w1, 4), found.matrix.round(4).tolist()
    (2.0, [[0.3333, 0.6667]])
    """
    points, weights = _measures(x, y, x_weights, y_weights)
    matrix, log = _solve(points, weights)
    return Plan(float(log["cost"]), matrix)


def dual(x, y, x_weights=None, y_weights=None) -> Dual:
    """Solves the dual of `plan`'s programme, with a potential that is 1-Lipschitz everywhere.

    The programme's own dual variables u_i + v_j <= |x_i - y_j| are two functions.  The one function
    f(z) = min_j |z - y_j| - v_j is 1-Lipschitz with f(x_i) >= u_i and f(y_j) <= -v_j, so its value
    is no less than the optimum, and by the dual bound no more.

    Args and errors: those of `plan`.

    Returns:
      `Dual(w1, at_x [N], at_y [M])`; `cones(y, at_y)` is the same potential in the whole space.

    Reference: Villani, 2009, Optimal Transport: Old and New, chapter 5.

    >>> transport.dual([[0.0]], [[3.0]])  # f(x) = -|x - 3| + const: 3 higher at 0
    Dual(w1=3.0, at_x=array([3.]), at_y=array([0.]))
    """
    points, weights = _measures(x, y, x_weights, y_weights)
    _, log = _solve(points, weights)
    at_x, at_y = ((_distances(p, points[1]) - log["v"]).min(axis=1) for p in points)
    level = weights[1] @ at_y  # a potential is free up to a constant: this one has mean 0 on y
    return Dual(float(weights[0] @ at_x - level), at_x - level, at_y - level)


def cones(points: Any, heights: Any) -> CriticFn:
    """The function f(z) = min_k |z - points_k| + heights_k: z [B, D] -> [B].

    It is 1-Lipschitz in the whole space, and where it is differentiable its gradient has norm 1. A
    1-Lipschitz function on the points [K, D] with these values [K] is extended by it (McShane,
    1934, Extension of Range of Functions). At a point itself the gradient is given as 0.

    Raises:
      ValueError: other shapes.

    >>> potential = transport.cones([[0.0], [4.0]], [0.0, 1.0])
    >>> potential(jnp.array([[-2.0], [1.0], [4.0]])).tolist()
    [2.0, 1.0, 1.0]
    """
    points, heights = jnp.asarray(points), jnp.asarray(heights)
    fits = points.ndim == 2 and heights.shape == points.shape[:1] and len(points)
    require(fits, "points, heights", (points.shape, heights.shape), "give [K, D] and [K]")

    def potential(z: Array) -> Array:
        lowest = jnp.argmin(_lengths(z[:, None] - points[None]) + heights[None], axis=1)
        return _lengths(z - points[lowest]) + heights[lowest]

    return potential


def _lengths(vectors: Array) -> Array:  # [..., D] -> [...], gradient 0 at 0
    return numerics.safe_sqrt((vectors**2).sum(axis=-1))


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:  # [N, D], [M, D] -> [N, M]
    check.require_package("scipy", "transport")
    from scipy.spatial.distance import cdist

    return cdist(x, y)  # by differences: ot.dist expands the square and loses half the digits


def _solve(points: list[np.ndarray], weights: list[np.ndarray]) -> tuple[np.ndarray, dict]:
    check.require_package("ot", "transport")
    import ot

    matrix, log = ot.emd(*weights, _distances(*points), numItermax=10_000_000, log=True)
    require(log["warning"] is None, "solver", log["warning"], "give fewer points")
    return matrix, log


def _measures(x, y, x_weights, y_weights) -> tuple[list[np.ndarray], list[np.ndarray]]:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    shapes = (x.shape, y.shape)
    x, y = (a.reshape(len(a), -1) if a.ndim > 2 and len(a) else a for a in (x, y))
    fits = x.ndim == y.ndim == 2 and x.shape[1] == y.shape[1] and len(x) and len(y)
    require(fits, "x, y", shapes, "give [N, *D] and [M, *D]")
    require(np.isfinite(x).all() and np.isfinite(y).all(), "x, y", "not finite", "look for NaN")
    weights = [_weights(x_weights, len(x), "x_weights"), _weights(y_weights, len(y), "y_weights")]
    return [x, y], weights


def _weights(weights, num: int, name: str) -> np.ndarray:
    if weights is None:
        return np.full(num, 1 / num)
    weights = np.asarray(weights, np.float64)
    require(weights.shape == (num,), name, weights.shape, f"give one weight a point, [{num}]")
    require(_is_distribution(weights), name, weights, "give weights >= 0 that sum to 1")
    return weights / weights.sum()  # the solver wants equal sums to the last digit


def _is_distribution(p):
    return (p >= 0).all() & (abs(p.sum() - 1) < 1e-4)  # False for NaN


# ---- the line ------------------------------------------------------------------------------------


def w1_1d(x: Any, y: Any, x_weights: Any = None, y_weights: Any = None) -> Array:
    """Computes W1 on the line exactly: the area between the distribution functions.

    Jittable; weights are checked where their values are known.

    Args:
      x: Samples [N].
      y: Samples [M].
      x_weights: [N] non-negative, sum 1; None for equal weights.
      y_weights: [M], the same.

    Returns:
      [] in units of the samples.

    Raises:
      ValueError: Other shapes, or weights that are not a distribution.

    Reference: Vallender, 1974, Calculation of the Wasserstein Distance between Probability
    Distributions on the Line.

    >>> transport.w1_1d(jnp.array([0.0, 1.0]), jnp.array([5.0, 2.0, 5.0, 2.0])).item()
    3.0
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    fits = x.ndim == y.ndim == 1 and len(x) and len(y)
    require(fits, "x, y", (x.shape, y.shape), "give [N] and [M]")
    masses = []
    for weights, points, name in ((x_weights, x, "x_weights"), (y_weights, y, "y_weights")):
        mass = jnp.full(len(points), 1 / len(points)) if weights is None else jnp.asarray(weights)
        require(mass.shape == points.shape, name, mass.shape, "give one weight a point")
        require(_is_distribution(mass), name, mass, "give weights >= 0 that sum to 1")
        masses.append(mass)
    both = jnp.concatenate([x, y])
    order = jnp.argsort(both)
    excess = jnp.cumsum(jnp.concatenate([masses[0], -masses[1]])[order])[:-1]  # F_x - F_y
    return (jnp.abs(excess) * jnp.diff(both[order])).sum()


def wp_1d(x_quantile: Callable, y_quantile: Callable, p: float = 1.0) -> float:
    """Integrates W_p between two laws on the line from their quantile functions.

    (integral over u in (0, 1) of |F_x^-1(u) - F_y^-1(u)|^p)^(1/p), by adaptive quadrature on the
    host.

    Args:
      x_quantile: u in (0, 1) -> quantile, such as `scipy.stats.norm(0, 1).ppf`.
      y_quantile: The same of the other law.
      p: At least 1.

    Raises:
      ValueError: p below 1, or an integral that does not converge.

    Reference: Villani, 2003, Topics in Optimal Transportation, chapter 2.

    U[0, 1] against U[0, 3], whose quantiles are u and 3 u:

    >>> round(transport.wp_1d(lambda u: u, lambda u: 3 * u), 6)
    1.0
    """
    check.require_package("scipy", "transport")
    from scipy.integrate import quad

    require(p >= 1, "p", p, "give p >= 1")

    def cost(u: float) -> float:
        return abs(x_quantile(u) - y_quantile(u)) ** p

    # In halves: quad can integrate an infinite quantile if it lies at the end of the interval.
    # With full_output quad warns of nothing: its error is looked at here.
    ends = ((0, 0.5), (0.5, 1))
    halves = [quad(cost, *end, limit=500, full_output=1)[:2] for end in ends]
    value, error = (sum(part) for part in zip(*halves, strict=True))
    # A divergent integral may have a small error, and a value below 0.
    converged = 0 <= value < math.inf and error <= 1e-5 * max(value, 1e-5)
    require(converged, "quadrature", (value, error), "give laws with a moment above p")
    return float(value ** (1 / p))


# ---- one side continuous -------------------------------------------------------------------------


class SemiDiscrete(NamedTuple):
    """Transport from a sampled law to fixed points.

    Attributes:
      w1: [] dual value at `psi` on fresh samples: never above W1 but for sampling noise.
      standard_error: [] of `w1`.
      psi: [K] prices; `cones(points, -psi)` is the potential, the sampled law as x (real).
    """

    w1: Array
    standard_error: Array
    psi: Array


def semidiscrete_w1(
    key: Key,
    sample: Callable[[Key, int], Array],
    points: Any,
    weights: Any = None,
    *,
    steps: int = 2000,
    batch: int = 256,
    learning_rate: float = 0.1,
) -> SemiDiscrete:
    """Estimates W1 between a law that can be sampled and weighted points, by stochastic ascent.

    Maximises the concave E_x min_k(|x - y_k| - psi_k) + sum_k w_k psi_k.  Its gradient is
    w_k - mass of cell k; a step is learning_rate * (mean distance) * K / sqrt(t) times it, so the
    rate has no units, and psi is averaged with weights growing like t.  Pure; jit it with `sample`
    closed over.  Half as many samples again measure the value.

    Args:
      key: For the samples.
      sample: `(key, num) -> x [num, D]`.
      points: [K, D].
      weights: [K] positive, sum 1; None for equal weights.
      steps: Of the ascent, at least 4.
      batch: Samples a step; memory batch * K * D.
      learning_rate: At t = 1.

    Raises:
      ValueError: Shapes that do not fit, weights that are not a distribution, too few steps.

    Reference: Genevay et al., 2016, Stochastic Optimization for Large-scale Optimal Transport,
    algorithm 2; average: Shamir and Zhang, 2013, Stochastic Gradient Descent for Non-smooth
    Optimization.

    U[0, 1] against half the mass at 0 and half at 1 costs a quarter:

    >>> uniform = lambda key, num: jax.random.uniform(key, (num, 1))
    >>> found = transport.semidiscrete_w1(jax.random.key(0), uniform, [[0.0], [1.0]], steps=400)
    >>> bool(abs(found.w1 - 0.25) < 0.01)
    True
    """
    points = jnp.asarray(points)
    num = len(points)
    weights = jnp.full(num, 1 / num) if weights is None else jnp.asarray(weights)
    fits = points.ndim == 2 and weights.shape == (num,)
    require(fits, "points, weights", (points.shape, weights.shape), "give [K, D] and [K]")
    require(_is_distribution(weights), "weights", weights, "give weights >= 0 that sum to 1")
    require(steps >= 4 and batch >= 1, "steps, batch", (steps, batch), "give >= 4 and >= 1")
    key_scale, key_ascent, key_value = jax.random.split(key, 3)

    def distances(key: Key) -> Array:  # -> [B, K]
        return _lengths(sample(key, batch)[:, None] - points[None])

    # In units of the samples, since psi is; K because a cell's mass is of order 1 / K.
    rate = learning_rate * num * distances(key_scale).mean()

    def ascend(carry, t_and_key):
        (psi, mean), (t, key) = carry, t_and_key
        cell = jnp.argmin(distances(key) - psi[None], axis=1)
        psi += rate / jnp.sqrt(t) * (weights - jnp.bincount(cell, length=num) / batch)
        # A mean with weights 1, 2, 3, ...: the first iterates, far off, soon count little.
        return (psi, mean + 2 / (t + 1) * (psi - mean)), None

    def value(psi: Array, key: Key) -> Array:
        return (distances(key) - psi[None]).min(axis=1).mean() + weights @ psi

    times = jnp.arange(1.0, steps + 1)
    start = (jnp.zeros(num), jnp.zeros(num))
    (_, psi), _ = jax.lax.scan(ascend, start, (times, jax.random.split(key_ascent, steps)))
    # On samples that psi has not seen: on its own it would be biased upwards.
    values = jax.lax.map(lambda k: value(psi, k), jax.random.split(key_value, steps // 2))
    return SemiDiscrete(values.mean(), values.std(ddof=1) / math.sqrt(len(values)), psi)


# ---- Gaussians -----------------------------------------------------------------------------------


def gaussian_w1_1d(x_mean: Any, x_std: Any, y_mean: Any, y_std: Any) -> Array:
    """Computes W1 between N(x_mean, x_std^2) and N(y_mean, y_std^2) on the line.

    Broadcasts and can be jitted.

    The mean of |m + s Z|, Z standard normal, m and s the differences of means and deviations:
    s sqrt(2 / pi) exp(-m^2 / 2 s^2) + m erf(m / (s sqrt 2)).  Other orders: `wp_1d` with the
    quantile functions; order 2 is `gaussian_w2` with [1] and [1, 1].

    Reference: Leone, Nelson and Nottingham, 1961, The Folded Normal Distribution.

    >>> transport.gaussian_w1_1d(0.0, 1.0, 3.0, 1.0).item()  # a translation
    3.0
    >>> round(transport.gaussian_w1_1d(0.0, 1.0, 0.0, 2.0).item(), 4)  # sqrt(2 / pi)
    0.7979
    """
    shift = jnp.abs(jnp.asarray(x_mean, float) - y_mean)
    spread = jnp.abs(jnp.asarray(x_std, float) - y_std)
    ratio = shift / jnp.where(spread > 0, spread, 1.0)
    folded = spread * math.sqrt(2 / math.pi) * jnp.exp(-(ratio**2) / 2)
    return jnp.where(spread > 0, folded + shift * special.erf(ratio / math.sqrt(2)), shift)


def gaussian_w2(x_mean: Any, x_cov: Any, y_mean: Any, y_cov: Any) -> Array:
    """Computes W2 (Frechet, Bures) between Gaussians in D dimensions; jittable.

    W2^2 = |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x^1/2 C_y C_x^1/2)^1/2); for D = 1 that is
    (m_x - m_y)^2 + (s_x - s_y)^2.  Computed as |C_x^1/2 - C_y^1/2 U|^2 with the best orthogonal U:
    the same number without the cancellation: six digits in float32, four if one is singular.

    Args:
      x_mean: [D].
      x_cov: [D, D] symmetric positive semi-definite; may be singular.
      y_mean: [D].
      y_cov: [D, D].

    Returns:
      [] in units of the samples (the distance, not its square).

    Raises:
      ValueError: Shapes that do not fit.

    Reference: Dowson and Landau, 1982, The Frechet Distance between Multivariate Normal
    Distributions; Bhatia, Jain and Lim, 2019, On the Bures-Wasserstein Distance.

    Means 3 apart, deviations 1 and 5 along both axes: sqrt(3^2 + 4^2 + 4^2):

    >>> x_mean, y_mean, eye = jnp.zeros(2), jnp.array([3.0, 0.0]), jnp.eye(2)
    >>> round(transport.gaussian_w2(x_mean, eye, y_mean, 25 * eye).item() ** 2, 3)
    41.0
    """
    x_mean, x_cov, y_mean, y_cov = (jnp.asarray(a, float) for a in (x_mean, x_cov, y_mean, y_cov))
    shapes = [a.shape for a in (x_mean, x_cov, y_mean, y_cov)]
    fits = shapes == [x_mean.shape[:1], x_mean.shape[:1] * 2] * 2
    require(fits, "x_mean, x_cov, y_mean, y_cov", shapes, "give [D], [D, D], [D], [D, D]")
    x_root, y_root = (_root(cov) for cov in (x_cov, y_cov))
    left, _, right = jnp.linalg.svd(y_root @ x_root)
    difference = x_root - y_root @ (left @ right)
    return jnp.sqrt(((x_mean - y_mean) ** 2).sum() + (difference**2).sum())


def gaussian_w1_bounds(x_mean: Any, x_cov: Any, y_mean: Any, y_cov: Any) -> tuple[Array, Array]:
    """Bounds W1 between Gaussians: |m_x - m_y| <= W1 <= W2, as W1 has no closed form for D > 1.

    The bounds meet where the covariances are equal (a translation). Args and errors: those of
    `gaussian_w2`.

    Returns:
      (lower bound [], upper bound []), in units of the samples.

    >>> low, high = transport.gaussian_w1_bounds([0.0], [[1.0]], [3.0], [[25.0]])
    >>> round(low.item(), 3), round(high.item(), 3)
    (3.0, 5.0)
    """
    high = gaussian_w2(x_mean, x_cov, y_mean, y_cov)
    return jnp.linalg.norm(jnp.asarray(x_mean, float) - jnp.asarray(y_mean, float)), high


def _root(cov: Array) -> Array:  # the symmetric square root
    values, vectors = jnp.linalg.eigh(cov)
    return (vectors * jnp.sqrt(values.clip(min=0.0))[None]) @ vectors.T
