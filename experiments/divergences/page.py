"""The page and the pictures of experiments.divergences."""

import math
from typing import Any

import numpy as np

from experiments.divergences import fitting, gaussians
from jwgan.report import article, plots
from jwgan.report.plots import BLUE, GREEN, GREY, ORANGE, VIOLET
from jwgan.run import study


def page(result: dict[str, Any]) -> study.Report:
    """Writes the report: Gaussians, few samples, plans."""
    curves, matrices = draw_curves(result), draw_plans(result["plans"])
    head, rows = gaussians.HEAD, gaussians.rows(result)
    blocks = [
        *_gaussians(result, curves),
        article.Table(head, rows, "Medians over the seeds, beside the exact values."),
        *_few_samples(result),
        *_plans(result["plans"], matrices),
    ]
    pictures = {"divergences": curves, "plans": matrices}
    return study.Report("Two Gaussians moving apart", blocks, pictures, (head, rows))


def _gaussians(result: dict[str, Any], curves: bytes) -> list[Any]:
    """Shows the divergences against the distance of the means."""
    return [
        article.Paragraph(
            "Two bell curves of width 1 move apart, mu from centre to centre. KL grows like mu "
            "squared, JS stops at log 2 when they no longer overlap, W1 is mu."
        ),
        article.Figure(
            curves,
            "Left and middle: exact divergences (lines), and what networks trained at each mu "
            f"report on fresh samples (points: median of {result['seeds']} seeds; bars: all of "
            "them). Right: the derivative in mu that a generator gets through its samples, on a "
            "logarithmic scale, with the exact derivatives it should have.",
            "KL, JS and W1 against the distance of two Gaussians, and their derivatives",
        ),
        article.Paragraph(
            "Far apart the saturating loss has nothing to say, and with the best discriminator "
            "the -log D loss pulls harder the further the fakes are away, as KL does; trained ones "
            "fall short of that. Against a critic the pull is 1, or with WGAN-GP's penalty of "
            "weight 10 a little more: 1 + mu / 20, as theory has it. Its long bars are single "
            "seeds whose critic is still far from the best one at the end."
        ),
    ]


def _few_samples(result: dict[str, Any]) -> list[Any]:
    """Shows what a discriminator makes of a few points."""
    return [
        article.Heading("Few samples"),
        article.Paragraph(
            f"Even where laws overlap, {gaussians.FEW} points of each in {gaussians.DIM} "
            "dimensions do not. A discriminator trained on them is always right and reports log 2, "
            "for perfect fakes (shift 0) as for poor ones; on fresh points it knows little."
        ),
        article.Table(gaussians.FEW_HEAD, gaussians.few_rows(result), "Medians over the seeds."),
    ]


def _plans(plan: dict[str, Any], matrices: bytes) -> list[Any]:
    """Shows the piles of earth, the plans and the dual."""
    return [
        article.Heading("A moving plan is a matrix"),
        article.Paragraph(
            "A row is a pile of earth, a column a place to fill; a cell says how much goes from "
            "one to the other. Each row adds up to what lies there, each column to what belongs "
            "there. The cost is the mean distance moved; the cheapest plan's is the earth mover's "
            "distance."
        ),
        article.Figure(
            matrices,
            f"Sending everything everywhere costs {plan['poor_cost']:.2f}, the best plan "
            f"{plan['best_cost']:.2f}. Right: a potential with steps of at most 1 whose mean over "
            f"the earth is {plan['dual_value']:.2f} above its mean over the target; no plan can "
            "cost less.",
            "A poor and the best transport plan as matrices, and the dual potential",
        ),
    ]


def draw_curves(result: dict[str, Any]) -> bytes:
    """Draws JS, W1 with KL, and their derivatives, as PNG."""
    means = result["means"]
    # The line does not begin at 0, where the slope of JS is 0 and has no logarithm.
    line = np.linspace(0.02, means[-1], 200)
    truth = gaussians.exact_curves(line)
    figure, (first, second, third) = plots.panels(3, width=4.1)
    first.axhline(math.log(2), color=GREY, linewidth=0.8, linestyle=":")
    first.plot(line, truth["js"], color=ORANGE, label="JS")
    plots.points(first, means, result["discriminator"]["estimate"], "discriminator", 2)
    first.set(xlabel="mu", title="JS stops at log 2", ylim=(-0.05, 0.85))
    second.plot(line, truth["kl"], color=VIOLET, label="KL = mu² / 2")
    second.plot(line, truth["w1"], color=BLUE, label="W1 = mu")
    for i, name in enumerate(("wgan_gp", "lipschitz")):
        plots.points(second, means, result[name]["estimate"], fitting.NAMES[name], i)
    second.set(xlabel="mu", title="W1 is the distance, KL explodes", ylim=(-0.3, 14))
    third.plot(line, truth["non_saturating"], color=VIOLET, label="KL′ − 2 JS′")
    third.plot(line, truth["w1_slope"], color=BLUE, label="W1′ = 1")
    third.plot(line, truth["saturating"], color=ORANGE, label="2 JS′")
    gradients = result["discriminator"]
    # mu = 0 is left out, and what is negative or tiny is drawn at the picture's lower edge.
    far = lambda spread: {k: np.maximum(v[1:], 1e-7) for k, v in spread.items()}
    for mark, spread, label in (
        (3, gradients["non_saturating_gradient"], "−log D"),
        (0, result["wgan_gp"]["wasserstein_gradient"], "WGAN-GP critic"),
        (1, result["lipschitz"]["wasserstein_gradient"], "1-Lipschitz critic"),
        (2, gradients["saturating_gradient"], "saturating"),
    ):
        plots.points(third, means[1:], far(spread), label, mark)
    third.set(xlabel="mu", title="Derivative for the generator", yscale="log", ylim=(1e-7, 100))
    third.legend(fontsize=8, frameon=False, loc="lower left", ncols=2)
    return plots.png(figure)


def draw_plans(plan: dict[str, Any]) -> bytes:
    """Draws the poor plan, the best plan, and the piles with their potential, as PNG."""
    figure, axes = plots.panels(3, width=4.1)
    top = np.max(plan["best_plan"])
    for each, name, title in (
        (axes[0], "poor", "A plan"),
        (axes[1], "best", "The best plan"),
    ):
        matrix = np.array(plan[f"{name}_plan"])
        each.imshow(matrix, cmap="Blues", vmin=0, vmax=top)
        for i, j in zip(*np.nonzero(matrix > 1e-9), strict=True):
            # Figures are white on dark cells, so that they can be read.
            dark = matrix[i, j] > top / 2
            text = f"{matrix[i, j]:.2f}".removeprefix("0")
            each.text(
                j, i, text, ha="center", va="center", fontsize=6.5, color="w" if dark else "k"
            )
        each.set(xlabel="to", ylabel="from", title=f"{title}: cost {plan[f'{name}_cost']:.2f}")
        each.set(xticks=range(len(matrix)), yticks=range(len(matrix)))
    places = np.arange(len(gaussians.EARTH))
    axes[2].bar(places - 0.2, gaussians.EARTH, 0.4, color=BLUE, label="earth")
    axes[2].bar(places + 0.2, gaussians.TARGET, 0.4, color=ORANGE, label="target")
    axes[2].set(xlabel="place", title=f"Dual: {plan['dual_value']:.2f}", xticks=places)
    axes[2].set(ylim=(0, 0.6), ylabel="share of earth")
    # The potential has another unit than the piles.
    other = axes[2].twinx()
    other.plot(places, plan["potential"], color=GREEN, marker=".")
    other.set_ylabel("potential", color=GREEN)
    other.spines[["top"]].set_visible(False)
    return plots.png(figure)
