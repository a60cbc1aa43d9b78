"""Fully connected players: shapes, initial scale, the function itself."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jwgan import networks
from jwgan.models import mlp, norms


@pytest.mark.parametrize("shape", [(2,), (4, 4, 3)])
def test_critic_gives_one_score_per_sample_whatever_the_shape(key, shape):
    x = jax.random.normal(key, (5, *shape))
    critic = mlp.MLPCritic((8, 8))
    scores, variables = critic.init_with_output(key, x)
    assert scores.shape == (5,)
    np.testing.assert_allclose(critic.apply(variables, x[2:3]), scores[2:3], rtol=1e-5)


@pytest.mark.parametrize("shape", [(2,), (4, 4, 3)])
def test_generator_makes_data_of_the_given_shape(key, shape):
    z = jax.random.normal(key, (5, 3)) * 100
    generator = mlp.MLPGenerator(shape, (8,), final_activation=jnp.tanh)
    x, variables = generator.init_with_output(key, z)
    assert x.shape == (5, *shape)
    linear = mlp.MLPGenerator(shape, (8,)).apply(variables, z)
    assert jnp.abs(linear).max() > 1
    np.testing.assert_allclose(x, jnp.tanh(linear), rtol=1e-5, atol=1e-6)


def test_it_is_the_textbook_network(key):
    x = jax.random.normal(key, (4, 3))
    y, variables = mlp.MLP(2, (5, 6), nn.elu).init_with_output(key, x)
    layers = variables["params"]
    assert [layers[f"Dense_{i}"]["kernel"].shape for i in range(3)] == [(3, 5), (5, 6), (6, 2)]
    h = x
    for i in range(3):
        h = h @ layers[f"Dense_{i}"]["kernel"]
        h = nn.elu(h) if i < 2 else h
    np.testing.assert_allclose(y, h, rtol=1e-4, atol=1e-6)


def test_default_kernels_are_he_normal(key):
    variables = mlp.MLPCritic((1024,)).init(key, jnp.ones((1, 32)))
    kernel = variables["params"]["MLP_0"]["Dense_0"]["kernel"]
    np.testing.assert_allclose(kernel.std(), (2 / 32) ** 0.5, rtol=0.03)


def test_no_hidden_layer_is_a_linear_map(key):
    critic = mlp.MLPCritic(())
    x = jax.random.normal(key, (4, 3))
    variables = critic.init(key, x)
    np.testing.assert_allclose(critic.apply(variables, -x), -critic.apply(variables, x), rtol=1e-5)


def test_type_of_the_computation(key):
    for module in (mlp.MLPCritic((4,), dtype=jnp.bfloat16), mlp.MLPGenerator((2,), (4,))):
        expected = module.dtype or jnp.float32
        assert module.init_with_output(key, jnp.ones((1, 3)))[0].dtype == expected


def test_errors(key):
    with pytest.raises(ValueError, match=r"x.shape is \(3,\): must be \[B, \*D\]; add a batch"):
        mlp.MLPCritic((4,)).init(key, jnp.ones(3))
    for shape in ((), (0,), (28, -1)):
        with pytest.raises(ValueError, match=r"data_shape is \(.*\): give at least one size"):
            mlp.MLPGenerator(shape)


# --- norms ----------------------------------------------------------------------------------------


def hidden_by_hand(x, layers, i, normalise):
    """relu(normalised(x W + b)), with the norm's scale 1 and bias 0 as at the start."""
    layer = jax.tree.map(np.asarray, layers[f"Dense_{i}"])
    return np.maximum(normalise(x @ layer["kernel"] + layer["bias"]), 0)


@pytest.mark.parametrize(("norm", "axis"), [(norms.batch_norm, 0), (norms.layer_norm, 1)])
def test_norm_is_before_the_activation_and_over_batch_or_features(key, norm, axis):
    x = jax.random.normal(key, (6, 3))
    y, variables = mlp.MLP(2, (5, 4), norm=norm).init_with_output(key, x)
    layers, h = variables["params"], np.asarray(x)
    normalise = lambda h: (
        (h - h.mean(axis, keepdims=True)) / np.sqrt(h.var(axis, keepdims=True) + 1e-5)
    )
    for i in range(2):
        h = hidden_by_hand(h, layers, i, normalise)
    last = jax.tree.map(np.asarray, layers["Dense_2"])
    np.testing.assert_allclose(y, h @ last["kernel"] + last["bias"], rtol=1e-4, atol=1e-5)


def test_a_layer_norm_scores_each_sample_alone(key):
    x = jax.random.normal(key, (6, 3))
    critic = mlp.MLPCritic((5,), norm=norms.layer_norm)
    scores, variables = critic.init_with_output(key, x)
    np.testing.assert_allclose(critic.apply(variables, x[2:3]), scores[2:3], rtol=1e-5)


def test_batch_norm_learns_averages_and_is_sampled_from_with_them(key):
    generator = mlp.MLPGenerator((2,), (5,), norm=norms.batch_norm)
    network = networks.from_linen(generator, **networks.TRAIN_ARGUMENT)
    z = jax.random.normal(key, (64, 3))
    params, state = network.init(key, z)
    for _ in range(200):  # 0.9^200 of the first averages is left
        trained, state = network.apply(params, state, z)
    np.testing.assert_allclose(network.evaluate(params, state, z), trained, rtol=1e-3, atol=1e-4)
    alone = network.evaluate(params, state, z[:1])
    np.testing.assert_allclose(alone, trained[:1], rtol=1e-3, atol=1e-4)


def test_a_conditional_norm_wants_labels(key):
    generator = mlp.MLPGenerator((2,), (5,), norm=norms.conditional_batch_norm(3))
    z = jnp.ones((4, 3))
    x, _ = generator.init_with_output(key, z, label=jnp.array([0, 1, 2, 0]))
    assert x.shape == (4, 2)
    with pytest.raises(ValueError, match="a conditional norm needs one"):
        generator.init(key, z)
