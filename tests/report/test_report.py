"""Every line is valid, every picture is where it belongs, and the page needs nothing else."""

import contextlib
import functools
import io
import json
import math
import os
import re
import resource
import subprocess
import sys

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from hypothesis import strategies as st
from outline import Outline

from jwgan import report
from jwgan.report import chart, page, pictures

FLOATS = st.floats(width=32)


def read_lines(folder):
    def forbid(word):
        raise AssertionError(f"{word} is not JSON")

    text = (folder / "metrics.jsonl").read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line, parse_constant=forbid) for line in text.splitlines()]


def write(folder, first, last, chunk=4, **options):
    """A run's rows first ... last - 1, in chunks; the loss of step i is i / 8."""
    with report.Writer(folder, step=first, **options) as writer:
        for start in range(first, last, chunk):
            steps = np.arange(start, min(start + chunk, last))
            writer.scalars(start, {"loss": jnp.asarray(steps / 8, jnp.float32)})


# --- metrics


def test_rows_are_the_figures_they_were_given(tmp_path):
    write(tmp_path, 0, 10)
    assert read_lines(tmp_path) == [{"step": i, "loss": i / 8} for i in range(10)]
    columns = report.read_metrics(tmp_path)
    assert columns["step"].tolist() == list(range(10))
    assert columns["loss"].tolist() == [i / 8 for i in range(10)]


def test_every_chunk_can_be_read_while_the_run_goes_on(tmp_path):
    writer = report.Writer(tmp_path)
    for first in (0, 2):
        writer.scalars(first, {"x": [1.0, 2.0]})
        assert len(read_lines(tmp_path)) == first + 2
    writer.close()


@hypothesis.settings(derandomize=True, deadline=None, max_examples=40)
@hypothesis.given(values=st.lists(FLOATS, min_size=1, max_size=5))
def test_any_float_is_valid_json_and_comes_back(values, tmp_path_factory):
    folder = tmp_path_factory.mktemp("floats")
    values = np.array(values, np.float32)
    with report.Writer(folder) as writer:
        writer.scalars(0, {"x": values})
    for row, value in zip(read_lines(folder), values, strict=True):
        assert isinstance(row["x"], float if math.isfinite(value) else str)
    found = report.read_metrics(folder)["x"].astype(np.float32)
    np.testing.assert_array_equal(found, values)


def test_rows_are_short(tmp_path):
    with report.Writer(tmp_path) as writer:
        writer.scalars(0, {"x": np.float32([0.1]), "y": jnp.bfloat16([0.5]), "n": np.int32([3])})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 0, "x": 0.1, "y": 0.5, "n": 3}\n'


@pytest.mark.parametrize(("stride", "chunk"), [(1, 4), (3, 4), (5, 2), (100, 7)])
def test_stride_does_not_depend_on_chunks(stride, chunk, tmp_path):
    write(tmp_path, 0, 23, chunk=chunk, stride=stride)
    assert [row["step"] for row in read_lines(tmp_path)] == list(range(0, 23, stride))


@hypothesis.settings(derandomize=True, deadline=None, max_examples=30)
@hypothesis.given(done=st.integers(0, 20), saved=st.integers(0, 20), torn=st.integers(0, 30))
def test_resume_has_every_row_once(done, saved, torn, tmp_path_factory):
    """A run killed after `done` rows and `torn` bytes of the next, restored at step `saved`."""
    folder = tmp_path_factory.mktemp("resumed")
    saved = min(saved, done)
    write(folder, 0, done)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(f'{{"step": {done}, "loss": 0.12345678}}'[:torn])
    write(folder, saved, 24)
    assert read_lines(folder) == [{"step": i, "loss": i / 8} for i in range(24)]


def test_resume_drops_what_is_no_row(tmp_path):
    write(tmp_path, 0, 3)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(
            b'{"step": 1, "loss": 9}\n[1]\n{"loss": 1}\n\xff\xfe\n{"step": true}\n{"step": 7.5}\n\n'
        )
    assert report.read_metrics(tmp_path)["loss"].tolist() == [0, 0.125, 0.25]
    write(tmp_path, 3, 5)
    assert [row["step"] for row in read_lines(tmp_path)] == [0, 1, 2, 3, 4]


def test_resume_ends_a_row_that_lost_its_line_end(tmp_path):
    write(tmp_path, 0, 3)
    os.truncate(tmp_path / "metrics.jsonl", (tmp_path / "metrics.jsonl").stat().st_size - 1)
    write(tmp_path, 3, 5)
    assert [row["step"] for row in read_lines(tmp_path)] == [0, 1, 2, 3, 4]


def test_resume_removes_the_pictures_of_later_steps(tmp_path):
    for step in (4, 8, 12):
        report.save_png(tmp_path / f"samples/{step:08d}.png", np.zeros((2, 2, 1), np.uint8))
    report.Writer(tmp_path, step=8).close()
    assert sorted(os.listdir(tmp_path / "samples")) == ["00000004.png", "00000008.png"]


def test_resume_leaves_the_pictures_that_are_not_the_runs(tmp_path):
    for name in ("comparison-2024.png", "00000012.png", "9.png", "best of 00000012.png"):
        report.save_png(tmp_path / "samples" / name, np.zeros((2, 2, 1), np.uint8))
    report.Writer(tmp_path, step=8).close()
    left = sorted(os.listdir(tmp_path / "samples"))
    assert left == ["9.png", "best of 00000012.png", "comparison-2024.png"]


def test_numbers_without_end_are_no_steps_and_infinite_figures(tmp_path):
    long = "1" + "0" * 400
    (tmp_path / "metrics.jsonl").write_text(
        f'{{"step": 0, "a": {long}}}\n{{"step": {2**63}, "a": 1}}\n{{"step": {long}, "a": 1}}\n'
        f'{{"step": {2**63 - 1}, "a": -{long}}}\n'
    )
    columns = report.read_metrics(tmp_path)
    assert columns["step"].tolist() == [0, 2**63 - 1]
    assert columns["a"].tolist() == [math.inf, -math.inf]


def link_out(path):
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, link_out], ids=["pipe", "folder", "link"])
def test_metrics_that_are_no_file_are_not_waited_for(make, tmp_path):
    make(tmp_path / "metrics.jsonl")
    for use in (report.read_metrics, report.Writer, report.write_report):
        with pytest.raises(ValueError, match=r"metrics.jsonl is 'no regular file': move it away"):
            use(tmp_path)
    assert not (tmp_path.parent / "elsewhere").exists()


def test_a_draft_that_is_a_link_is_not_written_through(tmp_path):
    (tmp_path / "secret").write_text("mine")
    (tmp_path / "a.json.tmp").symlink_to(tmp_path / "secret")
    report.write_json(tmp_path / "a.json", {"new": 1})
    assert (tmp_path / "secret").read_text() == "mine"
    assert json.loads((tmp_path / "a.json").read_text()) == {"new": 1}


def test_missing_figures_are_nan(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 0, "a": 1}\n{"step": 1, "b": "-Infinity"}\n{"step": 2, "a": null}\n'
    )
    columns = report.read_metrics(tmp_path)
    np.testing.assert_array_equal(columns["a"], [1, np.nan, np.nan])
    np.testing.assert_array_equal(columns["b"], [np.nan, -np.inf, np.nan])
    assert report.read_metrics(tmp_path / "none")["step"].shape == (0,)


@pytest.mark.parametrize("scalars", [{"a": [1.0], "b": [1.0, 2.0]}, {"a": 1.0}, {"a": [[1.0]]}])
def test_figures_of_other_shapes_are_refused(scalars, tmp_path):
    with (
        report.Writer(tmp_path) as writer,
        pytest.raises(ValueError, match=r"scalars is .*one shape \[length\]"),
    ):
        writer.scalars(0, scalars)
    assert read_lines(tmp_path) == []


def test_stride_below_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match="stride is 0"):
        report.Writer(tmp_path, stride=0)


# --- TensorBoard


@pytest.fixture
def events():
    from tensorboard.backend.event_processing import event_accumulator

    def load(folder):
        accumulator = event_accumulator.EventAccumulator(str(folder / "tensorboard"))
        return accumulator.Reload()

    return load


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_scalars_and_images(tmp_path, events):
    with report.Writer(tmp_path) as writer:
        writer.scalars(0, {"loss": np.float32([0.5, 0.1]), "bad": np.float32([0, np.nan])})
        writer.scalars(2, {"loss": np.float32([-3.25]), "bad": np.float32([1])})
        writer.image("grey", 3, np.arange(30, dtype=np.uint8).reshape(5, 6, 1))
        writer.image("colour", 3, np.full((4, 9, 3), [255, 0, 128], np.uint8))
    found = events(tmp_path)
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(1, np.float32(0.1)), (2, -3.25)]
    assert math.isnan(found.Scalars("bad")[0].value)
    grey, colour = (
        PIL.Image.open(io.BytesIO(found.Images(name)[0].encoded_image_string))
        for name in ("grey", "colour")
    )
    assert grey.size == (6, 5)
    assert np.asarray(grey.convert("L")).ravel().tolist() == list(range(30))
    assert colour.size == (9, 4)
    assert colour.convert("RGB").getpixel((3, 2)) == (255, 0, 128)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_forgets_what_a_resume_repeats(tmp_path, events):
    write(tmp_path, 0, 12)
    write(tmp_path, 8, 16)
    assert [e.step for e in events(tmp_path).Scalars("loss")] == [3, 7, 11, 15]


# --- pictures


def test_image_grid_places_scales_and_separates():
    x = np.stack([np.full((2, 3, 1), value) for value in (-1.0, 0.0, 1.0)])
    grid = report.image_grid(x, columns=2, scale=2)
    assert grid.shape == (2 * 5 + 1, 2 * 7 + 1, 1)
    assert grid.dtype == np.uint8
    line = pictures._SEPARATOR
    assert (grid[1:5, 1:7] == 0).all()
    assert (grid[1:5, 8:14] == 128).all()
    assert (grid[6:10, 1:7] == 255).all()
    assert (grid[6:10, 8:14] == line).all()
    for rim in (grid[::5], grid[:, ::7]):
        assert (rim == line).all()


def test_image_grid_keeps_every_pixel():
    x = np.linspace(-1, 1, 2 * 4 * 5 * 3).reshape(2, 4, 5, 3)
    grid = report.image_grid(x, columns=2, scale=3)
    found = grid[2:14:3, [*range(2, 17, 3), *range(18, 33, 3)]].astype(float) / 127.5 - 1
    expected = np.concatenate([x[0], x[1]], axis=1)
    np.testing.assert_allclose(found, expected, atol=0.5 / 127.5 + 1e-6)


def test_image_grid_survives_what_is_no_pixel():
    x = np.array([np.nan, np.inf, -np.inf, 7, -7]).reshape(5, 1, 1, 1)
    grid = report.image_grid(x, columns=5, scale=1)
    assert grid[1, 1::2, 0].tolist() == [128, 255, 0, 255, 0]


@pytest.mark.parametrize(("num", "side"), [(1, 28), (9, 28), (100, 8), (64, 64)])
def test_image_grid_chooses_its_size(num, side):
    grid = report.image_grid(np.zeros((num, side, side, 1)))
    assert grid.shape[0] == grid.shape[1]
    assert 400 <= grid.shape[1] <= 800


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((2, 8, 8), {}, "x is"),
        ((0, 8, 8, 1), {}, "x is"),
        ((2, 8, 8, 2), {}, "x is"),
        ((2, 8, 8, 1), {"columns": 0}, "columns is 0"),
        ((2, 8, 8, 1), {"scale": 0}, "scale is 0"),
    ],
)
def test_image_grid_refuses(shape, options, words):
    with pytest.raises(ValueError, match=words):
        report.image_grid(np.zeros(shape), **options)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip(channels, tmp_path):
    image = np.arange(6 * 5 * channels, dtype=np.uint8).reshape(6, 5, channels)
    report.save_png(tmp_path / "new" / "a.png", image)
    found = np.asarray(PIL.Image.open(tmp_path / "new" / "a.png")).reshape(6, 5, channels)
    np.testing.assert_array_equal(found, image)
    assert os.listdir(tmp_path / "new") == ["a.png"]


def test_scatter_shows_points_and_levels():
    corners = np.array([[x, y] for x in (-1.0, 1.0) for y in (-1.0, 1.0)])
    plain = report.scatter(corners, np.zeros((1, 2)), pixels=200)
    assert plain.shape == (200, 200, 3)
    assert plain.dtype == np.uint8
    reddest = np.unravel_index(np.argmax(plain[..., 0].astype(int) - plain[..., 2]), (200, 200))
    assert abs(reddest[0] - 100) < 4
    assert abs(reddest[1] - 100) < 4
    levels = report.scatter(corners, np.zeros((1, 2)), lambda x: x[:, 0], pixels=200)
    left, right = levels[20:40, 5:15].mean(), levels[20:40, 185:195].mean()
    assert (plain[20:40, 5:15] == 255).all()
    assert right < left - 10, "Blues darken with the score"


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_scatter_of_a_flat_or_broken_critic(value):
    x = np.eye(2)
    flat = report.scatter(x, x, lambda points: np.full(len(points), value), pixels=100)
    np.testing.assert_array_equal(flat, report.scatter(x, x, pixels=100))


def test_scatter_says_what_is_outside():
    x = np.eye(2)
    inside = report.scatter(x, x, pixels=200)
    outside = report.scatter(x, np.array([*x, [9.0, 9.0], [np.nan, 0.0]]), pixels=200)
    assert (inside[170:, :100] == 255).all()
    assert (outside[170:, :100] < 100).any()
    far = report.scatter(x, np.array([*x, [9.0, 9.0], [9.0, 0.0]]), pixels=200)
    np.testing.assert_array_equal(outside, far, "NaN is outside, too")
    with pytest.raises(ValueError, match="fake is"):
        report.scatter(x, np.zeros((3, 3)))


# --- JSON and environment


def test_write_json_replaces_and_is_valid(tmp_path):
    path = tmp_path / "a" / "result.json"
    report.write_json(path, {"old": 1})
    value = {1: np.float32(0.1), "n": np.int64(3), "bad": [math.nan, math.inf], "x": np.eye(2)}
    report.write_json(path, value | {"none": None, "yes": np.bool_(True), "t": (1, "a")})
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {
        "1": 0.1,
        "n": 3,
        "bad": ["NaN", "Infinity"],
        "x": [[1, 0], [0, 1]],
        "none": None,
        "yes": True,
        "t": [1, "a"],
    }
    assert os.listdir(path.parent) == ["result.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    report.write_json(tmp_path / "a.json", {"old": 1})

    def no_space(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        report.write_json(tmp_path / "a.json", {"new": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": 1}


def test_a_disk_that_is_full_in_the_middle_of_a_row(tmp_path):
    write(tmp_path, 0, 4)
    writer, size = report.Writer(tmp_path, step=4), (tmp_path / "metrics.jsonl").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.scalars(4, {"loss": [0.5, 1.0]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "metrics.jsonl").stat().st_size == size + 10, "torn"
    assert report.read_metrics(tmp_path)["step"].tolist() == [0, 1, 2, 3]
    write(tmp_path, 4, 6)
    assert [row["step"] for row in read_lines(tmp_path)] == list(range(6))
    with contextlib.suppress(OSError):
        writer.close()


def test_environment_names_versions_and_no_places(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/home/me/dump --xla_cpu_enable_fast_math=false")
    found = report.environment()
    assert found["jax"] == jax.__version__
    assert found["device_count"] == len(jax.devices())
    assert found["xla_flags"] == "--xla_cpu_enable_fast_math=false"
    assert found["git_revision"] is None or re.match("[0-9a-f]{40}", found["git_revision"])
    text = json.dumps(found)
    for private in (os.path.expanduser("~"), os.uname().nodename, os.getcwd(), "/home"):
        assert private not in text


def test_import_is_light():
    heavy = "matplotlib", "tensorboardX", "PIL", "flax", "orbax"
    code = f"import sys, jwgan.report, jwgan.page; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the page




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
    assert ("No final figures" in found.text) == (damage != "odd values")


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


# --- charts


@hypothesis.settings(derandomize=True, deadline=None, max_examples=80)
@hypothesis.given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), count=st.integers(3, 8))
def test_ticks_are_round_few_and_inside(low, width, count):
    found = chart.ticks(low, low + width, count)
    assert 1 <= len(found) <= count + 1
    slack = 1e-9 * (abs(low) + width)
    assert low - slack <= found[0]
    assert found[-1] <= low + width + slack
    for step in np.diff(found):
        lead = step / 10 ** math.floor(math.log10(step) + 1e-9)
        assert min(abs(lead - m) for m in (1, 2, 5, 10)) < 1e-3


def test_running_mean():
    np.testing.assert_allclose(chart.running_mean(np.array([0.0, 3.0, 6.0])), [1.5, 3, 4.5])
    np.testing.assert_allclose(chart.running_mean(np.full(1000, 2.5)), 2.5)
    values = np.arange(400.0)
    np.testing.assert_allclose(chart.running_mean(values)[[0, 200, 399]], [5, 200, 394])


def drawn(values, name="x", title="Title"):
    steps = np.arange(len(values))
    return chart.draw(chart.Chart(title, "", {name: name}), {"step": steps, name: values})


def test_chart_line_is_where_the_figures_are():
    text = drawn(np.linspace(0.0, 10.0, 11))
    line = re.findall(r'd="M([^"]+)"', text)[-1]
    points = np.array(line.split(), float).reshape(-1, 2)
    assert points[0][0] == 0
    assert (np.diff(points[:, 0]) > 0).all()
    assert (np.diff(points[:, 1]) < 0).all(), "SVG's y grows downwards"
    place = {
        label: float(bottom) for bottom, label in re.findall(r"bottom:([\d.]+)%'>(\d+)<", text)
    }
    assert abs((1000 - points[5][1]) / 10 - place["5"]) < 0.1


@pytest.mark.parametrize("rows", [399, 401, 20_000])
def test_charts_stay_small(rows):
    noise = np.random.default_rng(0).normal(size=rows)
    assert len(drawn(noise)) < 16_000
    assert drawn(noise).count("<path") == 2


def test_a_spike_does_not_flatten_the_rest():
    values = np.sin(np.arange(1000.0))
    values[500] = 1e6
    text = drawn(values)
    assert "<span style='bottom:50.0%'>0</span>" in text
    assert "range −1 … 1e6" in text


def test_logarithmic_only_for_positive_figures_over_decades():
    values = 10.0 ** np.linspace(-3, 3, 100)
    assert "log scale" in drawn(values)
    assert "log scale" not in drawn(values - 1)
    assert "log scale" not in drawn(np.linspace(1.0, 2.0, 100))
    for label in ("0.01", "1", "100"):
        assert f">{label}</span>" in drawn(values)


@hypothesis.settings(derandomize=True, deadline=None, max_examples=60)
@hypothesis.given(
    values=st.lists(st.floats() | st.just(1e308) | st.just(5e-324), max_size=30),
    first=st.sampled_from([0, 5, 2**53, 2**63 - 40]),
)
def test_any_figures_can_be_drawn(values, first):
    steps = first + np.arange(len(values))
    plot = chart.Chart("Title", "", {"x": "x"})
    text = chart.draw(plot, {"step": steps, "x": np.array(values, float)})
    Outline(text)
    assert bool(text) == bool(np.isfinite(values).any())
    assert "nan" not in text
    assert "inf" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (12345678, "12 345 678"),
        (-3, "−3"),
        (0.123456, "0.1235"),
        (-1.5e-7, "−1.5e−7"),
        (2e9, "2e9"),
        ([8, 8, 1], "8 × 8 × 1"),
        ("a_b", "a_b"),
    ],
)
def test_show(value, text):
    assert chart.show(value).replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.21, "4.21 s"),
        (59.9, "59.9 s"),
        (200, "3 min 20 s"),
        (119.9, "2 min 00 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_show_seconds(seconds, text):
    assert chart.show_seconds(seconds) == text
