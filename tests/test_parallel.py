"""One, two, four and eight devices train the same run, by jit, shard_map and pmap.

Measured over 100 steps of every member: parameters on 8 devices differ from those on one by at
most 5.1e-7 (r1_r2_gan), most by 1e-7, in any of the three ways. Tested: 1e-5.
"""

import functools

import cases
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jwgan
from jwgan import adversarial, loop, parallel, priors, sources

TOLERANCE = 1e-5


def with_networks_per_device(monkeypatch, make):
    """The same member, each of its networks running on its device's rows."""
    build = adversarial.build

    def wrapped(*, critic, generator, **parts):
        critic, generator = parallel.per_device(critic), parallel.per_device(generator)
        return build(critic=critic, generator=generator, **parts)

    with monkeypatch.context() as patch:
        patch.setattr(adversarial, "build", wrapped)
        return make()


def run_jit(algorithm, devices, state, batches):
    step = parallel.sharded_step(algorithm, parallel.data_mesh(devices))
    return functools.reduce(lambda state, batch: step(state, batch)[0], batches, state)


def run_shard_map(algorithm, devices, state, batches):
    step = parallel.shard_map_step(algorithm, parallel.data_mesh(devices))
    return functools.reduce(lambda state, batch: step(state, batch)[0], batches, state)


def run_pmap(algorithm, devices, state, batches):
    step = parallel.pmap_step(algorithm, devices)
    states = parallel.replicate(state, len(devices))
    states = functools.reduce(lambda states, batch: step(states, batch)[0], batches, states)
    for leaf in jax.tree.leaves(states):
        if not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            assert (np.asarray(leaf) == np.asarray(leaf)[:1]).all()  # all devices agree
    return jax.tree.map(lambda leaf: leaf[0], states)


RUNS = {"jit": run_jit, "shard_map": run_shard_map, "pmap": run_pmap}


def moving(state):
    state = getattr(state, "inner", state)  # of an average, which follows
    players = (state.critic, state.generator)
    return jax.tree.leaves([(p.params, p.model_state) for p in players] + [state.objective])


def difference(a, b):
    pairs = zip(moving(a), moving(b), strict=True)
    return max(float(jnp.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in pairs)


def compare(monkeypatch, case, num, steps):
    """{way: largest difference from one device} after so many steps on `num` devices."""
    algorithm = case.make()
    state = algorithm.init(jax.random.key(3), case.batch())
    batches = cases.each_of(case.batch(steps=steps))
    step = jax.jit(algorithm.step)
    alone = functools.reduce(lambda state, batch: step(state, batch)[0], batches, state)
    assert difference(alone, state) > 1e-3  # it has moved
    split = with_networks_per_device(monkeypatch, case.make)
    return {
        way: difference(alone, run(split if way != "jit" else algorithm, jax.devices()[:num],
                                   state, batches))
        for way, run in RUNS.items()
    }  # fmt: skip


@pytest.mark.parametrize("num", cases.slow_but([2, 8], 2))
@pytest.mark.parametrize("case", cases.TRAINED)
def test_many_devices_are_one(case, num, monkeypatch):
    differences = compare(monkeypatch, case, num, steps=10)
    assert max(differences.values()) < TOLERANCE, differences


@pytest.mark.slow
@pytest.mark.rare
@pytest.mark.parametrize("num", [2, 4, 8])
@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_after_100_steps(case, num, monkeypatch):
    differences = compare(monkeypatch, case, num, steps=100)
    print(f"{case.name} on {num}: {differences}")
    assert max(differences.values()) < TOLERANCE, differences


class BatchNormCritic(nn.Module):
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.BatchNorm(use_running_average=False, axis_name=self.axis_name)(x))
        return nn.Dense(1)(x)[:, 0]


@pytest.mark.parametrize("way", cases.slow_but(RUNS, "jit"))
def test_batch_statistics_are_global(way):
    """Mean and variance over 8 rows, 2 a device, whose devices see very different rows."""

    def make(axis_name, wrap):
        return jwgan.gan(
            wrap(jwgan.from_linen(BatchNormCritic(axis_name))),
            wrap(cases.generator()),
            prior=priors.normal(cases.LATENT),
        )

    rows = jnp.arange(16.0).reshape(1, 8, 2) ** 2  # rising: a device's own mean is far off
    alone = make(None, lambda n: n)
    state = alone.init(jax.random.key(0), rows)
    expected, _ = alone.step(state, rows)
    split = alone if way == "jit" else make("data", parallel.per_device)
    got = RUNS[way](split, jax.devices()[:4], state, [rows])
    stats = got.critic.model_state["batch_stats"]["BatchNorm_0"]["mean"]
    assert stats[0] > 0.1  # it has seen data
    # not the generator: a shift of its output is none to batch norm, and Adam makes steps of that 0
    for a, b in zip(*map(jax.tree.leaves, (got.critic, expected.critic)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", RUNS)
def test_uneven_batches_are_refused(way, monkeypatch):
    case = cases.CASES[0]
    algorithm = case.make() if way == "jit" else with_networks_per_device(monkeypatch, case.make)
    state = case.make().init(jax.random.key(0), case.batch())
    with pytest.raises(ValueError, match=r"batch size is 8: give a multiple of the 3 devices"):
        RUNS[way](algorithm, jax.devices()[:3], state, case.batch(steps=1))


@pytest.mark.slow
def test_seeds_by_data():
    """Four seeds in two groups of two devices: each is its solo run."""
    case = next(case for case in cases.CASES if case.name == "wgan_gp")
    algorithm, mesh = case.make(), parallel.seeds_mesh(2, jax.devices()[:4])
    keys = jax.random.split(jax.random.key(0), 4)
    batches = jnp.stack([case.batch(seed=k) for k in range(4)])
    states = jax.vmap(lambda key: algorithm.init(key, case.batch()))(keys)
    after, info = parallel.sharded_seeds_step(algorithm, mesh)(states, batches)
    assert info.critic_loss.shape == (4,)
    assert after.step.sharding.spec == jax.sharding.PartitionSpec("seed")
    for k in range(4):
        alone, _ = algorithm.step(jax.tree.map(lambda leaf, k=k: leaf[k], states), batches[k])
        assert difference(jax.tree.map(lambda leaf, k=k: leaf[k], after), alone) < 1e-6
    with pytest.raises(ValueError, match="number of seeds is 3"):
        parallel.sharded_seeds_step(algorithm, mesh)(states, batches[:3])
    with pytest.raises(ValueError, match="seed_groups is 3: give a divisor of the 4 devices"):
        parallel.seeds_mesh(3, jax.devices()[:4])


@pytest.mark.parametrize("kind", cases.slow_but(["array", "sampler"], "array"))
def test_the_loop_under_a_mesh(kind):
    """The whole compiled chunk, its noise and its data divided, against one device."""
    case = next(case for case in cases.CASES if case.name == "wgan_gp")
    algorithm, data = case.make(), np.asarray(case.batch(steps=5)).reshape(-1, cases.DATA)
    sample = lambda key, num: jax.random.normal(key, (num, cases.DATA))
    sizes = {"n_critic": case.n_critic, "batch_size": 4 * 3}
    source = (
        sources.from_array(data, **sizes)
        if kind == "array"
        else sources.from_sampler(sample, **sizes)
    )

    def train():
        state = jax.jit(lambda: algorithm.init(jax.random.key(3), source.batch))()
        return loop.train(algorithm, state, source, steps=20, chunk_steps=10)

    alone, mesh = train(), parallel.data_mesh(jax.devices()[:4])
    with jax.set_mesh(mesh):
        many = train()
        program = loop.chunk_program(algorithm, source)
        state = jax.jit(lambda: algorithm.init(jax.random.key(3), source.batch))()
        text = program.lower(state, source.fetch(0, 2), 2).compile().as_text()
    assert len(many.critic.params[0]["w"].sharding.device_set) == 4
    assert difference(alone, many) < TOLERANCE
    # each device runs its quarter of every batch of 12, nowhere the whole
    assert f"f32[3,{cases.WIDTH}]" in text
    assert f"f32[12,{cases.WIDTH}]" not in text
