"""Line charts as HTML: SVG stretched to the space there is, labels beside it as text.

A chart is sharp on a phone and on a wall, and its labels have one size.  It shows the values as
they are, faintly (of more than 400: the span they cover), and, from 40 values on, their running
mean over a twentieth of the run.  The axis holds the middle 98 %: a spike is cut rather than
flattening all the rest, and the extremes are written above.

>>> import re
>>> words_of = lambda page: [word.strip() for word in re.split("<[^>]*>", page) if word.strip()]
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jwgan.report import html

POINTS = 400  # of a line, at most
FEW = 40  # of fewer values there is no running mean
LARGEST = 1e100  # a larger value is drawn here, so that sums and squares do not overflow


class Chart(NamedTuple):
    """Metrics that share an axis.

    Attributes:
      title: above the chart.
      hint: a line below the title: what the chart shows.
      names: {metric: its legend}.
      needs: a metric without which the chart is left out; "" for none.
      direction: what is better, lower or higher, or what else to look for.
    """

    title: str
    hint: str
    names: Mapping[str, str]
    needs: str = ""
    direction: str = ""

    @property
    def words(self) -> str:
        """The line below the title."""
        return " · ".join(filter(None, (self.hint, self.direction)))


def draw(
    chart: Chart, metrics: Mapping[str, np.ndarray], last: Mapping[str, float] | None = None
) -> str:
    """A chart with one line for each of its metrics that has finite values.

    Two metrics with the same values are one line.

    Args:
      chart: what to show.
      metrics: {"step": [rows], name: [rows]}; a row that stands for several steps has their
        extremes as name_min and name_max.
      last: {metric: value at the end} where it is another than that of the last row.

    Returns:
      HTML text, "" if there is nothing to draw.

    >>> both = chart.Chart("Losses", "of both players", {"a": "critic", "b": "generator"})
    >>> metrics = {"step": np.arange(3), "a": np.array([3, 2, 1.0]), "b": np.array([0, 1, 2.0])}
    >>> words_of(chart.draw(both, metrics))[:4]
    ['Losses', 'of both players · range 0 … 3', 'critic 1', 'generator 2']
    """
    lines = _lines(chart, metrics)
    if not lines:
        return ""
    scale, logarithmic = _scale_of([span.ravel() for _, _, span in lines.values()])
    scaled = {name: scale(span) for name, (_, _, span) in lines.items()}
    axes = _Axes(
        _x_range(metrics["step"]), _y_range([span[1] for span in scaled.values()]), logarithmic
    )
    paths, key = [], []
    for i, (name, (legend, steps, span)) in enumerate(lines.items()):
        low, values, high = scaled[name]
        # a metric measured now and then has so few values that each of them is shown
        smooth = running_mean(values) if len(values) >= FEW else values
        color = f"var(--c{i % 4})"
        paths += [_raw(steps, (low, high), axes, color), _line(steps, smooth, axes, color)]
        # The legend has the value itself and not the line's: another page, another smoothing.
        key.append((legend, color, (last or {}).get(name, span[1, -1])))
    extent = _extent(np.concatenate([span.ravel() for _, _, span in lines.values()]))
    return _frame(chart.title, (chart.words, extent), key, paths, axes)


def _lines(
    chart: Chart, metrics: Mapping[str, np.ndarray]
) -> dict[str, tuple[str, np.ndarray, np.ndarray]]:
    """{metric: (legend, steps [N], least, mean and largest values [3, N])} of those with values."""
    found: dict[str, tuple[str, np.ndarray, np.ndarray]] = {}
    names = chart.names if not chart.needs or chart.needs in metrics else {}
    for name, legend in names.items():
        values = metrics.get(name, np.zeros(0))
        good = np.isfinite(values)
        if not good.any():
            continue
        same = [n for n in found if np.array_equal(metrics[n], values, equal_nan=True)]
        if same:
            found[same[0]] = (f"{found[same[0]][0]} and {legend}", *found[same[0]][1:])
            continue
        # Rows of one step have no extremes: NaN is passed over by fmin and fmax.
        low = np.fmin(values, metrics.get(name + "_min", values))
        columns = (low, values, np.fmax(values, metrics.get(name + "_max", values)))
        span = np.clip([column[good] for column in columns], -LARGEST, LARGEST)
        found[name] = (legend, metrics["step"][good].astype(float), span)
    return found


def draw_bands(title: str, hint: str, steps: np.ndarray, groups: Mapping[str, np.ndarray]) -> str:
    """A chart with the running mean of each group's median, and of its quartiles as a band.

    Args:
      title, hint: above the chart.
      steps: [rows].
      groups: {legend: values [rows, S] of S runs}, drawn in the colours --m0, --m1, ... --m7.

    Returns:
      HTML text, "" if there is nothing to draw.

    >>> groups = {"weight 1": np.array([[1, 3], [2, 4.0]]), "weight 10": np.array([[5], [6.0]])}
    >>> words_of(chart.draw_bands("Loss", "the critic's", np.arange(2), groups))[:4]
    ['Loss', 'the critic&#x27;s', 'weight 1 3', 'weight 10 6']
    """
    lines = []
    for legend, values in groups.items():
        spread = np.clip(quartiles(values), -LARGEST, LARGEST)
        good = np.isfinite(spread[1])
        if good.any():
            lines.append((legend, steps[good].astype(float), spread[:, good], values.shape[1]))
    if not lines:
        return ""
    scale, logarithmic = _scale_of([spread for _, _, spread, _ in lines])
    # Smoothed after the scale is taken, as in `draw`: on a logarithmic axis this is a geometric
    # mean, which one large value does not lift above all its neighbours.
    smooth = [np.stack([running_mean(scale(row)) for row in spread]) for _, _, spread, _ in lines]
    axes = _Axes(_x_range(steps), _y_range(smooth), logarithmic)
    paths, key = [], []
    for i, ((legend, own, _, runs), band) in enumerate(zip(lines, smooth, strict=True)):
        color = f"var(--m{i % 8})"
        paths += [_band(own, band, axes, color)] if runs > 1 else []
        paths.append(_line(own, band[1], axes, color))
        key.append((legend, color, lines[i][2][1, -1]))
    return _frame(title, (hint, ""), key, paths, axes)


# --- scales and axes


class _Axes(NamedTuple):
    """What both axes span; y is the decimal logarithm of the values if `logarithmic`."""

    x: tuple[float, float]
    y: tuple[float, float]
    logarithmic: bool


def _scale_of(curves: Sequence[np.ndarray]) -> tuple[Callable[[np.ndarray], np.ndarray], bool]:
    """(the function from values to places on the y axis, whether it is the logarithm)."""
    every = np.concatenate([values.ravel() for values in curves])
    # Percentiles: one spike, or one value near 0, must not make an axis logarithmic.
    low, high = np.percentile(every, [2, 98])
    logarithmic = bool(every.min() > 0 and high > 30 * low)
    return (np.log10 if logarithmic else np.asarray), logarithmic


def _x_range(steps: np.ndarray) -> tuple[float, float]:
    """All steps of the run, also for a metric measured at few of them: all charts have one axis."""
    xs = steps.astype(float)
    # The axis is never empty, not even for a single row. `spacing`: beyond 2**53 a step more is the
    # same float.
    return float(xs.min()), float(xs.max() + max(1.0, np.spacing(xs.max())))


def _y_range(scaled: Sequence[np.ndarray]) -> tuple[float, float]:
    """The middle 98 %, with air; a spike is cut rather than flattening the rest."""
    every = np.concatenate([values.ravel() for values in scaled])
    low, high = (float(x) for x in np.percentile(every, [1, 99]))
    # A constant has no span: its axis has 10 % of its size around it, 0 has 1.
    air = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - air, high + air


def _frame(
    title: str,
    hints: tuple[str, str],
    key: Sequence[tuple[str, str, float]],
    paths: Sequence[str],
    axes: _Axes,
) -> str:
    """A chart around its paths: title, hints before and after the scale's, legend, axes.

    Args:
      title: above the chart.
      hints: what it shows, and the range of it; either may be "".
      key: (legend, colour, last value) of each line.
      paths: SVG, on a square of 1000 by 1000.
      axes: what the square spans.
    """
    legends = []
    for legend, color, last in key:
        words = f"{html.text(legend)} {show(float(last))}"
        legends.append(f"<span><i style='background:{color}'></i>{words}</span>")
    hint = (hints[0], "log scale" if axes.logarithmic else "", hints[1])
    return (
        f'<div class="chart"><h3>{html.text(title)}</h3>'
        f'<div class="hint">{html.text(" · ".join(filter(None, hint)))}</div>'
        f'<div class="key">{"".join(legends)}</div><div class="plot">'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        f"{_grid(axes)}{''.join(paths)}</svg>{_labels(axes)}</div></div>"
    )


def running_mean(values: np.ndarray) -> np.ndarray:
    """Averages each value with a fortieth of them all on either side, fewer at the ends.

    >>> chart.running_mean(np.array([0.0, 3.0, 6.0, 0.0]))
    array([1.5, 3. , 3. , 3. ])
    """
    window = max(1, len(values) // 40)
    # Differences of one cumulative sum: the cost does not grow with the window.
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - window, 0), np.minimum(at + window + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Chooses 1 to `count` + 1 round numbers in [low, high], 1, 2 or 5 times 10^k apart.

    >>> chart.ticks(0, 47), chart.ticks(-2, 3)
    ([0.0, 10.0, 20.0, 30.0, 40.0], [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    # 0.999: a rounding error in `rough` must not skip to the next step.
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _scaled(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    # [0, 1000] is the picture. What lies far outside is drawn just outside: the line still leaves
    # the picture in the right direction, and the numbers in the file stay short.
    return np.clip((values - ends[0]) / (ends[1] - ends[0]) * 1000, -2000, 3000)


def _path(xs: np.ndarray, ys: np.ndarray) -> str:
    # SVG's y points down.
    return "M" + " ".join(f"{x:.0f} {1000 - y:.0f}" for x, y in zip(xs, ys, strict=True))


def _raw(steps: np.ndarray, span: tuple[np.ndarray, np.ndarray], axes: _Axes, color: str) -> str:
    """The values as they are, faintly; those of several steps, or too many, as what they span."""
    xs, lows, highs = (_scaled(steps, axes.x), *(_scaled(ys, axes.y) for ys in span))
    if len(xs) <= POINTS and np.array_equal(lows, highs):
        return f'<path d="{_path(xs, highs)}" stroke="{color}" stroke-opacity=".35"/>'
    # The least and the largest of each of 200 stretches: to draw every n-th value instead would
    # lose the spikes.
    num = min(len(xs), POINTS // 2)
    starts = np.linspace(0, len(xs), num, endpoint=False).astype(int)
    low, high = np.minimum.reduceat(lows, starts), np.maximum.reduceat(highs, starts)
    # Forth along the upper edge and back along the lower one.
    outline = _path(np.r_[xs[starts], xs[starts][::-1]], np.r_[high, low[::-1]])
    return f'<path d="{outline}Z" style="fill:{color}" fill-opacity=".2"/>'


def _line(steps: np.ndarray, values: np.ndarray, axes: _Axes, color: str) -> str:
    chosen = np.unique(np.linspace(0, len(steps) - 1, POINTS).astype(int))
    xs, ys = _scaled(steps[chosen], axes.x), _scaled(values[chosen], axes.y)
    if len(xs) == 1:  # a single row is a dash
        xs, ys = np.r_[xs, xs + 20], np.r_[ys, ys]
    return f'<path d="{_path(xs, ys)}" stroke="{color}" stroke-width="1.8"/>'


def _band(steps: np.ndarray, band: np.ndarray, axes: _Axes, color: str) -> str:
    """The area from the lower quartile, band[0], to the upper one, band[2]."""
    chosen = np.unique(np.linspace(0, len(steps) - 1, POINTS // 2).astype(int))
    xs = _scaled(steps[chosen], axes.x)
    low, high = (_scaled(band[i][chosen], axes.y) for i in (0, 2))
    outline = _path(np.r_[xs, xs[::-1]], np.r_[high, low[::-1]])
    return f'<path class="band" d="{outline}Z" style="fill:{color}" fill-opacity=".2"/>'


def _y_ticks(axes: _Axes) -> list[tuple[float, str]]:
    """Places and labels; a logarithmic axis has its powers of ten, if there are two of them."""
    ends = axes.y
    if not axes.logarithmic:
        return [(y, show(round(y, 12))) for y in ticks(*ends, count=4)]
    powers = range(math.ceil(ends[0]), math.floor(ends[1]) + 1)
    # Fewer than ten labels, however many powers the axis spans.
    if len(powers) >= 2:
        return [(p, show(10.0**p)) for p in powers[:: max(1, len(powers) // 5)]]
    # Less than two powers of ten on the axis: 1, 2 and 5 times a power instead.
    values = [m * 10.0**p for p in range(-30, 31) for m in (1, 2, 5)]
    return [(math.log10(v), show(v)) for v in values if ends[0] <= math.log10(v) <= ends[1]]


def _grid(axes: _Axes) -> str:
    rows = []
    for y, _ in _y_ticks(axes):
        place = 1000 - _scaled(np.array(y), axes.y)
        color = "soft" if y == 0 and not axes.logarithmic else "rule"  # the sign matters
        rows.append(f'<line x2="1000" y1="{place:.0f}" y2="{place:.0f}" stroke="var(--{color})"/>')
    return "".join(rows)


def _labels(axes: _Axes) -> str:
    ys = "".join(
        f"<span style='bottom:{_scaled(np.array(y), axes.y) / 10:.1f}%'>{label}</span>"
        for y, label in _y_ticks(axes)
    )
    # A long number at the end of the axis would stick out of a phone's page: it ends there.
    ends = lambda place: ";transform:translateX(-100%)" if place > 96 else ""
    xs = "".join(
        f"<span style='left:{place:.1f}%{ends(place)}'>{show(int(x))}</span>"
        # Long numbers have less room.
        for x in ticks(*axes.x, count=5 if axes.x[1] < 1e5 else 3)
        for place in [_scaled(np.array(x), axes.x) / 10]
        # A run of two or three steps would have ticks at half steps.
        if x == int(x)
    )
    return f'<div class="ticks y">{ys}</div><div class="ticks x">{xs}</div>'


def _extent(values: np.ndarray) -> str:
    return f"range {show(float(values.min()))} … {show(float(values.max()))}"


def show(value: Any) -> str:
    """Writes a value for the eye: four digits, a true minus sign, thin spaces in thousands.

    >>> [chart.show(value) for value in (0.123456, -2, [28, 28, 1], True, None)]
    ['0.1235', '−2', '28 × 28 × 1', 'yes', '–']
    """
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        # U+202F is a narrow space that does not break: 10 000 stays in one line.
        return f"{value:,}".replace(",", "\u202f").replace("-", "−")
    if isinstance(value, float | np.floating):
        # Python writes 1e-05; the page 1e-5.
        return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")
    if isinstance(value, list | tuple):
        return " × ".join(show(x) for x in value) if value else "–"
    return str(value)


def show_seconds(seconds: float) -> str:
    """Writes a duration as 4.2 s, 3 min 20 s or 2 h 05 min.

    >>> [chart.show_seconds(seconds) for seconds in (4.2, 200, 7500)]
    ['4.2 s', '3 min 20 s', '2 h 05 min']
    """
    # Infinity and NaN from a damaged file come here, too: divmod would raise.
    if not 60 <= seconds < math.inf:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes} min {rest:02d} s"
        if minutes < 60
        else f"{minutes // 60} h {minutes % 60:02d} min"
    )


def quartiles(values: np.ndarray) -> np.ndarray:  # [rows, S] -> [3, rows]
    """Lower quartile, median, upper quartile of each row's finite values; NaN where there are none.

    The values of `np.nanquantile`, which loops over the rows and is slower.

    >>> chart.quartiles(np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, np.inf, np.nan, np.nan, 2.0]]))
    array([[2.  , 1.25],
           [3.  , 1.5 ],
           [4.  , 1.75]])
    """
    ranked = np.sort(np.where(np.isfinite(values), values, np.nan), axis=1)  # NaN comes last
    last = np.isfinite(ranked).sum(axis=1) - 1
    at = np.multiply.outer((0.25, 0.5, 0.75), np.maximum(last, 0))  # [3, rows]
    # Linear interpolation between the two nearest ranks, as NumPy's default.
    rows, low = np.arange(len(ranked)), np.floor(at).astype(int)
    high = np.minimum(low + 1, np.maximum(last, 0))
    return ranked[rows, low] * (1 - (at - low)) + ranked[rows, high] * (at - low)
