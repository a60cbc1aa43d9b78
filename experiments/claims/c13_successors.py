"""C13: what WGAN-LP, spectral normalisation and WGAN-div promise beside WGAN-GP."""

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from experiments.claims import ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured, Said
from jwgan import loop
from jwgan.run import tasks

CLAIM = Claim(
    title="WGAN-LP trains faster, spectral norm is cheap, WGAN-div is better",
    claim="WGAN-LP is less restrictive and trains faster than WGAN-GP; spectral normalisation is "
    "an efficient constraint; WGAN-div has better and more stable results.",
    source="Petzka et al., 2018; Miyato et al., 2018; Wu et al., 2018; as summed up in the WGAN-GP "
    "blog post of the source texts",
    criterion="4,000 updates, n_critic 5. By seed, wgan_gp minus wgan_lp: exact W1 averaged over "
    "training is above 0 in the median. CPU time of a program of updates, sngan over wgan_gp: at "
    "most 0.75, and its final W1 minus wgan_gp's is at most 0.05 in the median. wgan_gp minus "
    "wgan_div: final W1 is above 0 in the median, and so is the difference of the interquartile "
    "ranges of final W1.",
    data="8 Gaussians, MLPs of 3 x 64 units, batch 64; each member as "
    "experiments.toy2d has it (penalties of wgan_gp and wgan_lp: weight 0.1; C12 has 10 as well)",
    did="We trained four members with the same networks and the same number of updates, and "
    "compared the true distance at the end, on the way, and the time.",
    means="None of the successors is a reason to leave the gradient penalty for the samples' "
    "sake; spectral normalisation saves you time.",
)
SAID = {
    "W1 over training, wgan_gp - wgan_lp": Said("WGAN-LP, section 5: trains faster", none=0.0),
    "CPU time, sngan / wgan_gp": Said("spectral norm, section 1: cheap", none=1.0),
    "final W1, wgan_gp - wgan_div": Said("WGAN-div, section 4: better results", none=0.0),
    "interquartile range of final W1, wgan_gp - wgan_div": Said(
        "WGAN-div, section 4: more stable", none=0.0
    ),
}
MEMBERS = ("wgan_gp", "wgan_lp", "sngan", "wgan_div")
TIMED = ("sngan", "wgan_gp")
ROUNDS = 12  # timings of each, in turn


def seconds_per_update(names: Sequence[str], seeds: range, updates: int) -> dict[str, list[float]]:
    """Times an update of all seeds in CPU seconds, ROUNDS times for each member, in turn.

    In turn, so that what else the machine does slows all members alike.
    """
    sample = tasks.load_world("eight_gaussians").problem.sample
    programs, states = {}, {}
    for name in names:
        runs = worlds.trials(worlds.member(name), sample, seeds, n_critic=5)
        programs[name], states[name] = loop.chunk_program(runs.algorithm, runs.source), runs.init()
    times: dict[str, list[float]] = {name: [] for name in names}
    for i in range(1 + ROUNDS):
        for name in names:
            # All members have the same data, so the last one's source serves each.
            operand = runs.source.fetch(updates * i, updates)
            began = time.process_time()
            states[name], _ = programs[name](states[name], operand, updates)
            # The step counter is there when the whole program is done.
            jax.block_until_ready(states[name].step)
            times[name].append((time.process_time() - began) / updates)
    return {name: seconds[1:] for name, seconds in times.items()}  # The first one compiles.


def measure(seeds: range, quick: bool) -> Measured:
    traces = {}
    for name in MEMBERS:
        traces[name] = worlds.play(
            worlds.member(name),
            "eight_gaussians",
            seeds,
            **worlds.length(quick, 4000, skip=name != "wgan_gp"),
        )
    # NaN leaves the condition open.
    blank = dict.fromkeys(TIMED, [np.nan] * ROUNDS)
    seconds = blank if quick else seconds_per_update(TIMED, seeds, 100)
    ratio = ledger.interval(np.divide(seconds["sngan"], seconds["wgan_gp"]))
    final = {name: trace.w1[-1] for name, trace in traces.items()}
    gap = lambda a, b: ledger.interval(worlds.difference(final[a], final[b]))
    faster = worlds.difference(worlds.area(traces["wgan_gp"].w1), worlds.area(traces["wgan_lp"].w1))
    # [K, 2]; a run that diverged counts as 1000, as in `difference`.
    pairs = np.minimum(np.stack([final["wgan_gp"], final["wgan_div"]], axis=1), 1e3)

    def spread(index: Any) -> Any:
        # The difference of the interquartile ranges, both of the same resampled seeds.
        rows = pairs[index.astype(int)]  # [..., K, 2]
        low, high = np.quantile(rows, [0.25, 0.75], axis=-2)
        return (high - low)[..., 0] - (high - low)[..., 1]

    conditions = [
        ledger.above("W1 over training, wgan_gp - wgan_lp", ledger.interval(faster), 0.0),
        ledger.at_most("CPU time, sngan / wgan_gp", ratio, 0.75),
        ledger.at_most("final W1, sngan - wgan_gp", gap("sngan", "wgan_gp"), 0.05),
        ledger.above("final W1, wgan_gp - wgan_div", gap("wgan_gp", "wgan_div"), 0.0),
        ledger.above(
            "interquartile range of final W1, wgan_gp - wgan_div",
            # Seeds are resampled and not values, so that both members keep the same ones.
            ledger.interval(np.arange(len(seeds)), spread),
            0.0,
        ),
    ]
    curves = {name: trace.w1.tolist() for name, trace in traces.items()}
    trace = traces["wgan_gp"]
    data = {"steps": trace.steps, "w1": curves, "w1_of_real": trace.w1_of_real}
    remark = (
        "The first bar is C12's at weight 0.1, W1 over training, with the sign turned; at weight "
        "10 the two penalties differ more, see there."
    )
    return Measured(conditions, {**data, "cpu_seconds_per_update": seconds}, (remark,))


def draw(data: dict[str, Any]) -> Any:
    return pictures.w1_curves(data)
