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


def printable(text: str) -> str:
    """`text` in one line: a file's name may hold line ends, control characters, broken UTF-8."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
