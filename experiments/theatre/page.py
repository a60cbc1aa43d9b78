"""The theatre's page: its words, its tables, and the program that plays the frames."""

import json
import pathlib
from typing import Any

from experiments.theatre import moving
from jwgan.report import html

HERE = pathlib.Path(__file__).parent
# In this order: each of them uses what stands before it.
SCRIPTS = ("stage.js", "members.js", "bells.js", "plan.js")
STYLE = "theatre.css"
SPEEDS = (0.25, 0.5, 1, 2, 4)
ROWS = 5  # of a member in the table of numbers


def render(played: dict[str, Any]) -> str:
    """Renders the page as HTML text.

    Args:
      played: what `play` of the document returns.
    """
    # Of JSON inside a page only "<" could end its element.
    data = json.dumps(played, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    read = lambda name: (HERE / name).read_text(encoding="utf-8")
    program = "\n".join(read(name) for name in SCRIPTS)
    body = "\n".join(
        [
            f"<style>{read(STYLE)}</style>",
            _opening(played),
            _family(played),
            _bells(played),
            _plan(played),
            _numbers(played),
            _repeat(played),
            f'<script type="application/json" id="data">{data}</script>',
        ]
    )
    footer = "Made by python -m experiments.theatre."
    return html.document(title_of(played), body, footer, f'"use strict";(()=>{{{program}}})()')


def title_of(played: dict[str, Any]) -> str:
    """The page's title: the world's name in words."""
    return f"GANs in training on {html.words(played['world'])}".replace("gaussian", "Gaussian")


# --- the sections


def _opening(played: dict[str, Any]) -> str:
    count, steps = len(played["members"]), played["steps"][-1]
    lede = (
        f"A generator turns noise into points and wants them to look like the real ones. A critic "
        f"looks at both and scores them: high for real, low for generated. Here "
        f"{count} kinds of such pairs, members of one family, are trained for {steps} steps, from "
        "the same noise, the same data and the same first generator. They differ in what the "
        "critic is asked to do."
    )
    return (
        f'<header><p class="over">jwgan · the theatre</p><h1>{html.text(title_of(played))}</h1>'
        f'<p class="lede">{html.text(lede)}</p>'
        "<noscript><p class='notice'>This browser runs no scripts, so nothing moves here. The "
        "numbers of all plays are in the tables below.</p></noscript></header>"
    )


def _controls(name: str, label: str, frames: int) -> str:
    """The bar that plays a stage: native controls, which a keyboard reaches."""
    speeds = "".join(
        f'<option value="{speed}"{" selected" * (speed == 1)}>{speed:g}×</option>'
        for speed in SPEEDS
    )
    return (
        f'<div class="controls" role="group" aria-label="{html.text(label)}">'
        '<button type="button" class="play">Play</button>'
        f'<input type="range" class="scrub" min="0" max="{frames - 1}" step="1" value="0" '
        f'aria-label="Frame of {html.text(label)}">'
        f'<output class="now" aria-live="off"></output>'
        f'<label class="speed"><span>speed</span> <select aria-label="Speed">{speeds}</select>'
        f"</label></div>"
    )


def _canvas(kind: str, label: str, ratio: str) -> str:
    return (
        f'<canvas class="{kind}" role="img" tabindex="-1" aria-label="{html.text(label)}" '
        f'style="aspect-ratio:{ratio}"></canvas>'
    )


GUIDE = (
    (
        "dots",
        "Grey dots are real points, orange ones are generated. An orange dot keeps its noise, so "
        "its path is the generator's learning. A ring at the edge lies beyond the picture.",
    ),
    (
        "shade and lines",
        "The critic's score as a landscape: the stronger the shade, the higher, and along a line "
        "it is the same. An energy (BEGAN, EBGAN) is turned round, so that high is always real.",
    ),
    (
        "arrows",
        "The slope of that landscape: the way the critic sends the generated points. The longest "
        "arrow of a picture is always drawn at the same length; its number is below the picture.",
    ),
    (
        "exact W1",
        "Wasserstein-1 distance between the orange and the grey dots: how far a dot has to travel, "
        "on average, in the cheapest exchange. The goal is the dotted floor: as far as other real "
        "points are from the grey ones.",
    ),
    (
        "estimate",
        "The critic's own number: its mean score of the grey dots minus that of the orange ones. "
        "Divided by the steepest slope found, it can be compared with W1, and is never above it, "
        "but for steeper slopes that were not found.",
    ),
    (
        "slope, steepest",
        "How much the critic's score changes over a distance of 1: the median between real and "
        "generated points, and the largest that was found. A Wasserstein critic should have 1.",
    ),
    (
        "modes",
        "How many of the heaps of grey dots are reached by a fair part of the orange ones. "
        "Outside: how many orange dots lie beyond the picture.",
    ),
    (
        "weights",
        "How the critic's weights are spread. Clipping (WGAN) cuts them off at its limit, where "
        "they pile up.",
    ),
    (
        "k and M",
        "BEGAN's balance: k says how much the generated points count for the critic, M falls as "
        "training converges.",
    ),
)


def _family(played: dict[str, Any]) -> str:
    names = [member["name"] for member in played["members"]]
    cards = "".join(_card(member) for member in played["members"])
    guide = "".join(f"<dt>{term}</dt><dd>{html.text(said)}</dd>" for term, said in GUIDE)
    return (
        '<section class="stage" id="family"><h2>Side by side</h2>'
        '<figure class="all"><figcaption>exact W1 of all members, by step; lower is better'
        f"</figcaption>{_canvas('overview', 'Exact W1 of ' + ', '.join(names), '3.4')}"
        '<p class="key"></p></figure>'
        f'<div class="cards">{cards}</div>'
        f"{_controls('family', 'the training', len(played['steps']))}"
        '<p class="hint">Space plays and pauses, ← and → go one frame, Home and End to the first '
        "and the last, + and − change the speed. They move the part of the page that is in view. "
        "Point at a picture for its numbers; press on a chart to go there. Frames lie closer "
        "together at the beginning, where more happens.</p>"
        f'<details open><summary>How to read the pictures</summary><dl class="guide">{guide}</dl>'
        "</details></section>"
    )


def _card(member: dict[str, Any]) -> str:
    name, said = member["name"], SAID[member["name"]]
    balance = ""
    if "k" in member["numbers"]:
        balance = (
            "<figcaption>k (left scale) and M</figcaption>"
            f"{_canvas('balance', f'k and M of {name}', '2.9')}"
        )
    return (
        f'<article class="card" data-member="{html.text(name)}"><h3>{html.text(name)}</h3>'
        f'<p class="said">{html.text(said)}</p>'
        f"{_canvas('field', f'Samples and critic of {name}', '1')}"
        '<p class="live facts-of"></p>'
        '<figcaption class="lines"></figcaption>'
        f"{_canvas('estimate', f'Exact W1 and the estimate of {name}', '2')}"
        "<figcaption>the critic’s weights</figcaption>"
        f"{_canvas('weights', f'Histogram of the weights of the critic of {name}', '2.9')}"
        f"{balance}</article>"
    )


# What the critic is asked to do, in a sentence.
SAID = {
    "gan_minimax": "Tells real from generated; the generator lowers the odds of being found out.",
    "gan": "Tells real from generated, as sure as it can be: nothing limits its slope.",
    "lsgan": "Gives real points the score 1 and generated ones 0, by squared errors.",
    "wgan": "Scores as far apart as it can, with every weight cut off at a limit.",
    "wgan_gp": "Scores as far apart as it can; slopes other than 1 cost a penalty.",
    "wgan_lp": "Scores as far apart as it can; slopes above 1 cost a penalty.",
    "wgan_hinge": "As wgan_lp, with a penalty that is not squared.",
    "wgan_div": "Scores as far apart as it can; steep slopes cost a penalty of power 6.",
    "sngan": "Each layer is divided by its largest stretch, so the slope stays below 1.",
    "ebgan": "An auto-encoder: it rebuilds real points well, and generated ones badly.",
    "began": "An auto-encoder, whose attention to generated points is kept in balance.",
    "dragan": "As gan, with a slope of 1 asked for around the real points.",
    "r1_gan": "As gan; slopes at the real points cost a penalty.",
    "r1_r2_gan": "As gan; slopes at real and at generated points cost a penalty.",
    "rpgan": "Compares a real point with a generated one, pair by pair.",
}


def _bells(played: dict[str, Any]) -> str:
    bells = played["bells"]
    lanes = "".join(
        f'<article class="lane"><h3>{name}</h3>'
        f"{_canvas('bell', f'A bell that slides by {name}', '5')}"
        f"{_canvas('curve', f'{name} against the distance', '2.6')}"
        '<p class="live"></p></article>'
        for name in (lane["name"] for lane in bells["lanes"])
    )
    said = (
        "The real law is the grey bell at 0, the generated one the orange bell. The only thing "
        "that it can do is slide, and at every step it slides by "
        f"{bells['rate']:g} times the slope of a distance between the two. From {bells['start']:g} "
        "widths away W1 (Wasserstein) leads it home at a steady pace, since its slope is 1 "
        "wherever it is. JS (Jensen-Shannon, the distance behind the first GAN) is at its "
        "ceiling, log 2, and as good as flat: the bell stays where it is. KL (Kullback-Leibler, "
        "behind maximum likelihood) pulls the harder the farther away; between laws that do not "
        "overlap at all it would be infinite. "
        "All numbers are computed from the laws, none is estimated."
    )
    return (
        '<section class="stage" id="bells"><h2>Three distances, one bell</h2>'
        f"<p>{html.text(said)}</p>{lanes}"
        f"{_controls('bells', 'the sliding bells', moving.SLIDES + 1)}</section>"
    )


def _plan(played: dict[str, Any]) -> str:
    plan = played["plan"]
    said = (
        f"W1 is the cost of the cheapest plan. Here {len(plan['fake'])} points that the generator "
        "made before its first step (orange) are moved onto as many real ones (grey), each onto "
        "one. A plan is a matrix: a row for each generated point, a column for each real one, a "
        "mark where mass is moved, on a shade that is stronger where the way is long. It begins at "
        "random. In each frame a few points exchange their targets so that the whole becomes "
        "cheaper (strong lines); when no exchange helps any more, the plan is the best."
    )
    end = (
        f"The last plan costs {plan['costs'][-1]:.4f}. A linear programme finds "
        f"{plan['w1']:.4f}, and its dual, the best critic there can be, proves that nothing is "
        f"cheaper: {plan['dual']:.4f}."
    )
    return (
        '<section class="stage" id="plan"><h2>A plan that improves</h2>'
        f"<p>{html.text(said)}</p>"
        '<div class="pair">'
        f"{_canvas('moves', 'Points and the lines of the plan', '1')}"
        f"{_canvas('matrix', 'The plan as a matrix', '1')}</div>"
        "<figcaption>cost of the plan; the dotted line is W1</figcaption>"
        f"{_canvas('cost', 'Cost of the plan', '4')}"
        '<p class="live"></p>'
        f"{_controls('plan', 'the improving plan', len(plan['targets']))}"
        f"<p>{html.text(end)}</p></section>"
    )


# --- numbers for those who see no canvas

HEAD = ("member", "step", "exact W1", "estimate", "estimate / steepest", "slope", "modes", "k", "M")
COLUMNS = ("w1", "estimate", "bound", "slope", "modes", "k", "convergence")


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def rows(played: dict[str, Any], frames: list[int]) -> list[list[str]]:
    """Lists the numbers of every member at some frames, under HEAD."""
    missing = [None] * len(played["steps"])
    return [
        [
            member["name"],
            str(played["steps"][frame]),
            *(_shown(member["numbers"].get(name, missing)[frame]) for name in COLUMNS),
        ]
        for member in played["members"]
        for frame in frames
    ]


def last_rows(played: dict[str, Any]) -> tuple[tuple[str, ...], list[list[str]]]:
    """Lists the numbers of every member at the end, for the terminal: (head, rows)."""
    return HEAD, rows(played, [len(played["steps"]) - 1])


def _evenly(count: int, most: int = ROWS) -> list[int]:
    most = min(most, count)
    return sorted({round(i * (count - 1) / max(most - 1, 1)) for i in range(most)})


def _numbers(played: dict[str, Any]) -> str:
    family = html.table(
        HEAD,
        rows(played, _evenly(len(played["steps"]))),
        f"Exact W1 of as many other real points: {played['floor']:.3g}. Slope: the median on lines "
        "between real and generated points. Steepest: the largest slope found. Empty: not of this "
        "member, or not finite.",
    )
    lanes = played["bells"]["lanes"]
    some = _evenly(moving.SLIDES + 1)
    bells = html.table(
        ("distance", "step", "bell at", "value", "slope"),
        [
            [lane["name"], str(t), *(_shown(lane[name][t]) for name in ("mu", "value", "slope"))]
            for lane in lanes
            for t in some
        ],
        "The sliding bells.",
    )
    costs = played["plan"]["costs"]
    plan = html.table(
        ("exchange", "cost of the plan"),
        [[str(i), f"{costs[i]:.4f}"] for i in _evenly(len(costs))],
        "The improving plan.",
    )
    return (
        "<section><h2>The numbers</h2><details><summary>Tables of all three plays</summary>"
        f"{family}{bells}{plan}</details></section>"
    )


def _repeat(played: dict[str, Any]) -> str:
    settings, names = played["settings"], [member["name"] for member in played["members"]]
    options = {
        "members": ",".join(names),
        "world": played["world"],
        **{name: value for name, value in settings.items() if name != "dataset"},
        "frames": len(played["steps"]),
    }
    words = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in options.items())
    said = (
        "Networks are small MLPs; rates and weights are those of experiments.toy2d, close to each "
        "paper's. A member that looks bad here may do well with other numbers, or on images."
    )
    return (
        "<section><h2>To repeat it</h2>"
        f"<pre>python -m experiments.theatre {html.text(words)}</pre>"
        f"<p>{html.text(said)}</p></section>"
    )
