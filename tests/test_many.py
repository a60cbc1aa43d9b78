"""Trials side by side are the runs that each of them would be alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, DATA, LATENT, critic, energy_critic, generator

import jwgan
from jwgan import checkpoint, loop, many, priors, sources, wrappers

ROWS = 1.0 + jax.random.normal(jax.random.key(5), (40, DATA))
STEPS, BATCH = 6, 8
# Side by side, float32 sums come in another order: after 6 steps the largest difference of any
# number of the state is at most this part of the largest number of its leaf (seen: 2e-6).
RTOL = 5e-5


def from_rows(n_critic):
    return sources.from_array(ROWS, n_critic=n_critic, batch_size=BATCH)


def train(algorithm, key, source, steps=STEPS, state=None):
    """(state, infos [steps, ...]) of a run whose chunks are of 3 steps."""
    infos = []
    if state is None:
        state = jax.jit(lambda key: algorithm.init(key, source.batch))(key)
    record = lambda first, info: infos.append(info)
    state = loop.train(algorithm, state, source, steps=steps, chunk_steps=3, record=record)
    return state, jax.tree.map(lambda *parts: np.concatenate(parts), *infos)


def numbers(tree):
    """Every leaf as float64 or key data."""
    raw = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return [np.asarray(raw(x), np.float64) for x in jax.tree.leaves(tree)]


def assert_same_run(mine, alone, rtol=RTOL):
    assert jax.tree.structure(mine) == jax.tree.structure(alone)
    for a, b in zip(numbers(mine), numbers(alone), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * max(np.abs(b).max(initial=0), 1e-3))


def together(make, settings, n_critic, mapped=jax.vmap, draw=from_rows):
    """(states, infos) of K trials with keys 3, 4, ... in one program."""
    keys = many.keys(range(3, 3 + len(n_critic)))
    return train(many.over(make, settings, mapped), keys, many.drawn(draw, n_critic, mapped))


def alone(i, make, settings, n_critic, draw=from_rows):
    """The same of trial i, trained by itself."""
    row = {name: values[i] for name, values in settings.items()}
    return train(make(**row), jax.random.key(3 + i), draw(n_critic[i]))


def assert_trial(i, trained, solo, rtol=RTOL):
    states, infos = trained
    assert_same_run(many.trial(states, i), solo[0], rtol)
    assert_same_run(jax.tree.map(lambda x: x[:, i], infos), solo[1], rtol)


@pytest.mark.slow
def test_seeds_are_solo_runs_however_they_are_mapped():
    """All at once; one after another, to the bit; 2 of 3 at a time, a whole group and a rest."""
    make = next(case for case in CASES if case.name == "wgan_gp+ema").make
    setup = (make, {}, [2, 2, 2])
    solo = alone(2, *setup)
    for mapped, rtol in ((jax.vmap, RTOL), (many.in_turn(), 0), (many.in_turn(2), RTOL)):
        assert_trial(2, together(*setup, mapped), solo, rtol)


def two_devices():
    return jax.sharding.Mesh(jax.devices()[:2], ("trial",))


@pytest.mark.slow
def test_trials_divided_among_devices_are_solo_runs():
    """Of different settings and n_critic, all at once on a device or in turn."""
    setup = (member("wgan_gp"), {"weight": [0.1, 1.0, 10.0, 5.0], "n_critic": [1, 2, 2, 1]})
    n_critic = setup[1]["n_critic"]
    solo = alone(3, *setup, n_critic)
    for inner in (jax.vmap, many.in_turn()):
        mapped = many.divided(two_devices(), inner)
        states, infos = together(*setup, n_critic, mapped)
        assert len(states.key.sharding.device_set) == 2
        assert_trial(3, (jax.device_get(states), infos), solo)


def test_divided_trials_say_nothing_to_each_other():
    mapped = many.divided(two_devices())
    algorithm = many.over(member("wgan_gp"), None, mapped)
    draw = lambda n: sources.from_sampler(
        lambda key, num: jax.random.normal(key, (num, DATA)), n_critic=n, batch_size=BATCH
    )
    source = many.drawn(draw, [2] * 4, mapped)
    state = jax.jit(lambda keys: algorithm.init(keys, source.batch))(many.keys(range(4)))
    program = loop.chunk_program(algorithm, source).lower(state, source.fetch(0, 3), 3).compile()
    words = ("all-gather", "all-reduce", "all-to-all", "collective-permute")
    assert [word for word in words if word in program.as_text()] == []


def test_devices_must_divide_the_trials():
    algorithm = many.over(member("wgan_gp"), None, many.divided(two_devices()))
    with pytest.raises(ValueError, match="trials is 3: give a multiple of the 2 devices"):
        algorithm.init(many.keys(range(3)), from_rows(2).batch)


def member(name, critic=critic):
    def make(ema=None, n_critic=None, **numbers):
        algorithm = getattr(jwgan, name)(
            critic(), generator(), prior=priors.normal(LATENT), **numbers
        )
        algorithm = algorithm if ema is None else wrappers.with_ema(algorithm, ema)
        return algorithm if n_critic is None else wrappers.with_n_critic(algorithm, n_critic)

    return make


@pytest.mark.parametrize(
    ("name", "settings", "net"),
    [
        (
            "wgan_gp",
            {
                "learning_rate": [1e-3, 1e-2],
                "weight": [0.1, 10.0],
                "b1": [0.5, 0.0],
                "b2": [0.9, 0.99],
            },
            critic,
        ),
        ("wgan", {"c": [0.3, 0.6], "learning_rate": [1e-3, 3e-3], "decay": [0.9, 0.99]}, critic),
        ("began", {"gamma": [0.3, 0.9], "lambda_k": [0.1, 0.01]}, energy_critic),
        (
            "ebgan",
            {"margin": [0.5, 3.0], "pulling_away_weight": [0.1, 0.0], "ema": [0.9, 0.5]},
            lambda: energy_critic(codes=True),
        ),
        (
            "lsgan",
            {"critic_learning_rate": [1e-3, 1e-2], "a": [0.0, -1.0], "c": [1.0, 0.0]},
            critic,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_number_can_be_swept(name, settings, net):
    setup = (member(name, net), settings, [2, 2])
    assert_trial(1, together(*setup), alone(1, *setup))


@pytest.mark.slow
def test_trials_differ_in_n_critic():
    """sngan's power iterations count its critic updates, too."""
    setup = (member("sngan"), {"n_critic": [1, 3, 2]}, [1, 3, 2])
    solos = {i: alone(i, *setup) for i in (0, 1)}
    for mapped in (jax.vmap, many.in_turn()):
        trained = together(*setup, mapped)
        for i, solo in solos.items():
            assert_trial(i, trained, solo)


def test_a_short_batch_is_a_long_one_cut():
    """What lies behind the first n_critic batches is not looked at: not even NaN.

    rpgan's generator is the one that looks at real data.
    """
    make = member("rpgan")
    batch = jax.random.normal(jax.random.key(0), (3, BATCH, DATA))
    state = make().init(jax.random.key(1), batch)
    longer = jnp.concatenate([batch, jnp.full((2, BATCH, DATA), jnp.nan)])
    one, two = (jax.jit(a.step) for a in (make(), make(n_critic=3)))
    for a, b in zip(one(state, batch), two(state, longer), strict=True):
        assert_same_run(b, a)


def test_the_first_keys_of_a_split_are_those_of_a_shorter_one():
    """What n_critic by masking rests on, beside the masking."""
    key = jax.random.key(3)
    long = jax.random.key_data(jax.random.split(key, 7))
    for n in (1, 2, 5):
        np.testing.assert_array_equal(jax.random.key_data(jax.random.split(key, n)), long[:n])


def test_worlds_are_drawn_by_each_trials_key():
    draw = lambda n: sources.from_sampler(
        lambda key, num: 1 + jax.random.normal(key, (num, DATA)), n_critic=n, batch_size=BATCH
    )
    setup = (member("wgan_gp"), {"n_critic": [1, 2]}, [1, 2])
    assert_trial(0, together(*setup, draw=draw), alone(0, *setup, draw=draw))


def test_a_stream_gives_every_trial_the_same_rows():
    batch = jax.ShapeDtypeStruct((2, BATCH, DATA), jnp.float32)
    draw = lambda n: sources.from_iterator(
        iter(np.arange(4.0)[:, None, None, None] + np.zeros(batch.shape)), batch
    )
    source = many.drawn(draw, [2, 2, 2])
    xs, take = source.batches(source.fetch(0, 4), many.keys(range(3)), 4)
    x = take(jax.tree.map(lambda leaf: leaf[2], xs))
    assert x.shape == (3, *batch.shape)
    assert (x == 2).all()
    with pytest.raises(ValueError, match="a stream serves trials of one n_critic"):
        many.drawn(draw, [2, 1])


@pytest.mark.slow
def test_restored_equals_never_stopped(tmp_path):
    n_critic = [1, 2]
    make = member("wgan_gp")
    algorithm = many.over(make, {"n_critic": n_critic, "ema": [0.9, 0.5]})
    source, keys = many.drawn(from_rows, n_critic), many.keys([0, 1])
    whole, _ = train(algorithm, keys, source, 6)
    half, _ = train(algorithm, keys, source, 3)
    with checkpoint.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, half)
    target = jax.eval_shape(lambda: algorithm.init(keys, source.batch))
    resumed, _ = train(algorithm, keys, source, 6, checkpoint.restore(tmp_path, target).state)
    assert checkpoint.state_sha256(resumed) == checkpoint.state_sha256(whole)


def test_a_dying_trial_leaves_the_others_alone():
    make = member("wgan_gp")
    one = many.over(make, {"learning_rate": [1e-3, 1e-3]})
    other = many.over(make, {"learning_rate": [1e-3, np.inf]})
    keys, source = many.keys([0, 1]), many.drawn(from_rows, [2, 2])
    (fine, _), (dead, info) = train(one, keys, source), train(other, keys, source)
    assert np.isnan(info.critic_loss[-1, 1])
    assert np.isfinite(info.critic_loss[:, 0]).all()
    for a, b in zip(numbers(many.trial(fine, 0)), numbers(many.trial(dead, 0)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_samples_and_scores_have_a_trials_axis():
    make = member("wgan_gp")
    algorithm = many.over(make, {"weight": [0.1, 1.0, 10.0]})
    source = many.drawn(from_rows, [2] * 3)
    states = algorithm.init(many.keys(range(3)), source.batch)
    x = algorithm.sample(jax.random.key(0), states, 5)
    assert x.shape == (3, 5, DATA)
    assert algorithm.score(states, ROWS).shape == (3, len(ROWS))
    alone = make(weight=1.0).sample(jax.random.key(0), many.trial(states, 1), 5)
    np.testing.assert_allclose(x[1], alone, rtol=1e-5, atol=1e-6)


def test_a_grid_has_every_combination_once():
    assert many.grid(seed=range(2), weight=[1.0, 10.0]) == {
        "seed": [0, 1, 0, 1],
        "weight": [1.0, 1.0, 10.0, 10.0],
    }
    assert many.grid(a=[1, 2], b=[]) == {"a": [], "b": []}


def test_bad_numbers_are_refused_at_construction():
    make = member("wgan_gp")
    with pytest.raises(ValueError, match="weight is -1"):
        many.over(make, {"weight": [1.0, -1.0]})
    with pytest.raises(ValueError, match="give each number K values"):
        many.over(make, {"weight": [1.0, 2.0], "b1": [0.0]})
    with pytest.raises(ValueError, match="at_once is 0"):
        many.in_turn(0)
    with pytest.raises(ValueError, match="n_critic is 0"):
        wrappers.with_n_critic(make(), 0)
    batch = jnp.zeros((2, BATCH, DATA))
    with pytest.raises(ValueError, match="n_critic is 3: the batch has 2"):
        wrappers.with_n_critic(make(), 3).step(make().init(jax.random.key(0), batch), batch)


# --- all of it at once ----------------------------------------------------------------------------


def test_trials_are_the_runs_that_their_settings_name():
    runs = many.trials(
        member("wgan_gp"), from_rows, seeds=[3, 7], n_critic=[1, 2], weight=[0.1, 10.0]
    )
    assert runs.settings == {
        "seed": [3, 7] * 4,
        "weight": [0.1, 0.1, 10.0, 10.0] * 2,
        "n_critic": [1] * 4 + [2] * 4,
    }
    states = loop.train(runs.algorithm, runs.init(), runs.source, steps=STEPS, chunk_steps=3)
    for i in (1, 6):  # of either n_critic, seed and weight
        mine = {name: values[i] for name, values in runs.settings.items()}
        make = member("wgan_gp")(weight=mine["weight"])
        solo, _ = train(make, jax.random.key(mine["seed"]), from_rows(mine["n_critic"]))
        assert_same_run(runs.trial(states, i), solo)


def test_trials_of_one_n_critic_are_mapped_as_they_are_told():
    """Without an axis n_critic nothing is masked, and `mapped` reaches states and batches."""
    seen = []

    def mapped(fn):
        seen.append(fn)
        return jax.vmap(fn)

    runs = many.trials(member("wgan_gp"), from_rows, seeds=range(3), n_critic=2, mapped=mapped)
    assert runs.settings == {"seed": [0, 1, 2]}
    states = runs.init()
    assert len(seen) == 1
    jax.eval_shape(
        loop.chunk_program(runs.algorithm, runs.source), states, runs.source.fetch(0, 1), 1
    )
    assert len(seen) == 3
    for i, seed in enumerate(runs.settings["seed"]):
        alone = member("wgan_gp")().init(jax.random.key(seed), from_rows(2).batch)
        assert_same_run(runs.trial(states, i), alone)


def test_trials_that_are_none_or_named_twice_are_refused():
    with pytest.raises(ValueError, match="trials is 0: give a seed"):
        many.trials(member("wgan_gp"), from_rows, seeds=[])
    with pytest.raises(ValueError, match="trials is 0: give a seed"):
        many.trials(member("wgan_gp"), from_rows, seeds=[0], weight=[])
    with pytest.raises(ValueError, match=r"seed is \[1\]: give the seeds as `seeds`"):
        many.trials(member("wgan_gp"), from_rows, seeds=[0], seed=[1])
    with pytest.raises(ValueError, match="weight is -1"):
        many.trials(member("wgan_gp"), from_rows, seeds=[0], n_critic=2, weight=[1.0, -1.0])
    with pytest.raises(ValueError, match="make the source for n_critic 3"):
        many.trials(member("wgan_gp"), lambda n: from_rows(2), seeds=[0], n_critic=3)


def test_values_that_are_named_twice_are_no_grid():
    """[5] * 8, where 5 is meant, would train eight times as many trials."""
    for axes in ({"n_critic": [5] * 8}, {"weight": [1.0, 10.0, 1.0]}):
        with pytest.raises(ValueError, match="give each value once; they make a grid"):
            many.trials(lambda **numbers: None, lambda n: None, seeds=range(2), **axes)


def test_batches_and_sources_of_one_trial_are_refused_by_several():
    one = jwgan.wgan_gp(critic(), generator(), prior=priors.normal(LATENT))
    several, keys = many.over(lambda: one), many.keys([0, 1])
    batch = jax.ShapeDtypeStruct((1, 4, DATA), jnp.float32)
    states = jax.eval_shape(lambda: several.init(keys, batch))
    with pytest.raises(ValueError, match=r"first axis is \[1\]: give 2 trials a batch each"):
        jax.eval_shape(several.step, states, batch)
    draw = lambda key, num: jax.random.normal(key, (num, DATA))
    rows = np.zeros((8, DATA), np.float32)
    for source in (
        sources.from_sampler(draw, n_critic=1, batch_size=4),
        sources.from_array(rows, n_critic=1, batch_size=4),
        sources.from_iterator(iter([rows[None, :4]]), batch),
    ):
        with pytest.raises(ValueError, match="this source draws for a single one"):
            source.batches(source.fetch(0, 1), keys, 1)
