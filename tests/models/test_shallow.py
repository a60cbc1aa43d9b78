"""The shallow auto-encoder and its generator: every size, against plain lax, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jwgan import networks
from jwgan.models import autoencoder, norms, shallow

SIZES = [(4, 4, 1), (5, 7, 3), (8, 8, 1), (28, 28, 1), (32, 20, 3)]


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


@pytest.mark.parametrize("shape", SIZES)
def test_every_size_comes_back(shape):
    x = jnp.zeros((3, *shape))
    critic = shallow.ShallowCritic(shape, width=2, h=5)
    scored, _ = jax.eval_shape(critic.init_with_output, jax.random.key(0), x)
    assert scored.score.shape == (3,)
    assert scored.code.shape == (3, 5)
    generator = shallow.ShallowGenerator(shape, width=2, hidden=3)
    y, _ = jax.eval_shape(generator.init_with_output, jax.random.key(0), jnp.zeros((3, 6)))
    assert y.shape == x.shape


def test_parameters_of_the_public_recipe():
    """Of its TensorFlow code: 64 channels, a code of 32; 1024 units, 128 x 7 x 7, 64 channels."""
    sizes = lambda module, x: [
        leaf.shape
        for path, leaf in jax.tree.leaves_with_path(
            jax.eval_shape(module.init, jax.random.key(0), x)["params"]
        )
        if path[-1].key == "kernel"
    ]
    critic = shallow.ShallowCritic((28, 28, 1))
    maps = 14 * 14 * 64
    assert sizes(critic, jnp.zeros((1, 28, 28, 1))) == [
        *((4, 4, 1, 64), (4, 4, 1, 64), (maps, 32), (32, maps))
    ]
    generator = shallow.ShallowGenerator((28, 28, 1))
    assert sizes(generator, jnp.zeros((1, 62))) == [
        *((4, 4, 64, 128), (4, 4, 1, 64), (62, 1024), (1024, 7 * 7 * 128))
    ]


def test_critic_without_norm_against_plain_lax():
    shape, x = (8, 8, 1), jax.random.uniform(jax.random.key(1), (3, 8, 8, 1))
    critic = shallow.ShallowCritic(shape, width=4, h=5, norm=None)
    (scored, variables) = jax.jit(critic.init_with_output)(jax.random.key(0), x)
    p = variables["params"]
    numbers = ("NHWC", "HWIO", "NHWC")
    down = lambda x, kernel: lax.conv_general_dilated(
        x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=numbers
    )
    maps = jax.nn.relu(down(x, p["Conv_0"]["kernel"]))
    code = maps.reshape(3, -1) @ p["Dense_0"]["kernel"]
    back = jax.nn.relu(code @ p["Dense_1"]["kernel"]).reshape(3, 4, 4, 4)
    # A transposed convolution is the gradient of the convolution that it turns round.
    _, turned = jax.vjp(lambda y: down(y, p["ConvTranspose_0"]["kernel"]), x)
    error = np.asarray(x) - sigmoid(turned(back)[0])
    np.testing.assert_allclose(scored.code, code, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(scored.score, np.abs(error).mean((1, 2, 3)), rtol=1e-5)


def test_a_batch_normalised_code_is_rectified_and_a_plain_one_is_not():
    x = jax.random.uniform(jax.random.key(1), (16, 8, 8, 1))
    for norm, smallest in ((norms.batch_norm, 0.0), (None, None)):
        critic = shallow.ShallowCritic((8, 8, 1), width=4, h=5, norm=norm)
        code = jax.jit(critic.init_with_output)(jax.random.key(0), x)[0].code
        assert (code.min() == smallest) if norm else (code.min() < 0)


def test_energy_and_last_activation_are_the_given_ones():
    x = jnp.full((2, 8, 8, 1), 0.25)
    critic = shallow.ShallowCritic(
        (8, 8, 1), 2, 3, final_activation=jnp.zeros_like, energy=autoencoder.mean_squared
    )
    scored, _ = jax.jit(critic.init_with_output)(jax.random.key(0), x)
    np.testing.assert_allclose(scored.score, 0.0625)
    for last, low, high in ((jax.nn.sigmoid, 0, 1), (jnp.tanh, -1, 1)):
        generator = shallow.ShallowGenerator((8, 8, 1), 2, 3, final_activation=last)
        z = 50 * jax.random.normal(jax.random.key(1), (64, 4))
        y, _ = jax.jit(generator.init_with_output)(jax.random.key(0), z)
        assert low <= y.min() < low + 0.3 * (high - low)
        assert high - 0.3 * (high - low) < y.max() <= high


def test_every_parameter_of_the_pair_has_a_gradient():
    critic = networks.from_linen(
        shallow.ShallowCritic((8, 8, 1), width=2, h=4), **networks.TRAIN_ARGUMENT
    )
    generator = networks.from_linen(
        shallow.ShallowGenerator((8, 8, 1), width=2, hidden=8), **networks.TRAIN_ARGUMENT
    )
    z = jax.random.normal(jax.random.key(2), (16, 4))
    of_generator, g_state = jax.jit(generator.init)(jax.random.key(0), z)
    of_critic, c_state = jax.jit(critic.init)(jax.random.key(1), jnp.zeros((16, 8, 8, 1)))

    def loss(both):
        x, _ = generator.apply(both[0], g_state, z)
        return critic.apply(both[1], c_state, x)[0].score.mean()

    gradient = jax.jit(jax.grad(loss))((of_generator, of_critic))
    for path, leaf in jax.tree.leaves_with_path(gradient):
        name = jax.tree_util.keystr(path)
        assert np.isfinite(leaf).all(), name
        # A bias in front of batch norm is taken out again with the mean.
        if "Dense" not in name or "kernel" in name:
            assert (leaf != 0).any(), name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: shallow.ShallowCritic((3, 8, 1)), r"image_shape is \(3, 8, 1\): give \(H, W, C\)"),
        (lambda: shallow.ShallowCritic((8, 8)), "image_shape is"),
        (lambda: shallow.ShallowCritic((8, 8, 1), h=0), "h is 0: give a number"),
        (lambda: shallow.ShallowGenerator((8, 8, 1), width=0), "width is 0: give a number"),
        (lambda: shallow.ShallowGenerator((8, 8, 1), hidden=0), "hidden is 0: give a number"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
