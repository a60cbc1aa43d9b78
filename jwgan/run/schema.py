"""Writes what the columns of a CSV file are, as a JSON file to be edited.

    python -m jwgan.run schema people.csv --out people.json

Kinds are number, whole, category and skip; `jwgan.data.tables` says how they are guessed and what
becomes of them.
"""

import dataclasses
import json
import pathlib

from jwgan import files
from jwgan.data import tables
from jwgan.run import options, output
from jwgan.run.options import option


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `schema`.

    >>> schema.Config("people.csv").out  # "": print it
    ''
    """

    table: str = option("", "the CSV file")
    out: str = option("", "JSON file to write (default: print it)")


def main(argv: list[str] | None = None, doc: str | None = __doc__) -> None:
    """The command `schema TABLE`.

    Raises:
      SystemExit: bad input; its code is 2, after one line on stderr.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "people.csv")
    >>> path.write_text("name,age\\nAnn,31\\nBob,40\\n")
    23
    >>> schema.main([str(path)])
    {
     "columns": {
      "name": "category",
      "age": "whole"
     }
    }
    """
    config = options.parse(Config, argv, doc or "", "table", options.program_name(argv, "schema"))
    try:
        found = tables.infer(*tables.read_csv(config.table))
        text = json.dumps({"columns": found}, indent=1, ensure_ascii=False)
        out = pathlib.Path(config.out)
        if config.out and out.exists():
            raise ValueError(f"out is {config.out!r}: it is there already; give another name")
        if config.out:
            files.replace(out, f"{text}\n".encode())
    except (ValueError, OSError) as error:
        options.fail(error)
    if not config.out:
        output.show(text)
