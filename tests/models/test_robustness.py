"""The seven pairs and the random ones: what they are made of, and the laws on their blocks."""

import cases
import jax
import jax.numpy as jnp
import model_laws
import numpy as np
import pytest

from jwgan.models import norms, robustness

SHAPE, WIDTH = (32, 32, 3), 64
PAIRS = [
    robustness.baseline,
    robustness.constant_filters,
    robustness.mlp_generator,
    robustness.no_normalisation,
    robustness.gated_everywhere,
    robustness.tanh_everywhere,
    robustness.resnet_101,
]


def parts(pair):
    critic, generator = pair
    return model_laws.shapes(critic, (1, *SHAPE)), model_laws.shapes(generator, (1, 128))


def kernels(shapes):
    return [shape for name, shape in shapes.items() if name.endswith("kernel")]


def normalises(shapes):
    return any("Norm" in name for name in shapes)


@pytest.mark.parametrize("make", PAIRS)
def test_pairs_map_the_right_shapes(make):
    critic, generator = make((8, 8, 1), 4)
    x = jnp.zeros((2, 8, 8, 1))
    key = jax.random.key(0)
    score, _ = jax.eval_shape(critic.init_with_output, key, x)
    image, _ = jax.eval_shape(generator.init_with_output, key, jnp.zeros((2, 5)))
    assert score.shape == (2,)
    assert image.shape == x.shape


def test_1_baseline():
    critic, generator = parts(robustness.baseline(SHAPE))
    assert kernels(critic) == [(5, 5, 3, 64), (5, 5, 64, 128), (5, 5, 128, 256), (4096, 1)]
    assert sorted(kernels(generator)) == sorted(
        [(128, 4096), (5, 5, 128, 256), (5, 5, 64, 128), (5, 5, 3, 64)]
    )
    assert "LayerNorm_1/scale" in critic
    assert "LayerNorm_2/scale" not in critic
    assert "BatchNorm_2/scale" in generator
    assert "BatchNorm_3/scale" not in generator
    by_batch, _ = parts(robustness.baseline(SHAPE, critic_norm=norms.batch_norm))
    assert "BatchNorm_1/scale" in by_batch


def test_2_constant_filters():
    critic, generator = parts(robustness.constant_filters(SHAPE))
    assert critic == parts(robustness.baseline(SHAPE))[0]
    assert not normalises(generator)
    assert sorted(kernels(generator)) == sorted(
        [(128, 1024), (5, 5, 64, 64), (5, 5, 64, 64), (5, 5, 3, 64)]
    )


def test_3_mlp_generator():
    critic, generator = parts(robustness.mlp_generator(SHAPE))
    assert critic == parts(robustness.baseline(SHAPE))[0]
    assert sorted(kernels(generator)) == sorted([(128, 512), *3 * [(512, 512)], (512, 3072)])


def test_4_no_normalisation():
    for ours, base in zip(
        parts(robustness.no_normalisation(SHAPE)), parts(robustness.baseline(SHAPE)), strict=True
    ):
        assert not normalises(ours)
        assert kernels(ours) == kernels(base)


def test_5_gates():
    critic, generator = parts(robustness.gated_everywhere(SHAPE))
    assert kernels(critic) == [(5, 5, 3, 128), (5, 5, 64, 256), (5, 5, 128, 512), (4096, 1)]
    assert sorted(kernels(generator)) == sorted(
        [(128, 8192), (5, 5, 256, 256), (5, 5, 128, 128), (5, 5, 3, 64)]
    )


def test_6_tanh():
    pair = robustness.tanh_everywhere(SHAPE)
    assert [m.activation for m in pair] == [jnp.tanh, jnp.tanh]
    assert parts(pair) == parts(robustness.baseline(SHAPE))


@pytest.mark.slow
def test_7_resnets_have_101_layers():
    for shapes in parts(robustness.resnet_101(SHAPE)):
        # those of a loop count one by one
        layers = [
            shape[0] if "_EqualBlocks" in name else 1
            for name, shape in shapes.items()
            if name.endswith("kernel")
        ]
        assert sum(layers) == 101 + 3  # shortcuts between four scales
        assert normalises(shapes)
    critic, _ = robustness.resnet_101(SHAPE, critic_norm=None)
    assert not normalises(model_laws.shapes(critic, (1, *SHAPE)))


CRITICS = {
    "gated": robustness.gated_everywhere((8, 8, 1), 3)[0],
    "plain": robustness.ConvCritic((8, 8, 1), [4], [1], jnp.tanh, norm=norms.layer_norm),
    "two_levels": robustness.ConvCritic((16, 16, 1), [3, 4], norm=norms.layer_norm),
}


@pytest.mark.parametrize("name", cases.slow_but(CRITICS, "plain"))
def test_critics(name):
    model_laws.check_critic(CRITICS[name], CRITICS[name].image_shape)


GENERATORS = {
    "gated": (robustness.gated_everywhere((8, 8, 1), 3)[1], True),
    "plain": (
        robustness.ConvGenerator(
            (16, 16, 2), [3, 3], [1, 0], robustness.shifted_softplus, norm=None
        ),
        False,
    ),
}


@pytest.mark.parametrize("name", cases.slow_but(GENERATORS, "plain"))
def test_generators(name):
    module, batch_norm = GENERATORS[name]
    model_laws.check_generator(module, module.image_shape, batch_norm=batch_norm)


def test_nonlinearities():
    x = jnp.array([-30.0, -1.0, 0.0, 2.0])
    # softplus(u) = log(1 + e^u)
    np.testing.assert_allclose(
        robustness.shifted_softplus(x),
        [-1.0, np.log(2) / 2 - 1, np.log1p(np.exp(2)) / 2 - 1, np.log1p(np.exp(6)) / 2 - 1],
        rtol=1e-6,
    )
    gated = robustness.gated(jnp.array([[0.0, 2.0, 1.0, -0.5]]))
    expected = [[0.5 * np.tanh(1.0), np.tanh(-0.5) / (1 + np.exp(-2))]]
    np.testing.assert_allclose(gated, expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_are_what_their_choices_say(seed):
    choices = robustness.random_choices(seed)
    pair = robustness.random_architecture(seed, SHAPE)
    assert tuple(m.activation for m in pair) == tuple(c.activation for c in choices)
    for shapes, choice in zip(parts(pair), choices, strict=True):
        assert len(kernels(shapes)) == choice.depth
        assert normalises(shapes) == choice.normalise
        sides = [s for s in kernels(shapes) if 3 in s[2:]]  # the convolution next to the image
        assert sides == [(5, 5, 3, choice.filters)]


def test_random_choices_are_even_independent_and_repeatable():
    drawn = [robustness.random_choices(seed) for seed in range(600)]
    assert drawn == [robustness.random_choices(seed) for seed in range(600)]
    for player in (0, 1):
        for field, num in (("activation", 4), ("depth", 4), ("normalise", 2), ("filters", 3)):
            values = [getattr(pair[player], field) for pair in drawn]
            counts = [values.count(v) for v in set(values)]
            assert len(counts) == num
            # five standard deviations of a count
            spread = 5 * np.sqrt(600 * (1 / num) * (1 - 1 / num))
            assert max(abs(c - 600 / num) for c in counts) < spread
    equal = sum(c.depth == g.depth for c, g in drawn)
    assert abs(equal - 150) < 5 * np.sqrt(600 * 0.25 * 0.75)


def test_random_networks_can_be_smaller():
    critic, generator = robustness.random_architecture(3, (8, 8, 1), filters=[2], depths=[3])
    assert (critic.widths, generator.widths) == ([2], [2])
    assert (sum(critic.plain), sum(generator.plain)) == (1, 1)


def test_networks_lower_for_accelerators():
    model_laws.check_lowers_for_accelerators(CRITICS["gated"], (2, 8, 8, 1))
    model_laws.check_lowers_for_accelerators(GENERATORS["gated"][0], (2, 3))


@pytest.mark.parametrize("image_shape", [(32, 32), (32, 18, 1), (18, 18, 1)])
@pytest.mark.parametrize("make", PAIRS)
def test_image_shapes_that_do_not_fit_are_refused(make, image_shape):
    with pytest.raises(ValueError, match=r"image_shape is .* give \(H, W, C\).*resize"):
        make(image_shape)


def test_other_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"widths is .* each of 3 halvings"):
        robustness.ConvCritic(SHAPE, [4, 8])
    with pytest.raises(ValueError, match=r"plain is .* 3 numbers of layers"):
        robustness.ConvGenerator(SHAPE, [4, 4, 4], [1])
    with pytest.raises(ValueError, match=r"depth is 3: .* needs 4 layers or more"):
        robustness.random_architecture(0, SHAPE, depths=[3])
