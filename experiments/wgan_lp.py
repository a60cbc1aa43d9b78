"""WGAN-LP on images: the one-sided squared penalty.

Paper: Petzka, Fischer and Lukovnicov, 2018, On the Regularization of Wasserstein GANs.

    python -m experiments.wgan_lp                           # real handwritten digits, 8x8
    python -m experiments.wgan_lp --linear                  # the hinge of the course slides

Another penalty than that of `wgan_gp`; its settings are its own, too, found by
`experiments.created_equal`. The first command trains about 72 s on 2 CPU cores. Expected: 10 of 10
classes, a Frechet distance of about 2.1.
"""

import dataclasses
from typing import Any

import jwgan
from jwgan import priors, run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    steps: int = option(12000)
    n_critic: int = option(3)
    # The setting that `experiments.created_equal` found on the digits; for --linear see HINGE.
    width: int = option(16)
    generator_norm: str = option("batch")
    learning_rate: float = option(2.5e-3, "of the generator's Adam", above=0)
    critic_learning_rate: float | None = option(2.5e-4, "of the critic's Adam", above=0)
    b1: float = option(0.0, "Adam's first beta", at_least=0, below=1)
    b2: float = option(0.9, "Adam's second beta", at_least=0, below=1)
    weight: float = option(0.84, "of the penalty")
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
        b1=config.b1,
        b2=config.b2,
        weight=config.weight,
    )
    return jwgan.with_ema(algorithm, config.ema)


# WGAN-GP's optimizer, as in its section 5.
PAPER = {
    **{"learning_rate": 1e-4, "critic_learning_rate": None, "n_critic": 5, "b1": 0.0, "b2": 0.9},
    **{"weight": 10.0, "width": 32, "generator_norm": "none", "ema": 0.0},
}
BEFORE = {"generator_norm": "none", "critic_learning_rate": None, "b1": 0.5, "b2": 0.9}
HINGE = {
    **{"n_critic": 3, "width": 8, "generator_norm": "none", "learning_rate": 1.9e-3},
    **{"critic_learning_rate": 9.1e-4, "b1": 0.5, "b2": 0.9, "weight": 3.9},
}


def tuned(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of the penalty asked for, where they are not those of `Config`."""
    return HINGE if given.get("linear") else {}


EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER, tuned=tuned, before=BEFORE)

if __name__ == "__main__":
    run.main(EXPERIMENT)
