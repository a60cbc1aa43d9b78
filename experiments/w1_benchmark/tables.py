"""Tables of the W1 benchmark: what was recorded as w1-METHOD-D-N, beside the published figures.

    python -m experiments.record w1-ours-16-64 -- \
        python -m experiments.w1_benchmark --dim 16 --funnels 64 --method ours --json
"""

import json
import pathlib
from typing import Any

from experiments import results
from experiments.results.markdown import table
from jwgan.report import plots

# The graded pairs are those of D >= 8, as the document of the command says.
DIMS, FUNNELS = (8, 16, 32, 64, 128), (4, 16, 64, 256)
PUBLISHED = pathlib.Path(__file__).parent / "published.json"
PAIRS = [(dim, num) for dim in DIMS for num in FUNNELS]
FAITHFUL = ((8, 4), (8, 16), (16, 16), (16, 64), (32, 16), (64, 16))
PAIR = ("D", "N")  # heads: dimensions, cones
# our method -> the published one's short name
SAME = {
    "wgan": "WC",
    "wgan_gp": "GP",
    "wgan_lp": "LP",
    "sngan": "SN",
    "sngan_constant_norm": "SN",
    "sorted_orthogonal": "SO",
}


def published() -> dict[tuple[int, int], dict[str, dict[str, float]]]:
    """Reads published.json: (D, N) -> {"cos", "l2", "w1"} -> short name -> figure."""
    rows = json.loads(PUBLISHED.read_text())["pairs"]
    return {(row["dim"], row["funnels"]): row for row in rows}


def best(row: dict[str, dict[str, float]], figure: str = "cos") -> tuple[str, float]:
    """Finds the best published solver with a potential, which DOT has not: (short name, figure)."""
    values = {name: value for name, value in row[figure].items() if name != "DOT"}
    # A cosine is the better the larger, an error the smaller.
    name = (max if figure == "cos" else min)(values, key=lambda name: values[name])
    return name, values[name]


def recorded(method: str, pair: tuple[int, int], tail: str = "") -> dict[str, Any]:
    return results.metrics(f"w1-{method}-{pair[0]}-{pair[1]}{tail}")


def off(estimate: float, truth: float) -> str:
    """Writes the error of an estimate, in percent of the truth."""
    return f"{100 * (estimate - truth) / truth:+.1f}"


def ours(method: str = "ours", pairs: Any = PAIRS) -> str:
    """Lists our figures beside the best published cosine of each pair."""
    rows, known, wins = [], published(), 0
    for pair in pairs:
        run = recorded(method, pair)
        if not run:
            continue
        name, cos = best(known[pair])
        won = run["cos"] > cos
        wins += won
        truth = run["w1_true"]
        rows.append(
            [
                *pair,
                f"{cos:.3f} {name}",
                f"**{run['cos']:.3f}**" if won else f"{run['cos']:.3f}",
                f"{known[pair]['l2'][name]:.3f}",
                f"{run['l2']:.3f}",
                off(known[pair]["w1"][name], truth),
                off(run["w1"], truth),
                off(run["w1_corrected"], truth),
                f"{run['max_gradient_norm']:.2f}",
                run["seeds"],
                f"{run['cpu_seconds']:.0f}",
            ]
        )
    head = [*PAIR, "best published cosine", "cosine", "its squared error", "squared error"]
    head += ["its W1, error in %", "W1, error in %", "W1 / slope, error in %"]
    head += ["largest slope", "seeds", "CPU s"]
    return table(head, rows) + f"\n\n{method}: above the best published on {wins} of {len(rows)}."


def faithful() -> str:
    """Lists the published methods run here: cosine, published cosine, iterations."""
    rows, known = [], published()
    for pair in FAITHFUL:
        cells = []
        for method, name in SAME.items():
            run = recorded(method, pair)
            end = f"{run['cos']:.3f} / {known[pair]['cos'][name]:.3f}" if run else ""
            cells.append(f"{end} ({run['iterations'] / 1000:g}k)" if run else "")
        rows.append([*pair, *cells])
    # Two of our methods stand beside the same published row.
    names = ["SN, norm constant" if "constant" in method else SAME[method] for method in SAME]
    return table([*PAIR, *names], rows)


def bias() -> str:
    """Lists penalised critics' W1: slope predicted and measured, errors raw and corrected."""
    rows = []
    for pair in FAITHFUL:
        for method in ("wgan_gp", "wgan_lp"):
            run = recorded(method, pair)
            if run:
                truth = run["w1_true"]
                rows.append(
                    [
                        *pair,
                        SAME[method],
                        f"{1 + truth / 20:.3f}",  # 1 + W / (2 weight), weight 10
                        f"{run['mean_gradient_norm']:.3f}",
                        off(run["w1"], truth),
                        off(run["w1_corrected"], truth),
                        f"{run['cos']:.3f}",
                    ]
                )
    head = [*PAIR, "method", "slope predicted, 1 + W1 / 20", "slope measured (mean)"]
    return table([*head, "W1, error in %", "W1 / slope, error in %", "cosine"], rows)


def spread() -> str:
    """Lists pairs that were run with several seeds: the range of the cosine."""
    rows, known = [], published()
    for method in ("ours", "sorted_orthogonal"):
        for pair in FAITHFUL:
            run = recorded(method, pair, "-seeds")
            if run:
                # "ours" has no published namesake: the best published one stands in.
                name = SAME.get(method, best(known[pair])[0])
                cosines = [one["cos"] for one in run["per_seed"]]
                span = f"{min(cosines):.3f} to {max(cosines):.3f}"
                other = f"{known[pair]['cos'][name]:.3f} {name}"
                rows.append([*pair, SAME.get(method, method), other, len(cosines), span])
    return table([*PAIR, "method", "published cosine", "seeds", "cosine here"], rows)


def summary() -> str:
    """Lists our figures, one line a pair, for the command's page."""
    rows, known = [], published()
    for pair in PAIRS:
        run = recorded("ours", pair)
        if run:
            name, cos = best(known[pair])
            errors = off(known[pair]["w1"][name], run["w1_true"]), off(run["w1"], run["w1_true"])
            rows.append(
                [
                    *pair,
                    f"{cos:.3f} {name}",
                    f"{run['cos']:.3f}",
                    f"{known[pair]['l2'][name]:.3f}",
                    f"{run['l2']:.3f}",
                    *errors,
                    off(run["w1_corrected"], run["w1_true"]),
                ]
            )
    head = [*PAIR, "best published cosine", "our cosine", "its squared error"]
    head += ["our squared error", "its W1, error in %", "our W1, error in %"]
    return table([*head, "our W1 / slope, error in %"], rows)


def everything() -> str:
    """Writes what `w1_benchmark --table` prints."""
    blocks = [
        "Ours (generic: the same settings for all pairs) beside the best published solver:",
        ours(),
        "Cones (structure-matched: the critic is of the truth's own form, so no comparison):",
        ours("cones"),
        "Published methods, run here / published cosine (iterations run here):",
        faithful(),
        "The penalty's bias (weight 10) in the W1 estimate, and what dividing by the slope leaves:",
        bias(),
        "Several seeds:",
        spread(),
    ]
    return "\n\n".join(blocks)


def draw(path: str) -> None:
    """Draws the cosine of every pair, a panel for each D: published solvers, their best, ours."""
    known, places = published(), range(len(FUNNELS))
    figure, panels = plots.panels(len(DIMS), width=2.0, height=3.4)
    for dim, axes in zip(DIMS, panels, strict=True):
        axes.sharey(panels[0])
        # The panels share their y axis, so only the first has its numbers.
        axes.tick_params(labelleft=axes is panels[0])
        rows = [known[dim, num] for num in FUNNELS]
        for name, marker in (("WC", "v"), ("SN", "^"), ("GP", "s"), ("LP", "D"), ("SO", "o")):
            cosines = [row["cos"][name] for row in rows]
            axes.plot(places, cosines, marker, ms=5, c="0.6", mfc="w", label=f"{name}, published")
        top = [best(row)[1] for row in rows]
        axes.plot(places, top, "-", c="0.2", lw=1.5, label="best published")
        # NaN leaves a gap for a pair that was not run.
        runs = [recorded("ours", (dim, num)).get("cos", float("nan")) for num in FUNNELS]
        axes.plot(places, runs, "-o", c=plots.ORANGE, lw=2, ms=6, label="ours")
        axes.set_title(f"D = {dim}", fontsize=10)
        axes.set_xticks(places, FUNNELS)
        axes.grid(axis="y", c="0.9")
    panels[0].set_ylabel("mean cosine with the optimal gradient")
    figure.supxlabel("cones N", fontsize=10)
    names, labels = panels[0].get_legend_handles_labels()
    figure.legend(names, labels, ncols=7, loc="outside upper center", fontsize=8, frameon=False)
    figure.savefig(path)
