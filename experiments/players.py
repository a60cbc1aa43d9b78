"""The two networks that the image experiments share: one architecture for every member."""

from typing import Any

from experiments.options import one_of


def image_players(shape: tuple[int, ...], network: str, width: int) -> tuple[Any, Any]:
    """(critic, generator) for images [H, W, C], without normalisation.

    Args:
      shape: (H, W, C).
      network: "dcgan", "mlp", or "auto": an MLP for images under 16 pixels a side, where there is
        little to convolve, and DCGAN above.
      width: channels of the critic's first convolution; an MLP has 8 times as many units a layer.

    Raises:
      ValueError: for an unknown network or a shape it cannot be built for.
    """
    import flax.linen as nn
    import jax.numpy as jnp

    import jwgan
    from jwgan.models import dcgan, mlp

    small = min(shape[:2]) < 16
    kind = one_of("network", network, ("auto", "mlp", "dcgan"))
    critic: nn.Module
    generator: nn.Module
    if kind == "mlp" or (kind == "auto" and small):
        hidden = (8 * width,) * 3
        critic = mlp.MLPCritic(hidden, activation=lambda x: nn.leaky_relu(x, 0.2))
        generator = mlp.MLPGenerator(shape, hidden, final_activation=jnp.tanh)
    else:
        critic = dcgan.DCGANCritic(shape, width=width)
        generator = dcgan.DCGANGenerator(shape, width=width)
    return jwgan.from_linen(critic), jwgan.from_linen(generator)
