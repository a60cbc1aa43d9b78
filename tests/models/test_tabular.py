"""The generator of table rows: choices are one-hot, pass the softmax's gradient, follow its law."""

import jax
import jax.numpy as jnp
import model_laws
import numpy as np
import pytest

from jwgan.models import tabular


def test_a_choice_is_the_largest_logit_with_the_softmax_gradient():
    logits = jnp.array([[0.3, 1.2, -0.5], [2.0, 0.1, 0.2]])
    weights = jnp.array([[1.0, -2.0, 0.5], [0.3, 0.7, 4.0]])
    for temperature in (1.0, 0.5):
        hard = lambda x, t=temperature: (weights * tabular.straight_through(x, t)).sum()
        soft = lambda x, t=temperature: (weights * jax.nn.softmax(x / t)).sum()
        np.testing.assert_allclose(jax.grad(hard)(logits), jax.grad(soft)(logits), rtol=1e-6)
    assert tabular.straight_through(logits).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_normal_noise_becomes_gumbels():
    """Its distribution function is exp(-exp(-x)), and E = Euler's constant."""
    noise = np.asarray(tabular.gumbel(jax.random.normal(jax.random.key(0), (200_000,))))
    assert abs(noise.mean() - 0.57722) < 4 * 1.2825 / np.sqrt(len(noise))
    for x in (-1.0, 0.0, 1.5):
        assert abs((noise <= x).mean() - np.exp(-np.exp(-x))) < 0.005
    assert np.isfinite(tabular.gumbel(jnp.array([-8.0, 8.0]))).all()


def test_noise_of_half_precision_stays_half():
    """`--precision bfloat16` gives such latents, which JAX's log_ndtr refuses."""
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        normal = jnp.linspace(-3, 3, 13).astype(dtype)
        noise = tabular.gumbel(normal)
        assert noise.dtype == dtype
        wanted = tabular.gumbel(normal.astype(jnp.float32))
        rtol = float(jnp.finfo(dtype).eps)
        np.testing.assert_allclose(noise.astype(jnp.float32), wanted, rtol=rtol)


def test_drawn_categories_follow_the_softmax():
    """The same latent becomes every category, as often as its probability says."""
    generator = tabular.TableGenerator((3, 0), features=(), noise=True)
    key = jax.random.key(1)
    z = jnp.concatenate([jnp.ones((20_000, 1)), jax.random.normal(key, (20_000, 3))], axis=1)
    variables = generator.init(key, z[:1])
    layer = variables["params"]["MLP_0"]["Dense_0"]
    logits = jnp.array([0.0, 1.0, -1.0, 0.2])
    layer = {"kernel": 0 * layer["kernel"], "bias": logits}
    x = generator.apply({"params": {"MLP_0": {"Dense_0": layer}}}, z)
    np.testing.assert_allclose(x[:, :3].mean(0), jax.nn.softmax(logits[:3]), atol=0.015)
    np.testing.assert_allclose(x[:, 3], np.tanh(0.2), rtol=1e-6)


@pytest.mark.parametrize("noise", [False, True])
def test_rows_are_in_range_and_every_parameter_learns(noise):
    blocks = (0, 3, 0, 2)
    generator = tabular.TableGenerator(blocks, features=(6,), noise=noise)
    network = model_laws.network(generator, train_argument=False)
    z = jax.random.normal(jax.random.key(2), (50, 4 + 5 * noise))
    direction = jax.random.normal(jax.random.key(3), (50, 7))

    def loss(params, state):
        x, _ = network.apply(params, state, z)
        return (direction * x).sum(), x

    params, state = network.init(jax.random.key(0), z)
    gradient, x = jax.jit(jax.grad(loss, has_aux=True))(model_laws.shaken(params), state)
    assert x.shape == (50, 7)
    assert (jnp.abs(x) <= 1).all()
    for part in (x[:, 1:4], x[:, 5:7]):
        assert set(np.unique(part).tolist()) == {0.0, 1.0}
        assert (part.sum(1) == 1).all()
    model_laws.assert_alive(gradient)


def test_bad_arguments_are_refused():
    for blocks in ((), (0, 1), (-1,)):
        with pytest.raises(ValueError, match="blocks is"):
            tabular.TableGenerator(blocks)
    with pytest.raises(ValueError, match="temperature is 0"):
        tabular.TableGenerator((0,), temperature=0)
    generator = tabular.TableGenerator((0, 3), noise=True)
    with pytest.raises(ValueError, match="give more than 3 latents, of which the last 3"):
        generator.init(jax.random.key(0), jnp.ones((2, 3)))
