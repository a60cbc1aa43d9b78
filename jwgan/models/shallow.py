"""A shallow auto-encoder as critic, and a batch-normalised generator, for BEGAN and EBGAN.

The pair with which public code has all classes of MNIST and Fashion-MNIST after a few epochs: one
convolution, a narrow code, and back; beside it InfoGAN's generator (Chen et al., 2016, NeurIPS,
appendix C.1). The paper's own auto-encoders are in `autoencoder`.

The examples look at shapes, which `jax.eval_shape` finds without computing anything.

    >>> def output_of(module, *shape):
    ...     x = jax.numpy.zeros(shape)
    ...     return jax.eval_shape(module.init_with_output, jax.random.key(0), x)[0]
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax

from jwgan.check import require
from jwgan.models.autoencoder import Activation, Energy, mean_absolute
from jwgan.models.conv import Conv, ConvTranspose
from jwgan.models.norms import Norm, batch_norm, is_rowwise, normalised
from jwgan.models.scaling import check_images
from jwgan.types import Scored

Array = jax.Array


def _check(module: nn.Module, *names: str) -> None:
    shape = module.image_shape
    remedy = "give (H, W, C) with sides of at least 4"
    require(len(shape) == 3 and min(shape[:2]) >= 4 and shape[2] >= 1, "image_shape", shape, remedy)
    for name in names:
        value = getattr(module, name)
        require(value >= 1, name, value, "give a number of channels or units >= 1")


def _half(size: Sequence[int]) -> tuple[int, int]:
    """(H, W) after a convolution of stride 2, rounded up."""
    return -(-size[0] // 2), -(-size[1] // 2)


class ShallowCritic(nn.Module):
    """An energy and a code per image: [B, H, W, C] -> Scored([B], [B, h]).

    conv4 of stride 2 and ReLU, a linear layer to the code, one back to the feature maps, and a
    transposed conv4 to the image.

    Attributes:
      image_shape: (H, W, C), both sides at least 4.
      width: channels of the one convolution.
      h: dimensions of the code.
      norm: of the code and of the layer behind it, each before its ReLU. With batch norm an image's
        energy depends on its batch; None leaves the code without normalisation and activation.
      final_activation: of the reconstruction, `nn.sigmoid` for pixels in [0, 1]; None is linear.
      energy: of the error x - AE(x), [B, *D] -> [B].

    >>> out = output_of(shallow.ShallowCritic((28, 28, 1), width=4), 5, 28, 28, 1)
    >>> out.score.shape, out.code.shape
    ((5,), (5, 32))
    """

    image_shape: Sequence[int]
    width: int = 64
    h: int = 32
    norm: Norm | None = batch_norm
    final_activation: Activation | None = nn.sigmoid
    energy: Energy = mean_absolute

    @property
    def rowwise(self) -> bool:
        """Whether an output depends on its own row of x alone, see `types.Network`."""
        return is_rowwise(self.norm)

    def __post_init__(self) -> None:
        _check(self, "width", "h")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = True) -> Scored:
        """Scores images [B, H, W, C].

        Args:
          x: images [B, H, W, C].
          train: False makes batch norm use its stored averages; else without effect.
        """
        check_images(x, self.image_shape)
        height, width, channels = self.image_shape
        y = nn.relu(Conv(self.width, 4, 2)(x))
        maps = y.shape[1:]
        y = nn.Dense(self.h)(y.reshape(y.shape[0], -1))
        # A normalised code is rectified too, as in the public recipe; a plain one stays linear.
        code = y if self.norm is None else nn.relu(normalised(self.norm, y, train))
        y = normalised(self.norm, nn.Dense(math.prod(maps))(code), train)
        y = nn.relu(y).reshape(-1, *maps)
        y = ConvTranspose(channels, 4, 2, output_size=(height, width))(y)
        y = y if self.final_activation is None else self.final_activation(y)
        return Scored(self.energy(x - y), code)


class ShallowGenerator(nn.Module):
    """Images from noise: [B, *Z] -> [B, H, W, C].

    A hidden linear layer, one to feature maps of a quarter of the image's sides, and two transposed
    conv4 of stride 2; all but the last are normalised and rectified. A batch-normalised generator
    spreads the samples of a batch apart, whatever the critic says.

    Attributes:
      image_shape: (H, W, C), both sides at least 4.
      width: channels of the last hidden feature maps; those before have twice as many.
      hidden: units of the first layer (InfoGAN has 1024 at width 64).
      norm: of every layer but the last; None for no normalisation.
      final_activation: of the output, `nn.sigmoid` for pixels in [0, 1]; None is linear.

    >>> output_of(shallow.ShallowGenerator((28, 28, 1), width=4, hidden=8), 5, 62).shape
    (5, 28, 28, 1)
    """

    image_shape: Sequence[int]
    width: int = 64
    hidden: int = 1024
    norm: Norm | None = batch_norm
    final_activation: Activation | None = nn.sigmoid

    def __post_init__(self) -> None:
        _check(self, "width", "hidden")
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, train: bool = True) -> Array:
        """Generates images [B, H, W, C].

        Args:
          z: noise [B, *Z]; the public recipe's is uniform in [-1, 1], with 62 dimensions.
          train: False makes batch norm use its stored averages; else without effect.
        """
        half = _half(self.image_shape)
        quarter = _half(half)
        x = nn.Dense(self.hidden)(z.reshape(z.shape[0], -1))
        x = nn.relu(normalised(self.norm, x, train))
        x = nn.Dense(math.prod(quarter) * 2 * self.width)(x)
        x = nn.relu(normalised(self.norm, x, train)).reshape(-1, *quarter, 2 * self.width)
        x = ConvTranspose(self.width, 4, 2, output_size=half)(x)
        x = nn.relu(normalised(self.norm, x, train))
        x = ConvTranspose(self.image_shape[2], 4, 2, output_size=self.image_shape[:2])(x)
        return x if self.final_activation is None else self.final_activation(x)
