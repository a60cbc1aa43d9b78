"""--paper: the settings of the member's paper, for the options that are not given."""

import dataclasses
import importlib
import json

import jax
import jax.numpy as jnp
import pytest

from experiments import __main__ as commands
from experiments import began, dcgan, ebgan, gan, toy2d, wgan, wgan_div, wgan_gp
from jwgan import run
from jwgan.run import lifecycle

MEMBERS = commands.GROUPS["Train a member of the GAN family on images"]
DOCUMENTS = [importlib.import_module(f"experiments.{name}") for name in MEMBERS]
# From the papers, see each document: some of what tells the paper's run from this project's.
SETTINGS = {
    wgan_gp: {"learning_rate": 1e-4, "n_critic": 5, "b1": 0.0, "b2": 0.9, "weight": 10.0},
    wgan: {"learning_rate": 5e-5, "c": 0.01, "n_critic": 5, "critic_norm": "batch"},
    wgan_div: {"n_critic": 4, "weight": 2.0, "power": 6.0},
    dcgan: {"learning_rate": 2e-4, "batch_size": 128, "latent": 100},
    ebgan: {"learning_rate": 1e-3, "margin": 10.0, "pulling_away": 0.1},
    began: {"learning_rate": 1e-4, "gamma": 0.5, "lambda_k": 1e-3, "batch_size": 16, "code": 64},
}


def options_of(document, **given):
    return lifecycle.options_of(document.EXPERIMENT, given)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_member_has_its_papers_settings(document):
    config, plain = options_of(document, paper=True), options_of(document)
    assert config.ema == 0.0
    for name, value in SETTINGS.get(document, {}).items():
        assert getattr(config, name) == value
    # Nothing else moves, and every name is an option.
    settings = document.EXPERIMENT.with_settings({"paper": True})
    changed = {k for k, v in dataclasses.asdict(config).items() if getattr(plain, k) != v}
    assert changed <= settings.keys()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_they_can_be_built(document):
    config = options_of(document, paper=True, **({"width": 2} if document is not began else {}))
    algorithm = document.build(config, (8, 8, 1))
    x = jax.ShapeDtypeStruct((config.n_critic, 4, 8, 8, 1), jnp.float32)
    state = jax.eval_shape(lambda x: algorithm.init(jax.random.key(0), x), x)
    state, _ = jax.eval_shape(algorithm.step, state, x)
    draw = lambda state: algorithm.sample(jax.random.key(1), state, 3)
    assert jax.eval_shape(draw, state).shape == (3, 8, 8, 1)


def test_what_is_given_beside_it_stays():
    config = options_of(wgan, paper=True, c=0.3, ema=0.5)
    assert (config.c, config.ema, config.learning_rate) == (0.3, 0.5, 5e-5)


def test_a_member_of_gan_has_its_own_papers():
    rates = {name: options_of(gan, paper=True, member=name).learning_rate for name in gan.MEMBERS}
    assert (rates["gan"], rates["dragan"], rates["r1_gan"]) == (2e-4, 1e-4, 1e-4)
    with pytest.raises(ValueError, match="member is 'gann'"):
        options_of(gan, paper=True, member="gann")


def test_an_experiment_without_a_paper_says_so():
    with pytest.raises(ValueError, match="paper is True: this experiment has no paper's settings"):
        options_of(toy2d, paper=True)


def test_config_json_has_the_papers_values_and_a_resume_knows_them(tmp_path):
    common = ["--run-dir", str(tmp_path / "run"), "--no-quality", "--chunk-steps", "1", "--json"]
    first = ["--paper", "--width", "2", "--batch-size", "4", "--steps", "1", *common]
    run.main(wgan.EXPERIMENT, first)
    described = json.loads((tmp_path / "run" / "config.json").read_text())
    chosen = described["options"] if "options" in described else described["config"]
    assert (chosen["c"], chosen["batch_size"], chosen["latent"]) == (0.01, 4, 100)
    run.main(wgan.EXPERIMENT, ["--resume", "--paper", "--steps", "2", *common])
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rows = [line for line in lines if "critic_loss" in line]  # others are of evaluations
    assert len(rows) == 2


def test_a_member_of_gan_has_its_own_settings():
    plain = options_of(gan)
    assert plain == gan.Config()
    assert options_of(gan, member="gan") == plain
    minimax, r1 = options_of(gan, member="gan_minimax"), options_of(gan, member="r1_gan")
    assert (minimax.critic_norm, minimax.n_critic, minimax.b1) == ("layer", 3, 0.0)
    assert (r1.n_critic, r1.width, r1.weight) == (5, 8, 5.6)
    assert options_of(gan, member="r1_gan", n_critic=4).n_critic == 4
    assert tuple(gan.TUNED) == gan.MEMBERS


@pytest.mark.parametrize(
    ("document", "network", "expected"),
    [
        (began, "shallow", {"critic_norm": "batch", "learning_rate": 1e-3, "k_min": -1.0}),
        (began, "auto", {"critic_norm": "none", "learning_rate": 3e-4, "k_min": 0.0}),
        (ebgan, "shallow", {"generator_norm": "batch", "margin": 0.07}),
        (ebgan, "auto", {"generator_norm": "none", "margin": 3.0}),
        (ebgan, "dcgan", {"critic_norm": "none", "margin": 3.0}),
    ],
)
def test_networks_bring_the_settings_that_go_with_them(document, network, expected):
    config = options_of(document, network=network)
    assert {name: getattr(config, name) for name in expected} == expected
    document.build(config, (8, 8, 1))  # norms and networks fit
    assert options_of(document, network=network, learning_rate=0.5).learning_rate == 0.5
    assert options_of(document) == document.Config()


def test_adams_beta_is_no_number_of_rmsprop():
    gan.build(options_of(gan, b1=0.9), (8, 8, 1))
    with pytest.raises(ValueError, match=r"b1 is 0.9: r1_gan has none; leave it out"):
        gan.build(options_of(gan, member="r1_gan", b1=0.9), (8, 8, 1))
