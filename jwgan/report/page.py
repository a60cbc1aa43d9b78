"""The report page: one HTML file without scripts, links or requests, from plain values."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jwgan.report import bands, chart, html

PICTURE_BYTES = 2_000_000  # of all PNG files in a page; as text they are a third larger
PICTURES = 12  # thumbnails: four rows of three beside the large one, see `.film` in html.STYLE

Pictures = Sequence[tuple[int, bytes]]

CRITIC = {"critic_estimate": "critic", "critic_estimate_per_slope": "critic over slope"}
BESIDE = (
    "Beside them the critic’s mean score difference on the same samples, and that over its mean "
    "slope between them: estimates of W1 for Wasserstein critics only"
)
CHARTS = (
    chart.Chart(
        "Wasserstein estimate",
        "E D(real) − E D(fake), positive while the critic tells them apart",
        {"wasserstein_estimate": "estimate"},
    ),
    chart.Chart(
        "Exact W1 and the critic’s estimate of it",
        "exact W1 of samples to held-out points, and of as many real points, which a perfect "
        f"generator would show. {BESIDE}",
        {"exact_w1": "exact", "exact_w1_of_real": "exact, of real points", **CRITIC},
        needs="exact_w1",
    ),
    chart.Chart(
        "W1 between samples, by pixels, and the critic’s estimate",
        "exact between finite samples: of generated to held-out images, and of as many training "
        "images, which a perfect generator would show. Neither is the W1 of the laws: in so many "
        f"dimensions both exceed it by far. {BESIDE}",
        {"sample_w1": "between samples", "sample_w1_of_real": "of real images", **CRITIC},
        needs="sample_w1",
    ),
    chart.Chart(
        "Critic’s slope",
        "mean input-gradient norm between held-out data and samples",
        {"critic_slope": "slope"},
    ),
    chart.Chart(
        "Critic’s gap on held-out data",
        "mean score on training data minus that on held-out data: what it has learnt by heart; "
        "only noise where all data are new",
        {"critic_held_out_gap": "gap"},
    ),
    chart.Chart("Penalty", "with its weight", {"penalty": "penalty"}),
    chart.Chart(
        "Losses",
        "the critic’s without its penalty",
        {"critic_loss": "critic", "generator_loss": "generator"},
    ),
    chart.Chart(
        "Gradient norms",
        "over all parameters of a player",
        {"critic_gradient_norm": "critic", "generator_gradient_norm": "generator"},
    ),
    chart.Chart("Critic’s scores", "mean of a batch", {"real_score": "real", "fake_score": "fake"}),
)


def render(
    config: Mapping[str, Any],
    result: Mapping[str, Any],
    metrics: Mapping[str, np.ndarray],
    pictures: Pictures,
) -> str:
    """Renders the page of a run.

    Args:
      config: {"experiment", "title", "command", "config": {...}, "data": {...},
        "environment": {...}}; any may be missing, more are shown as they are.
      result: the final metrics; {} while the run goes on.  "quality" {name: number, list or table}
        and "warnings" [text] have a place of their own.
      metrics: {"step": [rows], name: [rows]}; of a sweep, whose `config` has a list "trials" (see
        `bands`), [rows, K].
      pictures: (steps, PNG file) in the order they were made.

    Returns:
      HTML text; whatever is missing or damaged is left out.
    """
    title = str(config.get("title") or config.get("experiment") or "A run of jwgan")
    # Sections that are made for one run see a sweep as its typical trial, the medians.
    trials, typical = _trials(config), bands.typical(metrics)
    parts = [
        # A sweep has bands and a table of settings where a single run has lines and numbers.
        bands.STYLE if trials else "",
        _header(title, config, result, typical),
        _samples(pictures),
        bands.quality(result, trials) if trials else _quality(result.get("quality")),
        bands.curves(_single(metrics), metrics, trials) if trials else _curves(typical),
        _facts(config, result),
        _repeat(config, result),
    ]
    body = "\n".join(part for part in parts if part)
    return html.document(title, body, "Made by jwgan from the files in the run’s directory.")


# --- sections


def _header(title: str, config: Mapping, result: Mapping, metrics: Mapping) -> str:
    numbers = "".join(
        f"<div><dt>{html.text(name)}</dt><dd>{html.text(value)}</dd></div>"
        for name, value in _headline(result, metrics)
    )
    notices = "".join(
        f'<p class="notice">{html.text(line)}</p>'
        for line in (*_notices(result, metrics), *_changes(config))
    )
    kind = " · ".join(
        str(part)
        for part in ("jwgan", config.get("experiment"), _inner(config, "data").get("name"))
        if part
    )
    return (
        f'<header><p class="over">{html.text(kind)}</p><h1>{html.text(title)}</h1>{notices}'
        f'<dl class="headline">{numbers}</dl></header>'
    )


def _headline(result: Mapping, metrics: Mapping) -> Iterator[tuple[str, str]]:
    """Yields (name, value) of the few numbers that stand below the title."""
    rows = metrics.get("step", ())
    # While the run goes on there is no result: the last row of metrics.jsonl says how far it is.
    steps = result.get("steps", int(rows[-1]) + 1 if len(rows) else None)
    if steps is not None:
        yield "Steps", chart.show(steps)
    if isinstance(result.get("seconds"), int | float):
        yield "Time", chart.show_seconds(result["seconds"])
    if "steps_per_second" in result:
        yield "Steps a second", chart.show(result["steps_per_second"])
    estimate = metrics.get("wasserstein_estimate", np.zeros(0))
    estimate = estimate[np.isfinite(estimate)]
    if len(estimate):
        yield "Wasserstein estimate", chart.show(chart.running_mean(estimate)[-1])
    quality = _inner(result, "quality")
    # Three fit beside the other numbers of the headline; all of them stand under Quality.
    for name, value in [q for q in quality.items() if isinstance(q[1], int | float)][:3]:
        yield html.title(name), chart.show(value)


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


def _notices(result: Mapping, metrics: Mapping) -> Iterator[str]:
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
    bad = {name: np.flatnonzero(~np.isfinite(values)) for name, values in metrics.items()}
    # A metric whose first rows are empty (W1, coverage) is measured only now and then: NaN between
    # two measurements is no defect.
    rare = {name for name, rows in bad.items() if 0 in rows and len(rows) < len(metrics[name])}
    bad = {name: rows for name, rows in bad.items() if len(rows) and name not in rare}
    if bad:
        first = metrics["step"][min(rows[0] for rows in bad.values())]
        counts = ", ".join(f"{len(rows)} of {name}" for name, rows in bad.items())
        yield f"Values that are not finite, from step {first} on: {counts}."


def _samples(pictures: Pictures) -> str:
    chosen = choose_pictures([p for p in pictures if html.png_size(p[1])])
    if not chosen:
        return ""
    rules, film = [], []
    for i, (step, png) in enumerate(chosen):
        width, height = html.png_size(png) or (1, 1)
        data = base64.b64encode(png).decode()
        # Each picture is shown twice, as thumbnail and large. As the background of a class its
        # bytes are in the page once.
        rules.append(f".p{i}{{background-image:url(data:image/png;base64,{data})}}")
        shape = f"aspect-ratio:{width}/{height}"
        label = f"Samples after {chart.show(step)} steps"
        # The last picture is open at first. Radio buttons and CSS choose another, since the page
        # has no scripts.
        checked = " checked" if i == len(chosen) - 1 else ""
        film.append(
            f'<input type="radio" name="film" id="f{i}"{checked}>'
            f'<label for="f{i}"><span class="p p{i}" style="{shape}"></span>'
            f"{chart.show(step)}</label>"
            f'<figure><div class="p p{i}" role="img" aria-label="{label}" '
            # A picture is not stretched beyond its own size, unless that is tiny.
            f'style="{shape};max-width:{max(width, 320)}px"></div>'
            f"<figcaption>{label}</figcaption></figure>"
        )
    return (
        f"<section><h2>Samples</h2><style>{''.join(rules)}</style>"
        f'<div class="film">{"".join(film)}</div></section>'
    )


def _quality(quality: Any) -> str:
    if not isinstance(quality, Mapping) or not quality:
        return ""
    return f"<section><h2>Quality</h2>{_table(quality, html.title)}</section>"


def _curves(metrics: Mapping[str, np.ndarray]) -> str:
    # Metrics that no chart knows, those of an objective for example, get a chart each.
    known = {name for each in CHARTS for name in each.names}
    others = [
        chart.Chart(html.title(name), "", {name: html.words(name).lower()})
        for name in metrics
        if name not in known and name != "step"
    ]
    body = "".join(chart.draw(each, metrics) for each in (*CHARTS, *others))
    if not body:
        return "<section><h2>Curves</h2><p>No metrics yet.</p></section>"
    return f'<section><h2>Curves</h2><div class="charts">{body}</div></section>'


def _single(metrics: Mapping[str, np.ndarray]) -> list[tuple[str, str, str]]:
    """Splits the charts, [(title, hint, metric)]: a sweep's have one metric each."""
    found = []
    for each in CHARTS:
        # A band for each setting fills a chart: two metrics of it would be told apart by nothing.
        title = f"{each.title}: {{}}" if len(each.names) > 1 else each.title
        found += [(title.format(legend), each.hint, name) for name, legend in each.names.items()]
    known = {name for _, _, name in found}
    others = [name for name in metrics if name not in known and name != "step"]
    return found + [(html.title(name), "", name) for name in others]


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
        ("Configuration", {**_inner(config, "config"), **more}),
        ("Data", _inner(config, "data")),
        ("Result", {name: value for name, value in result.items() if name not in elsewhere}),
        ("Environment", _inner(config, "environment")),
    )
    body = "".join(f"<div><h2>{name}</h2>{_table(table)}</div>" for name, table in tables if table)
    return f'<section class="facts">{body}</section>' if body else ""


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


def _table(table: Mapping, words: Callable[[Any], str] = str) -> str:
    """A table of names and values. `words` spells a name; a table of shares becomes bars."""
    rows = []
    for name, value in table.items():
        # Short lists are shapes and read well in one line; longer ones are tables with numbered
        # rows.
        if isinstance(value, list | tuple) and len(value) > 4:
            value = dict(enumerate(value))
        if isinstance(value, Mapping):
            body = _bars(value) if _are_shares(value) else _table(value, words)
        else:
            body = html.text(chart.show(value))
        # <wbr> allows a line break behind an underscore: long names would make the table too wide
        # for a phone.
        title = html.text(words(name)).replace("_", "_<wbr>")
        rows.append(f'<tr><th scope="row">{title}</th><td>{body}</td></tr>')
    return f"<table>{''.join(rows)}</table>"


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


def choose_pictures(pictures: Pictures) -> list[tuple[int, bytes]]:
    """Chooses as many as a page holds, evenly over the run, the first and the last among them."""
    for count in range(min(PICTURES, len(pictures)), 0, -1):
        # Counted from the end: of a single one, linspace takes the first end, which is the newest
        # picture.
        places = np.linspace(len(pictures) - 1, 0, count).round().astype(int)
        chosen = [pictures[i] for i in sorted(places)]
        # A single picture is shown however large it is.
        if sum(len(png) for _, png in chosen) <= PICTURE_BYTES or count == 1:
            return chosen
    return []


def _inner(table: Mapping, name: str) -> Mapping:
    value = table.get(name)
    return value if isinstance(value, Mapping) else {}
