"""The named members of the family, each a short assembly with its paper's defaults.

Every function takes the two networks and a prior and returns an `Algorithm`. The number of critic
updates a step is the first axis of the batch, [n_critic, B, *D]; each docstring names the paper's.
Learning rates, weights and other numbers may be traced arrays, so `many` can sweep them; one that
makes no sense is a `ValueError`. To change anything that is not an argument, copy an assembly:
`wgan` and `lsgan` show all of `adversarial.build`.
"""

import optax

from jwgan import adversarial, constraints, networks, objectives, penalties
from jwgan.check import require, require_settings
from jwgan.types import Algorithm, Network, Objective, Penalty, Prior

_NO_PENALTY = penalties.none()


def _build(
    critic: Network,
    generator: Network,
    prior: Prior,
    tx: optax.GradientTransformation,
    objective: Objective,
    penalty: Penalty = _NO_PENALTY,
) -> Algorithm:
    """Both players with the same optimizer."""
    return adversarial.build(
        critic=critic,
        generator=generator,
        critic_tx=tx,
        generator_tx=tx,
        objective=objective,
        penalty=penalty,
        prior=prior,
    )


def gan_minimax(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=2e-4,
    b1=0.5,
    penalty: Penalty = _NO_PENALTY,
) -> Algorithm:
    """Goodfellow et al., 2014, equation 1: the saturating game.  n_critic 1.

    The authors' code trains with SGD and momentum; this follows DCGAN's Adam, as later papers do.
    """
    require_settings(learning_rate=learning_rate, b1=b1)
    tx = optax.adam(learning_rate, b1=b1)
    return _build(critic, generator, prior, tx, objectives.minimax(), penalty)


def gan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=2e-4,
    b1=0.5,
    penalty: Penalty = _NO_PENALTY,
) -> Algorithm:
    """Goodfellow et al., 2014, section 3: the non-saturating game.  n_critic 1.

    The authors' code trains with SGD and momentum; this follows DCGAN's Adam, as later papers do.
    With `penalty=penalties.gradient_penalty()` it is the GAN-GP of Fedus et al., 2018.
    """
    require_settings(learning_rate=learning_rate, b1=b1)
    tx = optax.adam(learning_rate, b1=b1)
    return _build(critic, generator, prior, tx, objectives.non_saturating(), penalty)


def dcgan(
    critic: Network, generator: Network, *, prior: Prior, learning_rate=2e-4, b1=0.5
) -> Algorithm:
    """Radford, Metz and Chintala, 2016: gan's objective, Adam 2e-4 (0.5).  n_critic 1, batch 128.

    What makes it DCGAN are the networks, `models.dcgan` with batch norm in both players and
    N(0, 0.02) initial weights. The paper draws z ~ U[-1, 1]^100; its authors' Torch code takes
    either that or a normal.
    """
    return gan(critic, generator, prior=prior, learning_rate=learning_rate, b1=b1)


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
    penalty: Penalty = _NO_PENALTY,
) -> Algorithm:
    """Mao et al., 2017, Least Squares GANs; (a, b, c) = (0, 1, 1), or (-1, 1, 0).  n_critic 1.

    Learning rates of the paper's mixture experiment, batch 512. The image experiments use Adam
    with b1 0.5 and 1e-3 (LSUN) or 2e-4 for both.
    """
    require_settings(
        critic_learning_rate=critic_learning_rate,
        generator_learning_rate=generator_learning_rate,
        b1=b1,
    )
    return adversarial.build(
        critic=critic,
        generator=generator,
        critic_tx=optax.adam(critic_learning_rate, b1=b1),
        generator_tx=optax.adam(generator_learning_rate, b1=b1),
        objective=objectives.least_squares(a, b, c),
        penalty=penalty,
        prior=prior,
    )


def wgan(
    critic: Network, generator: Network, *, prior: Prior, learning_rate=5e-5, c=0.01, decay=0.99
) -> Algorithm:
    """Arjovsky, Chintala and Bottou, 2017, Algorithm 1: RMSProp, clip c, n_critic 5, batch 64.

    The paper does not state RMSProp's decay; 0.99 is the default of the authors' code, and so is
    epsilon outside the root: inside, gradients below 1e-4 would hardly move. That code
    also runs 100 critic updates at the first 25 generator updates and at every 500th, the paper
    does not: feed longer batches there to follow it. The critic starts inside the box, because
    the authors clip before the first update.
    """
    require_settings(learning_rate=learning_rate, decay=decay)
    tx = optax.rmsprop(learning_rate, decay=decay, eps_in_sqrt=False)
    return adversarial.build(
        critic=networks.map_init(critic, lambda params: constraints.project_box(params, c)),
        generator=generator,
        critic_tx=optax.chain(tx, constraints.clip_weights(c)),
        generator_tx=tx,
        objective=objectives.wasserstein(),
        penalty=penalties.none(),
        prior=prior,
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
) -> Algorithm:
    """Gulrajani et al., 2017, Algorithm 1: Adam 1e-4 (0, 0.9), weight 10, n_critic 5, batch 64.

    The authors' code uses b1 0.5 in all but the ResNet experiments, and weight 0.1 on the 2-D
    worlds; this follows the paper. No batch norm in the critic.
    """
    require_settings(learning_rate=learning_rate, b1=b1, b2=b2)
    tx = optax.adam(learning_rate, b1=b1, b2=b2)
    penalty = penalties.gradient_penalty(weight)
    return _build(critic, generator, prior, tx, objectives.wasserstein(), penalty)


def wgan_lp(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    b1=0.0,
    b2=0.9,
    weight=10.0,
) -> Algorithm:
    """Petzka, Fischer and Lukovnicov, 2018: WGAN-GP with the one-sided squared hinge."""
    require_settings(learning_rate=learning_rate, b1=b1, b2=b2)
    tx = optax.adam(learning_rate, b1=b1, b2=b2)
    penalty = penalties.squared_hinge_penalty(weight)
    return _build(critic, generator, prior, tx, objectives.wasserstein(), penalty)


def wgan_hinge(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    b1=0.0,
    b2=0.9,
    weight=10.0,
) -> Algorithm:
    """WGAN-GP with the linear hinge max(0, norm - 1), as course slides state the constraint."""
    require_settings(learning_rate=learning_rate, b1=b1, b2=b2)
    tx = optax.adam(learning_rate, b1=b1, b2=b2)
    penalty = penalties.linear_hinge_penalty(weight)
    return _build(critic, generator, prior, tx, objectives.wasserstein(), penalty)


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
) -> Algorithm:
    """Wu et al., 2018, Wasserstein Divergence for GANs: k 2, p 6, Adam 2e-4.  n_critic 4.

    The authors' code has k 10 instead (`weight=10.0`); this follows the paper.
    """
    require_settings(learning_rate=learning_rate, b1=b1, b2=b2)
    tx = optax.adam(learning_rate, b1=b1, b2=b2)
    penalty = penalties.divergence_penalty(weight, power)
    return _build(critic, generator, prior, tx, objectives.wasserstein(), penalty)


def sngan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=2e-4,
    b1=0.5,
    b2=0.999,
    objective: Objective | None = None,
    penalty: Penalty = _NO_PENALTY,
) -> Algorithm:
    """Miyato et al., 2018, Spectral Normalization for GANs: the hinge game, setting C, n_critic 1.

    The critic is wrapped by `networks.with_spectral_norm` here. For the Wasserstein variant give
    `objective=objectives.wasserstein()`. The paper's ResNet on CIFAR-10 uses Adam 2e-4 (0, 0.9)
    with n_critic 5 and the learning rate falling linearly to 0.
    """
    require_settings(learning_rate=learning_rate, b1=b1, b2=b2)
    tx = optax.adam(learning_rate, b1=b1, b2=b2)
    objective = objectives.hinge() if objective is None else objective
    return _build(networks.with_spectral_norm(critic), generator, prior, tx, objective, penalty)


def ebgan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-3,
    margin=10.0,
    pulling_away_weight=0.1,
) -> Algorithm:
    """Zhao, Mathieu and LeCun, 2017, Energy-based GAN: margin 10, Adam 1e-3 (MNIST).  n_critic 1.

    The critic returns an energy [B] (reconstruction error), or `types.Scored(energy, code)` where
    the pulling-away weight is not 0. The margin is in units of that energy.
    """
    require_settings(learning_rate=learning_rate)
    tx = optax.adam(learning_rate)
    return _build(critic, generator, prior, tx, objectives.ebgan(margin, pulling_away_weight))


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
    window: int = 1000,
    patience: int = 3,
) -> Algorithm:
    """Berthelot, Schumm and Metz, 2017, BEGAN: Adam 1e-4, halved when M stalls.  n_critic 1.

    The critic returns the energy L [B], the mean absolute error of its auto-encoder. The paper
    states neither Adam's betas nor what a stall is. Here M, averaged over `window` updates, stalls
    when it has not fallen for `patience` windows; both players' rates then halve, inside the
    compiled program.

    Raises:
      ValueError: if window is below 1, or patience below 2: the first window holds M's infinite
        start.
    """
    require(patience >= 2, "patience", patience, "give at least 2 windows")
    require(window >= 1, "window", window, "give at least one update")
    require_settings(learning_rate=learning_rate, b1=b1, b2=b2)
    tx = optax.chain(
        optax.adam(learning_rate, b1=b1, b2=b2),
        _on_convergence(
            optax.contrib.reduce_on_plateau(factor=0.5, patience=patience, accumulation_size=window)
        ),
    )
    return _build(critic, generator, prior, tx, objectives.began(gamma, lambda_k))


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
) -> Algorithm:
    """Kodali et al., 2017, On Convergence and Stability of GANs: gan penalised around real data.

    n_critic 1, weight 10; noise as in the authors' code, see `penalties.dragan`.
    """
    require_settings(learning_rate=learning_rate, b1=b1, b2=b2)
    tx = optax.adam(learning_rate, b1=b1, b2=b2)
    return _build(
        critic, generator, prior, tx, objectives.non_saturating(), penalties.dragan(weight)
    )


def r1_gan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    decay=0.99,
    weight=10.0,
) -> Algorithm:
    """Mescheder, Geiger and Nowozin, 2018: gan with R1, RMSProp 1e-4 (0.99), w 10.  n_critic 1."""
    require_settings(learning_rate=learning_rate, decay=decay)
    tx = optax.rmsprop(learning_rate, decay=decay, eps_in_sqrt=False)
    return _build(critic, generator, prior, tx, objectives.non_saturating(), penalties.r1(weight))


def r1_r2_gan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=1e-4,
    decay=0.99,
    weight=10.0,
) -> Algorithm:
    """As `r1_gan`, penalised on generated data too (R1 + R2)."""
    require_settings(learning_rate=learning_rate, decay=decay)
    tx = optax.rmsprop(learning_rate, decay=decay, eps_in_sqrt=False)
    penalty = penalties.total(penalties.r1(weight), penalties.r2(weight))
    return _build(critic, generator, prior, tx, objectives.non_saturating(), penalty)


def rpgan(
    critic: Network,
    generator: Network,
    *,
    prior: Prior,
    learning_rate=2e-4,
    b1=0.0,
    b2=0.99,
    weight=0.1,
) -> Algorithm:
    """Huang et al., 2024, The GAN is dead (R3GAN): relativistic pairing with R1 + R2.  n_critic 1.

    Adam with b1 0; learning rate, b2 and weight follow schedules in the authors' code, here they
    are constants of that range: choose the weight for the data's scale.
    """
    require_settings(learning_rate=learning_rate, b1=b1, b2=b2)
    tx = optax.adam(learning_rate, b1=b1, b2=b2)
    penalty = penalties.total(penalties.r1(weight), penalties.r2(weight))
    return _build(critic, generator, prior, tx, objectives.relativistic(), penalty)
