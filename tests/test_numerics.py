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
