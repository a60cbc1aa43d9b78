"""Two parallel lines: why Wasserstein. Exact W1, JS and KL, and what trained critics report.

    python -m experiments.parallel_lines                    # a page in runs/parallel_lines-1
    python -m experiments.parallel_lines --json

Paper: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, example 1. Real data are uniform on a
line, fakes on the same line moved aside by theta. W1 is |theta|; JS is log 2 for every theta but 0,
KL infinite: neither says which way to go. About a minute on one core.

The picture holds, by a criterion fixed before the recorded run (keys 0 to 15), if at every theta
but 0, in the median over the seeds, both critics' estimates and their generators' gradients in
theta are within 10 % of W1 and its slope (for WGAN-GP: of these times 1 + |theta| / 2 lambda, the
penalty's known bias) with the right sign in every seed; and at every |theta| >= 0.25 the
discriminator's JS estimate is at least 0.95 log 2 and the saturating gradient below 0.05 in size.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.divergences import fitting
from jwgan.report import article, plots
from jwgan.run import options, study
from jwgan.run.options import option

THETAS = (-1.0, -0.75, -0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
FAR = 0.25


@dataclasses.dataclass(frozen=True)
class Config:
    seeds: int = fitting.SEEDS
    first_seed: int = fitting.FIRST_SEED
    steps: int = option(400, "updates of each critic", at_least=1)
    out: str | None = option(None, "where the page is written (default: runs/parallel_lines-K)")
    json: bool = option(False, "print one line of JSON at the end")


def family() -> fitting.Family:
    """theta -> fakes on the line at theta."""

    def line(key: Any, num: int, theta: Any) -> Any:
        height = jax.random.uniform(key, (num, 1))
        return jnp.concatenate([jnp.broadcast_to(theta, (num, 1)), height], axis=1)

    return fitting.Family(lambda key, num: line(key, num, jnp.zeros(())), line)


def exact(theta: float) -> dict[str, float]:
    """The distances, and W1's and JS's slope in theta (NaN where there is none)."""
    apart = theta != 0
    return {
        "w1": abs(theta),
        "w1_slope": math.copysign(1.0, theta) if apart else math.nan,
        "js": math.log(2) if apart else 0.0,
        "js_slope": 0.0 if apart else math.nan,
        "kl": math.inf if apart else 0.0,
    }


def measure(config: Config) -> dict[str, Any]:
    """{judge: {figure: spread}} and the verdict."""
    seeds = [config.first_seed + i for i in range(config.seeds)]
    found = {}
    for name in fitting.JUDGES:
        judge = fitting.make_judge(name)
        found[name] = fitting.over(judge, family(), THETAS, seeds, steps=config.steps)
    figures = {
        name: {figure: fitting.spread(values) for figure, values in columns.items()}
        for name, columns in found.items()
    }
    return {"thetas": list(THETAS), **figures, "holds": holds(figures)}


def holds(figures: dict[str, Any]) -> dict[str, bool]:
    """The criterion's parts."""
    near = lambda value, truth: abs(value - truth) <= 0.1 * abs(truth)
    apart = [i for i, theta in enumerate(THETAS) if theta]
    far = [i for i, theta in enumerate(THETAS) if abs(theta) >= FAR]
    parts = {}
    for name in ("wgan_gp", "lipschitz"):
        estimate, gradient = figures[name]["estimate"], figures[name]["wasserstein_gradient"]
        bias = lambda i: 1 + abs(THETAS[i]) / (2 * fitting.WEIGHT) if name == "wgan_gp" else 1.0
        truth = lambda i: abs(THETAS[i]) * bias(i)
        side = lambda i: math.copysign(1, THETAS[i])
        parts[f"{name}_estimate"] = all(near(estimate["median"][i], truth(i)) for i in apart)
        parts[f"{name}_gradient"] = all(
            near(gradient["median"][i], side(i) * bias(i))
            and gradient["least"][i] * side(i) > 0
            and gradient["largest"][i] * side(i) > 0
            for i in apart
        )
    discriminator = figures["discriminator"]
    js, gradient = discriminator["estimate"]["median"], discriminator["saturating_gradient"]
    parts["discriminator_js"] = all(js[i] >= 0.95 * math.log(2) for i in far)
    parts["saturating_gradient"] = all(abs(gradient["median"][i]) < 0.05 for i in far)
    return parts


HEAD = (
    *("theta", "W1", "WGAN-GP", "1-Lipschitz", "slope", "WGAN-GP", "1-Lipschitz"),
    *("JS", "discriminator", "saturating", "-log D"),
)


def rows(result: dict[str, Any]) -> list[list[str]]:
    """Medians, a row for each theta; under HEAD."""
    shown = study.shown
    table = []
    for i, theta in enumerate(result["thetas"]):
        truth = exact(theta)
        median = lambda judge, figure: shown(result[judge][figure]["median"][i])
        critics = [median(name, "estimate") for name in ("wgan_gp", "lipschitz")]
        slopes = [median(name, "wasserstein_gradient") for name in ("wgan_gp", "lipschitz")]
        other = [
            median("discriminator", figure)
            for figure in ("estimate", "saturating_gradient", "non_saturating_gradient")
        ]
        table.append(
            [
                *(f"{theta:g}", shown(truth["w1"]), *critics, shown(truth["w1_slope"]), *slopes),
                *(shown(truth["js"]), *other),
            ]
        )
    return table


def page(result: dict[str, Any]) -> study.Report:
    """The report: pictures first, then the figures, then the criterion."""
    picture = draw(result)
    blocks = [
        article.Paragraph(
            "Real data lie on a line, fakes on a parallel line at distance theta. A generator that "
            "can only slide its line has to learn from a distance which way to slide it."
        ),
        article.Paragraph(
            "W1 is |theta|: it falls evenly as the lines come together. JS is log 2 at every theta "
            "but 0, and KL is infinite: seen by them, a line close by is no better than one far "
            "away, and there is nothing to follow."
        ),
        article.Figure(
            picture,
            "Left: exact distances (lines), and what networks trained at each theta report on "
            f"fresh samples (points: median of {result['seeds']} seeds; bars: all of them). Right: "
            "the derivative in theta that a generator gets through its samples; linear between -1 "
            "and 1, logarithmic beyond.",
            "W1 and JS of two parallel lines against their distance, and their derivatives",
        ),
        article.Paragraph(
            "The discriminator tells the lines apart, and the better it does, the less the "
            "saturating loss says. The -log D loss does give a direction, but its size is that of "
            "the discriminator's slope: it grows as the lines come together."
        ),
        article.Table(HEAD, rows(result), "Medians over the seeds, beside the exact values."),
        article.Heading("The criterion, and what came out"),
        article.Paragraph(study.criterion(__doc__)),
        article.Table(*study.verdicts(result["holds"])),
    ]
    return study.Report(
        "Two parallel lines", blocks, {"parallel_lines": picture}, (HEAD, rows(result))
    )


def draw(result: dict[str, Any]) -> bytes:
    """The two panels, as PNG."""
    thetas = np.array(result["thetas"])
    figure, (left, right) = plots.panels(2)
    line = np.linspace(-1, 1, 401)
    left.plot(line, np.abs(line), color=plots.BLUE, label="W1 = |theta|")
    plots.broken(left, [(-1, 0), (0, 1)], math.log(2), plots.ORANGE, "JS = log 2")
    left.plot([0], [0], "o", color=plots.ORANGE, markersize=4, markerfacecolor="white")
    plots.points(left, thetas, result["wgan_gp"]["estimate"], "WGAN-GP critic", 0)
    plots.points(left, thetas, result["lipschitz"]["estimate"], "1-Lipschitz critic", 1)
    plots.points(left, thetas, result["discriminator"]["estimate"], "discriminator's JS", 2)
    left.plot([], [], " ", label="KL = infinity for theta ≠ 0")
    left.set(xlabel="theta", title="Distance", ylim=(-0.05, 1.75))
    plots.broken(right, [(-1, 0)], -1.0, plots.BLUE, "slope of W1")
    plots.broken(right, [(0, 1)], 1.0, plots.BLUE)
    plots.broken(right, [(-1, 0), (0, 1)], 0.0, plots.ORANGE, "slope of JS: none")
    for i, name in enumerate(("wgan_gp", "lipschitz")):
        gradient = result[name]["wasserstein_gradient"]
        plots.points(right, thetas, gradient, fitting.NAMES[name], i)
    gradients = result["discriminator"]
    plots.points(right, thetas, gradients["saturating_gradient"], "discriminator", 2)
    plots.points(right, thetas, gradients["non_saturating_gradient"], "with −log D", 3)
    right.set_yscale("symlog", linthresh=1.0)
    right.set(xlabel="theta", title="Derivative in theta, as the generator gets it")
    return plots.png(figure)


def main() -> None:
    config = options.parse(Config, None, __doc__)
    study.run(config, "parallel_lines", __doc__, measure, page)


if __name__ == "__main__":
    main()
