"""C4: transport plans, the earth mover's distance and its dual."""

from typing import Any

import numpy as np
from scipy import optimize
from scipy.spatial.distance import cdist

from experiments.claims import ledger
from experiments.claims.ledger import Claim, Measured, Said
from experiments.divergences import gaussians
from jwgan import transport
from jwgan.report import plots

CLAIM = Claim(
    title="The best plan's cost is the dual's value, and every 1-Lipschitz function is below it",
    claim="A transport plan is a matrix whose rows and columns sum to the two distributions; the "
    "cost of the best one is the earth mover's distance. It equals the Kantorovich-Rubinstein "
    "dual, the largest E_x f - E_y f over 1-Lipschitz f, so any such f is a lower bound.",
    source="Arjovsky, Chintala and Bottou, 2017, Wasserstein GAN, sections 2 and 3; Villani, 2009, "
    "chapter 5; the WGAN blog posts of the source texts",
    criterion="20 pairs of discrete distributions for each seed: 2 to 12 points each, random "
    "weights, 1 to 3 dimensions. Largest over all: error of the best plan's sums (jwgan.transport, "
    "network simplex) at most 1e-9; best cost minus that of 20 random other plans at most 1e-9; "
    "difference of the best cost and the dual programme, which another solver (HiGHS) solves over "
    "the values of f, at most 1e-9, and of transport.dual's potential, at most 1e-9; that "
    "potential's largest slope at most 1 + 1e-9; E_x f - E_y f of 60 random 1-Lipschitz f minus "
    "the best cost at most 1e-9. In one dimension the area between the distribution functions is "
    "within 1e-5 of the best cost (float32).",
    data="random discrete distributions; the picture: ten piles of earth",
    did="We solved the transport problem between random point sets with two programs that share "
    "no code, and compared the cost with that of random other plans and with the difference that "
    "random 1-Lipschitz functions see.",
    means="The number that a 1-Lipschitz critic gives is a lower bound of W1, whatever the "
    "network; it is W1 itself only for the best one.",
)
SAID = {
    "best cost - another plan's, largest": Said("blog post: the smallest cost of all plans"),
    "|best cost - dual programme|, largest": Said("section 3, equation 2: the dual has its value"),
    "1-Lipschitz f - best cost, largest": Said("section 3: the supremum over 1-Lipschitz f"),
}
PAIRS, PLANS, FUNCTIONS, MOST = 20, 20, 20, 1e-9


def other_plan(rng: Any, a: Any, b: Any) -> Any:
    """Makes a random plan [N, M] with row sums a [N] and column sums b [M].

    Rows are emptied and columns filled in a random order (north-west corner rule), which is a
    vertex of the plans' polytope, and mixed with a @ b.T, which is inside it.
    """
    rows, columns = rng.permutation(len(a)), rng.permutation(len(b))
    # `left` is the earth that a row still has, `free` the room that a column still has.
    corner, left, free = np.zeros((len(a), len(b))), a.copy(), b.copy()
    for i in rows:
        for j in columns:
            corner[i, j] = min(left[i], free[j])
            left[i] -= corner[i, j]
            free[j] -= corner[i, j]
    # A mixture of two plans is a plan.
    return corner + rng.uniform() * (np.outer(a, b) - corner)


def lipschitz_functions(rng: Any, z: Any) -> Any:
    """Evaluates random 1-Lipschitz functions at the points z [K, D]: [3 FUNCTIONS, K].

    They are lower and upper envelopes of cones (McShane's extensions), and projections.
    """
    found = []
    for _ in range(FUNCTIONS):
        # An envelope of functions of slope 1 has slope at most 1.
        tips = rng.normal(size=(4, z.shape[1]))
        cones = cdist(z, tips) + rng.normal(size=4)
        upper = rng.normal(size=4) - cdist(z, tips)
        direction = rng.normal(size=z.shape[1])
        line = z @ direction / np.linalg.norm(direction)
        found += [cones.min(axis=1), upper.max(axis=1), line * rng.choice([-1.0, 1.0])]
    return np.array(found)


def dual_programme(z: Any, difference: Any) -> float:
    """Maximises sum_k difference_k f_k over f [K] with f_k - f_l <= |z_k - z_l| for all k, l."""
    distance, num = cdist(z, z), len(z)
    # There is one inequality for each ordered pair k != l: so both signs of the difference are
    # bounded.
    k, line = np.nonzero(~np.eye(num, dtype=bool)), np.arange(num * (num - 1))
    slopes = np.zeros((len(line), num))
    slopes[line, k[0]], slopes[line, k[1]] = 1.0, -1.0
    # f is determined up to a constant: f_0 = 0.
    bounds = [(0.0, 0.0), *[(None, None)] * (num - 1)]
    # linprog minimises, so the objective's sign is turned, here and in the result.
    found = optimize.linprog(-difference, slopes, distance[k], bounds=bounds, method="highs")
    return -float(found.fun)


def one_pair(rng: Any) -> dict[str, float]:
    """Computes the criterion's numbers of one random pair: at most 0, but for rounding."""
    dim = int(rng.integers(1, 4))
    # Sizes stay below 13: the dual programme has a row for each ordered pair of up to 24 points.
    (n, m), shift = rng.integers(2, 13, size=2), rng.uniform(0, 2)
    x, y = rng.normal(size=(n, dim)), rng.normal(size=(m, dim)) + shift
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    # E_x f - E_y f is a sum over all points z at once: weights a at x, -b at y.
    z, difference, distance = np.concatenate([x, y]), np.concatenate([a, -b]), cdist(x, y)
    best, dual = transport.plan(x, y, a, b), transport.dual(x, y, a, b)
    others = [float((other_plan(rng, a, b) * distance).sum()) for _ in range(PLANS)]
    potential = np.concatenate([dual.at_x, dual.at_y])  # [n + m], f at z
    # The diagonal is left out, where a point's distance to itself is 0.
    slope = np.abs(potential[:, None] - potential)[~np.eye(n + m, dtype=bool)]
    sums = np.abs(best.matrix.sum(1) - a).max(), np.abs(best.matrix.sum(0) - b).max()
    found = {
        "error of the plan's sums": max(*sums, -best.matrix.min()),
        "best cost - another plan's": best.w1 - min(others),
        "|best cost - dual programme|": abs(best.w1 - dual_programme(z, difference)),
        "|best cost - dual potential|": abs(best.w1 - difference @ potential),
        "potential's slope - 1": (slope / cdist(z, z)[~np.eye(n + m, dtype=bool)]).max() - 1,
        "1-Lipschitz f - best cost": (lipschitz_functions(rng, z) @ difference).max() - best.w1,
    }
    if dim == 1:
        # `w1_1d` computes in float32, hence its own bound in `measure`.
        area = float(transport.w1_1d(x[:, 0], y[:, 0], a, b))
        found["|best cost - area| on the line"] = abs(best.w1 - area)
    return {name: float(value) for name, value in found.items()}


def measure(seeds: range, quick: bool) -> Measured:
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        rows += [one_pair(rng) for _ in range(PAIRS // 4 if quick else PAIRS)]
    conditions = []
    # Names come in the order in which the pairs have them; "area" is there in one dimension only.
    for name in dict.fromkeys(name for row in rows for name in row):
        largest = max(row[name] for row in rows if name in row)
        most = 1e-5 if "area" in name else MOST
        conditions.append(
            ledger.at_most(f"{name}, largest", ledger.exact(largest), most, certain=True)
        )
    return Measured(conditions, {"plans": gaussians.plans()})


def draw(data: dict[str, Any]) -> Any:
    plans = data["plans"]
    figure, panels = plots.panels(2, width=3.8, height=3.6)
    # Both panels have one scale: the poor plan is pale because it sends little anywhere.
    most = np.max(plans["best_plan"])
    for ax, kind, title in zip(panels, ("poor", "best"), ("a poor plan", "the best"), strict=True):
        shown = ax.imshow(plans[f"{kind}_plan"], cmap="Blues", vmin=0.0, vmax=most)
        ax.set_title(f"{title}: cost {plans[f'{kind}_cost']:.2f}", fontsize=10)
        ax.set_xlabel("to place")
        ax.set_ylabel("from place")
    figure.colorbar(shown, ax=panels, label="earth moved", shrink=0.85)
    figure.suptitle(f"dual potential: {plans['dual_value']:.2f}", fontsize=9)
    return figure
