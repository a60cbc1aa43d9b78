r"""metrics.jsonl: one JSON object per line, one line per step; a truncated last line is skipped.

With --log-every N, and late in a long run, a line stands for several steps: each metric is their
mean, and METRIC_min and METRIC_max are beside it, so that no spike is lost.

The functions' examples read this folder, whose last line was cut:

>>> import pathlib, tempfile
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> text = '{"step": 0, "loss": 2.0}\n{"step": 1, "loss": "Infinity"}\n{"step": 2, "lo'
>>> _ = (folder / "metrics.jsonl").write_text(text)
"""

import contextlib
import itertools
import json
import math
import os
import sys
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jwgan import check, files

TRIALS = 10_000  # longest list of the values of K trials; a longer one is damage
BLOCK = 1000  # lines that are read at a time
NAMES = 1000  # metrics of a condensed file, at most: a page with more charts helps nobody
LOW, HIGH = "_min", "_max"  # what the names of a window's extremes end with


def read_metrics(folder: files.AnyPath) -> dict[str, np.ndarray]:
    """Reads the metrics of a run as columns, in the order of its steps.

    Args:
      folder: the run directory; without a metrics.jsonl in it there are no rows.

    Returns:
      {"step": int64 [rows], metric: float64 [rows]}; [rows, K] for K trials. A metric that a row
      lacks is NaN. Damaged lines, such as a truncated last one, are left out.

    Raises:
      ValueError: metrics.jsonl is no regular file.

    >>> rows.read_metrics(folder)
    {'step': array([0, 1]), 'loss': array([ 2., inf])}
    """
    rows = [row for _, row in _good(Path(folder) / "metrics.jsonl")]
    # A dict keeps the order of first occurrence, which is that of the charts.
    names = {name: None for row in rows for name in row if name != "step"}
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    return {"step": np.array([row["step"] for row in rows], np.int64), **columns}


class Condensed(NamedTuple):
    """The metrics of a run of any length, in a memory that does not grow with it.

    Attributes:
      columns: {"step": [buckets], metric: means [buckets]}, with METRIC_min and METRIC_max where a
        bucket is more than a row; of K trials means [buckets, K] alone.
      non_finite: {metric: (how many of its values are NaN or infinite, the first one's step)}.
      steps: training steps behind the last row.
    """

    columns: dict[str, np.ndarray]
    non_finite: dict[str, tuple[int, int]]
    steps: int


def read_condensed(folder: files.AnyPath, most: int = 2000) -> Condensed:
    """Reads the metrics of a run as at least `most` buckets of neighbouring rows, if there are.

    Args:
      folder: the run directory.
      most: a file of up to 2 `most` rows is left as it is; of many trials there are fewer buckets.

    Raises:
      ValueError: metrics.jsonl is no regular file.

    >>> found = rows.read_condensed(folder)
    >>> found.columns, found.non_finite, found.steps
    ({'step': array([0, 1]), 'loss': array([ 2., nan])}, {'loss': (1, 1)}, 2)
    """
    buckets = _Buckets(most)
    rows = (row for _, row in _good(Path(folder) / "metrics.jsonl"))
    while block := list(itertools.islice(rows, BLOCK)):
        buckets.add(block)
    return buckets.condensed()


def described(columns: Mapping[str, np.ndarray]) -> Condensed:
    """Columns as `read_metrics` gives them, with what `read_condensed` says of a file.

    A missing value is NaN there: a metric that the first or the last row lacks is measured now and
    then.

    >>> found = rows.described(rows.read_metrics(folder))
    >>> found.non_finite, found.steps
    ({'loss': (1, 1)}, 2)
    """
    steps, mine = columns.get("step", np.zeros(0, np.int64)), names(columns)
    bad = {name: ~np.isfinite(columns[name].reshape(len(steps), -1)).all(axis=1) for name in mine}
    # The row of a last evaluation has what is measured now and then, and nothing of training.
    last = [name for name in mine if len(steps) and not bad[name][-1]]
    ended = bool(last) and all(bad[name][0] for name in last)
    done = int(steps[-1]) + (not ended) if len(steps) else 0
    found = {}
    for name, rows_of in bad.items():
        places = np.flatnonzero(rows_of[: len(steps) - ended])
        if len(places) and (0 not in places or rows_of.all()):
            found[name] = (len(places), int(steps[places[0]]))
    return Condensed(dict(columns), found, done)


def names(columns: Mapping[str, Any]) -> list[str]:
    """The metrics among the columns: neither the steps nor the extremes of windows.

    >>> rows.names({"step": [], "loss": [], "loss_min": [], "loss_max": [], "my_max": []})
    ['loss', 'my_max']
    """
    return [name for name in columns if name != "step" and not is_extreme(name, columns)]


def is_number(value: Any) -> bool:
    """Whether a value of a JSON file is a finite number that a float can hold.

    >>> [rows.is_number(value) for value in (1, 0.5, float("nan"), 10**400, True, "2")]
    [True, True, False, False, False, False]
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max


class _Sums(NamedTuple):
    """Of a metric, over the rows of each bucket that have a finite value of it: [buckets, ...]."""

    total: np.ndarray
    num: np.ndarray
    low: np.ndarray
    high: np.ndarray


class _Buckets:
    """Collects rows in buckets of `width` neighbours; once there are too many, two become one."""

    def __init__(self, most: int):
        self.most, self.width, self.rows = most, 1, 0
        self.steps = np.zeros(0, np.int64)  # the first one of each bucket
        self.last_step, self.steps_done = 0, 0
        self.of: dict[str, _Sums] = {}
        self.non_finite: dict[str, tuple[int, int]] = {}
        self.first_names: frozenset[str] = frozenset()

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Adds the rows that follow."""
        steps = np.array([row["step"] for row in rows], np.int64)
        places = (self.rows + np.arange(len(rows))) // self.width
        # A bucket has the step of its first row.
        new = np.flatnonzero((self.rows + np.arange(len(rows))) % self.width == 0)
        self.steps = np.concatenate([self.steps, steps[new]])
        names = dict.fromkeys(name for row in rows for name in row if name != "step")
        for name in names:
            if name in self.of or len(self.of) < NAMES:
                self._add(name, [row.get(name) for row in rows], places, steps)
        self.rows, self.last_step = self.rows + len(rows), int(steps[-1])
        # The row of the last evaluation has no step of training behind its number.
        self.first_names = self.first_names or frozenset(rows[0].keys() - {"step"})
        trained = bool(self.first_names & rows[-1].keys())
        self.steps_done = self.last_step + 1 if trained else self.last_step
        while len(self.steps) > 2 * self.most:
            self._fold()

    def _add(self, name: str, given: list[Any], places: np.ndarray, steps: np.ndarray) -> None:
        values = _column(given)
        known = self.of.get(name)
        if known is None:
            known = _empty(0, values.shape[1:])
            # The memory is that of `most` buckets of a few trials, however many there are.
            self.most = min(self.most, max(100, 400_000 // max(1, *values.shape[1:], 1)))
        shape = known.total.shape[1:]
        if values.shape[1:] != shape:  # a number among lists, or lists of another length
            values = np.full((len(given), *shape), np.nan)
        sums = self._filled(known)
        finite = np.isfinite(values)
        np.add.at(sums.total, places, np.where(finite, values, 0.0))
        np.add.at(sums.num, places, finite)
        np.minimum.at(sums.low, places, np.where(finite, values, np.inf))
        np.maximum.at(sums.high, places, np.where(finite, values, -np.inf))
        self.of[name] = sums
        if not finite.all():
            there = np.array([value is not None for value in given])
            bad = there & ~finite.reshape(len(given), -1).all(axis=1)
            self._note(name, steps[bad])

    def _note(self, name: str, steps: np.ndarray) -> None:
        if len(steps):
            count, first = self.non_finite.get(name, (0, int(steps[0])))
            self.non_finite[name] = (count + len(steps), first)

    def _fold(self) -> None:
        pairs, ways = np.arange(0, len(self.steps), 2), (np.add, np.add, np.minimum, np.maximum)
        for name, known in self.of.items():
            whole = zip(ways, self._filled(known), strict=True)
            self.of[name] = _Sums(*(way.reduceat(x, pairs, axis=0) for way, x in whole))
        self.steps, self.width = self.steps[::2], 2 * self.width

    def condensed(self) -> Condensed:
        """What was collected."""
        whole = {name: self._filled(known) for name, known in self.of.items()}
        columns = {}
        for name, known in whole.items():
            if is_extreme(name, whole):
                continue
            some = known.num > 0
            columns[name] = np.where(some, known.total / np.maximum(known.num, 1), np.nan)
            # The bands of a sweep's page are over its trials: extremes of each would be too many.
            if known.total.ndim == 1 and (self.width > 1 or name + LOW in whole):
                # Rows of one step have no extremes: they are their own.
                least, largest = whole.get(name + LOW, known), whole.get(name + HIGH, known)
                columns[name + LOW] = np.where(some, np.minimum(known.low, least.low), np.nan)
                columns[name + HIGH] = np.where(some, np.maximum(known.high, largest.high), np.nan)
        # The axis of all charts ends at the last row.
        steps = self.steps.copy()
        steps[-1:] = self.last_step
        return Condensed({"step": steps, **columns}, self.non_finite, self.steps_done)

    def _filled(self, known: _Sums) -> _Sums:
        """The sums with empty buckets at the end: a metric that the last rows lack ends early."""
        more = _empty(len(self.steps) - len(known.total), known.total.shape[1:])
        return _Sums(*(np.concatenate(pair) for pair in zip(known, more, strict=True)))


def is_extreme(name: str, names: Container[str]) -> bool:
    """Whether a column is the least or the largest value of another one's windows.

    >>> rows.is_extreme("loss_min", {"loss", "loss_min"}), rows.is_extreme("my_min", {"my_min"})
    (True, False)
    """
    return any(name.endswith(end) and name.removesuffix(end) in names for end in (LOW, HIGH))


def _empty(num: int, shape: tuple[int, ...]) -> _Sums:
    size = (num, *shape)
    return _Sums(np.zeros(size), np.zeros(size), np.full(size, np.inf), np.full(size, -np.inf))


def _column(values: list[Any]) -> np.ndarray:
    """The values of a metric as [rows], or as [rows, K] if the first list among them has K."""
    # Numbers alone, as nearly all columns have them, are converted at once.
    if set(map(type, values)) <= {int, float}:
        with contextlib.suppress(OverflowError):  # a whole number of more than 308 digits
            return np.array(values, np.float64)
    lists = [value for value in values if isinstance(value, list) and 0 < len(value) <= TRIALS]
    if not lists:
        return np.array([_number(value) for value in values])
    missing = [None] * len(lists[0])  # a row of other length is torn: NaN for all trials
    fits = lambda value: isinstance(value, list) and len(value) == len(missing)
    return np.array([[*map(_number, value if fits(value) else missing)] for value in values])


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (step, line) of the undamaged lines, each step once, rising; none if there is no file.

    Raises:
      ValueError: `path` is no regular file: reading a pipe would never end.

    >>> [(step, line.strip()) for step, line in rows.lines(folder / "metrics.jsonl")]
    [(0, '{"step": 0, "loss": 2.0}'), (1, '{"step": 1, "loss": "Infinity"}')]
    """
    for text, row in _good(path):
        yield row["step"], text.rstrip("\n") + "\n"  # a killed run may have lost its last line end


def _good(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the undamaged lines and what they hold, see `lines`."""
    last = -1
    if not os.path.lexists(path):
        return
    good = path.is_file() and not path.is_symlink()
    check.require(good, check.printable(str(path)), "no regular file", "move it away")
    # A line torn in the middle of a character must cost that line only.
    with path.open(encoding="utf-8", errors="replace") as file:
        while block := list(itertools.islice(file, BLOCK)):
            for text, row in _parsed(block):
                step = row.get("step") if isinstance(row, dict) else None
                # Rising: what a second writer or a copy has appended is passed over. Below 2**63,
                # since steps become int64. `type`: True is an int.
                if type(step) is int and last < step < 2**63:
                    last = step
                    yield text, row


def _parsed(block: list[str]) -> Iterator[tuple[str, Any]]:
    """Yields (line, what it holds), None where it holds nothing."""
    bare = [text.strip() for text in block]
    # A thousand lines as one list take half the time of one after another.
    if all(text.startswith("{") and text.endswith("}") for text in bare):
        found = _read(f"[{','.join(bare)}]")
        if found is not None and len(found) == len(block):
            yield from zip(block, found, strict=True)
            return
    yield from ((text, _read(text)) for text in block)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def windows(columns: Mapping[str, np.ndarray], starts: np.ndarray) -> dict[str, np.ndarray]:
    """Means, least and largest values of windows of rows: {metric, metric_min, metric_max}.

    Args:
      columns: {metric: values [rows, ...]}.
      starts: [windows], the row in which each begins; it ends where the next one begins.

    >>> rows.windows({"loss": np.array([1.0, 3.0, 5.0])}, starts=np.array([0, 2]))
    {'loss': array([2., 5.]), 'loss_min': array([1., 5.]), 'loss_max': array([3., 5.])}
    """
    found: dict[str, np.ndarray] = {}
    for name, values in columns.items():
        length = np.diff(np.r_[starts, len(values)]).reshape(-1, *[1] * (values.ndim - 1))
        # A sum of float32 loses digits, and infinities of both signs have none: NaN, silently.
        with np.errstate(invalid="ignore", over="ignore"):
            mean = np.add.reduceat(values, starts, axis=0, dtype=np.float64) / length
        kept = values.dtype if np.issubdtype(values.dtype, np.floating) else np.float32
        found[name] = mean.astype(kept)
        found[name + LOW] = np.minimum.reduceat(values, starts, axis=0)
        found[name + HIGH] = np.maximum.reduceat(values, starts, axis=0)
    return found


def line(step: int, values: Mapping[str, Any]) -> str:
    """Writes a row {metric: value} as a line of JSON.

    >>> rows.line(3, {"loss": np.float32(0.1), "slope": np.nan}).strip()
    '{"step": 3, "loss": 0.1, "slope": "NaN"}'
    """
    row = {"step": step} | {name: plain(value) for name, value in values.items()}
    # JSON has no NaN and no infinity: allow_nan=False makes sure that `plain` left none.
    return json.dumps(row, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Makes a value of what JSON can hold: arrays become lists, NaN and infinities strings.

    >>> rows.plain({"w": jnp.array([0.1, jnp.inf]), "shape": (28, 28)})
    {'w': [0.1, 'Infinity'], 'shape': [28, 28]}
    """
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


def _number(value: Any) -> float:
    """Reads a row's value as a float; what is no number is NaN."""
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return math.nan
