"""Normalisation layers as arguments of a network.

A `Norm` is a function that makes a layer; a network calls it as `norm(use_running_average=not
train)`, wherever its paper normalises. None means no normalisation. A critic whose gradient is
penalised must not normalise over the batch: take `layer_norm` or None.

The examples normalise two images of one row, two pixels and one channel:

    >>> x = jnp.array([1.0, 3.0, 5.0, 7.0]).reshape(2, 1, 2, 1)
    >>> def normal(norm):
    ...     layer = norm(use_running_average=False)
    ...     y, _ = layer.init_with_output(jax.random.key(0), x)
    ...     return [round(value.item(), 2) for value in y.ravel()]
"""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan import numerics
from jwgan.check import require

Array = jax.Array
Norm = Callable[..., nn.Module]


def batch_norm(*, use_running_average: bool) -> nn.Module:
    """Normalises over batch and space; one scale and bias per channel, averages in model state.

    The averages are those of Flax's layer, 0.9 of the old and 0.1 of the batch's. The variance that
    is kept is the batch's own, with which training divides; the paper and PyTorch keep it times
    n / (n - 1), n = B H W (8 images of 11 x 11: 1.001). So a single value has variance 0 and not
    infinity, and runs recorded with these layers stay what they are.

    Reference: Ioffe and Szegedy, 2015, Batch Normalization.

    >>> normal(norms.batch_norm)
    [-1.34, -0.45, 0.45, 1.34]
    """
    return nn.BatchNorm(use_running_average=use_running_average, momentum=0.9, epsilon=1e-5)


def layer_norm(*, use_running_average: bool) -> nn.Module:
    """Normalises over height, width and channels of each sample; one scale and bias per channel.

    The WGAN-GP authors put it in place of the critic's batch norm. (Ba et al., 2016, have a scale
    for every unit; the WGAN-GP code has one per channel, as here.)

    >>> normal(norms.layer_norm)
    [-1.0, 1.0, -1.0, 1.0]
    """
    del use_running_average  # samples are normalised alone: there is nothing to remember
    axes = (-3, -2, -1)
    return nn.LayerNorm(epsilon=1e-5, reduction_axes=axes, feature_axes=-1, use_fast_variance=False)


def instance_norm(*, use_running_average: bool) -> nn.Module:
    """Normalises over height and width of each sample and channel; one scale and bias per channel.

    On feature maps of one pixel it is constant, and kills the gradient.

    Reference: Ulyanov, Vedaldi and Lempitsky, 2016, Instance Normalization.

    >>> normal(norms.instance_norm)
    [-1.0, 1.0, -1.0, 1.0]
    """
    del use_running_average
    return nn.InstanceNorm(epsilon=1e-5, use_fast_variance=False)


class ConditionalBatchNorm(nn.Module):
    """Batch norm with a scale and a bias for each class and channel: (x [B, ..., C], label [B]).

    Attributes:
      classes: K; parameters are [K, C].
      use_running_average: whether to normalise by the stored averages.

    >>> layer, label = norms.ConditionalBatchNorm(3, use_running_average=False), jnp.array([0, 2])
    >>> variables = layer.init(jax.random.key(0), x, label)
    >>> jax.tree.map(jnp.shape, variables["params"])
    {'bias': (3, 1), 'scale': (3, 1)}
    """

    classes: int
    use_running_average: bool

    @nn.compact
    def __call__(self, x: Array, label: Array) -> Array:
        plain = nn.BatchNorm(
            use_running_average=self.use_running_average,
            momentum=0.9,
            epsilon=1e-5,
            use_bias=False,
            use_scale=False,
        )
        shape, hot = (self.classes, x.shape[-1]), numerics.one_hot(label, self.classes, x.dtype)

        def of_label(table: Array) -> Array:  # [K, C] -> [B, 1, ..., C]
            # A product with ones and zeros; in float32 it must be the row, and nothing near it.
            rows = jnp.matmul(hot, table, precision=jax.lax.Precision.HIGHEST)
            return rows.reshape(x.shape[0], *[1] * (x.ndim - 2), -1)

        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        return plain(x) * of_label(scale) + of_label(bias)


@dataclasses.dataclass(frozen=True)
class ConditionalNorm:
    """A `Norm` whose layers read labels; see `conditional_batch_norm`.

    >>> norms.ConditionalNorm(1)(use_running_average=False) == norms.batch_norm(
    ...     use_running_average=False
    ... )
    True
    """

    classes: int

    def __call__(self, *, use_running_average: bool) -> nn.Module:
        """Makes a layer; with a single class it is that of `batch_norm`."""
        if self.classes == 1:
            return batch_norm(use_running_average=use_running_average)
        return ConditionalBatchNorm(self.classes, use_running_average)


def conditional_batch_norm(classes: int) -> ConditionalNorm:
    """Batch norm whose scale and bias per channel belong to the label: a generator's conditioning.

    All classes are normalised together. With a single class it is `batch_norm`.

    Args:
      classes: K >= 1; a label outside of 0 to K - 1 makes the output NaN.

    Raises:
      ValueError: classes is below 1.

    Reference: Dumoulin, Shlens and Kudlur, 2017, A Learned Representation for Artistic Style;
    Miyato and Koyama, 2018, cGANs with Projection Discriminator, section 5.

    >>> norms.conditional_batch_norm(3).classes
    3
    """
    require(classes >= 1, "classes", classes, "give at least one class")
    return ConditionalNorm(classes)


def is_rowwise(norm: Norm | None) -> bool:
    """Whether a norm of this module normalises each sample alone; of another one nothing is known.

    >>> [norms.is_rowwise(norm) for norm in (None, norms.layer_norm, norms.batch_norm)]
    [True, True, False]
    """
    return norm in (None, layer_norm, instance_norm)


def require_label(norm: Norm | None, label: Array | None) -> None:
    """Raises ValueError unless labels are given to a generator with a conditional norm, and only
    to such a one.

    >>> norms.require_label(norms.batch_norm, jnp.array([1]))
    Traceback (most recent call last):
    ValueError: label is 'given': the norm reads none; give norms.conditional_batch_norm(classes)
    """
    if isinstance(norm, ConditionalNorm):
        require(label is not None, "label", label, "a conditional norm needs one for each sample")
    else:
        remedy = "the norm reads none; give norms.conditional_batch_norm(classes)"
        require(label is None, "label", "given", remedy)


def normalised(norm: Norm | None, x: Array, train: bool, label: Array | None = None) -> Array:
    """Passes `x` through a new layer of the calling (compact) module; None leaves it as it is.

    Features [B, F] are normalised as the channels of images of one pixel.

    >>> norms.normalised(None, x, train=True) is x
    True
    """
    if norm is None:
        return x
    layer = norm(use_running_average=not train)
    # A layer norm's axes are those of feature maps: features have a height and a width of 1.
    maps = x[:, None, None, :] if x.ndim == 2 else x
    y = layer(maps, label) if isinstance(layer, ConditionalBatchNorm) else layer(maps)
    return y.reshape(x.shape)
