"""Residual networks: against plain lax convolutions, and their parameters against the papers."""

import cases
import jax
import jax.numpy as jnp
import model_laws
import numpy as np
import pytest
from jax import lax

from jwgan.models import norms, resnet, scaling
from jwgan.models.conv import Conv


def plain_conv(p, x):
    numbers = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(x, p["kernel"], (1, 1), "SAME", dimension_numbers=numbers)
    return y + p["bias"].reshape(1, 1, 1, -1)


def plain_norm(p, x):
    mean, var = x.mean((0, 1, 2), keepdims=True), x.var((0, 1, 2), keepdims=True)
    shape = (1, 1, 1, -1)
    return (x - mean) / jnp.sqrt(var + 1e-5) * p["scale"].reshape(shape) + p["bias"].reshape(shape)


def plain_up(x):
    return x.repeat(2, 1).repeat(2, 2)


def plain_pool(x):
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def plain_generator(p, z, side):
    """The WGAN-GP generator as its authors wrote it: upsampling first, then the convolution."""
    x = z @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"].reshape(1, -1)
    x = x.reshape(len(z), side, side, -1)
    for i in range(len([name for name in p if name.startswith("UpBlock")])):
        b = p[f"UpBlock_{i}"]
        y = plain_conv(b["UpsampleConv_0"], plain_up(jax.nn.relu(plain_norm(b["BatchNorm_0"], x))))
        y = plain_conv(b["Conv_0"], jax.nn.relu(plain_norm(b["BatchNorm_1"], y)))
        x = y + plain_conv(b["Conv_1"], plain_up(x))
    return jnp.tanh(plain_conv(p["Conv_0"], jax.nn.relu(plain_norm(p["BatchNorm_0"], x))))


def plain_critic(p, x):
    """The WGAN-GP critic as its authors wrote it: the convolution first, then pooling."""
    b = p["DownBlock_0"]
    y = plain_pool(plain_conv(b["ConvPool_0"], jax.nn.relu(plain_conv(b["Conv_0"], x))))
    x = y + plain_conv(b["Conv_1"], plain_pool(x))
    b = p["DownBlock_1"]
    y = plain_conv(b["ConvPool_0"], jax.nn.relu(plain_conv(b["Conv_0"], jax.nn.relu(x))))
    x = plain_pool(y + plain_conv(b["Conv_1"], x))
    for b in (p["DownBlock_2"], p["DownBlock_3"]):
        x += plain_conv(b["Conv_1"], jax.nn.relu(plain_conv(b["Conv_0"], jax.nn.relu(x))))
    return jax.nn.relu(x).mean((1, 2)) @ p["Dense_0"]["kernel"][:, 0] + p["Dense_0"]["bias"]


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("module", [scaling.UpsampleConv, scaling.ConvPool])
def test_scaling_convolutions_are_the_two_steps_in_one(module):
    x = jax.random.normal(jax.random.key(0), (2, 6, 4, 3))
    ours, plain = module(5), Conv(5, 3)
    variables = plain.init(jax.random.key(1), x)
    variables["params"]["bias"] += jnp.arange(5.0)
    assert jax.tree.structure(ours.init(jax.random.key(1), x)) == jax.tree.structure(variables)

    def two_steps(v, x):
        if module is scaling.UpsampleConv:
            return plain.apply(v, scaling.upsample(x))
        return scaling.mean_pool(plain.apply(v, x))

    def value_and_gradients(f):
        loss = lambda v, x: (jnp.sin(f(v, x))).sum()
        return model_laws.run(lambda v, x: (f(v, x), jax.grad(loss, (0, 1))(v, x)), variables, x)

    jax.tree.map(close, value_and_gradients(ours.apply), value_and_gradients(two_steps))


def test_scaling_moves_pixels_where_they_belong():
    x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(
        scaling.upsample(x)[0, :, :, 0], np.kron(x[0, :, :, 0], np.ones((2, 2)))
    )
    assert scaling.mean_pool(x).ravel().tolist() == [1.5]
    np.testing.assert_array_equal(
        scaling.upsample(x, 3)[0, :, :, 0], np.kron(x[0, :, :, 0], np.ones((3, 3)))
    )


def test_forward_is_the_authors():
    generator = resnet.ResNetGenerator((16, 16, 2), width=4)
    critic = resnet.ResNetCritic((16, 16, 2), width=4)

    def ours_and_theirs(key):
        z = jax.random.normal(key, (3, 4))
        variables = generator.init(key, z)
        params = model_laws.shaken(variables.pop("params"))
        x, _ = generator.apply({"params": params, **variables}, z, mutable=["batch_stats"])
        critic_params = model_laws.shaken(critic.init(key, x)["params"])
        score = critic.apply({"params": critic_params}, x)
        return (x, score), (plain_generator(params, z, 4), plain_critic(critic_params, x))

    jax.tree.map(close, *model_laws.run(ours_and_theirs, jax.random.key(0)))


def count(shapes):
    return sum(int(np.prod(shape)) for shape in shapes.values())


def test_parameters_are_the_cifar_networks():
    """The speed contract's resnet32, layer by layer; c = 128."""
    c = 128
    conv, norm = 9 * c * c + c, 2 * c
    generator = model_laws.shapes(resnet.ResNetGenerator((32, 32, 3)), (1, 128))
    up = 2 * norm + 2 * conv + (c * c + c)
    assert count(generator) == (128 * 16 * c + 16 * c) + 3 * up + norm + (9 * c * 3 + 3)
    assert generator["UpBlock_1/UpsampleConv_0/kernel"] == (3, 3, c, c)
    assert generator["Dense_0/kernel"] == (128, 16 * c)

    critic = model_laws.shapes(resnet.ResNetCritic((32, 32, 3)), (1, 32, 32, 3))
    first = (9 * 3 * c + c) + conv + (3 * c + c)
    second = 2 * conv + (c * c + c)
    assert count(critic) == first + second + 2 * (2 * conv) + (c + 1)
    assert critic["Dense_0/kernel"] == (c, 1)
    assert not any("Norm" in name for name in critic)


def layers(shapes):
    """Counts the layers with a kernel, those of a loop one by one."""
    kernels = {name: shape for name, shape in shapes.items() if name.endswith("kernel")}
    return sum(shape[0] if "_EqualBlocks" in name else 1 for name, shape in kernels.items())


@pytest.mark.parametrize("norm", [None, norms.layer_norm, norms.batch_norm])
def test_equal_blocks_in_a_loop_are_blocks_one_after_another(norm):
    x = jax.random.normal(jax.random.key(0), (4, 4, 4, 2))
    loop = resnet._EqualBlocks(2, 3, norm)
    block = resnet.BottleneckBlock(2, resnet._same, norm=norm)
    variables = loop.init(jax.random.key(1), x, True)
    # blocks begin apart from one another
    first, second, _ = variables["params"]["blocks"]["Conv_0"]["kernel"]
    assert np.abs(first - second).max() > 0.01
    together, moved = loop.apply(variables, x, True, mutable=["batch_stats"])
    apart = x
    for i in range(3):
        of_block = jax.tree.map(lambda leaf, i=i: leaf[i], variables)
        own = {kind: tree["blocks"] for kind, tree in of_block.items()}
        apart, state = block.apply(own, apart, True, mutable=["batch_stats"])
        for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(moved), strict=True):
            np.testing.assert_allclose(one, other[i], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(together, apart, rtol=1e-5, atol=1e-6)
    nothing = resnet._EqualBlocks(2, 0, norm)
    assert nothing.init_with_output(jax.random.key(1), x, True)[0] is x


def test_101_layers_are_the_authors():
    assert resnet.blocks_per_scale(101, 5) == [6, 6, 6, 6, 5]
    generator = model_laws.shapes(resnet.BottleneckGenerator((64, 64, 3)), (1, 128))
    shortcuts = 4
    assert layers(generator) == 101 + shortcuts
    assert generator["Dense_0/kernel"] == (128, 16 * 512)
    assert generator["BottleneckBlock_0/_Subpixel_0/Conv_0/kernel"] == (1, 1, 512, 4 * 256)
    assert generator["BottleneckBlock_0/ConvTranspose_0/kernel"] == (3, 3, 128, 256)
    assert generator["Conv_0/kernel"] == (3, 3, 32, 3)
    critic = model_laws.shapes(resnet.BottleneckCritic((64, 64, 3)), (1, 64, 64, 3))
    assert layers(critic) == 101 + shortcuts
    # 5 blocks at the image's size, in a loop, then the first one that halves it
    assert critic["_EqualBlocks_0/blocks/Conv_1/kernel"] == (5, 3, 3, 16, 16)
    assert critic["BottleneckBlock_0/Conv_2/kernel"] == (1, 1, 16 * 2, 64)
    assert critic["Dense_0/kernel"] == (16 * 512, 1)


@pytest.mark.parametrize(("num_scales", "depth"), [(2, 101), (3, 101), (4, 101), (2, 5), (3, 17)])
def test_depth_counts_layers_at_every_size(num_scales, depth):
    numbers = resnet.blocks_per_scale(depth, num_scales)
    assert len(numbers) == num_scales
    assert 3 * (sum(numbers) + num_scales - 1) + 2 == depth
    assert max(numbers) - min(numbers) <= 1


CRITICS = {
    "resnet": (resnet.ResNetCritic((8, 8, 1), width=4, plain=1), (8, 8, 1), ()),
    "layer_norm": (
        resnet.ResNetCritic((4, 6, 2), width=4, downs=1, plain=1, norm=norms.layer_norm),
        (4, 6, 2),
        (),
    ),
    "instance_norm": (
        resnet.ResNetCritic((8, 8, 1), 4, 1, 1, norms.instance_norm, resnet.sum_over_space),
        (8, 8, 1),
        ["DownBlock_1/Conv_0/bias"],  # the next norm takes a constant away again
    ),
    "bottleneck": (resnet.BottleneckCritic((8, 8, 1), width=4, depth=8), (8, 8, 1), ()),
}


@pytest.mark.parametrize("name", cases.slow_but(CRITICS, "resnet"))
def test_critics(name):
    module, image_shape, cancelled = CRITICS[name]
    model_laws.check_critic(module, image_shape, cancelled=cancelled)


# A batch norm takes a constant of its channel away again, here or at the end of the shortcuts.
CANCELLED = [
    f"UpBlock_0/{layer}/bias" for layer in ("UpsampleConv_0", "Conv_0", "Conv_1")
]  # fmt: skip
GENERATORS = {
    "resnet": (resnet.ResNetGenerator((8, 8, 1), width=4), True, CANCELLED),
    "no_norm": (resnet.ResNetGenerator((14, 14, 1), width=4, norm=None), False, ()),
    "bottleneck": (resnet.BottleneckGenerator((8, 8, 1), width=4, depth=8), True, ()),
}


@pytest.mark.parametrize("name", cases.slow_but(GENERATORS, "resnet"))
def test_generators(name):
    module, batch_norm, cancelled = GENERATORS[name]
    model_laws.check_generator(
        module, module.image_shape, batch_norm=batch_norm, cancelled=cancelled
    )


def test_norms_normalise_what_they_say():
    x = 3 + 2 * jax.random.normal(jax.random.key(0), (4, 3, 5, 6))
    x *= jnp.arange(1.0, 7).reshape(1, 1, 1, 6)
    axes = {norms.layer_norm: (1, 2, 3), norms.instance_norm: (1, 2), norms.batch_norm: (0, 1, 2)}
    for norm, over in axes.items():
        layer = norm(use_running_average=False)
        variables = layer.init(jax.random.key(0), x)
        y, _ = layer.apply(variables, x, mutable=["batch_stats"])
        expected = (x - x.mean(over, keepdims=True)) / jnp.sqrt(x.var(over, keepdims=True) + 1e-5)
        close(y, expected)
        assert {leaf.shape for leaf in jax.tree.leaves(variables["params"])} == {(6,)}


@pytest.mark.parametrize(
    "module",
    [
        resnet.ResNetGenerator((8, 8, 1), width=4),
        resnet.BottleneckGenerator((8, 8, 1), width=4, depth=8),
    ],
)
def test_generators_lower_for_accelerators(module):
    model_laws.check_lowers_for_accelerators(module, (2, model_laws.LATENT))


@pytest.mark.parametrize(
    "module",
    [
        resnet.ResNetCritic((8, 8, 1), width=4),
        resnet.BottleneckCritic((8, 8, 1), width=4, depth=8),
    ],
)
def test_critics_lower_for_accelerators(module):
    model_laws.check_lowers_for_accelerators(module, (2, 8, 8, 1))


def test_sides_halve_to_the_smallest():
    assert scaling.scales((28, 28, 1)) == [(28, 28), (14, 14), (7, 7)]
    assert scaling.scales((32, 32, 3)) == [(32, 32), (16, 16), (8, 8), (4, 4)]
    assert scaling.scales((48, 48, 3), smallest=8) == [(48, 48), (24, 24), (12, 12)]
    assert scaling.scales((96, 16, 1)) == [(96, 16), (48, 8), (24, 4)]
    assert scaling.scales((8, 10, 1)) == [(8, 10), (4, 5)]


@pytest.mark.parametrize("shape", [(16, 24, 1), (24, 8, 3), (128, 128, 3), (256, 192, 3)])
def test_pictures_that_are_not_square_and_large_ones(shape):
    halvings = resnet.downs_for(shape)
    critic = resnet.ResNetCritic(shape, 4, halvings)
    generator = resnet.ResNetGenerator(shape, 4)
    x, _ = jax.eval_shape(generator.init_with_output, jax.random.key(0), jnp.zeros((3, 5)))
    assert x.shape == (3, *shape)
    scores, variables = jax.eval_shape(critic.init_with_output, jax.random.key(0), x)
    assert scores.shape == (3,)
    blocks = variables["params"]
    # The last feature maps have 4 to 15 pixels at the smaller side: 8 for powers of 2 from 16 on.
    assert len(blocks) == halvings + 3
    assert min(shape[:2]) // 2**halvings == (
        4 if min(shape[:2]) == 8 else 8 if 192 not in shape else 12
    )


@pytest.mark.parametrize("image_shape", [(32, 32), (32, 18, 1), (7, 7, 1), (18, 18, 1), (8, 8, 0)])
def test_image_shapes_that_do_not_fit_are_refused(image_shape):
    for module in (resnet.ResNetGenerator, resnet.BottleneckCritic):
        with pytest.raises(ValueError, match=r"image_shape is .* give \(H, W, C\).*resize"):
            module(image_shape)


def test_other_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"image_shape is .* divisible by 4"):
        resnet.ResNetCritic((10, 8, 1))
    with pytest.raises(ValueError, match="depth is 100: give 14, or more by a multiple of 3"):
        resnet.BottleneckGenerator((64, 64, 3), depth=100)
    with pytest.raises(ValueError, match="width is 3"):
        resnet.BottleneckCritic((8, 8, 1), width=3)
    with pytest.raises(ValueError, match="downs is 0"):
        resnet.ResNetCritic((8, 8, 1), downs=0)
    with pytest.raises(ValueError, match=r"x.shape is .* must be \[B, \*\(8, 8, 1\)\]"):
        resnet.ResNetCritic((8, 8, 1)).init(jax.random.key(0), jnp.zeros((2, 16, 16, 1)))
