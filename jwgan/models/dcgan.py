"""Convolutional critic and generator for small images, after DCGAN.

A. Radford, L. Metz, S. Chintala, Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks, ICLR 2016; without batch normalisation unless asked for, since a
gradient penalty is a statement about single samples (Gulrajani et al., NeurIPS 2017, section 4).

The examples look at shapes, which `jax.eval_shape` finds without computing anything.

    >>> def output_shape(module, *shape):
    ...     x = jnp.zeros(shape)
    ...     return jax.eval_shape(module.init_with_output, jax.random.key(0), x)[0].shape
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.models.conv import Conv, ConvTranspose
from jwgan.models.labels import Head, scored
from jwgan.models.norms import Norm, is_rowwise, normalised, require_label

Array = jax.Array
Initializer = Callable[[Array, Sequence[int], Any], Array]

_SMALLEST = 4  # largest side of the last feature maps, in pixels
_LARGEST = 512  # side of an image, in pixels
# Channels stop doubling here, where the paper's 64x64 networks end: in one more doubling the
# deepest kernel would have four times the parameters.
_MOST_WIDENED = 8
PAPER_INIT = nn.initializers.normal(0.02)  # of every kernel in the DCGAN paper


def sizes(image_shape: Sequence[int]) -> list[tuple[int, int]]:
    """Sizes of the feature maps from the image down: halved, rounding up, until both are <= 4.

    Args:
      image_shape: (H, W, C).

    Raises:
      ValueError: unless H and W are 5 to 512 and C >= 1.

    >>> dcgan.sizes((28, 28, 1))
    [(28, 28), (14, 14), (7, 7), (4, 4)]
    """
    remedy = f"give (H, W, C) with H and W from 5 to {_LARGEST}; resize or crop the images"
    require(len(image_shape) == 3, "image_shape", image_shape, remedy)
    height, width, channels = image_shape
    good = min(height, width) >= 5 and max(height, width) <= _LARGEST and channels >= 1
    require(good, "image_shape", image_shape, remedy)
    result = [(height, width)]
    while max(result[-1]) > _SMALLEST:
        result.append((-(-result[-1][0] // 2), -(-result[-1][1] // 2)))
    return result


def widths(image_shape: Sequence[int], width: int) -> list[int]:
    """Channels from the image down: doubled with each halving, up to eight times `width`.

    >>> dcgan.widths((28, 28, 1), 8), dcgan.widths((256, 256, 3), 64)
    ([8, 16, 32], [64, 128, 256, 512, 512, 512])
    """
    levels = len(sizes(image_shape)) - 1
    return [width * min(2**level, _MOST_WIDENED) for level in range(levels)]


class DCGANCritic(nn.Module):
    """A score per image: [B, H, W, C] -> [B].

    Convolutions of stride 2 down to 4x4 or less, of `width`, 2 `width`, 4 `width`, at most 8
    `width` channels, leaky ReLU, and one linear layer.

    Attributes:
      image_shape: (H, W, C); see `sizes` for those that work.
      width: channels of the first convolution.
      kernel_size: of every convolution.
      norm: None, `norms.batch_norm`, `norms.layer_norm` or another `Norm`; not applied to the first
        convolution. Batch norm and a gradient penalty do not go together.
      slope: of the leaky ReLU at negative inputs.
      kernel_init: of every kernel; None is LeCun's, `PAPER_INIT` the paper's.
      dtype: of the computation; None promotes the input's and the parameters'.
      head: see `labels`: with it the critic scores (x, label).

    >>> output_shape(dcgan.DCGANCritic((28, 28, 1), width=8), 5, 28, 28, 1)
    (5,)
    """

    image_shape: Sequence[int]
    width: int = 64
    kernel_size: int = 5
    norm: Norm | None = None
    slope: float = 0.2
    kernel_init: Initializer | None = None
    dtype: Any = None
    head: Head | None = None

    @property
    def rowwise(self) -> bool:
        """Whether an output depends on its own row of x alone, see `types.Network`."""
        return is_rowwise(self.norm)

    def __post_init__(self) -> None:
        sizes(self.image_shape)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = True, label: Array | None = None) -> Any:
        """Scores images [B, H, W, C] -> [B].

        Args:
          x: images [B, H, W, C].
          train: False makes batch norm use its stored averages; else without effect.
          label: [B], of a critic with a head.

        Raises:
          ValueError: if `x` does not hold images of `image_shape`.
        """
        expected, sides = tuple(self.image_shape), ", ".join(map(str, self.image_shape))
        require(x.shape[1:] == expected, "x.shape", x.shape, f"must be [B, {sides}]")
        init = self.kernel_init or nn.initializers.lecun_normal()
        for level, features in enumerate(widths(self.image_shape, self.width)):
            x = Conv(features, self.kernel_size, 2, kernel_init=init, dtype=self.dtype)(x)
            if level > 0:
                x = normalised(self.norm, x, train)
            x = nn.leaky_relu(x, self.slope)
        x = x.reshape(x.shape[0], -1)
        y = nn.Dense(1, kernel_init=init, dtype=self.dtype)(x)
        return scored(self.head, jnp.squeeze(y, -1), x, label)


class DCGANGenerator(nn.Module):
    """Images in [-1, 1] from noise: [B, *Z] -> [B, H, W, C].

    The critic in reverse: a linear layer to 4x4 or less, transposed convolutions of stride 2, ReLU,
    tanh at the end.

    Attributes:
      image_shape: (H, W, C); see `sizes` for those that work.
      width: channels of the last hidden feature maps; doubled with each halving, see `widths`.
      kernel_size: of every transposed convolution.
      norm: None, `norms.batch_norm`, `norms.layer_norm` or another `Norm`; applied to every layer
        but the last. With a `norms.conditional_batch_norm` the generator is called with labels.
      kernel_init: of every kernel; None is LeCun's, `PAPER_INIT` the paper's.
      dtype: of the computation; None promotes the input's and the parameters'.

    >>> output_shape(dcgan.DCGANGenerator((28, 28, 1), width=8), 5, 100)
    (5, 28, 28, 1)
    """

    image_shape: Sequence[int]
    width: int = 64
    kernel_size: int = 5
    norm: Norm | None = None
    kernel_init: Initializer | None = None
    dtype: Any = None

    def __post_init__(self) -> None:
        sizes(self.image_shape)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, train: bool = True, label: Array | None = None) -> Array:
        """Generates images [B, H, W, C].

        Args:
          z: noise [B, *Z].
          train: False makes batch norm use its stored averages; else without effect.
          label: [B], of a generator with conditional batch norm.
        """
        require_label(self.norm, label)
        *larger, smallest = sizes(self.image_shape)
        hidden = widths(self.image_shape, self.width)
        init = self.kernel_init or nn.initializers.lecun_normal()
        dense = nn.Dense(math.prod(smallest) * hidden[-1], kernel_init=init, dtype=self.dtype)
        x = dense(z.reshape(z.shape[0], -1)).reshape(-1, *smallest, hidden[-1])
        channels = [self.image_shape[-1], *hidden[:-1]]
        for size, features in zip(reversed(larger), reversed(channels), strict=True):
            x = nn.relu(normalised(self.norm, x, train, label))
            # The size is given, since 7 and 8 pixels both halve to 4.
            x = ConvTranspose(
                features, self.kernel_size, 2,
                output_size=size, kernel_init=self.kernel_init, dtype=self.dtype,
            )(x)  # fmt: skip
        return jnp.tanh(x)
