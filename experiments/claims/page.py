"""Writes the ledger as one page: the verdicts, then claim by claim what was measured."""

import pathlib
from collections.abc import Mapping
from typing import Any

from experiments.claims import ledger
from jwgan import files
from jwgan.report import article, plots


def cells(condition: Mapping[str, Any]) -> list[str]:
    """Writes a condition as a row of its claim's table."""
    number = lambda value: f"{value:.3g}"
    spread = f"{number(condition['low'])} to {number(condition['high'])}"
    # The value is not random, or all resamples gave the same: the page says which.
    if condition["low"] == condition["high"]:
        spread = "exact" if condition["certain"] else "no spread"
    side = "above" if condition["above"] else "at most"
    wanted = f"{side} {condition['threshold']:g}"
    # The verdict comes second, where a phone shows it without scrolling.
    return [condition["what"], condition["verdict"], wanted, number(condition["value"]), spread]


def picture(number: str, result: Mapping[str, Any]) -> bytes:
    """Draws a claim's picture, as PNG."""
    return plots.png(ledger.module(number).draw(result["drawn"]))


def blocks_of(number: str, result: Mapping[str, Any]) -> list[Any]:
    """Writes what the page says of a claim, as blocks of `jwgan.report.article`."""
    count = result["seeds"]
    seeds = f"{count} seed{'s' * (count > 1)}, " if count else ""
    settings = f"{result['data']}; {seeds}{result['cpu_minutes']} CPU minutes"
    quick = " A quick run, too short to judge by." if result["quick"] else ""
    # `tables` is the one optional part of a claim's module, see `ledger`.
    tables: Any = getattr(ledger.module(number), "tables", lambda data: [])
    head = ["statistic", "verdict", "wanted", "found", "95 % interval"]
    return [
        article.Heading(f"{number}. {result['title']}: {result['verdict']}"),
        article.Paragraph(f"{result['claim']} ({result['source']})"),
        article.Paragraph(f"Criterion, written before the run: {result['criterion']}"),
        article.Table(head, [cells(condition) for condition in result["bars"]]),
        article.Figure(picture(number, result), f"{settings}.{quick}", result["title"]),
        *(article.Table(*table) for table in tables(result["drawn"])),
        *map(article.Paragraph, result["remarks"]),
    ]


def write(results: Mapping[str, Mapping[str, Any]], folder: pathlib.Path) -> pathlib.Path:
    """Writes report.html into the folder and returns its path."""
    rows = [[number, found["title"], found["verdict"]] for number, found in results.items()]
    blocks: list[Any] = [
        article.Paragraph(
            "Each row is something that the papers or courses say. Its criterion was written down "
            "before it was measured, over many seeds; intervals are 95 %."
        ),
        article.Table(["claim", "what is said", "verdict"], rows),
    ]
    for number, found in results.items():
        blocks += blocks_of(number, found)
    path = folder / "report.html"
    title = "Is what the papers say true?"
    files.replace(path, article.render(title, "jwgan · the claims ledger", blocks).encode())
    return path


def write_pictures(results: Mapping[str, Mapping[str, Any]], folder: pathlib.Path) -> None:
    """Writes claim-CN.png of each claim into the folder."""
    for number, found in results.items():
        files.replace(folder / f"claim-{number}.png", picture(number, found))
