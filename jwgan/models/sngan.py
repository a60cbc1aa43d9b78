"""SN-GAN's networks for images: the standard CNN, and the ResNet as a variant of WGAN-GP's.

T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, Spectral Normalization for Generative Adversarial
Networks, ICLR 2018, tables 3 and 4. Spectral normalisation itself is no part of a model here:
`networks.with_spectral_norm` puts it on any network.

The examples look at shapes, which `jax.eval_shape` finds without computing anything.

    >>> def output_shape(module, *shape):
    ...     x = jnp.zeros(shape)
    ...     return jax.eval_shape(module.init_with_output, jax.random.key(0), x)[0].shape
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan.models.conv import Conv, ConvTranspose
from jwgan.models.labels import Head, scored
from jwgan.models.norms import Norm, batch_norm, normalised, require_label
from jwgan.models.resnet import ResNetCritic, ResNetGenerator, sum_over_space
from jwgan.models.scaling import check_images, scales

Array = jax.Array


class SNGANGenerator(nn.Module):
    """Images in [-1, 1] from noise: [B, *Z] -> [B, H, W, C].

    A linear layer to the smallest scale (4x4x512 for 32x32), transposed conv4 of stride 2 halving
    the channels, conv3, tanh. Batch norm and ReLU after every layer but the last, the linear one
    included (the paper's table names them only for the transposed convolutions). A layer in front
    of a batch norm has no bias: the norm would take it away.

    Attributes:
      image_shape: (H, W, C); see `scaling.scales` for those that work.
      width: channels at the image's size, doubled with each halving; the paper's 64.
      norm: batch norm, or a `norms.conditional_batch_norm` for a generator of (z, label).

    >>> output_shape(sngan.SNGANGenerator((32, 32, 3), width=2), 5, 128)
    (5, 32, 32, 3)
    """

    image_shape: Sequence[int]
    width: int = 64
    norm: Norm = batch_norm

    def __post_init__(self) -> None:
        scales(self.image_shape)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, train: bool = True, label: Array | None = None) -> Array:
        """Generates images from z [B, *Z]; with `train` False by batch norm's stored averages."""
        require_label(self.norm, label)
        *larger, (height, width) = scales(self.image_shape)
        features = self.width * 2 ** len(larger)
        x = nn.Dense(height * width * features, use_bias=False)(z.reshape(z.shape[0], -1))
        x = x.reshape(-1, height, width, features)
        x = nn.relu(normalised(self.norm, x, train, label))
        for _ in larger:
            features //= 2
            # 4 is a multiple of the stride 2: every output pixel meets as many taps.
            x = ConvTranspose(features, 4, 2, use_bias=False)(x)
            x = nn.relu(normalised(self.norm, x, train, label))
        return jnp.tanh(Conv(self.image_shape[-1], 3)(x))


class SNGANCritic(nn.Module):
    """A score per image: [B, H, W, C] -> [B].

    conv3 and conv4 of stride 2 at each scale, the channels doubled at each, conv3 at the smallest,
    one linear layer; leaky ReLU after every convolution, no norm.

    Attributes:
      image_shape: (H, W, C); see `scaling.scales` for those that work.
      width: channels at the image's size; the paper's 64 leads to 512 for 32x32.
      slope: of the leaky ReLU at negative inputs.
      head: see `labels`: with it the critic scores (x, label).

    >>> output_shape(sngan.SNGANCritic((32, 32, 3), width=2), 5, 32, 32, 3)
    (5,)
    """

    image_shape: Sequence[int]
    width: int = 64
    slope: float = 0.1
    head: Head | None = None

    rowwise = True  # see `types.Network`

    def __post_init__(self) -> None:
        scales(self.image_shape)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = True, label: Array | None = None) -> Any:
        """Scores images x [B, H, W, C]; `train` is without effect, as there is no batch norm."""
        del train
        check_images(x, self.image_shape)
        features = self.width
        for _ in scales(self.image_shape)[1:]:
            x = nn.leaky_relu(Conv(features, 3)(x), self.slope)
            x = nn.leaky_relu(Conv(features, 4, 2)(x), self.slope)
            features *= 2
        x = nn.leaky_relu(Conv(features, 3)(x), self.slope)
        x = x.reshape(x.shape[0], -1)
        return scored(self.head, jnp.squeeze(nn.Dense(1)(x), -1), x, label)


def resnet_generator(
    image_shape: Sequence[int], width: int = 256, norm: Norm = batch_norm
) -> ResNetGenerator:
    """Makes the ResNet generator of table 4a: WGAN-GP's blocks with 256 channels.

    >>> output_shape(sngan.resnet_generator((32, 32, 3), width=4), 5, 128)
    (5, 32, 32, 3)
    """
    return ResNetGenerator(image_shape, width, norm)


def resnet_critic(
    image_shape: Sequence[int], width: int = 128, head: Head | None = None
) -> ResNetCritic:
    """Makes the ResNet critic of table 4b: WGAN-GP's, with a sum over space in place of the mean.

    Wrap it with `networks.with_spectral_norm`.

    >>> output_shape(sngan.resnet_critic((32, 32, 3), width=4), 5, 32, 32, 3)
    (5,)
    """
    return ResNetCritic(image_shape, width, pool=sum_over_space, head=head)
