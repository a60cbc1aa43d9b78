"""Reads .npy and .npz files of samples [N, *D], on the assumption that a stranger made them.

Nothing is unpickled, and no header is believed before it is compared with the file's size. Bytes
(uint8) are pixels and become [-1, 1]; other numbers beyond [-1, 1] are scaled, and that is said.

The functions' examples read this file of three samples:

>>> import pathlib, tempfile
>>> from jwgan.data import arrays
>>> path = pathlib.Path(tempfile.mkdtemp()) / "samples.npy"
>>> np.save(path, np.array([[0.0, 10.0], [1.0, 20.0], [4.0, 30.0]]))
"""

import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np

from jwgan import check
from jwgan.data import memory, scalers
from jwgan.data.datasets import Dataset
from jwgan.data.errors import DataError

_ZIP = b"PK\3\4"
_BLOCK = 2**24  # bytes of float64 that are looked at at once
# Names of the arrays in an .npz file, as Keras and others have them.
_NAMES = {
    "images": ("images", "x_train", "x", "data", "arr_0"),
    "labels": ("labels", "y_train", "y", "arr_1"),
    "test_images": ("test_images", "x_test"),
    "test_labels": ("test_labels", "y_test"),
}


def load(path: str | os.PathLike, per_channel: bool | None = None) -> tuple[Dataset, Any]:
    """Loads samples, and labels and a held-out part if the file has them.

    Args:
      path: an .npy file of [N, *D], or an .npz file with an array named images, x_train, x, data or
        arr_0, and perhaps labels (y_train, y), test_images (x_test) and test_labels (y_test).
      per_channel: whether each index of the last axis is scaled by itself; by default so are
        vectors [D] without a constant column: their columns have units of their own.

    Returns:
      (the data set, the `scalers.Scaler` that scaled it or None).

    Raises:
      DataError: no such file, none of that kind, damaged, values that are not finite, or more than
        this machine has memory for.

    >>> dataset, scaler = arrays.load(path)
    >>> dataset.images.tolist()
    [[-1.0, -1.0], [-0.5, 0.0], [1.0, 1.0]]
    >>> scaler.decode(dataset.images[1]).tolist()
    [1.0, 20.0]
    """
    path = Path(path)
    _require_file(path)
    try:
        found = _arrays(path)
    except DataError:
        raise
    # zipfile and NumPy raise anything from KeyError up on a damaged file.
    except Exception as error:
        raise DataError(f"{path}: {check.one_line(error)}; save it again") from error
    images = found["images"]
    _require_samples(path, images.shape)
    parts = [found[name] for name in ("images", "test_images") if name in found]
    are_bytes = all(part.dtype == np.uint8 for part in parts)
    encode, scaler, notes = _encoding(path, images, per_channel, are_bytes)
    for part in parts[1:]:
        _require_alike(path, part, images.shape[1:])
        _range(path, part)
    labels = _labels(path, found, "labels", len(images))
    has_test = "test_images" in found
    test_labels = _labels(path, found, "test_labels", len(parts[-1])) if has_test else None
    count = max((int(x.max()) + 1 for x in (labels, test_labels) if x is not None), default=0)
    dataset = Dataset(
        name=path.stem,
        images=encode(images),
        labels=labels,
        test_images=encode(parts[-1]) if has_test else None,
        test_labels=test_labels,
        class_names=tuple(map(str, range(count))),
        source=str(path),
        notes=notes,
    )
    return dataset, scaler


class ArrayRows:
    """The samples of an .npy file as rows float32 [*D], the same ones that `load` makes.

    The file is mapped: what is read of it takes no memory that the system could not have back, so
    it may be larger than the memory. It must stay as it is until the run has ended. Bytes are read
    as they are needed, other numbers once before, from end to end, for their range.

    Args:
      path: an .npy file of [N, *D].
      per_channel: see `load`.

    Attributes:
      shape: D, as it is in the file.
      change: `x [N, *D] -> [N, *E]`, applied to what is read; nothing unless set.
      scaler: that scales the samples, or None.
      class_names: ().
      notes: what a user should know of the data, a line each.

    Raises:
      DataError: see `load`.

    >>> rows = arrays.ArrayRows(path)
    >>> len(rows), rows.shape, rows[1].tolist()
    (3, (2,), [-0.5, 0.0])
    """

    class_names: tuple[str, ...] = ()

    def __init__(self, path: str | os.PathLike, per_channel: bool | None = None):
        path = Path(path)
        _require_file(path)
        try:
            self._x = _mapped(path)
        except DataError:
            raise
        except Exception as error:  # as in `load`
            raise DataError(f"{path}: {check.one_line(error)}; save it again") from error
        _require_samples(path, self._x.shape)
        are_bytes = self._x.dtype == np.uint8
        self._encode, self.scaler, self.notes = _encoding(path, self._x, per_channel, are_bytes)
        self.shape = self._x.shape[1:]
        self.change: Callable[[np.ndarray], np.ndarray] = lambda x: x

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.change(self._encode(self._x[index])[None])[0]

    def labels_of(self, indices: list[int]) -> None:
        """None: an .npy file has no labels."""


def is_archive(path: str | os.PathLike) -> bool:
    """Whether there is an .npz file, whatever its name is: it has to be unpacked to be read.

    >>> np.savez(path.with_name("two.npz"), x=np.eye(2), y=[0, 1])
    >>> arrays.is_archive(path), arrays.is_archive(path.with_name("two.npz"))
    (False, True)
    """
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4) == _ZIP


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"{path}: no such file, or no regular one; give an .npy or .npz file")


def _require_samples(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) < 2 or not math.prod(shape):
        raise DataError(f"{path}: shape {list(shape)}, expected [N, *D]; save it so")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """{what it is: array} of a file; an .npy file has images alone."""
    if not is_archive(path):
        with open(path, "rb") as file:
            return {"images": _read(file, path.stat().st_size, path)}
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.filelist}
        for what, names in _NAMES.items():
            for name in names:
                if name in members and what not in found:
                    with archive.open(members[name]) as member:
                        found[what] = _read(member, members[name].file_size, path)
        if "images" not in found and len(members) == 1:  # one array: it is what is meant
            (info,) = members.values()
            with archive.open(info) as member:
                found["images"] = _read(member, info.file_size, path)
        if "images" not in found:
            there = ", ".join(sorted(members)[:5])
            raise DataError(
                f"{path}: its arrays are {there}, none of them named {', '.join(_NAMES['images'])};"
                " save the samples under one of these names"
            )
    return found


def _header(
    file: IO[bytes], size: int, path: Path
) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype]:
    """(shape, order, dtype) of an array in NumPy's format, from a stream of so many bytes."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of NumPy's format")
    old = version == (1, 0)
    read_header = (
        np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject or dtype.kind not in "fiub":
        raise DataError(f"{path}: holds {dtype}, expected numbers; save floats or bytes")
    expected = math.prod(shape) * dtype.itemsize
    if expected > size:
        what = f"{expected} bytes of numbers are announced, the file has {size}"
        raise DataError(f"{path}: truncated: {what}; save it again")
    return shape, "F" if fortran else "C", dtype


def _require_whole(path: Path, there: int, expected: int) -> None:
    if there < expected:
        raise DataError(f"{path}: truncated: {there} of {expected} bytes; save it again")


def _mapped(path: Path) -> np.ndarray:
    """The array of an .npy file, which stays on the disk."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        shape, order, dtype = _header(file, size, path)
        if not math.prod(shape):  # nothing can be mapped
            return np.empty(shape, dtype)
        _require_whole(path, size - file.tell(), math.prod(shape) * dtype.itemsize)
        return np.memmap(file, dtype, "r", file.tell(), shape, order)


def _read(file: IO[bytes], size: int, path: Path) -> np.ndarray:
    """An array in NumPy's format, from a stream of so many bytes."""
    shape, order, dtype = _header(file, size, path)
    expected = math.prod(shape) * dtype.itemsize
    # The numbers as they are, and the float32 that is made of them.
    num_bytes = expected + 4 * math.prod(shape)
    memory.require(num_bytes, f"{path}: its numbers", "take fewer, or stream an .npy file")
    body = file.read(expected)
    _require_whole(path, len(body), expected)
    return np.frombuffer(body, dtype).reshape(shape, order=order)


def _require_alike(path: Path, part: np.ndarray, shape: tuple[int, ...]) -> None:
    if part.shape[1:] != shape or not len(part):
        raise DataError(
            f"{path}: the held-out part has shape {list(part.shape)}, expected samples of "
            f"{list(shape)}; save them alike"
        )


def _range(path: Path, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value of each index of the last axis, float64 [C]; read in blocks.

    Raises:
      DataError: a value is not finite.
    """
    low = np.full(x.shape[-1], np.inf)
    high, bad = -low, 0
    first: list[int] = []
    rows = max(1, _BLOCK // (x[:1].size * 8))
    for start in range(0, len(x), rows):
        block = np.asarray(x[start : start + rows])
        if block.dtype.kind == "f" and not (finite := np.isfinite(block)).all():
            place = np.argwhere(~finite)[0]
            first = first or [start + int(place[0]), *place[1:].tolist()]
            bad += int((~finite).sum())
        flat = block.reshape(-1, x.shape[-1])
        low, high = np.minimum(low, flat.min(axis=0)), np.maximum(high, flat.max(axis=0))
    if bad:
        raise DataError(
            f"{path}: the value at {first} is {x[tuple(first)]}, {bad} of them are not finite;"
            " remove or replace them"
        )
    return low, high


class _Encoding(NamedTuple):
    """How the numbers of a file become samples.

    Attributes:
      encode: from numbers [..., *D] to float32.
      scaler: that `encode` uses, or None.
      notes: a line of what is done, or ().
    """

    encode: Callable[[Any], np.ndarray]
    scaler: Any = None
    notes: tuple[str, ...] = ()


def _encoding(
    path: Path, train: np.ndarray, per_channel: bool | None, are_bytes: bool
) -> _Encoding:
    """The encoding of samples [N, *D]; bytes are not read for it, other numbers once."""
    if are_bytes:
        return _Encoding(lambda x: x.astype(np.float32) / 127.5 - 1)
    lows, highs = _range(path, train)
    low, high = float(lows.min()), float(highs.max())
    if low >= -1 and high <= 1 and low < high and train.dtype.kind == "f":
        return _Encoding(lambda x: x.astype(np.float32))
    if per_channel is None:
        per_channel = train.ndim == 2 and bool((highs > lows).all())
    ends = np.stack([lows, highs] if per_channel else [[low], [high]])
    try:
        scaler = scalers.fit(ends, per_channel)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    how = "each index of the last axis by itself" if per_channel else "all by one map"
    note = f"values from {low:g} to {high:g} were scaled to [-1, 1], {how}; `sample` scales back"
    return _Encoding(scaler.encode, scaler, (note,))


def _labels(path: Path, found: dict[str, np.ndarray], name: str, count: int) -> Any:
    """Labels [count] int32 of a part; None where there are none."""
    if name not in found:
        return None
    labels = found[name]
    flat = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    good = flat.ndim == 1 and flat.dtype.kind in "iu" and flat.size and flat.min() >= 0
    if not good:
        raise DataError(
            f"{path}: {name} are {labels.dtype} {list(labels.shape)}, expected whole numbers [N] "
            "from 0 on; save them so, or leave them out"
        )
    if len(flat) != count:
        raise DataError(f"{path}: {len(flat)} {name} for {count} samples; save as many")
    return flat.astype(np.int32)
