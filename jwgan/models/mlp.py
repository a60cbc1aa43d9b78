"""Fully connected critic and generator, for points and other small data."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.models.labels import Head, scored

Array = jax.Array
Activation = Callable[[Array], Array]
Initializer = Callable[[Array, Sequence[int], Any], Array]


class MLP(nn.Module):
    """A multilayer perceptron, hidden layers and one linear layer: [B, *D] -> [B, num_out].

    Attributes:
      num_out: outputs.
      features: widths of the hidden layers; () is a linear map.
      activation: of the hidden layers.
      kernel_init: of every kernel. The default is He-normal (He et al., 2015, ICCV), made for ReLU
        and used in the toy experiments of Gulrajani et al., 2017 (NeurIPS).
      dtype: of the computation; None promotes the input's and the parameters'.
      with_hidden: whether to return (output, input of the last layer [B, F]).

    >>> module = mlp.MLP(num_out=1, features=(8, 8))
    >>> params = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((4, 2)))["params"]
    >>> [layer["kernel"].shape for layer in params.values()]
    [(2, 8), (8, 8), (8, 1)]
    """

    num_out: int
    features: Sequence[int] = (512, 512, 512)
    activation: Activation = nn.relu
    kernel_init: Initializer = nn.initializers.he_normal()
    dtype: Any = None
    with_hidden: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Any:
        require(x.ndim >= 2, "x.shape", x.shape, "must be [B, *D]; add a batch axis")
        x = x.reshape(x.shape[0], -1)
        for width in self.features:
            x = self.activation(self._dense(width)(x))
        y = self._dense(self.num_out)(x)
        return (y, x) if self.with_hidden else y

    def _dense(self, width: int) -> nn.Dense:
        return nn.Dense(width, kernel_init=self.kernel_init, dtype=self.dtype)


class MLPCritic(nn.Module):
    """A score per sample: [B, *D] -> [B], for any D.

    Attributes: as of `MLP`, and `head`, see `labels`: with it the critic scores (x, label).

    >>> critic = jwgan.from_linen(mlp.MLPCritic(features=()))  # a linear critic
    >>> params, _ = critic.init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> params["MLP_0"]["Dense_0"]["kernel"] = jnp.array([[3.0], [4.0]])
    >>> critic.evaluate(params, {}, jnp.ones((2, 2))).tolist()
    [7.0, 7.0]
    """

    features: Sequence[int] = (512, 512, 512)
    activation: Activation = nn.relu
    kernel_init: Initializer = nn.initializers.he_normal()
    dtype: Any = None
    head: Head | None = None

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None) -> Any:
        net = MLP(1, self.features, self.activation, self.kernel_init, self.dtype, True)
        y, features = net(x)
        # Scores are [B]: [B, 1] would broadcast against [B].
        return scored(self.head, jnp.squeeze(y, -1), features, label)


class MLPGenerator(nn.Module):
    """Data from noise: [B, *Z] -> [B, *data_shape].

    Attributes:
      data_shape: shape of one sample, for example (2,) or (28, 28, 1).
      features: as of `MLP`, like the rest.
      final_activation: of the output, for example `jnp.tanh`; None leaves it as it is.

    Raises:
      ValueError: on an empty `data_shape` or one with a size below 1.

    >>> generator = mlp.MLPGenerator((28, 28, 1), features=(8,), final_activation=jnp.tanh)
    >>> z = jnp.zeros((5, 3))
    >>> jax.eval_shape(generator.init_with_output, jax.random.key(0), z)[0].shape
    (5, 28, 28, 1)
    """

    data_shape: Sequence[int]
    features: Sequence[int] = (512, 512, 512)
    activation: Activation = nn.relu
    final_activation: Activation | None = None
    kernel_init: Initializer = nn.initializers.he_normal()
    dtype: Any = None

    def __post_init__(self) -> None:
        shape = self.data_shape
        good = isinstance(shape, Sequence) and len(shape) > 0 and all(n >= 1 for n in shape)
        require(good, "data_shape", shape, "give at least one size, all positive, as in (2,)")
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array) -> Array:
        num_out = math.prod(self.data_shape)
        x = MLP(num_out, self.features, self.activation, self.kernel_init, self.dtype)(z)
        x = x if self.final_activation is None else self.final_activation(x)
        return x.reshape(z.shape[0], *self.data_shape)
