"""Reads IDX files and opens TFDS folders, on the assumption that a stranger made them.

No header is believed before it is compared with the file's size, nothing but regular files is
opened (reading a pipe may never end), no module is imported because a file names it, nothing is
unpickled. Links are followed: such files are often shared by links.

>>> import pathlib, struct, tempfile
>>> from jwgan.data import readers
>>> here = pathlib.Path(tempfile.mkdtemp())
"""

import contextlib
import gzip
import io
import json
import math
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from jwgan import check
from jwgan.data.errors import DataError

MOST_BYTES = 2**30  # in an IDX file: 1.3 million images of 28 x 28
_EXPANSION = 100  # largest of a gzip file beyond 64 MiB: MNIST's images have 5, a bomb 1000
# Classes of features that a TFDS folder may name: TFDS imports whatever module is named there.
_FEATURE = re.compile(r"tensorflow_datasets\.core\.features(\.\w+)+")
_AGAIN = "download it again"


# IDX files


def read_idx(path: str | os.PathLike, item_shape: tuple[int, ...]) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, gzipped or not, as a uint8 array [N, *item_shape].

    Memory grows with the bytes that the file really has, up to 1 GiB; of a gzip file that expands
    more than a hundredfold at most 64 MiB are read.

    Raises:
      DataError: Unreadable, not IDX of that shape, shorter or longer than its header says, or a
        damaged gzip stream.

    Two items of the shape [3], after the magic number and the lengths of both axes:

    >>> _ = (here / "a-idx2-ubyte").write_bytes(struct.pack(">3I", 0x802, 2, 3) + bytes(range(6)))
    >>> readers.read_idx(here / "a-idx2-ubyte", (3,)).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file, or no regular one; give an IDX file")
    try:
        with open(path, "rb") as raw:
            # Gzip is known by its first two bytes and not by the name: browsers unpack a download
            # and leave it its .gz, or the other way round.
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if gzipped else raw
            shape = _idx_shape(path, stream.read(8 + 4 * len(item_shape)), item_shape)
            expected = math.prod(shape)
            stored = os.fstat(raw.fileno()).st_size
            _refuse_bomb(path, expected, 2**26 + _EXPANSION * stored if gzipped else MOST_BYTES)
            # One byte more than expected shows a file that is too long without reading the rest of
            # it. Of a gzip file this also reaches the end, where its checksum is compared.
            body = _read_up_to(stream, expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: {check.one_line(error)}; {_AGAIN}") from error
    if len(body) != expected:
        what = "truncated" if len(body) < expected else "too long"
        got = str(len(body)) if len(body) < expected else "more"
        expectation = f"expected {expected} bytes of data after the header, got {got}"
        raise DataError(f"{path}: {what}: {expectation}; {_AGAIN}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _idx_shape(path: Path, header: bytes, item_shape: tuple[int, ...]) -> tuple[int, ...]:
    # IDX: two zeros, 8 for unsigned bytes, the number of axes; then the lengths of the axes, as
    # big-endian 32-bit integers.
    magic = bytes((0, 0, 8, 1 + len(item_shape)))
    if header[:4] != magic:
        raise DataError(
            f"{path}: bad magic number {header[:4].hex() or 'none'}, expected {magic.hex()} "
            f"(IDX, unsigned bytes, {magic[3]} axes); {_AGAIN}"
        )
    if len(header) < 4 + 4 * magic[3]:
        raise DataError(f"{path}: truncated: the header ends after {len(header)} bytes; {_AGAIN}")
    # Python's integers: the product of a false header's lengths would overflow NumPy's.
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4")[1:])
    if shape[1:] != item_shape:
        wanted = ", ".join(map(str, ("N", *item_shape)))
        raise DataError(f"{path}: shape {list(shape)}, expected [{wanted}]; {_AGAIN}")
    return shape


def _refuse_bomb(path: Path, expected: int, limit: int) -> None:
    if expected > min(limit, MOST_BYTES):
        raise DataError(
            f"{path}: the header announces {expected} bytes of data, at most "
            f"{min(limit, MOST_BYTES)} are read from a file of its size; {_AGAIN}"
        )


def _read_up_to(stream: IO[bytes], limit: int) -> bytes:
    """Reads at most `limit` bytes, in pieces: a false header cannot make us allocate them."""
    pieces = io.BytesIO()
    while pieces.tell() < limit:
        piece = stream.read(min(1 << 20, limit - pieces.tell()))
        if not piece:
            break
        pieces.write(piece)
    return pieces.getvalue()


# TensorFlow Datasets folders (array_record), without TensorFlow


def tensorflow_datasets() -> Any:
    """The module tensorflow_datasets, once all that it needs to read images is there.

    Raises:
      MissingPackageError: one of the packages is not installed.

    >>> readers.tensorflow_datasets().__name__
    'tensorflow_datasets'
    """
    # TFDS declares neither importlib_resources nor Pillow, which it needs without TensorFlow.
    for package in ("tensorflow_datasets", "array_record", "importlib_resources", "PIL"):
        check.require_package(package, "data")
    import tensorflow_datasets as tfds

    return tfds


def tfds_home() -> Path:
    """The folder where TFDS keeps its data sets unless it is told another one.

    >>> from unittest import mock
    >>> with mock.patch.dict("os.environ", TFDS_DATA_DIR="sets"):
    ...     readers.tfds_home().as_posix()
    'sets'
    """
    return Path(os.environ.get("TFDS_DATA_DIR") or os.path.expanduser("~/tensorflow_datasets"))


def newest_version(name: str, data_dir: Path) -> Path | None:
    """Finds the newest prepared version below `data_dir/name`; None if there is none.

    >>> for version in ("3.0.1", "10.0.0"):
    ...     (here / "mnist" / version).mkdir(parents=True)
    ...     (here / "mnist" / version / "dataset_info.json").touch()
    >>> readers.newest_version("mnist", here).name, readers.newest_version("cifar10", here)
    ('10.0.0', None)
    """
    found = (data_dir / name).glob("**/[0-9]*/dataset_info.json")
    # Versions are compared as numbers: as text, 10.0.0 would come before 3.0.1.
    version = lambda path: [int(n) for n in path.name.split(".") if n.isdecimal()]
    return max((info.parent for info in found), key=version, default=None)


def tfds_folder(name: str, data_dir: str | os.PathLike | None = None) -> Path:
    """Finds the folder where TFDS prepared a data set; arguments as for `data.from_tfds`.

    Raises:
      DataError: The name is none that TFDS allows, or nothing is prepared there.

    >>> (here / "svhn" / "1.0.0").mkdir(parents=True)
    >>> (here / "svhn" / "1.0.0" / "dataset_info.json").touch()
    >>> readers.tfds_folder("svhn", here).relative_to(here).as_posix()
    'svhn/1.0.0'
    """
    # Anything else, ".." for example, would lead out of data_dir: a name may come from the
    # config.json of a run that somebody else made.
    if not re.fullmatch(r"\w+(/\w[\w.-]*)*", name):
        raise DataError(f"name is {name!r}; give a name as TFDS has it, like 'fashion_mnist'")
    data_dir = tfds_home() if data_dir is None else Path(data_dir)
    prepared = newest_version(name, data_dir)
    if prepared is None:
        raise DataError(
            f"{data_dir / name}: no prepared TFDS data set; give the folder above it, or make "
            "it by python -m jwgan.run convert (its --help has the data sets that it knows)"
        )
    return prepared


class Prepared:
    """A folder that TFDS prepared as array_record, opened.

    Args:
      folder: with dataset_info.json in it.

    Attributes:
      splits: number of examples of each part that has any, in the order of the file.
      class_names: of the labels; () if they have none.

    Raises:
      DataError: not array_record, or damaged.
      MissingPackageError: tensorflow-datasets, or a package that it needs, is not installed.

    >>> import contextlib, io
    >>> from jwgan.data import convert
    >>> parts = {"train": (np.zeros((3, 4, 4, 1)), [0, 1, 0])}
    >>> with contextlib.redirect_stdout(io.StringIO()):  # TFDS says what it does
    ...     folder = convert.prepare("grey", parts, ("cat", "dog"), here)
    >>> prepared = readers.Prepared(folder)
    >>> prepared.splits, prepared.class_names
    ({'train': 3}, ('cat', 'dog'))
    >>> [int(example["label"]) for example in prepared.open("train")]
    [0, 1, 0]
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._tfds = tensorflow_datasets()
        with self.reading():
            # Before TFDS opens the folder: to read its description is to import what it names.
            _check_tfds_folder(folder)
            # What tfds.data_source does, whatever version was prepared.
            self._builder = self._tfds.builder_from_directory(str(folder))
            features = self._builder.info.features
            label = features["label"] if "label" in features else None  # noqa: SIM401  it has no get
            self.class_names = tuple(getattr(label, "names", None) or ())
            found = self._builder.info.splits
            counts = {name: found[name].num_examples for name in found}
            self.splits = {name: count for name, count in counts.items() if count}

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """What goes wrong in TFDS, here or when an example is read, is a DataError."""
        try:
            yield
        except DataError:
            raise
        except Exception as error:  # TFDS raises anything from KeyError up on a damaged folder
            remedy = "prepare it again with file_format='array_record'"
            raise DataError(
                f"{self.folder}: TFDS cannot read it: {check.one_line(error)}; {remedy}"
            ) from error

    def open(self, split: str) -> Any:
        """Opens a random-access source of a split's examples, whose images stay encoded.

        Raises:
          DataError: damaged, or without that split.
        """
        if split not in self.splits:
            there = ", ".join(self.splits) or "none with examples in it"
            raise DataError(
                f"{self.folder}: no split {split}: its splits are {there}; prepare the data set "
                f"again with the part to read named {split}"
            )
        with self.reading():
            skip = {"image": self._tfds.decode.SkipDecoding()}  # ours is three times faster
            source = self._builder.as_data_source(split, decoders=skip)
            _check_records(self._builder.info.splits[split], self.folder)
            return source

    def labels(self, examples: list[dict[str, Any]], split: str) -> np.ndarray | None:
        """The labels [N] int32 of examples; None where there are none, or all of them are -1.

        Raises:
          DataError: some labels, and not all of them, are no number of a class.
        """
        if not examples or "label" not in examples[0]:
            return None
        with self.reading():
            found = np.array([example["label"] for example in examples])
            # A label may be a real number to be predicted, or several: no classes.
            if found.dtype.kind not in "iu" or found.ndim != 1:
                return None
            # TFDS marks what has no label by -1, as the test parts of competitions.
            if (found < 0).all():
                return None
            count = len(self.class_names)
            wrong = found[(found < 0) | (found >= count if count else False)]
            if len(wrong):
                most = count - 1 if count else "the number of classes"
                worst = wrong[np.argmax(np.abs(wrong))]
                raise ValueError(f"label {worst} in split {split}, expected 0 to {most}")
            return found.astype(np.int32)


def _check_tfds_folder(prepared: Path) -> None:
    """Refuses files that TFDS would wait for, and classes that it would import."""
    for path in prepared.iterdir():
        if not path.is_dir() and not path.is_file():
            raise ValueError(f"{path.name} is no regular file")
    for name in ("features.json", "dataset_info.json"):
        if not (prepared / name).is_file():
            raise ValueError(f"{name} is missing")
        with open(prepared / name, encoding="utf-8") as file:
            json.load(file, object_hook=_refuse_foreign_class)


def _refuse_foreign_class(entry: dict[str, Any]) -> dict[str, Any]:
    """Refuses a feature's class outside TFDS, which imports the module of any class named."""
    # TFDS before 4.6 wrote the class as "type", beside "content"; elsewhere "type" means anything.
    keys = ("pythonClassName", "python_class_name", *(("type",) if "content" in entry else ()))
    for name in (entry[key] for key in keys if key in entry):
        if isinstance(name, str) and not _FEATURE.fullmatch(name):
            raise ValueError(f"{name!r} is no feature of TFDS's own")
    return entry


def _check_records(split: Any, prepared: Path) -> None:
    """Compares dataset_info.json with the files: every record, no more, and all in this folder."""
    check.require_package("array_record", "data")  # tensorflow-datasets brings it
    from array_record.python import array_record_module

    for path, length in zip(map(Path, split.filepaths), split.shard_lengths, strict=True):
        # A shard's path is a pattern of dataset_info.json, and may lead elsewhere.
        if path.parent != prepared:
            raise ValueError(f"{path} is not in the folder")
        reader = array_record_module.ArrayRecordReader(str(path))
        found = reader.num_records()
        reader.close()
        if found != length:
            raise ValueError(f"{path.name} holds {found} records, dataset_info.json says {length}")
