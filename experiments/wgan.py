"""WGAN with weight clipping on images.

Paper: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, Algorithm 1.

    python -m experiments.wgan                              # real handwritten digits, 8x8

RMSProp, every critic weight clipped to [-c, c] after every critic update, 5 critic updates a step.
Expected: slower than wgan_gp, recognisable digits after the default run on 2 CPU cores.
"""

import dataclasses
from typing import Any

from experiments import launch, options
from experiments.options import option


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
    width: int = option(32, "channels of the critic's first convolution")
    latent: int = option(64, "dimensions of the normal latents")
    learning_rate: float = option(2e-4, "of both players' RMSProp")
    c: float = option(0.02, "half-width of the box that the critic's weights stay in")
    ema: float = option(0.999, "decay of the generator's average; 0: none")


def build(config: Config, shape: tuple[int, ...]) -> Any:
    import jwgan
    from jwgan import priors
    from jwgan.models import dcgan

    algorithm = jwgan.wgan(
        jwgan.from_linen(dcgan.DCGANCritic(shape, width=config.width)),
        jwgan.from_linen(dcgan.DCGANGenerator(shape, width=config.width)),
        prior=priors.normal(config.latent),
        learning_rate=config.learning_rate,
        c=config.c,
    )
    return jwgan.with_ema(algorithm, config.ema)


if __name__ == "__main__":
    launch.main(Config, build, __doc__, "wgan")
