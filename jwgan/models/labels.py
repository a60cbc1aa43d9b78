"""Ways for a critic to read the label of what it scores.

A `Head` ends a critic: it is given the scores that the critic would have without labels, the
features [B, F] in front of its last layer, and the labels [B], and returns the critic's output.
`MLPCritic`, `DCGANCritic`, `SNGANCritic` and `ResNetCritic` take one. Any other network takes
labels by `networks.concat_label`, a generator with batch norm by `norms.conditional_batch_norm`.

With a single class there is nothing to tell apart: a critic then is the one without labels.

The examples score points of the plane by a critic without hidden layers, whose weights are all 1:

    >>> def output(head, x, label):
    ...     module = mlp.MLPCritic(features=(), head=head, kernel_init=jax.nn.initializers.ones)
    ...     x, label = jnp.array(x), jnp.array(label)
    ...     return module.init_with_output(jax.random.key(0), x, label=label)[0]
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jwgan import numerics
from jwgan.check import require
from jwgan.types import Classified

Array = jax.Array
Head = Callable[[Array, Array, Array], Any]  # (score [B], features [B, F], label [B]) -> output


def scored(head: Head | None, score: Array, features: Array, label: Array | None) -> Any:
    """Ends a (compact) critic: its output from scores [B], features [B, ...] and labels [B].

    Raises:
      ValueError: a critic with a head was given no labels, or one without a head was.

    >>> labels.scored(None, jnp.zeros(3), jnp.ones((3, 2)), None).shape
    (3,)
    """
    if head is None:
        require(label is None, "label", "given", "the critic has no head that reads labels")
        return score
    if label is None:
        raise ValueError("label is None: a critic with a head scores (x, label)")
    return head(score, features.reshape(len(features), -1), label)


def _require_classes(classes: int) -> None:
    require(classes >= 1, "classes", classes, "give at least one class")


def projection(classes: int, kernel_init: Any = None) -> Head:
    r"""Adds to the score the features' product with a vector of the label: $\psi + v_y^\top \phi$.

    Args:
      classes: K >= 1.
      kernel_init: of the vectors, the columns of a kernel [F, K]; None is LeCun's.

    Raises:
      ValueError: there is no class.

    Reference: Miyato and Koyama, 2018, cGANs with Projection Discriminator, equation 3.

    The bias of the critic is 0, so it scores a + b + <v, (a, b)>:

    >>> output(labels.projection(2, jax.nn.initializers.ones), [[1.0, 2.0]], [1]).tolist()
    [6.0]
    """
    _require_classes(classes)
    kernel_init = kernel_init or nn.initializers.lecun_normal()

    def head(score: Array, features: Array, label: Array) -> Array:
        if classes == 1:
            return score
        dense = nn.Dense(classes, use_bias=False, kernel_init=kernel_init, name="projection")
        products = dense(features)  # [B, K]
        return score + jnp.sum(products * numerics.one_hot(label, classes, products.dtype), axis=1)

    return head


def auxiliary(
    classes: int,
    critic_weight: float = 1.0,
    generator_weight: float = 0.1,
    fake_weight: float = 0.0,
) -> Head:
    r"""Adds a classifier of the features, whose cross-entropies join both players' losses.

    The score does not read the label: the classifier alone asks for the class. Critic and
    classifier share all layers but their last; the critic learns to tell the classes of real
    samples, the generator to make samples whose class is told.

    Args:
      classes: K >= 1.
      critic_weight: of the cross-entropy on real samples in the critic's loss; 1 in WGAN-GP's
        authors' code, and in the paper.
      generator_weight: of that on generated samples in the generator's; 0.1 in that code, 1 in the
        paper.
      fake_weight: of that on generated samples in the critic's; 0 in that code, 1 in the paper.

    Raises:
      ValueError: classes below 1, or a negative weight.

    Reference: Odena, Olah and Shlens, 2017, Conditional Image Synthesis with Auxiliary Classifier
    GANs, equations 2 and 3; Gulrajani et al., 2017, section 5.4.

    A classifier that knows nothing has cross-entropy log 2 for two classes:

    >>> out = output(labels.auxiliary(2), [[0.0, 0.0]], [1])
    >>> out.output.tolist(), round(out.real_loss.item(), 4)
    ([0.0], 0.6931)
    """
    _require_classes(classes)
    weights = (critic_weight, fake_weight, generator_weight)
    require(min(weights) >= 0, "weights", weights, "give weights >= 0")

    def head(score: Array, features: Array, label: Array) -> Classified:
        logits = nn.Dense(classes, name="classifier")(features)
        # In float32 also where the network computes in bfloat16.
        log_probability = jax.nn.log_softmax(logits.astype(jnp.float32))
        hot = numerics.one_hot(label, classes)
        cross_entropy = -jnp.sum(log_probability * hot, axis=1)
        return Classified(score, *(weight * cross_entropy for weight in weights))

    return head
