"""Fully connected critic and generator, for points and other small data."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.models.labels import Head, scored
from jwgan.models.norms import Norm, is_rowwise, normalised, require_label

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
      norm: None, `norms.batch_norm`, `norms.layer_norm` or another `Norm`, of every hidden layer
        before its activation.

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
    norm: Norm | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool = True, label: Array | None = None) -> Any:
        """Maps samples [B, *D] -> [B, num_out].

        Args:
          x: samples [B, *D].
          train: False makes batch norm use its stored averages; else without effect.
          label: [B], of an MLP with conditional batch norm.
        """
        require(x.ndim >= 2, "x.shape", x.shape, "must be [B, *D]; add a batch axis")
        require_label(self.norm, label)
        x = x.reshape(x.shape[0], -1)
        for width in self.features:
            x = self.activation(normalised(self.norm, self._dense(width)(x), train, label))
        y = self._dense(self.num_out)(x)
        return (y, x) if self.with_hidden else y

    def _dense(self, width: int) -> nn.Dense:
        return nn.Dense(width, kernel_init=self.kernel_init, dtype=self.dtype)


class MLPCritic(nn.Module):
    """A score per sample: [B, *D] -> [B], for any D.

    Attributes: as of `MLP`, and `head`, see `labels`: with it the critic scores (x, label). Batch
      norm and a gradient penalty do not go together; layer norm does.

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
    norm: Norm | None = None

    @property
    def rowwise(self) -> bool:
        """Whether an output depends on its own row of x alone, see `types.Network`."""
        return is_rowwise(self.norm)

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, train: bool = True) -> Any:
        """Scores samples [B, *D] -> [B]; `label` [B] is for a head, `train` as of `MLP`."""
        net = MLP(1, self.features, self.activation, self.kernel_init, self.dtype, True, self.norm)
        y, features = net(x, train)
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
    norm: Norm | None = None

    def __post_init__(self) -> None:
        shape = self.data_shape
        good = isinstance(shape, Sequence) and len(shape) > 0 and all(n >= 1 for n in shape)
        require(good, "data_shape", shape, "give at least one size, all positive, as in (2,)")
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, train: bool = True, label: Array | None = None) -> Array:
        """Generates data [B, *data_shape] from noise [B, *Z]; `train`, `label` as of `MLP`."""
        num_out, init = math.prod(self.data_shape), self.kernel_init
        net = MLP(num_out, self.features, self.activation, init, self.dtype, norm=self.norm)
        x = net(z, train, label)
        x = x if self.final_activation is None else self.final_activation(x)
        return x.reshape(z.shape[0], *self.data_shape)
