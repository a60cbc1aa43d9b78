"""The tables and the page of the search."""

import math
from typing import Any

import numpy as np

from jwgan.report import article, plots
from jwgan.run import study

HEAD = (
    *("member", "best of the search", "10 % quantile", "median", "new seeds: median", "range"),
    *("classes", "settings with ten classes"),
)
NAMES = {"digits": "8x8 handwritten digits", "fashion_mnist": "Fashion-MNIST, 28x28"}


def distances(rows: list[dict[str, Any]]) -> list[float]:
    """The Frechet distances of runs, from the least; infinite for those that are not finite."""
    found = [row["frechet_distance"] for row in rows]
    return sorted(math.inf if value is None else value for value in found)


def summary(rows: list[dict[str, Any]], again: list[dict[str, Any]]) -> dict[str, Any]:
    """What the search found of one member on one data set.

    Args:
      rows: the search's runs.
      again: the best setting's runs on new seeds.
    """
    searched, new = distances(rows), distances(again)
    # Quantiles that are runs themselves: between a finite one and infinity there is none.
    quantile = lambda q: float(np.quantile(searched, q, method="higher"))
    best = min(rows, key=lambda row: distances([row]))
    shown = lambda value: None if math.isinf(value) else round(value, 2)
    return {
        "settings": len(rows),
        "best": shown(searched[0]),
        "tenth": shown(quantile(0.1)),
        "median": shown(quantile(0.5)),
        "new_seeds": [shown(value) for value in new],
        "new_median": shown(float(np.quantile(new, 0.5, method="higher"))) if new else None,
        "new_classes": sorted(row["classes_present"] for row in again),
        "ten_classes_share": round(float(np.mean([r["classes_present"] == 10 for r in rows])), 3),
        "not_finite": sum(math.isinf(value) for value in searched),
        "structure": best["structure"],
        "numbers": best["numbers"],
        "curve": [shown(value) for value in searched],
    }


def _cell(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def rows_of(found: dict[str, Any]) -> list[list[str]]:
    """A row for each member, the best new seeds first, under HEAD."""
    order = sorted(found, key=lambda name: found[name]["new_median"] or math.inf)
    table = []
    for name in order:
        one = found[name]
        new, classes = one["new_seeds"], one["new_classes"]
        table.append(
            [
                name,
                *(_cell(one[key]) for key in ("best", "tenth", "median", "new_median")),
                f"{_cell(new[0])} to {_cell(new[-1])}",
                f"{classes[0]}" if classes[0] == classes[-1] else f"{classes[0]} to {classes[-1]}",
                f"{one['ten_classes_share']:.0%}",
            ]
        )
    return table


def settings_of(found: dict[str, Any]) -> list[list[str]]:
    """Each member's best setting, in words."""
    words = lambda options: ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else f'{value:g}'}"
        for name, value in options.items()
    )
    return [[name, words(one["structure"]), words(one["numbers"])] for name, one in found.items()]


def draw(found: dict[str, Any], real: float) -> bytes:
    """The sorted distances of every member's settings, a small panel each, as PNG."""
    columns = min(4, len(found))
    lines = -(-len(found) // columns)
    figure = plots.figure(2.3 * columns, 1.9 * lines)
    figure.set_layout_engine("constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for place, (name, one) in zip(axes.flat, found.items(), strict=False):
        for other in found.values():
            _curve(place, other["curve"], color="#d8d4cb", linewidth=0.8)
        _curve(place, one["curve"], color=plots.BLUE, linewidth=1.8)
        place.axhline(real, color=plots.GREEN, linewidth=0.9, linestyle=":")
        place.set_title(name, fontsize=9)
        place.set_yscale("log")
        place.tick_params(labelsize=7)
        place.spines[["top", "right"]].set_visible(False)
    for place in list(axes.flat)[len(found) :]:
        place.set_visible(False)
    figure.supxlabel("share of the settings that are as good", fontsize=9)
    figure.supylabel("Frechet distance", fontsize=9)
    return plots.png(figure)


def _curve(place: Any, curve: list[float | None], **style: Any) -> None:
    finite = [value for value in curve if value is not None]
    place.plot((np.arange(len(finite)) + 1) / len(curve), finite, **style)


def page(result: dict[str, Any]) -> study.Report:
    """The page of all data sets that were searched."""
    blocks: list[Any] = [
        article.Paragraph(
            "Every member of the family gets the same search: settings drawn at random from ranges "
            "that were written down beforehand, and the same processor time for each run. So the "
            "figures compare the members and not the care that somebody spent on them; Lucic et "
            "al., 2018, Are GANs Created Equal?, asked this first."
        ),
        article.Paragraph(
            "The best setting's own figure is too good, since it was chosen for it: it is trained "
            "again on seeds that the search never saw. How far the median lies above the best says "
            "how hard a member is to tune."
        ),
    ]
    pictures: dict[str, bytes] = {}
    shown: list[list[str]] = []
    for dataset, one in result["datasets"].items():
        png = draw(one["members"], one["frechet_distance_of_real"])
        pictures[f"created_equal-{dataset}"] = png
        shown += rows_of(one["members"])
        blocks += _of_one(dataset, one, png)
    return study.Report("Are they created equal?", blocks, pictures, (HEAD, shown))


def _of_one(dataset: str, one: dict[str, Any], png: bytes) -> list[Any]:
    """The blocks of one data set."""
    found, real, plan = one["members"], one["frechet_distance_of_real"], one["plan"]
    return [
        article.Heading(NAMES.get(dataset, dataset)),
        article.Paragraph(
            f"{plan['settings']} settings of each member, {plan['seconds']:g} seconds of one "
            f"core for each run. Real data have a Frechet distance of {real:.3g}."
        ),
        article.Figure(
            png,
            "All settings of a member from the best to the worst, lower is better; the other "
            "members' curves are grey, the dotted line is that of real data. A curve that ends "
            "early has settings whose numbers were not finite.",
            "Sorted Frechet distances of the settings of each member",
        ),
        article.Table(
            HEAD,
            rows_of(found),
            "Frechet distances, lower is better; the members with the best new seeds first. "
            "Classes: how many of ten the new seeds' samples have.",
        ),
        article.Table(("member", "networks", "numbers"), settings_of(found), "Best settings."),
    ]
