"""Which classes the samples of a conditional run are asked for, and whether they show them.

>>> pets = run.Task("pets", (2,), source=None, held_out=None, classes=("cat", "dog"))
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jwgan.metrics import frechet
from jwgan.types import Labelled

ROWS = 10  # classes in a picture, at most


def labelled(task: Any, x: Any, label: Any) -> Any:
    """Data as the critic of a task's run reads them: with their labels if it reads any.

    >>> classes.labelled(pets, [[0.5, 0.5]], [1]).label
    [1]
    >>> classes.labelled(pets._replace(classes=()), [[0.5, 0.5]], None)
    [[0.5, 0.5]]
    """
    return Labelled(x, label) if task.classes else x


def number(name: str, names: Sequence[str]) -> int:
    """The number of a class that was named, or numbered.

    Raises:
      ValueError: there is no such class.

    >>> classes.number("dog", pets.classes), classes.number("1", pets.classes)
    (1, 1)
    >>> classes.number("cow", pets.classes)
    Traceback (most recent call last):
    ValueError: label is 'cow': give 0 to 1, or one of cat, dog
    """
    if name in names:
        return list(names).index(name)
    if name.isascii() and name.isdecimal() and int(name) < len(names):
        return int(name)
    if not names:
        raise ValueError(f"label is {name!r}: the run was trained without labels; leave it out")
    few = len(names) <= 20
    raise ValueError(
        f"label is {name!r}: give 0 to {len(names) - 1}"
        + (f", or one of {', '.join(names)}" if few else ", or the name of a class")
    )


def in_rows(count: int, num: int) -> Any:
    """Labels [num] of a grid with a row for each class; None of a run without classes.

    >>> classes.in_rows(2, 6).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    return np.arange(num) // row(count, num) % count if count else None


def row(count: int, num: int) -> int:
    """How many samples of a class stand side by side, of `num` of all `count` classes.

    >>> classes.row(10, 100), classes.row(10, 4)
    (10, 1)
    """
    return max(1, num // count)


def of_picture(task: Any, num: int) -> Any:
    """Labels of a picture of `num` samples; None of a run without classes.

    At most ten classes, evenly spread among all, have num // 10 samples each, one after the other.

    >>> classes.of_picture(pets, 20).tolist()
    [0, 0, 1, 1]
    """
    count = len(task.classes)
    if not count:
        return None
    shown = np.unique(np.linspace(0, count - 1, min(count, ROWS)).round().astype(int))
    return np.repeat(shown, num // ROWS)


def as_data(task: Any, labels: Any, num: int) -> Any:
    """Labels [num] in the proportions of those of the data; None of a run without classes.

    So samples of all classes together compare with the data as those of a run without labels do.

    >>> np.bincount(classes.as_data(pets, [0, 0, 0, 1], 8)).tolist()  # three cats to a dog
    [6, 2]
    """
    if not task.classes:
        return None
    return np.resize(np.random.default_rng(0).permutation(labels), num)


def measure(
    asked: Any, seen: Any, features: Sequence[Any], labels: Sequence[Any]
) -> dict[str, float]:
    """Whether samples show the classes that they were asked for, and how well within each.

    Args:
      asked: labels [N] that the samples were made of.
      seen: [N, K], the classifier's probabilities of the samples.
      features: (of held-out data, of training data, of the samples), [M, F] each.
      labels: of the first two.

    Returns:
      Shares of samples whose likeliest class is the one asked for, of all and of the worst class,
      and the mean over classes of the Frechet distance within each, beside that of training data:
      few samples of a class are far from any others, so that the second is no 0.

    One of four samples is not what it was asked for; within both classes all are shifted by 3:

    >>> labels, real = np.array([0, 0, 1, 1]), np.array([[0.0], [1.0], [5.0], [6.0]])
    >>> seen = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    >>> found = classes.measure(labels, seen, (real, real, real + 3), (labels, labels))
    >>> found["asked_for_share"], found["smallest_asked_for_share"], found["frechet_within_classes"]
    (0.75, 0.5, 9.0)
    """
    right = np.asarray(seen).argmax(axis=1) == asked
    real, train, fake = features
    real_labels, train_labels = labels
    distances: list[tuple[float, float]] = []
    for label in np.unique(asked):
        mine = asked == label
        held_out, known = real[real_labels == label], train[train_labels == label][: mine.sum()]
        # A covariance needs two points.
        if min(len(held_out), len(known), mine.sum()) >= 2:
            distance: Callable = lambda x, y=held_out: frechet.frechet_distance(y, x)
            distances.append((distance(fake[mine]), distance(known)))
    of_class = [float(right[asked == label].mean()) for label in np.unique(asked)]
    found = {
        "asked_for_share": round(float(right.mean()), 4),
        "smallest_asked_for_share": round(min(of_class), 4),
    }
    if distances:
        of_fake, of_train = np.mean(distances, axis=0)
        found["frechet_within_classes"] = round(float(of_fake), 4)
        found["frechet_within_classes_of_real"] = round(float(of_train), 4)
    return found
