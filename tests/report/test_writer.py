"""Every line is valid JSON, every step is written once, and a file is replaced whole."""

import io
import json
import math
import os

import hypothesis
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from disks import full_disk
from hypothesis import strategies as st

from jwgan import report


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


def test_rows_are_short(tmp_path):
    with report.Writer(tmp_path) as writer:
        writer.scalars(0, {"x": np.float32([0.1]), "y": jnp.bfloat16([0.5]), "n": np.int32([3])})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 0, "x": 0.1, "y": 0.5, "n": 3}\n'


@pytest.mark.parametrize(("stride", "chunk"), [(1, 4), (3, 4), (5, 2), (100, 7), (4, 8)])
def test_rows_begin_at_multiples_of_the_stride_and_where_chunks_do(stride, chunk, tmp_path):
    write(tmp_path, 0, 23, chunk=chunk, stride=stride)
    steps = [i for i in range(23) if i % stride == 0 or i % chunk == 0]
    assert [row["step"] for row in read_lines(tmp_path)] == steps


@pytest.mark.parametrize("chunk", [1, 5, 8, 200])
@pytest.mark.parametrize("thin_from", [1, 7, 16])
def test_rows_become_wider_by_the_step_alone(chunk, thin_from, tmp_path):
    """One step a row, from thin_from on two, from twice that on four: whatever was planned."""
    write(tmp_path, 0, 150, chunk=chunk, thin_from=thin_from)
    found = report.read_metrics(tmp_path)
    wide = lambda step: 1 if step < thin_from else 2 ** (1 + int(math.log2(step / thin_from)))
    steps = [
        s
        for s in range(150)
        if s % chunk == 0 or s % wide(s) == 0 or (s and wide(s) != wide(s - 1))
    ]
    assert found["step"].tolist() == steps
    ends = np.r_[found["step"][1:], 150]
    np.testing.assert_allclose(found["loss"] * 8, (found["step"] + ends - 1) / 2, rtol=1e-6)
    np.testing.assert_array_equal(found["loss_min"][steps.index(thin_from) :] * 8, [
        s for s in steps if s >= thin_from
    ])  # fmt: skip
    assert "loss_min" not in read_lines(tmp_path)[0]
    # A run that is resumed in between, to a larger number of steps, has the same rows.
    text = (tmp_path / "metrics.jsonl").read_bytes()
    write(tmp_path, 8 * 5 * 3, 150, chunk=chunk, thin_from=thin_from)
    if 120 % chunk == 0:
        assert (tmp_path / "metrics.jsonl").read_bytes() == text


@pytest.mark.parametrize("trials", [(), ("a", "b")])
def test_a_stride_keeps_every_spike(trials, tmp_path):
    values = np.random.default_rng(0).normal(size=(40, *[2] * len(trials[:1]))).astype(np.float32)
    values[13], values[22] = 1e6, -1e6
    values[31, ...] = np.nan
    with report.Writer(tmp_path, stride=4, trials=trials) as writer:
        writer.scalars(0, {"x": values[:16]})
        writer.scalars(16, {"x": values[16:]}, {"coverage": [0.5] * len(trials) or 0.5})
    found = report.read_metrics(tmp_path)
    windows = values.reshape(10, 4, *values.shape[1:]).astype(float)
    np.testing.assert_array_equal(found["step"], np.arange(0, 40, 4))
    np.testing.assert_allclose(found["x"], windows.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found["x_min"], windows.min(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found["x_max"], windows.max(axis=1), rtol=1e-6)
    assert [row.get("coverage") for row in read_lines(tmp_path)].count(None) == 9


@pytest.mark.parametrize("trials", [(), ("a", "b")])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_last_evaluation_has_a_row_of_its_own(trials, tmp_path, events):
    shape, value = (5, *[2] * bool(trials)), [0.25, None] if trials else 0.25
    with report.Writer(tmp_path, trials=trials) as writer:
        writer.scalars(0, {"x": np.zeros(shape)})
        writer.evaluation(5, {"coverage": value})
    row = read_lines(tmp_path)[-1]
    assert row == {"step": 5, "coverage": [0.25, "NaN"] if trials else 0.25}
    tag = "coverage/a" if trials else "coverage"
    assert [(e.step, e.value) for e in events(tmp_path).Scalars(tag)] == [(5, 0.25)]
    # A run that goes on has the row of its next chunk in its place.
    with report.Writer(tmp_path, step=5, trials=trials) as writer:
        writer.scalars(5, {"x": np.zeros(shape)}, {"coverage": value})
    assert [r["step"] for r in read_lines(tmp_path)] == list(range(10))


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


def test_a_draft_that_is_a_link_is_not_written_through(tmp_path):
    (tmp_path / "secret").write_text("mine")
    (tmp_path / "a.json.tmp").symlink_to(tmp_path / "secret")
    report.write_json(tmp_path / "a.json", {"new": 1})
    assert (tmp_path / "secret").read_text() == "mine"
    assert json.loads((tmp_path / "a.json").read_text()) == {"new": 1}


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
    size = (tmp_path / "metrics.jsonl").stat().st_size
    writer = report.Writer(tmp_path, step=4, trackers=[])
    with full_disk(size + 10):
        says = r"metrics\.jsonl cannot be written: File too large; raise the limit"
        with pytest.raises(OSError, match=says):
            writer.scalars(4, {"loss": [0.5, 1.0]})
        with pytest.raises(OSError, match=says):  # closing writes what is left
            writer.close()
        assert writer._metrics.closed
    assert (tmp_path / "metrics.jsonl").stat().st_size == size + 10, "torn"
    assert report.read_metrics(tmp_path)["step"].tolist() == [0, 1, 2, 3]
    write(tmp_path, 4, 6)
    assert [row["step"] for row in read_lines(tmp_path)] == list(range(6))


def test_figures_without_a_column_for_each_trial_are_refused(tmp_path):
    with report.Writer(tmp_path, trials=["a", "b"]) as writer:
        with pytest.raises(ValueError, match="give arrays of one shape"):
            writer.scalars(0, {"x": np.zeros((3, 1))})
        with pytest.raises(ValueError, match="give arrays of one shape"):
            writer.scalars(0, {"x": np.zeros(3)})
