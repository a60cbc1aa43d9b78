"""Reads files of named tensors: PyTorch's, old and new, and safetensors; no code in them is run.

A weight file is a stranger's. PyTorch's are pickles, which can run any program when they are loaded
as such; here they are read as data (`torch_pickles`), and PyTorch is not needed. safetensors (a
header of JSON, then the numbers) is what `convert_weights` writes.

Numbers are views of the file's bytes, checked to lie inside: no header makes this reader allocate
more than the file's own size.
"""

import hashlib
import io
import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jwgan import check
from jwgan.metrics import torch_pickles
from jwgan.metrics.torch_pickles import Storage, Tensor

MOST_BYTES = 2**30  # of a file; the Inception network's has 96 MB
# Little-endian, which the files are.
_TORCH_KINDS = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_SAFE_KINDS = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}
# The number that PyTorch's files began with until release 1.6, and the protocol that followed.
_LEGACY_MAGIC, _LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class WeightsError(ValueError):
    """A weight file that is damaged, hostile, or of another kind; one line that names it."""

    def __init__(self, path: str | os.PathLike[str], message: str):
        # The file's words are a stranger's.
        text = check.printable(message)
        shown = text if len(text) <= 300 else f"{text[:297]}..."
        super().__init__(f"{check.printable(str(path))}: {shown}")


class TensorFile(NamedTuple):
    """What is in a file.

    Attributes:
      tensors: {name: array}, read-only.
      sha256: of the whole file, hex.
      metadata: words that a safetensors file carries.
    """

    tensors: dict[str, np.ndarray]
    sha256: str
    metadata: dict[str, str]


def read(path: str | os.PathLike[str]) -> TensorFile:
    """Reads the tensors of a file; what kind it is, its first bytes say.

    The checksum in the name of a .pth file, as in `inception-6726825d.pth`, is believed: other
    bytes are a damaged download.

    Raises:
      WeightsError: no such file, damaged, hostile, or none of the kinds.

    >>> tensor_files.read("no_such_file.pth")
    Traceback (most recent call last):
    jwgan.metrics.tensor_files.WeightsError: no_such_file.pth: there is no such file; give a ...
    """
    path = Path(path)
    content = _bytes_of(path)
    sha256 = hashlib.sha256(content).hexdigest()
    # Of digits alone it may be a date.
    named = re.search(r"-(?=\d*[a-f])([0-9a-f]{8,64})\.pth?$", path.name)
    if named and not sha256.startswith(named[1]):
        found = f"its name says SHA-256 {named[1]}, its bytes have {sha256[: len(named[1])]}"
        raise WeightsError(path, f"damaged: {found}; get the file again")
    try:
        tensors, metadata = _parse(content)
    except Exception as error:  # zipfile, pickletools and json raise many kinds
        what = str(error) if type(error) is ValueError else check.one_line(error)
        raise WeightsError(path, f"no file of tensors: {what}") from error
    return TensorFile(tensors, sha256, metadata)


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():  # a pipe's reading may never end
        raise WeightsError(path, "there is no such file; give a .pth or .safetensors file")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise WeightsError(path, f"{size} bytes, more than {MOST_BYTES}: no weights of this kind")
    return path.read_bytes()


def _parse(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    if content[:4] == b"PK\3\4":
        return _of_zip(content), {}
    if content[:1] == b"\x80":  # a pickle's first byte
        return _of_legacy(content), {}
    return _of_safetensors(content)


# ---- PyTorch ------------------------------------------------------------------------------------


def _of_zip(content: bytes) -> dict[str, np.ndarray]:
    """A file of PyTorch 1.6 or newer: a ZIP archive of a pickle and of storages, not compressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1 or any("/code/" in name for name in names):
            raise ValueError("a ZIP archive, but not of PyTorch's tensors (TorchScript perhaps)")
        top = pickles[0].removesuffix("data.pkl")
        if f"{top}byteorder" in names and _stored(archive, f"{top}byteorder") != b"little":
            raise ValueError("its numbers are big-endian")
        root = torch_pickles.load(io.BytesIO(_stored(archive, pickles[0])))
        tensors = _tensors_in(root)
        storages = {t.storage.key: t.storage for t in tensors.values()}
        _require_room(storages.values(), len(content))
        data = {key: _stored(archive, f"{top}data/{key}") for key in storages}
    return {name: _view(tensor, data[tensor.storage.key]) for name, tensor in tensors.items()}


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError("it is compressed, which PyTorch's files are not")
    return archive.read(name)  # its CRC is checked


def _of_legacy(content: bytes) -> dict[str, np.ndarray]:
    """A file of PyTorch before 1.6: pickles one after the other, then the numbers."""
    stream = io.BytesIO(content)
    if torch_pickles.load(stream) != _LEGACY_MAGIC:
        raise ValueError("a pickle, but not PyTorch's")
    if torch_pickles.load(stream) != _LEGACY_PROTOCOL:
        raise ValueError("a PyTorch file of an unknown protocol")
    system = torch_pickles.load(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its numbers are big-endian")
    tensors = _tensors_in(torch_pickles.load(stream))
    storages = {t.storage.key: t.storage for t in tensors.values()}
    data = dict(_legacy_data(stream, torch_pickles.load(stream), storages))
    if data.keys() != storages.keys():
        raise ValueError("numbers of some tensors are missing")
    return {name: _view(tensor, data[tensor.storage.key]) for name, tensor in tensors.items()}


def _legacy_data(
    stream: io.BytesIO, keys: Any, storages: Mapping[str, Storage]
) -> Iterator[tuple[str, bytes]]:
    """(key, bytes) of the storages, each behind its count of numbers."""
    if not isinstance(keys, list):
        raise ValueError("it has no list of its storages")
    for key in keys:
        if not isinstance(key, str) or key not in storages:
            raise ValueError("it has numbers that belong to no tensor")
        storage, (count,) = storages[key], struct.unpack("<q", stream.read(8))
        if count != storage.size:
            raise ValueError("a storage is of another size than it says")
        yield key, stream.read(count * _kind(storage).itemsize)
    if stream.read(1):
        raise ValueError("there are bytes behind its end")


def _tensors_in(root: Any) -> dict[str, Tensor]:
    if not isinstance(root, dict):
        raise ValueError("it holds no dictionary of tensors")
    for name, value in root.items():
        if not isinstance(value, Tensor):
            kind = "a dictionary" if isinstance(value, dict) else type(value).__name__
            raise ValueError(f"{name!r} is no tensor, but {kind}")
    return root


def _kind(storage: Storage) -> np.dtype:
    if storage.kind not in _TORCH_KINDS:
        raise ValueError(f"its numbers are {storage.kind}, which is not read")
    return np.dtype(_TORCH_KINDS[storage.kind])


def _require_room(storages: Any, num_bytes: int) -> None:
    if sum(storage.size * _kind(storage).itemsize for storage in storages) > num_bytes:
        raise ValueError("its tensors are larger than the file")


def _view(tensor: Tensor, data: bytes) -> np.ndarray:
    """A tensor as a view of its storage's bytes."""
    storage, kind = tensor.storage, _kind(tensor.storage)
    if len(data) != storage.size * kind.itemsize:
        raise ValueError("a storage is shorter or longer than it says")
    last = tensor.offset + sum((n - 1) * s for n, s in zip(*tensor[2:], strict=True))
    # A view with strides 0 would show few numbers as many.
    if min(tensor.shape, default=1) < 1 or last >= storage.size:
        raise ValueError("a tensor reaches beyond its storage")
    if math.prod(tensor.shape) > storage.size:
        raise ValueError("a tensor has more numbers than its storage")
    numbers = np.frombuffer(data, kind)[tensor.offset :]
    strides = [s * kind.itemsize for s in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers, tensor.shape, strides, writeable=False)


# ---- safetensors --------------------------------------------------------------------------------


def _of_safetensors(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Eight bytes with the header's length, a header of JSON, and the numbers."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 10 or length > len(content) - 8 or content[8:9] != b"{":
        raise ValueError("neither PyTorch's nor safetensors")
    header = json.loads(content[8 : 8 + length])
    metadata, data = header.pop("__metadata__", {}), memoryview(content)[8 + length :]
    strings = [x for pair in metadata.items() for x in pair]
    if not all(isinstance(x, str) for x in strings):
        raise ValueError("its metadata are no strings")
    said = metadata.get("data_sha256")
    if said is not None and said != hashlib.sha256(data).hexdigest():
        raise ValueError("damaged: its numbers do not have the checksum that it says")
    return {name: _safe_view(entry, data) for name, entry in header.items()}, metadata


def _safe_view(entry: Any, data: memoryview) -> np.ndarray:
    if not isinstance(entry, dict) or entry.get("dtype") not in _SAFE_KINDS:
        raise ValueError("a tensor is of a kind that is not read")
    kind, shape = np.dtype(_SAFE_KINDS[entry["dtype"]]), entry["shape"]
    start, end = entry["data_offsets"]
    whole = all(type(n) is int and n >= 0 for n in (*shape, start, end))
    if not whole or not start <= end <= len(data):
        raise ValueError("a tensor reaches beyond the file")
    if end - start != kind.itemsize * math.prod(shape):
        raise ValueError("a tensor is of another size than it says")
    return np.frombuffer(data[start:end], kind).reshape(shape)


def to_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Tensors of float32 as a safetensors file, whose numbers' SHA-256 is in its metadata.

    Args:
      tensors: {name: array}.
      metadata: words to go with them.

    >>> content = tensor_files.to_bytes({"x": np.ones((2, 3))}, {"from": "here"})
    >>> int.from_bytes(content[:8], "little") + 8 + 2 * 3 * 4 == len(content)
    True
    """
    header: dict[str, Any] = {}
    pieces, place = [], 0
    for name, x in tensors.items():
        piece = np.ascontiguousarray(x, "<f4").tobytes()
        offsets = [place, place + len(piece)]
        header[name] = {"dtype": "F32", "shape": list(np.shape(x)), "data_offsets": offsets}
        pieces.append(piece)
        place += len(piece)
    data = b"".join(pieces)
    words = {**metadata, "data_sha256": hashlib.sha256(data).hexdigest()}
    text = json.dumps({"__metadata__": words, **header}).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data
