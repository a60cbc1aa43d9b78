"""C2: two Gaussians on the line that move apart."""

import math
from typing import Any

import jax
import numpy as np
from scipy import stats

from experiments.claims import judges, ledger, pictures
from experiments.claims.ledger import Claim, Measured, Said
from experiments.divergences import fitting, gaussians
from jwgan import transport

CLAIM = Claim(
    title="Gaussians moving apart: KL explodes, JS stops at log 2, W1 is the distance",
    claim="Between N(0, 1) and N(mu, 1) KL grows without bound, JS goes to log 2 and its gradient "
    "vanishes, and W1 is the distance of the means.",
    source="course slides (why Wasserstein); Arjovsky and Bottou, 2017, theorems 2.4 and 2.5",
    criterion="Exact, at mu 0.5, 1, 2, 4, 6, 8. KL by quadrature is within 1e-3 relative of "
    "mu^2 / 2. JS by quadrature rises from each mu to the next, is never above log 2, is above "
    "0.999 log 2 at 8, and its derivative (jax.grad) there is at most 1e-3. W1 in closed form, by "
    "the quantile functions and by the transport programme between 200 quantiles is within 1e-5 "
    "of mu, and its derivative (jax.grad) in closed form and by sorting is within 1e-5 of 1. "
    "Trained, with the numbers that experiments.divergences fixed, on new keys: both "
    "critics' estimates and gradients are within 10 % of mu and 1 at every mu >= 1 (for WGAN-GP "
    "of these times 1 + mu / 20); the discriminator's JS is within 0.03 of the truth and its "
    "saturating gradient within 0.05 of 2 JS' at every mu and below 0.02 in size at 8. Median over "
    "seeds at each mu, and of these the worst.",
    data="N(0, 1) and N(mu, 1); MLPs of 2 x 32 units, 1,000 updates",
    did="We computed the three distances between N(0, 1) and N(mu, 1) exactly, with their "
    "derivatives, and trained two critics and a discriminator at each mu.",
    means="With W1 a generator that is far off gets as strong a push as one that is near. With "
    "the Jensen-Shannon divergence the push is gone a few standard deviations away.",
)
SAID = {
    "KL: largest relative error": Said("slides: KL grows without bound, as mu^2 / 2"),
    "JS at 8 / log 2": Said("slides: JS goes to log 2"),
    "JS: |derivative| at 8": Said("slides: and its gradient vanishes"),
    "discriminator: saturating gradient at 8": Said("theorem 2.4: so does a trained one's"),
    "W1: largest error": Said("slides: W1 is the distance of the means"),
    "W1: largest error of the derivative": Said("slides: and its gradient is 1 everywhere"),
}


def _w1_errors(mu: float) -> tuple[float, float]:
    """Finds the largest error of three ways to W1, and of two to its derivative, at mu."""
    # scipy.stats is imported here: `--list` reads this module's CLAIM and should not wait for it.
    closed = lambda m: transport.gaussian_w1_1d(0.0, 1.0, m, 1.0)
    # The levels are midpoints of 200 equal shares: quantiles at 0 and 1 would be infinite.
    points = stats.norm(0, 1).ppf((np.arange(200) + 0.5) / 200)
    sorting = lambda m: transport.w1_1d(np.float32(points), np.float32(points) + m)
    # The laws differ by a shift, so W1 is mu on quantiles too, however few they are.
    ways = (
        float(closed(mu)),
        transport.wp_1d(stats.norm(0, 1).ppf, stats.norm(mu, 1).ppf),
        transport.exact_w1(points[:, None], points[:, None] + mu),
    )
    slopes = (float(jax.grad(closed)(mu)), float(jax.grad(sorting)(mu)))
    return max(abs(w1 - mu) for w1 in ways), max(abs(slope - 1) for slope in slopes)


def exact_conditions(means: Any) -> list[Any]:
    """Checks what mathematics leaves no doubt about, at means without 0 that end at 8."""
    truth = {k: np.asarray(v, float) for k, v in gaussians.exact_curves(means).items()}
    w1 = [_w1_errors(mu) for mu in means]
    most = {
        # mu^2 / 2 is KL of two normals of deviation 1.
        "KL: largest relative error": (
            np.abs(truth["kl"] / (np.square(means) / 2) - 1).max(),
            1e-3,
        ),
        "JS: largest JS - log 2": (truth["js"].max() - math.log(2), 1e-6),
        "JS: |derivative| at 8": (abs(truth["js_slope"][-1]), 1e-3),
        "W1: largest error": (max(error for error, _ in w1), 1e-5),
        "W1: largest error of the derivative": (max(error for _, error in w1), 1e-5),
    }
    least = {
        # The truth is 8^2 / 2 = 32, and nothing bounds KL: it shows the explosion.
        "KL at 8": (truth["kl"][-1], 31.9),
        "JS: least rise to the next mu": (np.diff(truth["js"]).min(), 0.0),
        "JS at 8 / log 2": (truth["js"][-1] / math.log(2), 0.999),
    }
    return [
        *(ledger.at_most(k, ledger.exact(v), number, True) for k, (v, number) in most.items()),
        *(ledger.above(k, ledger.exact(v), number, True) for k, (v, number) in least.items()),
    ]


def measure(seeds: range, quick: bool) -> Measured:
    means = np.array(gaussians.MEANS)
    # 1,000 updates are the default of experiments.divergences, whose numbers the criterion takes.
    trained = judges.train(gaussians.family(), gaussians.MEANS, seeds, 1000, quick)
    truth = gaussians.exact_curves(means)
    conditions, far = exact_conditions([mu for mu in gaussians.MEANS if mu]), means >= 1
    for name in ("wgan_gp", "lipschitz"):
        # 1 + W / (2 weight), the penalty's bias; layers that are 1-Lipschitz by themselves have
        # none.
        bias = 1 + means / (2 * fitting.WEIGHT) if name == "wgan_gp" else np.ones(len(means))
        for metric, exact in {"estimate": means * bias, "wasserstein_gradient": bias}.items():
            error = judges.worst(trained[name][metric][far], exact[far], relative=True)
            what = f"{fitting.NAMES[name]}: error of its {metric.split('_')[-1]}"
            conditions.append(ledger.at_most(what, error, 0.1))
    found = trained["discriminator"]
    js = judges.worst(found["estimate"], truth["js"], relative=False)
    slope = judges.worst(found["saturating_gradient"], truth["saturating"], relative=False)
    last = judges.worst(found["saturating_gradient"][-1:], np.zeros(1), relative=False)
    conditions += [
        ledger.at_most("discriminator: error of JS", js, 0.03),
        ledger.at_most("discriminator: error of 2 JS'", slope, 0.05),
        ledger.at_most("discriminator: saturating gradient at 8", last, 0.02),
    ]
    line = np.linspace(0.0, means[-1], 33)
    curves = {k: np.asarray(v, float).tolist() for k, v in gaussians.exact_curves(line).items()}
    data = {"means": means.tolist(), "line": line.tolist()}
    data |= {name: curves[name] for name in ("kl", "js", "w1")}
    return Measured(
        conditions, data | {name: trained[name]["estimate"].tolist() for name in fitting.ESTIMATORS}
    )


def draw(data: dict[str, Any]) -> Any:
    figure = pictures.bands(
        data["means"],
        {fitting.NAMES[name]: data[name] for name in fitting.ESTIMATORS},
        x="distance of the means",
        y="divergence",
        lines={"log 2": math.log(2)},
    )
    (ax,) = figure.axes
    for name, style in (("kl", "-"), ("js", "--"), ("w1", ":")):
        ax.plot(data["line"], data[name], style, color="black", label=f"{name.upper()}, exact")
    # KL leaves the picture on purpose: at its scale the others would be one line.
    ax.set_ylim(-0.3, 10)
    ax.legend(frameon=False, fontsize=8)
    return figure
