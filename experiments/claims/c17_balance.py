"""C17: what BEGAN's gamma, k_t and M do."""

from typing import Any

import numpy as np
from scipy import stats
from scipy.spatial import distance
from sklearn.linear_model import LogisticRegression

from experiments.claims import digits_began, ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured, Said
from jwgan.metrics import frechet
from jwgan.run import tasks

CLAIM = Claim(
    title="k_t holds the ratio at gamma, gamma trades diversity for quality, M follows quality",
    claim="The control of k_t keeps E L(G(z)) / E L(x) at gamma. Lower gamma gives less diverse "
    "images of more quality. M = L(x) + |gamma L(x) - L(G(z))| measures convergence.",
    source="Berthelot, Schumm and Metz, 2017, BEGAN, sections 3.3, 3.4 and 4.2; the BEGAN blog "
    "post of the source texts",
    criterion="BEGAN for 4,000 updates at gamma 0.3, 0.5 and 0.7, 16 looks. (a) Mean generated "
    "over mean real loss in the last quarter of training differs from gamma by at most 0.05, for "
    "each gamma. (b) More diverse at 0.7 than at 0.3, by seed: mean distance between two of 355 "
    "samples, and entropy of the classes that a logistic regression sees in them. (c) Better at "
    "0.3 than at 0.7, by seed: mean distance of a sample to the nearest training digit is "
    "smaller, and the mean of the regression's largest probability larger. (d) Spearman's rank "
    "correlation over a run between M (mean over the stretch before each look) and the Frechet "
    "distance in pixels to the training digits is above 0.5, for each gamma. All in the median "
    "over seeds; differences above 0.",
    data="scikit-learn's 8x8 digits with fixed normal noise of 0.6 in every pixel, as photographs "
    "have detail that no code holds (without any, all gammas collapse to one image: see the "
    "remarks); quality is measured against the digits without noise; fully connected networks of "
    "64 units, batch 32",
    did="We trained a small BEGAN at three values of gamma on noisy digits and measured the "
    "balance, how diverse the samples are, how near they are to the data, and whether BEGAN's "
    "measure M follows.",
    means="Choose gamma for diversity, and believe that k_t keeps it. Do not stop training by M "
    "alone: it follows the samples loosely.",
)
_DIVERSE = "section 3.3: lower gamma, less diversity"
_QUALITY = "section 3.3: lower gamma, images of more quality"
SAID = {
    **{
        f"gamma {gamma}: |ratio - gamma|": Said("section 3.4: k_t holds the ratio at gamma")
        for gamma in ("0.3", "0.5", "0.7")
    },
    "pairwise distance, gamma 0.7 - 0.3": Said(_DIVERSE, none=0.0),
    "entropy of classes, gamma 0.7 - 0.3": Said(_DIVERSE, none=0.0),
    "distance to data, gamma 0.7 - 0.3": Said(_QUALITY, none=0.0),
    "confidence, gamma 0.3 - 0.7": Said(_QUALITY, none=0.0),
    **{
        f"gamma {gamma}: rank correlation of M and Frechet distance": Said(
            "section 3.4.1, figure 5: M says how far training has come", none=0.0
        )
        for gamma in ("0.3", "0.5", "0.7")
    },
}
GAMMAS, NOISE = (0.3, 0.5, 0.7), 0.6
SHOWN = 16  # samples of each gamma in the picture


def evaluate(samples: Any, images: Any, labels: Any) -> dict[str, Any]:
    """Measures diversity and quality of samples [K, N, 64] beside images [M, 64]: {name: [K]}."""
    classes = LogisticRegression(max_iter=2000).fit(images, labels)
    rows = []
    for x in samples:
        probability = classes.predict_proba(x)
        # There are 10 bins even if a class is missing from the samples.
        share = np.bincount(probability.argmax(axis=1), minlength=10) / len(x)
        rows.append(
            {
                "pairwise distance": distance.pdist(x).mean(),
                # An empty class adds 0 log 0 = 0.
                "entropy of classes": -(share * np.log(np.maximum(share, 1e-12))).sum(),
                "distance to data": distance.cdist(x, images).min(axis=1).mean(),
                "confidence": probability.max(axis=1).mean(),
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def sentences(metrics: dict[str, Any], count: int) -> tuple[str, ...]:
    """Writes a sentence for each metric [G K], in the order of `GAMMAS`: its medians over seeds."""
    rows = {name: np.median(np.reshape(x, (-1, count)), axis=1) for name, x in metrics.items()}
    there = ", ".join(map(str, GAMMAS))
    return tuple(
        f"{name} at gamma {there}: {', '.join(f'{x:.3g}' for x in row)}."
        for name, row in rows.items()
    )


def _frechet(samples: Any, images: Any) -> Any:
    """Computes the Frechet distances [T, K] of samples [T, K, N, 64] to images, in pixels."""
    real = frechet.moments(images)
    one = lambda x: frechet.distance_of_moments(*real, *frechet.moments(x))
    return np.array([[one(x) for x in row] for row in samples])


def differences(seen: dict[str, Any]) -> list[Any]:
    """Compares diversity and quality {metric: [G, K]} at gamma 0.7 and 0.3: conditions."""
    conditions = []
    for name, (low, *_, high) in seen.items():
        better_low = name == "confidence"  # the others are larger at the larger gamma
        gap, what = (low - high, "0.3 - 0.7") if better_low else (high - low, "0.7 - 0.3")
        conditions.append(ledger.above(f"{name}, gamma {what}", ledger.interval(gap), 0.0))
    return conditions


def measure(seeds: range, quick: bool) -> Measured:
    dataset = tasks.load_images("digits").dataset
    # Quality is measured against the clean digits, though training saw noisy ones.
    images = dataset.images.reshape(len(dataset.images), -1)
    trace = digits_began.play(GAMMAS, seeds, noise=NOISE, **worlds.length(quick, 4000))
    # Trial i has gamma i // K: [..., G K] -> [..., G, K].
    by_gamma = lambda values: np.reshape(values, (*np.shape(values)[:-1], len(GAMMAS), len(seeds)))
    # `last` is the first evaluation of the last quarter.
    last = len(trace.steps) * 3 // 4
    # The means come first, then their ratio: a ratio of single steps has another mean.
    late = lambda name: trace.means[name][last:].mean(axis=0)
    ratio = by_gamma(late("fake_score") / late("real_score"))
    conditions = [
        ledger.at_most(f"gamma {gamma}: |ratio - gamma|", ledger.interval(abs(row - gamma)), 0.05)
        for gamma, row in zip(GAMMAS, ratio, strict=True)
    ]
    found = evaluate(trace.samples[-1], images, dataset.labels)
    conditions += differences({name: by_gamma(values) for name, values in found.items()})
    watched, quality = trace.means["convergence"], _frechet(trace.samples, images)
    count = watched.shape[1]
    rank = [stats.spearmanr(watched[:, k], quality[:, k]).statistic for k in range(count)]
    # A constant has no rank correlation (NaN): it follows nothing, which is 0.
    for gamma, row in zip(GAMMAS, by_gamma(np.nan_to_num(rank)), strict=True):
        what = f"gamma {gamma}: rank correlation of M and Frechet distance"
        conditions.append(ledger.above(what, ledger.interval(row), 0.5))
    remarks = sentences({**found, "Frechet distance": quality[-1]}, len(seeds))
    if not quick:
        # The remark on noise rests on this run; no condition asks for it, so a quick run goes
        # without.
        clean = digits_began.play(GAMMAS, seeds, **worlds.length(quick, 4000))
        alone = sentences(evaluate(clean.samples[-1], images, dataset.labels), len(seeds))
        remarks += tuple(f"Without noise, {line}" for line in alone)
    all_ratios = by_gamma(trace.means["fake_score"] / trace.means["real_score"])
    curves = {f"gamma {g}": all_ratios[:, i].tolist() for i, g in enumerate(GAMMAS)}
    shown = {"data": pixels(digits_began.noisy(images[:SHOWN], NOISE))}
    # The first seed's samples, from the same latents for every gamma.
    x = trace.samples[-1].reshape(len(GAMMAS), len(seeds), *trace.samples.shape[2:])[:, 0, :SHOWN]
    shown |= {f"gamma {g}": pixels(row) for g, row in zip(GAMMAS, x, strict=True)}
    return Measured(conditions, {"steps": trace.steps, "ratio": curves, "samples": shown}, remarks)


def pixels(images: Any) -> list[list[int]]:
    """Rounds images [N, 64] in [-1, 1] to whole per cent, which is finer than the eye sees."""
    return np.rint(100 * np.clip(np.nan_to_num(images), -1, 1)).astype(int).tolist()


def draw(data: dict[str, Any]) -> Any:
    figure = pictures.bands(
        data["steps"],
        data["ratio"],
        x="updates",
        y="E L(G(z)) / E L(x)",
        lines={f"_{gamma}": gamma for gamma in GAMMAS},  # not in the legend
    )
    image = lambda x: np.asarray(x, float).reshape(-1, 8, 8, 1) / 100
    return pictures.strips_below(figure, {k: image(x) for k, x in data["samples"].items()})
