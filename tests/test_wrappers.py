"""with_ema: NumPy's recursion, training not changed by a bit, samples from the average."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jwgan
from jwgan import priors

STEPS = 30


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
