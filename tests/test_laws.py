"""Laws that every member of the family obeys, run on every row of cases.py."""

import functools

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jwgan import checkpoint, loop, parallel, sources

pytestmark = pytest.mark.parametrize("case", cases.LAWS)

STEPS = 4


@functools.cache
def compiled(name):
    """A member, its compiled init and its compiled step, shared by the laws."""
    case = next(case for case in cases.CASES if case.name == name)
    algorithm = case.make()
    return (
        algorithm,
        jax.jit(lambda key: algorithm.init(key, case.batch())),
        jax.jit(algorithm.step),
    )


def start(case, seed=0):
    algorithm, init, _ = compiled(case.name)
    return algorithm, init(jax.random.key(seed))


def bits(tree):
    """Every leaf's bytes; typed keys by their data."""
    leaves = jax.tree.leaves(tree)
    raw = [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in leaves
    ]
    return [np.asarray(x).tobytes() for x in raw]


def without_keys(tree):
    return [x for x in jax.tree.leaves(tree) if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key)]


def assert_close(a, b, rtol=2e-5, atol=2e-6):
    chex.assert_trees_all_close(without_keys(a), without_keys(b), rtol=rtol, atol=atol)


def python_loop(case, state, batches):
    step, infos = compiled(case.name)[2], []
    for batch in cases.each_of(batches):
        state, info = step(state, batch)
        infos.append(info)
    return state, infos


def test_structure_is_kept(case):
    algorithm, state = start(case)
    after, info = jax.eval_shape(algorithm.step, state, case.batch())
    chex.assert_trees_all_equal_structs(after, state)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    assert all(leaf.shape == () for leaf in jax.tree.leaves(info))
    assert jax.eval_shape(lambda s: algorithm.sample(jax.random.key(0), s, 5), state).shape == (
        5,
        cases.DATA,
    )
    first = jax.tree.map(lambda leaf: leaf[0], case.batch())
    assert jax.eval_shape(algorithm.score, state, first).shape == (cases.BATCH,)


def test_one_trace(case):
    algorithm, state = start(case)
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(algorithm.step, n=1))
    for seed in range(3):
        state, _ = step(state, case.batch(seed))
    assert int(state.step) == 3


def test_scan_equals_python_loop(case):
    algorithm, state = start(case)
    batches = case.batch(steps=STEPS)
    looped, infos = python_loop(case, state, batches)
    scanned, stacked = jax.jit(lambda s, b: jax.lax.scan(algorithm.step, s, b))(state, batches)
    assert_close(scanned, looped)
    assert_close(jax.tree.map(lambda x: x[-1], stacked), infos[-1])


def test_vmap_over_seeds_equals_single(case):
    algorithm, init, step = compiled(case.name)
    batch = case.batch()
    keys = jax.random.split(jax.random.key(7), 3)
    states = jax.vmap(init)(keys)
    states, _ = jax.jit(jax.vmap(algorithm.step, in_axes=(0, None)))(states, batch)
    for i in range(3):
        single, _ = step(init(keys[i]), batch)
        assert_close(jax.tree.map(lambda x: x[i], states), single)


def test_sharded_over_four_devices_equals_one(case):
    algorithm, state = start(case)
    batches = case.batch(steps=STEPS)
    looped, _ = python_loop(case, state, batches)
    step = parallel.sharded_step(algorithm, parallel.data_mesh(jax.devices()[:4]))
    for batch in cases.each_of(batches):
        state, _ = step(state, batch)
    assert len(state.step.sharding.device_set) == 4
    assert_close(state, looped, rtol=1e-4, atol=1e-5)


def test_restored_equals_never_stopped(case, tmp_path):
    x, label = case.rows(steps=5)
    algorithm, _, _ = compiled(case.name)
    source = sources.from_array(x, label=label, n_critic=case.n_critic, batch_size=cases.BATCH)

    def train(state, steps):
        return loop.train(algorithm, state, source, steps=steps, chunk_steps=3)

    def fresh():
        return start(case, seed=5)[1]

    uninterrupted = train(fresh(), 6)
    half = train(fresh(), 3)
    with checkpoint.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, half)
    restored = checkpoint.restore(tmp_path, jax.eval_shape(fresh))
    resumed = train(restored.state, 6)
    assert bits(resumed) == bits(uninterrupted)
    assert bits(resumed) != bits(fresh())


def test_every_parameter_has_a_finite_nonzero_gradient(case):
    """Every leaf of both players moves, and stays finite, in two steps."""
    _, state = start(case)
    after, infos = python_loop(case, state, case.batch(steps=2))
    for player in ("critic", "generator"):
        before_leaves = jax.tree_util.tree_leaves_with_path(getattr(state, player).params)
        after_leaves = jax.tree.leaves(getattr(after, player).params)
        for (path, b), a in zip(before_leaves, after_leaves, strict=True):
            assert np.isfinite(a).all(), (player, path)
            assert np.any(a != b), (player, path)
    for info in infos:
        assert all(np.isfinite(x) for x in jax.tree.leaves(info))
        assert info.critic_gradient_norm > 0
        assert info.generator_gradient_norm > 0


def test_same_key_same_bits_other_key_other_bits(case):
    first, _ = python_loop(case, start(case, seed=1)[1], case.batch(steps=2))
    again, _ = python_loop(case, start(case, seed=1)[1], case.batch(steps=2))
    other, _ = python_loop(case, start(case, seed=2)[1], case.batch(steps=2))
    assert bits(first) == bits(again)
    for player in ("critic", "generator"):
        for a, b in zip(
            jax.tree.leaves(getattr(first, player).params),
            jax.tree.leaves(getattr(other, player).params),
            strict=True,
        ):
            assert np.any(a != b)


def test_lowers_for_every_platform_without_callbacks(case):
    """The step is a program for CPU, CUDA and TPU alike, with no call back to the host."""
    algorithm, state = start(case)
    traced = jax.jit(algorithm.step).trace(state, case.batch())
    for platform in ("cpu", "cuda", "tpu"):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert "callback" not in text
        assert "f64" not in text
