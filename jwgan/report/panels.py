"""Pictures of samples that are no images: series as curves, tables as bars and histograms."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jwgan import check
from jwgan.report import plots

_MOST_PANELS = 16
_BINS = 24


class Shown(NamedTuple):
    """A column of a table.

    Attributes:
      name: over its panel.
      real, fake: numbers [N] and [M]; real may be None.
      categories: names of the numbers 0, 1, ...; () where they are numbers.
    """

    name: str
    real: Any
    fake: Any
    categories: Sequence[str] = ()


def curves(x: Any, columns: int = 5, rows: int = 5) -> np.ndarray:
    """Draws series, each in a small panel of its own, a line for each channel.

    Args:
      x: [N, T, C]; the first columns * rows are drawn.
      columns, rows: panels.

    Returns:
      uint8 [H, W, 3]

    Raises:
      ValueError: x has another shape.
      MissingPackageError: matplotlib is not installed.

    Two panels of 120 by 88 pixels side by side:

    >>> panels.curves(np.zeros((2, 8, 1)), columns=2).shape
    (88, 240, 3)
    """
    x = np.asarray(x, np.float64)
    check.require(x.ndim == 3 and x.size > 0, "x", x.shape, "give series [N, T, C]")
    rows = min(rows, math.ceil(len(x) / columns))
    figure = plots.figure(1.5 * columns, 1.1 * rows, dpi=80)
    for i, series in enumerate(x[: columns * rows]):
        axes = figure.add_axes(
            (i % columns / columns, 1 - (i // columns + 1) / rows, 0.97 / columns, 0.95 / rows)
        )
        axes.plot(np.nan_to_num(np.clip(series, -1.2, 1.2)), linewidth=0.8)
        axes.set(xticks=[], yticks=[], ylim=(-1.25, 1.25))
    return _pixels(figure)


def histograms(shown: Sequence[Shown]) -> np.ndarray:
    """Draws columns of a table, real rows beside samples, each column in a panel.

    Args:
      shown: the columns, of which the first 16 are drawn.

    Returns:
      uint8 [H, W, 3]

    Raises:
      ValueError: there are no columns.
      MissingPackageError: matplotlib is not installed.

    >>> ages = panels.Shown("age", real=[20.0, 30.0, 40.0], fake=[25.0, 35.0])
    >>> jobs = panels.Shown("job", real=[0, 0, 1], fake=[0, 1], categories=("cook", "smith"))
    >>> panels.histograms([ages, jobs]).shape
    (144, 384, 3)
    """
    check.require(len(shown) > 0, "shown", list(shown), "give at least one column")
    shown = shown[:_MOST_PANELS]
    columns = min(4, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = plots.figure(2.4 * columns, 1.8 * rows, dpi=80)
    figure.set_layout_engine("tight")
    for i, column in enumerate(shown):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.set_title(check.printable(column.name)[:24], fontsize=8)
        axes.tick_params(labelsize=6)
        (_bars if column.categories else _bins)(axes, column)
    if shown[0].real is not None:
        figure.axes[0].legend(fontsize=6)
    return _pixels(figure)


def _sides(column: Shown) -> list[tuple[str, str, np.ndarray]]:
    """(label, colour, numbers) of what is there."""
    sides = [("samples", plots.ORANGE, np.asarray(column.fake))]
    if column.real is not None:
        sides.insert(0, ("real data", plots.GREY, np.asarray(column.real)))
    return sides


def _bars(axes: Any, column: Shown) -> None:
    count = len(column.categories)
    sides = _sides(column)
    for i, (label, colour, numbers) in enumerate(sides):
        shares = np.bincount(numbers, minlength=count) / len(numbers)
        place = np.arange(count) + 0.4 * (i - (len(sides) - 1) / 2)
        axes.bar(place, shares, width=0.38, color=colour, label=label)
    if count <= 8:
        names = [check.printable(name)[:8] for name in column.categories]
        axes.set_xticks(range(count), names)


def _bins(axes: Any, column: Shown) -> None:
    sides = _sides(column)
    frame = sides[0][2]  # real data's range: samples that ran away must not shrink the picture
    low, high = float(np.nanmin(frame)), float(np.nanmax(frame))
    edges = np.linspace(low, high if high > low else low + 1, _BINS)
    for label, colour, numbers in sides:
        finite = np.clip(numbers[np.isfinite(numbers)], edges[0], edges[-1])
        weights = np.full(len(finite), 1 / max(1, len(finite)))
        axes.hist(finite, bins=edges, weights=weights, color=colour, alpha=0.6, label=label)


def _pixels(figure: Any) -> np.ndarray:
    figure.canvas.draw()
    # A copy: the buffer goes when the figure does. The alpha channel is 255 everywhere.
    return np.array(figure.canvas.buffer_rgba())[..., :3]
