"""The classical GAN on images: non-saturating, or minimax, or with a penalty.

Paper: Goodfellow et al., 2014, Generative Adversarial Nets; Adam as in Radford et al., 2016.

    python -m experiments.gan                               # real handwritten digits, 8x8
    python -m experiments.gan --minimax                     # the saturating game
    python -m experiments.gan --r1 1                        # Mescheder et al., 2018: R1

Expected: recognisable digits, classes unevenly covered; the losses say nothing about quality.
"""

import dataclasses
from typing import Any

from experiments import launch, options
from experiments.options import option


@dataclasses.dataclass(frozen=True)
class Config(options.ImageConfig):
    steps: int = option(30000, "generator updates in all, those of a resumed run included")
    n_critic: int = option(1, "critic updates for each generator update")
    learning_rate: float = option(2e-4, "of both players' Adam")
    minimax: bool = option(False, "the generator minimises log(1 - s(D)), which saturates")
    r1: float = option(0.0, "weight of the R1 penalty on real data")


def build(config: Config, shape: tuple[int, ...]) -> Any:
    import jwgan
    from experiments import players
    from jwgan import penalties, priors

    critic, generator = players.image_players(shape, config.network, config.width)

    member = jwgan.gan_minimax if config.minimax else jwgan.gan
    algorithm = member(
        critic,
        generator,
        prior=priors.normal(config.latent),
        learning_rate=config.learning_rate,
        penalty=penalties.r1(config.r1) if config.r1 else penalties.none(),
    )
    return jwgan.with_ema(algorithm, config.ema)


if __name__ == "__main__":
    launch.main(Config, build, __doc__, "gan")
