"""How long a run has taken in all its starts: starts.json in its directory.

A checkpoint has no times, so that two runs of one seed have the same ones.
"""

import json
import pathlib
import time
from typing import Any

from jwgan import report


class Clock:
    """Adds this start of a run to those before.

    Args:
      folder: the run's directory.
      step: from which this start goes on.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> starts.Clock(folder, step=0).note(step=100)  # a start that comes to step 100
    >>> clock = starts.Clock(folder, step=100)  # and one that goes on
    >>> [(row["from"], row["to"]) for row in clock.earlier]
    [(0, 100)]
    """

    def __init__(self, folder: pathlib.Path, step: int):
        self.path, self.step = folder / "starts.json", step
        self.began, self.began_cpu = time.perf_counter(), time.process_time()
        self.earlier = _read(self.path)

    def note(self, step: int) -> None:
        """Writes how far this start has come, so that a killed one counts up to here."""
        mine = {"from": self.step, "to": step, "seconds": round(self.seconds(), 3)}
        mine["cpu_seconds"] = round(self.cpu_seconds(), 3)
        report.write_json(self.path, [*self.earlier, mine])

    def seconds(self) -> float:
        """Seconds of this start."""
        return time.perf_counter() - self.began

    def cpu_seconds(self) -> float:
        """Seconds that this process's cores have worked since this start, those of all cores."""
        return time.process_time() - self.began_cpu

    def totals(self, step: int) -> dict[str, float]:
        """The run's seconds, CPU seconds and steps a second, over all starts that are known.

        Steps that a killed start had not saved took time and do not count. CPU seconds do not
        depend on what else the machine does; starts of versions that did not count them have none.
        """
        seconds = sum(row["seconds"] for row in self.earlier) + self.seconds()
        worked = sum(row.get("cpu_seconds", 0.0) for row in self.earlier) + self.cpu_seconds()
        first = min([self.step, *(row["from"] for row in self.earlier)])
        return {
            "seconds": round(seconds, 2),
            "cpu_seconds": round(worked, 2),
            "steps_per_second": round((step - first) / max(seconds, 1e-9), 3),
        }


def _read(path: pathlib.Path) -> list[dict[str, Any]]:
    """The earlier starts; none if the file is missing or damaged: times are a nicety."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        # A NaN of a damaged file fails the comparison.
        good = all(
            isinstance(row["from"], int)
            and row["from"] >= 0
            and 0 <= row["seconds"] < 1e12
            and 0 <= row.get("cpu_seconds", 0.0) < 1e12
            for row in found
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return found if good and isinstance(found, list) else []
