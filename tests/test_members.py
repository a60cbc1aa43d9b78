"""What each named member computes: its paper's update by NumPy, its options, its schedule."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jwgan
from jwgan import constraints, diagnostics, networks, objectives, penalties, priors
from jwgan.types import Scored

W0 = np.array([0.02, -0.03], np.float32)  # where the linear critic starts
B0 = np.array([0.3, 0.4], np.float32)  # where the point generator starts


def linear_critic(start=W0):
    return networks.from_fn(lambda key, x: jnp.array(start), lambda w, x: x @ w)


def point_generator():
    """x = b whatever z, so a step's only randomness is the penalty's points."""
    return networks.from_fn(
        lambda key, z: jnp.array(B0), lambda b, z: jnp.broadcast_to(b, (z.shape[0], 2))
    )


REAL = np.array([[[1.0, 2.0], [2.0, 1.0], [0.0, -1.0]]], np.float32)  # [1, 3, 2]
TWO_BATCHES = np.stack([REAL, REAL[:, ::-1] + 0.1])


def one_step(name, critic=linear_critic, **kwargs):
    algorithm = getattr(jwgan, name)(critic(), point_generator(), prior=priors.normal(1), **kwargs)
    state, info = algorithm.step(algorithm.init(jax.random.key(0), REAL), REAL)
    return np.asarray(state.critic.params), np.asarray(state.generator.params), info


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gradients(member, w, w_new):
    """(critic's at w, generator's against w_new), by hand for a linear critic and a point."""
    real, fake, norm = REAL[0].astype(np.float64), B0.astype(np.float64), np.linalg.norm(w)
    on_real, on_fake, generator = {
        "wasserstein": lambda r, f, n: (-np.ones(3), 1.0, -1.0),
        "minimax": lambda r, f, n: (-sigmoid(-r), sigmoid(f), -sigmoid(n)),
        "non_saturating": lambda r, f, n: (-sigmoid(-r), sigmoid(f), -sigmoid(-n)),
        "least_squares": lambda r, f, n: (r - 1, f, n - 1),
        "relativistic": lambda r, f, n: (
            -sigmoid(f - r),
            np.mean(sigmoid(f - r)),
            -np.mean(sigmoid(real @ w_new - n)),
        ),
    }[member["game"]](real @ w, fake @ w, fake @ w_new)
    critic = on_real @ real / 3 + on_fake * fake
    return critic + member.get("penalty", lambda n: 0.0)(norm) * w / norm, generator * w_new


def adam(gradient, learning_rate, eps=1e-8):
    """The first update of Adam, whatever its betas: both moments are bias-corrected."""
    return -learning_rate * gradient / (np.abs(gradient) + eps)


def rmsprop(gradient, learning_rate, decay=0.99, eps=1e-8):
    return -learning_rate * gradient / (np.sqrt((1 - decay) * gradient**2) + eps)


# name -> game, derivative of the penalty in the slope s of the linear critic, optimizers
MEMBERS = {
    "gan_minimax": {"game": "minimax", "critic": (adam, 2e-4)},
    "gan": {"game": "non_saturating", "critic": (adam, 2e-4)},
    "dcgan": {"game": "non_saturating", "critic": (adam, 2e-4)},
    "lsgan": {"game": "least_squares", "critic": (adam, 1e-4), "generator": (adam, 1e-3)},
    "wgan_gp": {
        "game": "wasserstein",
        "penalty": lambda s: 20 * (s - 1),
        "critic": (adam, 1e-4),
    },
    "wgan_lp": {
        "game": "wasserstein",
        "penalty": lambda s: 20 * max(0, s - 1),
        "critic": (adam, 1e-4),
    },
    "wgan_hinge": {
        "game": "wasserstein",
        "penalty": lambda s: 10 * (s > 1),
        "critic": (adam, 1e-4),
    },
    "wgan_div": {
        "game": "wasserstein",
        "penalty": lambda s: 12 * s**5,
        "critic": (adam, 2e-4),
    },
    "dragan": {
        "game": "non_saturating",
        "penalty": lambda s: 20 * (s - 1),
        "critic": (adam, 1e-4),
    },
    "r1_gan": {
        "game": "non_saturating",
        "penalty": lambda s: 10 * s,
        "critic": (rmsprop, 1e-4),
    },
    "r1_r2_gan": {
        "game": "non_saturating",
        "penalty": lambda s: 20 * s,
        "critic": (rmsprop, 1e-4),
    },
    "rpgan": {"game": "relativistic", "penalty": lambda s: 0.2 * s, "critic": (adam, 2e-4)},
}


@pytest.mark.parametrize("scale", [1.0, 100.0], ids=["slope below 1", "slope above 1"])
@pytest.mark.parametrize("name", MEMBERS)
def test_first_step_of_the_preset(name, scale):
    """Loss gradients, weights and learning rates of the defaults, both players."""
    member = MEMBERS[name]
    start = scale * W0
    w, b, info = one_step(name, lambda: linear_critic(start))
    gradient, _ = gradients(member, start.astype(np.float64), start)
    np.testing.assert_allclose(info.critic_gradient_norm, np.linalg.norm(gradient), rtol=1e-4)
    optimizer, rate = member["critic"]
    np.testing.assert_allclose(w - start, optimizer(gradient, rate), rtol=3e-3, atol=1e-6)
    _, gradient = gradients(member, start, w.astype(np.float64))
    np.testing.assert_allclose(info.generator_gradient_norm, np.linalg.norm(gradient), rtol=1e-4)
    optimizer, rate = member.get("generator", member["critic"])
    np.testing.assert_allclose(b - B0, optimizer(gradient, rate), rtol=1e-3, atol=1e-7)


def test_wgan_clips_and_starts_inside():
    w, b, _ = one_step("wgan")
    # start: 0.02 and -0.03 come into the box; gradient B0 - E x has signs (-, -)
    step = 5e-5 / np.sqrt(0.01)
    np.testing.assert_allclose(w, [0.01, -0.01 + step], rtol=1e-3)
    np.testing.assert_allclose(b, B0 + step * np.sign(w), rtol=1e-4)


def test_wgan_stays_in_its_box():
    algorithm = jwgan.wgan(
        linear_critic(), point_generator(), prior=priors.normal(1), learning_rate=0.1
    )
    batches = jax.random.normal(jax.random.key(0), (50, 2, 4, 2))

    def body(state, batch):
        state, _ = algorithm.step(state, batch)
        return state, jnp.abs(state.critic.params).max()

    start = algorithm.init(jax.random.key(1), batches[0])
    _, largest = jax.jit(lambda s: jax.lax.scan(body, s, batches))(start)
    assert largest.max() <= 0.01 * (1 + 1e-6)
    assert largest.max() > 0.0099


def test_wgan_in_an_infinite_box_is_plain_rmsprop():
    tx = optax.rmsprop(5e-5, decay=0.99, eps_in_sqrt=False)
    plain = jwgan.adversarial.build(
        critic=linear_critic(),
        generator=point_generator(),
        critic_tx=tx,
        generator_tx=tx,
        objective=objectives.wasserstein(),
        penalty=penalties.none(),
        prior=priors.normal(1),
    )
    boxed = jwgan.wgan(linear_critic(), point_generator(), prior=priors.normal(1), c=np.inf)
    batches = jax.random.normal(jax.random.key(0), (50, 2, 4, 2))
    final = []
    for algorithm in (plain, boxed):
        state = algorithm.init(jax.random.key(1), batches[0])
        state, _ = jax.jit(lambda s, step=algorithm.step: jax.lax.scan(step, s, batches))(state)
        final.append(np.stack([state.critic.params, state.generator.params]))
    # not by the bit: the compiler fuses the two programs differently; see test_constraints.py
    np.testing.assert_allclose(final[0], final[1], rtol=1e-5)
    assert np.all(np.abs(final[0] - np.stack([W0, B0])) > 1e-4)


def test_rmsprop_moves_by_the_rate_however_small_the_gradient():
    """A clipped critic's generator may see gradients of 1e-6; the authors' code moves by them."""
    tiny = networks.from_fn(lambda key, x: jnp.array(W0), lambda w, x: 1e-4 * (x @ w))
    algorithm = jwgan.wgan(tiny, point_generator(), prior=priors.normal(1))
    state, info = algorithm.step(algorithm.init(jax.random.key(0), REAL), REAL)
    assert info.generator_gradient_norm < 2e-6
    # sqrt(0.01 g^2) + 1e-8 = 1.1e-7 for g = 1e-6
    moved = np.abs(np.asarray(state.generator.params) - B0)
    np.testing.assert_allclose(moved, 5e-5 / 0.11, rtol=0.1)


def test_sngan_divides_by_the_spectral_norm():
    critic = lambda: networks.from_fn(
        lambda key, x: jnp.array(W0)[:, None], lambda w, x: (x @ w)[:, 0]
    )
    w, _, info = one_step("sngan", critic)
    unit = W0 / np.linalg.norm(W0)
    real, fake = REAL[0] @ unit, B0 @ unit
    hinge = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake)
    np.testing.assert_allclose(info.critic_loss, hinge, rtol=1e-5)
    np.testing.assert_allclose(np.abs(w[:, 0] - W0), 2e-4, rtol=1e-2)  # Adam's first step
    _, _, info = one_step("sngan", critic, objective=objectives.wasserstein())
    np.testing.assert_allclose(info.critic_loss, fake - real.mean(), rtol=1e-4)


def ebgan(**kwargs):
    """One step of EBGAN with the energy |x|^2 a / 2 and the sample itself as code."""
    critic = networks.from_fn(
        lambda key, x: jnp.ones(()),
        lambda a, x: Scored(a * (x**2).sum(axis=1) / 2, x),
    )
    return one_step("ebgan", lambda: critic, **kwargs)


def test_ebgan_margin_and_pulling_away_term():
    a, b, info = ebgan()
    on_real, on_fake = (REAL[0] ** 2).sum(1).mean() / 2, (B0**2).sum() / 2
    np.testing.assert_allclose(info.critic_loss, on_real + 10 - on_fake, rtol=1e-5)
    np.testing.assert_allclose(a, 1 - 1e-3, rtol=1e-5)  # gradient on_real - on_fake > 0
    # equal codes: the term is 1, its weight 0.1
    np.testing.assert_allclose(info.generator_loss, a * on_fake + 0.1, rtol=1e-5)
    np.testing.assert_allclose(b, B0 - 1e-3, rtol=1e-4)
    assert info.wasserstein_estimate == pytest.approx(on_fake - on_real, rel=1e-5)
    # with the margin below the fakes' energy the critic sees real data only
    _, _, info = ebgan(margin=0.1)
    np.testing.assert_allclose(info.critic_loss, on_real, rtol=1e-5)
    np.testing.assert_allclose(info.critic_gradient_norm, on_real, rtol=1e-5)
    _, _, info = ebgan(pulling_away_weight=0.0)
    np.testing.assert_allclose(info.generator_loss, a * on_fake, rtol=1e-5)


# BEGAN


def began(learning_rate=0.0, **kwargs):
    """BEGAN with L = |x| a, a = 1 and the generated point B0 as they start: M is known."""
    energy = networks.from_fn(lambda key, x: jnp.ones(()), lambda a, x: a * jnp.abs(x).mean(axis=1))
    return jwgan.began(
        energy, point_generator(), prior=priors.normal(1), learning_rate=learning_rate, **kwargs
    )


def run(algorithm, batches):
    """State and, step by step, info and the critic's plateau scale."""

    def body(state, batch):
        state, info = algorithm.step(state, batch)
        return state, (info, state.critic.opt_state[1].scale, state.generator.opt_state[1].scale)

    start = algorithm.init(jax.random.key(0), batches[0])
    return jax.jit(lambda s: jax.lax.scan(body, s, batches))(start)


def real(*sizes):
    """Batches [steps, 1, 3, 2] whose L(x) is as given."""
    return jnp.broadcast_to(jnp.array(sizes)[:, None, None, None], (len(sizes), 1, 3, 2))


def test_began_k_and_m_in_the_step():
    """k_t and M of the compiled step, from L(x) = 1, 2, 0.2, ... and L(g) = 0.35."""
    sizes = [1.0, 2.0, 0.2, 0.2, 3.0]
    _, (info, _, _) = run(began(gamma=0.5, lambda_k=0.1), real(*sizes))
    k = 0.0
    for t, size in enumerate(sizes):
        np.testing.assert_allclose(info.objective["k"][t], k, atol=1e-6)
        np.testing.assert_allclose(info.critic_loss[t], size - k * 0.35, rtol=1e-5)
        np.testing.assert_allclose(
            info.objective["convergence"][t], size + abs(0.5 * size - 0.35), rtol=1e-5
        )
        k = min(max(k + 0.1 * (0.5 * size - 0.35), 0), 1)
    assert k > 0


def test_began_rate_halves_when_m_stalls():
    """M constant: after the windows that set the best, every `patience` windows halve the rate."""
    window, patience = 4, 2
    _, (info, critic, generator) = run(
        began(window=window, patience=patience), real(*[1.0] * (window * 9))
    )
    np.testing.assert_allclose(info.objective["convergence"], 1.15, rtol=1e-5)
    np.testing.assert_array_equal(critic, generator)
    by_window = critic[window - 1 :: window]
    # The first window contains the infinite M of before the first step and sets no best, the
    # second does; then two windows do not improve: halved, and again.
    np.testing.assert_array_equal(by_window, [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125])


def test_began_rate_has_a_floor_and_is_reported():
    """M constant for ever: the rate halves down to the floor, and each step says at what it is."""
    algorithm = began(window=1, patience=2, min_scale=0.1)
    _, (info, critic, _) = run(algorithm, real(*[1.0] * 60))
    np.testing.assert_array_equal(info.objective["learning_rate_scale"], critic)
    np.testing.assert_allclose(np.unique(critic), [0.1, 0.125, 0.25, 0.5, 1.0])
    _, (info, *_) = run(began(window=1, patience=2), real(*[1.0] * 60))
    assert info.objective["learning_rate_scale"][-1] == np.float32(0.01)
    _, (info, *_) = run(began(window=1, patience=2, min_scale=0.0), real(*[1.0] * 60))
    assert 0 < info.objective["learning_rate_scale"][-1] < 1e-6
    for scale in (-0.1, 1.5):
        with pytest.raises(ValueError, match=f"min_scale is {scale}: give a part"):
            began(min_scale=scale)


def test_began_with_optimizers_of_ones_own_has_no_plateau_to_report():
    batch, own = real(1.0)[0], {"critic_tx": optax.sgd(0.1), "generator_tx": optax.sgd(0.1)}
    for given in ({}, {"critic_tx": own["critic_tx"]}, own):
        algorithm = began(**given)
        _, info = algorithm.step(algorithm.init(jax.random.key(0), batch), batch)
        assert ("learning_rate_scale" in info.objective) == (len(given) < 2)


def test_began_rate_stays_while_m_falls():
    sizes = np.geomspace(8, 1, 40)
    _, (info, critic, generator) = run(began(window=4, patience=2), real(*sizes))
    assert np.all(np.diff(info.objective["convergence"]) < 0)
    np.testing.assert_array_equal(critic, 1.0)
    np.testing.assert_array_equal(generator, 1.0)


def test_began_updates_are_scaled_by_it():
    """Both players' updates at scale 0.5 are half of those at 1."""
    algorithm = began(learning_rate=1e-3)
    batch = real(1.0)[0]

    def moved(scale):
        state = algorithm.init(jax.random.key(0), batch)
        players = []
        for player in (state.critic, state.generator):
            adam, plateau = player.opt_state
            plateau = plateau._replace(scale=jnp.full_like(plateau.scale, scale))
            players.append(player._replace(opt_state=(adam, plateau)))
        state = state._replace(critic=players[0], generator=players[1])
        after, _ = algorithm.step(state, batch)
        return after.critic.params - 1, after.generator.params - B0

    for full, half in zip(moved(1.0), moved(0.5), strict=True):
        np.testing.assert_allclose(half, full / 2, rtol=1e-3)
        assert np.all(np.abs(full) > 9e-4)


# Options


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("lsgan", {"a": -1.0, "b": 1.0, "c": 0.0}),
        ("wgan_gp", {"weight": 0.1}),
        ("wgan_lp", {"learning_rate": 1e-2}),
        ("wgan_div", {"weight": 10.0, "power": 2.0}),
        ("gan", {"penalty": penalties.gradient_penalty(10.0)}),
        ("gan_minimax", {"penalty": penalties.r1(1.0)}),
        ("dragan", {"weight": 1.0}),
        ("r1_gan", {"weight": 1.0}),
        ("rpgan", {"weight": 1.0}),
        ("ebgan", {"margin": 0.01}),
        ("began", {"lambda_k": 0.5}),
        ("began", {"gamma": 0.9}),
        ("dcgan", {"b1": 0.9}),
        ("sngan", {"penalty": penalties.r1(1.0)}),
    ],
)
def test_every_option_reaches_the_step(name, option):
    """Two steps with and without it differ: no option is read and dropped."""
    matrix = lambda key, x: 3 * jnp.array(W0)[:, None]
    critic = {
        "sngan": networks.from_fn(matrix, lambda w, x: (x @ w)[:, 0]),
        "ebgan": networks.from_fn(matrix, lambda w, x: Scored(jnp.abs(x @ w)[:, 0], x)),
        "began": networks.from_fn(matrix, lambda w, x: jnp.abs(x @ w)[:, 0]),
    }.get(name, networks.from_fn(lambda key, x: 50 * jnp.array(W0), lambda w, x: x @ w))
    results = []
    for kwargs in ({}, option):
        algorithm = getattr(jwgan, name)(
            critic, point_generator(), prior=priors.normal(1), **kwargs
        )
        state, infos = jax.jit(lambda s, step=algorithm.step: jax.lax.scan(step, s, TWO_BATCHES))(
            algorithm.init(jax.random.key(0), REAL)
        )
        players = (state.critic.params, state.generator.params, state.objective)
        results.append(np.concatenate([np.ravel(x) for x in jax.tree.leaves((players, infos))]))
    assert np.abs(results[0] - results[1]).max() > 1e-6


def test_a_clipped_box_around_any_member():
    """A weight-clipped variant is an optax chain away: here of LSGAN."""
    tx = optax.adam(0.1)
    algorithm = jwgan.adversarial.build(
        critic=networks.map_init(linear_critic(), lambda p: constraints.project_box(p, 0.1)),
        generator=point_generator(),
        critic_tx=optax.chain(tx, constraints.clip_weights(0.1)),
        generator_tx=tx,
        objective=objectives.least_squares(),
        penalty=penalties.none(),
        prior=priors.normal(1),
    )
    state, _ = algorithm.step(algorithm.init(jax.random.key(0), REAL), REAL)
    assert diagnostics.outside_box(state.critic.params, 0.1) == {}
    assert np.abs(state.critic.params).max() > 0.09


def test_a_sweep_over_a_members_numbers_is_a_vmap():
    def run(weight, learning_rate):
        algorithm = jwgan.wgan_gp(
            linear_critic(),
            point_generator(),
            prior=priors.normal(1),
            weight=weight,
            learning_rate=learning_rate,
        )
        state, info = algorithm.step(algorithm.init(jax.random.key(0), REAL), REAL)
        return state.critic.params, info.penalty

    weights, rates = jnp.array([1.0, 10.0, 10.0]), jnp.array([1e-3, 1e-3, 1e-2])
    swept, penalty = jax.jit(jax.vmap(run))(weights, rates)
    for i in range(3):
        single, _ = jax.jit(run)(weights[i], rates[i])
        np.testing.assert_allclose(swept[i], single, rtol=1e-5)
    norm = np.linalg.norm(W0)
    np.testing.assert_allclose(penalty, weights * (norm - 1) ** 2, rtol=1e-5)
    np.testing.assert_allclose(np.abs(np.asarray(swept) - W0).max(axis=1), rates, rtol=1e-3)


ADAM = {"b1": 0.5, "b2": 0.999}
DEFAULTS = {
    "gan_minimax": {"learning_rate": 2e-4, "b1": 0.5},
    "gan": {"learning_rate": 2e-4, "b1": 0.5},
    "dcgan": {"learning_rate": 2e-4, "b1": 0.5},
    "lsgan": {
        **{"critic_learning_rate": 1e-4, "generator_learning_rate": 1e-3, "b1": 0.5},
        **{"a": 0.0, "b": 1.0, "c": 1.0},
    },
    "wgan": {"learning_rate": 5e-5, "c": 0.01, "decay": 0.99},
    "wgan_gp": {"learning_rate": 1e-4, "b1": 0.0, "b2": 0.9, "weight": 10.0},
    "wgan_lp": {"learning_rate": 1e-4, "b1": 0.0, "b2": 0.9, "weight": 10.0},
    "wgan_hinge": {"learning_rate": 1e-4, "b1": 0.0, "b2": 0.9, "weight": 10.0},
    "wgan_div": {"learning_rate": 2e-4, **ADAM, "weight": 2.0, "power": 6.0},
    "sngan": {"learning_rate": 2e-4, **ADAM},
    "ebgan": {"learning_rate": 1e-3, "margin": 10.0, "pulling_away_weight": 0.1},
    "began": {
        **{"learning_rate": 1e-4, **ADAM, "gamma": 0.5, "lambda_k": 1e-3},
        **{"k_min": 0.0, "window": 1000, "patience": 3, "min_scale": 0.01},
    },
    "dragan": {"learning_rate": 1e-4, "b1": 0.5, "b2": 0.9, "weight": 10.0},
    "r1_gan": {"learning_rate": 1e-4, "decay": 0.99, "weight": 10.0},
    "r1_r2_gan": {"learning_rate": 1e-4, "decay": 0.99, "weight": 10.0},
    "rpgan": {"learning_rate": 2e-4, "b1": 0.0, "b2": 0.99, "weight": 0.1},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_the_papers(name):
    parameters = inspect.signature(getattr(jwgan, name)).parameters
    numbers = {k: p.default for k, p in parameters.items() if isinstance(p.default, int | float)}
    assert numbers == DEFAULTS[name]


def test_the_least_that_began_takes():
    for min_scale in (0.0, 1.0):
        began(window=1, patience=2, min_scale=min_scale)
    for option in ({"window": 0}, {"patience": 1}):
        with pytest.raises(ValueError, match=r"is (0|1): give at least"):
            began(**option)
