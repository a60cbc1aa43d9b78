"""A state as its named leaves: copied to the host, fingerprinted, and put back where it belongs."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import check, numerics

_SCALARS = (bool, int, float, complex)


class CheckpointError(ValueError):
    """One line: what is wrong, where, and what to do."""

    def __init__(self, message: str):
        super().__init__(check.printable(message))


class Leaf(NamedTuple):
    """A leaf on the host."""

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
    return json_sha256([record(leaf) for leaf in host(state)])


def host(state: Any) -> list[Leaf]:
    """The leaves on the host, copied: the state may be donated while they are being written."""
    leaves = _flat(state)
    kinds = [_kind(path, leaf) for path, leaf in leaves.items()]
    impls = [
        str(jax.random.key_impl(leaf)) if numerics.is_key(leaf) else None
        for leaf in leaves.values()
    ]
    data = [
        jax.random.key_data(leaf) if numerics.is_key(leaf) else leaf for leaf in leaves.values()
    ]
    arrays = [np.array(array, order="C") for array in jax.device_get(data)]
    return [Leaf(*fields) for fields in zip(leaves, kinds, impls, arrays, strict=True)]


def _flat(tree: Any) -> dict[str, Any]:
    """{path: leaf} in tree order; paths as Python writes them tell the key 1 from the key "1"."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def _kind(path: str, leaf: Any) -> str:
    """A leaf's type in words, concrete or abstract; raises if it is nothing that can be kept."""
    if type(leaf) in _SCALARS and not (type(leaf) is int and not -(2**63) <= leaf < 2**64):
        return type(leaf).__name__
    if numerics.is_key(leaf) or (
        hasattr(leaf, "dtype") and jnp.isdtype(leaf.dtype, ("bool", "numeric"))
    ):
        return f"{leaf.dtype}{list(leaf.shape)}"
    raise CheckpointError(
        f"leaf {path} is {leaf!r}: a state holds arrays, keys and numbers of 64 bits; "
        "put the rest in extra"
    )


def record(leaf: Leaf) -> dict[str, Any]:
    """What the seal says of a leaf; `dtype` and `shape` are those of the stored array."""
    names = {"path": leaf.path, "kind": leaf.kind, "impl": leaf.impl}
    stored = {"dtype": str(leaf.array.dtype), "shape": list(leaf.array.shape)}
    return names | stored | {"sha256": array_sha256(leaf.array)}


def stored_kind(record: dict[str, Any], array: np.ndarray) -> str:
    """The kind that a record and its array make together; that the record says so is not enough."""
    if record["impl"] is not None:
        return _kind("", jax.random.wrap_key_data(jnp.asarray(array), impl=record["impl"]))
    if record["kind"] in [scalar.__name__ for scalar in _SCALARS]:
        return type(array.item()).__name__
    return _kind("", array)


def array_sha256(array: np.ndarray) -> str:
    """SHA-256 (hex) of an array's dtype, shape and bytes."""
    digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def json_sha256(value: Any) -> str:
    """SHA-256 (hex) of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def fill(target: Any, seal: dict[str, Any], arrays: dict[str, np.ndarray], where: Path) -> Any:
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
