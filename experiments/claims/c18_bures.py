"""C18: the distance between Gaussians, in any dimension and in one."""

from typing import Any

import numpy as np
from scipy import stats

from experiments.claims import ledger, pictures
from experiments.claims.ledger import Claim, Measured, Said
from jwgan import transport
from jwgan.report import plots

CLAIM = Claim(
    title="The Frechet formula between Gaussians reduces to the one-dimensional one",
    claim="W2^2 = |m1 - m2|^2 + tr(C1 + C2 - 2 (C2^1/2 C1 C2^1/2)^1/2), and in one dimension "
    "this is |m1 - m2|^2 + c1 + c2 - 2 sqrt(c1 c2).",
    source="Berthelot, Schumm and Metz, 2017, BEGAN, section 3.2; Dowson and Landau, 1982",
    criterion="Over 200 random pairs the general formula in one dimension and the short form, and "
    "in 5 dimensions with commuting covariances the general formula and the sum of the short forms "
    "over the common axes, differ by at most 1e-4 relative. On 20,000 equally spaced quantiles the "
    "distance by sorting differs from the formula by at most 1e-2 relative.",
    data="random means and covariances",
    did="We compared the general formula with the short one on random pairs of normal "
    "distributions, and both with sorting.",
    means="The Frechet distance that is quoted for images is, in one dimension, what BEGAN's "
    "paper has for losses.",
)
SAID = {
    "one dimension: largest relative difference": Said("section 3.2: the one-dimensional form"),
    "5 dimensions, common axes: the same": Said("section 3.2, for a sum over axes"),
    "by sorting quantiles": Said("Dowson and Landau, 1982: it is W2 of the two normals"),
}


def measure(seeds: range, quick: bool) -> Measured:
    # Nothing is trained, and the pairs are always the same.
    del seeds, quick
    rng = np.random.default_rng(0)
    short = lambda m1, c1, m2, c2: (m1 - m2) ** 2 + c1 + c2 - 2 * np.sqrt(c1 * c2)
    one, five = [], []
    for _ in range(200):
        m1, m2 = rng.normal(size=(2, 5))  # [5] each; the first entry is the pair in one dimension
        c1, c2 = rng.uniform(0.1, 3.0, (2, 5))
        square = float(transport.gaussian_w2(m1[:1], c1[:1, None], m2[:1], c2[:1, None])) ** 2
        one.append(abs(square / short(m1[0], c1[0], m2[0], c2[0]) - 1))
        # Both covariances have this rotation's axes, so they commute and the axes separate.
        turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
        covs = [(turn * c) @ turn.T for c in (c1, c2)]
        square = float(transport.gaussian_w2(turn @ m1, covs[0], turn @ m2, covs[1])) ** 2
        five.append(abs(square / short(m1, c1, m2, c2).sum() - 1))
    # The levels are midpoints, for the quantiles at 0 and 1 are infinite.
    levels = (np.arange(20_000) + 0.5) / 20_000
    a, b = stats.norm(0.3, 1.5).ppf(levels), stats.norm(-0.4, 0.5).ppf(levels)
    sorted_square = ((a - b) ** 2).mean()
    quantiles = abs(sorted_square / short(0.3, 1.5**2, -0.4, 0.5**2) - 1)
    found = {
        "one dimension: largest relative difference": (max(one), 1e-4),
        "5 dimensions, common axes: the same": (max(five), 1e-4),
        "by sorting quantiles": (quantiles, 1e-2),
    }
    conditions = [
        ledger.at_most(what, ledger.exact(value), most, certain=True)
        for what, (value, most) in found.items()
    ]
    means = np.linspace(-3, 3, 61)
    curve = [float(np.sqrt(short(0.0, 1.0, m, 0.25))) for m in means]
    general = [
        float(transport.gaussian_w2(np.zeros(1), np.eye(1), np.full(1, m), 0.25 * np.eye(1)))
        for m in means
    ]
    data = {"means": means.tolist(), "short": curve, "general": general}
    return Measured(conditions, data, seeds=0)


def draw(data: dict[str, Any]) -> Any:
    figure, ax = pictures.axes()
    ax.plot(data["means"], data["short"], color=plots.COLOURS[0], label="short form")
    # Every fourth point is drawn, so that the line below them is seen.
    ax.plot(data["means"][::4], data["general"][::4], "o", color=plots.COLOURS[1], label="general")
    ax.set_xlabel("difference of the means (deviations 1 and 0.5)")
    ax.set_ylabel("W2")
    ax.legend(frameon=False, fontsize=8)
    return figure
