"""Fully connected players: shapes, initial scale, the function itself."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jwgan.models import mlp


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
