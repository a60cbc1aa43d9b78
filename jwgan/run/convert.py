"""Makes a data set that TFDS can read, of a folder of images or of the original archives.

    python -m jwgan.run convert folder IMAGES --name faces --out tfds_data --image-size 64
    python -m jwgan.run convert cifar10 --out tfds_data                # downloads it first
    python -m jwgan.run convert cifar10 cifar-10-binary.tar.gz --out tfds_data
    python -m jwgan.run convert celeb_a CELEBA_FOLDER --attribute Smiling
    python -m jwgan.run wgan_gp --dataset tfds/faces --data-dir tfds_data --stream

What is written, array_record with PNG images, is what TFDS itself prepares and `tfds.data_source`
reads, without TensorFlow. Class folders become labels, as in training on the folder itself
(`jwgan.data.folder`). Other data sets carry TFDS's own names, versions and class names.

Without SOURCE the original archives are downloaded into OUT/downloads, where they stay; a download
that was cut goes on, and SHA-256 tells a damaged one. SOURCE is an archive that lies here, a folder
of them, for mnist and fashion_mnist a folder of IDX files, for celeb_a (which asks a person who
downloads it) the folder of its pictures and lists. svhn_cropped's third part, 531,131 pictures in
1.3 GB, is downloaded with --extra, and taken where its file lies beside the others.
"""

import argparse
import json
import pathlib
import shutil
import sys
import time
from typing import Any

from jwgan import check
from jwgan.data import archives, faces, readers
from jwgan.data import convert as tfds
from jwgan.run import options, output

KINDS = ("folder", *archives.ORIGINALS, "celeb_a")


def _whole(name: str, found: tfds.Read, out: str) -> pathlib.Path:
    """Writes the data set, or leaves nothing: a part of it would be in the way of the next try."""
    try:
        return tfds.prepare(name, found.splits, found.class_names, out, found.attribute_names)
    except BaseException:
        shutil.rmtree(pathlib.Path(out) / name, ignore_errors=True)
        raise


def _show(name: str, there: int, size: int) -> None:
    """How far a download is, on one line of a terminal."""
    if sys.stderr.isatty():
        end = "\n" if there == size else ""
        print(f"\r{name}: {there / 1e6:.0f} of {size / 1e6:.0f} MB", end=end, file=sys.stderr)


def _read(chosen: argparse.Namespace) -> tfds.Read:
    """Reads, or downloads and reads, what the options name."""
    kind, source = chosen.kind, chosen.source
    if kind == "folder" and source is None:
        raise ValueError("source is None: give the folder of pictures")
    if kind == "celeb_a" and source is None:
        raise ValueError(f"source is None: {faces.WHERE}, and give that folder")
    if chosen.extra and (kind not in archives.EXTRA or source is not None):
        remedy = f"only {', '.join(archives.EXTRA)} has any to be downloaded; leave it out"
        raise ValueError(f"extra is True: {remedy}")
    if kind != "folder" and (chosen.image_size or chosen.channels or chosen.follow_links):
        what = "--image-size, --channels and --follow-links are of a folder's pictures"
        raise ValueError(f"kind is {kind!r}: {what}; leave them out")
    if chosen.attribute and kind != "celeb_a":
        raise ValueError(f"attribute is {chosen.attribute!r}: only celeb_a has any; leave it out")
    if kind == "folder":
        return tfds.read_folder(source, chosen.image_size, chosen.channels, chosen.follow_links)
    if kind == "celeb_a":
        return tfds.read_celeb_a(source, chosen.attribute)
    if source is None:
        paths = archives.get(kind, pathlib.Path(chosen.out) / "downloads", _show, chosen.extra)
    elif kind in ("mnist", "fashion_mnist"):
        return tfds.read_idx(kind, source)
    else:
        paths = archives.find(kind, pathlib.Path(source), checked=not chosen.unchecked)
    return tfds.read_original(kind, paths)


def _parser(doc: str | None) -> argparse.ArgumentParser:
    parser = options.Parser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    text = "folder of pictures or of IDX files, or the original archive (default: download it)"
    parser.add_argument("source", nargs="?", help=text)
    parser.add_argument("--name", help="of the data set (default: its own)")
    text = "folder to write NAME/ into (default: that of TFDS, where experiments look)"
    parser.add_argument("--out", default=str(readers.tfds_home()), help=text)
    text = "of a folder's images: squares of so many pixels a side (default: as they are)"
    parser.add_argument("--image-size", type=int, help=text)
    text = "of a folder's images: 1 for grey, 3 for colour (default: as they are)"
    parser.add_argument("--channels", type=int, help=text)
    text = "read what links in a folder lead to outside of it"
    parser.add_argument("--follow-links", action="store_true", help=text)
    text = "of celeb_a: make labels of this attribute, Smiling for example"
    parser.add_argument("--attribute", help=text)
    parser.add_argument("--extra", action="store_true", help="download svhn_cropped's extra part")
    text = "take an archive that lies here whatever its size and SHA-256 are"
    parser.add_argument("--unchecked", action="store_true", help=text)
    parser.add_argument("--json", action="store_true", help="print one line of JSON at the end")
    return parser


def main(argv: list[str] | None = None, doc: str | None = __doc__) -> None:
    """The command `convert KIND [SOURCE]`.

    >>> import contextlib, sys
    >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
    ...     convert.main(["folder", "IMAGES", "--name", "My faces"])
    error: name is 'My faces': give one like my_faces, in small letters
    """
    chosen = _parser(doc).parse_args(argv)
    name = chosen.name or chosen.kind
    began = time.perf_counter()
    try:
        # TFDS names its data sets so, and --dataset takes `folder` for a folder of images.
        if not name.isidentifier() or not name.islower() or name == "folder":
            raise ValueError(f"name is {name!r}: give one like my_faces, in small letters")
        # TFDS would take what is there for the finished data set and write nothing.
        if (pathlib.Path(chosen.out) / name).exists():
            raise ValueError(f"out has a {name} already: give another --name or --out")
        # Asked for before a long download, and not after it.
        readers.tensorflow_datasets()
        found = _read(chosen)
        folder = _whole(name, found, chosen.out)
    except (ValueError, OSError, check.MissingPackageError) as error:
        options.fail(error)
    for line in found.notes:
        print(check.printable(line), file=sys.stderr)
    output.show(json.dumps(_result(name, found, folder, began), indent=None if chosen.json else 1))


def _result(name: str, found: tfds.Read, folder: pathlib.Path, began: float) -> dict[str, Any]:
    rows = found.splits["train"][0]
    shape = rows.shape if isinstance(rows[0], bytes) else rows[0].shape
    return {
        "name": name,
        "shape": list(shape),
        "classes": len(found.class_names),
        "examples": {split: len(rows) for split, (rows, _) in found.splits.items()},
        "seconds": round(time.perf_counter() - began, 1),
        "megabytes": round(sum(f.stat().st_size for f in folder.iterdir()) / 1e6, 1),
    }
