"""experiments.survival: its bookkeeping, and (slow) a short measurement of one cell."""

import json

import pytest

from experiments.survival import __main__ as survival
from experiments.survival import cells, tables


def test_eight_cells_or_the_one_that_is_named():
    assert len(set(survival.chosen(survival.Config()))) == 8
    one = survival.chosen(survival.Config(case="dcgan28", stream=True, processes=2))
    assert one == [cells.Cell("dcgan28", True, 2)]
    with pytest.raises(ValueError, match="did you mean mlp"):
        survival.chosen(survival.Config(case="mpl"))
    with pytest.raises(ValueError, match="give --case"):
        survival.chosen(survival.Config(stream=True))


@pytest.mark.parametrize(
    ("rows", "steps"),
    [("", 0), ('{"step": 0', 0), ('{"step": 0}\n', 1), ('{"step": 0}\n{"step": 1}\n{"st', 2)],
)
def test_a_torn_row_is_no_step(tmp_path, rows, steps):
    assert cells.steps_recorded(tmp_path) == 0
    (tmp_path / "metrics.jsonl").write_text(rows)
    assert cells.steps_recorded(tmp_path) == steps


def test_rows_are_counted_from_the_end_of_a_long_file(tmp_path):
    lines = [json.dumps({"step": step, "x": "x" * 100}) + "\n" for step in range(2000)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert cells.steps_recorded(tmp_path) == 2000


def a_run(folder, *, state="a", rows="1\n", picture=b"1"):
    (folder / "samples").mkdir(parents=True)
    (folder / "samples" / "1.png").write_bytes(picture)
    (folder / "metrics.jsonl").write_text(rows)
    end = {"steps": 1, "state_sha256": state, "best": None, "wasserstein_estimate": 0.0}
    (folder / "result.json").write_text(json.dumps(end))
    return folder


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"state": "b"}, ["state_sha256"]),
        ({"rows": "2\n"}, ["metrics.jsonl"]),
        ({"picture": b"2"}, ["samples/1.png"]),
    ],
)
def test_every_byte_is_compared(tmp_path, change, found):
    one, other = a_run(tmp_path / "one"), a_run(tmp_path / "other", **change)
    assert cells.differences(one, other) == found


def test_a_picture_too_many_is_a_difference(tmp_path):
    one, other = a_run(tmp_path / "one"), a_run(tmp_path / "other")
    (one / "samples" / "2.png").write_bytes(b"")
    assert cells.differences(one, other) == cells.differences(other, one) == ["samples/2.png"]


def test_the_table_of_nothing_says_so():
    head, rows = tables.survival({})
    assert len(head) == len(rows[0]) == 10
    assert rows[0][0] == "not recorded yet"


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_bytes(capsys):
    survival.main(["--case", "mlp", "--minutes", "1", "--every", "8", "--json"])
    result = json.loads(capsys.readouterr().out)
    (cell,) = result["cells"]
    assert cell["different"] == []
    assert cell["kills"] >= 2
    assert cell["steps"] > 0
