r"""CelebA as its authors publish it: a folder or a ZIP file of pictures, and lists beside it.

Z. Liu, P. Luo, X. Wang, X. Tang, Deep Learning Face Attributes in the Wild, ICCV 2015. Its home is
a shared drive that asks whoever downloads from it, so there is no address here: the files are got
by hand. The pictures' own bytes are kept.

The functions' examples read a folder of one picture and two attributes:

>>> import pathlib, tempfile
>>> from jwgan.data import faces
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> report.save_png(folder / "img_align_celeba" / "1.jpg", np.zeros((218, 178, 3), np.uint8))
>>> _ = (folder / "list_eval_partition.txt").write_text("1.jpg 0")
>>> _ = (folder / "list_attr_celeba.txt").write_text("1\nMale Smiling\n1.jpg -1 1")
"""

import contextlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jwgan import check
from jwgan.data import pictures
from jwgan.data.errors import DataError

PARTITION, ATTRIBUTES = "list_eval_partition.txt", "list_attr_celeba.txt"
PICTURES = "img_align_celeba"  # a folder, or a ZIP file
WHERE = (
    f"download {PICTURES}.zip, {PARTITION} and {ATTRIBUTES} into one folder by hand, from "
    "mmlab.ie.cuhk.edu.hk/projects/CelebA.html, whose drive gives them to people alone"
)
SPLITS = ("train", "validation", "test")  # 0, 1, 2 in the list
SHAPE = (218, 178, 3)
_MOST_BYTES = 2**22  # in a picture: the real ones have some 10,000


class Faces:
    """The pictures of a part, as rows of their files' bytes; reads each when asked for.

    Attributes:
      attributes: bool [N, number of attributes].

    >>> rows = faces.read(folder).splits["train"]
    >>> len(rows), rows.attributes.tolist(), rows[0][1:4]
    (1, [[False, True]], b'PNG')
    """

    shape = SHAPE

    def __init__(self, store: Any, names: list[str], attributes: np.ndarray):
        self._store, self._names, self.attributes = store, names, attributes

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> bytes:
        body: bytes = self._store.read(self._names[index])
        return body


class CelebA(NamedTuple):
    """What a folder of CelebA's files holds.

    Attributes:
      splits: {part: `Faces`}.
      attribute_names: of the columns of `Faces.attributes`.
    """

    splits: dict[str, Faces]
    attribute_names: tuple[str, ...]


class _Folder:
    def __init__(self, path: Path):
        self.path = path

    def names(self) -> set[str]:
        return {path.name for path in self.path.iterdir()}

    def read(self, name: str) -> bytes:
        with _picture(self.path / name):
            if not (self.path / name).is_file():
                raise ValueError("no regular file")
            with open(self.path / name, "rb") as file:
                return _checked(file.read(_MOST_BYTES + 1))


class _Zip:
    def __init__(self, path: Path):
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: {check.one_line(error)}; download it again") from error
        self._members = {info.filename.rpartition("/")[2]: info for info in self._archive.filelist}

    def names(self) -> set[str]:
        return set(self._members)

    def read(self, name: str) -> bytes:
        with _picture(self.path / name), self._archive.open(self._members[name]) as file:
            return _checked(file.read(_MOST_BYTES + 1))


@contextlib.contextmanager
def _picture(path: Path) -> Iterator[None]:
    """What goes wrong with a picture is a DataError that names it."""
    try:
        yield
    except Exception as error:  # Pillow's decoders and zipfile raise anything
        what = check.one_line(error)
        raise DataError(f"{path}: unreadable image: {what}; download it again") from error


def _checked(body: bytes) -> bytes:
    """The bytes of a picture of the right size and kind."""
    if len(body) > _MOST_BYTES:
        raise ValueError(f"more than {_MOST_BYTES} bytes")
    header = pictures.read_header(io.BytesIO(body))
    if (header.height, header.width) != SHAPE[:2]:
        raise ValueError(f"{header.height} x {header.width} pixels, expected 218 x 178")
    return body


def read(folder: Path) -> CelebA:
    """Reads the lists of a folder; the pictures are read when they are asked for.

    Args:
      folder: with list_eval_partition.txt, list_attr_celeba.txt and img_align_celeba/ or
        img_align_celeba.zip in it.

    Raises:
      DataError: one of them is missing or damaged.
      MissingPackageError: Pillow is not installed.

    >>> found = faces.read(folder)
    >>> found.attribute_names, {part: len(rows) for part, rows in found.splits.items()}
    (('Male', 'Smiling'), {'train': 1})
    """
    check.require_package("PIL", "data")
    needed = f"{PARTITION}, {ATTRIBUTES} and {PICTURES}/ or {PICTURES}.zip"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of CelebA's {needed}")
    where = [folder / PICTURES, folder / f"{PICTURES}.zip"]
    if not any(path.exists() for path in where):
        raise DataError(f"{folder}: no {PICTURES} in it; give the folder of CelebA's {needed}")
    store: Any = _Folder(where[0]) if where[0].is_dir() else _Zip(where[1])
    part_of = _partition(folder / PARTITION)
    names, rows = _attributes(folder / ATTRIBUTES)
    known = store.names()
    for name in part_of:
        if name not in rows or name not in known:
            lacks = ATTRIBUTES if name not in rows else store.path
            raise DataError(f"{lacks}: {name} is missing, which is in {PARTITION}; download again")
    splits = {}
    for number, split in enumerate(SPLITS):
        chosen = [name for name, part in part_of.items() if part == number]
        if chosen:
            splits[split] = Faces(store, chosen, np.array([rows[name] for name in chosen]))
    if "train" not in splits:
        raise DataError(f"{folder / PARTITION}: nobody is in part 0, train; download it again")
    return CelebA(splits, names)


def _lines(path: Path) -> list[list[str]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file, or no regular one; download it")
    text = path.read_bytes().decode("utf-8", "replace")
    return [line.split() for line in text.splitlines() if line.strip()]


def _partition(path: Path) -> dict[str, int]:
    found = {}
    for number, words in enumerate(_lines(path), 1):
        if len(words) != 2 or words[1] not in ("0", "1", "2"):
            raise DataError(
                f"{path}: line {number} is not a picture's name and 0, 1 or 2; download it again"
            )
        found[words[0]] = int(words[1])
    return found


def _attributes(path: Path) -> tuple[tuple[str, ...], dict[str, list[bool]]]:
    """(names, {picture: values}): a line with their number, one of names, one for each picture."""
    lines = _lines(path)
    names = tuple(lines[1]) if len(lines) > 1 else ()
    if not names or not all(name.isidentifier() or name == "5_o_Clock_Shadow" for name in names):
        raise DataError(f"{path}: line 2 is no list of attributes; download it again")
    found = {}
    for number, words in enumerate(lines[2:], 3):
        if len(words) != len(names) + 1 or not {*words[1:]} <= {"1", "-1"}:
            raise DataError(
                f"{path}: line {number} is not a picture's name and {len(names)} times 1 or -1; "
                "download it again"
            )
        found[words[0]] = [word == "1" for word in words[1:]]
    return names, found


def by_attribute(found: CelebA, name: str) -> tuple[dict[str, np.ndarray], tuple[str, str]]:
    """({part: labels [N] int32}, class names): 1 for whoever has an attribute, "Smiling" say.

    Raises:
      ValueError: there is no such attribute.

    >>> faces.by_attribute(faces.read(folder), "Smiling")
    ({'train': array([1], dtype=int32)}, ('not Smiling', 'Smiling'))
    """
    names = found.attribute_names
    remedy = f"choose one of {', '.join(names)}"
    check.require(name in names, "attribute", name, remedy)
    column = names.index(name)
    labels = {
        split: faces.attributes[:, column].astype(np.int32) for split, faces in found.splits.items()
    }
    return labels, (f"not {name}", name)
