"""`python -m jwgan.run`: any member on any data without a file of one's own; what reads runs."""

import dataclasses
import inspect
import json
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jwgan
from experiments import sample, toy2d
from jwgan import report
from jwgan.run import __main__ as door
from jwgan.run import launch, members, options, reading
from jwgan.run.experiment import Experiment

TINY = ["--steps", "4", "--chunk-steps", "2", "--batch-size", "8", "--n-critic", "1"]
TINY += ["--width", "2", "--latent", "2", "--no-quality"]


@pytest.fixture(autouse=True)
def no_cache_of_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_every_member_has_a_command():
    presets = {name for name in jwgan.__all__ if name in dir(jwgan.algorithms)}
    presets -= set(dir(jwgan.types)) | {"adversarial", "constraints", "networks", "objectives"}
    assert presets - {"penalties", "schedules"} == set(members.NAMES)


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (2,)])
@pytest.mark.parametrize("name", members.NAMES)
def test_every_member_builds_on_any_data(name, shape):
    experiment = members.experiment_of(name)
    config = experiment.config(width=2)
    options.check(config)
    algorithm = experiment.build(config, shape)
    batch = jax.ShapeDtypeStruct((config.n_critic, 4, *shape), jnp.float32)
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))
    after, _ = jax.eval_shape(algorithm.step, state, batch)
    assert jax.tree.structure(state) == jax.tree.structure(after)


def test_options_are_the_members_own_numbers():
    own = {
        "learning_rate": 5e-5,
        "c": 0.01,
        "rmsprop_decay": 0.99,
        "critic_learning_rate": None,
    }
    assert members.numbers("wgan") == own
    config = members.config_of("wgan")()
    assert {name: getattr(config, name) for name in own} == own
    assert config.n_critic == 5
    assert members.config_of("r1_r2_gan")().n_critic == 1
    assert members.config_of("wgan_div")().n_critic == 4


@pytest.mark.parametrize("name", members.NAMES)
def test_every_number_has_a_meaning_and_a_bound_and_n_critic_is_the_docstrings(name):
    config = members.config_of(name)
    known = options.described(config)
    for number in members.numbers(name):
        assert known[number].help
        if number.endswith("learning_rate"):
            with pytest.raises(ValueError, match="give a number > 0"):
                options.check(dataclasses.replace(config(), **{number: -1.0}))
    said = inspect.getdoc(getattr(jwgan, name))
    if "n_critic" in said:
        assert f"n_critic {config().n_critic}" in said


def test_members_with_networks_of_their_own():
    dcgan = members.experiment_of("dcgan")
    state = jax.eval_shape(
        lambda: dcgan.build(dcgan.config(width=2, ema=0.0), (16, 16, 1)).init(
            jax.random.key(0), jnp.zeros((1, 4, 16, 16, 1))
        )
    )
    assert "batch_stats" in state.generator.model_state
    began = members.experiment_of("began")
    z = began.build(began.config(width=2, latent=500), (16, 16, 1)).prior(jax.random.key(0), 9)
    assert float(jnp.abs(z).max()) <= 1
    experiment = members.experiment_of("began")
    with pytest.raises(ValueError, match="has networks of its own; leave it out"):
        experiment.build(experiment.config(network="dcgan"), (16, 16, 1))
    with pytest.raises(ValueError, match="network is 'mlp': choose one of auto, dcgan, resnet"):
        dcgan.build(dcgan.config(network="mlp"), (16, 16, 1))


def test_an_option_reaches_the_member():
    experiment = members.experiment_of("wgan")
    small = experiment.build(experiment.config(width=2, c=0.01, ema=0.0), (2,))
    large = experiment.build(experiment.config(width=2, c=0.5, ema=0.0), (2,))
    batch = jnp.ones((1, 4, 2))
    for algorithm, c in ((small, 0.01), (large, 0.5)):
        state, _ = algorithm.step(algorithm.init(jax.random.key(0), batch), batch)
        largest = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(state.critic.params))
        assert 0.8 * c < largest <= c * (1 + 1e-6)


def ended(capsys, function, *args):
    with pytest.raises(SystemExit) as end:
        function(*args)
    out, err = capsys.readouterr()
    return end.value.code, out, err


@pytest.mark.slow
def test_a_run_of_a_member_is_read_by_its_own_door(tmp_path, capsys):
    argv = ["wgan_gp", *TINY, "--dataset", "eight_gaussians", "--run-dir", "run"]
    door.main(argv)
    described = json.loads((tmp_path / "run" / "config.json").read_text())
    assert described["program"] == "python -m jwgan.run wgan_gp"
    words = " ".join([*TINY, "--dataset", "eight_gaussians", "--run-dir", "run"])
    assert described["command"] == f"python -m jwgan.run wgan_gp {words}"
    door.main(["sample", "run", "--num", "3", "--out", "x.npy"])
    assert np.load(tmp_path / "x.npy").shape == (3, 2)
    capsys.readouterr()
    door.main(["measure", "run", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["step"] == 4
    assert found["quality"]["exact_w1"] == pytest.approx(found["transport"]["exact_w1"], rel=0.5)
    door.main(["export", "run", "--out", "generator.bin"])
    generator = jax.export.deserialize(bytearray((tmp_path / "generator.bin").read_bytes()))
    assert generator.call(np.zeros((5, 2), np.float32)).shape == (5, 2)
    with pytest.raises(
        ValueError, match=r"read the run by `python -m jwgan\.run wgan_gp sample RUN_DIR`"
    ):
        reading.read_run(tmp_path / "run", sample.find)


def test_a_run_of_a_document_is_refused_with_its_own_command(tmp_path, capsys):
    launch.main(toy2d.EXPERIMENT, [*TINY, "--run-dir", "run"])
    code, _, err = ended(capsys, door.main, ["sample", "run"])
    assert code == 2
    assert "program is 'python -m experiments.toy2d'" in err.splitlines()[-1]
    assert "read the run by `python -m experiments.toy2d sample RUN_DIR`" in err
    launch.main(toy2d.EXPERIMENT, ["sample", "run", "--num", "2", "--out", "x.npy"])
    assert np.load(tmp_path / "x.npy").shape == (2, 2)
    other = Experiment(toy2d.Config, toy2d.build, "another", name="another")
    code, _, err = ended(capsys, launch.main, other, ["sample", "run"])
    assert code == 2
    assert "experiment is 'toy2d', not 'another'; it was made by python -m experiments" in err


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_without_a_word_it_says_what_there_is(argv, capsys):
    door.main(argv)
    out = capsys.readouterr().out
    assert all(name in out for name in members.NAMES)
    assert "{" not in out


def test_a_word_it_does_not_know_is_one_line(capsys):
    code, out, err = ended(capsys, door.main, ["wgan_gpp"])
    assert (code, out) == (2, "")
    assert err.startswith("error: command is 'wgan_gpp': did you mean wgan_gp? choose one of")
    assert err.count("\n") == 1


def test_an_experiment_outside_of_a_file_needs_a_name(capsys):
    config = dataclasses.make_dataclass("Config", [], bases=(options.Config,), frozen=True)
    config.__module__ = "nowhere"
    nameless = Experiment(config, toy2d.build, "", load=toy2d.load)
    code, _, err = ended(capsys, launch.main, nameless, [])
    assert code == 2
    assert "give Experiment(..., name='mine')" in err
    named = nameless._replace(name="mine").named()
    assert named.name == "mine"


def bare(config, shape):
    return toy2d.build(toy2d.Config(width=2), shape)


def test_the_name_of_a_document_without_options_of_its_own():
    experiment = Experiment(options.ImageConfig, bare, "x").named()
    assert experiment.name == pathlib.Path(__file__).stem


MINE = '''
"""Mine: WGAN-GP on my points."""
from __future__ import annotations
import dataclasses
import jax, jax.numpy as jnp
import jwgan
from jwgan import priors, run
from jwgan.run import option
from jwgan.models import mlp

@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    dataset: str = option("ring")
    weight: float = option(0.1, "of the gradient penalty")

def build(config, shape):
    critic = jwgan.from_linen(mlp.MLPCritic((8,)))
    generator = jwgan.from_linen(mlp.MLPGenerator(shape, (8,)))
    return jwgan.wgan_gp(critic, generator, prior=priors.normal(2), weight=config.weight)

EXPERIMENT = run.Experiment(Config, build, __doc__, load=lambda c: run.load_world(c.dataset))
if __name__ == "__main__":
    run.main(EXPERIMENT)
'''


@pytest.mark.slow
def test_a_file_of_ones_own_in_any_folder(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)

    def mine(*argv):
        command = [sys.executable, "mine.py", *argv]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)

    mine("--steps", "4", "--chunk-steps", "2", "--no-quality")
    folder = tmp_path / "runs" / "mine-ring-1"
    described = json.loads((folder / "config.json").read_text())
    assert (described["experiment"], described["program"]) == ("mine", "python mine.py")
    assert described["title"] == "Mine: WGAN-GP on my points."
    mine("--steps", "6", "--chunk-steps", "2", "--no-quality", "--resume")
    np.testing.assert_array_equal(report.read_metrics(folder)["step"], np.arange(7))
    mine("sample", str(folder), "--num", "4", "--out", "x.npy")
    assert np.load(tmp_path / "x.npy").shape == (4, 2)
