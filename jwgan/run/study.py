"""The shell of the experiments that end in a picture and a page rather than in a trained run.

Such a module has a docstring, a Config, `measure(config) -> figures`, and
`page(result) -> Report`; `run` does the rest: checks, a folder, files, the table on the terminal.
"""

import dataclasses
import json
import math
import pathlib
import shlex
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jwgan import files, report
from jwgan.report import article
from jwgan.run import directory, options, output, xla


class Report(NamedTuple):
    """What a page shows.

    Attributes:
      title: of the page.
      blocks: of `jwgan.article`.
      pictures: {name: PNG file}, also written beside the page.
      table: (head, rows) for the terminal.
    """

    title: str
    blocks: list[Any]
    pictures: dict[str, bytes]
    table: tuple[Sequence[str], Sequence[Sequence[str]]]


def run(
    config: Any,
    name: str,
    doc: str,
    measure: Callable[[Any], dict[str, Any]],
    page: Callable[[dict[str, Any]], Report],
) -> None:
    """Measures, writes result.json, the pictures and report.html, prints the table or JSON.

    Raises:
      SystemExit: bad input; its code is 2, after one line on stderr.

    >>> import dataclasses, pathlib, tempfile
    >>> @dataclasses.dataclass(frozen=True)
    ... class Config:
    ...     theta: float = 0.5
    ...     out: str | None = None
    ...     json: bool = False
    >>> config = Config(out=tempfile.mkdtemp())
    >>> measure = lambda config: {"w1": config.theta}
    >>> page = lambda result: study.Report("W1", [], {}, (["theta", "W1"], [["0.5", result["w1"]]]))
    >>> study.run(config, "mine", "Mine: an example.", measure, page)
    theta   W1
      0.5  0.5
    report: ...report.html
    """
    try:
        options.check_numbers(config)
        folder = new_folder(config.out, name)
    except ValueError as error:
        options.fail(error)
    xla.use_compilation_cache()
    # CPU seconds stand beside wall seconds: they do not depend on what else the machine does.
    began, began_cpu = time.perf_counter(), time.process_time()
    figures = measure(config)
    spent = {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - began_cpu, 2),
    }
    chosen = dataclasses.asdict(config)
    # Where the result is written and how it is printed are no part of it; `out` names a place of
    # this machine.
    del chosen["out"], chosen["json"]
    result = {**chosen, **spent, **figures}
    write(folder, command_of(config, name), doc, result, page(result), config.json)


def command_of(config: Any, name: str) -> str:
    """The command line that repeats a study: its options, but for defaults, `out` and `json`.

    Args:
      config: its options.
      name: of the module in experiments/.

    >>> import dataclasses
    >>> @dataclasses.dataclass(frozen=True)
    ... class Config:
    ...     theta: float = 0.5
    ...     at_once: bool = False
    ...     out: str | None = None
    >>> study.command_of(Config(theta=2.0, at_once=True, out="here"), "mine")
    'python -m experiments.mine --theta 2.0 --at-once'
    """
    words = ["python", "-m", f"experiments.{name}"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in ("out", "json") and value != field.default:
            words += [f"--{field.name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)


def new_folder(out: str | None, name: str) -> pathlib.Path:
    """Chooses where to write: `out`, which must be new or empty, or the next runs/NAME-K.

    Raises:
      ValueError: something is there already.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> str(study.new_folder(folder, "mine")) == folder  # it is empty
    True
    """
    root = pathlib.Path("runs")
    numbers = directory.numbered(root, name)
    folder = pathlib.Path(out) if out else root / f"{name}-{max(numbers, default=0) + 1}"
    # A folder is never overwritten: a result may have taken hours.
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"out is {folder}: something is there already; give another --out")
    return folder


def write(
    folder: pathlib.Path, command: str, doc: str, result: dict, page: Report, as_json: bool
) -> None:
    """Writes result.json, the pictures and report.html into a folder; prints the table or JSON.

    Args:
      folder: there already, or made.
      command: that repeats it.
      doc: the docstring of its module.
      result: with "cpu_seconds".
      page: what the page shows.
      as_json: print the result as one line of JSON, in place of the table.

    >>> import pathlib, tempfile
    >>> from jwgan.run import study
    >>> report = study.Report("Two", [], {}, (("W1",), [("0.5",)]))
    >>> with tempfile.TemporaryDirectory() as out:
    ...     folder = pathlib.Path(out)
    ...     study.write(folder, "two", "Two.", {"cpu_seconds": 1}, report, as_json=True)
    ...     print(sorted(path.name for path in folder.iterdir()))
    {"cpu_seconds": 1}
    ['report.html', 'result.json']
    """
    report.write_json(folder / "result.json", result)
    for picture, png_file in page.pictures.items():
        files.replace(folder / f"{picture}.png", png_file)
    blocks = [
        *page.blocks,
        article.Heading("To repeat it"),
        article.Code(command),
        article.Paragraph(f"It took {result['cpu_seconds']} s of one processor core here."),
    ]
    over = f"jwgan · {doc.strip().splitlines()[0].split(':')[0]}"
    path = folder / "report.html"
    files.replace(path, article.render(page.title, over, blocks).encode())
    if as_json:
        output.show(json.dumps(result))
        return
    output.show(text_table(*page.table))
    output.show(f"report: {path}")


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under one another, for a terminal.

    >>> from jwgan.run import study
    >>> print(study.text_table(("theta", "W1"), [("0.5", "0.5"), ("1", "1.0")]))
    theta   W1
      0.5  0.5
        1  1.0
    """
    lines = [list(map(str, line)) for line in (head, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def cell(value: float, digits: int = 3) -> str:
    """Rounds a number for a table; nothing where there is none.

    >>> from jwgan.run import study
    >>> study.cell(0.12345), study.cell(float("nan"))
    ('0.123', '')
    """
    # NaN marks a cell that has no value, for example a setting that was not measured.
    return "" if math.isnan(value) else f"{value:.{digits}f}"
