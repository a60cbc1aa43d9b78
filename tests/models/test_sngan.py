"""SN-GAN's networks: parameters against the tables, the laws, spectral norm put on from outside."""

import jax
import jax.numpy as jnp
import model_laws
import numpy as np
import pytest

from jwgan import networks
from jwgan.models import resnet, sngan


def kernels(shapes):
    return [shape for name, shape in shapes.items() if name.endswith("kernel")]


def test_parameters_are_table_3s():
    critic = model_laws.shapes(sngan.SNGANCritic((32, 32, 3)), (1, 32, 32, 3))
    widths = [(3, 3, 64), (4, 64, 64), (3, 64, 128), (4, 128, 128), (3, 128, 256), (4, 256, 256)]
    widths.append((3, 256, 512))
    assert kernels(critic) == [(k, k, a, b) for k, a, b in widths] + [(4 * 4 * 512, 1)]
    assert sum(int(np.prod(s)) for s in critic.values()) == sum(
        k * k * a * b + b for k, a, b in widths
    ) + (8192 + 1)

    generator = model_laws.shapes(sngan.SNGANGenerator((32, 32, 3)), (1, 128))
    assert sorted(kernels(generator)) == sorted(
        [(3, 3, 64, 3), (128, 4 * 4 * 512), (4, 4, 256, 512), (4, 4, 128, 256), (4, 4, 64, 128)]
    )
    assert generator["BatchNorm_0/scale"] == (512,)
    assert {name for name in generator if name.endswith("bias")} == {
        *(f"BatchNorm_{i}/bias" for i in range(4)),
        "Conv_0/bias",
    }


def test_the_papers_other_size():
    generator = model_laws.shapes(sngan.SNGANGenerator((48, 48, 3)), (1, 128))
    assert generator["Dense_0/kernel"] == (128, 6 * 6 * 512)


def test_resnets_are_table_4s():
    generator = sngan.resnet_generator((32, 32, 3))
    critic = sngan.resnet_critic((32, 32, 3))
    assert isinstance(generator, resnet.ResNetGenerator)
    assert generator.width == 256
    assert (critic.width, critic.downs, critic.plain, critic.norm) == (128, 2, 2, None)


def test_the_resnet_critic_sums_over_space():
    """Sum and mean differ by the number of pixels of the last maps: 2x2 for 8x8."""
    ours, mean = sngan.resnet_critic((8, 8, 1), width=4), resnet.ResNetCritic((8, 8, 1), width=4)
    x = model_laws.images((8, 8, 1))

    def both(key):
        variables = ours.init(key, x)
        return ours.apply(variables, x), mean.apply(variables, x)

    summed, averaged = model_laws.run(both, jax.random.key(0))
    np.testing.assert_allclose(summed, 4 * averaged, rtol=1e-5)


def test_critic():
    model_laws.check_critic(sngan.SNGANCritic((8, 8, 2), width=3), (8, 8, 2))


def test_generator():
    model_laws.check_generator(sngan.SNGANGenerator((14, 14, 1), width=3), (14, 14, 1))


def test_spectral_norm_goes_on_from_outside():
    """A critic of leaky ReLUs and normalised layers: ten times the weights are the same critic."""
    net = networks.with_spectral_norm(networks.from_linen(sngan.SNGANCritic((8, 8, 1), width=3)))
    x = model_laws.images((8, 8, 1))

    def scores(key):
        params, state = net.init(key, x)
        louder = jax.tree.map(lambda p: 10 * p, params)  # biases are 0
        return net.apply(params, state, x)[0], net.apply(louder, state, x)[0]

    quiet, loud = model_laws.run(scores, jax.random.key(0))
    assert float(jnp.ptp(quiet)) > 0
    np.testing.assert_allclose(quiet, loud, rtol=1e-3)


def test_networks_lower_for_accelerators():
    model_laws.check_lowers_for_accelerators(sngan.SNGANCritic((8, 8, 1), width=2), (2, 8, 8, 1))
    model_laws.check_lowers_for_accelerators(sngan.SNGANGenerator((8, 8, 1), width=2), (2, 3))


@pytest.mark.parametrize("image_shape", [(32, 32), (32, 18, 1), (18, 18, 1)])
def test_image_shapes_that_do_not_fit_are_refused(image_shape):
    for module in (sngan.SNGANGenerator, sngan.SNGANCritic, sngan.resnet_generator):
        with pytest.raises(ValueError, match=r"image_shape is .* give \(H, W, C\).*resize"):
            module(image_shape)
