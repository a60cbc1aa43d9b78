"""Pairs with a closed form: the truth against exact transport, the potential against the truth."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from jwgan import transport
from jwgan.problems import pairs, rolls

NUM = 20_000
POINTS = (
    np.random.default_rng(0).normal(size=(12, 2)),
    np.random.default_rng(1).normal(0.5, 2, size=(9, 2)),
)
EXACT = transport.dual(*POINTS)


def w1_of_normals(real_mean, real_std, fake_mean, fake_std):
    real, fake = stats.norm(real_mean, real_std), stats.norm(fake_mean, fake_std)
    return transport.wp_1d(real.ppf, fake.ppf)


# name -> (pair, its W1 by other means)
WORLDS = {
    "parallel_lines": (pairs.parallel_lines(-0.5), 0.5),
    "translation": (pairs.translation(rolls.swiss_roll().sample, [3.0, -4.0]), 5.0),
    "no translation": (pairs.translation(rolls.swiss_roll().sample, [0.0, 0.0]), 0.0),
    "point_masses": (pairs.point_masses([1.0, 2.0, 3.0], [1.0, 0.0, 3.0]), 2.0),
    "dirac": (pairs.dirac(-1.5), 1.5),
    "apart": (pairs.gaussians_1d(fake_mean=4.0), 4.0),
    "wider": (pairs.gaussians_1d(1.0, 1.0, 1.5, 2.0), w1_of_normals(1.0, 1.0, 1.5, 2.0)),
    "narrower": (pairs.gaussians_1d(1.0, 2.0, -0.5, 0.5), w1_of_normals(1.0, 2.0, -0.5, 0.5)),
    "equal spread": (pairs.gaussians([0.0, 1.0], [1.0, 2.0], [2.0, 1.0], [1.0, 2.0]), 2.0),
    "point to sphere": (pairs.spheres(8, 0.0, 1.0), 1.0),
    "spheres": (pairs.spheres(3, 2.0, 0.5), 1.5),
    "balls": (pairs.balls(3, 1.0, 2.0), 0.75),
    "round_gaussians": (pairs.round_gaussians(5, 1.5, 0.5), stats.chi(5).mean()),
    "finite_samples": (
        pairs.finite_samples(*POINTS, EXACT.w1, transport.cones(POINTS[1], EXACT.at_y)),
        transport.exact_w1(*POINTS),
    ),
}
worlds = pytest.mark.parametrize("name", WORLDS)


def draw(pair, num=NUM):
    def both(key):
        key_real, key_fake = jax.random.split(key)
        return pair.sample_real(key_real, num), pair.sample_fake(key_fake, num)

    return jax.jit(both)(jax.random.key(0))


@worlds
def test_the_truth(name):
    pair, expected = WORLDS[name]
    assert pair.w1 == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert pair.w1_se == 0
    assert pair.bounds is None


@worlds
def test_the_potential_attains_the_truth_and_is_lipschitz(name):
    pair, _ = WORLDS[name]
    points = draw(pair)
    real, fake = points
    assert real.dtype == fake.dtype == jnp.float32
    score = jax.jit(pair.potential)
    at_real, at_fake = (np.asarray(score(x), np.float64) for x in points)
    error = np.hypot(at_real.std(), at_fake.std()) / np.sqrt(NUM)
    assert at_real.mean() - at_fake.mean() == pytest.approx(pair.w1, abs=4.5 * error + 1e-5)
    few = np.concatenate([np.asarray(x)[:100] for x in points])
    values = np.concatenate([at_real[:100], at_fake[:100]])
    assert (np.abs(values[:, None] - values[None]) <= cdist(few, few) + 1e-5).all()


@worlds
def test_the_gradient_leads_up_the_potential_on_the_same_samples(name):
    pair, _ = WORLDS[name]
    if name == "finite_samples":
        assert pair.sample_with_gradient is None
        return

    @jax.jit
    def run(key):
        x, gradient = pair.sample_with_gradient(key, 64)
        rise = pair.potential(x + 1e-2 * gradient) - pair.potential(x)
        return x, gradient, rise, pair.sample_real(key, 64)

    x, gradient, rise, same = (np.asarray(a) for a in run(jax.random.key(1)))
    np.testing.assert_allclose(x, same, atol=1e-6)
    assert gradient.shape == x.shape
    # no direction to go; a tip
    length = 0.0 if name in ("no translation", "point to sphere") else 1.0
    np.testing.assert_allclose(np.linalg.norm(gradient, axis=1), length, atol=1e-5)
    assert (np.abs(rise - 1e-2 * length) < 1e-4).mean() > 0.95  # a few may step over a kink


@pytest.mark.parametrize("name", ["apart", "wider", "narrower", "parallel_lines", "dirac"])
def test_samples_are_as_far_apart_as_the_truth(name):
    pair, _ = WORLDS[name]
    real, fake = (np.asarray(x) for x in draw(pair))
    found = stats.wasserstein_distance(real[:, 0], fake[:, 0])
    assert found == pytest.approx(pair.w1, abs=0.05)


def test_parallel_lines_are_lines():
    for x, place in zip(draw(WORLDS["parallel_lines"][0]), (0.0, -0.5), strict=True):
        x = np.asarray(x)
        np.testing.assert_array_equal(x[:, 0], np.float32(place))
        assert stats.kstest(x[:, 1], "uniform").pvalue > 0.001


def test_other_keys_other_samples_and_no_need_of_jit():
    pair = pairs.balls(3, 1.0, 2.0)
    keys = jax.random.split(jax.random.key(0))
    plain = pair.sample_real(keys[0], NUM)
    np.testing.assert_allclose(plain, draw(pair)[0], atol=1e-5)
    assert not np.allclose(plain, pair.sample_real(keys[1], NUM))


def test_the_moments_of_the_radial_laws():
    for dim, radius in itertools.product((1, 3), (0.5, 2.0)):
        on_sphere, in_ball = (
            np.asarray(draw(make(dim, radius, 1.0))[0], np.float64)
            for make in (pairs.spheres, pairs.balls)
        )
        np.testing.assert_allclose(np.linalg.norm(on_sphere, axis=1), radius, rtol=1e-5)
        fraction = (np.linalg.norm(in_ball, axis=1) / radius) ** dim  # the volume inside
        assert stats.kstest(fraction, "uniform").pvalue > 0.001
        for x in (on_sphere, in_ball):
            assert np.abs(x.mean(0)).max() < 4.5 * radius / np.sqrt(NUM)
    normal = np.asarray(draw(pairs.round_gaussians(2, 3.0, 1.0))[0])
    assert stats.kstest(normal.ravel() / 3, "norm").pvalue > 0.001


def test_gaussians_with_other_spreads_have_bounds_only():
    means, stds = ([0.0, 0.0, 0.0], [1.0, 2.0, 0.0]), ([1.0, 1.0, 1.0], [0.5, 2.0, 1.5])
    pair = pairs.gaussians(means[0], stds[0], means[1], stds[1])
    assert pair.w1 is None
    assert pair.potential is None
    assert pair.sample_with_gradient is None
    covs = [np.diag(np.square(s)) for s in stds]
    expected = transport.gaussian_w1_bounds(means[0], covs[0], means[1], covs[1])
    np.testing.assert_allclose(pair.bounds, expected, rtol=1e-6)
    real, fake = (np.asarray(x, np.float64) for x in draw(pair))
    for x, mean, std in ((real, means[0], stds[0]), (fake, means[1], stds[1])):
        np.testing.assert_allclose(x.mean(0), mean, atol=4.5 * 2 / np.sqrt(NUM))
        np.testing.assert_allclose(x.std(0), std, rtol=4.5 / np.sqrt(2 * NUM))


def test_finite_samples_draw_every_point_equally_often():
    pair = WORLDS["finite_samples"][0]
    for x, points in zip(draw(pair), POINTS, strict=True):
        nearest = cdist(x, points)
        assert nearest.min(1).max() < 1e-6
        counts = np.bincount(nearest.argmin(1), minlength=len(points))
        assert stats.chisquare(counts).pvalue > 0.001
    assert pairs.finite_samples(*POINTS, EXACT.w1).potential is None


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: pairs.parallel_lines(np.nan), "finite"),
        (lambda: pairs.translation(None, 1.0), "shift"),
        (lambda: pairs.point_masses([0.0], [0.0, 1.0]), "fake"),
        (lambda: pairs.gaussians_1d(real_std=0.0), "real_std"),
        (lambda: pairs.gaussians_1d(fake_std=-1.0), "fake_std"),
        (lambda: pairs.gaussians([0.0], [1.0], [0.0, 1.0], [1.0, 1.0]), "four vectors"),
        (lambda: pairs.gaussians([0.0], [1.0], [0.0], [-1.0]), "fake_std"),
        (lambda: pairs.spheres(0, 1.0, 2.0), "dim"),
        (lambda: pairs.balls(2, -1.0, 2.0), "scale"),
        (lambda: pairs.finite_samples(np.zeros((2, 1)), np.zeros((2, 2)), 0.0), "real, fake"),
    ],
)
def test_bad_arguments_are_named(build, word):
    with pytest.raises(ValueError, match=word):
        build()
