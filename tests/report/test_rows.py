"""Rows of metrics.jsonl: any number comes back, and what is damaged is a missing one."""

import json
import math
import os
import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from jwgan import report
from jwgan.report import rows

FLOATS = st.floats(width=32)


@hypothesis.settings(derandomize=True, deadline=None, max_examples=40)
@hypothesis.given(values=st.lists(FLOATS, min_size=1, max_size=5))
def test_any_float_is_valid_json_and_comes_back(values, tmp_path_factory):
    folder = tmp_path_factory.mktemp("floats")
    values = np.array(values, np.float32)
    with report.Writer(folder) as writer:
        writer.scalars(0, {"x": values})
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    for text, value in zip(lines, values, strict=True):
        row = json.loads(text, parse_constant=pytest.fail)
        assert isinstance(row["x"], float if math.isfinite(value) else str)
    found = report.read_metrics(folder)["x"].astype(np.float32)
    np.testing.assert_array_equal(found, values)


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


def test_missing_figures_are_nan(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 0, "a": 1}\n{"step": 1, "b": "-Infinity"}\n{"step": 2, "a": null}\n'
    )
    columns = report.read_metrics(tmp_path)
    np.testing.assert_array_equal(columns["a"], [1, np.nan, np.nan])
    np.testing.assert_array_equal(columns["b"], [np.nan, -np.inf, np.nan])
    assert report.read_metrics(tmp_path / "none")["step"].shape == (0,)


def test_rows_of_trials_come_back(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(2, 6) / 10
    values[1, 2] = np.nan
    with report.Writer(tmp_path, trials="abcdef") as writer:
        writer.scalars(0, {"x": values}, {"seen": np.arange(6.0)})
    columns = report.read_metrics(tmp_path)
    np.testing.assert_array_equal(columns["x"].astype(np.float32), values)
    np.testing.assert_array_equal(columns["seen"], [np.arange(6.0), [np.nan] * 6])
    assert len((tmp_path / "metrics.jsonl").read_text()) < 150  # 0.1, not 0.10000000149011612


def test_a_torn_or_foreign_list_is_a_missing_row(tmp_path):
    lines = ['{"step": 0, "x": [1, 2]}', '{"step": 1, "x": [1]}', '{"step": 2, "x": 3}']
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 3, "x": [1, ']))
    x = report.read_metrics(tmp_path)["x"]
    np.testing.assert_array_equal(x, [[1, 2], [np.nan, np.nan], [np.nan, np.nan]])


def plain_file(path, num, every=None, seed=0):
    """A file of `num` rows with a spike, and a metric that is measured now and then."""
    values = np.random.default_rng(seed).normal(size=num)
    if num:
        values[num // 3] = 1e6
    with path.open("w") as file:
        for i, x in enumerate(values):
            more = f', "coverage": {i / num}' if every and i % every == 0 else ""
            file.write(f'{{"step": {i}, "x": {x}{more}}}\n')
    return values


@pytest.mark.parametrize("num", [0, 1, 2, 39, 40, 41, 100, 999, 1000, 1001, 5003])
def test_condensed_rows_keep_sums_extremes_and_ends(num, tmp_path):
    values = plain_file(tmp_path / "metrics.jsonl", num, every=7)
    found = rows.read_condensed(tmp_path, most=20)
    columns, length = found.columns, len(found.columns["step"])
    assert found.steps == num
    assert found.non_finite == {}
    assert length <= 40
    if num <= 40:
        expected = report.read_metrics(tmp_path)
        assert columns.keys() == expected.keys()
        for name, column in columns.items():
            np.testing.assert_allclose(column, expected[name])
        return
    width = 2 ** math.ceil(math.log2(num / 40))
    starts = np.arange(0, num, width)
    sizes = np.diff(np.r_[starts, num])
    np.testing.assert_array_equal(columns["step"], np.r_[starts[:-1], num - 1])
    np.testing.assert_allclose(columns["x"] * sizes, np.add.reduceat(values, starts), atol=1e-6)
    np.testing.assert_allclose(columns["x_min"], np.minimum.reduceat(values, starts))
    np.testing.assert_allclose(columns["x_max"], np.maximum.reduceat(values, starts))
    assert np.isfinite(columns["coverage"]).all() == (width >= 7)


def test_condensed_windows_keep_the_files_own_extremes(tmp_path):
    values = np.random.default_rng(1).normal(size=600)
    values[123] = -1e5
    with report.Writer(tmp_path, stride=3) as writer:
        for first in range(0, 600, 60):
            writer.scalars(first, {"x": values[first : first + 60]})
        writer.evaluation(600, {"coverage": 0.5})
    for most in (10, 1000):
        columns = rows.read_condensed(tmp_path, most).columns
        assert set(columns) - {"coverage_min", "coverage_max"} == {
            *("step", "x", "x_min", "x_max", "coverage")
        }
        assert np.nanmin(columns["x_min"]) == pytest.approx(-1e5)
        assert np.nanmax(columns["x_max"]) == pytest.approx(values.max(), rel=1e-6)
        assert columns["step"][-1] == 600
        assert rows.read_condensed(tmp_path, most).steps == 600


def test_condensed_rows_of_one_step_are_their_own_extremes(tmp_path):
    """Rows of a run that became long: the early ones are steps, the late ones windows."""
    values = np.random.default_rng(2).normal(size=400)
    values[11], values[390] = -1e5, 1e5
    with report.Writer(tmp_path, thin_from=50) as writer:
        for first in range(0, 400, 40):
            writer.scalars(first, {"x": values[first : first + 40]})
    for most in (10, 1000):
        columns = rows.read_condensed(tmp_path, most).columns
        assert columns["x_min"].min() == pytest.approx(-1e5)
        assert columns["x_max"].max() == pytest.approx(1e5)
        assert np.isfinite(columns["x_min"]).all()


def test_condensed_rows_of_trials_and_of_damage(tmp_path):
    with report.Writer(tmp_path, trials="abc") as writer:
        writer.scalars(0, {"x": np.arange(300.0).reshape(100, 3)})
    columns = rows.read_condensed(tmp_path, most=10).columns
    assert columns["x"].shape == (len(columns["step"]), 3)
    assert "x_min" not in columns
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 100, "x": "NaN"}\n{"step": 5, "x": 1}\n{"a": 1}\n[]\n{"step": 101')
    found = rows.read_condensed(tmp_path, most=10)
    assert found.non_finite == {"x": (1, 100)}
    assert found.steps == 101


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    """Peak of what Python and NumPy hold, of 50,000 rows and of four times as many."""
    peaks = []
    for num in (50_000, 200_000):
        plain_file(tmp_path / "metrics.jsonl", num, every=1000)
        tracemalloc.start()
        report.write_report(tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 20e6
    assert peaks[1] < 1.2 * peaks[0]
