"""Draws the ledger's few kinds of picture, all from plain lists."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jwgan import report
from jwgan.report import plots


def axes(width: float = 6.4, height: float = 3.6) -> tuple[Any, Any]:
    """Makes (figure, its only axes) with a grid; so many inches wide and high."""
    figure, (ax,) = plots.panels(1, width, height)
    ax.grid(alpha=0.25)
    return figure, ax


def bands(
    steps: Sequence[float],
    series: Mapping[str, Any],
    *,
    x: str,
    y: str,
    logarithmic: bool = False,
    lines: Mapping[str, float] | None = None,
) -> Any:
    """Draws medians over seeds with the quartiles as a band.

    Args:
      steps: [T].
      series: name -> [T, K].
      x, y: what the axes are.
      logarithmic: the y axis.
      lines: name -> height of a dashed line.
    """
    figure, ax = axes()
    for (name, values), colour in zip(series.items(), plots.COLOURS, strict=False):
        values = np.asarray(values, float)
        # The band has quartiles, and not the interval that decides: the picture shows the runs
        # themselves.
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=1)
        ax.plot(steps, middle, color=colour, label=name, linewidth=1.8)
        ax.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
    for name, height in (lines or {}).items():
        ax.axhline(height, color=plots.GREY, linestyle="--", linewidth=1, label=name)
    if logarithmic:
        ax.set_yscale("log")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.legend(frameon=False, fontsize=8)
    return figure


def below(figure: Any, rows: int, columns: int, height: float) -> list[Any]:
    """Adds axes without ticks under the one axes of a figure, which grows by them.

    Args:
      figure: of `bands` or `boxes`.
      rows, columns: of the new axes; they are returned row by row.
      height: of a row, inches.
    """
    width, top = figure.get_size_inches()
    figure.set_size_inches(width, top + height * rows)
    grid = figure.add_gridspec(1 + rows, columns, height_ratios=[top, *[height] * rows])
    # The first axes move into the new grid's first row, and keep their size.
    figure.axes[0].set_subplotspec(grid[0, :])
    places = [grid[1 + row, column] for row in range(rows) for column in range(columns)]
    return [figure.add_subplot(place, xticks=[], yticks=[]) for place in places]


def strips_below(figure: Any, strips: Mapping[str, Any]) -> Any:
    """Adds rows of images under a figure.

    Args:
      figure: of `bands` or `boxes`.
      strips: name -> images [N, H, W, C] in [-1, 1], drawn side by side.
    """
    for ax, (name, images) in zip(below(figure, len(strips), 1, 0.6), strips.items(), strict=True):
        ax.imshow(report.image_grid(images, columns=len(images), scale=4), cmap="gray")
        ax.set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
    return figure


def boxes(groups: Mapping[str, Any], *, y: str, lines: Mapping[str, float] | None = None) -> Any:
    """Draws a box for each group of values, with every seed as a dot.

    Args:
      groups: name -> [K].
      y: what the axis is.
      lines: name -> height of a dashed line.
    """
    figure, ax = axes()
    # Dots are spread at random, in the same way each time the picture is drawn.
    rng = np.random.default_rng(0)
    for i, (values, colour) in enumerate(zip(groups.values(), plots.COLOURS * 3, strict=False)):
        values = np.asarray(values, float)
        ax.boxplot(
            # matplotlib draws no box around values that are not finite.
            [values[np.isfinite(values)]],
            positions=[i],
            widths=0.55,
            # Outliers are among the dots already.
            showfliers=False,
            medianprops={"color": "black"},
        )
        ax.plot(i + rng.uniform(-0.15, 0.15, len(values)), values, ".", color=colour, alpha=0.7)
    for name, height in (lines or {}).items():
        ax.axhline(height, color=plots.GREY, linestyle="--", linewidth=1, label=name)
    ax.set_xticks(range(len(groups)), list(groups), fontsize=8)
    ax.ticklabel_format(axis="y", useOffset=False)  # nobody reads "1e-6+9.9999e-1"
    if len(groups) > 5:
        ax.tick_params(axis="x", labelrotation=30)
    ax.set_ylabel(y)
    if lines:
        ax.legend(frameon=False, fontsize=8)
    return figure


def w1_curves(data: dict[str, Any]) -> Any:
    """Draws the exact W1 of several members over training; what most claims have as `draw`."""
    return bands(
        data["steps"],
        data["w1"],
        x="generator updates",
        y="exact W1",
        lines={"real against real": data["w1_of_real"]},
    )
