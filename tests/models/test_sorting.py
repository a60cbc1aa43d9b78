"""The fast sort: a permutation, the order, and the gradient of a permutation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jwgan.models import sorting


def draws(num=64, size=128):
    x = np.array(jax.random.normal(jax.random.key(0), (num, size)))
    x[0, :4] = [0.0, -0.0, 1e-30, -1e-30]
    x[1] = np.round(x[1])  # ties
    x[2] *= 1e20
    return x


def test_order_and_values():
    x = draws()
    ours = np.asarray(jax.jit(sorting.descending)(x))
    exact = -np.sort(-x, axis=1)
    np.testing.assert_array_equal(np.sort(ours, axis=1), exact[:, ::-1])  # the same values
    np.testing.assert_allclose(ours, exact, rtol=2**-16)


def test_gradient_goes_back_to_each_values_place():
    x = jnp.asarray(draws()[3:])
    weights = jnp.arange(128.0)[None]
    ours = jax.grad(lambda x: (sorting.descending(x) * weights).sum())(x)
    rank = np.argsort(np.argsort(-np.asarray(x), axis=1), axis=1)
    gap = np.diff(np.sort(x, axis=1), axis=1).min(axis=1) > 2**-16 * np.abs(x).max(axis=1)
    assert gap.sum() >= 1  # rows without near-ties
    np.testing.assert_array_equal(np.asarray(ours)[gap], rank[gap])
    np.testing.assert_array_equal(np.sort(ours, axis=1), np.sort(rank, axis=1))


def test_widths_must_be_powers_of_two():
    with pytest.raises(ValueError, match="power of two"):
        sorting.descending(jnp.zeros((2, 6)))
