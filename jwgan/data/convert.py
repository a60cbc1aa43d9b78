"""Images written as a TFDS data set (array_record), without TensorFlow."""

import io
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jwgan import check
from jwgan.data import datasets, images, readers

# Versions that TFDS has of its own data sets; others get 1.0.0.
VERSION = {"mnist": "3.0.1", "fashion_mnist": "3.0.1"}


def examples(rows: Any, labels: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (number, example) of rows [N, H, W, C] in [-1, 1] with labels [N] or None.

    Raises:
      MissingPackageError: Pillow is not installed.
    """
    check.require_package("PIL", "data")
    from PIL import Image

    for i in range(len(rows)):
        # [H, W, C]; the inverse of the readers' scaling, so an 8-bit image keeps its values.
        pixels = np.rint((rows[i] + 1) * 127.5).astype(np.uint8)
        png = io.BytesIO()
        # Pillow has grey pictures as [H, W] and refuses [H, W, 1].
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(png, "PNG")
        label = {} if labels is None else {"label": int(labels[i])}
        yield i, {"image": png.getvalue(), **label}


def prepare(
    name: str, splits: dict[str, tuple[Any, Any]], classes: tuple[str, ...], out: Any
) -> Any:
    """Writes a data set as TFDS prepares it.

    Args:
      name: of the data set.
      splits: {split: (images [N, H, W, C] in [-1, 1], labels [N] or None)}; "train" among them.
      classes: names of the labels; () without labels.
      out: the folder below which it is written.

    Returns:
      The data set's folder, a `pathlib.Path`.

    Raises:
      MissingPackageError: tensorflow-datasets, or a package that it needs, is not installed.
    """
    tfds = readers.tensorflow_datasets()
    shape = splits["train"][0][0].shape

    builder_class: Any = tfds.core.GeneratorBasedBuilder

    # TFDS lists every builder's class by its name. Ours is made anew by each call and must not be
    # found under that name later.
    class Converted(builder_class, skip_registration=True):  # type: ignore[call-arg]
        # In the body of a class VERSION is the attribute that is being made; the module's table of
        # the same name is only reached through globals().
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

    # Without this TFDS would make a name from the class's or the module's.
    Converted.name = name
    # array_record gives random access to single examples, which a shuffling stream needs, and is
    # written and read without TensorFlow.
    builder = Converted(data_dir=str(out), file_format="array_record")
    builder.download_and_prepare()
    return pathlib.Path(builder.data_dir)


def read(
    kind: str,
    source: str,
    image_size: int | None = None,
    channels: int | None = None,
    follow_links: bool = False,
) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """Reads what is to be converted.

    Args:
      kind: "folder", "mnist" or "fashion_mnist".
      source: the folder of the images or of the IDX files.
      image_size, channels, follow_links: of a folder's images, see `data.folder`.

    Returns:
      ({split: (images, labels or None)}, names of the labels, lines that a user should read).

    Raises:
      DataError: `source` has nothing of that kind, or it is damaged.
    """
    if kind == "folder":
        rows = images.FolderRows(source, image_size, channels, follow_links)
        return {"train": (rows, rows.labels)}, rows.class_names, rows.notes
    whole = {"mnist": datasets.mnist, "fashion_mnist": datasets.fashion_mnist}[kind](source)
    splits = {"train": (whole.images, whole.labels), "test": (whole.test_images, whole.test_labels)}
    return splits, whole.class_names, whole.notes
