"""The two networks that the image experiments share: one architecture for every member."""

from typing import Any

import jax
import jax.numpy as jnp

import jwgan
from jwgan import models, networks
from jwgan.run.options import require_choice


def player(module: Any, config: Any, **kwargs: Any) -> Any:
    """A Linen module as a network of the run's precision, in the parts of --accumulate."""
    network = jwgan.from_linen(module, **kwargs)
    # The parameters stay float32, and penalties run in float32: see `networks.in_dtype`.
    if config.precision == "bfloat16":
        network = networks.in_dtype(network, "bfloat16")
    # Benches build with options of their own, which have no --accumulate.
    return networks.in_parts(network, getattr(config, "accumulate", 1))


def batch_norm_players(shape: tuple[int, ...], config: Any) -> tuple[Any, Any]:
    """(critic, generator) for images [H, W, C] with batch norm in both, as DCGAN has it.

    Args:
      shape: (H, W, C).
      config: as for `image_players`; `network` is "auto" or "dcgan" (DCGAN's layers and initial
        weights), or "resnet".

    Raises:
      ValueError: as `image_players`.
    """
    norm, init, width = models.norms.batch_norm, models.dcgan.PAPER_INIT, config.width
    kind = require_choice("network", config.network, ("auto", "dcgan", "resnet"))
    if kind == "resnet":
        resnet = models.resnet
        critic: Any = resnet.ResNetCritic(shape, width, resnet.downs_for(shape), norm=norm)
        generator: Any = resnet.ResNetGenerator(shape, width, norm)
    else:
        critic = models.dcgan.DCGANCritic(shape, width, norm=norm, kernel_init=init)
        generator = models.dcgan.DCGANGenerator(shape, width, norm=norm, kernel_init=init)
    # Batch norm has to be told whether it trains or is sampled from.
    train = networks.TRAIN_ARGUMENT
    return player(critic, config, **train), player(generator, config, **train)


def image_players(shape: tuple[int, ...], config: Any) -> tuple[Any, Any]:
    """(critic, generator) for images [H, W, C], which need not be square.

    Nothing is normalised but in the ResNet's generator, which has the paper's batch norm.

    Args:
      shape: (H, W, C).
      config: has `network`, "dcgan", "resnet" (WGAN-GP's blocks, one more for each doubling of the
        image), "mlp", or "auto" (an MLP for images under 16 pixels a side, where there is little to
        convolve, and DCGAN above); `width`, channels of the critic's first convolution (a ResNet
        has as many everywhere, an MLP 8 times as many units a layer); and `precision`.

    Raises:
      ValueError: for an unknown network or a shape it cannot be built for.
    """
    # Samples that are no images have nothing to convolve.
    width, small = config.width, len(shape) != 3 or min(shape[:2]) < 16
    kinds = ("auto", "mlp", "dcgan", "resnet") if len(shape) == 3 else ("auto", "mlp")
    kind = require_choice("network", config.network, kinds)
    critic: Any
    if kind == "resnet":
        resnet = models.resnet
        critic = resnet.ResNetCritic(shape, width, resnet.downs_for(shape))
        # Only batch norm needs to be told whether it trains.
        train = networks.TRAIN_ARGUMENT
        generator = player(resnet.ResNetGenerator(shape, width), config, **train)
        return player(critic, config), generator
    if kind == "mlp" or (kind == "auto" and small):
        hidden = (8 * width,) * 3
        critic = models.mlp.MLPCritic(hidden, activation=lambda x: jax.nn.leaky_relu(x, 0.2))
        generator = models.mlp.MLPGenerator(shape, hidden, final_activation=jnp.tanh)
    else:
        critic = models.dcgan.DCGANCritic(shape, width=width)
        generator = models.dcgan.DCGANGenerator(shape, width=width)
    return player(critic, config), player(generator, config)
