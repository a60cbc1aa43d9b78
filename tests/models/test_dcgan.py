"""Convolutional players: shapes at every size, the benchmark's parameters, norms."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jwgan.models import dcgan, norms


def spec(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


@pytest.mark.parametrize(
    ("image_shape", "expected"),
    [
        ((8, 8, 3), [(8, 8), (4, 4)]),
        ((28, 28, 1), [(28, 28), (14, 14), (7, 7), (4, 4)]),
        ((32, 32, 1), [(32, 32), (16, 16), (8, 8), (4, 4)]),
        ((64, 64, 3), [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]),
        ((16, 24, 2), [(16, 24), (8, 12), (4, 6), (2, 3)]),
        ((5, 5, 1), [(5, 5), (3, 3)]),
        ((218, 178, 3), [(218, 178), (109, 89), (55, 45), (28, 23), (14, 12), (7, 6), (4, 3)]),
        ((40, 5, 1), [(40, 5), (20, 3), (10, 2), (5, 1), (3, 1)]),
    ],
)
def test_players_fit_each_other_at_every_size(key, image_shape, expected):
    assert dcgan.sizes(image_shape) == expected
    generator = dcgan.DCGANGenerator(image_shape, width=4)
    critic = dcgan.DCGANCritic(image_shape, width=4)
    x, _ = jax.eval_shape(generator.init_with_output, key, spec(3, 16))
    assert x.shape == (3, *image_shape)
    scores, _ = jax.eval_shape(critic.init_with_output, key, x)
    assert scores.shape == (3,)


def test_parameters_of_the_benchmark(key):
    """Case dcgan32: 5x5 kernels, 64-128-256 channels, one linear layer in each player."""

    def shapes(module, x):
        params = jax.eval_shape(module.init, key, x)["params"]
        assert all(p["bias"].shape == (math.prod(p["bias"].shape),) for p in params.values())
        return {name: p["kernel"].shape for name, p in params.items()}

    assert shapes(dcgan.DCGANCritic((32, 32, 1)), spec(1, 32, 32, 1)) == {
        "Conv_0": (5, 5, 1, 64),
        "Conv_1": (5, 5, 64, 128),
        "Conv_2": (5, 5, 128, 256),
        "Dense_0": (4096, 1),
    }
    assert shapes(dcgan.DCGANGenerator((32, 32, 1)), spec(1, 128)) == {
        "Dense_0": (128, 4096),
        "ConvTranspose_0": (5, 5, 128, 256),
        "ConvTranspose_1": (5, 5, 64, 128),
        "ConvTranspose_2": (5, 5, 1, 64),
    }


def test_with_layer_norm_samples_do_not_meet(key):
    """A critic's score and a generator's image depend on their own sample alone."""
    generator = dcgan.DCGANGenerator((16, 16, 1), width=4, norm=norms.layer_norm)
    critic = dcgan.DCGANCritic((16, 16, 1), width=4, norm=norms.layer_norm)
    z = jax.random.normal(key, (4, 6))
    x, variables = jax.jit(generator.init_with_output)(key, z)
    assert jnp.abs(x).max() <= 1
    np.testing.assert_allclose(jax.jit(generator.apply)(variables, z[1:2]), x[1:2], atol=1e-5)
    scores, variables = jax.jit(critic.init_with_output)(key, x)
    np.testing.assert_allclose(jax.jit(critic.apply)(variables, x[1:2]), scores[1:2], atol=1e-5)


@pytest.mark.parametrize(
    ("side", "expected"),
    [(64, [3, 6, 12, 24]), (128, [3, 6, 12, 24, 24]), (256, [3, 6, 12, 24, 24, 24])],
)
def test_channels_double_up_to_eight_times_the_width(key, side, expected):
    critic = jax.eval_shape(dcgan.DCGANCritic((side, side, 1), 3).init, key, spec(1, side, side, 1))
    generator = jax.eval_shape(dcgan.DCGANGenerator((side, side, 1), 3).init, key, spec(1, 5))
    kernels = [
        {n: p["kernel"].shape for n, p in v["params"].items() if "Conv" in n}
        for v in (critic, generator)
    ]
    assert [kernels[0][f"Conv_{i}"] for i in range(len(expected))] == [
        (5, 5, *pair) for pair in zip([1, *expected], expected, strict=False)
    ]
    # A transposed convolution's kernel is that of the convolution it turns around.
    assert [kernels[1][f"ConvTranspose_{i}"] for i in range(len(expected))] == [
        (5, 5, *pair) for pair in zip([1, *expected], expected, strict=False)
    ][::-1]


@pytest.mark.parametrize("player", [dcgan.DCGANCritic, dcgan.DCGANGenerator])
def test_batch_norm_uses_the_batch_in_training_and_its_averages_after(key, player):
    module = player((8, 16, 1), width=4, norm=norms.batch_norm)
    x = jax.random.normal(key, (4, 8, 16, 1))

    @jax.jit
    def run(key, x):
        variables = module.init(key, x)
        trained, moved = module.apply(variables, x, train=True, mutable=["batch_stats"])
        after = module.apply(variables, x, train=False)
        alone = module.apply(variables, x[:1], train=False)
        return variables["batch_stats"], moved["batch_stats"], trained, after, alone

    before, moved, trained, after, alone = run(key, x)
    assert all(
        jnp.abs(a - b).max() > 0
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(moved), strict=True)
    )
    assert jnp.abs(trained - after).max() > 1e-3
    np.testing.assert_allclose(alone, after[:1], atol=1e-5)


def test_norms_stand_where_the_paper_puts_them(key):
    """Not on the critic's input layer, not on the generator's output."""
    critic = dcgan.DCGANCritic((32, 32, 3), norm=norms.batch_norm)
    generator = dcgan.DCGANGenerator((32, 32, 3), norm=norms.batch_norm)
    shapes = [
        [v["scale"].shape for k, v in variables["params"].items() if k.startswith("BatchNorm")]
        for variables in (
            jax.eval_shape(critic.init, key, spec(1, 32, 32, 3)),
            jax.eval_shape(generator.init, key, spec(1, 8)),
        )
    ]
    assert shapes == [[(128,), (256,)], [(256,), (128,), (64,)]]


@pytest.mark.parametrize("player", [dcgan.DCGANCritic, dcgan.DCGANGenerator])
def test_kernel_size_and_the_papers_initial_values(key, player):
    module = player((16, 16, 1), width=32, kernel_size=4, kernel_init=dcgan.PAPER_INIT)
    params = jax.jit(module.init)(key, jnp.ones((1, 16, 16, 1)))["params"]
    kernels = {name: p["kernel"] for name, p in params.items()}
    assert {k.shape[:2] for name, k in kernels.items() if "Conv" in name} == {(4, 4)}
    for kernel in kernels.values():
        assert abs(kernel.std() / 0.02 - 1) < 4 / math.sqrt(kernel.size)


@pytest.mark.parametrize("shape", [(28, 28), (4, 4, 1), (513, 64, 1), (28, 4, 1), (28, 28, 0)])
@pytest.mark.parametrize("player", [dcgan.DCGANCritic, dcgan.DCGANGenerator])
def test_impossible_image_shapes(player, shape):
    with pytest.raises(ValueError, match=r"image_shape is \(.*\): give \(H, W, C\) .* 5 to 512;"):
        player(shape)


def test_critic_refuses_other_images(key):
    with pytest.raises(ValueError, match=r"x.shape is \(1, 32, 32, 1\): must be \[B, 28, 28, 1\]"):
        dcgan.DCGANCritic((28, 28, 1)).init(key, jnp.ones((1, 32, 32, 1)))
