"""BEGAN on faces at 128x128 with the paper's networks.

Paper: Berthelot, Schumm and Metz, 2017, Boundary Equilibrium Generative Adversarial Networks: n
128, h = z = 64, batch 16, Adam 1e-4 halved when M stalls, gamma 0.3, 0.5 or 0.7, lambda_k 1e-3, h0
skips, residuals that vanish. Its faces were the authors' own 360,000; CelebA stands in for them.
Published: pictures only for faces, and an Inception score of 5.62 on CIFAR-10.

    python -m experiments.convert celeb_a CELEBA_FOLDER --out TFDS_FOLDER
    python -m experiments.celeb_a --data-dir TFDS_FOLDER --gamma 0.5
    python -m experiments.celeb_a --dataset folder --data-dir IMAGES

Images are read while training (--stream), centre-cropped and resized.
"""

import dataclasses

from experiments import began
from jwgan import run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(began.Config):
    dataset: str = option("tfds/celeb_a", "tfds/NAME, folder, or another image data set")
    # Sizes, rates and gains below are the paper's, in place of `began.Config`'s small ones.
    image_size: int | None = option(128)
    channels: int = option(3)
    stream: bool = option(True)
    steps: int = option(200_000, "updates of both players")
    batch_size: int = option(16)
    width: int = option(128, "n, channels of the convolutions")
    code: int | None = option(64, "h, dimensions of the auto-encoder's code", at_least=1)
    latent: int = option(64, "dimensions of the uniform latents")
    network: str = option("auto", "auto: the paper's auto-encoders; shallow: as in `began`")
    critic_norm: str = option("none")
    generator_norm: str = option("none")
    learning_rate: float = option(1e-4, "of both players' Adam", above=0)
    k_min: float = option(0.0, "smallest k_t, 0 (the paper's) or below")
    gamma: float = option(0.5, "diversity ratio, E L(G(z)) / E L(x)")
    lambda_k: float = option(1e-3, "gain of k_t")
    # A photo is centred on grey, where the paper's balance begins as it should, see `began`.
    zero: float = option(0.0, "pixel value that the networks see as 0: grey")
    skips: bool = option(True, "join h0 to every scale of decoder and generator")
    vanishing: int = option(16_000, "steps in which the vanishing residuals go to 0; 0: none")


build = began.build

EXPERIMENT = run.Experiment(Config, build, __doc__)

if __name__ == "__main__":
    run.main(EXPERIMENT)
