"""Constraints on a player's parameters, as the last transform of its optax chain.

An update is projected, not a parameter: optax adds what the chain returns to the parameters, so
the last transform can choose where they end.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jwgan.check import require
from jwgan.types import Array, Params

_EXACT = jax.lax.Precision.HIGHEST  # accelerators round a product's factors to 8 or 11 bits


def clip_weights(c: float | Array) -> optax.GradientTransformation:
    r"""Keeps every parameter in the box: after the update, $|w| \le c$.

    It turns an update $u$ into $\mathrm{clip}(w + u, -c, c) - w$, so it must be the last transform
    of its chain; the sum is exact to one rounding ($|w| \le c(1 + 10^{-6})$). Every leaf
    is clipped, normalisation scales too, as in the authors' code. To leave some out:
    `optax.masked(clip_weights(c), mask)`, also last.

    Args:
      c: half-width of the box, > 0; `inf` clips nothing.

    Returns:
      An optax transform; its update needs `params`.

    Raises:
      ValueError: if c is not positive.

    Reference: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, Algorithm 1, line 7.

    >>> tx = optax.chain(optax.sgd(1.0), constraints.clip_weights(0.5))
    >>> params, gradient = jnp.array([0.0, 0.25]), jnp.array([-2.0, 0.5])
    >>> updates, _ = tx.update(gradient, tx.init(params), params)
    >>> optax.apply_updates(params, updates).tolist()  # 2 is clipped, -0.25 is inside
    [0.5, -0.25]
    """
    require(c > 0, "c", c, "give a half-width > 0 (the paper's is 0.01)")

    def clip(u: Array, p: Array) -> Array:
        # Inside the box the update is u itself: w + ((w + u) - w) is not always w + u.
        return jnp.where(jnp.abs(p + u) <= c, u, jnp.clip(p + u, min=-c, max=c) - p)

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates, params))


def project_box(params: Params, c: float | Array) -> Params:
    """Clips every leaf to [-c, c]; training with `clip_weights(c)` should start from there.

    >>> constraints.project_box({"w": jnp.array([2.0, -0.25])}, 0.5)["w"].tolist()
    [0.5, -0.25]
    """
    return jax.tree.map(lambda p: jnp.clip(p, min=-c, max=c), params)


def keep_orthonormal(
    tx: optax.GradientTransformation, iterations: int = 3
) -> optax.GradientTransformation:
    r"""`tx` on the manifold of matrices with orthonormal columns (rows, if they are wide).

    For every parameter with two axes: the gradient's and the update's parts that leave the manifold
    are taken away, and $W + U$ is replaced by the nearest orthonormal matrix, by `iterations` of
    $W \leftarrow \frac32 W - \frac12 W W^\top W$. Without the first projection an optimizer that
    normalises, like Adam, spends its steps on the part that is undone. Other parameters are `tx`'s.

    It stands for the whole chain, learning rate included, and needs `params`. Start it from
    orthonormal matrices: `nn.initializers.orthogonal()`, or `project_orthonormal`.

    Args:
      tx: optimizer; its updates' spectral norms must stay below 1, for the iteration to converge.
      iterations: 3 make updates of norm up to .3 exact in float32.

    Raises:
      ValueError: if iterations is below 1.

    Reference: Absil, Mahony and Sepulchre, 2008, Optimization Algorithms on Matrix Manifolds,
    sections 3.6 and 4.1; Bjorck and Bowie, 1971.

    >>> tx, w = constraints.keep_orthonormal(optax.sgd(0.1)), jnp.eye(2)
    >>> gradient = jnp.array([[1.0, 1.0], [-1.0, 1.0]])
    >>> updates, _ = tx.update(gradient, tx.init(w), w)
    >>> w = optax.apply_updates(w, updates)  # a rotation by about 0.1
    >>> print((w.T @ w).round(4) + 0.0, round(float(w[1, 0]), 2))
    [[1. 0.]
     [0. 1.]] 0.1
    """
    require(iterations >= 1, "iterations", iterations, "give 2 or 3")

    def tangent(tree: Params, params: Params) -> Params:
        project = lambda u, w: _tangent(w, u) if w.ndim == 2 else u
        return jax.tree.map(project, tree, params)

    def retract(u: Array, w: Array) -> Array:
        return _orthonormal(w + u, iterations) - w if w.ndim == 2 else u

    def update(updates: Params, state: Any, params: Params) -> tuple[Params, Any]:
        updates, state = tx.update(tangent(updates, params), state, params)
        return jax.tree.map(retract, tangent(updates, params), params), state

    return optax.GradientTransformation(tx.init, update)  # type: ignore[arg-type]


def project_orthonormal(params: Params) -> Params:
    """Replaces every matrix by the nearest orthonormal one; matrices must have full rank.

    >>> print(constraints.project_orthonormal(jnp.array([[3.0, 0.0], [0.0, 0.1]])).round(4))
    [[1. 0.]
     [0. 1.]]
    """

    def nearest(w: Array) -> Array:
        if w.ndim != 2:
            return w
        u, _, v = jnp.linalg.svd(w, full_matrices=False)
        return jnp.matmul(u, v, precision=_EXACT)

    return jax.tree.map(nearest, params)


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=_EXACT)


def _tangent(w: Array, u: Array) -> Array:
    """By how much the nearest orthonormal matrix to w + u differs from w, to first order in u."""
    if w.shape[0] < w.shape[1]:
        return _tangent(w.T, u.T).T
    inner = _product(w.T, u)
    return u - _product(w, inner + inner.T) / 2


def _orthonormal(w: Array, iterations: int) -> Array:
    if w.shape[0] < w.shape[1]:
        return _orthonormal(w.T, iterations).T
    for _ in range(iterations):
        w = 1.5 * w - 0.5 * _product(w, _product(w.T, w))
    return w
