"""Where batches come from: every row once an epoch, whatever the chunks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwgan import parallel, sources
from jwgan.data import streams


def batches(source, key, first, length):
    """The batches [length, n_critic, B, *D] of steps first, first + 1, ..."""

    def chunk(operand, key):
        xs, take = source.batches(operand, key, length)
        return jax.lax.map(take, xs)

    return np.asarray(jax.jit(chunk)(source.fetch(first, length), key))


@pytest.mark.slow
@settings(max_examples=8, deadline=None, derandomize=True)
@given(size=st.integers(1, 13), count=st.integers(1, 40), data=st.data())
def test_every_epoch_uses_every_row_once(size, count, data):
    offset = data.draw(st.integers(0, size - 1))
    epoch = data.draw(st.integers(0, 5))
    drawn = sources.epoch_positions(
        jax.random.key(3), jnp.int32(epoch), jnp.int32(offset), count, size
    )
    whole = sources.epoch_positions(
        jax.random.key(3), jnp.int32(0), jnp.int32(0), (epoch + 5) * size + count + offset, size
    )
    start = epoch * size + offset
    np.testing.assert_array_equal(drawn, whole[start : start + count])  # position decides
    for i in range(0, len(whole) - size + 1, size):
        assert sorted(whole[i : i + size].tolist()) == list(range(size))


def test_epochs_are_shuffled_differently():
    drawn = np.asarray(
        sources.epoch_positions(jax.random.key(0), jnp.int32(0), jnp.int32(0), 200, 100)
    ).reshape(2, 100)
    assert (drawn[0] != drawn[1]).mean() > 0.9
    assert (drawn[0] != np.arange(100)).mean() > 0.9


@pytest.mark.parametrize("chunks", [(7,), (1, 6), (3, 3, 1)])
def test_batches_do_not_depend_on_the_chunks(chunks):
    source = sources.from_array(np.arange(10.0)[:, None], n_critic=2, batch_size=3)
    key = jax.random.key(5)
    parts, first = [], 0
    for length in chunks:
        parts.append(batches(source, key, first, length))
        first += length
    np.testing.assert_array_equal(np.concatenate(parts), batches(source, key, 0, 7))
    flat = np.concatenate(parts).ravel()[:40].reshape(4, 10)
    np.testing.assert_array_equal(np.sort(flat, axis=1), np.tile(np.arange(10.0), (4, 1)))


def test_position_does_not_wrap_after_two_to_the_31_draws():
    source = sources.from_array(np.zeros((7, 1)), n_critic=5, batch_size=7)
    _, epoch, offset = source.fetch(10**8, 1)  # 3.5e9 draws behind it
    assert (int(epoch), int(offset)) == divmod(35 * 10**8, 7)


def test_critic_updates_of_a_step_see_different_data():
    source = sources.from_array(np.arange(100.0)[:, None], n_critic=5, batch_size=20)
    step = batches(source, jax.random.key(0), 0, 1)[0]
    assert len(np.unique(step)) == 100


def test_sampler_draws_fresh_data_every_step():
    source = sources.from_sampler(
        lambda key, num: jax.random.normal(key, (num, 2)), n_critic=2, batch_size=4
    )
    key = jax.random.key(1)
    whole = batches(source, key, 0, 6)
    assert whole.shape == (6, 2, 4, 2)
    assert len(np.unique(whole)) == whole.size
    np.testing.assert_array_equal(batches(source, key, 4, 2), whole[4:])


def test_iterator_is_read_once_for_each_step():
    rows = iter(np.arange(24.0).reshape(6, 2, 2, 1))
    source = sources.from_iterator(rows, jax.ShapeDtypeStruct((2, 2, 1), jnp.float32))
    key = jax.random.key(0)
    np.testing.assert_array_equal(batches(source, key, 0, 2).ravel(), np.arange(8.0))
    np.testing.assert_array_equal(batches(source, key, 2, 1).ravel(), np.arange(8.0, 12.0))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"n_critic is 0: give at least one"):
        sources.from_array(np.zeros((4, 1)), n_critic=0, batch_size=2)
    with pytest.raises(ValueError, match=r"batch_size is 5: there are only 4 samples"):
        sources.from_array(np.zeros((4, 1)), n_critic=1, batch_size=5)
    source = sources.from_iterator(
        iter([np.zeros((1, 3, 1))]), jax.ShapeDtypeStruct((1, 2, 1), jnp.float32)
    )
    with pytest.raises(ValueError, match=r"streamed batch's shape is \(1, 3, 1\)"):
        source.fetch(0, 1)


WHOLE = ["uint8", "int32", "int64", "bool"]
SAYS = r"dtype.* is '{}': give floats in the generator's range: bytes of images"


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_are_refused_by_every_source(dtype):
    array = np.ones((6, 2), dtype)
    says = SAYS.format(dtype)
    with pytest.raises(ValueError, match=says):
        sources.from_array(array, n_critic=1, batch_size=2)
    with pytest.raises(ValueError, match=says):
        streams.from_rows(array, n_critic=1, batch_size=2)
    own = jax.dtypes.canonicalize_dtype(dtype)  # int64 is none of JAX's without x64
    with pytest.raises(ValueError, match=SAYS.format(own)):
        sources.from_sampler(lambda key, num: jnp.ones((num, 2), own), n_critic=1, batch_size=2)
    with pytest.raises(ValueError, match=says):
        sources.from_iterator(iter([]), jax.ShapeDtypeStruct((1, 2, 2), np.dtype(dtype)))
    floats = sources.from_iterator(
        iter([array[None, :2]]), jax.ShapeDtypeStruct((1, 2, 2), "float32")
    )
    with pytest.raises(sources.BatchError, match=f"of step 7 is '{dtype}'"):
        floats.fetch(7, 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_floats_are_taken_by_every_source(dtype):
    array = np.ones((6, 2), jnp.dtype(dtype))
    batch = jax.ShapeDtypeStruct((1, 2, 2), jnp.float32)
    for source in (
        sources.from_array(array, n_critic=1, batch_size=2),
        streams.from_rows(array, n_critic=1, batch_size=2),
        sources.from_iterator(iter([array[None, :2]]), batch),
    ):
        assert jax.tree.leaves(source.fetch(0, 1))[0].dtype == source.batch.dtype


ENDS = [
    ([], r"ended before step 0: .*itertools.cycle\(batches\)$"),
    ([np.zeros((1, 2, 3))] * 2, "ended before step 2: .*or train 2 steps"),
    ([np.zeros((1, 2, 3)), np.zeros((1, 1, 3))], r"shape is \(1, 1, 3\).*\(1, 2, 3\).*step 1"),
    ([np.zeros((2, 3))], r"shape is \(2, 3\): .*step 0"),
    ([np.zeros((1, 2, 3)), np.zeros((1, 2, 3), int)], "of step 1 is 'int64': give floats"),
    ([None], r"shape is \(\)"),
    (["text"], r"shape is \(\)"),
    ([[[0.0, 1.0], [2.0]]], r"shape is \(\)"),  # ragged
    ([{"image": 1}], r"shape is \(\)"),
]


@pytest.mark.parametrize(("rows", "says"), ENDS)
@pytest.mark.parametrize("chunk", [1, 3])
def test_an_iterator_that_ends_or_is_wrong_is_one_line(rows, says, chunk):
    batch = jax.ShapeDtypeStruct((1, 2, 3), "float32")
    source = sources.from_iterator(iter(rows), batch)

    def all_of_it():
        for first in range(0, 6, chunk):
            source.fetch(first, chunk)

    with pytest.raises(sources.BatchError, match=says) as error:
        all_of_it()
    assert "\n" not in str(error.value)


def test_what_an_iterator_that_ended_is_told_works():
    rows = [np.full((1, 2, 3), float(i)) for i in range(2)]
    batch = jax.ShapeDtypeStruct((1, 2, 3), "float32")
    source = sources.from_iterator(itertools.cycle(rows), batch)
    assert source.fetch(0, 5)[:, 0, 0, 0].tolist() == [0, 1, 0, 1, 0]
    assert sources.from_iterator(rows, batch).fetch(0, 2).shape == (2, 1, 2, 3)  # a list, too
    with pytest.raises(ValueError, match="iterator is 3: give an iterator of batches"):
        sources.from_iterator(3, batch)


def test_labels_are_drawn_with_their_rows_and_there_is_one_for_each():
    x, label = np.arange(6.0)[:, None], np.arange(6) % 3
    source = sources.from_array(x, label=label, n_critic=1, batch_size=4)
    xs, take = source.batches(source.fetch(0, 2), jax.random.key(0), 2)
    drawn = jax.lax.map(take, xs)
    np.testing.assert_array_equal(drawn.label, drawn.x[..., 0] % 3)
    with pytest.raises(ValueError, match=r"label's shape is .*give one for each of the 6 samples"):
        sources.from_array(x, label=label[:5], n_critic=1, batch_size=4)


def test_rows_that_are_not_alike_are_named():
    rows = [np.zeros(2, np.float32)] * 5 + [np.zeros(3, np.float32)]
    with pytest.raises(sources.BatchError, match=r"row 5 is float32 \[3\], row 0 is float32 \[2\]"):
        streams.from_rows(rows, n_critic=1, batch_size=6).fetch(0, 1)


@pytest.mark.parametrize(
    ("low", "high", "images", "far"),
    [
        (-1, 1, True, False),
        (0, 1, True, False),
        (-8, 8, True, False),  # the limits themselves
        (0, 8.25, True, True),
        (0, 1000, False, False),
        (-1000.25, 0, False, True),
        (-3, 3, True, False),  # divided by their standard deviation
        (0, 255, True, True),
        (-200, 0, True, True),
        (0, 255, False, False),  # a table may have any unit
        (1, 1e5, False, True),
        (np.nan, np.inf, True, False),  # found by whoever trains on it
    ],
)
def test_a_range_far_from_a_generators_is_said(low, high, images, far, recwarn):
    array = np.linspace(low, high, 64, dtype=np.float32)
    array = array.reshape(4, 4, 4, 1) if images else array.reshape(32, 2)
    batch = jax.ShapeDtypeStruct((1, *array.shape), "float32")
    makers = [
        lambda: sources.from_array(array, n_critic=1, batch_size=2),
        lambda: sources.from_array(jnp.asarray(array), n_critic=1, batch_size=2),
        lambda: sources.from_iterator(iter([array[None]]), batch).fetch(0, 1),
    ]
    for make in makers:
        if far:
            says = "far from what a generator makes: scale them"
            with pytest.warns(UserWarning, match=says) as warned:
                make()
            # it points at the line that gave the data
            assert {(w.filename, w.lineno) for w in warned} == {
                (__file__, make.__code__.co_firstlineno)
            }
        else:
            make()
    assert not recwarn.list


def made(name, mesh):
    data = np.arange(48.0, dtype=np.float32).reshape(16, 3)
    if name == "array":
        return sources.from_array(data, n_critic=3, batch_size=4, mesh=mesh)
    if name == "sampler":
        draw = lambda key, num: jax.random.normal(key, (num, 3))
        return sources.from_sampler(draw, n_critic=3, batch_size=4)
    return sources.from_iterator(itertools.repeat(data[:12].reshape(3, 4, 3)), SPEC)


SPEC = jax.ShapeDtypeStruct((3, 4, 3), np.float32)


@pytest.mark.parametrize("name", ["array", "sampler", "iterator"])
def test_the_axis_of_samples_is_divided_among_the_devices(name):
    """Not that of critic updates, and not the data's own; 4 devices, of which each has one row."""
    mesh = parallel.data_mesh(jax.devices()[:4])
    source = made(name, mesh)
    assert source.batch == SPEC

    def first(operand, key):
        xs, take = source.batches(operand, key, 2)
        return take(jax.tree.map(lambda x: x[0], xs))

    with jax.set_mesh(mesh):
        batch = jax.jit(first)(source.fetch(0, 2), jax.random.key(0))
    assert {shard.data.shape for shard in batch.addressable_shards} == {(3, 1, 3)}


@pytest.mark.parametrize("shape", [(), (2,), (4, 5, 1)])
def test_samples_may_have_any_rank(shape):
    draw = lambda key, num: jax.random.normal(key, (num, *shape))
    source = sources.from_sampler(draw, n_critic=2, batch_size=3)
    assert source.batch.shape == (2, 3, *shape)
    assert batches(source, jax.random.key(0), 0, 2).shape == (2, 2, 3, *shape)
