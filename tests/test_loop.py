"""The loop: chunks, hand-over of figures, order of events, stopping."""

import inspect

import cases
import jax
import numpy as np
import pytest

from jwgan import loop, sources
from jwgan.types import Algorithm


def counting_member():
    """A member whose state is its step, the sum of its data and its key; no network."""
    from typing import NamedTuple

    import jax.numpy as jnp

    class State(NamedTuple):
        key: jax.Array
        step: jax.Array
        total: jax.Array

    def init(key, batch):
        del batch
        return State(key, jnp.int32(0), jnp.float32(0))

    def step(state, batch):
        moved = State(state.key, state.step + 1, state.total + batch.sum())
        return moved, {"step": state.step, "total": moved.total}

    return Algorithm(init, step, None, None, None)


def source():
    return sources.from_array(np.ones((6, 1), np.float32), n_critic=1, batch_size=2)


@pytest.mark.parametrize(("steps", "chunk"), [(10, 4), (8, 4), (3, 5), (1, 1)])
def test_every_step_once_and_every_figure_handed_over(steps, chunk):
    algorithm, data, seen = counting_member(), source(), []
    state = algorithm.init(jax.random.key(0), data.batch)
    state = loop.train(
        algorithm,
        state,
        data,
        steps=steps,
        chunk_steps=chunk,
        record=lambda first, info: seen.append((first, info)),
    )
    assert int(state.step) == steps
    assert float(state.total) == 2.0 * steps
    assert [first for first, _ in seen] == list(range(0, steps, chunk))
    assert np.concatenate([info["step"] for _, info in seen]).tolist() == list(range(steps))
    assert all(isinstance(info["total"], np.ndarray) for _, info in seen)


def test_chunks_end_at_the_same_steps_wherever_a_run_goes_on():
    algorithm, data, seen = counting_member(), source(), []
    state = algorithm.init(jax.random.key(0), data.batch)._replace(step=np.int32(5))
    loop.train(
        algorithm,
        state,
        data,
        steps=14,
        chunk_steps=4,
        record=lambda first, info: seen.append((first, len(info["step"]))),
    )
    assert seen == [(5, 3), (8, 4), (12, 2)]


def test_next_chunk_is_dispatched_before_the_last_figures_are_fetched():
    algorithm, data, events = counting_member(), source(), []
    fetch = data.fetch
    data = data._replace(fetch=lambda first, n: events.append(("run", first)) or fetch(first, n))
    loop.train(
        algorithm,
        algorithm.init(jax.random.key(0), data.batch),
        data,
        steps=6,
        chunk_steps=2,
        record=lambda first, info: events.append(("record", first)),
    )
    assert events == [
        ("run", 0),
        ("run", 2),
        ("record", 0),
        ("run", 4),
        ("record", 2),
        ("record", 4),
    ]


def test_what_is_observed_has_all_its_figures_recorded():
    algorithm, data, events = counting_member(), source(), []
    loop.train(
        algorithm,
        algorithm.init(jax.random.key(0), data.batch),
        data,
        steps=6,
        chunk_steps=2,
        record=lambda first, info: events.append(("record", first)),
        due=lambda step: step in (0, 4),
        observe=lambda step, state: events.append(("observe", step, float(state.total))),
    )
    assert events == [
        ("observe", 0, 0.0),
        ("record", 0),
        ("record", 2),
        ("observe", 4, 8.0),
        ("record", 4),
    ]


def test_stop_ends_at_a_chunk_boundary():
    algorithm, data, asked = counting_member(), source(), []
    state = loop.train(
        algorithm,
        algorithm.init(jax.random.key(0), data.batch),
        data,
        steps=100,
        chunk_steps=2,
        stop=lambda step: asked.append(step) or step >= 4,
    )
    assert int(state.step) == 4
    assert asked == [0, 2, 4]


def test_the_state_is_donated():
    case = cases.CASES[5]
    algorithm = case.make()
    data = sources.from_array(np.ones((8, 2), np.float32), n_critic=case.n_critic, batch_size=8)
    state = algorithm.init(jax.random.key(0), data.batch)
    before = jax.tree.leaves(state.critic.params)
    loop.train(algorithm, state, data, steps=1, chunk_steps=1)
    assert all(leaf.is_deleted() for leaf in before)


def test_chunks_are_compiled_once_for_each_length():
    algorithm, data = counting_member(), source()
    traces = []
    step = algorithm.step
    algorithm = algorithm._replace(step=lambda s, b: traces.append(1) or step(s, b))
    state = algorithm.init(jax.random.key(0), data.batch)
    loop.train(algorithm, state, data, steps=11, chunk_steps=2)
    assert len(traces) == 2  # chunks of 2, and the last one of 1


def test_a_fresh_key_is_new_wherever_the_state_keeps_it_and_nothing_else_is():
    state = counting_member().init(jax.random.key(0), None)
    keys = jax.random.split(jax.random.key(1), 3)
    for before in (state, {"inner": (state,)}, state._replace(key=keys)):
        after = [loop.with_fresh_key(before, number) for number in (0, 1, 0)]
        key, *rest = jax.tree.leaves(before)
        (first, *same), (second, *_), (again, *_) = map(jax.tree.leaves, after)
        assert same == rest
        assert not (first == key).any()
        assert not (first == second).any()
        assert (first == again).all()


def test_a_chunk_is_50_steps_by_default():
    assert inspect.signature(loop.train).parameters["chunk_steps"].default == 50


def test_bad_chunk():
    algorithm, data = counting_member(), source()
    state = algorithm.init(jax.random.key(0), data.batch)
    with pytest.raises(ValueError, match=r"chunk_steps is 0"):
        loop.train(algorithm, state, data, steps=1, chunk_steps=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 2, 5])
def test_training_stops_at_the_first_metric_that_is_not_finite_when_asked(bad, at):
    infos = [{"a": np.zeros((6, 2)), "b": np.ones(6)} for _ in range(2)]
    loop.require_finite(0, infos[0])
    infos[1]["b"][at:] = bad
    infos[1]["a"][5, 1] = np.nan  # later, or in the same step but earlier in the tree
    name = "a" if at == 5 else "b"
    value = np.nan if at == 5 else bad
    with pytest.raises(FloatingPointError, match=f"^{name} is {value} at step {100 + at}: look at"):
        loop.require_finite(100, infos[1])


def test_a_run_on_data_with_a_hole_ends_with_the_step():
    """Six rows, the last one NaN: epoch by epoch it comes in one of three batches of two."""
    rows = np.ones((6, 1), np.float32)
    rows[5] = np.nan
    algorithm, data = counting_member(), sources.from_array(rows, n_critic=1, batch_size=2)
    state = algorithm.init(jax.random.key(0), data.batch)
    with pytest.raises(FloatingPointError, match=r"total is nan at step [012]: "):
        loop.train(algorithm, state, data, steps=12, chunk_steps=2, record=loop.require_finite)
