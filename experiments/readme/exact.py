"""Tables of experiments.parallel_lines and experiments.divergences, each in two halves.

The commands' own tables have eleven and fourteen columns, some with equal heads; on a page the
distances and the derivatives that a generator gets are two tables.
"""

import math
from typing import Any

from experiments import parallel_lines, results
from experiments.divergences import gaussians
from experiments.results import markdown
from jwgan.run import study


def _medians(run: dict[str, Any], i: int, *names: tuple[str, str]) -> list[str]:
    """Writes medians over the seeds at place i, of (critic, figure)."""
    return [study.cell(run[critic][figure]["median"][i]) for critic, figure in names]


ESTIMATES = (("wgan_gp", "estimate"), ("lipschitz", "estimate"), ("discriminator", "estimate"))
SLOPES = (("wgan_gp", "wasserstein_gradient"), ("lipschitz", "wasserstein_gradient"))
GRADIENTS = (
    ("discriminator", "saturating_gradient"),
    ("discriminator", "non_saturating_gradient"),
)


def parallel_distances() -> str:
    """Lists rows with theta >= 0; negative theta give the same values."""
    run, rows = results.metrics("parallel_lines"), []
    for i, theta in enumerate(run.get("thetas", [])):
        if theta >= 0:
            truth = parallel_lines.exact(theta)
            wgan_gp, lipschitz, js = _medians(run, i, *ESTIMATES)
            exact = study.cell(truth["w1"]), study.cell(truth["js"])
            rows.append([f"{theta:g}", exact[0], wgan_gp, lipschitz, exact[1], js])
    head = ["theta", "W1, exact", "W1 by the WGAN-GP critic", "W1 by the 1-Lipschitz critic"]
    return markdown.table([*head, "JS, exact (nats)", "JS by the discriminator (nats)"], rows)


def parallel_derivatives() -> str:
    """Lists rows with theta >= 0; negative theta give the same values with the other sign."""
    run, rows = results.metrics("parallel_lines"), []
    for i, theta in enumerate(run.get("thetas", [])):
        if theta >= 0:
            slope = study.cell(parallel_lines.exact(theta)["w1_slope"])
            found = _medians(run, i, *SLOPES, *GRADIENTS)
            rows.append([f"{theta:g}", slope, *found])
    head = ["theta", "slope of W1, exact", "by the WGAN-GP critic", "by the 1-Lipschitz critic"]
    return markdown.table([*head, "by the saturating loss", "by the -log D loss"], rows)


def gaussian_distances() -> str:
    """Makes a row for each distance mu."""
    run, rows = results.metrics("divergences"), []
    for i, mu in enumerate(run.get("means", [])):
        exact = {name: study.cell(values[i]) for name, values in run["exact"].items()}
        wgan_gp, lipschitz, js = _medians(run, i, *ESTIMATES)
        rows.append([f"{mu:g}", exact["w1"], wgan_gp, lipschitz, exact["js"], js, exact["kl"]])
    head = ["mu", "W1, exact", "W1 by the WGAN-GP critic", "W1 by the 1-Lipschitz critic"]
    head += ["JS, exact (nats)", "JS by the discriminator (nats)", "KL, exact (nats)"]
    return markdown.table(head, rows)


def gaussian_derivatives() -> str:
    """Makes a row for each distance mu; W1 has no slope at 0."""
    run, rows = results.metrics("divergences"), []
    for i, mu in enumerate(run.get("means", [])):
        exact = {name: values[i] for name, values in run["exact"].items()}
        # |mu| has a kink at 0: there is no slope to show.
        slope = exact["w1_slope"] if mu else math.nan
        wgan_gp, lipschitz, saturating, other = _medians(run, i, *SLOPES, *GRADIENTS)
        exact_losses = (study.cell(exact[name]) for name in ("saturating", "non_saturating"))
        # Each trained column stands beside its exact one.
        losses = zip(exact_losses, (saturating, other), strict=True)
        row = [f"{mu:g}", study.cell(slope), wgan_gp, lipschitz]
        rows.append([*row, *(cell for pair in losses for cell in pair)])
    head = ["mu", "slope of W1, exact", "by the WGAN-GP critic", "by the 1-Lipschitz critic"]
    head += ["saturating loss, exact", "by the discriminator, saturating"]
    return markdown.table([*head, "-log D loss, exact", "by the discriminator, -log D"], rows)


def few_samples() -> str:
    """Makes a row for each shift of the generated law."""
    run = results.metrics("divergences")
    head = ["shift", "accuracy, share of the training points", "JS on them (nats)"]
    head += ["accuracy, share of fresh points", "JS on fresh points (nats)", "JS, exact (nats)"]
    # Without a recorded run the table has its head alone.
    return markdown.table(head, gaussians.few_rows(run) if run else [])
