"""Synthetic worlds with a known answer.  One file each; nothing is registered."""

from collections.abc import Callable
from typing import NamedTuple

from jwgan.types import Array, Key


class Problem(NamedTuple):
    """A distribution of points that can be sampled for ever.

    Attributes:
      name: What it is called in a run's configuration.
      sample: `(key, num) -> x [num, 2]` float32, pure; `num` is static under `jit`.
      modes: `[M, 2]` centres of equally likely Gaussian modes; None for a world without modes.
      mode_std: Standard deviation of each mode per coordinate, in the units of `sample`; or None.
    """

    name: str
    sample: Callable[[Key, int], Array]
    modes: Array | None = None
    mode_std: float | None = None
