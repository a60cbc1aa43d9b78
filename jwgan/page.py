"""The report page: one HTML file without scripts, links or requests, from plain values."""

import base64
import html
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jwgan import bands, chart
from jwgan.chart import Chart, show

PICTURE_BYTES = 2_000_000  # of PNG in a page; a third more as text
PICTURES = 12

STYLE = """
:root{color-scheme:light dark;--bg:#fcfbf9;--ink:#1d1c1a;--soft:#6c6860;--rule:#e4e0d8;
--pale:#f3f0ea;--c0:#1d5fbf;--c1:#b4530a;--c2:#2f7d4f;--c3:#8a4fa8}
@media(prefers-color-scheme:dark){:root{--bg:#151514;--ink:#e9e6e0;--soft:#9b968c;--rule:#302e2b;
--pale:#1f1e1c;--c0:#7db0ff;--c1:#f0a45c;--c2:#7fce9e;--c3:#cf9be8}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1060px;margin:0 auto;padding:56px 28px 40px}
h1,h2{font-family:"Iowan Old Style","Palatino Linotype",Palatino,Georgia,"DejaVu Serif",serif;
font-weight:600;text-wrap:pretty}
h1{font-size:clamp(26px,4vw,38px);line-height:1.18;margin:0 0 20px;max-width:26em}
h2{font-size:21px;margin:0 0 16px}
section{margin-top:52px}
.over{margin:0 0 6px;color:var(--soft);font-size:13px;letter-spacing:.03em}
.notice{border-left:3px solid var(--c1);padding:2px 0 2px 12px;margin:8px 0}
.figures{display:flex;flex-wrap:wrap;margin:26px 0 0;padding:16px 0;gap:14px 44px;
border:solid var(--rule);border-width:1px 0}
.figures dt,.hint,figcaption,footer,.film label,.ticks{color:var(--soft);font-size:12.5px}
.figures dd{margin:0;font-size:23px;line-height:1.3}
.film{display:grid;grid-template:repeat(4,auto) 1fr/minmax(0,600px) repeat(3,minmax(0,1fr));
gap:14px 16px;align-items:start}
.film input{position:absolute;opacity:0;pointer-events:none}
.film label{cursor:pointer;text-align:center}
.film label .p{display:block;margin-bottom:4px;opacity:.72}
.film label:hover .p,.film input:checked+label .p{opacity:1}
.film input:checked+label{color:var(--ink);font-weight:600}
.film input:checked+label .p{outline:2px solid var(--c0);outline-offset:2px}
.film input:focus-visible+label{outline:2px solid var(--c0);outline-offset:4px}
.film figure{display:none;margin:0 12px 0 0;grid-area:1/1/span 5}
.film input:checked+label+figure{display:block}
.p{background:center/contain no-repeat;width:100%;border-radius:3px}
figcaption{margin-top:6px}
.charts{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:38px 44px}
.chart:first-child{grid-column:1/-1}
.chart h3{font-size:15px;font-weight:600;margin:0}
.key{margin:2px 0 10px;font-size:13px;display:flex;flex-wrap:wrap;gap:0 16px}
.key i{display:inline-block;width:14px;height:3px;border-radius:2px;margin:0 6px 3px 0}
.plot{position:relative;height:190px;margin:0 0 24px 46px}
.chart:first-child .plot{height:250px}
.plot svg{position:absolute;inset:0;width:100%;height:100%;overflow:hidden}
.plot path,.plot line{vector-effect:non-scaling-stroke;fill:none;stroke-linejoin:round}
.ticks span{position:absolute;white-space:nowrap;line-height:1}
.y span{right:100%;transform:translateY(50%);margin-right:8px}
.x span{top:100%;transform:translateX(-50%);margin-top:8px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{border-bottom:1px solid var(--rule);padding:6px 0;text-align:left;vertical-align:top;
overflow-wrap:anywhere}
th{font-weight:400;color:var(--soft);padding-right:18px;width:42%}
td table tr:last-child>*{border:0}
.facts{columns:2;column-gap:44px}
.facts>div{break-inside:avoid;padding-bottom:40px}
.bars{display:grid;grid-template-columns:max-content 1fr max-content;gap:3px 10px;
align-items:center}
.bars i{background:var(--pale)}.bars b{display:block;height:9px;background:var(--c0);opacity:.8}
pre{background:var(--pale);padding:14px 16px;border-radius:4px;overflow-x:auto;margin:0 0 10px}
code{overflow-wrap:anywhere}code,pre{font:13px/1.6 ui-monospace,Menlo,Consolas,monospace}
footer{margin-top:56px;border-top:1px solid var(--rule);padding-top:14px}
@media(max-width:720px){main{padding:32px 18px}.charts{display:block}
.facts{columns:1}.film{grid-template:auto/repeat(4,minmax(0,1fr))}
.film figure{order:-1;grid-area:auto/1/auto/-1;margin:0 0 8px}
.chart{margin-bottom:48px}.figures{gap:12px 30px}.figures dd{font-size:20px}}
"""

Pictures = Sequence[tuple[int, bytes]]

CRITIC = {"critic_estimate": "critic", "critic_estimate_per_slope": "critic over slope"}
BESIDE = (
    "Beside them the critic’s mean score difference on the same samples, and that over its mean "
    "slope between them: estimates of W1 for Wasserstein critics only"
)
CHARTS = (
    Chart(
        "Wasserstein estimate",
        "E D(real) − E D(fake), positive while the critic tells them apart",
        {"wasserstein_estimate": "estimate"},
    ),
    Chart(
        "Exact W1 and the critic’s estimate of it",
        "exact W1 of samples to held-out points, and of as many real points, which a perfect "
        f"generator would show. {BESIDE}",
        {"exact_w1": "exact", "exact_w1_of_real": "exact, of real points", **CRITIC},
        needs="exact_w1",
    ),
    Chart(
        "W1 between samples, by pixels, and the critic’s estimate",
        "exact between finite samples: of generated to held-out images, and of as many training "
        "images, which a perfect generator would show. Neither is the W1 of the laws: in so many "
        f"dimensions both exceed it by far. {BESIDE}",
        {"sample_w1": "between samples", "sample_w1_of_real": "of real images", **CRITIC},
        needs="sample_w1",
    ),
    Chart(
        "Critic’s slope",
        "mean input-gradient norm between held-out data and samples",
        {"critic_slope": "slope"},
    ),
    Chart(
        "Critic’s gap on held-out data",
        "mean score on training data minus that on held-out data: what it has learnt by heart; "
        "only noise where all data are new",
        {"critic_held_out_gap": "gap"},
    ),
    Chart("Penalty", "with its weight", {"penalty": "penalty"}),
    Chart(
        "Losses",
        "the critic’s without its penalty",
        {"critic_loss": "critic", "generator_loss": "generator"},
    ),
    Chart(
        "Gradient norms",
        "over all parameters of a player",
        {"critic_gradient_norm": "critic", "generator_gradient_norm": "generator"},
    ),
    Chart("Critic’s scores", "mean of a batch", {"real_score": "real", "fake_score": "fake"}),
)


def render(
    config: Mapping[str, Any],
    result: Mapping[str, Any],
    metrics: Mapping[str, np.ndarray],
    pictures: Pictures,
) -> str:
    """The page of a run as HTML text.

    Args:
      config: {"experiment", "title", "command", "config": {...}, "data": {...},
        "environment": {...}}; any may be missing, more are shown as they are.
      result: final figures; {} while the run goes on.  "quality" {name: figure, list or table} and
        "warnings" [text] have a place of their own.
      metrics: {"step": [rows], name: [rows]}; of K runs side by side, which `config` has a list
        "members" of (see `bands`), [rows, K].
      pictures: (steps, PNG file) in the order they were made.
    """
    title = str(config.get("title") or config.get("experiment") or "A run of jwgan")
    members, typical = _members(config), bands.typical(metrics)
    parts = [
        _header(title, config, result, typical),
        _samples(pictures),
        bands.quality(result, members) if members else _quality(result.get("quality")),
        bands.curves(_single(metrics), metrics, members) if members else _curves(typical),
        _facts(config, result),
        _repeat(config, result),
    ]
    body = "\n".join(part for part in parts if part)
    return document(title, body, "Made by jwgan from the files in the run’s directory.")


def document(title: str, body: str, footer: str) -> str:
    """A whole page around the HTML of its body; `title` and `footer` are plain text."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style></head>\n<body><main>\n"
        f"{body}\n<footer>{_text(footer)}</footer>\n</main></body></html>\n"
    )


# --- sections


def _header(title: str, config: Mapping, result: Mapping, metrics: Mapping) -> str:
    figures = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
        for name, value in _headline(result, metrics)
    )
    notices = "".join(f'<p class="notice">{_text(line)}</p>' for line in _notices(result, metrics))
    kind = " · ".join(
        str(part)
        for part in ("jwgan", config.get("experiment"), _inner(config, "data").get("name"))
        if part
    )
    return (
        f'<header><p class="over">{_text(kind)}</p><h1>{_text(title)}</h1>{notices}'
        f'<dl class="figures">{figures}</dl></header>'
    )


def _headline(result: Mapping, metrics: Mapping) -> Iterator[tuple[str, str]]:
    rows = metrics.get("step", ())
    steps = result.get("steps", int(rows[-1]) + 1 if len(rows) else None)
    if steps is not None:
        yield "Steps", show(steps)
    if isinstance(result.get("seconds"), int | float):
        yield "Time", chart.show_seconds(result["seconds"])
    if "steps_per_second" in result:
        yield "Steps a second", show(result["steps_per_second"])
    estimate = metrics.get("wasserstein_estimate", np.zeros(0))
    estimate = estimate[np.isfinite(estimate)]
    if len(estimate):
        yield "Wasserstein estimate", show(chart.running_mean(estimate)[-1])
    quality = _inner(result, "quality")
    for name, value in [q for q in quality.items() if isinstance(q[1], int | float)][:3]:
        yield _words(name), show(value)


def _notices(result: Mapping, metrics: Mapping) -> Iterator[str]:
    if not result:
        yield "No final figures: the run is going on, or ended early."
    elif result.get("stopped_by"):
        yield f"Stopped by {result['stopped_by']} before its last step."
    warnings = result.get("warnings")
    warnings = [str(line) for line in warnings] if isinstance(warnings, list) else []
    yield from bands.notices(warnings) if "per_member" in result else warnings
    bad = {name: np.flatnonzero(~np.isfinite(values)) for name, values in metrics.items()}
    # what begins later is measured at some steps only: there, no figure is none missing
    rare = {name for name, rows in bad.items() if 0 in rows and len(rows) < len(metrics[name])}
    bad = {name: rows for name, rows in bad.items() if len(rows) and name not in rare}
    if bad:
        first = metrics["step"][min(rows[0] for rows in bad.values())]
        counts = ", ".join(f"{len(rows)} of {name}" for name, rows in bad.items())
        yield f"Figures that are not finite, from step {first} on: {counts}."


def _samples(pictures: Pictures) -> str:
    chosen = choose_pictures([p for p in pictures if png_size(p[1])])
    if not chosen:
        return ""
    rules, film = [], []
    for i, (step, png) in enumerate(chosen):
        width, height = png_size(png) or (1, 1)
        data = base64.b64encode(png).decode()
        rules.append(f".p{i}{{background-image:url(data:image/png;base64,{data})}}")
        shape = f"aspect-ratio:{width}/{height}"
        label = f"Samples after {show(step)} steps"
        checked = " checked" if i == len(chosen) - 1 else ""
        film.append(
            f'<input type="radio" name="film" id="f{i}"{checked}>'
            f'<label for="f{i}"><span class="p p{i}" style="{shape}"></span>{show(step)}</label>'
            f'<figure><div class="p p{i}" role="img" aria-label="{label}" '
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
    return f"<section><h2>Quality</h2>{_table(quality, _words)}</section>"


def _curves(metrics: Mapping[str, np.ndarray]) -> str:
    known = {name for each in CHARTS for name in each.names}
    others = [
        Chart(_words(name), "", {name: _words(name).lower()})
        for name in metrics
        if name not in known and name != "step"
    ]
    drawn = [chart.draw(each, metrics) for each in (*CHARTS, *others)]
    body = "".join(drawn)
    if not body:
        return "<section><h2>Curves</h2><p>No figures yet.</p></section>"
    return f'<section><h2>Curves</h2><div class="charts">{body}</div></section>'


def _single(metrics: Mapping[str, np.ndarray]) -> list[tuple[str, str, str]]:
    """(title, hint, metric) of a chart for each metric."""
    found = []
    for each in CHARTS:
        title = f"{each.title}: {{}}" if len(each.names) > 1 else each.title
        found += [(title.format(legend), each.hint, name) for name, legend in each.names.items()]
    known = {name for _, _, name in found}
    others = [name for name in metrics if name not in known and name != "step"]
    return found + [(_words(name), "", name) for name in others]


def _members(config: Mapping) -> list[Mapping]:
    """Of several runs side by side; [] for a single one."""
    members = config.get("members")
    good = isinstance(members, list) and all(isinstance(each, Mapping) for each in members)
    return members if good and members else []


def _facts(config: Mapping, result: Mapping) -> str:
    named = ("experiment", "title", "command", "config", "data", "environment", "members")
    more = {name: value for name, value in config.items() if name not in named}
    shown = ("quality", "warnings", "per_member")
    tables = (
        ("Configuration", {**_inner(config, "config"), **more}),
        ("Data", _inner(config, "data")),
        ("Result", {name: value for name, value in result.items() if name not in shown}),
        ("Environment", _inner(config, "environment")),
    )
    body = "".join(f"<div><h2>{name}</h2>{_table(table)}</div>" for name, table in tables if table)
    return f'<section class="facts">{body}</section>' if body else ""


def _repeat(config: Mapping, result: Mapping) -> str:
    if not config.get("command"):
        return ""
    revision = str(_inner(config, "environment").get("git_revision") or "")
    checkout = f"git checkout {revision.split('+')[0][:12]}\n" if revision else ""
    changed = " The source had changes that were not committed." if "+" in revision else ""
    sha = result.get("state_sha256")
    same = f" It ends, on the same machine, at the state <code>{_text(sha)}</code>." if sha else ""
    return (
        "<section><h2>To repeat this run</h2>"
        f"<pre>{_text(checkout + str(config['command']))}</pre>"
        f"<p>With the versions listed under Environment.{changed}{same}</p></section>"
    )


def _table(table: Mapping, words: Callable[[Any], str] = str) -> str:
    """Names and values, names as options or in `words`; shares become bars."""
    rows = []
    for name, value in table.items():
        if isinstance(value, list | tuple) and len(value) > 4:
            value = dict(enumerate(value))
        if isinstance(value, Mapping):
            body = _bars(value) if _are_shares(value) else _table(value, words)
        else:
            body = _text(show(value))
        title = _text(words(name)).replace("_", "_<wbr>")
        rows.append(f'<tr><th scope="row">{title}</th><td>{body}</td></tr>')
    return f"<table>{''.join(rows)}</table>"


def _are_shares(value: Mapping) -> bool:
    numbers = [x for x in value.values() if isinstance(x, int | float) and x >= 0]
    return len(numbers) == len(value) > 2 and max(numbers) <= 1


def _bars(value: Mapping) -> str:
    top = max(value.values()) or 1
    return (
        '<div class="bars">'
        + "".join(
            f"<span>{_text(name)}</span><i><b style='width:{100 * x / top:.1f}%'></b></i>"
            f"<span>{_text(show(x))}</span>"
            for name, x in value.items()
        )
        + "</div>"
    )


# --- pictures


def png_size(png: bytes) -> tuple[int, int] | None:
    """Width and height of a whole PNG file, None for anything else."""
    if len(png) < 45 or png[:8] != b"\x89PNG\r\n\x1a\n" or png[-8:-4] != b"IEND":
        return None
    width, height = struct.unpack(">II", png[16:24])
    return (width, height) if width and height else None


def choose_pictures(pictures: Pictures) -> list[tuple[int, bytes]]:
    """As many as a page holds, evenly over the run, first and last among them."""
    for count in range(min(PICTURES, len(pictures)), 0, -1):
        places = np.linspace(len(pictures) - 1, 0, count).round().astype(int)
        chosen = [pictures[i] for i in sorted(places)]
        if sum(len(png) for _, png in chosen) <= PICTURE_BYTES or count == 1:
            return chosen
    return []


# --- words


def _words(name: Any) -> str:
    text = str(name).replace("_", " ")
    return text[:1].upper() + text[1:]


def _text(value: Any) -> str:
    return html.escape(str(value))


def _inner(table: Mapping, name: str) -> Mapping:
    value = table.get(name)
    return value if isinstance(value, Mapping) else {}
