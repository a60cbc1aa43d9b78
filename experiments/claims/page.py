"""Writes the ledger as one page: the verdicts, then claim by claim what was measured."""

import pathlib
from collections.abc import Mapping
from typing import Any

from experiments.claims import ledger
from jwgan import files
from jwgan.report import article, plots


def cells(condition: Mapping[str, Any]) -> list[str]:
    """Writes a condition as a row of its claim's table."""
    side = "above" if condition["above"] else "at most"
    wanted = f"{side} {condition['threshold']:g}"
    # The verdict comes second, where a phone shows it without scrolling.
    return [condition["what"], condition["verdict"], wanted, *_found(condition)]


ASSERTED_HEAD = ("statistic", "verdict", "found", "95 % interval", "asserted", "in the source")


def asserted_cells(condition: ledger.Condition, said: ledger.Said, verdict: str) -> list[str]:
    """Writes what a source asserts of a statistic as a row: the verdict and the effect's size."""
    value, spread = _found(condition._asdict())
    side = "above" if condition.above else "at most"
    wanted = f"{side} {condition.threshold if said.none is None else said.none:g}"
    if said.number is not None:
        wanted += f", of {side} {said.number:g}"
    return [condition.what, verdict, value, spread, wanted, said.place]


def _found(condition: Mapping[str, Any]) -> tuple[str, str]:
    number = lambda value: f"{value:.3g}"
    # The value is not random, or all resamples gave the same: the page says which.
    if condition["low"] == condition["high"]:
        return number(condition["value"]), "exact" if condition["certain"] else "no spread"
    return number(condition["value"]), f"{number(condition['low'])} to {number(condition['high'])}"


def picture(number: str, result: Mapping[str, Any]) -> bytes:
    """Draws a claim's picture, as PNG."""
    return plots.png(ledger.module(number).draw(result["drawn"]))


def verdict_of(number: str, result: Mapping[str, Any]) -> str:
    """Sums up what was found of all that a claim's source asserts."""
    judged = ledger.asserted(number, map(ledger.from_bar, result["bars"]))
    return ledger.summary([verdict for *_, verdict in judged])


def blocks_of(number: str, result: Mapping[str, Any]) -> list[Any]:
    """Writes what the page says of a claim, as blocks of `jwgan.report.article`."""
    count = result["seeds"]
    seeds = f"{count} seed{'s' * (count > 1)}, " if count else ""
    settings = f"{result['data']}; {seeds}{result['cpu_minutes']} CPU minutes"
    quick = " A quick run, too short to judge by." if result["quick"] else ""
    # `tables` is the one optional part of a claim's module, see `ledger`.
    tables: Any = getattr(ledger.module(number), "tables", lambda data: [])
    head = ["statistic", "verdict", "wanted", "found", "95 % interval"]
    judged = ledger.asserted(number, map(ledger.from_bar, result["bars"]))
    asserted = [asserted_cells(*each) for each in judged]
    ours = "Bars of our own, written down before the run."
    # `did` and `means` are today's words: a recorded result may be older than they are.
    claim = ledger.describe(number)
    return [
        article.Heading(f"{number}. {result['title']}: {verdict_of(number, result)}"),
        article.Paragraph(f"{result['claim']} ({result['source']})"),
        article.Figure(picture(number, result), f"{settings}.{quick}", result["title"]),
        article.Paragraph(f"What we did. {claim.did}"),
        article.Paragraph(f"What it means for you. {claim.means}"),
        article.Table(ASSERTED_HEAD, asserted, "What the source asserts, and the effect's size."),
        article.Paragraph(f"Criterion, written before the run: {result['criterion']}"),
        article.Table(head, [cells(condition) for condition in result["bars"]], ours),
        *(article.Table(*table) for table in tables(result["drawn"])),
        *map(article.Paragraph, result["remarks"]),
    ]


def write(results: Mapping[str, Mapping[str, Any]], folder: pathlib.Path) -> pathlib.Path:
    """Writes report.html into the folder and returns its path."""
    rows = [
        [number, found["title"], verdict_of(number, found)] for number, found in results.items()
    ]
    blocks: list[Any] = [
        article.Paragraph(
            "Each row is something that the papers or courses say. A claim holds if the effect has "
            "the direction, and the size where the source gives one, with its whole 95 % interval "
            "over many seeds; it holds but is weaker than said if the size is missed, it does not "
            "hold if the interval lies wholly on the other side, and it is not decided otherwise. "
            "Bars of our own, often higher, stand beside it; they were written down before the run."
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
