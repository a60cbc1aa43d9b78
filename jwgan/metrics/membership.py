"""How well a critic's scores tell training data from data that it never saw."""

import jax.numpy as jnp

from jwgan.types import Array


def membership_auc(seen: Array, unseen: Array) -> Array:
    """The share of pairs in which the training sample scores higher than the unseen one.

    The area under the ROC curve of "was this sample trained on?", asked of the critic: 0.5 is
    chance, 1 a critic that knows its training data by heart. Pairs of equal scores count half. It
    depends on the critic alone: samples that get better do not raise it.

    Source: Hayes, Melis, Danezis and De Cristofaro, 2019, LOGAN: Membership Inference Attacks
    Against Generative Models, whose white-box attack ranks samples by the critic's score.

    Args:
      seen: scores [N] of training data, the higher the more real.
      unseen: scores [M] of other data of the same law.

    Returns:
      [] float32, in [0, 1].

    >>> metrics.membership.membership_auc(jnp.array([2.0, 3.0]), jnp.array([1.0, 2.0])).item()
    0.875
    """
    above = jnp.mean(seen[:, None] > unseen[None], dtype=jnp.float32)
    equal = jnp.mean(seen[:, None] == unseen[None], dtype=jnp.float32)
    return above + equal / 2
