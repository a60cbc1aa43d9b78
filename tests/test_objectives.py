"""Every objective's value and gradients against NumPy, on critics whose derivatives are known."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwgan import objectives
from jwgan.types import Scored

REAL = np.random.default_rng(0).normal(size=(6, 2)) + 1.0
FAKE = np.random.default_rng(1).normal(size=(6, 2)) - 0.5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def log_sigmoid(x):
    return -np.log1p(np.exp(-x))


def least_squares(a, b, c):
    return {
        "critic": lambda r, f: np.mean((r - b) ** 2) / 2 + np.mean((f - a) ** 2) / 2,
        "critic_slopes": lambda r, f: (r - b, f - a),
        "generator": lambda r, f: np.mean((f - c) ** 2) / 2,
        "generator_slopes": lambda r, f: (0 * r, f - c),
    }


cross_entropy = {
    "critic": lambda r, f: -np.mean(log_sigmoid(r)) - np.mean(log_sigmoid(-f)),
    "critic_slopes": lambda r, f: (-sigmoid(-r), sigmoid(f)),
}
one = np.ones_like
# Slopes: derivatives of the per-sample losses in the scores, written out by hand.
ORACLES = {
    "wasserstein": (
        objectives.wasserstein(),
        {
            "critic": lambda r, f: f.mean() - r.mean(),
            "critic_slopes": lambda r, f: (-one(r), one(f)),
            "generator": lambda r, f: -f.mean(),
            "generator_slopes": lambda r, f: (0 * r, -one(f)),
        },
    ),
    "minimax": (
        objectives.minimax(),
        {
            **cross_entropy,
            "generator": lambda r, f: np.mean(log_sigmoid(-f)),  # E log(1 - s(D(g)))
            "generator_slopes": lambda r, f: (0 * r, -sigmoid(f)),
        },
    ),
    "non_saturating": (
        objectives.non_saturating(),
        {
            **cross_entropy,
            "generator": lambda r, f: -np.mean(log_sigmoid(f)),  # -E log s(D(g))
            "generator_slopes": lambda r, f: (0 * r, -sigmoid(-f)),
        },
    ),
    "least_squares": (objectives.least_squares(), least_squares(0, 1, 1)),
    "least_squares_pearson": (objectives.least_squares(-1, 1, 0), least_squares(-1, 1, 0)),
    "least_squares_free": (objectives.least_squares(0.2, 0.7, 1.5), least_squares(0.2, 0.7, 1.5)),
    "hinge": (
        objectives.hinge(),
        {
            "critic": lambda r, f: np.mean(np.maximum(0, 1 - r)) + np.mean(np.maximum(0, 1 + f)),
            "critic_slopes": lambda r, f: (-1.0 * (r < 1), 1.0 * (f > -1)),
            "generator": lambda r, f: -f.mean(),
            "generator_slopes": lambda r, f: (0 * r, -one(f)),
        },
    ),
    "relativistic": (
        objectives.relativistic(),
        {
            "critic": lambda r, f: -np.mean(log_sigmoid(r - f)),
            "critic_slopes": lambda r, f: (-sigmoid(f - r), sigmoid(f - r)),
            "generator": lambda r, f: -np.mean(log_sigmoid(f - r)),
            "generator_slopes": lambda r, f: (sigmoid(r - f), -sigmoid(r - f)),
        },
    ),
    "ebgan": (
        objectives.ebgan(margin=0.4),
        {
            "critic": lambda r, f: r.mean() + np.mean(np.maximum(0, 0.4 - f)),
            "critic_slopes": lambda r, f: (one(r), -1.0 * (f < 0.4)),
            "generator": lambda r, f: f.mean(),
            "generator_slopes": lambda r, f: (0 * r, one(f)),
        },
    ),
    "began": (  # k = 0.3, see `state_of`
        objectives.began(),
        {
            "critic": lambda r, f: r.mean() - 0.3 * f.mean(),
            "critic_slopes": lambda r, f: (one(r), -0.3 * one(f)),
            "generator": lambda r, f: f.mean(),
            "generator_slopes": lambda r, f: (0 * r, one(f)),
        },
    ),
}

# name -> (D(x; w) in jax.numpy, its derivatives in w [B, 2] and in x [B, 2] in NumPy)
WEIGHT = np.array([0.7, -0.4])
CRITICS = {
    "linear": (lambda w, x: x @ w, lambda w, x: x, lambda w, x: w + 0 * x),
    "quadratic": (
        lambda w, x: (x**2 @ w) / 2,
        lambda w, x: x**2 / 2,
        lambda w, x: w * x,
    ),
    "cone": (  # the distance to the apex w
        lambda w, x: jnp.sqrt(jnp.sum((x - w[None]) ** 2, axis=1)),
        lambda w, x: -(x - w) / np.linalg.norm(x - w, axis=1, keepdims=True),
        lambda w, x: (x - w) / np.linalg.norm(x - w, axis=1, keepdims=True),
    ),
}


def state_of(objective):
    state = objective.init()
    return state._replace(k=jnp.float32(0.3)) if isinstance(state, objectives.BEGANState) else state


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("name", ORACLES)
def test_value_and_gradients(name, critic):
    objective, oracle = ORACLES[name]
    score, slope_in_w, slope_in_x = CRITICS[critic]
    state = state_of(objective)
    real_score, fake_score = np.asarray(score(WEIGHT, REAL)), np.asarray(score(WEIGHT, FAKE))

    @jax.jit
    def ours(w, real, fake):
        critic = lambda w: objective.critic_loss(state, score(w, real), score(w, fake))
        generator = lambda f: objective.generator_loss(state, score(w, real), score(w, f))
        return jax.value_and_grad(critic)(w), jax.value_and_grad(generator)(fake)

    (critic_loss, in_w), (generator_loss, in_fake) = ours(WEIGHT, REAL, FAKE)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
    close(critic_loss, oracle["critic"](real_score, fake_score))
    close(generator_loss, oracle["generator"](real_score, fake_score))
    # the chain rule by hand: dL/dw = E slope dD/dw, dL/dx_i = slope_i dD/dx_i / B
    on_real, on_fake = oracle["critic_slopes"](real_score, fake_score)
    expected = on_real @ slope_in_w(WEIGHT, REAL) + on_fake @ slope_in_w(WEIGHT, FAKE)
    close(in_w, expected / len(REAL))
    _, on_fake = oracle["generator_slopes"](real_score, fake_score)
    close(in_fake, on_fake[:, None] * slope_in_x(WEIGHT, FAKE) / len(FAKE))


@pytest.mark.parametrize("name", ORACLES)
def test_gradients_in_the_scores(name):
    """In the real scores too: only a relativistic generator looks at them."""
    objective, oracle = ORACLES[name]
    state = state_of(objective)
    real, fake = np.random.default_rng(1).normal(size=(2, 5))
    for loss, slopes in (
        (objective.critic_loss, "critic_slopes"),
        (objective.generator_loss, "generator_slopes"),
    ):
        in_real, in_fake = jax.grad(lambda r, f: loss(state, r, f), argnums=(0, 1))(real, fake)
        on_real, on_fake = oracle[slopes](real, fake)
        np.testing.assert_allclose(in_real, on_real / 5, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(in_fake, on_fake / 5, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["minimax", "non_saturating", "relativistic"])
def test_logits_may_be_huge(name):
    objective, _ = ORACLES[name]
    for real, fake in ((1e4, -1e4), (-1e4, 1e4)):
        for loss in (objective.critic_loss, objective.generator_loss):
            value, slopes = jax.value_and_grad(lambda r, f: loss((), r, f), argnums=(0, 1))(
                jnp.full(2, real), jnp.full(2, fake)
            )
            assert np.isfinite(value)
            assert all(np.isfinite(s).all() for s in slopes)


def test_saturation_is_the_difference_between_minimax_and_non_saturating():
    """Where the critic is sure of a fake, one generator has no gradient and the other all of it."""
    fake = jnp.array([-30.0])
    slope = lambda o: jax.grad(lambda f: o.generator_loss((), f, f))(fake)
    assert abs(slope(objectives.minimax())[0]) < 1e-12
    np.testing.assert_allclose(slope(objectives.non_saturating()), -1.0)


@pytest.mark.parametrize("name", ORACLES)
def test_wasserstein_estimate_has_one_sign(name):
    """Positive when the critic separates: scores high, energies low on real data."""
    objective, _ = ORACLES[name]
    energy = name in ("ebgan", "began")
    real, fake = (jnp.ones(3), jnp.full(3, 3.0)) if energy else (jnp.full(3, 3.0), jnp.ones(3))
    assert objective.separation(real, fake) == 2.0
    assert objective.separation(fake, real) == -2.0


# Two point masses: a critic is two numbers, D(0) and D(theta), or one where theta = 0.

BEST = {  # name -> (the critic's lowest loss when the masses differ, and when they coincide)
    "minimax": (0.0, 2 * np.log(2)),  # 2 log 2 - 2 JS, JS = log 2 or 0
    "hinge": (0.0, 2.0),
    "least_squares": (0.0, 0.25),  # (a - b)^2 / 4
    "least_squares_pearson": (0.0, 1.0),
}


@pytest.mark.parametrize("name", BEST)
def test_best_critic_of_two_point_masses(name):
    critic_loss = ORACLES[name][0].critic_loss
    grid = jnp.linspace(-40.0, 40.0, 161)
    loss = lambda d_real, d_fake: critic_loss((), d_real[None], d_fake[None])
    apart = jax.vmap(lambda r: jax.vmap(lambda f: loss(r, f))(grid))(grid).min()
    together = jax.vmap(lambda d: loss(d, d))(grid).min()
    np.testing.assert_allclose((apart, together), BEST[name], atol=1e-6)


def test_wasserstein_critic_of_two_point_masses():
    """The 1-Lipschitz critic D(x) = -|x - x_real| reaches W1 = the distance of the masses."""
    real, fake = jnp.zeros((4, 2)), jnp.broadcast_to(jnp.array([3.0, 4.0]), (4, 2))
    score = lambda x: -jnp.sqrt(jnp.sum(x**2, axis=1))
    objective = objectives.wasserstein()
    np.testing.assert_allclose(objective.separation(score(real), score(fake)), 5.0)
    np.testing.assert_allclose(objective.critic_loss((), score(real), score(fake)), -5.0)


# EBGAN


def test_margin_switches_the_critic_off():
    objective = objectives.ebgan(margin=2.0)
    real, fake = jnp.array([0.5, 0.25]), jnp.array([1.5, 3.0])  # one below the margin, one above
    loss, slope = jax.value_and_grad(lambda f: objective.critic_loss((), real, f))(fake)
    np.testing.assert_allclose(loss, 0.375 + (0.5 + 0.0) / 2)
    np.testing.assert_allclose(slope, [-0.5, 0.0])


def pulling_away_oracle(code):
    num, total = len(code), 0.0
    for i in range(num):
        for j in range(num):
            if i != j:
                norms = np.linalg.norm(code[i]) * np.linalg.norm(code[j])
                total += (code[i] @ code[j] / norms) ** 2
    return total / (num * (num - 1))


def test_pulling_away_known_answers():
    np.testing.assert_allclose(objectives.pulling_away(3 * jnp.eye(4)), 0.0, atol=1e-7)
    np.testing.assert_allclose(objectives.pulling_away(jnp.full((5, 3), 2.0)), 1.0, rtol=1e-6)
    opposite = jnp.array([[1.0, 2.0], [-1.0, -2.0]])  # cos = -1, squared
    np.testing.assert_allclose(objectives.pulling_away(opposite), 1.0, rtol=1e-6)
    at_60_degrees = jnp.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    np.testing.assert_allclose(objectives.pulling_away(at_60_degrees), 0.25, rtol=1e-6)


@pytest.mark.parametrize("rows", [0, 1])
def test_pulling_away_without_a_pair_is_0(rows):
    value, slope = jax.value_and_grad(objectives.pulling_away)(jnp.full((rows, 4), 3.0))
    assert value == 0
    np.testing.assert_array_equal(slope, jnp.zeros((rows, 4)))


@pytest.mark.parametrize(
    ("energies", "share"), [([0.5, 1.0], 0.0), ([1.5, 2.0], 0.5), ([3.0, 9.0], 1.0), ([2.5], 1.0)]
)
def test_ebgan_reports_the_share_beyond_the_margin(energies, share):
    """There the hinge and its slope are 0: at the margin itself too."""
    objective, real = objectives.ebgan(margin=2.0), jnp.zeros(2)
    for fake in (jnp.array(energies), Scored(jnp.array(energies), jnp.ones((2, 3)))):
        state, info = objective.update((), real, fake)
        assert state == ()
        assert info == {"beyond_margin": share}
    slope = jax.grad(lambda f: objective.critic_loss((), real, f))(jnp.array(energies))
    assert float((slope == 0).mean()) == share


DEFAULTS = {
    objectives.least_squares: {"a": 0.0, "b": 1.0, "c": 1.0},
    objectives.ebgan: {"margin": 10.0, "pulling_away_weight": 0.0},
    objectives.began: {"gamma": 0.5, "lambda_k": 1e-3, "k_min": 0.0},
}


@pytest.mark.parametrize("make", DEFAULTS)
def test_defaults_are_the_papers(make):
    found = {name: p.default for name, p in inspect.signature(make).parameters.items()}
    assert found == DEFAULTS[make]


def test_pulling_away_is_finite_at_a_zero_code():
    code = jnp.array([[0.0, 0.0], [1.0, 1.0]])
    value, slope = jax.value_and_grad(objectives.pulling_away)(code)
    assert value == 0
    assert np.isfinite(slope).all()


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.floats(0.01, 100))
def test_pulling_away_invariances(seed, scale):
    rng = np.random.default_rng(seed)
    code = rng.normal(size=(5, 3)).astype(np.float32)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
    scales = (scale * rng.uniform(0.5, 2, size=(5, 1))).astype(np.float32)
    value = objectives.pulling_away(code)
    np.testing.assert_allclose(value, pulling_away_oracle(code), rtol=1e-4)
    for same in (rng.permutation(code), code @ rotation, scales * code):
        np.testing.assert_allclose(objectives.pulling_away(same), value, rtol=1e-4)


def test_ebgan_generator_adds_the_weighted_pulling_away_term():
    energy, code = jnp.array([1.0, 3.0]), jnp.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    objective = objectives.ebgan(pulling_away_weight=0.1)
    fake = Scored(energy, code)
    np.testing.assert_allclose(objective.generator_loss((), fake, fake), 2.0 + 0.1 * 0.25)
    # the critic does not see it
    np.testing.assert_allclose(objective.critic_loss((), fake, fake), 2.0 + 8.0)
    with pytest.raises(ValueError, match=r"needs the critic's codes: return .*Scored"):
        objective.generator_loss((), energy, energy)
    assert objectives.ebgan().generator_loss((), energy, energy) == 2.0


def test_a_traced_weight_of_zero_is_no_pulling_away():
    fake = Scored(jnp.array([1.0, 3.0]), jnp.ones((2, 2)))
    loss = lambda w: objectives.ebgan(pulling_away_weight=w).generator_loss((), fake, fake)
    np.testing.assert_allclose(jax.vmap(loss)(jnp.array([0.0, 0.1])), [2.0, 2.1])


# BEGAN


@pytest.mark.parametrize("gamma", [0.3, 0.7])
def test_k_and_m_over_a_trajectory(gamma):
    """Against NumPy over 300 steps, with a gain so large that k runs into 0 and into 1."""
    objective = objectives.began(gamma=gamma, lambda_k=0.2)
    rng = np.random.default_rng(1)
    phase = np.linspace(0, 4 * np.pi, 300)[:, None]
    real = rng.uniform(1, 2, size=(300, 4))
    fake = np.maximum(gamma * real + np.sin(phase) * rng.uniform(0, 1, size=(300, 4)), 0)

    k, expected = 0.0, []
    for x, g in zip(real, fake, strict=True):
        balance = gamma * x.mean() - g.mean()
        expected.append((k, x.mean() + abs(balance)))
        k = min(max(k + 0.2 * balance, 0.0), 1.0)

    body = lambda state, scores: objective.update(state, *scores)
    state, info = jax.lax.scan(body, objective.init(), (jnp.array(real), jnp.array(fake)))
    k_expected, m_expected = np.array(expected).T
    np.testing.assert_allclose(info["k"], k_expected, atol=5e-5)
    np.testing.assert_allclose(info["convergence"], m_expected, rtol=1e-5)
    np.testing.assert_allclose(state.k, k, atol=5e-5)
    np.testing.assert_allclose(state.convergence, m_expected[-1], rtol=1e-5)
    # the trajectory does what it is for
    assert np.sum(k_expected == 0) > 5
    assert np.sum(k_expected == 1) > 5
    assert np.sum((k_expected > 0) & (k_expected < 1)) > 20


def test_k_is_fixed_in_balance():
    """gamma L(x) = L(g) holds k, and M is then L(x)."""
    objective = objectives.began(gamma=0.5)
    state = objective.init()._replace(k=jnp.float32(0.25))
    state, info = objective.update(state, jnp.array([1.0, 3.0]), jnp.array([0.5, 1.5]))
    assert state.k == 0.25
    assert info["convergence"] == 2.0


def test_k_starts_at_zero_and_a_generated_batch_too_good_raises_it():
    objective = objectives.began(gamma=0.5, lambda_k=0.001)
    state = objective.init()
    assert state.k == 0
    state, _ = objective.update(state, jnp.array([2.0]), jnp.array([0.25]))
    np.testing.assert_allclose(state.k, 0.001 * (0.5 * 2 - 0.25))


@pytest.mark.parametrize("k_min", [0.0, -0.25, -1.0])
def test_k_stays_between_k_min_and_1(k_min):
    objective = objectives.began(gamma=0.5, lambda_k=0.4, k_min=k_min)
    state = objective.init()
    lowered, _ = objective.update(state, jnp.array([1.0]), jnp.array([2.0]))  # by 0.4 * 1.5
    np.testing.assert_allclose(lowered.k, max(k_min, -0.6), rtol=1e-6)
    raised, _ = objective.update(state, jnp.array([9.0]), jnp.array([0.5]))
    assert raised.k == 1.0
    # Below 0 the critic is paid for reconstructing the fakes too.
    loss = objective.critic_loss(lowered, jnp.array([1.0]), jnp.array([2.0]))
    np.testing.assert_allclose(loss, 1.0 - 2.0 * lowered.k)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: objectives.least_squares(a=1.0, b=1.0), r"a, b is \(1.0, 1.0\): give two"),
        (lambda: objectives.ebgan(margin=0.0), r"margin is 0.0: give a margin > 0"),
        (lambda: objectives.ebgan(pulling_away_weight=-1.0), r"pulling_away_weight is -1.0"),
        (lambda: objectives.began(gamma=1.5), r"gamma is 1.5: give a diversity ratio in \(0, 1\]"),
        (lambda: objectives.began(gamma=0.0), r"gamma is 0.0"),
        (lambda: objectives.began(lambda_k=0.0), r"lambda_k is 0.0: give a gain > 0"),
        (lambda: objectives.began(k_min=0.1), r"k_min is 0.1: give the smallest k"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_objective_of_ones_own():
    """The quadratic potential game: losses and the reported estimate are those that were given."""
    mine = objectives.stateless(
        critic_loss=lambda real, fake: (fake - real + (real - fake) ** 2 / 2).mean(),
        generator_loss=lambda real, fake: (real - 2 * fake).mean(),
        separation=lambda real, fake: (2 * real - fake).mean(),
    )
    real, fake = jnp.array([3.0, 1.0]), jnp.array([1.0, 0.0])
    assert mine.init() == ()
    assert mine.critic_loss((), real, fake) == (-2 + 2 - 1 + 0.5) / 2
    assert mine.generator_loss((), real, fake) == (1 + 1) / 2
    assert mine.separation(real, fake) == (5 + 2) / 2
    assert mine.update((), real, fake) == ((), {})


def test_without_a_separation_real_is_the_higher_side():
    mine = objectives.stateless(lambda real, fake: fake.mean(), lambda real, fake: -fake.mean())
    assert mine.separation(jnp.array([3.0]), jnp.array([1.0])) == 2.0


def test_a_diversity_ratio_of_1_is_allowed():
    state, _ = objectives.began(gamma=1.0, lambda_k=0.1).update(
        objectives.BEGANState(jnp.zeros(()), jnp.zeros(())), jnp.array([2.0]), jnp.array([1.0])
    )
    np.testing.assert_allclose(state.k, 0.1)
    for gamma in (0.0, 1.01):
        with pytest.raises(ValueError, match=f"gamma is {gamma}"):
            objectives.began(gamma=gamma)
