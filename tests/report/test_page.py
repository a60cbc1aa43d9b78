"""The page of a run shows what there is, escapes it and needs nothing else."""

import functools
import json
import os
import re

import jax
import numpy as np
import pytest
from outline import Outline

from jwgan import report
from jwgan.report import page

EVIL = "<script>alert('x')</script>\"'&amp;"


def make_run(folder, rows=60, pictures=(5, 20, 60)):
    steps = np.arange(rows)
    curves = {name: np.cos(steps / 9 + len(name)) for c in page.CHARTS for name in c.names}
    with report.Writer(folder) as writer:
        writer.scalars(0, curves | {"k": steps / rows})
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
    assert found.tags.count("svg") == len(page.CHARTS) + 1
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


def test_page_chooses_pictures_that_fit():
    few = [(step, bytes(10)) for step in range(5)]
    assert page.choose_pictures(few) == few
    many = [(step, bytes(10)) for step in range(500)]
    chosen = [step for step, _ in page.choose_pictures(many)]
    assert len(chosen) == page.PICTURES
    assert (chosen[0], chosen[-1]) == (0, 499)
    assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 1
    large = [(step, bytes(page.PICTURE_BYTES // 3)) for step in range(9)]
    assert [step for step, _ in page.choose_pictures(large)] == [0, 4, 8]
    assert page.choose_pictures([(1, bytes(page.PICTURE_BYTES + 1))])[0][0] == 1
    assert page.choose_pictures([]) == []
