"""Two sets of pictures side by side: known answers, what the result says of itself, bad input."""

import dataclasses
import json
import pathlib

import inception_reference
import numpy as np
import PIL.Image
import pytest
from scipy import linalg

from experiments import sample, wgan_gp
from jwgan import metrics
from jwgan.metrics import coverage, frechet, inception, kernel, tensor_files
from jwgan.run import comparison, launch, measure, picture_sets, spaces, weights
from jwgan.run.picture_sets import Choice

# Its runs are made once, by one worker.
pytestmark = pytest.mark.xdist_group("comparison")

SAVED = dict(np.load(pathlib.Path(__file__).parent.parent / "metrics" / "torch_files.npz"))


@pytest.fixture(autouse=True)
def nothing_of_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # no converted weights
    monkeypatch.chdir(tmp_path)


def save(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    for i, x in enumerate(images):
        PIL.Image.fromarray(x).save(folder / f"{i:03}.png")
    return str(folder)


def measured(capsys, *argv):
    measure.main(sample.find, [*argv, "--json"])
    return json.loads(capsys.readouterr().out)


def refused(capsys, *argv):
    with pytest.raises(SystemExit) as end:
        measure.main(sample.find, [*argv])
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    return err


def pictures(seed, num, side=8):
    return inception_reference.made_pictures(seed, num, side)


def floats(images):
    return images.reshape(len(images), -1).astype(np.float64) / 127.5 - 1


def test_two_folders_in_the_space_of_pixels(capsys):
    x, y = pictures(1, 12), pictures(2, 9)
    found = measured(capsys, save(pathlib.Path("x"), x), "--against", save(pathlib.Path("y"), y))
    got, real, fake = found["metrics"], floats(y), floats(x)
    covs = [np.cov(rows, rowvar=False) for rows in (real, fake)]
    root = linalg.sqrtm(covs[0] @ covs[1]).real
    difference = real.mean(axis=0) - fake.mean(axis=0)
    distance = difference @ difference + np.trace(covs[0] + covs[1] - 2 * root)
    assert got["frechet_distance"] == pytest.approx(distance, rel=1e-4)
    near = coverage.neighbours(real, fake)
    for name, value in near._asdict().items():
        assert got[name] == pytest.approx(value)
    mean, std = kernel.mmd2_of_subsets(real, fake, kernel.polynomial(), subset_size=9)
    assert got["kernel_distance"]["mean"] == pytest.approx(mean, rel=1e-5)
    assert got["kernel_distance"]["std"] == pytest.approx(std, rel=1e-4)
    # what is no FID is not called so
    assert not {"fid", "kid", "inception_score", "classifier_score"} & got.keys()
    assert found["measured"] == {
        "kind": "folder", "folder": "x", "shape": [8, 8, 3], "num": 12, "of": 12
    }  # fmt: skip
    assert found["protocol"]["space"] == "pixels"
    assert "12 and 9 pictures" in found["protocol"]["frechet_distance"]
    assert "biased upwards" in found["protocol"]["frechet_distance"]
    assert "subsets of 9" in found["protocol"]["kernel_distance"]
    assert "per_class" not in found


def test_equal_sets_of_duplicates_are_perfect(capsys):
    x = np.repeat(pictures(1, 6), 4, axis=0)
    save(pathlib.Path("x"), x)
    np.save("x.npy", x[::-1])
    got = measured(capsys, "x.npy", "--against", "x")["metrics"]
    assert got["frechet_distance"] == pytest.approx(0, abs=1e-4)
    for name in ("precision", "recall", "density", "coverage"):
        assert got[name] == pytest.approx(1)


def test_an_array_of_floats_is_measured_as_its_saved_pictures(capsys):
    x = pictures(1, 10)
    np.save("bytes.npy", x)
    np.save("floats.npy", ((x - 0.4) / 127.5 - 1).astype(np.float32))
    np.save("above.npy", ((x + 0.4) / 127.5 - 1).astype(np.float32))
    np.savez("named.npz", labels=np.zeros(10, int), images=x)
    save(pathlib.Path("y"), pictures(2, 10))
    got = [
        measured(capsys, name, "--against", "y", "--space", "pixels")["metrics"]
        for name in ("bytes.npy", "floats.npy", "above.npy", "named.npz")
    ]
    assert got[0] == got[1] == got[2] == got[3]


def test_points_have_a_distance_too(capsys, rng):
    x = rng.normal(size=(200, 2))
    np.save("x.npy", x)
    np.save("y.npy", x + np.array([3.0, 4.0]))
    got = measured(capsys, "x.npy", "--against", "y.npy")["metrics"]
    assert got["frechet_distance"] == pytest.approx(25, rel=1e-6)
    points = picture_sets.of_numbers(x, {"kind": "array"}, "x")
    with pytest.raises(ValueError, match=r"space is 'inception': points \[2\] are no pictures"):
        spaces.require_alike(points, points, True)


def test_sums_do_not_depend_on_the_batches(rng):
    x = pictures(1, 30)
    found = picture_sets.of_numbers(x, {"kind": "array"}, "x")
    space = spaces.pixels(found)
    whole, *others = (
        comparison.summarise(found, list(range(30)), space, size, 7) for size in (30, 7, 1)
    )
    for other in others:
        np.testing.assert_allclose(other.sums.scatter, whole.sums.scatter, rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(other.rows, whole.rows)
    assert len(whole.rows) == 7  # the pairs' pictures, evenly spread
    np.testing.assert_allclose(whole.rows, floats(x)[[i * 30 // 7 for i in range(7)]], atol=1e-6)


def test_large_pictures_are_made_small_in_the_space_of_pixels():
    found = picture_sets.of_numbers(pictures(1, 3, 64), {"kind": "array"}, "x")
    space = spaces.pixels(found)
    features, logits = space.embed(pictures(1, 3, 64))
    assert features.shape == (3, 16 * 16 * 3)
    assert logits is None
    assert "16 x 16 by antialiased bicubic" in space.about["features"]


def test_class_folders_bring_distances_within_classes(capsys):
    for side, seed in (("x", 1), ("y", 2)):
        save(pathlib.Path(side, "cat"), pictures(seed, 5))
        save(pathlib.Path(side, "dog"), pictures(seed + 10, 6))
    save(pathlib.Path("y", "eel"), pictures(3, 4))
    found = measured(capsys, "x", "--against", "y", "--space", "pixels")["per_class"]
    assert list(found) == ["cat", "dog"]
    assert found["dog"]["pictures"] == [6, 6]
    expected = frechet.frechet_distance(floats(pictures(12, 6)), floats(pictures(11, 6)))
    assert found["dog"]["frechet_distance"] == pytest.approx(expected, rel=1e-4)


def test_a_data_set_and_the_space_of_its_labels(capsys, monkeypatch):
    fitted = metrics.classifier.fit
    quick = lambda *args, **how: fitted(*args, **{**how, "steps": 3, "widths": (2,)})
    monkeypatch.setattr(metrics.classifier, "fit", quick)
    found = measured(
        capsys, "digits", "--against", "digits", "--split", "test", "--num", "40", "--pairs", "20"
    )
    assert found["protocol"]["space"] == "classifier"
    assert found["protocol"]["network"] == "a CNN trained on 40 pictures of digits, by their labels"
    assert found["measured"]["num"] == 40
    assert found["against"] == {
        "kind": "data set", "name": "digits", "split": "test", "shape": [8, 8, 1], "num": 40,
        "of": 355,
    }  # fmt: skip
    # the score of three steps is that of no knowledge
    assert 1 <= found["metrics"]["classifier_score"]["mean"] < 2
    assert {"classifier_score_of_real", "kernel_distance", "precision"} <= found["metrics"].keys()
    assert "20 and 20 pictures" in found["protocol"]["precision, recall"]
    assert set(found["per_class"]) == set("0123456789")


# ---- Inception ----------------------------------------------------------------------------------


@pytest.fixture
def small_network(monkeypatch):
    """In place of the network: means of a picture's parts; and a file of weights for it."""

    def apply(params, images):
        parts = images.reshape(len(images), 13, 23, 13, 23, 3).mean(axis=(2, 4))
        features = parts.reshape(len(images), -1)
        return inception.Outputs({2048: features, 64: features[:, :4]}, features[:, :6], None)

    monkeypatch.setattr(inception, "apply", apply)
    monkeypatch.setattr(inception, "params_of", lambda tensors: {})
    pathlib.Path("w.safetensors").write_bytes(tensor_files.to_bytes({"x": np.ones(1)}, {}))


@pytest.mark.parametrize("is_known", [True, False])
def test_only_with_the_published_weights_it_is_called_fid(
    capsys, monkeypatch, small_network, is_known
):
    monkeypatch.setattr(inception, "is_published", lambda sha256: is_known)
    save(pathlib.Path("x"), pictures(1, 12))
    save(pathlib.Path("y"), pictures(2, 11))
    argv = ["x", "--against", "y", "--weights", "w.safetensors", "--batch-size", "5"]
    found = measured(capsys, *argv)
    sha256 = tensor_files.read("w.safetensors").sha256
    said = found["protocol"]
    assert said["space"] == "inception"
    assert said["weights"]["sha256"] == sha256
    assert said["weights"]["are"] == f"{'' if is_known else 'not '}those of published figures"
    assert said["resizing"] == "pytorch-fid, to 299 pixels a side"
    names = {"fid", "kid", "inception_score", "inception_score_of_real"}
    others = {"frechet_distance", "kernel_distance", "classifier_score", "classifier_score_of_real"}
    shares = {"precision", "recall", "density", "coverage"}
    assert found["metrics"].keys() == shares | (names if is_known else others)
    assert names_of_protocol(said) == ({"fid", "kid", "inception_score"} if is_known else set())
    layer = measured(capsys, *argv, "--layer", "64", "--resize", "clean-fid")
    assert "fid" not in layer["metrics"]
    assert layer["protocol"]["layer"] == 64
    assert layer["protocol"]["resizing"] == "clean-fid, to 299 pixels a side"


def names_of_protocol(said):
    return said.keys() & {"fid", "kid", "inception_score"}


def test_statistics_that_others_saved_are_the_pictures_themselves(capsys, small_network):
    save(pathlib.Path("x"), pictures(1, 12))
    save(pathlib.Path("y"), pictures(2, 11))
    argv = ["x", "--weights", "w.safetensors", "--layer", "64", "--against"]
    whole = measured(capsys, *argv, "y")
    space = spaces.inception("w.safetensors", 64, "pytorch-fid", 32)
    features = np.asarray(space.embed(pictures(2, 11))[0], np.float64)
    np.savez("y.npz", mu=features.mean(axis=0), sigma=np.cov(features, rowvar=False))
    found = measured(capsys, *argv, "y.npz")
    np.testing.assert_allclose(
        found["metrics"]["frechet_distance"], whole["metrics"]["frechet_distance"], rtol=1e-5
    )
    assert found["metrics"]["classifier_score"] == whole["metrics"]["classifier_score"]
    assert found["metrics"].keys() == {"frechet_distance", "classifier_score"}
    assert found["measured"] == whole["measured"]
    assert found["against"]["kind"] == "statistics"
    # What cannot be told is one line.
    err = refused(capsys, "x", "--against", "y.npz")
    assert "holds statistics of the Inception network's features: give its --weights" in err
    err = refused(capsys, "x", "--weights", "w.safetensors", "--against", "y.npz")
    assert "the statistics are of 4 features, and the network's layer has 507" in err
    for what, mu, sigma in (
        ("are no mean [F] and covariance [F, F]", np.zeros(4), np.zeros((4, 3))),
        ("some of its statistics are not finite", np.full(4, np.nan), np.eye(4)),
    ):
        np.savez("bad.npz", mu=mu, sigma=sigma)
        assert what in refused(capsys, *argv, "bad.npz")
    pathlib.Path("bad.npz").write_bytes(pathlib.Path("y.npz").read_bytes()[:200])
    assert "bad.npz: no array" in refused(capsys, *argv, "bad.npz")


def test_batches_are_filled_up_and_grey_is_repeated(small_network):
    space = spaces.inception("w.safetensors", 2048, "torch-fidelity", 8)
    x = pictures(1, 5)
    features, _ = space.embed(x)
    one = np.concatenate([space.embed(x[i : i + 1])[0] for i in range(5)])
    np.testing.assert_allclose(features, one, rtol=1e-6)
    grey = x[..., :1]
    np.testing.assert_array_equal(space.embed(grey)[0], space.embed(np.repeat(grey, 3, axis=3))[0])


def test_without_weights_inception_says_what_to_do(capsys):
    save(pathlib.Path("x"), pictures(1, 3))
    err = refused(capsys, "x", "--against", "x", "--space", "inception")
    assert "there are no Inception weights at" in err
    assert "give --weights FILE.pth" in err


@pytest.mark.parametrize("name", ["state-new", "state-legacy", "hostile-new", "hostile-legacy"])
def test_another_networks_or_a_hostile_file_ends_before_anything_is_written(capsys, tmp_path, name):
    pathlib.Path("w.pth").write_bytes(SAVED[name].tobytes())
    save(pathlib.Path("x"), pictures(1, 3))
    says = "tensors are missing" if name.startswith("state") else "it calls the name posix.system"
    err = refused(capsys, "x", "--against", "x", "--weights", "w.pth")
    assert says in err
    with pytest.raises(SystemExit):
        weights.main(["w.pth"])
    assert says in capsys.readouterr().err
    assert not pathlib.Path("hostile-was-here").exists()
    assert not (tmp_path / "home").exists()


def test_converted_weights_are_the_files_and_keep_its_checksum(capsys, tmp_path):
    made = inception_reference.made_tensors(inception.tensor_shapes())
    content = tensor_files.to_bytes({**made, "extra.num_batches_tracked": np.zeros(1)}, {})
    pathlib.Path("theirs.safetensors").write_bytes(content)
    weights.main(["theirs.safetensors", "--json"])
    said = json.loads(capsys.readouterr().out)
    kept = tmp_path / "home/.cache/jwgan/inception.safetensors"
    assert said["out"] == str(kept)
    assert said["tensors"] == 472
    source = tensor_files.read("theirs.safetensors").sha256
    found = weights.load()  # from where it lies by default
    assert found.about["sha256"] == said["weights"]["sha256"] == source
    assert not found.published
    np.testing.assert_array_equal(found.params["fc_bias"], made["fc.bias"])
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match="damaged: its numbers do not have the checksum"):
        weights.load()
    with pytest.raises(SystemExit):
        weights.main(["theirs.safetensors", "--out", "w.npz"])
    assert "give a name ending in .safetensors" in capsys.readouterr().err


# What torch-fidelity 0.4.0 and pytorch-fid 0.3.0 gave for these two folders and these weights, and
# what their float32 features leave of it.  They are given 24 and 20 pictures, so `kid_subset_size`
# is 20.
SAID = {
    "torch-fidelity": {
        "fid": (98.38644485754239, 1e-4),
        "kid.mean": (11.294990234375, 1e-3),
        "kid.std": (2.622733019194131, 1e-3),
        "inception_score.mean": (1.002614848506632, 1e-6),
        "inception_score.std": (0.001277866883929996, 1e-3),
        "precision": (16 / 24, 1e-7),  # printed with 8 digits; the next count is 1 / 24 off
        "recall": (1 / 20, 1e-7),
    },
    "pytorch-fid": {"fid": (99.04200333426769, 1e-4)},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", ["torch-fidelity", pytest.param("pytorch-fid", marks=pytest.mark.rare)]
)
def test_figures_of_two_folders_are_the_programs(capsys, monkeypatch, program):
    made = inception_reference.made_tensors(inception.tensor_shapes())
    pathlib.Path("w.safetensors").write_bytes(tensor_files.to_bytes(made, {}))
    monkeypatch.setattr(inception, "is_published", lambda sha256: True)
    save(pathlib.Path("x"), inception_reference.made_pictures(10, 24))
    save(pathlib.Path("y"), inception_reference.made_pictures(11, 20))
    argv = ["x", "--against", "y", "--weights", "w.safetensors", "--resize", program]
    found = measured(capsys, *argv, "--batch-size", "24")["metrics"]
    for name, (value, tolerance) in SAID[program].items():
        name, _, part = name.partition(".")
        got = found[name][part] if part else found[name]
        assert got == pytest.approx(value, rel=tolerance), (name, part)


# ---- bad input ----------------------------------------------------------------------------------


def test_what_cannot_be_compared_is_one_line(capsys):
    save(pathlib.Path("x"), pictures(1, 3))
    save(pathlib.Path("large"), pictures(1, 3, 16))
    np.save("x.npy", pictures(1, 3))
    np.save("nan.npy", np.full((3, 8, 8, 3), np.nan, np.float32))
    np.save("far.npy", np.full((3, 8, 8, 3), 255, np.float32))
    np.save("one.npy", pictures(1, 1))
    np.save("odd.npy", np.zeros((3, 8, 8, 2), np.float32))
    np.save("whole.npy", np.zeros((3, 8, 8, 3), int))
    np.save("objects.npy", np.array([{}, {}], object))
    np.savez("other.npz", pixels=pictures(1, 3))
    np.savez("labels.npz", images=pictures(1, 3), labels=np.zeros(2, int))
    pathlib.Path("text.npz").write_text("no array")
    for argv, says in [
        (["x"], "'x' is no run, it has no config.json: give a run's directory, or --against too"),
        (["nothing", "--against", "x"], "'nothing' is no run, no folder, and no .npy or .npz file"),
        (["x", "--against", "digit"], "as a data set give digits, mnist, fashion_mnist, emoji or"),
        (["x", "--against", "large"], "two shapes: give --image-size and --channels"),
        (["x", "--against", "x", "--space", "pixel"], "did you mean pixels?"),
        (["x", "--against", "x", "--layer", "100", "--weights", "w"], "layer is '100': "),
        (["x", "--against", "x", "--num", "-1"], "num is -1: give at least 0"),
        (["x", "--against", "x", "--pairs", "1"], "pairs is 1: give at least 2"),
        (["x", "--against", "x", "--resize", "cubic"], "resize is 'cubic'"),
        (["x", "--against", "x", "--space", "classifier"], "has no labels; give pixels"),
        (["digits", "--against", "digits", "--split", "tests"], "did you mean test?"),
        (["one.npy", "--against", "x"], "[1, 3] pictures: give at least two of each side"),
        (["nan.npy", "--against", "x"], "nan.npy: some pictures are not finite"),
        (["far.npy", "--against", "x"], "values reach 255: give floats in [-1, 1]"),
        (["odd.npy", "--against", "x"], "of shape (3, 8, 8, 2): give images"),
        (["whole.npy", "--against", "x"], "int64 of shape (3, 8, 8, 3): give images"),
        (["objects.npy", "--against", "x"], "objects.npy: no array"),
        (["other.npz", "--against", "x"], "no array named images, samples, x or arr_0"),
        (["labels.npz", "--against", "x"], "labels of shape (2,) are not a class for each picture"),
        (["text.npz", "--against", "x"], "text.npz: no array"),
        (["none.npy", "--against", "x"], "none.npy: no array"),
    ]:
        assert says in refused(capsys, *argv), argv


def test_every_choice_is_an_option():
    fields = {field.name for field in dataclasses.fields(measure.Config)}
    assert set(Choice._fields) <= fields


def test_a_run_by_itself_is_measured_as_it_was(capsys, trained):
    assert measured(capsys, trained).keys() == {"step", "trial", "quality", "transport"}


def test_a_run_is_measured_beside_its_own_data_or_others(capsys, trained):
    argv = [trained, "--num", "60", "--space", "pixels"]
    own, other = measured(capsys, *argv), measured(capsys, *argv, "--against", "digits")
    assert own["measured"] == {
        "kind": "run", "run": trained, "step": 2, "seed": 0, "shape": [8, 8, 1], "num": 60,
        "of": 60,
    }  # fmt: skip
    assert own["against"]["name"] == "digits"
    assert own["metrics"] == other["metrics"]  # the same data, and the seed's samples


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two steps."""
    folder = str(tmp_path_factory.mktemp("runs") / "run")
    argv = ["--width", "2", "--no-quality", "--steps", "2", "--chunk-steps", "2"]
    argv += ["--batch-size", "8", "--n-critic", "1", "--run-dir", folder]
    launch.main(wgan_gp.EXPERIMENT, argv)
    return folder


def test_samples_of_a_run_come_in_pieces_and_in_order(monkeypatch, trained):
    choice = Choice(num=9)
    whole = picture_sets.of(trained, choice, sample.find)
    x = np.concatenate(list(whole.batches(range(9), 4)))
    assert x.shape == (9, 8, 8, 1)
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(np.concatenate(list(whole.batches(range(5), 2))), x[:5])
    other = picture_sets.of(trained, choice._replace(seed=1), sample.find)
    assert (np.concatenate(list(other.batches(range(9), 9))) != x).any()
