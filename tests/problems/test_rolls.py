"""The swiss roll against scikit-learn's."""

import jax
import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.datasets import make_swiss_roll

from jwgan.problems import rolls

NUM = 20_000


def ours(noise=0.25):
    return np.asarray(rolls.swiss_roll(noise).sample(jax.random.key(0), NUM))


def scikit_learns(noise=0.25):
    return make_swiss_roll(NUM, noise=noise, random_state=0)[0][:, [0, 2]] / 7.5


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2, 2.0])
def test_projections_follow_scikit_learns_distribution(angle):
    direction = np.array([np.cos(angle), np.sin(angle)])
    assert stats.ks_2samp(ours() @ direction, scikit_learns() @ direction).pvalue > 0.001


def test_radii_follow_scikit_learns_distribution():
    radii = [np.linalg.norm(x, axis=1) for x in (ours(), scikit_learns())]
    assert stats.ks_2samp(*radii).pvalue > 0.001
    assert stats.ks_2samp(radii[0], np.linalg.norm(ours(noise=1.0), axis=1)).pvalue < 1e-6


def test_moments_in_closed_form():
    x = ours()
    low, high = 1.5 * np.pi, 4.5 * np.pi

    def mean(f):
        return integrate.quad(lambda t: f(t) / (high - low), low, high)[0]

    expected = np.array([mean(lambda t: t * np.cos(t)), mean(lambda t: t * np.sin(t))]) / 7.5
    np.testing.assert_allclose(x.mean(0), expected, atol=4.5 * x.std(0).max() / np.sqrt(NUM))
    square = (mean(lambda t: t**2) + 2 * 0.25**2) / 7.5**2  # E |x|^2
    norms = (x**2).sum(1)
    assert norms.mean() == pytest.approx(square, abs=4.5 * norms.std() / np.sqrt(NUM))


def test_without_noise_every_point_lies_on_the_spiral():
    x = 7.5 * ours(noise=0.0)
    t = np.linalg.norm(x, axis=1)
    assert t.min() >= 1.5 * np.pi - 1e-4
    assert t.max() <= 4.5 * np.pi + 1e-4
    np.testing.assert_allclose(x, np.stack([t * np.cos(t), t * np.sin(t)], 1), atol=1e-4)


def test_has_no_modes():
    problem = rolls.swiss_roll()
    assert problem.name == "swiss_roll"
    assert problem.modes is None
    assert problem.mode_std is None


def test_sample_is_pure_under_jit_and_vmap():
    sample = rolls.swiss_roll().sample
    keys = jax.random.split(jax.random.key(3), 2)
    plain = np.stack([sample(key, 32) for key in keys])
    np.testing.assert_allclose(jax.jit(sample, static_argnums=1)(keys[0], 32), plain[0], atol=1e-5)
    np.testing.assert_allclose(jax.vmap(lambda key: sample(key, 32))(keys), plain, atol=1e-5)
    assert not np.allclose(plain[0], plain[1])
