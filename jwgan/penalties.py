r"""Gradient penalties. Each returns a penalty: `(key, critic_fn, real, fake) -> []`.

Every penalty is a mean over samples of a function of that sample's own input gradient,

$$ w \cdot \frac1B \sum_i f\big(\|\nabla_x D(\hat x_i)\|_2\big), $$

so a batch's penalty is the mean of its single-sample penalties. That holds as long as the critic
scores samples independently, which batch normalisation breaks (Gulrajani et al., 2017, section 4).
Gradients are taken in the critic's precision and normed in float32 or better; the derivative of
each penalty is finite where the input gradient is exactly zero.

The examples use a linear critic, whose gradient norm is 5 everywhere:

    >>> critic_fn = lambda x: x @ jnp.array([3.0, 4.0])  # [B, 2] -> [B]
    >>> key, real, fake = jax.random.key(0), jnp.ones((4, 2)), jnp.zeros((4, 2))
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jwgan import numerics
from jwgan.check import require
from jwgan.types import Array, CriticFn, Key, Penalty


def gradient_square(critic_fn: CriticFn, x: Array) -> Array:  # [B, *D] -> [B]
    r"""Squared norm of each sample's input gradient, $\|\nabla_x D(x_i)\|_2^2$.

    >>> penalties.gradient_square(critic_fn, real).tolist()
    [25.0, 25.0, 25.0, 25.0]
    """
    # The sum over the batch has sample i's own gradient in row i, since D scores rows one by one.
    gradient = jax.grad(lambda x: critic_fn(x).sum())(x)
    gradient = gradient.astype(jnp.promote_types(gradient.dtype, jnp.float32))
    return jnp.sum(gradient**2, axis=tuple(range(1, gradient.ndim)))


def gradient_norm(critic_fn: CriticFn, x: Array) -> Array:  # [B, *D] -> [B]
    r"""Norm of each sample's input gradient, $\|\nabla_x D(x_i)\|_2$; derivative 0 at norm 0.

    >>> penalties.gradient_norm(critic_fn, real).tolist()
    [5.0, 5.0, 5.0, 5.0]
    """
    return numerics.safe_sqrt(gradient_square(critic_fn, x))


def interpolate(key: Key, real: Array, fake: Array) -> Array:  # [B, *D] -> [B, *D]
    """Points eps x + (1 - eps) g with one eps ~ U[0, 1) for each pair of samples.

    >>> points = penalties.interpolate(key, real, fake)  # from (0, 0) to (1, 1)
    >>> bool((points[:, 0] == points[:, 1]).all()), points.shape
    (True, (4, 2))
    """
    eps = jax.random.uniform(key, (real.shape[0],) + (1,) * (real.ndim - 1), real.dtype)
    return fake + eps * (real - fake)


def ends(key: Key, real: Array, fake: Array) -> Array:  # [B, *D] -> [B, *D]
    """Samples themselves as points: the first half of the real ones, the second of the fake ones.

    The optimal critic's slope is 1 at almost all of them (Gulrajani et al., 2017, proposition 1).
    In many dimensions no interpolate of two independent samples comes near any other sample.

    >>> penalties.ends(key, real, fake)[:, 0].tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    del key
    half = real.shape[0] // 2
    return jnp.concatenate([real[:half], fake[half:]])


def _real(key: Key, real: Array, fake: Array) -> Array:
    del key, fake
    return real


def _fake(key: Key, real: Array, fake: Array) -> Array:
    del key, real
    return fake


Points = Callable[[Key, Array, Array], Array]  # (key, real, fake) -> where slopes are taken


def _penalty(
    weight: float | Array, per_sample: Callable[[Array], Array], points: Points = interpolate
) -> Penalty:
    """The penalty weight * mean(per_sample(squared gradient norm)) at `points`."""
    require(weight >= 0, "weight", weight, "give a weight >= 0")

    def penalty(key: Key, critic_fn: CriticFn, real: Array, fake: Array) -> Array:
        require(len(real) >= 1, "real's shape", real.shape, "give at least one sample")
        square = gradient_square(critic_fn, points(key, real, fake))
        return weight * per_sample(square).mean()

    # Whether the critic passes over a whole batch that it scores anyway: see `joined`.
    penalty.at_data = points in (_real, _fake)  # type: ignore[attr-defined]
    return penalty


def none() -> Penalty:
    """No penalty: 0 whatever the critic.

    >>> penalties.none()(key, critic_fn, real, fake).item()
    0.0
    """

    def penalty(key: Key, critic_fn: CriticFn, real: Array, fake: Array) -> Array:
        del key, critic_fn, real, fake
        return jnp.zeros(())

    return penalty


def gradient_penalty(weight: float | Array = 10.0, target: float | Array = 1.0) -> Penalty:
    r"""Two-sided penalty $w\,E(\|\nabla D(\hat x)\| - t)^2$ on interpolates.

    Args:
      weight: w, the paper's lambda.
      target: t, the gradient norm aimed at.

    Raises:
      ValueError: weight < 0; so do the other penalties.

    Reference: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, equation 3.

    >>> penalties.gradient_penalty(10.0)(key, critic_fn, real, fake).item()  # 10 (5 - 1)^2
    160.0
    """
    return _penalty(weight, lambda square: (numerics.safe_sqrt(square) - target) ** 2)


def squared_hinge_penalty(
    weight: float | Array = 10.0, target: float | Array = 1.0, points: Points = interpolate
) -> Penalty:
    r"""One-sided penalty $w\,E\max(0, \|\nabla D(\hat x)\| - t)^2$.

    Args:
      weight: w.
      target: t, the gradient norm that is free.
      points: where, `interpolate` as in the paper or `ends`.

    Reference: Petzka, Fischer and Lukovnicov, 2018, On the Regularization of Wasserstein GANs,
    equation 8 (WGAN-LP); also Gulrajani et al., 2017, appendix C.

    >>> penalty = penalties.squared_hinge_penalty(10.0)
    >>> penalty(key, critic_fn, real, fake).item()
    160.0
    >>> penalty(key, lambda x: critic_fn(x) / 10, real, fake).item()  # norm 0.5 is free
    0.0
    """
    hinge = lambda square: jax.nn.relu(numerics.safe_sqrt(square) - target) ** 2
    return _penalty(weight, hinge, points)


def linear_hinge_penalty(weight: float | Array = 10.0, target: float | Array = 1.0) -> Penalty:
    r"""One-sided linear penalty $w\,E\max(0, \|\nabla D(\hat x)\| - t)$ on interpolates.

    Course slides state the constraint in this form before they square it; it is here to compare.

    Args:
      weight: w.
      target: t, the gradient norm that is free.

    >>> penalties.linear_hinge_penalty(10.0)(key, critic_fn, real, fake).item()  # 10 (5 - 1)
    40.0
    """
    return _penalty(weight, lambda square: jax.nn.relu(numerics.safe_sqrt(square) - target))


def divergence_penalty(weight: float | Array = 2.0, power: float | Array = 6.0) -> Penalty:
    r"""Zero-centred penalty $k\,E\|\nabla D(\hat x)\|^p$ on interpolates.

    Args:
      weight: k (the paper's best 2; the authors' code 10).
      power: p >= 2.

    Raises:
      ValueError: weight < 0 or power < 2.

    Reference: Wu et al., 2018, Wasserstein Divergence for GANs, equation 10 and section 4.1.

    >>> penalties.divergence_penalty(2.0, power=4.0)(key, critic_fn, real, fake).item()  # 2 * 5^4
    1250.0
    """
    require(power >= 2, "power", power, "give p >= 2 (the paper's best is 6)")

    def per_sample(square: Array) -> Array:
        positive = square > 0
        # x ** (p/2) has an infinite derivative of some order at 0 unless p/2 is a whole number.
        return jnp.where(positive, jnp.where(positive, square, 1.0) ** (power / 2), 0.0)

    return _penalty(weight, per_sample)


def r1(weight: float | Array = 10.0) -> Penalty:
    r"""Zero-centred penalty $\frac w2 E\|\nabla D(x)\|^2$ on real data.

    Reference: Mescheder, Geiger and Nowozin, 2018, Which Training Methods for GANs do actually
    Converge?, equation 9 (w = gamma).

    >>> penalties.r1(10.0)(key, critic_fn, real, fake).item()  # 10 / 2 * 5^2
    125.0
    """
    return _penalty(weight, lambda square: square / 2, _real)


def r2(weight: float | Array = 10.0) -> Penalty:
    r"""Zero-centred penalty $\frac w2 E\|\nabla D(g)\|^2$ on generated data.

    Reference: as `r1`, equation 10.

    >>> penalties.r2(10.0)(key, critic_fn, real, fake).item()
    125.0
    """
    return _penalty(weight, lambda square: square / 2, _fake)


def dragan(weight: float | Array = 10.0, target: float | Array = 1.0) -> Penalty:
    r"""Two-sided penalty around real data: $w\,E(\|\nabla D(x + \delta)\| - t)^2$.

    The paper draws $\delta \sim N(0, cI)$; this follows the authors' code,
    $\delta = \frac12 \mathrm{std}(x)\,u\,\alpha$ with $u \sim U[0,1]^D$ and one
    $\alpha \sim U[0,1]$ for each sample.

    Args:
      weight: w, the paper's lambda.
      target: t, the gradient norm aimed at.

    Reference: Kodali et al., 2017, On Convergence and Stability of GANs, Algorithm 1.

    >>> penalties.dragan(10.0)(key, critic_fn, real, fake).item()  # 10 (5 - 1)^2
    160.0
    """

    def points(key: Key, real: Array, fake: Array) -> Array:
        del fake
        key_noise, key_mix = jax.random.split(key)
        noise = jax.random.uniform(key_noise, real.shape, real.dtype)
        return interpolate(key_mix, real + 0.5 * real.std() * noise, real)

    return _penalty(weight, lambda square: (numerics.safe_sqrt(square) - target) ** 2, points)


def total(*penalties: Penalty) -> Penalty:
    """The sum of penalties, each with a key of its own.

    >>> penalties.total(penalties.r1(10.0), penalties.r2(2.0))(key, critic_fn, real, fake).item()
    150.0
    """

    def penalty(key: Key, critic_fn: CriticFn, real: Array, fake: Array) -> Array:
        keys = jax.random.split(key, len(penalties))
        terms = [p(k, critic_fn, real, fake) for p, k in zip(penalties, keys, strict=True)]
        return sum(terms, start=jnp.zeros(()))

    at_data = any(getattr(one, "at_data", False) for one in penalties)
    penalty.at_data = at_data  # type: ignore[attr-defined]
    return penalty
