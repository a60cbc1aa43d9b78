"""C13: what WGAN-LP, spectral normalisation and WGAN-div promise beside WGAN-GP."""

import math
import time
from typing import Any

from experiments.claims import ledger
from experiments.claims.ledger import Claim, Measured

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
    data="8 Gaussians, MLPs of 3 x 64 units, batch 64; each member as experiments.toy2d has it",
)
MEMBERS = ("wgan_gp", "wgan_lp", "sngan", "wgan_div")


def _seconds_per_update(name: str, seeds: int, updates: int) -> float:
    """CPU seconds of an update of all seeds, the least of three programs of `updates`."""
    import jax

    from experiments import tasks
    from experiments.claims import worlds
    from jwgan import loop

    sample = tasks.load_world("eight_gaussians").problem.sample
    many, source, states = worlds.side_by_side(worlds.member(name), sample, seeds, 5)
    program, times = loop.chunk_program(many, source), []
    for i in range(4):
        began = time.process_time()
        states, _ = program(states, source.fetch(updates * i, updates), updates)
        jax.block_until_ready(states.step)
        times.append(time.process_time() - began)
    return min(times[1:]) / updates


def measure(seeds: int, quick: bool) -> Measured:
    import numpy as np

    from experiments.claims import worlds

    traces, seconds = {}, {}
    updates = worlds.QUICK_STRETCH if quick else 100
    for name in MEMBERS:
        traces[name] = worlds.play(
            worlds.member(name),
            "eight_gaussians",
            seeds,
            **worlds.length(quick, 4000, skip=name != "wgan_gp"),
        )
        skip = quick and name != "wgan_gp"
        seconds[name] = math.nan if skip else _seconds_per_update(name, seeds, updates)
    final = {name: trace.w1[-1] for name, trace in traces.items()}
    gap = lambda a, b: ledger.interval(worlds.difference(final[a], final[b]))
    faster = worlds.difference(worlds.area(traces["wgan_gp"].w1), worlds.area(traces["wgan_lp"].w1))
    pairs = np.stack([final["wgan_gp"], final["wgan_div"]], axis=1)

    def spread(index: Any) -> Any:  # interquartile ranges' difference, resampled by seed
        rows = pairs[index.astype(int)]
        low, high = np.quantile(rows, [0.25, 0.75], axis=-2)
        return (high - low)[..., 0] - (high - low)[..., 1]

    ratio = ledger.exact(seconds["sngan"] / seconds["wgan_gp"])
    bars = [
        ledger.above("W1 over training, wgan_gp - wgan_lp", ledger.interval(faster), 0.0),
        ledger.at_most("CPU time, sngan / wgan_gp", ratio, 0.75),
        ledger.at_most("final W1, sngan - wgan_gp", gap("sngan", "wgan_gp"), 0.05),
        ledger.above("final W1, wgan_gp - wgan_div", gap("wgan_gp", "wgan_div"), 0.0),
        ledger.above(
            "interquartile range of final W1, wgan_gp - wgan_div",
            ledger.interval(np.arange(seeds), spread),
            0.0,
        ),
    ]
    curves = {name: trace.w1.tolist() for name, trace in traces.items()}
    trace = traces["wgan_gp"]
    drawn = {"steps": trace.steps, "w1": curves, "w1_of_real": trace.w1_of_real}
    return Measured(bars, {**drawn, "cpu_seconds_per_update": seconds})


def draw(drawn: dict[str, Any]) -> Any:
    from experiments.claims import c08_optimizer

    return c08_optimizer.draw(drawn)
