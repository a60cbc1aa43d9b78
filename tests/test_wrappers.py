"""with_ema: NumPy's recursion, training not changed by a bit; what with_n_critic hands on."""

import functools
from typing import NamedTuple

import cases
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jwgan
from jwgan import adversarial, checkpoint, networks, objectives, penalties, priors, wrappers
from jwgan.checkpoint import leaves
from jwgan.models import norms
from jwgan.types import Algorithm

STEPS = 30
PRIOR = priors.normal(cases.LATENT)


def member():
    critic, generator = cases.critic(), cases.generator()
    return jwgan.wgan_gp(critic, generator, prior=priors.normal(cases.LATENT), learning_rate=0.05)


BATCHES = 1 + jax.random.normal(jax.random.key(3), (STEPS, 1, 4, cases.DATA))


def run(algorithm):
    """The final state and every step's generator parameters [STEPS, ...]."""

    def body(state, batch):
        state, _ = algorithm.step(state, batch)
        inner = getattr(state, "inner", state)
        return state, inner.generator.params

    start = algorithm.init(jax.random.key(0), BATCHES[0])
    return start, *jax.jit(lambda s: jax.lax.scan(body, s, BATCHES))(start)


@pytest.mark.parametrize("decay", [0.6, 0.999])
def test_the_average_is_numpys(decay):
    start, state, history = run(jwgan.with_ema(member(), decay))
    for average, first, path in zip(
        jax.tree.leaves(state.average),
        jax.tree.leaves(start.average),
        jax.tree.leaves(history),
        strict=True,
    ):
        expected = np.asarray(first, np.float64)
        for t in range(1, STEPS + 1):
            d = min(decay, (1 + t) / (10 + t))
            expected = d * expected + (1 - d) * np.asarray(path[t - 1], np.float64)
        np.testing.assert_allclose(average, expected, rtol=1e-4, atol=1e-5)
        assert np.abs(average - path[-1]).max() > 1e-4  # the parameters did move


def test_training_is_not_changed_by_a_bit():
    _, plain, _ = run(member())
    _, averaged, _ = run(jwgan.with_ema(member(), 0.9))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(averaged.inner), strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b)


def test_samples_come_from_the_average_and_scores_from_the_critic():
    algorithm = jwgan.with_ema(member(), 0.9)
    _, state, _ = run(algorithm)
    key = jax.random.key(1)
    z = algorithm.prior(key, 5)
    sample = algorithm.sample(key, state, 5)
    np.testing.assert_array_equal(sample, cases.generator().evaluate(state.average, {}, z))
    current = member().generate(state.inner, z)
    assert np.abs(sample - current).max() > 1e-3
    x = BATCHES[0, 0]
    np.testing.assert_array_equal(algorithm.score(state, x), member().score(state.inner, x))


def test_decay_0_is_the_current_generator():
    _, state, history = run(jwgan.with_ema(member(), 0.0))
    for average, path in zip(jax.tree.leaves(state.average), jax.tree.leaves(history), strict=True):
        np.testing.assert_allclose(average, path[-1], rtol=1e-5, atol=1e-6)


def test_what_the_loop_reads_is_passed_through():
    algorithm = jwgan.with_ema(member(), 0.9)
    state = algorithm.init(jax.random.key(4), BATCHES[0])
    state, _ = algorithm.step(state, BATCHES[0])
    assert int(state.step) == 1
    assert state.key == jax.random.key(4)
    assert state.critic is state.inner.critic
    assert state.generator.params is state.average


def test_average_and_parameters_share_no_buffer():
    """The loop donates the state, and a buffer can be donated once."""
    state = jwgan.with_ema(member(), 0.9).init(jax.random.key(0), BATCHES[0])
    pairs = zip(
        jax.tree.leaves(state.average), jax.tree.leaves(state.inner.generator.params), strict=True
    )
    assert all(a.unsafe_buffer_pointer() != b.unsafe_buffer_pointer() for a, b in pairs)


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5])
def test_bad_decay(decay):
    with pytest.raises(ValueError, match=rf"decay is {decay}: give a number in \[0, 1\)"):
        jwgan.with_ema(member(), decay)


# ---- batch statistics ----------------------------------------------------------------------------

ROWS = 1 + jax.random.normal(jax.random.key(5), (1, 256, cases.DATA))


class Normalised(nn.Module):
    """A generator with batch norm."""

    @nn.compact
    def __call__(self, z, train):
        return nn.Dense(cases.DATA)(norms.normalised(norms.batch_norm, nn.Dense(4)(z), train))


def normalised_generator():
    return networks.from_linen(Normalised(), **networks.TRAIN_ARGUMENT)


def jumps():
    """Parameters around where they began, each time elsewhere: nothing like their average."""

    def update(updates, state, params):
        count, first = state
        noise = lambda p: jax.random.normal(jax.random.fold_in(jax.random.key(2), count), p.shape)
        moves = jax.tree.map(lambda f, p: f + noise(p) - p, first, params)
        return moves, (count + 1, first)

    return optax.GradientTransformation(lambda params: (0, jax.tree.map(jnp.copy, params)), update)


def normalised_member(prior=PRIOR):
    return adversarial.build(
        critic=cases.critic(),
        generator=normalised_generator(),
        critic_tx=optax.sgd(0.01),
        generator_tx=jumps(),
        objective=objectives.wasserstein(),
        penalty=penalties.none(),
        prior=prior,
    )


@functools.cache
def normalised_run():
    """(state with EMA, the member's own state) after 150 steps."""

    def trained(algorithm):
        body = lambda state, _: (algorithm.step(state, ROWS)[0], None)
        start = algorithm.init(jax.random.key(0), ROWS)
        return jax.jit(lambda state: jax.lax.scan(body, state, length=150)[0])(start)

    return trained(jwgan.with_ema(normalised_member(), 0.99)), trained(normalised_member())


def test_the_average_is_sampled_with_its_own_batch_statistics():
    """The law: they are near those that many batches through the averaged generator leave."""
    state, _ = normalised_run()
    generator = normalised_generator()

    def settle(i, statistics):
        z = PRIOR(jax.random.fold_in(jax.random.key(9), i), 1024)
        return generator.apply(state.average, statistics, z)[1]

    right = jax.jit(lambda s: jax.lax.fori_loop(0, 100, settle, s))(state.statistics)

    def distance(statistics):
        """Of the means in standard deviations, of the variances by their ratio; the worst."""
        found = []
        for name, true in right["batch_stats"].items():
            of = statistics["batch_stats"][name]
            found.append(jnp.abs((of["mean"] - true["mean"]) / jnp.sqrt(true["var"])).mean())
            found.append(jnp.abs(jnp.log(of["var"] / true["var"])).mean())
        return float(max(found))

    current = distance(state.inner.generator.model_state)
    assert distance(state.generator.model_state) < min(0.2, current / 3)


def test_samples_use_the_averages_statistics():
    algorithm = jwgan.with_ema(normalised_member(), 0.99)
    state, _ = normalised_run()
    z = algorithm.prior(jax.random.key(1), 5)
    expected = normalised_generator().evaluate(state.average, state.statistics, z)
    np.testing.assert_array_equal(algorithm.generate(state, z), expected)


def test_statistics_of_the_average_do_not_change_training():
    averaged, plain = normalised_run()
    for a, b in zip(jax.tree.leaves(averaged.inner), jax.tree.leaves(plain), strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_an_algorithm_that_cannot_settle_keeps_the_members_model_state():
    algorithm = jwgan.with_ema(normalised_member()._replace(settle=None), 0.9)
    state, _ = jax.jit(algorithm.step)(algorithm.init(jax.random.key(0), ROWS), ROWS)
    for a, b in zip(
        jax.tree.leaves(state.statistics),
        jax.tree.leaves(state.inner.generator.model_state),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_latents_of_the_statistics_are_no_step_s_own():
    """The first step's latents, and those that its statistics see, have nothing in common."""
    seen = []

    def prior(key, num):
        z = jax.random.normal(key, (num, cases.LATENT))
        jax.debug.callback(lambda z: seen.append(np.array(z)), z)
        return z

    algorithm = jwgan.with_ema(normalised_member(prior), 0.9)
    state = algorithm.init(jax.random.key(0), ROWS)
    for _ in range(2):
        state, _ = jax.jit(algorithm.step)(state, ROWS)
    jax.effects_barrier()
    rows = {row.tobytes() for z in seen for row in z}
    # init, and three batches of latents a step: critic's, generator's, statistics'
    assert len(seen) == 7
    assert len(rows) == sum(map(len, seen))


def test_model_state_may_hold_more_than_statistics():
    """A counter and a random key pass through."""

    def init(key, x):
        return jnp.zeros((cases.LATENT, cases.DATA)), {"count": jnp.int32(0), "key": key}

    def apply(w, state, z):
        return z @ w, {**state, "count": state["count"] + 1}

    generator = networks.Network(init, apply, lambda w, state, z: z @ w)
    member = jwgan.gan(cases.critic(), generator, prior=PRIOR)
    algorithm = jwgan.with_ema(member, 0.9)
    state, _ = algorithm.step(algorithm.init(jax.random.key(0), BATCHES[0]), BATCHES[0])
    assert state.inner.generator.model_state["count"] == 2
    assert state.statistics["count"] == 3  # and the averaged generator's own batch
    assert state.statistics["key"] == state.inner.generator.model_state["key"]


def test_an_older_checkpoint_starts_from_the_current_statistics(tmp_path):
    class EMAState(NamedTuple):
        """As of 0.1.0."""

        inner: object
        average: object

    state, _ = normalised_run()
    with checkpoint.Checkpoints(tmp_path) as writer:
        writer.save(3, EMAState(state.inner, state.average))
    found = checkpoint.restore(tmp_path, state)
    for a, b in zip(
        jax.tree.leaves(found.state.statistics),
        jax.tree.leaves(state.inner.generator.model_state),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    (line,) = found.grown
    assert line.startswith("checkpoint 3 is older than the state's .statistics: they start from")
    # and a leaf that no older state explains is refused as before
    with pytest.raises(leaves.CheckpointError, match="is not in the checkpoint"):
        checkpoint.restore(tmp_path, {"state": state})


def test_without_model_state_nothing_is_added():
    _, state, _ = run(jwgan.with_ema(member(), 0.9))
    assert state.statistics == {}


def by_hand(step, **parts):
    """A member without networks: its state counts, its generator's only statistic is the count."""
    player = adversarial.PlayerState({}, {"count": jnp.zeros(())}, ())
    start = adversarial.AdversarialState(jax.random.key(0), jnp.int32(0), player, player, ())
    return Algorithm(lambda key, batch: start, step, PRIOR, None, None, **parts)


def test_statistics_follow_the_members_own_less_and_less():
    """Where those are t: s_t = s_(t-1) + (9 / (10 + t))^2 (t - s_(t-1))."""
    latents = []

    def step(state, batch):
        count = {"count": (state.step + 1).astype(jnp.float32)}
        generator = state.generator._replace(model_state=count)
        return state._replace(step=state.step + 1, generator=generator), {}

    def settle(generator, z):
        latents.append(z.shape)
        return generator.model_state

    algorithm = jwgan.with_ema(by_hand(step, settle=settle), 0.9)
    state, expected = algorithm.init(jax.random.key(0), ROWS), 0.0
    for t in range(1, 13):
        state, _ = algorithm.step(state, ROWS)
        expected += (9 / (10 + t)) ** 2 * (t - expected)
        np.testing.assert_allclose(state.statistics["count"], expected, rtol=1e-5)
    assert set(latents) == {(256, cases.LATENT)}  # as many as a batch has samples


# ---- with_n_critic, and parts changed through wrappers -------------------------------------------


def test_n_critic_goes_to_the_step_beside_the_batch():
    batch = jnp.zeros((3, 4, 2))
    inner = by_hand(lambda state, batch: (state, batch))
    for n_critic in (1, 3):
        _, seen = wrappers.with_n_critic(inner, n_critic).step(None, batch)
        assert seen.rows is batch
        assert seen.n_critic == n_critic
    with pytest.raises(ValueError, match="n_critic is 4: the batch has 3"):
        wrappers.with_n_critic(inner, 4).step(None, batch)
    with pytest.raises(ValueError, match="n_critic is 0: give at least one critic update"):
        wrappers.with_n_critic(inner, 0)


@pytest.mark.parametrize("wrap", [jwgan.with_ema, wrappers.with_n_critic])
def test_a_rebuilt_member_keeps_its_wrapper(wrap):
    number = 0.5 if wrap is jwgan.with_ema else 1
    wrapped, other = wrap(member(), number), priors.normal(2)
    rebuilt = wrapped.rebuilt(prior=lambda prior: other)
    assert rebuilt.prior is other
    name = lambda algorithm: algorithm.step.__qualname__
    assert name(rebuilt) == name(wrapped) != name(member())
    assert wrap(by_hand(None), number).rebuilt is None
