"""Small data files of the true formats, which tests write."""

import gzip
import io
from pathlib import Path

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (30, 28, 28), dtype=np.uint8)
LABELS = (np.arange(30) % 10).astype(np.uint8)


def idx_bytes(array):
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def write_idx(folder, *, separator="-", gz=True, **changed):
    """The four files; `changed` maps train_images, ... to other arrays or to raw bytes."""
    parts = {
        "train_images": IMAGES,
        "train_labels": LABELS,
        "t10k_images": IMAGES[:10],
        "t10k_labels": LABELS[:10],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for part, value in {**parts, **changed}.items():
        rank = 3 if part.endswith("images") else 1
        path = folder / f"{part.replace('_', '-')}{separator}idx{rank}-ubyte{'.gz' * gz}"
        if isinstance(value, np.ndarray):
            value = gzip.compress(idx_bytes(value)) if gz else idx_bytes(value)
        path.write_bytes(value)
    return folder


def write_tfds(dataset, data_dir):
    """A data set as TFDS prepares it: array_record, PNG images, no TensorFlow."""
    import tensorflow_datasets as tfds

    def examples(images, labels):
        for i, image in enumerate(np.rint((images + 1) * 127.5).astype(np.uint8)):
            png = io.BytesIO()
            Image.fromarray(image[..., 0]).save(png, "PNG")
            yield i, {"image": png.getvalue(), "label": int(labels[i])}

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = dataset.name
        VERSION = tfds.core.Version("3.0.1")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=dataset.images.shape[1:]),
                "label": tfds.features.ClassLabel(names=list(dataset.class_names)),
            }
            features = tfds.features.FeaturesDict(features)
            # TFDS's shuffler needs TensorFlow.
            return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {
                "train": examples(dataset.images, dataset.labels),
                "test": examples(dataset.test_images, dataset.test_labels),
            }

        def _generate_examples(self):
            raise NotImplementedError  # abstract in TFDS; the splits above are used

    builder = Builder(data_dir=str(data_dir), file_format="array_record")
    builder.download_and_prepare()
    return Path(builder.data_dir)


def picture(mode, size=(8, 8), rng=RNG):
    """A random picture of one of Pillow's modes; I;16 uses all 16 bits, I;12 the lower 12."""
    pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    if mode in ("I;16", "I;12"):
        return Image.fromarray(rng.integers(0, 2 ** int(mode[2:]), size).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(rng.random(size).astype(np.float32))
    if mode in ("LA", "RGBA"):
        image = Image.fromarray(pixels).convert(mode.removesuffix("A"))
        image.putalpha(Image.fromarray(pixels[..., 0]))
        return image
    if mode == "grey P":
        image = Image.fromarray(pixels[..., 0])
        image.putpalette(bytes(np.repeat(np.arange(256, dtype=np.uint8)[::-1], 3)))
        return image
    return Image.fromarray(pixels).convert(mode)


def encoded(image, format="PNG"):
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def write_encoded_tfds(splits, data_dir, name="made", labels=None, names=("x", "y", "z")):
    """{split: encoded pictures} as TFDS prepares them; labels: {split: numbers}, or none."""
    import tensorflow_datasets as tfds

    def examples(split):
        for i, file in enumerate(splits[split]):
            label = {} if labels is None else {"label": int(labels[split][i])}
            yield i, {"image": file, **label}

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {"image": tfds.features.Image(shape=(None, None, None))}
            if labels is not None:
                features["label"] = tfds.features.ClassLabel(names=list(names))
            features = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {split: examples(split) for split in splits}

        def _generate_examples(self):
            raise NotImplementedError  # abstract in TFDS; the splits above are used

    Made.name = name
    builder = Made(data_dir=str(data_dir), file_format="array_record")
    builder.download_and_prepare()
    return Path(builder.data_dir)


SMALL_FONT = "🐧🐨🐩🍕🚲😀🏃🏿🇨🇭"  # 13 emoji: the letters of the flag, tones and their sequences


def small_font(path, texts=SMALL_FONT):
    """The installed Noto Color Emoji, less all that no characters of `texts` show: 40 kB."""
    from fontTools import subset

    from jwgan.data import emoji_font

    options = subset.Options(layout_features=["*"], glyph_names=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text=texts)
    with subset.load_font(emoji_font.find(), options, lazy=True) as font:
        subsetter.subset(font)
        subset.save_font(font, path, options)
    return path
