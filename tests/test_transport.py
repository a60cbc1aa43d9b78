"""Exact W1 between samples: the line, shifts, permutations, unequal sizes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist

from jwgan import transport

RNG = np.random.default_rng(0)
seeded = settings(derandomize=True, deadline=None, max_examples=30)
seeds = st.integers(0, 2**32 - 1)


@seeded
@given(seed=seeds, n=st.integers(1, 40), m=st.integers(1, 40))
def test_on_the_line_it_is_scipys(seed, n, m):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), rng.normal(1, 2, size=m)
    expected = stats.wasserstein_distance(x, y)
    assert transport.exact_w1(x[:, None], y[:, None]) == pytest.approx(expected, rel=1e-9)


@seeded
@given(seed=seeds, dim=st.integers(1, 5))
def test_a_shift_costs_its_length_and_a_permutation_nothing(seed, dim):
    rng = np.random.default_rng(seed)
    x, shift = rng.normal(size=(30, dim)), rng.normal(size=(1, dim))
    assert transport.exact_w1(x, rng.permutation(x) + shift) == pytest.approx(
        np.linalg.norm(shift), rel=1e-9
    )
    assert transport.exact_w1(x + 1e4, rng.permutation(x) + 1e4) == pytest.approx(0, abs=1e-12)


def test_equal_sizes_it_is_the_best_matching():
    x, y = RNG.normal(size=(5, 3)), RNG.normal(1, 2, size=(5, 3))
    cost = cdist(x, y)
    best = min(cost[range(5), order].mean() for order in itertools.permutations(range(5)))
    assert transport.exact_w1(x, y) == pytest.approx(best, rel=1e-9)


def test_a_thousand_points_against_scipys_assignment():
    from scipy.optimize import linear_sum_assignment

    x, y = RNG.normal(size=(1000, 2)), RNG.normal(0.5, 2, size=(1000, 2))
    cost = cdist(x, y)
    expected = cost[linear_sum_assignment(cost)].mean()
    assert transport.exact_w1(x.astype(np.float32), y) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [
        (np.zeros((3, 2)), np.zeros((3, 1)), "give"),
        (np.zeros(3), np.zeros(3), "give"),
        (np.zeros((0, 2)), np.zeros((3, 2)), "give"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "not finite"),
    ],
)
def test_bad_samples_are_refused(x, y, word):
    with pytest.raises(ValueError, match=word):
        transport.exact_w1(x, y)
