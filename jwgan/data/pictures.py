"""Image files as arrays of bytes: which files are read, what shape they get, how they are decoded.

A folder and a TFDS data set, in memory and streamed, all come through here, so they give the same
pixels. Files are strangers': nothing but regular files is opened (reading a pipe may never end), no
link is followed out of a folder unless that is asked for, and no header is believed.

The rule for all pictures of a data set:

* Colour stays colour: three channels if any picture has colour, else one. Palettes, CMYK and YCbCr
  count as what they show; transparency is laid aside, not blended; black and white become 0 and
  255; of 16 bits the upper 8 are kept. Floating-point pictures are refused: they have no range.
* The size stays the size where all pictures have one size. Pictures of several sizes become squares
  of the most common shorter side (of equally common ones the smallest): each is cropped to its
  centre and resized by Lanczos' filter. `image_size` and `channels` overrule both.

Letters: N images, H height, W width, C channels.

The functions' examples read this picture, of the greys 0, 85, 170 and 255:

>>> import io, pathlib, tempfile
>>> from PIL import Image
>>> from jwgan.data import pictures
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> report.save_png(folder / "1.png", np.array([[[0], [85]], [[170], [255]]], np.uint8))
"""

import collections
import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from jwgan import check
from jwgan.data import errors

MOST_PIXELS = 2**26  # in an image: 8192 x 8192
# Pillow reads more formats. One of the others runs a program on the file (EPS, Ghostscript), others
# have no mark by which a file is known (TGA), and most are never met.
FORMATS = (
    *("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "QOI", "ICO"),
    "MPO",  # of several pictures, as some telephones make it: JPEG to whoever opens it
)
# Pillow's modes that become bytes of grey or of colour.
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")
_ORIENTATION = 0x0112  # the number of Exif's tag; 5 to 8 are pictures on their side
LOOKED_AT = 100  # pictures of which the range of 16-bit greys is told


class Form(NamedTuple):
    """The shape that every image of a data set gets."""

    height: int
    width: int
    channels: int


class Header(NamedTuple):
    """What a picture says of itself before it is decoded."""

    height: int
    width: int
    has_colour: bool


class Listing(NamedTuple):
    """The pictures below a folder.

    Attributes:
      paths: in path order.
      labels: [N] int32, the subfolder of each, or None.
      class_names: the subfolders' names, sorted; () without labels.
      notes: what a user should know of it, a line each.
    """

    paths: list[Path]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


# Which files are read


def suffixes() -> frozenset[str]:
    """Endings, in small letters and with the dot, of the formats that are read.

    Raises:
      MissingPackageError: Pillow is not installed.

    >>> sorted({".csv", ".jpg", ".pdf", ".png"} & pictures.suffixes())
    ['.jpg', '.png']
    """
    check.require_package("PIL", "data")
    from PIL import Image

    known = Image.registered_extensions()
    return frozenset(suffix for suffix, name in known.items() if name in FORMATS)


def list_folder(path: str | os.PathLike, follow_links: bool = False) -> Listing:
    """Lists the pictures below a folder, in path order, with their classes; skips hidden ones.

    A file is taken for a picture by its ending, or by its first bytes if it has no ending. Class
    folders are the folders side by side, at least two, that hold all pictures between them: their
    names, sorted, are the classes, however deep the pictures lie below. Empty folders are none.

    Args:
      path: the folder.
      follow_links: whether to read what links lead to outside of the folder.

    Raises:
      DataError: no such folder, none in it, a link that leads out of it, a folder in it that
        cannot be read, or something that is named like an image and is no file.
      MissingPackageError: Pillow is not installed.

    >>> _ = (folder / "notes.txt").write_text("no picture")
    >>> found = pictures.list_folder(folder)
    >>> [path.name for path in found.paths], found.notes
    (['1.png'], ('1 file passed over: 1 .txt',))
    """
    root = Path(path)
    if not root.is_dir():
        raise errors.DataError(f"{root}: no such folder; give a folder of PNG or JPEG files")
    passed_over: collections.Counter[str] = collections.Counter()
    known = suffixes()
    paths = []
    for file in _files(root, follow_links):
        if file.suffix.lower() in known or (not file.suffix and _is_picture(file)):
            if not file.is_file():
                raise errors.DataError(
                    f"{file}: unreadable image: no regular file; replace or remove it"
                )
            paths.append(file)
        else:
            passed_over[file.suffix.lower() or "no ending"] += 1
    counted = ", ".join(f"{count} {suffix}" for suffix, count in passed_over.most_common(5))
    more = ", ..." if len(passed_over) > 5 else ""
    total = passed_over.total()
    over = f"{total} file{'s' * (total != 1)} passed over: {counted}{more}" if total else ""
    if not paths:
        raise errors.DataError(
            f"{root}: no .png, .jpg or .jpeg file in it, and none of another format that is read"
            f"{f' ({over})' if over else ''}; give a folder of images"
        )
    labels, names, said = _classes(root, sorted(paths))
    return Listing(sorted(paths), labels, names, tuple(line for line in (over, said) if line))


def _files(root: Path, follow_links: bool) -> Iterator[Path]:
    """Everything below the root that is no folder, hidden things aside."""
    seen = {os.path.realpath(root)}
    for parent, folders, files in os.walk(
        root, onerror=_unreadable_folder, followlinks=follow_links
    ):
        for name in (*folders, *files):
            path = Path(parent, name)
            if name.startswith(".") or not path.is_symlink() or follow_links:
                continue
            # os.walk enters no linked folder. Inside the root its images are read where they lie;
            # outside they would be missing without a word, so such a link is an error, as a linked
            # file is.
            if not _is_below(path, root):
                raise errors.DataError(
                    f"{path}: links to a place outside {root}; copy the file instead, or allow "
                    "such links by --follow-links (follow_links=True)"
                )
        # os.walk descends into what is left in this very list.
        folders[:] = [name for name in sorted(folders) if _enters(Path(parent, name), root, seen)]
        yield from (Path(parent, name) for name in files if not name.startswith("."))


def _enters(folder: Path, root: Path, seen: set[str]) -> bool:
    """Whether a folder is walked into: no hidden one, and each once, or a circle never ends."""
    if folder.name.startswith(".") or (folder.is_symlink() and _is_below(folder, root)):
        return False
    real = os.path.realpath(folder)
    new = real not in seen
    seen.add(real)
    return new


def _is_below(path: Path, root: Path) -> bool:
    # realpath: Path.resolve raises RuntimeError for a link to itself
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _unreadable_folder(error: OSError) -> None:
    raise errors.DataError(
        f"{error.filename}: {check.one_line(error)}; make it readable"
    ) from error


def _is_picture(path: Path) -> bool:
    try:
        with _open(path) as file:
            read_header(file)
    except Exception:  # as in `readable`
        return False
    return True


_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}


def _classes(root: Path, paths: list[Path]) -> tuple[np.ndarray | None, tuple[str, ...], str]:
    """(labels, names, what a user should know) of the folders that the pictures lie in."""
    parents = [path.relative_to(root).parts[:-1] for path in paths]
    # A folder around all of the pictures is no class.
    depth = len(Path(os.path.commonpath([path.parent for path in paths])).relative_to(root).parts)
    names = sorted({parent[depth] for parent in parents if len(parent) > depth})
    beside = sum(len(parent) == depth for parent in parents)
    if not names:
        return None, (), ""
    if beside:
        return None, (), f"no labels: {beside} pictures lie beside the folders {_listed(names)}"
    if {name.lower() for name in names} <= _PARTS:
        # All of them are trained on: which of them is to be held out is not ours to guess.
        said = f"no labels: the folders {_listed(names)} are parts of the data and no classes"
        return None, (), f"{said}; give one of them as the folder to train on it alone"
    number = {name: i for i, name in enumerate(names)}
    labels = np.array([number[parent[depth]] for parent in parents], np.int32)
    said = f"labels: {len(names)} classes, the folders {_listed(names)}"
    return labels, tuple(map(check.printable, names)), said


def _listed(names: list[str]) -> str:
    return ", ".join(map(check.printable, names[:3])) + (", ..." if len(names) > 3 else "")


# What shape they get


def read_header(file: IO[bytes]) -> Header:
    """Reads a picture's size and kind; raises whatever Pillow raises.

    Raises:
      ValueError: no picture, too large, or of a kind that does not become bytes.

    >>> with open(folder / "1.png", "rb") as file:
    ...     pictures.read_header(file)
    Header(height=2, width=2, has_colour=False)
    """
    with _identified(file) as image:
        height, width = image.height, image.width
        # For PNG, Pillow looks for Exif behind the pixels as well, and decodes them to get there.
        # For TIFF the size is that of the picture held upright already.
        has_note = image.format != "TIFF" and "exif" in image.info
        if has_note and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8):
            height, width = width, height
        return Header(height, width, _has_colour(image))


def _has_colour(image: Any) -> bool:
    if image.mode in ("P", "PA"):  # a palette may be one of greys
        shown = np.asarray(image.convert("RGB"))
        return bool((shown != shown[..., :1]).any())
    return image.mode in _COLOUR


def choose_form(
    headers: Iterable[Header], image_size: int | None, channels: int | None
) -> tuple[Form, str]:
    """The shape of all images, and a line if they had several; see the top of this file.

    Args:
      headers: of all pictures; not looked at where both options are given.
      image_size: side of squares in pixels; None for as the pictures are.
      channels: 1 or 3; None for as the pictures are.

    Raises:
      DataError: an option is out of its range.

    >>> headers = [pictures.Header(4, 6, False), pictures.Header(4, 5, True)]
    >>> form, note = pictures.choose_form(headers, None, None)
    >>> form, note.partition(" (")[0]
    (Form(height=4, width=4, channels=3), 'pictures of 2 sizes, 4 x 5 to 4 x 6')
    """
    require_form(image_size, channels)
    if image_size and channels:
        return Form(image_size, image_size, channels), ""
    sizes: collections.Counter[tuple[int, int]] = collections.Counter()
    has_colour = False
    for header in headers:
        sizes[header.height, header.width] += 1
        has_colour = has_colour or header.has_colour
    count = channels or (3 if has_colour else 1)
    if image_size:
        return Form(image_size, image_size, count), ""
    if len(sizes) == 1:
        return Form(*next(iter(sizes)), count), ""
    sides: collections.Counter[int] = collections.Counter()
    for size, number in sizes.items():
        sides[min(size)] += number
    side = max(sides, key=lambda s: (sides[s], -s))
    (h, w), (tall, wide) = min(sizes), max(sizes)
    said = f"pictures of {len(sizes)} sizes, {h} x {w} to {tall} x {wide} (height x width)"
    said += f": each is cropped to its centre and resized to {side} x {side}, the most common "
    return Form(side, side, count), said + "shorter side; --image-size for another"


def require_form(image_size: int | None, channels: int | None) -> None:
    """Raises DataError for a size or a number of channels that no data set can have.

    >>> pictures.require_form(32, 2)
    Traceback (most recent call last):
    jwgan.data.errors.DataError: channels=2, image_size=32: give channels 1 or 3, image_size >= 1
    """
    if channels not in (None, 1, 3) or (image_size is not None and image_size < 1):
        raise errors.DataError(f"{channels=}, {image_size=}: give channels 1 or 3, image_size >= 1")


def range_note(pictures: Iterable[IO[bytes]], num: int) -> str:
    """A line if 16-bit greys use only a small part of their range, as 12-bit cameras' do.

    Args:
      pictures: open files, of which the unreadable ones are passed over.
      num: of pictures that were looked at, for the line.

    >>> file = io.BytesIO()
    >>> Image.fromarray(np.array([[0, 4095]], np.uint16)).save(file, "PNG")
    >>> pictures.range_note([file], num=1)
    "16-bit greys use values to 4095 of 65535 (of 1 pictures), which leaves 16 of 256 levels: nearly
    black; multiply the files' values by 16 to use all of them"
    """
    top = -1
    for file in pictures:
        try:
            with _identified(file) as image:
                if image.mode.startswith("I"):
                    image.load()
                    top = max(top, int(np.asarray(image).max()))
        except Exception:
            continue  # whoever reads it says what is wrong with it
    if not 0 <= top < 2**14:
        return ""
    factor = 65535 // max(top, 1)
    return (
        f"16-bit greys use values to {top} of 65535 (of {num} pictures), which leaves "
        f"{top // 256 + 1} of 256 levels: nearly black; multiply the files' values by {factor} to "
        "use all of them"
    )


# How they are decoded


def read_image(
    path: str | os.PathLike, image_size: int | tuple[int, int], channels: int
) -> np.ndarray:
    """Reads an image file, centre-cropped and resized: uint8 [H, W, C]; drops transparency.

    Args:
      path: of the file.
      image_size: (H, W), or the side of a square.
      channels: C, 1 or 3.

    Raises:
      DataError: no picture of a format that is read, damaged, or of more than 2**26 pixels.
      MissingPackageError: Pillow is not installed.

    >>> pictures.read_image(folder / "1.png", image_size=2, channels=1).ravel().tolist()
    [0, 85, 170, 255]
    """
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    return decode(Path(path), Form(*size, channels))


def decode(path: Path, form: Form) -> np.ndarray:
    """Does for a form what `read_image` does, and raises what it raises.

    >>> pictures.decode(folder / "1.png", pictures.Form(2, 2, 3))[1].tolist()
    [[170, 170, 170], [255, 255, 255]]
    """
    check.require_package("PIL", "data")  # inside the try below it would pass for a damaged image
    with readable(path) as file:
        return fitted(file, form)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[IO[bytes]]:
    """Opens an image file; what goes wrong until it is closed is a DataError that names it.

    >>> empty = pathlib.Path(tempfile.mkdtemp()) / "empty.png"
    >>> empty.touch()
    >>> with pictures.readable(empty) as file:
    ...     pictures.read_header(file)
    Traceback (most recent call last):
    jwgan.data.errors.DataError: ...empty.png: unreadable image: ValueError: an empty file; replace
    or remove it
    """
    try:
        with _open(path) as file:
            yield file
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        what = str(error) if type(error) is FileNotFoundError else check.one_line(error)
        raise errors.DataError(f"{path}: unreadable image: {what}; replace or remove it") from error


def _open(path: Path) -> IO[bytes]:
    if not path.is_file():
        raise FileNotFoundError("no regular file")
    return open(path, "rb")


def fitted(file: IO[bytes], form: Form) -> np.ndarray:
    """Decodes an open image file into a form: uint8 [H, W, C]; raises whatever Pillow raises.

    >>> with open(folder / "1.png", "rb") as file:
    ...     pictures.fitted(file, pictures.Form(2, 2, 1))[..., 0].tolist()
    [[0, 85], [170, 255]]
    """
    check.require_package("PIL", "data")
    from PIL import Image, ImageOps

    with _identified(file) as image:
        # The header alone was read so far; damaged pixels show here.
        image.load()
        # Cameras store portraits lying on their side with a note, which other programs follow.
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16 bits, which convert would clip at 255
            upright = Image.fromarray(_upper_bits(np.asarray(upright)))
        # Palettes and CMYK become colours here; transparency is dropped, not blended.
        upright = upright.convert("RGB" if form.channels == 3 else "L")
        if (upright.height, upright.width) != form[:2]:
            size = (form.width, form.height)
            upright = ImageOps.fit(upright, size, Image.Resampling.LANCZOS)
    return np.asarray(upright).reshape(form)


def _upper_bits(values: np.ndarray) -> np.ndarray:  # 0 to 65535 -> uint8
    # Mode I has 32 bits, in which TIFF files may hold anything.
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("whole numbers beyond 0 to 65535; save it with 8 or 16 bits a channel")
    return (values >> 8).astype(np.uint8)


@contextlib.contextmanager
def _identified(file: IO[bytes]) -> Iterator[Any]:
    """An image opened by Pillow, its header alone; formats that run other programs are out."""
    check.require_package("PIL", "data")
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        # Of sizes, which are limited below, of palettes, and of damage that does not matter.
        warnings.simplefilter("ignore")
        Image.init()
        try:
            image = Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])
        except UnidentifiedImageError as error:
            raise ValueError(_not_a_picture(file)) from error
        # Decoding what the header announces could fill the memory.
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels, more than {MOST_PIXELS}")
        if image.mode not in (*_GREY, *_COLOUR):
            floats = "floating-point numbers, which have no range of their own"
            what = floats if image.mode == "F" else f"Pillow's mode {image.mode}, which is not read"
            raise ValueError(f"{what}; save it with 8 or 16 bits a channel")
        with image:
            yield image


# Marks of files that are often met under a picture's name.
_MARKS = {
    b"": "an empty file",
    b"%PDF": "a PDF file",
    b"%!PS": "PostScript, which is not opened",
    b"<svg": "an SVG drawing",
    b"<?xm": "an XML file, SVG perhaps",
    b"<!do": "a web page",
    b"<htm": "a web page",
    b"PK\3\4": "a ZIP archive",
    b"8BPS": "a Photoshop file",
    b"vers": "a Git LFS pointer: the file itself was not downloaded",
}


def _not_a_picture(file: IO[bytes]) -> str:
    file.seek(0)
    start = file.read(12)
    if start[4:8] == b"ftyp" and start[8:11] in (b"hei", b"hev", b"mif"):
        return "HEIF, which Pillow does not read"
    if (what := _MARKS.get(start[:4].lower() if start[:1] == b"<" else start[:4])) is not None:
        return what
    # A picture's mark with a header that is damaged.
    known = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"RIFF": "WebP", b"GIF8": "GIF"}
    name = next((name for mark, name in known.items() if start.startswith(mark)), "")
    return f"{name}, but its header is damaged" if name else "no picture, or its header is damaged"
