"""Argument checks at construction: the argument, its value, the remedy."""

import importlib.util
from typing import Any

import jax

# What a package is called where it is installed from, if it is imported by another name.
_INSTALLED_AS = {
    "PIL": "Pillow",
    "array_record": "array-record",
    "fontTools": "fonttools",
    "orbax.checkpoint": "orbax-checkpoint",
    "mlflow": "mlflow-skinny",
    "ot": "POT",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
}


class MissingPackageError(ImportError):
    """An optional package is not installed; one line that names it and what brings it."""


def require_package(module: str, extra: str) -> None:
    """Raises MissingPackageError unless an optional package can be imported.

    Args:
      module: the name that it is imported by, "PIL" for Pillow.
      extra: the extra of jwgan that brings it: flax, run, transport, data, trackers or onnx.

    >>> check.require_package("jax", "run")
    >>> check.require_package("no_such_package", "run")
    Traceback (most recent call last):
    jwgan.check.MissingPackageError: no_such_package is not installed: pip install 'jwgan[run]'
    """
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        found = False
    if not found:
        name = _INSTALLED_AS.get(module, module)
        raise MissingPackageError(
            f"{name} is not installed: pip install 'jwgan[{extra}]'", name=module
        )


def require(condition: Any, name: str, value: Any, remedy: str) -> None:
    """Raises `ValueError("<name> is <value>: <remedy>")` unless `condition` holds.

    A traced condition passes: hyper-parameters may be arrays under `jit` or `vmap`, whose values
    are not known at construction.

    >>> check.require(0.5 > 0, "margin", 0.5, "give a margin > 0")
    >>> check.require(-1.0 > 0, "margin", -1.0, "give a margin > 0")
    Traceback (most recent call last):
    ValueError: margin is -1.0: give a margin > 0
    """
    if not isinstance(condition, jax.core.Tracer) and not condition:
        raise ValueError(f"{name} is {value!r}: {remedy}")


def require_settings(**settings: Any) -> None:
    """Checks an optimizer's numbers: learning rates >= 0, betas and decays in [0, 1).

    A learning rate may be an optax schedule, and any of them traced.

    Raises:
      ValueError: one of them is out of its range, or no number.

    >>> check.require_settings(learning_rate=1e-3, b1=0.5)
    >>> check.require_settings(learning_rate=1e-3, b1=1.5)
    Traceback (most recent call last):
    ValueError: b1 is 1.5: give a number in [0, 1)
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
    """`text` in one line: a file's name may hold line ends, control characters, broken UTF-8.

    >>> check.printable("two\\nlines")
    'two\\\\nlines'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def one_line(error: BaseException) -> str:
    """An exception in one line for a message or a log: its class and its text.

    Of a long text the start and the end are kept: the cause often stands at the end.

    >>> check.one_line(OSError("disk\\nfull"))
    'OSError: disk full'
    """
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else f"{text[:190]} ... {text[-105:]}"
    return printable(f"{type(error).__name__}: {text}" if text else type(error).__name__)
