"""Shell: real images as arrays.

Every loader reads local files only and returns a `Dataset`: what fits is decoded once and held in
memory.  Loaders never unpickle, and raise `DataError` with one line: the file, what is wrong with
it, what to do.

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
    "where TensorFlow is installed: "
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

    The held-out part is every fifth image of each class, in the file's order (Alpaydin and Kaynak,
    Optical Recognition of Handwritten Digits, UCI, 1998: its test part).
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
      data_dir: Folder searched (itself, `mnist/`, `MNIST/raw/`) for the four IDX files, gzipped or
        not, then for a prepared TFDS folder.  Without it: TFDS's own folder.

    Raises:
      DataError: Nothing found, or a file is damaged.
    """
    return _idx_or_tfds(_MNIST, data_dir)


def fashion_mnist(data_dir: str | os.PathLike | None = None) -> Dataset:
    """Fashion-MNIST, 60,000 + 10,000 grey images of 28 x 28 (Xiao et al., 2017).

    Args:
      data_dir: Folder searched (itself, `fashion_mnist/`, `FashionMNIST/raw/`) for the four IDX
        files, gzipped or not, then for a prepared TFDS folder.  Without it: Debian's
        dataset-fashion-mnist, then TFDS's own folder.

    Raises:
      DataError: Nothing found, or a file is damaged.
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
        paths = _idx_paths(folder_path)
        if paths is not None:
            return _from_idx(catalogue, folder_path, paths)
    if _tfds_prepared(catalogue.name, tfds_dir):
        return from_tfds(catalogue.name, tfds_dir)
    looked = ", ".join(str(f) for f in (*folders, tfds_dir / catalogue.name))
    raise DataError(f"{catalogue.name}: not found (looked in {looked}); {catalogue.remedy}")


# IDX files

_PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def _idx_paths(folder_path: Path) -> dict[str, Path] | None:
    """The four files of a folder by part; None if it holds none of them."""
    found = {}
    for part in _PARTS:
        rank = 3 if part.endswith("images") else 1
        for ending in (f"-idx{rank}-ubyte", f".idx{rank}-ubyte"):
            for path in (folder_path / (part + ending), folder_path / f"{part}{ending}.gz"):
                if path.is_file():
                    found.setdefault(part, path)
    if not found:
        return None
    for part in _PARTS:
        if part not in found:
            rank = 3 if part.endswith("images") else 1
            raise DataError(
                f"{folder_path}: {part}-idx{rank}-ubyte[.gz] is missing beside "
                f"{next(iter(found.values())).name}; put all four files in one folder"
            )
    return found


def _from_idx(catalogue: _Catalogue, folder_path: Path, paths: dict[str, Path]) -> Dataset:
    num_classes = len(catalogue.class_names)
    images, labels = _idx_part(paths["train-images"], paths["train-labels"], num_classes)
    test_images, test_labels = _idx_part(paths["t10k-images"], paths["t10k-labels"], num_classes)
    return Dataset(
        name=catalogue.name,
        images=images,
        labels=labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=catalogue.class_names,
        source=f"{folder_path} (IDX)",
    )


def _idx_part(images_path: Path, labels_path: Path, num_classes: int, side: int = 28):
    images = read_idx(images_path, rank=3)
    labels = read_idx(labels_path, rank=1)
    if images.shape[1:] != (side, side) or not len(images):
        raise DataError(
            f"{images_path}: holds images {list(images.shape)}, expected [N, {side}, {side}]; "
            "give the original files"
        )
    if len(images) != len(labels):
        raise DataError(
            f"{labels_path}: {len(labels)} labels for the {len(images)} images of "
            f"{images_path.name}; give files that belong together"
        )
    if labels.max() >= num_classes:
        raise DataError(
            f"{labels_path}: label {labels.max()}, expected 0 to {num_classes - 1}; "
            "give the original files"
        )
    return _to_unit(images[..., None]), labels.astype(np.int32)


def _to_unit(pixels: np.ndarray) -> np.ndarray:  # uint8 -> float32 in [-1, 1]
    images = pixels.astype(np.float32)
    images /= 127.5
    images -= 1.0
    return images


def read_idx(path: str | os.PathLike, *, rank: int) -> np.ndarray:
    """An IDX file of unsigned bytes, gzipped or not, as a uint8 array of `rank` axes.

    The header is not believed: memory grows with the bytes that are really there.

    Raises:
      DataError: Unreadable, not IDX of that rank, shorter or longer than its header says, or a
        damaged gzip stream.
    """
    path = Path(path)
    again = "download it again"
    try:
        with open(path, "rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if gzipped else raw
            header = stream.read(4 + 4 * rank)
            magic = bytes((0, 0, 8, rank))
            if header[:4] != magic:
                raise DataError(
                    f"{path}: bad magic number {header[:4].hex() or 'none'}, expected "
                    f"{magic.hex()} (IDX, unsigned bytes, {rank} axes); {again}"
                )
            shape = tuple(int(n) for n in np.frombuffer(header[4:], ">u4", len(header[4:]) // 4))
            expected = math.prod(shape)
            body = _read_up_to(stream, expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: {_one_line(error)}; {again}") from error
    if len(shape) < rank or len(body) < expected:
        got = len(header) + len(body)
        wanted = f"{len(header) + expected} bytes" if len(shape) == rank else "a whole header"
        raise DataError(f"{path}: truncated: expected {wanted}, got {got} bytes; {again}")
    if len(body) > expected:
        raise DataError(f"{path}: more than the {len(header) + expected} bytes expected; {again}")
    return np.frombuffer(body, np.uint8).reshape(shape)


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


def _tfds_prepared(name: str, data_dir: Path) -> bool:
    return any((data_dir / name).glob("**/dataset_info.json"))


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
    folder_path = data_dir / name
    if not _tfds_prepared(name, data_dir):
        raise DataError(f"{folder_path}: no prepared TFDS data set; prepare it, or pass --data-dir")
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=str(data_dir))
        splits = {
            split: _tfds_split(tfds.data_source(builder.info.full_name, **read))
            for split in ("train", "test")
            if split in builder.info.splits
            for read in [{"split": split, "data_dir": str(data_dir), "download": False}]
        }
        label = builder.info.features.get("label")
    # TFDS and its readers raise anything from KeyError to IndexError on a damaged folder.
    except Exception as error:
        raise DataError(
            f"{folder_path}: TFDS cannot read it: {_one_line(error)}; prepare it again, with "
            "file_format=array_record"
        ) from error
    if "train" not in splits:
        raise DataError(f"{folder_path}: has no split 'train'; prepare it again")
    images, labels = splits["train"]
    test_images, test_labels = splits.get("test", (None, None))
    return Dataset(
        name=name,
        images=images,
        labels=labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=tuple(label.names) if label is not None else (),
        source=f"{folder_path} (TFDS)",
    )


def _tfds_split(source: Any) -> tuple[np.ndarray, np.ndarray | None]:
    examples = source.__getitems__(list(range(len(source))))
    images = np.stack([example["image"] for example in examples])  # raises on unequal shapes
    if images.dtype != np.uint8:
        raise ValueError(f"images are {images.dtype}, expected uint8")
    labels = None
    if "label" in examples[0]:
        labels = np.array([example["label"] for example in examples], np.int32)
    return _to_unit(images), labels


def write_tfds(dataset: Dataset, data_dir: str | os.PathLike) -> Path:
    """Writes a data set as `data_dir/NAME/1.0.0`, readable by `tfds.data_source` and `from_tfds`.

    Images are stored as 8-bit PNG.  Needs labels.  Returns the folder written.
    """
    import tensorflow_datasets as tfds

    if dataset.labels is None:
        raise DataError(f"{dataset.name}: has no labels; only labelled data sets are written")
    parts = {"train": (dataset.images, dataset.labels)}
    if dataset.test_images is not None:
        parts["test"] = (dataset.test_images, dataset.test_labels)
    features = {
        "image": tfds.features.Image(shape=dataset.images.shape[1:]),
        "label": tfds.features.ClassLabel(names=list(dataset.class_names)),
    }

    class Builder(tfds.core.GeneratorBasedBuilder):
        name = dataset.name
        VERSION = tfds.core.Version("1.0.0")
        SKIP_REGISTERING = True

        def _info(self):
            # disable_shuffling: TFDS's shuffler needs TensorFlow.
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            del dl_manager
            return {split: _png_examples(*arrays) for split, arrays in parts.items()}

        def _generate_examples(self):
            raise NotImplementedError  # abstract; _split_generators hands out the iterators

    builder = Builder(data_dir=str(data_dir), file_format="array_record")
    builder.download_and_prepare()
    return Path(builder.data_dir)


def _png_examples(images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict]]:
    from PIL import Image

    pixels = np.rint((images + 1) * 127.5).clip(0, 255).astype(np.uint8)
    for i, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        png = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(png, "PNG")
        yield i, {"image": png.getvalue(), "label": int(label)}


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
      DataError: No such folder, no image in it, an unreadable image, or a link that leads out of
        the folder.
    """
    if channels not in (1, 3) or image_size < 1:
        raise DataError(
            f"channels={channels}, image_size={image_size}: give channels 1 or 3, image_size >= 1"
        )
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give a folder of PNG or JPEG files")
    paths = sorted(_image_paths(root))
    if not paths:
        raise DataError(f"{root}: no .png, .jpg or .jpeg file in it; give a folder of images")
    pixels = np.empty((len(paths), image_size, image_size, channels), np.uint8)
    for i, image_path in enumerate(paths):
        pixels[i] = _read_image(image_path, image_size, channels)
    return Dataset(name=root.resolve().name, images=_to_unit(pixels), source=str(root))


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


def _read_image(path: Path, image_size: int, channels: int) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB" if channels == 3 else "L")
            square = ImageOps.fit(upright, (image_size, image_size), Image.Resampling.LANCZOS)
    # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise DataError(
            f"{path}: unreadable image: {_one_line(error)}; replace or remove it"
        ) from error
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
