"""Reads .npy and .npz files of samples [N, *D], on the assumption that a stranger made them.

Nothing is unpickled, and no header is believed before it is compared with the file's size. Bytes
(uint8) are pixels and become [-1, 1]; other numbers beyond [-1, 1] are scaled, and that is said.
"""

import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from jwgan import check
from jwgan.data import memory, scalers
from jwgan.data.datasets import Dataset
from jwgan.data.errors import DataError

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
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file, or no regular one; give an .npy or .npz file")
    try:
        found = _arrays(path)
    except DataError:
        raise
    # zipfile and NumPy raise anything from KeyError up on a damaged file.
    except Exception as error:
        raise DataError(f"{path}: {check.one_line(error)}; save it again") from error
    images = found["images"]
    if images.ndim < 2 or not images.size:
        raise DataError(f"{path}: shape {list(images.shape)}, expected [N, *D]; save it so")
    parts = [found[name] for name in ("images", "test_images") if name in found]
    for part in parts:
        _require_numbers(path, part, images.shape[1:])
    if per_channel is None:
        per_channel = images.ndim == 2 and bool((np.ptp(images, axis=0) > 0).all())
    encoded, scaler, note = _scaled(path, parts, per_channel)
    labels = _labels(path, found, "labels", len(images))
    has_test = "test_images" in found
    test_labels = _labels(path, found, "test_labels", len(parts[-1])) if has_test else None
    count = max((int(x.max()) + 1 for x in (labels, test_labels) if x is not None), default=0)
    dataset = Dataset(
        name=path.stem,
        images=encoded[0],
        labels=labels,
        test_images=encoded[1] if has_test else None,
        test_labels=test_labels,
        class_names=tuple(map(str, range(count))),
        source=str(path),
        notes=(note,) if note else (),
    )
    return dataset, scaler


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """{what it is: array} of a file; an .npy file has images alone."""
    with open(path, "rb") as file:
        if file.read(4) != b"PK\3\4":
            file.seek(0)
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


def _read(file: IO[bytes], size: int, path: Path) -> np.ndarray:
    """An array in NumPy's format, from a stream of so many bytes."""
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
    # The numbers as they are, and the float32 that is made of them.
    memory.require(expected + 4 * math.prod(shape), f"{path}: its numbers", "take fewer")
    body = file.read(expected)
    if len(body) != expected:
        raise DataError(f"{path}: truncated: {len(body)} of {expected} bytes; save it again")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


def _require_numbers(path: Path, part: np.ndarray, shape: tuple[int, ...]) -> None:
    if part.shape[1:] != shape or not len(part):
        raise DataError(
            f"{path}: the held-out part has shape {list(part.shape)}, expected samples of "
            f"{list(shape)}; save them alike"
        )
    if part.dtype.kind == "f" and not (finite := np.isfinite(part)).all():
        place = np.argwhere(~finite)[0].tolist()
        count = int((~finite).sum())
        raise DataError(
            f"{path}: the value at {place} is {part[tuple(place)]}, {count} of them are not finite;"
            " remove or replace them"
        )


def _scaled(
    path: Path, parts: list[np.ndarray], per_channel: bool
) -> tuple[list[np.ndarray], Any, str]:
    """(parts in [-1, 1] as float32, the scaler or None, a line of what was done)."""
    if all(part.dtype == np.uint8 for part in parts):
        return [(part.astype(np.float32) / 127.5 - 1) for part in parts], None, ""
    train = parts[0].astype(np.float64)
    low, high = float(train.min()), float(train.max())
    if low >= -1 and high <= 1 and low < high and parts[0].dtype.kind == "f":
        return [part.astype(np.float32) for part in parts], None, ""
    try:
        scaler = scalers.fit(train, per_channel)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    how = "each index of the last axis by itself" if per_channel else "all by one map"
    note = f"values from {low:g} to {high:g} were scaled to [-1, 1], {how}; `sample` scales back"
    return [scaler.encode(part) for part in parts], scaler, note


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
