"""WGAN-div on images: a zero-centred penalty of the sixth power.

Paper: Wu et al., 2018, Wasserstein Divergence for GANs.

    python -m experiments.wgan_div                          # real handwritten digits, 8x8
    python -m experiments.wgan_div --weight 10              # as in the authors' code

The first command trains about 110 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 3.0; close to wgan_gp.
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
    weight: float = option(2.0, "k of the penalty")
    power: float = option(6.0, "p of the penalty")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    critic, generator = run.image_players(shape, config)

    algorithm = jwgan.wgan_div(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        weight=config.weight,
        power=config.power,
    )
    return jwgan.with_ema(algorithm, config.ema)


# k 2 and p 6; the rate and the four critic updates of the authors' code.
PAPER = {"learning_rate": 2e-4, "n_critic": 4, "weight": 2.0, "power": 6.0, "ema": 0.0}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER)

if __name__ == "__main__":
    run.main(EXPERIMENT)
