"""Labels of pictures in a CSV file: a line `file,label` for each, in place of class folders.

    file,label
    cat_1.png,cat
    more/dog_7.png,dog

A first line `file,label` is a heading and may be missing. A file is named from the folder of the
pictures down, a label is any text: the different ones, sorted, are the class names (numbers by
their value).
"""

import csv
import os
from pathlib import Path

import numpy as np

from jwgan import check
from jwgan.data.errors import DataError
from jwgan.data.pictures import Listing


def _read(path: str | os.PathLike) -> dict[str, str]:
    """{file: label} of a CSV file.

    Raises:
      DataError: it cannot be read, a line has not two cells, or a file is named twice.
    """
    found: dict[str, str] = {}
    try:
        # utf-8-sig: spreadsheets put a mark in front of the first cell.
        with open(path, encoding="utf-8-sig", newline="") as file:
            for number, cells in enumerate(csv.reader(file, strict=True), start=1):
                row = [cell.strip() for cell in cells]
                if not any(row) or (number == 1 and row[:2] == ["file", "label"]):
                    continue
                if len(row) != 2 or not all(row):
                    raise DataError(
                        f"{path}: line {number} is {check.printable(','.join(cells))[:80]!r}, "
                        "expected file,label"
                    )
                name = os.path.normpath(row[0])
                if name in found:
                    raise DataError(
                        f"{path}: {check.printable(name)} stands there twice (line {number}); "
                        "leave one line"
                    )
                found[name] = row[1]
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(
            f"{path}: {check.one_line(error)}; give a CSV file of file,label"
        ) from error
    if not found:
        raise DataError(f"{path}: no line in it; give a CSV file of file,label")
    return found


def _names(labels: set[str]) -> list[str]:
    """The classes in order: whole numbers by their value, other names by their letters."""
    if all(label.isascii() and label.isdecimal() for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def relabelled(listed: Listing, root: str | os.PathLike, path: str | os.PathLike) -> Listing:
    r"""A folder's listing with the labels of a CSV file.

    Raises:
      DataError: the file cannot be read, a picture has no line, or a line no picture.

    >>> import pathlib, tempfile
    >>> from jwgan.data import label_files, pictures
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "labels.csv").write_text("1.png,dog\n2.png,cat")
    >>> listed = pictures.Listing([folder / "1.png", folder / "2.png"], None, (), ())
    >>> found = label_files.relabelled(listed, folder, folder / "labels.csv")
    >>> found.labels.tolist(), found.class_names
    ([1, 0], ('cat', 'dog'))
    """
    labels = _read(path)
    files = [os.path.relpath(file, root) for file in listed.paths]
    without = [name for name in files if name not in labels]
    if without:
        raise DataError(
            f"{path}: {len(without)} of {len(files)} pictures have no line, "
            f"{check.printable(without[0])} first; add them, or move them out of the folder"
        )
    strangers = labels.keys() - set(files)
    if strangers:
        raise DataError(
            f"{path}: {len(strangers)} lines name no picture of {root}, "
            f"{check.printable(min(strangers))} first; remove them, or put the pictures there"
        )
    names = _names(set(labels.values()))
    number = {name: i for i, name in enumerate(names)}
    found = np.array([number[labels[name]] for name in files], np.int32)
    kept = tuple(line for line in listed.notes if "labels: " not in line)
    note = f"labels: {len(names)} classes, of {Path(path).name}"
    return listed._replace(
        labels=found, class_names=tuple(map(check.printable, names)), notes=(*kept, note)
    )
