r"""Critics that are 1-Lipschitz by construction: orthonormal weights, sorting activations.

A weight of spectral norm 1 and ReLU bound the gradient's norm from above only, and waste it: such a
network with gradient norm 1 everywhere is linear. Weights with orthonormal rows or columns and an
activation that permutes its inputs keep the norm, and can approximate every 1-Lipschitz function.
The norm is the Euclidean one, of the flattened sample.

C. Anil, J. Lucas, R. Grosse, Sorting Out Lipschitz Function Approximation, ICML 2019.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jwgan.check import require

Array = jax.Array
Activation = Callable[[Array], Array]
Initializer = Callable[[Array, Sequence[int], Any], Array]

_TINY = 1e-12  # smaller than the norm of any weight in use, so that 0 / _TINY is 0 and not NaN


def maxmin(x: Array) -> Array:
    """Sorts neighbouring features, (a, b) -> (max, min): [..., F] -> [..., F].

    Raises:
      ValueError: F is odd.

    >>> lipschitz.maxmin(jnp.array([1.0, 2.0, 4.0, 3.0])).tolist()
    [2.0, 1.0, 4.0, 3.0]
    """
    require(x.shape[-1] % 2 == 0, "x.shape", x.shape, "MaxMin pairs features: make them even")
    a, b = x[..., ::2], x[..., 1::2]
    pairs = jnp.stack([jnp.maximum(a, b), jnp.minimum(a, b)], -1)
    return pairs.reshape(x.shape)


def group_sort(group_size: int) -> Activation:
    """Makes an activation that sorts each group of neighbouring features: [..., F] -> [..., F].

    Raises:
      ValueError: group_size below 1, or, when called, not a divisor of F.

    >>> lipschitz.group_sort(2)(jnp.array([2.0, 1.0, 4.0, 3.0])).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    require(group_size >= 1, "group_size", group_size, "give the number of features in a group")

    def sort(x: Array) -> Array:
        remedy = f"its last axis must be divisible by group_size {group_size}"
        require(x.shape[-1] % group_size == 0, "x.shape", x.shape, remedy)
        groups = x.reshape(*x.shape[:-1], -1, group_size)
        return jnp.sort(groups, axis=-1).reshape(x.shape)

    return sort


def full_sort(x: Array) -> Array:
    """Sorts all features: [..., F] -> [..., F].

    >>> lipschitz.full_sort(jnp.array([2.0, 4.0, 1.0, 3.0])).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    return jnp.sort(x, axis=-1)


def bjorck(w: Array, iterations: int = 20) -> Array:
    r"""Finds the nearest matrix with orthonormal columns (rows, if it is wide): [N, M] -> [N, M].

    $W \leftarrow \frac32 W - \frac12 W W^\top W$, from $W / \sqrt{\|W\|_1 \|W\|_\infty}$, whose
    singular values are at most 1. They rise towards 1 and never pass it, so the result is
    1-Lipschitz after any number of iterations; small ones only grow by 3/2 in each. Exactly
    differentiable, as a composition of its steps.

    Args:
      w: matrix; zeros stay zeros.
      iterations: 15 to 20 for a weight that started orthogonal.

    Raises:
      ValueError: w is no matrix.

    Reference: Bjorck and Bowie, 1971, An Iterative Algorithm for Computing the Best Estimate of an
    Orthogonal Matrix.

    A rotation times 3 becomes the rotation:

    >>> np.array(lipschitz.bjorck(jnp.array([[0.0, -3.0], [3.0, 0.0]]))).round(4).tolist()
    [[0.0, -1.0], [1.0, 0.0]]
    """
    require(w.ndim == 2, "w.shape", w.shape, "give a matrix")
    size = jnp.abs(w)
    scale = jnp.maximum(_largest(size.sum(0)) * _largest(size.sum(1)), _TINY**2)
    tall = w.shape[0] >= w.shape[1]

    def step(w: Array, _: None) -> tuple[Array, None]:
        gram = _product(w.T, w) if tall else _product(w, w.T)
        return 1.5 * w - 0.5 * (_product(w, gram) if tall else _product(gram, w)), None

    return lax.scan(step, w / jnp.sqrt(scale), length=iterations)[0]


def _largest(x: Array) -> Array:
    # By index: the derivative of x.max() divides by the number of entries that equal it. A compiler
    # may sum x a second time for that, in another order, and then none does: 0 / 0, on an H100.
    return x[jnp.argmax(x)]


def _product(a: Array, b: Array) -> Array:
    # accelerators round a product's factors to 8 or 11 bits unless told not to
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


class OrthonormalDense(nn.Module):
    """A dense layer x W + b with W made orthonormal in the forward pass: [B, N] -> [B, features].

    Parameters: "kernel" [N, features], of which `bjorck` makes W, and "bias" [features].

    Attributes:
      features: outputs.
      iterations: of `bjorck`.
      kernel_init: initialiser; an orthogonal one lets the iteration converge from the start.

    >>> x = jnp.array([[3.0, 4.0]])
    >>> y, _ = lipschitz.OrthonormalDense(2).init_with_output(jax.random.key(0), x)
    >>> round(jnp.linalg.norm(y).item(), 4)  # norms are kept
    5.0
    """

    features: int
    iterations: int = 20
    kernel_init: Initializer = nn.initializers.orthogonal()

    def __post_init__(self) -> None:
        require(self.iterations >= 1, "iterations", self.iterations, "give 15 to 20")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return _product(x, bjorck(kernel, self.iterations)) + bias[None]


class UnitDense(nn.Module):
    """A linear score x w / |w| + b: [B, N] -> [B], exactly 1-Lipschitz.

    Parameters: "kernel" [N] and "bias" [].

    >>> params = {"kernel": jnp.array([0.0, 7.0]), "bias": jnp.array(1.0)}
    >>> lipschitz.UnitDense().apply({"params": params}, jnp.array([[5.0, 2.0]])).tolist()
    [3.0]
    """

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", nn.initializers.normal(1.0), (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, ())
        norm = jnp.sqrt(jnp.maximum((kernel**2).sum(), _TINY**2))
        return _product(x, kernel / norm) + bias


class LipschitzCritic(nn.Module):
    """A score per sample, 1-Lipschitz in the sample: [B, *D] -> [B].

    |f(x) - f(y)| <= |x - y| for any parameters. |grad f| = 1 almost everywhere while no layer is
    wider than the one before it, the data included, and the weights have converged; a layer that
    widens keeps distances, but of the gradient only its projection.

    Attributes:
      widths: of the hidden layers; with `maxmin` even.
      activation: `maxmin`, `group_sort(k)`, `full_sort`, or another 1-Lipschitz function.
      iterations: of `bjorck`, in every forward pass.

    >>> critic = jwgan.from_linen(lipschitz.LipschitzCritic((4, 4)))
    >>> params, _ = jax.jit(critic.init)(jax.random.key(0), jnp.zeros((1, 4)))
    >>> critic_fn = lambda x: critic.evaluate(params, {}, x)
    >>> x = jax.random.normal(jax.random.key(1), (3, 4))
    >>> norms = jax.jit(lambda x: penalties.gradient_norm(critic_fn, x))(x)
    >>> np.array(norms).round(3).tolist()
    [1.0, 1.0, 1.0]
    """

    widths: Sequence[int] = (128, 128, 128)
    activation: Activation = maxmin
    iterations: int = 20

    rowwise = True  # see `types.Network`

    @nn.compact
    def __call__(self, x: Array) -> Array:
        require(x.ndim >= 2, "x.shape", x.shape, "must be [B, *D]; add a batch axis")
        x = x.reshape(x.shape[0], -1)
        for width in self.widths:
            x = self.activation(OrthonormalDense(width, self.iterations)(x))
        return UnitDense()(x)
