"""C19: how well does a WGAN critic estimate W1?"""

import math
from typing import Any

import numpy as np

from experiments.claims import ledger, pictures
from experiments.claims.ledger import Claim, Measured, Said
from experiments.w1_benchmark import tables as w1_tables
from jwgan.report import plots

CLAIM = Claim(
    title="A penalised critic's estimate of W1 is close, a clipped one's is not",
    claim="A WGAN's critic, trained until optimality, estimates the Wasserstein-1 distance between "
    "data and samples.",
    source="Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, sections 3 and 4.2; doubted by "
    "Korotin, Kolesov and Burnaev, 2022, Kantorovich Strikes Back!, whose benchmark this is",
    criterion="From the recorded runs of the W1 benchmark, no training here, on the pairs (D, N) "
    "(8, 4), (8, 16), (16, 16), (16, 64), (32, 16), (64, 16). (a) wgan_gp and wgan_lp, on the five "
    "pairs of N <= 16 funnels: the largest error over the pairs, relative to the true W1, of the "
    "critic's estimate, and of that over its mean slope (corrected), is at most 0.1. (b) Clipped "
    "wgan: the median over the six pairs of the relative error of its estimate is above 0.25. A "
    "pair that is not recorded leaves its bar open, unless the others decide it. Written when five "
    "of clipping's pairs and one of either penalty's were recorded.",
    data="experiments/results/w1-METHOD-D-N.json (one seed each), experiments/published_w1.json",
    did="We read the critics of the W1 benchmark, which were trained between distributions whose "
    "W1 is known, and compared what they say with the truth.",
    means="Trust the direction in which an estimate moves, not its size: expect a penalised "
    "critic to be off by a fifth on hard pairs, and a clipped one by more.",
)
SAID = {
    "wgan_gp: largest error of its estimate": Said("section 3: a critic at its best says W1"),
    "wgan_lp: largest error of its estimate": Said("section 3: a critic at its best says W1"),
    "wgan: median error": Said(
        "Kantorovich Strikes Back!, table 2: clipping's estimate is far off", none=0.1
    ),
}
FEW = 16  # funnels


def runs() -> dict[str, dict[tuple[int, int], dict[str, Any]]]:
    """Reads the recorded runs: {method: {pair: result}}, {} where nothing was recorded."""
    return {
        method: {pair: w1_tables.recorded(method, pair) for pair in w1_tables.FAITHFUL}
        for method in w1_tables.SAME
    }


def error(run: dict[str, Any], estimate: str) -> float:
    """Computes the relative error |estimate - W1| / W1 of a run; NaN if it was not recorded."""
    return abs(run[estimate] - run["w1_true"]) / run["w1_true"] if run else math.nan


def between(errors: list[float], statistic: Any) -> tuple[float, float, float]:
    """Computes a statistic of the known errors, and the interval that the unknown ones leave."""
    known = [x for x in errors if not math.isnan(x)]
    filled = lambda other: [other if math.isnan(x) else x for x in errors]
    value = float(statistic(known)) if known else math.nan
    # `max` and `median` rise with each error, so the ends are at 0 and at infinity.
    return value, float(statistic(filled(0.0))), float(statistic(filled(math.inf)))


def measure(seeds: range, quick: bool) -> Measured:
    # The recorded runs are read; they are the same for a quick run.
    del seeds, quick
    found, conditions = runs(), []
    # (a) is asked where the critic's potential has few pieces.
    few = [pair for pair in w1_tables.FAITHFUL if pair[1] <= FEW]
    for method in ("wgan_gp", "wgan_lp"):
        for estimate, name in (("w1", "estimate"), ("w1_corrected", "corrected estimate")):
            largest = between([error(found[method][pair], estimate) for pair in few], max)
            conditions.append(
                ledger.at_most(f"{method}: largest error of its {name}", largest, 0.1)
            )
    errors = [error(run, "w1") for run in found["wgan"].values()]
    conditions.append(ledger.above("wgan: median error", between(errors, np.median), 0.25))
    count = sum(bool(run) for of_pair in found.values() for run in of_pair.values())
    points = [
        [method, *pair, run["w1_true"], run["w1"], run["w1_corrected"]]
        for method, of_pair in found.items()
        for pair, run in of_pair.items()
        if run
    ]
    # Every run of a pair has the same true W1, so any of them gives it.
    truth = {(dim, funnels): true for _, dim, funnels, true, *_ in points}
    published = {
        short: [[truth[pair], w1_tables.published()[pair]["w1"][short]] for pair in truth]
        for short in w1_tables.SAME.values()
    }
    off = {name: [abs(w1 / true - 1) for true, w1 in rows] for name, rows in published.items()}
    remarks = [f"{count} of {len(found) * len(w1_tables.FAITHFUL)} runs are recorded."]
    if truth:
        medians = ", ".join(f"{name} {np.median(errors):.0%}" for name, errors in off.items())
        remarks.append(f"Published estimates on these pairs, median error: {medians}.")
    data = {"runs": points, "published": published}
    return Measured(conditions, data, tuple(remarks), seeds=1)


def draw(data: dict[str, Any]) -> Any:
    figure, ax = pictures.axes()
    for (method, short), colour in zip(w1_tables.SAME.items(), plots.COLOURS, strict=False):
        rows = [row for row in data["runs"] if row[0] == method]
        true, raw, corrected = ([row[i] for row in rows] for i in (3, 4, 5))
        ax.plot(true, raw, "o", color=colour, label=f"{method}, estimate")
        ax.plot(true, corrected, "x", color=colour, label=f"{method}, over its slope")
        known = data["published"][short]
        ax.plot([t for t, _ in known], [w for _, w in known], ".", color=colour, alpha=0.4)
    ends = [1.3, 2.0]
    ax.plot(ends, ends, color="black", linewidth=1, label="truth, and 10 %")
    ax.fill_between(
        ends, [0.9 * x for x in ends], [1.1 * x for x in ends], color="black", alpha=0.1
    )
    ax.set_xlabel("true W1 (small dots: published)")
    ax.set_ylabel("W1 by the critic")
    ax.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
