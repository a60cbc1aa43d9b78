"""Metrics of columns and series in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest

from jwgan.metrics import columns

RNG = np.random.default_rng(6)


def test_equal_sets_have_no_distance():
    x = RNG.normal(size=(50, 3)).astype(np.float32)
    numbers = RNG.integers(0, 4, 50)
    waves = RNG.normal(size=(20, 9, 2)).astype(np.float32)
    assert float(columns.relative_w1(x[:, 0], x[::-1, 0])) == pytest.approx(0, abs=1e-6)
    assert float(columns.total_variation(numbers, numbers[::-1], 4)) == 0
    assert float(columns.correlation_difference(x, x[::-1])) == pytest.approx(0, abs=1e-6)
    lagged = columns.autocorrelations(waves, 3)
    np.testing.assert_allclose(lagged, columns.autocorrelations(waves[::-1], 3), atol=1e-6)


def test_a_shift_in_standard_deviations():
    x = RNG.normal(size=4000).astype(np.float32) * 7
    shifted = columns.relative_w1(x, x + 3 * x.std())
    assert float(shifted) == pytest.approx(3, rel=1e-4)


def test_shares_in_closed_form():
    real, fake = np.repeat([0, 1, 2], [5, 3, 2]), np.repeat([0, 1, 3], [1, 5, 4])
    # shares .5 .3 .2 0 and .1 .5 0 .4
    assert float(columns.total_variation(real, fake, 4)) == pytest.approx(0.6)
    assert float(columns.total_variation([0], [1], 2)) == 1


def test_correlations_are_numpys():
    x = RNG.normal(size=(300, 4))
    x[:, 1] += x[:, 0]
    y = RNG.normal(size=(200, 4))
    pairs = np.triu_indices(4, 1)
    expected = np.abs(np.corrcoef(x.T)[pairs] - np.corrcoef(y.T)[pairs]).mean()
    found = columns.correlation_difference(x.astype(np.float32), y.astype(np.float32))
    assert float(found) == pytest.approx(expected, abs=1e-5)


def test_a_constant_column_has_no_correlation():
    x = jnp.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    y = jnp.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    assert float(columns.correlation_difference(y, x)) == pytest.approx(1, abs=1e-5)
    assert float(columns.correlation_difference(x, x)) == 0


def test_autocorrelations_of_white_noise_and_of_a_walk():
    noise = RNG.normal(size=(400, 60, 1)).astype(np.float32)
    assert np.abs(columns.autocorrelations(noise, 5)).max() < 0.03
    # x_t = .8 x_{t-1} + e has .8^lag
    x = np.zeros((400, 90, 1), np.float32)
    for t in range(1, 90):
        x[:, t] = 0.8 * x[:, t - 1] + RNG.normal(size=(400, 1))
    found = columns.autocorrelations(x[:, 30:], 4)[:, 0]
    np.testing.assert_allclose(found, 0.8 ** np.arange(1, 5), atol=0.03)


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match="F >= 2"):
        columns.correlation_difference(np.ones((3, 1)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="F >= 2"):
        columns.correlation_difference(np.ones((3, 2)), np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"give series \[N, T, C\]"):
        columns.autocorrelations(np.ones((3, 4)), 1)
    for lags in (0, 4):
        with pytest.raises(ValueError, match="give 1 to 3"):
            columns.autocorrelations(np.ones((3, 4, 1)), lags)
