"""DCGAN on images: strided convolutions, batch norm in both players, N(0, 0.02) weights.

Paper: Radford, Metz and Chintala, 2016, Unsupervised Representation Learning with DCGANs.

    python -m experiments.dcgan                             # real handwritten digits, 8x8
    python -m experiments.dcgan --dataset fashion_mnist --minutes 10 --steps 100000
    python -m experiments.dcgan --dataset folder --data-dir IMAGES --network resnet

The first command trains about 40 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 5.3.
"""

import dataclasses

import jwgan
from jwgan import priors, run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    steps: int = option(8000)
    # Batch and rate are the paper's.
    batch_size: int = option(128)
    n_critic: int = option(1)
    learning_rate: float = option(2e-4, "of both players' Adam", above=0)
    critic_learning_rate: float | None = option(
        None, "of the critic's optimizer (default: learning_rate)", above=0
    )


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    critic, generator = run.batch_norm_players(shape, config)
    algorithm = jwgan.dcgan(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
    )
    return jwgan.with_ema(algorithm, config.ema)


# Section 4.
PAPER = {"learning_rate": 2e-4, "batch_size": 128, "latent": 100, "ema": 0.0}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER)

if __name__ == "__main__":
    run.main(EXPERIMENT)
