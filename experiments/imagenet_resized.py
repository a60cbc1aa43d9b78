"""WGAN-GP on ImageNet at 32x32, the setting of the paper's 200 random architectures.

Paper: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, section 5.1: Adam 1e-4, weight
10, 5 critic updates; depth, width, nonlinearity and norms drawn at random. Published: 189 of 200
reach an Inception score of 5.0 with the penalty, 42 of 200 as a GAN. Here: the paper's ResNets, as
one such architecture.

    python -m experiments.imagenet_resized --data-dir TFDS_FOLDER
    python -m experiments.imagenet_resized --dataset folder --data-dir IMAGES

1.28 million images are read while training (--stream).
"""

import dataclasses

from experiments import cifar10
from jwgan import run
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(cifar10.Config):
    dataset: str = option("tfds/imagenet_resized/32x32", "tfds/NAME, folder, or another data set")
    stream: bool = option(True)
    learning_rate: float = option(1e-4, "of both players' Adam at the start", above=0)


build = cifar10.build

EXPERIMENT = run.Experiment(Config, build, __doc__)

if __name__ == "__main__":
    run.main(EXPERIMENT)
