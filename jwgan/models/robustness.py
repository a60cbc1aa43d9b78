"""The architectures on which WGAN-GP showed that it trains what others do not.

I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville, Improved Training of Wasserstein
GANs, NeurIPS 2017: the seven pairs of figure 2, and the 200 drawn at random of table 1. Each is a
function to (critic, generator), two Linen modules that differ from the baseline in the named part.

A critic's norm is layer norm unless given: the paper's, under a gradient penalty. For the members
that it was compared with (DCGAN, LSGAN, clipping) give `norms.batch_norm`. Call the modules with
`train`: `networks.from_linen(module, **networks.TRAIN_ARGUMENT)`.

>>> def output_shape(module, *x):
...     make = lambda x: module.init_with_output(jax.random.key(0), x)[0]
...     return jax.eval_shape(make, jax.ShapeDtypeStruct(x, "float32")).shape
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jwgan.check import require
from jwgan.models.conv import Conv, ConvTranspose
from jwgan.models.mlp import MLPGenerator
from jwgan.models.norms import Norm, batch_norm, is_rowwise, layer_norm, normalised
from jwgan.models.resnet import BottleneckCritic, BottleneckGenerator
from jwgan.models.scaling import check_images, scales

Array = jax.Array
Activation = Callable[[Array], Array]
Pair = tuple[nn.Module, nn.Module]  # critic, generator

leaky_relu = functools.partial(nn.leaky_relu, negative_slope=0.2)


def gated(x: Array) -> Array:
    """Gates one half of the channels by the other, sigmoid(a) tanh(b): [..., 2C] -> [..., C].

    >>> robustness.gated(jnp.array([0.0, jnp.inf])).item()
    0.5
    """
    a, b = jnp.split(x, 2, axis=-1)
    return nn.sigmoid(a) * jnp.tanh(b)


def shifted_softplus(x: Array) -> Array:
    """A smooth ReLU from -1 up: softplus(2x + 2) / 2 - 1.

    >>> [round(robustness.shifted_softplus(x), 3).item() for x in (-20.0, 20.0)]
    [-1.0, 20.0]
    """
    return nn.softplus(2 * x + 2) / 2 - 1


# ---- one critic, one generator -------------------------------------------------------------------


class ConvCritic(nn.Module):
    """A score per image: [B, H, W, C] -> [B].

    A conv5 of stride 2 for each scale, each perhaps followed by conv3s that keep the size, and one
    linear layer. Norm and activation after every convolution, no norm after the first. A layer in
    front of a norm has no bias: the norm has one.

    Attributes:
      image_shape: (H, W, C); see `scaling.scales` for those that work.
      widths: channels after each halving, as many as there are.
      plain: convolutions that keep the size after each halving, as many.
      activation: after every convolution.
      expansion: channels that the activation takes for each that it leaves: 2 for `gated`.
      norm: see `norms`; None for none.

    >>> output_shape(robustness.ConvCritic((16, 16, 3), widths=[8, 16], plain=[0, 1]), 5, 16, 16, 3)
    (5,)
    >>> robustness.ConvCritic((16, 16, 3), widths=[8])
    Traceback (most recent call last):
    ValueError: widths is [8]: give one number of channels >= 1 for each of 2 halvings
    """

    image_shape: Sequence[int]
    widths: Sequence[int]
    plain: Sequence[int] = ()
    activation: Activation = leaky_relu
    expansion: int = 1
    norm: Norm | None = None

    @property
    def rowwise(self) -> bool:
        """Whether an output depends on its own row of x alone, see `types.Network`."""
        return is_rowwise(self.norm)

    def __post_init__(self) -> None:
        _check_widths(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = True) -> Array:
        """Scores images x [B, H, W, C]; with `train` False by batch norm's stored averages."""
        check_images(x, self.image_shape)
        plain, bias = self.plain or [0] * len(self.widths), self.norm is None
        for level, (width, num) in enumerate(zip(self.widths, plain, strict=True)):
            features = self.expansion * width
            # The first convolution has no norm after it, so it keeps its bias.
            x = Conv(features, 5, 2, use_bias=bias or level == 0)(x)
            x = self.activation(normalised(self.norm if level > 0 else None, x, train))
            for _ in range(num):
                x = Conv(features, 3, use_bias=bias)(x)
                x = self.activation(normalised(self.norm, x, train))
        return jnp.squeeze(nn.Dense(1)(x.reshape(x.shape[0], -1)), -1)


class ConvGenerator(nn.Module):
    """Images in [-1, 1] from noise: [B, *Z] -> [B, H, W, C].

    The critic in reverse: a linear layer to the smallest scale, then for each doubling perhaps
    conv3s that keep the size and a transposed conv5 of stride 2; tanh. Norm and activation after
    every layer but the last, and no bias where there is a norm.

    Attributes:
      image_shape: (H, W, C); see `scaling.scales` for those that work.
      widths: channels before each doubling, smallest scale first, as many as there are.
      plain: convolutions that keep the size before each doubling, as many.
      activation: after every layer but the last.
      expansion: channels that the activation takes for each that it leaves: 2 for `gated`.
      norm: see `norms`; None for none.

    >>> output_shape(robustness.ConvGenerator((16, 16, 3), widths=[16, 8], plain=[1, 0]), 5, 10)
    (5, 16, 16, 3)
    """

    image_shape: Sequence[int]
    widths: Sequence[int]
    plain: Sequence[int] = ()
    activation: Activation = nn.relu
    expansion: int = 1
    norm: Norm | None = batch_norm

    def __post_init__(self) -> None:
        _check_widths(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, train: bool = True) -> Array:
        """Generates images from z [B, *Z]; with `train` False by batch norm's stored averages."""
        (height, width), bias = scales(self.image_shape)[-1], self.norm is None
        features = [self.expansion * width for width in self.widths]
        plain = self.plain or [0] * len(features)
        x = nn.Dense(height * width * features[0], use_bias=bias)(z.reshape(z.shape[0], -1))
        x = x.reshape(-1, height, width, features[0])
        for level, num in enumerate(plain):
            if level > 0:
                x = ConvTranspose(features[level], 5, 2, use_bias=bias)(x)
            x = self.activation(normalised(self.norm, x, train))
            for _ in range(num):
                x = Conv(features[level], 3, use_bias=bias)(x)
                x = self.activation(normalised(self.norm, x, train))
        return jnp.tanh(ConvTranspose(self.image_shape[-1], 5, 2)(x))


def _check_widths(module: ConvCritic | ConvGenerator) -> None:
    levels = len(scales(module.image_shape)) - 1
    remedy = f"give one number of channels >= 1 for each of {levels} halvings"
    good = len(module.widths) == levels and min(module.widths) >= 1
    require(good, "widths", module.widths, remedy)
    good = len(module.plain) in (0, levels) and all(n >= 0 for n in module.plain)
    require(good, "plain", module.plain, f"give {levels} numbers of layers, or () for none")


def _doubled(image_shape: Sequence[int], width: int) -> list[int]:
    """The channels of DCGAN's layers, from the image down: doubled with each halving."""
    return [width * 2**level for level in range(len(scales(image_shape)) - 1)]


# ---- the seven pairs -----------------------------------------------------------------------------


def baseline(
    image_shape: Sequence[int], width: int = 64, critic_norm: Norm | None = layer_norm
) -> Pair:
    """Pair 1, DCGAN: leaky ReLU in the critic, ReLU and batch norm in the generator.

    >>> critic, generator = robustness.baseline((32, 32, 3))
    >>> critic.widths, generator.widths
    ([64, 128, 256], [256, 128, 64])
    """
    widths = _doubled(image_shape, width)
    critic = ConvCritic(image_shape, widths, norm=critic_norm)
    return critic, ConvGenerator(image_shape, widths[::-1])


def constant_filters(
    image_shape: Sequence[int], width: int = 64, critic_norm: Norm | None = layer_norm
) -> Pair:
    """Pair 2: no batch norm and a constant number of filters in the generator.

    >>> critic, generator = robustness.constant_filters((32, 32, 3))
    >>> critic.widths, generator.widths, generator.norm
    ([64, 128, 256], [64, 64, 64], None)
    """
    critic, _ = baseline(image_shape, width, critic_norm)
    widths = [width] * (len(scales(image_shape)) - 1)
    return critic, ConvGenerator(image_shape, widths, norm=None)


def mlp_generator(
    image_shape: Sequence[int],
    width: int = 64,
    critic_norm: Norm | None = layer_norm,
    features: Sequence[int] = (512, 512, 512, 512),
) -> Pair:
    """Pair 3: a ReLU MLP of 4 layers of 512 as the generator, against the convolutional critic.

    It takes no `train` argument: `networks.from_linen(generator)`.

    >>> critic, generator = robustness.mlp_generator((32, 32, 3))
    >>> generator.features, output_shape(generator, 5, 10)
    ((512, 512, 512, 512), (5, 32, 32, 3))
    """
    critic, _ = baseline(image_shape, width, critic_norm)
    return critic, MLPGenerator(image_shape, features, final_activation=jnp.tanh)


def no_normalisation(image_shape: Sequence[int], width: int = 64) -> Pair:
    """Pair 4: no normalisation in either.

    >>> [module.norm for module in robustness.no_normalisation((32, 32, 3))]
    [None, None]
    """
    critic, generator = baseline(image_shape, width, None)
    return critic, generator.clone(norm=None)


def gated_everywhere(
    image_shape: Sequence[int], width: int = 64, critic_norm: Norm | None = layer_norm
) -> Pair:
    """Pair 5: gated multiplicative nonlinearities in both, after convolutions twice as wide.

    >>> critic, generator = robustness.gated_everywhere((32, 32, 3))
    >>> critic.activation.__name__, generator.expansion, output_shape(generator, 5, 10)
    ('gated', 2, (5, 32, 32, 3))
    """
    critic, generator = baseline(image_shape, width, critic_norm)
    return tuple(m.clone(activation=gated, expansion=2) for m in (critic, generator))


def tanh_everywhere(
    image_shape: Sequence[int], width: int = 64, critic_norm: Norm | None = layer_norm
) -> Pair:
    """Pair 6: tanh in place of every nonlinearity in both.

    >>> [module.activation is jnp.tanh for module in robustness.tanh_everywhere((32, 32, 3))]
    [True, True]
    """
    critic, generator = baseline(image_shape, width, critic_norm)
    return tuple(m.clone(activation=jnp.tanh) for m in (critic, generator))


def resnet_101(
    image_shape: Sequence[int],
    width: int = 64,
    critic_norm: Norm | None = layer_norm,
    depth: int = 101,
) -> Pair:
    """Pair 7: 101-layer ResNets for both; half of `width` channels at the image's size.

    >>> critic, generator = robustness.resnet_101((32, 32, 3))
    >>> critic.depth, critic.width, generator.depth
    (101, 32, 101)
    """
    critic = BottleneckCritic(image_shape, width // 2, depth, critic_norm)
    return critic, BottleneckGenerator(image_shape, width // 2, depth)


# ---- architectures at random ---------------------------------------------------------------------


class Choice(NamedTuple):
    """One player of a random architecture."""

    activation: Activation
    depth: int  # layers with weights
    normalise: bool
    filters: int  # channels next to the image, doubled with each halving


ACTIVATIONS = (nn.relu, leaky_relu, shifted_softplus, jnp.tanh)
DEPTHS = (4, 8, 12, 20)
FILTERS = (32, 64, 128)


def random_choices(
    seed: int, filters: Sequence[int] = FILTERS, depths: Sequence[int] = DEPTHS
) -> tuple[Choice, Choice]:
    """Draws (critic, generator), every entry evenly and independently; a function of `seed`.

    >>> critic, generator = robustness.random_choices(seed=0)
    >>> critic == robustness.random_choices(seed=0)[0], critic.depth in robustness.DEPTHS
    (True, True)
    """
    rng = np.random.default_rng(seed)

    def draw() -> Choice:
        return Choice(
            activation=ACTIVATIONS[rng.integers(len(ACTIVATIONS))],
            depth=int(depths[rng.integers(len(depths))]),
            normalise=bool(rng.integers(2)),
            filters=int(filters[rng.integers(len(filters))]),
        )

    return draw(), draw()


def _plain_layers(image_shape: Sequence[int], depth: int) -> list[int]:
    """The number of size-keeping layers at each scale, smallest first.

    They are as even as can be; the smaller scales take what is over.
    """
    levels = len(scales(image_shape)) - 1
    remedy = f"an image {tuple(image_shape)} needs {levels + 1} layers or more"
    require(depth > levels, "depth", depth, remedy)
    base, extra = divmod(depth - levels - 1, levels)
    return [base + (i < extra) for i in range(levels)]


def from_choices(
    image_shape: Sequence[int],
    critic: Choice,
    generator: Choice,
    critic_norm: Norm | None = layer_norm,
) -> Pair:
    """Makes the networks of two choices.

    The paper does not say where the added layers of a deeper network go: here they are conv3s
    spread evenly over the scales. For 32x32 a depth of 4 is the baseline.

    >>> deep = robustness.Choice(jnp.tanh, depth=12, normalise=False, filters=32)
    >>> critic, generator = robustness.from_choices((32, 32, 3), deep, deep)
    >>> critic.widths, critic.plain, critic.norm  # 3 halvings, 8 layers between them, 1 linear
    ([32, 64, 128], [2, 3, 3], None)
    """
    plain = _plain_layers(image_shape, critic.depth)[::-1]
    norm = critic_norm if critic.normalise else None
    widths = _doubled(image_shape, critic.filters)
    first = ConvCritic(image_shape, widths, plain, critic.activation, norm=norm)
    plain = _plain_layers(image_shape, generator.depth)
    norm = batch_norm if generator.normalise else None
    widths = _doubled(image_shape, generator.filters)[::-1]
    return first, ConvGenerator(image_shape, widths, plain, generator.activation, norm=norm)


def random_architecture(
    seed: int,
    image_shape: Sequence[int],
    *,
    critic_norm: Norm | None = layer_norm,
    filters: Sequence[int] = FILTERS,
    depths: Sequence[int] = DEPTHS,
) -> Pair:
    """Makes a random (critic, generator) of table 1; `random_choices(seed)` says which they are.

    Args:
      seed: 0, 1, ..., 199 for the paper's number of architectures.
      image_shape: (H, W, C); the paper's is (32, 32, 3).
      critic_norm: of a critic that normalises.
      filters: to draw the channels next to the image from; the paper's by default.
      depths: to draw the number of layers from; the paper's by default.

    >>> critic, generator = robustness.random_architecture(0, (32, 32, 3))
    >>> first, second = robustness.random_choices(0)
    >>> critic.widths[0] == first.filters, generator.activation == second.activation
    (True, True)
    """
    return from_choices(image_shape, *random_choices(seed, filters, depths), critic_norm)
