"""What a run leaves behind: metrics, pictures, and one page that shows them.

::

    runs/NAME/config.json         what was asked for, and where it ran
    runs/NAME/metrics.jsonl       one JSON object a line: {"step": 0, "penalty": 0.12, ...}
    runs/NAME/samples/*.png       named by the number of steps behind them
    runs/NAME/real.png            real images, to compare them with
    runs/NAME/tensorboard/        the same metrics and pictures for TensorBoard
    runs/NAME/result.json         final metrics
    runs/NAME/report.html         all of it in one file that needs no network

Row `step` of the metrics belongs to update number `step`, counted from 0: a state of S steps has
the rows 0 ... S - 1 behind it.  Metrics of its samples (coverage, sliced_distance, exact_w1, ...)
stand in the first row after it, row S; a run of S steps ends with a row S that has nothing else.
Files are replaced whole or appended to line by line, so a killed run leaves nothing that cannot be
read.

`wasserstein_estimate` is one number everywhere: the difference of the critic's mean scores on the
batches of one step. Below "Wasserstein estimate" the progress bar, result.json, the headline of the
page and the legend of its chart all have that of the run's last step (of a sweep, the median over
its trials).

The functions' examples write into this folder:

>>> import json, pathlib, tempfile
>>> folder = pathlib.Path(tempfile.mkdtemp())
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jwgan import check, files
from jwgan.report import page, rows
from jwgan.report.trackers import TensorBoard, Tracker

_PICTURE = re.compile(r"[0-9]{8,18}\.png")  # as a run names them; others are the user's


class Writer:
    """Appends a run's metrics to metrics.jsonl and to trackers.  A context manager.

    Opened at step S > 0, a writer continues a run. Rows of step S and later, a truncated last line,
    and pictures of more than S steps are removed first, so that nothing is there twice.

    Args:
      folder: the run directory, created if needed.
      step: S, the number of steps the state to be trained has behind it.
      stride: how many steps a row stands for, at most.
      trials: names of the K trials of a sweep, whose metrics are columns [length, K].
      trackers: what is shown the metrics and pictures, see `report.trackers`; unless given,
        TensorBoard, by files in the folder.
      thin_from: from this step on a row stands for 2 `stride` steps, from twice that on for 4, and
        so on: the rows of a long run grow with its logarithm; 0 for never.

    Raises:
      ValueError: stride is below 1, or metrics.jsonl is no regular file.
      MissingPackageError: tensorboardX is not installed.

    >>> with report.Writer(folder, stride=2, trackers=[]) as writer:
    ...     writer.scalars(0, {"loss": [4.0, 2.0, 1.0]}, rare={"coverage": 0.5})
    >>> for line in (folder / "metrics.jsonl").read_text().splitlines():
    ...     print(line)
    {"step": 0, "loss": 3.0, "loss_min": 2.0, "loss_max": 4.0, "coverage": 0.5}
    {"step": 2, "loss": 1.0, "loss_min": 1.0, "loss_max": 1.0}
    """

    def __init__(
        self,
        folder: files.AnyPath,
        step: int = 0,
        stride: int = 1,
        trials: Sequence[str] = (),
        thin_from: int = 0,
        trackers: Sequence[Tracker] | None = None,
    ):
        # Before the folder is made: a missing package leaves no half a run behind.
        if trackers is None:
            check.require_package("tensorboardX", "run")
        check.require(stride >= 1, "stride", stride, "give the steps of a row, 1 or more")
        self._folder, self._trials = Path(folder), trials
        self._stride, self._thin_from = stride, thin_from
        self._folder.mkdir(parents=True, exist_ok=True)
        # Before the file is opened for appending: replaced afterwards, our handle would write into
        # the old file, which no longer has a name.
        _truncate(self._folder, step)
        self._metrics = (self._folder / "metrics.jsonl").open("a", encoding="utf-8")
        self._trackers = [TensorBoard(self._folder, step)] if trackers is None else trackers

    def scalars(
        self, first: int, scalars: Mapping[str, Any], rare: Mapping[str, Any] | None = None
    ) -> None:
        """Writes the metrics of a chunk of steps and flushes them to the file.

        metrics.jsonl gets a row for each step, or for each window of steps: their mean, and as
        name_min and name_max their extremes, since a mean hides the spikes, which matter most.
        Windows begin at the multiples of their width, and where a chunk begins. Trackers get the
        chunk's last step.

        Args:
          first: the first row's step.
          scalars: {name: values [length]} for the steps first ... first + length - 1.
          rare: {name: value} of metrics that are measured now and then, here at the first step;
            other rows do not have them; None is a value that could not be measured.

        With trials, `scalars` has values [length, K] and `rare` has [K]; a row holds lists [K].

        Raises:
          ValueError: the values are of different or of other shapes.
        """
        columns = {name: np.asarray(values) for name, values in scalars.items()}
        shapes = {name: column.shape for name, column in columns.items()}
        axes = (len(self._trials),) if self._trials else ()
        same = len(set(shapes.values())) == 1 and next(iter(shapes.values()))[1:] == axes
        check.require(
            same and all(shapes.values()), "scalars", shapes, "give arrays of one shape [length]"
        )
        length = len(next(iter(columns.values())))
        if not length:
            return
        last = {name: column[-1] for name, column in columns.items()}
        self._show(last, first + length - 1)
        widths = self._widths(first + np.arange(length))
        # By the step itself and not by its place in the chunk. A window never spans two chunks: a
        # checkpoint lies between two rows, and a resumed run writes those of one that was never
        # stopped.
        begins = (first + np.arange(length)) % widths == 0
        begins |= np.diff(widths, prepend=0) != 0
        starts = np.flatnonzero(begins)
        written = rows.windows(columns, starts) if (widths > 1).any() else columns
        measured, lines = self._measured(first, rare or {}), []
        for i, start in enumerate(starts):
            # A row of a single step has no extremes.
            names = written if widths[start] > 1 else columns
            row = {name: written[name][i] for name in names}
            lines.append(rows.line(first + int(start), row | ({} if i else measured)))
        self._append("".join(lines))

    def _widths(self, steps: np.ndarray) -> np.ndarray:
        """How many steps the row of each step stands for, at most."""
        widths = np.full(len(steps), self._stride)
        if self._thin_from:
            # One of two from thin_from on, of four from 2 thin_from on: at 1, 2, 4, 8, ... of it.
            late = steps >= self._thin_from
            doublings = np.floor(np.log2(steps[late] / self._thin_from)).astype(int) + 1
            widths[late] *= 2**doublings
        return widths

    def evaluation(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Writes a row of metrics of samples alone: of the last state, which no step follows.

        Args:
          step: the number of steps behind the state.
          metrics: {name: value}, as `rare` of `scalars`.
        """
        self._append(rows.line(step, self._measured(step, metrics)))

    def _measured(self, step: int, metrics: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Metrics of samples as a row has them; trackers get them as well."""
        found = {name: np.asarray(value, np.float64) for name, value in metrics.items()}
        self._show(found, step)
        return found

    def _append(self, text: str) -> None:
        with files.named(self._metrics.name):
            self._metrics.write(text)
            # To the operating system: readers see the rows, and a killed process loses none of
            # them. Only `close` waits for the disk.
            self._metrics.flush()

    def _show(self, metrics: Mapping[str, Any], step: int) -> None:
        """Gives the trackers a step's values; each trial has a curve, in the metric's group."""
        numbers = {
            tag: float(number)
            for name, value in metrics.items()
            for tag, number in zip(
                [f"{name}/{trial}" for trial in self._trials] or [name],
                np.ravel(value),
                strict=True,
            )
        }
        for tracker in self._trackers if numbers else ():
            tracker.scalars(step, numbers)

    def image(self, name: str, step: int, image: np.ndarray) -> None:
        """Gives the trackers a picture uint8 [H, W, 1 or 3]; `save_png` keeps one as a file."""
        for tracker in self._trackers:
            tracker.image(name, step, image)

    def close(self) -> None:
        """Flushes to the disk and closes."""
        try:
            # A full disk must not keep it open; closing writes what is left, and may fail too.
            with files.named(self._metrics.name), self._metrics:
                self._metrics.flush()
                os.fsync(self._metrics.fileno())
        finally:
            for tracker in self._trackers:
                tracker.close()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def write_json(path: files.AnyPath, value: Any) -> None:
    """Writes a JSON file, whole or not at all; NaN and infinities become strings, arrays lists.

    >>> report.write_json(folder / "result.json", {"loss": np.float32(0.1), "k": np.nan})
    >>> json.loads((folder / "result.json").read_text())
    {'loss': 0.1, 'k': 'NaN'}
    """
    text = json.dumps(rows.plain(value), indent=2, allow_nan=False)
    files.replace(Path(path), (text + "\n").encode())


def write_report(folder: files.AnyPath) -> Path:
    """Makes report.html from what is in the run directory.

    Any of the files may be missing or damaged: the page shows what there is. A picture that is a
    link is left out.

    Returns:
      the page's path.

    Raises:
      ValueError: metrics.jsonl is no regular file.

    >>> report.write_json(folder / "config.json", {"experiment": "wgan_gp"})
    >>> page = report.write_report(folder)
    >>> page.name, "<h1>wgan_gp</h1>" in page.read_text()
    ('report.html', True)
    """
    folder = Path(folder)
    # A link could show any file of this machine on a page that is given away; a pipe would be
    # waited for.
    pictures = (folder / "samples").glob("*.png")
    found = sorted((p for p in pictures if p.is_file() and not p.is_symlink()), key=_steps_behind)
    real = folder / "real.png"
    text = page.render(
        config=_read_json(folder / "config.json"),
        result=_read_json(folder / "result.json"),
        metrics=rows.read_condensed(folder),
        pictures=[(_steps_behind(path), path.read_bytes()) for path in found],
        real=real.read_bytes() if real.is_file() and not real.is_symlink() else None,
    )
    files.replace(folder / "report.html", text.encode(errors="backslashreplace"))  # lone surrogates
    return folder / "report.html"


def _truncate(folder: Path, step: int) -> None:
    path = folder / "metrics.jsonl"
    if os.path.lexists(path):
        # Through `rows.lines`, which also ends a last line that was torn: the next row would be
        # appended to it.
        files.replace(path, (line.encode() for row, line in rows.lines(path) if row < step))
    for picture in (folder / "samples").glob("*.png"):
        # A picture of exactly `step` steps shows the state that goes on, and stays.
        if _PICTURE.fullmatch(picture.name) and _steps_behind(picture) > step:
            picture.unlink()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return _showable(value) if isinstance(value, dict) else {}


def _showable(value: Any, levels: int = 12) -> Any:
    """Shortens a JSON value to what a page can show: nesting and integers have a limit."""
    if isinstance(value, dict | list) and not levels:
        return "…"
    if isinstance(value, dict):
        return {name: _showable(inner, levels - 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_showable(inner, levels - 1) for inner in value]
    # Larger integers overflow where the page computes with floats, as `show_seconds` does.
    return str(value) if type(value) is int and abs(value) >= 2**63 else value


def _steps_behind(path: Path) -> int:
    """The number in a picture's name, 0 if there is none."""
    number = re.search(r"\d{1,18}", path.stem)
    return int(number[0]) if number else 0
