"""The shell of a bench: options in, one JSON object out.

A bench has a docstring, a frozen dataclass of options with a bool `json`, and
`measure(config) -> result`::

    def main(argv: list[str] | None = None) -> None:
        command.run(Config, measure, __doc__, argv=argv)

One that ends in pictures and a page has `study.run` instead, a training run has `launch.main`.

>>> import dataclasses
>>> @dataclasses.dataclass(frozen=True)
... class Config:
...     points: int = run.option(3, "in a row")
...     json: bool = run.option(False, "print one line of JSON")
"""

import json
from collections.abc import Callable
from typing import Any

from jwgan.run import options, output, xla


def _make_fast() -> None:
    """Keeps compiled programs for the next command, and multiplies small matrices with Eigen."""
    xla.use_compilation_cache()
    xla.use_eigen()


def as_json(config: Any, result: dict[str, Any]) -> str:
    """The result as JSON: one line with --json, otherwise to be read by people.

    >>> command.as_json(Config(json=True), {"distance": 0.5})
    '{"distance": 0.5}'
    """
    return json.dumps(result) if config.json else json.dumps(result, indent=1)


def run(
    config_type: type,
    measure: Callable[[Any], dict[str, Any]],
    doc: str | None,
    *,
    argv: list[str] | None = None,
    positional: str = "",
    setup: Callable[[], None] = _make_fast,
    text: Callable[[Any, dict[str, Any]], str] = as_json,
) -> None:
    """Parses the options, measures, and prints the result.

    Bad options, and a ValueError or an OSError of `measure`, end the program with one line on
    stderr and exit code 2.

    Args:
      config_type: the options, see `options.parse`.
      measure: `(config) -> result`, an object that JSON can hold.
      doc: the bench's docstring, for --help.
      argv: command line, `sys.argv[1:]` by default.
      positional: the option that is given by position.
      setup: called before `measure`, when nothing has been computed; a bench whose compilation is
        timed, or whose flags are its own, gives another one.
      text: `(config, result) -> what is printed`, nothing if it is empty; by default JSON, on one
        line with --json.

    >>> measure = lambda config: {"intervals": config.points - 1}
    >>> command.run(Config, measure, "Counts intervals.", argv=["--points", "8", "--json"])
    {"intervals": 7}
    """
    config = options.parse(config_type, argv, doc or "", positional=positional)
    try:
        # The check is inside the try: every bad value ends in one line, wherever it is found.
        options.check_numbers(config)
        # XLA reads its flags when the first array is made, and never again: `setup` comes before.
        setup()
        result = measure(config)
    except (ValueError, OSError) as error:
        options.fail(error)
    if shown := text(config, result):
        output.show(shown)
