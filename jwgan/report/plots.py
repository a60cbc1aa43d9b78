"""Line plots with matplotlib, in one set of colours."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

BLUE, ORANGE, GREEN, VIOLET, GREY = "#1d5fbf", "#b4530a", "#2f7d4f", "#8a4fa8", "#6c6860"
MARKS = ((BLUE, "o"), (GREEN, "s"), (ORANGE, "^"), (VIOLET, "D"))


# --- drawing


def panels(columns: int, width: float = 4.6, height: float = 3.7) -> tuple[Any, Any]:
    """(figure, axes) in a row, without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.title.set_size(11)
    return figure, axes


def points(axes: Any, xs: Any, spread: dict[str, list[float]], label: str, mark: int) -> None:
    """Medians over the seeds, with bars from the least to the largest."""
    color, marker = MARKS[mark]
    low, middle, high = (np.array(spread[k]) for k in ("least", "median", "largest"))
    # a little to the side, so that bars of the same place do not hide one another
    shift = (mark - 1.5) * 0.012 * (max(xs) - min(xs))
    axes.errorbar(
        np.array(xs) + shift,
        middle,
        yerr=[middle - low, high - middle],
        fmt=marker,
        color=color,
        markersize=4.5,
        elinewidth=1,
        alpha=0.9,
        label=label,
    )


def broken(axes: Any, pieces: Sequence[tuple], level: float, color: str, label: str = "") -> None:
    """A constant drawn on open intervals."""
    for i, piece in enumerate(pieces):
        axes.plot(piece, [level, level], color=color, label=label if i == 0 else None)


def png(figure: Any) -> bytes:
    """The figure as a PNG file; axes with labels get a legend, unless they have one."""
    for axes in figure.axes:
        if axes.get_legend_handles_labels()[1] and not axes.get_legend():
            axes.legend(fontsize=8, frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
