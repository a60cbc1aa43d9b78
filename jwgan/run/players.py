"""The two networks that the image experiments share: one architecture for every member."""

from typing import Any

import jax
import jax.numpy as jnp

import jwgan
from jwgan import models, networks
from jwgan.run.options import require_choice


def player(module: Any, config: Any, **kwargs: Any) -> Any:
    """A Linen module as a network of the run's precision."""
    network = jwgan.from_linen(module, **kwargs)
    # The parameters stay float32, and penalties run in float32: see `networks.in_dtype`.
    return networks.in_dtype(network, "bfloat16") if config.precision == "bfloat16" else network


def image_players(shape: tuple[int, ...], config: Any) -> tuple[Any, Any]:
    """(critic, generator) for images [H, W, C], without normalisation.

    Args:
      shape: (H, W, C).
      config: has `network`, "dcgan", "mlp", or "auto" (an MLP for images under 16 pixels a side,
        where there is little to convolve, and DCGAN above); `width`, channels of the critic's first
        convolution (an MLP has 8 times as many units a layer); and `precision`.

    Raises:
      ValueError: for an unknown network or a shape it cannot be built for.
    """
    width, small = config.width, min(shape[:2]) < 16
    kind = require_choice("network", config.network, ("auto", "mlp", "dcgan"))
    if kind == "mlp" or (kind == "auto" and small):
        hidden = (8 * width,) * 3
        critic = models.mlp.MLPCritic(hidden, activation=lambda x: jax.nn.leaky_relu(x, 0.2))
        generator = models.mlp.MLPGenerator(shape, hidden, final_activation=jnp.tanh)
    else:
        critic = models.dcgan.DCGANCritic(shape, width=width)
        generator = models.dcgan.DCGANGenerator(shape, width=width)
    return player(critic, config), player(generator, config)
