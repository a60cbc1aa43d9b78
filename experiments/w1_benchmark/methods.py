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
from jwgan.types import Array, Network, Penalty


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
    """Computes the published networks' h."""
    return max(2 * dim, 128)


def _published_mlp(dim: int) -> Network:
    # PyTorch's initial weights: uniform within 1 / sqrt(inputs)
    init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    return networks.from_linen(mlp.MLPCritic((published_width(dim),) * 2, kernel_init=init))


def _adam(b1: float = 0.0, b2: float = 0.9) -> optax.GradientTransformation:
    return optax.adam(2e-4, b1=b1, b2=b2)


def _kernels(params: Any) -> Any:
    """Masks the weights, not the biases."""
    return jax.tree.map(lambda leaf: leaf.ndim >= 2, params)


def wgan(dim: int) -> Method:
    """Makes WC: weights, not biases, are kept within 0.04."""
    clip = lambda leaf: jnp.clip(leaf, -0.04, 0.04) if leaf.ndim >= 2 else leaf
    # The critic starts inside its box, as weights are clipped after each update only.
    critic = networks.map_init(_published_mlp(dim), lambda params: jax.tree.map(clip, params))
    constraint = optax.masked(constraints.clip_weights(0.04), _kernels)
    tx = optax.chain(_adam(), constraint)
    return Method(critic, tx, penalties.none(), 5_000)


def wgan_gp(dim: int) -> Method:
    """Makes GP: two-sided penalty of weight 10."""
    return Method(_published_mlp(dim), _adam(), penalties.gradient_penalty(10.0), 60_000)


def wgan_lp(dim: int) -> Method:
    """Makes LP: one-sided penalty of weight 10."""
    return Method(_published_mlp(dim), _adam(), penalties.squared_hinge_penalty(10.0), 60_000)


def sngan(dim: int) -> Method:
    """Makes SN: weights divided by their spectral norms, 5 power iterations a forward pass."""
    critic = networks.with_spectral_norm(_published_mlp(dim), iterations=5)
    return Method(critic, _adam(), penalties.none(), 10_000)


def with_constant_norm(network: Network, iterations: int) -> Network:
    """Spectral normalisation whose gradient takes the norms as constants, an error of some codes.

    The scores are those of `networks.with_spectral_norm`; the gradient keeps its part along the
    leading singular vectors, which draws the weights towards rank one.
    """

    def apply(params: Any, state: Any, x: Array) -> tuple[Any, Any]:
        def scaled(w: Array, normalised: Array) -> Array:
            # The normalised weight is w over its spectral norm, so the ratio of Frobenius norms is
            # its inverse.
            norm = lambda leaf: jnp.linalg.norm(leaf.ravel())
            ratio = norm(normalised) / norm(jax.lax.stop_gradient(w))  # 1 / its spectral norm
            return w * ratio if w.ndim >= 2 else w

        def inner(normalised: Any, state: Any, x: Array) -> tuple[Any, Any]:
            return network.apply(jax.tree.map(scaled, params, normalised), state, x)

        # The outer parameters are constants: the gradient reaches `params` through `w * ratio`
        # alone.
        whole = networks.with_spectral_norm(network._replace(apply=inner), iterations)
        return whole.apply(jax.lax.stop_gradient(params), state, x)

    return networks.with_spectral_norm(network, iterations)._replace(apply=apply)


def sngan_constant_norm(dim: int) -> Method:
    """Makes SN with the error of `with_constant_norm`, which gives the published row's numbers."""
    return Method(with_constant_norm(_published_mlp(dim), 5), _adam(), penalties.none(), 10_000)


def sorted_orthogonal(dim: int) -> Method:
    """Makes SO: orthonormal weights, last row included, and a sort of the whole layer.

    The published code maps a skew matrix to each weight; here weights move on the same manifold.
    """
    width = published_width(dim)
    module = mlp.MLPCritic((width,) * 2, sorting.descending, nn.initializers.orthogonal())
    tx = constraints.keep_orthonormal(_adam(0.9, 0.999))
    return Method(networks.from_linen(module), tx, penalties.none(), 25_000)


def _muon(rate: float, iterations: int) -> optax.GradientTransformation:
    """Makes Muon for weights between layers, Adam for the rest; up in 2 %, down to 0 as a cosine.

    Jordan et al., 2024, Muon: an optimizer for hidden layers.
    """
    numbers = optax.contrib.MuonDimensionNumbers
    # The last layer's weight [h, 1] is a single vector: there is nothing to make orthogonal.
    hidden = lambda leaf: numbers() if leaf.ndim == 2 and leaf.shape[1] > 1 else None
    # A short test run must still have a step of warm-up, and one after it.
    warm = max(iterations // 50, 1)
    return optax.contrib.muon(
        optax.warmup_cosine_decay_schedule(0.0, rate, warm, max(iterations, warm + 1)),
        consistent_rms=0.2,
        adam_b2=0.99,
        muon_weight_dimension_numbers=lambda params: jax.tree.map(hidden, params),
    )


def penalised(dim: int, iterations: int) -> Method:
    """Makes our first candidate: ReLUs, slopes above 1 penalised at real and fake points."""
    module = mlp.MLPCritic((128, 128))
    penalty = penalties.squared_hinge_penalty(10.0, points=penalties.ends)
    return Method(networks.from_linen(module), _muon(5e-3, iterations), penalty, iterations)


def orthonormal(dim: int, iterations: int) -> Method:
    """Makes our second candidate: orthonormal weights and sorted layers, which need no penalty."""
    module = mlp.MLPCritic((128, 128), sorting.descending, nn.initializers.orthogonal())
    tx = constraints.keep_orthonormal(_muon(1e-2, iterations), iterations=2)
    critic = networks.from_linen(module)
    return Method(critic, tx, penalties.none(), iterations, batch_size=512)


def cones(dim: int, sample_real: Any, iterations: int) -> Method:
    """Makes a critic of the truth's own form: the soft maximum of 256 cones, begun at real points.

    tau logsumexp_k(-(|x - c_k| + b_k) / tau) is 1-Lipschitz, its gradient a mean of unit vectors.
    """
    tau = 0.1  # width of the smoothing, in the data's units

    def init(key: Any, x: Array) -> Any:
        return {"centres": sample_real(key, 256), "heights": jnp.zeros(256)}

    def apply(params: Any, x: Array) -> Array:
        centres = params["centres"]
        # |x|^2 + |c|^2 - 2 x.c, a matrix product [B, 256] in place of an array [B, 256, D].
        square = (x**2).sum(1)[:, None] + (centres**2).sum(1)[None] - 2 * x @ centres.T
        # Rounding can make the square negative, and the root's slope at 0 is infinite.
        distance = jnp.sqrt(jnp.maximum(square, 1e-6))
        return tau * jax.nn.logsumexp(-(distance + params["heights"][None]) / tau, axis=1)

    rate = optax.cosine_decay_schedule(2e-2, iterations)
    tx = optax.adam(rate, b1=0.9, b2=0.99)
    return Method(networks.from_fn(init, apply), tx, penalties.none(), iterations)


def _only(make: Callable[[int], Method]) -> Callable[..., tuple[Method, ...]]:
    """Wraps a published method: its rate is constant, so no setting depends on its length."""
    return lambda dim, sample_real, iterations: (
        make(dim)._replace(**({"iterations": iterations} if iterations else {})),
    )


# name -> (D, (key, num) -> real points, iterations or 0: the method's own) -> candidates
METHODS: dict[str, Callable[[int, Any, int], tuple[Method, ...]]] = {
    "wgan": _only(wgan),
    "wgan_gp": _only(wgan_gp),
    "wgan_lp": _only(wgan_lp),
    "sngan": _only(sngan),
    "sngan_constant_norm": _only(sngan_constant_norm),
    "sorted_orthogonal": _only(sorted_orthogonal),
    "penalised": lambda dim, sample_real, iterations: (penalised(dim, iterations or 4_000),),
    "orthonormal": lambda dim, sample_real, iterations: (orthonormal(dim, iterations or 4_000),),
    "ours": lambda dim, sample_real, iterations: (
        penalised(dim, iterations or 4_000),
        orthonormal(dim, iterations or 4_000),
    ),
    "cones": lambda dim, sample_real, iterations: (cones(dim, sample_real, iterations or 1_500),),
}
