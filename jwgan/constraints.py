"""Constraints on parameters, as the last transform of an optax chain."""

import jax
import jax.numpy as jnp
import optax

from jwgan.check import require
from jwgan.types import Array, Params


def clip_weights(c: float | Array) -> optax.GradientTransformation:
    r"""Keeps every parameter in the box: after the update, $|w| \le c$.

    It turns an update $u$ into $\mathrm{clip}(w + u, -c, c) - w$, so it must be the last transform
    of its chain; the sum is exact to one rounding ($|w| \le c(1 + 10^{-6})$). By default every leaf
    is clipped, normalisation scales too, as in the authors' code. To leave some out:
    `optax.masked(clip_weights(c), mask)`, also last.

    Args:
      c: half-width of the box, > 0; `inf` clips nothing.

    Returns:
      An optax transform; its update needs `params`.

    Raises:
      ValueError: if c is not positive.

    Reference: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, Algorithm 1, line 7.
    """
    require(c > 0, "c", c, "give a half-width > 0 (the paper's is 0.01)")

    def clip(u: Array, p: Array) -> Array:
        # inside the box u itself: w + ((w + u) - w) is not always w + u
        return jnp.where(jnp.abs(p + u) <= c, u, jnp.clip(p + u, min=-c, max=c) - p)

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates, params))


def project_box(params: Params, c: float | Array) -> Params:
    """Clips every leaf to [-c, c]: where clipped training starts from."""
    return jax.tree.map(lambda p: jnp.clip(p, min=-c, max=c), params)
