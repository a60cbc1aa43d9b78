"""C16: is BEGAN's per-image loss normal, and does the distance of the means stand for W?"""

from typing import Any

import numpy as np
from scipy import stats

from experiments.claims import digits_began, ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured, Said

CLAIM = Claim(
    title="BEGAN's losses are close to normal, and W^2 between them follows (m1 - m2)^2",
    claim="An image's reconstruction loss is a mean over its pixels and so, by the central limit "
    "theorem, close to normal. For normal losses W^2 = (m1 - m2)^2 + c1 + c2 - 2 sqrt(c1 c2). "
    "Where the ratio of the last terms to the first is constant or rising, W^2 follows "
    "(m1 - m2)^2, so that the difference of the mean losses can be trained on.",
    source="Berthelot, Schumm and Metz, 2017, BEGAN, sections 3.1 and 3.2; the BEGAN blog post of "
    "the source texts",
    criterion="BEGAN with gamma 0.5 for 4,000 updates, 32 looks, losses of 355 held-out and as "
    "many generated digits. (a) At the end, of either: Kolmogorov-Smirnov distance to the normal "
    "with the same mean and deviation at most 0.06 (of truly normal losses it is below 0.047 in "
    "95 %), |skewness| at most 0.5, |excess kurtosis| at most 1. (b) Spearman's rank correlation "
    "over a run between W2^2 of the two samples of losses, exact by sorting, and (m1 - m2)^2 is "
    "above 0.9. (c) The ratio's condition, that from one look to the next it moves with "
    "(m1 - m2)^2 or by at most 5 %, is met in more than half of the steps between looks, and in "
    "more than 0.9 of those W2^2 moves with (m1 - m2)^2. Medians over seeds.",
    data="scikit-learn's 8x8 digits, fully connected networks of 64 units, batch 32",
    did="We trained a small BEGAN on 8 x 8 digits and compared the losses of 355 held-out and 355 "
    "generated digits with normal ones of the same mean and deviation, at 32 moments.",
    means="The argument behind BEGAN's loss, that losses are normal, is a rough one for small "
    "pictures; its conclusion, that the difference of the means can be trained on, stands all the "
    "same.",
)
_NORMAL = "section 3.1: the distribution of the losses is approximately normal"
SAID = {f"{of}: K-S distance to normal": Said(_NORMAL) for of in ("held-out", "generated")} | {
    "rank correlation of W2^2 and (m1 - m2)^2": Said(
        "section 3.1: W2^2 follows the difference of the means", none=0.0
    ),
    "of these, W2^2 follows": Said("section 3.1, equation 5: under the condition", none=0.5),
}
GAMMA = 0.5


def shape(losses: Any) -> dict[str, Any]:
    """Measures how far losses [K, N] are from normal: {statistic: [K]}, about 0 if they are."""
    # The normal is fitted to each run, so its distance is smaller than to one known beforehand.
    fitted = (losses - losses.mean(axis=1, keepdims=True)) / losses.std(
        axis=1, ddof=1, keepdims=True
    )
    return {
        "K-S distance to normal": np.array([stats.kstest(x, "norm").statistic for x in fitted]),
        "|skewness|": np.abs(stats.skew(losses, axis=1)),
        "|excess kurtosis|": np.abs(stats.kurtosis(losses, axis=1)),
    }


def distances(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Compares losses a, b [..., N].

    Returns:
      (W2^2 by sorting, (m1 - m2)^2, the ratio of c1 + c2 - 2 sqrt(c1 c2) to that), each [...].
    """
    w2 = ((np.sort(a, axis=-1) - np.sort(b, axis=-1)) ** 2).mean(axis=-1)
    means = (a.mean(axis=-1) - b.mean(axis=-1)) ** 2
    # c1 + c2 - 2 sqrt(c1 c2) is the square of the deviations' difference.
    return w2, means, (a.std(axis=-1) - b.std(axis=-1)) ** 2 / means


def steps_between(w2: Any, means: Any, ratio: Any) -> tuple[Any, Any]:
    """Counts the steps from one evaluation to the next that are as the criterion says.

    Args:
      w2, means, ratio: from `distances`, [T, K].

    Returns:
      (share of the steps that meet the ratio's condition, share of these where W2^2 follows), [K];
      the second is NaN for a run that never meets the condition.
    """
    rise = np.diff(means, axis=0)  # [T - 1, K]
    # A product of differences is >= 0 where both move to the same side.
    met = (np.diff(ratio, axis=0) * rise >= 0) | (np.abs(ratio[1:] / ratio[:-1] - 1) <= 0.05)
    follows = met & (np.diff(w2, axis=0) * rise >= 0)
    count = met.sum(axis=0)
    # Without a step that meets the condition there is no share: NaN, not 0.
    return met.mean(axis=0), np.where(count > 0, follows.sum(axis=0) / np.maximum(count, 1), np.nan)


def measure(seeds: range, quick: bool) -> Measured:
    trace = digits_began.play([GAMMA], seeds, **worlds.length(quick, 4000, evaluations=32))
    # Squares of small differences follow, hence float64.
    real, fake = (np.asarray(x, float) for x in (trace.real_loss, trace.fake_loss))
    conditions, most = [], (0.06, 0.5, 1.0)
    for name, losses in (("held-out", real[-1]), ("generated", fake[-1])):
        for (what, values), number in zip(shape(losses).items(), most, strict=True):
            conditions.append(ledger.at_most(f"{name}: {what}", ledger.interval(values), number))
    w2, means, ratio = distances(real, fake)
    rank = [stats.spearmanr(w2[:, k], means[:, k]).statistic for k in range(len(seeds))]
    met, follows = steps_between(w2, means, ratio)
    conditions += [
        ledger.above("rank correlation of W2^2 and (m1 - m2)^2", ledger.interval(rank), 0.9),
        ledger.above("share of steps that meet the condition", ledger.interval(met), 0.5),
        ledger.above("of these, W2^2 follows", ledger.interval(follows), 0.9),
    ]
    share = np.median(means / w2)
    remarks = (f"(m1 - m2)^2 is {share:.0%} of W2^2 in the median over evaluations and seeds.",)
    data = {"steps": trace.steps, "w2": np.sqrt(w2).tolist(), "means": np.sqrt(means).tolist()}
    return Measured(conditions, data, remarks)


def draw(data: dict[str, Any]) -> Any:
    return pictures.bands(
        data["steps"],
        {"W2 of the losses": data["w2"], "|m1 - m2|": data["means"]},
        x="updates",
        y="distance of generated and held-out losses",
        logarithmic=True,
    )
