"""Runs that train on labels: their classes, exact resume, pictures, samples, and bad input."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import began, cifar10, dcgan, ebgan, wgan_gp
from jwgan import data
from jwgan.run import classes, evaluate, image_task, launch, reading, with_labels
from jwgan.types import Labelled

TINY = ["--width", "2", "--latent", "2", "--batch-size", "6", "--n-critic", "1"]
TINY += ["--chunk-steps", "2", "--checkpoint-every", "2", "--steps", "4", "--no-quality"]
PROJECTION = ["--conditional", "projection"]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def only_starts(monkeypatch):
    """Commands load, build, check and describe their run, and end where training would begin."""
    monkeypatch.setattr(launch, "_finish", lambda run: None)


def train(*argv, experiment=wgan_gp.EXPERIMENT):
    launch.main(experiment, [*TINY, *argv])


def read(name, file="config.json"):
    return json.loads((pathlib.Path(name) / file).read_text())


def ends(capsys, *argv, experiment=wgan_gp.EXPERIMENT):
    """The one line of an end before anything was written."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        train("--run-dir", "bad", *argv, experiment=experiment)
    assert end.value.code == 2
    assert not pathlib.Path("bad").exists()
    [line] = capsys.readouterr().err.splitlines()
    return line


def folder(names=("cat", "dog", "cow"), count=4, side=8):
    """Class folders of pictures; every picture of class i has the grey 60 i."""
    for i, name in enumerate(names):
        for j in range(count):
            path = pathlib.Path("images") / name / f"{j}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((side, side), 60 * i, np.uint8)).save(path)
    return ["--dataset", "folder", "--data-dir", "images"]


@pytest.mark.parametrize("more", [[], pytest.param(["--stream"], marks=pytest.mark.slow)])
def test_a_conditional_run_from_its_start_to_its_samples(more, capsys):
    argv = [*folder(), *PROJECTION, *more]
    train(*argv, "--run-dir", "whole", "--json")
    found = read("whole")
    assert found["data"]["classes"] == ["cat", "cow", "dog"]
    assert found["config"]["classes"] == 3
    # Killed half way, and gone on: the same bits.
    train(*argv, "--run-dir", "half", "--steps", "2")
    train("--run-dir", "half", "--resume", "--steps", "4")
    assert (
        read("half", "result.json")["state_sha256"] == read("whole", "result.json")["state_sha256"]
    )
    # A row of the picture is a class.
    picture = np.asarray(Image.open("whole/samples/00000004.png"))
    assert picture.shape[1] > 3 * picture.shape[0]
    sample = lambda *argv: launch.main(wgan_gp.EXPERIMENT, ["sample", "whole", *argv])
    sample("--num", "6", "--label", "dog", "--out", "dog.npy")
    sample("--num", "6", "--label", "2", "--out", "two.npy")
    sample("--num", "6", "--label", "0", "--out", "cat.npy")
    sample("--num", "6", "--out", "all.npy")
    sample("--num", "3", "--interpolate", "2", "--out", "paths.npy")
    dog, two, cat, every = (np.load(f"{name}.npy") for name in ("dog", "two", "cat", "all"))
    assert (dog == two).all()
    assert (dog != cat).any()
    assert (every[:2] == cat[:2]).all()
    assert (every[4:] == dog[4:]).all()
    paths = np.load("paths.npy")
    sample("--num", "3", "--label", "1", "--out", "cow.npy")
    np.testing.assert_allclose(paths[2], np.load("cow.npy")[1], atol=1e-6)  # the second one's start
    for label, what in (("3", "give 0 to 2, or one of cat, cow, dog"), ("pig", "give 0 to 2")):
        capsys.readouterr()
        with pytest.raises(SystemExit):
            sample("--label", label)
        assert f"label is {label!r}: {what}" in capsys.readouterr().err


def test_two_orders_of_names_are_two_runs(only_starts, capsys):
    """A resume notices that the classes are others."""
    train(*folder(), *PROJECTION, "--run-dir", "run")
    pathlib.Path("images/cat").rename("images/pig")
    with pytest.raises(SystemExit):
        train("--run-dir", "run", "--resume")
    assert "data classes was ['cat', 'cow', 'dog'] and is ['cow'" in capsys.readouterr().err


def test_a_file_of_labels_is_the_class_folders(only_starts):
    argv = [*folder(), *PROJECTION]
    lines = [f"{path.relative_to('images')},{path.parent.name}"
             for path in pathlib.Path("images").rglob("*.png")]  # fmt: skip
    pathlib.Path("labels.csv").write_text("\n".join(lines))
    train(*argv, "--run-dir", "a")
    train(*argv, "--labels", "labels.csv", "--run-dir", "b")
    assert read("a")["data"] == read("b")["data"]


@pytest.mark.parametrize("experiment", [wgan_gp, dcgan, cifar10, ebgan, began])
@pytest.mark.parametrize("way", ["projection", "concat", "auxiliary"])
def test_every_way_in_every_kind_of_experiment(experiment, way, only_starts, capsys):
    argv = [*folder(side=16), "--conditional", way, "--channels", "1", "--image-size", "16"]
    if experiment in (ebgan, began) and way != "concat":
        line = ends(capsys, *argv, experiment=experiment.EXPERIMENT)
        assert line == (
            f"error: conditional is {way!r}: the critic is an auto-encoder, whose energy is no "
            "score of features; give --conditional concat"
        )
        return
    train(*argv, "--run-dir", "run", experiment=experiment.EXPERIMENT)
    assert read("run")["config"]["classes"] == 3


@pytest.mark.parametrize("experiment", [wgan_gp, ebgan])
def test_labels_beside_a_flattened_image_are_columns(experiment):
    """Planes of them would make an MLP's first layer K + 1 times as large."""
    shape = (8, 8, 1)
    options = {"width": 2, "latent": 2, "conditional": "concat", "classes": 3, "n_critic": 1}
    experiment = experiment.EXPERIMENT
    # EBGAN's own networks; the shallow pair is convolutional.
    config = experiment.config(**experiment.with_settings({**options, "network": "auto"}))
    algorithm = experiment.build(config, shape)
    batch = Labelled(jnp.zeros((1, 6, *shape)), jnp.zeros((1, 6), int))
    state = jax.eval_shape(algorithm.init, jax.random.key(0), batch)
    kernels = [x.shape for x in jax.tree.leaves(state.inner.critic.params) if x.ndim == 2]
    assert (64 + 3, 16) in kernels
    assert max(rows for rows, _ in kernels) == 64 + 3


def test_bad_input_is_one_line(capsys):
    plain = ["--dataset", "folder", "--data-dir", "images"]
    folder(names=("only",))
    assert "folder has no labels; give pictures in a folder for each class" in ends(
        capsys, *plain, *PROJECTION
    )
    both = folder()
    assert "classes is 7: folder has 4; leave it out" in ends(
        capsys, *both, *PROJECTION, "--classes", "7"
    )
    assert "conditional is 'projektion': did you mean projection?" in ends(
        capsys, *both, "--conditional", "projektion"
    )
    pathlib.Path("labels.csv").write_text("cat/0.png,cat\n")
    assert "labels.csv: 15 of 16 pictures have no line, cat/1.png first" in ends(
        capsys, *both, "--labels", "labels.csv"
    )
    assert "labels is 'labels.csv': only --dataset folder takes" in ends(
        capsys, "--labels", "labels.csv"
    )


def test_data_without_labels_for_a_task_of_ones_own():
    images = np.zeros((8, 8, 8, 1), np.float32)
    with pytest.raises(ValueError, match="own has no labels"):
        with_labels(image_task(data.Dataset("own", images)))
    wrong = data.Dataset("own", images, np.arange(8) % 3, class_names=("a", "b"))
    with pytest.raises(ValueError, match="label is 2 at place 2: give classes from 0 to 1"):
        with_labels(image_task(wrong)).source(1, 2)


def test_a_strangers_classes_are_refused():
    for bad in ("abc", [1, 2], {"a": 1}):
        described = {"shape": [8, 8, 1], "classes": bad}
        with pytest.raises(ValueError, match="its data's classes"):
            reading.tasks.without_data(described)


# --- what samples are asked for -------------------------------------------------------------------


def test_a_grid_has_a_row_a_class():
    assert classes.in_rows(3, 6).tolist() == [0, 0, 1, 1, 2, 2]
    assert classes.in_rows(3, 8).tolist() == [0, 0, 1, 1, 2, 2, 0, 0]
    assert classes.in_rows(10, 3).tolist() == [0, 1, 2]
    assert classes.in_rows(0, 3) is None
    task = image_task(data.Dataset("own", np.zeros((2, 4, 4, 1), np.float32)))
    assert classes.of_picture(task, 100) is None
    many = task._replace(classes=tuple(map(str, range(1000))))
    shown = classes.of_picture(many, 100).reshape(10, 10)
    assert (shown == shown[:, :1]).all()
    assert shown[0, 0] == 0
    assert shown[-1, 0] == 999
    assert len(classes.of_picture(task._replace(classes=("a", "b", "c")), 100)) == 30


def test_labels_in_the_proportions_of_the_data():
    task = image_task(data.Dataset("own", np.zeros((2, 4, 4, 1), np.float32)))
    task = task._replace(classes=("a", "b"))
    label = classes.as_data(task, np.array([0, 0, 0, 1]), 400)
    assert np.bincount(label).tolist() == [300, 100]


def test_whether_samples_are_of_the_class_asked_for():
    """By hand: of class 0 one of two is right, of class 1 both; moved by 3 within class 1."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 50)
    real = rng.normal(size=(100, 2)) + 10 * labels[:, None]
    fake = real + 3 * labels[:, None] * np.array([[1, 0]])
    seen = np.eye(2)[np.where(np.arange(100) < 25, 1, labels)]
    found = classes.measure(labels, seen, (real, real, fake), (labels, labels))
    assert found["asked_for_share"] == 0.75
    assert found["smallest_asked_for_share"] == 0.5
    # Frechet distances: 0 in class 0, 3 squared in class 1.
    np.testing.assert_allclose(found["frechet_within_classes"], 4.5, rtol=1e-3)
    np.testing.assert_allclose(found["frechet_within_classes_of_real"], 0, atol=1e-3)


class Shows:
    """A member whose samples show the class that they were asked for."""

    classes = 3

    def prior(self, key, num):
        raise AssertionError("the labels of quality are those of the data")

    def sample(self, key, state, num, label=None):
        return jax.numpy.ones((1, 8, 8, 1)) * label[:, None, None, None] / 3


def test_quality_asks_for_the_classes_of_the_data(monkeypatch):
    labels = np.arange(12) % 3
    images = np.ones((12, 8, 8, 1), np.float32) * labels[:, None, None, None] / 3
    dataset = data.Dataset("own", images, labels, images, labels, ("a", "b", "c"))
    task = with_labels(image_task(dataset, "digits"))
    fake, label = evaluate.samples(task, Shows(), None)
    assert len(fake) == len(label) == 1000
    assert (fake[:, 0, 0, 0] == (label / 3).astype(np.float32)).all()


def test_the_memorisation_of_a_critic_that_reads_labels():
    """Its score is the label times the pixels: 2 of data, 0 or 4 of unseen data."""
    ones, half = np.ones((12, 8, 8, 1), np.float32), np.arange(12) % 3 // 2 * 2  # 0, 0, 2, ...

    class Member:
        sample = staticmethod(lambda key, state, num, label=None: -jnp.ones((num, 8, 8, 1)))
        score = staticmethod(lambda state, x: x.label * x.x.mean(axis=(1, 2, 3)))
        separation = staticmethod(lambda real, fake: real.mean() - fake.mean())

    dataset = data.Dataset("own", ones, np.full(12, 2), 2 * ones, half, ("a", "b", "c"))
    task = with_labels(image_task(dataset, "own"))
    found = evaluate.sample_metrics(task, Member(), None)
    # Of the six unseen points that the alarm looks at four have the label 0.
    np.testing.assert_allclose(found["membership_auc"], 4 / 6, rtol=1e-6)
