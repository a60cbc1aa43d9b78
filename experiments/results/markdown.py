"""Markdown tables, and numbers in them."""

from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Writes a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def spread(value: dict[str, float] | None, digits: int) -> str:
    """Writes "median (lower quartile, upper quartile)"; nothing for None."""
    if value is None:
        return ""
    low, high = value["lower_quartile"], value["upper_quartile"]
    return f"{value['median']:.{digits}f} ({low:.{digits}f}, {high:.{digits}f})"
