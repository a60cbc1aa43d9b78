"""What the options of every experiment change of its algorithm: one place for all of them.

An experiment's `build` reads its own options. `built_with` hands it the rates as schedules, where
--decay asks for that, augments what it built and joins its calls, so that no document has to know
of it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import optax

from jwgan import augment, joined

Build = Callable[[Any, tuple[int, ...]], Any]


def _rates_of(config: Any) -> list[str]:
    """Names of the options that are a learning rate and have a value."""
    names = [field.name for field in dataclasses.fields(config)]
    rates = [name for name in names if name.endswith("learning_rate")]
    return [name for name in rates if getattr(config, name) is not None]


def schedule(kind: str, rate: Any, steps: int) -> optax.Schedule:
    """The rate that falls from `rate` to 0 over so many generator updates, "linear" or "cosine".

    >>> falling = general.schedule("linear", 0.1, 10)
    >>> [round(float(falling(step)), 3) for step in (0, 5, 10)]
    [0.1, 0.05, 0.0]
    """
    if kind == "linear":
        return optax.linear_schedule(rate, 0.0, steps)
    return optax.cosine_decay_schedule(rate, steps)


def with_decay_steps(config: Any) -> Any:
    """The options with the step at which the rates are 0: by default the last one.

    It is written into config.json, so that a resume with more --steps does not stretch the schedule
    without a word.

    >>> general.with_decay_steps(run.Config(decay="linear", steps=50)).decay_steps
    50
    """
    if config.decay == "none" or config.decay_steps is not None:
        return config
    return dataclasses.replace(config, decay_steps=config.steps)


def check(config: Any) -> None:
    """Raises ValueError for options that contradict one another.

    A schedule that ends before the run, or has no rate to begin at; parts that are no divisor of
    the batch.

    >>> general.check(run.Config(batch_size=10, accumulate=4))
    Traceback (most recent call last):
    ValueError: accumulate is 4: it does not divide --batch-size 10; give one of its divisors
    """
    if config.batch_size % config.accumulate:
        raise ValueError(
            f"accumulate is {config.accumulate}: it does not divide --batch-size "
            f"{config.batch_size}; give one of its divisors"
        )
    if config.decay == "none":
        return
    if not _rates_of(config):
        remedy = "give --learning-rate, or leave --decay out"
        raise ValueError(f"decay is {config.decay!r}: no rate was given; {remedy}")
    last = config.decay_steps
    if last is not None and last < config.steps:
        raise ValueError(
            f"decay_steps is {last}: the rates would be 0 from there to the last step, "
            f"{config.steps}; give at least so many (on a resume --allow decay_steps "
            f"--decay-steps {config.steps}), or fewer --steps"
        )


def built_with(build: Build) -> Build:
    """An experiment's `build` as the general options change it.

    Raises:
      ValueError: from what is returned, if the algorithm cannot be augmented as the options ask.

    >>> import dataclasses
    >>> @dataclasses.dataclass(frozen=True)
    ... class Config(run.Config):
    ...     learning_rate: float = 0.1
    >>> build_rate = lambda config, shape: config.learning_rate  # in place of an algorithm
    >>> falling = general.built_with(build_rate)(Config(decay="linear", steps=10), (2,))
    >>> [round(float(falling(step)), 3) for step in (0, 5, 10)]
    [0.1, 0.05, 0.0]
    """

    def built(config: Any, shape: tuple[int, ...]) -> Any:
        if config.decay != "none":
            # A member takes a schedule wherever it takes a rate, and counts it in steps.
            steps = config.decay_steps or config.steps
            names = _rates_of(config)
            falling = {n: schedule(config.decay, getattr(config, n), steps) for n in names}
            config = dataclasses.replace(config, **falling)
        return _called(_augmented(build(config, shape), config, shape), config)

    return built


def _called(algorithm: Any, config: Any) -> Any:
    """The member with its networks called as --join says.

    Raises:
      ValueError: their calls are to be joined, and it has no parts that could be changed.
    """
    wanted = config.join == "yes"
    if config.join == "auto" and jax.default_backend() == "gpu":
        # There small calls cost most. An algorithm of the user's own may have no such parts.
        wanted = algorithm.rebuilt is not None
    return joined.with_joined_calls(algorithm) if wanted else algorithm


def _augmented(algorithm: Any, config: Any, shape: tuple[int, ...]) -> Any:
    """The member with the augmentation that the options ask for.

    Raises:
      ValueError: the data are no images, or the member cannot steer ADA.
    """
    for name in ("augment", "mirror"):
        value = getattr(config, name)
        if value not in ("none", False) and len(shape) != 3:
            raise ValueError(f"{name} is {value!r}: the data are no images; leave it out")
    if config.augment == "diff":
        algorithm = augment.with_augment(algorithm)
    elif config.augment == "ada":
        algorithm = augment.with_ada(algorithm, n_critic=config.n_critic)
    return augment.with_mirror(algorithm) if config.mirror else algorithm
