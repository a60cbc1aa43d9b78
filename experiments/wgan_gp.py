"""WGAN-GP on images: the main job.

Paper: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, Algorithm 1.

    python -m experiments.wgan_gp                           # real handwritten digits, 8x8
    python -m experiments.wgan_gp --dataset fashion_mnist --minutes 10 --steps 100000

Adam with the betas of the authors' DCGAN code, no normalisation, the generator's weights averaged
(--ema 0 for the paper's plain ones). Rate and n_critic suit minutes on a CPU; --paper has the
paper's settings.

The first command trains about 95 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 2.0 (real data have 1.5); more in experiments/README.md.
"""

import dataclasses

import jwgan
from jwgan import priors, run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    steps: int = option(12000)
    n_critic: int = option(3, "critic updates for each generator update (the paper's 5)")
    learning_rate: float = option(1e-3, "of both players' Adam (the paper's 1e-4)", above=0)
    critic_learning_rate: float | None = option(
        None, "of the critic's optimizer (default: learning_rate)", above=0
    )
    b1: float = option(0.5, "Adam's first beta", at_least=0, below=1)
    b2: float = option(0.9, "Adam's second beta", at_least=0, below=1)
    weight: float = option(10.0, "of the gradient penalty")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    critic, generator = run.image_players(shape, config)

    algorithm = jwgan.wgan_gp(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        # 0.5 as in the authors' code of all but the ResNets; the paper's Algorithm 1 has 0.
        b1=config.b1,
        b2=config.b2,
        weight=config.weight,
    )
    return jwgan.with_ema(algorithm, config.ema)


# Algorithm 1 and section 5; its generator's weights are not averaged.
PAPER = {"learning_rate": 1e-4, "n_critic": 5, "b1": 0.0, "b2": 0.9, "weight": 10.0, "ema": 0.0}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER)

if __name__ == "__main__":
    run.main(EXPERIMENT)
