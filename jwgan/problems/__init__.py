"""Synthetic worlds with a known answer: `Problem`s to sample from, `Pair`s with a known W1.

A world of your own is a function that returns one of the two; nothing is registered.
"""

from collections.abc import Callable
from typing import NamedTuple

from jwgan import lazy
from jwgan.types import Array, CriticFn, Key


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


class Pair(NamedTuple):
    """Two distributions whose Wasserstein-1 distance is known, to grade critics on.

    Signs are those of the critics in this library: the potential maximises E_real f - E_fake f over
    1-Lipschitz f.

    Attributes:
      name: What it is called in a run's configuration.
      sample_real: `(key, num) -> x [num, D]` float32, pure; `num` is static under `jit`.
      sample_fake: The same for the other distribution.
      w1: Exact, in units of the samples; None where only `bounds` are known.
      w1_se: Standard error of `w1`; 0 for a closed form.
      bounds: `(low, high)` around an unknown `w1`; None where it is known.
      potential: `x [B, D] -> [B]`, optimal; unique up to a constant only along the transport.
      sample_with_gradient: `(key, num) -> (x, gradient)`, `sample_real`'s x with the optimal
        potential's gradient there [num, D]; None where it is not known or not unique.
    """

    name: str
    sample_real: Callable[[Key, int], Array]
    sample_fake: Callable[[Key, int], Array]
    w1: float | None = None
    w1_se: float = 0.0
    bounds: tuple[float, float] | None = None
    potential: CriticFn | None = None
    sample_with_gradient: Callable[[Key, int], tuple[Array, Array]] | None = None


__getattr__, __dir__ = lazy.submodules(
    __name__, ("funnels", "gaussians", "pairs", "rolls", "series"), ("Pair", "Problem")
)
