"""What a claim is, how its verdict is found, and the list of all of them.

A claim's module (`c05_saturation.py`, ...) has

    CLAIM    what is said, by whom, and the criterion, written before anything was run
    measure  `(seeds, quick) -> Measured`: the statistics with their intervals, and what is drawn
    draw     `(drawn) -> matplotlib figure`, from JSON alone, so a page needs no second run
    tables   optional, `(drawn) -> [(head, rows), ...]`, likewise

A criterion is one or several bars: a statistic, a direction and a number. A bar is met if the whole
interval of the statistic is on the right side of the number, missed if it is wholly on the wrong
one, and open otherwise. A claim holds if all its bars are met and fails if one is missed.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# In the order of the source texts' ledger; each is a module of this package.
MODULES = {
    "C1": "c01_parallel_lines",
    "C2": "c02_gaussians",
    "C3": "c03_supports",
    "C4": "c04_plans",
    "C5": "c05_saturation",
    "C6": "c06_no_constraint",
    "C7": "c07_clipping",
    "C8": "c08_optimizer",
    "C9": "c09_loss_and_quality",
    "C10": "c10_modes",
    "C11": "c11_robustness",
    "C12": "c12_one_sided",
    "C13": "c13_successors",
    "C14": "c14_batch_norm",
    "C15": "c15_energy",
    "C16": "c16_normal_losses",
    "C17": "c17_balance",
    "C18": "c18_bures",
    "C19": "c19_w1_estimate",
}
HOLDS, FAILS, OPEN = "holds", "fails", "not decided"


class Claim(NamedTuple):
    """What is said, before it is measured.

    Attributes:
      title: a few words.
      claim: what the source says, in our words.
      source: authors, year, where.
      criterion: in words, with every number; fixed before the first full run.
      data: what it is measured on.
    """

    title: str
    claim: str
    source: str
    criterion: str
    data: str


class Bar(NamedTuple):
    """One number of a criterion and what was found.

    Attributes:
      what: the statistic, in words.
      value: its estimate.
      low: lower end of its 95 % interval; equal to `value` for what is not random.
      high: upper end.
      above: whether it must be above `threshold`; otherwise it must be at or below.
      threshold: the number.
      certain: whether mathematics leaves no doubt, so that even a quick run must meet it.
    """

    what: str
    value: float
    low: float
    high: float
    above: bool
    threshold: float
    certain: bool = False

    @property
    def verdict(self) -> str:
        """Met (holds), missed (fails) or open (not decided)."""
        values = (self.low, self.value, self.high)
        if not all(isinstance(v, int | float) and v == v for v in values):  # NaN
            return OPEN
        good = [v > self.threshold if self.above else v <= self.threshold for v in values]
        return HOLDS if all(good) else OPEN if any(good) else FAILS


class Measured(NamedTuple):
    """What a claim's `measure` returns; all of it is JSON.

    Attributes:
      bars: see `Bar`.
      drawn: what `draw` needs.
      remarks: sentences about what was seen, beside the criterion.
      seeds: of how many it is, where that is not what was asked for; 0 for what is not random.
    """

    bars: list[Bar]
    drawn: dict[str, Any]
    remarks: tuple[str, ...] = ()
    seeds: int | None = None


def verdict(bars: list[Bar]) -> str:
    """Of a whole claim."""
    found = {bar.verdict for bar in bars}
    return FAILS if FAILS in found else OPEN if OPEN in found else HOLDS


def module(number: str) -> Any:
    """The module of a claim.

    Raises:
      ValueError: there is no such claim.
    """
    if number not in MODULES:
        raise ValueError(f"claim is {number!r}: choose of {', '.join(MODULES)}")
    return importlib.import_module(f"experiments.claims.{MODULES[number]}")


def describe(number: str) -> Claim:
    """A claim as it was written down."""
    return module(number).CLAIM


# ---- statistics ----------------------------------------------------------------------------------


def interval(
    values: Any, statistic: Callable[..., Any] | None = None, draws: int = 4000
) -> tuple[float, float, float]:
    """(estimate, low, high): a statistic over seeds with its 95 % bootstrap interval (percentile).

    Args:
      values: [K], one for each seed. Infinite ones are kept: a run that diverged is a bad run.
      statistic: of [..., K] along the last axis; the median by default.
      draws: resamples, always the same ones.

    Reference: Efron and Tibshirani, 1993, An Introduction to the Bootstrap, chapter 13.
    """
    statistic = statistic or (lambda x: np.median(x, axis=-1))
    values = np.asarray(values, float)
    index = np.random.default_rng(0).integers(len(values), size=(draws, len(values)))
    found = np.sort(statistic(values[index]))
    low, high = found[int(0.025 * draws)], found[int(0.975 * draws) - 1]
    return float(statistic(values)), float(low), float(high)


def share(hits: int, of: int) -> tuple[float, float, float]:
    """(share, low, high) with Wilson's 95 % interval, which is honest at 0 and at all.

    Reference: Wilson, 1927, Probable Inference, the Law of Succession, and Statistical Inference.
    """
    from scipy import stats

    found = stats.binomtest(hits, of).proportion_ci(method="wilson")
    return hits / of, float(found.low), float(found.high)


def above(
    what: str, found: tuple[float, float, float], threshold: float, certain: bool = False
) -> Bar:
    """A bar that is met above the threshold."""
    return Bar(what, *found, above=True, threshold=threshold, certain=certain)


def at_most(
    what: str, found: tuple[float, float, float], threshold: float, certain: bool = False
) -> Bar:
    """A bar that is met at or below the threshold."""
    return Bar(what, *found, above=False, threshold=threshold, certain=certain)


def exact(value: float) -> tuple[float, float, float]:
    """Something that is not random."""
    return (float(value),) * 3
