"""Exported generators with a description beside them, and `sample --generator`."""

import hashlib
import json
import os
import subprocess
import sys

import jax
import numpy as np
import PIL.Image
import pytest

from experiments import sample, wgan_gp
from jwgan import priors
from jwgan.run import export, generators
from jwgan.run import sample as run_sample


@pytest.fixture(autouse=True)
def no_cache_of_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))


def written(folder, latents):
    """(path of a small generator, algorithm and state that it was exported from)."""
    algorithm = wgan_gp.build(wgan_gp.Config(width=1, latent=3), (8, 8, 1))
    algorithm = algorithm._replace(prior=getattr(priors, latents)(3))
    state = algorithm.init(jax.random.key(0), np.zeros((1, 2, 8, 8, 1), np.float32))
    artifact = export.export_generator(algorithm, state).serialize()
    path = folder / f"small-{latents}.bin"
    path.write_bytes(artifact)
    described = {"latents": latents, "sha256": hashlib.sha256(artifact).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(described))
    return path, algorithm, state


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("generators")


@pytest.fixture(scope="module")
def small(folder):
    return written(folder, "normal")[0]


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("latents", ["normal", "uniform"])
def test_a_generator_draws_what_its_run_draws(latents, tmp_path):
    path, algorithm, state = written(tmp_path, latents)
    task, read, nothing = generators.read(path)
    assert (task.name, task.shape) == (f"small-{latents}", (8, 8, 1))
    key = jax.random.key(7)
    np.testing.assert_array_equal(read.latents(key, 5), algorithm.latents(key, 5))
    x = read.sample(key, nothing, 5)
    np.testing.assert_allclose(x, algorithm.sample(key, state, 5), rtol=1e-5, atol=1e-6)
    assert np.std(x, axis=0).max() > 0
    with pytest.raises(ValueError, match="no critic and no optimizers: train a run"):
        read.step(nothing, x)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "0" * 64}, "is damaged: its sha256 is .*its description says 000000000000"),
        ({"latents": "cauchy"}, "latents is 'cauchy': give one of normal, uniform"),
        ({"latents": None}, "latents is 'None'"),
        ("{", "describes no generator .JSONDecodeError"),
        ("[]", "describes no generator .TypeError"),
        ("{}", "describes no generator .KeyError: 'latents'"),
        (None, "describes no generator .FileNotFoundError"),
    ],
)
def test_a_description_that_does_not_fit(change, says, small, tmp_path):
    path, described = tmp_path / "g.bin", small.with_suffix(".json").read_text()
    path.write_bytes(small.read_bytes())
    if change is not None:
        text = change if isinstance(change, str) else json.dumps(json.loads(described) | change)
        (tmp_path / "g.json").write_text(text)
    with pytest.raises(ValueError, match=says):
        generators.read(path)


def test_generators_are_found_by_name_and_by_path(small, folder):
    assert generators.find(small.stem, folder) == small
    assert generators.find(str(small)) == generators.find(str(small), folder) == small
    said = "generator is 'smal-normal': did you mean small-normal. choose one of small-normal$"
    with pytest.raises(ValueError, match=said):
        generators.find("smal-normal", folder)
    for name in (small.stem, str(folder / "gone.bin"), str(small.with_suffix(".json"))):
        with pytest.raises(ValueError, match=r"give a file FILE.bin, beside its FILE.json"):
            generators.find(name)


# --- sample --generator ---------------------------------------------------------------------------


def draw(*argv, named=None):
    run_sample.main(sample.find, [str(word) for word in argv], named=named)


def test_samples_of_a_generator(small, folder, tmp_path, capsys):
    draw("--generator", small, "--num", 7, "--out", tmp_path / "a.npy")
    assert "7 samples of shape (8, 8, 1) from small-normal in" in capsys.readouterr().out
    draw("--generator", small.stem, "--num", 7, "--out", tmp_path / "b.npy", named=folder)
    draw("--generator", small, "--num", 7, "--seed", 1, "--out", tmp_path / "c.npy")
    draw("--generator", small, "--num", 7, "--interpolate", 3, "--out", tmp_path / "d.npy")
    a, b, c, d = (np.load(tmp_path / f"{name}.npy") for name in "abcd")
    assert (a.shape, a.dtype) == ((7, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 1e-3
    np.testing.assert_allclose(d.reshape(7, 3, 8, 8, 1)[:, 0], a, rtol=1e-5, atol=1e-6)
    draw("--generator", small, "--num", 4, "--out", tmp_path / "grid.png")
    draw("--generator", small, "--num", 4, "--out", tmp_path / "single")
    with PIL.Image.open(tmp_path / "grid.png") as grid:
        assert min(grid.size) > 16
    assert len(list((tmp_path / "single").iterdir())) == 4


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "run_dir is '': give a run's directory, or --generator"),
        (["run", "--generator", "{small}"], "run_dir is 'run': a generator is no run"),
        (["--generator", "{small}", "--trial", "2"], "trial is 2: a generator is no run"),
        (["--generator", "{small}", "--best"], "best is True: a generator is no run"),
        (["--generator", "{small}", "--label", "7"], "label is '7'"),
        (["--generator", "{small}", "--out", "x.csv"], "only tables are written so"),
        (["--generator", "small-normal"], "give a file FILE.bin, beside its FILE.json"),
    ],
)
def test_bad_requests_are_one_line(small, capsys, argv, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        draw(*[word.format(small=small) for word in argv])
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.*"))


@pytest.mark.slow
def test_drawing_needs_no_flax(small, tmp_path):
    missing = ("flax", "orbax", "tensorboardX", "matplotlib", "sklearn", "rich")
    argv = ["--generator", str(small), "--num", "3", "--out", "x.npy"]
    code = [
        "import sys",
        *(f"sys.modules[{name!r}] = None" for name in missing),
        "from jwgan.run import members, sample",
        f"sample.main(members.find, {argv})",
    ]
    command = [sys.executable, "-c", "\n".join(code)]
    subprocess.run(command, cwd=tmp_path, check=True, env=os.environ)
    assert np.load(tmp_path / "x.npy").shape == (3, 8, 8, 1)
