"""WGAN with weight clipping on images.

Paper: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, Algorithm 1.

    python -m experiments.wgan                              # real handwritten digits, 8x8

RMSProp; every critic weight is clipped to [-c, c] after every critic update. Rates and box are
those that `experiments.created_equal` found; the paper's (--paper) were chosen for a deeper critic
on 64x64 images.

The first command trains about 33 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 3.2.
"""

import dataclasses

import jwgan
from jwgan import priors, run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    # The setting that `experiments.created_equal` found on the digits.
    width: int = option(16)
    generator_norm: str = option("batch")
    learning_rate: float = option(1.1e-3, "of the generator's RMSProp", above=0)
    critic_learning_rate: float | None = option(1.4e-4, "of the critic's RMSProp", above=0)
    c: float = option(0.0073, "half-width of the box that the critic's weights stay in")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    critic, generator = run.image_players(shape, config)

    algorithm = jwgan.wgan(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        c=config.c,
    )
    return jwgan.with_ema(algorithm, config.ema)


# Algorithm 1 and section 4: RMSProp, DCGAN's networks with their batch norm.
PAPER = {
    **{"learning_rate": 5e-5, "critic_learning_rate": None, "c": 0.01, "n_critic": 5},
    **{"batch_size": 64, "width": 32, "latent": 100},
    **{"critic_norm": "batch", "generator_norm": "batch", "ema": 0.0},
}
BEFORE = {"generator_norm": "none", "critic_learning_rate": None}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER, before=BEFORE)

if __name__ == "__main__":
    run.main(EXPERIMENT)
