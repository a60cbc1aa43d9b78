"""WGAN-GP on CIFAR-10 with the paper's ResNets.

Paper: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, section 5.4 and appendix F:
Adam 2e-4 falling linearly to 0 over 100,000 generator updates, betas (0, 0.9), weight 10, 5 critic
updates, batch 64. Published: Inception score 7.86 +- 0.07 (unsupervised); others measured a FID of
22.29 with these settings. Neither figure can be had here without the Inception weights.

    python -m experiments.convert cifar10                       # downloads the data, once
    python -m experiments.cifar10                               # for an accelerator
    python -m experiments.cifar10 --data-dir TFDS_FOLDER --precision bfloat16
    python -m experiments.cifar10 --dataset folder --data-dir IMAGES --image-size 32 --channels 3

The data set is read from a folder that TFDS or experiments.convert prepared (array_record). The
authors' generator batch is twice as large; here it is the critic's.
"""

import dataclasses
from typing import Any

import optax

import jwgan
from jwgan import adversarial, networks, objectives, penalties, priors, run
from jwgan.models import norms, resnet
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.LabelledConfig):
    dataset: str = option("tfds/cifar10", "tfds/NAME, folder, or another image data set")
    image_size: int | None = option(32)
    channels: int = option(3)
    steps: int = option(100_000, "generator updates in all; the rates fall to 0 over them")
    chunk_steps: int = option(100)
    width: int = option(128, "channels of every feature map", group="networks", at_least=1)
    latent: int = option(128, "dimensions of the normal latents", group="networks", at_least=1)
    learning_rate: float = option(2e-4, "of both players' Adam at the start", above=0)
    weight: float = option(10.0, "of the gradient penalty")
    decay_steps: int = option(100_000, "generator updates after which the rates are 0", at_least=1)


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    if config.decay != "none":
        raise ValueError(
            f"decay is {config.decay!r}: the rates of this document fall linearly, over "
            "--decay-steps; leave --decay out"
        )

    def adam(updates: int) -> Any:
        # The schedule counts the updates of its own optimizer, not the run's steps.
        rate = optax.linear_schedule(config.learning_rate, 0.0, updates)
        return optax.adam(rate, b1=0.0, b2=0.9)

    def critic(shape: tuple[int, ...], head: Any) -> resnet.ResNetCritic:
        return resnet.ResNetCritic(shape, config.width, head=head)

    def generator(norm: Any) -> resnet.ResNetGenerator:
        return resnet.ResNetGenerator(shape, config.width, norm)

    train = networks.TRAIN_ARGUMENT
    return adversarial.build(
        critic=run.critic(critic, shape, config, **train),
        generator=run.generator(generator, config, norms.batch_norm, **train),
        # n_critic updates a step: so both rates reach 0 at the same generator update.
        critic_tx=adam(config.decay_steps * config.n_critic),
        generator_tx=adam(config.decay_steps),
        objective=objectives.wasserstein(),
        penalty=penalties.gradient_penalty(config.weight),
        prior=run.prior(priors.normal(config.latent), config),
    )


EXPERIMENT = run.Experiment(Config, build, __doc__)

if __name__ == "__main__":
    run.main(EXPERIMENT)
