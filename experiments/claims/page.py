"""The ledger as one page: the verdicts, then claim by claim what was measured."""

import io
import pathlib
from collections.abc import Mapping
from typing import Any

from experiments.claims import ledger
from jwgan.report import article


def shown(bar: Mapping[str, Any]) -> list[str]:
    """A row of a claim's table."""
    number = lambda value: f"{value:.3g}"
    spread = f"{number(bar['low'])} to {number(bar['high'])}"
    if bar["low"] == bar["high"]:
        spread = "exact" if bar["certain"] else "no spread"
    side = "above" if bar["above"] else "at most"
    wanted = f"{side} {bar['threshold']:g}"
    # the verdict where a phone shows it
    return [bar["what"], bar["verdict"], wanted, number(bar["value"]), spread]


def picture(number: str, result: Mapping[str, Any]) -> bytes:
    """A claim's picture as PNG."""
    buffer = io.BytesIO()
    ledger.module(number).draw(result["drawn"]).savefig(buffer, format="png")
    return buffer.getvalue()


def told(number: str, result: Mapping[str, Any]) -> list[Any]:
    """A claim's blocks, see `jwgan.article`."""
    count = result["seeds"]
    seeds = f"{count} seed{'s' * (count > 1)}, " if count else ""
    settings = f"{result['data']}; {seeds}{result['cpu_minutes']} CPU minutes"
    quick = " A quick run, too short to judge by." if result["quick"] else ""
    tables: Any = getattr(ledger.module(number), "tables", lambda drawn: [])
    head = ["statistic", "verdict", "wanted", "found", "95 % interval"]
    return [
        article.Heading(f"{number}. {result['title']}: {result['verdict']}"),
        article.Paragraph(f"{result['claim']} ({result['source']})"),
        article.Paragraph(f"Criterion, written before the run: {result['criterion']}"),
        article.Table(head, [shown(bar) for bar in result["bars"]]),
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
        blocks += told(number, found)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.html"
    title = "Is what the papers say true?"
    path.write_text(article.render(title, "jwgan · the claims ledger", blocks), encoding="utf-8")
    return path


def write_pictures(results: Mapping[str, Mapping[str, Any]], folder: pathlib.Path) -> None:
    """Writes claim-CN.png of each claim into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, found in results.items():
        (folder / f"claim-{number}.png").write_bytes(picture(number, found))
