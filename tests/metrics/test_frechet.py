"""The Frechet distance against closed forms, scipy's sqrtm and POT."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from jwgan.metrics import frechet

fixed = settings(derandomize=True, deadline=None, max_examples=40)
seeds = st.integers(0, 2**32 - 1)
ROWS = np.random.default_rng(0).normal(size=(200, 6))


def gaussians(seed, dim=4, rank=None):
    """Two random (mean, covariance), of the given rank."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(2, dim, dim if rank is None else rank))
    covs = factors @ factors.transpose(0, 2, 1)
    means = rng.normal(size=(2, dim))
    return means[0], covs[0], means[1], covs[1]


def whitened(num, dim, seed):
    """Rows whose sample mean is 0 and sample covariance is the identity, exactly."""
    x = np.random.default_rng(seed).normal(size=(num, dim))
    x -= x.mean(0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T


def test_equal_features_have_distance_zero():
    assert frechet.frechet_distance(ROWS, ROWS) == pytest.approx(0, abs=1e-12)
    assert frechet.frechet_distance(ROWS, ROWS[::-1]) == pytest.approx(0, abs=1e-12)


def test_a_shift_by_d_costs_d_squared():
    shift = np.arange(6.0)
    assert frechet.frechet_distance(ROWS, ROWS + shift) == pytest.approx(shift @ shift, rel=1e-12)


def test_diagonal_covariances_cost_the_squared_difference_of_deviations():
    a, b = np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.5, 1.0])
    real, fake = whitened(50, 3, 1) * a, whitened(70, 3, 2) * b + 1.0
    expected = ((a - b) ** 2).sum() + 3
    assert frechet.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-10)


def test_one_dimension_is_the_papers_scalar_form():
    # (m1 - m2)^2 + c1 + c2 - 2 sqrt(c1 c2)
    rng = np.random.default_rng(3)
    x, y = rng.normal(1, 2, (40, 1)), rng.normal(-1, 0.3, (50, 1))
    c1, c2 = x.var(ddof=1), y.var(ddof=1)
    expected = (x.mean() - y.mean()) ** 2 + c1 + c2 - 2 * np.sqrt(c1 * c2)
    assert frechet.frechet_distance(x, y) == pytest.approx(expected, rel=1e-12)


@fixed
@given(seed=seeds)
def test_agrees_with_scipys_matrix_root(seed):
    m1, c1, m2, c2 = gaussians(seed)
    expected = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * np.real(linalg.sqrtm(c1 @ c2)))
    assert frechet.distance_of_moments(m1, c1, m2, c2) == pytest.approx(expected, rel=1e-6)


@fixed
@given(seed=seeds)
def test_agrees_with_pot(seed):
    moments = m1, c1, m2, c2 = gaussians(seed)
    expected = float(ot.gaussian.bures_wasserstein_distance(m1, m2, c1, c2)) ** 2
    assert frechet.distance_of_moments(*moments) == pytest.approx(expected, rel=1e-6)


@fixed
@given(seed=seeds, rank=st.integers(0, 3))
def test_singular_covariances_keep_their_digits(seed, rank):
    m1, c1, m2, _ = gaussians(seed, rank=rank)
    shift = ((m1 - m2) ** 2).sum()
    assert frechet.distance_of_moments(m1, c1, m2, c1) == pytest.approx(shift, abs=1e-12, rel=1e-9)
    scaled = frechet.distance_of_moments(m1, c1, m1, 4 * c1)  # deviations doubled
    assert scaled == pytest.approx(np.trace(c1), abs=1e-12, rel=1e-9)


def test_fewer_rows_than_features():
    rng = np.random.default_rng(4)
    few = rng.normal(size=(5, 30))
    assert frechet.frechet_distance(few, few) == pytest.approx(0, abs=1e-12)
    assert frechet.frechet_distance(few, few + 2) == pytest.approx(120, rel=1e-9)


@fixed
@given(seed=seeds, scale=st.floats(0.1, 10))
def test_symmetry_invariances_and_scaling(seed, scale):
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(size=(20, 3)), rng.normal(size=(25, 3)) * [1, 2, 3]
    distance = frechet.frechet_distance(real, fake)
    rotation, shift = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.normal(size=3)
    assert distance > 0
    assert frechet.frechet_distance(fake, real) == pytest.approx(distance, rel=1e-9)
    moved = frechet.frechet_distance(real @ rotation + shift, fake @ rotation + shift)
    assert moved == pytest.approx(distance, rel=1e-9)
    scaled = frechet.frechet_distance(scale * real, scale * fake)
    assert scaled == pytest.approx(scale**2 * distance, rel=1e-9)


def test_float32_features_are_reduced_in_float64():
    rows = (ROWS + 1000).astype(np.float32)
    mean, cov = frechet.moments(rows)
    assert mean.dtype == cov.dtype == np.float64
    np.testing.assert_allclose(cov, np.cov(ROWS, rowvar=False), atol=1e-3)


@pytest.mark.parametrize(
    ("real", "fake", "word"),
    [
        (ROWS[:1], ROWS, "features"),
        (ROWS[0], ROWS, "features"),
        (ROWS, ROWS[:, :5], "equal length"),
        (ROWS * np.nan, ROWS, "not finite"),
    ],
)
def test_bad_features_are_refused(real, fake, word):
    with pytest.raises(ValueError, match=word):
        frechet.frechet_distance(real, fake)


def test_two_rows_and_one_feature_are_enough():
    real, fake = np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]])
    assert frechet.frechet_distance(real, fake) == pytest.approx(9)
    with pytest.raises(ValueError, match=r"features is \(2, 0\)"):
        frechet.moments(np.zeros((2, 0)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_single_value_that_is_not_finite_is_refused(value):
    rows = ROWS.copy()
    rows[3, 2] = value
    with pytest.raises(ValueError, match="not finite"):
        frechet.moments(rows)


@fixed
@given(seed=seeds, cuts=st.lists(st.integers(0, 50), max_size=6), offset=st.sampled_from([0, 1e6]))
def test_sums_of_pieces_are_the_moments_of_the_whole(seed, cuts, offset):
    x = np.random.default_rng(seed).normal(size=(50, 4)) * [1, 2, 0, 5] + offset
    sums = None
    for piece in np.split(x, sorted(cuts)):  # pieces may be empty
        sums = frechet.add(sums, piece)
    mean, cov = frechet.moments_of_sums(sums)
    assert sums.num == 50
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12, atol=1e-12)
    # Of features a million from 0 each is known to 1e-10.
    np.testing.assert_allclose(cov, np.cov(x, rowvar=False), rtol=1e-12, atol=1e-7 * (offset > 0))


def test_sums_of_float32_are_kept_in_float64():
    x = np.full((1000, 1), 1000.1, np.float32)
    x[0] += 1
    sums = None
    for piece in np.split(x, 10):
        sums = frechet.add(sums, piece)
    mean, cov = frechet.moments_of_sums(sums)
    assert cov[0, 0] == pytest.approx(np.var(x.astype(np.float64), ddof=1), rel=1e-9)
    assert mean.dtype == cov.dtype == np.float64


def test_sums_refuse_what_moments_refuse():
    sums = frechet.add(None, [[1.0, 2.0]])
    for features in ([1.0], [[1.0]], np.zeros((3, 0)), [[np.nan, 0.0]], [[np.inf, 0.0]]):
        with pytest.raises(ValueError, match="features is"):
            frechet.add(sums, features)
    with pytest.raises(ValueError, match="rows is 1: give at least two"):
        frechet.moments_of_sums(sums)
    with pytest.raises(ValueError, match="rows is 0: give at least two"):
        frechet.moments_of_sums(frechet.add(None, np.zeros((0, 3))))
    with pytest.raises(ValueError, match=r"features is \(3, 0\)"):
        frechet.add(None, np.zeros((3, 0)))  # the first rows, too


def test_sums_of_two_rows_are_enough_whichever_came_first():
    for pieces in ([[[1.0], [5.0]]], [[[1.0]], [[5.0]]], [np.zeros((0, 1)), [[1.0]], [[5.0]]]):
        sums = None
        for piece in pieces:
            sums = frechet.add(sums, piece)
        mean, cov = frechet.moments_of_sums(sums)
        assert (mean.tolist(), cov.tolist()) == ([3.0], [[8.0]])
