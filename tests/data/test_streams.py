"""Streamed rows: every row once an epoch, batch t the same whenever it is asked for."""

import jax
import numpy as np
import pytest
from PIL import Image

from jwgan import data, parallel
from jwgan.data import streams

ROWS = np.arange(20, dtype=np.float32).reshape(10, 2)


def stream(rows=ROWS, n_critic=2, batch_size=3, **kwargs):
    return streams.from_rows(rows, n_critic=n_critic, batch_size=batch_size, **kwargs)


def draws(source, steps):
    """Row numbers in the order in which they are drawn."""
    return np.asarray(source.fetch(0, steps))[..., 0].ravel() // 2


def test_batches_have_the_announced_shape():
    source = stream()
    chunk = source.fetch(0, 4)
    assert chunk.shape == (4, *source.batch.shape) == (4, 2, 3, 2)
    assert chunk.dtype == source.batch.dtype == np.float32
    xs, take = source.batches(chunk, None, 4)
    np.testing.assert_array_equal(take(xs[1]), chunk[1])


def test_every_epoch_is_a_new_permutation():
    order = draws(stream(), 10).reshape(6, 10)  # 10 steps of 6 rows are 6 epochs of 10
    assert (np.sort(order, axis=1) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in order}) == 6


@pytest.mark.parametrize("first", [0, 3, 7, 1])
def test_the_position_is_the_step(first):
    whole = np.asarray(stream().fetch(0, 12))
    source = stream()
    source.fetch(2, 3)  # wherever it stood before
    np.testing.assert_array_equal(source.fetch(first, 4), whole[first : first + 4])


def test_the_seed_is_the_order():
    assert (draws(stream(seed=1), 5) == draws(stream(seed=1), 5)).all()
    assert (draws(stream(seed=1), 5) != draws(stream(seed=2), 5)).any()


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_processes_read_their_own_part_of_every_batch(parts, monkeypatch):
    """Together, in their order, they read what a single one reads, and no row twice."""
    whole = np.asarray(stream(n_critic=2, batch_size=4).fetch(0, 5))
    locals_ = []
    monkeypatch.setattr(jax, "process_count", lambda: parts)
    monkeypatch.setattr(
        jax, "make_array_from_process_local_data", lambda sharding, chunk: locals_.append(chunk)
    )
    mesh = parallel.data_mesh(jax.devices()[:1])
    for part in range(parts):
        monkeypatch.setattr(jax, "process_index", lambda part=part: part)
        stream(n_critic=2, batch_size=4, mesh=mesh).fetch(0, 5)
    np.testing.assert_array_equal(np.concatenate(locals_, axis=2), whole)


def test_batches_that_processes_do_not_divide(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match="batch_size is 3: give a multiple of the 2 processes"):
        stream(batch_size=3, mesh=parallel.data_mesh(jax.devices()[:1]))


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"n_critic": 0}, "n_critic is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"rows": ROWS[:0]}, "number of rows is 0"),
    ],
)
def test_bad_arguments(kwargs, says):
    with pytest.raises(ValueError, match=says):
        stream(**kwargs)


def write_images(folder, count=6):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        Image.fromarray(np.full((9, 9), 20 * i, np.uint8)).save(folder / f"{i}.png")
    return folder


def test_folder_rows_are_read_when_asked_for(tmp_path):
    folder = write_images(tmp_path / "images")
    rows = streams.FolderRows(folder, image_size=8, channels=1)
    eager = data.folder(folder, image_size=8, channels=1).images
    assert len(rows) == 6
    np.testing.assert_allclose(np.stack([rows[i] for i in range(6)]), eager, atol=1e-6)
    (folder / "4.png").write_bytes(b"not an image")
    rows[3]
    with pytest.raises(data.DataError, match=r"4\.png: unreadable image"):
        rows[4]
    source = stream(rows, n_critic=1, batch_size=2)
    with pytest.raises(data.DataError, match=r"4\.png: unreadable image"):
        source.fetch(0, 3)
