"""A root that can be differentiated at 0, what a random key is, and the numbers folded into it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jwgan import numerics, types


def test_the_root_is_numpys():
    square = np.array([0.0, 1e-30, 0.25, 4.0, 1e30], np.float32)
    np.testing.assert_allclose(numerics.safe_sqrt(jnp.asarray(square)), np.sqrt(square), rtol=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_are_finite_at_zero_and_right_elsewhere(order):
    def norm(x):
        return numerics.safe_sqrt((x**2).sum())

    derivative = norm
    for _ in range(order):
        derivative = jax.jacrev(derivative)
    assert np.isfinite(derivative(jnp.zeros(3))).all()
    x = jnp.array([3.0, 0.0, 4.0])
    unit = np.array([0.6, 0.0, 0.8])
    expected = unit if order == 1 else (np.eye(3) - np.outer(unit, unit)) / 5
    np.testing.assert_allclose(derivative(x), expected, atol=1e-6)


def test_keys_are_told_from_numbers():
    keys = [jax.random.key(0), jax.random.split(jax.random.key(0)), jax.random.key(0, impl="rbg")]
    others = [jax.random.PRNGKey(0), jnp.zeros(2), np.zeros(2), 1.0, None, "key"]
    assert all(map(numerics.is_key, keys))
    assert not any(map(numerics.is_key, others))
    assert numerics.is_key(jax.eval_shape(jax.random.key, 0))


def test_no_step_and_no_other_use_folds_in_the_same_number():
    folds = [types.INIT_FOLD, types.DATA_FOLD, types.RETRY_FOLD]
    assert len(set(folds)) == len(folds)
    assert all(2**31 <= fold < 2**32 for fold in folds)  # steps are int32, a fold is uint32


@pytest.mark.parametrize(("n", "m", "f"), [(0, 3, 2), (1, 1, 1), (3, 5, 4), (2, 2, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int32])
def test_square_distances_are_numpys(rng, n, m, f, dtype):
    x, y = (rng.uniform(0, 200, size=(k, f)).astype(dtype) for k in (n, m))
    expected = ((x[:, None].astype(np.float64) - y[None]) ** 2).sum(axis=2)
    found = numerics.square_distances(jnp.asarray(x), jnp.asarray(y))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_square_distances_far_from_0_and_in_any_order(rng):
    x = (1e4 + rng.normal(size=(30, 7))).astype(np.float32)
    exact = ((x[:, None].astype(np.float64) - x[None]) ** 2).sum(axis=2)
    found = np.asarray(numerics.square_distances(jnp.asarray(x), jnp.asarray(x)))
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    np.testing.assert_array_equal(found, found.T)
    part = numerics.square_distances(jnp.asarray(x[3:4]), jnp.asarray(x[5:16]))
    np.testing.assert_array_equal(part, found[3:4, 5:16])


def test_relu_and_two_derivatives_are_jaxs_bit_by_bit():
    x = jnp.array([-jnp.inf, -2.0, -0.0, 0.0, 1e-40, 0.5, jnp.inf])
    tangent = jnp.linspace(-1.0, 3.0, 7)

    def derivatives(relu):
        slope = lambda x: jax.vjp(lambda x: relu(relu(x) * x), x)[1](tangent)[0]
        return relu(x), jax.vjp(relu, x)[1](tangent), jax.vjp(slope, x)[1](tangent)

    ours, jaxs = (jax.tree.leaves(derivatives(relu)) for relu in (numerics.relu, jax.nn.relu))
    for a, b in zip(ours, jaxs, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
