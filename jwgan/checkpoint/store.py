"""Checkpoints of the whole training state: written by orbax, sealed here, verified when read.

A checkpoint of step 1000 is a folder of arrays and one seal beside it::

    checkpoints/00001000-0/      orbax: a flat dictionary {path of the leaf: array}
    checkpoints/00001000.json    the seal: checksums of every leaf and file, and `extra`

The seal is written last, in one rename: a folder without a seal is no checkpoint, so a process may
be killed at any moment.  Orbax alone restores a flipped byte as a wrong number and casts a changed
dtype.  Here every byte is verified before it becomes a state; instead of a damaged checkpoint the
one before it is restored, and the reason is reported; a state of another shape is refused with the
name of the leaf.

The functions' examples read this folder, of one checkpoint:

>>> import tempfile
>>> folder = tempfile.mkdtemp()
>>> with checkpoint.Checkpoints(folder) as checkpoints:
...     checkpoints.save(20, {"w": jnp.ones(2)}, extra={"score": 0.5})
"""

import contextlib
import hashlib
import itertools
import json
import logging
import operator
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import check, files
from jwgan.checkpoint import leaves
from jwgan.checkpoint.leaves import CheckpointError, Leaf

FORMAT = 1  # of the seal; one of another format counts as damaged
_ORBAX = "orbax.checkpoint"
# The names that belong to us. Only these are read or removed: the rest of the directory is
# somebody else's.
_SEAL = re.compile(r"([0-9]{8,})\.json")
_DATA = re.compile(r"[0-9]{8,}-[0-9]+")
_UNFINISHED = re.compile(r"[0-9]{8,}-[0-9]+\.orbax-checkpoint-tmp.*")


class Restored(NamedTuple):
    """What `restore` found."""

    step: int
    state: Any  # the target's structure, filled, on the target's devices
    extra: dict[str, Any]  # as given to `save`
    state_sha256: str  # of the state that was saved
    skipped: tuple[str, ...]  # a line for every newer checkpoint that was damaged, and why
    grown: tuple[str, ...] = ()  # a line for every kind of leaf that an older checkpoint lacks
    added: tuple[str, ...] = ()  # paths of the leaves that are the target's own, see `grow`


class Found(NamedTuple):
    """What `read` found."""

    step: int
    arrays: dict[str, np.ndarray]  # {path of the leaf: what is stored of it}
    state_sha256: str
    skipped: tuple[str, ...]  # as of `Restored`


class Checkpoints:
    """Writes checkpoints of a run into one directory, in the background.

    Use it as a context manager, which waits for the last save; without it, a save that has not been
    waited for when the interpreter exits may be lost.

    Args:
      directory: created if needed; it belongs to one run, with one writer.
      keep: how many of the latest checkpoints stay, at least 1.
      score: `extra -> number`; the checkpoint with the highest score stays, too.
      passing: `extra -> bool`; a checkpoint of which it is true stays until the next one only, and
        is none of the `keep`.

    Raises:
      CheckpointError: keep is below 1.
      MissingPackageError: orbax-checkpoint is not installed.

    >>> with checkpoint.Checkpoints(tempfile.mkdtemp(), keep=1) as checkpoints:
    ...     for step in (10, 20):
    ...         checkpoints.save(step, {"w": jnp.ones(2)})
    >>> checkpoint.steps(checkpoints.directory)
    [20]
    """

    def __init__(
        self,
        directory: files.AnyPath,
        keep: int = 3,
        score: Callable | None = None,
        passing: Callable | None = None,
    ):
        check.require_package(_ORBAX, "run")  # now, and not after the first save has failed
        if keep < 1:
            raise CheckpointError(f"keep is {keep}: keep at least 1 checkpoint")
        self.directory = Path(directory)
        self._keep = keep
        self._score = score
        self._passing = passing
        # One thread: saves are sealed in the order in which they were asked for.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future | None = None
        self._made = False  # whether the directory is there, as far as we know

    def save(self, step: int, state: Any, extra: Mapping[str, Any] | None = None) -> None:
        """Copies the state to the host and returns; the background thread writes and seals it.

        Saving a step again replaces its checkpoint in one rename.  Checkpoints of later steps are
        removed: the run has gone back and is training those steps anew.

        Args:
          step: 0 or more.
          state: any pytree of arrays, typed keys and Python numbers.
          extra: a JSON object: configuration, data position, best score so far, ...

        Raises:
          CheckpointError: the save before this one failed, a leaf is no number, `extra` no JSON.
        """
        # The copy of one state at a time is held on the host, and a save that failed is reported
        # here, one checkpoint later and not at the end of the run.
        self.wait()
        if (step := operator.index(step)) < 0:
            raise CheckpointError(f"step is {step}: count from 0")
        extra = _checked_extra(extra or {})
        parts = leaves.host(state)
        if jax.process_index() == 0:
            self._pending = self._worker.submit(self._write, step, parts, extra)

    def wait(self) -> None:
        """Waits until the last save is sealed; raises `CheckpointError` if it failed."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Waits for the last save and stops the background thread."""
        with self._worker:
            self.wait()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, step: int, parts: list[Leaf], extra: dict[str, Any]) -> None:
        data = _new_data_folder(self.directory, step)
        try:
            if self._made and not self.directory.is_dir():
                # Made anew it would hide from everybody that the others are gone.
                raise FileNotFoundError("the directory was moved or removed")
            self.directory.mkdir(parents=True, exist_ok=True)
            self._made = True
            _store(data, parts)
            seal = _make_seal(step, parts, data, extra)
            # Before this step's seal and not after it: killed in between, the run resumes from an
            # older step. The other way round it would resume from a later step of the past it had
            # left.
            for later in (s for s in steps(self.directory) if s > step):
                _seal_path(self.directory, later).unlink()
            _publish(_seal_path(self.directory, step), seal)
        except Exception as error:  # orbax raises what its storage raises
            # Half-written arrays (orbax's unfinished folder has a longer name) would keep a full
            # disk full.
            for part in self.directory.glob(f"{data.name}*"):
                shutil.rmtree(part, ignore_errors=True)
            raise CheckpointError(
                f"checkpoint {step} was not written to {self.directory} ({check.one_line(error)}): "
                "free space or mend the directory; the last checkpoint is untouched"
            ) from error
        with contextlib.suppress(OSError):  # what cannot be removed is tried again next time
            _retire(self.directory, self._keep, self._score, self._passing)


def steps(directory: files.AnyPath) -> list[int]:
    """Lists the steps with a sealed checkpoint in `directory`, rising; none is read or verified.

    >>> checkpoint.steps(folder)
    [20]
    """
    if not Path(directory).is_dir():
        return []
    found = []
    for path in Path(directory).iterdir():
        name = _SEAL.fullmatch(path.name)
        # Step 20 is 00000020.json, not 000000020.json; a folder of that name is no seal.
        if name and path.name == _seal_path(path.parent, int(name[1])).name and path.is_file():
            found.append(int(name[1]))
    return sorted(found)


def extras(directory: files.AnyPath) -> dict[int, dict[str, Any]]:
    """Reads {step: extra} of all checkpoints whose seal is whole, rising; no array is read.

    >>> checkpoint.extras(folder)
    {20: {'score': 0.5}}
    """
    found = {}
    for step in steps(directory):
        with contextlib.suppress(Exception):  # a damaged seal may raise anything
            found[step] = _read_seal(Path(directory), step)["extra"]
    return found


def restore(
    directory: files.AnyPath,
    target: Any,
    step: int | None = None,
    wanted: Callable[[dict[str, Any]], bool] | None = None,
    grow: bool = False,
) -> Restored:
    """Restores the newest undamaged checkpoint as a state like `target`.

    Every byte is verified first.  Damaged checkpoints are skipped and named in `skipped`.  An
    undamaged one that does not fit `target` is an error: older ones would not fit either.

    Args:
      target: a state (its values are not read) or its `jax.eval_shape`; a leaf's sharding, where it
        has one, is where the restored leaf is put.
      step: restores this step and no other.
      wanted: `extra -> bool`; checkpoints of which it is false are left out.
      grow: whether leaves that a checkpoint lacks keep the values of `target`, which must then be a
        state; `added` names them.

    Raises:
      CheckpointError: no checkpoint is whole; or a leaf, which is named, is missing, is not in
        `target`, or is of another kind.
      MissingPackageError: orbax-checkpoint is not installed.

    >>> found = checkpoint.restore(folder, {"w": jnp.zeros(2)})
    >>> found.step, found.state, found.extra
    (20, {'w': Array([1., 1.], dtype=float32)}, {'score': 0.5})
    """
    # Inside the try below a missing package would pass for a damaged checkpoint.
    check.require_package(_ORBAX, "run")
    directory = Path(directory)
    skipped: list[str] = []
    for candidate in reversed(steps(directory)) if step is None else [step]:
        try:
            seal, arrays = _read(directory, candidate)
        except Exception as error:  # a damaged checkpoint may raise anything
            skipped.append(f"step {candidate}: {check.one_line(error)}")
            continue
        if wanted is not None and not wanted(seal["extra"]):
            continue
        # Outside the try: that a whole checkpoint does not fit is the caller's mistake, which must
        # not be taken for damage.
        state = leaves.fill(target, seal, arrays, directory, grow)
        return Restored(
            candidate,
            state,
            seal["extra"],
            seal["state_sha256"],
            tuple(skipped),
            leaves.grown(target, seal),
            leaves.missing(target, seal),
        )
    reasons = f" ({'; '.join(skipped)})" if skipped else ""
    raise CheckpointError(f"no whole checkpoint in {directory}{reasons}: start without resuming")


def read(directory: files.AnyPath) -> Found:
    """Reads the arrays of the newest undamaged checkpoint, for a state of another kind.

    Every byte is verified first, as by `restore`, which fills a state of the same kind.

    Raises:
      CheckpointError: no checkpoint is whole.
      MissingPackageError: orbax-checkpoint is not installed.

    >>> checkpoint.read(folder).arrays
    {"['w']": array([1., 1.], dtype=float32)}
    """
    check.require_package(_ORBAX, "run")
    skipped: list[str] = []
    for step in reversed(steps(directory)):
        try:
            seal, arrays = _read(Path(directory), step)
        except Exception as error:  # a damaged checkpoint may raise anything
            skipped.append(f"step {step}: {check.one_line(error)}")
        else:
            return Found(step, arrays, seal["state_sha256"], tuple(skipped))
    reasons = f" ({'; '.join(skipped)})" if skipped else ""
    raise CheckpointError(f"no whole checkpoint in {directory}{reasons}: give another run")


def _store(data: Path, parts: list[Leaf]) -> None:
    """Writes the arrays with orbax. It refuses empty ones, whose shape in the seal is enough."""
    ocp = _orbax()
    arrays = {leaf.path: leaf.array for leaf in parts if leaf.array.size}
    if arrays:
        with _checkpointer() as checkpointer, _silenced():
            checkpointer.save(data.absolute(), args=ocp.args.PyTreeSave(arrays))


def _orbax() -> Any:
    """The module orbax.checkpoint.

    Raises:
      MissingPackageError: it is not installed.
    """
    check.require_package(_ORBAX, "run")
    import orbax.checkpoint as ocp

    return ocp


def _checkpointer() -> Any:
    """Makes an orbax checkpointer that waits for no other process: only the first one writes."""
    ocp = _orbax()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index(),
        active_processes={jax.process_index()},
        barrier_sync_key_prefix=f"jwgan{jax.process_index()}",
    )
    return ocp.Checkpointer(ocp.PyTreeCheckpointHandler(), multiprocessing_options=alone)


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Silences orbax's log, a traceback for every thread that fails: one error is enough."""
    logger, drop = logging.getLogger("absl"), lambda record: "orbax" not in record.pathname
    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)


def _make_seal(step: int, parts: list[Leaf], data: Path, extra: dict[str, Any]) -> dict[str, Any]:
    # The hashes are of the copy in memory, not of the files: what the disk or orbax changed in
    # between is seen when it is read.
    records = [leaves.record(leaf) for leaf in parts]
    # Orbax writes metadata beside the arrays: a flipped bit there is damage, too.
    written = sorted(path for path in data.rglob("*") if path.is_file())
    seal = {
        "format": FORMAT,
        "step": step,
        "state_sha256": leaves.json_sha256(records),
        "extra": extra,
        "data": data.name,
        "files": {str(path.relative_to(data)): _file_sha256(path) for path in written},
        "leaves": records,
    }
    # The seal's hash of itself: an edited step or best score is damage like any other.
    return seal | {"seal_sha256": leaves.json_sha256(seal)}


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _publish(path: Path, seal: dict[str, Any]) -> None:
    """Writes the seal, all of it or nothing: from then on the checkpoint exists."""
    # dumps, as in _checked_extra: json.dump refuses nesting that dumps still writes
    files.replace(path, json.dumps(seal, indent=1).encode())


def _retire(directory: Path, keep: int, score: Callable | None, passing: Callable | None) -> None:
    """Removes all checkpoints but the last `keep` and the best, and what killed runs left."""
    seals = {}
    for step in steps(directory):
        with contextlib.suppress(Exception):
            # A seal that cannot be read is not in `seals`: it counts neither as one of the last nor
            # as the best, and is removed below.
            seals[step] = _read_seal(directory, step)
    lasting = [step for step in seals if not (passing and passing(seals[step]["extra"]))]
    # The newest one stays in any case: a run that is killed now goes on from there.
    kept = {*lasting[-keep:], *list(seals)[-1:]}
    if score is not None:
        kept |= _best(seals, score)
    for step in set(steps(directory)) - kept:
        # The seal goes before its arrays, as it came after them: killed in between, there is a
        # folder without a seal, which is no checkpoint and which the next save removes.
        _seal_path(directory, step).unlink()
    # A step that was saved again has its old arrays in a folder that no seal names any more.
    named = {seals[step]["data"] for step in kept}
    for path in directory.iterdir():
        ours = _DATA.fullmatch(path.name) or _UNFINISHED.fullmatch(path.name)
        if path.is_dir() and ours and path.name not in named:
            shutil.rmtree(path, ignore_errors=True)


def _best(seals: dict[int, dict[str, Any]], score: Callable) -> set[int]:
    """Finds the step with the highest score, as a set; NaN is no score."""
    try:
        scores = {step: score(seal["extra"]) for step, seal in seals.items()}
    except Exception as error:
        raise CheckpointError(
            f"score failed ({check.one_line(error)}): give one for every extra"
        ) from error
    # NaN is not equal to itself. Left in, it could win or lose against anything, by its place.
    scores = {step: value for step, value in scores.items() if value == value}
    return {max(scores, key=lambda step: scores[step])} if scores else set()


def _new_data_folder(directory: Path, step: int) -> Path:
    """Finds an unused name: a step's old arrays stay whole until the step is sealed anew."""
    names = (f"{step:08d}-{number}" for number in itertools.count())
    return directory / next(name for name in names if not any(directory.glob(f"{name}*")))


def _read(directory: Path, step: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads a checkpoint's seal and arrays and verifies them; damage raises an exception."""
    seal = _read_seal(directory, step)
    data = directory / seal["data"]
    for name, digest in seal["files"].items():  # before orbax reads them
        _require_file(data / name, directory)
        _verify(_file_sha256(data / name) == digest, f"{data.name}/{name}")
    # The files are as they were written. That orbax makes the same arrays of them, in this version,
    # is checked leaf by leaf.
    arrays = _load(data, seal["leaves"])
    for record in seal["leaves"]:
        array = arrays[record["path"]]
        same = leaves.array_sha256(array) == record["sha256"]
        _verify(same and leaves.stored_kind(record, array) == record["kind"], record["path"])
    _verify(leaves.json_sha256(seal["leaves"]) == seal["state_sha256"], "state_sha256")
    return seal, arrays


def _read_seal(directory: Path, step: int) -> dict[str, Any]:
    path = _seal_path(directory, step)
    _require_file(path, directory)
    seal = json.loads(path.read_text(encoding="utf-8"))
    # `pop` comes first: the hash is of the seal without its own hash.
    signed = isinstance(seal, dict) and seal.pop("seal_sha256", "") == leaves.json_sha256(seal)
    _verify(signed, path.name)
    known = (seal.get("format"), seal["step"]) == (FORMAT, step)
    # `data` is a folder's name and nothing else: ".." or a path would be read outside of the
    # directory.
    _verify(known and _DATA.fullmatch(seal["data"]), path.name)
    _verify(isinstance(seal["extra"], dict), path.name)  # others read it without further checks
    return seal


def _require_file(path: Path, directory: Path) -> None:
    """Raises ValueError unless `path` is a regular file (reading a pipe never ends) inside the
    directory, with links and ".." followed.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory)):
        raise ValueError(f"{path.name} is outside the directory")


def _verify(condition: Any, name: str) -> None:
    if not condition:
        raise ValueError(f"{name} is not what was saved")


def _load(data: Path, records: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    ocp = _orbax()
    empty = [r for r in records if 0 in r["shape"]]
    arrays = {r["path"]: np.zeros(r["shape"], jnp.dtype(r["dtype"])) for r in empty}
    # As NumPy arrays: the bytes are verified on the host, before any device holds them. The target
    # decides about devices later, in `leaves.fill`.
    as_numpy = ocp.RestoreArgs(restore_type=np.ndarray)
    wanted = {r["path"]: as_numpy for r in records if r["path"] not in arrays}
    if wanted:
        with _checkpointer() as checkpointer:
            args = ocp.args.PyTreeRestore(restore_args=wanted)
            arrays |= checkpointer.restore(data.absolute(), args=args)
    return arrays


def _seal_path(directory: Path, step: int) -> Path:
    return directory / f"{step:08d}.json"


def _checked_extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    try:
        # Through text and back: a deep copy, so the journal may change while the thread writes, and
        # what `restore` will return is known to be readable.
        return json.loads(json.dumps(dict(extra), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"extra is no JSON ({check.one_line(error)}): give a JSON object"
        ) from error
