"""Checkpoints of the whole training state: written by orbax, sealed by us, never trusted unread.

A checkpoint of step 1000 is a folder of arrays and one seal beside it::

    checkpoints/00001000-0/      orbax: a flat dictionary {path of the leaf: array}
    checkpoints/00001000.json    the seal: checksums of every leaf and file, and `extra`

The seal is written last, in one rename: without it there is no checkpoint, whenever the process was
killed.  Orbax restores a flipped byte as a wrong number and casts a changed dtype; here every byte
is verified before it becomes a state, a damaged checkpoint is passed over aloud in favour of the
one before, and a state of another shape is refused with the name of the leaf.
"""

import contextlib
import hashlib
import itertools
import json
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

FORMAT = 1
_Path = str | os.PathLike[str]
_SEAL = re.compile(r"(\d{8,})\.json")
_DATA = re.compile(r"(\d{8,})-\d+")
_SCALARS = (bool, int, float, complex)


class CheckpointError(ValueError):
    """One line: what is wrong, where, and what to do."""


class Restored(NamedTuple):
    """What `restore` found."""

    step: int
    state: Any  # the target's structure, filled, on the target's devices
    extra: dict[str, Any]  # as given to `save`
    state_sha256: str  # of `state`
    skipped: tuple[str, ...]  # a line for every newer checkpoint that was damaged, and why


class _Leaf(NamedTuple):  # on the host
    path: str
    kind: str  # "float32[3, 4]", "key<fry>[]", or a Python number's "int", "float", ...
    impl: str | None  # a typed key's generator
    array: np.ndarray  # what is stored


def state_sha256(state: Any) -> str:
    """Fingerprint of a state: path, dtype, shape and bytes of every leaf, in tree order.

    Typed keys count by their data and generator; where the leaves live (numpy, one device, many)
    does not matter.

    Raises:
      CheckpointError: a leaf is no number, array or key.
    """
    return _json_sha256([_record(leaf) for leaf in _host(state)])


class Checkpoints:
    """Writes checkpoints of a run into one directory, in the background.

    A context manager; a save not waited for before the interpreter exits may be lost.

    Args:
      directory: created if needed; one run, one writer.
      keep: how many of the latest checkpoints stay, at least 1.
      score: `extra -> number`; the checkpoint with the highest one stays too.
    """

    def __init__(self, directory: _Path, keep: int = 3, score: Callable | None = None):
        if keep < 1:
            raise CheckpointError(f"keep is {keep}: keep at least 1 checkpoint")
        self.directory = Path(directory)
        self._keep = keep
        self._score = score
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future | None = None

    def save(self, step: int, state: Any, extra: Mapping[str, Any] | None = None) -> None:
        """Copies the state to the host and returns; checking, writing and sealing go on behind.

        Saving a step again replaces it, in one rename.  Checkpoints of later steps are dropped:
        they belong to a future that is being trained anew.

        Args:
          step: 0 or more.
          state: any pytree of arrays, typed keys and Python numbers.
          extra: a JSON object: configuration, data position, best score so far, ...

        Raises:
          CheckpointError: the save before this one failed, a leaf is no number, `extra` no JSON.
        """
        self.wait()
        if (step := operator.index(step)) < 0:
            raise CheckpointError(f"step is {step}: count from 0")
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
        with self._worker:
            self.wait()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, step: int, leaves: list[_Leaf], extra: dict[str, Any]) -> None:
        data = _new_data_folder(self.directory, step)
        try:
            _store(data, leaves)
            seal = _make_seal(step, leaves, data, extra)
            for later in (s for s in steps(self.directory) if s > step):
                _seal_path(self.directory, later).unlink()
            _publish(_seal_path(self.directory, step), seal)
        except Exception as error:  # orbax raises what its storage raises
            for part in self.directory.glob(f"{data.name}*"):
                shutil.rmtree(part, ignore_errors=True)
            raise CheckpointError(
                f"checkpoint {step} was not written to {self.directory} ({_line(error)}): "
                "free space or mend the directory; the last checkpoint is untouched"
            ) from error
        with contextlib.suppress(OSError):  # what cannot be removed is tried again next time
            _retire(self.directory, self._keep, self._score)


def steps(directory: _Path) -> list[int]:
    """The steps that have a sealed checkpoint in `directory`, rising; not yet read or verified."""
    if not Path(directory).is_dir():
        return []
    names = [_SEAL.fullmatch(path.name) for path in Path(directory).iterdir()]
    return sorted(int(name[1]) for name in names if name)


def restore(directory: _Path, target: Any, step: int | None = None) -> Restored:
    """The newest checkpoint that is whole, as a state like `target`.

    Every byte is verified first.  Damaged checkpoints are passed over and named in
    `skipped`; a whole one that does not fit `target` is an error: an older one would not either.

    Args:
      target: a state (its values are not read) or its `jax.eval_shape`; a leaf's sharding, where it
        has one, is where the restored leaf is put.
      step: this step and no other.

    Raises:
      CheckpointError: no whole checkpoint; a leaf (named) is missing, too many or of another kind.
    """
    directory = Path(directory)
    skipped: list[str] = []
    for candidate in reversed(steps(directory)) if step is None else [step]:
        try:
            seal, arrays = _read(directory, candidate)
        except Exception as error:  # whatever keeps it from being read
            skipped.append(f"step {candidate}: {_line(error)}")
            continue
        state = _fill(target, seal, arrays, directory)
        return Restored(candidate, state, seal["extra"], seal["state_sha256"], tuple(skipped))
    reasons = f" ({'; '.join(skipped)})" if skipped else ""
    raise CheckpointError(f"no whole checkpoint in {directory}{reasons}: start without resuming")


def _host(state: Any) -> list[_Leaf]:
    """The leaves on the host, copied: the state may be donated while they are being written."""
    leaves = _flat(state)
    kinds = [_kind(path, leaf) for path, leaf in leaves.items()]
    impls = [str(jax.random.key_impl(leaf)) if _is_key(leaf) else None for leaf in leaves.values()]
    data = [jax.random.key_data(leaf) if _is_key(leaf) else leaf for leaf in leaves.values()]
    arrays = [np.array(array, order="C") for array in jax.device_get(data)]
    return [_Leaf(*fields) for fields in zip(leaves, kinds, impls, arrays, strict=True)]


def _flat(tree: Any) -> dict[str, Any]:
    """{path: leaf} in tree order; paths as Python writes them tell the key 1 from the key "1"."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def _kind(path: str, leaf: Any) -> str:
    """A leaf's type in words, concrete or abstract; raises if it is nothing that can be kept."""
    if type(leaf) in _SCALARS:
        return type(leaf).__name__
    if _is_key(leaf) or (hasattr(leaf, "dtype") and jnp.isdtype(leaf.dtype, ("bool", "numeric"))):
        return f"{leaf.dtype}{list(leaf.shape)}"
    raise CheckpointError(
        f"leaf {path} is {leaf!r}: a state holds arrays, keys and numbers; put the rest in extra"
    )


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _record(leaf: _Leaf) -> dict[str, Any]:
    """What the seal says of a leaf; `dtype` and `shape` are those of the stored array."""
    names = {"path": leaf.path, "kind": leaf.kind, "impl": leaf.impl}
    stored = {"dtype": str(leaf.array.dtype), "shape": list(leaf.array.shape)}
    return names | stored | {"sha256": _array_sha256(leaf.array)}


def _array_sha256(array: np.ndarray) -> str:
    digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _json_sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _store(data: Path, leaves: list[_Leaf]) -> None:
    """Writes the arrays with orbax, which refuses empty ones: the seal's shape stands for those."""
    import orbax.checkpoint as ocp

    data.parent.mkdir(parents=True, exist_ok=True)
    arrays = {leaf.path: leaf.array for leaf in leaves if leaf.array.size}
    if arrays:
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
    files = [path for path in data.rglob("*") if path.is_file()]
    seal = {
        "format": FORMAT,
        "step": step,
        "state_sha256": _json_sha256(records),
        "extra": extra,
        "data": data.name,
        "files": {str(path.relative_to(data)): _file_sha256(path) for path in sorted(files)},
        "leaves": records,
    }
    return seal | {"seal_sha256": _json_sha256(seal)}


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _publish(path: Path, seal: dict[str, Any]) -> None:
    """Makes the checkpoint exist: all of the seal or nothing of it."""
    draft = path.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(seal, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _retire(directory: Path, keep: int, score: Callable | None) -> None:
    """Removes what is neither among the last `keep` nor the best, and what kills left behind."""
    seals = {}
    for step in steps(directory):
        with contextlib.suppress(Exception):
            seals[step] = _read_seal(directory, step)
    kept = set(list(seals)[-keep:])
    if score is not None:
        kept.add(max(seals, key=lambda step: score(seals[step]["extra"])))
    for step in set(steps(directory)) - kept:
        _seal_path(directory, step).unlink()
    named = {seals[step]["data"] for step in kept}
    for path in directory.iterdir():
        # match, not fullmatch: what orbax has not finished carries a suffix
        if path.is_dir() and _DATA.match(path.name) and path.name not in named:
            shutil.rmtree(path, ignore_errors=True)


def _new_data_folder(directory: Path, step: int) -> Path:
    """A name that nothing has, so that a step's old arrays stay whole until it is sealed anew."""
    names = (f"{step:08d}-{number}" for number in itertools.count())
    return directory / next(name for name in names if not any(directory.glob(f"{name}*")))


def _read(directory: Path, step: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A checkpoint's seal and arrays, all verified; raises what it stumbles over."""
    seal = _read_seal(directory, step)
    data = directory / seal["data"]
    for name, digest in seal["files"].items():  # orbax is fed nothing that is damaged
        _verify(_file_sha256(data / name) == digest, f"{data.name}/{name}")
    arrays = _load(data, seal["leaves"])
    for record in seal["leaves"]:
        _verify(_array_sha256(arrays[record["path"]]) == record["sha256"], record["path"])
    return seal, arrays


def _read_seal(directory: Path, step: int) -> dict[str, Any]:
    path = _seal_path(directory, step)
    seal = json.loads(path.read_text(encoding="utf-8"))
    _verify(isinstance(seal, dict) and seal.pop("seal_sha256", "") == _json_sha256(seal), path.name)
    known = (seal.get("format"), seal["step"]) == (FORMAT, step)
    _verify(known and _DATA.fullmatch(seal["data"]), path.name)
    return seal


def _verify(condition: Any, name: str) -> None:
    if not condition:
        raise ValueError(f"{name} is not what was saved")


def _load(data: Path, records: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    import orbax.checkpoint as ocp

    empty = [r for r in records if 0 in r["shape"]]
    arrays = {r["path"]: np.zeros(r["shape"], jnp.dtype(r["dtype"])) for r in empty}
    as_numpy = ocp.RestoreArgs(restore_type=np.ndarray)
    wanted = {r["path"]: as_numpy for r in records if r["path"] not in arrays}
    if wanted:
        with _orbax() as checkpointer:
            args = ocp.args.PyTreeRestore(restore_args=wanted)
            arrays |= checkpointer.restore(data.absolute(), args=args)
    return arrays


def _fill(target: Any, seal: dict[str, Any], arrays: dict[str, np.ndarray], where: Path) -> Any:
    """The target's tree with the checkpoint's leaves, once every one of them is known to fit."""
    wanted = _flat(target)
    saved = {record["path"]: record for record in seal["leaves"]}
    if problems := list(_misfits(wanted, saved)):
        more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
        raise CheckpointError(
            f"checkpoint {seal['step']} in {where} does not fit: {problems[0]}{more}: "
            "restore with the model and configuration it was saved with"
        )
    leaves = [_placed(leaf, arrays[path], saved[path]["impl"]) for path, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(target), leaves)


def _misfits(wanted: dict[str, Any], saved: dict[str, Any]) -> Iterator[str]:
    for path, leaf in wanted.items():
        here = _kind(path, leaf)
        if path not in saved:
            yield f"leaf {path} is not in the checkpoint"
        elif here != saved[path]["kind"]:
            yield f"leaf {path} is {saved[path]['kind']} in the checkpoint and {here} here"
    for path in saved.keys() - wanted.keys():
        yield f"leaf {path} is in the checkpoint and not here"


def _placed(leaf: Any, array: np.ndarray, impl: str | None) -> Any:
    """`array` as the kind of thing the target's leaf is, where that leaf is."""
    if type(leaf) in _SCALARS:
        return array.item()
    if isinstance(leaf, np.generic | np.ndarray):
        return array if isinstance(leaf, np.ndarray) else array[()]
    value = array if impl is None else jax.random.wrap_key_data(jnp.asarray(array), impl=impl)
    # An uncommitted array stays free to follow the others to their devices.
    return jax.device_put(value, leaf.sharding if getattr(leaf, "committed", True) else None)


def _seal_path(directory: Path, step: int) -> Path:
    return directory / f"{step:08d}.json"


def _checked_extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(dict(extra), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"extra is {extra!r}: give a JSON object ({error})") from error


def _line(error: Exception) -> str:
    """An exception in one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
