"""Pictures that are not square, and 128 and 256 pixels: every image experiment builds for them."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_data import picture

from jwgan.run import evaluate, launch, members, players

EXPERIMENTS = ("gan", "dcgan", "lsgan", "wgan", "wgan_gp", "wgan_div", "sngan", "ebgan", "began")


def shapes_of(experiment, shape, **options):
    """Shapes of (samples, scores of the samples), and of the critic's parameters; all abstract."""
    options = {"width": 2, "latent": 3, "ema": 0.9, **options}
    algorithm = experiment.build(experiment.config(**experiment.with_settings(options)), shape)

    def everything():
        state = algorithm.init(jax.random.key(0), jnp.zeros((1, 4, *shape)))
        x = algorithm.sample(jax.random.key(1), state, 5)
        return x, algorithm.score(state, x), state.critic.params

    x, scores, params = jax.eval_shape(everything)
    return x.shape, scores.shape, params


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_build_for_pictures_that_are_not_square(name):
    experiment = importlib.import_module(f"experiments.{name}").EXPERIMENT
    found = shapes_of(experiment, (24, 16, 3))
    assert found[:2] == ((5, 24, 16, 3), (5,))


@pytest.mark.parametrize("member", ["wgan_gp", "dcgan", "ebgan", "began"])
@pytest.mark.parametrize("shape", [(128, 128, 3), (256, 192, 1)])
def test_members_build_for_large_pictures(member, shape):
    found = shapes_of(members.experiment_of(member), shape)
    assert found[:2] == ((5, *shape), (5,))


@pytest.mark.parametrize("name", ["wgan_gp", "dcgan", "sngan", "ebgan"])
def test_a_resnet_is_chosen_by_name(name):
    experiment = importlib.import_module(f"experiments.{name}").EXPERIMENT
    x, scores, params = shapes_of(experiment, (64, 32, 3), network="resnet")
    assert (x, scores) == ((5, 64, 32, 3), (5,))
    text = str(jax.tree_util.tree_structure(params))
    # EBGAN's critic is an auto-encoder, whatever the generator is.
    assert ("DownBlock_3" in text) == (name != "ebgan")
    # Of the critics only DCGAN's is normalised.
    assert ("norm" in text.lower()) == (name == "dcgan")


def test_a_resnets_generator_alone_is_normalised():
    config = members.config_of("wgan_gp")(network="resnet", width=2)
    critic, generator = players.image_players((32, 32, 1), config)
    key = jax.random.key(0)
    of_critic = jax.eval_shape(lambda: critic.init(key, jnp.zeros((1, 32, 32, 1))))
    of_generator = jax.eval_shape(lambda: generator.init(key, jnp.zeros((1, 3))))
    assert not of_critic[1]
    assert "batch_stats" in of_generator[1]


def test_a_size_that_no_resnet_makes(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for i in range(4):
        picture("RGB", (37, 24)).save(tmp_path / f"images/{i}.png")
    argv = ["--dataset", "folder", "--data-dir", "images", "--network", "resnet"]
    with pytest.raises(SystemExit) as end:
        launch.main(members.experiment_of("wgan_gp"), [*argv, "--run-dir", "run"])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert error.count("\n") == 1
    assert "image_shape is (37, 24, 3): give (H, W, C) whose smaller side is m * 2**k" in error
    assert "--image-size 24 or 28 works" in error
    assert not (tmp_path / "run").exists()


class Counted:
    """An algorithm whose sample is its key's own number, and that counts what is asked for."""

    def __init__(self, shape):
        self.shape, self.asked = shape, []

    def sample(self, key, state, num, label=None):
        assert label is None  # of a run without labels
        self.asked.append(num)
        return state + jax.random.normal(key, (num, *self.shape))


def test_large_samples_are_drawn_in_pieces():
    """One piece where they fit, with the same values as ever; else pieces of different keys."""
    key, zero = jax.random.key(3), jnp.zeros(())
    small, large = Counted((64, 64, 3)), Counted((256, 256, 3))
    draw = lambda algorithm, num: jax.eval_shape(
        lambda: evaluate.drawn(algorithm, key, zero, num, algorithm.shape)
    )
    assert draw(small, 500).shape == (500, 64, 64, 3)
    assert draw(large, 100).shape == (100, 256, 256, 3)
    assert (small.asked, large.asked) == ([500], [31])
    tiny = Counted((2,))
    np.testing.assert_array_equal(
        evaluate.drawn(tiny, key, zero, 9, (2,)), jax.random.normal(key, (9, 2))
    )


def test_pieces_have_keys_of_their_own(monkeypatch):
    monkeypatch.setattr(evaluate, "AT_ONCE", 6)
    x = evaluate.drawn(Counted((2,)), jax.random.key(3), jnp.zeros(()), 10, (2,))
    assert x.shape == (10, 2)
    assert len(np.unique(np.asarray(x))) == 20


def test_classifiers_see_large_sets_in_pieces(monkeypatch):
    monkeypatch.setattr(evaluate, "AT_ONCE", 1)
    seen = []

    def double(params, x):
        seen.append(len(x))
        return params * x

    x = np.arange(90.0).reshape(45, 2)
    np.testing.assert_array_equal(evaluate._in_pieces(double, 2.0, x), 2 * x)
    assert seen == [10, 10, 10, 10, 5]
