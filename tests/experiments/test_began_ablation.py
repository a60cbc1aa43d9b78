"""The ablation of BEGAN's recipe: one thing at a time, each level really in the networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import began_ablation

SHAPE = (8, 8, 1)
CONFIG = began_ablation.Config(dataset="digits", width=2, latent=3, seeds=2, steps=2, samples=100)


def layers(params):
    return {
        part.key.partition("_")[0] for path, _ in jax.tree.leaves_with_path(params) for part in path
    }


def state_of(name, **changes):
    setting = {**began_ablation.settings()[name], **changes}
    algorithm = began_ablation.build(CONFIG, SHAPE, setting)
    x = jnp.zeros((1, 4, *SHAPE))
    return algorithm, algorithm.init(jax.random.key(0), x)


def test_each_setting_differs_from_the_recipe_in_its_factor_alone():
    found = began_ablation.settings()
    recipe = found[began_ablation.RECIPE]
    for name in began_ablation.FACTORS:
        assert [k for k, v in found[name].items() if v != recipe[k]] == [name]
    last = found[began_ablation.ALL]
    same = [name for name in began_ablation.FACTORS if last[name] == recipe[name]]
    assert same == ["rate_ratio"]  # one rate for both is the paper's
    assert set(began_ablation.WORDS) == set(began_ablation.FACTORS)


def test_the_recipe_is_the_public_one():
    """Its TensorFlow code: k not clipped at 0, a code of 32, batches of 64; rates are tried."""
    found = began_ablation.settings()
    recipe = found[began_ablation.RECIPE]
    assert (recipe["k_min"], recipe["batch_size"], began_ablation.CODE) == (-1.0, 64, 32)
    assert found["rate_ratio"]["rate_ratio"] == 5 * recipe["rate_ratio"]
    assert found["critic_rate"]["critic_rate"] == 2e-4  # that code's, at four times the width


def test_levels_are_in_the_networks():
    shapes = lambda name: jax.eval_shape(lambda: state_of(name)[1])
    recipe, plain = shapes(began_ablation.RECIPE), shapes("generator_norm")
    assert "BatchNorm" in layers(recipe.inner.generator.params)
    assert "BatchNorm" not in layers(plain.inner.generator.params)
    assert "BatchNorm" in layers(plain.inner.critic.params)
    deep = shapes("auto_encoder")
    assert "encoder" in layers(deep.inner.critic.params)


@pytest.mark.parametrize(("name", "energy"), [(began_ablation.RECIPE, 0.5), ("pixels", 1.0)])
def test_energy_of_black_where_nothing_is_known(name, energy):
    """A black picture has no features at the start: every pixel is sigmoid(0), or tanh(0)."""
    algorithm, state = state_of(name)
    params = jax.tree.map(jnp.zeros_like, state.inner.critic.params)
    blank = state._replace(
        inner=state.inner._replace(critic=state.inner.critic._replace(params=params))
    )
    black = jnp.full((4, *SHAPE), -1.0)
    assert algorithm.score(blank, black).tolist() == pytest.approx([energy] * 4)


@pytest.mark.slow
def test_seeds_and_numbers_are_one_program():
    """Samples come back in the order of the settings, the seeds of each one after another."""
    task = began_ablation.tasks.load_images("digits")
    both = [began_ablation.settings()[name] for name in (began_ablation.RECIPE, "gamma")]
    fakes, k = began_ablation.train(CONFIG, task, both)
    assert fakes.shape == (4, 100, *SHAPE)
    assert k.shape == (4,)
    # Another seed, other samples; k has moved by lambda (gamma L(x) - L(g)), so gamma shows in it.
    assert not np.allclose(fakes[0], fakes[1])
    assert (k[:2] > k[2:]).all()


def test_page_of_two_settings():
    one = lambda distances, classes: {
        "frechet_distance": distances, "classes_present": classes,
        "smallest_class_share": [0.05, 0.01, 0.03], "k": [0.1, 0.2, 0.3],
    }  # fmt: skip
    found = {began_ablation.RECIPE: one([9.0, 7.0, 8.0], [10, 10, 10])}
    found["gamma"] = one([90.0, 70.0, 80.0], [4, 6, 5])
    result = {
        "settings": found,
        "frechet_distance_of_real": 0.3,
        "samples": 5,
        "steps": 2,
        "seeds": 3,
    }
    head, rows = began_ablation.page(result).table
    assert rows[0] == ["the recipe", "8.0", "7.0", "9.0", "10", "3.0%", "0.20"]
    assert rows[1][:2] == ["gamma 0.5", "80.0"]
    assert rows[1][4] == "4 to 6"
    assert len(head) == len(rows[0])
