"""Numbers scaled into [-1, 1], where a generator's tanh puts its own, and scaled back.

>>> from jwgan.data import scalers
"""

import math
from typing import Any, NamedTuple

import numpy as np

from jwgan import check

_FORMAT = "scaler"


class Scaler(NamedTuple):
    """A linear map of each channel from [low, high] to [-1, 1].

    Attributes:
      low, high: float64 [C], of the last axis; [1] is one map for all values.
    """

    low: np.ndarray
    high: np.ndarray

    def encode(self, x: Any) -> np.ndarray:
        """Scales x [..., C]: float32, with -1 for low and 1 for high.

        >>> scaler = scalers.fit(np.array([[0.0, 10.0], [4.0, 30.0]]))
        >>> scaler.encode([[1.0, 20.0]]).tolist()
        [[-0.5, 0.0]]
        """
        x = np.asarray(x, np.float64)
        return (2 * (x - self.low) / (self.high - self.low) - 1).astype(np.float32)

    def decode(self, x: Any) -> np.ndarray:
        """Scales x [..., C] back: float64, in the data's units.

        >>> scalers.fit(np.array([[0.0, 10.0], [4.0, 30.0]])).decode([[-0.5, 0.0]]).tolist()
        [[1.0, 20.0]]
        """
        return self.low + (np.asarray(x, np.float64) + 1) / 2 * (self.high - self.low)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, for `from_dict`."""
        return {"kind": _FORMAT, "low": self.low.tolist(), "high": self.high.tolist()}


def fit(x: Any, per_channel: bool = True) -> Scaler:
    """Finds the smallest and the largest value of each channel.

    Args:
      x: [N, *D], D's last axis that of the channels.
      per_channel: False for one map for all values.

    Raises:
      ValueError: a value is not finite, or a channel has the same value everywhere.

    >>> scalers.fit([[0.0, 10.0], [4.0, 30.0]])
    Scaler(low=array([ 0., 10.]), high=array([ 4., 30.]))
    >>> scalers.fit([[0.0, 10.0], [4.0, 30.0]], per_channel=False)
    Scaler(low=array([0.]), high=array([30.]))
    """
    x = np.asarray(x, np.float64)
    flat = x.reshape(-1, x.shape[-1] if per_channel else 1)
    bad = np.argwhere(~np.isfinite(flat))
    where, remedy = bad[0].tolist() if len(bad) else None, "remove or replace such values"
    check.require(where is None, "a value that is not finite, in (row, channel)", where, remedy)
    low, high = flat.min(axis=0), flat.max(axis=0)
    constant = np.flatnonzero(high <= low).tolist()
    check.require(not constant, "constant channels", constant, "leave them out")
    return Scaler(low, high)


def from_dict(found: Any) -> Scaler:
    """The scaler that `to_dict` wrote; a file's words are checked.

    Raises:
      ValueError: it is none.

    >>> scalers.from_dict({"kind": "scaler", "low": [0], "high": [4]})
    Scaler(low=array([0.]), high=array([4.]))
    """
    either = found if isinstance(found, dict) else {}
    low: Any = either.get("low")
    high: Any = either.get("high")
    lists = isinstance(low, list) and isinstance(high, list)
    if not lists or not low or not all(map(_is_finite, [*low, *high])):
        raise ValueError("its data's scaler is no pair of lists of numbers")
    if len(low) != len(high) or not all(a < b for a, b in zip(low, high, strict=True)):
        raise ValueError("its data's scaler has no low below its high")
    return Scaler(np.array(low, np.float64), np.array(high, np.float64))


def _is_finite(value: Any) -> bool:
    # `type`: True is an int. A whole number may be too large for a float.
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)
