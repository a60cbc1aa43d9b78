"""CSV tables: every cell comes back, schemas are guessed and read, bad files are one line."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwgan import data
from jwgan.data import tables

HEADER = ["age", "bmi", "job", "name"]
ROWS = [
    ["30", "20.50", "nurse", "n1"],
    ["41", "30.25", "smith", "n2"],
    ["25", "22.75", "nurse", "n3"],
    ["60", "28.00", "", "n4"],
]


def write(path, header=HEADER, rows=ROWS, separator=","):
    path.write_text("\n".join(separator.join(row) for row in [header, *rows]) + "\n")
    return path


def fitted(kinds=None, rows=ROWS):
    kinds = kinds or {"age": "whole", "bmi": "number", "job": "category", "name": "skip"}
    return tables.fit("t.csv", HEADER, rows, kinds)


def test_the_layout_in_numbers():
    table = fitted()
    x = table.encode(HEADER, ROWS)
    assert (table.width, table.blocks) == (5, (0, 0, 3))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[:, 0], np.array([30, 41, 25, 60]) / 17.5 - 85 / 35, atol=1e-6)
    np.testing.assert_allclose(x[:, 1], [-1, 1, 2 * 2.25 / 9.75 - 1, 2 * 7.5 / 9.75 - 1], atol=1e-6)
    assert table.columns[2].categories == ("", "nurse", "smith")
    assert x[:, 2:].tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert table.decode(x) == [row[:3] for row in ROWS]


numbers = st.integers(-999_999, 999_999)
words = st.text('ab,;"é 1', max_size=3).map(str.strip)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(0, 3), st.integers(2, 12))
def test_every_cell_comes_back(drawn, decimals, num):
    column = lambda of: drawn.draw(
        st.lists(of, min_size=num, max_size=num).filter(lambda cells: len(set(cells)) > 1)
    )
    real = [f"{value / 10**3:.{decimals}f}" for value in column(numbers)]
    real = real if len({float(cell) for cell in real}) > 1 else ["0", "1"] * num
    cells = [column(numbers.map(str)), [r if float(r) else "0" for r in real][:num], column(words)]
    if decimals:  # a number has as many decimals as the column
        cells[1] = [f"{float(cell) + 0.0:.{decimals}f}" for cell in cells[1]]
    rows = [list(row) for row in zip(*cells, strict=True)]
    header, kinds = ["a", "b", "c"], dict(zip("abc", ("whole", "number", "category"), strict=True))
    if len(set(map(float, cells[1]))) < 2:
        return
    table = tables.fit("t", header, rows, kinds)
    x = table.encode(header, rows)
    assert x.shape == (num, table.width)
    assert (np.abs(x) <= 1).all()
    assert table.decode(x) == rows
    # By way of JSON, as a run's directory keeps it.
    again = tables.from_dict(json.loads(json.dumps(table.to_dict())))
    assert again == table
    assert again.decode(x) == rows
    # Anything that a network makes is a row of the table's kinds.
    wild = np.random.default_rng(num).normal(size=(5, table.width)).clip(-1, 1)
    for a, b, c in table.decode(wild):
        assert int(a) in range(-(10**6), 10**6)
        assert math.isfinite(float(b))
        assert c in cells[2]


def test_numbers_without_fixed_decimals_keep_a_floats_precision():
    rows = [["1e-5"], ["2.5e3"], ["7.25"]]
    table = tables.fit("t", ["x"], rows, {"x": "number"})
    assert table.columns[0].decimals is None
    found = [float(row[0]) for row in table.decode(table.encode(["x"], rows))]
    np.testing.assert_allclose(found, [1e-5, 2500, 7.25], atol=2500 * 2**-23)


def test_guesses():
    num = 40
    columns = {
        "real": [str(i / 3) for i in range(num)],
        "whole": [str(i) for i in range(num)],
        "code": [str(i % 3) for i in range(num)],
        "word": ["ab"[i % 2] for i in range(num)],
        "id": [f"n{i}" for i in range(num)],
        "same": ["7"] * num,
        "slip": ["oops", *(str(i / 7) for i in range(num - 1))],
    }
    rows = list(zip(*columns.values(), strict=True))
    assert list(tables.infer(list(columns), rows).values()) == [
        *("number", "whole", "category", "category", "skip", "skip", "number"),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_file_of_either_separator(tmp_path, separator):
    header, rows = tables.read_csv(write(tmp_path / "t.csv", separator=separator))
    assert (header, rows) == (HEADER, ROWS)


def test_cells_may_hold_separators_quotes_and_line_ends(tmp_path):
    """As spreadsheets write them; the line in a message is the file's."""
    rows = [["1", 'say "a, b"'], ["2", "two\nlines"], ["3", "two\nlines"], ["4", "é"]]
    kinds = {"x": "whole", "y": "category"}
    table = tables.fit("t", ["x", "y"], rows, kinds)
    (tmp_path / "s.csv").write_text(tables.write_csv(table, table.encode(["x", "y"], rows)))
    assert tables.read_csv(tmp_path / "s.csv") == (["x", "y"], rows)
    (tmp_path / "s.csv").write_text('x,y\n1,"a\nb"\n2,c,d\n')
    with pytest.raises(data.DataError, match="line 4 has 3 cells"):
        tables.read_csv(tmp_path / "s.csv")


def test_a_fifth_is_held_out_and_the_parts_are_all(tmp_path):
    header = ["x", "y"]
    rows = [[str(i), "ab"[i % 2]] for i in range(23)]
    dataset, table = tables.load(write(tmp_path / "t.csv", header, rows))
    assert (len(dataset.images), len(dataset.test_images)) == (19, 4)
    both = np.concatenate([dataset.images, dataset.test_images])
    assert sorted(table.decode(both)) == sorted(rows)
    again, _ = tables.load(tmp_path / "t.csv")
    np.testing.assert_array_equal(again.test_images, dataset.test_images)
    assert any("1 whole, 1 category" in note for note in dataset.notes)


def test_a_written_file_is_read_back(tmp_path):
    table = fitted()
    text = tables.write_csv(table, table.encode(HEADER, ROWS))
    (tmp_path / "s.csv").write_text(text)
    assert tables.read_csv(tmp_path / "s.csv") == (HEADER[:3], [row[:3] for row in ROWS])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("a,b\n1,x\n2,y,z\n", "line 3 has 3 cells, line 1 has 2"),
        ("a,a\n1,x\n2,y\n", "line 1 must name every column, each once"),
        ("a,\n1,x\n2,y\n", "line 1 must name every column"),
        ("a,b\n1,x\n", "1 rows; give names and at least 2 rows"),
        ("", "0 rows"),
        ('a,b\n1,"x\n2,y\n3,z\n', "save it again as CSV"),
        (b"a,b\n1,\xff\n2,y\n", "no UTF-8 text"),
        (None, "no such file"),
    ],
)
def test_files_that_are_no_table(tmp_path, body, says):
    path = tmp_path / "t.csv"
    if body is not None:
        path.write_bytes(body if isinstance(body, bytes) else body.encode())
    with pytest.raises(data.DataError, match=says) as caught:
        tables.read_csv(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "cells", "kind", "says"),
    [
        ("age", ["30", "old", "25", "60"], "whole", "column age, row 2: 'old', expected a number"),
        ("bmi", ["1", "", "nan", "4"], "number", r"row 2: an empty cell, .* \(2 such cells\)"),
        ("bmi", ["1", "inf", "3", "4"], "number", "row 2: 'inf', expected a number"),
        ("age", ["1", "2.5", "3", "4"], "whole", "row 2: '2.5' is not whole"),
        ("age", ["7", "7", "7", "7"], "whole", r"column age is constant \('7'\); skip it"),
        ("bmi", ["7", "7.0", "7", "7"], "number", "column bmi is constant"),
        ("job", ["x", "x", "x", "x"], "category", r"column job is constant \('x'\)"),
    ],
)
def test_cells_that_are_not_of_their_kind(column, cells, kind, says):
    place = HEADER.index(column)
    rows = [[*row[:place], cell, *row[place + 1 :]] for row, cell in zip(ROWS, cells, strict=True)]
    kinds = {name: "skip" for name in HEADER} | {column: kind}
    with pytest.raises(data.DataError, match=says):
        fitted(kinds, rows)


def test_too_many_categories_and_no_column():
    rows = [[f"{i}"] for i in range(101)]
    with pytest.raises(data.DataError, match="has 101 categories, at most 100"):
        tables.fit("t", ["x"], rows, {"x": "category"})
    assert tables.fit("t", ["x"], rows[:100], {"x": "category"}).width == 100
    with pytest.raises(data.DataError, match="all columns are skipped"):
        tables.fit("t", ["x"], rows, {"x": "skip"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"columns": {"age": "whole"}}', "column bmi is missing; say what it is, or skip"),
        ('{"columns": {"age": "integer"}}', "column age is 'integer': choose one of number, whole"),
        (
            '{"columns": {"size": "whole"}}',
            "the table has no column size; its columns are",
        ),
        ('{"column": {}}', "no schema"),
        ("[1, 2]", "no schema"),
        ("{", "no schema: JSONDecodeError"),
        ("[" * 100_000, "no schema: RecursionError"),
        (None, "no schema: ValueError: no such file"),
    ],
)
def test_schemas_that_do_not_fit(tmp_path, text, says):
    path = tmp_path / "s.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(data.DataError, match=says):
        tables.read_schema(path, HEADER)


def test_a_schema_decides(tmp_path):
    path = tmp_path / "s.json"
    kinds = {"age": "number", "bmi": "skip", "job": "category", "name": "category"}
    path.write_text(json.dumps({"columns": kinds}))
    _, table = tables.load(write(tmp_path / "t.csv"), path)
    assert [(c.name, c.kind) for c in table.columns] == [
        *(("age", "number"), ("job", "category"), ("name", "category")),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "skip"},
        {"low": 5.0, "high": 5.0},
        {"low": "1"},
        {"high": math.inf},
        {"high": 10**400},
        {"decimals": 10},
        {"decimals": True},
        {"name": 3},
        {"kind": "category", "categories": ["one"]},
        {"kind": "category", "categories": ["one", 2]},
        {"categories": None},
        {"other": 1},
    ],
)
def test_a_strangers_table_is_checked(change):
    described = tables.Table((tables.Column("x", "number", 0.0, 1.0, 2),)).to_dict()
    assert tables.from_dict(described).width == 1
    described["columns"][0].update(change)
    with pytest.raises(ValueError, match="its data's table is damaged"):
        tables.from_dict(described)
    for wrong in (None, {}, {"columns": []}, {"columns": [3]}):
        with pytest.raises(ValueError, match="damaged"):
            tables.from_dict(wrong)
