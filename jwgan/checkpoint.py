"""Checkpoints of the whole training state: written by orbax, sealed by us, never trusted unread.

A checkpoint of step 1000 is a folder of arrays and one seal beside it::

    checkpoints/00001000-0/      orbax: a flat dictionary {path of the leaf: array}
    checkpoints/00001000.json    the seal: checksums of every leaf and every file, and `extra`

The seal is written last, in one rename: what has no seal is no checkpoint, whenever the process
was killed.  Orbax itself restores a flipped byte as a wrong number, casts a changed dtype and takes
an empty folder for the latest step; here every byte is checked before it becomes a state, a damaged
checkpoint is passed over aloud in favour of the one before, and a state of another shape is refused
with the name of the leaf.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

FORMAT = 1
_SEAL = re.compile(r"(\d{8,})\.json")
_DATA = re.compile(r"(\d{8,})-\d+")
_SCALARS = (bool, int, float, complex)


class CheckpointError(ValueError):
    """One line: what is wrong, where, and what to do."""


class _DamagedError(CheckpointError):
    """This checkpoint is not what was saved; an older one may be."""


class Restored(NamedTuple):
    """What `restore` found.

    Attributes:
      step: the step it was saved under.
      state: the target's structure, filled, on the target's devices.
      extra: the JSON object given to `save`.
      state_sha256: `state_sha256(state)`, as it was when saved.
      skipped: one line for every newer checkpoint that was damaged, and why.
    """

    step: int
    state: Any
    extra: dict[str, Any]
    state_sha256: str
    skipped: tuple[str, ...]


class _Leaf(NamedTuple):
    """A leaf on the host: `array` is what is stored, `dtype` what it is in the state."""

    path: str
    dtype: str  # "float32", "key<fry>", or a Python scalar's "int", "float", ...
    impl: str | None  # name of a typed key's generator
    array: np.ndarray


def state_sha256(state: Any) -> str:
    """Fingerprint of a state: path, dtype, shape and bytes of every leaf, in tree order.

    Typed keys count by their data and generator.  Where the leaves live (numpy, one device, many)
    does not matter; -0.0 and 0.0 differ, as any two different bytes do.

    Raises:
      CheckpointError: a leaf is no number, array or key.
    """
    return _fingerprint([_record(leaf) for leaf in _host(state)])


class Checkpoints:
    """Writes checkpoints of a run into one directory, in the background.

    Use as a context manager, or call `close`: a save still being written at the interpreter's exit
    is lost otherwise (the checkpoint before it stays whole).

    Args:
      directory: created if needed; one run, one writer.
      keep: how many of the latest checkpoints stay, at least 1.
      score: `extra -> number`; the checkpoint with the highest one stays too.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        keep: int = 3,
        score: Callable[[dict[str, Any]], float] | None = None,
    ):
        if keep < 1:
            raise CheckpointError(f"keep is {keep}: keep at least 1 checkpoint")
        self.directory = Path(directory)
        self._keep = keep
        self._score = score
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future | None = None

    def save(self, step: int, state: Any, extra: Mapping[str, Any] | None = None) -> None:
        """Copies the state to the host and returns; checking, writing and sealing go on behind.

        Saving a step again replaces it, in one rename.  Checkpoints of later steps are dropped: they
        belong to a future that is being trained anew.

        Args:
          step: 0 or more.
          state: any pytree of arrays, typed keys and Python numbers.
          extra: a JSON object: configuration, data position, best score so far, ...

        Raises:
          CheckpointError: the save BEFORE this one failed (this one is not begun), a leaf cannot be
            stored, `extra` is not JSON.
        """
        self.wait()
        step = _checked_step(step)
        extra = _checked_extra(extra or {})
        leaves = _host(state)
        if jax.process_index() == 0:
            self._pending = self._worker.submit(self._write, step, leaves, extra)

    def wait(self) -> None:
        """Returns when the last save is sealed; raises `CheckpointError` if it failed."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Waits for the last save and stops the background thread."""
        try:
            self.wait()
        finally:
            self._worker.shutdown()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, step: int, leaves: list[_Leaf], extra: dict[str, Any]) -> None:
        data = _new_data_folder(self.directory, step)
        try:
            data.parent.mkdir(parents=True, exist_ok=True)
            _store(data, leaves)
            seal = _make_seal(step, leaves, data, extra)
            for later in [s for s in steps(self.directory) if s > step]:
                _seal_path(self.directory, later).unlink()
            _publish(_seal_path(self.directory, step), seal)
            _retire(self.directory, self._keep, self._score)
        except Exception as error:
            shutil.rmtree(data, ignore_errors=True)
            raise CheckpointError(
                f"checkpoint {step} was not written to {self.directory} ({_line(error)}): "
                "free space or mend the directory; earlier checkpoints are untouched"
            ) from error


def steps(directory: str | os.PathLike) -> list[int]:
    """The steps that have a sealed checkpoint in `directory`, rising; not yet read or verified."""
    if not Path(directory).is_dir():
        return []
    names = (_SEAL.fullmatch(path.name) for path in Path(directory).iterdir())
    return sorted(int(name[1]) for name in names if name)


def restore(directory: str | os.PathLike, target: Any, step: int | None = None) -> Restored:
    """The newest checkpoint that is whole, as a state like `target`.

    Every byte is verified first.  Damaged checkpoints are passed over and named in `skipped`; a
    whole one that does not fit `target` is an error, since an older one would not fit either.

    Args:
      directory: as given to `Checkpoints`.
      target: a state (its values are not read) or its `jax.eval_shape`; a leaf's sharding, where it
        has one, is where the restored leaf is put.
      step: this step and no other.

    Raises:
      CheckpointError: no whole checkpoint, or a leaf is missing, unexpected, or of another dtype
        or shape; the message names it.
    """
    directory = Path(directory)
    skipped: list[str] = []
    for candidate in reversed(steps(directory)) if step is None else [step]:
        try:
            seal, arrays = _read(directory, candidate)
        except _DamagedError as error:
            skipped.append(str(error))
            continue
        state = _fill(target, seal, arrays, directory)
        return Restored(candidate, state, seal["extra"], seal["state_sha256"], tuple(skipped))
    if skipped:
        raise CheckpointError(
            f"no whole checkpoint in {directory} ({'; '.join(skipped)}): start a new run"
        )
    raise CheckpointError(f"no checkpoint in {directory}: start the run without resuming")


def read_extra(directory: str | os.PathLike, step: int | None = None) -> dict[str, Any]:
    """The `extra` of the newest readable seal (or of `step`'s), without reading the arrays.

    Raises:
      CheckpointError: there is none.
    """
    reasons = []
    for candidate in reversed(steps(directory)) if step is None else [step]:
        try:
            return _read_seal(Path(directory), candidate)["extra"]
        except _DamagedError as error:
            reasons.append(str(error))
    raise CheckpointError(
        f"no checkpoint in {directory}{''.join(f' ({r})' for r in reasons)}: start a new run"
    )


# --- leaves -------------------------------------------------------------------------------------


def _host(state: Any) -> list[_Leaf]:
    """The leaves on the host, copied: the state may be donated while they are being written."""
    leaves = [
        (jax.tree_util.keystr(path), leaf)
        for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]
    ]
    kinds = [_kind(path, leaf) for path, leaf in leaves]
    arrays = jax.device_get([_stored(leaf) for _, leaf in leaves])
    return [
        _Leaf(path, dtype, _impl(leaf), np.array(array, order="C"))
        for (path, leaf), (dtype, _), array in zip(leaves, kinds, arrays, strict=True)
    ]


def _kind(path: str, leaf: Any) -> tuple[str, tuple[int, ...]]:
    """A leaf's dtype and shape, concrete or abstract; raises if it is nothing that can be kept."""
    if type(leaf) in _SCALARS:
        return type(leaf).__name__, ()
    dtype = getattr(leaf, "dtype", None)
    if dtype is not None and (_is_key(leaf) or dtype == bool or _is_number(dtype)):
        return str(dtype), tuple(leaf.shape)
    raise CheckpointError(
        f"leaf {path} is {leaf!r}: a state holds arrays, keys and numbers; put the rest in extra"
    )


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _is_number(dtype: Any) -> bool:
    return not jax.dtypes.issubdtype(dtype, jax.dtypes.extended) and jax.numpy.issubdtype(
        dtype, np.number
    )


def _impl(leaf: Any) -> str | None:
    return str(jax.random.key_impl(leaf)) if hasattr(leaf, "dtype") and _is_key(leaf) else None


def _stored(leaf: Any) -> Any:
    """The array behind a leaf: a key's data, a number as [], all shards of a distributed array."""
    if not isinstance(leaf, jax.Array):
        return np.asarray(leaf)
    array = jax.random.key_data(leaf) if _is_key(leaf) else leaf
    if array.is_fully_addressable or array.is_fully_replicated:
        return array
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array, tiled=True)


def _record(leaf: _Leaf) -> dict[str, Any]:
    """What the seal says of a leaf."""
    return {
        "path": leaf.path,
        "dtype": leaf.dtype,
        "impl": leaf.impl,
        "shape": list(leaf.array.shape),
        "stored": str(leaf.array.dtype),
        "sha256": _bytes_sha256(leaf.array),
    }


def _bytes_sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.reshape(-1).view(np.uint8)).hexdigest()


def _fingerprint(records: list[dict[str, Any]]) -> str:
    return hashlib.sha256(_canonical(records)).hexdigest()


# --- writing ------------------------------------------------------------------------------------


def _store(data: Path, leaves: list[_Leaf]) -> None:
    """Writes the arrays with orbax, which refuses empty ones: the seal's shape stands for those."""
    import orbax.checkpoint as ocp

    arrays = {leaf.path: leaf.array for leaf in leaves if leaf.array.size}
    with _orbax() as checkpointer:
        checkpointer.save(data.absolute(), args=ocp.args.PyTreeSave(arrays))


def _orbax() -> Any:
    """An orbax checkpointer that waits for no other process: only the first one writes."""
    import orbax.checkpoint as ocp

    alone = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index(),
        active_processes={jax.process_index()},
        barrier_sync_key_prefix=f"jwgan{jax.process_index()}",
    )
    return ocp.Checkpointer(ocp.PyTreeCheckpointHandler(), multiprocessing_options=alone)


def _make_seal(step: int, leaves: list[_Leaf], data: Path, extra: dict[str, Any]) -> dict[str, Any]:
    records = [_record(leaf) for leaf in leaves]
    seal = {
        "format": FORMAT,
        "step": step,
        "data": data.name,
        "state_sha256": _fingerprint(records),
        "leaves": records,
        "files": {name: _file_sha256(data / name, flush=True) for name in _files(data)},
        "extra": extra,
    }
    return seal | {"seal_sha256": hashlib.sha256(_canonical(seal)).hexdigest()}


def _files(data: Path) -> list[str]:
    return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())


def _file_sha256(path: Path, flush: bool = False) -> str:
    with path.open("rb") as file:
        if flush:  # the seal must not reach the disk before what it vouches for
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _publish(path: Path, seal: dict[str, Any]) -> None:
    """Makes the checkpoint exist: all of the seal or nothing of it."""
    draft = path.with_suffix(".tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump(seal, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _retire(directory: Path, keep: int, score: Callable | None) -> None:
    """Removes what is neither among the last `keep` nor the best, and what kills left behind."""
    sealed = steps(directory)
    kept = set(sealed[-keep:])
    if score is not None:
        kept |= _best(directory, sealed, score)
    for step in set(sealed) - kept:
        _seal_path(directory, step).unlink()
    named = {_data_name(directory, step) for step in kept}
    for path in directory.iterdir():
        # match, not fullmatch: orbax's unfinished folders carry a suffix
        if path.is_dir() and _DATA.match(path.name) and path.name not in named:
            shutil.rmtree(path, ignore_errors=True)


def _best(directory: Path, sealed: list[int], score: Callable) -> set[int]:
    scored = []
    for step in sealed:
        try:
            scored.append((score(_read_seal(directory, step)["extra"]), step))
        except _DamagedError:
            continue
    return {max(scored)[1]} if scored else set()


def _data_name(directory: Path, step: int) -> str | None:
    try:
        return _read_seal(directory, step)["data"]
    except _DamagedError:
        return None


def _new_data_folder(directory: Path, step: int) -> Path:
    """A name that nothing has, so that a step's old arrays stay whole until it is sealed anew."""
    number = 0
    while (path := directory / f"{step:08d}-{number}").exists():
        number += 1
    return path


# --- reading ------------------------------------------------------------------------------------


def _read(directory: Path, step: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A checkpoint's seal and arrays, all verified; `_DamagedError` says what is wrong with it."""
    seal = _read_seal(directory, step)
    data = directory / seal["data"]
    for name, digest in seal["files"].items():
        try:
            whole = _file_sha256(data / name) == digest
        except OSError as error:
            raise _DamagedError(f"step {step}: {data.name}/{name}: {_line(error)}") from error
        if not whole:
            raise _DamagedError(f"step {step}: {data.name}/{name} has changed since it was saved")
    arrays = _load(data, seal, step)
    for record in seal["leaves"]:
        array = arrays[record["path"]]
        if (str(array.dtype), list(array.shape), _bytes_sha256(array)) != (
            record["stored"],
            record["shape"] if record["impl"] is None else list(array.shape),
            record["sha256"],
        ):
            raise _DamagedError(f"step {step}: leaf {record['path']} is not what was saved")
    return seal, arrays


def _read_seal(directory: Path, step: int) -> dict[str, Any]:
    path = _seal_path(directory, step)
    try:
        seal = json.loads(path.read_text(encoding="utf-8"))
        digest = seal.pop("seal_sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise _DamagedError(f"step {step}: {path.name}: {_line(error)}") from error
    if digest != hashlib.sha256(_canonical(seal)).hexdigest():
        raise _DamagedError(f"step {step}: {path.name} has changed since it was saved")
    if seal.get("format") != FORMAT or not _DATA.fullmatch(seal["data"]) or seal["step"] != step:
        raise _DamagedError(f"step {step}: {path.name} is not a seal of format {FORMAT} and step")
    return seal


def _load(data: Path, seal: dict[str, Any], step: int) -> dict[str, np.ndarray]:
    import orbax.checkpoint as ocp

    arrays = {
        record["path"]: np.zeros(record["shape"], jax.numpy.dtype(record["stored"]))
        for record in seal["leaves"]
        if 0 in record["shape"]
    }
    as_numpy = {
        record["path"]: ocp.RestoreArgs(restore_type=np.ndarray)
        for record in seal["leaves"]
        if record["path"] not in arrays
    }
    try:
        with _orbax() as checkpointer:
            args = ocp.args.PyTreeRestore(item=dict.fromkeys(as_numpy, 0), restore_args=as_numpy)
            return arrays | checkpointer.restore(data.absolute(), args=args)
    except Exception as error:  # orbax raises what its storage raises
        raise _DamagedError(f"step {step}: {data.name}: {_line(error)}") from error
