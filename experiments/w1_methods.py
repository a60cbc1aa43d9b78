"""The methods of the W1 benchmark: each a critic, its optimizer, its penalty and its length.

Published settings: Korotin, Kolesov, Burnaev, 2022, Kantorovich Strikes Back!, as in the authors'
code: ReLU networks [D, h, h, 1] with h = max(2 D, 128), batch 1024, learning rate 2e-4, constant.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jwgan import constraints, networks, penalties
from jwgan.models import mlp, sorting
from jwgan.types import Network, Penalty


class Method(NamedTuple):
    """How a critic is trained.

    Attributes:
      critic: [B, D] -> [B].
      critic_tx: optax transform.
      penalty: see `penalties`.
      iterations: critic updates.
      batch_size: samples of each side in an update.
    """

    critic: Network
    critic_tx: optax.GradientTransformation
    penalty: Penalty
    iterations: int
    batch_size: int = 1024


def published_width(dim: int) -> int:
    """h of the published networks."""
    return max(2 * dim, 128)


def _published_mlp(dim: int) -> Network:
    # PyTorch's initial weights: uniform within 1 / sqrt(inputs)
    init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    return networks.from_linen(mlp.MLPCritic((published_width(dim),) * 2, kernel_init=init))


def _adam(b1: float = 0.0, b2: float = 0.9) -> optax.GradientTransformation:
    return optax.adam(2e-4, b1=b1, b2=b2)


def _kernels(params: Any) -> Any:
    """A mask: weights, not biases."""
    return jax.tree.map(lambda leaf: leaf.ndim >= 2, params)


def wgan(dim: int, iterations: int) -> Method:
    """WC: weights, not biases, kept within 0.04."""
    clip = lambda leaf: jnp.clip(leaf, -0.04, 0.04) if leaf.ndim >= 2 else leaf
    critic = networks.map_init(_published_mlp(dim), lambda params: jax.tree.map(clip, params))
    constraint = optax.masked(constraints.clip_weights(0.04), _kernels)
    tx = optax.chain(_adam(), constraint)
    return Method(critic, tx, penalties.none(), 5_000)


def wgan_gp(dim: int, iterations: int) -> Method:
    """GP: two-sided penalty of weight 10."""
    return Method(_published_mlp(dim), _adam(), penalties.gradient_penalty(10.0), 60_000)


def wgan_lp(dim: int, iterations: int) -> Method:
    """LP: one-sided penalty of weight 10."""
    return Method(_published_mlp(dim), _adam(), penalties.squared_hinge_penalty(10.0), 60_000)


def sngan(dim: int, iterations: int) -> Method:
    """SN: weights divided by their spectral norms, 5 power iterations a forward pass."""
    critic = networks.with_spectral_norm(_published_mlp(dim), iterations=5)
    return Method(critic, _adam(), penalties.none(), 10_000)


def sorted_orthogonal(dim: int, iterations: int) -> Method:
    """SO: orthonormal weights, last row included, and a sort of the whole layer.

    The published code maps a skew matrix to each weight; here weights move on the same manifold.
    """
    width = published_width(dim)
    module = mlp.MLPCritic((width,) * 2, sorting.descending, nn.initializers.orthogonal())
    tx = constraints.keep_orthonormal(_adam(0.9, 0.999))
    return Method(networks.from_linen(module), tx, penalties.none(), 25_000)


METHODS: dict[str, Callable[[int, int], Method]] = {
    "wgan": wgan,
    "wgan_gp": wgan_gp,
    "wgan_lp": wgan_lp,
    "sngan": sngan,
    "sorted_orthogonal": sorted_orthogonal,
}
