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

from collections.abc import Callable

import flax.linen as nn
import jax

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


def normalised(norm: Norm | None, x: Array, train: bool) -> Array:
    """Passes `x` through a new layer of the calling (compact) module; None leaves it as it is.

    >>> norms.normalised(None, x, train=True) is x
    True
    """
    return x if norm is None else norm(use_running_average=not train)(x)
