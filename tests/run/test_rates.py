"""Rates from the command line: one for the critic, and schedules that reach 0 at the last step."""

import dataclasses
import json
import pathlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jwgan
from experiments import (
    began,
    cifar10,
    dcgan,
    ebgan,
    gan,
    lsgan,
    sngan,
    toy2d,
    wgan,
    wgan_div,
    wgan_gp,
    wgan_lp,
)
from jwgan import joined, networks, priors, run
from jwgan.run import directory, general, launch, members, option, options

TINY = [
    *("--chunk-steps", "2", "--batch-size", "8", "--n-critic", "1", "--width", "4", "--steps", "4"),
    *("--checkpoint-every", "2", "--no-quality", "--learning-rate", "0.001", "--run-dir", "run"),
]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def toy(*argv):
    launch.main(toy2d.EXPERIMENT._replace(name="toy2d"), list(argv))


def described():
    return json.loads((pathlib.Path("run") / "config.json").read_text())


@pytest.fixture
def refused(capsys):
    """The last line of a command that must end with exit code 2, and write nothing."""

    def run(function, *argv):
        before = sorted(pathlib.Path().rglob("*"))
        with pytest.raises(SystemExit) as end:
            function(*argv)
        err = capsys.readouterr().err
        assert end.value.code == 2, err
        assert "Traceback" not in err
        assert sorted(pathlib.Path().rglob("*")) == before
        return err.strip().splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("kind", "halfway", "late"),
    [("linear", 0.5, 0.25), ("cosine", 0.5, (1 + np.cos(0.75 * np.pi)) / 2)],
)
def test_schedules_in_closed_form(kind, halfway, late):
    rate = general.schedule(kind, 0.1, 100)
    found = [float(rate(step)) for step in (0, 50, 75, 100)]
    np.testing.assert_allclose(found, [0.1, 0.1 * halfway, 0.1 * late, 0.0], atol=1e-8)


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    learning_rate: float = option(0.01)
    critic_learning_rate: float | None = option(None)


def build(config, shape):
    """WGAN-GP of a linear critic and a shift, in the plane."""
    critic = networks.from_fn(lambda key, x: jnp.array([3.0, 4.0]), lambda w, x: x @ w)
    generator = networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda shift, z: z + shift)
    rates = {n: getattr(config, n) for n in ("learning_rate", "critic_learning_rate")}
    return jwgan.wgan_gp(critic, generator, prior=priors.normal(2), **rates)


def moved(config, step):
    """How far (critic, generator) move in the step of that number, as Adam's first update."""
    algorithm = general.built_with(build)(config, (2,))
    batch = jnp.ones((config.n_critic, 4, 2))
    state = algorithm.init(jax.random.key(0), batch)._replace(step=jnp.int32(step))
    after, _ = algorithm.step(state, batch)
    far = lambda a, b: np.abs(np.asarray(a.params - b.params)).max()
    return far(after.critic, state.critic), far(after.generator, state.generator)


def test_both_players_rates_are_0_at_the_last_step_and_the_critics_is_its_own():
    config = Config(n_critic=1, steps=10, critic_learning_rate=0.03, decay="linear")
    # Adam's first update is the rate itself.
    np.testing.assert_allclose(moved(config, 0), (0.03, 0.01), rtol=1e-4)
    np.testing.assert_allclose(moved(config, 5), (0.015, 0.005), rtol=1e-4)
    assert moved(config, 10) == (0.0, 0.0)  # counted by themselves they would be at their start
    both = dataclasses.replace(config, critic_learning_rate=None, decay="cosine", decay_steps=20)
    np.testing.assert_allclose(moved(both, 10), (0.005, 0.005), rtol=1e-4)


@pytest.mark.slow
def test_the_last_step_is_written_down_and_a_longer_run_is_refused(refused):
    toy(*TINY, "--decay", "cosine", "--critic-learning-rate", "0.004")
    assert described()["config"]["decay_steps"] == 4
    said = refused(toy, "--run-dir", "run", "--resume", "--steps", "6")
    assert said.startswith("error: decay_steps is 4: the rates would be 0 from there to the last")
    assert "--allow decay_steps --decay-steps 6" in said
    change = ["--allow", "decay_steps", "--decay-steps", "6"]
    toy("--run-dir", "run", "--resume", "--steps", "6", *change)
    assert described()["changes"] == [{"step": 4, "changed": {"decay_steps": [4, 6]}}]
    # What a run decays by is another run's option: it needs --allow, too.
    said = refused(toy, "--run-dir", "run", "--resume", "--decay", "linear")
    assert "decay was 'cosine' and is 'linear'" in said


def test_a_decay_that_no_run_can_have_is_one_line(refused):
    short = [*TINY, "--decay", "linear", "--decay-steps", "3"]
    assert "decay_steps is 3" in refused(toy, *short)
    said = refused(toy, "--decay", "linear", "--run-dir", "run")  # toy2d's rate is the member's
    assert said == (
        "error: decay is 'linear': no rate was given; give --learning-rate, or leave --decay out"
    )
    assert "choose one of none, linear, cosine" in refused(toy, *TINY, "--decay", "steep")
    with pytest.raises(ValueError, match="decay is 'cosine': the rates of this document fall"):
        general.built_with(cifar10.build)(cifar10.Config(decay="cosine"), (32, 32, 3))


def test_parts_of_a_batch_reach_the_networks_and_must_divide_it(refused):
    said = refused(toy, *TINY, "--accumulate", "3")
    assert said == (
        "error: accumulate is 3: it does not divide --batch-size 8; give one of its divisors"
    )
    algorithm = toy2d.build(toy2d.Config(width=4, n_critic=1, accumulate=4), (2,))
    batch = jax.ShapeDtypeStruct((1, 6, 2), jnp.float32)
    with pytest.raises(ValueError, match="give a batch that 4 parts divide"):
        jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))


DOCUMENTS = (began, dcgan, ebgan, gan, lsgan, sngan, wgan, wgan_div, wgan_gp, wgan_lp)


@pytest.mark.parametrize("module", DOCUMENTS, ids=lambda module: module.__name__)
def test_every_documents_critic_has_a_rate_of_its_own(module):
    config = module.Config(width=2, latent=2, critic_learning_rate=-1.0)
    # It reaches the member, which refuses it.
    with pytest.raises(ValueError, match=r"critic_learning_rate is -1\.0"):
        module.build(config, (16, 16, 1))
    assert module.build(dataclasses.replace(config, critic_learning_rate=None), (16, 16, 1))


def test_rmsprops_decay_has_another_name_and_old_runs_keep_theirs(tmp_path):
    config = members.config_of("wgan")
    assert config(rmsprop_decay=0.9).decay == "none"
    old = {"experiment": "wgan", "program": "python -m jwgan.run wgan", "data": {"shape": [2]}}
    chosen = {"decay": 0.9, "dataset": "ring", "sweep": "decay=0.9,0.5 c=0.1,0.2"}
    (tmp_path / "config.json").write_text(json.dumps({**old, "config": chosen}))
    found = directory.read_description(tmp_path)["config"]
    assert found == {
        **{"dataset": "ring", "rmsprop_decay": 0.9},
        "sweep": "rmsprop_decay=0.9,0.5 c=0.1,0.2",
    }
    assert options.from_description(config, found).rmsprop_decay == 0.9
    # The number reaches the member under the member's own name.
    with pytest.raises(ValueError, match=r"decay is 1\.5: give a number in \[0, 1\)"):
        members.experiment_of("wgan").build(config(rmsprop_decay=1.5, width=1), (2,))
    # A run of somebody else's experiment keeps its own number.
    mine = {**old, "program": "python mine.py", "config": {"decay": 0.9}}
    (tmp_path / "config.json").write_text(json.dumps(mine))
    assert directory.read_description(tmp_path)["config"] == {"decay": 0.9}


# --- --join ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("join", "backend", "expected"),
    [("auto", "gpu", True), ("auto", "cpu", False), ("yes", "cpu", True), ("no", "gpu", False)],
)
def test_calls_are_joined_on_a_gpu_or_when_asked_for(monkeypatch, join, backend, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    seen = []
    member = types.SimpleNamespace(rebuilt=lambda **changes: seen.append(changes) or "joined")
    found = general.built_with(lambda config, shape: member)(run.Config(join=join), (2,))
    assert found == ("joined" if expected else member)
    assert [one["calls"](None) for one in seen] == [joined.JOINED] * expected


def test_an_algorithm_of_the_users_own_is_left_alone_on_a_gpu(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    whole = types.SimpleNamespace(rebuilt=None)
    build = general.built_with(lambda config, shape: whole)
    assert build(run.Config(), (2,)) is whole
    with pytest.raises(ValueError, match="no parts to change"):
        build(run.Config(join="yes"), (2,))
