"""Residual networks for images: WGAN-GP's for CIFAR-10, and its 101 layers of bottlenecks.

I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville, Improved Training of Wasserstein
GANs, NeurIPS 2017, appendices C and F; details the text leaves open are those of the authors' code.

The examples look at shapes, which `jax.eval_shape` finds without computing anything.

    >>> def output_shape(module, *shape):
    ...     x = jnp.zeros(shape)
    ...     return jax.eval_shape(module.init_with_output, jax.random.key(0), x)[0].shape
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan import numerics
from jwgan.check import require
from jwgan.models.conv import Conv, ConvTranspose
from jwgan.models.labels import Head, scored
from jwgan.models.norms import Norm, batch_norm, is_rowwise, layer_norm, normalised, require_label
from jwgan.models.scaling import ConvPool, UpsampleConv, check_images, mean_pool, scales, upsample

Array = jax.Array

HE = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")  # the authors' "he_init"
GLOROT = nn.initializers.glorot_uniform()


# ---- the CIFAR-10 networks -----------------------------------------------------------------------


class UpBlock(nn.Module):
    """A block that doubles the size: [B, H, W, C] -> [B, 2H, 2W, features].

    norm, ReLU, upsample, conv3, norm, ReLU, conv3; plus the shortcut upsample, conv1.

    Attributes:
      features: channels out.
      norm: see `norms`; None for none.

    >>> output_shape(resnet.UpBlock(features=6), 5, 4, 4, 3)
    (5, 8, 8, 6)
    """

    features: int
    norm: Norm | None = batch_norm

    @nn.compact
    def __call__(self, x: Array, train: bool = True, label: Array | None = None) -> Array:
        y = numerics.relu(normalised(self.norm, x, train, label))
        y = UpsampleConv(self.features, kernel_init=HE)(y)
        y = numerics.relu(normalised(self.norm, y, train, label))
        y = Conv(self.features, 3, kernel_init=HE)(y)
        # conv1 and upsampling may change places, and conv1 first costs a quarter.
        return y + upsample(Conv(self.features, 1, kernel_init=GLOROT)(x))


class DownBlock(nn.Module):
    """A block that halves the size if `pool`: [B, H, W, C] -> [B, H/2, W/2, features].

    norm, ReLU, conv3, norm, ReLU, conv3, pooling; plus a shortcut, which is the identity if neither
    size nor channels change, else pooling and conv1.

    Attributes:
      features: channels out.
      pool: whether 2x2 mean pooling follows.
      first: whether this block meets the image itself: then it has no norm, and no ReLU before its
        first convolution.
      norm: see `norms`; None for none.

    >>> output_shape(resnet.DownBlock(features=6), 5, 8, 8, 3)
    (5, 4, 4, 6)
    """

    features: int
    pool: bool = True
    first: bool = False
    norm: Norm | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool = True) -> Array:
        # A norm or ReLU in front of everything would change the image before any weight sees it.
        norm = None if self.first else self.norm
        y = x if self.first else numerics.relu(normalised(norm, x, train))
        y = Conv(self.features, 3, kernel_init=HE)(y)
        y = numerics.relu(normalised(norm, y, train))
        last = ConvPool if self.pool else functools.partial(Conv, kernel_size=3)
        y = last(self.features, kernel_init=HE)(y)
        if (
            self.pool
        ):  # before conv1: the two may change places, and a quarter of the pixels is left
            x = mean_pool(x)
        if self.pool or x.shape[-1] != self.features:
            x = Conv(self.features, 1, kernel_init=GLOROT)(x)
        return x + y


class ResNetGenerator(nn.Module):
    """Images in [-1, 1] from noise: [B, *Z] -> [B, H, W, C].

    A linear layer to the smallest scale (4x4 for 32x32), an `UpBlock` for each doubling, norm,
    ReLU, conv3, tanh. With batch norm the biases of the blocks' convolutions have no effect (a
    norm takes each of them away again); they are there as in the authors' code.

    Attributes:
      image_shape: (H, W, C); see `scaling.scales` for those that work.
      width: channels of every feature map; 128 is the paper's, 256 SN-GAN's.
      norm: see `norms`; None for none. With a `norms.conditional_batch_norm` the generator takes
        labels.

    >>> output_shape(resnet.ResNetGenerator((32, 32, 3), width=4), 5, 128)
    (5, 32, 32, 3)
    """

    image_shape: Sequence[int]
    width: int = 128
    norm: Norm | None = batch_norm

    def __post_init__(self) -> None:
        scales(self.image_shape)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, train: bool = True, label: Array | None = None) -> Array:
        """Generates images [B, H, W, C].

        Args:
          z: noise [B, *Z]; the paper's is normal, with 128 dimensions.
          train: False makes batch norm use its stored averages; else without effect.
          label: [B], of a generator with conditional batch norm.
        """
        require_label(self.norm, label)
        *larger, (height, width) = scales(self.image_shape)
        dense = nn.Dense(height * width * self.width, kernel_init=GLOROT)
        x = dense(z.reshape(z.shape[0], -1)).reshape(-1, height, width, self.width)
        for _ in larger:
            x = UpBlock(self.width, self.norm)(x, train, label)
        x = numerics.relu(normalised(self.norm, x, train, label))
        return jnp.tanh(Conv(self.image_shape[-1], 3, kernel_init=GLOROT)(x))


def mean_over_space(x: Array) -> Array:
    """Averages each channel over all pixels, as WGAN-GP: [B, H, W, C] -> [B, C].

    >>> resnet.mean_over_space(jnp.ones((1, 2, 2, 3))).tolist()
    [[1.0, 1.0, 1.0]]
    """
    return x.mean((1, 2))


def sum_over_space(x: Array) -> Array:
    """Sums each channel over all pixels, as SN-GAN: [B, H, W, C] -> [B, C].

    >>> resnet.sum_over_space(jnp.ones((1, 2, 2, 3))).tolist()
    [[4.0, 4.0, 4.0]]
    """
    return x.sum((1, 2))


def downs_for(image_shape: Sequence[int]) -> int:
    """Halving blocks of a critic whose last feature maps have 8 to 15 pixels at the smaller side.

    The paper's CIFAR-10 critic has 2 for 32 pixels; each doubling of the image adds one, and there
    is at least one.

    Raises:
      ValueError: as `scaling.scales`.

    >>> [resnet.downs_for((side, side, 3)) for side in (8, 32, 64, 256)]
    [1, 2, 3, 5]
    """
    return max(1, len(scales(image_shape)) - 2)


class ResNetCritic(nn.Module):
    """A score per image: [B, H, W, C] -> [B].

    Two halving `DownBlock`s, two that keep the size, ReLU, a mean over space and one linear layer.
    The paper's CIFAR-10 critic has no norm.

    Attributes:
      image_shape: (H, W, C), H and W divisible by 2**downs.
      width: channels of every feature map.
      downs: halving blocks; see `downs_for`.
      plain: blocks after them.
      norm: see `norms`; None for none. Never a batch norm under a gradient penalty.
      pool: [B, h, w, width] -> [B, width].
      head: see `labels`: with it the critic scores (x, label).

    >>> output_shape(resnet.ResNetCritic((32, 32, 3), width=4), 5, 32, 32, 3)
    (5,)
    """

    image_shape: Sequence[int]
    width: int = 128
    downs: int = 2
    plain: int = 2
    norm: Norm | None = None
    pool: Callable[[Array], Array] = mean_over_space
    head: Head | None = None

    @property
    def rowwise(self) -> bool:
        """Whether an output depends on its own row of x alone, see `types.Network`."""
        return is_rowwise(self.norm)

    def __post_init__(self) -> None:
        require(self.downs >= 1, "downs", self.downs, "the first block halves: give 1 or more")
        shape, step = self.image_shape, 2**self.downs
        good = len(shape) == 3 and min(shape) >= 1 and not shape[0] % step and not shape[1] % step
        remedy = f"give (H, W, C) with H and W divisible by {step}; pad the images or lower downs"
        require(good, "image_shape", shape, remedy)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = True, label: Array | None = None) -> Any:
        """Scores images [B, H, W, C] -> [B].

        Args:
          x: images [B, H, W, C].
          train: False makes batch norm use its stored averages; else without effect.
          label: [B], of a critic with a head.
        """
        check_images(x, self.image_shape)
        for i in range(self.downs + self.plain):
            pool, first = i < self.downs, i == 0
            x = DownBlock(self.width, pool=pool, first=first, norm=self.norm)(x, train)
        x = self.pool(numerics.relu(x))
        y = nn.Dense(1, kernel_init=GLOROT)(x)
        return scored(self.head, jnp.squeeze(y, -1), x, label)


# ---- 101 layers ----------------------------------------------------------------------------------


class _Subpixel(nn.Module):
    """A layer that doubles the size: [B, H, W, C] -> [B, 2H, 2W, features].

    conv1 to four times the channels, whose quarters become 2x2 pixels.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        num, height, width, _ = x.shape
        x = Conv(4 * self.features, 1, kernel_init=GLOROT)(x)
        x = x.reshape(num, height, width, 2, 2, self.features).swapaxes(2, 3)
        return x.reshape(num, 2 * height, 2 * width, self.features)


class BottleneckBlock(nn.Module):
    """A block of three layers: shortcut + 0.3 norm(conv1(ReLU(conv3(ReLU(conv1(ReLU(x))))))).

    Attributes:
      features: channels out; the inner layers have half of those in and half of those out.
      inner: makes the conv3, called with features: a `Conv` or `ConvTranspose`, perhaps strided.
      shortcut: makes the layer beside the three, called with features; None is the identity.
      norm: see `norms`; None for none.

    >>> block = resnet.BottleneckBlock(6, inner=lambda features: conv.Conv(features, 3))
    >>> output_shape(block, 5, 8, 8, 6)
    (5, 8, 8, 6)
    """

    features: int
    inner: Callable[[int], nn.Module]
    shortcut: Callable[[int], nn.Module] | None = None
    norm: Norm | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool = True) -> Array:
        y = Conv(x.shape[-1] // 2, 1, kernel_init=HE)(numerics.relu(x))
        y = self.inner(self.features // 2)(numerics.relu(y))
        y = Conv(self.features, 1, use_bias=False, kernel_init=HE)(numerics.relu(y))
        y = normalised(self.norm, y, train)
        x = x if self.shortcut is None else self.shortcut(self.features)(x)
        return x + 0.3 * y  # 0.3 is the authors' factor


def _same(features: int) -> nn.Module:
    return Conv(features, 3, kernel_init=HE)


def _half(features: int) -> nn.Module:
    return Conv(features, 3, 2, kernel_init=HE)


def _twice(features: int) -> nn.Module:
    return ConvTranspose(features, 3, 2, kernel_init=HE)


class _EqualBlocks(nn.Module):
    """`num` blocks that keep features and size, one after another; 0 of them are the identity.

    They are one block in a loop over parameters and statistics "blocks" [num, ...], so that 101
    layers take as long to compile as the scales' first blocks alone. The loop is JAX's own: through
    flax's lifted one a gradient penalty has no second derivative (flax 0.12).
    """

    features: int
    num: int
    norm: Norm | None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        if self.num == 0:
            return x
        block = BottleneckBlock(self.features, _same, norm=self.norm, parent=None)

        def init(key: Array) -> Any:  # {collection: tree [num, ...]}
            keys = jax.random.split(key, self.num)
            return jax.vmap(lambda key: block.init(key, x, train))(keys)

        params = self.param("blocks", lambda key: init(key)["params"])
        stats = None
        if "batch_stats" in jax.eval_shape(init, jax.random.key(0)):
            # Statistics begin as zeros and ones, whatever the key.
            begin = lambda: init(jax.random.key(0))["batch_stats"]
            stats = self.variable("batch_stats", "blocks", begin)

        def one(x: Array, variables: Any) -> tuple[Array, Any]:
            return block.apply(variables, x, train, mutable=["batch_stats"])

        variables = {"params": params, **({"batch_stats": stats.value} if stats else {})}
        x, moved = jax.lax.scan(one, x, variables)
        if stats and self.is_mutable_collection("batch_stats") and not self.is_initializing():
            stats.value = moved["batch_stats"]
        return x


def _half_shortcut(features: int) -> nn.Module:
    return Conv(features, 1, 2, kernel_init=GLOROT)


def blocks_per_scale(depth: int, num_scales: int) -> list[int]:
    """Divides a network's depth into bottleneck blocks that keep their scale, smallest scale first.

    A block has three layers. Those blocks, one more between two scales and two single layers make
    `depth`; the scales get as equal numbers as can be.

    Raises:
      ValueError: on a depth that is not 2 + 3 * (number of blocks), or is less than the scales
        need.

    For the five scales of a 64x64 image these are the authors' numbers:

    >>> resnet.blocks_per_scale(101, num_scales=5)
    [6, 6, 6, 6, 5]
    """
    least = 3 * num_scales - 1
    remedy = f"give {least}, or more by a multiple of 3 (the paper's 101)"
    require(depth >= least and (depth - 2) % 3 == 0, "depth", depth, remedy)
    base, extra = divmod((depth - 2) // 3 - (num_scales - 1), num_scales)
    return [base + (i < extra) for i in range(num_scales)]


def _check_bottleneck(image_shape: Sequence[int], width: int, depth: int) -> None:
    blocks_per_scale(depth, len(scales(image_shape)))
    require(width >= 2 and width % 2 == 0, "width", width, "give an even number: it is halved")


class BottleneckGenerator(nn.Module):
    """Images in [-1, 1] from noise, 101 layers: [B, *Z] -> [B, H, W, C].

    The output is tanh(conv / 5), so that the sum of many branches starts small.

    Attributes:
      image_shape: (H, W, C); see `scaling.scales` for those that work.
      width: channels at the image's size, doubled with each halving (the authors': 32).
      depth: layers, from the first linear one to the last convolution; see `blocks_per_scale`.
      norm: see `norms`; None for none.

    >>> output_shape(resnet.BottleneckGenerator((8, 8, 1), width=2, depth=8), 5, 16)
    (5, 8, 8, 1)
    """

    image_shape: Sequence[int]
    width: int = 32
    depth: int = 101
    norm: Norm | None = batch_norm

    def __post_init__(self) -> None:
        _check_bottleneck(self.image_shape, self.width, self.depth)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, train: bool = True) -> Array:
        """Generates images from z [B, *Z]; with `train` False by batch norm's stored averages."""
        *larger, (height, width) = scales(self.image_shape)
        features = self.width * 2 ** len(larger)
        x = nn.Dense(height * width * features, kernel_init=GLOROT)(z.reshape(z.shape[0], -1))
        x = x.reshape(-1, height, width, features)
        for i, num in enumerate(blocks_per_scale(self.depth, len(larger) + 1)):
            if i > 0:
                features //= 2
                x = BottleneckBlock(features, _twice, _Subpixel, self.norm)(x, train)
            x = _EqualBlocks(features, num, self.norm)(x, train)
        return jnp.tanh(Conv(self.image_shape[-1], 3, kernel_init=GLOROT)(x) / 5)


class BottleneckCritic(nn.Module):
    """A score per image, 101 layers: [B, H, W, C] -> [B].

    The score is the last linear layer's output / 5.

    Attributes:
      image_shape: (H, W, C); see `scaling.scales` for those that work.
      width: channels at the image's size, doubled with each halving (the authors': 32).
      depth: layers, from the first convolution to the linear one; see `blocks_per_scale`.
      norm: see `norms`; None for none. The authors' is layer norm under a gradient penalty.

    >>> output_shape(resnet.BottleneckCritic((8, 8, 1), width=2, depth=8), 5, 8, 8, 1)
    (5,)
    """

    image_shape: Sequence[int]
    width: int = 32
    depth: int = 101
    norm: Norm | None = layer_norm

    @property
    def rowwise(self) -> bool:
        """Whether an output depends on its own row of x alone, see `types.Network`."""
        return is_rowwise(self.norm)

    def __post_init__(self) -> None:
        _check_bottleneck(self.image_shape, self.width, self.depth)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = True) -> Array:
        """Scores images x [B, H, W, C]; with `train` False by batch norm's stored averages."""
        check_images(x, self.image_shape)
        features = self.width
        x = Conv(features, 1, kernel_init=GLOROT)(x)
        numbers = blocks_per_scale(self.depth, len(scales(self.image_shape)))
        for i, num in enumerate(reversed(numbers)):
            if i > 0:
                features *= 2
                x = BottleneckBlock(features, _half, _half_shortcut, self.norm)(x, train)
            x = _EqualBlocks(features, num, self.norm)(x, train)
        x = nn.Dense(1, kernel_init=GLOROT)(x.reshape(x.shape[0], -1))
        return jnp.squeeze(x, -1) / 5
