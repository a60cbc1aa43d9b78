"""C6: without a Lipschitz constraint the Wasserstein critic's estimate has no bound."""

from typing import Any

import numpy as np

from experiments.claims import ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured, Said

CLAIM = Claim(
    title="Without a Lipschitz constraint the critic diverges",
    claim="The dual formula holds for 1-Lipschitz critics only. Without a constraint the "
    "difference of the mean scores can be made as large as one likes, and training makes it so.",
    source="Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, section 3; course slides "
    "(the critic is pushed to plus and minus infinity without the smoothness condition)",
    criterion="WGAN on 8 Gaussians for 2,000 updates with n_critic 5, and the same with a gradient "
    "penalty of weight 10. Without: the largest estimate over training, over the exact W1 of real "
    "and first fakes (below 3), is above 100. With: it is at most 3. Median over seeds. Added on "
    "2026-11-29, since 100 was a number of our own and the source says that training never stops "
    "making the difference larger: without, the mean |estimate| of the last sixteenth of training "
    "over that of the eighth one is above 1.",
    data="8 Gaussians, MLPs of 3 x 64 units, batch 64; each seed's largest "
    "over all updates and its own exact W1 before the first",
    did="We trained the same small WGAN with no constraint on the critic and with a gradient "
    "penalty, and compared the largest estimate with the true distance.",
    means="The estimate of a critic without a constraint has no unit and goes on growing. It is "
    "no distance: do not compare it between runs, and do not read a growing one as bad samples.",
)
SAID = {
    "no constraint: largest |estimate| / W1 before": Said(
        "slides: scores are pushed to plus and minus infinity", none=1.0
    ),
    "no constraint: |estimate|, end / half-way": Said(
        "slides: and go on, for nothing holds them", none=1.0
    ),
}
HUGE = 1e30  # stands for an estimate that is not finite, in JSON and in medians


def finite(x: Any) -> Any:
    """Sizes of x, HUGE where it is not finite."""
    return np.nan_to_num(np.abs(x), nan=HUGE, posinf=HUGE)


def measure(seeds: range, quick: bool) -> Measured:
    found, conditions = {}, []
    for name, weight in (("no constraint", 0.0), ("gradient penalty", 10.0)):
        # Weight 0 is no constraint, so the two differ in nothing else.
        member = worlds.member("wgan_gp", weight=weight)
        trace = worlds.play(member, "eight_gaussians", seeds, **worlds.length(quick, 2000))
        found[name] = finite(trace.means["wasserstein_estimate"]).tolist()
        largest = finite(trace.largest["wasserstein_estimate"]) / trace.w1_before
        # `largest` is over every update: a window's mean would hide a peak.
        what = f"{name}: largest |estimate| / W1 before"
        make = ledger.at_most if weight else ledger.above
        conditions.append(make(what, ledger.interval(largest), 3.0 if weight else 100.0))
        if not weight:
            means = finite(trace.means["wasserstein_estimate"])  # [T, K]
            growth = means[-1] / np.maximum(means[(len(means) - 1) // 2], 1e-30)
            what = f"{name}: |estimate|, end / half-way"
            conditions.append(ledger.above(what, ledger.interval(growth), 1.0))
    first = float(np.median(trace.w1_before))
    return Measured(conditions, {"steps": trace.steps, "estimate": found, "w1_before": first})


def draw(data: dict[str, Any]) -> Any:
    return pictures.bands(
        data["steps"],
        data["estimate"],
        x="generator updates",
        y="|E D(x) - E D(g)|",
        logarithmic=True,
        lines={"W1 before training": data["w1_before"]},
    )
