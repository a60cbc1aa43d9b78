"""Warns of collapse and divergence from metrics that a run computes anyway.

A run is cut into windows of steps. Of each, a few sums are kept (`add`); the first window is the
reference that later ones are compared with. `warnings_of` turns them, with metrics of the samples,
into warnings. The thresholds were set on other runs than those their precision and recall are
measured on: `experiments.alarm`, and `experiments.alarm_images` for pictures.

A run that has not learnt yet covers nothing, so low coverage alone says nothing: a fall from good
coverage is a collapse, and coverage that was never good and grows no more is a run that does not
learn (`remembered`).

>>> calm = {name: [1.0, 1.0] for name in ("wasserstein_estimate", *alarms.GRADIENTS)}
>>> start = alarms.add(alarms.EMPTY, calm)  # the first window, of two steps
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

GRADIENTS = ("critic_gradient_norm", "generator_gradient_norm")
EMPTY: dict[str, float] = {}  # the sums of no steps
_TINY = 1e-30  # keeps logarithms and quotients of 0 finite


class Thresholds(NamedTuple):
    """When to warn.

    Attributes:
      coverage: below this share of the real data's own coverage the samples have collapsed, if
        the share has been good before.
      fall: so much less than the best share is a collapse, too.
      good: from this share on coverage is good.
      step: the best share so far has grown if it is larger by this.
      patience: evaluations without growth after which a low share is no beginning any more.
      growth: a gradient norm, or the estimate's size, is this many times the first window's.
      decay: the generator's gradient norm is this part of the first window's.
      negative: mean estimate over mean |estimate| is below minus this, and coverage is low or not
        known: a critic with batch norm may rank good fakes above data.
      bound: k_t is within this of 0 or 1 for a whole window.
      rate: the learning rate is at most this part of the first one for a whole window.
      beyond: the energies of at least this part of the fakes exceed the margin in all of a window.
      memorised: in more than this share of pairs the critic ranks the training sample above the
        unseen one, where chance is a half.
    """

    coverage: float = 0.25
    fall: float = 0.4
    good: float = 0.4
    step: float = 0.02
    patience: int = 4
    growth: float = 1000.0
    decay: float = 1e-4
    negative: float = 0.5
    bound: float = 1e-3
    rate: float = 0.01
    beyond: float = 0.99
    memorised: float = 0.75


class Memory(NamedTuple):
    """What the alarm remembers of earlier evaluations.

    Attributes:
      best_share: the largest `coverage_share` so far, but for growth below `Thresholds.step`.
      stale: evaluations since it grew.
    """

    best_share: float = 0.0
    stale: int = 0


def add(sums: Mapping[str, float], info: Mapping[str, Any]) -> dict[str, float]:
    """The sums of a window with more steps: a flat dictionary of numbers, as JSON keeps it.

    Args:
      sums: of the steps so far, `EMPTY` at first.
      info: {quantity: values [length]} of the steps that follow, "wasserstein_estimate" and
        `GRADIENTS` among them.

    >>> alarms.add(start, calm)["count"], alarms.add(start, calm)["estimate"]
    (4.0, 4.0)
    """
    # float64 is used because these are added up over a whole window.
    estimate = np.asarray(info["wasserstein_estimate"], np.float64)
    parts = {
        "count": float(len(estimate)),
        "estimate": estimate.sum(),
        "size": np.abs(estimate).sum(),
        # logarithms: one spike is not a trend
        **{name: np.log(np.abs(np.float64(info[name])) + _TINY).sum() for name in GRADIENTS},
    }
    total = {name: float(sums.get(name, 0.0) + part) for name, part in parts.items()}
    # BEGAN's k_t alone has bounds to lie at; its extremes say more than its mean.
    if "k" in info:
        total["k_low"] = float(min(sums.get("k_low", math.inf), np.min(info["k"])))
        total["k_high"] = float(max(sums.get("k_high", -math.inf), np.max(info["k"])))
    # As of k: what holds in every step of a window is its extreme.
    if "learning_rate_scale" in info:
        largest = np.max(info["learning_rate_scale"])
        total["rate_high"] = float(max(sums.get("rate_high", 0.0), largest))
    if "beyond_margin" in info:
        smallest = np.min(info["beyond_margin"])
        total["beyond_low"] = float(min(sums.get("beyond_low", 1.0), smallest))
    return total


def warnings_of(
    reference: Mapping[str, float],
    recent: Mapping[str, float],
    metrics: Mapping[str, float],
    thresholds: Thresholds = Thresholds(),  # noqa: B008
    memory: Memory = Memory(),  # noqa: B008
) -> dict[str, str]:
    """Warnings as {kind: one sentence}; empty for a run that looks well.

    Args:
      reference: sums of the first window.
      recent: sums of the last one.
      metrics: of samples and scores, as far as known: "coverage" and "coverage_of_real"
        (see `metrics.coverage.neighbour_coverage`), "membership_auc" (see
        `metrics.membership`).
      thresholds: when to warn.
      memory: of this run's earlier evaluations, see `remembered`.

    >>> wild = alarms.add(alarms.EMPTY, {**calm, "critic_gradient_norm": [5e3, 5e3]})
    >>> alarms.warnings_of(start, wild, {})
    {'critic_gradient_norm_explodes': "the critic's gradient norm is 5e+03 times that of the start"}
    >>> alarms.warnings_of(start, start, {})
    {}
    """
    share = coverage_share(metrics)
    low = share is None or share < thresholds.coverage
    of_samples = _of_samples(metrics, memory, thresholds)
    return {**of_samples, **_of_sums(reference, recent, low, thresholds)}


def coverage_share(metrics: Mapping[str, float]) -> float | None:
    """The samples' coverage over that of as many real points; None where it is not known.

    Even real points do not cover all of the others, so a perfect generator has a share of 1.

    >>> alarms.coverage_share({"coverage": 0.2, "coverage_of_real": 0.8})
    0.25
    """
    coverage, of_real = metrics.get("coverage"), metrics.get("coverage_of_real")
    # Where real points cover nothing, samples cannot either: that is no collapse.
    return coverage / of_real if coverage is not None and of_real else None


def remembered(
    metrics: Mapping[str, float],
    memory: Memory,
    thresholds: Thresholds = Thresholds(),  # noqa: B008
) -> Memory:
    """What is remembered after an evaluation.

    Args:
      metrics: of its samples.
      memory: of those before.
      thresholds: how much is growth.

    >>> found = {"coverage": 0.2, "coverage_of_real": 0.8}
    >>> alarms.remembered(found, alarms.Memory(best_share=0.1, stale=3))
    Memory(best_share=0.25, stale=0)
    >>> alarms.remembered(found, alarms.Memory(best_share=0.24, stale=3))
    Memory(best_share=0.24, stale=4)
    """
    share = coverage_share(metrics)
    # Growth counts from the share that was remembered: many small steps are growth as one is.
    if share is not None and share >= memory.best_share + thresholds.step:
        return Memory(share, 0)
    return Memory(memory.best_share, memory.stale + 1)


def _of_samples(metrics: Mapping[str, float], memory: Memory, limits: Thresholds) -> dict[str, str]:
    found = {}
    share = coverage_share(metrics)
    if share is not None:
        good, low = memory.best_share >= limits.good, share < limits.coverage
        if good and (low or share <= memory.best_share - limits.fall):
            found["collapse"] = (
                f"the samples cover {share:.0%} of what real data cover, after "
                f"{memory.best_share:.0%} earlier: modes have been lost"
            )
        elif low and memory.stale >= limits.patience:
            found["not_learning"] = (
                f"the samples cover {share:.0%} of what real data cover, and for {memory.stale} "
                "evaluations have not come to cover more: they are too few kinds, or the run does "
                "not learn"
            )
    share = metrics.get("membership_auc", 0.5)
    if share > limits.memorised:
        found["memorised"] = (
            "the critic has memorised training data: asked which of two real samples it was "
            f"trained on, its scores are right {share:.0%} of the time (guessing: 50%)"
        )
    return found


def _of_sums(
    reference: Mapping[str, float], recent: Mapping[str, float], low: bool, limits: Thresholds
) -> dict[str, str]:
    """Warnings of the steps' sums; `low` is whether coverage is low, or not known."""
    found: dict[str, str] = {}
    # Until the first window has ended there is nothing to compare with.
    if not reference or not recent:
        return found
    for name in GRADIENTS:
        # The sums are of logarithms, so this is the quotient of two geometric means.
        ratio = math.exp(_mean(recent, name) - _mean(reference, name))
        if ratio > limits.growth:
            found[f"{name}_explodes"] = f"{_spelled(name)} is {ratio:.3g} times that of the start"
        # Only the generator's norm is looked at: a critic near its optimum has a small gradient,
        # and no trouble.
        elif ratio < limits.decay and name == GRADIENTS[1]:
            found[f"{name}_vanishes"] = f"{_spelled(name)} is {ratio:.3g} times that of the start"
    # The mean is of |estimate|: in a mean of the estimate itself both signs would cancel.
    size = _mean(recent, "size")
    if size > limits.growth * max(_mean(reference, "size"), _TINY):
        found["estimate_explodes"] = f"the estimate has grown to {size:.3g}"
    # BEGAN holds E L(G(z)) below E L(x), which is a negative estimate, on purpose.
    negative = "k_low" not in recent and recent["estimate"] < -limits.negative * recent["size"]
    if negative and low:
        found["estimate_negative"] = "the estimate is negative: the critic ranks fakes above data"
    # The extremes are those of a whole window: k only passing by a bound is no trouble.
    if recent.get("k_high", 1.0) < limits.bound or recent.get("k_low", 0.0) > 1 - limits.bound:
        found["k_at_bound"] = f"k stays at {recent['k_low']:.3g}: the balance is lost"
    if recent.get("rate_high", 1.0) <= limits.rate:
        part = f"{recent['rate_high']:.3g} times the first one"
        found["rate_at_floor"] = f"the learning rate is {part}: hardly anything moves any more"
    if recent.get("beyond_low", 0.0) >= limits.beyond:
        found["margin_exceeded"] = (
            "the fakes' energies always exceed the margin: the critic's second term is dead, "
            "raise the margin"
        )
    return found


def _mean(sums: Mapping[str, float], name: str) -> float:
    return sums[name] / max(sums["count"], 1.0)


def _spelled(name: str) -> str:
    return "the " + name.replace("_", " ").replace("critic", "critic's").replace(
        "generator", "generator's"
    )
