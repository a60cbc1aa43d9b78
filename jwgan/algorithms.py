"""The named members of the family, each a short assembly with its paper's defaults.

Every function takes the two networks and a prior and returns an `Algorithm`. The number of critic
updates a step is the first axis of the batch, [n_critic, B, *D]; each docstring names the paper's.
Learning rates, weights and other numbers may be traced arrays, so `many` can sweep them; one that
makes no sense is a `ValueError`. Every member also takes

* `learning_rate`: of both players, a number or an optax schedule. A schedule counts generator
  updates for both players, see `schedules`;
* `critic_learning_rate`: of the critic, where it is another one;
* `penalty`: in place of the paper's (whose `weight` then has no effect), see `penalties`;
* `critic_tx`, `generator_tx`: an optax transform in place of the paper's optimizer, whose rate and
  betas then have no effect for that player. WGAN's clipping and SN-GAN's normalisation stay.

To change anything else, copy an assembly: `wgan` shows all of `adversarial.build`.

The examples make one step on a world where everything is known: all real samples lie at (1, 0), all
first fakes at the origin, and the critic D(x) = 3 x_1 + 4 x_2 has gradient norm 5 everywhere.

    >>> linear = networks.from_fn(lambda key, x: jnp.array([[3.0], [4.0]]), lambda w, x: x @ w)
    >>> critic = networks.map_output(linear, lambda x, y: y[:, 0])
    >>> generator = networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda shift, z: z + shift)
    >>> origin = lambda key, num: jnp.zeros((num, 2))
    >>> def first_step(algorithm, critic=critic):
    ...     batch = jnp.tile(jnp.array([1.0, 0.0]), (1, 4, 1))  # n_critic 1, B 4
    ...     state = algorithm.init(jax.random.key(0), batch)
    ...     state, info = jax.jit(algorithm.step)(state, batch)
    ...     info = adversarial.scalars(info)
    ...     return state, {name: round(value.item(), 4) for name, value in info.items()}
"""

from collections.abc import Callable
from typing import Any

import jax
import optax

from jwgan import adversarial, constraints, networks, objectives, penalties, schedules
from jwgan.check import require, require_settings
from jwgan.types import Algorithm, Network, Objective, Penalty, Prior


def _adam(b1, b2=0.999) -> Callable[..., optax.GradientTransformation]:
    """`rate -> Adam`; the rate may be a schedule."""
    require_settings(b1=b1, b2=b2)

    def adam(rate) -> optax.GradientTransformation:
        if not callable(rate):
            return optax.adam(rate, b1=b1, b2=b2)
        return optax.chain(optax.scale_by_adam(b1=b1, b2=b2), schedules.scale_by_rate(rate))

    return adam


def _rmsprop(decay) -> Callable[..., optax.GradientTransformation]:
    """`rate -> RMSProp`, epsilon outside the root as in Torch; the rate may be a schedule."""
    require_settings(decay=decay)

    def rmsprop(rate) -> optax.GradientTransformation:
        if not callable(rate):
            return optax.rmsprop(rate, decay=decay, eps_in_sqrt=False)
        rms = optax.scale_by_rms(decay=decay, eps_in_sqrt=False)
        # optax.rmsprop ends in its momentum, here none: both forms have states of one tree.
        return optax.chain(rms, schedules.scale_by_rate(rate), optax.identity())

    return rmsprop


def _players(
    optimizer: Callable[..., optax.GradientTransformation],
    rates: tuple[Any, Any],
    txs: tuple[optax.GradientTransformation | None, optax.GradientTransformation | None],
) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """Chooses the players' transforms: the caller's, or the member's optimizer.

    Args:
      optimizer: `rate -> transform`.
      rates: (of both players, of the critic or None).
      txs: (critic_tx, generator_tx) as the caller gave them.

    Returns:
      (critic_tx, generator_tx).
    """
    learning_rate, critic_learning_rate = rates
    if critic_learning_rate is None:
        critic_learning_rate = learning_rate
    require_settings(learning_rate=learning_rate, critic_learning_rate=critic_learning_rate)
    critic_tx, generator_tx = txs
    return (
        optimizer(critic_learning_rate) if critic_tx is None else critic_tx,
        optimizer(learning_rate) if generator_tx is None else generator_tx,
    )


def _build(
    critic: Network,
    generator: Network,
    prior: Prior,
    players: tuple[optax.GradientTransformation, optax.GradientTransformation],
    objective: Objective,
    penalty: Penalty | None = None,
) -> Algorithm:
    """An assembly of two networks, (critic_tx, generator_tx), losses and a penalty."""
    critic_tx, generator_tx = players
    return adversarial.build(
        critic=critic,
        generator=generator,
        critic_tx=critic_tx,
        generator_tx=generator_tx,
        objective=objective,
        penalty=penalties.none() if penalty is None else penalty,
        prior=prior,
    )


def gan_minimax(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=2e-4,
    b1=0.5,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """The saturating game of Goodfellow et al., 2014, equation 1.  n_critic 1.

    The authors' code trains with SGD and momentum; this follows DCGAN's Adam, as later papers do.

    >>> state, info = first_step(algorithms.gan_minimax(critic, generator, prior=origin))
    >>> info["critic_loss"], info["generator_loss"]  # the fakes' scores are 0: -log 2
    (0.7417, -0.6931)
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(b1), rates, txs)
    return _build(critic, generator, prior, players, objectives.minimax(), penalty)


def gan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=2e-4,
    b1=0.5,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """The non-saturating game of Goodfellow et al., 2014, section 3.  n_critic 1.

    The authors' code trains with SGD and momentum; this follows DCGAN's Adam, as later papers do.
    With `penalty=penalties.gradient_penalty()` it is the GAN-GP of Fedus et al., 2018.

    >>> state, info = first_step(algorithms.gan(critic, generator, prior=origin))
    >>> info["generator_loss"]  # log 2
    0.6931
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(b1), rates, txs)
    return _build(critic, generator, prior, players, objectives.non_saturating(), penalty)


def dcgan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=2e-4,
    b1=0.5,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """DCGAN of Radford, Metz and Chintala, 2016: `gan` with its networks.  n_critic 1, batch 128.

    Adam 2e-4 (0.5). What makes it DCGAN are the networks, `models.dcgan` with batch norm in both
    players and N(0, 0.02) initial weights. The paper draws z ~ U[-1, 1]^100; its authors' Torch
    code takes either that or a normal.

    >>> state, info = first_step(algorithms.dcgan(critic, generator, prior=origin))
    >>> print(state.generator.params)  # Adam's first step is the learning rate, towards the data
    [[0.0002 0.0002]]
    """
    return gan(
        critic,
        generator,
        prior=prior,
        learning_rate=learning_rate,
        b1=b1,
        critic_learning_rate=critic_learning_rate,
        penalty=penalty,
        critic_tx=critic_tx,
        generator_tx=generator_tx,
    )


def lsgan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    critic_learning_rate=1e-4,
    generator_learning_rate=1e-3,
    b1=0.5,
    a=0.0,
    b=1.0,
    c=1.0,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """Least Squares GAN of Mao et al., 2017; (a, b, c) = (0, 1, 1), or (-1, 1, 0).  n_critic 1.

    Learning rates of the paper's mixture experiment, batch 512. The image experiments use Adam
    with b1 0.5 and 1e-3 (LSUN) or 2e-4 for both.

    >>> state, info = first_step(algorithms.lsgan(critic, generator, prior=origin))
    >>> info["critic_loss"], info["generator_loss"]  # (3 - 1)^2 / 2, (0 - 1)^2 / 2
    (2.0, 0.5)
    """
    require_settings(generator_learning_rate=generator_learning_rate)
    rates, txs = (generator_learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(b1), rates, txs)
    return _build(critic, generator, prior, players, objectives.least_squares(a, b, c), penalty)


def wgan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=5e-5,
    c=0.01,
    decay=0.99,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """Clipped WGAN of Arjovsky, Chintala and Bottou, 2017, Algorithm 1.  n_critic 5, batch 64.

    RMSProp, and every weight of the critic clipped to [-c, c]. The paper does not state RMSProp's
    decay; 0.99 is the default of the authors' code, and so is
    epsilon outside the root: inside, gradients below 1e-4 would hardly move. That code
    also runs 100 critic updates at the first 25 generator updates and at every 500th, the paper
    does not: feed longer batches there to follow it. The critic starts inside the box, because
    the authors clip before the first update.

    >>> state, info = first_step(algorithms.wgan(critic, generator, prior=origin))
    >>> info["wasserstein_estimate"]  # of the clipped critic 0.01 (x_1 + x_2)
    0.01
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_rmsprop(decay), rates, txs)
    critic_tx, generator_tx = players
    return _build(
        networks.map_init(critic, lambda params: constraints.project_box(params, c)),
        generator,
        prior,
        (optax.chain(critic_tx, constraints.clip_weights(c)), generator_tx),
        objectives.wasserstein(),
        penalty,
    )


def wgan_gp(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    b1=0.0,
    b2=0.9,
    weight=10.0,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """WGAN-GP of Gulrajani et al., 2017, Algorithm 1.  n_critic 5, batch 64.

    Adam 1e-4 (0, 0.9); the critic's gradient norm is pulled to 1 with weight 10.

    The authors' code uses b1 0.5 in all but the ResNet experiments, and weight 0.1 on the 2-D
    worlds; this follows the paper. No batch norm in the critic.

    >>> state, info = first_step(algorithms.wgan_gp(critic, generator, prior=origin))
    >>> info["wasserstein_estimate"], info["penalty"]  # 10 (5 - 1)^2
    (3.0, 160.0)
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(b1, b2), rates, txs)
    if penalty is None:
        penalty = penalties.gradient_penalty(weight)
    return _build(critic, generator, prior, players, objectives.wasserstein(), penalty)


def wgan_lp(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    b1=0.0,
    b2=0.9,
    weight=10.0,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """WGAN-LP of Petzka, Fischer and Lukovnicov, 2018: `wgan_gp` with a one-sided penalty.

    Only gradient norms above 1 are penalised, by their squared excess. n_critic 5.

    >>> gentle = networks.map_output(critic, lambda x, y: y / 10)  # gradient norm 0.5
    >>> state, info = first_step(algorithms.wgan_lp(gentle, generator, prior=origin))
    >>> info["penalty"]
    0.0
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(b1, b2), rates, txs)
    if penalty is None:
        penalty = penalties.squared_hinge_penalty(weight)
    return _build(critic, generator, prior, players, objectives.wasserstein(), penalty)


def wgan_hinge(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    b1=0.0,
    b2=0.9,
    weight=10.0,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """WGAN-GP with the linear hinge max(0, norm - 1), as course slides state the constraint.

    >>> state, info = first_step(algorithms.wgan_hinge(critic, generator, prior=origin))
    >>> info["penalty"]  # 10 (5 - 1)
    40.0
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(b1, b2), rates, txs)
    if penalty is None:
        penalty = penalties.linear_hinge_penalty(weight)
    return _build(critic, generator, prior, players, objectives.wasserstein(), penalty)


def wgan_div(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=2e-4,
    b1=0.5,
    b2=0.999,
    weight=2.0,
    power=6.0,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """Wasserstein divergence of Wu et al., 2018: k 2, p 6, Adam 2e-4.  n_critic 4.

    The authors' code has k 10 instead (`weight=10.0`); this follows the paper.

    >>> state, info = first_step(algorithms.wgan_div(critic, generator, prior=origin))
    >>> info["penalty"]  # 2 * 5^6
    31250.0
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(b1, b2), rates, txs)
    if penalty is None:
        penalty = penalties.divergence_penalty(weight, power)
    return _build(critic, generator, prior, players, objectives.wasserstein(), penalty)


def sngan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=2e-4,
    b1=0.5,
    b2=0.999,
    objective: Objective | None = None,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """SN-GAN of Miyato et al., 2018, Spectral Normalization for GANs: hinge, setting C, n_critic 1.

    The critic is wrapped by `networks.with_spectral_norm` here. For the Wasserstein variant give
    `objective=objectives.wasserstein()`. The paper's ResNet on CIFAR-10 uses Adam 2e-4 (0, 0.9)
    with n_critic 5 and the learning rate falling linearly to 0.

    >>> state, info = first_step(algorithms.sngan(critic, generator, prior=origin))
    >>> info["real_score"]  # of the critic (3 x_1 + 4 x_2) / 5
    0.6
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(b1, b2), rates, txs)
    objective = objectives.hinge() if objective is None else objective
    # Part of the member and not of the caller's network: without it this would be another GAN.
    return _build(
        networks.with_spectral_norm(critic), generator, prior, players, objective, penalty
    )


def ebgan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-3,
    margin=10.0,
    pulling_away_weight=0.1,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """Energy-based GAN of Zhao, Mathieu and LeCun, 2017: margin 10, Adam 1e-3 (MNIST).  n_critic 1.

    The critic returns an energy [B] (reconstruction error), or `types.Scored(energy, code)` where
    the pulling-away weight is not 0. The margin is in units of that energy.

    >>> member = algorithms.ebgan(critic, generator, prior=origin, pulling_away_weight=0.0)
    >>> state, info = first_step(member)
    >>> info["critic_loss"]  # energy 3 on real, margin 10 - 0 on fake
    13.0
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(0.9), rates, txs)
    objective = objectives.ebgan(margin, pulling_away_weight)
    return _build(critic, generator, prior, players, objective, penalty)


def began(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    b1=0.5,
    b2=0.999,
    gamma=0.5,
    lambda_k=1e-3,
    k_min=0.0,
    window: int = 1000,
    patience: int = 3,
    min_scale: float = 0.01,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """BEGAN of Berthelot, Schumm and Metz, 2017: Adam 1e-4, halved when M stalls.  n_critic 1.

    The critic returns the energy L [B], the mean absolute error of its auto-encoder. The paper
    states neither Adam's betas nor what a stall is. Here M, averaged over `window` updates, stalls
    when it has not fallen for `patience` windows; both players' rates then halve, inside the
    compiled program, down to `min_scale` times the first one. Info: `learning_rate_scale`, by which
    this step's rate was multiplied, beside the objective's own.

    Raises:
      ValueError: if window is below 1, min_scale outside [0, 1], or patience below 2: the first
        window holds M's infinite start.

    >>> state, info = first_step(algorithms.began(critic, generator, prior=origin, lambda_k=0.1))
    >>> info["k"], round(state.objective.k.item(), 4)  # k moves by 0.1 (0.5 * 3 - 0)
    (0.0, 0.15)
    """
    require(patience >= 2, "patience", patience, "give at least 2 windows")
    require(window >= 1, "window", window, "give at least one update")
    require(0 <= min_scale <= 1, "min_scale", min_scale, "give a part of the first rate, 0 to 1")
    plateau = optax.contrib.reduce_on_plateau(
        factor=0.5, patience=patience, accumulation_size=window, min_scale=min_scale
    )
    adam = _adam(b1, b2)
    # After Adam: the plateau's factor then scales the update, which is to scale the rate.
    optimizer = lambda rate: optax.chain(adam(rate), _on_convergence(plateau))
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(optimizer, rates, txs)
    algorithm = _build(
        critic, generator, prior, players, objectives.began(gamma, lambda_k, k_min), penalty
    )

    return _with_plateau_scale(algorithm)


def _with_plateau_scale(algorithm: Algorithm) -> Algorithm:
    """Reports by how much the plateau has lowered the rates."""

    def step(state, batch):
        state, info = algorithm.step(state, batch)
        return state, info._replace(objective={**info.objective, **_plateau_scale(state)})

    def rebuilt(**changes):
        return _with_plateau_scale(algorithm.rebuilt(**changes))  # type: ignore[misc]

    return algorithm._replace(step=step, rebuilt=rebuilt)


def _plateau_scale(state) -> dict:
    """{"learning_rate_scale": of a player's plateau}; {} if both have optimizers of their own.

    Both plateaus see the same M, so they have the same scale.
    """
    is_plateau = lambda part: isinstance(part, optax.contrib.ReduceLROnPlateauState)
    parts = jax.tree.leaves((state.critic.opt_state, state.generator.opt_state), is_leaf=is_plateau)
    scales = [part.scale for part in parts if is_plateau(part)]
    return {"learning_rate_scale": scales[0]} if scales else {}


def _on_convergence(
    tx: optax.GradientTransformationExtraArgs,
) -> optax.GradientTransformationExtraArgs:
    """Hands BEGAN's measure M to a transform that watches a `value`."""

    def update(updates, state, params=None, *, objective_state, **extra):
        del extra
        return tx.update(updates, state, params, value=objective_state.convergence)

    return optax.GradientTransformationExtraArgs(tx.init, update)


def dragan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    b1=0.5,
    b2=0.9,
    weight=10.0,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """DRAGAN of Kodali et al., 2017: `gan` with a gradient penalty around the real data.

    n_critic 1, weight 10; noise as in the authors' code, see `penalties.dragan`.

    >>> state, info = first_step(algorithms.dragan(critic, generator, prior=origin))
    >>> info["penalty"]  # 10 (5 - 1)^2
    160.0
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(b1, b2), rates, txs)
    if penalty is None:
        penalty = penalties.dragan(weight)
    return _build(critic, generator, prior, players, objectives.non_saturating(), penalty)


def r1_gan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    decay=0.99,
    weight=10.0,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """R1 of Mescheder, Geiger and Nowozin, 2018: `gan` with a penalty on real data.  n_critic 1.

    RMSProp 1e-4 (0.99), weight 10.

    >>> state, info = first_step(algorithms.r1_gan(critic, generator, prior=origin))
    >>> info["penalty"]  # 10 / 2 * 5^2
    125.0
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_rmsprop(decay), rates, txs)
    if penalty is None:
        penalty = penalties.r1(weight)
    return _build(critic, generator, prior, players, objectives.non_saturating(), penalty)


def r1_r2_gan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    decay=0.99,
    weight=10.0,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """R1 + R2: as `r1_gan`, penalised on generated data too.

    >>> state, info = first_step(algorithms.r1_r2_gan(critic, generator, prior=origin))
    >>> info["penalty"]
    250.0
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_rmsprop(decay), rates, txs)
    if penalty is None:
        penalty = penalties.total(penalties.r1(weight), penalties.r2(weight))
    return _build(critic, generator, prior, players, objectives.non_saturating(), penalty)


def rpgan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=2e-4,
    b1=0.0,
    b2=0.99,
    weight=0.1,
    critic_learning_rate=None,
    penalty: Penalty | None = None,
    critic_tx: optax.GradientTransformation | None = None,
    generator_tx: optax.GradientTransformation | None = None,
) -> Algorithm:
    """R3GAN's game of Huang et al., 2024: relativistic pairing with R1 + R2.  n_critic 1.

    Adam with b1 0; learning rate, b2 and weight follow schedules in the authors' code, here they
    are constants of that range: choose the weight for the data's scale.

    >>> state, info = first_step(algorithms.rpgan(critic, generator, prior=origin))
    >>> info["critic_loss"], info["penalty"]  # log(1 + e^-3), 2 * 0.1 / 2 * 5^2
    (0.0486, 2.5)
    """
    rates, txs = (learning_rate, critic_learning_rate), (critic_tx, generator_tx)
    players = _players(_adam(b1, b2), rates, txs)
    if penalty is None:
        penalty = penalties.total(penalties.r1(weight), penalties.r2(weight))
    return _build(critic, generator, prior, players, objectives.relativistic(), penalty)
