"""Connects a run with the terminal it was started from: signals, a progress bar, a table.

>>> import contextlib, io
"""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jwgan.report import bands, quantities

ROWS = 20  # of a table on the terminal; the page and result.json have all


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them, so that the chunk can end.

    >>> import signal
    >>> with console.stop_signals() as caught:
    ...     signal.raise_signal(signal.SIGTERM)
    >>> caught  # and the program goes on
    [15]
    """
    caught: list[int] = []
    # A signal is only noted: the loop looks between two chunks, where the state is whole. A second
    # Ctrl-C is noted as well and does not cut short the saving that the first one asked for.
    handle = lambda number, frame: caught.append(number)
    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        # Afterwards a signal means what it meant before: writing the report can be interrupted.
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def progress_bar(name: str, total: int, start: int) -> Iterator[Callable[[int, float, str], None]]:
    """A rich bar on stderr: steps/s of this session, the Wasserstein estimate, warnings.

    >>> with contextlib.redirect_stderr(io.StringIO()) as said:
    ...     with console.progress_bar("mine", total=10, start=4) as show:
    ...         show(7, 0.5, "collapse")
    >>> "7/10" in said.getvalue(), "collapse" in said.getvalue()
    (True, True)
    """
    # rich is optional, and --help must not need it: the import stands here.
    import rich.console
    import rich.table
    from rich import progress as bars

    # A narrow terminal breaks the other columns, and not these.
    whole = lambda: rich.table.Column(no_wrap=True)
    bar = bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=10),
        bars.MofNCompleteColumn(table_column=whole()),
        bars.TextColumn("{task.fields[speed]:.1f} steps/s", table_column=whole()),
        bars.TextColumn("Wasserstein estimate {task.fields[estimate]:+.4g}"),
        bars.TextColumn("[bold red]{task.fields[warning]}"),
        bars.TimeRemainingColumn(),
        # stdout belongs to the result, which --json gives to other programs.
        console=rich.console.Console(stderr=True),
    )
    # The steps before a resume took none of this session's time: speed counts from `start`.
    began = time.perf_counter()
    with bar:
        row = bar.add_task(name, total=total, completed=start, speed=0.0, estimate=0.0, warning="")

        def show(step: int, estimate: float, warning: str) -> None:
            speed = (step - start) / max(time.perf_counter() - began, 1e-9)
            bar.update(row, completed=step, speed=speed, estimate=estimate, warning=warning)

        yield show


def print_ranking(ranked: Sequence[Mapping[str, Any]]) -> None:
    """The trials of a sweep as a table on stderr, best first.

    >>> ranked = [{"trial": 1, "sliced_distance": 0.1}, {"trial": 0, "sliced_distance": 0.2}]
    >>> with contextlib.redirect_stderr(io.StringIO()) as said:
    ...     console.print_ranking(ranked)
    >>> for line in said.getvalue().splitlines()[2:6]:
    ...     print(line)
         trial  sliced distance ↓
         ─────────────────────────
             1                0.1
             0                0.2
    """
    import rich.box
    import rich.console
    import rich.table
    import rich.text

    head, rows = bands.ranking(ranked[:ROWS])
    more = f"; {len(ranked) - ROWS} more are on the page" if len(ranked) > ROWS else ""
    table = rich.table.Table(
        title="Trials, best first",
        caption=f"↓ lower is better, ↑ higher is better{more}",
        box=rich.box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for name in head:
        table.add_column(quantities.with_arrow(name), justify="right")
    for row in rows:
        # Text and no str: rich would take brackets in a cell for its own markup.
        table.add_row(*(rich.text.Text(cell) for cell in row))
    rich.console.Console(stderr=True).print(table)
