"""WGAN with weight clipping on LSUN bedrooms at 64x64 with the DCGAN of the paper.

Paper: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, section 4: RMSProp 5e-5, c 0.01, 5
critic updates, batch 64. Published: no figure; the estimate falls as samples get better (figure 3),
and training survives where GAN's fails (figures 5 to 7).

    python -m experiments.lsun --data-dir TFDS_FOLDER
    python -m experiments.lsun --dataset folder --data-dir IMAGES

Three million bedrooms are read while training (--stream), centre-cropped and resized.
"""

import dataclasses
from typing import Any

import jwgan
from jwgan import networks, priors, run
from jwgan.models import dcgan, norms
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.LabelledConfig):
    dataset: str = option("tfds/lsun/bedroom", "tfds/NAME, folder, or another image data set")
    image_size: int | None = option(64)
    channels: int = option(3)
    stream: bool = option(True)
    steps: int = option(200_000, "generator updates in all")
    chunk_steps: int = option(100)
    width: int = option(
        64, "channels of the critic's first convolution", group="networks", at_least=1
    )
    latent: int = option(100, "dimensions of the normal latents", group="networks", at_least=1)
    learning_rate: float = option(5e-5, "of both players' RMSProp", above=0)
    critic_learning_rate: float | None = option(
        None, "of the critic's optimizer (default: learning_rate)", above=0
    )
    # Rate and box are the paper's, for a critic this deep; `wgan` has wider ones for small images.
    c: float = option(0.01, "critic weights stay in [-c, c]")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    norm, init = norms.batch_norm, dcgan.PAPER_INIT
    settings: dict[str, Any] = {"kernel_size": 4, "kernel_init": init}

    def critic(shape: tuple[int, ...], head: Any) -> dcgan.DCGANCritic:
        return dcgan.DCGANCritic(shape, config.width, norm=norm, head=head, **settings)

    def generator(norm: Any) -> dcgan.DCGANGenerator:
        return dcgan.DCGANGenerator(shape, config.width, norm=norm, **settings)

    train = networks.TRAIN_ARGUMENT
    return jwgan.wgan(
        # Batch norm in a critic is allowed here: clipping has no penalty on single samples.
        run.critic(critic, shape, config, **train),
        run.generator(generator, config, norm, **train),
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        c=config.c,
    )


EXPERIMENT = run.Experiment(Config, build, __doc__)

if __name__ == "__main__":
    run.main(EXPERIMENT)
