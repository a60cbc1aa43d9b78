"""Recorded results: experiments/results/NAME.json, written by `record`, read by every table."""

import datetime
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from typing import Any

from jwgan.report import provenance

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "experiments" / "results"


def revision() -> str:
    """Reads the git revision, with + if tracked files other than results have changes."""
    # Results are left out, or recording one would mark the next as changed. Outside a repository
    # the revision is empty, and the result is kept.
    ignored = ("experiments/results", "experiments/gallery")
    found = provenance.revision(ROOT / "pyproject.toml", ignored=ignored) or ""
    commit, changes = found[:7], found.endswith("+changes")
    return commit + ("+" if changes else "")


def machine() -> dict[str, Any]:
    """Describes what the figures depend on, without a name or a path."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        # `load_before` says what else the machine was doing, since most figures are times.
        "load_before": round(os.getloadavg()[0], 2),
    }


def record(name: str, command: list[str]) -> dict[str, Any]:
    """Runs a command and writes its result; returns what was written.

    Raises:
      ValueError: if the command fails or its last line is no JSON object.
    """
    # The load is read before the command, which is a load itself.
    where = machine()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    try:
        # Only the last line is the result: what comes before may be anything.
        figures = json.loads(lines[-1]) if done.returncode == 0 else None
    except (IndexError, ValueError):
        figures = None
    if not isinstance(figures, dict):
        raise ValueError(f"{shlex.join(command)}: exit code {done.returncode}, no JSON at the end")
    # A run directory's path is this machine's, and may be gone tomorrow.
    figures.pop("run_dir", None)
    result = {
        # The interpreter's path is this machine's; whoever repeats it has another.
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
    """Reads a recorded result."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def metrics(name: str) -> dict[str, Any]:
    """Reads the metrics of a recorded result, {} if it has not been recorded."""
    return load(name)["figures"] if (RESULTS / f"{name}.json").exists() else {}
