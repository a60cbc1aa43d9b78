"""The report page: one HTML file without scripts, links or requests, from plain values.

>>> import re
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from jwgan.report import bands, chart, film, html, quantities, rows

CHARTS = quantities.CHARTS
NOT_FINITE = "Values that are not finite, from step {step} on: {counts}."


def render(
    config: Mapping[str, Any],
    result: Mapping[str, Any],
    metrics: Mapping[str, np.ndarray] | rows.Condensed,
    pictures: film.Pictures,
    real: bytes | None = None,
) -> str:
    """Renders the page of a run.

    Args:
      config: {"experiment", "title", "command", "config": {...}, "data": {...},
        "environment": {...}}; any may be missing, more are shown as they are.
      result: the final metrics; {} while the run goes on.  "quality" {name: number, list or table}
        and "warnings" [text] have a place of their own.
      metrics: {"step": [rows], name: [rows]}, or what `rows.read_condensed` makes of a file; of a
        sweep, whose `config` has a list "trials" (see `bands`), [rows, K].
      pictures: (steps, PNG file) in the order they were made.
      real: the PNG file of real data; None if there is none to show.

    Returns:
      HTML text; whatever is missing or damaged is left out.

    >>> config = {"experiment": "wgan_gp", "config": {"steps": 2}, "data": {"name": "digits"}}
    >>> metrics = {"step": np.arange(2), "wasserstein_estimate": np.array([3.0, 1.5])}
    >>> text = page.render(config, {"steps": 2, "quality": {"coverage": 0.5}}, metrics, [])
    >>> re.findall("<h1>(.*?)</h1>|<dt>(.*?)</dt><dd>(.*?)</dd>", text)
    [('wgan_gp on digits, 2 steps', '', ''), ('', 'Steps', '2'), ('', 'Wasserstein estimate',
    '1.5'), ('', 'Coverage (higher is better)', '0.5')]
    """
    read = metrics if isinstance(metrics, rows.Condensed) else rows.described(metrics)
    # Sections that are made for one run see a sweep as its typical trial, the medians.
    trials, typical = _trials(config), bands.typical(read.columns)
    title, last = _title(config, len(trials)), _last(result, typical)
    parts = [
        # A sweep has bands and a table of settings where a single run has lines and numbers.
        bands.STYLE if trials else "",
        _header(
            title,
            config,
            [*_notices(result, read), *_changes(config)],
            _headline(result, read, last),
        ),
        film.section(pictures, real),
        bands.best_first(result) if trials else "",
        bands.quality(result, trials) if trials else _quality(result),
        bands.curves(_single(read.columns), read.columns, trials)
        if trials
        else _curves(typical, last),
        _facts(config, result),
        _repeat(config, result),
    ]
    body = "\n".join(part for part in parts if part)
    return html.document(title, body, "Made by jwgan from the files in the run’s directory.")


def _title(config: Mapping, trials: int) -> str:
    """The run at hand: its member, its data, its steps."""
    own, name = _inner(config, "config"), _inner(config, "data").get("name")
    member = own.get("member") or config.get("experiment")
    if not member:
        return str(config.get("title") or "A run of jwgan")
    if name == "folder" and own.get("data_dir"):
        name = f"the folder {PurePath(str(own['data_dir'])).name}"
    steps = own.get("steps")
    parts = [
        f"{member} on {name}" if name else str(member),
        f"{chart.show(steps)} steps" if isinstance(steps, int) else "",
        f"{trials} trials" if trials else "",
    ]
    return ", ".join(filter(None, parts))


def _last(result: Mapping, metrics: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The Wasserstein estimate of the last step, as it is called and shown everywhere."""
    name = "wasserstein_estimate"
    # The last row may stand for several steps, while the result is of the last one of them.
    if rows.is_number(result.get(name)):
        return {name: float(result[name])}
    values = metrics.get(name, np.zeros(0))
    finite = values[np.isfinite(values)]
    return {name: float(finite[-1])} if len(finite) else {}


# --- sections


def _header(
    title: str, config: Mapping, notices: Sequence[str], headline: Iterator[tuple[str, str]]
) -> str:
    numbers = "".join(
        f"<div><dt>{html.text(name)}</dt><dd>{html.text(value)}</dd></div>"
        for name, value in headline
    )
    lines = "".join(f'<p class="notice">{html.text(line)}</p>' for line in notices)
    data = _inner(config, "data")
    shape = chart.show(data.get("shape")) if isinstance(data.get("shape"), list) else ""
    kind = " · ".join(
        str(part) for part in ("jwgan", config.get("experiment"), data.get("name"), shape) if part
    )
    return (
        f'<header><p class="over">{html.text(kind)}</p><h1>{html.text(title)}</h1>{lines}'
        f'<dl class="headline">{numbers}</dl></header>'
    )


def _headline(
    result: Mapping, read: rows.Condensed, last: Mapping[str, float]
) -> Iterator[tuple[str, str]]:
    """Yields (name, value) of the few numbers that stand below the title."""
    # While the run goes on there is no result: the last row of metrics.jsonl says how far it is.
    steps = result.get("steps", read.steps or None)
    if steps is not None:
        yield "Steps", chart.show(steps)
    if isinstance(result.get("seconds"), int | float):
        yield "Time", chart.show_seconds(result["seconds"])
    if "steps_per_second" in result:
        yield "Steps a second", chart.show(result["steps_per_second"])
    for value in last.values():
        yield "Wasserstein estimate", chart.show(value)
    quality = _inner(result, "quality")
    # Three fit beside the other numbers of the headline, those to compare runs by before others;
    # all of them stand under Quality.
    numbers = [name for name, value in quality.items() if isinstance(value, int | float)]
    for name in sorted(numbers, key=quantities.rank)[:3]:
        words = quantities.with_direction(name)
        yield words[:1].upper() + words[1:], chart.show(quality[name])


def _changes(config: Mapping) -> Iterator[str]:
    """Yields a line for each resume that changed options or data on purpose."""
    changes = config.get("changes")
    rows = changes if isinstance(changes, list) else []
    for each in (row for row in rows if isinstance(row, Mapping)):
        parts = [
            f"{str(name).replace('_', ' ')} was changed from {pair[0]} to {pair[1]}"
            for name, pair in _inner(each, "changed").items()
            # config.json may be damaged: what is no [before, now] is left out.
            if isinstance(pair, list) and len(pair) == 2
        ]
        if parts:
            yield f"At step {each.get('step')} {'; '.join(parts)}."


def _notices(result: Mapping, read: rows.Condensed) -> Iterator[str]:
    """Yields the lines that say what went wrong."""
    # The run is going on, or it was killed: then it could not write why. Both look the same from
    # here.
    if not result:
        yield "No final metrics: the run is going on, or ended early."
    elif result.get("stopped_by"):
        yield f"Stopped by {result['stopped_by']} before its last step."
    warnings = result.get("warnings")
    warnings = [str(line) for line in warnings] if isinstance(warnings, list) else []
    yield from bands.notices(warnings) if "per_trial" in result else warnings
    bad = {
        name: found
        for name, found in read.non_finite.items()
        if not rows.is_extreme(name, read.columns)
    }
    if bad:
        counts = ", ".join(f"{count} of {name}" for name, (count, _) in bad.items())
        yield NOT_FINITE.format(step=min(step for _, step in bad.values()), counts=counts)


def _quality(result: Mapping) -> str:
    quality = result.get("quality")
    if not isinstance(quality, Mapping) or not quality:
        return ""
    return (
        f"<section><h2>Quality</h2>{_table(quality, quantities.title, quantities.words)}</section>"
    )


def _curves(metrics: Mapping[str, np.ndarray], last: Mapping[str, float]) -> str:
    # Metrics that no chart knows, those of an objective for example, get a chart each.
    charts = quantities.charts(rows.names(metrics))
    body = "".join(chart.draw(each, metrics, last) for each in _once(charts, metrics))
    if not body:
        return "<section><h2>Curves</h2><p>No metrics yet.</p></section>"
    return f'<section><h2>Curves</h2><div class="charts">{body}</div></section>'


def _once(
    charts: Sequence[chart.Chart], metrics: Mapping[str, np.ndarray]
) -> Iterator[chart.Chart]:
    """Yields the charts without the curves that an earlier one has already shown."""
    shown: list[np.ndarray] = []
    for each in charts:
        # A metric that is not there has no curve; the chart leaves it out.
        there = {name: metrics[name] for name in each.names if name in metrics}
        again = {
            name
            for name, values in there.items()
            # Constants, such as the penalty of a member that has none, may be equal by chance.
            if len(np.unique(values[np.isfinite(values)])) > 1
            and any(np.array_equal(values, x, equal_nan=True) for x in shown)
        }
        shown += [values for name, values in there.items() if name not in again]
        yield each._replace(names={n: x for n, x in each.names.items() if n not in again})


def _single(metrics: Mapping[str, np.ndarray]) -> list[tuple[str, str, str]]:
    """Splits the charts, [(title, hint, metric)]: a sweep's have one metric each."""
    found = []
    for each in _once(quantities.charts(rows.names(metrics)), metrics):
        # A band for each setting fills a chart: two metrics of it would be told apart by nothing.
        title = f"{each.title}: {{}}" if len(each.names) > 1 else each.title
        found += [(title.format(legend), each.words, name) for name, legend in each.names.items()]
    return found


def _trials(config: Mapping) -> list[Mapping]:
    """The trials of a sweep; [] for a single run."""
    trials = config.get("trials", config.get("members"))  # "members" until 0.1.0
    good = isinstance(trials, list) and all(isinstance(each, Mapping) for each in trials)
    return trials if good and trials else []


def _facts(config: Mapping, result: Mapping) -> str:
    # What has a place of its own on the page; anything else in config.json is shown as it is, so
    # that a field of a later version is not lost.
    named = (
        *("experiment", "program", "title", "command", "config", "data", "environment"),
        *("trials", "members", "changes", "resumes"),
    )
    more = {name: value for name, value in config.items() if name not in named}
    # "per_member" is what "per_trial" was called until 0.1.0.
    elsewhere = ("quality", "warnings", "per_trial", "per_member")
    tables = (
        ("Configuration", {**_experiment(config), **_inner(config, "config"), **more}),
        ("Data", _inner(config, "data")),
        ("Result", {name: value for name, value in result.items() if name not in elsewhere}),
        ("Environment", _inner(config, "environment")),
    )
    body = "".join(f"<div><h2>{name}</h2>{_table(table)}</div>" for name, table in tables if table)
    return f'<section class="facts">{body}</section>' if body else ""


def _experiment(config: Mapping) -> dict[str, Any]:
    """The document that was run, and its own title."""
    title = {"document": config["title"]} if config.get("title") else {}
    return {"experiment": config.get("experiment"), **title} if config.get("experiment") else title


def _repeat(config: Mapping, result: Mapping) -> str:
    if not config.get("command"):
        return ""
    revision = str(_inner(config, "environment").get("git_revision") or "")
    # 12 characters name a commit; "+changes" is no part of its name.
    checkout = f"git checkout {revision.split('+')[0][:12]}\n" if revision else ""
    changed = " The source had changes that were not committed." if "+" in revision else ""
    sha = result.get("state_sha256")
    same = (
        f" It ends, on the same machine, at the state <code>{html.text(sha)}</code>." if sha else ""
    )
    resumes = config.get("resumes")
    rows = resumes if isinstance(resumes, list) else []
    # A run that was gone on with is the work of all its commands, one after another.
    commands = [
        config["command"],
        *(row.get("command") for row in rows if isinstance(row, Mapping)),
    ]
    lines = checkout + "\n".join(map(str, commands))
    return (
        f"<section><h2>To repeat this run</h2><pre>{html.text(lines)}</pre>"
        f"<p>With the versions listed under Environment.{changed}{same}</p></section>"
    )


def _table(
    table: Mapping, spelled: Callable[[Any], str] = str, words: Callable[[str], str] = lambda _: ""
) -> str:
    """A table of names and values; a table of shares becomes bars.

    Args:
      table: {name: value}.
      spelled: writes a name.
      words: what a name means, below it.
    """
    lines = []
    for name, value in table.items():
        # Short lists are shapes and read well in one line; longer ones are tables with numbered
        # rows.
        if isinstance(value, list | tuple) and len(value) > 4:
            value = dict(enumerate(value))
        if isinstance(value, Mapping):
            body = _bars(value) if _are_shares(value) else _table(value, spelled)
        else:
            body = html.text(chart.show(value))
        # <wbr> allows a line break behind an underscore: long names would make the table too wide
        # for a phone.
        title = html.text(spelled(name)).replace("_", "_<wbr>")
        hint = f'<div class="hint">{html.text(said)}</div>' if (said := words(str(name))) else ""
        lines.append(f'<tr><th scope="row">{title}{hint}</th><td>{body}</td></tr>')
    return f"<table>{''.join(lines)}</table>"


def _are_shares(value: Mapping) -> bool:
    numbers = [x for x in value.values() if isinstance(x, int | float) and x >= 0]
    return len(numbers) == len(value) > 2 and max(numbers) <= 1


def _bars(value: Mapping) -> str:
    # Bars are relative to the largest share; `or 1`: all may be 0.
    top = max(value.values()) or 1
    return (
        '<div class="bars">'
        + "".join(
            f"<span>{html.text(name)}</span><i><b style='width:{100 * x / top:.1f}%'></b></i>"
            f"<span>{html.text(chart.show(x))}</span>"
            for name, x in value.items()
        )
        + "</div>"
    )


def _inner(table: Mapping, name: str) -> Mapping:
    value = table.get(name)
    return value if isinstance(value, Mapping) else {}
