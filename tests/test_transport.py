"""Exact transport against SciPy, POT and closed forms; invariances; the dual bound."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.spatial.distance import cdist

from jwgan import transport
from jwgan.metrics import frechet, sliced
from jwgan.problems import funnels

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


def test_equal_sizes_it_is_the_best_matching(rng):
    x, y = rng.normal(size=(5, 3)), rng.normal(1, 2, size=(5, 3))
    cost = cdist(x, y)
    best = min(cost[range(5), order].mean() for order in itertools.permutations(range(5)))
    assert transport.exact_w1(x, y) == pytest.approx(best, rel=1e-9)


def test_a_thousand_points_against_scipys_assignment(rng):
    x, y = rng.normal(size=(1000, 2)), rng.normal(0.5, 2, size=(1000, 2))
    cost = cdist(x, y)
    expected = cost[optimize.linear_sum_assignment(cost)].mean()
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


def test_samples_of_more_axes_are_flattened(rng):
    x, y = rng.normal(size=(5, 2, 3)), rng.normal(size=(4, 2, 3))
    flat = transport.exact_w1(x.reshape(5, 6), y.reshape(4, 6))
    assert transport.exact_w1(x, y) == transport.exact_w1(x, y.reshape(4, 6)) == flat


# ---- plan and dual -------------------------------------------------------------------------------


def measures(seed, dim=2, most=12):
    """Two weighted clouds with some weights exactly 0: (x, y, x_weights, y_weights)."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, most, 2)
    weights = [rng.random(k) * np.r_[1.0, rng.random(k - 1) < 0.7] for k in (n, m)]
    return (
        rng.normal(size=(n, dim)),
        rng.normal(0.5, 2, size=(m, dim)),
        *(w / w.sum() for w in weights),
    )


@seeded
@given(seed=seeds)
def test_the_plan_moves_all_mass_at_the_lowest_cost(seed):
    x, y, a, b = measures(seed)
    found = transport.plan(x, y, a, b)
    cost = cdist(x, y)
    assert found.matrix.min() >= 0
    np.testing.assert_allclose(found.matrix.sum(1), a, atol=1e-12)
    np.testing.assert_allclose(found.matrix.sum(0), b, atol=1e-12)
    assert found.w1 == pytest.approx((found.matrix * cost).sum(), rel=1e-9)
    assert found.w1 == pytest.approx(ot.emd2(a, b, cost), rel=1e-9)
    assert found.w1 == transport.exact_w1(x, y, a, b)


@pytest.mark.parametrize("seed", range(3))
def test_the_plan_is_the_linear_programme_of_another_solver(seed):
    x, y, a, b = measures(seed)
    n, m = len(x), len(y)
    rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    best = optimize.linprog(
        cdist(x, y).ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([a, b])
    )
    assert transport.plan(x, y, a, b).w1 == pytest.approx(best.fun, rel=1e-8)


@seeded
@given(seed=seeds, dim=st.integers(1, 4))
def test_the_dual_reaches_the_primal_with_a_lipschitz_potential(seed, dim):
    x, y, a, b = measures(seed, dim)
    found = transport.dual(x, y, a, b)
    assert found.w1 == pytest.approx(transport.plan(x, y, a, b).w1, rel=1e-9)
    assert found.w1 == pytest.approx(a @ found.at_x - b @ found.at_y, rel=1e-9)
    points, values = np.concatenate([x, y]), np.concatenate([found.at_x, found.at_y])
    slack = cdist(points, points) - np.abs(values[:, None] - values[None])
    assert slack.min() >= -1e-12 * max(1, np.abs(values).max())


@seeded
@given(seed=seeds, slope=st.floats(-1, 1))
def test_any_lipschitz_function_is_a_lower_bound(seed, slope):
    x, y, a, b = measures(seed, 3)
    rng = np.random.default_rng(seed)
    tips, heights = rng.normal(size=(5, 3)), rng.normal(size=5)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    functions = [
        lambda z: slope * (cdist(z, tips) + heights).min(1),
        lambda z: slope * (cdist(z, tips) + heights).max(1),
        lambda z: slope * z @ direction,
        lambda z: np.sin(slope * z[:, 0]),
    ]
    best = transport.plan(x, y, a, b).w1
    for f in functions:
        assert a @ f(x) - b @ f(y) <= best * (1 + 1e-9)


def test_two_points_by_hand():
    # .3 of the mass at 0 has to go to 10; the potential falls along the line.
    x, y = np.array([[0.0], [10.0]]), np.array([[0.0], [10.0]])
    found = transport.plan(x, y, [0.8, 0.2], [0.5, 0.5])
    np.testing.assert_allclose(found.matrix, [[0.5, 0.3], [0, 0.2]], atol=1e-12)
    assert found.w1 == pytest.approx(3.0)
    exact = transport.dual(x, y, [0.8, 0.2], [0.5, 0.5])
    assert exact.at_x[0] - exact.at_x[1] == pytest.approx(10.0)
    np.testing.assert_allclose(exact.at_y, [5, -5])  # mean 0 under y's weights


def test_the_potential_extends_to_the_whole_space():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 3)), rng.normal(0.5, 2, size=(20, 3))
    exact = transport.dual(x, y)
    potential = transport.cones(y, exact.at_y)
    values, slope = jax.jit(potential), jax.jit(jax.grad(lambda z: potential(z).sum()))
    np.testing.assert_allclose(values(x), exact.at_x, atol=2e-6)
    np.testing.assert_allclose(values(y), exact.at_y, atol=2e-6)
    lengths = np.linalg.norm(slope(x.astype(np.float32)), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    at_tips = np.linalg.norm(slope(y.astype(np.float32)), axis=1)
    assert ((at_tips < 1e-6) | (abs(at_tips - 1) < 1e-5)).all()
    assert (at_tips < 1e-6).any()


@seeded
@given(seed=seeds, scale=st.floats(0.01, 100))
def test_invariances_of_w1(seed, scale):
    x, y, a, b = measures(seed)
    z, _, c, _ = measures(seed + 1)
    w1 = transport.exact_w1
    value = w1(x, y, a, b)
    shift = np.array([[3.0, -5.0]])
    order = np.random.default_rng(seed).permutation(len(x))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert w1(x + shift, y + shift, a, b) == pytest.approx(value, rel=1e-9)
    assert w1(scale * x, scale * y, a, b) == pytest.approx(scale * value, rel=1e-9)
    assert w1(x @ turn, y @ turn, a, b) == pytest.approx(value, rel=1e-9)
    assert w1(x[order], y, a[order], b) == pytest.approx(value, rel=1e-9)
    assert w1(y, x, b, a) == pytest.approx(value, rel=1e-9)
    assert w1(x, x, a, a) == pytest.approx(0, abs=1e-12)
    assert value <= w1(x, z, a, c) + w1(z, y, c, b) + 1e-9
    middle = np.abs(a @ x - b @ y)
    assert value >= np.linalg.norm(middle) - 1e-9


@pytest.mark.parametrize("name", ["x_weights", "y_weights"])
@pytest.mark.parametrize("weights", [[0.5, 0.6], [1.5, -0.5], [np.nan, 1.0], [1.0], [0.0, 0.0]])
def test_bad_weights_are_named(name, weights):
    x = np.zeros((2, 1))
    for function in (transport.plan, transport.dual, transport.exact_w1):
        with pytest.raises(ValueError, match=name):
            function(x, x, **{name: weights})
    with pytest.raises(ValueError, match=name):
        transport.w1_1d(x[:, 0], x[:, 0], **{name: weights})


# ---- the line ------------------------------------------------------------------------------------

jitted_w1_1d, jitted_w1_on_line = jax.jit(transport.w1_1d), jax.jit(sliced.w1_on_line)
sizes = st.sampled_from([(1, 1), (1, 7), (12, 12), (12, 7)])  # few shapes, few compilations


@seeded
@given(seed=seeds, size=sizes, weighted=st.booleans())
def test_w1_1d_is_scipys(seed, size, weighted):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=size[0]).round(1), rng.normal(1, 2, size=size[1]).round(1)  # ties
    a, b = (rng.dirichlet(np.ones(n)) if weighted else None for n in size)
    expected = stats.wasserstein_distance(x, y, a, b)
    assert float(jitted_w1_1d(x, y, a, b)) == pytest.approx(expected, rel=1e-5, abs=2e-6)
    if weighted:
        assert transport.exact_w1(x[:, None], y[:, None], a, b) == pytest.approx(expected, rel=1e-9)
    else:
        agreed = float(jitted_w1_on_line(x, y))
        assert agreed == pytest.approx(expected, rel=1e-5, abs=2e-6)


def test_w1_1d_under_jit_vmap_and_grad():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(3, 8)), rng.normal(2, 1, size=(3, 5))
    a, b = rng.dirichlet(np.ones(8), 3), rng.dirichlet(np.ones(5), 3)
    mapped = jax.jit(jax.vmap(transport.w1_1d))(x, y, a, b)
    plain = [float(transport.w1_1d(*rows)) for rows in zip(x, y, a, b, strict=True)]
    np.testing.assert_allclose(mapped, plain, rtol=1e-5)
    # Far apart, every point of x gains its weight by moving towards y.
    slope = jax.grad(transport.w1_1d)(jnp.asarray(x[0]), jnp.asarray(y[0]) + 50, a[0], b[0])
    np.testing.assert_allclose(slope, -a[0], atol=1e-5)


@pytest.mark.parametrize(
    ("x", "y"), [(np.zeros((2, 1)), np.zeros(2)), (np.zeros(0), np.zeros(2)), (1.0, np.zeros(2))]
)
def test_bad_samples_on_the_line_are_refused(x, y):
    with pytest.raises(ValueError, match="give"):
        transport.w1_1d(x, y)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0])
@pytest.mark.parametrize(("shift", "std"), [(2.0, 1.0), (0.0, 3.0), (-1.0, 0.25)])
def test_wp_between_normals_has_the_moments_of_a_normal(p, shift, std):
    # W_p^p = E |m + s Z|^p; the moment by quadrature over z rather than over quantiles.
    found = transport.wp_1d(stats.norm(0, 1).ppf, stats.norm(shift, std).ppf, p)
    spread = std - 1
    if p == 1:
        expected = float(transport.gaussian_w1_1d(0.0, 1.0, shift, std))
    elif p == 2:
        expected = np.hypot(shift, spread)
    elif p == 4:
        expected = (shift**4 + 6 * shift**2 * spread**2 + 3 * spread**4) ** 0.25
    else:
        z = np.linspace(-12, 12, 200_001)
        expected = np.trapezoid(abs(shift + spread * z) ** p * stats.norm.pdf(z), z) ** (1 / p)
    assert found == pytest.approx(expected, rel=2e-6)


def test_wp_of_bounded_and_of_heavy_tailed_laws():
    uniform, exponential = stats.uniform(0, 1).ppf, stats.expon().ppf
    assert transport.wp_1d(uniform, stats.uniform(2, 1).ppf, 3) == pytest.approx(2, rel=1e-9)
    # E |u + log(1 - u)| = E Exp(1) - E U = 1 - 1/2, as -log(1 - u) >= u
    assert transport.wp_1d(uniform, exponential) == pytest.approx(0.5, rel=1e-6)
    for p in (0.5, np.nan):
        with pytest.raises(ValueError, match="p >= 1"):
            transport.wp_1d(uniform, exponential, p)


@pytest.mark.parametrize("power", [0.99, 1.0, 1.5, 3.0])
def test_a_law_without_the_moment_is_refused(power):
    """u^-a has a mean, 1 / (1 - a), for a < 1 alone; quad may call the others' integrals fine."""
    heavy = lambda u: u**-power
    if power < 1:
        assert transport.wp_1d(heavy, lambda u: 0.0) == pytest.approx(100, rel=1e-6)
        return
    with pytest.raises(ValueError, match=r"quadrature is .* give laws with a moment above p"):
        transport.wp_1d(heavy, lambda u: 0.0)


# ---- semi-discrete -------------------------------------------------------------------------------


def uniform(key, num):
    return jax.random.uniform(key, (num, 1))


@pytest.mark.parametrize(
    ("points", "weights", "expected"),
    [
        (np.array([[0.0], [1.0]]), np.array([0.3, 0.7]), (0.3**2 + 0.7**2) / 2),
        (np.arange(0.05, 1, 0.1)[:, None], None, 1 / 40),  # each point takes its own tenth
        (np.array([[3.0], [5.0]]), None, 3.5),
    ],
)
def test_semidiscrete_on_the_line(points, weights, expected):
    run = jax.jit(lambda key: transport.semidiscrete_w1(key, uniform, points, weights))
    found = run(jax.random.key(0))
    assert float(found.w1) == pytest.approx(expected, rel=0.01)
    assert float(found.w1) <= expected + 4.5 * float(found.standard_error)
    assert 0 < float(found.standard_error) < 0.003 * expected


def test_semidiscrete_finds_the_funnels_heights_and_potential():
    # The benchmark with p -> infinity: everything falls to the tips, psi = -b.
    pair = funnels.benchmark(4, 16)
    x = np.asarray(funnels.sample_box(pair, jax.random.key(5), 100_000), np.float64)
    values = cdist(x, pair.centres) + pair.heights
    cell = values.argmin(1)
    weights = np.bincount(cell, minlength=16) / len(x)
    expected = (values.min(1) - pair.heights[cell]).mean()
    sample = lambda key, num: funnels.sample_box(pair, key, num)
    run = lambda key: transport.semidiscrete_w1(key, sample, pair.centres, weights)
    found = jax.jit(run)(jax.random.key(0))
    assert float(found.w1) == pytest.approx(expected, rel=0.005)
    assert (np.asarray(found.psi) + pair.heights).std() < 0.03 < pair.heights.std() / 2
    f = transport.cones(pair.centres, -found.psi)
    dual_value = float(f(jnp.asarray(x[:20_000], jnp.float32)).mean()) - float(
        weights @ np.asarray(f(jnp.asarray(pair.centres)))
    )
    assert dual_value == pytest.approx(expected, rel=0.01)


def test_semidiscrete_has_no_units():
    points = np.array([[0.0], [1.0]])
    run = lambda scale: transport.semidiscrete_w1(
        jax.random.key(0),
        lambda key, num: scale * uniform(key, num),
        scale * points,
        [0.3, 0.7],
        steps=50,
    )
    one, large = run(1.0), run(1024.0)
    np.testing.assert_allclose(large.psi, 1024 * one.psi, rtol=1e-5)
    np.testing.assert_allclose(large.w1, 1024 * one.w1, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"points": np.zeros(3)}, "points"),
        ({"weights": [0.5, 0.4]}, "weights"),
        ({"weights": [1.0]}, "points, weights"),
        ({"steps": 3}, "steps"),
        ({"batch": 0}, r"steps, batch is \(2000, 0\)"),
    ],
)
def test_semidiscrete_refuses_what_does_not_fit(changes, word):
    arguments = {"points": np.zeros((2, 1)), "weights": None} | changes
    with pytest.raises(ValueError, match=word):
        transport.semidiscrete_w1(jax.random.key(0), uniform, **arguments)


# ---- Gaussians -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0.0, 0.5, -3.0])
@pytest.mark.parametrize("std", [0.2, 1.0, 2.5])
def test_w1_between_normals_on_the_line(shift, std):
    found = float(transport.gaussian_w1_1d(0.0, 1.0, shift, std))
    quantiles = transport.wp_1d(stats.norm(0, 1).ppf, stats.norm(shift, std).ppf)
    assert found == pytest.approx(quantiles, rel=2e-6, abs=1e-9)
    low, high = transport.gaussian_w1_bounds([0.0], [[1.0]], [shift], [[std**2]])
    assert float(low) - 1e-6 <= found <= float(high) + 1e-6


def moments(seed, dim, rank=None):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(dim, rank or dim))
    return rng.normal(size=dim), root @ root.T


@pytest.mark.parametrize(("dim", "rank"), [(1, 1), (2, 2), (5, 5), (5, 2)])
def test_w2_between_gaussians_is_pots_and_the_frechet_metrics(dim, rank):
    one, other = moments(0, dim, rank), moments(1, dim)
    found = float(jax.jit(transport.gaussian_w2)(*one, *other))
    distance = frechet.distance_of_moments(*one, *other)
    digits = 5e-6 if rank == dim else 3e-4  # the root of a zero eigenvalue's rounding
    assert found == pytest.approx(np.sqrt(distance), rel=digits)
    if rank < dim:
        return  # POT takes roots of such eigenvalues and gets NaN
    pots = ot.gaussian.bures_wasserstein_distance(one[0], other[0], one[1], other[1])
    assert found == pytest.approx(float(pots), rel=5e-6)


@seeded
@given(
    mean=st.floats(-5, 5), other=st.floats(-5, 5), std=st.floats(0, 4), other_std=st.floats(0, 4)
)
def test_in_one_dimension_w2_is_the_short_form(mean, other, std, other_std):
    found = transport.gaussian_w2([mean], [[std**2]], [other], [[other_std**2]])
    assert float(found) == pytest.approx(np.hypot(mean - other, std - other_std), abs=1e-5)


def test_w2_is_exactly_small_for_equal_and_turned_gaussians():
    mean, cov = moments(2, 6)
    assert float(transport.gaussian_w2(mean, cov, mean, cov)) < 1e-4  # the root of 1e-7 is 3e-4
    shift = np.full(6, 0.5)
    low, high = transport.gaussian_w1_bounds(mean, cov, mean + shift, cov)
    assert float(low) == pytest.approx(np.linalg.norm(shift), rel=1e-5)
    assert float(high) == pytest.approx(float(low), rel=1e-5)
    other_mean, other = moments(3, 6)
    turn = np.linalg.qr(moments(4, 6)[1])[0]
    turned = transport.gaussian_w2(
        turn @ mean, turn @ cov @ turn.T, turn @ other_mean, turn @ other @ turn.T
    )
    plain = transport.gaussian_w2(mean, cov, other_mean, other)
    assert float(turned) == pytest.approx(float(plain), rel=1e-5)


def test_gaussians_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="give"):
        transport.gaussian_w2([0.0], [[1.0]], [0.0, 1.0], np.eye(2))
    with pytest.raises(ValueError, match="give"):
        transport.gaussian_w2([0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0])


def test_defaults():
    semidiscrete = inspect.signature(transport.semidiscrete_w1).parameters
    assert {name: semidiscrete[name].default for name in ("steps", "batch", "learning_rate")} == {
        **{"steps": 2000, "batch": 256, "learning_rate": 0.1}
    }
    assert inspect.signature(transport.wp_1d).parameters["p"].default == 1.0
