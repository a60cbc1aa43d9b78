"""WGAN-GP on images: the main job.

Paper: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, Algorithm 1.

    python -m experiments.wgan_gp                           # real handwritten digits, 8x8
    python -m experiments.wgan_gp --dataset fashion_mnist --minutes 10 --steps 100000 --width 24

DCGAN networks without normalisation, Adam with the betas of the authors' DCGAN code, the
generator's weights averaged (--ema 0 for the paper's plain ones). With no option it trains on
scikit-learn's digits for under 5 minutes on 2 CPU cores; expected: all ten classes present.
"""

import dataclasses
from typing import Any

from experiments import launch, options
from experiments.options import option


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
    width: int = option(32, "channels of the critic's first convolution")
    latent: int = option(64, "dimensions of the normal latents")
    learning_rate: float = option(2e-4, "of both players' Adam")
    weight: float = option(10.0, "of the gradient penalty")
    ema: float = option(0.999, "decay of the generator's average; 0: none")


def build(config: Config, shape: tuple[int, ...]) -> Any:
    import jwgan
    from jwgan import priors
    from jwgan.models import dcgan

    algorithm = jwgan.wgan_gp(
        jwgan.from_linen(dcgan.DCGANCritic(shape, width=config.width)),
        jwgan.from_linen(dcgan.DCGANGenerator(shape, width=config.width)),
        prior=priors.normal(config.latent),
        learning_rate=config.learning_rate,
        b1=0.5,
        weight=config.weight,
    )
    return jwgan.with_ema(algorithm, config.ema)


if __name__ == "__main__":
    launch.main(Config, build, __doc__, "wgan_gp")
