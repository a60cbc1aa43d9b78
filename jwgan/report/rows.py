"""metrics.jsonl: one JSON object per line, one line per step; a truncated last line is skipped."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jwgan import check, files

TRIALS = 10_000  # longest list of the values of K trials; a longer one is damage


def read_metrics(folder: files.AnyPath) -> dict[str, np.ndarray]:
    """Reads the metrics of a run as columns, in the order of its steps.

    Args:
      folder: the run directory; without a metrics.jsonl in it there are no rows.

    Returns:
      {"step": int64 [rows], metric: float64 [rows]}; [rows, K] for K trials. A metric that a row
      lacks is NaN. Damaged lines, such as a truncated last one, are left out.

    Raises:
      ValueError: metrics.jsonl is no regular file.
    """
    rows = [json.loads(text) for text in lines(Path(folder) / "metrics.jsonl")]
    # A dict keeps the order of first occurrence, which is that of the charts.
    names = {name: None for row in rows for name in row if name != "step"}
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    return {"step": np.array([row["step"] for row in rows], np.int64), **columns}


def _column(values: list[Any]) -> np.ndarray:
    """The values of a metric as [rows], or as [rows, K] if the first list among them has K."""
    lists = [value for value in values if isinstance(value, list) and 0 < len(value) <= TRIALS]
    if not lists:
        return np.array([number(value) for value in values])
    missing = [None] * len(lists[0])  # a row of other length is torn: NaN for all trials
    fits = lambda value: isinstance(value, list) and len(value) == len(missing)
    return np.array([[*map(number, value if fits(value) else missing)] for value in values])


def lines(path: Path) -> Iterator[str]:
    """Yields the undamaged lines, each step once, rising; none if there is no file.

    Raises:
      ValueError: `path` is no regular file: reading a pipe would never end.
    """
    last = -1
    if not os.path.lexists(path):
        return
    good = path.is_file() and not path.is_symlink()
    check.require(good, check.printable(str(path)), "no regular file", "move it away")
    # A line torn in the middle of a character must cost that line only.
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                step = json.loads(text)["step"]
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            # Rising: what a second writer or a copy has appended is passed over. Below 2**63, since
            # steps become int64. `type`: True is an int.
            if type(step) is int and last < step < 2**63:
                last = step
                yield text.rstrip("\n") + "\n"  # a killed run may have lost its last line end


def line(step: int, columns: Mapping[str, np.ndarray], i: int, rare: Mapping) -> str:
    """Writes row i as a line of JSON.

    Args:
      step: of the row.
      columns: {metric: values [rows, ...]}.
      i: the row's place in the columns.
      rare: {metric: value} of metrics that this row alone has.
    """
    row = {"step": step} | {name: plain(column[i]) for name, column in columns.items()}
    row |= {name: plain(value) for name, value in rare.items()}
    # JSON has no NaN and no infinity: allow_nan=False makes sure that `plain` left none.
    return json.dumps(row, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Makes a value of what JSON can hold: arrays become lists, NaN and infinities strings."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float | np.floating):
        # str keeps a float32's 0.1 from becoming 0.10000000149011612; float() reads "Infinity".
        return float(str(value)) if math.isfinite(value) else json.dumps(float(value))
    # NumPy's and JAX's arrays and scalars; item by item, for the short floats above.
    if hasattr(value, "tolist"):
        array = np.asarray(value)
        return [plain(inner) for inner in array] if array.ndim else plain(array.item())
    return value


def number(value: Any) -> float:
    """Reads a row's value as a float; what is no number is NaN."""
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return math.nan
