"""Auto-encoders as critics: BEGAN's and EBGAN's. A critic's score is an energy, low on real data.

D. Berthelot, T. Schumm, L. Metz, BEGAN: Boundary Equilibrium Generative Adversarial Networks, 2017.
J. Zhao, M. Mathieu, Y. LeCun, Energy-based Generative Adversarial Network, ICLR 2017.

The examples look at shapes, which `jax.eval_shape` finds without computing anything.

    >>> def output_shape(module, *shape):
    ...     x = jnp.zeros(shape)
    ...     return jax.eval_shape(module.init_with_output, jax.random.key(0), x)[0].shape
"""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan import numerics
from jwgan.check import require
from jwgan.models.conv import Conv, ConvTranspose
from jwgan.models.scaling import UpsampleConv, check_images, scales, upsample
from jwgan.types import Scored

Array = jax.Array
Activation = Callable[[Array], Array]
Energy = Callable[[Array], Array]  # error x - AE(x) [B, *D] -> [B]


def mean_absolute(error: Array) -> Array:
    """Averages the absolute error of each sample, BEGAN's L: [B, *D] -> [B].

    >>> autoencoder.mean_absolute(jnp.array([[3.0, -5.0]])).tolist()
    [4.0]
    """
    return jnp.abs(error).reshape(error.shape[0], -1).mean(1)


def mean_squared(error: Array) -> Array:
    """Averages the squared error of each sample: [B, *D] -> [B].

    >>> autoencoder.mean_squared(jnp.array([[3.0, -5.0]])).tolist()
    [17.0]
    """
    return (error**2).reshape(error.shape[0], -1).mean(1)


def euclidean(error: Array) -> Array:
    """Computes the Euclidean norm of each sample's error, EBGAN's energy: [B, *D] -> [B].

    Its derivative is 0 where the error is exactly 0.

    >>> autoencoder.euclidean(jnp.array([[3.0, -4.0]])).tolist()
    [5.0]
    """
    return numerics.safe_sqrt((error**2).reshape(error.shape[0], -1).sum(1))


def elu(x: Array) -> Array:
    """The exponential linear unit: x above 0, exp(x) - 1 below; derivative 1 at 0.

    It is within 1e-7 of `jax.nn.elu`. That one computes `expm1` to full accuracy near 0, which
    costs several per cent of BEGAN's step on a CPU and is lost in the sums of the next layer.

    >>> [round(autoencoder.elu(x).item(), 4) for x in jnp.array([-1.0, 0.0, 2.0])]  # 1/e - 1
    [-0.6321, 0.0, 2.0]
    """
    positive = x > 0
    return jnp.where(positive, x, jnp.exp(jnp.where(positive, 0.0, x)) - 1.0)


# ---- BEGAN ---------------------------------------------------------------------------------------


def began_scales(image_shape: Sequence[int]) -> list[tuple[int, int]]:
    """Lists the sizes of BEGAN's feature maps from the image down to 8 pixels at the smaller side.

    Images with a side below 16 go down to 4, so that there is a scale to change.

    Raises:
      ValueError: as `scaling.scales`.

    >>> autoencoder.began_scales((32, 32, 3)), autoencoder.began_scales((8, 8, 1))
    ([(32, 32), (16, 16), (8, 8)], [(8, 8), (4, 4)])
    """
    small = len(image_shape) != 3 or min(image_shape[:2]) < 16
    return scales(image_shape, smallest=4 if small else 8)


def _carry(module: nn.Module, applies: int) -> Array | None:
    """The weight of a layer's input in its output, falling from 1 to 0; None for no residuals."""
    if applies == 0:
        return None
    count = module.variable("schedule", "applies", lambda: jnp.zeros((), jnp.int32))
    carry = 1 - jnp.minimum(count.value, applies) / applies
    # Collections are mutable in a training apply only, see networks.from_linen.
    if module.is_mutable_collection("schedule") and not module.is_initializing():
        count.value = jnp.minimum(count.value + 1, applies)
    return carry


def _blend(carry: Array | None, x: Array, y: Array) -> Array:
    """Mixes a layer's input x into its output y by `carry`, if they are of the same size."""
    if carry is None or x.shape != y.shape:
        return y
    carry = carry.astype(y.dtype)
    return carry * x + (1 - carry) * y


class BEGANEncoder(nn.Module):
    """Encodes images: [B, H, W, C] -> [B, h].

    conv3 and ELU: two at each scale with n channels more at each, the first of a scale with
    stride 2; one linear layer, without activation.

    Attributes: as of `BEGANCritic`.

    >>> output_shape(autoencoder.BEGANEncoder((32, 32, 3), n=4, h=16), 5, 32, 32, 3)
    (5, 16)
    """

    image_shape: Sequence[int]
    n: int = 64
    h: int = 64
    vanishing: int = 0

    def __post_init__(self) -> None:
        _check_began(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        check_images(x, self.image_shape)
        carry = _carry(self, self.vanishing)
        num_scales = len(began_scales(self.image_shape))
        for i in range(num_scales):
            features = self.n * (i + 1)
            # Padded evenly, as other frameworks do: SAME would pad the bottom and right only.
            x = elu(Conv(features, 3, 1 if i == 0 else 2, ((1, 1), (1, 1)))(x))
            x = _blend(carry, x, elu(Conv(features, 3)(x)))
        x = _blend(carry, x, elu(Conv(features, 3)(x)))
        return nn.Dense(self.h)(x.reshape(x.shape[0], -1))


class BEGANDecoder(nn.Module):
    """Decodes codes, or generates from noise: [B, *Z] -> [B, H, W, C].

    Linear layer to n channels at the smallest scale; at each scale conv3 and ELU twice, then
    nearest-neighbour upsampling; conv3 to the image. As a generator it is the same network with
    parameters of its own, and z takes the place of the code.

    Attributes:
      image_shape: (H, W, C); see `began_scales` for those that work.
      n: channels.
      skips: whether h0, the linear layer's output, is upsampled and joined to the channels after
        each upsampling (the paper's skip connections).
      vanishing: as of `BEGANCritic`.
      final_activation: of the output; the paper names none, and None leaves it linear.

    >>> output_shape(autoencoder.BEGANDecoder((32, 32, 3), n=4), 5, 16)
    (5, 32, 32, 3)
    """

    image_shape: Sequence[int]
    n: int = 64
    skips: bool = False
    vanishing: int = 0
    final_activation: Activation | None = None

    def __post_init__(self) -> None:
        _check_began(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array) -> Array:
        """Decodes codes or noise [B, *Z]; the paper's z is uniform in [-1, 1]."""
        carry = _carry(self, self.vanishing)
        *larger, (height, width) = began_scales(self.image_shape)
        x = nn.Dense(height * width * self.n)(z.reshape(z.shape[0], -1))
        x = h0 = x.reshape(-1, height, width, self.n)
        x = self._second_conv(carry, x, elu(Conv(self.n, 3)(x)))
        for i in range(len(larger)):
            if self.skips and i > 0:
                # The paper upsamples x, then joins h0. Here both are joined first and upsampled
                # together, which is the same: so h0 must have reached the size of x.
                h0 = upsample(h0)
            joined = jnp.concatenate([x, h0], -1) if self.skips else x
            y = elu(UpsampleConv(self.n)(joined))
            x = self._second_conv(carry, x if carry is None else upsample(joined), y)
        x = Conv(self.image_shape[-1], 3)(x)
        return x if self.final_activation is None else self.final_activation(x)

    def _second_conv(self, carry: Array | None, x: Array, y: Array) -> Array:
        """The second convolution of a scale. `x` entered the first one, `y` left it."""
        y = _blend(carry, x, y)
        return _blend(carry, y, elu(Conv(self.n, 3)(y)))


class BEGANCritic(nn.Module):
    """An energy per image, mean |x - decoder(encoder(x))|: [B, H, W, C] -> [B].

    Vanishing residuals: where neither size nor channels change, a layer's output is
    carry * input + (1 - carry) * output, and carry falls linearly from 1 to 0. The count behind it
    is model state (collection "schedule"). It moves by one in every training apply whose model
    state is kept, in `adversarial.step` with n_critic = 1 twice a step for critic and generator
    alike: the paper's 16,000 steps are `vanishing=32_000`. The loss's two batches differ by one
    count. At carry 1 the bypassed layers have no gradient.

    Attributes:
      image_shape: (H, W, C); see `began_scales` for those that work.
      n: channels at the image's size; the encoder has n more at each scale, the decoder has n.
      h: dimensions of the code.
      skips: as of `BEGANDecoder`.
      vanishing: training applies until the residuals are gone; 0 is without residuals.

    >>> output_shape(autoencoder.BEGANCritic((32, 32, 3), n=4, h=16), 5, 32, 32, 3)
    (5,)
    """

    image_shape: Sequence[int]
    n: int = 64
    h: int = 64
    skips: bool = False
    vanishing: int = 0

    @property
    def rowwise(self) -> bool:
        """Whether an output depends on its own row of x alone, see `types.Network`."""
        return self.vanishing == 0  # the loss's two batches differ by one count

    def __post_init__(self) -> None:
        _check_began(self)
        super().__post_init__()

    def setup(self) -> None:
        """Makes the two halves, which `reconstruct` needs by their names."""
        shape, n = self.image_shape, self.n
        self.encoder = BEGANEncoder(shape, n, self.h, self.vanishing)
        self.decoder = BEGANDecoder(shape, n, self.skips, self.vanishing)

    def __call__(self, x: Array) -> Array:
        return mean_absolute(x - self.reconstruct(x))

    def reconstruct(self, x: Array) -> Array:
        """Computes decoder(encoder(x)) [B, H, W, C]: `module.apply(..., method="reconstruct")`."""
        return self.decoder(self.encoder(x))


def _check_began(module: BEGANEncoder | BEGANDecoder | BEGANCritic) -> None:
    began_scales(module.image_shape)
    for name in ("n", "h"):
        value = getattr(module, name, 1)
        require(value >= 1, name, value, "give a number of channels or dimensions >= 1")
    remedy = "give a number of training applies > 0, or 0 for no residuals"
    require(module.vanishing >= 0, "vanishing", module.vanishing, remedy)


# ---- EBGAN ---------------------------------------------------------------------------------------


class EBGANMLPCritic(nn.Module):
    """An energy and a code per sample: x [B, *D] -> Scored([B], [B, H]).

    It is a fully connected auto-encoder with ReLU, its code the last encoder layer; linear output.
    The paper searches depth and width of such networks on MNIST, and normalises most layers over
    the batch. Here nothing is normalised, so that an energy belongs to one sample. The generator
    beside it is `mlp.MLPGenerator`.

    Attributes:
      features: widths of the encoder's layers; the last is H. The decoder mirrors them.
      energy: of the error x - AE(x), [B, *D] -> [B]; the margin is in its units. The paper's
        equation is the Euclidean norm, and a margin of 10 fits that.

    >>> critic = autoencoder.EBGANMLPCritic(features=(8, 3))
    >>> out, _ = critic.init_with_output(jax.random.key(0), jnp.ones((5, 2)))
    >>> out.score.shape, out.code.shape
    ((5,), (5, 3))
    """

    features: Sequence[int] = (1024,)
    energy: Energy = euclidean

    rowwise = True  # see `types.Network`

    def __post_init__(self) -> None:
        good = len(self.features) > 0 and min(self.features) >= 1
        require(good, "features", self.features, "give at least one width, all positive")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> Scored:
        y = x.reshape(x.shape[0], -1)
        for width in self.features:
            y = code = nn.relu(nn.Dense(width, kernel_init=nn.initializers.he_normal())(y))
        for width in reversed(self.features[:-1]):
            y = nn.relu(nn.Dense(width, kernel_init=nn.initializers.he_normal())(y))
        y = nn.Dense(math.prod(x.shape[1:]))(y).reshape(x.shape)
        return Scored(self.energy(x - y), code)


class EBGANConvCritic(nn.Module):
    """An energy and a code per image: [B, H, W, C] -> Scored([B], [B, H']).

    conv4 of stride 2 and leaky ReLU down, the same transposed up to a linear output: the paper's
    64-128-256 for 64x64 photographs. The code is the last encoder layer, flattened. No batch norm,
    as in `EBGANMLPCritic`.

    Attributes:
      image_shape: (H, W, C), H and W divisible by 2**len(widths).
      widths: channels of the encoder's layers.
      slope: of the leaky ReLU at negative inputs.
      energy: as of `EBGANMLPCritic`.

    >>> critic = autoencoder.EBGANConvCritic((8, 8, 1), widths=(2, 4))
    >>> images = jnp.zeros((5, 8, 8, 1))
    >>> out, _ = jax.eval_shape(critic.init_with_output, jax.random.key(0), images)
    >>> out.score.shape, out.code.shape  # 2 x 2 pixels of 4 channels
    ((5,), (5, 16))
    """

    image_shape: Sequence[int]
    widths: Sequence[int] = (64, 128, 256)
    slope: float = 0.2
    energy: Energy = euclidean

    rowwise = True  # see `types.Network`

    def __post_init__(self) -> None:
        require(len(self.widths) > 0, "widths", self.widths, "give at least one width")
        shape, step = self.image_shape, 2 ** len(self.widths)
        good = len(shape) == 3 and min(shape) >= 1 and not shape[0] % step and not shape[1] % step
        remedy = f"give (H, W, C) with H and W divisible by {step}; pad the images or take fewer"
        require(good, "image_shape", shape, remedy + " widths")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> Scored:
        check_images(x, self.image_shape)
        y = x
        for width in self.widths:
            y = nn.leaky_relu(Conv(width, 4, 2)(y), self.slope)
        code = y.reshape(y.shape[0], -1)
        for width in reversed(self.widths[:-1]):
            y = nn.leaky_relu(ConvTranspose(width, 4, 2)(y), self.slope)
        y = ConvTranspose(x.shape[-1], 4, 2)(y)
        return Scored(self.energy(x - y), code)
