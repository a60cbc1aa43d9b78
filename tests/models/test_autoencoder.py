"""BEGAN's and EBGAN's auto-encoders: against plain lax, the papers' counts, the vanishing carry."""

import cases
import jax
import jax.numpy as jnp
import model_laws
import numpy as np
import pytest
from jax import lax

from jwgan import networks
from jwgan.models import autoencoder, conv
from jwgan.types import Scored


def plain_conv(p, x, stride=1):
    numbers, pads = ("NHWC", "HWIO", "NHWC"), ((1, 1), (1, 1))
    y = lax.conv_general_dilated(x, p["kernel"], (stride,) * 2, pads, dimension_numbers=numbers)
    return y + p["bias"].reshape(1, 1, 1, -1)


def plain_dense(p, x):
    return x @ p["kernel"] + p["bias"].reshape(1, -1)


def plain_up(x):
    return x.repeat(2, 1).repeat(2, 2)


def plain_encoder(p, x):
    """The encoder of a 16x16 image as the speed contract spells it."""
    for i, stride in enumerate([1, 1, 2, 1, 1]):
        x = jax.nn.elu(plain_conv(p[f"Conv_{i}"], x, stride))
    return plain_dense(p["Dense_0"], x.reshape(len(x), -1))


def plain_decoder(p, h, n, skips=False):
    """The decoder to 16x16: two convolutions, upsampling, two convolutions, one to the image."""
    x = h0 = plain_dense(p["Dense_0"], h).reshape(len(h), 8, 8, n)
    for i in range(2):
        x = jax.nn.elu(plain_conv(p[f"Conv_{i}"], x))
    x = plain_up(x)
    if skips:
        x = jnp.concatenate([x, plain_up(h0)], -1)
    x = jax.nn.elu(plain_conv(p["UpsampleConv_0"], x))
    x = jax.nn.elu(plain_conv(p["Conv_2"], x))
    return plain_conv(p["Conv_3"], x)


def test_elu_is_jax_nn_elu_and_has_its_derivatives():
    x = jnp.concatenate([jnp.linspace(-30, 30, 1001), jnp.array([0.0, -0.0, -1e-7, 1e-7])])
    once = lambda f: jax.vmap(jax.grad(f))
    twice = lambda f: jax.vmap(jax.grad(jax.grad(f)))
    for of in (lambda f: f, once, twice):
        np.testing.assert_allclose(of(autoencoder.elu)(x), of(jax.nn.elu)(x), rtol=0, atol=1.2e-7)
    assert jax.grad(autoencoder.elu)(0.0) == 1.0
    assert jnp.isfinite(jax.grad(autoencoder.elu)(1e3))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("skips", [False, True])
def test_began_is_the_plain_network(skips):
    critic = autoencoder.BEGANCritic((16, 16, 2), n=3, h=5, skips=skips)

    def ours_and_theirs(key):
        x = jax.random.normal(key, (2, 16, 16, 2))
        params = model_laws.shaken(critic.init(key, x)["params"])
        code = plain_encoder(params["encoder"], x)
        y = plain_decoder(params["decoder"], code, 3, skips)
        ours = (
            critic.apply({"params": params}, x, method="reconstruct"),
            critic.apply({"params": params}, x),
        )
        return ours, (y, jnp.abs(x - y).mean((1, 2, 3)))

    jax.tree.map(close, *model_laws.run(ours_and_theirs, jax.random.key(0)))


def test_parameters_are_the_papers():
    """The speed contract's began32: 32x32x1, n = h = z = 64."""
    n = h = 64

    def conv(c_in, c_out):
        return 9 * c_in * c_out + c_out

    decoder = (h + 1) * 64 * n + 6 * conv(n, n) + conv(n, 1)
    pairs = [(1, n), (n, n), (n, 2 * n), (2 * n, 2 * n), (2 * n, 3 * n), (3 * n, 3 * n)]
    encoder = sum(conv(*p) for p in pairs) + conv(3 * n, 3 * n) + 64 * 3 * n * h + h
    counts = [
        sum(int(np.prod(s)) for s in model_laws.shapes(module, shape).values())
        for module, shape in [
            (autoencoder.BEGANDecoder((32, 32, 1)), (1, 64)),
            (autoencoder.BEGANCritic((32, 32, 1)), (1, 32, 32, 1)),
        ]
    ]
    assert counts == [decoder, encoder + decoder]


def test_skips_join_h0_after_every_upsampling():
    shapes = model_laws.shapes(autoencoder.BEGANDecoder((64, 64, 3), n=4, skips=True), (1, 7))
    first = [shape for name, shape in shapes.items() if name.startswith("UpsampleConv")]
    assert first.count((3, 3, 8, 4)) == 3
    out = autoencoder.BEGANDecoder((64, 64, 3), n=4, skips=True)
    variables = jax.eval_shape(out.init, jax.random.key(0), jnp.zeros((2, 7)))
    assert jax.eval_shape(out.apply, variables, jnp.zeros((2, 7))).shape == (2, 64, 64, 3)


@pytest.mark.parametrize(
    ("side", "expected"),
    [(8, [8, 4]), (16, [16, 8]), (28, [28, 14]), (32, [32, 16, 8]), (128, [128, 64, 32, 16, 8])],
)
def test_scales(side, expected):
    assert autoencoder.began_scales((side, side, 3)) == [(n, n) for n in expected]


CRITICS = {
    "began": autoencoder.BEGANCritic((8, 8, 1), n=4, h=3),
    "ebgan": autoencoder.EBGANConvCritic((8, 12, 1), widths=(3, 4)),
    "ebgan_mlp": autoencoder.EBGANMLPCritic(features=(12, 6)),
}


@pytest.mark.parametrize("name", cases.slow_but(CRITICS, "ebgan"))
def test_critics(name):
    image_shape = getattr(CRITICS[name], "image_shape", (4, 4, 1))
    output = model_laws.check_critic(CRITICS[name], image_shape, train_argument=False)
    assert float(model_laws.score_of(output).min()) > 0
    assert isinstance(output, Scored) == name.startswith("ebgan")
    if name.startswith("ebgan"):
        assert output.code.shape == (model_laws.BATCH, {"ebgan": 2 * 3 * 4, "ebgan_mlp": 6}[name])


def test_generator():
    module = autoencoder.BEGANDecoder((8, 8, 2), n=4, skips=True, final_activation=jnp.tanh)
    model_laws.check_generator(module, (8, 8, 2), train_argument=False, batch_norm=False)


def test_the_carry_falls_to_zero_inside_one_compiled_program():
    """At carry 0 the network is the one without residuals; evaluation does not move the count."""
    applies = 4
    module = autoencoder.BEGANDecoder((8, 8, 1), n=3, vanishing=applies)
    plain = networks.from_linen(module.clone(vanishing=0))
    net = networks.from_linen(module)
    z = jax.random.normal(jax.random.key(0), (2, 3))

    def program(key):
        params, first = net.init(key, z)

        def step(state, _):
            x, state = net.apply(params, state, z)
            return state, (x, state["schedule"]["applies"])

        last, (xs, counts) = lax.scan(step, first, length=applies + 2)
        frozen = [net.evaluate(params, s, z) for s in (first, last)]
        return xs, counts, frozen, plain.apply(params, {}, z)[0]

    xs, counts, frozen, without = model_laws.run(program, jax.random.key(1))
    assert counts.tolist() == [1, 2, 3, 4, 4, 4]
    close(xs[0], frozen[0])
    close(xs[applies], without)
    close(frozen[1], without)
    distances = jnp.abs(xs - without[None]).max((1, 2, 3, 4))
    assert float(distances[applies - 1]) > 1e-3
    assert (np.diff(distances[: applies + 1]) < 0).all()


def test_at_carry_one_layers_of_one_size_pass_their_input_on():
    """Linear, upsampling, last convolution: all that is left of the decoder."""
    module = autoencoder.BEGANDecoder((16, 16, 1), n=3, vanishing=10)

    def program(key):
        z = jax.random.normal(key, (2, 3))
        variables = module.init(key, z)
        p = variables["params"]
        gradient = jax.grad(lambda p: module.apply({**variables, "params": p}, z).sum())(p)
        x = plain_up(plain_dense(p["Dense_0"], z).reshape(2, 8, 8, 3))
        return module.apply(variables, z), plain_conv(p["Conv_3"], x), gradient

    ours, theirs, gradient = model_laws.run(program, jax.random.key(0))
    close(ours, theirs)
    bypassed = {name for name, g in model_laws.named(gradient).items() if not jnp.abs(g).max() > 0}
    layers = ("Conv_0", "Conv_1", "Conv_2", "UpsampleConv_0")
    assert bypassed == {f"{layer}/{kind}" for layer in layers for kind in ("kernel", "bias")}


def test_critic_counts_for_encoder_and_decoder():
    net = networks.from_linen(autoencoder.BEGANCritic((8, 8, 1), n=2, h=2, vanishing=9))
    x = model_laws.images((8, 8, 1))

    def program(key):
        params, state = net.init(key, x)
        return state, net.apply(params, net.apply(params, state, x)[1], x)[1]

    before, after = model_laws.run(program, jax.random.key(0))
    assert [int(leaf) for leaf in jax.tree.leaves(before)] == [0, 0]
    assert [int(leaf) for leaf in jax.tree.leaves(after)] == [2, 2]


def test_energies():
    error = jnp.array([[3.0, -4.0], [0.0, 0.0]])
    assert autoencoder.mean_absolute(error).tolist() == [3.5, 0.0]
    assert autoencoder.mean_squared(error).tolist() == [12.5, 0.0]
    assert autoencoder.euclidean(error).tolist() == [5.0, 0.0]
    images = jnp.arange(36.0).reshape(3, 2, 3, 2) - 7
    flat = np.asarray(images).reshape(3, 12)
    close(autoencoder.mean_absolute(images), np.abs(flat).mean(axis=1))
    close(autoencoder.mean_squared(images), (flat**2).mean(axis=1))
    close(autoencoder.euclidean(images), np.linalg.norm(flat, axis=1))
    gradient = jax.grad(lambda e: autoencoder.euclidean(e).sum())(error)
    close(gradient, [[0.6, -0.8], [0.0, 0.0]])


def test_networks_lower_for_accelerators():
    critic = autoencoder.BEGANCritic((8, 8, 1), n=2, h=2, skips=True, vanishing=3)
    model_laws.check_lowers_for_accelerators(critic, (2, 8, 8, 1))
    model_laws.check_lowers_for_accelerators(CRITICS["ebgan"], (2, 8, 12, 1))


@pytest.mark.parametrize("image_shape", [(32, 17, 1), (33, 16, 3), (9, 9, 1), (8, 8), (8,)])
def test_image_shapes_that_do_not_fit_are_refused(image_shape):
    for module in (autoencoder.BEGANCritic, autoencoder.BEGANDecoder):
        with pytest.raises(ValueError, match=r"image_shape is .* give \(H, W, C\).*resize"):
            module(image_shape)


def test_other_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"image_shape is .* divisible by 8"):
        autoencoder.EBGANConvCritic((12, 8, 1))
    with pytest.raises(ValueError, match="vanishing is -1"):
        autoencoder.BEGANDecoder((8, 8, 1), vanishing=-1)
    with pytest.raises(ValueError, match="h is 0"):
        autoencoder.BEGANCritic((8, 8, 1), h=0)
    with pytest.raises(ValueError, match=r"features is \(\)"):
        autoencoder.EBGANMLPCritic(features=())


def test_defaults():
    shape = (8, 8, 1)
    for module in (autoencoder.BEGANEncoder(shape), autoencoder.BEGANCritic(shape)):
        assert (module.n, module.h, module.vanishing) == (64, 64, 0)
    decoder = autoencoder.BEGANDecoder(shape)
    assert (decoder.n, decoder.skips, decoder.vanishing) == (64, False, 0)
    assert autoencoder.BEGANCritic(shape).skips is False
    assert autoencoder.EBGANMLPCritic().features == (1024,)
    layers = autoencoder.EBGANConvCritic(shape)
    assert (layers.widths, layers.slope) == ((64, 128, 256), 0.2)


@pytest.mark.parametrize("make", ["BEGANEncoder", "BEGANDecoder", "BEGANCritic"])
def test_the_smallest_networks_are_allowed(make):
    module = getattr(autoencoder, make)
    assert module((8, 8, 1), n=1, vanishing=1).n == 1
    if make != "BEGANDecoder":
        assert module((8, 8, 1), h=1).h == 1
        with pytest.raises(ValueError, match="h is 0"):
            module((8, 8, 1), h=0)
    with pytest.raises(ValueError, match="n is 0"):
        module((8, 8, 1), n=0)


def test_sides_of_16_go_down_to_8_and_the_smaller_side_decides():
    assert autoencoder.began_scales((256, 256, 3))[-1] == (8, 8)
    assert autoencoder.began_scales((16, 16, 3)) == [(16, 16), (8, 8)]
    assert autoencoder.began_scales((16, 32, 3)) == [(16, 32), (8, 16)]
    assert autoencoder.began_scales((32, 8, 1)) == [(32, 8), (16, 4)]
    with pytest.raises(ValueError, match="image_shape"):
        autoencoder.began_scales((128, 128))


def test_ebgan_shapes_at_their_edges():
    assert autoencoder.EBGANMLPCritic((1,)).features == (1,)
    assert autoencoder.EBGANConvCritic((2, 4, 1), widths=(3,)).widths == (3,)
    for shape in ((2, 3, 1), (3, 2, 1), (2, 2), (0, 2, 1), (2, 2, 0)):
        with pytest.raises(ValueError, match="image_shape"):
            autoencoder.EBGANConvCritic(shape, widths=(3,))
    for features in ((), (0,), (4, 0)):
        with pytest.raises(ValueError, match="features"):
            autoencoder.EBGANMLPCritic(features)
    with pytest.raises(ValueError, match="widths"):
        autoencoder.EBGANConvCritic((2, 2, 1), widths=())


def test_the_mlp_is_numpys():
    """He-normal kernels, ReLU between, a linear output, the code the last encoder layer."""
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    critic = autoencoder.EBGANMLPCritic((5, 2))
    out, variables = critic.init_with_output(jax.random.key(0), x)
    layers = [variables["params"][f"Dense_{i}"] for i in range(4)]
    y, outputs = x, []
    for layer in layers:
        y = y @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])
        y = np.maximum(y, 0) if len(outputs) < 3 else y
        outputs.append(y)
    np.testing.assert_allclose(out.code, outputs[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(out.score, np.linalg.norm(x - y, axis=1), rtol=1e-5)
    wide = autoencoder.EBGANMLPCritic((4096,)).init(jax.random.key(1), jnp.ones((1, 8)))
    kernel = wide["params"]["Dense_0"]["kernel"]
    assert float(kernel.std()) == pytest.approx(np.sqrt(2 / 8), rel=0.05)


def test_the_convolutional_critic_is_its_layers():
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
    critic = autoencoder.EBGANConvCritic((8, 8, 1), widths=(2, 3))
    out, variables = critic.init_with_output(jax.random.key(1), x)
    apply = lambda module, name, y: module.apply({"params": variables["params"][name]}, y)
    leaky = lambda y: jnp.where(y > 0, y, 0.2 * y)
    y = leaky(apply(conv.Conv(2, 4, 2), "Conv_0", x))
    y = leaky(apply(conv.Conv(3, 4, 2), "Conv_1", y))
    np.testing.assert_allclose(out.code, y.reshape(2, -1), rtol=1e-5, atol=1e-6)
    y = leaky(apply(conv.ConvTranspose(2, 4, 2), "ConvTranspose_0", y))
    y = apply(conv.ConvTranspose(1, 4, 2), "ConvTranspose_1", y)
    norms = jnp.linalg.norm((x - y).reshape(2, -1), axis=1)
    np.testing.assert_allclose(out.score, norms, rtol=1e-5)
