"""Makes a data set that TFDS can read of IDX files or a folder of images.

    python -m experiments.convert folder IMAGES --name faces --out tfds_data --image-size 64
    python -m experiments.convert fashion_mnist IDX_FOLDER --out tfds_data
    python -m experiments.wgan_gp --dataset tfds/faces --data-dir tfds_data --stream

What is written, array_record with PNG images, is what TFDS itself prepares and `tfds.data_source`
reads, without TensorFlow. A converted mnist or fashion_mnist carries TFDS's own name and version.
"""

import argparse
import io
import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from experiments import options

VERSION = {"mnist": "3.0.1", "fashion_mnist": "3.0.1"}  # as TFDS has them; others are 1.0.0


def examples(images: Any, labels: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, example) of images [N, H, W, C] in [-1, 1], one at a time."""
    import numpy as np
    from PIL import Image

    for i in range(len(images)):
        pixels = np.rint((images[i] + 1) * 127.5).astype(np.uint8)
        png = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(png, "PNG")
        label = {} if labels is None else {"label": int(labels[i])}
        yield i, {"image": png.getvalue(), **label}


def prepare(
    name: str, splits: dict[str, tuple[Any, Any]], classes: tuple[str, ...], out: Any
) -> Any:
    """Writes {split: (images, labels or None)} below `out`; returns the folder."""
    import tensorflow_datasets as tfds

    shape = splits["train"][0][0].shape

    class Converted(  # type: ignore[call-arg]  # mypy does not see TFDS's base class
        tfds.core.GeneratorBasedBuilder, skip_registration=True
    ):
        VERSION = tfds.core.Version(globals()["VERSION"].get(name, "1.0.0"))

        def _info(self) -> Any:
            features = {"image": tfds.features.Image(shape=shape)}
            if classes:
                features["label"] = tfds.features.ClassLabel(names=list(classes))
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                disable_shuffling=True,  # TFDS's shuffler needs TensorFlow
            )

        def _split_generators(self, dl_manager: Any) -> Any:
            return {split: examples(*parts) for split, parts in splits.items()}

        def _generate_examples(self) -> Any:
            raise NotImplementedError  # abstract in TFDS; the splits above are used

    Converted.name = name
    builder = Converted(data_dir=str(out), file_format="array_record")
    builder.download_and_prepare()
    return pathlib.Path(builder.data_dir)


def read(kind: str, source: str, image_size: int, channels: int) -> tuple[Any, Any]:
    """({split: (images, labels)}, names of the labels) of what is to be converted."""
    from jwgan import data, streams

    if kind == "folder":
        return {"train": (streams.FolderRows(source, image_size, channels), None)}, ()
    whole = {"mnist": data.mnist, "fashion_mnist": data.fashion_mnist}[kind](source)
    splits = {"train": (whole.images, whole.labels), "test": (whole.test_images, whole.test_labels)}
    return splits, whole.class_names


def main(argv: list[str] | None = None) -> None:
    parser = options.Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=("folder", "mnist", "fashion_mnist"))
    parser.add_argument("source", help="folder of PNG or JPEG images, or of IDX files")
    parser.add_argument("--name", help="of the data set (default: that of the IDX files)")
    parser.add_argument("--out", required=True, help="folder to write NAME/ into")
    parser.add_argument("--image-size", type=int, default=64, help="of a folder's images (64)")
    parser.add_argument("--channels", type=int, default=3, help="of a folder's images, 1 or 3 (3)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON at the end")
    chosen = parser.parse_args(argv)
    name = chosen.name or chosen.kind
    began = time.perf_counter()
    try:
        if not name.isidentifier() or not name.islower() or name == "folder":
            raise ValueError(f"name is {name!r}: give one like my_faces, in small letters")
        if (pathlib.Path(chosen.out) / name).exists():
            raise ValueError(f"out has a {name} already: give another --name or --out")
        splits, classes = read(chosen.kind, chosen.source, chosen.image_size, chosen.channels)
        folder = prepare(name, splits, classes, chosen.out)
    except (ValueError, OSError) as error:
        options.fail(error)
    result = {
        "name": name,
        "examples": {split: len(images) for split, (images, _) in splits.items()},
        "seconds": round(time.perf_counter() - began, 1),
        "megabytes": round(sum(f.stat().st_size for f in folder.iterdir()) / 1e6, 1),
    }
    print(json.dumps(result) if chosen.json else json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
