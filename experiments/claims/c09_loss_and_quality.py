"""C9: does what a member prints while it trains follow the quality of its samples?"""

from typing import Any

import numpy as np
from scipy import stats

from experiments.claims import ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured, Said
from jwgan.report import plots

CLAIM = Claim(
    title="The Wasserstein estimate follows sample quality, GAN losses do not",
    claim="The critic's estimate falls as the samples get better, so it can be watched; the losses "
    "of a GAN do not correlate with sample quality.",
    source="Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, section 4.2 and figures 3 and 4; "
    "Gulrajani et al., 2017, section 5.4",
    criterion="4,000 updates, 32 looks. Spearman's rank correlation over a run between the figure "
    "a user watches (mean over the stretch before each look) and exact W1. Estimate of wgan, "
    "wgan_gp and wgan_lp: the median over seeds is above 0.5 for each. Generator's loss of "
    "gan_minimax, gan and lsgan: the absolute median is at most 0.5 for each. Other members are "
    "measured beside them. Added on 2026-11-29, since a loss that rises while samples get better "
    "is no use to who watches it either, and that is what the source shows: with its sign, the "
    "median of gan_minimax, gan and lsgan is at most 0.",
    data="8 Gaussians, MLPs of 3 x 64 units, batch 64, n_critic 5 for all; wgan: c 0.1, rate 1e-3; "
    "others as experiments.toy2d has them (the GANs: Adam, 1e-4)",
    did="We trained six members, looked 32 times on the way, and compared what a user would "
    "watch, the critic's estimate or the generator's loss, with the true distance of the samples.",
    means="Of a WGAN watch the estimate: it falls as the samples get better. Of a GAN the loss "
    "may follow the samples as closely, but upside down, rising while they get better, so that "
    "nobody would think to stop when it is high.",
)
_FOLLOWS = "figure 3: the estimate falls as samples get better"
_UNRELATED = "figure 4: JS and losses of a GAN do not fall as samples get better"
SAID = {
    "wgan: rank correlation of estimate and W1": Said(_FOLLOWS, none=0.0),
    "wgan_gp: rank correlation of estimate and W1": Said(_FOLLOWS, none=0.0),
    "wgan_lp: rank correlation of estimate and W1": Said(_FOLLOWS, none=0.0),
    "gan_minimax: rank correlation of loss and W1": Said(_UNRELATED, none=0.0),
    "gan: rank correlation of loss and W1": Said(_UNRELATED, none=0.0),
    "lsgan: rank correlation of loss and W1": Said(_UNRELATED, none=0.0),
}
WATCHED = {
    "wgan": "wasserstein_estimate",
    "wgan_gp": "wasserstein_estimate",
    "wgan_lp": "wasserstein_estimate",
    "gan_minimax": "generator_loss",
    "gan": "generator_loss",
    "lsgan": "generator_loss",
}
# Members of which the claim says nothing: they are measured and get a remark, no condition.
ALSO = {
    "sngan": "generator_loss",
    "ebgan": "generator_loss",
    "began": "convergence",
}
JS = ("gan_minimax", "gan")  # Their discriminator's loss estimates log 2 - JS: one more remark.


def rank_correlation(a: Any, b: Any) -> float:
    """Spearman's correlation of a and b [T]: 0 for a constant, NaN if either has a NaN."""
    # NaN is a run that diverged, or that a quick run left out: its condition stays open.
    if np.isnan(a).any() or np.isnan(b).any():
        return float("nan")
    # Ranks of a constant are undefined; a constant says nothing, which is a correlation of 0.
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(stats.spearmanr(a, b).statistic)


def remark(name: str, watched: str, rank: list[float]) -> str:
    """Writes a rank correlation without a condition as a sentence: its median over seeds."""
    value, low, high = ledger.interval(rank)
    return f"{name}: rank correlation of {watched} and W1 {value:.2f} ({low:.2f} to {high:.2f})."


def measure(seeds: range, quick: bool) -> Measured:
    conditions, by_member, example = [], {}, {}
    remarks = []
    for name, scalar in {**WATCHED, **ALSO}.items():
        if quick and name not in worlds.QUICK:
            continue
        member = worlds.member(name, **(worlds.CLIPPING if name == "wgan" else {}))
        trace = worlds.play(
            member,
            "eight_gaussians",
            seeds,
            **worlds.length(quick, 4000, evaluations=32),
        )
        watched = trace.means[scalar]  # [T, K]
        over_runs = lambda x: [rank_correlation(x[:, k], trace.w1[:, k]) for k in range(len(seeds))]
        rank = over_runs(watched)
        by_member[name] = rank
        # The picture shows the first seed's curves, and not the best one's.
        example[name] = {"watched": watched[:, 0].tolist(), "w1": trace.w1[:, 0].tolist()}
        if name in ALSO:
            remarks.append(remark(name, scalar.replace("_", " "), rank))
        elif scalar == "wasserstein_estimate":
            what = f"{name}: rank correlation of estimate and W1"
            conditions.append(ledger.above(what, ledger.interval(rank), 0.5))
        else:
            # The criterion has the size of the median; a median of sizes is above 0 for noise as
            # well.
            middle = lambda x: np.abs(np.median(x, axis=-1))
            what = f"{name}: |rank correlation| of loss and W1"
            conditions.append(ledger.at_most(what, ledger.interval(rank, middle), 0.5))
            what = f"{name}: rank correlation of loss and W1"
            conditions.append(ledger.at_most(what, ledger.interval(rank), 0.0))
        if name in JS:
            # The loss is 2 log 2 - 2 JS at the best discriminator.
            js = np.log(2) - trace.means["critic_loss"] / 2
            remarks.append(remark(name, "the discriminator's estimate of JS", over_runs(js)))
    return Measured(
        conditions, {"steps": trace.steps, "rank": by_member, "seed_0": example}, tuple(remarks)
    )


def draw(data: dict[str, Any]) -> Any:
    """Draws every seed's correlation, and below what seed 0 printed beside its W1, scaled to 1."""
    figure = pictures.boxes(
        data["rank"], y="rank correlation with W1", lines={"criterion": 0.5, "none": 0.0}
    )
    columns, runs = 4, data["seed_0"]
    # -(-a // b) is a / b rounded up.
    axes = pictures.below(figure, -(-len(runs) // columns), columns, 1.3)
    # Losses and W1 have no common unit; only the shape of the curves is compared.
    unit = lambda x: (x - np.min(x)) / max(np.ptp(x), 1e-12)
    for i, (ax, (name, run)) in enumerate(zip(axes, runs.items(), strict=False)):
        for curve, colour in (("w1", "#aaaaaa"), ("watched", plots.COLOURS[i % 8])):
            ax.plot(data["steps"], unit(np.nan_to_num(np.array(run[curve], float))), color=colour)
        ax.set_title(name, fontsize=8)
    # Places of the last row that no member fills are taken away.
    for ax in axes[len(runs) :]:
        ax.remove()
    axes[0].set_ylabel("grey: W1", fontsize=8)
    return figure
