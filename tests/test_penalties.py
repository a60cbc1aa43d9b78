"""Every penalty in closed form on critics of known slope; higher derivatives by differences."""

import inspect

import cases
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

import jwgan
from jwgan import penalties, priors

# name -> (penalty of weight w, its value for a gradient norm s, the derivative of that in s)
CLOSED = {
    "gradient_penalty": (
        penalties.gradient_penalty,
        lambda w, s: w * (s - 1) ** 2,
        lambda w, s: 2 * w * (s - 1),
    ),
    "squared_hinge": (
        penalties.squared_hinge_penalty,
        lambda w, s: w * max(0, s - 1) ** 2,
        lambda w, s: 2 * w * max(0, s - 1),
    ),
    "linear_hinge": (
        penalties.linear_hinge_penalty,
        lambda w, s: w * max(0, s - 1),
        lambda w, s: w * (s > 1),
    ),
    "divergence": (
        penalties.divergence_penalty,
        lambda w, s: w * s**6,
        lambda w, s: 6 * w * s**5,
    ),
    "divergence_p3": (
        lambda w: penalties.divergence_penalty(w, power=3.0),
        lambda w, s: w * s**3,
        lambda w, s: 3 * w * s**2,
    ),
    "r1": (penalties.r1, lambda w, s: w / 2 * s**2, lambda w, s: w * s),
    "r2": (penalties.r2, lambda w, s: w / 2 * s**2, lambda w, s: w * s),
    "dragan": (
        penalties.dragan,
        lambda w, s: w * (s - 1) ** 2,
        lambda w, s: 2 * w * (s - 1),
    ),
    "target_3": (
        lambda w: penalties.gradient_penalty(w, target=3.0),
        lambda w, s: w * (s - 3) ** 2,
        lambda w, s: 2 * w * (s - 3),
    ),
}
named = pytest.mark.parametrize("name", CLOSED)
REAL, FAKE = np.random.default_rng(0).normal(size=(2, 6, 2)).astype(np.float32) + 1.0
DIRECTION = jnp.array([0.6, 0.8])


def spy(penalty, key, real, fake):
    """The points at which a penalty takes gradients."""
    seen = []

    def critic_fn(x):
        seen.append(jax.lax.stop_gradient(x))
        return x.sum(axis=tuple(range(1, x.ndim)))

    # the points are made before differentiation, so the primal value is concrete
    with jax.disable_jit():
        penalty(key, critic_fn, real, fake)
    return np.asarray(seen[0])


@named
@pytest.mark.parametrize("critic", ["linear", "cone"])
@pytest.mark.parametrize("slope", [0.5, 2.5])
def test_critics_of_slope_s_everywhere(name, critic, slope, key):
    make, value, derivative = CLOSED[name]
    apex = jnp.array([-40.0, 7.0])  # far from all points: the cone is smooth there
    score = {
        "linear": lambda s, x: s * (x @ DIRECTION),
        "cone": lambda s, x: s * jnp.sqrt(jnp.sum((x - apex[None]) ** 2, axis=1)),
    }[critic]
    penalty = lambda s: make(7.0)(key, lambda x: score(s, x), REAL, FAKE)
    ours, slope_of_ours = jax.value_and_grad(penalty)(slope)
    np.testing.assert_allclose(ours, value(7.0, slope), rtol=1e-5)
    np.testing.assert_allclose(slope_of_ours, derivative(7.0, slope), rtol=1e-5)


@named
def test_quadratic_critic(name, key):
    """D = a |x|^2 / 2 has slope a |x|; with real = fake every penalty but DRAGAN looks at x."""
    make, value, derivative = CLOSED[name]
    penalty = lambda a: make(7.0)(key, lambda x: a * (x**2).sum(axis=1) / 2, REAL, REAL)
    ours, slope_of_ours = jax.value_and_grad(penalty)(1.3)
    points = spy(make(1.0), key, REAL, REAL)
    if name != "dragan":
        np.testing.assert_allclose(points, REAL, rtol=1e-6)
    norm = np.linalg.norm(points, axis=1)
    np.testing.assert_allclose(ours, np.mean([value(7.0, 1.3 * s) for s in norm]), rtol=1e-5)
    expected = np.mean([s * derivative(7.0, 1.3 * s) for s in norm])
    np.testing.assert_allclose(slope_of_ours, expected, rtol=1e-5)


def test_two_point_masses(key):
    """Mass 0 and mass 4, D = x^2 / 2: slope 4 (1 - eps), E (4 (1 - eps) - 1)^2 = 7/3."""
    real, fake = jnp.zeros((4096, 1)), jnp.full((4096, 1), 4.0)
    critic_fn = lambda x: x[:, 0] ** 2 / 2
    value = penalties.gradient_penalty(10.0)(key, critic_fn, real, fake)
    np.testing.assert_allclose(value, 10 * 7 / 3, rtol=0.05)
    np.testing.assert_allclose(penalties.r1(10.0)(key, critic_fn, real, fake), 0.0)
    np.testing.assert_allclose(penalties.r2(10.0)(key, critic_fn, real, fake), 10 / 2 * 16)


def test_norm_runs_over_all_axes_of_a_sample(key):
    x = jax.random.normal(key, (3, 2, 2, 2))
    norm = penalties.gradient_norm(lambda x: 2.0 * x.sum(axis=(1, 2, 3)), x)
    np.testing.assert_allclose(norm, np.full(3, 2 * np.sqrt(8)), rtol=1e-6)


# A smooth critic that is not linear in anything


def tanh_critic(params, x):
    return jnp.tanh(jnp.tanh(x @ params["a"]) @ params["b"]) @ params["c"]


def tanh_params(slope=1.8):
    """With slope 1.8 the gradient norms on REAL and FAKE lie on both sides of 1, 0.6 to 2.8."""
    rng = np.random.default_rng(4)
    a, b, c = rng.normal(size=(2, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
    return {"a": 0.3 * a, "b": b, "c": slope * c}


@pytest.mark.parametrize("name", sorted(set(CLOSED) - {"target_3", "r2", "divergence_p3"}))
def test_derivatives_against_finite_differences(name):
    """Float64, orders 1 and 2 in the parameters: derivatives of the critic up to the third."""
    with jax.enable_x64(True):
        make, _, _ = CLOSED[name]
        real, fake = REAL.astype(np.float64), FAKE.astype(np.float64)
        params = tanh_params()
        key = jax.random.key(0)

        @jax.jit
        def penalty(params):
            return make(3.0)(key, lambda x: tanh_critic(params, x), real, fake)

        norm = penalties.gradient_norm(lambda x: tanh_critic(params, x), real)
        assert norm.min() < 1 < norm.max()  # both branches of the hinges are taken
        jax.test_util.check_grads(penalty, (params,), order=2, modes=["rev"], rtol=1e-5, atol=1e-5)


def test_third_derivative_of_r1_by_hand():
    """D = a x^3 / 3: R1 = w/2 a^2 x^4, its derivative in a is w a x^4, in a and x 4 w a x^3."""
    with jax.enable_x64(True):
        key, w, x = jax.random.key(0), 5.0, 1.7

        def penalty(a, x):
            x = x[None, None]
            return penalties.r1(w)(key, lambda x: a * x[:, 0] ** 3 / 3, x, x)

        a, x = jnp.float64(1.3), jnp.float64(x)
        np.testing.assert_allclose(penalty(a, x), w / 2 * a**2 * x**4, rtol=1e-12)
        np.testing.assert_allclose(jax.grad(penalty)(a, x), w * a * x**4, rtol=1e-12)
        mixed = jax.grad(jax.grad(penalty), argnums=1)(a, x)
        np.testing.assert_allclose(mixed, 4 * w * a * x**3, rtol=1e-12)


@named
def test_finite_parameter_gradient_at_exactly_zero_input_gradient(name, key):
    make, value, _ = CLOSED[name]

    def penalty(params):
        return make(7.0)(key, lambda x: tanh_critic(params, x), REAL, FAKE)

    zeros = jax.tree.map(np.zeros_like, tanh_params())
    for params in (zeros, tanh_params(slope=0.0)):
        ours, gradient = jax.value_and_grad(penalty)(params)
        np.testing.assert_allclose(ours, value(7.0, 0.0))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@named
def test_weight_zero_is_no_penalty(name, key):
    penalty = lambda p: CLOSED[name][0](0.0)(key, lambda x: tanh_critic(p, x), REAL, FAKE)
    none = lambda p: penalties.none()(key, lambda x: tanh_critic(p, x), REAL, FAKE)
    for ours in (penalty, none):
        value, gradient = jax.value_and_grad(ours)(tanh_params())
        assert value == 0
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))


def test_one_sided_equals_two_sided_above_1_and_is_zero_below(key):
    def both(critic_fn):
        makes = penalties.gradient_penalty, penalties.squared_hinge_penalty
        return [make(7.0)(key, critic_fn, REAL, FAKE) for make in makes]

    above = lambda x: tanh_critic(tanh_params(slope=10.0), x)
    assert penalties.gradient_norm(above, np.concatenate([REAL, FAKE])).min() > 1
    two_sided, one_sided = both(above)
    assert two_sided == one_sided > 1
    below = lambda x: tanh_critic(tanh_params(slope=0.2), x)
    assert penalties.gradient_norm(below, np.concatenate([REAL, FAKE])).max() < 1
    two_sided, one_sided = both(below)
    assert two_sided > 1
    assert one_sided == 0
    two_sided, one_sided = both(lambda x: tanh_critic(tanh_params(), x))
    assert 0 < one_sided < two_sided


@pytest.mark.parametrize("name", sorted(set(CLOSED) - {"dragan"}))
def test_penalty_of_a_batch_is_the_mean_of_its_samples(name, key):
    """real = fake, so that the key does not matter; DRAGAN's noise has the batch's deviation."""
    penalty = CLOSED[name][0](7.0)
    critic_fn = jax.jit(lambda x: tanh_critic(tanh_params(), x))
    batch = penalty(key, critic_fn, REAL, REAL)
    single = [penalty(key, critic_fn, x[None], x[None]) for x in REAL]
    np.testing.assert_allclose(batch, np.mean(single), rtol=1e-5)
    assert np.std(single) > 0.01 * np.mean(single)


# Where the penalties look


def test_one_eps_in_the_unit_interval_for_each_sample(key):
    real, fake = jnp.ones((2000, 3, 2, 1)), jnp.zeros((2000, 3, 2, 1))
    points = np.asarray(penalties.interpolate(key, real, fake))
    eps = points[:, 0, 0, 0]
    np.testing.assert_array_equal(points, np.broadcast_to(eps[:, None, None, None], points.shape))
    assert eps.min() >= 0
    assert eps.max() <= 1
    assert len(np.unique(eps)) > 1990
    # uniform: Kolmogorov-Smirnov distance below its 0.1 % point, 1.95 / sqrt(n)
    grid = (np.arange(2000) + 0.5) / 2000
    assert np.abs(np.sort(eps) - grid).max() < 1.95 / np.sqrt(2000)


def test_r1_looks_at_real_data_and_r2_at_generated(key):
    np.testing.assert_array_equal(spy(penalties.r1(1.0), key, REAL, FAKE), REAL)
    np.testing.assert_array_equal(spy(penalties.r2(1.0), key, REAL, FAKE), FAKE)


def test_dragan_looks_around_real_data(key):
    """x + alpha u std / 2 with u a sample's own [D] and alpha its own number, from two keys."""
    points = spy(penalties.dragan(1.0), key, REAL, FAKE)
    key_noise, key_mix = jax.random.split(key)
    u = np.asarray(jax.random.uniform(key_noise, (6, 2)))
    alpha = np.asarray(jax.random.uniform(key_mix, (6, 1)))
    np.testing.assert_allclose(points, REAL + alpha * u * REAL.std() / 2, rtol=1e-5)
    np.testing.assert_array_equal(points, spy(penalties.dragan(1.0), key, REAL, 9 * FAKE))


# Assembly


def test_total_sums_and_gives_each_its_own_key():
    key = jax.random.key(3)
    critic_fn = lambda x: (x**2).sum(axis=1) / 2
    gp, r1 = penalties.gradient_penalty(10.0), penalties.r1(2.0)
    first, second, third = jax.random.split(key, 3)
    args = critic_fn, REAL, FAKE
    expected = gp(first, *args) + gp(second, *args) + r1(third, *args)
    np.testing.assert_allclose(penalties.total(gp, gp, r1)(key, *args), expected, rtol=1e-6)
    assert gp(first, *args) != gp(second, *args)
    assert penalties.total()(key, *args) == 0


def test_a_traced_weight_sweeps_under_vmap(key):
    critic_fn = lambda x: 3.0 * x[:, 0]
    value = lambda w: penalties.gradient_penalty(w)(key, critic_fn, REAL, FAKE)
    np.testing.assert_allclose(jax.vmap(value)(jnp.array([0.0, 1.0, 10.0])), [0, 4, 40], rtol=1e-5)


def test_a_half_precision_gradient_is_squared_in_float32(key):
    x = jnp.ones((2, 4), jnp.float16)
    square = penalties.gradient_square(lambda x: 300 * x.sum(axis=1), x)  # float16 ends at 65504
    assert square.dtype == jnp.float32
    np.testing.assert_allclose(square, 4 * 300.0**2)


def test_a_member_of_weight_zero_trains_as_without_penalty(key):
    """The whole compiled step, with the penalty's own noise drawn and not used."""
    batch = jax.random.normal(key, (2, 4, cases.DATA))
    prior = priors.normal(cases.LATENT)
    states = []
    for penalty in (penalties.gradient_penalty(0.0), penalties.none()):
        algorithm = jwgan.gan(cases.critic(), cases.generator(), prior=prior, penalty=penalty)
        state, _ = jax.jit(algorithm.step)(algorithm.init(key, batch), batch)
        states.append(jax.tree.leaves((state.critic, state.generator)))
    for a, b in zip(*states, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: penalties.gradient_penalty(-1.0), r"weight is -1.0: give a weight >= 0"),
        (lambda: penalties.r1(float("nan")), r"weight is nan"),
        (lambda: penalties.divergence_penalty(power=1.0), r"power is 1.0: give p >= 2"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_one_sided_penalty_at_the_ends_is_a_mean_over_both_sides(key):
    """Slope |x| of |x|^2 / 2: real points have slope 3, fake ones 2, interpolates neither."""
    real, fake = jnp.full((6, 1), 3.0), jnp.full((6, 1), -2.0)
    penalty = penalties.squared_hinge_penalty(5.0, points=penalties.ends)
    value = penalty(key, lambda x: (x**2).sum(1) / 2, real, fake)
    np.testing.assert_allclose(value, 5.0 * (3 * 2.0**2 + 3 * 1.0**2) / 6, rtol=1e-6)


DEFAULTS = {
    penalties.gradient_penalty: {"weight": 10.0, "target": 1.0},
    penalties.squared_hinge_penalty: {
        "weight": 10.0,
        "target": 1.0,
        "points": penalties.interpolate,
    },
    penalties.linear_hinge_penalty: {"weight": 10.0, "target": 1.0},
    penalties.divergence_penalty: {"weight": 2.0, "power": 6.0},
    penalties.r1: {"weight": 10.0},
    penalties.r2: {"weight": 10.0},
    penalties.dragan: {"weight": 10.0, "target": 1.0},
}


@pytest.mark.parametrize("make", DEFAULTS)
def test_defaults_are_the_papers(make):
    found = {name: p.default for name, p in inspect.signature(make).parameters.items()}
    assert found == DEFAULTS[make]


def test_a_power_of_2_is_the_squared_norm_and_the_least():
    critic_fn, x = lambda x: x @ jnp.array([3.0, 4.0]), jnp.ones((2, 2))
    value = penalties.divergence_penalty(2.0, power=2.0)(jax.random.key(0), critic_fn, x, 0 * x)
    np.testing.assert_allclose(value, 50.0, rtol=1e-6)
    with pytest.raises(ValueError, match=r"power is 1\.9: give p >= 2"):
        penalties.divergence_penalty(power=1.9)


@pytest.mark.parametrize("make", DEFAULTS)
def test_one_pair_is_enough_and_none_is_refused(make):
    critic_fn, x = lambda x: (x**2).sum(axis=1), jnp.ones((1, 2))
    value, slope = jax.value_and_grad(
        lambda w: make()(jax.random.key(0), lambda x: w * critic_fn(x), x, 0 * x)
    )(1.0)
    assert np.isfinite([value, slope]).all()
    with pytest.raises(ValueError, match=r"real's shape is \(0, 2\): give at least one sample"):
        make()(jax.random.key(0), critic_fn, x[:0], x)
