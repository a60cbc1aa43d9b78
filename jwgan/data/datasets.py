"""Loads real images as arrays.

Every loader reads local files, never unpickles, and returns a `Dataset` held in memory, or raises
`DataError` with one line: the file, what is wrong with it, what to do.

Letters: N images, H height, W width, C channels.

The functions' examples use this folder, with the four IDX files of one image each:

>>> import contextlib, io, pathlib, struct, tempfile
>>> here = pathlib.Path(tempfile.mkdtemp())
>>> for part in ("train", "t10k"):
...     images, labels = here / f"{part}-images-idx3-ubyte", here / f"{part}-labels-idx1-ubyte"
...     _ = images.write_bytes(struct.pack(">4I", 2051, 1, 28, 28) + bytes(784))
...     _ = labels.write_bytes(struct.pack(">2I", 2049, 1) + bytes([3]))
"""

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jwgan import check
from jwgan.data import emoji_font, memory, pictures
from jwgan.data import images as rows_of
from jwgan.data.errors import DataError
from jwgan.data.pictures import read_image as read_image  # found here as well
from jwgan.data.readers import newest_version, read_idx, tfds_home


class Dataset(NamedTuple):
    """Images in memory, with their held-out part.

    Attributes:
      name: The name in a run's configuration.
      images: `[N, H, W, C]` float32 in [-1, 1], the training part.
      labels: `[N]` int32, or None.
      test_images: `[N', H, W, C]`, the held-out part, or None.
      test_labels: `[N']` int32, or None.
      class_names: Name of each label; `()` without labels.
      source: Where the images were read from.
      notes: What a user should know of the data, a line each: files passed over, the part that is
        held out, pictures of several sizes.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None
    test_images: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()


class _Catalogue(NamedTuple):
    """Where a data set of four IDX files lies on disks, and how to get it."""

    name: str
    class_names: tuple[str, ...]
    folders: tuple[str, ...]  # below data_dir, tried in this order
    installed: tuple[str, ...]  # absolute, tried when no data_dir is given
    remedy: str


DIGIT_NAMES = tuple("0123456789")
_MNIST = _Catalogue(
    name="mnist",
    class_names=DIGIT_NAMES,
    # The data set's own folder comes before data_dir itself: MNIST's and Fashion-MNIST's files have
    # the same names, so files in data_dir itself may be the other data set's. MNIST/raw is
    # torchvision's.
    folders=("mnist", "MNIST/raw", "."),
    installed=(),
    remedy="put the four IDX files (train-images-idx3-ubyte.gz, ...) there, or download it once "
    "(it is found without --data-dir): python -m jwgan.run convert mnist",
)
FASHION_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_FASHION_MNIST = _Catalogue(
    name="fashion_mnist",
    class_names=FASHION_NAMES,
    folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", "."),
    installed=("/usr/share/datasets/fashion-mnist",),
    remedy="install it (Debian, Ubuntu: apt-get install dataset-fashion-mnist), download it by "
    "python -m jwgan.run convert fashion_mnist, or put the four "
    "IDX files of github.com/zalandoresearch/fashion-mnist there and pass --data-dir",
)


def digits() -> Dataset:
    """Loads the 1,797 handwritten digits, 8 x 8 grey, ten classes, that scikit-learn contains.

    The held-out part is every fifth image of each class (Alpaydin and Kaynak, Optical Recognition
    of Handwritten Digits, UCI, 1998).

    Raises:
      MissingPackageError: scikit-learn is not installed.

    >>> digits = data.digits()
    >>> digits.images.shape, digits.test_images.shape
    ((1442, 8, 8, 1), (355, 8, 8, 1))
    """
    table = _digits_table()
    # [N, 8, 8, 1]: pixels are 0 to 16, and become -1 to 1.
    images = (table[:, :-1] / 8 - 1).astype(np.float32).reshape(-1, 8, 8, 1)
    labels = table[:, -1].astype(np.int32)
    # Every fifth of each class, not of the file: the parts then have the classes in one proportion.
    held_out = np.zeros(len(labels), bool)
    for label in range(10):
        held_out[np.flatnonzero(labels == label)[4::5]] = True
    return Dataset(
        name="digits",
        images=images[~held_out],
        labels=labels[~held_out],
        test_images=images[held_out],
        test_labels=labels[held_out],
        class_names=DIGIT_NAMES,
        source="sklearn.datasets.load_digits",
    )


def _digits_table() -> np.ndarray:
    """scikit-learn's digits as a table [N, 65]: 64 pixels and the label.

    Raises:
      MissingPackageError: scikit-learn is not installed.
    """
    check.require_package("sklearn", "data")
    # The file alone is read where it lies: importing scikit-learn takes more than a second,
    # which every restart would wait before its first step.
    spec = importlib.util.find_spec("sklearn")
    path = Path(spec.origin or "").parent / "datasets" / "data" / "digits.csv.gz" if spec else None
    if path and path.is_file():
        return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits  # this version keeps the file elsewhere

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])


def mnist(data_dir: str | os.PathLike | None = None) -> Dataset:
    """Loads MNIST, 60,000 + 10,000 grey images of 28 x 28 (LeCun et al., 1998).

    Args:
      data_dir: Folder searched (`mnist/`, `MNIST/raw/`, itself) for the four IDX files, gzipped or
        not, then for a prepared TFDS folder.  Without data_dir: TFDS's own folder.

    Raises:
      DataError: Not found, or a file is damaged.

    >>> found = data.mnist(here)
    >>> found.images.shape, found.labels.tolist(), found.images.max().item()
    ((1, 28, 28, 1), [3], -1.0)
    """
    return _idx_or_tfds(_MNIST, data_dir)


def fashion_mnist(data_dir: str | os.PathLike | None = None) -> Dataset:
    """Loads Fashion-MNIST, 60,000 + 10,000 grey images of 28 x 28 (Xiao et al., 2017).

    Args:
      data_dir: As for `mnist` (`fashion_mnist/`, `FashionMNIST/raw/`, itself).  Without
        data_dir: Debian's dataset-fashion-mnist, then TFDS's own folder.

    Raises:
      DataError: Not found, or a file is damaged.

    >>> found = data.fashion_mnist(here)
    >>> found.images.shape, [found.class_names[label] for label in found.labels]
    ((1, 28, 28, 1), ['Dress'])
    """
    return _idx_or_tfds(_FASHION_MNIST, data_dir)


def emoji(
    path: str | os.PathLike | None = None,
    *,
    image_size: int | None = None,
    channels: int | None = None,
) -> Dataset:
    """Loads the emoji of Noto Color Emoji, 3,926 colour pictures in version 2.042, on white.

    Their labels are Unicode's groups, from Flags to Symbols. Held out are the 600 emoji whose
    family has code points with a sum that is divisible by 6: all variants of an emoji, by skin
    tone, hair and gender, are on one side (`data.emoji_font.family`). Both parts are in a random
    order that is always the same.

    Args:
      path: The font, or the folder that holds NotoColorEmoji.ttf; any font with colour bitmaps
        (table CBDT). None: where systems and users install fonts.
      image_size: Side in pixels, 16 to 128 (None: 64), made by averaging areas of 136 pixels.
      channels: 3 for RGB (None: 3), 1 for grey.

    Raises:
      DataError: No such font, a damaged one, or a size or number of channels that is out of range.
      MissingPackageError: fontTools or Pillow is not installed.

    >>> emoji = data.emoji(image_size=16)
    >>> emoji.images.shape[1:], len(emoji.class_names), emoji.images.max().item()
    ((16, 16, 3), 9, 1.0)
    """
    pictures.require_form(image_size, channels)
    side, count = image_size or 64, channels or 3
    emoji_font.require_side(side)
    font = emoji_font.find(path)
    train, test = emoji_font.parts(emoji_font.read(font))
    if not train or not test:
        raise DataError(
            f"{font}: {len(train) + len(test)} emoji are too few for a training and a held-out "
            "part; give a font with all of them"
        )
    labels = lambda part: np.array([emoji_font.group(one.code_points) for one in part], np.int32)
    try:
        images, test_images = (emoji_font.pixels(x, side, count) for x in (train, test))
    except DataError as error:
        raise DataError(f"{font}: {error}") from error
    return Dataset(
        name="emoji",
        images=images,
        labels=labels(train),
        test_images=test_images,
        test_labels=labels(test),
        class_names=emoji_font.GROUPS,
        source=str(font),
    )


def _idx_or_tfds(catalogue: _Catalogue, data_dir: str | os.PathLike | None) -> Dataset:
    if data_dir is None:
        folders, tfds_dir = [Path(f) for f in catalogue.installed], tfds_home()
    else:
        tfds_dir = Path(data_dir)
        if not tfds_dir.is_dir():
            raise DataError(f"{tfds_dir}: no such folder; {catalogue.remedy}")
        folders = [tfds_dir / f for f in catalogue.folders]
    # IDX files come first: they need no optional package.
    for folder_path in folders:
        if (paths := _idx_paths(folder_path)) is not None:
            return _from_idx(catalogue, folder_path, paths)
    if newest_version(catalogue.name, tfds_dir) is not None:
        return _checked(catalogue, from_tfds(catalogue.name, tfds_dir))
    looked = ", ".join(str(f) for f in (*folders, tfds_dir / catalogue.name))
    raise DataError(f"{catalogue.name}: not found (looked in {looked}); {catalogue.remedy}")


def _checked(catalogue: _Catalogue, read: Dataset) -> Dataset:
    """Checks for labels and a test split of what TFDS prepared.

    Class names come from our catalogue, since TFDS keeps them in a separate file.
    """
    if read.labels is None or read.test_labels is None:
        raise DataError(f"{read.source}: no labels, or no split test; prepare it again")
    # A larger label would index past the class names, in the middle of a page or of a metric.
    if max(read.labels.max(), read.test_labels.max()) >= len(catalogue.class_names):
        raise DataError(f"{read.source}: labels are not those of {read.name}; prepare it again")
    return read._replace(class_names=catalogue.class_names)


# IDX files

# The files' names as LeCun published them, and how many axes each of them has; "t10k" is the test
# part.
_PARTS = {"train-images": 3, "train-labels": 1, "t10k-images": 3, "t10k-labels": 1}  # axes


def _idx_paths(folder_path: Path) -> dict[str, Path] | None:
    """Finds the four files of a folder by part; None if it holds none of them."""
    found: dict[str, Path] = {}
    for part, rank in _PARTS.items():
        # Some programs unpack train-images-idx3-ubyte.gz as train-images.idx3-ubyte.
        for name in (f"{part}-idx{rank}-ubyte", f"{part}.idx{rank}-ubyte"):
            for path in (folder_path / name, folder_path / f"{name}.gz"):
                if path.is_file():
                    found.setdefault(part, path)  # the unpacked file wins over its .gz
    for part, rank in _PARTS.items():
        # Some of the four but not all is a broken download. To pass over it could end with other
        # data, from a folder that is tried later.
        if found and part not in found:
            raise DataError(
                f"{folder_path}: {part}-idx{rank}-ubyte[.gz] is missing beside "
                f"{next(iter(found.values())).name}; put all four files in one folder"
            )
    return found or None


def _from_idx(catalogue: _Catalogue, folder_path: Path, paths: dict[str, Path]) -> Dataset:
    names = catalogue.class_names
    train = _idx_part(paths["train-images"], paths["train-labels"], len(names))
    test = _idx_part(paths["t10k-images"], paths["t10k-labels"], len(names))
    return Dataset(catalogue.name, *train, *test, names, f"{folder_path} (IDX)")


def _idx_part(
    images_path: Path, labels_path: Path, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    images = read_idx(images_path, (28, 28))
    labels = read_idx(labels_path, ())
    # Labels of another file would train without an error, on wrong classes.
    if len(images) != len(labels) or not len(images):
        counts = f"{len(labels)} labels for the {len(images)} images of {images_path.name}"
        raise DataError(f"{labels_path}: {counts}; give files that belong together")
    if (top := labels.max()) >= num_classes:
        raise DataError(f"{labels_path}: label {top}, expected 0 to {num_classes - 1}; replace it")
    return _to_unit(images[..., None]), labels.astype(np.int32)


def _to_unit(pixels: np.ndarray) -> np.ndarray:  # uint8 -> float32 in [-1, 1]
    # The division and subtraction are in place: the float32 array is by far the largest thing here,
    # and a second one of it would double the memory that `memory.require` counted on.
    images = pixels.astype(np.float32)
    images /= 127.5
    images -= 1.0
    return images


# TensorFlow Datasets folders (array_record), without TensorFlow


def from_tfds(
    name: str,
    data_dir: str | os.PathLike | None = None,
    *,
    image_size: int | None = None,
    channels: int | None = None,
) -> Dataset:
    """Loads an image data set prepared by TFDS as array_record; nothing is downloaded.

    Args:
      name: As TFDS names it.  Its features must have `image`; `label` is used if present.  Splits
        read: `train`, and for the held-out part `test`, or else `validation`.
      data_dir: Folder that holds `name/`; default TFDS_DATA_DIR or ~/tensorflow_datasets.
      image_size, channels: As for `folder`.

    Raises:
      DataError: Not prepared there, not array_record, damaged, or without a split train.
      MissingPackageError: tensorflow-datasets, or a package that it needs, is not installed.

    >>> from jwgan.data import convert
    >>> grey = np.zeros((3, 4, 4, 1), np.float32)
    >>> with contextlib.redirect_stdout(io.StringIO()):  # TFDS says what it does
    ...     made = convert.prepare("grey", {"train": (grey, [0, 1, 0])}, ("cat", "dog"), here)
    >>> found = data.from_tfds("grey", here)
    >>> found.images.shape, found.labels.tolist(), found.class_names
    ((3, 4, 4, 1), [0, 1, 0], ('cat', 'dog'))
    """
    rows = rows_of.TFDSRows(name, data_dir, image_size=image_size, channels=channels)
    images, labels = _read_rows(rows)
    notes = (*rows.notes, *rows_of.missing_labels(rows, labels))
    found = Dataset(name, images, labels, source=f"{rows.folder} (TFDS)", notes=notes)
    split, said = rows_of.held_out_split(rows)
    if split is not None:
        test_images, test_labels = _read_rows(held_out := rows.part(split))
        notes = (*notes, *filter(None, [said]), *rows_of.missing_labels(held_out, test_labels))
        found = found._replace(test_images=test_images, test_labels=test_labels, notes=notes)
    return found._replace(class_names=names_of(rows.class_names, labels))


def names_of(names: tuple[str, ...], labels: np.ndarray | None) -> tuple[str, ...]:
    """The classes' names: those of the data set, else the numbers of its labels; () without any.

    >>> data.names_of(("cat", "dog"), np.array([0, 1])), data.names_of((), np.array([0, 2]))
    (('cat', 'dog'), ('0', '1', '2'))
    """
    # A number that nobody gave names for may be no class, but the number of the example.
    if labels is None or (not names and labels.max() >= 1000):
        return ()
    return names or tuple(map(str, range(labels.max() + 1)))


def _read_rows(rows: rows_of.TFDSRows) -> tuple[np.ndarray, np.ndarray | None]:
    everything = list(range(len(rows)))
    # Labels come first: they are quickly read, and damaged ones are found before a long reading.
    labels = rows.labels_of(everything)
    return _to_unit(rows_of.read_all(rows, everything)), labels


# Image folders


def folder(
    path: str | os.PathLike,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    follow_links: bool = False,
    labels: str | os.PathLike | None = None,
) -> Dataset:
    """Loads every picture below a folder, in path order.

    PNG, JPEG, WebP, GIF (the first picture), BMP, TIFF, PPM, JPEG 2000, AVIF and others; hidden
    files and folders are skipped, files of other kinds are counted in the notes.  Transparency is
    laid aside, 16 bits become 8.  All images are held in memory: 4 * N * H * W * C bytes.

    The folders that hold the pictures are their labels, if there are at least two and no picture
    lies beside them: their names, sorted, are the class names, however deep the pictures lie below
    them.  Folders named train, test and the like alone are no classes.

    Args:
      path: The folder.
      image_size: Side of squares in pixels, to which each picture's centre is cropped and resized.
        None: pictures of one size stay as they are; of several sizes they become squares of the
        most common shorter side (of equally common ones the smallest).
      channels: 3 for RGB, 1 for grey.  None: 3 if any picture has colour.
      follow_links: Whether to read what links lead to outside of the folder.
      labels: A CSV file of file,label, in place of class folders; see `data.label_files`.

    Raises:
      DataError: No such folder, no image in it, an unreadable image, a link that leads out, or
        more images than this machine has memory for.
      MissingPackageError: Pillow is not installed.

    >>> for name in ("cat", "dog"):
    ...     report.save_png(here / "pictures" / name / "1.png", np.zeros((2, 2, 1), np.uint8))
    >>> found = data.folder(here / "pictures")
    >>> found.images.shape, found.labels.tolist(), found.class_names
    ((2, 2, 2, 1), [0, 1], ('cat', 'dog'))
    """
    rows = rows_of.FolderRows(path, image_size, channels, follow_links, labels)
    return Dataset(
        name=Path(path).resolve().name,
        images=_to_unit(rows_of.read_all(rows, list(range(len(rows))))),
        labels=rows.labels,
        class_names=rows.class_names,
        source=str(path),
        notes=rows.notes,
    )


# Arrays


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Resizes square images [N, H, H, C] to the side `size`: pads with -1, or averages blocks.

    Raises:
      DataError: Images are not square, `size` is below H and does not divide it, or the result is
        larger than this machine's memory.

    >>> images = np.array([[1.0, 3.0], [5.0, 7.0]]).reshape(1, 2, 2, 1)
    >>> data.resize(images, 1).ravel().tolist(), data.resize(images, 3).ravel().tolist()
    ([4.0], [1.0, 3.0, -1.0, 5.0, 7.0, -1.0, -1.0, -1.0, -1.0])
    """
    images = np.asarray(images)
    num, height, width, channels = images.shape
    if height != width or size < 1 or (size < height and height % size):
        raise DataError(
            f"size={size}: images {list(images.shape)} can be padded to a larger square or "
            "averaged to a side that divides theirs"
        )
    if size < height:
        # [N, S, k, S, k, C]: each block of k x k pixels has two axes of its own, to be averaged.
        blocks = images.reshape(num, size, height // size, size, height // size, channels)
        return blocks.mean(axis=(2, 4), dtype=images.dtype)
    what = f"image_size={size}: {num} images of {channels} channels"
    memory.require(4 * num * size * size * channels, what, "give a smaller image_size")
    before = (size - height) // 2
    pad = (before, size - height - before)  # an odd pixel goes below and right
    return np.pad(images, ((0, 0), pad, pad, (0, 0)), constant_values=-1.0)


def checksum(array: np.ndarray) -> str:
    """Computes the SHA-256 (hex) of an array's dtype, shape and bytes.

    >>> data.checksum(np.zeros((2, 3))) == data.checksum(np.zeros((3, 2)))
    False
    """
    array = np.ascontiguousarray(array)
    # The dtype and the shape are part of it: zeros of two shapes have the same bytes.
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(array.data if array.size else b"")
    return digest.hexdigest()
