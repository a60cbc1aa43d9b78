"""KL, JS and W1 as two Gaussians move apart, a discriminator on few samples, and moving plans.

    python -m experiments.divergences                       # a page in runs/divergences-1
    python -m experiments.divergences --json

Real data are N(0, 1) and fakes N(mu, 1): KL is mu^2 / 2, W1 is mu, JS rises to log 2 and stays
there. With the best discriminator the saturating loss has the derivative 2 JS'(mu) and -log D has
KL'(mu) - 2 JS'(mu) (Arjovsky and Bottou, 2017, theorem 2.5). About a minute on one core.

The picture holds, by a criterion fixed before the recorded run (keys 0 to 15), if, in the median
over the seeds: both critics' estimates and gradients are within 10 % of mu and 1 at every mu >= 1
(for WGAN-GP: of these times 1 + mu / 2 lambda); the discriminator's JS estimate on fresh samples is
within 0.03 of JS and its saturating gradient within 0.05 of 2 JS' at every mu, and at the largest
mu below 0.02. Few samples: on 64 real and 64 fake points in 16 dimensions every discriminator is
100 % right and says at least 0.95 log 2, whether the fakes are perfect or not, and on fresh points
none says more than JS + 0.05. Plans: primal and dual agree to 1e-9 with the area between the
distribution functions, and none of 1,000 random 1-Lipschitz functions is above them.
"""

import dataclasses
import math
from typing import Any

from experiments import fitting, laboratory, options
from experiments.options import option

MEANS = (0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0)
SHIFTS = (0.0, 1.0, 4.0)  # of the fakes, where samples are few
DIM, FEW = 16, 64
# Earth in ten places, and where it should be; tenths
EARTH = (0.0, 0.1, 0.1, 0.2, 0.2, 0.2, 0.1, 0.1, 0.0, 0.0)
TARGET = (0.3, 0.0, 0.1, 0.0, 0.0, 0.1, 0.0, 0.0, 0.2, 0.3)


@dataclasses.dataclass(frozen=True)
class Config:
    seeds: int = fitting.SEEDS
    first_seed: int = fitting.FIRST_SEED
    steps: int = option(1000, "updates of each critic")
    out: str | None = option(None, "where the page is written (default: runs/divergences-K)")
    json: bool = option(False, "print one line of JSON at the end")


# --- two Gaussians


def family(dim: int = 1) -> fitting.Family:
    """mu -> normal fakes in `dim` dimensions, moved by mu along the first axis."""
    import jax
    import jax.numpy as jnp

    def moved(key: Any, num: int, mu: Any) -> Any:
        return jax.random.normal(key, (num, dim)).at[:, 0].add(mu)

    return fitting.Family(lambda key, num: moved(key, num, jnp.zeros(())), moved)


def exact(mu: Any) -> dict[str, Any]:
    """KL, JS and W1 of N(0, 1) and N(mu, 1), and their derivatives in mu.  -> {name: []}"""
    import jax
    import jax.numpy as jnp

    from jwgan import divergences, transport

    mu = jnp.asarray(mu, jnp.float32)
    normal = lambda mean: lambda x: -((x - mean) ** 2) / 2 - math.log(2 * math.pi) / 2
    low, high = -10.0, 18.0  # ten deviations about 0 and 8
    figures = {
        "kl": lambda m: divergences.kl_of_densities(normal(m), normal(0.0), low, high),
        "js": lambda m: divergences.js_of_densities(normal(m), normal(0.0), low, high),
        "w1": lambda m: transport.gaussian_w1_1d(0.0, 1.0, m, 1.0),
    }
    found = {}
    for name, figure in figures.items():
        found[name], found[f"{name}_slope"] = jax.value_and_grad(figure)(mu)
    return {
        **found,
        "saturating": 2 * found["js_slope"],
        "non_saturating": found["kl_slope"] - 2 * found["js_slope"],
    }


def exact_curves(means: Any) -> dict[str, Any]:
    """`exact` at each of the means [T]: {name: [T]}."""
    import jax
    import numpy as np

    return jax.device_get(jax.jit(jax.vmap(exact))(np.asarray(means, np.float32)))


# --- few samples


def few_samples(seeds: list[int], steps: int) -> dict[str, Any]:
    """A discriminator trained on FEW fixed points of each law: {figure: [shifts, seeds]}."""
    import jax
    import jax.numpy as jnp

    from jwgan import divergences

    judge, law = fitting.make_judge("discriminator"), family(DIM)

    def one(seed: Any, shift: Any) -> dict[str, Any]:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), 5)
        real, fake = law.real(keys[0], FEW), law.fake(keys[1], FEW, shift)
        whole = lambda points: lambda key, num: points
        player = fitting.fit(keys[2], judge, whole(real), whole(fake), steps=steps, batch=FEW)
        score = lambda x: judge.critic.evaluate(player.params, player.model_state, x)

        def figures(real: Any, fake: Any) -> tuple[Any, Any]:
            right = ((score(real) > 0).mean() + (score(fake) < 0).mean()) / 2
            return right, divergences.js_lower_bound(score(real), score(fake))

        seen = figures(real, fake)
        fresh = figures(law.real(keys[3], 4096), law.fake(keys[4], 4096, shift))
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
    """Two plans for the piles of earth, what they cost, and the potential that proves the best."""
    import numpy as np

    from jwgan import transport

    places = np.arange(len(EARTH), dtype=float)[:, None]
    distance = np.abs(places - places.T)
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
        "area": round(float(np.abs(np.cumsum(difference)).sum()), 12),
        "potential": dual.at_x.round(12).tolist(),
        # functions with steps of at most 1 between neighbours are 1-Lipschitz on the places
        "best_of_random_functions": float((np.cumsum(steps, axis=1) @ difference).max()),
    }


# --- all of it


def measure(config: Config) -> dict[str, Any]:
    """{judge: {figure: spread}}, the few samples, the plans and the verdicts."""
    seeds = [config.first_seed + i for i in range(config.seeds)]
    summary = lambda columns: {name: fitting.spread(values) for name, values in columns.items()}
    figures = {
        name: summary(
            fitting.over(fitting.make_judge(name), family(), MEANS, seeds, steps=config.steps)
        )
        for name in fitting.JUDGES
    }
    truth = {k: v.astype(float).round(5).tolist() for k, v in exact_curves(MEANS).items()}
    few = summary(few_samples(seeds, config.steps))
    # the JS of a shift is that of the first axis: the others do not tell the laws apart
    few["js"] = exact_curves(SHIFTS)["js"].astype(float).round(5).tolist()
    result = {
        "means": list(MEANS),
        "exact": truth,
        **figures,
        "shifts": list(SHIFTS),
        "few_samples": few,
        "plans": plans(),
    }
    return {**result, "holds": holds(result)}


def holds(result: dict[str, Any]) -> dict[str, bool]:
    """The criterion's parts."""
    truth, far = result["exact"], [i for i, mu in enumerate(MEANS) if mu >= 1]
    bias = {"wgan_gp": lambda mu: 1 + mu / (2 * fitting.WEIGHT), "lipschitz": lambda mu: 1.0}
    parts = {}
    for name, factor in bias.items():
        estimate, gradient = result[name]["estimate"], result[name]["wasserstein_gradient"]
        near = lambda value, mu, at: abs(value - at * factor(mu)) <= 0.1 * at * factor(mu)
        parts[f"{name}_estimate"] = all(
            near(estimate["median"][i], MEANS[i], MEANS[i]) for i in far
        )
        parts[f"{name}_gradient"] = all(near(gradient["median"][i], MEANS[i], 1.0) for i in far)
    everywhere, discriminator = range(len(MEANS)), result["discriminator"]
    js, gradient = (
        discriminator["estimate"]["median"],
        discriminator["saturating_gradient"]["median"],
    )
    parts["discriminator_js"] = all(abs(js[i] - truth["js"][i]) <= 0.03 for i in everywhere)
    close = all(abs(gradient[i] - truth["saturating"][i]) <= 0.05 for i in everywhere)
    parts["saturating_gradient"] = close and abs(gradient[-1]) < 0.02
    few, plan = result["few_samples"], result["plans"]
    fooled = min(few["accuracy"]["least"]) == 1.0
    parts["few_samples_seen"] = fooled and min(few["js_estimate"]["least"]) >= 0.95 * math.log(2)
    pairs = zip(few["fresh_js_estimate"]["largest"], few["js"], strict=True)
    parts["few_samples_fresh"] = all(estimate <= truth + 0.05 for estimate, truth in pairs)
    same = max(abs(plan["best_cost"] - plan[k]) for k in ("dual_value", "area")) < 1e-9
    parts["plans"] = same and plan["best_of_random_functions"] <= plan["best_cost"]
    return parts


HEAD = (
    *("mu", "KL", "JS", "discriminator", "W1", "WGAN-GP", "1-Lipschitz"),
    *("2 JS'", "saturating", "KL' - 2 JS'", "-log D", "W1'", "WGAN-GP", "1-Lipschitz"),
)


def rows(result: dict[str, Any]) -> list[list[str]]:
    """Medians, a row for each mu; under HEAD."""
    truth, table = result["exact"], []
    for i, mu in enumerate(result["means"]):
        median = lambda judge, figure: result[judge][figure]["median"][i]
        numbers = [
            *(truth["kl"][i], truth["js"][i], median("discriminator", "estimate")),
            truth["w1"][i],
            *(median(name, "estimate") for name in ("wgan_gp", "lipschitz")),
            *(truth["saturating"][i], median("discriminator", "saturating_gradient")),
            *(truth["non_saturating"][i], median("discriminator", "non_saturating_gradient")),
            truth["w1_slope"][i] if mu else math.nan,
            *(median(name, "wasserstein_gradient") for name in ("wgan_gp", "lipschitz")),
        ]
        table.append([f"{mu:g}", *(laboratory.shown(x) for x in numbers)])
    return table


FEW_HEAD = ("shift", "accuracy", "JS estimate", "accuracy, fresh", "JS estimate, fresh", "JS")


def few_rows(result: dict[str, Any]) -> list[list[str]]:
    """Medians for few samples, a row for each shift; under FEW_HEAD."""
    few = result["few_samples"]
    names = ("accuracy", "js_estimate", "fresh_accuracy", "fresh_js_estimate")
    return [
        [f"{s:g}", *(f"{few[name]['median'][i]:.3f}" for name in names), f"{few['js'][i]:.3f}"]
        for i, s in enumerate(result["shifts"])
    ]


def main() -> None:
    from experiments import divergences_page

    config = options.parse(Config, None, __doc__)
    laboratory.run(config, "divergences", __doc__, measure, divergences_page.page)


if __name__ == "__main__":
    main()
