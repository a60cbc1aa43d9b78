"""Makes a data set that TFDS can read of IDX files or a folder of images.

    python -m jwgan.run convert folder IMAGES --name faces --out tfds_data --image-size 64
    python -m jwgan.run convert fashion_mnist IDX_FOLDER --out tfds_data
    python -m jwgan.run wgan_gp --dataset tfds/faces --data-dir tfds_data --stream

What is written, array_record with PNG images, is what TFDS itself prepares and `tfds.data_source`
reads, without TensorFlow. Class folders become labels, as in training on the folder itself
(`jwgan.data.folder`). A converted mnist or fashion_mnist carries TFDS's own name and version.
"""

import argparse
import json
import pathlib
import shutil
import sys
import time
from typing import Any

from jwgan import check
from jwgan.data import convert as tfds
from jwgan.run import options, output


def _whole(name: str, splits: Any, classes: tuple[str, ...], out: str) -> pathlib.Path:
    """Writes the data set, or leaves nothing: a part of it would be in the way of the next try."""
    try:
        return tfds.prepare(name, splits, classes, out)
    except BaseException:
        shutil.rmtree(pathlib.Path(out) / name, ignore_errors=True)
        raise


def main(argv: list[str] | None = None, doc: str | None = __doc__) -> None:
    """The command `convert KIND SOURCE`."""
    parser = options.Parser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("folder", "mnist", "fashion_mnist"))
    parser.add_argument("source", help="folder of pictures, or of IDX files")
    parser.add_argument("--name", help="of the data set (default: that of the IDX files)")
    parser.add_argument("--out", required=True, help="folder to write NAME/ into")
    text = "of a folder's images: squares of so many pixels a side (default: as they are)"
    parser.add_argument("--image-size", type=int, help=text)
    text = "of a folder's images: 1 for grey, 3 for colour (default: as they are)"
    parser.add_argument("--channels", type=int, help=text)
    text = "read what links in a folder lead to outside of it"
    parser.add_argument("--follow-links", action="store_true", help=text)
    parser.add_argument("--json", action="store_true", help="print one line of JSON at the end")
    chosen = parser.parse_args(argv)
    name = chosen.name or chosen.kind
    began = time.perf_counter()
    try:
        # TFDS names its data sets so, and --dataset takes `folder` for a folder of images.
        if not name.isidentifier() or not name.islower() or name == "folder":
            raise ValueError(f"name is {name!r}: give one like my_faces, in small letters")
        # TFDS would take what is there for the finished data set and write nothing.
        if (pathlib.Path(chosen.out) / name).exists():
            raise ValueError(f"out has a {name} already: give another --name or --out")
        splits, classes, notes = tfds.read(
            chosen.kind, chosen.source, chosen.image_size, chosen.channels, chosen.follow_links
        )
        folder = _whole(name, splits, classes, chosen.out)
    except (ValueError, OSError) as error:
        options.fail(error)
    for line in notes:
        print(check.printable(line), file=sys.stderr)
    images = splits["train"][0]
    result = {
        "name": name,
        "shape": list(images[0].shape),
        "classes": len(classes),
        "examples": {split: len(rows) for split, (rows, _) in splits.items()},
        "seconds": round(time.perf_counter() - began, 1),
        "megabytes": round(sum(f.stat().st_size for f in folder.iterdir()) / 1e6, 1),
    }
    output.show(json.dumps(result) if chosen.json else json.dumps(result, indent=1))
