r"""Tables of a CSV file as vectors in [-1, 1], and back: numbers scaled, categories one-hot.

A schema says what each column is. It is inferred, can be written to a JSON file, edited, and given
back::

    {"columns": {"age": "whole", "bmi": "number", "job": "category", "name": "skip"}}

* number: a real number, scaled from its range in the data to [-1, 1]. It is scaled back to as many
  decimals as the file has.
* whole: a whole number, scaled back to the nearest one.
* category: one column for each of its values, 1 for the value and 0 for the others.
* skip: left out.

Cells of numbers must not be empty, not a number or infinite; an empty cell of a category is a value
of its own.

The functions' examples use this table:

>>> import pathlib, tempfile
>>> from jwgan.data import tables
>>> folder, header = pathlib.Path(tempfile.mkdtemp()), ["bmi", "job"]
>>> rows = [["20.0", "cook"], ["22.5", "smith"], ["25.0", "cook"]]
>>> _ = (folder / "people.csv").write_text("bmi,job\n20.0,cook\n22.5,smith\n25.0,cook\n")
>>> table = tables.fit("people.csv", header, rows, {"bmi": "number", "job": "category"})
"""

import collections
import csv
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jwgan import check
from jwgan.data.datasets import Dataset
from jwgan.data.errors import DataError

KINDS = ("number", "whole", "category", "skip")
MOST_CATEGORIES = 100  # of a column
_FEW = 10  # values of a column of whole numbers that is taken for a category
_MOST_DECIMALS = 9
_HELD_OUT = 5  # every so manyth row is held out
_FORMAT = "table"


class Column(NamedTuple):
    """A column of a table.

    Attributes:
      name: in the file's first line.
      kind: "number", "whole" or "category".
      low, high: of a number, in its own units.
      decimals: of a number; None for as many as a float has.
      categories: of a category, sorted.
    """

    name: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    decimals: int | None = None
    categories: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many places of a vector it takes."""
        return len(self.categories) if self.kind == "category" else 1

    def encode(self, cells: Sequence[str]) -> np.ndarray:
        """Cells [N] as float32 [N, width]."""
        if self.kind == "category":
            place = {value: i for i, value in enumerate(self.categories)}
            one_hot = np.zeros((len(cells), self.width), np.float32)
            one_hot[np.arange(len(cells)), [place[cell] for cell in cells]] = 1
            return one_hot
        x = np.array([float(cell) for cell in cells])
        return (2 * (x - self.low) / (self.high - self.low) - 1).astype(np.float32)[:, None]

    def values(self, x: np.ndarray) -> np.ndarray:
        """Places [N, width] as numbers [N] in their own units, or as numbers of categories [N]."""
        if self.kind == "category":
            return x.argmax(axis=1)
        found = self.low + (x[:, 0].astype(np.float64) + 1) / 2 * (self.high - self.low)
        if self.kind == "whole":
            return np.rint(found)
        return found if self.decimals is None else np.round(found, self.decimals)

    def decode(self, x: np.ndarray) -> list[str]:
        """Places [N, width] as cells [N]."""
        found = self.values(x)
        if self.kind == "category":
            return [self.categories[i] for i in found]
        if self.decimals is None and self.kind == "number":
            return [repr(float(value)) for value in found]
        # 0.0 is added: minus nothing is nothing.
        return [f"{value + 0.0:.{self.decimals or 0}f}" for value in found]


class Table(NamedTuple):
    """What the columns of a table are: vectors [N, D] from its rows, and back.

    Attributes:
      columns: those that are not skipped, in the file's order.
    """

    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        """D."""
        return sum(column.width for column in self.columns)

    @property
    def blocks(self) -> tuple[int, ...]:
        """For each column the number of its categories, 0 for a number."""
        return tuple(c.width if c.kind == "category" else 0 for c in self.columns)

    def parts(self, x: np.ndarray) -> list[np.ndarray]:
        """Vectors [N, D] divided into [N, width] of each column."""
        ends = np.cumsum([column.width for column in self.columns])[:-1]
        return np.split(x, ends, axis=1)

    def encode(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> np.ndarray:
        """Rows of cells as float32 [N, D]; every cell must be of its column's kind."""
        place = {name: i for i, name in enumerate(header)}
        parts = [c.encode([row[place[c.name]] for row in rows]) for c in self.columns]
        return np.concatenate(parts, axis=1)

    def decode(self, x: Any) -> list[list[str]]:
        """Vectors [N, D] as rows of cells, in the order of `columns`."""
        parts = zip(self.columns, self.parts(np.asarray(x)), strict=True)
        return [list(row) for row in zip(*(c.decode(part) for c, part in parts), strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, for `from_dict`."""
        columns = [{**c._asdict(), "categories": list(c.categories)} for c in self.columns]
        return {"kind": _FORMAT, "columns": columns}


def from_dict(found: Any) -> Table:
    """The table that `to_dict` wrote; a file's words are checked.

    Raises:
      ValueError: it is none.

    >>> tables.from_dict(table.to_dict()) == table
    True
    """
    try:
        columns = tuple(_column(one) for one in found["columns"])
        if not columns:
            raise ValueError("no columns")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"its data's table is damaged ({check.one_line(error)})") from error
    return Table(columns)


def _column(found: dict[str, Any]) -> Column:
    column = Column(**{**found, "categories": tuple(found["categories"])})
    ends = (column.low, column.high)
    # A whole number may be too large for a float.
    numbers = all(type(x) in (int, float) and abs(x) < 1e300 for x in ends)
    decimals = column.decimals
    words = (column.name, *column.categories)
    good = {
        "words": all(isinstance(word, str) for word in words),
        "kind": column.kind in KINDS[:3],
        "range": column.kind == "category" or (numbers and column.low < column.high),
        "categories": column.kind != "category" or len(column.categories) > 1,
        "decimals": decimals is None or (type(decimals) is int and 0 <= decimals <= _MOST_DECIMALS),
    }
    if wrong := [name for name, right in good.items() if not right]:
        raise ValueError(f"{wrong[0]} of {column.name!r}")
    return column


# Files


def read_csv(path: str | os.PathLike) -> tuple[list[str], list[list[str]]]:
    """Reads (names of the columns, rows of cells) of a file separated by commas, ; or tabs.

    Raises:
      DataError: no such file, no text, no names in its first line, or a row of another length.

    >>> tables.read_csv(folder / "people.csv") == (header, rows)
    True
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file, or no regular one; give a CSV file")
    try:
        text = path.read_text(encoding="utf-8-sig")  # without the mark that some programs put first
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: no UTF-8 text ({error.reason}); save it as UTF-8") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    # A quoted cell may hold line ends, so the text is not divided into lines before.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise DataError(f"{path}: {check.one_line(error)}; save it again as CSV") from error
    numbered = [(i, [cell.strip() for cell in row]) for i, row in lines if row]
    if len(numbered) < 3:
        raise DataError(f"{path}: {max(0, len(numbered) - 1)} rows; give names and at least 2 rows")
    header = numbered[0][1]
    if "" in header or len(set(header)) < len(header):
        raise DataError(f"{path}: line 1 must name every column, each once; it is {header}")
    for number, row in numbered[1:]:
        if len(row) != len(header):
            raise DataError(
                f"{path}: line {number} has {len(row)} cells, line 1 has {len(header)}; mend it"
            )
    return header, [row for _, row in numbered[1:]]


def infer(header: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """Guesses the kind of each column, for a schema that can be edited.

    Numbers are `whole` if all are, and a category if these have few values; text is a category,
    or skipped if nearly every row has another one or nothing varies.

    >>> rows = [["1.5", "a", "7", "x1"], ["2.0", "b", "7", "x2"], ["2.5", "a", "7", "x3"]]
    >>> tables.infer(["bmi", "job", "year", "name"], rows)
    {'bmi': 'number', 'job': 'category', 'year': 'skip', 'name': 'skip'}
    """
    columns = zip(header, zip(*rows, strict=True), strict=True)
    return {name: _guess(cells) for name, cells in columns}


def _guess(cells: Sequence[str]) -> str:
    different = set(cells)
    if len(different) < 2:
        return "skip"
    numbers = [_number(cell) for cell in cells if cell]
    # One cell of text among many numbers is a slip and not a category: let the reading say so.
    if sum(number is not None for number in numbers) > 0.9 * len(cells):
        whole = all(number is None or number.is_integer() for number in numbers)
        few = len(different) <= min(_FEW, len(cells) / 5)
        return "category" if whole and few else "whole" if whole else "number"
    ids = len(different) > max(2, len(cells) / 2) or len(different) > MOST_CATEGORIES
    return "skip" if ids else "category"


def _number(cell: str) -> float | None:
    try:
        found = float(cell)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def read_schema(path: str | os.PathLike, header: Sequence[str]) -> dict[str, str]:
    """The kinds of all columns as a JSON file says; see the top of this file.

    Raises:
      DataError: no such file, no schema, or it names other columns than the table's.

    >>> _ = (folder / "schema.json").write_text('{"columns": {"bmi": "number", "job": "skip"}}')
    >>> tables.read_schema(folder / "schema.json", header)
    {'bmi': 'number', 'job': 'skip'}
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ValueError("no such file, or no regular one")
        found = json.loads(path.read_text(encoding="utf-8"))
        kinds = found["columns"] if isinstance(found, dict) else None
        if not isinstance(kinds, dict):
            raise ValueError('no {"columns": {NAME: KIND, ...}}')
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise DataError(f"{path}: no schema: {check.one_line(error)}") from error
    for name, kind in kinds.items():
        if kind not in KINDS:
            raise DataError(f"{path}: column {name} is {kind!r}: choose one of {', '.join(KINDS)}")
        if name not in header:
            there = ", ".join(header[:8])
            raise DataError(f"{path}: the table has no column {name}; its columns are {there}")
    if missing := [name for name in header if name not in kinds]:
        raise DataError(f"{path}: column {missing[0]} is missing; say what it is, or skip")
    return dict(kinds)


def fit(
    what: str, header: Sequence[str], rows: Sequence[Sequence[str]], kinds: dict[str, str]
) -> Table:
    """Finds ranges, decimals and categories of the columns that are not skipped.

    Args:
      what: the file's name, for messages.

    Raises:
      DataError: a cell is not of its column's kind, a column is constant, or none is left.

    >>> table = tables.fit("people.csv", header, rows, {"bmi": "number", "job": "category"})
    >>> [(c.name, c.low, c.high, c.decimals, c.categories) for c in table.columns]
    [('bmi', 20.0, 25.0, 1, ()), ('job', 0.0, 0.0, None, ('cook', 'smith'))]
    >>> table.encode(header, rows).tolist()
    [[-1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    columns = zip(header, zip(*rows, strict=True), strict=True)
    found = tuple(
        _fit_column(what, name, kinds[name], cells)
        for name, cells in columns
        if kinds[name] != "skip"
    )
    if not found:
        raise DataError(f"{what}: all columns are skipped; keep at least one")
    return Table(found)


def _fit_column(what: str, name: str, kind: str, cells: Sequence[str]) -> Column:
    where = f"{what}: column {name}"
    if len(set(cells)) < 2:
        raise DataError(f"{where} is constant ({cells[0]!r}); skip it in the schema")
    if kind == "category":
        categories = tuple(sorted(set(cells)))
        if len(categories) > MOST_CATEGORIES:
            raise DataError(
                f"{where} has {len(categories)} categories, at most {MOST_CATEGORIES} are taken; "
                "skip it in the schema, or join rare ones"
            )
        return Column(name, kind, categories=categories)
    numbers = [_number(cell) for cell in cells]
    bad = [i for i, number in enumerate(numbers) if number is None]
    if bad:
        shown = "an empty cell" if not cells[bad[0]] else repr(cells[bad[0]])
        raise DataError(
            f"{where}, row {bad[0] + 1}: {shown}, expected a number ({len(bad)} such cells); fill "
            "or remove them, or make it a category or skip it in the schema"
        )
    x = np.array(numbers, np.float64)
    if kind == "whole" and not (x == np.rint(x)).all():
        first = int(np.flatnonzero(x != np.rint(x))[0])
        raise DataError(
            f"{where}, row {first + 1}: {cells[first]!r} is not whole; make it a number"
        )
    if not x.max() > x.min():  # "1.0" and "1" are two cells and one number
        raise DataError(f"{where} is constant ({cells[0]!r}); skip it in the schema")
    decimals = 0 if kind == "whole" else _decimals(cells)
    return Column(name, kind, float(x.min()), float(x.max()), decimals)


def _decimals(cells: Sequence[str]) -> int | None:
    """The most decimals of a column's numbers; None where one is written with an exponent."""
    found = [len(cell.partition(".")[2]) if "e" not in cell.lower() else 99 for cell in cells]
    return max(found) if max(found) <= _MOST_DECIMALS else None


def load(path: str | os.PathLike, schema: str | os.PathLike | None = None) -> tuple[Dataset, Table]:
    """Loads a CSV file; a fifth of its rows, chosen at random once and for all, is held out.

    Args:
      path: of the CSV file.
      schema: a JSON file, see the top of this file; inferred without.

    Returns:
      (the data set, whose images are vectors [N, D], and its table).

    Raises:
      DataError: see `read_csv`, `read_schema` and `fit`.

    >>> dataset, table = tables.load(folder / "people.csv")
    >>> dataset.name, dataset.images.tolist()
    ('people', [[-1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    """
    header, rows = read_csv(path)
    kinds = read_schema(schema, header) if schema else infer(header, rows)
    return from_rows(Path(path).stem, str(path), header, rows, kinds)


def from_rows(
    name: str,
    source: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    kinds: dict[str, str] | None = None,
) -> tuple[Dataset, Table]:
    """Does for rows of cells what `load` does for a file.

    Args:
      name: of the data set.
      source: where the rows come from, for messages.
      header: names of the columns.
      rows: cells, as many in each as there are names.
      kinds: of all columns, see the top of this file; inferred without.

    Raises:
      DataError: see `fit`.

    >>> dataset, table = tables.from_rows("people", "a database", header, rows)
    >>> dataset.notes, table.decode(dataset.images) == rows
    (('columns: 1 number, 1 category',), True)
    """
    kinds = kinds or infer(header, rows)
    table = fit(source, header, rows, kinds)
    x = table.encode(header, rows)
    order = np.random.default_rng(0).permutation(len(x))
    held_out = np.sort(order[: len(x) // _HELD_OUT])
    train = np.delete(x, held_out, axis=0)
    counts = collections.Counter(column.kind for column in table.columns)
    kinds_said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    skipped = [column for column, kind in kinds.items() if kind == "skip"]
    notes = [f"columns: {kinds_said}"]
    if skipped:
        notes.append(f"skipped: {', '.join(skipped[:8])}{', ...' if len(skipped) > 8 else ''}")
    test = x[held_out] if len(held_out) else None
    dataset = Dataset(name, train, None, test, None, (), source, tuple(notes))
    return dataset, table


def write_csv(table: Table, x: Any) -> str:
    """Samples [N, D] as the text of a CSV file.

    >>> tables.write_csv(table, [[-1.0, 0.9, 0.1], [0.5, 0.2, 0.8]]).splitlines()
    ['bmi,job', '20.0,cook', '23.8,smith']
    """
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows(table.decode(x))
    return "".join(lines)


class _Lines(list[str]):
    """What csv writes into."""

    write = list.append
