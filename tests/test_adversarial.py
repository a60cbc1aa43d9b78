"""The one step against a recomputation by hand, its order, its keys, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jwgan import adversarial, constraints, diagnostics, networks, objectives, penalties, priors
from jwgan.types import Ragged

LR_CRITIC, LR_GENERATOR, WEIGHT, C = 0.1, 0.05, 0.7, 0.6
NUM = 4

linear_critic = networks.from_fn(
    lambda key, x: jax.random.normal(key, x.shape[1:]) / 4, lambda w, x: x @ w
)
linear_generator = networks.from_fn(
    lambda key, z: {"a": jax.random.normal(key, (z.shape[1], 2)), "b": jnp.ones(2)},
    lambda p, z: z @ p["a"] + p["b"][None],
)
PARTS = {
    "critic": linear_critic,
    "generator": linear_generator,
    "critic_tx": optax.chain(optax.sgd(LR_CRITIC), constraints.clip_weights(C)),
    "generator_tx": optax.sgd(LR_GENERATOR),
    "objective": objectives.wasserstein(),
    "penalty": penalties.gradient_penalty(WEIGHT),
    "prior": priors.normal(3),
}


def data(n_critic=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n_critic, NUM, 2)).astype(np.float32) + 1


def assert_same_bits(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)


def step_by_hand(key, step, w, a, b, batch):
    """Algorithm 1 in NumPy; only the random draws come from JAX."""
    normal = lambda key: np.asarray(jax.random.normal(key, (NUM, 3)), np.float64)
    key_critic, key_generator = jax.random.split(jax.random.fold_in(key, step))
    for key_update, real in zip(jax.random.split(key_critic, len(batch)), batch, strict=True):
        fake = normal(jax.random.split(key_update)[0]) @ a + b
        norm = np.linalg.norm(w)
        report = {
            "critic_loss": np.mean(fake @ w) - np.mean(real @ w),
            "wasserstein_estimate": np.mean(real @ w) - np.mean(fake @ w),
            "penalty": WEIGHT * (norm - 1) ** 2,
            "real_score": np.mean(real @ w),
            "fake_score": np.mean(fake @ w),
        }
        gradient = fake.mean(0) - real.mean(0) + 2 * WEIGHT * (norm - 1) * w / norm
        report["critic_gradient_norm"] = np.linalg.norm(gradient)
        w = np.clip(w - LR_CRITIC * gradient, -C, C)
    z = normal(key_generator)
    report["generator_loss"] = -np.mean((z @ a + b) @ w)
    in_a, in_b = -np.outer(z.mean(0), w), -w
    report["generator_gradient_norm"] = np.sqrt((in_a**2).sum() + (in_b**2).sum())
    return w, a - LR_GENERATOR * in_a, b - LR_GENERATOR * in_b, report


@pytest.mark.parametrize("n_critic", [1, 2])
def test_three_steps_by_hand(n_critic):
    algorithm = adversarial.build(**PARTS)
    key = jax.random.key(5)
    state = algorithm.init(key, data(n_critic))
    w = np.asarray(state.critic.params, np.float64)
    a, b = (np.asarray(state.generator.params[name], np.float64) for name in "ab")
    step = jax.jit(algorithm.step)
    clipped = False
    for i in range(3):
        batch = data(n_critic, seed=i)
        state, info = step(state, batch)
        w, a, b, report = step_by_hand(key, i, w, a, b, batch)
        clipped |= bool(np.any(np.abs(w) == C))
        np.testing.assert_allclose(state.critic.params, w, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(state.generator.params["a"], a, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(state.generator.params["b"], b, rtol=1e-4, atol=1e-5)
        for name, value in report.items():
            np.testing.assert_allclose(getattr(info, name), value, rtol=1e-4, atol=1e-5)
    assert int(state.step) == 3
    assert clipped  # so the order of clip and generator update was seen


def test_of_a_ragged_batch_the_first_updates_are_made():
    algorithm, batch = adversarial.build(**PARTS), jnp.asarray(data(3))
    state = algorithm.init(jax.random.key(5), batch)
    start = (state.critic.params, state.generator.params["a"], state.generator.params["b"])
    step = jax.jit(lambda state, n: algorithm.step(state, Ragged(batch, n)))
    for n in (1, 2):
        after, info = step(state, n)
        w, a, _, report = step_by_hand(state.key, 0, *map(np.asarray, start), data(3)[:n])
        np.testing.assert_allclose(after.critic.params, w, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(after.generator.params["a"], a, rtol=1e-4, atol=1e-5)
        for name, value in report.items():
            np.testing.assert_allclose(getattr(info, name), value, rtol=1e-4, atol=1e-5)


def test_a_generators_loss_is_given_the_last_real_batch():
    """The one of the last critic update: the critic stands still and scores its samples."""
    objective = objectives.stateless(
        critic_loss=lambda real, fake: fake.mean(), generator_loss=lambda real, fake: real.mean()
    )
    still = {"critic_tx": optax.sgd(0.0), "penalty": penalties.none()}
    algorithm = adversarial.build(**{**PARTS, **still, "objective": objective})
    batch = data(3)
    state = algorithm.init(jax.random.key(0), batch)
    for given, last in ((batch, 2), (Ragged(batch, jnp.asarray(2)), 1)):
        _, info = jax.jit(algorithm.step)(state, given)
        expected = np.mean(batch[last] @ np.asarray(state.critic.params))
        np.testing.assert_allclose(info.generator_loss, expected, rtol=1e-5)


def test_the_explicit_step_is_the_bound_one():
    algorithm = adversarial.build(**PARTS)
    init_parts = {name: part for name, part in PARTS.items() if name != "penalty"}
    state = adversarial.init(jax.random.key(0), data(), **init_parts)
    bound = algorithm.step(algorithm.init(jax.random.key(0), data()), data())
    assert_same_bits(bound, adversarial.step(state, data(), **PARTS))


def spied(name):
    """The algorithm with one part that writes down what it is given, and the list."""
    seen = []

    def critic_apply(w, model_state, x):
        jax.debug.callback(lambda w: seen.append(np.array(w)), w, ordered=True)
        return x @ w, model_state

    def penalty(key, critic_fn, real, fake):
        record = lambda *args: seen.append([np.array(x) for x in args])
        jax.debug.callback(record, jax.random.key_data(key), real, fake, ordered=True)
        return 0.0 * critic_fn(real).mean()

    spies = {
        "critic": linear_critic._replace(apply=critic_apply),
        "penalty": penalty,
    }
    return adversarial.build(**{**PARTS, name: spies[name]}), seen


def test_critic_updates_see_different_noise_data_and_keys():
    algorithm, seen = spied("penalty")
    state = algorithm.init(jax.random.key(0), data(3))
    for seed in range(2):
        state, _ = algorithm.step(state, data(3, seed))
    jax.effects_barrier()
    assert len(seen) == 6
    for draws in zip(*seen, strict=True):  # the keys, the real batches, the fake ones
        assert diagnostics.repeats([draw[None] for draw in draws]) == []


def test_noise_of_critic_and_generator_updates_is_never_reused():
    make = lambda prior: adversarial.build(**{**PARTS, "prior": prior})
    found = diagnostics.noise_reuse(make, PARTS["prior"], jax.random.key(0), data(3), steps=3)
    assert found == []


def test_the_generator_sees_the_updated_and_clipped_critic():
    algorithm, seen = spied("critic")
    state = algorithm.init(jax.random.key(0), data(2))
    seen.clear()
    state, _ = jax.jit(algorithm.step)(state, data(2))
    jax.effects_barrier()
    assert all(np.abs(w).max() <= C * (1 + 1e-6) for w in seen)
    np.testing.assert_array_equal(seen[-1], state.critic.params)
    assert len(np.unique(np.stack(seen), axis=0)) == 3  # initial, after one update, after two


def counting_critic():
    """Its model state counts training applies; its scores read it."""
    return networks.Network(
        lambda key, x: (jnp.ones(2), {"count": jnp.zeros(())}),
        lambda w, state, x: (x @ w + state["count"], {"count": state["count"] + 1}),
        lambda w, state, x: x @ w,
    )


def test_model_state_moves_in_critic_updates_and_in_nothing_else():
    """Twice an update (real, fake); the penalty and the generator's update read it only."""
    algorithm = adversarial.build(**{**PARTS, "critic": counting_critic()})
    state = algorithm.init(jax.random.key(0), data(3))
    assert state.critic.model_state["count"] == 0
    state, _ = algorithm.step(state, data(3))
    assert state.critic.model_state["count"] == 6


def test_the_generator_update_moves_no_critic_state():
    """A generator update alone changes the generator only, and the critic not by a bit."""
    algorithm = adversarial.build(**PARTS)
    state = algorithm.init(jax.random.key(0), data())
    parts = {name: PARTS[name] for name in ("critic", "generator", "generator_tx", "objective")}
    player, _ = adversarial.generator_update(
        state.generator,
        state.critic,
        data()[0],
        jax.random.key(1),
        **parts,
        objective_state=(),
        prior=PARTS["prior"],
    )
    assert np.any(player.params["a"] != state.generator.params["a"])
    # and in a whole step the critic is what its own updates made of it
    frozen = adversarial.build(**{**PARTS, "generator_tx": optax.sgd(0.0)})
    with_generator, _ = algorithm.step(state, data())
    without, _ = frozen.step(state, data())
    np.testing.assert_array_equal(with_generator.critic.params, without.critic.params)


@pytest.mark.parametrize("n_critic", [1, 4])
def test_updates_are_counted(n_critic):
    adam = {"critic_tx": optax.adam(1e-3), "generator_tx": optax.adam(1e-3)}
    algorithm = adversarial.build(**{**PARTS, **adam})
    state = algorithm.init(jax.random.key(0), data(n_critic))
    for _ in range(2):
        state, _ = algorithm.step(state, data(n_critic))
    assert int(state.critic.opt_state[0].count) == 2 * n_critic
    assert int(state.generator.opt_state[0].count) == 2
    assert int(state.step) == 2


def test_initial_draws_differ_between_the_players_and_from_the_steps():
    wide = networks.from_fn(lambda key, x: jax.random.normal(key, (50,)), lambda w, x: x @ w[:2])
    prior, draws = diagnostics.recorded(priors.normal(50))
    generator = networks.from_fn(
        lambda key, z: jax.random.normal(key, (50,)),
        lambda w, z: z[:, :2] + w[None, :2],
    )
    parts = {**PARTS, "critic": wide, "generator": generator, "prior": prior}
    algorithm = adversarial.build(**parts)
    batch = data(1)
    state = algorithm.init(jax.random.key(0), batch)
    initial = [state.critic.params[None], state.generator.params[None]]
    algorithm.step(state, batch)
    jax.effects_barrier()
    assert len(draws) == 3  # init, critic, generator
    assert diagnostics.repeats([*initial, *draws]) == []


def test_sample_is_the_generator_on_the_prior():
    algorithm = adversarial.build(**PARTS)
    state = algorithm.init(jax.random.key(0), data())
    key = jax.random.key(9)
    z = jax.random.normal(key, (5, 3))
    expected = z @ state.generator.params["a"] + state.generator.params["b"][None]
    np.testing.assert_allclose(algorithm.sample(key, state, 5), expected, rtol=1e-6)
    explicit = adversarial.sample(key, state, 5, generator=PARTS["generator"], prior=PARTS["prior"])
    np.testing.assert_array_equal(explicit, algorithm.sample(key, state, 5))
    np.testing.assert_allclose(
        algorithm.score(state, data()[0]), data()[0] @ state.critic.params, rtol=1e-6
    )


def test_init_reads_shapes_only():
    algorithm = adversarial.build(**PARTS)
    abstract = jax.ShapeDtypeStruct((2, NUM, 2), jnp.float32)
    key = jax.random.key(0)
    assert_same_bits(algorithm.init(key, data()), algorithm.init(key, abstract))


def test_init_asks_the_penalty_about_the_batchs_own_shapes():
    """Whether the critic mixes samples is found by tracing a penalty on samples as they will be."""
    seen = []

    def penalty(key, critic_fn, real, fake):
        seen.append((real.shape, fake.shape, critic_fn(real).shape))
        return jnp.zeros(())

    adversarial.build(**{**PARTS, "penalty": penalty}).init(jax.random.key(0), data())
    assert seen == [((NUM, 2), (NUM, 2), (NUM,))]


# What it refuses

column_critic = networks.map_output(linear_critic, lambda x, y: y[:, None])
scalar_critic = networks.map_output(linear_critic, lambda x, y: y.mean())
wide_generator = networks.from_fn(lambda key, z: jnp.ones((3, 5)), lambda a, z: z @ a)
MISMATCHES = [
    ({"critic": column_critic}, r"critic output has shape \(4, 1\), expected \(4,\): return one"),
    ({"critic": scalar_critic}, r"critic output has shape \(\), expected \(4,\)"),
    (
        {"generator": wide_generator},
        r"generator output has shape \(4, 5\) but the data have \(4, 2\): build the generator",
    ),
]


@pytest.mark.parametrize(("parts", "message"), MISMATCHES)
def test_init_refuses_networks_of_the_wrong_shape(parts, message):
    with pytest.raises(ValueError, match=message):
        adversarial.build(**{**PARTS, **parts}).init(jax.random.key(0), data())


@pytest.mark.parametrize(("parts", "message"), MISMATCHES)
def test_step_refuses_networks_of_the_wrong_shape(parts, message):
    state = adversarial.build(**PARTS).init(jax.random.key(0), data())
    if "generator" in parts:
        state = state._replace(generator=state.generator._replace(params=jnp.ones((3, 5))))
    with pytest.raises(ValueError, match=message):
        adversarial.build(**{**PARTS, **parts}).step(state, data())


def test_scalars_hold_the_objectives_own_beside_the_rest():
    algorithm = adversarial.build(**{**PARTS, "objective": objectives.began()})
    _, info = algorithm.step(algorithm.init(jax.random.key(0), data()), data())
    flat = adversarial.scalars(info)
    assert set(flat) == {*info._fields, "k", "convergence"} - {"objective"}
    assert flat["convergence"] is info.objective["convergence"]
    assert flat["penalty"] is info.penalty


def test_score_refuses_a_column():
    state = adversarial.build(**PARTS).init(jax.random.key(0), data())
    with pytest.raises(ValueError, match=r"networks.map_output\(critic, lambda x, y: y\[:, 0\]\)"):
        adversarial.score(state, data()[0], critic=column_critic)


@pytest.mark.parametrize("shape", [(0, 4, 2), (2, 0, 2), (4, 2), (2,)])
def test_batches_of_the_wrong_shape_are_refused(shape):
    algorithm = adversarial.build(**PARTS)
    message = r"batch has shape \(.*\), expected \[n_critic, B, \*D\] with n_critic >= 1 and B >= 1"
    with pytest.raises(ValueError, match=message):
        algorithm.init(jax.random.key(0), jnp.zeros(shape))
    state = algorithm.init(jax.random.key(0), data())
    with pytest.raises(ValueError, match=message):
        algorithm.step(state, jnp.zeros(shape))


def test_a_batch_of_another_data_shape_is_refused_by_the_step():
    algorithm = adversarial.build(**PARTS)
    state = algorithm.init(jax.random.key(0), data())
    with pytest.raises(ValueError, match=r"generator output has shape \(4, 2\) but the data have"):
        algorithm.step(state, jnp.zeros((2, NUM, 3)))
