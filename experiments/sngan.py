"""SN-GAN on images: every critic weight divided by its spectral norm.

Paper: Miyato et al., 2018, Spectral Normalization for Generative Adversarial Networks.

    python -m experiments.sngan                             # real handwritten digits, 8x8
    python -m experiments.sngan --wasserstein               # the Wasserstein loss instead of hinge

The first command trains about 32 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 2.2.
"""

import dataclasses

import jwgan
from jwgan import objectives, priors, run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    steps: int = option(10000)
    # The setting that `experiments.created_equal` found on the digits.
    n_critic: int = option(3)
    width: int = option(16)
    learning_rate: float = option(8e-4, "of both players' Adam", above=0)
    critic_learning_rate: float | None = option(
        None, "of the critic's optimizer (default: learning_rate)", above=0
    )
    b1: float = option(0.0, "Adam's first beta", at_least=0, below=1)
    b2: float = option(0.99, "Adam's second beta", at_least=0, below=1)
    wasserstein: bool = option(False, "the Wasserstein loss instead of the hinge loss")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    critic, generator = run.image_players(shape, config)

    algorithm = jwgan.sngan(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        b1=config.b1,
        b2=config.b2,
        objective=objectives.wasserstein() if config.wasserstein else objectives.hinge(),
    )
    return jwgan.with_ema(algorithm, config.ema)


# Setting C of the paper's table of optimizers, with batch norm in the generator as its networks.
PAPER = {
    **{"learning_rate": 2e-4, "b1": 0.5, "b2": 0.999, "n_critic": 1, "batch_size": 64},
    **{"width": 32, "latent": 128, "ema": 0.0},
    **{"wasserstein": False, "generator_norm": "batch"},
}
BEFORE = {"b1": 0.5, "b2": 0.999}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER, before=BEFORE)

if __name__ == "__main__":
    run.main(EXPERIMENT)
