"""Records measured results, and renders the README's tables from them: no number is typed by hand.

    python -m experiments.record digits-wgan_gp -- python -m experiments.wgan_gp --json
    python -m experiments.record --readme

The first form runs a command, takes the JSON object on its last line, and writes it to
experiments/results/NAME.json with the command, the date, the revision and the machine. The second
rewrites the blocks between `<!-- table NAME -->` and `<!-- end -->` in README.md.
"""

import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "experiments" / "results"


def revision() -> str:
    """The git revision, with + if tracked files other than results have changes."""
    git = lambda *args: subprocess.run(
        ["git", *args], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + (
        "+" if git("status", "--porcelain", "-uno", "--", ".", ":!experiments/results") else ""
    )


def machine() -> dict[str, Any]:
    """What the figures depend on, without a name or a path."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def record(name: str, command: list[str]) -> dict[str, Any]:
    """Runs a command and writes its result; returns what was written.

    Raises:
      ValueError: if the command fails or its last line is no JSON object.
    """
    where = machine()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    try:
        figures = json.loads(lines[-1]) if done.returncode == 0 else None
    except (IndexError, ValueError):
        figures = None
    if not isinstance(figures, dict):
        raise ValueError(f"{shlex.join(command)}: exit code {done.returncode}, no JSON at the end")
    figures.pop("run_dir", None)  # where it lay says nothing
    result = {
        "command": shlex.join(["python" if c == sys.executable else c for c in command]),
        "date": datetime.date.today().isoformat(),
        "revision": revision(),
        "machine": where,
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def load(name: str) -> dict[str, Any]:
    """A recorded result."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def render(text: str, tables: dict[str, Callable[[], str]]) -> str:
    """`text` with every marked block replaced by its table."""

    def block(match: re.Match) -> str:
        return f"<!-- table {match[1]} -->\n{tables[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table ([\w-]+) -->\n.*?<!-- end -->", block, text, flags=re.DOTALL)


def main() -> None:
    from experiments import tables
    from experiments.options import fail

    argv = sys.argv[1:]
    if argv == ["--readme"]:
        readme = ROOT / "README.md"
        readme.write_text(render(readme.read_text(), tables.TABLES))
    elif len(argv) > 2 and argv[1] == "--" and re.fullmatch(r"[\w.-]+", argv[0]):
        command = [sys.executable if word == "python" else word for word in argv[2:]]
        try:
            print(json.dumps(record(argv[0], command)["figures"]))
        except ValueError as error:
            fail(error)
    else:
        print(__doc__)
        raise SystemExit(0 if argv in (["--help"], ["-h"]) else 2)


if __name__ == "__main__":
    main()
