"""Every experiment builds a step for its data; samples are drawn from a run's directory."""

import dataclasses
import importlib
import pathlib

import cases
import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

import jwgan
from experiments import sample, toy2d
from experiments.readme import training
from jwgan import types
from jwgan.run import launch, options, tasks
from jwgan.run import sample as run_sample

# Its runs are made once, by one worker.
pytestmark = pytest.mark.xdist_group("experiments")

HERE = pathlib.Path(toy2d.__file__).parent
RUNS = {path.stem for path in HERE.glob("*.py") if "\nEXPERIMENT = " in path.read_text()}
IMAGES = sorted(RUNS - {"toy2d", "table", "series"})


def test_the_experiments_are_found():
    assert {"toy2d", "wgan_gp", "began", "cifar10", "celeb_a"} <= RUNS
    assert len(RUNS) >= 15


def step_shapes(algorithm, batch):
    """(state, state after a step) without computing anything."""
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))
    after, _ = jax.eval_shape(algorithm.step, state, batch)
    return state, after


@pytest.mark.parametrize("side", cases.slow_but([8, 32], 8))
@pytest.mark.parametrize("name", IMAGES)
def test_image_experiments_build(name, side):
    module = importlib.import_module(f"experiments.{name}")
    config = module.Config()
    options.check(config)
    if tasks.is_conditional(config):
        config = dataclasses.replace(config, classes=10)
    assert f"python -m experiments.{name}" in module.__doc__
    algorithm = module.build(config, (side, side, 1))
    batch = jax.ShapeDtypeStruct((config.n_critic, 4, side, side, 1), jnp.float32)
    if tasks.is_conditional(config):
        batch = types.Labelled(batch, jax.ShapeDtypeStruct(batch.shape[:2], jnp.int32))
    state, after = step_shapes(algorithm, batch)
    assert jax.tree.structure(state) == jax.tree.structure(after)


@pytest.mark.parametrize("member", toy2d.MEMBERS)
def test_every_member_of_the_worlds_builds(member):
    config = dataclasses.replace(toy2d.Config(), member=member, width=4)
    batch = jax.ShapeDtypeStruct((1, 4, 2), jnp.float32)
    state, after = step_shapes(toy2d.build(config, (2,)), batch)
    assert jax.tree.structure(state) == jax.tree.structure(after)


@pytest.mark.parametrize("member", training.MEMBERS)
def test_every_members_row_names_the_command_that_trains_it(member, monkeypatch):
    built = []

    def noting(name, make):
        def note(*args, **kwargs):
            built.append(name)
            return make(*args, **kwargs)

        return note

    for name in training.MEMBERS:
        monkeypatch.setattr(jwgan, name, noting(name, getattr(jwgan, name)))
    name, *argv = training.MEMBERS[member][1].split()
    module = importlib.import_module(f"experiments.{name}")
    module.build(options.parse(module.Config, argv, ""), (8, 8, 1))
    assert built == [member]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    argv = ["--steps", "4", "--chunk-steps", "2", "--batch-size", "8", "--width", "8"]
    argv += ["--no-quality", "--run-dir", str(folder)]
    launch.main(toy2d.EXPERIMENT, argv)
    return folder


def draw(*argv):
    run_sample.main(sample.find, [str(word) for word in argv])


def test_samples_of_a_run(run, tmp_path, capsys):
    draw(run, "--num", 7, "--out", tmp_path / "a.npy")
    draw(run, "--num", 7, "--out", tmp_path / "b.npy")
    draw(run, "--num", 7, "--seed", 1, "--out", tmp_path / "c.npy")
    a, b, c = (np.load(tmp_path / f"{name}.npy", allow_pickle=False) for name in "abc")
    assert a.shape == (7, 2)
    assert a.dtype == np.float32
    np.testing.assert_array_equal(a, b)
    assert (a != c).all()
    assert "7 samples of shape (2,) from step 4" in capsys.readouterr().out
    draw(run, "--out", tmp_path / "a.png")
    with PIL.Image.open(tmp_path / "a.png") as image:
        assert image.size == (600, 600)


def test_a_folder_of_single_pictures(tmp_path):
    x = np.linspace(-1, 1, 2 * 3 * 4 * 1, dtype=np.float32).reshape(2, 3, 4, 1)
    run_sample._write(x, tmp_path / "pictures", None, None, None)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["00000.png", "00001.png"]
    for i, name in enumerate(names):
        with PIL.Image.open(tmp_path / "pictures" / name) as image:
            bytes_of = np.rint((x[i, ..., 0] + 1) * 127.5)
            np.testing.assert_array_equal(np.asarray(image.convert("L")), bytes_of)


def test_a_folder_of_single_pictures_is_a_new_one_and_of_images(run, tmp_path, capsys):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.png").touch()
    for name, said in (
        ("used", "something is there already; give the name of a new folder"),
        ("new", "single pictures are of images; give .npy"),
        ("x.jpg", "or without an ending for a folder of pictures"),
    ):
        with pytest.raises(SystemExit):
            draw(run, "--num", 2, "--out", tmp_path / name)
        assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["used"]


def test_paths_end_where_single_samples_are(run, tmp_path):
    draw(run, "--num", 3, "--out", tmp_path / "ends.npy")
    draw(run, "--num", 3, "--interpolate", 5, "--out", tmp_path / "paths.npy")
    ends, paths = (np.load(tmp_path / f"{name}.npy") for name in ("ends", "paths"))
    np.testing.assert_allclose(paths.reshape(3, 5, 2)[:, 0], ends, rtol=1e-5, atol=1e-6)


def test_great_circles_keep_the_length_and_lines_the_box():
    start, end = np.array([[3.0, 0.0]]), np.array([[0.0, 3.0]])
    length = np.linalg.norm(run_sample._paths(start, end, 7), axis=-1)
    np.testing.assert_allclose(length, 3.0)
    inside = run_sample._paths(start / 3, end / 3, 3)
    np.testing.assert_allclose(inside[0], [[1, 0], [0.5, 0.5], [0, 1]])


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["{run}", "--out", "x.jpg"], "out is 'x.jpg': give a name ending in .npy or .png"),
        (["{run}", "--num", "0"], "num is 0"),
        (["nowhere"], "nowhere/config.json is no run's description"),
    ],
)
def test_bad_requests_are_one_line(run, capsys, argv, says):
    with pytest.raises(SystemExit) as end:
        draw(*[word.format(run=run) for word in argv])
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_a_run_cannot_name_another_module(run, tmp_path, capsys):
    text = (run / "config.json").read_text().replace('"toy2d"', '"os.path"')
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(SystemExit):
        draw(tmp_path)
    assert "experiment is 'os.path'" in capsys.readouterr().err
