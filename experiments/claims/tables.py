"""The claims ledger as tables, of what was recorded as claim-NUMBER."""

import collections
from typing import Any

from experiments import results
from experiments.claims import c11_robustness, ledger
from experiments.results.markdown import table


def recorded(number: str) -> dict[str, Any]:
    """Reads a claim's recorded result; {} if there is none."""
    # A recorded result is of a whole command, which may have measured several claims.
    found: dict[str, Any] = results.metrics(f"claim-{number}").get("claims", {}).get(number, {})
    return found


def verdicts() -> str:
    """Makes a row for each claim: what is said, what was found, the verdict."""
    rows = []
    for number in ledger.MODULES:
        # "|" would end the cell, in Markdown.
        run, title = recorded(number), ledger.describe(number).title.replace("|", "\\|")
        # The criterion stands in the claim's file, so its number leads there.
        link = f"[{number}]({ledger.module(number).__name__.rpartition('.')[2]}.py)"
        if not run:
            rows.append([link, title, "not measured yet", "", ""])
            continue
        count = collections.Counter(bar["verdict"] for bar in run["bars"])
        met = f"{count[ledger.HOLDS]} of {len(run['bars'])}"
        if count[ledger.OPEN]:
            met += f", {count[ledger.OPEN]} not decided"
        rows.append([link, title, run["verdict"], met, run["seeds"] or ""])
    return table(["claim", "what is said", "verdict", "conditions met", "seeds"], rows)


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
