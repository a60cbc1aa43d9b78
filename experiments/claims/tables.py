"""The claims ledger as tables, of what was recorded as claim-NUMBER."""

import collections
from typing import Any

from experiments import results
from experiments.claims import c11_robustness, ledger, page
from experiments.results.markdown import table


def recorded(number: str) -> dict[str, Any]:
    """Reads a claim's recorded result; {} if there is none."""
    # A recorded result is of a whole command, which may have measured several claims.
    found: dict[str, Any] = results.metrics(f"claim-{number}").get("claims", {}).get(number, {})
    return found


def judged(number: str, run: dict[str, Any]) -> list[tuple[Any, Any, str]]:
    """Judges what the source asserts by a claim's result, see `ledger.asserted`."""
    # From the statistics: a result may be older than what is written of the source today.
    return ledger.asserted(number, map(ledger.from_bar, run.get("bars", ())))


def _bars_met(run: dict[str, Any]) -> str:
    count = collections.Counter(bar["verdict"] for bar in run["bars"])
    met = f"{count[ledger.HOLDS]} of {len(run['bars'])}"
    return met + (f", {count[ledger.OPEN]} not decided" if count[ledger.OPEN] else "")


def verdicts() -> str:
    """Makes a row for each claim: what is said, and whether it holds."""
    rows = []
    for number in ledger.MODULES:
        # "|" would end the cell, in Markdown.
        run, title = recorded(number), ledger.describe(number).title.replace("|", "\\|")
        # The criterion stands in the claim's file, so its number leads there.
        link = f"[{number}]({ledger.module(number).__name__.rpartition('.')[2]}.py)"
        if not run:
            rows.append([link, title, "not measured yet", "", ""])
            continue
        verdict = ledger.summary([verdict for *_, verdict in judged(number, run)])
        rows.append([link, title, verdict, _bars_met(run), run["seeds"] or ""])
    return table(["claim", "what is said", "verdict", "our bars met", "seeds"], rows)


def effects() -> str:
    """Makes a row for everything that a source asserts: the verdict and the size of the effect."""
    rows = [
        [number, *page.asserted_cells(condition, said, verdict)]
        for number in ledger.MODULES
        for condition, said, verdict in judged(number, recorded(number))
    ]
    return table(["claim", *page.ASSERTED_HEAD], [[markdown_cell(x) for x in row] for row in rows])


def first() -> str:
    """Makes a row for each claim: the verdict of its first run, by bars of our own alone."""
    rows = []
    for number in ledger.MODULES:
        name = f"claim-{number}-first"
        run = results.metrics(name).get("claims", {}).get(number) or recorded(number)
        if run:
            rows.append([number, run["verdict"], _bars_met(run), run["seeds"] or ""])
    return table(["claim", "first verdict", "our bars met", "seeds"], rows)


def markdown_cell(text: str) -> str:
    """Keeps a "|" from ending its cell."""
    return text.replace("|", "\\|")


def at_random() -> str:
    """Counts C11's architectures at random, by who succeeds on them."""
    return table(*c11_robustness.random_counts(recorded("C11").get("drawn", {}).get("table", [])))


def grid() -> str:
    """Counts C11's runs that succeed, architectures down and members across."""
    quality = recorded("C11").get("drawn", {}).get("quality", {})
    members = list(next(iter(quality.values()), {}))
    won = lambda found: f"{c11_robustness.succeeds(found).sum()} of {len(found)}"
    rows = [
        [name, *(won(row[member]) if member in row else "" for member in members)]
        for name, row in quality.items()
    ]
    return table(["architecture", *(f"`{member}`" for member in members)], rows)
