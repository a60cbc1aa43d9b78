"""Compares two sets of pictures in a feature space: the metrics that papers quote, with protocol.

Both sets are read once, batch by batch. Mean, covariance and score are sums in float64, so their
memory does not depend on the number of pictures; what needs all pairs (kernel distance, precision,
recall, density, coverage) is taken of at most `pairs` pictures of each set (see `summarise`).

Points 0 and 2 beside 3 and 5, in a space whose classifier finds both of its classes alike likely:

>>> from jwgan.run import picture_sets, spaces
>>> real = picture_sets.of_numbers(np.array([[0.0], [2.0]]), {}, "real")
>>> fake = picture_sets.of_numbers(np.array([[3.0], [5.0]]), {}, "fake")
>>> space = spaces.Space("points", {}, lambda x: (x, np.zeros((len(x), 2))))
>>> of_real, of_fake = (comparison.summarise(x, [0, 1], space, 2, pairs=2) for x in (real, fake))
"""

import pathlib
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from jwgan import metrics
from jwgan.metrics import coverage, frechet, kernel
from jwgan.run.picture_sets import PictureSet
from jwgan.run.spaces import Space

SPLITS = 10  # of the score
SUBSETS, SUBSET_SIZE = 100, 1000  # of the kernel distance
NEIGHBOURS, NEIGHBOURS_DENSITY = 3, 5
SECONDS = 20.0  # between two words on how far it is


class Summary(NamedTuple):
    """What is kept of a set of pictures.

    Attributes:
      sums: of all features, for mean and covariance.
      rows: [P, F] float32, features of the pictures that pairs are made of.
      labels: [P] of these, or None.
      scores: `metrics.classifier.ScoreSums`, or None where the space has no classes.
    """

    sums: frechet.Sums
    rows: np.ndarray
    labels: np.ndarray | None = None
    scores: Any = None


class Moments(NamedTuple):
    """Statistics that were computed before, as FID's programs save them for large data sets.

    Attributes:
      mean: `mu` [F] of the features.
      cov: `sigma` [F, F] of them, over N - 1.
    """

    mean: np.ndarray
    cov: np.ndarray


def read_moments(where: str) -> Moments | None:
    """The statistics in an .npz file that has `mu` and `sigma`; None of anything else.

    Raises:
      ValueError: they are no mean and covariance.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/statistics.npz"
    >>> np.savez(path, mu=np.ones(1), sigma=2 * np.eye(1))
    >>> comparison.read_moments(path)
    Moments(mean=array([1.]), cov=array([[2.]]))
    """
    if not where.lower().endswith(".npz") or not pathlib.Path(where).is_file():
        return None
    try:
        # A damaged archive would stay open if NumPy opened it.
        with open(where, "rb") as file, np.load(file, allow_pickle=False) as loaded:
            if not {"mu", "sigma"} <= set(loaded.files):
                return None
            mean, cov = (np.asarray(loaded[name], np.float64) for name in ("mu", "sigma"))
    except Exception:  # zipfile, zlib and NumPy raise many kinds
        return None  # whoever reads it as pictures says what is wrong with it
    if mean.ndim != 1 or cov.shape != 2 * mean.shape:
        shapes = f"mu {list(mean.shape)} and sigma {list(cov.shape)}"
        raise ValueError(f"{where}: {shapes} are no mean [F] and covariance [F, F]")
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise ValueError(f"{where}: some of its statistics are not finite")
    return Moments(mean, cov)


def beside_moments(measured: Summary, moments: Moments, space: Space) -> dict[str, Any]:
    """What can be told of a set beside statistics alone: the Frechet distance, and its own score.

    Raises:
      ValueError: the statistics are of features of another number.

    Equal variances, and means 1 and 4: the square of their difference.

    >>> comparison.beside_moments(of_fake, comparison.Moments(np.ones(1), 2 * np.eye(1)), space)
    {'frechet_distance': 9.0, 'classifier_score': {'mean': 1.0, 'std': 0.0}}
    """
    mean, cov = frechet.moments_of_sums(measured.sums)
    if mean.shape != moments.mean.shape:
        raise ValueError(
            f"the statistics are of {len(moments.mean)} features, and the network's layer has "
            f"{len(mean)}: give its --layer"
        )
    names, rounded = _names_of(space), lambda x: float(f"{x:.8g}")
    distance = frechet.distance_of_moments(moments.mean, moments.cov, mean, cov)
    score = metrics.classifier.inception_score(measured.scores)
    return {
        names["frechet"]: rounded(distance),
        names["score"]: {"mean": rounded(score[0]), "std": rounded(score[1])},
    }


def summarise(
    found: PictureSet, places: list[int], space: Space, batch_size: int, pairs: int
) -> Summary:
    """Reads these pictures once and keeps what the metrics need.

    Args:
      found: the set.
      places: which of its pictures, at least one.
      space: that they are measured in.
      batch_size: pictures that are read at a time.
      pairs: how many of them, evenly spread, are kept one by one, at most.

    Raises:
      ValueError: a picture that cannot be read or measured.

    >>> comparison.summarise(fake, [0, 1], space, batch_size=1, pairs=1).rows.tolist()
    [[3.0]]
    """
    num = len(places)
    kept = np.zeros(num, bool)
    kept[[i * num // min(num, pairs) for i in range(min(num, pairs))]] = True
    num_splits = min(SPLITS, num)
    split = metrics.classifier.split_of_rows(num, num_splits)
    sums, scores, rows, done = None, None, [], 0
    began = said = time.perf_counter()
    for batch in found.batches(places, batch_size):
        features, logits = space.embed(batch)
        now = slice(done, done + len(batch))
        sums = frechet.add(sums, features)
        rows.append(np.asarray(features, np.float32)[kept[now]])
        if logits is not None:
            scores = metrics.classifier.add_scores(scores, logits, split[now], num_splits)
        done += len(batch)
        if time.perf_counter() - said > SECONDS:
            said = time.perf_counter()
            rate = done / (said - began)
            print(f"{done} of {num} pictures, {rate:.1f} a second", file=sys.stderr)
    labels = None if found.labels is None else np.asarray(found.labels)[places][kept]
    assert sums is not None  # there is at least one picture
    return Summary(sums, np.concatenate(rows), labels, scores)


def _names_of(space: Space) -> dict[str, str]:
    """What the figures are called: FID, KID and Inception score only with the published weights."""
    if space.published:
        return {"frechet": "fid", "kernel": "kid", "score": "inception_score"}
    return {"frechet": "frechet_distance", "kernel": "kernel_distance", "score": "classifier_score"}


def metrics_of(measured: Summary, against: Summary, space: Space) -> dict[str, Any]:
    """All metrics of a set beside another; those that need more pictures are left out.

    >>> found = comparison.metrics_of(of_fake, of_real, space)
    >>> found["frechet_distance"], found["classifier_score"]
    (9.0, {'mean': 1.0, 'std': 0.0})
    """
    names, rounded = _names_of(space), lambda x: float(f"{x:.8g}")
    distance = frechet.distance_of_moments(
        *frechet.moments_of_sums(against.sums), *frechet.moments_of_sums(measured.sums)
    )
    found: dict[str, Any] = {names["frechet"]: rounded(distance)}
    if (size := _subset_size(measured, against)) >= 2:
        mean, std = kernel.mmd2_of_subsets(
            against.rows,
            measured.rows,
            kernel.polynomial(),
            num_subsets=SUBSETS,
            subset_size=size,
        )
        found[names["kernel"]] = {"mean": rounded(mean), "std": rounded(std)}
    for summary, ending in ((measured, ""), (against, "_of_real")):
        if summary.scores is not None:
            mean, std = metrics.classifier.inception_score(summary.scores)
            found[names["score"] + ending] = {"mean": rounded(mean), "std": rounded(std)}
    if len(against.rows) > NEIGHBOURS_DENSITY and len(measured.rows) > NEIGHBOURS:
        near = coverage.neighbours(
            against.rows,
            measured.rows,
            num_neighbours=NEIGHBOURS,
            num_neighbours_density=NEIGHBOURS_DENSITY,
        )
        found |= {name: rounded(x) for name, x in near._asdict().items()}
    return found


def _subset_size(measured: Summary, against: Summary) -> int:
    """Pictures in a subset of the kernel distance."""
    return min(SUBSET_SIZE, len(measured.rows), len(against.rows))


def protocol(measured: Summary, against: Summary, space: Space) -> dict[str, Any]:
    """How the metrics were taken, in words and numbers.

    >>> comparison.protocol(of_fake, of_real, space)["frechet_distance"]
    'of 2 and 2 pictures, covariance over N - 1'
    """
    names, rows = _names_of(space), (len(measured.rows), len(against.rows))
    least, width = min(measured.sums.num, against.sums.num), measured.rows.shape[1]
    few = f"; {least} pictures for {width} features: biased upwards" if least <= width else ""
    found = {
        "space": space.name,
        **space.about,
        "features": space.about.get("features", width),
        names["frechet"]: f"of {measured.sums.num} and {against.sums.num} pictures, covariance "
        f"over N - 1{few}",
        names["kernel"]: f"cubic kernel, {SUBSETS} subsets of {_subset_size(measured, against)} of "
        f"{rows[0]} and {rows[1]} pictures, as torch-fidelity draws them (seed 2020)",
        "precision, recall": f"{NEIGHBOURS} neighbours, {rows[0]} and {rows[1]} pictures, a tie "
        "is inside",
        "density, coverage": f"{NEIGHBOURS_DENSITY} neighbours, {rows[0]} and {rows[1]} pictures, "
        "ties in the share that keeps equal sets at 1",
    }
    if measured.scores is not None:
        splits = len(measured.scores.samples)
        found[names["score"]] = f"{splits} splits, shuffled as torch-fidelity does (seed 2020)"
        if space.name == "inception":
            found[names["score"]] += ", logits without bias"
    return found


def per_class(
    measured: PictureSet, against: PictureSet, summaries: tuple[Summary, Summary], space: Space
) -> dict[str, Any]:
    """Distances within each class that both sets name; of the pictures that pairs are made of.

    Args:
      measured, against: both sets, with labels.
      summaries: of the two.
      space: that they were measured in.

    Returns:
      {class: {"pictures": how many of each set, and the distances where there are two of each}}.

    >>> cats = [x._replace(labels=[0, 0], class_names=("cat",)) for x in (fake, real)]
    >>> summaries = [x._replace(labels=[0, 0]) for x in (of_fake, of_real)]
    >>> found = comparison.per_class(*cats, summaries, space)
    >>> found["cat"]["pictures"], found["cat"]["frechet_distance"]
    ([2, 2], 9.0)
    """
    names, found = _names_of(space), {}
    for name in sorted(set(measured.class_names) & set(against.class_names)):
        rows = []
        for pictures, summary in zip((measured, against), summaries, strict=True):
            rows.append(
                summary.rows[np.asarray(summary.labels) == pictures.class_names.index(name)]
            )
        counts = {"pictures": [len(x) for x in rows]}
        found[name] = counts | (
            _distances(rows[0], rows[1], names) if min(map(len, rows)) >= 2 else {}
        )
    return found


def _distances(measured: np.ndarray, against: np.ndarray, names: dict[str, str]) -> dict[str, Any]:
    # Without bias, and of all pairs: a class may have few pictures.
    mmd2 = kernel.mmd2_of_subsets(
        against,
        measured,
        kernel.polynomial(),
        num_subsets=1,
        subset_size=min(len(measured), len(against)),
    )[0]
    distance = frechet.frechet_distance(against, measured)
    return {names["frechet"]: float(f"{distance:.8g}"), names["kernel"]: float(f"{mmd2:.8g}")}
