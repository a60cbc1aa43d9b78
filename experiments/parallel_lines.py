"""Two parallel lines: why Wasserstein. Exact W1, JS and KL, and what trained critics report.

    python -m experiments.parallel_lines                    # a page in runs/parallel_lines-1
    python -m experiments.parallel_lines --json

Paper: Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, example 1. Real data are uniform on a
line, fakes on the same line moved aside by theta. W1 is |theta|; JS is log 2 for every theta but 0,
KL infinite: neither says which way to go. About 54 s of CPU time.

Claim C1 of experiments.claims decides, on other seeds and by numbers fixed beforehand, whether what
the picture shows is true. WGAN-GP's estimate and gradient are expected to be 1 + |theta| / 2 lambda
times the exact ones, the known bias of a penalty of weight lambda.
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
FAR = 0.25  # from here on the lines count as far apart, see claim C1


@dataclasses.dataclass(frozen=True)
class Config:
    seeds: int = fitting.SEEDS
    first_seed: int = fitting.FIRST_SEED
    steps: int = option(400, "updates of each critic", at_least=1)
    out: str | None = option(None, "where the page is written (default: runs/parallel_lines-K)")
    json: bool = option(False, "print one line of JSON at the end")


def family() -> fitting.Family:
    """Makes the family: the real line at 0, and fakes on the line at theta."""

    def line(key: Any, num: int, theta: Any) -> Any:
        height = jax.random.uniform(key, (num, 1))  # [num, 1], the same law for both lines
        return jnp.concatenate([jnp.broadcast_to(theta, (num, 1)), height], axis=1)

    return fitting.Family(lambda key, num: line(key, num, jnp.zeros(())), line)


def exact(theta: float) -> dict[str, float]:
    """Computes distances in closed form, and the slopes of W1 and JS (NaN where there is none)."""
    apart = theta != 0
    return {
        "w1": abs(theta),
        # At 0 |theta| has a kink and JS a jump: there is no derivative to compare with.
        "w1_slope": math.copysign(1.0, theta) if apart else math.nan,
        "js": math.log(2) if apart else 0.0,
        "js_slope": 0.0 if apart else math.nan,
        "kl": math.inf if apart else 0.0,
    }


def measure(config: Config) -> dict[str, Any]:
    """Trains every estimator at every theta: {estimator: {metric: spread over the seeds}}."""
    seeds = [config.first_seed + i for i in range(config.seeds)]
    found: dict[str, Any] = {"thetas": list(THETAS)}
    for name in fitting.ESTIMATORS:
        estimator = fitting.make_estimator(name)
        columns = fitting.train_grid(estimator, family(), THETAS, seeds, steps=config.steps)
        found[name] = {metric: fitting.spread(values) for metric, values in columns.items()}
    return found


HEAD = (
    *("theta", "W1", "WGAN-GP", "1-Lipschitz", "slope", "WGAN-GP", "1-Lipschitz"),
    *("JS", "discriminator", "saturating", "-log D"),
)


def rows(result: dict[str, Any]) -> list[list[str]]:
    """Lists the medians, a row for each theta, under HEAD."""
    shown = study.cell
    table = []
    for i, theta in enumerate(result["thetas"]):
        truth = exact(theta)
        median = lambda name, metric: shown(result[name][metric]["median"][i])
        critics = [median(name, "estimate") for name in ("wgan_gp", "lipschitz")]
        slopes = [median(name, "wasserstein_gradient") for name in ("wgan_gp", "lipschitz")]
        other = [
            median("discriminator", metric)
            for metric in ("estimate", "saturating_gradient", "non_saturating_gradient")
        ]
        table.append(
            [
                *(f"{theta:g}", shown(truth["w1"]), *critics, shown(truth["w1_slope"]), *slopes),
                *(shown(truth["js"]), *other),
            ]
        )
    return table


def page(result: dict[str, Any]) -> study.Report:
    """Writes the report: the picture, then the numbers in it."""
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
    ]
    return study.Report(
        "Two parallel lines", blocks, {"parallel_lines": picture}, (HEAD, rows(result))
    )


def draw(result: dict[str, Any]) -> bytes:
    """Draws the two panels, as PNG."""
    thetas = np.array(result["thetas"])
    figure, (left, right) = plots.panels(2)
    line = np.linspace(-1, 1, 401)
    left.plot(line, np.abs(line), color=plots.BLUE, label="W1 = |theta|")
    # JS jumps at 0: two pieces, and a hollow point for the value there.
    plots.broken(left, [(-1, 0), (0, 1)], math.log(2), plots.ORANGE, "JS = log 2")
    left.plot([0], [0], "o", color=plots.ORANGE, markersize=4, markerfacecolor="white")
    plots.points(left, thetas, result["wgan_gp"]["estimate"], "WGAN-GP critic", 0)
    plots.points(left, thetas, result["lipschitz"]["estimate"], "1-Lipschitz critic", 1)
    plots.points(left, thetas, result["discriminator"]["estimate"], "discriminator's JS", 2)
    # KL cannot be drawn, so it has only a line in the legend.
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
    # The -log D gradient grows without bound as the lines meet; the others are within [-1, 1].
    right.set_yscale("symlog", linthresh=1.0)
    right.set(xlabel="theta", title="Derivative in theta, as the generator gets it")
    return plots.png(figure)


def main() -> None:
    config = options.parse(Config, None, __doc__)
    study.run(config, "parallel_lines", __doc__, measure, page)


if __name__ == "__main__":
    main()
