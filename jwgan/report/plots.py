"""Line plots with matplotlib, in one set of colours."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from jwgan import check

BLUE, ORANGE, GREEN, VIOLET, GREY = "#1d5fbf", "#b4530a", "#2f7d4f", "#8a4fa8", "#6c6860"
# The colours of curves, in this order.
COLOURS = (BLUE, ORANGE, GREEN, VIOLET, GREY, "#12a3a8", "#b0457b", "#c78a1b")
MARKS = ((BLUE, "o"), (GREEN, "s"), (ORANGE, "^"), (VIOLET, "D"))


# --- drawing


def figure(width: float, height: float, dpi: float = 110) -> Any:
    """A blank matplotlib figure of so many inches, without pyplot's global state.

    Raises:
      MissingPackageError: matplotlib is not installed.

    >>> blank = plots.figure(3, 2)
    >>> blank.get_size_inches().tolist(), len(blank.axes)
    ([3.0, 2.0], 0)
    """
    check.require_package("matplotlib", "run")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    blank = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    # The canvas registers itself in the figure. Agg draws without a display, in any thread; pyplot
    # would keep every figure alive until it is closed.
    FigureCanvasAgg(blank)
    return blank


def panels(columns: int, width: float = 4.6, height: float = 3.7) -> tuple[Any, Any]:
    """(figure, its axes in a row, [columns]); each of them so many inches wide and high.

    Raises:
      MissingPackageError: matplotlib is not installed.

    >>> row, axes = plots.panels(2)
    >>> len(axes), row.get_size_inches().tolist()
    (2, [9.2, 3.7])
    """
    row = figure(width * columns, height)
    # Keeps labels of neighbouring axes from overlapping.
    row.set_layout_engine("constrained")
    axes = row.subplots(1, columns, squeeze=False)[0]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.title.set_size(11)
    return row, axes


def points(axes: Any, xs: Any, spread: dict[str, list[float]], label: str, mark: int) -> None:
    """Draws medians over the seeds, with bars from the least to the largest.

    Args:
      axes: matplotlib's.
      xs: [N], the places.
      spread: {"least", "median", "largest": [N] values}.
      label: of the legend.
      mark: number of the colour and marker in MARKS.

    >>> row, axes = plots.panels(1)
    >>> spread = {"least": [1.0, 2.0], "median": [2.0, 3.0], "largest": [4.0, 4.0]}
    >>> plots.points(axes[0], [0, 1], spread, label="clipping", mark=0)
    >>> axes[0].containers[0].lines[0].get_ydata().tolist()
    [2.0, 3.0]
    """
    color, marker = MARKS[mark]
    low, middle, high = (np.array(spread[k]) for k in ("least", "median", "largest"))
    # a little to the side, so that bars of the same place do not hide one another
    shift = (mark - 1.5) * 0.012 * (max(xs) - min(xs))
    axes.errorbar(
        np.array(xs) + shift,
        middle,
        # matplotlib wants lengths, from the median down and up, not the ends.
        yerr=[middle - low, high - middle],
        fmt=marker,
        color=color,
        markersize=4.5,
        elinewidth=1,
        alpha=0.9,
        label=label,
    )


def broken(axes: Any, pieces: Sequence[tuple], level: float, color: str, label: str = "") -> None:
    """Draws a constant on open intervals, [(first, last), ...].

    >>> row, axes = plots.panels(1)
    >>> plots.broken(axes[0], [(0, 1), (2, 3)], level=0.5, color=plots.BLUE, label="mean")
    >>> [line.get_xdata().tolist() for line in axes[0].lines], axes[0].lines[0].get_label()
    ([[0, 1], [2, 3]], 'mean')
    """
    # The pieces share one entry of the legend.
    for i, piece in enumerate(pieces):
        axes.plot(piece, [level, level], color=color, label=label if i == 0 else None)


def png(figure: Any) -> bytes:
    """The bytes of a figure's PNG file; axes with labels get a legend, unless they have one.

    >>> drawn = [plots.png(plots.figure(3, 2, dpi=100)) for _ in range(2)]
    >>> drawn[0][1:4], drawn[0] == drawn[1]
    (b'PNG', True)
    """
    for axes in figure.axes:
        if axes.get_legend_handles_labels()[1] and not axes.get_legend():
            axes.legend(fontsize=8, frameon=False)
    file = io.BytesIO()
    # matplotlib would write its version into the file: without it the same picture has the same
    # bytes.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
