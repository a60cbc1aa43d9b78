"""Convolutional critic and generator for series [T, C], such as sensors or prices make them.

They are DCGAN's (`models.dcgan`) along one axis: convolutions of stride 2 down to 4 steps or less,
the channels doubled with each halving, and the same in reverse.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.models.conv import Conv, ConvTranspose

Array = jax.Array

_SMALLEST, _LARGEST = 4, 2**16  # steps of the last feature maps and of a series
_MOST_WIDENED = 8  # see `dcgan`


def lengths(series_shape: Sequence[int]) -> list[int]:
    """Lengths of the feature maps from the series down: halved, rounding up, until <= 4.

    Args:
      series_shape: (T, C).

    Raises:
      ValueError: unless T is 5 to 65,536 and C >= 1.

    >>> conv1d.lengths((50, 3))
    [50, 25, 13, 7, 4]
    """
    remedy = f"give (T, C) with T from {_SMALLEST + 1} to {_LARGEST}; cut the series into windows"
    require(len(series_shape) == 2, "series_shape", series_shape, remedy)
    good = _SMALLEST < series_shape[0] <= _LARGEST and series_shape[1] >= 1
    require(good, "series_shape", series_shape, remedy)
    found = [series_shape[0]]
    while found[-1] > _SMALLEST:
        found.append(-(-found[-1] // 2))
    return found


def _widths(series_shape: Sequence[int], width: int) -> list[int]:
    return [width * min(2**i, _MOST_WIDENED) for i in range(len(lengths(series_shape)) - 1)]


class Conv1DCritic(nn.Module):
    """A score per series: [B, T, C] -> [B].

    Attributes:
      series_shape: (T, C); see `lengths` for those that work.
      width: channels of the first convolution; doubled with each halving, up to eight times.
      kernel_size: of every convolution.
      slope: of the leaky ReLU at negative inputs.
      dtype: of the computation; None promotes the input's and the parameters'.

    >>> x = jnp.zeros((5, 50, 3))
    >>> critic = conv1d.Conv1DCritic((50, 3), width=2)
    >>> jax.eval_shape(critic.init_with_output, jax.random.key(0), x)[0].shape
    (5,)
    """

    series_shape: Sequence[int]
    width: int = 64
    kernel_size: int = 5
    slope: float = 0.2
    dtype: Any = None

    rowwise = True  # see `types.Network`

    def __post_init__(self) -> None:
        lengths(self.series_shape)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        expected = tuple(self.series_shape)
        require(x.shape[1:] == expected, "x.shape", x.shape, f"must be [B, *{expected}]")
        x = x[:, :, None, :]  # [B, T, 1, C]: an image of one column
        for features in _widths(self.series_shape, self.width):
            layer = Conv(features, (self.kernel_size, 1), (2, 1), dtype=self.dtype)
            x = nn.leaky_relu(layer(x), self.slope)
        return jnp.squeeze(nn.Dense(1, dtype=self.dtype)(x.reshape(x.shape[0], -1)), -1)


class Conv1DGenerator(nn.Module):
    """Series in [-1, 1] from noise: [B, *Z] -> [B, T, C].

    Attributes: as of `Conv1DCritic`; `width` is that of the last hidden feature maps.

    >>> z = jnp.zeros((5, 8))
    >>> generator = conv1d.Conv1DGenerator((50, 3), width=2)
    >>> jax.eval_shape(generator.init_with_output, jax.random.key(0), z)[0].shape
    (5, 50, 3)
    """

    series_shape: Sequence[int]
    width: int = 64
    kernel_size: int = 5
    dtype: Any = None

    def __post_init__(self) -> None:
        lengths(self.series_shape)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array) -> Array:
        *larger, smallest = lengths(self.series_shape)
        hidden = _widths(self.series_shape, self.width)
        x = nn.Dense(smallest * hidden[-1], dtype=self.dtype)(z.reshape(z.shape[0], -1))
        x = x.reshape(-1, smallest, 1, hidden[-1])
        channels = [self.series_shape[-1], *hidden[:-1]]
        for length, features in zip(reversed(larger), reversed(channels), strict=True):
            # The length is given, since 13 and 14 steps both halve to 7.
            layer = ConvTranspose(
                features, (self.kernel_size, 1), (2, 1), output_size=(length, 1), dtype=self.dtype
            )
            x = layer(nn.relu(x))
        return jnp.tanh(x)[:, :, 0, :]
