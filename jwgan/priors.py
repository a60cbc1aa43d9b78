"""Latent distributions. Each function here returns a prior: `(key, num) -> z [num, *Z]`.

Any function of that form is a prior. To train on a mesh, pass its noise through
`sharding.over_data`, as these do.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.sharding import over_data
from jwgan.types import Array, Key, Labelled, OwnLabels, Prior


def _shape(name: str, shape: int | tuple[int, ...]) -> tuple[int, ...]:
    axes = shape if isinstance(shape, Sequence) else (shape,)
    # Whole numbers of any kind: NumPy's integers have __index__ too.
    good = len(axes) > 0 and all(hasattr(s, "__index__") and s >= 1 for s in axes)
    require(good, name, shape, "give whole numbers of dimensions, >= 1")
    return tuple(map(int, axes))


def normal(shape: int | tuple[int, ...]) -> Prior:
    """Standard normal latents.

    Args:
      shape: of one latent; an int is one axis.

    Raises:
      ValueError: a size that is no whole number >= 1.

    >>> priors.normal(3)(jax.random.key(0), 5).shape
    (5, 3)
    """
    shape = _shape("shape", shape)

    def prior(key: Key, num: int) -> Array:
        return over_data(jax.random.normal(key, (num, *shape)))

    return prior


def uniform(shape: int | tuple[int, ...], low: float = -1.0, high: float = 1.0) -> Prior:
    """Latents uniform on [low, high) in every coordinate; BEGAN's and DCGAN's are on [-1, 1].

    Args:
      shape: of one latent; an int is one axis.
      low, high: bounds.

    Raises:
      ValueError: a size that is no whole number >= 1, or low >= high.

    >>> z = priors.uniform((2, 3))(jax.random.key(0), 5)
    >>> z.shape, bool((abs(z) <= 1).all())
    ((5, 2, 3), True)
    """
    shape = _shape("shape", shape)
    require(low < high, "low, high", (low, high), "give low < high")

    def prior(key: Key, num: int) -> Array:
        return over_data(jax.random.uniform(key, (num, *shape), minval=low, maxval=high))

    return prior


class LabelledPrior(NamedTuple):
    """A prior `(key, num) -> Labelled(z [num, *Z], label [num])`; see `labelled`.

    Attributes:
      latents: the prior of z, whose latents do not depend on the classes.
      probabilities: of each class.
      own: whether fakes have these labels in training too.
    """

    latents: Prior
    probabilities: tuple[float, ...]
    own: bool = False

    @property
    def classes(self) -> int:
        """Their number K."""
        return len(self.probabilities)

    def __call__(self, key: Key, num: int) -> Labelled:
        """Draws latents, and a class for each."""
        kind = OwnLabels if self.own else Labelled
        # The key of the latents is `key` itself: they are those of the prior without labels.
        log_probabilities = jnp.log(jnp.array(self.probabilities))
        label = jax.random.categorical(jax.random.fold_in(key, 1), log_probabilities, shape=(num,))
        return kind(self.latents(key, num), over_data(label))


def labelled(prior: Prior, classes: int | Sequence[float], *, own: bool = False) -> LabelledPrior:
    """Latents with a class each, for conditional members.

    In training a fake takes the class of the real sample at its place in the batch, so both have
    the same classes, and a penalty's point between them has one. The prior's classes are those of
    samples, unless `label` says which.

    Args:
      prior: of the latents z.
      classes: their number K, all equally likely, or the probability of each.
      own: True draws the fakes' classes in training too; a penalty's points then have the class of
        the real sample.

    Raises:
      ValueError: there is no class, or the probabilities are negative or do not add up to 1.

    >>> z = priors.labelled(priors.normal(3), [0.0, 1.0])(jax.random.key(0), 5)
    >>> z.x.shape, z.label.tolist()
    ((5, 3), [1, 1, 1, 1, 1])
    """
    if isinstance(classes, Sequence):
        chances: Any = tuple(float(p) for p in classes)
        good = bool(chances) and min(chances) >= 0 and math.isclose(sum(chances), 1, abs_tol=1e-6)
        require(good, "classes", classes, "give probabilities >= 0 that add up to 1")
    else:
        good = hasattr(classes, "__index__") and classes >= 1
        require(good, "classes", classes, "give a number of classes >= 1, or their probabilities")
        chances = (1 / int(classes),) * int(classes)
    return LabelledPrior(prior, chances, own)
