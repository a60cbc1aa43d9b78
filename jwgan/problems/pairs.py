"""Pairs of distributions whose W1, and mostly whose potential, is known in closed form.

References: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, and those in the functions.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import numerics
from jwgan.check import require
from jwgan.problems import Pair
from jwgan.types import Array, CriticFn, Key


def parallel_lines(theta: float) -> Pair:
    """Real {0} x U[0, 1], fake {theta} x U[0, 1]: W1 = |theta|, JS = log 2 unless theta is 0.

    Reference: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, example 1.

    >>> pair = pairs.parallel_lines(-0.5)
    >>> pair.w1, pair.potential(jnp.array([[0.0, 1.0], [-0.5, 1.0]])).tolist()
    (0.5, [0.0, -0.5])
    """

    def sample(key: Key, num: int) -> Array:
        return jnp.pad(jax.random.uniform(key, (num, 1)), ((0, 0), (1, 0)))

    return translation(sample, [theta, 0.0])._replace(name="parallel_lines")


def translation(sample: Any, shift: Any) -> Pair:
    """A law, and the same law moved by `shift` [D] as the fake: W1 = |shift| in any dimension.

    The potential falls along the shift, f(x) = -<shift, x> / |shift|; for no shift it is 0.

    Args:
      sample: `(key, num) -> x [num, D]`, such as a `Problem`'s.
      shift: [D] in units of the samples.

    Raises:
      ValueError: The shift is not a finite vector.

    >>> pairs.translation(priors.normal(2), [3.0, 4.0]).w1
    5.0
    """
    shift = _vector(shift, "shift")
    length = float(np.linalg.norm(shift))
    slope = jnp.asarray(-shift / length if length else shift, jnp.float32)
    step = jnp.asarray(shift, jnp.float32)
    return _graded(
        "translation",
        sample,
        lambda key, num: sample(key, num) + step[None],
        length,
        lambda x: x @ slope,
    )


def point_masses(real: Any, fake: Any) -> Pair:
    """Two points, all mass at `real` [D] against all at `fake` [D]: W1 = |real - fake|.

    The potential is determined on the segment between them; this one falls evenly everywhere.

    Raises:
      ValueError: Not two finite vectors of one length.

    >>> pair = pairs.point_masses([0.0, 0.0], [3.0, 4.0])
    >>> pair.w1, pair.sample_fake(jax.random.key(0), 1).tolist()
    (5.0, [[3.0, 4.0]])
    """
    real, fake = _vector(real, "real"), _vector(fake, "fake")
    require(real.shape == fake.shape, "fake", fake.shape, f"give {real.shape} as for real")
    at_real = lambda key, num: jnp.broadcast_to(jnp.asarray(real, jnp.float32), (num, len(real)))
    return translation(at_real, fake - real)._replace(name="point_masses")


def dirac(theta: float) -> Pair:
    """The Dirac-GAN's data and generator on the line: real at 0, fake at theta.  W1 = |theta|.

    Reference: Mescheder, Geiger and Nowozin, 2018, Which Training Methods for GANs do actually
    Converge?, definition 2.1.

    >>> pairs.dirac(-2.0).w1
    2.0
    """
    return point_masses([0.0], [theta])._replace(name="dirac")


def gaussians_1d(
    real_mean: float = 0.0, real_std: float = 1.0, fake_mean: float = 0.0, fake_std: float = 1.0
) -> Pair:
    """Two normal laws on the line, samples [num, 1].

    With m, s the differences of means and deviations, W1 is the mean of |m + s Z|:
    |s| sqrt(2 / pi) exp(-m^2 / 2 s^2) + m erf(m / (|s| sqrt 2)).  The potential has slope
    sign(F_fake - F_real): one kink, where the distribution functions cross, if s is not 0.

    Raises:
      ValueError: A deviation that is not positive.

    >>> pairs.gaussians_1d(fake_mean=3.0).w1
    3.0
    >>> round(pairs.gaussians_1d(fake_std=2.0).w1, 4)  # sqrt(2 / pi)
    0.7979
    """
    require(real_std > 0, "real_std", real_std, "give a standard deviation > 0")
    require(fake_std > 0, "fake_std", fake_std, "give a standard deviation > 0")
    shift, spread = fake_mean - real_mean, fake_std - real_std
    if spread == 0:
        pair = translation(_normal([real_mean], [real_std]), [shift])
        return pair._replace(name="gaussians_1d")
    ratio = shift / spread
    w1 = abs(spread) * math.sqrt(2 / math.pi) * math.exp(-(ratio**2) / 2)
    w1 += shift * math.erf(ratio / math.sqrt(2)) * math.copysign(1, spread)
    crossing = real_mean - real_std * ratio  # both distribution functions are Phi(-ratio) there
    side = math.copysign(1, -spread)  # the wider law is moved outwards from the narrower
    return _graded(
        "gaussians_1d",
        _normal([real_mean], [real_std]),
        _normal([fake_mean], [fake_std]),
        w1,
        lambda x: side * jnp.abs(x[:, 0] - crossing),
    )


def gaussians(real_mean: Any, real_std: Any, fake_mean: Any, fake_std: Any) -> Pair:
    """Two normal laws in D dimensions with deviations along the axes: |m| <= W1 <= W2.

    W2^2 = |m|^2 + |s|^2, m and s the differences of means and deviations; W1 has no closed form,
    unless s is 0 (a translation; then it is given, with the potential) or D is 1 (`gaussians_1d`).
    For covariances that do not commute see `transport.gaussian_w2`.

    Args:
      real_mean: [D].
      real_std: [D], positive.
      fake_mean: [D].
      fake_std: [D], positive.

    Raises:
      ValueError: Vectors of different lengths, or a deviation that is not positive.

    >>> pairs.gaussians([0.0, 0.0], [1.0, 1.0], [3.0, 0.0], [5.0, 1.0]).bounds
    (3.0, 5.0)
    """
    vectors = [_vector(v, "mean, std") for v in (real_mean, real_std, fake_mean, fake_std)]
    shapes = [v.shape for v in vectors]
    require(len(set(shapes)) == 1, "means, deviations", shapes, "give four vectors [D]")
    real_mean, real_std, fake_mean, fake_std = vectors
    stds = np.stack([real_std, fake_std])
    require((stds > 0).all(), "real_std, fake_std", stds, "give standard deviations > 0")
    shift, spread = fake_mean - real_mean, fake_std - real_std
    if not spread.any():
        return translation(_normal(real_mean, real_std), shift)._replace(name="gaussians")
    low = float(np.linalg.norm(shift))
    bounds = (low, math.hypot(low, float(np.linalg.norm(spread))))
    real, fake = _normal(real_mean, real_std), _normal(fake_mean, fake_std)
    return Pair("gaussians", real, fake, bounds=bounds)


def spheres(dim: int, real_radius: float, fake_radius: float) -> Pair:
    """Uniform laws on spheres about 0, a radius of 0 being a point: W1 = |difference of the radii|.

    Point to sphere is the hard test of Anil, Lucas and Grosse, 2019, Sorting out Lipschitz Function
    Approximation. Like `balls` and `round_gaussians` a radial pair: mass moves along rays,
    the potential is |x| with the sign that is high on real, and its gradient at 0 is given as 0.

    Raises:
      ValueError: `dim` below 1 or a negative radius.

    >>> pair = pairs.spheres(3, real_radius=0.0, fake_radius=2.0)
    >>> pair.w1, pair.potential(jnp.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])).tolist()
    (2.0, [-0.0, -2.0])
    """
    return _radial("spheres", dim, real_radius, fake_radius, 1.0, _direction)


def balls(dim: int, real_radius: float, fake_radius: float) -> Pair:
    """Uniform laws in balls about 0: W1 = |difference of the radii| dim / (dim + 1).

    See `spheres`.

    >>> pairs.balls(3, real_radius=1.0, fake_radius=5.0).w1
    3.0
    """

    def in_ball(key: Key, num: int, dim: int) -> Array:
        key_radius, key_direction = jax.random.split(key)
        radius = jax.random.uniform(key_radius, (num, 1)) ** (1 / dim)
        return radius * _direction(key_direction, num, dim)

    return _radial("balls", dim, real_radius, fake_radius, dim / (dim + 1), in_ball)


def round_gaussians(dim: int, real_std: float, fake_std: float) -> Pair:
    """Two laws N(0, std^2 I): W1 = |difference of the deviations| E |z|, z standard normal.

    E |z| = sqrt 2 Gamma((dim + 1)/2) / Gamma(dim/2). See `spheres`.

    >>> round(pairs.round_gaussians(2, real_std=1.0, fake_std=2.0).w1, 4)  # sqrt(pi / 2)
    1.2533
    """
    mean = math.sqrt(2) * math.exp(math.lgamma((dim + 1) / 2) - math.lgamma(dim / 2))
    normal = lambda key, num, dim: jax.random.normal(key, (num, dim))
    return _radial("round_gaussians", dim, real_std, fake_std, mean, normal)


def finite_samples(real: Any, fake: Any, w1: float, potential: CriticFn | None = None) -> Pair:
    """Two fixed sets of points, [N, D] and [M, D], drawn from with replacement, equally likely.

    The truth is a linear programme, solved outside: `exact = transport.dual(real, fake)`, then
    `finite_samples(real, fake, exact.w1, transport.cones(fake, exact.at_y))`. At a point that is
    moved to several places the potential has a kink, so no gradient is given.

    Raises:
      ValueError: Not two arrays of points of one dimension.

    >>> real, fake = [[0.0], [1.0]], [[2.0], [3.0]]
    >>> pairs.finite_samples(real, fake, transport.exact_w1(real, fake)).w1
    2.0
    """
    real, fake = jnp.asarray(real, jnp.float32), jnp.asarray(fake, jnp.float32)
    shapes = (real.shape, fake.shape)
    fits = real.ndim == fake.ndim == 2 and shapes[0][1] == shapes[1][1] and len(real) and len(fake)
    require(fits, "real, fake", shapes, "give [N, D] and [M, D]")
    rows = lambda points: lambda key, num: jax.random.choice(key, points, (num,))
    return Pair("finite_samples", rows(real), rows(fake), w1, potential=potential)


def _radial(name: str, dim: int, real: float, fake: float, mean_radius: float, unit: Any) -> Pair:
    """A pair of one law at two scales.

    Args:
      unit: `(key, num, dim) -> x [num, dim]`, the law at scale 1, symmetric about 0.
      mean_radius: its E |x|.
    """
    require(dim >= 1, "dim", dim, "give at least 1")
    require(real >= 0, "real's scale", real, "give a length >= 0")
    require(fake >= 0, "fake's scale", fake, "give a length >= 0")
    scaled = lambda scale: lambda key, num: scale * unit(key, num, dim)
    side = float(np.sign(real - fake))
    w1 = abs(real - fake) * mean_radius
    return _graded(name, scaled(real), scaled(fake), w1, lambda x: side * _length(x))


def _graded(name: str, real: Any, fake: Any, w1: float, potential: CriticFn) -> Pair:
    """A pair whose gradient is the derivative of its potential."""
    # Samples are scored one by one, so the sum's gradient has each one's own in its row.
    slope = jax.grad(lambda x: potential(x).sum())

    def sample_with_gradient(key: Key, num: int) -> tuple[Array, Array]:
        x = real(key, num)
        return x, slope(x)

    return Pair(
        name, real, fake, w1, potential=potential, sample_with_gradient=sample_with_gradient
    )


def _normal(mean: Any, std: Any) -> Any:
    mean, std = jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)
    return lambda key, num: mean[None] + std[None] * jax.random.normal(key, (num, len(mean)))


def _direction(key: Key, num: int, dim: int) -> Array:  # uniform on the unit sphere
    x = jax.random.normal(key, (num, dim))
    return x / jnp.linalg.norm(x, axis=1, keepdims=True)


def _length(x: Array) -> Array:  # [B, D] -> [B], gradient 0 at 0
    return numerics.safe_sqrt((x**2).sum(axis=1))


def _vector(value: Any, name: str) -> np.ndarray:
    vector = np.asarray(value, np.float64)
    fits = vector.ndim == 1 and len(vector) and np.isfinite(vector).all()
    require(fits, name, value, "give finite numbers [D]")
    return vector
