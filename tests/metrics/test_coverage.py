"""Mode coverage on samples counted by hand and on true mixtures."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwgan.metrics import coverage
from jwgan.problems import gaussians

MODES = jnp.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def at(*points):  # ((x, y), times), ... -> [N, 2]
    return jnp.concatenate([jnp.tile(jnp.array([p], jnp.float32), (n, 1)) for p, n in points])


def test_counts_by_hand():
    # 100 samples, fair share 25; covered from 5 on.  Radius 4: 3.9 is in, 4.1 is out.
    x = at(((0, 3.9), 60), ((10, 0), 5), ((0, 10), 4), ((4.1, 0), 20), ((50, 50), 11))
    result = coverage.mode_coverage(x, MODES, 1.0)
    assert result.counts.tolist() == [60, 5, 4, 0]
    assert int(result.modes_covered) == 2
    assert float(result.high_quality_share) == pytest.approx(0.69)
    share = np.array([60, 5, 4]) / 69
    assert float(result.kl) == pytest.approx((share * np.log(share * 4)).sum(), rel=1e-5)


def test_radius_and_threshold_are_arguments():
    x = at(((0, 3.9), 60), ((10, 0), 5), ((0, 10), 4), ((10, 10), 31))
    assert coverage.mode_coverage(x, MODES, 1.0, num_std=3.0).counts.tolist() == [0, 5, 4, 31]
    assert coverage.mode_coverage(x, MODES, 2.0, num_std=3.0).counts.tolist() == [60, 5, 4, 31]
    assert int(coverage.mode_coverage(x, MODES, 1.0, min_share=0.16).modes_covered) == 4
    assert int(coverage.mode_coverage(x, MODES, 1.0, min_share=0.17).modes_covered) == 3


def test_min_share_zero_asks_for_one_sample():
    x = at(((0, 0), 99), ((10, 0), 1))
    assert int(coverage.mode_coverage(x, MODES, 1.0, min_share=0.0).modes_covered) == 2


def test_kl_of_balance_of_collapse_and_of_nothing():
    balanced = coverage.mode_coverage(jnp.tile(MODES, (3, 1)), MODES, 1.0)
    assert float(balanced.kl) == pytest.approx(0, abs=1e-6)
    collapsed = coverage.mode_coverage(at(((10, 0), 50)), MODES, 1.0)
    assert float(collapsed.kl) == pytest.approx(np.log(4), rel=1e-6)
    nowhere = coverage.mode_coverage(at(((5, 5), 50)), MODES, 1.0)
    assert float(nowhere.kl) == pytest.approx(np.log(4), rel=1e-6)
    assert int(nowhere.modes_covered) == 0
    assert float(nowhere.high_quality_share) == 0


@pytest.mark.parametrize("num_std", [3.0, 4.0])
@pytest.mark.parametrize("world", [gaussians.eight_gaussians, gaussians.twenty_five_gaussians])
def test_the_true_mixture_covers_all_and_its_quality_is_the_closed_form(world, num_std):
    problem, num = world(), 20_000
    x = problem.sample(jax.random.key(0), num)
    result = jax.jit(coverage.mode_coverage)(x, problem.modes, problem.mode_std, num_std)
    share = 1 - np.exp(-(num_std**2) / 2)  # of a round Gaussian in the plane
    bound = 4.5 * np.sqrt(share * (1 - share) / num)
    assert float(result.high_quality_share) == pytest.approx(share, abs=bound)
    assert int(result.modes_covered) == len(problem.modes)
    assert int(result.counts.sum()) == round(float(result.high_quality_share) * num)
    # 2 N KL is about chi-square with M - 1 degrees of freedom.
    assert 2 * num * float(result.kl) < 60


# ---- neighbours ----------------------------------------------------------------------------------


def oracle(real, fake, k):
    """By loops in float64, on the same numbers."""
    real, fake = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (real, fake))
    distance = lambda a, b: ((a - b) ** 2).sum()
    radius = [sorted(distance(a, b) for b in real)[k] for a in real]
    near = [min(distance(a, b) for b in fake) for a in real]
    return np.mean([n <= r for n, r in zip(near, radius, strict=True)])


def covered(real, fake, k=5):
    return float(jax.jit(coverage.neighbour_coverage, static_argnums=2)(real, fake, k))


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 2, 3)])
@pytest.mark.parametrize(("n", "m", "k"), [(2, 1, 1), (7, 5, 2), (20, 30, 5), (6, 6, 5)])
def test_neighbours_as_by_loops(rng, shape, n, m, k):
    real = rng.normal(size=(n, *shape)).astype(np.float32)
    fake = rng.normal(0.5, 1, size=(m, *shape)).astype(np.float32)
    assert covered(real, fake, k) == pytest.approx(oracle(real, fake, k))


@pytest.mark.parametrize("copies", [1, 2, 6, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_equal_sets_cover_each_other_whatever_their_duplicates(rng, copies, dtype):
    x = np.repeat(rng.uniform(0, 255, size=(20, 8)).astype(dtype), copies, axis=0)
    assert covered(x, rng.permutation(x)) == 1
    assert covered(x, x[:: max(copies, 1)]) == 1  # one of each is enough


def test_a_mode_without_fakes_is_not_covered_by_its_duplicates(rng):
    x = np.repeat(rng.normal(size=(4, 8)).astype(np.float32), 6, axis=0)
    assert covered(x, x[:12]) == 0.5


def test_bytes_do_not_wrap_around():
    real = np.array([[0], [1], [2], [250], [251], [252]], np.uint8)
    fake = np.array([[1]], np.uint8)
    assert covered(real, fake, 2) == covered(real.astype(np.float32), fake, 2) == 0.5


def test_tight_modes_far_apart_in_float32():
    tight = np.array([0, 0.01, 0.03, 100, 100.01, 100.03], np.float32)[:, None]
    fake = np.array([0.005, 0.005, 100.005, 100.005], np.float32)[:, None]
    assert covered(tight, fake, 1) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("offset", "std"), [(0.0, 0.002), (100.0, 0.01), (1e4, 0.5)])
def test_rings_of_tight_modes_as_by_loops(rng, offset, std):
    angle = 2 * np.pi * np.arange(8) / 8
    centres = offset + 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    draw = lambda: (np.tile(centres, (12, 1)) + rng.normal(0, std, (96, 2))).astype(np.float32)
    real, fake = draw(), draw()
    expected = oracle(real, fake, 5)
    assert covered(real, fake) == pytest.approx(expected)
    assert expected > 0.8


def test_neighbours_of_too_few_or_other_samples_are_refused():
    two = jnp.zeros((2, 3))
    for real, fake, k, match in [
        (two[:0], two, 1, "real is"),
        (two[:1], two, 1, "real is"),
        (two, two[:0], 1, "fake is"),
        (two, two[:, :2], 1, r"fake is \(2, 2\)"),
        (two, two, 0, "num_neighbours is 0: give 1 to 1"),
        (two, two, 2, "num_neighbours is 2: give 1 to 1"),
    ]:
        with pytest.raises(ValueError, match=match):
            coverage.neighbour_coverage(real, fake, k)


def test_five_neighbours_by_default(rng):
    real, fake = rng.normal(size=(30, 2)), rng.normal(size=(9, 2))
    shares = [oracle(real, fake, k) for k in (4, 5, 6)]
    assert shares[1] not in (shares[0], shares[2])
    assert float(coverage.neighbour_coverage(real, fake)) == pytest.approx(shares[1])


def test_defaults_and_shapes_of_mode_coverage():
    defaults = {
        n: p.default for n, p in inspect.signature(coverage.mode_coverage).parameters.items()
    }
    assert (defaults["num_std"], defaults["min_share"]) == (4.0, 0.2)
    one = coverage.mode_coverage(MODES[:1], MODES[:1], 1.0)
    assert (int(one.modes_covered), float(one.kl)) == (1, 0)
    for x, modes in [
        *((MODES[:, :1], MODES), (MODES[0], MODES), (MODES, MODES[0]), (MODES[:0], MODES)),
        *((MODES, MODES[:0]), (MODES[:, :0], MODES[:, :0]), (MODES[None], MODES[None])),
    ]:
        with pytest.raises(ValueError, match="x, modes is"):
            coverage.mode_coverage(x, modes, 1.0)
    for std, num_std in ((0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (1.0, -1.0)):
        with pytest.raises(ValueError, match="std is"):
            coverage.mode_coverage(MODES, MODES, std, num_std)


def test_a_sample_on_the_radius_is_near():
    x = at(((4, 0), 1), ((4.001, 0), 1))
    assert coverage.mode_coverage(x, MODES[:1], 1.0).counts.tolist() == [1]


# ---- precision, recall, density, coverage -------------------------------------------------------


def oracle_of_neighbours(real, fake, k, k_density):
    """By the definition, all pairs at once; exact for whole numbers."""
    square = lambda a, b: ((a[:, None] - b[None]) ** 2).sum(axis=-1)
    radius = lambda x, k: np.sort(square(x, x), axis=1)[:, k]
    pairs, within, wide = square(real, fake), square(real, real), radius(real, k_density)[:, None]
    share = (k_density - (within < wide).sum(axis=1)) / (within == wide).sum(axis=1)
    inside = (pairs < wide) + (pairs == wide) * share[:, None]
    return (
        (pairs <= radius(real, k)[:, None]).any(axis=0).mean(),
        (pairs <= radius(fake, k)).any(axis=1).mean(),
        inside.sum() / (k_density * len(fake)),
        (pairs <= wide).any(axis=1).mean(),
    )


fixed = settings(derandomize=True, deadline=None, max_examples=100)
# Few values in few dimensions: most distances are tied, many rows are duplicates.
rows = st.integers(0, 2**31 - 1).map(np.random.default_rng)


@fixed
@given(random=rows, num=st.tuples(*[st.integers(7, 30)] * 2), features=st.integers(1, 4))
def test_neighbours_are_the_definitions_ties_included(random, num, features):
    draw = lambda n: random.integers(0, 4, (n, features)).astype(np.float64) + 1000
    real, fake = draw(num[0]), draw(num[1])
    found = coverage.neighbours(real, fake, block=int(random.integers(1, 40)))
    np.testing.assert_allclose(found, oracle_of_neighbours(real, fake, 3, 5), rtol=1e-12)


@fixed
@given(random=rows, num=st.integers(2, 12), copies=st.integers(1, 9))
def test_equal_sets_have_one_in_all_four(random, num, copies):
    x = np.repeat(random.normal(3, 1, (max(num, 6), 5)).astype(np.float32), copies, axis=0)
    found = coverage.neighbours(x, random.permutation(x), block=7)
    np.testing.assert_allclose(found, 1, rtol=1e-12)


@pytest.mark.parametrize("block", [10, 19, 1024])
def test_duplicates_are_ties_although_products_of_long_rows_are_rounded(block):
    """Without what the distances are allowed to be off, recall is .98 here in blocks of 19."""
    random = np.random.default_rng(0)
    x = np.repeat(random.normal(300, 1, (20, 513)), 7, axis=0)
    found = coverage.neighbours(x, random.permutation(x), block=block)
    np.testing.assert_allclose(found, 1, rtol=1e-12)


def test_far_sets_have_zero_and_a_part_has_its_share(rng):
    real = rng.normal(size=(60, 8))
    assert coverage.neighbours(real, real + 100) == (0, 0, 0, 0)
    half = coverage.neighbours(real, real[:30])
    assert (half.precision, half.coverage >= 0.5, half.recall < 1) == (1, True, True)
    outliers = np.concatenate([real, real[:20] + 100])
    assert coverage.neighbours(real, outliers).precision == pytest.approx(0.75)


def test_one_law_has_density_one_and_coverage_of_the_closed_form(rng):
    """Expected coverage of N = M samples of one law is near 1 - 2^-k (Naeem et al., 2020)."""
    found = coverage.neighbours(rng.normal(size=(1500, 6)), rng.normal(size=(1500, 6)))
    assert found.density == pytest.approx(1, abs=0.1)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.02)


def test_neighbours_of_too_few_or_other_rows_are_refused(rng):
    x = rng.normal(size=(6, 2))
    for real, fake, says in [
        (x[:5], x, r"real is \(5, 2\): give more than 5 rows"),
        (x, x[:3], r"fake is \(3, 2\): give more than 3 rows"),
        (x, x[:, :1], r"fake is \(6, 1\): give \[M, 2\]"),
        (x[:, 0], x, r"real is \(6,\)"),
        (x[:, :0], x[:, :0], r"real is \(6, 0\): give \[N, F\]"),
        (x[:1, :1], x, r"fake is \(6, 2\): give \[M, 1\]"),  # a single number is a row
        (x, x * np.nan, "features is 'not finite'"),
    ]:
        with pytest.raises(ValueError, match=says):
            coverage.neighbours(real, fake)
    with pytest.raises(ValueError, match="num_neighbours is"):
        coverage.neighbours(x, x, num_neighbours=0)
