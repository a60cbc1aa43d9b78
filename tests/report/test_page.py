"""The page of a run shows what there is, escapes it and needs nothing else."""

import functools
import io
import json
import os
import re

import jax
import numpy as np
import PIL.Image
import pytest
from outline import Outline

from jwgan import report
from jwgan.report import film, html, page

EVIL = "<script>alert('x')</script>\"'&amp;"


def make_run(folder, rows=60, pictures=(5, 20, 60)):
    steps = np.arange(rows)
    known = dict.fromkeys(name for chart in page.CHARTS for name in chart.names)
    with report.Writer(folder) as writer:
        writer.scalars(0, {name: np.cos(steps / 9 + i) for i, name in enumerate(known)})
    for step in pictures:
        grid = report.image_grid(np.random.default_rng(step).uniform(-1, 1, (9, 8, 8, 1)))
        report.save_png(folder / f"samples/{step:08d}.png", grid)
    config = {"experiment": "wgan_gp", "title": "WGAN-GP (Gulrajani et al., 2017)", "command": "go"}
    report.write_json(
        folder / "config.json",
        config
        | {"config": {"seed": 7}, "environment": report.environment(), "data": {"name": "d"}},
    )
    quality = {"classes": 10, "shares": [0.1, 0.2, 0.3, 0.25, 0.15]}
    result = {"steps": rows, "seconds": 75.2, "state_sha256": "ab" * 32, "quality": quality}
    report.write_json(folder / "result.json", result)
    return folder


def test_page_shows_the_run_and_asks_for_nothing(tmp_path):
    path = report.write_report(make_run(tmp_path))
    assert path == tmp_path / "report.html"
    text = path.read_text()
    found = Outline(text)
    for words in (
        "wgan_gp on d",
        "WGAN-GP (Gulrajani et al., 2017)",
        "1 min 15 s",
        "Wasserstein estimate",
        "Penalty",
        "Gradient norms",
        "seed",
        jax.__version__,
        "ab" * 32,
    ):
        assert words in found.text
    assert found.tags.count("svg") == len(page.CHARTS)
    assert not {"script", "link", "iframe", "object", "img"} & set(found.tags)
    assert ("content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") in (
        found.attributes
    )
    urls = re.findall(r"url\(([^)]{0,22})", text)
    assert urls == ["data:image/png;base64,"] * 3
    assert not [a for a in found.attributes if a[0] in ("src", "href") or a[0].startswith("on")]
    assert "http" not in re.sub("http-equiv", "", text)
    assert len(text) < 3_000_000


def test_page_holds_the_pictures_themselves(tmp_path):
    import base64

    text = report.write_report(make_run(tmp_path)).read_text()
    found = [base64.b64decode(x) for x in re.findall(r"base64,([^)]+)\)", text)]
    assert found == [p.read_bytes() for p in sorted((tmp_path / "samples").iterdir())]


def test_page_escapes_everything(tmp_path):
    make_run(tmp_path, pictures=())
    report.write_json(
        tmp_path / "config.json",
        {k: EVIL for k in ("experiment", "title", "command")}
        | {k: {EVIL: EVIL, "name": EVIL} for k in ("config", "environment", "data", EVIL)},
    )
    report.write_json(
        tmp_path / "result.json",
        {"stopped_by": EVIL, "warnings": [EVIL], "state_sha256": EVIL, "steps": EVIL}
        | {"quality": {EVIL: EVIL, "shares": {EVIL: 0.1, "b": 0.2, "c": 0.7}}},
    )
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 60, EVIL: 1.0}) + "\n")
    text = report.write_report(tmp_path).read_text()
    assert "<script" not in text
    assert Outline(text).text.count("alert('x')") >= 12


@pytest.mark.parametrize("damage", ["nothing there", "broken files", "odd values"])
def test_page_of_a_damaged_run(tmp_path, damage):
    if damage == "broken files":
        make_run(tmp_path)
        for path in [tmp_path / "config.json", *(tmp_path / "samples").iterdir()]:
            path.write_bytes(path.read_bytes()[:50])
        (tmp_path / "result.json").write_text("[1, 2]")
    elif damage == "odd values":
        make_run(tmp_path, rows=1)
        odd = {"config": 3, "environment": None, "data": [], "title": None}
        report.write_json(tmp_path / "config.json", odd)
        report.write_json(tmp_path / "result.json", {"quality": [], "seconds": "x", "warnings": 3})
    text = report.write_report(tmp_path).read_text()
    found = Outline(text)
    assert found.tags.count("h1") == 1
    assert text.count("base64,") == (3 if damage == "odd values" else 0)
    assert ("No final metrics" in found.text) == (damage != "odd values")


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"command": "run \udcff.png"}, r"\udcff.png"),
        ({"config": functools.reduce(lambda inner, _: [inner], range(900), 0)}, ""),
        ({"config": {"a": functools.reduce(lambda i, _: {"b": i}, range(400), 0)}}, "…"),
        ({"config": {"n": 10**400}}, "1" + "0" * 400),
    ],
    ids=["no UTF-8", "deep list", "deep table", "long number"],
)
def test_page_of_what_json_can_hold_and_a_page_cannot(tmp_path, config, shown):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert shown in Outline(report.write_report(tmp_path).read_text()).text


@pytest.mark.parametrize("seconds", ["NaN", "Infinity", "-Infinity", "1" + "0" * 400, "1e300"])
def test_page_of_a_time_that_is_none(tmp_path, seconds):
    (tmp_path / "result.json").write_text(f'{{"seconds": {seconds}, "steps": {seconds}}}')
    assert Outline(report.write_report(tmp_path).read_text()).tags.count("h1") == 1


def test_page_holds_no_linked_picture_and_waits_for_no_pipe(tmp_path):
    make_run(tmp_path / "secret", pictures=(5,))
    make_run(tmp_path / "run", pictures=(6,))
    link = tmp_path / "run" / "samples" / "00000007.png"
    link.symlink_to(tmp_path / "secret" / "samples" / "00000005.png")
    os.mkfifo(tmp_path / "run" / "samples" / "00000008.png")
    os.mkfifo(tmp_path / "run" / "result.json.tmp")
    (tmp_path / "run" / "config.json").unlink()
    os.mkfifo(tmp_path / "run" / "config.json")
    assert report.write_report(tmp_path / "run").read_text().count("base64,") == 1


def test_page_tells_of_figures_that_are_not_finite(tmp_path):
    with report.Writer(tmp_path) as writer:
        writer.scalars(
            40, {"penalty": np.float32([1, 2, np.nan, np.inf]), "k": np.float32([0, 1, 2, np.nan])}
        )
    text = Outline(report.write_report(tmp_path).read_text()).text
    assert "not finite, from step 42 on: 2 of penalty, 1 of k." in text


def test_rare_figures_are_written_once_and_are_not_missing_elsewhere(tmp_path):
    with report.Writer(tmp_path) as writer:
        writer.scalars(0, {"penalty": np.ones(3)})
        writer.scalars(3, {"penalty": np.ones(3)}, {"coverage": 0.5})
    found = report.read_metrics(tmp_path)["coverage"]
    np.testing.assert_array_equal(found, [np.nan] * 3 + [0.5] + [np.nan] * 2)
    assert (tmp_path / "metrics.jsonl").read_text().count("coverage") == 1
    text = Outline(report.write_report(tmp_path).read_text()).text
    assert "not finite" not in text
    assert "Coverage" in text


def test_page_chooses_pictures_evenly():
    few = [(step, bytes(10)) for step in range(5)]
    assert film.choose_pictures(few) == few
    many = [(step, bytes(10)) for step in range(500)]
    chosen = [step for step, _ in film.choose_pictures(many)]
    assert len(chosen) == film.PICTURES
    assert (chosen[0], chosen[-1]) == (0, 499)
    assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 1
    assert film.choose_pictures([]) == []
    assert film.choose_pictures(many, 1) == [many[-1]]


def noise_png(size, channels=3, seed=0):
    """A picture that no format can make small."""
    noise = np.random.default_rng(seed).integers(0, 256, (size, size, channels), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(noise[..., 0] if channels == 1 else noise).save(file, format="PNG")
    return file.getvalue()


@pytest.mark.parametrize(("size", "channels", "count"), [
    (40, 3, 12), (651, 3, 11), (651, 1, 11), (1300, 3, 4), (2000, 3, 2), (900, 3, 1), (8, 3, 0),
])  # fmt: skip
def test_all_pictures_stay_within_the_budget_and_the_newest_keeps_its_pixels(size, channels, count):
    files = [noise_png(size, channels)] * count
    found = film.fit(files)
    assert None not in found
    assert len(found) == count
    if sum(map(len, files)) <= film.PICTURE_BYTES or count == 1:
        assert found == files
        return
    assert sum(map(len, found)) <= film.PICTURE_BYTES
    sizes = [PIL.Image.open(io.BytesIO(file)).size[0] for file in found]
    assert sizes[-1] == size or size == 2000  # a megabyte does not hold so much noise
    assert min(sizes) >= size // 8


def test_a_broken_picture_does_not_cost_the_others_their_place():
    whole = noise_png(400)
    broken = whole[:60] + bytes(len(whole) - 80) + whole[-20:]
    found = film.fit([broken, *[noise_png(900)] * 3])
    assert [file is None for file in found] == [True, False, False, False]


def test_real_data_come_first_and_the_newest_is_open(tmp_path):
    make_run(tmp_path)
    report.save_png(tmp_path / "real.png", np.full((9, 9, 1), 200, np.uint8))
    found = Outline(report.write_report(tmp_path).read_text())
    labels = [a["aria-label"] for _, a in found.elements if "aria-label" in a]
    assert labels == ["Real data", *(f"Samples after {n} steps" for n in (5, 20, 60))]
    inputs = [a for tag, a in found.elements if tag == "input"]
    assert ["checked" in a for a in inputs] == [False] * 3 + [True]


@pytest.mark.parametrize(
    ("config", "trials", "title"),
    [
        (
            {"config": {"steps": 2000}, "data": {"name": "digits"}},
            0,
            "wgan_gp on digits, 2\u202f000 steps",
        ),
        ({"config": {"member": "sngan"}, "data": {"name": "ring"}}, 0, "sngan on ring"),
        (
            {"config": {"data_dir": "/a/cats"}, "data": {"name": "folder"}},
            0,
            "wgan_gp on the folder cats",
        ),
        (
            {"config": {"steps": 5}, "data": {"name": "ring"}},
            3,
            "wgan_gp on ring, 5 steps, 3 trials",
        ),
        ({}, 0, "wgan_gp"),
    ],
)
def test_the_title_is_of_the_run_and_not_of_the_document(config, trials, title, tmp_path):
    base = {"experiment": "wgan_gp", "title": "WGAN-GP on faces"}
    more = {"trials": [{"label": str(i)} for i in range(trials)]} if trials else {}
    report.write_json(tmp_path / "config.json", base | config | more)
    found = report.write_report(tmp_path).read_text()
    assert f"<h1>{title}</h1>" in found
    assert f"<title>{title}</title>" in found


@pytest.mark.parametrize("stride", [1, 7])
def test_one_wasserstein_estimate_and_one_axis(stride, tmp_path):
    """The headline, the legend and result.json have the last step's, and all charts end there."""
    steps = np.arange(200)
    estimate = np.exp(np.sin(steps) + steps / 30)  # a logarithmic axis
    with report.Writer(tmp_path, stride=stride) as writer:
        writer.scalars(0, {"wasserstein_estimate": estimate[:100], "penalty": estimate[:100]})
        more = {"sliced_distance": 0.5, "coverage": 0.25}
        writer.scalars(100, {"wasserstein_estimate": estimate[100:], "penalty": -steps[100:]}, more)
        writer.evaluation(200, {"sliced_distance": 0.125, "coverage": 0.75})
    report.write_json(
        tmp_path / "result.json", {"steps": 200, "wasserstein_estimate": estimate[-1]}
    )
    text = report.write_report(tmp_path).read_text()
    value = f"{estimate[-1]:.4g}"
    assert f"<dt>Wasserstein estimate</dt><dd>{value}</dd>" in text
    assert f"estimate {value}</span>" in text
    assert "distance 0.125</span>" in text
    assert "samples 0.75</span>" in text
    assert "not finite" not in text
    axes = {
        re.sub(r"left:[\d.]+%[^']*", "", axis)
        for axis in re.findall(r'"ticks x">(.*?)</div>', text)
    }
    assert len(axes) == 1
    assert "200" in axes.pop()


def test_every_chart_says_what_it_is_and_what_is_better(tmp_path):
    make_run(tmp_path)
    text = report.write_report(tmp_path).read_text()
    for chart in page.CHARTS:
        assert chart.hint
        assert chart.direction
    hints = dict(re.findall(r'<h3>(.*?)</h3><div class="hint">(.*?)</div>', text))
    directions = {html.text(chart.title): html.text(chart.direction) for chart in page.CHARTS}
    assert len(hints) == len(page.CHARTS)
    assert all(directions[title] in hint for title, hint in hints.items())


def test_the_same_curve_is_shown_once(tmp_path):
    x = np.random.default_rng(0).normal(size=50)
    with report.Writer(tmp_path) as writer:
        writer.scalars(0, {"critic_loss": x, "generator_loss": x, "mine": x, "other": -x})
    text = report.write_report(tmp_path).read_text()
    assert "critic and generator " in text
    assert "<h3>Mine</h3>" not in text
    assert "<h3>Other</h3>" in text
