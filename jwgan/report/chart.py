"""Line charts as HTML: SVG stretched to the space there is, labels beside it as text.

So a chart is sharp, and its labels of one size, on a phone and on a wall.  It shows the figures as
they are, faintly (beyond 400 of them: the span they cover), and, from 40 of them on, their running
mean over a twentieth of the run.  The axis holds the middle 98 %: a spike is cut rather than
flattening all the rest, and the extremes stand in words above.
"""

import html
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

POINTS = 400  # to a line
FEW = 40  # figures, below which there is no running mean
LARGEST = 1e100  # beyond it figures are drawn there: sums and squares must not overflow


class Chart(NamedTuple):
    """Metrics that share an axis; `names` maps each to its legend.

    It is drawn where the metric `needs` is, if one is named.
    """

    title: str
    hint: str
    names: Mapping[str, str]
    needs: str = ""


def draw(chart: Chart, metrics: Mapping[str, np.ndarray]) -> str:
    """A figure with one line for each of the chart's metrics that has finite values."""
    lines: list[tuple[str, np.ndarray, np.ndarray]] = []
    names = chart.names if not chart.needs or chart.needs in metrics else {}
    for name, legend in names.items():
        if name in metrics and (good := np.isfinite(metrics[name])).any():
            lines.append((legend, metrics["step"][good].astype(float), metrics[name][good]))
    if not lines:
        return ""
    extent = _extent(np.concatenate([values for _, _, values in lines]))
    lines = [(legend, xs, np.clip(ys, -LARGEST, LARGEST)) for legend, xs, ys in lines]
    every = np.concatenate([values for _, _, values in lines])
    low, high = np.percentile(every, [2, 98])
    logarithmic = bool(every.min() > 0 and high > 30 * low)
    scale = np.log10 if logarithmic else np.asarray
    xs = np.concatenate([steps for _, steps, _ in lines])
    x_range = (float(xs.min()), float(xs.max() + max(1.0, np.spacing(xs.max()))))
    y_range = _limits(scale(every))
    paths, key = [], []
    for i, (legend, steps, values) in enumerate(lines):
        # so few figures (such as are measured now and then) are shown as they are
        smooth = running_mean(scale(values)) if len(values) >= FEW else scale(values)
        color = f"var(--c{i % 4})"
        paths.append(_raw(steps, scale(values), x_range, y_range, color))
        paths.append(_line(steps, smooth, x_range, y_range, color))
        last = 10 ** smooth[-1] if logarithmic else smooth[-1]
        key.append(
            f"<span><i style='background:{color}'></i>{html.escape(legend)} {show(last)}</span>"
        )
    hint = [chart.hint, "log scale" if logarithmic else "", extent]
    return (
        f'<div class="chart"><h3>{html.escape(chart.title)}</h3>'
        f'<div class="hint">{html.escape(" · ".join(h for h in hint if h))}</div>'
        f'<div class="key">{"".join(key)}</div><div class="plot">'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        f"{_grid(y_range, logarithmic)}{''.join(paths)}</svg>"
        f"{_labels(x_range, y_range, logarithmic)}</div></div>"
    )


def running_mean(values: np.ndarray) -> np.ndarray:
    """Mean of each value and a fortieth of them all to either side; fewer at the ends."""
    window = max(1, len(values) // 40)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - window, 0), np.minimum(at + window + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """1 to `count` + 1 round numbers in [low, high], 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _limits(values: np.ndarray) -> tuple[float, float]:
    """The axis: the middle 98 %, with air; a spike is cut rather than flattening the rest."""
    low, high = (float(x) for x in np.percentile(values, [1, 99]))
    air = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - air, high + air


def _scaled(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    return np.clip((values - ends[0]) / (ends[1] - ends[0]) * 1000, -2000, 3000)


def _path(xs: np.ndarray, ys: np.ndarray) -> str:
    return "M" + " ".join(f"{x:.0f} {1000 - y:.0f}" for x, y in zip(xs, ys, strict=True))


def _raw(steps: Any, values: Any, x_range: Any, y_range: Any, color: str) -> str:
    xs, ys = _scaled(steps, x_range), _scaled(values, y_range)
    if len(xs) <= POINTS:
        return f'<path d="{_path(xs, ys)}" stroke="{color}" stroke-opacity=".35"/>'
    starts = np.linspace(0, len(xs), POINTS // 2, endpoint=False).astype(int)
    low, high = np.minimum.reduceat(ys, starts), np.maximum.reduceat(ys, starts)
    outline = _path(np.r_[xs[starts], xs[starts][::-1]], np.r_[high, low[::-1]])
    return f'<path d="{outline}Z" style="fill:{color}" fill-opacity=".2"/>'


def _line(steps: Any, values: Any, x_range: Any, y_range: Any, color: str) -> str:
    chosen = np.unique(np.linspace(0, len(steps) - 1, POINTS).astype(int))
    xs, ys = _scaled(steps[chosen], x_range), _scaled(values[chosen], y_range)
    if len(xs) == 1:  # a single row is a dash
        xs, ys = np.r_[xs, xs + 20], np.r_[ys, ys]
    return f'<path d="{_path(xs, ys)}" stroke="{color}" stroke-width="1.8"/>'


def _y_ticks(ends: tuple[float, float], logarithmic: bool) -> list[tuple[float, str]]:
    """Places and labels; a logarithmic axis has its powers of ten, if there are two of them."""
    if not logarithmic:
        return [(y, show(round(y, 12))) for y in ticks(*ends, count=4)]
    powers = range(math.ceil(ends[0]), math.floor(ends[1]) + 1)
    if len(powers) >= 2:
        return [(p, show(10.0**p)) for p in powers[:: max(1, len(powers) // 5)]]
    values = [m * 10.0**p for p in range(-30, 31) for m in (1, 2, 5)]
    return [(math.log10(v), show(v)) for v in values if ends[0] <= math.log10(v) <= ends[1]]


def _grid(y_range: tuple[float, float], logarithmic: bool) -> str:
    rows = []
    for y, _ in _y_ticks(y_range, logarithmic):
        place = 1000 - _scaled(np.array(y), y_range)
        color = "soft" if y == 0 and not logarithmic else "rule"  # the sign matters
        rows.append(f'<line x2="1000" y1="{place:.0f}" y2="{place:.0f}" stroke="var(--{color})"/>')
    return "".join(rows)


def _labels(x_range: Any, y_range: Any, logarithmic: bool) -> str:
    ys = "".join(
        f"<span style='bottom:{_scaled(np.array(y), y_range) / 10:.1f}%'>{label}</span>"
        for y, label in _y_ticks(y_range, logarithmic)
    )
    xs = "".join(
        f"<span style='left:{_scaled(np.array(x), x_range) / 10:.1f}%'>{show(int(x))}</span>"
        for x in ticks(*x_range)
        if x == int(x)
    )
    return f'<div class="ticks y">{ys}</div><div class="ticks x">{xs}</div>'


def _extent(values: np.ndarray) -> str:
    return f"range {show(float(values.min()))} … {show(float(values.max()))}"


def show(value: Any) -> str:
    """A value for the eye: four digits, a true minus sign, thin spaces between thousands."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace(",", "\u202f").replace("-", "−")
    if isinstance(value, float | np.floating):
        return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")
    if isinstance(value, list | tuple):
        return " × ".join(show(x) for x in value) if value else "–"
    return str(value)


def show_seconds(seconds: float) -> str:
    """4.2 s, 3 min 20 s, 2 h 05 min."""
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

    As `np.nanquantile`, without its loop over the rows.
    """
    ranked = np.sort(np.where(np.isfinite(values), values, np.nan), axis=1)  # NaN comes last
    last = np.isfinite(ranked).sum(axis=1) - 1
    at = np.multiply.outer((0.25, 0.5, 0.75), np.maximum(last, 0))
    rows, low = np.arange(len(ranked)), np.floor(at).astype(int)
    high = np.minimum(low + 1, np.maximum(last, 0))
    return ranked[rows, low] * (1 - (at - low)) + ranked[rows, high] * (at - low)


def draw_bands(title: str, hint: str, steps: np.ndarray, groups: Mapping[str, np.ndarray]) -> str:
    """A figure with the running mean of each group's median, and of its quartiles as a band.

    Args:
      title, hint: above the chart.
      steps: [rows].
      groups: {legend: values [rows, S] of S runs}, drawn in the colours --m0, --m1, ... --m7.
    """
    lines = []
    for legend, values in groups.items():
        spread = np.clip(quartiles(values), -LARGEST, LARGEST)
        good = np.isfinite(spread[1])
        if good.any():
            lines.append((legend, steps[good].astype(float), spread[:, good], values.shape[1]))
    if not lines:
        return ""
    every = np.concatenate([spread.ravel() for _, _, spread, _ in lines])
    low, high = np.percentile(every, [2, 98])
    logarithmic = bool(every.min() > 0 and high > 30 * low)
    scale = np.log10 if logarithmic else np.asarray
    smooth = [np.stack([running_mean(scale(row)) for row in spread]) for _, _, spread, _ in lines]
    xs = np.concatenate([line[1] for line in lines])
    x_range = (float(xs.min()), float(xs.max() + max(1.0, np.spacing(xs.max()))))
    y_range = _limits(np.concatenate([band.ravel() for band in smooth]))
    paths, key = [], []
    for i, ((legend, own, _, runs), band) in enumerate(zip(lines, smooth, strict=True)):
        color = f"var(--m{i % 8})"
        if runs > 1:
            paths.append(_band(own, band, x_range, y_range, color))
        paths.append(_line(own, band[1], x_range, y_range, color))
        last = 10 ** band[1, -1] if logarithmic else band[1, -1]
        name = html.escape(legend)
        key.append(f"<span><i style='background:{color}'></i>{name} {show(float(last))}</span>")
    words = " · ".join(word for word in (hint, "log scale" if logarithmic else "") if word)
    return (
        f'<div class="chart"><h3>{html.escape(title)}</h3>'
        f'<div class="hint">{html.escape(words)}</div>'
        f'<div class="key">{"".join(key)}</div><div class="plot">'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        f"{_grid(y_range, logarithmic)}{''.join(paths)}</svg>"
        f"{_labels(x_range, y_range, logarithmic)}</div></div>"
    )


def _band(steps: Any, band: Any, x_range: Any, y_range: Any, color: str) -> str:
    """From the lower quartile, band[0], to the upper one, band[2]."""
    chosen = np.unique(np.linspace(0, len(steps) - 1, POINTS // 2).astype(int))
    xs = _scaled(steps[chosen], x_range)
    low, high = (_scaled(band[i][chosen], y_range) for i in (0, 2))
    outline = _path(np.r_[xs, xs[::-1]], np.r_[high, low[::-1]])
    return f'<path class="band" d="{outline}Z" style="fill:{color}" fill-opacity=".2"/>'
