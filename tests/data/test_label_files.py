"""Labels of a folder's pictures from a CSV file, and files that do not match the pictures."""

import numpy as np
import pytest
from PIL import Image

from jwgan import data
from jwgan.data import DataError, streams


@pytest.fixture
def folder(tmp_path):
    """Five pictures, of which picture i has pixels 50 i, two of them one folder down."""
    for i, name in enumerate(["a", "b", "c", "more/d", "more/e"]):
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), 50 * i, np.uint8)).save(path)
    return tmp_path / "images"


FILES = ["a.png", "b.png", "c.png", "more/d.png", "more/e.png"]


def written(tmp_path, *lines):
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_labels_of_a_file(folder, tmp_path):
    path = written(
        tmp_path, "file,label", *(f"{n},{y}" for n, y in zip(FILES[::-1], "zyxyz", strict=True))
    )
    found = data.folder(folder, labels=path)
    assert found.class_names == ("x", "y", "z")
    assert found.labels.tolist() == [2, 1, 0, 1, 2]
    assert "labels: 3 classes, of labels.csv" in found.notes
    assert not any("beside" in note for note in found.notes)
    rows = streams.FolderRows(folder, labels=path)
    assert rows.with_label(2).label == 0
    np.testing.assert_array_equal(rows.with_label(2).x, found.images[2])


def test_a_mark_that_spreadsheets_put_in_front_is_no_part_of_a_name(folder, tmp_path):
    path = written(tmp_path, "\N{ZERO WIDTH NO-BREAK SPACE}a.png,x", *(f"{n},y" for n in FILES[1:]))
    assert data.folder(folder, labels=path).labels.tolist() == [0, 1, 1, 1, 1]


def test_numbers_are_in_their_order(folder, tmp_path):
    lines = [f"./{name}, {label}" for name, label in zip(FILES, [10, 9, 2, 10, 9], strict=True)]
    found = data.folder(folder, labels=written(tmp_path, *lines))
    assert found.class_names == ("2", "9", "10")
    assert found.labels.tolist() == [2, 1, 0, 2, 1]


LINES = [f"{name},x" for name in FILES]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (LINES[:-1], "1 of 5 pictures have no line, more/e.png first"),
        ([*LINES, "f.png,x"], "1 lines name no picture of .*f.png first"),
        ([*LINES, "a.png,y"], r"a.png stands there twice \(line 6\)"),
        ([*LINES, "c.png"], "line 6 is 'c.png', expected file,label"),
        ([*LINES, "c.png,"], "line 6 is 'c.png,', expected file,label"),
        ([*LINES, "c.png,x,y"], "line 6 is 'c.png,x,y', expected file,label"),
        ([""], "no line in it"),
        (['"a.png'], "give a CSV file of file,label"),
    ],
)
def test_files_that_do_not_match(folder, tmp_path, lines, message):
    with pytest.raises(DataError, match=message):
        data.folder(folder, labels=written(tmp_path, *lines))


def test_no_file(folder, tmp_path):
    with pytest.raises(DataError, match=r"No such file.*give a CSV file"):
        data.folder(folder, labels=tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00a,b")
    with pytest.raises(DataError, match="give a CSV file"):
        data.folder(folder, labels=tmp_path / "bytes.csv")
