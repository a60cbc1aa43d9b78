"""The named members of the family, each a short assembly with its paper's defaults.

Every function takes the two networks and a prior and returns an `Algorithm`. The number of critic
updates a step is the first axis of the batch, [n_critic, B, *D]; each docstring names the paper's.
Learning rates, weights and other numbers may be traced arrays, so a sweep is a `vmap`. To change
anything that is not an argument, copy the assembly: it is the documentation.
"""

import optax

from jwgan import adversarial, constraints, networks, objectives, penalties
from jwgan.types import Algorithm, Network, Prior


def gan_minimax(
    critic: Network, generator: Network, *, prior: Prior, learning_rate=2e-4, b1=0.5
) -> Algorithm:
    """Goodfellow et al., 2014, equation 1: the saturating game.  n_critic 1.

    The paper names no optimizer (its code: SGD with momentum); this follows DCGAN's Adam.
    """
    tx = optax.adam(learning_rate, b1=b1)
    return adversarial.build(
        critic=critic,
        generator=generator,
        critic_tx=tx,
        generator_tx=tx,
        objective=objectives.minimax(),
        penalty=penalties.none(),
        prior=prior,
    )


def gan(
    critic: Network, generator: Network, *, prior: Prior, learning_rate=2e-4, b1=0.5
) -> Algorithm:
    """Goodfellow et al., 2014, section 3: the non-saturating game.  n_critic 1.

    Optimizer of Radford et al., 2016 (DCGAN): Adam 2e-4, b1 0.5.
    """
    tx = optax.adam(learning_rate, b1=b1)
    return adversarial.build(
        critic=critic,
        generator=generator,
        critic_tx=tx,
        generator_tx=tx,
        objective=objectives.non_saturating(),
        penalty=penalties.none(),
        prior=prior,
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
) -> Algorithm:
    """Mao et al., 2017, Least Squares GANs; (a, b, c) = (0, 1, 1), or (-1, 1, 0).  n_critic 1.

    Learning rates of the paper's mixture experiment (section 4.3: critic 1e-4, generator 1e-3).
    """
    return adversarial.build(
        critic=critic,
        generator=generator,
        critic_tx=optax.adam(critic_learning_rate, b1=b1),
        generator_tx=optax.adam(generator_learning_rate, b1=b1),
        objective=objectives.least_squares(a, b, c),
        penalty=penalties.none(),
        prior=prior,
    )


def wgan(
    critic: Network, generator: Network, *, prior: Prior, learning_rate=5e-5, c=0.01, decay=0.99
) -> Algorithm:
    """Arjovsky, Chintala and Bottou, 2017, Algorithm 1: RMSProp, clip c, n_critic 5, batch 64.

    decay 0.99 and eps inside the root's 1e-8 are the authors' PyTorch defaults; the paper does not
    say. The critic starts inside the box, since the authors clip before the first update.
    """
    tx = optax.rmsprop(learning_rate, decay=decay)
    return adversarial.build(
        critic=networks.map_init(critic, lambda params: constraints.project_box(params, c)),
        generator=generator,
        critic_tx=optax.chain(tx, constraints.clip_weights(c)),
        generator_tx=tx,
        objective=objectives.wasserstein(),
        penalty=penalties.none(),
        prior=prior,
    )


def _penalised(critic, generator, prior, learning_rate, b1, b2, penalty) -> Algorithm:
    tx = optax.adam(learning_rate, b1=b1, b2=b2)
    return adversarial.build(
        critic=critic,
        generator=generator,
        critic_tx=tx,
        generator_tx=tx,
        objective=objectives.wasserstein(),
        penalty=penalty,
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
    penalty = penalties.gradient_penalty(weight)
    return _penalised(critic, generator, prior, learning_rate, b1, b2, penalty)


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
    penalty = penalties.squared_hinge_penalty(weight)
    return _penalised(critic, generator, prior, learning_rate, b1, b2, penalty)


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
    penalty = penalties.linear_hinge_penalty(weight)
    return _penalised(critic, generator, prior, learning_rate, b1, b2, penalty)
