"""The table of experiments.survival, for its page."""

from typing import Any

from experiments import results
from experiments.results import markdown


def page(name: str) -> str:
    """The table of a recorded measurement."""
    return markdown.table(*survival(results.metrics(name)))


def quiet() -> str:
    """The table of the cells that were measured again with nothing beside them."""
    which = ("mlp-streamed", "mlp-streamed-longer", "dcgan28-2", "dcgan28-2-longer")
    found = [results.metrics(f"survival-60-quiet-{name}") for name in which]
    cells = [cell for one in found for cell in one.get("cells", ())]
    return markdown.table(*survival({"cells": cells}))


def survival(result: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Lists what the kills cost in each cell: (head, rows). Without a result, a row says so."""
    of = lambda spread: f"{spread['median']:g} ({spread['p95']:g})" if spread else "none"
    rows = [
        [
            row["case"],
            "streamed" if row["stream"] else "on the device",
            row["processes"],
            row["kills"],
            row["killed_before_a_step"],
            f"{100 * row['goodput']:.0f} %",
            of(row["restart_seconds"]),
            of(row["steps_lost"]),
            row["steps_per_second"],
            ", ".join(row["different"]) or "nothing",
        ]
        for row in result.get("cells", ())
    ]
    head = ["networks", "data", "processes", "kills", "before a step", "goodput"]
    head += ["restart, s", "steps lost a kill", "steps/s", "what differs"]
    return head, rows or [["not recorded yet", *[""] * (len(head) - 1)]]
