"""Conditional runs beside the rest: sweeps, exact W1, augmentation, TFDS, export, measuring."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_data import encoded, picture, write_encoded_tfds
from PIL import Image

from experiments import dcgan, wgan_gp
from jwgan.run import export, image_task, launch, picture_sets, tasks
from jwgan.run.picture_sets import Choice
from jwgan.types import Labelled

TINY = ["--width", "2", "--latent", "2", "--batch-size", "6", "--n-critic", "1"]
TINY += ["--chunk-steps", "2", "--checkpoint-every", "2", "--no-quality"]
PROJECTION = ["--conditional", "projection"]
COUNTS = {"cat": 9, "cow": 1, "dog": 2}


def train(*argv):
    launch.main(wgan_gp.EXPERIMENT, [*TINY, *argv])


def command(*argv):
    launch.main(wgan_gp.EXPERIMENT, list(argv))


def read(folder, file="result.json"):
    return json.loads((pathlib.Path(folder) / file).read_text())


def class_folders(root):
    """Pictures of 8 x 8 in COUNTS's folders."""
    for i, (name, count) in enumerate(COUNTS.items()):
        (root / name).mkdir(parents=True)
        for j in range(count):
            grey = np.full((8, 8), 100 * i, np.uint8)
            grey[j % 8] = 255
            Image.fromarray(grey).save(root / name / f"{j}.png")
    return ["--dataset", "folder", "--data-dir", str(root)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("images") / "made")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, images):
    """A conditional run with all that looks at the data on the way."""
    run = str(tmp_path_factory.mktemp("runs") / "run")
    more = ["--w1-every", "2", "--augment", "diff", "--mirror", "--accumulate", "2"]
    train(*images, *PROJECTION, *more, "--steps", "4", "--run-dir", run)
    return run


@pytest.mark.slow
def test_exact_w1_and_augmentation_go_with_labels(trained, images, tmp_path):
    lines = (pathlib.Path(trained) / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    w1 = [row["sample_w1"] for row in rows if "sample_w1" in row]
    assert len(w1) >= 2
    assert np.isfinite(w1).all()
    # Killed half way and gone on: the same bits, the probe's rows among them.
    half = str(tmp_path / "half")
    more = ["--w1-every", "2", "--augment", "diff", "--mirror", "--accumulate", "2"]
    train(*images, *PROJECTION, *more, "--steps", "2", "--run-dir", half)
    train("--resume", "--steps", "4", "--run-dir", half)
    assert read(half)["state_sha256"] == read(trained)["state_sha256"]


@pytest.mark.slow
def test_a_sweep_of_conditional_trials(images, tmp_path, monkeypatch):
    """Its trials are the runs that they would be alone, as far as rounding goes."""
    monkeypatch.chdir(tmp_path)
    train(*images, *PROJECTION, "--sweep", "weight=1,10", "--seeds", "2", "--steps", "2",
          "--run-dir", "sweep")  # fmt: skip
    trials = read("sweep")["per_trial"]
    assert len(trials) == 4
    place = next(
        i for i, one in enumerate(read("sweep", "config.json")["trials"])
        if one["weight"] == 10.0 and one["seed"] == 1
    )  # fmt: skip
    train(*images, *PROJECTION, "--weight", "10", "--seed", "1", "--steps", "2",
          "--run-dir", "alone")  # fmt: skip
    argv = ["--num", "6", "--label", "dog", "--out"]
    command("sample", "sweep", "--trial", str(place), *argv, "trial.npy")
    command("sample", "alone", *argv, "alone.npy")
    np.testing.assert_allclose(np.load("trial.npy"), np.load("alone.npy"), atol=1e-5)


@pytest.mark.parametrize(
    ("experiment", "way", "size"),
    [
        (wgan_gp, "concat", 8),
        # Conditional batch norm in the generator.
        pytest.param(dcgan, "projection", 16, marks=pytest.mark.slow),
    ],
)
def test_the_exported_generator_is_called_with_labels(experiment, way, size):
    """Its batch size is a symbol, which a shape must not be asked for as a number."""
    config = experiment.Config(width=2, latent=2, conditional=way, classes=3, n_critic=1)
    shape = (size, size, 1)
    algorithm = experiment.EXPERIMENT.build(config, shape)
    batch = Labelled(jnp.zeros((1, 6, *shape)), jnp.zeros((1, 6), int))
    state = algorithm.init(jax.random.key(0), batch)
    generator = export.export_generator(algorithm, state)
    z = algorithm.latents(jax.random.key(3), 5, np.array([0, 1, 2, 0, 1]))
    found = generator.call(z.x, z.label)
    np.testing.assert_allclose(found, algorithm.generate(state, z), atol=1e-5)
    if way == "concat":  # all classes begin alike in conditional batch norm
        other = generator.call(z.x, (z.label + 1) % 3)
        assert (np.asarray(other) != np.asarray(found)).any()


@pytest.mark.slow
def test_labelled_records_of_a_data_set(tmp_path, monkeypatch):
    """Held or streamed, a critic gets the label that lies beside the picture."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    greys, parts, labels = {}, {}, {}
    for name, num in (("train", 12), ("validation", 6)):
        labels[name] = [i % 3 for i in range(num)]
        # The class is the picture's first pixel.
        made = [picture("L", (8, 8), rng) for _ in range(num)]
        for label, image in zip(labels[name], made, strict=True):
            image.putpixel((0, 0), 100 * label)
        greys[name], parts[name] = made, [encoded(image) for image in made]
    write_encoded_tfds(parts, "tfds", labels=labels)
    argv = ["--dataset", "tfds/made", "--data-dir", "tfds"]
    for stream in ([], ["--stream"]):
        run = f"run{len(stream)}"
        train(*argv, *PROJECTION, *stream, "--steps", "2", "--run-dir", run)
        assert read(run, "config.json")["data"]["classes"] == ["x", "y", "z"]
        config = wgan_gp.Config(
            dataset="tfds/made", data_dir="tfds", conditional="projection", stream=bool(stream)
        )
        task = tasks.from_config(config)
        batch = first_batch(task.source(2, 6))
        seen = np.rint((np.asarray(batch.x)[..., 0, 0, 0] * 127.5 + 127.5) / 100)
        np.testing.assert_array_equal(seen, batch.label)


def first_batch(source):
    xs, take = source.batches(source.fetch(0, 1), jax.random.key(0), 1)
    return take(jax.tree.map(lambda leaf: leaf[0], xs))


# --- measuring ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_conditional_run_is_asked_for_the_classes_of_its_data(trained, capsys):
    command("measure", trained, "--space", "pixels", "--num", "24", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["measured"]["num"] == 24
    assert {name: one["pictures"] for name, one in found["per_class"].items()} == {
        name: [2 * count, count] for name, count in COUNTS.items()
    }


class Shows:
    """A generator whose pictures show the class that they were asked for."""

    def sample(self, key, state, num, label=None):
        return np.ones((num, 8, 8, 1), np.float32) * (label[:, None, None, None] - 1)


@pytest.fixture
def shown(monkeypatch):
    class State:
        step = 7

    task = image_task(tasks.data.Dataset("own", np.zeros((2, 8, 8, 1), np.float32)))
    task = task._replace(classes=tuple(COUNTS))
    found = lambda *args, **more: (task, Shows(), State())
    monkeypatch.setattr(picture_sets.reading, "read_run", found)
    monkeypatch.setattr(picture_sets.jax, "jit", lambda function, **more: function)
    monkeypatch.setattr(picture_sets.jax, "eval_shape", lambda function: function())
    return picture_sets._of_run(pathlib.Path("run"), Choice(num=700), None)


def read_greys(found):
    x = np.concatenate(list(found.batches(range(found.num), 64)))
    return np.rint(x[:, 0, 0, 0] / 127.5).astype(int)


def test_samples_show_the_labels_that_are_said(shown):
    assert np.bincount(shown.labels).tolist() == [234, 233, 233]
    np.testing.assert_array_equal(read_greys(shown), shown.labels)
    assert shown.class_names == tuple(COUNTS)


def test_in_proportion_to_the_other_side(shown):
    labels = np.repeat(np.arange(3), list(COUNTS.values()))
    other = picture_sets.of_numbers(np.zeros((12, 8, 8, 1), np.uint8), {}, "made")
    other = other._replace(labels=labels, class_names=tuple(COUNTS))
    found = picture_sets.in_proportion(shown, other, range(12))
    assert found.num == 700
    counts = np.bincount(found.labels)
    assert abs(counts - 700 * np.array(list(COUNTS.values())) / 12).max() < 10
    np.testing.assert_array_equal(read_greys(found), found.labels)
    # Only of those that are compared: the first nine are cats.
    cats = picture_sets.in_proportion(shown, other, range(9))
    assert (cats.labels == 0).all()
    # Other names, or none: nothing is known, so all classes alike.
    for against in (other._replace(class_names=("a", "b", "c")), other._replace(labels=None)):
        assert picture_sets.in_proportion(shown, against, range(12)) is shown
    assert picture_sets.in_proportion(other, other, range(12)) is other
