"""C1: two parallel lines, which Wasserstein tells apart by how far and JS only by whether."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import parallel_lines
from experiments.claims import judges, ledger, pictures
from experiments.claims.ledger import Claim, Measured, Said
from experiments.divergences import fitting
from jwgan import divergences, transport

CLAIM = Claim(
    title="Parallel lines: W1 is |theta| with a gradient everywhere, JS is log 2 with none",
    claim="Real data are uniform on a line, fakes on the same line moved aside by theta. W1 is "
    "|theta|; JS is log 2 for every theta but 0, where it is 0. W1 gives a usable gradient "
    "everywhere, JS none.",
    source="Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, example 1; course slides",
    criterion="Exact, at thetas +-0.1, 0.25, 0.5, 0.75, 1: between 64 points of either line the "
    "transport programme's W1 is within 1e-9 of |theta|, and the derivative of the best plan's "
    "cost in theta (jax.grad) within 1e-5 of its sign; JS of histograms is within 1e-6 of log 2 "
    "and, at 0, of 0, and it is the same at neighbouring thetas within 1e-6: no slope. Trained, "
    "with the numbers that experiments.parallel_lines fixed, on new keys: both critics' "
    "estimates and gradients in theta are within 10 % of the exact ones at every theta but 0 (for "
    "WGAN-GP of these times 1 + |theta| / 20, its penalty's known bias), the gradients with the "
    "right sign in every seed; the discriminator's JS is at least 0.95 log 2 and its saturating "
    "gradient below 0.05 in size at every |theta| >= 0.25. "
    "Median over seeds at each theta, and of these the worst.",
    data="two lines in the plane; MLPs of 2 x 32 units, 400 updates",
    did="We computed both distances exactly between 64 points of either line, with their "
    "derivatives, and then trained two critics and a discriminator at eleven places of the second "
    "line.",
    means="If your samples do not yet touch your data, the Wasserstein distance still says which "
    "way to go; the Jensen-Shannon divergence, which a GAN's discriminator measures, is the same "
    "everywhere and says nothing.",
)
_EXACT = "example 1: W1 is |theta|, JS is log 2, and 0 at 0"
_SLOPES = "example 1: W1 has a gradient everywhere, JS none"
SAID = {
    "W1: largest |programme - |theta||": Said(_EXACT),
    "JS: largest |JS - log 2|, theta not 0": Said(_EXACT),
    "JS at 0": Said(_EXACT),
    "W1: largest error of the derivative": Said(_SLOPES),
    "JS: largest change between thetas": Said(_SLOPES),
    "WGAN-GP critic: least gradient times the sign of theta, over all seeds": Said(
        "figure 2, of trained critics: a gradient everywhere", none=0.0
    ),
    "1-Lipschitz critic: least gradient times the sign of theta, over all seeds": Said(
        "figure 2, of trained critics: a gradient everywhere", none=0.0
    ),
}
POINTS, BINS = 64, 81  # of a line; bins of 0.025


def _w1(theta: float) -> tuple[float, float]:
    """Computes W1 of 64 points of either line, and its derivative in theta.

    The derivative is that of the cost with the best plan held fixed (Danskin, 1966): the best plan
    is unique here, every point goes straight across.
    """
    # Both lines have the same heights, so the best plan goes straight across and W1 is |theta|.
    height = np.random.default_rng(0).uniform(size=POINTS)
    line = lambda x: np.stack([np.full(POINTS, x), height], axis=1)
    # The plan is of theta itself and stays fixed while the cost is differentiated.
    plan = transport.plan(line(theta), line(0.0))

    def cost(t: Any) -> Any:
        # [64, 64], differences of the heights.
        across = jnp.asarray(height)[:, None] - jnp.asarray(height)[None]
        return (plan.matrix * jnp.sqrt(t**2 + across**2)).sum()

    return plan.w1, float(jax.grad(cost)(jnp.asarray(theta, jnp.float32)))


def _js(theta: float) -> float:
    """Computes JS of histograms of the two lines' places; their heights have the same law."""
    bins = np.linspace(-1.0125, 1.0125, BINS + 1)  # thetas are in the middle of a bin
    lines = (np.histogram([place], bins)[0].astype(np.float32) for place in (0.0, theta))
    return float(divergences.js(*lines))


def exact_conditions(thetas: Any) -> list[Any]:
    """Checks what mathematics leaves no doubt about."""
    # At 0 the cost's square root has no derivative, and JS another value.
    apart = [theta for theta in thetas if theta]
    w1 = {theta: _w1(theta) for theta in apart}
    js = {theta: _js(theta) for theta in thetas}
    # Pairs on one side of 0, for JS is the same on both, but jumps to 0 in between.
    same_side = [(a, b) for a, b in itertools.pairwise(apart) if a * b > 0]
    found = {
        "W1: largest |programme - |theta||": (max(abs(w1[t][0] - abs(t)) for t in apart), 1e-9),
        "W1: largest error of the derivative": (
            max(abs(w1[t][1] - math.copysign(1, t)) for t in apart),
            1e-5,
        ),
        "JS: largest |JS - log 2|, theta not 0": (
            max(abs(js[t] - math.log(2)) for t in apart),
            1e-6,
        ),
        "JS at 0": (abs(js[0.0]), 1e-6),
        "JS: largest change between thetas": (max(abs(js[a] - js[b]) for a, b in same_side), 1e-6),
    }
    return [
        ledger.at_most(what, ledger.exact(value), most, certain=True)
        for what, (value, most) in found.items()
    ]


def measure(seeds: range, quick: bool) -> Measured:
    thetas = np.array(parallel_lines.THETAS)  # [T]
    # 400 updates are the default of experiments.parallel_lines, whose numbers the criterion takes.
    trained = judges.train(parallel_lines.family(), parallel_lines.THETAS, seeds, 400, quick)
    apart, far = thetas != 0, np.abs(thetas) >= parallel_lines.FAR
    conditions = exact_conditions(parallel_lines.THETAS)
    for name in ("wgan_gp", "lipschitz"):
        # 1 + W / (2 weight): a penalty lets the slope grow with the distance. Hard layers have no
        # bias.
        bias = 1 + np.abs(thetas) / (2 * fitting.WEIGHT) if name == "wgan_gp" else np.ones(11)
        truths = {
            "estimate": np.abs(thetas) * bias,
            "wasserstein_gradient": np.sign(thetas) * bias,
        }
        for metric, truth in truths.items():
            error = judges.worst(trained[name][metric][apart], truth[apart], relative=True)
            what = f"{fitting.NAMES[name]}: error of its {metric.split('_')[-1]}"
            conditions.append(ledger.at_most(what, error, 0.1))
        # The least is over all seeds, and not a median: a single gradient of the wrong sign would
        # count.
        least = (trained[name]["wasserstein_gradient"] * np.sign(thetas)[:, None])[apart].min()
        what = f"{fitting.NAMES[name]}: least gradient times the sign of theta, over all seeds"
        conditions.append(ledger.above(what, ledger.exact(least), 0.0))
    found = trained["discriminator"]
    short = judges.worst(found["estimate"][far] / math.log(2), np.ones(far.sum()), relative=False)
    size = judges.worst(found["saturating_gradient"][far], np.zeros(far.sum()), relative=False)
    conditions += [
        ledger.at_most("discriminator: 1 - JS / log 2", short, 0.05),
        ledger.at_most("discriminator: saturating gradient", size, 0.05),
    ]
    data = {"thetas": thetas.tolist()}
    data |= {name: trained[name]["estimate"].tolist() for name in fitting.ESTIMATORS}
    return Measured(conditions, data)


def draw(data: dict[str, Any]) -> Any:
    series = {fitting.NAMES[name]: data[name] for name in fitting.ESTIMATORS}
    # `bands` takes [T, K], so the truth is repeated for every seed.
    one = len(data["wgan_gp"][0])
    series["|theta|"] = [[abs(theta)] * one for theta in data["thetas"]]
    return pictures.bands(
        data["thetas"], series, x="theta", y="distance", lines={"log 2": math.log(2)}
    )
