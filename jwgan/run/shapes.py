"""Finds image sizes that an experiment's networks can make, when they cannot make the data's."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jwgan.data import emoji_font
from jwgan.run import tasks
from jwgan.types import Labelled

# Sides of the data sets that are padded or averaged: a smaller side must divide theirs.
_SIDES = {"digits": 8, "mnist": 28, "fashion_mnist": 28}
_CLOSE = 16  # pixels within which every size is tried; further off, multiples of 16
_USUAL = (8, 32, 64)


def with_advice(error: ValueError, build: Callable, config: Any, task: Any) -> ValueError:
    """The error of a build, with the nearest --image-size that works if the size is to blame.

    >>> from jwgan.run import members
    >>> experiment = members.experiment_of("wgan")
    >>> config = experiment.config(network="dcgan", width=1, image_size=4, n_critic=1)
    >>> task = run.image_task(data.Dataset("digits", np.zeros((1, 4, 4, 1), np.float32), None))
    >>> str(shapes.with_advice(ValueError("too small"), experiment.build, config, task))
    'too small; --image-size 8 works'
    """
    shape = task.shape
    its_own = len(shape) == 3 and task.name == config.dataset
    if not its_own or not can_be_resized(config.dataset, shape[0]):
        return error
    works = lambda side: (
        can_be_resized(config.dataset, side)
        and _builds(build, config, (side, side, shape[2]))
        and side != config.image_size
    )
    # With settings that fail at every size, the size is not to blame.
    if not any(_builds(build, config, (side, side, shape[2])) for side in _USUAL):
        return error
    side = min(shape[:2])
    found = [next(filter(works, sides), None) for sides in (_below(side), _above(side))]
    near = " or ".join(str(s) for s in found if s is not None)
    return ValueError(f"{error}; --image-size {near} works") if near else error


def can_be_resized(dataset: str, side: int) -> bool:
    """Whether --image-size can make squares of that side of a data set's images.

    >>> [side for side in range(1, 12) if shapes.can_be_resized("digits", side)]  # they have 8
    [1, 2, 4, 8, 9, 10, 11]
    """
    if dataset == "folder" or dataset.startswith(tasks.TFDS):
        return True
    if dataset == "emoji":
        return emoji_font.SIDES[0] <= side <= emoji_font.SIDES[1]
    own = _SIDES.get(dataset)
    return own is not None and (side >= own or own % side == 0)


def _below(side: int) -> Iterator[int]:
    """The side itself (of images that are no squares) and smaller ones, nearest first."""
    close = range(side, max(side - _CLOSE, 0), -1)
    yield from close
    far = [*range(close[-1] // 16 * 16, 0, -16), 8]
    yield from (s for s in far if s < close[-1])


def _above(side: int) -> Iterator[int]:
    yield from range(side + 1, side + _CLOSE + 1)


def _builds(build: Callable, config: Any, shape: tuple[int, ...]) -> bool:
    num = (config.n_critic, config.batch_size)
    batch: Any = jax.ShapeDtypeStruct((*num, *shape), jnp.float32)
    if tasks.is_conditional(config):
        batch = Labelled(batch, jax.ShapeDtypeStruct(num, jnp.int32))
    try:
        algorithm = build(config, shape)
        # Shapes alone: nothing is computed.
        jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))
    except (ValueError, TypeError, ZeroDivisionError):
        return False
    return True
