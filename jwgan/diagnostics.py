"""Detectors of the family's known defects, for a user's own networks and data.

They take plain functions and pytrees, need nothing of the rest of the library but the shape of an
Algorithm, and report figures rather than raise: what is too much is the caller's to say.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jwgan.check import require
from jwgan.types import Algorithm, Array, CriticFn, Key, Params, Prior


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), x) for path, x in leaves]


def cross_sample_leak(critic_fn: CriticFn, x: Array) -> Array:
    r"""How much a sample's score depends on the other samples of its batch.

    $\max_{i \ne j} |\partial D(x)_i / \partial x_j|$ over all coordinates, relative to the same
    with $i = j$. It is 0 for a critic that may be penalised and far from 0 with batch normalisation
    in training mode, where a per-sample gradient norm means nothing.

    Args:
      critic_fn: x [B, *D] -> score [B], as in training.
      x: [B, *D] with B >= 2; the cost is B backward passes, so a few samples will do.

    Returns:
      [], >= 0; infinity where only the other samples matter.

    Reference: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, section 4.
    """
    num = x.shape[0]
    require(num >= 2, "x's batch size", num, "give at least two samples")
    jacobian = jnp.abs(jax.jacrev(critic_fn)(x)).reshape(num, num, -1).max(axis=2)  # [B, B]
    own = jnp.diagonal(jacobian).max()
    other = jnp.where(jnp.eye(num, dtype=bool), 0.0, jacobian).max()
    return jnp.where(other > 0, other / own, 0.0)


def gradient_norms(gradient: Params) -> dict[str, Array]:
    """The norm [] of each leaf of a loss's gradient, by path: does it vanish or explode with depth?

    Args:
      gradient: the tree from `jax.grad(loss)(params)`.

    Reference: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, figure 1b.
    """
    return {name: jnp.linalg.norm(leaf.ravel()) for name, leaf in _named_leaves(gradient)}


def dead_parameters(gradient: Params, tolerance: float = 0.0) -> list[str]:
    """Paths of the leaves that a loss does not train: no entry above `tolerance`, or a NaN.

    A layer that is built and not called, or cut off by a stop_gradient, shows up here.

    Args:
      gradient: the tree from `jax.grad(loss)(params)`, concrete.
      tolerance: absolute; gradients that vanish only by rounding need one > 0.
    """
    require(tolerance >= 0, "tolerance", tolerance, "give a bound >= 0")
    # "not >" and not "<=": a NaN is no training either
    return [name for name, x in _named_leaves(gradient) if not jnp.abs(x).max() > tolerance]


def outside_box(params: Params, c: float) -> dict[str, float]:
    r"""How far each leaf is outside [-c, c]: path -> max |w| - c, leaves inside left out.

    A relative 1e-6 is granted, one rounding of the clipped update.

    Args:
      params: concrete parameters.
      c: half-width of the box.

    Reference: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, Algorithm 1, line 7.
    """
    largest = {name: float(jnp.abs(leaf).max()) for name, leaf in _named_leaves(params)}
    return {name: top - c for name, top in largest.items() if not top <= c * (1 + 1e-6)}


class Repeat(NamedTuple):
    """Two draws that have samples in common."""

    first: int
    second: int
    share: float  # of the second's samples, in (0, 1]


def repeats(draws: Iterable[Any]) -> list[Repeat]:
    """Pairs of draws [B, *D] with bit-equal samples; empty is what fresh noise and data give.

    Samples drawn with replacement from a small data set repeat by chance: then judge by `share`.
    Repetition within one draw is not looked at.
    """
    rows = [[np.asarray(row).tobytes() for row in draw] for draw in draws]
    pairs = [
        Repeat(i, j, sum(row in set(rows[i]) for row in rows[j]) / len(rows[j]))
        for j in range(len(rows))
        for i in range(j)
    ]
    return [pair for pair in pairs if pair.share > 0]


def repeated_batches(batch: Array) -> list[Repeat]:
    """Critic updates that share real samples in one step's batch [n_critic, B, *D]."""
    return repeats(list(np.asarray(batch)))


def recorded(prior: Prior) -> tuple[Prior, list[np.ndarray]]:
    """The same prior, and a list to which every executed draw z [num, *Z] is appended, in order.

    It calls back to the host and works under jit, scan and grad, not under vmap: a probe, not for
    training runs. Wait for the results (`jax.effects_barrier()`) before reading the list.
    """
    draws: list[np.ndarray] = []

    def recording(key: Key, num: int) -> Array:
        z = prior(key, num)
        jax.debug.callback(lambda z: draws.append(np.array(z)), z, ordered=True)
        return z

    return recording, draws


def noise_reuse(
    make: Callable[[Prior], Algorithm], prior: Prior, key: Key, batch: Array, steps: int = 2
) -> list[Repeat]:
    """Latents that an algorithm uses more than once in its first steps.

    It runs the algorithm with a recording prior. Draws are numbered in order, n_critic + 1 a step
    for `adversarial.step`: its critic updates, then the generator's.

    Args:
      make: `prior -> Algorithm`, for example
        `lambda prior: jwgan.wgan_gp(critic, generator, prior=prior)`.
      prior: a continuous distribution; draws of a discrete one repeat by chance.
      key: of the run.
      batch: [n_critic, B, *D], used for every step.
      steps: how many steps to watch; with 2, a key that does not advance is found too.
    """
    recording, draws = recorded(prior)
    algorithm = make(recording)
    state = algorithm.init(key, batch)
    jax.effects_barrier()
    draws.clear()  # init's draw is for shapes only
    step = jax.jit(algorithm.step)
    for _ in range(steps):
        state, _ = step(state, batch)
    jax.effects_barrier()
    return repeats(draws)


class Norms(NamedTuple):
    """Input gradient norms over a set of points."""

    max: Array  # []
    mean: Array  # []


class LipschitzReport(NamedTuple):
    r"""Input gradient norms $\|\nabla_x D\|_2$ where it matters and where nobody looked."""

    real: Norms
    fake: Norms
    between: Norms  # uniform on the segments from fake to real: where WGAN-GP's penalty looks
    outside: Norms  # on the same lines, up to one length beyond either end

    @property
    def constant(self) -> Array:
        """The largest norm seen [], a lower bound of the Lipschitz constant."""
        return jnp.stack([norms.max for norms in self]).max()


def lipschitz_report(critic_fn: CriticFn, real: Array, fake: Array, key: Key) -> LipschitzReport:
    """Where and by how much a critic's slope differs from 1, measured at 4 B points.

    A lower bound of the critic's Lipschitz constant; for an upper bound see `layer_norm_product`.

    Args:
      critic_fn: x [B, *D] -> score [B], each from its own sample (see `cross_sample_leak`).
      real, fake: [B, *D], paired row by row.
      key: for the points between and outside.

    Reference: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, section 4 (between);
    Wei et al., 2018, Improving the Improved Training of Wasserstein GANs (elsewhere).
    """
    require(real.shape == fake.shape, "fake's shape", fake.shape, f"give that of real {real.shape}")
    key_between, key_outside = jax.random.split(key)
    column = (real.shape[0],) + (1,) * (real.ndim - 1)
    between = jax.random.uniform(key_between, column, real.dtype)
    beyond = jax.random.uniform(key_outside, column, real.dtype, minval=-1.0)
    beyond = jnp.where(beyond < 0, beyond, 1 + beyond)  # in [-1, 0) or [1, 2)

    def norms(x: Array) -> Norms:
        gradient = jax.grad(lambda x: critic_fn(x).sum())(x).reshape(x.shape[0], -1)
        norm = jnp.linalg.norm(gradient.astype(jnp.promote_types(x.dtype, jnp.float32)), axis=1)
        return Norms(norm.max(), norm.mean())

    on_line = lambda t: fake + t * (real - fake)
    return LipschitzReport(
        norms(real), norms(fake), norms(on_line(between)), norms(on_line(beyond))
    )


def layer_norm_product(params: Params) -> Array:
    r"""An upper bound [] of the Lipschitz constant of layers applied one after the other.

    The product of $\sqrt{k}\,\sigma_1(W)$ over all leaves with two or more axes, W the matrix
    [-1, last axis] and k the number of taps (1 for a dense layer; kh kw for a kernel HWIO, since
    each input value enters at most that many patches). It holds for a chain of dense layers and
    convolutions with 1-Lipschitz activations (ReLU, leaky ReLU, tanh, ...), not for residual
    branches, normalisation layers, attention or transposed kernels. It is usually far from tight.

    Reference: Szegedy et al., 2014, Intriguing properties of neural networks, section 4.3; Tsuzuku,
    Sato and Sugiyama, 2018, Lipschitz-Margin Training (convolutions).
    """
    product = jnp.ones(())
    for leaf in jax.tree.leaves(params):
        if leaf.ndim >= 2:
            sigma = jnp.linalg.norm(leaf.reshape(-1, leaf.shape[-1]), ord=2)
            product = product * math.sqrt(math.prod(leaf.shape[:-2])) * sigma
    return product
