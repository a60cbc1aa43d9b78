"""The page of `experiments.growth`: curves on logarithmic axes beside the line that was fitted."""

import math
from collections.abc import Sequence
from typing import Any

from jwgan.report import html
from jwgan.report.chart import show, ticks

KINDS = {
    "time": ("Time a step", "ms", {"cpu_ms": "CPU", "wall_ms": "wall"}),
    "memory": ("Memory", "MB", {"memory_mb": "planned by the compiler"}),
}
# Two charts stand side by side in place of the report's first wide one; on a phone one below the
# other.
STYLE = """<style>
.growth .charts{grid-template-columns:repeat(2,minmax(0,1fr))}
.growth .chart:first-child{grid-column:auto}.growth .chart:first-child .plot{height:190px}
.growth p{max-width:46em}
.wide td,.wide th{white-space:nowrap}
@media(max-width:720px){.growth .charts{display:block}}
</style>"""


def render(result: dict[str, Any], axes: Sequence[Any]) -> str:
    """Writes the whole page, from what `growth` measured and its axes."""
    body = [
        STYLE,
        '<header><p class="over">jwgan · growth</p>'
        "<h1>How time and memory of a training step grow</h1></header>",
        f"<p>{html.text(_introduction(result))}</p>",
    ]
    for axis in axes:
        body.append(_section(axis, result["axes"][axis.name], result["off"]))
    body.append(_together(result["side_by_side"]))
    return html.document("Growth", "\n".join(body), "Made by python -m experiments.growth.")


def _introduction(result: dict[str, Any]) -> str:
    numbers = lambda table: ", ".join(f"{name} {value}" for name, value in table.items())
    return (
        f"One number at a time is changed. Multilayer perceptrons on 8 Gaussians: "
        f"{numbers(result['mlp'])}. Convolutions: {numbers(result['conv'])}. Dots are measured, "
        f"the dashed curve is the straight line a + b u fitted to them: u is the work of a step, "
        f"in its unit. Axes are logarithmic, so that a line with a fixed part a "
        f"bends. A dot is off the line where it differs by more than {result['off']:.0%}."
    )


def _together(rows: Sequence[dict[str, Any]]) -> str:
    """Compares runs in one program with as many alone."""
    head = ["case", "trials", "way", "CPU ms alone", "CPU ms together", "times faster", "MB"]
    lines = []
    for row in rows:
        alone, together = row["alone"], row["together"]
        cells = [row["case"], row["members"], row["way"], alone["cpu_ms"], together["cpu_ms"]]
        lines.append([*cells, row["times_faster"], together["memory_mb"]])
    return (
        '<section class="growth"><h2>Many runs in one program</h2><p>CPU time of a step of all '
        "trials beside that of one run alone, and how many times faster the trials are than one "
        f"after another in programs of their own, without their compilations.</p>"
        f"{_table(head, lines)}</section>"
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    return html.table(head, [[show(cell) for cell in line] for line in lines])


def _section(axis: Any, found: dict[str, Any], off: float) -> str:
    rows, fits = found["rows"], found["fits"]
    charts = "".join(_chart(axis, kind, rows, fits) for kind in KINDS)
    u = axis.name if axis.power == 1 else f"{axis.name}²"
    head = [axis.name, "CPU ms", "wall ms", "off the line", "MB", "off the line"]
    lines = []
    for i, row in enumerate(rows):
        distances = [f"{fits[name]['distance'][i]:+.0%}" for name in ("cpu_ms", "memory_mb")]
        cells = [row[axis.name], row["cpu_ms"], row["wall_ms"], distances[0], row["memory_mb"]]
        lines.append([*cells, distances[1]])
    return (
        f'<section class="growth"><h2>{html.text(axis.name)}</h2><div class="charts">{charts}</div>'
        f"<p><b>Time</b>, CPU: {html.text(verdict(axis, rows, fits['cpu_ms'], u, 'ms'))} "
        f"{html.text(axis.time_words)}</p>"
        f"<p><b>Memory</b>: {html.text(verdict(axis, rows, fits['memory_mb'], u, 'MB'))} "
        f"{html.text(axis.memory_words)}</p>"
        f"{_table(head, lines)}</section>"
    )


def verdict(
    axis: Any, rows: Sequence[dict[str, Any]], fit: dict[str, Any], u: str, unit: str
) -> str:
    """Describes the line: its formula, where the fixed part is half of it, and what is off it."""
    a, b = fit["a"], fit["b"]
    parts = [f"{show(a)} + {show(b)} · {u} {unit}"]
    # Otherwise noise has turned a part of the line negative, and there is no such place.
    if a > 0 and b > 0:
        half = (a / b) ** (1 / axis.power)
        parts.append(f"the fixed part is half of it at {axis.name} {show(float(f'{half:.2g}'))}")
    places = [f"{rows[i][axis.name]} ({fit['distance'][i]:+.0%})" for i in fit["off"]]
    parts.append(f"off it: {', '.join(places)}" if places else "no point is off it")
    return "; ".join(parts) + "."


def _chart(axis: Any, kind: str, rows: Sequence[dict[str, Any]], fits: dict[str, Any]) -> str:
    title, unit, names = KINDS[kind]
    xs = [row[axis.name] for row in rows]
    # CPU and wall time share one axis.
    ys = [row[name] for name in names for row in rows]
    x_ends, y_ends = _ends(xs), _ends(ys)
    paths, key = [], []
    for i, (name, legend) in enumerate(names.items()):
        color = f"var(--c{i})"
        values = [row[name] for row in rows]
        # A dash of no length with a round end is a dot, however wide the picture is drawn.
        dots = "".join(
            # SVG counts y from the top.
            f"M{_place(x, x_ends)} {1000 - _place(y, y_ends)}h0"
            for x, y in zip(xs, values, strict=True)
        )
        paths.append(f'<path d="{dots}" stroke="{color}" stroke-width="8" stroke-linecap="round"/>')
        key.append(f"<span><i style='background:{color}'></i>{html.text(legend)}</span>")
        # Only the first quantity (CPU time, memory) has its line drawn; its fit is the one in
        # words.
        if i == 0:
            paths.append(_fitted(axis, fits[name], x_ends, y_ends, color))
    grid = "".join(
        f'<line x2="1000" y1="{1000 - _place(y, y_ends)}" y2="{1000 - _place(y, y_ends)}" '
        'stroke="var(--rule)"/>'
        for y in _ticks(y_ends)
    )
    y_labels = "".join(
        f"<span style='bottom:{_place(y, y_ends) / 10}%'>{show(y)}</span>" for y in _ticks(y_ends)
    )
    x_labels = "".join(f"<span style='left:{_place(x, x_ends) / 10}%'>{show(x)}</span>" for x in xs)
    return (
        f'<div class="chart"><h3>{title}, {unit}</h3><div class="hint">against '
        f"{html.text(axis.name)}, logarithmic</div>"
        f'<div class="key">{"".join(key)}</div><div class="plot">'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">{grid}'
        f'{"".join(paths)}</svg><div class="ticks y">{y_labels}</div>'
        f'<div class="ticks x">{x_labels}</div></div></div>'
    )


def _fitted(axis: Any, fit: dict[str, Any], x_ends: Any, y_ends: Any, color: str) -> str:
    """Draws a + b u as a dashed curve, where it is positive."""
    low, high = x_ends
    xs = [low * (high / low) ** (i / 60) for i in range(61)]
    # A line on these axes is a curve, so it is drawn through 61 points.
    points = [(x, fit["a"] + fit["b"] * x**axis.power) for x in xs]
    body = " ".join(f"{_place(x, x_ends)} {1000 - _place(y, y_ends)}" for x, y in points if y > 0)
    return f'<path d="M{body}" stroke="{color}" stroke-dasharray="5 4" stroke-opacity=".8"/>'


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Finds the ends of a logarithmic axis, with some air."""
    low, high = min(values), max(values)
    # There is at least 5 % on either side, for values that are all equal.
    air = max((high / low) ** 0.06, 1.05)
    return low / air, high * air


def _place(value: float, ends: tuple[float, float]) -> float:
    low, high = ends
    return round(1000 * math.log(value / low) / math.log(high / low), 1)


def _ticks(ends: tuple[float, float]) -> list[float]:
    """Marks 1, 2, 5 times powers of ten; the powers alone where there are many, others if none."""
    powers = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    inside = lambda marks: [
        m * 10.0**p for p in powers for m in marks if ends[0] <= m * 10.0**p <= ends[1]
    ]
    fine = inside((1, 2, 5))
    if len(fine) < 2:  # so short an axis is nearly linear
        return [round(y, 12) for y in ticks(*ends, count=4)]
    return fine if len(fine) <= 6 else inside((1,))
