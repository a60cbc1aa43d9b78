"""What a claim is, how its verdict is found, and the list of all of them.

A claim's module (`c05_saturation.py`, ...) has

    CLAIM    what is said, by whom, and the criterion, written before anything was run
    SAID     what the source itself asserts: {a condition's statistic: `Said`}
    measure  `(seeds, quick) -> Measured`: the statistics with their intervals, and what is plotted
    draw     `(data) -> matplotlib figure`, from JSON alone, so a page needs no second run
    tables   optional, `(data) -> [(head, rows), ...]`, likewise

A verdict has two parts. What the source asserts has a direction, and now and then a number of its
own. With the statistic's 95 % interval it

    holds                       if the whole interval is on the asserted side, of the number as well
    holds, weaker than said     if it is on the asserted side, but not of the source's number
    does not hold               if it is wholly on the other side of no effect
    is not decided              if no effect lies within the interval.

Beside it stand bars of our own, as a rule higher ones: a statistic, a direction and a number that
was written down before the first run. A bar is met, missed or open in the same way. In the recorded
results all conditions are called "bars", and the plotted data "drawn".
"""

import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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
WEAKER, CONTRARY = "holds, weaker than said", "does not hold"
ASSERTED = (HOLDS, WEAKER, CONTRARY, OPEN)  # the four kinds of verdict on what a source asserts


class Claim(NamedTuple):
    """What is said, before it is measured.

    Attributes:
      title: a few words.
      claim: what the source says, in our words.
      source: authors, year, where.
      criterion: in words, with every number; fixed before the first full run.
      data: what it is measured on.
      did: what we did, in a sentence for somebody who has seen neither the code nor the paper.
      means: what the result means for such a reader.
    """

    title: str
    claim: str
    source: str
    criterion: str
    data: str
    did: str
    means: str


class Said(NamedTuple):
    """What a source asserts of one statistic, on the side that its condition asks for.

    Attributes:
      place: where in the source, and in its words where they are short.
      none: the statistic's value without any effect: 1 for a ratio, 0 for a difference or a
        correlation. None where the assertion is that two things are equal: then the condition's own
        number, a tolerance, is what counts.
      number: the source's own, where it gives one.
    """

    place: str
    none: float | None = None
    number: float | None = None


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
        return self.beside(self.threshold)

    def beside(self, number: float) -> str:
        """Says on which side of a number the interval is: HOLDS for the condition's own side."""
        values = (self.low, self.value, self.high)
        # NaN is what was not trained or not recorded; JSON has it as null.
        if not all(isinstance(v, int | float) and v == v for v in values):
            return OPEN
        good = [v > number if self.above else v <= number for v in values]
        return HOLDS if all(good) else OPEN if any(good) else FAILS

    def judged(self, said: Said) -> str:
        """Judges what the source asserts of this statistic: one of ASSERTED."""
        found = self.beside(self.threshold if said.none is None else said.none)
        if found == FAILS:
            return CONTRARY
        if found == OPEN or said.number is None or self.beside(said.number) == HOLDS:
            return found
        return WEAKER


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


def asserted(number: str, conditions: Iterable[Condition]) -> list[tuple[Condition, Said, str]]:
    """Judges what a claim's source asserts: (statistic, assertion, one of ASSERTED) of each.

    A quick run may leave some statistics out.
    """
    said = module(number).SAID
    return [
        (one, said[one.what], one.judged(said[one.what])) for one in conditions if one.what in said
    ]


def summary(verdicts: Sequence[str]) -> str:
    """Sums up verdicts on what a source asserts: the verdict itself where they agree, or counts."""
    if len(set(verdicts)) == 1:
        return verdicts[0]
    plural = {HOLDS: "hold", WEAKER: "hold, weaker than said", CONTRARY: "do not hold"}
    counts = {kind: verdicts.count(kind) for kind in ASSERTED}
    words = lambda kind, n: plural.get(kind, kind) if n > 1 else kind
    return "; ".join(f"{n} {words(kind, n)}" for kind, n in counts.items() if n)


def from_bar(bar: Mapping[str, Any]) -> Condition:
    """Reads a condition of a recorded result, where null stands for NaN."""
    found = Condition(**{name: bar[name] for name in Condition._fields})
    missing: Any = {name: math.nan for name in ("value", "low", "high") if bar[name] is None}
    return found._replace(**missing)


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
