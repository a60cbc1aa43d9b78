"""Images written as a TFDS data set (array_record), without TensorFlow."""

import io
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jwgan import check
from jwgan.data import datasets, readers, streams

VERSION = {"mnist": "3.0.1", "fashion_mnist": "3.0.1"}  # as TFDS has them; others are 1.0.0


def examples(images: Any, labels: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, example) of images [N, H, W, C] in [-1, 1], one at a time."""
    check.require_package("PIL", "data")
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
    tfds = readers.tensorflow_datasets()
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
    if kind == "folder":
        return {"train": (streams.FolderRows(source, image_size, channels), None)}, ()
    whole = {"mnist": datasets.mnist, "fashion_mnist": datasets.fashion_mnist}[kind](source)
    splits = {"train": (whole.images, whole.labels), "test": (whole.test_images, whole.test_labels)}
    return splits, whole.class_names
