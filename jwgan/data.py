"""Shell: real images as arrays.

Every loader reads local files, never unpickles, and returns a `Dataset` held in memory, or raises
`DataError` with one line: the file, what is wrong with it, what to do.

Letters: N images, H height, W width, C channels.
"""

import gzip
import hashlib
import io
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np


class DataError(ValueError):
    """A missing or damaged data file; one line naming the file and the remedy."""


class Dataset(NamedTuple):
    """Images in memory, with their held-out part.

    Attributes:
      name: What it is called in a run's configuration.
      images: `[N, H, W, C]` float32 in [-1, 1], the training part.
      labels: `[N]` int32, or None.
      test_images: `[N', H, W, C]`, the held-out part, or None.
      test_labels: `[N']` int32, or None.
      class_names: Name of each label; `()` without labels.
      source: Where it was read from.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None
    test_images: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    source: str = ""


_Part = tuple[np.ndarray, np.ndarray | None]  # images, labels


class _Catalogue(NamedTuple):
    """How a data set of four IDX files is laid out on disks, and how to get it."""

    name: str
    class_names: tuple[str, ...]
    folders: tuple[str, ...]  # below data_dir, tried in this order
    installed: tuple[str, ...]  # absolute, tried when no data_dir is given
    remedy: str


_DIGIT_NAMES = tuple("0123456789")
_MNIST = _Catalogue(
    name="mnist",
    class_names=_DIGIT_NAMES,
    folders=("mnist", "MNIST/raw", "."),
    installed=(),
    remedy="put the four IDX files (train-images-idx3-ubyte.gz, ...) there, or prepare it once "
    "where TensorFlow is installed (it is found without --data-dir): "
    "python -c \"import tensorflow_datasets as tfds; tfds.data_source('mnist')\"",
)
_FASHION_MNIST = _Catalogue(
    name="fashion_mnist",
    class_names=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", "."),
    installed=("/usr/share/datasets/fashion-mnist",),
    remedy="install it (Debian, Ubuntu: apt-get install dataset-fashion-mnist), or put the four "
    "IDX files of github.com/zalandoresearch/fashion-mnist there and pass --data-dir",
)


def digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits, 8 x 8 grey, ten classes; ships with scikit-learn.

    The held-out part is every fifth image of each class (Alpaydin and Kaynak, Optical Recognition
    of Handwritten Digits, UCI, 1998).
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images / 8 - 1).astype(np.float32)[..., None]
    labels = bunch.target.astype(np.int32)
    held_out = np.zeros(len(labels), bool)
    for label in range(10):
        held_out[np.flatnonzero(labels == label)[4::5]] = True
    return Dataset(
        name="digits",
        images=images[~held_out],
        labels=labels[~held_out],
        test_images=images[held_out],
        test_labels=labels[held_out],
        class_names=_DIGIT_NAMES,
        source="sklearn.datasets.load_digits",
    )


def mnist(data_dir: str | os.PathLike | None = None) -> Dataset:
    """MNIST, 60,000 + 10,000 grey images of 28 x 28 (LeCun et al., 1998).

    Args:
      data_dir: Folder searched (`mnist/`, `MNIST/raw/`, itself) for the four IDX files, gzipped or
        not, then for a prepared TFDS folder.  Without it: TFDS's own folder.
    """
    return _idx_or_tfds(_MNIST, data_dir)


def fashion_mnist(data_dir: str | os.PathLike | None = None) -> Dataset:
    """Fashion-MNIST, 60,000 + 10,000 grey images of 28 x 28 (Xiao et al., 2017).

    Args:
      data_dir: As for `mnist` (`fashion_mnist/`, `FashionMNIST/raw/`, itself).  Without it:
        Debian's dataset-fashion-mnist, then TFDS's own folder.
    """
    return _idx_or_tfds(_FASHION_MNIST, data_dir)


def _idx_or_tfds(catalogue: _Catalogue, data_dir: str | os.PathLike | None) -> Dataset:
    if data_dir is None:
        folders, tfds_dir = [Path(f) for f in catalogue.installed], _tfds_home()
    else:
        tfds_dir = Path(data_dir)
        if not tfds_dir.is_dir():
            raise DataError(f"{tfds_dir}: no such folder; {catalogue.remedy}")
        folders = [tfds_dir / f for f in catalogue.folders]
    for folder_path in folders:
        if (paths := _idx_paths(folder_path)) is not None:
            return _from_idx(catalogue, folder_path, paths)
    if _tfds_folder(catalogue.name, tfds_dir) is not None:
        return from_tfds(catalogue.name, tfds_dir)
    looked = ", ".join(str(f) for f in (*folders, tfds_dir / catalogue.name))
    raise DataError(f"{catalogue.name}: not found (looked in {looked}); {catalogue.remedy}")


# IDX files

_AGAIN = "download it again"
_PARTS = {"train-images": 3, "train-labels": 1, "t10k-images": 3, "t10k-labels": 1}  # axes


def _idx_paths(folder_path: Path) -> dict[str, Path] | None:
    """The four files of a folder by part; None if it holds none of them."""
    found: dict[str, Path] = {}
    for part, rank in _PARTS.items():
        for name in (f"{part}-idx{rank}-ubyte", f"{part}.idx{rank}-ubyte"):
            for path in (folder_path / name, folder_path / f"{name}.gz"):
                if path.is_file():
                    found.setdefault(part, path)
    for part, rank in _PARTS.items():
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


def _idx_part(images_path: Path, labels_path: Path, num_classes: int) -> _Part:
    images = read_idx(images_path, (28, 28))
    labels = read_idx(labels_path, ())
    if len(images) != len(labels) or not len(images):
        counts = f"{len(labels)} labels for the {len(images)} images of {images_path.name}"
        raise DataError(f"{labels_path}: {counts}; give files that belong together")
    if (top := labels.max()) >= num_classes:
        raise DataError(f"{labels_path}: label {top}, expected 0 to {num_classes - 1}; {_AGAIN}")
    return _to_unit(images[..., None]), labels.astype(np.int32)


def _to_unit(pixels: np.ndarray) -> np.ndarray:  # uint8 -> float32 in [-1, 1]
    images = pixels.astype(np.float32)
    images /= 127.5
    images -= 1.0
    return images


def read_idx(path: str | os.PathLike, item_shape: tuple[int, ...]) -> np.ndarray:
    """An IDX file of unsigned bytes, gzipped or not, as a uint8 array [N, *item_shape].

    The header is not believed: memory grows with the bytes that are really there.

    Raises:
      DataError: Unreadable, not IDX of that shape, shorter or longer than its header says, or a
        damaged gzip stream.
    """
    path = Path(path)
    try:
        with open(path, "rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if gzipped else raw
            shape = _idx_shape(path, stream.read(8 + 4 * len(item_shape)), item_shape)
            expected = math.prod(shape)
            body = _read_up_to(stream, expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: {_one_line(error)}; {_AGAIN}") from error
    if len(body) != expected:
        what = "truncated" if len(body) < expected else "too long"
        got = str(len(body)) if len(body) < expected else "more"
        expectation = f"expected {expected} bytes of data after the header, got {got}"
        raise DataError(f"{path}: {what}: {expectation}; {_AGAIN}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _idx_shape(path: Path, header: bytes, item_shape: tuple[int, ...]) -> tuple[int, ...]:
    magic = bytes((0, 0, 8, 1 + len(item_shape)))
    if header[:4] != magic:
        raise DataError(
            f"{path}: bad magic number {header[:4].hex() or 'none'}, expected {magic.hex()} "
            f"(IDX, unsigned bytes, {magic[3]} axes); {_AGAIN}"
        )
    if len(header) < 4 + 4 * magic[3]:
        raise DataError(f"{path}: truncated: the header ends after {len(header)} bytes; {_AGAIN}")
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4")[1:])
    if shape[1:] != item_shape:
        wanted = ", ".join(map(str, ("N", *item_shape)))
        raise DataError(f"{path}: shape {list(shape)}, expected [{wanted}]; {_AGAIN}")
    return shape


def _read_up_to(stream: IO[bytes], limit: int) -> bytes:
    """At most `limit` bytes, in pieces: a lying header cannot make us allocate."""
    pieces = io.BytesIO()
    while pieces.tell() < limit:
        piece = stream.read(min(1 << 20, limit - pieces.tell()))
        if not piece:
            break
        pieces.write(piece)
    return pieces.getvalue()


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (text or type(error).__name__)[:200]


# TensorFlow Datasets folders (array_record), without TensorFlow


def _tfds_home() -> Path:
    return Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets")


def _tfds_folder(name: str, data_dir: Path) -> Path | None:
    """The newest prepared version below `data_dir/name`."""
    found = (data_dir / name).glob("**/[0-9]*/dataset_info.json")
    version = lambda path: [int(n) for n in path.name.split(".") if n.isdigit()]
    return max((info.parent for info in found), key=version, default=None)


def from_tfds(name: str, data_dir: str | os.PathLike | None = None) -> Dataset:
    """An image data set prepared by TFDS as array_record; nothing is downloaded.

    Args:
      name: As TFDS names it.  Its features must have `image` (equal shapes, 8 bits); `label` is
        used if present.  Splits read: `train`, and `test` if present.
      data_dir: Folder that holds `name/`; default TFDS_DATA_DIR or ~/tensorflow_datasets.

    Raises:
      DataError: Not prepared there, not array_record, damaged, or images of unequal shapes.
    """
    data_dir = _tfds_home() if data_dir is None else Path(data_dir)
    prepared = _tfds_folder(name, data_dir)
    if prepared is None:
        raise DataError(f"{data_dir / name}: no prepared TFDS data set; give the folder above it")
    import tensorflow_datasets as tfds

    try:
        # What tfds.data_source does, whatever version was prepared.
        builder = tfds.builder_from_directory(str(prepared))
        train = _tfds_split(tfds, builder, "train")
        held_out = "test" in builder.info.splits
        test: tuple[Any, Any] = _tfds_split(tfds, builder, "test") if held_out else (None, None)
        label = builder.info.features["label"] if train[1] is not None else None
        names = tuple(getattr(label, "names", ()))
    except Exception as error:  # TFDS raises anything from KeyError up on a damaged folder
        remedy = "prepare it again with file_format='array_record'"
        raise DataError(f"{prepared}: TFDS cannot read it: {_one_line(error)}; {remedy}") from error
    return Dataset(name, *train, *test, names, f"{prepared} (TFDS)")


def _tfds_split(tfds: Any, builder: Any, split: str) -> _Part:
    from PIL import Image

    skip = {"image": tfds.decode.SkipDecoding()}  # decoding here is three times faster
    source = builder.as_data_source(split, decoders=skip)
    examples = source.__getitems__(list(range(len(source))))
    encoded = (io.BytesIO(example["image"]) for example in examples)
    images = np.stack([np.asarray(Image.open(file)) for file in encoded])  # shapes must agree
    if images.dtype != np.uint8:
        raise ValueError(f"images are {images.dtype}, expected uint8")
    images = images[..., None] if images.ndim == 3 else images
    if "label" not in examples[0]:
        return _to_unit(images), None
    return _to_unit(images), np.array([example["label"] for example in examples], np.int32)


# Image folders


def folder(path: str | os.PathLike, *, image_size: int, channels: int = 3) -> Dataset:
    """Every PNG and JPEG below a folder, in path order, centre-cropped and resized to squares.

    Hidden files are passed over.  All of it is held in memory: 4 * N * image_size^2 * channels
    bytes.

    Args:
      path: The folder.
      image_size: Side of the squares in pixels.
      channels: 3 for RGB, 1 for grey.

    Raises:
      DataError: No such folder, no image in it, an unreadable image, or a link that leads out.
    """
    if channels not in (1, 3) or image_size < 1:
        raise DataError(f"{channels=}, {image_size=}: give channels 1 or 3, image_size >= 1")
    root, paths = Path(path), image_paths(path)
    pixels = np.empty((len(paths), image_size, image_size, channels), np.uint8)
    for i, image_path in enumerate(paths):
        pixels[i] = read_image(image_path, image_size, channels)
    return Dataset(name=root.resolve().name, images=_to_unit(pixels), source=str(root))


def image_paths(path: str | os.PathLike) -> list[Path]:
    """The PNG and JPEG files below a folder, in path order; raises DataError if there are none."""
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give a folder of PNG or JPEG files")
    paths = sorted(_image_paths(root))
    if not paths:
        raise DataError(f"{root}: no .png, .jpg or .jpeg file in it; give a folder of images")
    return paths


def _image_paths(root: Path) -> Iterator[Path]:
    inside = root.resolve()
    for parent, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise DataError(f"{path}: links to a place outside {root}; copy the file instead")
        for name in files:
            if not name.startswith(".") and name.lower().endswith((".png", ".jpg", ".jpeg")):
                yield Path(parent, name)


def read_image(path: Path, image_size: int, channels: int) -> np.ndarray:
    """An image file, centre-cropped and resized: uint8 [S, S, C]."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB" if channels == 3 else "L")
            square = ImageOps.fit(upright, (image_size, image_size), Image.Resampling.LANCZOS)
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        what = _one_line(error)
        raise DataError(f"{path}: unreadable image: {what}; replace or remove it") from error
    return np.asarray(square).reshape(image_size, image_size, channels)


# Arrays


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Square images [N, H, H, C] with side `size`: padded with -1, or averaged over blocks.

    Raises:
      DataError: Not square, or smaller than H without dividing it.
    """
    images = np.asarray(images)
    num, height, width, channels = images.shape
    if height != width or size < 1 or (size < height and height % size):
        raise DataError(
            f"size={size}: images {list(images.shape)} can be padded to a larger square or "
            "averaged to a side that divides theirs"
        )
    if size < height:
        blocks = images.reshape(num, size, height // size, size, height // size, channels)
        return blocks.mean(axis=(2, 4), dtype=images.dtype)
    before = (size - height) // 2
    pad = (before, size - height - before)
    return np.pad(images, ((0, 0), pad, pad, (0, 0)), constant_values=-1.0)


def checksum(array: np.ndarray) -> str:
    """SHA-256 (hex) of an array's dtype, shape and bytes."""
    array = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(array.data if array.size else b"")
    return digest.hexdigest()
