"""LSGAN on images.

Paper: Mao et al., 2017, Least Squares Generative Adversarial Networks.

    python -m experiments.lsgan                             # real handwritten digits, 8x8
    python -m experiments.lsgan --a -1 --b 1 --c 0          # the Pearson chi-square preset

The first command trains about 19 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 2.9.
"""

import dataclasses

import jwgan
from jwgan import priors, run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    steps: int = option(10000)
    n_critic: int = option(1)
    # The setting that `experiments.created_equal` found on the digits.
    width: int = option(16)
    generator_norm: str = option("batch")
    learning_rate: float = option(1.9e-3, "of the generator's Adam", above=0)
    critic_learning_rate: float | None = option(2e-4, "of the critic's Adam", above=0)
    a: float = option(0.0, "the critic's target on generated data")
    b: float = option(1.0, "the critic's target on real data")
    c: float = option(1.0, "the generator's target")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    critic, generator = run.image_players(shape, config)
    own = config.critic_learning_rate

    algorithm = jwgan.lsgan(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        # The member's own two rates are those of the paper's mixture experiment, not of images.
        critic_learning_rate=config.learning_rate if own is None else own,
        generator_learning_rate=config.learning_rate,
        a=config.a,
        b=config.b,
        c=config.c,
    )
    return jwgan.with_ema(algorithm, config.ema)


# The paper's rate for scenes, its practical targets, batch norm in both players as in its networks.
PAPER = {
    **{"learning_rate": 1e-3, "critic_learning_rate": None, "a": 0.0, "b": 1.0, "c": 1.0},
    **{"batch_size": 64, "width": 32, "ema": 0.0},
    **{"critic_norm": "batch", "generator_norm": "batch"},
}
BEFORE = {"generator_norm": "none", "critic_learning_rate": None}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER, before=BEFORE)

if __name__ == "__main__":
    run.main(EXPERIMENT)
