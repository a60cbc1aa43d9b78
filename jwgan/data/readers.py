"""Reads image files as arrays of bytes, on the assumption that a stranger made them.

No header is believed before it is compared with the file's size, nothing but regular files is
opened (reading a pipe may never end), no link is followed out of a folder of images (IDX and TFDS
files are often shared by links), no module is imported because a file names it, nothing is
unpickled.

Letters: N images, S side in pixels, C channels.
"""

import gzip
import io
import json
import math
import os
import re
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from jwgan import check

Part = tuple[np.ndarray, np.ndarray | None]  # images, labels

MOST_BYTES = 2**30  # in an IDX file: 1.3 million images of 28 x 28
MOST_PIXELS = 2**26  # in an image: 8192 x 8192
_EXPANSION = 100  # largest of a gzip file beyond 64 MiB: MNIST's images have 5, a bomb 1000
# Classes of features that a TFDS folder may name: TFDS imports whatever module is named there.
_FEATURE = re.compile(r"tensorflow_datasets\.core\.features(\.\w+)+")
_AGAIN = "download it again"


class DataError(ValueError):
    """A missing or damaged data file; one line naming the file and the remedy."""

    def __init__(self, message: str):
        # File names are strangers' words: a line end or a control character must not reach the
        # terminal.
        super().__init__(check.printable(message))


def require_memory(num_bytes: int, what: str, remedy: str) -> None:
    """Raises DataError for an array that this machine cannot hold, before it is allocated."""
    try:
        # The machine's whole memory, not what is free of it: this refuses what can never fit and
        # says nothing about what is tight today.
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return
    if num_bytes > there:
        sizes = f"{num_bytes / 2**30:.1f} GiB, this machine has {there / 2**30:.1f} GiB"
        raise DataError(f"{what} take {sizes}; {remedy}")


# IDX files


def read_idx(path: str | os.PathLike, item_shape: tuple[int, ...]) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, gzipped or not, as a uint8 array [N, *item_shape].

    Memory grows with the bytes that the file really has, up to 1 GiB; of a gzip file that expands
    more than a hundredfold at most 64 MiB are read.

    Raises:
      DataError: Unreadable, not IDX of that shape, shorter or longer than its header says, or a
        damaged gzip stream.
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


# PNG and JPEG files


def image_paths(path: str | os.PathLike) -> list[Path]:
    """Lists the PNG and JPEG files below a folder, in path order; hidden ones are skipped.

    Raises:
      DataError: no such folder, none in it, a link that leads out of it, a folder in it that
        cannot be read, or something that is named like an image and is no file.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give a folder of PNG or JPEG files")
    paths = sorted(_image_paths(root))
    if not paths:
        raise DataError(f"{root}: no .png, .jpg or .jpeg file in it; give a folder of images")
    return paths


def _image_paths(root: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(root, onerror=_unreadable_folder):
        # os.walk descends into what is left in this very list, so hidden folders are not entered.
        folders[:] = [name for name in folders if not name.startswith(".")]
        # os.walk enters no linked folder. Inside the root its images are read where they lie;
        # outside they would be missing without a word, so such a link is an error, as a linked file
        # is.
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink() and not _is_below(path, root):
                raise DataError(f"{path}: links to a place outside {root}; copy the file instead")
        for name in files:
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
                continue
            if not path.is_file():
                raise DataError(f"{path}: unreadable image: no regular file; replace or remove it")
            yield path


def _is_below(path: Path, root: Path) -> bool:
    # realpath: Path.resolve raises RuntimeError for a link to itself
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _unreadable_folder(error: OSError) -> None:
    raise DataError(f"{error.filename}: {check.one_line(error)}; make it readable") from error


def read_image(path: str | os.PathLike, image_size: int, channels: int) -> np.ndarray:
    """Reads an image file, centre-cropped and resized: uint8 [S, S, C]; drops transparency.

    Raises:
      DataError: no PNG or JPEG, damaged, or of more than 2**26 pixels.
      MissingPackageError: Pillow is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: unreadable image: no regular file; replace or remove it")
    check.require_package("PIL", "data")  # inside the try below it would pass for a damaged image
    try:
        with open(path, "rb") as file:
            return square(file, image_size, channels)
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        what = check.one_line(error)
        raise DataError(f"{path}: unreadable image: {what}; replace or remove it") from error


def square(file: IO[bytes], image_size: int, channels: int) -> np.ndarray:
    """Does for an open file what `read_image` does; raises whatever Pillow raises."""
    check.require_package("PIL", "data")
    from PIL import Image, ImageOps

    with _open_image(file) as image:
        # Cameras store portraits lying on their side with a note, which other programs follow.
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16 bits, which convert would clip at 255
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        # Palettes and CMYK become colours here; transparency is dropped, not blended.
        upright = upright.convert("RGB" if channels == 3 else "L")
        fitted = ImageOps.fit(upright, (image_size, image_size), Image.Resampling.LANCZOS)
    return np.asarray(fitted).reshape(image_size, image_size, channels)


def _open_image(file: IO[bytes]) -> Any:
    """Opens an image with Pillow and reads its pixels; formats that run other programs are out."""
    check.require_package("PIL", "data")
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes, which are limited below, and of palettes
        try:
            # Pillow reads many formats, and for one of them (EPS) runs Ghostscript on the file.
            image = Image.open(file, formats=("PNG", "JPEG"))
        except UnidentifiedImageError as error:
            raise ValueError("no PNG or JPEG, or its header is damaged") from error
        # The header alone is read so far. Decoding what it announces could fill the memory.
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels, more than {MOST_PIXELS}")
        image.load()
    return image


# TensorFlow Datasets folders (array_record), without TensorFlow


def tensorflow_datasets() -> Any:
    """The module tensorflow_datasets, once all that it needs to read images is there.

    Raises:
      MissingPackageError: one of the packages is not installed.
    """
    # TFDS declares neither importlib_resources nor Pillow, which it needs without TensorFlow.
    for package in ("tensorflow_datasets", "array_record", "importlib_resources", "PIL"):
        check.require_package(package, "data")
    import tensorflow_datasets as tfds

    return tfds


def read_tfds(prepared: Path) -> tuple[Part, Part | None, tuple[str, ...]]:
    """Reads a folder that TFDS prepared: (train, test or None, names of the labels).

    Raises:
      DataError: not array_record, damaged, or pictures of unequal shapes.
    """
    tfds = tensorflow_datasets()
    try:
        # Before TFDS opens the folder: to read its description is to import what it names.
        _check_tfds_folder(prepared)
        # What tfds.data_source does, whatever version was prepared.
        builder = tfds.builder_from_directory(str(prepared))
        features = builder.info.features
        label = features["label"] if "label" in features else None  # noqa: SIM401  it has no get
        names = tuple(getattr(label, "names", None) or ())
        train = _tfds_split(builder, prepared, "train", names)
        held_out = "test" in builder.info.splits
        test = _tfds_split(builder, prepared, "test", names) if held_out else None
    except Exception as error:  # TFDS raises anything from KeyError up on a damaged folder
        remedy = "prepare it again with file_format='array_record'"
        raise DataError(
            f"{prepared}: TFDS cannot read it: {check.one_line(error)}; {remedy}"
        ) from error
    return train, test, names if train[1] is not None else ()


def open_tfds(prepared: Path, split: str) -> Any:
    """Opens a random-access source of a split's examples, whose images stay encoded.

    Raises:
      DataError: not array_record, damaged, or without that split.
    """
    tfds = tensorflow_datasets()
    try:
        _check_tfds_folder(prepared)
        builder = tfds.builder_from_directory(str(prepared))
        source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
        _check_records(builder.info.splits[split], prepared)
    except Exception as error:  # TFDS raises anything from KeyError up on a damaged folder
        remedy = "prepare it again with file_format='array_record'"
        raise DataError(
            f"{prepared}: TFDS cannot read it: {check.one_line(error)}; {remedy}"
        ) from error
    return source


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


def _tfds_split(builder: Any, prepared: Path, split: str, names: tuple[str, ...]) -> Part:
    skip = {
        "image": tensorflow_datasets().decode.SkipDecoding()
    }  # decoding here is three times faster
    source = builder.as_data_source(split, decoders=skip)
    _check_records(builder.info.splits[split], prepared)
    examples = source.__getitems__(list(range(len(source))))
    if not examples:
        raise ValueError(f"no example in split {split}")
    images = _decode_all([example["image"] for example in examples])
    if "label" not in examples[0]:
        return images, None
    labels = np.array([example["label"] for example in examples], np.int32)
    if names and labels.max() >= len(names):
        raise ValueError(f"label {labels.max()} in split {split}, expected 0 to {len(names) - 1}")
    return images, labels


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


def _decode_all(encoded: list[bytes]) -> np.ndarray:
    """Decodes PNG or JPEG files of one shape, held in memory: uint8 [N, H, W, C]."""
    first = _decode(encoded[0])
    # 5 bytes for each value: the pixel as it was read, and the float32 that is made of it.
    require_memory(5 * len(encoded) * first.size, f"{len(encoded)} images", "prepare fewer of them")
    # One array from the start: np.stack of a list would hold the images twice.
    images = np.empty((len(encoded), *first.shape), np.uint8)
    for i, file in enumerate(encoded):
        image = _decode(file)
        if image.shape != first.shape:
            raise ValueError(f"image {i} is {image.shape}, image 0 is {first.shape}")
        images[i] = image
    return images[..., None] if images.ndim == 3 else images


def _decode(file: bytes) -> np.ndarray:
    with _open_image(io.BytesIO(file)) as image:
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            raise ValueError(f"image mode {image.mode}, expected 8 bits a channel")
        return np.asarray(image)
