"""What a claim is, how its verdict is found, and the list of all of them.

A claim's module (`c05_saturation.py`, ...) has

    CLAIM    what is said, by whom, and the criterion, written before anything was run
    measure  `(seeds, quick) -> Measured`: the statistics with their intervals, and what is plotted
    draw     `(data) -> matplotlib figure`, from JSON alone, so a page needs no second run
    tables   optional, `(data) -> [(head, rows), ...]`, likewise

A criterion is one or several conditions: a statistic, a direction and a number. A condition is met
if the whole interval of the statistic is on the right side of the number, missed if it is wholly on
the wrong one, and open otherwise. A claim holds if all its conditions are met and fails if one is
missed. In the recorded results the conditions are called "bars", and the plotted data "drawn".
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

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
# The recorded results have these words: another spelling would orphan them.
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


class Condition(NamedTuple):
    """One number of a criterion and what was found; its attributes are the keys of the JSON.

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
        """Says whether the condition is met (HOLDS), missed (FAILS) or open (OPEN)."""
        values = (self.low, self.value, self.high)
        # NaN is what was not trained or not recorded; JSON has it as null.
        if not all(isinstance(v, int | float) and v == v for v in values):
            return OPEN
        good = [v > self.threshold if self.above else v <= self.threshold for v in values]
        return HOLDS if all(good) else OPEN if any(good) else FAILS


class Measured(NamedTuple):
    """What a claim's `measure` returns; all of it is JSON.

    Attributes:
      conditions: the criterion's, each with what was found.
      plot_data: what `draw` and `tables` need.
      remarks: sentences about what was seen, beside the criterion.
      seeds: how many it rests on, where that is not what was asked for; 0 for what is not random.
    """

    conditions: list[Condition]
    plot_data: dict[str, Any]
    remarks: tuple[str, ...] = ()
    seeds: int | None = None


def verdict(conditions: list[Condition]) -> str:
    """Judges a whole claim by its conditions: HOLDS, FAILS or OPEN."""
    found = {condition.verdict for condition in conditions}
    # One missed condition decides, whatever else is open.
    return FAILS if FAILS in found else OPEN if OPEN in found else HOLDS


def module(number: str) -> Any:
    """Imports the module of a claim.

    Raises:
      ValueError: there is no such claim.
    """
    if number not in MODULES:
        raise ValueError(f"claim is {number!r}: choose of {', '.join(MODULES)}")
    return importlib.import_module(f"experiments.claims.{MODULES[number]}")


def describe(number: str) -> Claim:
    """Reads a claim as it was written down."""
    return module(number).CLAIM


# ---- statistics ----------------------------------------------------------------------------------


def interval(
    values: Any, statistic: Callable[..., Any] | None = None, draws: int = 4000
) -> tuple[float, float, float]:
    """Computes a statistic over seeds with its 95 % percentile bootstrap: (estimate, low, high).

    Args:
      values: [K], one for each seed. Infinite ones are kept: a run that diverged is a bad run.
      statistic: of [..., K] along the last axis; the median by default.
      draws: resamples, always the same ones.

    Reference: Efron and Tibshirani, 1993, An Introduction to the Bootstrap, chapter 13.
    """
    statistic = statistic or (lambda x: np.median(x, axis=-1))
    values = np.asarray(values, float)
    # The seed is fixed: the same values give the same interval, and the same verdict, every time.
    index = np.random.default_rng(0).integers(len(values), size=(draws, len(values)))
    found = np.sort(statistic(values[index]))  # [draws]
    # The ends are order statistics: `np.quantile` would interpolate, and infinity minus infinity is
    # NaN.
    low, high = found[int(0.025 * draws)], found[int(0.975 * draws) - 1]
    return float(statistic(values)), float(low), float(high)


def share(hits: int, trials: int) -> tuple[float, float, float]:
    """Computes the share of hits, (share, low, high), with Wilson's 95 % interval.

    Unlike the normal approximation, the interval has a width where none or all are hits.

    Reference: Wilson, 1927, Probable Inference, the Law of Succession, and Statistical Inference.
    """
    found = stats.binomtest(hits, trials).proportion_ci(method="wilson")
    return hits / trials, float(found.low), float(found.high)


def above(
    what: str, found: tuple[float, float, float], threshold: float, certain: bool = False
) -> Condition:
    """Makes a condition that is met above the threshold; `found` is (value, low, high)."""
    return Condition(what, *found, above=True, threshold=threshold, certain=certain)


def at_most(
    what: str, found: tuple[float, float, float], threshold: float, certain: bool = False
) -> Condition:
    """Makes a condition that is met at or below the threshold; `found` is (value, low, high)."""
    return Condition(what, *found, above=False, threshold=threshold, certain=certain)


def exact(value: float) -> tuple[float, float, float]:
    """Makes the interval (value, low, high) of something that is not random: a point."""
    return (float(value),) * 3
