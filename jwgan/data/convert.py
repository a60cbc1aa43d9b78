"""Images written as a TFDS data set (array_record), without TensorFlow.

The functions' examples use this folder, with MNIST's four files of one image each:

>>> import contextlib, io, pathlib, struct, tempfile
>>> from jwgan.data import convert
>>> folder, idx = pathlib.Path(tempfile.mkdtemp()), []
>>> for part, label in (("train", 3), ("t10k", 5)):
...     idx += [folder / f"{part}-images-idx3-ubyte", folder / f"{part}-labels-idx1-ubyte"]
...     _ = idx[-2].write_bytes(struct.pack(">4I", 2051, 1, 28, 28) + bytes(784))
...     _ = idx[-1].write_bytes(struct.pack(">2I", 2049, 1) + bytes([label]))
"""

import io
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jwgan import check
from jwgan.data import archives, datasets, faces, images, readers

# Versions that TFDS has of its own data sets; others get 1.0.0.
VERSION = {
    **{"mnist": "3.0.1", "fashion_mnist": "3.0.1", "cifar10": "3.0.2", "cifar100": "3.0.2"},
    **{"svhn_cropped": "3.1.0", "stl10": "1.0.0", "celeb_a": "2.1.0"},
}


def examples(
    rows: Any, labels: Any, attribute_names: tuple[str, ...] = ()
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (number, example) of rows with labels [N] or None.

    Args:
      rows: images [H, W, C], floats in [-1, 1] or bytes; or pictures' files, which are kept.
      labels: [N], or None.
      attribute_names: of the columns of `rows.attributes`; () without.

    Raises:
      MissingPackageError: Pillow is not installed.

    >>> black = np.full((2, 2, 1), -1.0, np.float32)
    >>> number, example = next(convert.examples([black], labels=[7]))
    >>> number, example["label"], example["image"][1:4]
    (0, 7, b'PNG')
    """
    for i in range(len(rows)):
        row = rows[i]
        example: dict[str, Any] = {"image": row if isinstance(row, bytes) else _png(row)}
        if labels is not None:
            example["label"] = int(labels[i])
        if attribute_names:
            values = map(bool, rows.attributes[i])
            example["attributes"] = dict(zip(attribute_names, values, strict=True))
        yield i, example


def _png(row: Any) -> bytes:
    check.require_package("PIL", "data")
    from PIL import Image

    # [H, W, C]; the inverse of the readers' scaling, so an 8-bit image keeps its values.
    pixels = row if row.dtype == np.uint8 else np.rint((row + 1) * 127.5).astype(np.uint8)
    png = io.BytesIO()
    # Pillow has grey pictures as [H, W] and refuses [H, W, 1].
    grey = pixels.shape[-1] == 1
    Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels)).save(png, "PNG")
    return png.getvalue()


def prepare(
    name: str,
    splits: dict[str, tuple[Any, Any]],
    classes: tuple[str, ...],
    out: Any,
    attribute_names: tuple[str, ...] = (),
) -> Any:
    """Writes a data set as TFDS prepares it.

    Args:
      name: of the data set.
      splits: {split: (rows, labels [N] or None)}, as `examples` takes them; "train" among them.
      classes: names of the labels; () without labels.
      out: the folder below which it is written.
      attribute_names: see `examples`.

    Returns:
      The data set's folder, a `pathlib.Path`.

    Raises:
      MissingPackageError: tensorflow-datasets, or a package that it needs, is not installed.

    >>> grey = np.zeros((3, 4, 4, 1), np.float32)
    >>> with contextlib.redirect_stdout(io.StringIO()):  # TFDS says what it does
    ...     made = convert.prepare("grey", {"train": (grey, [0, 1, 0])}, ("cat", "dog"), folder)
    >>> made.relative_to(folder).as_posix(), data.from_tfds("grey", folder).labels.tolist()
    ('grey/1.0.0', [0, 1, 0])
    """
    tfds = readers.tensorflow_datasets()
    rows = splits["train"][0]
    are_files = isinstance(rows[0], bytes)
    image = {"shape": rows.shape, "encoding_format": "jpeg"} if are_files else {}
    image = image or {"shape": rows[0].shape}

    builder_class: Any = tfds.core.GeneratorBasedBuilder

    # TFDS lists every builder's class by its name. Ours is made anew by each call and must not be
    # found under that name later.
    class Converted(builder_class, skip_registration=True):  # type: ignore[call-arg]
        # In the body of a class VERSION is the attribute that is being made; the module's table of
        # the same name is only reached through globals().
        VERSION = tfds.core.Version(globals()["VERSION"].get(name, "1.0.0"))

        def _info(self) -> Any:
            features: dict[str, Any] = {"image": tfds.features.Image(**image)}
            if classes:
                features["label"] = tfds.features.ClassLabel(names=list(classes))
            if attribute_names:
                features["attributes"] = dict.fromkeys(attribute_names, np.bool_)
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                disable_shuffling=True,  # TFDS's shuffler needs TensorFlow
            )

        def _split_generators(self, dl_manager: Any) -> Any:
            return {split: examples(*parts, attribute_names) for split, parts in splits.items()}

        def _generate_examples(self) -> Any:
            raise NotImplementedError  # abstract in TFDS; the splits above are used

    # Without this TFDS would make a name from the class's or the module's.
    Converted.name = name
    # array_record gives random access to single examples, which a shuffling stream needs, and is
    # written and read without TensorFlow.
    builder = Converted(data_dir=str(out), file_format="array_record")
    builder.download_and_prepare()
    return pathlib.Path(builder.data_dir)


class Read(NamedTuple):
    """What is to be converted.

    Attributes:
      splits: {split: (rows, labels or None)}, as `examples` takes them.
      class_names: of the labels.
      notes: lines that a user should read.
      attribute_names: see `examples`.
    """

    splits: dict[str, tuple[Any, Any]]
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    attribute_names: tuple[str, ...] = ()


def read_folder(
    source: str,
    image_size: int | None = None,
    channels: int | None = None,
    follow_links: bool = False,
) -> Read:
    """Reads a folder of pictures; arguments as for `data.folder`.

    Raises:
      DataError: there are none, or they are damaged.

    >>> for name in ("cat", "dog"):
    ...     report.save_png(folder / "pictures" / name / "1.png", np.zeros((2, 2, 1), np.uint8))
    >>> found = convert.read_folder(folder / "pictures")
    >>> rows, labels = found.splits["train"]
    >>> found.class_names, labels.tolist(), rows[0].ravel().tolist()
    (('cat', 'dog'), [0, 1], [-1.0, -1.0, -1.0, -1.0])
    """
    rows = images.FolderRows(source, image_size, channels, follow_links)
    return Read({"train": (rows, rows.labels)}, rows.class_names, rows.notes)


def read_idx(name: str, source: str) -> Read:
    """Reads MNIST's or Fashion-MNIST's IDX files in a folder, packed or not, whatever their bytes.

    Raises:
      DataError: they are not there, or damaged.

    >>> found = convert.read_idx("mnist", folder)
    >>> {split: labels.tolist() for split, (images, labels) in found.splits.items()}
    {'train': [3], 'test': [5]}
    """
    whole = {"mnist": datasets.mnist, "fashion_mnist": datasets.fashion_mnist}[name](source)
    splits = {"train": (whole.images, whole.labels), "test": (whole.test_images, whole.test_labels)}
    return Read(splits, whole.class_names, whole.notes)


def read_original(name: str, paths: list[pathlib.Path]) -> Read:
    """Reads the original archives of a data set, see `archives`.

    Raises:
      DataError: they are damaged, or of another data set.

    >>> found = convert.read_original("mnist", idx)
    >>> {split: (images.shape, labels.tolist()) for split, (images, labels) in found.splits.items()}
    {'train': ((1, 28, 28, 1), [3]), 'test': ((1, 28, 28, 1), [5])}
    """
    found = archives.ORIGINALS[name].read(paths)
    return Read({split: tuple(part) for split, part in found.splits.items()}, found.class_names)


def read_celeb_a(source: str, attribute: str | None = None) -> Read:
    r"""Reads CelebA's files in a folder, see `faces`; an attribute's name makes labels of it.

    Raises:
      DataError: they are missing, or damaged.
      ValueError: there is no such attribute.

    >>> report.save_png(folder / "img_align_celeba" / "1.jpg", np.zeros((218, 178, 3), np.uint8))
    >>> _ = (folder / "list_eval_partition.txt").write_text("1.jpg 0")
    >>> _ = (folder / "list_attr_celeba.txt").write_text("1\nMale Smiling\n1.jpg -1 1")
    >>> found = convert.read_celeb_a(folder, "Smiling")
    >>> found.class_names, found.splits["train"][1].tolist()
    (('not Smiling', 'Smiling'), [1])
    """
    found = faces.read(pathlib.Path(source))
    labels, classes = faces.by_attribute(found, attribute) if attribute else ({}, ())
    splits = {split: (rows, labels.get(split)) for split, rows in found.splits.items()}
    return Read(splits, classes, (), found.attribute_names)
