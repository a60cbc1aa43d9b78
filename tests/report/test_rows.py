"""Rows of metrics.jsonl: any number comes back, and what is damaged is a missing one."""

import json
import math
import os

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from jwgan import report

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
