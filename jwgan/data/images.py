"""The images of a folder, or of a TFDS data set, as rows that are read when they are asked for.

`data.folder` and `data.from_tfds` read all rows into memory, `streams.from_rows` reads them while
the device trains: the pixels are the same. See `pictures` for the rule of sizes and channels.

The functions' examples read this folder of a black and a white picture:

>>> import pathlib, tempfile, types
>>> from jwgan.data import images
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> for name, grey in (("black", 0), ("white", 255)):
...     report.save_png(folder / name / "1.png", np.full((2, 2, 1), grey, np.uint8))
"""

import io
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from jwgan import check
from jwgan.data import label_files, memory, pictures, readers
from jwgan.data.errors import DataError
from jwgan.types import Labelled

_BLOCK = 1000  # examples that TFDS reads at once


def spread(num: int, most: int) -> list[int]:
    """At most so many of the numbers 0 to num - 1, evenly spread: neighbours are often alike.

    >>> images.spread(10, 3), images.spread(2, 3)
    ([0, 3, 6], [0, 1])
    """
    return [i * num // min(num, most) for i in range(min(num, most))]


class FolderRows:
    """The images below a folder as rows float32 [H, W, C] in [-1, 1]; reads each when asked for.

    Args:
      path: a folder of pictures; see `data.folder` for what is done to them.
      image_size: side of squares in pixels; None for the pictures' own size.
      channels: C, 1 or 3; None for the pictures' own.
      follow_links: whether to read what links lead to outside of the folder.
      labels: a CSV file of file,label, in place of class folders; see `label_files`.

    Attributes:
      form: (height, width, channels) of every row.
      paths: of the files, in the order of the rows.
      labels, class_names: of the class folders, or None and ().
      notes: what a user should know of the data, a line each.

    Raises:
      DataError: no such folder, or no image in it; and when a row is read, an unreadable image.
      MissingPackageError: Pillow is not installed.

    >>> rows = images.FolderRows(folder)
    >>> len(rows), rows.form, rows.class_names
    (2, Form(height=2, width=2, channels=1), ('black', 'white'))
    >>> rows[1].ravel().tolist(), rows.with_label(1).label.item()
    ([1.0, 1.0, 1.0, 1.0], 1)
    """

    def __init__(
        self,
        path: str | os.PathLike,
        image_size: int | None = None,
        channels: int | None = None,
        follow_links: bool = False,
        labels: str | os.PathLike | None = None,
    ):
        pictures.require_form(image_size, channels)
        listed = pictures.list_folder(path, follow_links)
        if labels is not None:
            listed = label_files.relabelled(listed, path, labels)
        self.paths, self.labels, self.class_names, notes = listed
        self.form, mixed = pictures.choose_form(self._headers(), image_size, channels)
        looked_at = spread(len(self), pictures.LOOKED_AT)
        dark = pictures.range_note(self._opened(looked_at), len(looked_at))
        self.notes = tuple(line for line in (*notes, mixed, dark) if line)
        _require_memory(1, self.form)
        self.pixels(0)  # read one image now: wrong options must fail here, not in a run's middle

    def _headers(self) -> Iterator[pictures.Header]:
        for path in self.paths:
            with pictures.readable(path) as file:
                yield pictures.read_header(file)

    def _opened(self, indices: list[int]) -> Iterator[Any]:
        for i in indices:
            with pictures.readable(self.paths[i]) as file:
                yield file

    def __len__(self) -> int:
        return len(self.paths)

    def pixels(self, index: int) -> np.ndarray:
        """One image as it is stored: uint8 [H, W, C]."""
        return pictures.decode(self.paths[index], self.form)

    def each_of(self, indices: list[int]) -> Iterator[np.ndarray]:
        """Some images as they are stored, one after the other."""
        return map(self.pixels, indices)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.pixels(index).astype(np.float32) / 127.5 - 1

    def labels_of(self, indices: list[int]) -> np.ndarray | None:
        """The labels [len(indices)] int32 of some rows; None without labels."""
        return None if self.labels is None else self.labels[indices]

    def with_label(self, index: int) -> Labelled:
        """One row and its label; the rows must have labels."""
        label = self.labels_of([index])
        return Labelled(self[index], None if label is None else label[0])


class TFDSRows:
    """The images of a data set that TFDS prepared as array_record; decodes each when asked for.

    Rows are float32 [H, W, C] in [-1, 1]; see `data.folder` for what is done to the pictures.

    Args:
      name: TFDS's name of the data set, for example "celeb_a" or "imagenet_resized/64x64".
      data_dir: the folder that holds `name/`; default TFDS_DATA_DIR or ~/tensorflow_datasets.
      image_size: side of squares in pixels; None for the pictures' own size.
      channels: C, 1 or 3; None for the pictures' own.
      split: the part of the data set.

    Attributes:
      form: (height, width, channels) of every row.
      folder: that TFDS prepared.
      split, splits: names of this part and of all parts.
      class_names: of the labels; () without labels.
      notes: what a user should know of the data, a line each.

    Raises:
      DataError: not prepared there, not array_record, or damaged; and when a row is read, a damaged
        image.
      MissingPackageError: tensorflow-datasets, or a package that it needs, is not installed.

    >>> import contextlib, io
    >>> from jwgan.data import convert
    >>> parts = {"train": (np.ones((3, 4, 4, 1)), [0, 1, 0])}
    >>> with contextlib.redirect_stdout(io.StringIO()):  # TFDS says what it does
    ...     made = convert.prepare("white", parts, ("cat", "dog"), tempfile.mkdtemp())
    >>> rows = images.TFDSRows("white", made.parents[1])
    >>> len(rows), rows.form, rows[0].max().item(), rows.labels_of([0, 1]).tolist()
    (3, Form(height=4, width=4, channels=1), 1.0, [0, 1])
    """

    def __init__(
        self,
        name: str,
        data_dir: str | os.PathLike | None = None,
        *,
        image_size: int | None = None,
        channels: int | None = None,
        split: str = "train",
    ):
        pictures.require_form(image_size, channels)
        self.folder = readers.tfds_folder(name, data_dir)
        self._prepared = readers.Prepared(self.folder)
        self.splits, self.split = tuple(self._prepared.splits), split
        self._source = self._prepared.open(split)
        self.form, mixed = pictures.choose_form(self._headers(), image_size, channels)
        self.class_names = self._prepared.class_names
        looked_at = spread(len(self), pictures.LOOKED_AT)
        dark = pictures.range_note(
            (io.BytesIO(example["image"]) for _, example in self._examples(looked_at)),
            len(looked_at),
        )
        self.notes = tuple(line for line in (mixed, dark) if line)
        _require_memory(1, self.form)
        self.pixels(0)  # read one image now: see FolderRows

    def part(self, split: str) -> "TFDSRows":
        """Another part of the data set, its images in the form of this one's."""
        other = object.__new__(TFDSRows)
        other.__dict__.update(self.__dict__, split=split, _source=self._prepared.open(split))
        return other

    def _examples(self, indices: list[int]) -> Iterator[tuple[int, Any]]:
        """(index, example) of some rows, read in blocks."""
        for first in range(0, len(indices), _BLOCK):
            block = indices[first : first + _BLOCK]
            with self._prepared.reading():
                found = self._source.__getitems__(block)
            yield from zip(block, found, strict=True)

    def _headers(self) -> Iterator[pictures.Header]:
        for i, example in self._examples(list(range(len(self)))):
            try:
                header = pictures.read_header(io.BytesIO(example["image"]))
            except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ...
                raise self._unreadable(i, error) from error
            yield header

    def _unreadable(self, index: int, error: Exception) -> DataError:
        return DataError(
            f"{self.folder}: image {index} is unreadable: {check.one_line(error)}; prepare the "
            "data set again"
        )

    def __len__(self) -> int:
        return len(self._source)

    def pixels(self, index: int) -> np.ndarray:
        """One image as it is stored: uint8 [H, W, C]."""
        with self._prepared.reading():
            example = self._source[index]
        return self._decoded(index, example)

    def _decoded(self, index: int, example: Any) -> np.ndarray:
        try:
            return pictures.fitted(io.BytesIO(example["image"]), self.form)
        except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ...
            raise self._unreadable(index, error) from error

    def each_of(self, indices: list[int]) -> Iterator[np.ndarray]:
        """Some images as they are stored, one after the other; read in blocks."""
        return (self._decoded(i, example) for i, example in self._examples(indices))

    def __getitem__(self, index: int) -> np.ndarray:
        return self.pixels(index).astype(np.float32) / 127.5 - 1

    def with_label(self, index: int) -> Labelled:
        """One row and its label, read at once.

        Raises:
          DataError: it has none, or the image is damaged.
        """
        with self._prepared.reading():
            example = self._source[index]
        label = self._prepared.labels([example], self.split)
        if label is None:
            raise DataError(f"{self.folder}: image {index} has no label; prepare it again")
        return Labelled(self._decoded(index, example).astype(np.float32) / 127.5 - 1, label[0])

    def labels_of(self, indices: list[int]) -> np.ndarray | None:
        """The labels [len(indices)] int32 of some rows; None without labels."""
        examples = [{"label": e["label"]} for _, e in self._examples(indices) if "label" in e]
        return self._prepared.labels(examples, self.split)


class LabelledArray:
    """Images in memory [N, H, W, C] as rows, with their labels [N] if there are any.

    >>> rows = images.LabelledArray(np.zeros((2, 4, 4, 1)), np.array([3, 5]))
    >>> len(rows), rows[1].shape, rows.with_label(1).label.item()
    (2, (4, 4, 1), 5)
    """

    def __init__(self, images: Any, labels: Any):
        self._images, self._labels = images, labels

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._images[index]

    def with_label(self, index: int) -> Labelled:
        """One row and its label."""
        return Labelled(self._images[index], self._labels[index])


class WithLabels:
    """Rows whose items are `types.Labelled`: each is read with its label.

    >>> rows = images.WithLabels(images.LabelledArray(np.zeros((2, 1, 1, 1)), [3, 5]))
    >>> rows[1]
    Labelled(x=array([[[0.]]]), label=5)
    """

    def __init__(self, rows: Any):
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Labelled:
        return self._rows.with_label(index)


def _require_memory(num: int, form: pictures.Form) -> None:
    what = f"image_size={form.height}: {num} images of {form.channels} channels"
    # 5 bytes for each value: the pixel as it was read, and the float32 that is made of it.
    memory.require(5 * num * math.prod(form), what, "give a smaller image_size")


def read_all(rows: Any, indices: list[int]) -> np.ndarray:
    """Some rows' images as they are stored: uint8 [len(indices), H, W, C].

    Raises:
      DataError: an unreadable image, or more images than this machine has memory for.

    >>> images.read_all(images.FolderRows(folder), [1, 0]).reshape(2, -1).tolist()
    [[255, 255, 255, 255], [0, 0, 0, 0]]
    """
    _require_memory(len(indices), rows.form)
    # Bytes first, floats once at the end: a list of float32 images and the array made of it would
    # take 8 bytes for each value, in place of 5.
    found = np.empty((len(indices), *rows.form), np.uint8)
    for place, image in enumerate(rows.each_of(indices)):
        found[place] = image
    return found


def held_out_split(rows: TFDSRows) -> tuple[str | None, str]:
    """(the part that is not trained on, a line if it is no part named test).

    >>> images.held_out_split(types.SimpleNamespace(splits=("train", "validation")))
    ('validation', 'held-out data: split validation, since there is no split test')
    """
    for name in ("test", "validation"):
        if name in rows.splits:
            why = "there is no split test"
            return name, "" if name == "test" else f"held-out data: split {name}, since {why}"
    return None, ""


def missing_labels(rows: Any, labels: Any) -> tuple[str, ...]:
    """A line if rows whose data set has classes have no labels.

    >>> rows = types.SimpleNamespace(split="test", class_names=("cat", "dog"))
    >>> images.missing_labels(rows, None), images.missing_labels(rows, np.array([0, 1]))
    (('no labels: those of split test are no classes (-1)',), ())
    """
    if labels is not None or not rows.class_names:
        return ()
    return (f"no labels: those of split {rows.split} are no classes (-1)",)
