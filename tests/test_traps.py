"""Defects found in public code: each in a few lines, caught by a check that our own code passes.

The numbers are those of the list of traps the project was built from.
"""

import cases
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jwgan
from jwgan import (
    adversarial,
    checkpoint,
    constraints,
    diagnostics,
    loop,
    networks,
    objectives,
    penalties,
    priors,
    sources,
)
from jwgan.problems import gaussians

C = 0.3
linear_critic = networks.from_fn(lambda key, x: jnp.zeros(2), lambda w, x: x @ w)
# x = b whatever z: one SGD step of rate 1 moves b by exactly the linear critic's weights it saw
bias_generator = networks.from_fn(
    lambda key, z: jnp.zeros(2), lambda b, z: jnp.broadcast_to(b, (z.shape[0], 2))
)
REAL = jax.random.normal(jax.random.key(1), (6, 2)) + 1
FAKE = jax.random.normal(jax.random.key(2), (6, 2)) - 1


def points_of(penalty, real=REAL, fake=FAKE):
    """Where a penalty takes its gradients."""
    seen = []

    def critic_fn(x):
        jax.debug.callback(lambda x: seen.append(np.array(x)), x)
        return x.sum(axis=1)

    penalty(jax.random.key(0), critic_fn, real, fake)
    jax.effects_barrier()
    return seen[0]


# 1 and 5: the box


def clip_of_a_local_copy(c):
    def update(updates, params):
        params = jax.tree.map(lambda p: jnp.clip(p, min=-c, max=c), params)  # and dropped
        return updates

    return optax.stateless(update)


def clip_before_the_update(c):
    def update(updates, params):
        return jax.tree.map(lambda u, p: jnp.clip(p, min=-c, max=c) - p + u, updates, params)

    return optax.stateless(update)


def stays_in_the_box(clip):
    """After every critic update (one a step) and where the generator looks at the critic."""
    algorithm = adversarial.build(
        critic=linear_critic,
        generator=bias_generator,
        critic_tx=optax.chain(optax.sgd(1.0), clip(C)),
        generator_tx=optax.sgd(1.0),
        objective=objectives.wasserstein(),
        penalty=penalties.none(),
        prior=priors.normal(1),
    )
    batch = jnp.broadcast_to(jnp.array([5.0, -5.0]), (1, 4, 2))
    state, inside = algorithm.init(jax.random.key(0), batch), []
    for _ in range(3):
        before = state.generator.params
        state, _ = algorithm.step(state, batch)
        seen = {
            "seen by the generator": state.generator.params - before,
            "now": state.critic.params,
        }
        inside.append(not diagnostics.outside_box(seen, C))
    return all(inside)


def test_1_and_5_the_clip_holds_after_every_update_and_for_the_generator():
    assert stays_in_the_box(constraints.clip_weights)
    assert not stays_in_the_box(clip_of_a_local_copy)
    assert not stays_in_the_box(clip_before_the_update)


def test_5_the_scope_of_the_clip_is_explicit():
    """Clipping all leaves shrinks batch norm's scales to c; a mask says which are meant."""
    params = {"kernel": jnp.ones((2, 2)), "scale": jnp.ones(2)}
    mask = {"kernel": True, "scale": False}

    def scale_after(tx):
        updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
        return optax.apply_updates(params, updates)["scale"]

    np.testing.assert_array_equal(
        scale_after(optax.masked(constraints.clip_weights(0.01), mask)), 1.0
    )
    np.testing.assert_allclose(scale_after(constraints.clip_weights(0.01)), 0.01, rtol=1e-4)


# 2: one norm, one eps for a whole batch


def one_norm_for_the_batch(key, critic_fn, real, fake):
    points = penalties.interpolate(key, real, fake)
    gradient = jax.grad(lambda x: critic_fn(x).sum())(points)
    return 10.0 * (jnp.linalg.norm(gradient) - 1) ** 2  # over the batch's axis too


def one_eps_for_the_batch(key, critic_fn, real, fake):
    eps = jax.random.uniform(key)
    norm = penalties.gradient_norm(critic_fn, fake + eps * (real - fake))
    return 10.0 * ((norm - 1) ** 2).mean()


def is_mean_of_samples(penalty):
    key, critic_fn = jax.random.key(0), lambda x: (x**2).sum(axis=1)
    whole = penalty(key, critic_fn, REAL, REAL)
    single = [penalty(key, critic_fn, x[None], x[None]) for x in REAL]
    return np.allclose(whole, np.mean(single), rtol=1e-4)


def eps_of(penalty, num=200):
    """The interpolation weights, from real 1 and fake 0."""
    return points_of(penalty, jnp.ones((num, 1)), jnp.zeros((num, 1)))[:, 0]


def test_2_the_penalty_is_a_mean_over_samples_with_an_eps_each():
    ours = penalties.gradient_penalty(10.0)
    assert is_mean_of_samples(ours)
    assert not is_mean_of_samples(one_norm_for_the_batch)
    assert len(np.unique(eps_of(ours))) > 195
    assert len(np.unique(eps_of(one_eps_for_the_batch))) == 1


# 3: batch norm in a penalised critic


class Critic(nn.Module):
    batch_norm: bool

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(8)(x)
        norm = nn.BatchNorm(use_running_average=False) if self.batch_norm else nn.LayerNorm()
        return nn.Dense(1)(nn.leaky_relu(norm(x)))[:, 0]


def leak(batch_norm):
    critic = networks.from_linen(Critic(batch_norm))
    params, state = critic.init(jax.random.key(0), REAL)
    critic_fn = lambda x: critic.apply(params, state, x)[0]
    return jax.jit(lambda x: diagnostics.cross_sample_leak(critic_fn, x))(REAL)


def test_3_a_penalised_critic_scores_samples_one_by_one():
    assert leak(batch_norm=False) == 0
    assert leak(batch_norm=True) > 0.05


# 4: no epsilon under the root


def bare_root(key, critic_fn, real, fake):
    gradient = jax.grad(lambda x: critic_fn(x).sum())(penalties.interpolate(key, real, fake))
    return 10.0 * ((jnp.sqrt((gradient**2).sum(axis=1)) - 1) ** 2).mean()


def parameter_gradient_is_finite_at_zero(penalty):
    loss = lambda w: penalty(jax.random.key(0), lambda x: x @ w, REAL, FAKE)
    return bool(np.isfinite(jax.grad(loss)(jnp.zeros(2))).all())


def test_4_the_penalty_is_differentiable_at_a_zero_gradient():
    assert parameter_gradient_is_finite_at_zero(penalties.gradient_penalty(10.0))
    assert not parameter_gradient_is_finite_at_zero(bare_root)


# 6: the pulling-away term


def normalised_along_the_batch(code):
    unit = code / jnp.linalg.norm(code, axis=0, keepdims=True)
    cosine, num = unit @ unit.T, len(code)
    return (jnp.sum(cosine**2) - jnp.sum(jnp.diagonal(cosine) ** 2)) / (num * (num - 1))


def with_the_diagonal(code):
    unit = code / jnp.linalg.norm(code, axis=1, keepdims=True)
    return jnp.sum((unit @ unit.T) ** 2) / (len(code) * (len(code) - 1))


def is_pulling_away(term):
    orthogonal, equal = 2.0 * jnp.eye(4), jnp.full((4, 3), 2.0)
    return np.allclose([term(orthogonal), term(equal)], [0, 1], atol=1e-6)


def test_6_pulling_away_is_0_for_orthogonal_and_1_for_equal_codes():
    assert is_pulling_away(objectives.pulling_away)
    assert not is_pulling_away(normalised_along_the_batch)
    assert not is_pulling_away(with_the_diagonal)


# 7: BEGAN's numbers, schedule and layers


def began_with_its_own_gamma(gamma, lambda_k=1e-3):
    del gamma  # parsed, printed and never passed on
    return objectives.began(0.5, lambda_k)


def gamma_reaches_k(began):
    k = [
        objective.update(objective.init(), jnp.ones(3), jnp.full(3, 0.2))[0].k
        for objective in (began(gamma=0.3), began(gamma=0.7))
    ]
    return np.allclose(k, [1e-3 * (0.3 - 0.2), 1e-3 * (0.7 - 0.2)])


def test_7_gamma_reaches_the_objective():
    assert gamma_reaches_k(objectives.began)
    assert not gamma_reaches_k(began_with_its_own_gamma)


def stalled_rates(make, learning_rate=1e-6):
    """Length of the critic's updates over 8 steps of constant M; Adam's is rate * scale."""
    energy = networks.from_fn(lambda key, x: jnp.ones(()), lambda a, x: a * jnp.abs(x).mean(axis=1))
    algorithm = make(energy, bias_generator, prior=priors.normal(1), learning_rate=learning_rate)
    batches = jnp.ones((8, 1, 4, 2))

    def body(state, batch):
        after, _ = algorithm.step(state, batch)
        return after, after.critic.params - state.critic.params

    state = algorithm.init(jax.random.key(0), batches[0])
    return np.abs(jax.jit(lambda s: jax.lax.scan(body, s, batches)[1])(state)) / learning_rate


def began_with_the_rule_commented_out(critic, generator, *, prior, learning_rate):
    tx = optax.adam(learning_rate, b1=0.5)  # optax.chain(..., reduce_on_plateau(...))
    return adversarial.build(
        critic=critic,
        generator=generator,
        critic_tx=tx,
        generator_tx=tx,
        objective=objectives.began(),
        penalty=penalties.none(),
        prior=prior,
    )


def test_7_the_rate_halves_in_the_compiled_program():
    ours = lambda *args, **kwargs: jwgan.began(*args, **kwargs, window=2, patience=2)
    # a float32 near 1 moves in units of 6e-8, a sixteenth of an update of 1e-6
    np.testing.assert_allclose(stalled_rates(ours)[[0, -1]], [1.0, 0.5], atol=0.1)
    np.testing.assert_allclose(stalled_rates(began_with_the_rule_commented_out), 1.0, atol=0.1)


class AutoEncoder(nn.Module):
    """Two convolutions; the second one's output is thrown away where `dead`."""

    dead: bool = False

    @nn.compact
    def __call__(self, x):
        y = nn.elu(nn.Conv(4, (3, 3))(x))
        z = nn.elu(nn.Conv(4, (3, 3), name="second")(y))
        return nn.Conv(x.shape[-1], (3, 3))(y if self.dead else z)


def dead_leaves(dead):
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 1))
    model = AutoEncoder(dead)
    params = model.init(jax.random.key(1), x)["params"]
    loss = lambda p: jnp.abs(x - model.apply({"params": p}, x)).mean()
    return diagnostics.dead_parameters(jax.jit(jax.grad(loss))(params))


def test_7_no_parameter_is_dead():
    assert dead_leaves(dead=False) == []
    assert dead_leaves(dead=True) == ["second/bias", "second/kernel"]


# 8: noise


def normal_eps(key, critic_fn, real, fake):
    eps = jax.random.normal(key, (len(real), 1))
    norm = penalties.gradient_norm(critic_fn, fake + eps * (real - fake))
    return 10.0 * ((norm - 1) ** 2).mean()


def is_between(penalty):
    eps = eps_of(penalty)
    return bool(((eps >= 0) & (eps <= 1)).all())


def test_8_eps_is_uniform():
    assert is_between(penalties.gradient_penalty(10.0))
    assert not is_between(normal_eps)


def ours(prior):
    return jwgan.wgan_gp(linear_critic, bias_generator, prior=prior)


def one_key_for_all_critic_updates(prior):
    def step(state, batch):
        key = jax.random.fold_in(state.key, state.step)
        for real in batch:
            fake = bias_generator.evaluate(state.generator.params, {}, prior(key, len(real)))
            loss = lambda w, real=real, fake=fake: (fake @ w - real @ w).mean()
            w = state.critic.params - 0.1 * jax.grad(loss)(state.critic.params)
            state = state._replace(critic=state.critic._replace(params=w))
        return state._replace(step=state.step + 1), ()

    return ours(prior)._replace(step=step)


def test_8_critic_updates_draw_new_noise():
    batch = jax.random.normal(jax.random.key(0), (3, 4, 2))
    args = priors.normal(2), jax.random.key(5), batch
    assert diagnostics.noise_reuse(ours, *args) == []
    found = diagnostics.noise_reuse(one_key_for_all_critic_updates, *args)
    assert [pair[:2] for pair in found] == [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]


def test_8_critic_updates_see_new_data():
    """Every source's batches, against one batch handed to all critic updates."""
    data = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    sampler = lambda key, num: jax.random.normal(key, (num, 2))
    stream = iter(data.reshape(4, 4, 4, 2))
    shape = jax.ShapeDtypeStruct((4, 4, 2), jnp.float32)
    for source in (
        sources.from_array(data, n_critic=4, batch_size=4),
        sources.from_sampler(sampler, n_critic=4, batch_size=4),
        sources.from_iterator(stream, shape),
    ):
        batches = []
        for first_step in (0, 2):  # two chunks of two steps: one epoch of the 64 rows
            xs, take = source.batches(source.fetch(first_step, 2), jax.random.key(0), 2)
            batches += [take(jax.tree.map(lambda leaf, i=i: leaf[i], xs)) for i in range(2)]
        assert diagnostics.repeated_batches(np.concatenate(batches)) == []
    one_for_all = np.repeat(data[None, :4], 3, axis=0)
    assert diagnostics.repeated_batches(one_for_all) == [(0, 1, 1), (0, 2, 1), (1, 2, 1)]


# 9: the weights of the modes


def ring_of_nine_angles(key, num):
    angle = jnp.linspace(0, 2 * jnp.pi, 9)  # the last is the first
    modes = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1) * 2 / 1.414
    return modes[jax.random.randint(key, (num,), 0, 9)]


def largest_share(sample, modes):
    """Of the samples, at their nearest mode; equal weights give 1 / M."""
    x = np.asarray(jax.jit(sample, static_argnums=1)(jax.random.key(0), 9000))
    nearest = np.argmin(((x[:, None] - np.asarray(modes)[None]) ** 2).sum(-1), axis=1)
    return np.bincount(nearest, minlength=len(modes)).max() / len(x)


@pytest.mark.parametrize("world", ["eight_gaussians", "twenty_five_gaussians", "ring"])
def test_9_every_mode_weighs_the_same(world):
    problem = getattr(gaussians, world)()
    share = 1 / len(problem.modes)
    assert largest_share(problem.sample, problem.modes) < share + 4 * np.sqrt(share / 9000)


def test_9_a_ring_with_a_double_mode_is_found():
    modes = gaussians.eight_gaussians().modes
    assert largest_share(ring_of_nine_angles, modes) == pytest.approx(2 / 9, abs=0.02)


# 10: the stated weight


def twice_the_weight(key, critic_fn, real, fake):
    points = penalties.interpolate(key, real, fake)
    both = [points, penalties.interpolate(jax.random.fold_in(key, 1), real, fake)]
    return sum(10.0 * ((penalties.gradient_norm(critic_fn, x) - 1) ** 2).mean() for x in both)


def effective_weight(penalty):
    """A linear critic of slope 3 has penalty 4 w."""
    return penalty(jax.random.key(0), lambda x: 3.0 * x[:, 0], REAL, FAKE) / 4


def test_10_the_weight_is_the_stated_one():
    np.testing.assert_allclose(effective_weight(penalties.gradient_penalty(10.0)), 10, rtol=1e-6)
    np.testing.assert_allclose(effective_weight(twice_the_weight), 20, rtol=1e-6)


# 11: half precision inside the penalty


def penalty_in_half(key, critic_fn, real, fake, dtype=jnp.float16):
    points = penalties.interpolate(key, real, fake)
    gradient = jax.grad(lambda x: critic_fn(x).sum())(points).astype(dtype)
    return 10.0 * ((jnp.sqrt((gradient**2).sum(axis=1) + 1e-12) - 1) ** 2).mean()


def is_finite_on_half_networks(penalty):
    """Slopes from 0 to 300: 1e-12 is 0 in float16, and 300^2 infinite."""
    critic = networks.in_dtype(linear_critic, jnp.float16)
    finite = []
    for slope in (0.0, 1.0, 300.0):
        loss = lambda w: penalty(jax.random.key(0), lambda x: critic.evaluate(w, {}, x), REAL, FAKE)
        finite.append(jax.value_and_grad(loss)(jnp.full(2, slope)))
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(finite))


def test_11_the_penalty_of_a_half_precision_critic_is_finite():
    assert is_finite_on_half_networks(penalties.gradient_penalty(10.0))
    assert not is_finite_on_half_networks(penalty_in_half)


# 12: resume


def bits(tree):
    raw = [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in jax.tree.leaves(tree)
    ]
    return [np.asarray(x).tobytes() for x in raw]


FORGETFUL = {  # what a fresh state keeps of the saved one
    "optimizer": lambda saved, fresh: saved._replace(
        critic=saved.critic._replace(opt_state=fresh.critic.opt_state)
    ),
    "key": lambda saved, fresh: saved._replace(key=jax.random.key(99)),
    "data position": lambda saved, fresh: saved._replace(step=fresh.step),
    "weights only": lambda saved, fresh: fresh._replace(
        critic=fresh.critic._replace(params=saved.critic.params),
        generator=fresh.generator._replace(params=saved.generator.params),
    ),
}


def test_12_resumed_is_never_stopped_and_nothing_less_is(tmp_path):
    data = np.random.default_rng(0).normal(size=(24, cases.DATA)).astype(np.float32)
    source = sources.from_array(data, n_critic=2, batch_size=4)
    algorithm = jwgan.wgan_gp(
        cases.critic(), cases.generator(), prior=priors.normal(cases.LATENT), learning_rate=1e-2
    )
    fresh = lambda: algorithm.init(jax.random.key(0), source.batch)
    program = loop.chunk_program(algorithm, source)

    def train(state, until):  # loop.train, with one compiled program for all runs
        while int(state.step) < until:
            state, _ = program(state, source.fetch(int(state.step), 3), 3)
        return state

    uninterrupted = bits(train(fresh(), 6))
    with checkpoint.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, train(fresh(), 3))
    saved = lambda: checkpoint.restore(tmp_path, jax.eval_shape(fresh)).state
    assert bits(train(saved(), 6)) == uninterrupted
    assert bits(loop.train(algorithm, saved(), source, steps=6, chunk_steps=3)) == uninterrupted
    for name, forget in FORGETFUL.items():
        start = forget(saved(), fresh())
        # three more steps, whatever the counter says
        resumed = train(start, int(start.step) + 3)
        params = bits((resumed.critic.params, resumed.generator.params))
        assert not set(params) & set(uninterrupted), name
