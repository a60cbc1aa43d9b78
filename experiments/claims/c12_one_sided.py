"""C12: the two-sided penalty against the one-sided one."""

from typing import Any

from experiments.claims import ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured, Said

CLAIM = Claim(
    title="The two-sided penalty converges faster and to better optima",
    claim="Penalising only gradient norms above 1 also works in theory, but pushing them towards 1 "
    "from both sides converges faster and to better optima.",
    source="course slides; Gulrajani et al., 2017, Improved Training of Wasserstein GANs, section "
    "4 and appendix C, which finds the two-sided one a little better",
    criterion="4,000 updates at each weight of 0.1 and 10. By seed, one-sided (squared hinge) "
    "minus two-sided: exact W1 averaged over training (faster) and at the end (better) are both "
    "above 0 in the median, at both weights.",
    data="8 Gaussians, MLPs of 3 x 64 units, batch 64, n_critic 5",
    did="We trained with a penalty that pulls gradient norms to 1 from both sides and with one "
    "that only holds them below 1, at two weights.",
    means="With a small weight there is nothing to choose between. With a large one the one-sided "
    "penalty is far faster, the opposite of what is said.",
)
SAID = {
    f"weight {weight}: one-sided - two-sided, {what}": Said(f"slides: {how}", none=0.0)
    for weight in ("0.1", "10")
    for what, how in {"W1 over training": "faster", "final W1": "better optima"}.items()
}


def measure(seeds: range, quick: bool) -> Measured:
    conditions, curves = [], {}
    for weight in (0.1, 10.0):
        traces = {}
        for name, member in (("two-sided", "wgan_gp"), ("one-sided", "wgan_lp")):
            algorithm = worlds.member(member, weight=weight)
            # A quick run trains the two-sided penalty at weight 10 alone.
            length = worlds.length(quick, 4000, skip=weight < 10 or name == "one-sided")
            trace = worlds.play(algorithm, "eight_gaussians", seeds, **length)
            traces[name], curves[f"{name}, weight {weight:g}"] = trace, trace.w1.tolist()
        one, two = traces["one-sided"].w1, traces["two-sided"].w1
        # "Faster" is a lower mean over training, "better" a lower end.
        gap = worlds.difference(worlds.area(one), worlds.area(two))
        what = f"weight {weight:g}: one-sided - two-sided"
        conditions.append(ledger.above(f"{what}, W1 over training", ledger.interval(gap), 0.0))
        gap = worlds.difference(one[-1], two[-1])
        conditions.append(ledger.above(f"{what}, final W1", ledger.interval(gap), 0.0))
    return Measured(
        conditions, {"steps": trace.steps, "w1": curves, "w1_of_real": trace.w1_of_real}
    )


def draw(data: dict[str, Any]) -> Any:
    return pictures.w1_curves(data)
