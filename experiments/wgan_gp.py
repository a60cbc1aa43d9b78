"""WGAN-GP on images: the main job.

Paper: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, Algorithm 1.

    python -m experiments.wgan_gp                           # real handwritten digits, 8x8
    python -m experiments.wgan_gp --dataset fashion_mnist --steps 9000

No normalisation, and the generator's weights averaged (--ema 0 for the paper's plain ones). A rate
of 2e-3 and a single critic update suit a CPU and small data: three updates of a critic twice as
wide, at a rate of 1e-3, take several times as long for samples that are no better, and that critic
ranks the 1,442 digits above unseen ones more and more. The price: after a single update the critic
does not keep up, and its estimate of W1 does not fall while the samples improve. --paper has the
paper's settings.

The first command trains about 17 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 1.9 (real data have 1.5); more in experiments/README.md.
"""

import dataclasses

import jwgan
from jwgan import priors, run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    steps: int = option(6000)
    n_critic: int = option(1, "critic updates for each generator update (the paper's 5)")
    width: int = option(16)
    learning_rate: float = option(2e-3, "of both players' Adam (the paper's 1e-4)", above=0)
    critic_learning_rate: float | None = option(
        None, "of the critic's optimizer (default: learning_rate)", above=0
    )
    b1: float = option(0.0, "Adam's first beta", at_least=0, below=1)
    b2: float = option(0.99, "Adam's second beta (the paper's 0.9)", at_least=0, below=1)
    weight: float = option(10.0, "of the gradient penalty")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    critic, generator = run.image_players(shape, config)

    algorithm = jwgan.wgan_gp(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        b1=config.b1,
        b2=config.b2,
        weight=config.weight,
    )
    return jwgan.with_ema(algorithm, config.ema)


# Algorithm 1 and section 5; its generator's weights are not averaged.
PAPER = {
    **{"learning_rate": 1e-4, "n_critic": 5, "b1": 0.0, "b2": 0.9, "weight": 10.0},
    **{"width": 32, "ema": 0.0},
}
BEFORE = {"b1": 0.5, "b2": 0.9}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER, before=BEFORE)

if __name__ == "__main__":
    run.main(EXPERIMENT)
