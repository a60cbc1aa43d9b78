"""C15: what EBGAN's margin is for."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.claims import ledger, pictures, worlds
from experiments.claims.ledger import Claim, Measured, Said

CLAIM = Claim(
    title="Without the margin the energy of generated data explodes",
    claim="An auto-encoder gives large energy to limited regions, because energy is low only where "
    "data were reconstructed. Reconstruction is hard to learn and easy to destroy: without the "
    "margin the critic wins more by raising the generated energy without end than by keeping the "
    "real one low.",
    source="Zhao, Mathieu and LeCun, 2017, Energy-based GAN, section 2; course slides "
    "(hard to reconstruct, easy to destroy)",
    criterion="EBGAN for 4,000 updates with margin 1 and with none (1e9). (a) Largest generated "
    "energy over training: with margin at most 2, without above 100, median over seeds. (b) Final "
    "real energy without margin over with margin is above 10 in the median. (c) With margin, the "
    "share of the square [-2, 2]^2 whose energy is below half of the margin is at most 0.5 in the "
    "median: low energy stays limited. Added on 2026-11-29, since 100 was a number of our own and "
    "the source compares the two and says that there is no end: (d) the largest generated energy "
    "without margin over with margin, and (e) without margin, that of the last sixteenth of "
    "training over that of the eighth one, are above 1 in the median.",
    data="8 Gaussians, auto-encoder of 2 x 64 units, batch 64; the largest of every update",
    did="We trained an EBGAN, whose critic is an auto-encoder, with its margin and without one, "
    "and measured the energy of real and generated points.",
    means="Keep the margin: without it the critic gives up reconstructing the data, since "
    "destroying the samples pays more.",
)
SAID = {
    "generated energy, no margin / margin": Said(
        "slides: easy to destroy, so that without the margin it explodes", none=1.0
    ),
    "no margin: generated energy, end / half-way": Said("slides: and goes on", none=1.0),
    "final real energy, no margin / margin": Said("slides: hard to reconstruct", none=1.0),
    "margin 1: share of low energy": Said("section 2: low energy in limited regions", none=1.0),
}
LIMIT = 1e30  # stands for an energy that has exploded, in JSON and in medians


def _finite(energy: Any) -> Any:
    """Replaces energies that are not finite, which have exploded, by LIMIT."""
    return np.nan_to_num(energy, nan=LIMIT, posinf=LIMIT, neginf=LIMIT)


def _low_share(trace: Any) -> Any:
    """Measures the share [K] of a fine grid over [-2, 2]^2 with energy below 0.5."""
    line = jnp.linspace(-2.0, 2.0, 64)
    grid = jnp.stack(jnp.meshgrid(line, line), axis=-1).reshape(-1, 2)
    scores = jax.jit(jax.vmap(lambda state: trace.algorithm.score(state, grid)))(trace.states)
    return (jnp.asarray(scores) < 0.5).mean(axis=1)  # half of the margin, 1


def measure(seeds: range, quick: bool) -> Measured:
    found, real, fake, largest = {}, {}, {}, {}
    # A margin that no energy reaches is none: one member serves both.
    for name, margin in (("margin 1", 1.0), ("no margin", 1e9)):
        member = worlds.member("ebgan", margin=margin)
        trace = worlds.play(
            member, "eight_gaussians", seeds, n_critic=1, **worlds.length(quick, 4000)
        )
        real[name] = _finite(trace.means["real_score"])
        fake[name] = _finite(trace.means["fake_score"])
        largest[name] = _finite(trace.largest["fake_score"])
        found[name] = trace
    low = _low_share(found["margin 1"])
    ratio = real["no margin"][-1] / real["margin 1"][-1]
    alone = fake["no margin"]  # [T, K]
    growth = alone[-1] / np.maximum(alone[(len(alone) - 1) // 2], 1e-30)
    conditions = [
        ledger.at_most("margin 1: generated energy", ledger.interval(largest["margin 1"]), 2.0),
        ledger.above("no margin: generated energy", ledger.interval(largest["no margin"]), 100.0),
        ledger.above("final real energy, no margin / margin", ledger.interval(ratio), 10.0),
        ledger.at_most("margin 1: share of low energy", ledger.interval(low), 0.5),
        ledger.above(
            "generated energy, no margin / margin",
            ledger.interval(largest["no margin"] / largest["margin 1"]),
            1.0,
        ),
        ledger.above("no margin: generated energy, end / half-way", ledger.interval(growth), 1.0),
    ]
    energies = {f"generated, {name}": fake[name].tolist() for name in fake}
    energies |= {f"real, {name}": real[name].tolist() for name in real}
    return Measured(conditions, {"steps": trace.steps, "energy": energies})


def draw(data: dict[str, Any]) -> Any:
    return pictures.bands(
        data["steps"],
        data["energy"],
        x="generator updates",
        y="energy",
        logarithmic=True,
    )
