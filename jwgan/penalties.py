r"""Gradient penalties: -> penalty(key, critic_fn, real, fake) -> [].

Every penalty is a mean over samples of a function of that sample's own input gradient,

$$ w \cdot \frac1B \sum_i f\big(\|\nabla_x D(\hat x_i)\|_2\big), $$

so a batch's penalty is the mean of its single-sample penalties. That holds as long as the critic
scores samples independently, which batch normalisation breaks (Gulrajani et al., 2017, section 4).
Gradients are taken in the critic's precision and normed in float32 or better; the derivative of
each penalty is finite where the input gradient is exactly zero.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jwgan import numerics
from jwgan.check import require
from jwgan.types import Array, CriticFn, Key, Penalty


def gradient_square(critic_fn: CriticFn, x: Array) -> Array:  # [B, *D] -> [B]
    """Squared norm of each sample's input gradient, $\\|\\nabla_x D(x_i)\\|_2^2$."""
    # The sum over the batch has sample i's own gradient in row i, since D scores rows one by one.
    gradient = jax.grad(lambda x: critic_fn(x).sum())(x)
    gradient = gradient.astype(jnp.promote_types(gradient.dtype, jnp.float32))
    return jnp.sum(gradient**2, axis=tuple(range(1, gradient.ndim)))


def gradient_norm(critic_fn: CriticFn, x: Array) -> Array:  # [B, *D] -> [B]
    """Norm of each sample's input gradient, $\\|\\nabla_x D(x_i)\\|_2$; NaN-safe at zero."""
    return numerics.safe_sqrt(gradient_square(critic_fn, x))


def interpolate(key: Key, real: Array, fake: Array) -> Array:  # [B, *D] -> [B, *D]
    """Points eps x + (1 - eps) g with one eps ~ U[0, 1) for each pair of samples."""
    eps = jax.random.uniform(key, (real.shape[0],) + (1,) * (real.ndim - 1), real.dtype)
    return fake + eps * (real - fake)


def ends(key: Key, real: Array, fake: Array) -> Array:  # [B, *D] -> [B, *D]
    """Points of both sides themselves: the first half of the real, the rest from the fake ones.

    The optimal critic's slope is 1 at almost all of them (Gulrajani et al., 2017, proposition 1).
    In many dimensions no interpolate of two independent samples comes near any other sample.
    """
    del key
    half = real.shape[0] // 2
    return jnp.concatenate([real[:half], fake[half:]])


Points = Callable[[Key, Array, Array], Array]  # (key, real, fake) -> where slopes are taken


def _penalty(
    weight: float | Array, per_sample: Callable[[Array], Array], points: Points = interpolate
) -> Penalty:
    """weight * mean(per_sample(squared gradient norm)) at `points`."""
    require(weight >= 0, "weight", weight, "give a weight >= 0")

    def penalty(key: Key, critic_fn: CriticFn, real: Array, fake: Array) -> Array:
        square = gradient_square(critic_fn, points(key, real, fake))
        return weight * per_sample(square).mean()

    return penalty


def none() -> Penalty:
    """No penalty."""

    def penalty(key: Key, critic_fn: CriticFn, real: Array, fake: Array) -> Array:
        del key, critic_fn, real, fake
        return jnp.zeros(())

    return penalty


def gradient_penalty(weight: float | Array = 10.0, target: float | Array = 1.0) -> Penalty:
    r"""Two-sided penalty $w\,E(\|\nabla D(\hat x)\| - t)^2$ on interpolates.

    Args:
      weight: w, the paper's lambda.
      target: t, the gradient norm aimed at.

    Reference: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, equation 3.
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
    """
    hinge = lambda square: jax.nn.relu(numerics.safe_sqrt(square) - target) ** 2
    return _penalty(weight, hinge, points)


def linear_hinge_penalty(weight: float | Array = 10.0, target: float | Array = 1.0) -> Penalty:
    r"""One-sided linear penalty $w\,E\max(0, \|\nabla D(\hat x)\| - t)$ on interpolates.

    The form in which course slides state the constraint before squaring it; kept for comparison.
    """
    return _penalty(weight, lambda square: jax.nn.relu(numerics.safe_sqrt(square) - target))


def divergence_penalty(weight: float | Array = 2.0, power: float | Array = 6.0) -> Penalty:
    r"""Zero-centred penalty $k\,E\|\nabla D(\hat x)\|^p$ on interpolates.

    Args:
      weight: k (the paper's best 2; the authors' code 10).
      power: p >= 2.

    Reference: Wu et al., 2018, Wasserstein Divergence for GANs, equation 10 and section 4.1.
    """
    require(power >= 2, "power", power, "give p >= 2 (the paper's best is 6)")

    def per_sample(square: Array) -> Array:
        positive = square > 0
        # x ** (p/2) has an infinite derivative of some order at 0 unless p/2 is a whole number
        return jnp.where(positive, jnp.where(positive, square, 1.0) ** (power / 2), 0.0)

    return _penalty(weight, per_sample)


def r1(weight: float | Array = 10.0) -> Penalty:
    r"""$\frac w2 E\|\nabla D(x)\|^2$ on real data.

    Reference: Mescheder, Geiger and Nowozin, 2018, Which Training Methods for GANs do actually
    Converge?, equation 9 (w = gamma).
    """
    return _penalty(weight, lambda square: square / 2, lambda key, real, fake: real)


def r2(weight: float | Array = 10.0) -> Penalty:
    r"""$\frac w2 E\|\nabla D(g)\|^2$ on generated data.  Reference: as `r1`, equation 10."""
    return _penalty(weight, lambda square: square / 2, lambda key, real, fake: fake)


def dragan(weight: float | Array = 10.0, target: float | Array = 1.0) -> Penalty:
    r"""Two-sided penalty around real data: $w\,E(\|\nabla D(x + \delta)\| - t)^2$.

    The paper draws $\delta \sim N(0, cI)$; this follows the authors' code,
    $\delta = \frac12 \mathrm{std}(x)\,u\,\alpha$ with $u \sim U[0,1]^D$ and one
    $\alpha \sim U[0,1]$ for each sample.

    Reference: Kodali et al., 2017, On Convergence and Stability of GANs, Algorithm 1.
    """

    def points(key: Key, real: Array, fake: Array) -> Array:
        del fake
        key_noise, key_mix = jax.random.split(key)
        noise = jax.random.uniform(key_noise, real.shape, real.dtype)
        return interpolate(key_mix, real + 0.5 * real.std() * noise, real)

    return _penalty(weight, lambda square: (numerics.safe_sqrt(square) - target) ** 2, points)


def total(*penalties: Penalty) -> Penalty:
    """The sum of penalties, each with a key of its own."""

    def penalty(key: Key, critic_fn: CriticFn, real: Array, fake: Array) -> Array:
        keys = jax.random.split(key, len(penalties))
        terms = [p(k, critic_fn, real, fake) for p, k in zip(penalties, keys, strict=True)]
        return sum(terms, start=jnp.zeros(()))

    return penalty
