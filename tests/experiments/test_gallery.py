"""The trained generators of the gallery: whole, described, drawn from, and made by a command."""

import importlib
import json
import pathlib
import shlex

import cases
import jax
import numpy as np
import pytest

from experiments import generators, sample
from experiments.readme import training
from jwgan.run import evaluate, options, tasks
from jwgan.run import generators as reading

QUICK = ("wgan_gp-digits", "wgan_gp-fashion_mnist")


@pytest.fixture(autouse=True)
def no_cache_of_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))


def test_every_member_has_two():
    commands = {member: command for member, (_, command) in training.MEMBERS.items()}
    assert {member: recipe.run for member, recipe in generators.RECIPES.items()} == commands
    files = {f"{name}.{ending}" for name in generators.NAMES for ending in ("bin", "json")}
    assert {path.name for path in sample.GENERATORS.iterdir()} == files
    assert len(generators.NAMES) == 2 * len(training.MEMBERS)


def test_they_are_small():
    sizes = [path.stat().st_size for path in sample.GENERATORS.glob("*.bin")]
    assert max(sizes) < 1e6
    assert sum(sizes) < 12e6


@pytest.mark.parametrize("name", generators.NAMES)
def test_what_is_recorded_is_what_is_there(name):
    """The bytes' checksum, and a command of today that names its seed and its steps."""
    assert generators.is_made(name)
    found = generators.load(name)
    figures = found["figures"]
    assert found["bytes"] == (sample.GENERATORS / f"{name}.bin").stat().st_size
    train, export = map(shlex.split, found["command"].split(" && "))
    assert train[:2] == export[:2] == ["python", "-m"]
    assert ["--seed", str(found["seed"])] == train[train.index("--seed") :][:2]
    assert ["--steps", str(figures["steps"])] == train[train.index("--steps") :][:2]
    config = options.parse(importlib.import_module(train[2]).Config, train[3:], "")
    assert (config.seed, config.steps) == (found["seed"], figures["steps"])
    assert config.minutes is None  # the bytes would depend on the machine's load
    assert figures["seconds"] > 0
    assert {"classes_present", "frechet_distance", "frechet_distance_of_real"} <= figures.keys()
    assert len(found["revision"]) == 7
    assert not found["revision"].endswith("+")


@pytest.mark.parametrize("name", cases.slow_but(generators.NAMES, *QUICK))
def test_each_can_be_drawn_from(name):
    found = generators.load(name)
    task, algorithm, state = reading.read(reading.find(name, sample.GENERATORS))
    x = np.asarray(algorithm.sample(jax.random.key(0), state, 4))
    assert list(x.shape) == [4, *found["shape"]]
    assert task.shape == x.shape[1:]
    assert x.dtype == np.float32
    assert np.isfinite(x).all()
    # Rounding may bring tanh a last digit beyond; BEGAN's generator has no bound of its own.
    assert np.abs(x).max() <= (3 if name.startswith("began") else 1 + 1e-6)
    assert min(np.abs(x[i] - x[j]).max() for i in range(4) for j in range(i)) > 1e-3
    # The latents are those of the experiment that was trained.
    words = shlex.split(found["command"])
    document = importlib.import_module(words[2])
    config = options.parse(document.Config, words[3 : words.index("&&")], "")
    prior, key = document.build(config, task.shape).prior, jax.random.key(3)
    np.testing.assert_array_equal(algorithm.latents(key, 5), prior(key, 5))


@pytest.mark.slow
def test_figures_are_those_of_the_bytes():
    name = "wgan_gp-digits"
    task = tasks.load_images("digits")
    _, algorithm, state = reading.read(reading.find(name, sample.GENERATORS))
    found = evaluate.quality(task, algorithm, state)
    recorded = generators.load(name)["figures"]
    assert found["classes_present"] == recorded["classes_present"]
    assert found["frechet_distance"] == pytest.approx(recorded["frechet_distance"], rel=0.05)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["wgan_gp"], "generator is 'wgan_gp': did you mean wgan_gp-digits?"),
        (["--check", "nothing"], "generator is 'nothing': choose one of gan_minimax-digits"),
    ],
)
def test_unknown_names_are_one_line(argv, says, capsys):
    with pytest.raises(SystemExit) as end:
        generators.main(argv)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.rare
def test_a_generator_is_made_once_and_can_be_made_again(tmp_path, monkeypatch, capsys):
    name, few = "dcgan-digits", {"dcgan": generators.RECIPES["dcgan"]._replace(digits=2)}
    monkeypatch.setattr(generators, "GENERATORS", tmp_path / "generators")
    monkeypatch.setattr(generators, "RECIPES", few)
    monkeypatch.setattr(generators, "_run_dir", lambda name: pathlib.PurePath(tmp_path / "run"))
    generators.main([name])
    said = capsys.readouterr().out
    path = tmp_path / "generators" / f"{name}.json"
    found = json.loads(path.read_text())
    assert found["figures"]["steps"] == 2
    assert said.splitlines()[-1].startswith(f"{name}: {found['figures']['classes_present']} class")
    # A second call finds it, a check makes it anew elsewhere.
    monkeypatch.setattr(generators, "make", None)
    generators.main([name])
    assert f"{name} is there: " in capsys.readouterr().out
    generators.main(["--check", name])
    assert f"{name}: the same {found['bytes']} bytes" in capsys.readouterr().out
    # Bytes of another training, and a recipe that has changed since.
    path.write_text(json.dumps(found | {"sha256": "0" * 64}))
    assert not generators.is_made(name)
    with pytest.raises(ValueError, match=r"the sha256 was 000000000000\.\.\. with jax"):
        generators.check(name)
    few["dcgan"] = few["dcgan"]._replace(digits=3)
    with pytest.raises(ValueError, match="it was not made by today's command; make it by python"):
        generators.check(name)
