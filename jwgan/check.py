"""Argument checks at construction: the argument, its value, the remedy."""

from typing import Any

import jax


def require(condition: Any, name: str, value: Any, remedy: str) -> None:
    """Raises `ValueError("<name> is <value>: <remedy>")` unless `condition` holds.

    A traced condition passes: hyper-parameters may be arrays under `jit` or `vmap`, whose values
    are not known at construction.
    """
    if not isinstance(condition, jax.core.Tracer) and not condition:
        raise ValueError(f"{name} is {value!r}: {remedy}")


def require_settings(**settings: Any) -> None:
    """Checks an optimizer's numbers: learning rates >= 0, betas and decays in [0, 1).

    A learning rate may be an optax schedule, and any of them traced.

    Raises:
      ValueError: one of them is out of its range, or no number.
    """
    for name, value in settings.items():
        rate = name.endswith("learning_rate")
        if rate and callable(value):
            continue
        try:
            good = value >= 0 if rate else (value >= 0) & (value < 1)
        except TypeError:
            good = False
        require(good, name, value, "give a number >= 0" if rate else "give a number in [0, 1)")


def printable(text: str) -> str:
    """`text` in one line: a file's name may hold line ends, control characters, broken UTF-8."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def one_line(error: BaseException) -> str:
    """An exception in one line for a message or a log: its class and the start of its text.

    >>> one_line(OSError("disk\nfull"))
    'OSError: disk full'
    """
    return f"{type(error).__name__}: " + " ".join(str(error).split())[:300]
