"""Sliced W1 against scipy on the line and closed forms in the plane."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jwgan import transport
from jwgan.metrics import sliced

X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
KEY = jax.random.key(0)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 4), m=st.integers(1, 4))
def test_on_the_line_it_is_scipys(seed, n, m):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=5 * n).round(1), rng.normal(1, 2, size=5 * m).round(1)  # with ties
    expected = stats.wasserstein_distance(x, y)
    x, y = x.astype(np.float32), y.astype(np.float32)
    assert float(sliced.w1_on_line(x, y)) == pytest.approx(expected, abs=1e-5)
    assert float(sliced.sliced_w1(KEY, x[:, None], y[:, None], 3)) == pytest.approx(
        expected, abs=1e-5
    )


@pytest.mark.parametrize(("dim", "factor"), [(2, 2 / np.pi), (3, 1 / 2)])
def test_a_shift_costs_its_length_times_the_mean_cosine(rng, dim, factor):
    x = rng.normal(size=(20, dim)).astype(np.float32)
    shift = np.full(dim, 3.0, np.float32)
    value = float(sliced.sliced_w1(KEY, x, x + shift[None], 4000))
    length = np.linalg.norm(shift)
    assert value == pytest.approx(factor * length, abs=4.5 * 0.35 * length / np.sqrt(4000))


def test_zero_for_a_permutation_and_symmetric():
    y = X[::-1] * 2 + 1
    assert float(sliced.sliced_w1(KEY, X, X[::-1])) == pytest.approx(0, abs=1e-6)
    there, back = sliced.sliced_w1(KEY, X, y), sliced.sliced_w1(KEY, y, X)
    assert float(there) == pytest.approx(float(back), rel=1e-6)


def test_repeating_every_point_changes_nothing():
    y = X * 2 + 1
    equal_sizes = float(sliced.sliced_w1(KEY, X, y))
    assert float(sliced.sliced_w1(KEY, X, np.tile(y, (3, 1)))) == pytest.approx(
        equal_sizes, rel=1e-4
    )


def test_never_above_exact_w1(rng):
    y = rng.normal(0.5, 2, size=(60, 2)).astype(np.float32)
    assert 0 < float(sliced.sliced_w1(KEY, X, y)) < transport.exact_w1(X, y)


def test_the_key_fixes_the_directions():
    y = X * 2 + 1
    values = [float(sliced.sliced_w1(jax.random.key(k), X, y, 8)) for k in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


def test_a_common_offset_changes_nothing():
    """A product of large numbers would lose the digits of their difference."""
    offset = np.float32(2**20)
    x = np.round(X * 64)
    y = np.round(X * 128) + 1
    plain = float(sliced.sliced_w1(KEY, x, y))
    assert float(sliced.sliced_w1(KEY, x + offset, y + offset)) == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("m", [3, 5])
def test_bytes_and_halves_are_floats(m):
    """Differences of unsigned bytes would wrap around, and half floats have no shares of 300."""
    x = np.array([0, 3, 250], np.uint8)
    y = np.array([200, 1, 7, 7, 255], np.uint8)[:m]
    expected = stats.wasserstein_distance(x, y)
    for dtype in (np.uint8, np.float16):
        value = sliced.w1_on_line(jnp.asarray(x, dtype), jnp.asarray(y, dtype))
        assert value.dtype == np.float32
        assert float(value) == pytest.approx(expected, rel=1e-6)


def test_under_x64_all_of_it_is_float64(rng):
    x, y = rng.normal(size=7), rng.normal(1, 2, size=11)
    with jax.enable_x64(True):
        value = sliced.w1_on_line(jnp.asarray(x), jnp.asarray(y))
        assert value.dtype == np.float64
        assert float(value) == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-13)


def test_a_single_row_and_none():
    one = jnp.ones((1, 2))
    assert float(sliced.sliced_w1(KEY, one, one)) == 0
    none, three, table = jnp.zeros(0), jnp.zeros(3), jnp.zeros((2, 2))
    for real, fake, match in [
        (none, three, r"samples is \(0, 3\)"),
        (three, none, r"samples is \(3, 0\)"),
        (table, three, r"real, fake is \(\(2, 2\), \(3,\)\)"),
        (three, table, r"real, fake is \(\(3,\), \(2, 2\)\)"),
    ]:
        with pytest.raises(ValueError, match=match):
            sliced.w1_on_line(real, fake)


def test_shapes_that_do_not_fit_are_refused_and_128_directions_are_the_default():
    assert inspect.signature(sliced.sliced_w1).parameters["num_projections"].default == 128
    assert float(sliced.sliced_w1(KEY, X[:1], X[:1] + 1, 1)) > 0
    others = (X[:, :1], X[0], X[:0], X[:, :, None])
    pairs = [pair for x in others for pair in ((X, x), (x, X))]
    for real, fake in [*pairs, (X[0], X[0]), (X[None], X[None])]:
        with pytest.raises(ValueError, match="real, fake is"):
            sliced.sliced_w1(KEY, real, fake)
    with pytest.raises(ValueError, match="num_projections is 0"):
        sliced.sliced_w1(KEY, X, X, 0)


def test_directions_are_uniform_on_the_sphere():
    """A stretch along one axis alone is seen by all directions by their share of it."""
    fake = np.zeros((4, 3), np.float32)
    real = fake + np.float32([5, 0, 0])
    values = [float(sliced.sliced_w1(jax.random.key(k), real, fake, 2000)) for k in range(2)]
    assert values == pytest.approx([2.5, 2.5], abs=4.5 * 5 * 0.29 / np.sqrt(2000))
