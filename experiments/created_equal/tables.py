"""The tables of the search, for its page."""

from typing import Any

from experiments import results
from experiments.created_equal import page
from experiments.results import markdown


def _members(dataset: str) -> dict[str, Any]:
    """{member: `page.summary`} of a recorded search; {} without one."""
    result = results.metrics(f"created_equal-{dataset}")
    found: dict[str, Any] = result["datasets"][dataset]["members"] if result else {}
    return found


def members(dataset: str) -> str:
    """A row for each member, the best on new seeds first."""
    rows = page.rows_of(_members(dataset))
    return markdown.table(list(page.HEAD), rows or [["not recorded yet", *[""] * 7]])


def settings(dataset: str) -> str:
    """Each member's best setting."""
    rows = page.settings_of(_members(dataset))
    return markdown.table(["member", "networks", "numbers"], rows or [["not recorded yet", "", ""]])
