"""How fast gradients and estimates explode, vanish or diverge, by the networks' depth and width.

    python -m experiments.claims.rates --json

"Explodes", "vanishes" and "diverges" are words for a rate, so beside the claims C5, C6, C7 and C15
stands the rate itself, with its 95 % interval over seeds (which no claim has used), for five sizes
of the networks. Each is the slope of a straight line through a run's logarithms:

* C7: decades (factors of ten) by which the critic's gradient grows from a layer to the one before
  it, towards the data; the boxes are the paper's times sqrt(512 / width).
* C5: the power of the number of discriminator updates with which the generator's gradient shrinks
  (saturating loss) or gets noisy (-log D), where data and samples cannot overlap.
* C6: the power of the number of updates with which |estimate| grows in the second half of training,
  without a constraint.
* C15: likewise of the generated energy, without a margin.

A rate of 0 is no explosion and no vanishing.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

import jwgan
from experiments import toy2d
from experiments.claims import c05_saturation, c06_no_constraint, c07_clipping, ledger, worlds
from experiments.results import markdown
from jwgan import priors
from jwgan.models import autoencoder
from jwgan.run import command, options, tasks
from jwgan.run.options import option

SIZES = ((2, 64), (3, 64), (4, 64), (3, 32), (3, 128))  # (hidden layers, units of each)
DEEP = ((6, 64), (12, 64), (18, 64), (12, 32), (12, 128))  # of C7
TINY = 1e-30  # stands for 0, which has no logarithm
HEAD = ("claim", "what", "hidden layers", "units", "rate", "95 % interval", "unit")
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the bench."""

    seeds: int = option(16, "runs of each size", at_least=2)
    first_seed: int = option(2000, "and on", at_least=0)
    claim: str = option("", "this one alone: C5, C6, C7 or C15")
    steps: int | None = option(None, "updates of every run (default: the claim's)", at_least=32)
    json: bool = option(False, "print one line of JSON at the end")


def slopes(x: Any, values: Any) -> Any:
    """Fits a line to log10 of values [T, K] over x [T], by least squares: its slopes [K]."""
    return np.polyfit(x, np.log10(np.maximum(np.asarray(values, float), TINY)), 1)[0]


def row(claim: str, what: str, size: tuple[int, int], rates: Any, unit: str) -> Row:
    """Describes the rates [K] of one size: their median and its interval."""
    value, low, high = (float(f"{x:.4g}") for x in ledger.interval(rates))
    found = {"claim": claim, "what": what, "depth": size[0], "width": size[1]}
    return {**found, "rate": value, "low": low, "high": high, "unit": unit}


def late(steps: Sequence[int], values: Any) -> Any:
    """Finds the power of the step with which values [T, K] grow in the second half: [K]."""
    half = len(steps) // 2
    return slopes(np.log10(steps[half:]), np.asarray(values)[half:])


def vanishing(seeds: range, steps: int) -> Iterator[Row]:
    """C5, where data and samples cannot overlap."""
    updates = [n for n in c05_saturation.UPDATES if 10 <= n < steps] + [steps]
    for size in SIZES:
        critic, generator = worlds.players(depth=size[0], width=size[1])
        sample, bent = c05_saturation.two_worlds(generator)["disjoint"]
        found = c05_saturation.gradients_after(sample, critic, bent, updates, seeds)  # [T, 4, K]
        for what, i in (("saturating gradient", 0), ("spread of the -log D gradient", 3)):
            rates = slopes(np.log10(updates), found[:, i])
            yield row("C5", what, size, rates, "power of the updates")


def _train(algorithm: Any, seeds: range, steps: int, n_critic: int) -> Any:
    return worlds.play(algorithm, "eight_gaussians", seeds, n_critic=n_critic, steps=steps)


def diverging(seeds: range, steps: int) -> Iterator[Row]:
    """C6: WGAN-GP with a penalty of weight 0, which is no constraint."""
    settings = {**toy2d.MEMBERS["wgan_gp"], "weight": 0.0}
    for size in SIZES:
        players = worlds.players(depth=size[0], width=size[1])
        member = jwgan.wgan_gp(*players, prior=priors.normal(worlds.LATENT), **settings)
        trace = _train(member, seeds, steps, n_critic=5)
        estimate = c06_no_constraint.finite(trace.means["wasserstein_estimate"])
        rates = late(trace.steps, estimate)
        yield row("C6", "|estimate| without a constraint", size, rates, "power of the updates")


def deep(seeds: range, steps: int) -> Iterator[Row]:
    """C7: the gradient through the layers, in every box and under the penalty."""
    points = tasks.load_world("swiss_roll").held_out[:256]  # [256, 2]
    for depth, width in DEEP:
        critic = c07_clipping.deep_critic(depth, width)
        gradients = jax.jit(jax.vmap(lambda params, of=critic: of.layer_gradients(params, points)))
        members = c07_clipping.members(critic, (512 / width) ** 0.5)
        for name, member in members.items():
            trace = worlds.play(member, "swiss_roll", seeds, steps=steps, evaluations=1)
            found = np.asarray(gradients(trace.states.critic.params))  # [K, depth]
            # Layer 1 is next to the data, and the gradient comes from the other end.
            rates = slopes(-np.arange(1.0, depth + 1), found.T)
            yield row("C7", name, (depth, width), rates, "decades a layer")


def exploding(seeds: range, steps: int) -> Iterator[Row]:
    """C15: a margin that no energy reaches."""
    for size in SIZES:
        _, generator = worlds.players(depth=size[0], width=size[1])
        # Of the encoder, which the decoder mirrors: toy2d has two layers for the others' three.
        critic = autoencoder.EBGANMLPCritic((size[1],) * (size[0] - 1))
        member = jwgan.ebgan(
            jwgan.from_linen(critic),
            generator,
            prior=priors.normal(worlds.LATENT),
            **{**toy2d.MEMBERS["ebgan"], "margin": 1e9},
        )
        trace = _train(member, seeds, steps, n_critic=1)
        energy = np.nan_to_num(trace.means["fake_score"], nan=1e30, posinf=1e30)
        rates = late(trace.steps, energy)
        yield row("C15", "generated energy without a margin", size, rates, "power of the updates")


# Claim -> (its rates, generator updates as the claim has them; of C5 the discriminator's).
PARTS = {
    "C5": (vanishing, 4000),
    "C6": (diverging, 2000),
    "C7": (deep, 500),
    "C15": (exploding, 4000),
}


def measure(config: Config) -> dict[str, Any]:
    """Measures the rates of all sizes, or of one claim's.

    Raises:
      ValueError: there is no such claim.
    """
    if config.claim:
        options.require_choice("claim", config.claim, PARTS)
    seeds = range(config.first_seed, config.first_seed + config.seeds)
    parts = [
        part(seeds, config.steps or steps)
        for claim, (part, steps) in PARTS.items()
        if config.claim in ("", claim)
    ]
    return {"seeds": config.seeds, "rows": list(itertools.chain(*parts))}


def table(result: dict[str, Any]) -> str:
    """Lists the rates; without a result, a row says so."""
    rows = [
        [
            *(one[name] for name in ("claim", "what", "depth", "width")),
            f"{one['rate']:+.3g}",
            f"{one['low']:+.3g} to {one['high']:+.3g}",
            one["unit"],
        ]
        for one in result.get("rows", ())
    ]
    rows = [[str(cell).replace("|", "\\|") for cell in cells] for cells in rows]
    return markdown.table(list(HEAD), rows or [["not recorded yet", *[""] * (len(HEAD) - 1)]])


def text(config: Config, result: dict[str, Any]) -> str:
    """The table, or JSON."""
    return command.as_json(config, result) if config.json else table(result)


def main(argv: list[str] | None = None) -> None:
    command.run(Config, measure, __doc__, argv=argv, text=text)


if __name__ == "__main__":
    main()
