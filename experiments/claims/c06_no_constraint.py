"""C6: without a Lipschitz constraint the Wasserstein critic's estimate has no bound."""

from typing import Any

import numpy as np

from experiments.claims import ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured

CLAIM = Claim(
    title="Without a Lipschitz constraint the critic diverges",
    claim="The dual formula holds for 1-Lipschitz critics only. Without a constraint the "
    "difference of the mean scores can be made as large as one likes, and training makes it so.",
    source="Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, section 3; course slides "
    "(the critic is pushed to plus and minus infinity without the smoothness condition)",
    criterion="WGAN on 8 Gaussians for 2,000 updates with n_critic 5, and the same with a gradient "
    "penalty of weight 10. Without: the largest estimate over training, over the exact W1 of real "
    "and first fakes (below 3), is above 100. With: it is at most 3. Median over seeds.",
    data="8 Gaussians, MLPs of 3 x 64 units, batch 64; each seed's largest "
    "over all updates and its own exact W1 before the first",
)
HUGE = 1e30  # stands for an estimate that is not finite, in JSON and in medians


def measure(seeds: int, quick: bool) -> Measured:
    found, conditions = {}, []
    for name, weight in (("no constraint", 0.0), ("gradient penalty", 10.0)):
        # Weight 0 is no constraint, so the two differ in nothing else.
        member = worlds.member("wgan_gp", weight=weight)
        trace = worlds.play(member, "eight_gaussians", seeds, **worlds.length(quick, 2000))
        finite = lambda x: np.nan_to_num(np.abs(x), nan=HUGE, posinf=HUGE)
        found[name] = finite(trace.means["wasserstein_estimate"]).tolist()
        largest = finite(trace.largest["wasserstein_estimate"]) / trace.w1_before
        # `largest` is over every update: a window's mean would hide a peak.
        what = f"{name}: largest |estimate| / W1 before"
        make = ledger.at_most if weight else ledger.above
        conditions.append(make(what, ledger.interval(largest), 3.0 if weight else 100.0))
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
