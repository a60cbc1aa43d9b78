"""What a page shows of a sweep's K trials: a line for each setting, a band over its seeds.

A trial is described as `{"label": "seed 3, weight 10", "setting": "weight 10", ...}`; trials of one
setting differ in their seed.  Metrics are [rows, K].

The functions' examples are of two settings with two seeds each:

>>> import re
>>> words_of = lambda page: [word.strip() for word in re.split("<[^>]*>", page) if word.strip()]
>>> trials = [
...     {"label": f"seed {seed}, {setting}", "setting": setting}
...     for setting in ("weight 1", "weight 10")
...     for seed in (0, 1)
... ]
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jwgan.report import chart, html, quantities

# Colours of the settings, --m0 to --m7, for light and for dark screens. A single run's page has the
# four of `html.STYLE` alone.
STYLE = """<style>
:root{--m0:#1d5fbf;--m1:#b4530a;--m2:#2c7a43;--m3:#8d3fa8;--m4:#a8324a;--m5:#4f6b78;--m6:#8a7400;
--m7:#147f86}
@media(prefers-color-scheme:dark){:root{--m0:#7db0ff;--m1:#f0a45c;--m2:#7fce9a;--m3:#d79bee;
--m4:#f58fa3;--m5:#a9c0cb;--m6:#dcc95a;--m7:#6fd3d8}}
.wide table{min-width:34em}.wide thead th{font-size:12.5px;vertical-align:bottom}
.wide td{white-space:nowrap}.wide tbody th{min-width:10em}summary{margin:16px 0 8px;cursor:pointer}
</style>"""

NOTICES = 4  # warnings shown above the page; the others stand in the table of trials
Trials = Sequence[Mapping[str, Any]]


def _groups(trials: Trials) -> dict[str, list[int]]:
    """Groups the trials: {setting: [its trials' places]}, in order."""
    found: dict[str, list[int]] = {}
    for i, trial in enumerate(trials):
        # Without a sweep all trials have the setting "", and differ in their seed alone.
        found.setdefault(str(trial.get("setting") or "all"), []).append(i)
    return found


def typical(metrics: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Reduces metrics [rows, K] to the median over the trials, [rows]; others stay as they are.

    >>> bands.typical({"step": np.arange(2), "w1": np.array([[1.0, 2.0, 9.0], [3.0, 4.0, np.nan]])})
    {'step': array([0, 1]), 'w1': array([2. , 3.5])}
    """
    middle = lambda x: chart.quartiles(x)[1] if x.ndim == 2 else x
    return {name: middle(values) for name, values in metrics.items()}


def curves(
    charts: Sequence[tuple[str, str, str]], metrics: Mapping[str, np.ndarray], trials: Trials
) -> str:
    """Draws the section of curves.

    Args:
      charts: (title, hint, name of its metric) of each.
      metrics: {"step": [rows], name: [rows, K]}.
      trials: the K trials.

    >>> metrics = {"step": np.arange(2), "w1": np.array([[3, 4, 7, 9], [0.5, 1.5, 4, 6]])}
    >>> words_of(bands.curves([("Exact W1", "in units of the data", "w1")], metrics, trials))[1:6]
    ['Median of 2 seeds and the band of their quartiles. A trial counts until one of its metrics is
    not finite.', 'Exact W1', 'in units of the data', 'weight 1 1', 'weight 10 5']
    """
    found, plots = _groups(trials), []
    for title, hint, name in charts:
        values = metrics.get(name)
        # A run directory may be damaged, or config.json and metrics.jsonl of two runs: a metric
        # that does not have a column for each trial is left out.
        if values is None or values.ndim != 2 or values.shape[1] != len(trials):
            continue
        columns = {setting: values[:, own] for setting, own in found.items()}
        plots.append(chart.draw_bands(title, hint, metrics["step"], columns))
    seeds = max(map(len, found.values()), default=0)
    # The largest group names the number: by construction all settings have as many seeds.
    legend = f"Median of {seeds} seeds and the band of their quartiles. " if seeds > 1 else ""
    body = "".join(plots)
    if not body:
        return "<section><h2>Curves</h2><p>No metrics yet.</p></section>"
    note = f'<p class="hint">{legend}A trial counts until one of its metrics is not finite.</p>'
    return f'<section><h2>Curves</h2>{note}<div class="charts">{body}</div></section>'


def quality(result: Mapping[str, Any], trials: Trials) -> str:
    """Draws the section of final metrics: a row for each setting, unfolded one for each trial.

    >>> result = {"per_trial": [{"quality": {"exact_w1": x}} for x in (1.0, 2.0, 3.0, 5.0)]}
    >>> words_of(bands.quality(result, trials))[6:14]
    ['weight 1', '2', '0', '1.5 (1.25, 1.75)', 'weight 10', '2', '0', '4 (3.5, 4.5)']
    """
    per_trial = result.get("per_trial")
    if not isinstance(per_trial, list) or len(per_trial) != len(trials):
        return ""
    inner = lambda i: per_trial[i] if isinstance(per_trial[i], dict) else {}
    own = [
        # What describes the trial (its seed, the swept numbers) is in its label already.
        _numbers({n: x for n, x in inner(i).items() if n not in trial})
        | _numbers(inner(i).get("quality"))
        for i, trial in enumerate(trials)
    ]
    # A dict keeps the order in which the names occur, a set would not: the page would differ from
    # one process to the next.
    names = list({name: None for row in own for name in row})
    head = ["setting", "runs", "not finite", *map(quantities.with_direction, names)]
    rows = []
    for setting, mine in _groups(trials).items():
        died = sum(bool(inner(i).get("died")) for i in mine)
        cells = [_spread([own[i][name] for i in mine if name in own[i]]) for name in names]
        rows.append([setting, chart.show(len(mine)), chart.show(died), *cells])
    each_head = ["trial", *map(quantities.with_direction, names), "what happened"]
    each = [
        [
            str(trials[i].get("label")),
            *[chart.show(own[i].get(name)) for name in names],
            _what_happened(inner(i)),
        ]
        for i in range(len(trials))
    ]
    return (
        f"<section><h2>Settings</h2>"
        '<p class="hint">Median (lower quartile, upper quartile) over the seeds.</p>'
        f"{html.table(head, rows)}<details><summary>Every trial</summary>"
        f"{html.table(each_head, each, prose=len(each_head) - 1)}</details></section>"
    )


def best_first(result: Mapping[str, Any]) -> str:
    """Draws the table to choose a trial by, as result.json has it; "" if it has none.

    >>> words_of(bands.best_first({"best_first": [{"trial": 3, "exact_w1": 0.5}]}))
    ['Trials, best first', 'trial', 'exact W1 (lower is better)', '3', '0.5']
    """
    ranked = result.get("best_first")
    good = isinstance(ranked, list) and all(isinstance(row, Mapping) for row in ranked)
    if not good or not ranked:
        return ""
    head, rows = ranking(ranked)
    spelled = [quantities.with_direction(name) for name in head]
    return f"<section><h2>Trials, best first</h2>{html.table(spelled, rows)}</section>"


def ranking(ranked: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """(names of the columns, cells) of `best_first`; what no trial has is no column.

    >>> bands.ranking([{"trial": 3, "exact_w1": 0.5, "died": ""}, {"trial": 0, "exact_w1": None}])
    (['trial', 'exact_w1'], [['3', '0.5'], ['0', '–']])
    """
    names = list({name: None for row in ranked for name in row if name != "label"})
    filled = [name for name in names if any(row.get(name) not in (None, "") for row in ranked)]
    return filled, [[chart.show(row.get(name)) for name in filled] for row in ranked]


def _numbers(value: Any) -> dict[str, float]:
    """The numbers among a table's values."""
    table = value if isinstance(value, Mapping) else {}
    # True and False are ints to isinstance.
    is_number = lambda x: isinstance(x, int | float) and not isinstance(x, bool)
    return {str(name): x for name, x in table.items() if is_number(x)}


def notices(lines: Sequence[str]) -> list[str]:
    """Chooses as many of the trials' warnings as fit above a page.

    >>> bands.notices(["one", "two", "three", "four", "five", "six"])
    ['one', 'two', 'three', 'four', '2 more, see Every trial.']
    """
    rest = len(lines) - NOTICES
    # "1 more" would take the line that the one more warning needs.
    return list(lines) if rest < 2 else [*lines[:NOTICES], f"{rest} more, see Every trial."]


def _spread(values: list[float]) -> str:
    """Writes values as "median (lower quartile, upper quartile)", a single one as it is."""
    if not values:
        return chart.show(None)
    low, middle, high = (float(x) for x in chart.quartiles(np.array([values], float))[:, 0])
    return (
        chart.show(middle)
        if len(values) == 1
        else f"{chart.show(middle)} ({chart.show(low)}, {chart.show(high)})"
    )


def _what_happened(trial: Mapping[str, Any]) -> str:
    """Why a trial ended early, if it did, and its warnings."""
    warnings = trial.get("warnings")
    lines = [str(line) for line in warnings] if isinstance(warnings, list) else []
    return "; ".join([*([str(trial["died"])] if trial.get("died") else []), *lines])
