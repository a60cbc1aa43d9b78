"""The search of one data set: every member's settings, then its best one on new seeds."""

import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from experiments.created_equal import ranges, training
from jwgan.run import evaluate

NEW_SEEDS = 1000  # the first of the seeds that the search never sees
SEARCH, AGAIN = "search", "again"


class Plan(NamedTuple):
    """How much of everything a data set gets.

    Attributes:
      settings: drawn for each member.
      structures: groups of one structure among them, each of which is one program.
      seconds: CPU seconds of a run.
      seeds: runs of the best setting.
    """

    settings: int
    structures: int
    seconds: float
    seeds: int


PLANS = {
    "digits": Plan(settings=24, structures=6, seconds=8.0, seeds=6),
    "fashion_mnist": Plan(settings=12, structures=6, seconds=30.0, seeds=6),
}
QUICK = Plan(settings=4, structures=2, seconds=1.0, seeds=2)


class Log:
    """Finished runs, a line each in a file: a search that was interrupted goes on behind them.

    Args:
      path: the file; made if there is none.
      names: what every line has.

    Raises:
      ValueError: a line of the file is none of such a search.
    """

    def __init__(
        self,
        path: pathlib.Path,
        names: Sequence[str] = ("dataset", "member", "part", "seeds"),
    ):
        self.path = path
        self.rows: list[dict[str, Any]] = []
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole, _, torn = text.rpartition("\n")
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                if missing := set(names) - set(row):
                    raise ValueError(f"no {missing}")
                self.rows.append(row)
            except (ValueError, TypeError) as error:  # another text, or another kind of JSON
                raise ValueError(
                    f"{path}: line {number} is none of a search; give another --out"
                ) from error
        if torn:  # a kill in the middle of a line
            path.write_text(whole + "\n" if whole else "", encoding="utf-8")

    def of(self, **wanted: Any) -> list[dict[str, Any]]:
        """The rows whose values are these."""
        return [row for row in self.rows if all(row[k] == v for k, v in wanted.items())]

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Appends the runs of one program, which are written together."""
        self.rows += rows
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))


def best(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The run of the least Frechet distance; one that is not finite comes last."""
    return min(rows, key=lambda row: _distance(row))


def _distance(row: dict[str, Any]) -> float:
    found = row["frechet_distance"]
    return float("inf") if found is None else found


def programs(names: Sequence[str], plan: Plan) -> int:
    """How many programs `run` has, one for each structure and one for the new seeds."""
    return sum(min(plan.structures, len(ranges.structures(name))) + 1 for name in names)


def run(
    dataset: str,
    names: Sequence[str],
    plan: Plan,
    log: Log,
    tell: Callable[[str], Any] = lambda text: None,
) -> None:
    """Searches for every member, and trains each one's best setting on new seeds.

    Args:
      dataset: "digits" or "fashion_mnist".
      names: of the members.
      plan: how much of everything.
      log: of the runs that are done already; every program's runs are added.
      tell: `(text)`, called before each program, also one whose runs are done.
    """
    task = training.load(dataset)
    fitted = evaluate.fit_classifier(task.dataset)

    def trained(member: str, part: str, settings: list[ranges.Setting], seeds: list[int]) -> None:
        tell(f"{dataset}: {member}, {part}")
        if len(log.of(dataset=dataset, member=member, part=part, seeds=seeds)) == len(seeds):
            return
        fakes, spent = training.train(member, task, dataset, settings, seeds, plan.seconds)
        log.add(
            [
                {
                    **{"dataset": dataset, "member": member, "part": part, "seeds": seeds},
                    **{"seed": seed, "structure": one.structure, "numbers": one.numbers},
                    **training.judge(task, fitted, fake),
                    **spent,
                }
                for one, seed, fake in zip(settings, seeds, fakes, strict=True)
            ]
        )

    for member in names:
        first = 0
        for group in ranges.draw(member, plan.settings, plan.structures):
            trained(member, SEARCH, group, list(range(first, first + len(group))))
            first += len(group)
        found = best(log.of(dataset=dataset, member=member, part=SEARCH))
        again = ranges.Setting(found["structure"], found["numbers"])
        new = list(range(NEW_SEEDS, NEW_SEEDS + plan.seeds))
        trained(member, AGAIN, [again] * plan.seeds, new)
