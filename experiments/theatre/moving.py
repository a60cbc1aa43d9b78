"""Two small plays with exact numbers: a bell that slides by gradients, a plan that improves."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import divergences, transport

START, RATE, SLIDES = 6.0, 0.1, 60  # where the fake bell begins, its rate, its steps
# The bells are standard normals: ten deviations about 0 and START hold all of their mass.
LOW, HIGH = -10.0, 16.0
NUM = 24  # points of each side of the plan
DISTANCES = {"w1": "W1", "js": "JS", "kl": "KL"}


# --- two bells


def _normal(mean: Any) -> Any:
    return lambda x: -((x - mean) ** 2) / 2 - math.log(2 * math.pi) / 2


def distance(name: str, mu: Any) -> Any:
    """Computes the W1, JS or KL between N(0, 1) and N(mu, 1): [] -> []."""
    if name == "w1":
        return transport.gaussian_w1_1d(0.0, 1.0, mu, 1.0)
    between = {"js": divergences.js_of_densities, "kl": divergences.kl_of_densities}[name]
    return between(_normal(mu), _normal(0.0), LOW, HIGH)


def slide(name: str) -> dict[str, list[float]]:
    """Lets a bell slide down a distance: mu moves by -RATE times the distance's slope.

    Returns:
      {"mu", "value", "slope"}: SLIDES + 1 values each, the first before the first step.
    """

    def step(mu: Any, _: Any) -> tuple[Any, Any]:
        value, slope = jax.value_and_grad(lambda m: distance(name, m))(mu)
        return mu - RATE * slope, (mu, value, slope)

    rows = jax.jit(lambda mu: jax.lax.scan(step, mu, length=SLIDES + 1)[1])(jnp.float32(START))
    return dict(zip(("mu", "value", "slope"), map(_rounded, rows), strict=True))


def bells() -> dict[str, Any]:
    """Computes the three slides, and each distance on a grid of mu from 0 to START."""
    grid = np.linspace(0, START, 61, dtype=np.float32)
    curve = lambda name: jax.jit(jax.vmap(lambda mu: distance(name, mu)))(grid)
    return {
        "start": START,
        "rate": RATE,
        "lanes": [
            {"name": title, **slide(name), "curve": _rounded(curve(name))}
            for name, title in DISTANCES.items()
        ],
    }


def _rounded(values: Any) -> list[float]:
    # JS far apart has slopes of 1e-3 and less, which are the point: digits, and no places.
    return [float(f"{value:.4g}") for value in np.asarray(values)]


# --- a plan


class Improvement(NamedTuple):
    """One step on the way to the best plan.

    Attributes:
      targets: [N] where each point's mass goes.
      cost: mean distance moved.
      changed: the points whose targets were exchanged.
    """

    targets: np.ndarray
    cost: float
    changed: list[int]


def negative_cycle(gain: np.ndarray) -> list[int]:
    """Finds a cycle i -> j -> ... -> i whose entries gain[i, j] sum to less than 0; [] if none.

    Exchanges of two are looked at first, the best of them is taken; longer cycles by Bellman and
    Ford's relaxations.

    >>> negative_cycle(np.array([[0.0, -3.0], [1.0, 0.0]]))
    [0, 1]
    >>> negative_cycle(np.array([[0.0, -1.0], [1.0, 0.0]]))
    []
    """
    tolerance = 1e-9 * max(1.0, float(np.abs(gain).max()))
    pairs = gain + gain.T
    i, j = np.unravel_index(np.argmin(pairs), pairs.shape)
    if pairs[i, j] < -tolerance:
        return [int(min(i, j)), int(max(i, j))]
    # From a source at distance 0 of every point: after N rounds a distance that still falls hangs
    # on a negative cycle.
    length, before = np.zeros(len(gain)), np.full(len(gain), -1)
    for _ in range(len(gain)):
        through = length[:, None] + gain  # [from, to]
        best = through.argmin(axis=0)
        shorter = through.min(axis=0) < length - tolerance
        if not shorter.any():
            return []
        length = np.where(shorter, through.min(axis=0), length)
        before = np.where(shorter, best, before)
    at = int(np.argmax(shorter))
    for _ in range(len(gain)):  # back onto the cycle itself
        at = int(before[at])
    cycle = [at]
    while (at := int(before[at])) != cycle[0]:
        cycle.append(at)
    return cycle[::-1]


def improve(cost: np.ndarray, targets: np.ndarray) -> list[Improvement]:
    """Improves a one-to-one plan until no exchange makes it cheaper: then it is the best one.

    Args:
      cost: [N, N] from each point to each target.
      targets: [N] a permutation, the first plan.

    Reference: Klein, 1967, A Primal Method for Minimal Cost Flows (cycle cancelling).
    """
    rows = np.arange(len(cost))
    steps = [Improvement(targets, float(cost[rows, targets].mean()), [])]
    while True:
        targets = steps[-1].targets
        # [i, j]: what is paid if i takes over j's target, less what j pays for it now.
        gain = cost[:, targets] - cost[rows, targets][None]
        cycle = negative_cycle(gain)
        if not cycle:
            return steps
        targets = targets.copy()
        targets[cycle] = targets[np.roll(cycle, -1)]
        steps.append(Improvement(targets, float(cost[rows, targets].mean()), sorted(cycle)))


def plans(fake: np.ndarray, real: np.ndarray, half: float) -> dict[str, Any]:
    """Improves a plan that moves NUM samples onto NUM real points, from a random one to the best.

    Args:
      fake: [at least NUM, 2].
      real: [at least NUM, 2].
      half: coordinates beyond +-half are put on the edge.
    """
    fake, real = (np.clip(x[:NUM], -half, half).astype(np.float64) for x in (fake, real))
    cost = np.linalg.norm(fake[:, None] - real[None], axis=-1)
    steps = improve(cost, np.random.default_rng(0).permutation(len(fake)))
    return {
        "half": half,
        "fake": fake.round(4).tolist(),
        "real": real.round(4).tolist(),
        "distances": cost.round(4).tolist(),
        "targets": [step.targets.tolist() for step in steps],
        "costs": [round(step.cost, 6) for step in steps],
        "changed": [step.changed for step in steps],
        # Two other computations of the same number: the linear programme, and its dual.
        "w1": round(transport.exact_w1(fake, real), 6),
        "dual": round(transport.dual(fake, real).w1, 6),
    }
