"""WGAN-LP on images: the one-sided squared penalty.

Paper: Petzka, Fischer and Lukovnicov, 2018, On the Regularization of Wasserstein GANs.

    python -m experiments.wgan_lp                           # real handwritten digits, 8x8
    python -m experiments.wgan_lp --linear                  # the hinge of the course slides

Differs from experiments.wgan_gp in the penalty only. The first command trains about 130 s on 2 CPU
cores. Expected: 10 of 10 classes, a Frechet distance of about 3.0; close to wgan_gp.
"""

import dataclasses

import jwgan
from jwgan import priors, run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    steps: int = option(12000)
    n_critic: int = option(3)
    learning_rate: float = option(1e-3, "of both players' Adam", above=0)
    critic_learning_rate: float | None = option(
        None, "of the critic's optimizer (default: learning_rate)", above=0
    )
    b1: float = option(0.5, "Adam's first beta", at_least=0, below=1)
    b2: float = option(0.9, "Adam's second beta", at_least=0, below=1)
    weight: float = option(10.0, "of the penalty")
    linear: bool = option(False, "the linear hinge instead of the squared one")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    critic, generator = run.image_players(shape, config)

    member = jwgan.wgan_hinge if config.linear else jwgan.wgan_lp
    algorithm = member(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        # The same as in `wgan_gp`, so that the two differ in the penalty only.
        b1=config.b1,
        b2=config.b2,
        weight=config.weight,
    )
    return jwgan.with_ema(algorithm, config.ema)


# WGAN-GP's optimizer, as in its section 5.
PAPER = {"learning_rate": 1e-4, "n_critic": 5, "b1": 0.0, "b2": 0.9, "ema": 0.0}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER)

if __name__ == "__main__":
    run.main(EXPERIMENT)
