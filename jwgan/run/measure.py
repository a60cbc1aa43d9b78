"""Measures a finished or running run: quality of its samples, exact W1, the critic's estimate.

    measure RUN_DIR
    measure RUN_DIR --trial 3 --json                    # of a run with --seeds or --sweep
    measure RUN_DIR --space auto                        # its samples beside its training data
    measure SAMPLES.npy --against fashion_mnist         # or mnist, digits, emoji, tfds/NAME
    measure FOLDER --against FOLDER --space inception --weights pt_inception-2015-12-05-6726825d.pth
    measure RUN_DIR --against cifar10_train.npz         # statistics mu and sigma, saved by others

Without --against and --space metrics are those that a run measures itself: quality as at its end,
W1 as with --w1-every, of the newest whole checkpoint. With one of them two sets of pictures, each a
run, a folder, an .npy or .npz file or a data set, are compared in a feature space: Frechet and
kernel distance, precision, recall, density and coverage, and a score where the space has classes.
They are called FID, KID and Inception score only with the published weights of the Inception
network, which you bring (`convert_weights` keeps them); without them a space that is there is used
and named. Labels on both sides, of class folders, a data set or a conditional run, bring distances
within each class; such a run is asked for each class as often as the other side has it. The result,
one JSON object, states the protocol: counts, resizing, the weights' checksum.
"""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

from jwgan import check
from jwgan.data import pictures
from jwgan.metrics import frechet
from jwgan.run import comparison, evaluate, exact_w1, options, output, picture_sets, reading, xla
from jwgan.run import spaces as feature_spaces
from jwgan.run.options import option
from jwgan.run.picture_sets import Choice, PictureSet
from jwgan.run.spaces import Space

LAYERS = (64, 192, 768, 2048)  # of the Inception network


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `measure`.

    >>> config = measure.Config("runs/mine", space="pixels")
    >>> config.layer, config.pairs, config.resize
    (2048, 10000, 'pytorch-fid')
    """

    # fmt: off
    source: str = option(
        "", "a run's directory; with --against also a folder of pictures, an .npy or .npz file, or "
        "a data set")
    trial: int = option(0, "which one of a run with --seeds or --sweep, counted from 0")
    best: bool = option(False, "take the best checkpoint (by sliced distance), not the newest")
    against: str = option(
        "", "what to compare with: a run, a folder, an array file, the .npz of statistics mu and "
        "sigma, or digits, mnist, fashion_mnist, emoji or tfds/NAME; a run without it is compared "
        "with its training data")
    space: str = option(
        "", "in which to compare: inception, classifier (trained on the labels of what is compared "
        "with), pixels, or auto, the first of them that there is")
    weights: str = option(
        "", "the Inception network's, converted or PyTorch's (default: the converted ones)")
    layer: int = option(2048, "of the Inception network: 64, 192, 768 or 2048")
    resize: str = option(
        "pytorch-fid", "how pictures become the Inception network's input",
        choices=tuple(feature_spaces.RESIZING))
    num: int = option(
        0, "pictures of each side at most, evenly spread (default: all, and 10,000 samples of a "
        "run)", at_least=0)
    pairs: int = option(
        10_000, "pictures of each side at most for what needs all pairs: all but the Frechet "
        "distance and the score", at_least=2)
    split: str = option("train", "the part of a data set to compare with")
    data_dir: str | None = option(None, "where a data set's files are")
    image_size: int | None = option(
        None, "make a folder's or data set's pictures squares of so many pixels", at_least=1)
    channels: int | None = option(None, "1 for grey, 3 for colour (default: as they are)")
    follow_links: bool = option(False, "read what links in a folder lead to outside of it")
    seed: int = option(0, "of a run's samples", at_least=0, below=2**32)
    batch_size: int = option(32, "pictures that go through a network at once", at_least=1)
    json: bool = option(False, "print one line of JSON")
    # fmt: on


def main(find: reading.Find, argv: list[str] | None = None, doc: str | None = __doc__) -> None:
    """The command `measure SOURCE`; arguments as those of `sample.main`.

    Raises:
      SystemExit: bad input; its code is 2, after one line on stderr.

    Two files of points, one 5 from the other, have a Frechet distance of 5^2:

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> np.save(folder / "x.npy", x)
    >>> np.save(folder / "moved.npy", x + np.array([[3.0, 4.0]]))
    >>> words = [str(folder / "x.npy"), "--against", str(folder / "moved.npy"), "--json"]
    >>> measure.main(None, words)  # no run is among them
    {"metrics": {"frechet_distance": 25.0, ...
    """
    config = options.parse(Config, argv, doc or "", "source", options.program_name(argv, "measure"))
    xla.use_compilation_cache()
    # Runs do the same: on a CPU the same kernels give the same numbers.
    xla.use_eigen()
    try:
        options.check_numbers(config)
        compares = config.against or config.space or not picture_sets.is_run(config.source)
        found = compare(config, find) if compares else _of_run(config, find)
    except (ValueError, OSError, check.MissingPackageError) as error:
        options.fail(error)
    output.show(json.dumps(found) if config.json else json.dumps(found, indent=1))


def _of_run(config: Config, find: reading.Find) -> dict[str, Any]:
    """What a run measures of itself."""
    folder = pathlib.Path(config.source)
    task, algorithm, state = reading.read_run(folder, find, config.trial, best=config.best)
    # This is the probe of --w1-every, with its keys and points, so its metrics compare with the
    # run's own.
    probe = exact_w1.make(task, algorithm)
    return {
        "step": int(state.step),
        "trial": config.trial,
        "quality": evaluate.quality(task, algorithm, state),
        "transport": {**probe.metrics(state), "what": probe.description},
    }


def compare(config: Config, find: reading.Find) -> dict[str, Any]:
    """Two sets of pictures in a feature space; see this file's docstring.

    Raises:
      ValueError: there is nothing to compare, or not in that space.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> np.save(folder / "x.npy", x)
    >>> np.save(folder / "moved.npy", x + np.array([[3.0, 4.0]]))
    >>> config = measure.Config(str(folder / "x.npy"), against=str(folder / "moved.npy"))
    >>> found = measure.compare(config, None)  # no run is among them
    >>> found["metrics"]["frechet_distance"], found["measured"]["num"], found["protocol"]["space"]
    (25.0, 4, 'pixels')
    """
    options.require_choice("layer", str(config.layer), map(str, LAYERS))
    wanted = options.require_choice("space", config.space or "auto", feature_spaces.NAMES)
    pictures.require_form(config.image_size, config.channels)
    space = None
    if wanted == "inception" or (wanted == "auto" and feature_spaces.has_weights(config.weights)):
        # First of all: weights of another network must not show after an hour's reading.
        space = feature_spaces.inception(
            config.weights, config.layer, config.resize, config.batch_size
        )
    moments = comparison.read_moments(config.against)
    if moments is not None:
        return _beside_moments(config, find, moments, space)
    measured, against = _sides(config, find)
    places = [picture_sets.places_of(side, config.num) for side in (measured, against)]
    if min(map(len, places)) < 2:
        raise ValueError(f"{[len(x) for x in places]} pictures: give at least two of each side")
    measured = picture_sets.in_proportion(measured, against, places[1])
    feature_spaces.require_alike(measured, against, space is not None)
    space = space or _space_of_the_data(wanted, against, places[1])
    summaries = [
        comparison.summarise(side, chosen, space, config.batch_size, config.pairs)
        for side, chosen in zip((measured, against), places, strict=True)
    ]
    both = (summaries[0], summaries[1])
    found = {
        "metrics": comparison.metrics_of(*both, space),
        "measured": {**measured.about, **_counted(measured, both[0].sums)},
        "against": {**against.about, **_counted(against, both[1].sums)},
        "protocol": comparison.protocol(*both, space),
    }
    classes = comparison.per_class(measured, against, both, space)
    return found | ({"per_class": classes} if classes else {})


def _beside_moments(
    config: Config, find: reading.Find, moments: comparison.Moments, space: Space | None
) -> dict[str, Any]:
    if space is None:
        raise ValueError(
            f"{config.against} holds statistics of the Inception network's features: give its "
            "--weights FILE.pth too"
        )
    measured = picture_sets.of(config.source, _choice(config), find)
    places = picture_sets.places_of(measured, config.num)
    if len(places) < 2:
        raise ValueError(f"{len(places)} pictures: give at least two")
    feature_spaces.require_alike(measured, measured, resized=True)
    summary = comparison.summarise(measured, places, space, config.batch_size, config.pairs)
    digest = hashlib.sha256(pathlib.Path(config.against).read_bytes()).hexdigest()
    return {
        "metrics": comparison.beside_moments(summary, moments, space),
        "measured": {**measured.about, **_counted(measured, summary.sums)},
        "against": {"kind": "statistics", "file": config.against, "sha256": digest},
        "protocol": {"space": space.name, **space.about, "features": len(moments.mean)},
    }


def _counted(side: PictureSet, sums: frechet.Sums) -> dict[str, Any]:
    return {"shape": list(side.shape), "num": sums.num, "of": side.num}


def _choice(config: Config) -> Choice:
    names = {field.name for field in dataclasses.fields(config)} & set(Choice._fields)
    return Choice(**{name: getattr(config, name) for name in names})


def _sides(config: Config, find: reading.Find) -> tuple[PictureSet, PictureSet]:
    if not config.against and not picture_sets.is_run(config.source):
        where = check.printable(config.source)
        raise ValueError(
            f"{where!r} is no run, it has no config.json: give a run's directory, or --against too"
        )
    choice = _choice(config)
    measured = picture_sets.of(config.source, choice, find)
    if config.against:
        return measured, picture_sets.of(config.against, choice, find)
    _, experiment, options_of_run, _ = reading.described_run(pathlib.Path(config.source), find)
    own = picture_sets.of_task(experiment.load(options_of_run), config.split)
    if getattr(options_of_run, "stream", False):  # `tasks` shows some that stand for all
        own.about["notes"] = ["the run streams its data: these pictures stand for all of them"]
    return measured, own


def _space_of_the_data(wanted: str, against: PictureSet, places: list[int]) -> Space:
    labelled = against.labels is not None and len(against.shape) == 3
    if wanted == "classifier" or (wanted == "auto" and labelled):
        return feature_spaces.classifier(against, places)
    return feature_spaces.pixels(against)
