"""The run directory: chosen, claimed, described in config.json, compared on a resume."""

import dataclasses
import json
import pathlib
import shlex
import sys
from typing import Any

from jwgan import check, report
from jwgan.run.experiment import Experiment
from jwgan.run.options import Config, may_change


def numbered(root: pathlib.Path, stem: str) -> list[int]:
    """The K of every directory root/stem-K."""
    names = [p.name[len(stem) + 1 :] for p in root.glob(f"{stem}-*") if p.is_dir()]
    return sorted(int(name) for name in names if name.isdigit())


def choose_folder(config: Config, name: str) -> pathlib.Path:
    """The run's directory: --run-dir, or the next free (on --resume: the latest) numbered one.

    Raises:
      ValueError: if it holds a run already and --resume is not given, or the other way round.
    """
    dataset = config.dataset.replace("/", "-")
    stem, root = f"{name}-{dataset}", pathlib.Path("runs")
    if config.run_dir:
        folder = pathlib.Path(config.run_dir)
    else:
        last = max(numbered(root, stem), default=0)
        folder = root / f"{stem}-{last if config.resume else last + 1}"
    exists = (folder / "config.json").exists()
    if config.resume and not exists:
        raise ValueError(f"run_dir is {folder}: no run to resume there; give --run-dir of one")
    if not config.resume and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(
            f"run_dir is {folder}: something is there already; add --resume to go on with a run, "
            "or give another --run-dir"
        )
    return folder


def claim(folder: pathlib.Path, config: Config, name: str) -> pathlib.Path:
    """Makes the directory; if another run took the number meanwhile, takes the next one."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=config.run_dir is not None)
        except FileExistsError:
            folder = choose_folder(config, name)
        else:
            return folder


def describe(experiment: Experiment, config: Config, task: Any) -> dict[str, Any]:
    """What config.json holds: all that is needed to repeat the run."""
    said = (experiment.doc or "").strip().splitlines() or [experiment.name]
    return {
        "experiment": experiment.name,
        "program": experiment.program,
        "title": getattr(config, "title", said[0]),
        "command": shlex.join([*experiment.program.split(), *sys.argv[1:]]),
        "config": dataclasses.asdict(config),
        "data": {"name": task.name, "shape": list(task.shape), "sha256": task.checksum},
        "environment": report.environment(),
    }


def read_description(folder: pathlib.Path) -> dict[str, Any]:
    """A run's config.json.

    Raises:
      ValueError: there is none, or it is not what `describe` makes.
    """
    path = folder / "config.json"
    try:
        if not path.is_file():
            raise ValueError("no regular file")
        found = json.loads(path.read_text(encoding="utf-8"))
        parts = [found["config"], found["data"]]
        if not isinstance(found["experiment"], str) or {type(p) for p in parts} != {dict}:
            raise ValueError("experiment, config or data is of another kind")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"{path} is no run's description ({check.one_line(error)})"
        raise ValueError(f"{what}: give another run") from error
    return found


def compare(old: dict[str, Any], new: dict[str, Any], config_type: type) -> None:
    """Raises ValueError naming every difference that makes a resume another run."""
    different, free = [], may_change(config_type)
    for part in ("config", "data"):
        for key, value in new[part].items():
            before = old.get(part, {}).get(key)
            if before != value and not (part == "config" and key in free):
                different.append(f"{key} was {before!r} and is {value!r}")
    if old.get("experiment") != new["experiment"]:
        different.append(f"experiment was {old.get('experiment')!r}, is {new['experiment']!r}")
    if different:
        raise ValueError(
            f"--resume with another configuration: {'; '.join(different)}; repeat the run's own "
            "options, or start a new run"
        )
