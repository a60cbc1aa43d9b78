"""Two Gaussians that move apart: exact divergences, trained estimates, the criterion."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.divergences import fitting
from jwgan import divergences, transport
from jwgan.run import study

MEANS = (0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0)
SHIFTS = (0.0, 1.0, 4.0)  # of the fakes, where samples are few
DIM, FEW = 16, 64  # dimensions, and points of each law
# Earth in ten places, and where it should be; tenths
EARTH = (0.0, 0.1, 0.1, 0.2, 0.2, 0.2, 0.1, 0.1, 0.0, 0.0)
TARGET = (0.3, 0.0, 0.1, 0.0, 0.0, 0.1, 0.0, 0.0, 0.2, 0.3)


# --- two Gaussians


def family(dim: int = 1) -> fitting.Family:
    """Makes a standard normal in `dim` dimensions, and fakes moved by mu along the first axis."""

    def moved(key: Any, num: int, mu: Any) -> Any:
        return jax.random.normal(key, (num, dim)).at[:, 0].add(mu)

    return fitting.Family(lambda key, num: moved(key, num, jnp.zeros(())), moved)


def exact(mu: Any) -> dict[str, Any]:
    """Computes KL, JS and W1 of N(0, 1) and N(mu, 1), and their derivatives in mu: {name: []}."""
    mu = jnp.asarray(mu, jnp.float32)
    normal = lambda mean: lambda x: -((x - mean) ** 2) / 2 - math.log(2 * math.pi) / 2
    low, high = -10.0, 18.0  # ten deviations about 0 and 8
    distances = {
        "kl": lambda m: divergences.kl_of_densities(normal(m), normal(0.0), low, high),
        "js": lambda m: divergences.js_of_densities(normal(m), normal(0.0), low, high),
        "w1": lambda m: transport.gaussian_w1_1d(0.0, 1.0, m, 1.0),
    }
    found = {}
    for name, distance in distances.items():
        found[name], found[f"{name}_slope"] = jax.value_and_grad(distance)(mu)
    return {
        **found,
        "saturating": 2 * found["js_slope"],
        "non_saturating": found["kl_slope"] - 2 * found["js_slope"],
    }


def exact_curves(means: Any) -> dict[str, Any]:
    """Computes `exact` at each of the means [T]: {name: [T]}."""
    return jax.device_get(jax.jit(jax.vmap(exact))(np.asarray(means, np.float32)))


# --- few samples


def few_samples(seeds: list[int], steps: int) -> dict[str, Any]:
    """Trains a discriminator on FEW fixed points of each law.

    Returns:
      {metric: [shifts, seeds]}: "accuracy" and "js_estimate" on those points, "fresh_accuracy" and
      "fresh_js_estimate" on new ones.
    """
    estimator, law = fitting.make_estimator("discriminator"), family(DIM)

    def one(seed: Any, shift: Any) -> dict[str, Any]:
        # The key is folded, so that no number is shared with the critics of `train_grid` on the
        # same seed.
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), 5)
        real, fake = law.real(keys[0], FEW), law.fake(keys[1], FEW, shift)
        # `fit` asks for fresh samples and always gets the same ones: all there are.
        whole = lambda points: lambda key, num: points
        score = fitting.fit(keys[2], estimator, whole(real), whole(fake), steps=steps, batch=FEW)

        def metrics(real: Any, fake: Any) -> tuple[Any, Any]:
            right = ((score(real) > 0).mean() + (score(fake) < 0).mean()) / 2
            return right, divergences.js_lower_bound(score(real), score(fake))

        seen = metrics(real, fake)
        fresh = metrics(law.real(keys[3], 4096), law.fake(keys[4], 4096, shift))
        return {
            "accuracy": seen[0],
            "js_estimate": seen[1],
            "fresh_accuracy": fresh[0],
            "fresh_js_estimate": fresh[1],
        }

    grid = jax.vmap(jax.vmap(one, in_axes=(0, None)), in_axes=(None, 0))
    return jax.device_get(jax.jit(grid)(jnp.asarray(seeds), jnp.asarray(SHIFTS)))


# --- plans


def plans() -> dict[str, Any]:
    """Computes two plans for the piles of earth, their costs, and the potential that proves one."""
    places = np.arange(len(EARTH), dtype=float)[:, None]
    distance = np.abs(places - places.T)  # [10, 10]
    poor = np.outer(EARTH, TARGET)  # every place sends its earth everywhere
    best = transport.plan(places, places, EARTH, TARGET)
    dual = transport.dual(places, places, EARTH, TARGET)
    difference = np.array(EARTH) - np.array(TARGET)
    steps = np.random.default_rng(0).uniform(-1, 1, (1000, len(EARTH)))
    return {
        "poor_plan": poor.round(4).tolist(),
        "poor_cost": round(float((poor * distance).sum()), 12),
        "best_plan": best.matrix.round(12).tolist(),
        "best_cost": round(best.w1, 12),
        "dual_value": round(dual.w1, 12),
        # The area between the distribution functions is W1 once more, on the line.
        "area": round(float(np.abs(np.cumsum(difference)).sum()), 12),
        "potential": dual.at_x.round(12).tolist(),
        # functions with steps of at most 1 between neighbours are 1-Lipschitz on the places
        "best_of_random_functions": float((np.cumsum(steps, axis=1) @ difference).max()),
    }


HEAD = (
    *("mu", "KL", "JS", "discriminator", "W1", "WGAN-GP", "1-Lipschitz"),
    *("2 JS'", "saturating", "KL' - 2 JS'", "-log D", "W1'", "WGAN-GP", "1-Lipschitz"),
)


def rows(result: dict[str, Any]) -> list[list[str]]:
    """Lists the medians, a row for each mu, under HEAD."""
    truth, table = result["exact"], []
    for i, mu in enumerate(result["means"]):
        median = lambda name, metric: result[name][metric]["median"][i]
        numbers = [
            *(truth["kl"][i], truth["js"][i], median("discriminator", "estimate")),
            truth["w1"][i],
            *(median(name, "estimate") for name in ("wgan_gp", "lipschitz")),
            *(truth["saturating"][i], median("discriminator", "saturating_gradient")),
            *(truth["non_saturating"][i], median("discriminator", "non_saturating_gradient")),
            # |mu| has a kink at 0, so W1 has no slope there.
            truth["w1_slope"][i] if mu else math.nan,
            *(median(name, "wasserstein_gradient") for name in ("wgan_gp", "lipschitz")),
        ]
        table.append([f"{mu:g}", *(study.cell(x) for x in numbers)])
    return table


FEW_HEAD = ("shift", "accuracy", "JS estimate", "accuracy, fresh", "JS estimate, fresh", "JS")


def few_rows(result: dict[str, Any]) -> list[list[str]]:
    """Lists the medians for few samples, a row for each shift, under FEW_HEAD."""
    few = result["few_samples"]
    names = ("accuracy", "js_estimate", "fresh_accuracy", "fresh_js_estimate")
    return [
        [f"{s:g}", *(f"{few[name]['median'][i]:.3f}" for name in names), f"{few['js'][i]:.3f}"]
        for i, s in enumerate(result["shifts"])
    ]
