"""Every member's rates, penalty and optimizers can be given; a schedule counts generator updates.

The world is that of the examples in `algorithms`: data at (1, 0), a linear critic, a shift.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jwgan
from jwgan import algorithms, networks, penalties, schedules

MEMBERS = [
    name
    for name, member in inspect.getmembers(algorithms, inspect.isfunction)
    if not name.startswith("_") and member.__module__ == algorithms.__name__
]
LINEAR = networks.from_fn(lambda key, x: jnp.array([[3.0], [4.0]]), lambda w, x: x @ w)
CRITIC = networks.map_output(LINEAR, lambda x, y: y[:, 0])
GENERATOR = networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda shift, z: z + shift)
BATCH = jnp.tile(jnp.array([1.0, 0.0]), (3, 4, 1))  # n_critic 3, B 4


def rates(name, critic, generator):
    """The arguments that give a member these rates, numbers or schedules."""
    if name == "lsgan":
        return {"critic_learning_rate": critic, "generator_learning_rate": generator}
    return {"learning_rate": generator, "critic_learning_rate": critic}


def make(name, **kwargs):
    if name == "ebgan":
        kwargs["pulling_away_weight"] = 0.0  # of codes that this critic has not
    prior = lambda key, num: jax.random.normal(key, (num, 2))
    return getattr(jwgan, name)(CRITIC, GENERATOR, prior=prior, **kwargs)


def run(algorithm, steps=1):
    """The state after so many steps, and the last info."""
    state, step = algorithm.init(jax.random.key(0), BATCH), jax.jit(algorithm.step)
    for _ in range(steps):
        state, info = step(state, BATCH)
    return state, info


def test_all_sixteen_members_are_tried():
    assert len(MEMBERS) == 16


@pytest.mark.parametrize("name", MEMBERS)
def test_a_schedule_is_the_member_with_another_number_in_every_step(name):
    """The critic makes 3 updates a step: counted by itself, its rate would be another one."""
    fall = optax.linear_schedule(1e-2, 0.0, transition_steps=2)
    rise = optax.linear_schedule(0.0, 1e-2, transition_steps=4)
    scheduled, _ = run(make(name, **rates(name, fall, rise)), steps=3)
    # The numbers are arguments, so that one program makes all three steps.
    step = jax.jit(lambda state, *now: make(name, **rates(name, *now)).step(state, BATCH)[0])
    by_hand = make(name).init(jax.random.key(0), BATCH)
    for t in range(3):
        by_hand = step(by_hand, fall(t), rise(t))
    # A rate and a schedule have states of one tree: a run may go from one to the other.
    assert jax.tree.structure(scheduled) == jax.tree.structure(by_hand)
    for a, b in zip(jax.tree.leaves(scheduled), jax.tree.leaves(by_hand), strict=True):
        if jnp.issubdtype(a.dtype, jnp.floating):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
    assert np.any(scheduled.generator.params)  # the two have moved at all


@pytest.mark.parametrize("name", MEMBERS)
def test_penalty_and_optimizers_replace_those_of_the_paper(name):
    tx = {"critic_tx": optax.sgd(0.5), "generator_tx": optax.sgd(0.25)}
    constant = lambda key, critic_fn, real, fake: jnp.float32(7.0)  # no gradient
    member = make(name, penalty=constant, **tx)
    first, info = run(member)
    assert info.penalty == 7.0
    # SGD's step is the rate times the gradient, whose norm is among the metrics.
    moved = np.linalg.norm(first.generator.params)
    np.testing.assert_allclose(moved, 0.25 * info.generator_gradient_norm, rtol=1e-5)
    if name != "wgan":  # whose critic is clipped after it
        one = BATCH[:1]
        state = member.init(jax.random.key(0), one)
        after, info = jax.jit(member.step)(state, one)
        before, after = (jax.tree.leaves(s.critic.params)[0] for s in (state, after))
        np.testing.assert_allclose(
            np.linalg.norm(after - before), 0.5 * info.critic_gradient_norm, rtol=1e-4, atol=1e-6
        )


def test_wgans_own_optimizer_is_clipped_too():
    state, _ = run(make("wgan", critic_tx=optax.sgd(1e3), c=0.02))
    assert np.abs(state.critic.params).max() == np.float32(0.02)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("bad", [-1.0, "fast", float("nan")])
def test_a_bad_critic_rate_is_refused(name, bad):
    with pytest.raises(ValueError, match="critic_learning_rate is"):
        make(name, critic_learning_rate=bad)


def test_a_penalty_can_be_the_one_of_another_member():
    penalty = penalties.gradient_penalty(2.0)
    _, info = run(make("wgan", penalty=penalty, c=10.0, learning_rate=0.0))
    np.testing.assert_allclose(info.penalty, 2.0 * (5 - 1) ** 2, rtol=1e-6)


def test_traced_rates_are_swept_for_the_critic_alone():
    def moved(rate):
        member = make("wgan_gp", critic_learning_rate=rate, learning_rate=0.0)
        state, _ = member.step(member.init(jax.random.key(0), BATCH), BATCH)
        return jnp.abs(state.critic.params - jnp.array([[3.0], [4.0]])).max()

    found = jax.jit(jax.vmap(moved))(jnp.array([0.0, 1e-3, 2e-3]))
    np.testing.assert_allclose(found, [0.0, 3e-3, 6e-3], atol=2e-4)  # Adam's first 3 steps


def test_scale_by_rate_reads_the_step_and_counts_nothing():
    tx = schedules.scale_by_rate(lambda step: 0.5**step)
    state = tx.init(jnp.ones(2))
    for step in (3, 0, 3):
        update, state = tx.update(jnp.ones(2), state, step=jnp.int32(step))
        np.testing.assert_allclose(update, -(0.5**step) * np.ones(2))
