"""A state as its named leaves: copied to the host, fingerprinted, and put back where it belongs.

The functions' examples are of this state, saved at step 7:

>>> import pathlib
>>> from jwgan.checkpoint import leaves
>>> state = {"num": 3, "w": jnp.ones(2)}
>>> of_state = leaves.host(state)
>>> seal = {"step": 7, "leaves": [leaves.record(leaf) for leaf in of_state]}
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import check, numerics

UPGRADE = "`python -m experiments.upgrade RUN`, or the word upgrade behind a command of your own"
_SCALARS = (bool, int, float, complex)  # Python's own numbers, which a state may hold beside arrays


# Leaves that states have had since a later version -> those whose values they start from where a
# checkpoint is older: until 0.1 the averaged generator had the current one's batch statistics.
GROWN = {".statistics": ".inner.generator.model_state"}


class CheckpointError(ValueError):
    """A checkpoint that cannot be written or used; one line: what is wrong, where, what to do."""

    def __init__(self, message: str):
        super().__init__(check.printable(message))


class Leaf(NamedTuple):
    """A leaf of a state, on the host."""

    path: str
    kind: str  # "float32[3, 4]", "key<fry>[]", or a Python number's "int", "float", ...
    impl: str | None  # a typed key's generator
    array: np.ndarray  # what is stored


def state_sha256(state: Any) -> str:
    """Computes a state's fingerprint: path, dtype, shape and bytes of every leaf, in tree order.

    Typed keys count by their data and generator; where the leaves live (numpy, one device, many)
    does not matter.

    Raises:
      CheckpointError: a leaf is no number, array or key.

    >>> zeros, ones = {"w": jnp.zeros(2)}, {"w": jnp.ones(2)}
    >>> checkpoint.state_sha256(zeros) == checkpoint.state_sha256({"w": np.zeros(2, np.float32)})
    True
    >>> checkpoint.state_sha256(zeros) == checkpoint.state_sha256(ones)
    False
    """
    return json_sha256([record(leaf) for leaf in host(state)])


def host(state: Any) -> list[Leaf]:
    """Copies the leaves to the host, so that the state may be donated while they are written.

    Raises:
      CheckpointError: a leaf is no number, array or key.

    >>> [(leaf.path, leaf.kind, leaf.array.tolist()) for leaf in leaves.host(state)]
    [("['num']", 'int', 3), ("['w']", 'float32[2]', [1.0, 1.0])]
    """
    leaves = _flat(state)
    kinds = [_kind(path, leaf) for path, leaf in leaves.items()]
    impls = [
        str(jax.random.key_impl(leaf)) if numerics.is_key(leaf) else None
        for leaf in leaves.values()
    ]
    # Typed keys have no bytes of their own to write: their data are uint32, and the generator's
    # name goes beside them.
    data = [
        jax.random.key_data(leaf) if numerics.is_key(leaf) else leaf for leaf in leaves.values()
    ]
    # A copy, since on a CPU device_get may return a view of the device's memory, which the next
    # step overwrites when the state is donated to it. One device_get of all leaves lets the
    # transfers overlap.
    arrays = [np.array(array, order="C") for array in jax.device_get(data)]
    return [Leaf(*fields) for fields in zip(leaves, kinds, impls, arrays, strict=True)]


def _flat(tree: Any) -> dict[str, Any]:
    """Lists {path: leaf} in tree order. A path has Python's quotes, which tell 1 from "1"."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def _kind(path: str, leaf: Any) -> str:
    """Names the type of a leaf, concrete or abstract; raises if no checkpoint can hold it."""
    # A larger int would become a NumPy array of objects, which only pickle could write. `type` and
    # not isinstance: a bool is an int too, and each must come back as what it was.
    if type(leaf) in _SCALARS and not (type(leaf) is int and not -(2**63) <= leaf < 2**64):
        return type(leaf).__name__
    # Abstract leaves (ShapeDtypeStruct) pass as well: a target may be all shapes.
    if numerics.is_key(leaf) or (
        hasattr(leaf, "dtype") and jnp.isdtype(leaf.dtype, ("bool", "numeric"))
    ):
        return f"{leaf.dtype}{list(leaf.shape)}"
    raise CheckpointError(
        f"leaf {path} is {leaf!r}: a state holds arrays, keys and numbers of 64 bits; "
        "put the rest in extra"
    )


def record(leaf: Leaf) -> dict[str, Any]:
    """Describes a leaf for the seal; `dtype` and `shape` are those of the stored array.

    >>> {name: value for name, value in leaves.record(of_state[1]).items() if name != "sha256"}
    {'path': "['w']", 'kind': 'float32[2]', 'impl': None, 'dtype': 'float32', 'shape': [2]}
    """
    names = {"path": leaf.path, "kind": leaf.kind, "impl": leaf.impl}
    stored = {"dtype": str(leaf.array.dtype), "shape": list(leaf.array.shape)}
    return names | stored | {"sha256": array_sha256(leaf.array)}


def stored_kind(record: dict[str, Any], array: np.ndarray) -> str:
    """Works out a leaf's kind from its stored array, to be compared with what the record says.

    >>> record = leaves.record(of_state[0])
    >>> [leaves.stored_kind(record, np.array(x)) for x in (3, 3.0)]
    ['int', 'float']
    """
    # The kind is worked out of the array that came back, not read from the record: orbax casts to
    # whatever dtype its own metadata names.
    if record["impl"] is not None:
        return _kind("", jax.random.wrap_key_data(jnp.asarray(array), impl=record["impl"]))
    if record["kind"] in [scalar.__name__ for scalar in _SCALARS]:
        return type(array.item()).__name__
    return _kind("", array)


def array_sha256(array: np.ndarray) -> str:
    """Computes the SHA-256 (hex) of an array's dtype, shape and bytes.

    >>> leaves.array_sha256(np.zeros((2, 3))) == leaves.array_sha256(np.zeros((3, 2)))
    False
    """
    digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    # As bytes, since bfloat16 has no buffer that hashlib takes; flat, since an array without axes
    # cannot be viewed in another item size.
    digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def json_sha256(value: Any) -> str:
    """Computes the SHA-256 (hex) of a JSON value, whatever the order of its keys.

    >>> leaves.json_sha256({"a": 1, "b": 2}) == leaves.json_sha256({"b": 2, "a": 1})
    True
    """
    # The keys are sorted: a seal read from its file must have the hash it had when it was made.
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def fill(
    target: Any,
    seal: dict[str, Any],
    arrays: dict[str, np.ndarray],
    where: Path,
    grow: bool = False,
) -> Any:
    """Puts a checkpoint's leaves into the target's tree, once all of them are known to fit.

    Args:
      target: a state or its `jax.eval_shape`.
      seal: of the checkpoint.
      arrays: {path: array} of all leaves.
      where: the checkpoints' directory, for the message.
      grow: whether leaves that the checkpoint lacks keep the target's values.

    Raises:
      CheckpointError: a leaf is missing, is not in the target, or is of another kind.

    >>> arrays = {leaf.path: leaf.array for leaf in of_state}
    >>> leaves.fill({"num": 0, "w": jnp.zeros(2)}, seal, arrays, pathlib.Path("runs"))
    {'num': 3, 'w': Array([1., 1.], dtype=float32)}
    >>> leaves.fill({"num": 0}, seal, arrays, pathlib.Path("runs"))
    Traceback (most recent call last):
    jwgan.checkpoint.leaves.CheckpointError: checkpoint 7 in runs does not fit: leaf ['w'] is in the
    checkpoint and not here: restore with the model and configuration it was saved with
    """
    # Leaves are matched by path and not by their place: two models with as many leaves of the same
    # shapes would be confused otherwise.
    wanted = _flat(target)
    saved = {record["path"]: record for record in seal["leaves"]}
    for path, origin in _origins(wanted, saved).items():
        saved[path], arrays[path] = saved[origin], arrays[origin]
    new = [path for path in wanted if path not in saved]
    known = {path: leaf for path, leaf in wanted.items() if path in saved}
    problems = [] if grow else [f"leaf {path} is not in the checkpoint" for path in new]
    problems += _misfits(known, saved)
    if problems:
        more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
        # A state that has grown holds all that it held when it was saved.
        grown = f"; or bring the run over with {UPGRADE}" if len(problems) == len(new) else ""
        raise CheckpointError(
            f"checkpoint {seal['step']} in {where} does not fit: {problems[0]}{more}: "
            f"restore with the model and configuration it was saved with{grown}"
        )
    leaves = [
        _placed(leaf, arrays[path], saved[path]["impl"]) if path in known else leaf
        for path, leaf in wanted.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(target), leaves)


def _origins(wanted: dict[str, Any], saved: dict[str, Any]) -> dict[str, str]:
    """{leaf that the checkpoint is too old to have: the leaf of it whose value it starts from}."""
    return {
        path: origin
        for path in wanted
        for new, older in GROWN.items()
        if path not in saved and path.startswith(new)
        if (origin := older + path.removeprefix(new)) in saved
    }


def grown(target: Any, seal: dict[str, Any]) -> tuple[str, ...]:
    """A line for every kind of leaf that the target has and an older checkpoint has not.

    >>> older = {"step": 7, "leaves": [{"path": ".inner.generator.model_state['mean']"}]}
    >>> newer = jwgan.wrappers.EMAState(None, None, {"mean": jnp.zeros(2)})
    >>> leaves.grown(newer, older)
    ("checkpoint 7 is older than the state's .statistics: they start from
    .inner.generator.model_state",)
    """
    found = _origins(_flat(target), {record["path"]: record for record in seal["leaves"]})
    return tuple(
        f"checkpoint {seal['step']} is older than the state's {new}: they start from {older}"
        for new, older in GROWN.items()
        if any(path.startswith(new) for path in found)
    )


def missing(target: Any, seal: dict[str, Any]) -> tuple[str, ...]:
    """Names the leaves of the target for which a checkpoint has no value.

    >>> leaves.missing({**state, "b": jnp.zeros(1)}, seal)
    ("['b']",)
    """
    wanted, saved = _flat(target), {record["path"]: record for record in seal["leaves"]}
    origins = _origins(wanted, saved)
    return tuple(path for path in wanted if path not in saved and path not in origins)


def _misfits(wanted: dict[str, Any], saved: dict[str, Any]) -> Iterator[str]:
    for path, leaf in wanted.items():
        here = _kind(path, leaf)
        if here != saved[path]["kind"]:
            yield f"leaf {path} is {saved[path]['kind']} in the checkpoint and {here} here"
    for path in saved.keys() - wanted.keys():
        yield f"leaf {path} is in the checkpoint and not here"


def _placed(leaf: Any, array: np.ndarray, impl: str | None) -> Any:
    """Makes of `array` what the target's leaf is: a number, a NumPy array, an array on devices."""
    if type(leaf) in _SCALARS:
        return array.item()
    if isinstance(leaf, np.generic | np.ndarray):
        # array[()] makes np.float32(1), a number, of an array without axes.
        return array if isinstance(leaf, np.ndarray) else array[()]
    value = array if impl is None else jax.random.wrap_key_data(jnp.asarray(array), impl=impl)
    # An uncommitted array stays free to follow the others to their devices.
    return jax.device_put(value, leaf.sharding if getattr(leaf, "committed", True) else None)
