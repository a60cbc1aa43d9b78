"""A generator of table rows: numbers in [-1, 1] and one-hot categories, side by side.

A category has to be chosen, and a choice has no gradient. Forward the largest logit wins; backward
the gradient is that of the softmax (straight-through, Bengio et al., 2013). With Gumbel noise added
to the logits (Jang et al., 2017; Maddison et al., 2017) the choice is a draw from the softmax, so
one latent can become several categories. The noise is made of latents of its own: a generator stays
a function of its latents, in training and after.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.models.mlp import MLP

Array = jax.Array


def straight_through(logits: Array, temperature: float = 1.0) -> Array:
    """One-hot vectors of the largest logits [B, K], with the gradient of the softmax.

    >>> tabular.straight_through(jnp.array([[0.5, 2.0, 1.0]])).tolist()
    [[0.0, 1.0, 0.0]]
    """
    soft = jax.nn.softmax(logits / temperature)
    hard = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=soft.dtype)
    # Not `hard + soft - stop_gradient(soft)`, which is 1 only up to rounding.
    return jax.lax.stop_gradient(hard) + _zero(soft)


@jax.custom_jvp
def _zero(x: Array) -> Array:
    """Zeros that pass the gradient of x on."""
    return jnp.zeros_like(x)


@_zero.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _zero(primals[0]), tangents[0]


def gumbel(normal: Array) -> Array:
    """Gumbel noise of standard normal noise, value by value: -log(-log Phi(x)).

    >>> round(tabular.gumbel(jnp.zeros(())).item(), 4)  # the median, -log(log 2)
    0.3665
    """
    wide = normal.astype(jnp.promote_types(normal.dtype, jnp.float32))  # log_ndtr takes no less
    return -jnp.log(-jax.scipy.special.log_ndtr(wide)).astype(normal.dtype)


class TableGenerator(nn.Module):
    """Rows of a table from noise: [B, Z] -> [B, D].

    Attributes:
      blocks: for each column the number of its categories, 0 for a number; see
        `jwgan.data.tables.Table.blocks`.
      features: widths of the hidden layers.
      activation: of the hidden layers.
      noise: whether categories are drawn: the last latents, one for each category, become their
        Gumbel noise, and must be standard normal.
      temperature: of the softmax behind a choice.

    >>> generator = tabular.TableGenerator(blocks=(0, 3), features=(8,))
    >>> x, _ = generator.init_with_output(jax.random.key(0), jnp.ones((5, 2)))
    >>> x.shape, float(x[:, 1:].sum()), bool((abs(x) <= 1).all())
    ((5, 4), 5.0, True)
    """

    blocks: Sequence[int]
    features: Sequence[int] = (256, 256)
    activation: Callable[[Array], Array] = nn.relu
    noise: bool = False
    temperature: float = 1.0
    dtype: Any = None

    def __post_init__(self) -> None:
        good = len(self.blocks) > 0 and all(size == 0 or size > 1 for size in self.blocks)
        remedy = "give 0 for a number, and a number of categories above 1 for a category"
        require(good, "blocks", self.blocks, remedy)
        require(self.temperature > 0, "temperature", self.temperature, "give a number > 0")
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array) -> Array:
        """Generates rows from z [B, Z], or with `noise` from z [B, Z + number of categories]."""
        widths = [size or 1 for size in self.blocks]
        count = sum(self.blocks) if self.noise else 0
        remedy = f"give more than {count} latents, of which the last {count} are noise"
        require(z.ndim == 2 and z.shape[1] > count, "z.shape", z.shape, remedy)
        z, extra = z[:, : z.shape[1] - count], z[:, z.shape[1] - count :]
        out = MLP(sum(widths), self.features, self.activation, dtype=self.dtype)(z)
        found, place, used = [], 0, 0
        for size, width in zip(self.blocks, widths, strict=True):
            part = out[:, place : place + width]
            place += width
            if size and self.noise:
                part = part + gumbel(extra[:, used : used + size])
                used += size
            found.append(straight_through(part, self.temperature) if size else jnp.tanh(part))
        return jnp.concatenate(found, axis=1)
