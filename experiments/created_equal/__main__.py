"""Are the members created equal? The same search and the same time for every one.

    python -m experiments.created_equal                     # hours; goes on when started again
    python -m experiments.created_equal --dataset digits
    python -m experiments.created_equal --quick             # three members, to see that it works

Paper: Lucic, Kurach, Michalski, Gelly and Bousquet, 2018, Are GANs Created Equal? A Large-Scale
Study. Settings of each member are drawn at random from the ranges in ranges.py: the rates of both
players, Adam's betas, critic updates, the member's own numbers, normalisation of each player, and
width. Each run has the same processor time; the settings of one structure are one program. The best
setting of each member is then trained on new seeds.

A search that was interrupted goes on with the same --out: finished runs are lines of trials.jsonl
there. A member has 24 settings on the digits and 12 on Fashion-MNIST, and six runs of the best one;
a run has 8 and 30 s of one core. Of sixteen members that is about four hours of one core, and what
compiling takes is not in it.
"""

import contextlib
import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from experiments.created_equal import page, search, training
from jwgan import files
from jwgan.run import command, evaluate, members, options, study, xla
from jwgan.run.options import option

QUICK_MEMBERS = ("wgan_gp", "gan", "began")


@dataclasses.dataclass(frozen=True)
class Config:
    dataset: str = option("all", "digits, fashion_mnist, or all")
    members: str = option("all", "names, with commas between them")
    quick: bool = option(False, "three members, few settings, a second each: to see that it works")
    out: str = option("runs/created_equal", "folder; what is done there already is kept")
    json: bool = option(False, "print one line of JSON at the end")


def plans_of(config: Config) -> dict[str, search.Plan]:
    """{data set: how much of everything} that the options ask for.

    Raises:
      ValueError: there is no such data set.
    """
    options.require_choice("dataset", config.dataset, ("all", *search.PLANS))
    if config.quick:
        return {"digits": search.QUICK}
    wanted = search.PLANS if config.dataset == "all" else (config.dataset,)
    return {name: search.PLANS[name] for name in wanted}


def members_of(config: Config) -> list[str]:
    """The members that the options ask for.

    Raises:
      ValueError: there is no such member.
    """
    if config.members == "all":
        return list(QUICK_MEMBERS if config.quick else members.NAMES)
    names = [name.strip() for name in config.members.split(",")]
    return [options.require_choice("members", name, members.NAMES) for name in names]


def _require_same_plan(path: pathlib.Path, plans: dict[str, search.Plan]) -> None:
    """Raises ValueError if the folder holds runs of another plan; notes the plan."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    now = {name: plan._asdict() for name, plan in plans.items()}
    for name, plan in now.items():
        if known.get(name, plan) != plan:
            raise ValueError(f"out is {path.parent}: it holds runs of {known[name]}; give another")
    files.replace(path, json.dumps({**known, **now}, indent=1).encode())


@contextlib.contextmanager
def progress_bar(total: int) -> Iterator[Callable[[str], None]]:
    """A rich bar on stderr, moved by every call with what is trained next."""
    import rich.console  # optional, and --help must not need it
    from rich import progress

    with progress.Progress(console=rich.console.Console(stderr=True)) as bar:
        row = bar.add_task("", total=total, completed=-1)
        yield lambda text: bar.update(row, description=text, advance=1)
        bar.update(row, advance=1)


def summed_up(dataset: str, names: list[str], plan: search.Plan, log: search.Log) -> dict[str, Any]:
    """What the search found on one data set: {"members": {name: `page.summary`}, ...}."""
    rows = log.of(dataset=dataset)
    of = lambda member, part: [r for r in rows if (r["member"], r["part"]) == (member, part)]
    task = training.load(dataset)
    some = task.dataset.images[: training.SAMPLES[dataset]]
    return {
        "plan": plan._asdict(),
        # Of as many training images as the members' samples, which they are compared with.
        "frechet_distance_of_real": evaluate.image_quality(task, some)["frechet_distance_of_real"],
        "cpu_seconds_of_runs": round(sum(row["cpu_seconds"] for row in rows), 1),
        "members": {
            name: page.summary(of(name, search.SEARCH), of(name, search.AGAIN)) for name in names
        },
    }


def measure(config: Config) -> dict[str, Any]:
    """Searches, as far as it has not been done, and sums up.

    Raises:
      ValueError: an option is none, or the folder holds another search.
    """
    began = time.perf_counter()
    plans, names = plans_of(config), members_of(config)
    folder = pathlib.Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    _require_same_plan(folder / "plan.json", plans)
    log = search.Log(folder / "trials.jsonl")
    found: dict[str, Any] = {}
    total = sum(search.programs(names, plan) for plan in plans.values())
    with progress_bar(total) as tell:
        for dataset, plan in plans.items():
            search.run(dataset, names, plan, log, tell)
            found[dataset] = summed_up(dataset, names, plan, log)
    result = {
        "dataset": config.dataset,
        "quick": config.quick,
        # Seconds of this start alone, and of all runs, also those that were done before.
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(sum(one["cpu_seconds_of_runs"] for one in found.values()), 1),
        "datasets": found,
    }
    command = study.command_of(config, "created_equal")
    study.write(folder, command, __doc__, result, page.page(result), config.json)
    return result


def main(argv: list[str] | None = None) -> None:
    xla.use_cores(2, None)  # each core has its own trials
    # The page and the table are written by `measure`, which knows the folder.
    command.run(Config, measure, __doc__, argv=argv, text=lambda config, result: "")


if __name__ == "__main__":
    main()
