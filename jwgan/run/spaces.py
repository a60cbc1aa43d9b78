"""Feature spaces in which pictures are compared; only one of them makes a figure an FID.

The examples use grey pictures of 2 x 2 pixels, black and white ones:

    >>> from jwgan.run import picture_sets
    >>> x = np.repeat([0, 255], 8).astype(np.uint8).reshape(16, 1, 1, 1).repeat(2, 1).repeat(2, 2)
    >>> found = picture_sets.of_numbers(x, {}, "made")
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jwgan import data, metrics
from jwgan.metrics import resizing
from jwgan.run import evaluate, weights
from jwgan.run.picture_sets import PictureSet

NAMES = ("auto", "inception", "classifier", "pixels")  # best first; auto: the first that is there
# How pictures become the Inception network's input; `resizing` says what each is.
RESIZING = {
    "pytorch-fid": resizing.pytorch_fid,
    "torch-fidelity": resizing.torch_fidelity,
    "clean-fid": resizing.clean_fid,
}
MOST_VALUES = 1024  # of a picture in the space of pixels; a Frechet distance costs their cube
SIDE = 16  # to which larger pictures are brought there


class Space(NamedTuple):
    """A feature space.

    Attributes:
      name: of it, in the result.
      about: its protocol, for the result.
      embed: a batch [B, *shape] as a `PictureSet` has them -> (features [B, F], logits or None).
      published: whether its distance is the published FID.
    """

    name: str
    about: dict[str, Any]
    embed: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
    published: bool = False


def has_weights(weight_file: str) -> bool:
    """Whether the Inception network's weights are named, or were converted before.

    >>> spaces.has_weights("pt_inception-2015-12-05-6726825d.pth")  # named
    True
    """
    return bool(weight_file) or weights.default_file().is_file()


def inception(weight_file: str, layer: int, resize: str, batch_size: int) -> Space:
    """The published network's features, from a weight file.

    Raises:
      ValueError: the file is not there, damaged, or another network's.

    >>> spaces.inception("nowhere.pth", 2048, "pytorch-fid", batch_size=32)
    Traceback (most recent call last):
    jwgan.metrics.tensor_files.WeightsError: nowhere.pth: there is no such file; give a .pth or ...
    """
    network = metrics.inception
    found = weights.load(weight_file)

    @jax.jit
    def run(params: Any, images: Any) -> Any:
        out = network.apply(params, RESIZING[resize](images))
        return out.layers[layer], out.unbiased_logits

    def embed(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if images.shape[3] == 1:
            images = np.repeat(images, 3, axis=3)
        # One compiled program: the last batch is filled up, and cut again.
        missing = batch_size - len(images)
        filled = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])
        features, logits = run(found.params, filled)
        return np.asarray(features)[: len(images)], np.asarray(logits)[: len(images)]

    about = {"layer": layer, "resizing": f"{resize}, to {network.SIDE} pixels a side"}
    about |= {"weights": found.about}
    return Space("inception", about, embed, found.published and layer == 2048)


def classifier(against: PictureSet, places: list[int]) -> Space:
    """Features of a small network trained on the labels of the data that are compared with.

    Raises:
      ValueError: they have no labels, or are no pictures.

    >>> spaces.classifier(found, list(range(16)))
    Traceback (most recent call last):
    ValueError: space is 'classifier': what is compared with has no labels; give pixels
    """
    if against.labels is None or len(against.shape) != 3:
        raise ValueError("space is 'classifier': what is compared with has no labels; give pixels")
    floats = lambda x: x.astype(np.float32) / 127.5 - 1
    images = np.concatenate([floats(x) for x in against.batches(places, 500)])
    name = str(against.about.get("name", "the labelled pictures"))
    labels = np.asarray(against.labels)[places].astype(np.int32)
    dataset = data.Dataset(name, images, labels, class_names=against.class_names)
    evaluate.require_labels(dataset)
    fitted = evaluate.fit_classifier(dataset)
    run = jax.jit(
        lambda x: (fitted.features(fitted.params, x), fitted.probabilities(fitted.params, x))
    )

    def embed(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features, probabilities = run(floats(images))
        # Softmax of its own logarithm is itself.
        return np.asarray(features), np.log(np.asarray(probabilities, np.float64).clip(1e-30))

    about = {"network": f"a CNN trained on {len(images)} pictures of {name}, by their labels"}
    return Space("classifier", about, embed)


def pixels(against: PictureSet) -> Space:
    """The numbers of a picture or point themselves; large pictures are made small before.

    >>> features, logits = spaces.pixels(found).embed(x[[0, 15]])
    >>> features.tolist(), logits
    ([[-1.0, -1.0, -1.0, -1.0], [1.0, 1.0, 1.0, 1.0]], None)
    """
    shape = against.shape
    large = len(shape) == 3 and np.prod(shape) > MOST_VALUES
    shrink = jax.jit(lambda x: resizing.resize(x, resizing.antialiased, side=SIDE))

    def embed(x: np.ndarray) -> tuple[np.ndarray, None]:
        if len(shape) == 1:
            return np.asarray(x), None
        small = np.asarray(shrink(x)) if large else x
        return small.reshape(len(x), -1).astype(np.float32) / 127.5 - 1, None

    side = f"brought to {SIDE} x {SIDE} by antialiased bicubic" if large else "as they are"
    what = f"values in [-1, 1] of the pictures {side}" if len(shape) == 3 else "points as they are"
    return Space("pixels", {"features": what}, embed)


def require_alike(measured: PictureSet, against: PictureSet, resized: bool) -> None:
    """Raises ValueError unless the two can be compared: resized pictures, or ones of one shape.

    >>> spaces.require_alike(found, found._replace(shape=(4, 4, 1)), resized=True)
    >>> spaces.require_alike(found, found._replace(shape=(4, 4, 1)), resized=False)
    Traceback (most recent call last):
    ValueError: [2, 2, 1] and [4, 4, 1] are two shapes: give --image-size and --channels ...
    """
    if resized:
        for found in (measured, against):
            if len(found.shape) != 3:
                raise ValueError(
                    f"space is 'inception': points {list(found.shape)} are no pictures"
                )
    elif measured.shape != against.shape:
        raise ValueError(
            f"{list(measured.shape)} and {list(against.shape)} are two shapes: give --image-size "
            "and --channels that fit both, or --space inception"
        )
