"""metrics.jsonl: one JSON object a line, a row a step; what a kill left torn is passed over."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jwgan.check import printable, require

TRIALS = 10_000  # runs side by side, at most: a longer list is no row's
_Path = str | os.PathLike[str]


def read_metrics(folder: _Path) -> dict[str, np.ndarray]:
    """The columns of a run's metrics.jsonl, `step` (int) and float64 [rows], rising in step.

    What a row does not have is NaN.  Lines that are no rows (a torn last one) are left out.  Of K
    runs side by side, whose rows hold lists, columns are [rows, K].
    """
    rows = [json.loads(text) for text in whole(Path(folder) / "metrics.jsonl")]
    names = {name: None for row in rows for name in row if name != "step"}
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    return {"step": np.array([row["step"] for row in rows], np.int64), **columns}


def _column(values: list[Any]) -> np.ndarray:
    """[rows], or [rows, K] where the first list is one of K."""
    lists = [value for value in values if isinstance(value, list) and 0 < len(value) <= TRIALS]
    if not lists:
        return np.array([number(value) for value in values])
    missing = [None] * len(lists[0])
    fits = lambda value: isinstance(value, list) and len(value) == len(missing)
    return np.array([[*map(number, value if fits(value) else missing)] for value in values])


def whole(path: Path) -> Iterator[str]:
    """The lines that are rows, each step once, rising; nothing if there is no file."""
    last = -1
    if not os.path.lexists(path):
        return
    good = path.is_file() and not path.is_symlink()
    require(good, printable(str(path)), "no regular file", "move it away")
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                step = json.loads(text)["step"]
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            if type(step) is int and last < step < 2**63:
                last = step
                yield text.rstrip("\n") + "\n"  # a kill may have come between row and line end


def line(step: int, columns: Mapping[str, np.ndarray], i: int, rare: Mapping) -> str:
    """The i-th row of the columns, and figures that this row alone has."""
    row = {"step": step} | {name: plain(column[i]) for name, column in columns.items()}
    row |= {name: plain(value) for name, value in rare.items()}
    return json.dumps(row, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """`value` as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float | np.floating):
        # float32 0.1 as 0.1, not as 0.10000000149011612; "NaN" and "Infinity" as float() reads them
        return float(str(value)) if math.isfinite(value) else json.dumps(float(value))
    if hasattr(value, "tolist"):
        array = np.asarray(value)
        return [plain(inner) for inner in array] if array.ndim else plain(array.item())
    return value


def number(value: Any) -> float:
    """A row's value as a float; NaN for what is none."""
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return math.nan
