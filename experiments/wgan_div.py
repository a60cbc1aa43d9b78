"""WGAN-div on images: a zero-centred penalty of the sixth power.

Paper: Wu et al., 2018, Wasserstein Divergence for GANs.

    python -m experiments.wgan_div                          # real handwritten digits, 8x8
    python -m experiments.wgan_div --weight 10              # as in the authors' code

The first command trains about 21 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 3.0.
"""

import dataclasses

import jwgan
from jwgan import priors, run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    steps: int = option(12000)
    # The setting that `experiments.created_equal` found on the digits.
    n_critic: int = option(1)
    width: int = option(16)
    learning_rate: float = option(6.4e-4, "of the generator's Adam", above=0)
    critic_learning_rate: float | None = option(3.2e-4, "of the critic's Adam", above=0)
    b1: float = option(0.0, "Adam's first beta", at_least=0, below=1)
    b2: float = option(0.99, "Adam's second beta", at_least=0, below=1)
    weight: float = option(0.8, "k of the penalty")
    power: float = option(6.0, "p of the penalty")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    critic, generator = run.image_players(shape, config)

    algorithm = jwgan.wgan_div(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        b1=config.b1,
        b2=config.b2,
        weight=config.weight,
        power=config.power,
    )
    return jwgan.with_ema(algorithm, config.ema)


# k 2 and p 6; the rate and the four critic updates of the authors' code.
PAPER = {
    **{"learning_rate": 2e-4, "critic_learning_rate": None, "b1": 0.5, "b2": 0.999},
    **{"n_critic": 4, "weight": 2.0, "power": 6.0, "width": 32, "ema": 0.0},
}
BEFORE = {"critic_learning_rate": None, "b1": 0.5, "b2": 0.999}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER, before=BEFORE)

if __name__ == "__main__":
    run.main(EXPERIMENT)
