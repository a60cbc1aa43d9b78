"""The W1 benchmark's pairs: regenerated draws, rays, truths and the exact potential."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from jwgan import transport
from jwgan.problems import funnels

H = 2.5
seeded = settings(derandomize=True, deadline=None, max_examples=10)
sizes = pytest.mark.parametrize(("dim", "num"), [(2, 4), (8, 16), (32, 256)])
move = jax.jit(funnels.move)
potential = jax.jit(funnels.potential)


def box(pair, num=2048, seed=0):
    return funnels.sample_box(pair, jax.random.key(seed), num)


def by_hand(pair, x):
    """The published formulas one point at a time, in float64: (moved, direction, distance)."""
    a, b = np.asarray(pair.centres, np.float64), np.asarray(pair.heights, np.float64)
    moved, directions, distances = [], [], []
    for point in np.asarray(x, np.float64):
        length = np.linalg.norm(point - a, axis=1)
        own = np.argmin(length + b)
        u, v = length[own] + b[own], (point - a[own]) / length[own]
        ends = [np.min((H - np.sign(v) * point) / abs(v))]
        for m in set(range(len(a))) - {own}:
            d, c = u - b[m], (point - a[m]) @ v
            r = (length[m] ** 2 - d**2) / (2 * (d - c))
            ends += [r] if r > max(0, -d) else []
        reach = length[own] + min(ends)
        t = length[own] / reach
        moved.append(a[own] + t**pair.power * reach * v)
        directions.append(v)
        distances.append(reach * (t - t**pair.power))
    return np.array(moved), np.array(directions), np.array(distances)


# ---- the published draws -------------------------------------------------------------------------


def test_the_smallest_pair_is_the_published_one():
    pair = funnels.benchmark(2, 4)
    centres = [
        [0.4718095, -2.3439035],
        [0.48894584, 0.19527346],
        [1.7911241, 1.2044706],
        [-1.7170475, 1.2049582],
    ]
    heights = [-0.03889056, -0.09128842, -0.06912179, -0.10274692]
    assert pair.centres.dtype == pair.heights.dtype == np.float32
    np.testing.assert_array_max_ulp(pair.centres, np.array(centres, np.float32), 1)
    np.testing.assert_array_max_ulp(pair.heights, np.array(heights, np.float32), 1)


@pytest.mark.parametrize(
    ("dim", "num", "centres", "heights"),
    [
        (8, 4, -1.385120, 0.123096),
        (16, 64, -33.577945, 0.203720),
        (64, 16, -14.737421, 0.043261),
        (128, 256, -580.441908, 0.680078),
    ],
)
def test_check_sums(dim, num, centres, heights):
    pair = funnels.benchmark(dim, num)
    assert pair.centres.shape == (num, dim)
    assert pair.centres.sum(dtype=np.float64) == pytest.approx(centres, abs=2e-6)
    assert pair.heights.sum(dtype=np.float64) == pytest.approx(heights, abs=1e-6)


def test_all_28_pairs_and_other_seeds():
    assert set(funnels.TRUTHS) == {
        (d, n) for d in 2 ** np.arange(1, 8) for n in 4 ** np.arange(1, 5)
    }
    pairs = [funnels.benchmark(8, 16, seed) for seed in (987, 0, 2**32 - 1)]
    centres = [pair.centres for pair in pairs]
    assert len({c.tobytes() for c in centres}) == 3
    np.testing.assert_array_equal(centres[0], funnels.benchmark(8, 16).centres)
    many = np.concatenate([funnels.benchmark(2, 256, s).heights for s in range(20)])
    assert abs(many.mean()) < 4.5 * 0.1 / np.sqrt(len(many))
    assert many.std() == pytest.approx(0.1, rel=4.5 / np.sqrt(2 * len(many)))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((3, 5), "num"), ((2, 0), "num"), ((5, 4), "num"), ((2, 4, -1), "pair_seed")],
)
def test_what_cannot_be_regenerated_is_refused(arguments, word):
    with pytest.raises(ValueError, match=word):
        funnels.benchmark(*arguments)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"heights": [0.0]}, "heights"),
        ({"centres": [0.0, 1.0]}, "centres"),
        ({"centres": [[3.0], [0.0]]}, "within"),
        ({"power": 0.5}, "power"),
    ],
)
def test_bad_funnels_are_refused(changes, word):
    with pytest.raises(ValueError, match=word):
        funnels.make(**({"centres": [[0.0], [1.0]], "heights": [0.0, 0.1]} | changes))


# ---- the rays ------------------------------------------------------------------------------------


@sizes
def test_it_is_the_published_formula(dim, num):
    pair = funnels.benchmark(dim, num)
    x = box(pair, 64)
    moved, direction, distance = by_hand(pair, x)
    found = move(pair, x)
    np.testing.assert_allclose(found.x, moved, atol=2e-5)
    np.testing.assert_allclose(found.direction, direction, atol=2e-5)
    np.testing.assert_allclose(found.distance, distance, atol=2e-5)


@sizes
def test_rays_cells_and_the_box(dim, num):
    pair = funnels.benchmark(dim, num)
    x = box(pair)
    found = move(pair, x)
    start, end, v = (np.asarray(a, np.float64) for a in (x, found.x, found.direction))
    distance = np.asarray(found.distance, np.float64)
    assert distance.min() >= 0
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(start - end, distance[:, None] * v, atol=5e-6)  # down the ray
    assert abs(end).max() <= H + 1e-6
    values = [cdist(p, pair.centres) + pair.heights for p in (start, end)]
    u = [value.min(axis=1) for value in values]
    np.testing.assert_allclose(u[0] - u[1], distance, atol=1e-5)
    np.testing.assert_allclose(u[0] - u[1], np.linalg.norm(start - end, axis=1), atol=1e-5)
    own = values[0].argmin(axis=1)
    rows = np.arange(len(start))
    np.testing.assert_allclose(values[1][rows, own], u[1], atol=1e-5)  # still the lowest cone


@sizes
def test_the_potential_is_the_lowest_cone_with_unit_gradient(dim, num):
    pair = funnels.benchmark(dim, num)
    x = box(pair, seed=1)
    expected = (cdist(np.asarray(x, np.float64), pair.centres) + pair.heights).min(axis=1)
    np.testing.assert_allclose(potential(pair, x), expected, atol=1e-5)
    slope = jax.jit(jax.grad(lambda x: funnels.potential(pair, x).sum()))
    np.testing.assert_allclose(np.linalg.norm(slope(x), axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(slope(x), move(pair, x).direction, atol=1e-5)
    tips = np.resize(pair.centres, x.shape)
    assert np.isfinite(slope(tips)).all()


def test_close_to_a_tip_the_direction_survives_where_the_point_does_not():
    pair = funnels.benchmark(2, 4)
    angle = np.linspace(0, 6, 50)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    # far from the origin the expanded square of such a distance is all rounding
    x = np.float32(pair.centres[:1] + 1e-3 * around)
    found = move(pair, x)
    exact = x.astype(np.float64) - pair.centres[:1]
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(found.direction, exact, atol=1e-6)
    np.testing.assert_array_equal(found.x, np.broadcast_to(pair.centres[:1], x.shape))
    np.testing.assert_allclose(
        found.distance, np.linalg.norm(x - pair.centres[:1], axis=1), rtol=1e-3
    )


def test_a_point_on_a_tip_stays():
    pair = funnels.benchmark(8, 4)
    found = move(pair, pair.centres)
    np.testing.assert_allclose(found.x, pair.centres, atol=1e-6)
    np.testing.assert_allclose(found.distance, 0, atol=1e-6)


def test_power_one_moves_nothing_and_more_power_moves_more():
    x = box(funnels.benchmark(8, 16))
    distances = []
    for power in (1.0, 2.0, 8.0, 100.0):
        pair = funnels.benchmark(8, 16, power=power)
        found = move(pair, x)
        distances.append(float(found.distance.mean()))
        if power == 1:
            np.testing.assert_allclose(found.x, x, atol=1e-6)
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert (np.diff(distances) > 0.05).all()


def test_the_own_cone_ends_no_ray():
    # Unmasked, rounding ends a ray where it starts: those points would not move at all.
    pair = funnels.benchmark(8, 4)
    found = move(pair, box(pair, 8192))
    assert float((found.distance > 1e-4).mean()) > 0.999


# ---- the truth -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dim", "num", "w1", "error"),
    [
        (2, 4, 0.8222, 0.0009),
        (4, 64, 0.7091, 0.0008),
        (8, 16, 1.5874, 0.0020),
        (16, 64, 1.5482, 0.0024),
        (32, 16, 1.6408, 0.0029),
        (64, 16, 1.3920, 0.0028),
        (128, 256, 1.0148, 0.0048),
    ],
)
def test_truths_are_reproduced(dim, num, w1, error):
    """Against an independent float64 run, and the recorded table against fresh draws."""
    recorded, recorded_error = funnels.TRUTHS[dim, num]
    assert recorded == pytest.approx(w1, abs=4 * np.hypot(error, recorded_error))
    fresh, fresh_error = funnels.truth(funnels.benchmark(dim, num), 2**13, seed=1)
    assert fresh == pytest.approx(recorded, abs=4 * np.hypot(fresh_error, recorded_error))
    assert recorded_error == pytest.approx(fresh_error / np.sqrt(2**7), rel=0.1)


def test_truth_is_the_samplers_mean_distance():
    pair = funnels.benchmark(8, 4)
    distance = np.asarray(move(pair, box(pair, 8192)).distance, np.float64)
    w1, error = funnels.truth(pair, 2**14)
    assert distance.mean() == pytest.approx(w1, abs=4 * np.hypot(error, distance.std() / 90))
    with pytest.raises(ValueError, match="num"):
        funnels.truth(pair, 1)


@seeded
@given(seed=st.integers(0, 1000))
def test_on_any_sample_the_pairing_is_the_exact_plan(seed):
    # x -> T(x) is optimal between the empirical measures too, and -u is optimal for the dual.
    pair = funnels.benchmark(8, 16, pair_seed=seed)
    x = box(pair, 64, seed)
    found = move(pair, x)
    exact = transport.exact_w1(found.x, x)
    assert exact == pytest.approx(float(found.distance.mean()), rel=1e-5)
    gap = float((potential(pair, x) - potential(pair, found.x)).mean())
    assert gap == pytest.approx(exact, rel=1e-5)
    other = funnels.benchmark(8, 16, pair_seed=seed + 1)  # 1-Lipschitz, so no better
    assert float((potential(other, x) - potential(other, found.x)).mean()) <= exact * (1 + 1e-5)


# ---- as a pair -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "num"), [(8, 4), (8, 64), (16, 64)])
def test_the_exact_potential_under_the_reference_metric(dim, num):
    # From D = 8 on nothing is lost to points that round onto a tip; at D = 2 some 1.5 % are.
    world = funnels.pair(funnels.benchmark(dim, num))
    x, truth = jax.jit(world.sample_with_gradient, static_argnums=1)(jax.random.key(0), 4096)
    slope = jax.jit(jax.grad(lambda x: world.potential(x).sum()))(x)
    cosine = (slope * truth).sum(1) / (jnp.linalg.norm(slope, axis=1) + 1e-15)
    assert float(cosine.mean()) >= 1 - 1e-4
    assert float(((slope - truth) ** 2).sum(1).mean()) <= 2e-4


def test_the_pairs_samplers():
    made = funnels.benchmark(4, 16)
    world = funnels.pair(made, *funnels.TRUTHS[4, 16])
    assert (world.w1, world.w1_se) == funnels.TRUTHS[4, 16]
    sample_real = jax.jit(world.sample_real, static_argnums=1)
    sample_fake = jax.jit(world.sample_fake, static_argnums=1)
    key = jax.random.key(3)
    real, fake = sample_real(key, 8192), sample_fake(jax.random.key(4), 8192)
    assert real.shape == fake.shape == (8192, 4)
    assert real.dtype == fake.dtype == jnp.float32
    with_gradient = jax.jit(world.sample_with_gradient, static_argnums=1)(key, 8192)[0]
    np.testing.assert_allclose(with_gradient, real, atol=1e-6)
    assert abs(np.asarray(fake)).max() <= H
    assert float(fake.std()) == pytest.approx(H / np.sqrt(3), rel=0.02)
    score = jax.jit(world.potential)
    gap = float(score(real).mean() - score(fake).mean())  # unpaired draws, real is high
    error = np.hypot(float(score(real).std()), float(score(fake).std())) / np.sqrt(8192)
    assert gap == pytest.approx(world.w1, abs=4.5 * error)
