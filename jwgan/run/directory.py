"""The run directory: chosen, claimed, described in config.json, compared on a resume.

>>> import contextlib, pathlib, tempfile
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> config = run.Config(steps=20)
>>> described = directory.describe(mine, config, dots, ["--steps", "20"])
>>> report.write_json(folder / "config.json", described)
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from jwgan import check, report
from jwgan.run import tasks
from jwgan.run.experiment import Experiment
from jwgan.run.options import Config, from_description, may_change, require_choice

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]


def numbered(root: pathlib.Path, stem: str) -> list[int]:
    """The K of every directory root/stem-K.

    >>> (folder / "mine-digits-3").mkdir()
    >>> directory.numbered(folder, "mine-digits")
    [3]
    """
    names = [p.name[len(stem) + 1 :] for p in root.glob(f"{stem}-*") if p.is_dir()]
    return sorted(int(name) for name in names if name.isdigit())


def choose_folder(config: Config, name: str) -> pathlib.Path:
    """The run's directory: --run-dir, or the next free (on a resume: the latest) numbered one.

    Raises:
      ValueError: it cannot be a directory here, holds a run already and --resume is not given, or
        the other way round.

    >>> str(directory.choose_folder(run.Config(run_dir="mine-7"), "mine"))
    'mine-7'
    >>> directory.choose_folder(run.Config(run_dir="mine-7", resume="yes"), "mine")
    Traceback (most recent call last):
    ValueError: run_dir is mine-7: no run to resume there; give --run-dir of one
    """
    # A bucket's address is a relative path to pathlib, which would make folders of it.
    if config.run_dir and "://" in config.run_dir:
        raise ValueError(f"run_dir is {config.run_dir!r}: give a folder of this machine or a mount")
    dataset = config.dataset.replace("/", "-")
    stem, root = f"{name}-{dataset}", pathlib.Path("runs")
    if config.run_dir:
        folder = pathlib.Path(config.run_dir)
    else:
        last = max(numbered(root, stem), default=0)
        # A resume without --run-dir means the latest run of that name.
        folder = root / f"{stem}-{last + 1 if config.resume == 'no' else max(last, 1)}"
    exists = (folder / "config.json").exists()
    if config.resume == "yes" and not exists:
        raise ValueError(f"run_dir is {folder}: no run to resume there; give --run-dir of one")
    if config.resume == "auto" and exists:
        return folder
    # An empty folder is fine: a job script may have made it.
    if config.resume != "yes" and folder.exists() and (not folder.is_dir() or _is_used(folder)):
        raise ValueError(
            f"run_dir is {folder}: something is there already; add --resume to go on with a run, "
            "or give another --run-dir"
        )
    return folder


def _is_used(folder: pathlib.Path) -> bool:
    return any(folder.iterdir())


# Options that belong to one start of a run: a resume does not take them over.
PER_START = (
    *("run_dir", "resume", "allow", "json", "minutes", "devices", "distributed", "coordinator"),
    *("num_processes", "process_id"),
)


def _allowed_by(config: Config) -> list[str]:
    """What --allow names, written with dashes or without."""
    return [name.lstrip("-").replace("-", "_") for name in config.allow.split()]


def _require_same(described: dict[str, Any], name: str) -> None:
    """Raises ValueError if another experiment made the run."""
    if described.get("experiment") != name:
        raise ValueError(
            f"experiment was {described.get('experiment')!r}, is {name!r}: resume the run with the "
            "command that started it"
        )


def resumed(experiment: Experiment, given: dict[str, Any], folder: pathlib.Path) -> Any:
    """The options of a run that goes on: its own, but for those that were given now.

    Raises:
      ValueError: an option was given that changes what is computed, and --allow does not name it.

    >>> directory.resumed(mine, {"minutes": 5.0}, folder).steps
    20
    >>> directory.resumed(mine, {"batch_size": 8}, folder)
    Traceback (most recent call last):
    ValueError: --resume with another configuration: batch_size was 64 and is 8; leave it out ...
    """
    found = read_description(folder)
    _require_same(found, experiment.name)
    chosen = experiment.described(found["config"])
    try:
        old = from_description(experiment.config, chosen)
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'}: {error}; give another run") from error
    # Only what config.json has is taken over: an option that is newer than the run keeps its
    # default.
    kept = {k: getattr(old, k) for k in chosen if k not in PER_START}
    new = experiment.config(**{**kept, **given})
    allowed, free = _allowed_by(new), may_change(experiment.config)
    fixed = [field.name for field in dataclasses.fields(new) if field.name not in free]
    for name in allowed:
        require_choice("allow", name, [*fixed, "data"])
    # Giving the old value again is no change: the command of the start may be repeated as it is.
    changed = [name for name in given if name not in free and getattr(old, name) != given[name]]
    refused = [name for name in changed if name not in allowed]
    if refused:
        what = "; ".join(f"{k} was {getattr(old, k)!r} and is {given[k]!r}" for k in refused)
        words = " ".join(f"--allow {name}" for name in refused)
        raise ValueError(
            f"--resume with another configuration: {what}; leave it out to go on as before, add "
            f"{words} to change it on purpose, or start a new run"
        )
    return new


def changes(old: dict[str, Any], new: dict[str, Any], config: Config) -> dict[str, list[Any]]:
    """What a resume changes of a run: {option or part of the data: [before, now]}.

    Raises:
      ValueError: the data are others and --allow does not name them, or another experiment made it.

    >>> now = {**described, "config": {**described["config"], "batch_size": 8}}
    >>> directory.changes(described, now, config)
    {'batch_size': [64, 8]}
    """
    _require_same(old, new["experiment"])
    free = may_change(type(config))
    # An option that the run did not know yet had the value that it has by default.
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    before = {**defaults, **old["config"]}
    found = {
        name: [before[name], value]
        for name, value in new["config"].items()
        if name not in free and before[name] != value
    }
    data = {
        f"data {name}": [old["data"].get(name), value]
        for name, value in new["data"].items()
        if old["data"].get(name) != value
    }
    if data and "data" not in _allowed_by(config):
        what = "; ".join(f"{k} was {was!r} and is {now!r}" for k, (was, now) in data.items())
        raise ValueError(
            f"--resume with other data: {what}; put the run's data back, or add --allow data to "
            "go on with these on purpose"
        )
    return {**found, **data}


def claim(
    folder: pathlib.Path, config: Config, name: str, stack: contextlib.ExitStack
) -> pathlib.Path:
    """Makes and locks the directory; if another run took the number meanwhile, the next one.

    Raises:
      ValueError: another process runs there, or has run there since `choose_folder` looked.

    >>> new = run.Config(run_dir=str(folder / "new"))
    >>> with contextlib.ExitStack() as stack:
    ...     directory.claim(folder / "new", new, "mine", stack).exists()
    True
    """
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=config.run_dir is not None)
        except FileExistsError:
            folder = choose_folder(config, name)
        else:
            break
    stack.enter_context(lock(folder))
    # Loading data takes time, in which another process may have started and ended here.
    if (folder / "config.json").exists():
        raise ValueError(
            f"run_dir is {folder}: another process has started a run there meanwhile; go on with "
            "it by --resume, or give another --run-dir"
        )
    return folder


@contextlib.contextmanager
def lock(folder: pathlib.Path) -> Iterator[None]:
    """Keeps other processes out of a run's directory; nothing of it survives this process.

    Raises:
      ValueError: another process runs there.

    >>> with directory.lock(folder), directory.lock(folder):
    ...     print("nobody comes by here")
    Traceback (most recent call last):
    ValueError: run_dir is ...: another process is running there; wait for its end, ...
    """
    # The directory itself is locked: there is no lock file to be left behind, and the kernel lets
    # go of it with the process, SIGKILL included.
    descriptor = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        try:
            if descriptor is not None:
                # LOCK_NB asks for an error now, in place of a command that waits for hours in
                # silence.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"run_dir is {folder}: another process is running there; wait for its end, or "
                "give another --run-dir"
            ) from error
        except OSError:
            pass  # a file system that has no locks: as if this function had not been called
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _command_line(experiment: Experiment, argv: Sequence[str]) -> str:
    """The command of this start, as a shell takes it."""
    return shlex.join([*experiment.program.split(), *argv])


def entries(old: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of a description; what is no entry of one, in a damaged file, is left out.

    >>> directory.entries({"resumes": [{"step": 7}, "damaged"]}, "resumes")
    [{'step': 7}]
    """
    found = old.get(name, [])
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def gone_on(
    old: dict[str, Any], new: dict[str, Any], step: int, changed: dict[str, list[Any]]
) -> dict[str, Any]:
    """The description of a run that goes on: its first command stays, this one is added.

    Args:
      old: as the run's directory has it.
      new: of this start; its options are those that the next resume finds.
      step: from which it goes on.
      changed: see `changes`.

    >>> now = directory.describe(mine, config, dots, ["--resume"])
    >>> found = directory.gone_on(described, now, 7, {})
    >>> found["command"], found["resumes"]
    ('python mine.py --steps 20', [{'step': 7, 'command': 'python mine.py --resume'}])
    """
    resumes = [*entries(old, "resumes"), {"step": step, "command": new["command"]}]
    kept = {"command": old.get("command", new["command"]), "resumes": resumes}
    kept |= {name: old[name] for name in ("init_from",) if name in old}
    record = entries(old, "changes")
    if changed:
        record = [*record, {"step": step, "changed": changed}]
    return {**new, **kept, **({"changes": record} if record else {})}


def describe(
    experiment: Experiment, config: Config, task: Any, argv: Sequence[str]
) -> dict[str, Any]:
    """What config.json holds: all that is needed to repeat the run.

    >>> described["command"], described["data"]["shape"], described["config"]["steps"]
    ('python mine.py --steps 20', [2, 2, 1], 20)
    """
    # The title of a page is the first line of the experiment's docstring.
    said = (experiment.doc or "").strip().splitlines() or [experiment.name]
    return {
        "experiment": experiment.name,
        "program": experiment.program,
        "title": getattr(config, "title", said[0]),
        "command": _command_line(experiment, argv),
        "config": dataclasses.asdict(config),
        "data": {
            "name": task.name,
            "shape": list(task.shape),
            "sha256": task.checksum,
            **({"classes": list(task.classes)} if task.classes else {}),
        },
        # What samples are decoded with, where the data are not as they lie in their files.
        **({"encoding": task.encoding.to_dict()} if task.encoding else {}),
        "environment": report.environment(),
    }


def _rename_decay(found: dict[str, Any]) -> None:
    """Until 0.2.0 a member's `decay` was RMSProp's, which is `rmsprop_decay` since rates fall."""
    config = found["config"]
    # Only a member's run: an experiment of somebody else may have a number of that name.
    if str(found.get("program", "")).startswith("python -m jwgan.run "):
        if isinstance(config.get("decay"), float):
            config["rmsprop_decay"] = config.pop("decay")
        if isinstance(config.get("sweep"), str):
            words = config["sweep"].split(" ")
            config["sweep"] = " ".join(
                f"rmsprop_{word}" if word.startswith("decay=") else word for word in words
            )


def read_description(folder: pathlib.Path) -> dict[str, Any]:
    """A run's config.json.

    Raises:
      ValueError: there is none, or it is not what `describe` makes.

    >>> directory.read_description(folder)["command"]
    'python mine.py --steps 20'
    """
    path = folder / "config.json"
    try:
        if not path.is_file():
            raise ValueError("no regular file")
        found = json.loads(path.read_text(encoding="utf-8"))
        # config and data are read later without further checks, so their kinds are checked here.
        parts = [found["config"], found["data"]]
        if not isinstance(found["experiment"], str) or {type(p) for p in parts} != {dict}:
            raise ValueError("experiment, config or data is of another kind")
        _rename_decay(found)
        # Whoever reads the run, or goes on with it, has its data in the shape that they had.
        found["config"].update(tasks.recorded_form(found["config"], found["data"].get("shape")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"{check.printable(str(path))} is no run's description ({check.one_line(error)})"
        raise ValueError(f"{what}: give another run") from error
    return found


def lacks_page(folder: pathlib.Path) -> bool:
    """Whether a finished run has no page, or one that is older than its result.

    >>> directory.lacks_page(finished)
    False
    """
    page, result = folder / "report.html", folder / "result.json"
    return not page.exists() or page.stat().st_mtime < result.stat().st_mtime


def is_finished(folder: pathlib.Path, step: int) -> bool:
    """Whether a run's result is that of so many steps, and of no signal or failure.

    >>> directory.is_finished(finished, 2), directory.is_finished(finished, 3)
    (True, False)
    """
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        # A run may have all its steps and no end: killed while its quality was measured.
        return result["steps"] == step and result["stopped_by"] is None
    except (OSError, ValueError, KeyError, TypeError):
        return False
