"""The original archives of well-known data sets: where they are, and what is in them.

CIFAR-10 and -100 (Krizhevsky, 2009), SVHN (Netzer et al., 2011), STL-10 (Coates et al., 2011),
CelebA (Liu et al., 2015), MNIST and Fashion-MNIST. Addresses, sizes and SHA-256 are those that
TensorFlow Datasets publishes.

An archive is a stranger's, even with the right name: its members are read in memory and never
unpacked into files, so no name of a member leads anywhere; links are refused; sizes are compared
before anything is read.

>>> import pathlib, tarfile, tempfile
>>> from jwgan.data import archives
>>> folder = pathlib.Path(tempfile.mkdtemp())
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from jwgan import check
from jwgan.data import datasets, download, memory, readers
from jwgan.data.download import Remote
from jwgan.data.errors import DataError


class Part(NamedTuple):
    """A part of a data set.

    Attributes:
      images: rows uint8 [H, W, C].
      labels: [N] int32, or None.
    """

    images: Any
    labels: np.ndarray | None


class Contents(NamedTuple):
    """What an archive holds.

    Attributes:
      splits: {name: part}, under TFDS's names.
      class_names: of the labels.
    """

    splits: dict[str, Part]
    class_names: tuple[str, ...]


class Original(NamedTuple):
    """A data set as its authors published it.

    Attributes:
      files: what has to be downloaded.
      read: from the files' paths, in that order, to the contents.
      extra: files that may follow: a part which most do without.
    """

    files: tuple[Remote, ...]
    read: Callable[[list[Path]], Contents]
    extra: tuple[Remote, ...] = ()


def get(
    name: str,
    folder: Path,
    show: Callable[[str, int, int], None] = lambda *_: None,
    extra: bool = False,
) -> list[Path]:
    """Downloads the original files of a data set into a folder, those that are not there yet.

    Args:
      name: of the data set.
      folder: it is made.
      show: see `download.fetch`.
      extra: whether the extra files are wanted as well.

    Raises:
      DataError: see `download.fetch`.

    A file that is there already is compared with the published size and checksum:

    >>> _ = (folder / "train_32x32.mat").write_bytes(b"cut")
    >>> archives.get("svhn_cropped", folder)
    Traceback (most recent call last):
    jwgan.data.errors.DataError: ...train_32x32.mat: 3 bytes, expected 182040794: cut, or another
    file; remove it and download it again
    """
    original = ORIGINALS[name]
    remotes = (*original.files, *(original.extra if extra else ()))
    return [download.fetch(remote, folder, show) for remote in remotes]


def find(name: str, source: Path, checked: bool = True) -> list[Path]:
    """The original files of a data set that lie here.

    Args:
      name: of the data set.
      source: the archive itself, or the folder that holds the original files; extra files are
        taken where they lie there.
      checked: whether their sizes and checksums must be the published ones.

    Raises:
      DataError: one is missing, or is another file.

    >>> (folder / "cifar-10-binary.tar.gz").touch()
    >>> [path.name for path in archives.find("cifar10", folder, checked=False)]
    ['cifar-10-binary.tar.gz']
    """
    remotes = ORIGINALS[name].files
    remotes += tuple(one for one in ORIGINALS[name].extra if (source / one.name).exists())
    paths = [source / remote.name for remote in remotes] if source.is_dir() else [source]
    if len(paths) != len(remotes):
        names = ", ".join(remote.name for remote in remotes)
        raise DataError(f"{source}: {name} has {len(remotes)} files; give the folder of {names}")
    for path, remote in zip(paths, remotes, strict=True):
        if not path.is_file():
            raise DataError(f"{path}: no such file, or no regular one; give the original archive")
        if checked:
            download.require_checksum(path, remote)
    return paths


# Archives


_SLACK = 2**26  # bytes of an archive that are none of the files wanted, at most


class _Limited(io.RawIOBase):
    """A stream of at most so many bytes: a bomb must not fill the memory through tar's headers."""

    def __init__(self, stream: Any, limit: int):
        self._stream, self._left = stream, limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._left:
            raise DataError("it expands to more than data of its kind can; download it again")
        found: bytes = self._stream.read(size)
        self._left -= len(found)
        return found


def members(path: Path, wanted: dict[str, int]) -> dict[str, bytes]:
    """Some files of a gzipped tar archive, in memory.

    Args:
      path: of the archive.
      wanted: {file's name without folders: the most bytes that it may have}.

    Returns:
      {name: bytes}, of all that are wanted.

    Raises:
      DataError: one is missing, too large or no regular file; or the archive is damaged.

    >>> _ = (folder / "names.txt").write_text("cat dog")
    >>> with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
    ...     archive.add(folder / "names.txt", "deep/below/names.txt")
    >>> archives.members(folder / "a.tar.gz", {"names.txt": 100})
    {'names.txt': b'cat dog'}
    """
    found: dict[str, bytes] = {}
    try:
        with open(path, "rb") as raw, gzip.GzipFile(fileobj=raw) as stream:
            # A member is read in one piece, which may be all that is allowed.
            limited: Any = _Limited(stream, sum(wanted.values()) + _SLACK)
            with tarfile.open(fileobj=limited, mode="r|") as archive:
                for member in archive:
                    name = member.name.rpartition("/")[2]
                    if name in wanted:
                        found[name] = _member(archive, member, wanted[name])
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{path}: {check.one_line(error)}; download it again") from error
    if missing := sorted(set(wanted) - set(found)):
        raise DataError(f"{path}: {missing[0]} is not in it; give the original archive")
    return found


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    file: IO[bytes] | None = archive.extractfile(member) if member.isreg() else None
    if file is None:
        raise DataError(f"{member.name} in it is no regular file; give the original archive")
    if member.size > most:
        raise DataError(f"{member.name} in it has {member.size} bytes, expected at most {most}")
    return file.read()


def _labels(path: Path, name: str, found: np.ndarray, num_classes: int) -> np.ndarray:
    if found.size and not 0 <= found.min() <= found.max() < num_classes:
        worst = found.max() if found.max() >= num_classes else found.min()
        raise DataError(
            f"{path}: {name} has label {worst}, expected 0 to {num_classes - 1}; give the original "
            "archive"
        )
    return found.astype(np.int32)


def _names(lines: bytes) -> tuple[str, ...]:
    text = lines.decode("utf-8", "replace")
    return tuple(check.printable(line.strip()) for line in text.splitlines() if line.strip())


def _records(path: Path, name: str, body: bytes, size: int) -> np.ndarray:
    """Bytes as records [N, size]."""
    if not body or len(body) % size:
        raise DataError(
            f"{path}: {name} has {len(body)} bytes, no multiple of {size}; give the original "
            "archive"
        )
    return np.frombuffer(body, np.uint8).reshape(-1, size)


# CIFAR: records of the label bytes and 3 planes of 32 x 32.

_CIFAR_ROWS = 50_000


def _cifar(
    paths: list[Path], parts: Mapping[str, tuple[str, ...]], names: str, label_bytes: int
) -> Contents:
    (path,) = paths
    size, files = label_bytes + 3072, [name for group in parts.values() for name in group]
    found = members(path, {**dict.fromkeys(files, _CIFAR_ROWS * size), names: 2**16})
    class_names, splits = _names(found[names]), {}
    for split, group in parts.items():
        records = np.concatenate([_records(path, name, found[name], size) for name in group])
        # Of CIFAR-100's two labels the second one is the class, the first a group of classes.
        labels = _labels(path, group[0], records[:, label_bytes - 1], len(class_names))
        images = records[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        splits[split] = Part(images, labels)
    return Contents(splits, class_names)


def _cifar10(paths: list[Path]) -> Contents:
    train = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
    parts = {"train": train, "test": ("test_batch.bin",)}
    return _cifar(paths, parts, "batches.meta.txt", 1)


def _cifar100(paths: list[Path]) -> Contents:
    parts = {"train": ("train.bin",), "test": ("test.bin",)}
    return _cifar(paths, parts, "fine_label_names.txt", 2)


# STL-10: 3 planes of 96 x 96, each column by column; labels from 1.

_STL = {"train": 5_000, "test": 8_000, "unlabelled": 100_000}  # images


def _stl10(paths: list[Path]) -> Contents:
    (path,), size = paths, 3 * 96 * 96
    # The authors spell the file with one l, TFDS the part with two.
    files = {"train": "train_X.bin", "test": "test_X.bin", "unlabelled": "unlabeled_X.bin"}
    total = size * sum(_STL.values())
    memory.require(total, "the images of stl10", "convert it on a machine with more")
    wanted = {files[split]: count * size for split, count in _STL.items()}
    wanted |= {"train_y.bin": _STL["train"], "test_y.bin": _STL["test"], "class_names.txt": 2**16}
    found = members(path, wanted)
    class_names, splits = _names(found["class_names.txt"]), {}
    for split, name in files.items():
        records = _records(path, name, found.pop(name), size)
        images = records.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)
        labels = np.full(len(images), -1, np.int32)  # as TFDS marks what has no label
        if split != "unlabelled":
            which = f"{split}_y.bin"
            numbers = np.frombuffer(found[which], np.uint8).astype(np.int32) - 1
            labels = _labels(path, which, numbers, len(class_names))
        _require_as_many(path, name, len(images), len(labels))
        splits[split] = Part(images, labels)
    return Contents(splits, class_names)


def _require_as_many(path: Path, name: str, images: int, labels: int) -> None:
    if images != labels:
        raise DataError(
            f"{path}: {labels} labels for the {images} images of {name}; give the original archive"
        )


# SVHN: MATLAB files of X [32, 32, 3, N] and y [N, 1], in which 10 stands for the digit 0.

_SVHN_ROWS = 600_000


def _svhn(paths: list[Path]) -> Contents:
    splits = {}
    for split, path in zip(("train", "test", "extra"), paths, strict=False):
        images, numbers = _matlab(path)
        if len(numbers) and not 1 <= numbers.min() <= numbers.max() <= 10:
            raise DataError(f"{path}: labels are not all in 1 to 10; give the original file")
        _require_as_many(path, "X", len(images), len(numbers))
        splits[split] = Part(images, (numbers % 10).astype(np.int32))
    return Contents(splits, datasets.DIGIT_NAMES)


def _matlab(path: Path) -> tuple[np.ndarray, np.ndarray]:
    check.require_package("scipy", "transport")
    import scipy.io

    try:
        # The headers are read first: an array is allocated as its header says.
        headers = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(str(path))}
        (shape, kind) = headers["X"]
        if kind != "uint8" or shape[:3] != (32, 32, 3) or len(shape) != 4:
            raise ValueError(f"X is {kind} {list(shape)}, expected uint8 [32, 32, 3, N]")
        if not 1 <= shape[3] <= _SVHN_ROWS or headers["y"][0] != (shape[3], 1):
            raise ValueError(f"X has {shape[3]} images and y is {list(headers['y'][0])}")
        memory.require(3072 * shape[3], "the images", "convert it on a machine with more")
        found = scipy.io.loadmat(str(path), variable_names=("X", "y"))
        return found["X"].transpose(3, 0, 1, 2), np.asarray(found["y"]).reshape(-1).astype(int)
    except DataError:
        raise
    except Exception as error:  # SciPy raises anything from TypeError up on a damaged file
        what = "no X or y in it" if isinstance(error, KeyError) else check.one_line(error)
        raise DataError(f"{path}: {what}; download it again") from error


# MNIST and Fashion-MNIST: the four IDX files


def _idx(paths: list[Path], class_names: tuple[str, ...]) -> Contents:
    splits = {}
    for split, (images, labels) in zip(("train", "test"), (paths[:2], paths[2:]), strict=True):
        pixels, numbers = readers.read_idx(images, (28, 28)), readers.read_idx(labels, ())
        _require_as_many(labels, images.name, len(pixels), len(numbers))
        numbers = _labels(labels, labels.name, numbers, len(class_names))
        splits[split] = Part(pixels[..., None], numbers)
    return Contents(splits, class_names)


def _idx_files(base: str, facts: tuple[tuple[int, str], ...]) -> tuple[Remote, ...]:
    names = (
        *("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        *("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
    )
    return tuple(
        Remote(base + name, size, sha) for name, (size, sha) in zip(names, facts, strict=True)
    )


_MNIST_FACTS = (
    (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
)
_FASHION_FACTS = (
    (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)
_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_STANFORD = "http://ufldl.stanford.edu/housenumbers/"
ORIGINALS = {
    "mnist": Original(
        _idx_files("https://storage.googleapis.com/cvdf-datasets/mnist/", _MNIST_FACTS),
        lambda paths: _idx(paths, datasets.DIGIT_NAMES),
    ),
    "fashion_mnist": Original(
        _idx_files("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", _FASHION_FACTS),
        lambda paths: _idx(paths, datasets.FASHION_NAMES),
    ),
    "cifar10": Original(
        (
            Remote(
                f"{_TORONTO}cifar-10-binary.tar.gz",
                170052171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        _cifar10,
    ),
    "cifar100": Original(
        (
            Remote(
                f"{_TORONTO}cifar-100-binary.tar.gz",
                168513733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
        ),
        _cifar100,
    ),
    "svhn_cropped": Original(
        (
            Remote(
                f"{_STANFORD}train_32x32.mat",
                182040794,
                "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            ),
            Remote(
                f"{_STANFORD}test_32x32.mat",
                64275384,
                "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            ),
        ),
        _svhn,
        (
            Remote(
                f"{_STANFORD}extra_32x32.mat",
                1329278602,
                "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3",
            ),
        ),
    ),
    "stl10": Original(
        (
            Remote(
                "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
                2640397119,
                "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
            ),
        ),
        _stl10,
    ),
}
EXTRA = tuple(name for name, original in ORIGINALS.items() if original.extra)
