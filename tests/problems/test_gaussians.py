"""The mixtures: every mode as likely as the others, where and as wide as the papers say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jwgan.problems import gaussians

NUM = 20_000
WORLDS = {
    "eight_gaussians": (gaussians.eight_gaussians, 8, 2 / 1.414, 0.02 / 1.414),
    "twenty_five_gaussians": (gaussians.twenty_five_gaussians, 25, None, 0.05 / 2.828),
    "ring": (gaussians.ring, 8, 1.0, 0.01),
}
worlds = pytest.mark.parametrize("name", WORLDS)


def nearest(x, modes):  # [N, 2], [M, 2] -> [N]
    return np.argmin(((x[:, None] - modes[None]) ** 2).sum(-1), axis=1)


def uniform_p(x, modes):
    """The p-value of 'every mode is equally likely'."""
    return stats.chisquare(np.bincount(nearest(x, modes), minlength=len(modes))).pvalue


@worlds
def test_centres_radius_and_std(name):
    build, num_modes, radius, std = WORLDS[name]
    problem = build()
    assert problem.name == name
    assert problem.modes.shape == (num_modes, 2)
    assert problem.mode_std == pytest.approx(std)
    if radius is None:
        values = np.unique(np.asarray(problem.modes).round(5))
        np.testing.assert_allclose(values, np.array([-4, -2, 0, 2, 4]) / 2.828, atol=1e-5)
    else:
        np.testing.assert_allclose(np.linalg.norm(problem.modes, axis=1), radius, rtol=1e-6)


@worlds
def test_modes_are_equally_likely(name):
    problem = WORLDS[name][0]()
    x = np.asarray(problem.sample(jax.random.key(0), NUM))
    assert uniform_p(x, np.asarray(problem.modes)) > 0.001


def test_a_ring_that_repeats_its_first_mode_fails_that_check():
    # The defect of public code: linspace's end point repeats the first mode, weight 2/9.
    angle = np.linspace(0, 2 * np.pi, 9)
    centres = 2 / 1.414 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    mode = np.asarray(jax.random.randint(jax.random.key(0), (NUM,), 0, 9))
    assert uniform_p(centres[mode], np.asarray(gaussians.eight_gaussians().modes)) < 1e-6


def test_repeated_modes_are_refused():
    angle = np.linspace(0, 2 * np.pi, 9)
    with pytest.raises(ValueError, match="distinct modes"):
        gaussians.mixture("bad", np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.1)


@pytest.mark.parametrize(
    ("modes", "std", "word"), [([1.0, 2.0], 1.0, "modes"), ([[0.0, 0]], -1, "std")]
)
def test_bad_arguments_are_named(modes, std, word):
    with pytest.raises(ValueError, match=word):
        gaussians.mixture("bad", modes, std)


@worlds
def test_each_mode_has_its_mean_and_std(name):
    problem = WORLDS[name][0]()
    modes, std = np.asarray(problem.modes), problem.mode_std
    x = np.asarray(problem.sample(jax.random.key(1), NUM))
    deviation = (x - modes[nearest(x, modes)]) / std
    for m in range(len(modes)):
        d = deviation[nearest(x, modes) == m]
        bound = 4.5 / np.sqrt(len(d))  # 4.5 standard errors
        assert np.abs(d.mean(0)).max() < bound
        assert np.abs(d.std(0) - 1).max() < bound
    assert stats.kstest(deviation.ravel(), "norm").pvalue > 0.001


@worlds
def test_sample_is_pure_under_jit_and_vmap(name):
    sample = WORLDS[name][0]().sample
    keys = jax.random.split(jax.random.key(2), 3)
    plain = jnp.stack([sample(key, 64) for key in keys])
    assert plain.dtype == jnp.float32
    assert plain.shape == (3, 64, 2)
    jitted = jax.jit(sample, static_argnums=1)(keys[0], 64)
    np.testing.assert_allclose(jitted, plain[0], atol=1e-6)
    np.testing.assert_allclose(jax.vmap(lambda key: sample(key, 64))(keys), plain, atol=1e-6)
    assert not np.allclose(plain[0], plain[1])
