"""Changes the size of feature maps by two, and lists the sizes.

A convolution after nearest-neighbour upsampling, and a convolution before 2x2 mean pooling, are
convolutions of stride 2 with a kernel one pixel larger: `UpsampleConv` and `ConvPool` compute them
so, with the parameters of the small kernel. The result is the same up to rounding, for 4/9 of the
multiplications.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.models.conv import convolve, input_gradient

Array = jax.Array
Initializer = Callable[[Array, Sequence[int], Any], Array]


def scales(image_shape: Sequence[int], smallest: int = 4) -> list[tuple[int, int]]:
    """Sizes of the feature maps from the image down: halved while both sides stay >= `smallest`.

    Args:
      image_shape: (H, W, C).
      smallest: lower bound of the last sides.

    Raises:
      ValueError: unless both sides can be halved until the smaller one is below 2 * `smallest`,
        at least once.

    >>> scaling.scales((32, 32, 3)), scaling.scales((28, 56, 1))
    ([(32, 32), (16, 16), (8, 8), (4, 4)], [(28, 56), (14, 28), (7, 14)])
    """
    remedy = (
        f"give (H, W, C) whose smaller side is m * 2**k, m from {smallest} to {2 * smallest - 1}, "
        "k >= 1, and the larger one a multiple of 2**k (for example 32 x 48); pad or resize the "
        "images"
    )
    require(len(image_shape) == 3 and min(image_shape) >= 1, "image_shape", image_shape, remedy)
    sizes = [(image_shape[0], image_shape[1])]
    while min(sizes[-1]) >= 2 * smallest:
        height, width = sizes[-1]
        require(height % 2 == 0 and width % 2 == 0, "image_shape", image_shape, remedy)
        sizes.append((height // 2, width // 2))
    require(len(sizes) > 1, "image_shape", image_shape, remedy)
    return sizes


def check_images(x: Array, image_shape: Sequence[int]) -> None:
    """Raises ValueError unless `x` is [B, *image_shape].

    >>> scaling.check_images(jnp.zeros((5, 28, 28, 1)), (32, 32, 1))
    Traceback (most recent call last):
    ValueError: x.shape is (5, 28, 28, 1): must be [B, *(32, 32, 1)]
    """
    require(x.shape[1:] == tuple(image_shape), "x.shape", x.shape, f"must be [B, *{image_shape}]")


def upsample(x: Array, factor: int = 2) -> Array:
    """Turns every pixel into factor x factor equal ones: [B, H, W, C] -> [B, fH, fW, C].

    >>> scaling.upsample(jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1))[0, :, :, 0].tolist()
    [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """
    num, height, width, channels = x.shape
    shape = (num, height, factor, width, factor, channels)
    x = jnp.broadcast_to(x[:, :, None, :, None, :], shape)
    return x.reshape(num, height * factor, width * factor, channels)


def mean_pool(x: Array) -> Array:
    """Averages blocks of 2x2 pixels: [B, H, W, C] -> [B, H/2, W/2, C].

    >>> scaling.mean_pool(jnp.arange(8.0).reshape(1, 2, 4, 1)).ravel().tolist()
    [2.5, 4.5]
    """
    num, height, width, channels = x.shape
    return x.reshape(num, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def _spread(w: Array) -> Array:
    """The kernel [K, K, C, O] applied at 2x2 neighbouring pixels and summed: [K+1, K+1, C, O]."""
    for axis in (0, 1):
        pads = [[(0, 0)] * 4 for _ in range(2)]
        pads[0][axis], pads[1][axis] = (0, 1), (1, 0)
        w = jnp.pad(w, pads[0]) + jnp.pad(w, pads[1])
    return w


class _ScalingConv(nn.Module):
    """Parameters of a 3x3 convolution: "kernel" [3, 3, C, features] and "bias" [features]."""

    features: int
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", self.kernel_init, (3, 3, x.shape[-1], self.features))
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias)
        y = self.scaled(x, kernel)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


class UpsampleConv(_ScalingConv):
    """Computes `Conv(features, 3)(upsample(x))`: [B, H, W, C] -> [B, 2H, 2W, features].

    Attributes: as of `Conv`.

    >>> x, layer = jnp.arange(4.0).reshape(1, 2, 2, 1), scaling.UpsampleConv(3)
    >>> y, variables = jax.jit(layer.init_with_output)(jax.random.key(0), x)
    >>> expected = jax.jit(conv.Conv(3, 3).apply)(variables, scaling.upsample(x))
    >>> np.allclose(y, expected, atol=1e-5)
    True
    """

    def scaled(self, x: Array, kernel: Array) -> Array:
        """The convolution without its bias, by the 3x3 kernel."""
        # A transposed convolution sends each input pixel to the outputs that see it, where a
        # convolution gathers: so the kernel is turned around.
        kernel = _spread(kernel[::-1, ::-1]).swapaxes(2, 3)
        size = (2 * x.shape[1], 2 * x.shape[2])
        return input_gradient(x, kernel, size, strides=2, padding=((1, 1), (1, 1)))


class ConvPool(_ScalingConv):
    """Computes `mean_pool(Conv(features, 3)(x))`: [B, H, W, C] -> [B, H/2, W/2, features].

    H and W must be even. Attributes: as of `Conv`.

    >>> x, layer = jnp.arange(16.0).reshape(1, 4, 4, 1), scaling.ConvPool(3)
    >>> y, variables = jax.jit(layer.init_with_output)(jax.random.key(0), x)
    >>> expected = scaling.mean_pool(jax.jit(conv.Conv(3, 3).apply)(variables, x))
    >>> np.allclose(y, expected, atol=1e-4)
    True
    """

    def scaled(self, x: Array, kernel: Array) -> Array:
        """The convolution without its bias, by the 3x3 kernel."""
        return convolve(x, _spread(kernel) / 4, strides=2, padding=((1, 1), (1, 1)))
