r"""What critic and generator minimise. Each function here returns an `Objective`.

In the formulas D is the critic's output, x a real sample, g a generated one, E the mean over the
batch and s the sigmoid. Scores are raw: a critic ends without a sigmoid.

    >>> def losses(objective, real, fake):
    ...     state, real, fake = objective.init(), jnp.array(real), jnp.array(fake)
    ...     both = (objective.critic_loss, objective.generator_loss)
    ...     return tuple(round(loss(state, real, fake).item(), 4) for loss in both)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.types import Array, Info, Objective, Output, Scored, score_gap, score_of

softplus = jax.nn.softplus  # log(1 + e^x), stable; -log sigmoid(x) = softplus(-x)


def stateless(
    critic_loss: Callable[[Any, Any], Array],
    generator_loss: Callable[[Any, Any], Array],
    separation: Callable[[Any, Any], Array] = score_gap,
) -> Objective:
    """An objective of your own, from two losses that need no memory of earlier steps.

    Args:
      critic_loss: `(real, fake) -> []`, of the critic's outputs: scores [B] as a rule.
      generator_loss: `(real, fake) -> []`, the same outputs; most losses ignore `real`.
      separation: `(real, fake) -> []`, what is reported as the Wasserstein estimate; positive when
        the critic tells real from fake. The default is for scores that are high on real data.

    The game of f-GAN for the Kullback-Leibler divergence (Nowozin, Cseke and Tomioka, 2016):

    >>> kullback_leibler = objectives.stateless(
    ...     critic_loss=lambda real, fake: jnp.exp(fake - 1).mean() - real.mean(),
    ...     generator_loss=lambda real, fake: -jnp.exp(fake - 1).mean(),
    ... )
    >>> losses(kullback_leibler, real=[2.0, 4.0], fake=[1.0, 1.0])
    (-2.0, -1.0)

    Give it to `adversarial.build(objective=kullback_leibler, ...)`.
    """

    def update(state: Any, real: Output, fake: Output) -> tuple[Any, Info]:
        del real, fake
        return state, {}

    return Objective(
        init=lambda: (),
        critic_loss=lambda state, real, fake: critic_loss(real, fake),
        generator_loss=lambda state, real, fake: generator_loss(real, fake),
        update=update,
        separation=separation,
    )


def wasserstein() -> Objective:
    r"""The Wasserstein game: critic $E D(g) - E D(x)$, generator $-E D(g)$.

    Reference: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, equations 2 and 3.

    >>> losses(objectives.wasserstein(), real=[2.0, 4.0], fake=[1.0, 1.0])
    (-2.0, -1.0)
    """
    return stateless(
        lambda real, fake: fake.mean() - real.mean(),
        lambda real, fake: -fake.mean(),
    )


def _cross_entropy(real: Array, fake: Array) -> Array:
    """-E log s(D(x)) - E log(1 - s(D(g))): the discriminator's loss in every classical GAN."""
    return softplus(-real).mean() + softplus(fake).mean()


def minimax() -> Objective:
    r"""The saturating game: critic $-E\log s(D(x)) - E\log(1 - s(D(g)))$, generator
    $E\log(1 - s(D(g)))$, whose gradient vanishes where the critic is sure.

    Reference: Goodfellow et al., 2014, Generative Adversarial Nets, equation 1.

    A critic that cannot tell the two apart has loss 2 log 2:

    >>> losses(objectives.minimax(), real=[0.0], fake=[0.0])
    (1.3863, -0.6931)
    """
    return stateless(_cross_entropy, lambda real, fake: -softplus(fake).mean())


def non_saturating() -> Objective:
    r"""The non-saturating game: critic as `minimax`, generator $-E\log s(D(g))$.

    Reference: Goodfellow et al., 2014, Generative Adversarial Nets, section 3 (last paragraph).

    >>> losses(objectives.non_saturating(), real=[0.0], fake=[0.0])
    (1.3863, 0.6931)
    """
    return stateless(_cross_entropy, lambda real, fake: softplus(-fake).mean())


def least_squares(a: float = 0.0, b: float = 1.0, c: float = 1.0) -> Objective:
    r"""Least squares: critic $\frac12 E(D(x)-b)^2 + \frac12 E(D(g)-a)^2$, generator
    $\frac12 E(D(g)-c)^2$.

    Args:
      a: the critic's target on generated data.
      b: the critic's target on real data.
      c: the generator's target; (0, 1, 1) is the practical choice, (-1, 1, 0) minimises the Pearson
        chi-square divergence.

    Raises:
      ValueError: if a equals b.

    Reference: Mao et al., 2017, Least Squares GANs, equations 2, 8 and 9.

    >>> losses(objectives.least_squares(), real=[1.0, 2.0], fake=[0.0, 2.0])
    (1.25, 0.5)
    """
    require(a != b, "a, b", (a, b), "give two different targets, for example a=0, b=1")
    return stateless(
        lambda real, fake: ((real - b) ** 2).mean() / 2 + ((fake - a) ** 2).mean() / 2,
        lambda real, fake: ((fake - c) ** 2).mean() / 2,
    )


def hinge() -> Objective:
    r"""The hinge game: critic $E\max(0, 1 - D(x)) + E\max(0, 1 + D(g))$, generator $-E D(g)$.

    Reference: Miyato et al., 2018, Spectral Normalization for GANs, equations 16 and 17.

    Scores beyond 1 on the right side cost the critic nothing:

    >>> losses(objectives.hinge(), real=[0.5, 3.0], fake=[-3.0, -1.0])
    (0.25, 2.0)
    """
    return stateless(
        lambda real, fake: jax.nn.relu(1 - real).mean() + jax.nn.relu(1 + fake).mean(),
        lambda real, fake: -fake.mean(),
    )


def relativistic() -> Objective:
    r"""Pairs each generated sample with a real one: critic $E\,f(D(g) - D(x))$, generator
    $E\,f(D(x) - D(g))$ with $f = \mathrm{softplus}$.

    Reference: Jolicoeur-Martineau, 2019, The relativistic discriminator (RpGAN); Huang et al.,
    2024, The GAN is dead; long live the GAN!, equation 2.

    Only differences count, so a constant added to all scores changes nothing:

    >>> losses(objectives.relativistic(), real=[5.0], fake=[5.0])
    (0.6931, 0.6931)
    """
    return stateless(
        lambda real, fake: softplus(fake - real).mean(),
        lambda real, fake: softplus(real - fake).mean(),
    )


def _energy_separation(real: Output, fake: Output) -> Array:
    """E D(g) - E D(x), positive when the critic tells real from fake: energies are low on real."""
    return score_of(fake).mean() - score_of(real).mean()


def pulling_away(code: Array) -> Array:  # [B, H] -> []
    r"""$\frac{1}{B(B-1)}\sum_{i\ne j}\cos^2(s_i, s_j)$: 0 for orthogonal codes, 1 for equal ones.

    A single code has no pair, and 0.

    Reference: Zhao, Mathieu and LeCun, 2017, Energy-based GAN, equation 5.

    >>> [round(objectives.pulling_away(code).item(), 4) for code in (jnp.eye(2), jnp.ones((2, 3)))]
    [0.0, 1.0]
    """
    num = code.shape[0]
    square = jnp.sum(code**2, axis=1, keepdims=True)
    unit = code * jax.lax.rsqrt(jnp.maximum(square, 1e-12))
    cosine = unit @ unit.T
    off_diagonal = jnp.sum(cosine**2) - jnp.sum(jnp.diagonal(cosine) ** 2)
    return off_diagonal / max(num * (num - 1), 1)


def ebgan(margin: float | Array = 10.0, pulling_away_weight: float | Array = 0.0) -> Objective:
    r"""Energies: critic $\overline{D(x)} + \overline{\max(0, m - D(g))}$, generator
    $\overline{D(g)} + w\,\mathrm{PT}$, the bar the mean over the batch.

    The critic's output is an energy [B], low on real data; with a pulling-away weight it is a
    `types.Scored` of the energy and the auto-encoder's code, whose `pulling_away` PT is.

    Info: `beyond_margin`, the share of the generated batch with $D(g) \ge m$, of which the critic's
    second term and its gradient are 0. Where it stays 1 the margin is too small for the energies.

    Args:
      margin: m > 0, in units of the energy.
      pulling_away_weight: w of the pulling-away term on the codes of the generated batch.

    Raises:
      ValueError: margin <= 0, a negative weight, or, at the first step, a critic without codes.

    Reference: Zhao, Mathieu and LeCun, 2017, Energy-based GAN, equations 1, 2 and 5.

    >>> losses(objectives.ebgan(margin=10.0), real=[1.0, 3.0], fake=[4.0, 12.0])
    (5.0, 8.0)
    """
    require(margin > 0, "margin", margin, "give a margin > 0 (MNIST in the paper: 10)")
    require(pulling_away_weight >= 0, "pulling_away_weight", pulling_away_weight, "give >= 0")
    # A traced weight is always used; a plain 0 needs no codes.
    with_codes = not isinstance(pulling_away_weight, (int, float)) or pulling_away_weight > 0

    def critic_loss(real: Output, fake: Output) -> Array:
        return score_of(real).mean() + jax.nn.relu(margin - score_of(fake)).mean()

    def generator_loss(real: Output, fake: Output) -> Array:
        del real
        energy = score_of(fake).mean()
        if not with_codes:
            return energy
        if not isinstance(fake, Scored):
            raise ValueError(
                "pulling_away_weight > 0 needs the critic's codes: return "
                "jwgan.types.Scored(energy, code), or set the weight to 0"
            )
        return energy + pulling_away_weight * pulling_away(fake.code)

    def update(state: Any, real: Output, fake: Output) -> tuple[Any, Info]:
        del real
        return state, {"beyond_margin": (score_of(fake) >= margin).mean()}

    return stateless(critic_loss, generator_loss, _energy_separation)._replace(update=update)


class BEGANState(NamedTuple):
    """What BEGAN carries from step to step."""

    k: Array  # [], in [0, 1], weight of the generated batch in the critic's loss
    convergence: Array  # [], the measure M of the last step; infinity before the first


def began(
    gamma: float | Array = 0.5, lambda_k: float | Array = 1e-3, k_min: float | Array = 0.0
) -> Objective:
    r"""Critic $L(x) - k_t L(g)$, generator $L(g)$, and
    $k_{t+1} = \mathrm{clip}(k_t + \lambda_k(\gamma L(x) - L(g)), k_{min}, 1)$ with $k_0 = 0$.

    $L$ is the auto-encoder's mean absolute reconstruction error. Info: `k` (used in this step) and
    `convergence`, $M = L(x) + |\gamma L(x) - L(g)|$.

    The paper keeps k in [0, 1], and so do the PyTorch collection of znxlwm and chainer-gan-lib. The
    TensorFlow collection of hwalsuklee and the first compare_gan do not clip k at all. Below 0 the
    critic learns to reconstruct the fakes as well: `k_min=-1.0` allows that.

    Args:
      gamma: diversity ratio in (0, 1].
      lambda_k: proportional gain of k.
      k_min: smallest k, at most 0.

    Raises:
      ValueError: gamma outside (0, 1], lambda_k <= 0, or k_min > 0.

    Reference: Berthelot, Schumm and Metz, 2017, BEGAN, section 3.4 and 3.4.1.

    From energies L(x) = 2 and L(g) = 0.5, k moves by 0.1 (0.5 * 2 - 0.5):

    >>> objective = objectives.began(gamma=0.5, lambda_k=0.1)
    >>> state, info = objective.update(objective.init(), jnp.array([2.0]), jnp.array([0.5]))
    >>> round(state.k.item(), 4), info["convergence"].item()
    (0.05, 2.5)
    """
    require((gamma > 0) & (gamma <= 1), "gamma", gamma, "give a diversity ratio in (0, 1]")
    require(lambda_k > 0, "lambda_k", lambda_k, "give a gain > 0 (the paper's is 0.001)")
    require(k_min <= 0, "k_min", k_min, "give the smallest k, 0 (the paper's) or below")

    def critic_loss(state: BEGANState, real: Array, fake: Array) -> Array:
        return real.mean() - state.k * fake.mean()

    def generator_loss(state: BEGANState, real: Array, fake: Array) -> Array:
        del state, real
        return fake.mean()

    def update(state: BEGANState, real: Array, fake: Array) -> tuple[BEGANState, Info]:
        balance = gamma * real.mean() - fake.mean()
        k = jnp.clip(state.k + lambda_k * balance, min=k_min, max=1.0)
        convergence = real.mean() + jnp.abs(balance)
        return BEGANState(k, convergence), {"k": state.k, "convergence": convergence}

    return Objective(
        init=lambda: BEGANState(jnp.zeros(()), jnp.full((), jnp.inf)),
        critic_loss=critic_loss,
        generator_loss=generator_loss,
        update=update,
        separation=_energy_separation,
    )
