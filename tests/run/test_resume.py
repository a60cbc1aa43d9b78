"""Stopped, saved, restored and gone on is never stopped: every byte of every leaf.

test_laws.py has it for every member on data held on the device; here are streamed data, many seeds
side by side, and several devices.
"""

import cases
import jax
import numpy as np
import pytest

from jwgan import checkpoint, loop, parallel, sources
from jwgan.data import streams

HALF, WHOLE = 3, 6


def data(case):
    """Rows and their labels, for a source."""
    x, label = case.rows(steps=5)
    return {"label": label} if case.classes else {}, np.asarray(x)


def resumed(train, fresh, folder):
    """(sha256 of 2N steps, of N steps saved, restored and N steps more, of the start)."""
    whole = train(fresh(), WHOLE)
    with checkpoint.Checkpoints(folder) as checkpoints:
        checkpoints.save(HALF, train(fresh(), HALF))
    restored = checkpoint.restore(folder, fresh())
    states = whole, train(restored.state, WHOLE), fresh()
    return [checkpoint.state_sha256(state) for state in states]


@pytest.mark.parametrize("case", cases.TRAINED)
def test_streamed(case, tmp_path):
    """The second half reads from a new stream, as a new process would."""
    algorithm = case.make()

    def train(state, steps):
        label, x = data(case)
        source = streams.from_rows(x, n_critic=case.n_critic, batch_size=cases.BATCH, **label)
        return loop.train(algorithm, state, source, steps=steps, chunk_steps=2)

    fresh = lambda: algorithm.init(jax.random.key(5), case.batch())
    whole, again, start = resumed(train, fresh, tmp_path)
    assert whole == again != start


@pytest.mark.parametrize("case", cases.TRAINED)
def test_seeds_side_by_side(case, tmp_path):
    one = case.make()
    many = one._replace(
        init=lambda keys, batch: jax.vmap(lambda key: one.init(key, batch))(keys),
        step=jax.vmap(one.step),
    )
    label, x = data(case)
    source = sources.from_array(x, n_critic=case.n_critic, batch_size=cases.BATCH, **label)

    def batches(operand, keys, length):
        xs, take = source.batches(operand, keys[0], length)
        return xs, lambda x: jax.vmap(lambda _: take(x))(keys)

    fresh = lambda: many.init(jax.vmap(jax.random.key)(np.arange(3)), case.batch())
    train = lambda state, steps: loop.train(
        many, state, source._replace(batches=batches), steps=steps, chunk_steps=2
    )
    whole, again, start = resumed(train, fresh, tmp_path)
    assert whole == again != start


@pytest.mark.parametrize("case", cases.TRAINED)
def test_on_four_devices(case, tmp_path):
    algorithm, mesh = case.make(), parallel.data_mesh(jax.devices()[:4])
    assert mesh.devices.size == 4
    step = parallel.sharded_step(algorithm, mesh)
    batches = cases.each_of(case.batch(steps=WHOLE))

    def fresh():
        replicated = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        return jax.device_put(algorithm.init(jax.random.key(5), case.batch()), replicated)

    def train(state, steps):
        while int(state.step) < steps:
            state, _ = step(state, batches[int(state.step)])
        return state

    whole, again, start = resumed(train, fresh, tmp_path)
    assert whole == again != start
