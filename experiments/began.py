"""BEGAN on images: an auto-encoder as the critic, held in balance by k_t.

Paper: Berthelot, Schumm and Metz, 2017, Boundary Equilibrium Generative Adversarial Networks.

    python -m experiments.began                             # real handwritten digits, 8x8
    python -m experiments.began --dataset fashion_mnist --image-size 32 --minutes 10 --steps 100000
    python -m experiments.began --gamma 0.7                 # more diversity, less quality

The curves `k` and `convergence` (M) are in the report. Expected: M falls; but on the 8x8 digits the
samples collapse to one image, at every gamma, gain of k and code size tried so far.
"""

import dataclasses
from typing import Any

from experiments import launch, options
from experiments.options import option


@dataclasses.dataclass(frozen=True)
class Config(options.ImageConfig):
    steps: int = option(8000, "updates of both players, those of a resumed run included")
    n_critic: int = option(1, "critic updates for each generator update")
    width: int = option(16, "n, channels of the convolutions (the paper's 64 or 128)")
    code: int = option(32, "h, dimensions of the auto-encoder's code")
    latent: int = option(32, "dimensions of the uniform latents (the paper: h)")
    learning_rate: float = option(3e-4, "of both players' Adam (the paper's 1e-4)")
    gamma: float = option(0.5, "diversity ratio, E L(G(z)) / E L(x)")
    lambda_k: float = option(1e-3, "gain of k_t")
    skips: bool = option(False, "join h0 to every scale of decoder and generator")
    vanishing: int = option(0, "steps in which the vanishing residuals go to 0; 0: none")


def build(config: Config, shape: tuple[int, ...]) -> Any:
    import jwgan
    from jwgan import priors
    from jwgan.models import autoencoder

    # each network is applied twice in a training step, see BEGANCritic
    extras: dict[str, Any] = {"skips": config.skips, "vanishing": 2 * config.vanishing}
    algorithm = jwgan.began(
        jwgan.from_linen(autoencoder.BEGANCritic(shape, config.width, config.code, **extras)),
        jwgan.from_linen(autoencoder.BEGANDecoder(shape, config.width, **extras)),
        prior=priors.uniform(config.latent),
        learning_rate=config.learning_rate,
        gamma=config.gamma,
        lambda_k=config.lambda_k,
    )
    return jwgan.with_ema(algorithm, config.ema)


if __name__ == "__main__":
    launch.main(Config, build, __doc__, "began")
