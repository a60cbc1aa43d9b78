"""Sines and the Lorenz attractor, against SciPy's solver and closed forms."""

import jax
import numpy as np
import pytest
from scipy import integrate

from jwgan.problems import series


def lorenzs(t, s):
    x, y, z = s
    return [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]


def test_a_window_follows_the_equations():
    """For a short time: the attractor forgets where it was."""
    x = np.asarray(series.lorenz(jax.random.key(0), 3, length=12, step=0.02), np.float64)
    for path in x:
        times = 0.02 * np.arange(12)
        found = integrate.solve_ivp(
            lorenzs, (0, times[-1]), path[0], t_eval=times, rtol=1e-9, atol=1e-9
        )
        np.testing.assert_allclose(path, found.y.T, atol=0.02)


def test_the_attractor_is_reached_by_every_trajectory():
    x = np.asarray(series.lorenz(jax.random.key(1), 300, length=8))
    assert len(np.unique(x[:, 0, 0])) == 300
    # Means of the attractor: x and y 0 by symmetry, z 23.55 (the literature's long runs).
    mean = x.mean((0, 1))
    assert abs(mean[2] - 23.55) < 1.5
    assert np.abs(mean[:2]).max() < 1.5


def test_sines_have_the_amplitudes_and_frequencies_asked_for():
    x = np.asarray(series.sines(jax.random.key(2), 500, length=400))[..., 0]
    tops = np.abs(x).max(axis=1)
    assert tops.min() > 0.49
    assert tops.max() <= 1
    crossings = (np.diff(np.sign(x), axis=1) != 0).sum(axis=1)
    assert crossings.min() >= 1  # frequency 1 to 4 crosses zero 2 to 8 times, ends aside
    assert crossings.max() <= 9
    assert abs(crossings.mean() - 5) < 0.5
    # A sine of random phase: mean 0, and mean square a^2 / 2 with E a^2 = 7/12.
    assert abs((x**2).mean() - 7 / 24) < 0.03


@pytest.mark.parametrize("world", [series.sines, series.lorenz])
def test_worlds_are_functions_of_their_key(world):
    one, same, other = (np.asarray(world(jax.random.key(k), 4, 6)) for k in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    with pytest.raises(ValueError, match="num is 0"):
        world(jax.random.key(0), 0)
    with pytest.raises(ValueError, match="length is 1"):
        world(jax.random.key(0), 3, 1)


def test_steps_that_are_too_large():
    for step in (0.0, 0.2):
        with pytest.raises(ValueError, match="step is"):
            series.lorenz(jax.random.key(0), 3, 6, step)
