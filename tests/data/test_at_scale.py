"""Data sets in TFDS's form, made and read here, and the paper-size experiments."""

import gzip
import importlib
import itertools
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from experiments import cifar10, wgan_gp
from jwgan import data
from jwgan.data import streams
from jwgan.run import convert, directory, launch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
INSTALLED = pathlib.Path("/usr/share/datasets/fashion-mnist")
RNG = np.random.default_rng(0)


def images(folder, count=12, size=10, mode="RGB"):
    folder.mkdir()
    for i in range(count):
        pixels = RNG.integers(0, 256, (size, size + 2, 3) if mode == "RGB" else (size, size))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture
def made(tmp_path, capsys):
    """A folder of images and the TFDS folder made of it."""
    source, out = images(tmp_path / "images"), tmp_path / "tfds"
    convert.main(["folder", str(source), "--name", "tiny", "--out", str(out), "--image-size", "8",
                  "--json"])  # fmt: skip
    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert result["examples"] == {"train": 12}
    return source, out


def test_a_folder_becomes_a_tfds_data_set(made):
    source, out = made
    rows = streams.TFDSRows("tiny", out, image_size=8)
    expected = streams.FolderRows(source, image_size=8)
    assert len(rows) == len(expected) == 12
    for i in range(12):
        np.testing.assert_allclose(rows[i], expected[i], atol=1e-6)
    # what TFDS itself reads
    direct = tfds.builder_from_directory(str(rows.folder)).as_data_source("train")
    np.testing.assert_array_equal(direct[3]["image"], np.rint((expected[3] + 1) * 127.5))
    np.testing.assert_allclose(data.from_tfds("tiny", out).images[5], expected[5], atol=1e-6)


def test_idx_files_become_what_tfds_calls_fashion_mnist(tmp_path):
    rng = np.random.default_rng(1)
    for part, num in (("train", 60), ("t10k", 10)):
        pixels = rng.integers(0, 256, (num, 28, 28), np.uint8)
        labels = rng.integers(0, 10, num, np.uint8)
        head = np.array([0x803, num, 28, 28], ">i4").tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        head = np.array([0x801, num], ">i4").tobytes()
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    before = data.fashion_mnist(tmp_path)
    # in a process of its own: as __main__, TFDS looks at names differently
    command = ["-m", "experiments.convert", "fashion_mnist", tmp_path, "--out", tmp_path / "out"]
    subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, check=True, timeout=200)
    after = data.fashion_mnist(tmp_path / "out")
    for field in ("images", "labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(before, field), getattr(after, field))
    assert "3.0.1" in after.source
    source = tfds.data_source("fashion_mnist", data_dir=tmp_path / "out", split="test",
                              download=False)  # fmt: skip
    assert len(source) == 10


@pytest.mark.slow
@pytest.mark.rare
@pytest.mark.skipif(not INSTALLED.is_dir(), reason="Debian's dataset-fashion-mnist has the files")
def test_the_real_fashion_mnist_from_its_files_to_a_run(tmp_path, capsys, monkeypatch):
    """Every picture is the one of the IDX files; in memory and streamed a run trains on them."""
    monkeypatch.chdir(tmp_path)
    convert.main(["fashion_mnist", str(INSTALLED), "--out", "tfds", "--json"])
    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert result["examples"] == {"train": 60_000, "test": 10_000}
    found = data.fashion_mnist("tfds")
    assert "3.0.1 (TFDS)" in found.source
    for name, images_, labels in (
        ("train", found.images, found.labels),
        ("t10k", found.test_images, found.test_labels),
    ):
        pixels = gzip.decompress((INSTALLED / f"{name}-images-idx3-ubyte.gz").read_bytes())
        pixels = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28, 1)
        np.testing.assert_array_equal(np.rint((images_ + 1) * 127.5), pixels)
        numbers = gzip.decompress((INSTALLED / f"{name}-labels-idx1-ubyte.gz").read_bytes())
        np.testing.assert_array_equal(labels, np.frombuffer(numbers, np.uint8, offset=8))
    rows = streams.TFDSRows("fashion_mnist", "tfds")
    for i in (0, 29_999, 59_999):
        np.testing.assert_array_equal(rows[i], found.images[i])
    argv = ["--data-dir", "tfds", "--width", "2", "--batch-size", "4", "--n-critic", "1"]
    argv += ["--network", "mlp", "--steps", "4", "--chunk-steps", "2", "--no-quality", "--json"]
    for name, *more in (["fashion_mnist"], ["tfds/fashion_mnist", "--stream"]):
        launch.main(wgan_gp.EXPERIMENT, [*argv, "--dataset", name, *more])
        assert json.loads(capsys.readouterr().out.strip().splitlines()[-1])["steps"] == 4


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["folder", "nowhere", "--name", "x", "--out", "o"], "nowhere: no such folder"),
        (["folder", ".", "--name", "A b", "--out", "o"], "name is 'A b'"),
        (["folder", ".", "--out", "o"], "name is 'folder'"),
        (["foldr", ".", "--out", "o"], "invalid choice"),
    ],
)
def test_bad_conversions(argv, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        convert.main(argv)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(made, capsys):
    source, out = made
    with pytest.raises(SystemExit):
        convert.main(["folder", str(source), "--name", "tiny", "--out", str(out)])
    assert "out has a tiny already" in capsys.readouterr().err


def test_a_damaged_image_is_named_when_it_is_read(made, monkeypatch):
    _, out = made
    rows = streams.TFDSRows("tiny", out, image_size=8)

    class Damaged:
        def __getitem__(self, i):
            return {"image": b"torn"}

    monkeypatch.setattr(rows, "_source", Damaged())
    with pytest.raises(data.DataError, match=r"tiny.*image 7 is unreadable"):
        rows[7]
    with pytest.raises(data.DataError, match="no prepared TFDS data set"):
        streams.TFDSRows("other", out, image_size=8)


@pytest.mark.slow
def test_streamed_and_resumed_is_never_stopped(made, tmp_path, capsys, monkeypatch):
    """A run on a TFDS data set, its order kept across the resume."""
    monkeypatch.chdir(tmp_path)
    _, out = made
    argv = ["--dataset", "tfds/tiny", "--data-dir", str(out), "--image-size", "8", "--stream"]
    argv += ["--channels", "3", "--width", "2", "--batch-size", "4", "--n-critic", "2"]
    argv += ["--chunk-steps", "2", "--no-quality", "--json"]

    def run(name, *extra):
        full = [*argv, "--run-dir", name, *extra]
        launch.main(wgan_gp.EXPERIMENT, full)
        return json.loads(capsys.readouterr().out.strip().splitlines()[-1])["state_sha256"]

    whole = run("whole", "--steps", "8")
    run("half", "--steps", "4")
    assert run("half", "--steps", "8", "--resume") == whole


@pytest.mark.slow
@pytest.mark.rare
@pytest.mark.parametrize("name", ["cifar10", "celeb_a", "lsun", "imagenet_resized"])
def test_paper_size_experiments_fit_together(name):
    """Shapes of a whole step, nothing computed."""
    module = importlib.import_module(f"experiments.{name}")
    config = module.Config()
    shape = (config.image_size, config.image_size, config.channels)
    algorithm = module.build(config, shape)
    batch = jax.ShapeDtypeStruct((config.n_critic, config.batch_size, *shape), "float32")
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))
    after, _ = jax.eval_shape(algorithm.step, state, batch)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
        lambda x: (x.shape, x.dtype), state
    )
    assert "Published" in module.__doc__


@pytest.mark.slow
def test_cifar10_rates_fall_to_zero():
    """The critic's schedule counts its own updates, five for each of the generator's."""
    config = cifar10.Config(width=4, latent=4, decay_steps=2, batch_size=2, learning_rate=0.1)
    algorithm = cifar10.build(config, (8, 8, 1))
    batch = jax.random.normal(jax.random.key(0), (5, 2, 8, 8, 1))
    step = jax.jit(algorithm.step)
    state = algorithm.init(jax.random.key(1), batch)
    before = [state]
    for _ in range(3):
        before.append(step(before[-1], batch)[0])
    moved = lambda a, b, player: any(
        (x != y).any()
        for x, y in zip(
            jax.tree.leaves(getattr(a, player).params),
            jax.tree.leaves(getattr(b, player).params),
            strict=True,
        )
    )
    for player in ("critic", "generator"):
        assert [moved(a, b, player) for a, b in itertools.pairwise(before)] == [
            True, True, False,
        ]  # fmt: skip


def test_run_folders_of_nested_names(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = wgan_gp.Config(dataset="tfds/imagenet_resized/32x32")
    assert str(directory.choose_folder(config, "x")) == "runs/x-tfds-imagenet_resized-32x32-1"
