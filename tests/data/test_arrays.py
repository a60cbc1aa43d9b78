""".npy and .npz files, and the scaler: what is read, what is scaled, what is refused."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from jwgan import data
from jwgan.data import arrays, memory, scalers

RNG = np.random.default_rng(5)


def saved(tmp_path, x, name="x.npy"):
    np.save(tmp_path / name, x)
    return tmp_path / name


def test_bytes_are_pixels(tmp_path):
    x = RNG.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
    dataset, scaler = arrays.load(saved(tmp_path, x))
    assert scaler is None
    assert dataset.images.dtype == np.float32
    np.testing.assert_array_equal(np.rint((dataset.images + 1) * 127.5), x)
    assert (dataset.labels, dataset.test_images, dataset.class_names) == (None, None, ())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_in_range_stay_as_they_are(tmp_path, dtype):
    x = RNG.uniform(-1, 1, (7, 3)).astype(dtype)
    dataset, scaler = arrays.load(saved(tmp_path, x))
    assert scaler is None
    np.testing.assert_array_equal(dataset.images, x.astype(np.float32))
    assert dataset.notes == ()


@pytest.mark.parametrize("per_channel", [False, True])
def test_other_numbers_are_scaled_and_come_back(tmp_path, per_channel):
    x = RNG.normal(size=(9, 5, 2)) * [1e3, 1e-2] + [50, 0]
    dataset, scaler = arrays.load(saved(tmp_path, x), per_channel)
    assert (np.abs(dataset.images) <= 1).all()
    assert dataset.images.min() == -1
    assert dataset.images.max() == 1
    # Of one map for all values the small channel is hardly to be seen.
    assert (np.ptp(dataset.images[..., 1]) == 2) == per_channel
    np.testing.assert_allclose(scaler.decode(dataset.images), x, atol=3e-7 * np.ptp(x), rtol=0)
    assert "were scaled to [-1, 1]" in dataset.notes[0]
    again = scalers.from_dict(scaler.to_dict())
    np.testing.assert_array_equal(again.encode(x), dataset.images)


def test_whole_numbers_beside_bytes_are_scaled(tmp_path):
    dataset, scaler = arrays.load(saved(tmp_path, np.arange(12).reshape(6, 2)), per_channel=False)
    assert scaler.low.tolist() == [0]
    np.testing.assert_allclose(dataset.images.ravel(), np.linspace(-1, 1, 12), atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    arrays_of.arrays(
        np.float64, st.tuples(st.integers(2, 6), st.integers(1, 3)), elements=st.floats(-1e9, 1e9)
    )
)
def test_a_scaler_is_undone(x):
    if (np.ptp(x, axis=0) < 1e-3).any():
        return
    scaler = scalers.fit(x)
    scaled = scaler.encode(x)
    assert scaled.min() == -1
    assert scaled.max() == 1
    bound = 2**-23 * np.ptp(x, axis=0, keepdims=True) + 1e-12 * np.abs(x).max()
    assert (np.abs(scaler.decode(scaled) - x) <= bound).all()


def test_labels_and_held_out_parts_under_their_usual_names(tmp_path):
    x, test = RNG.integers(0, 256, (5, 2, 2, 1), np.uint8), np.zeros((3, 2, 2, 1), np.uint8)
    y, y_test = np.array([0, 1, 2, 0, 1]), np.array([[3], [0], [1]])
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=test, y_test=y_test)
    dataset, _ = arrays.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(np.rint((dataset.images + 1) * 127.5), x)
    assert dataset.labels.tolist() == y.tolist()
    assert dataset.test_labels.tolist() == [3, 0, 1]
    assert dataset.class_names == ("0", "1", "2", "3")
    assert len(dataset.test_images) == 3
    np.savez_compressed(tmp_path / "b.npz", whatever=x)
    np.testing.assert_array_equal(arrays.load(tmp_path / "b.npz")[0].images, dataset.images)


def test_columns_have_units_of_their_own_and_pixels_one(tmp_path):
    columns, _ = arrays.load(saved(tmp_path, RNG.normal(size=(9, 2)) * [1e3, 1e-2]))
    assert np.ptp(columns.images, axis=0).tolist() == [2, 2]
    # Pictures [H, W] have no channels to tell apart, and flat ones have a border.
    flat = RNG.uniform(0, 255, (9, 3)) * [1, 1, 0]
    for x in (RNG.normal(size=(9, 2, 2)) * [1e3, 1], RNG.normal(size=(9, 2, 2, 2)), flat):
        pixels, scaler = arrays.load(saved(tmp_path, x))
        assert len(scaler.low) == 1
        assert np.ptp(pixels.images) == 2


def test_orders_of_memory_do_not_matter(tmp_path):
    x = np.asfortranarray(RNG.uniform(-1, 1, (4, 3, 2)))
    np.testing.assert_array_equal(arrays.load(saved(tmp_path, x))[0].images, x.astype(np.float32))


def holed():
    x = np.ones((4, 3))
    x[2, 1], x[3, 0] = np.nan, np.inf
    return x


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (holed(), r"the value at \[2, 1\] is nan, 2 of them are not finite"),
        (np.full((4, 3), 7.0), r"constant channels is \[0\]"),
        (np.ones(5), r"shape \[5\], expected \[N, \*D\]"),
        (np.zeros((0, 3)), r"shape \[0, 3\]"),
        (np.array([["a", "b"]]), "expected numbers"),
        (np.ones((2, 2), complex), "expected numbers"),
        (np.zeros(3, [("a", "f4"), ("b", "f4")]), "expected numbers"),
    ],
)
def test_arrays_that_are_refused(tmp_path, x, says):
    with pytest.raises(data.DataError, match=says) as caught:
        arrays.load(saved(tmp_path, x))
    assert "x.npy: " in str(caught.value)


KINDS = {
    "bytes": RNG.integers(0, 256, (9, 4, 5, 3), dtype=np.uint8),
    "floats in range": RNG.uniform(-1, 1, (9, 3)).astype(np.float32),
    "one map": RNG.normal(size=(9, 2, 3)) * 40,
    "columns": RNG.normal(size=(9, 3)) * [1e3, 1, 1e-2],
    "whole numbers": RNG.integers(-5, 900, (9, 2)),
    "halves": RNG.uniform(0, 7, (9, 2, 2)).astype(np.float16),
    "by columns": np.asfortranarray(RNG.normal(size=(9, 3)) * 5),
    "yes and no": RNG.integers(0, 2, (9, 4)) > 0,
    "the other end first": (RNG.normal(size=(9, 3)) * 5).astype(">f8"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [1, 300, arrays._BLOCK])
def test_rows_of_a_mapped_file_are_those_in_memory(tmp_path, kind, block, monkeypatch):
    monkeypatch.setattr(arrays, "_BLOCK", block)  # read in blocks of a row, of some, of all
    path = saved(tmp_path, KINDS[kind])
    (dataset, scaler), rows = arrays.load(path), arrays.ArrayRows(path)
    assert isinstance(rows._x, np.memmap)
    found = np.stack([rows[i] for i in range(len(rows))])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, dataset.images)
    assert rows.notes == dataset.notes
    assert (rows.scaler and rows.scaler.to_dict()) == (scaler and scaler.to_dict())
    # What is scaled has its ends where the whole array has them.
    if scaler:
        assert scaler.low.min() == KINDS[kind].min()
        assert scaler.high.max() == KINDS[kind].max()


def test_a_mapped_file_takes_no_memory(tmp_path):
    """Neither its range nor a row: 64 MB of float32 on a disk that stores no zeros."""
    path = tmp_path / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", np.float32, (16_000, 1000))
    x[9_000, 5], x[12_000, 7] = 3, -2
    del x
    tracemalloc.start()
    rows = arrays.ArrayRows(path)
    assert rows[9_000][5] == 1
    assert rows[12_000][7] == -1
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert rows.scaler.low.tolist() == [-2]


def test_what_is_refused_of_a_mapped_file(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "_BLOCK", 1)
    for x, says in (
        (holed(), r"the value at \[2, 1\] is nan, 2 of them are not finite"),
        (np.full((4, 3), 7.0), r"constant channels is \[0\]"),
        (np.ones(5), r"shape \[5\], expected \[N, \*D\]"),
        (np.zeros((0, 3)), r"shape \[0, 3\]"),
        (np.array([["a", "b"]]), "expected numbers"),
    ):
        with pytest.raises(data.DataError, match=says):
            arrays.ArrayRows(saved(tmp_path, x))


def test_a_pickle_is_not_opened(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}, None], object), allow_pickle=True)
    with pytest.raises(data.DataError, match="holds object, expected numbers"):
        arrays.load(tmp_path / "x.npy")


@pytest.mark.parametrize("read", [arrays.load, arrays.ArrayRows])
def test_damaged_and_lying_files(read, tmp_path):
    x = RNG.uniform(-1, 1, (50, 3))
    whole = saved(tmp_path, x).read_bytes()
    for body, says in (
        (whole[:-10], "truncated: 1190 of 1200 bytes"),
        (whole[:40], "save it again"),
        (b"", "save it again"),
        (b"no array at all", "magic string"),
        (whole.replace(b"(50, 3)", b"(9**9,)"), "save it again"),
        (whole.replace(b"(50, 3), ", b"(50, 3e1)"), "save it again"),
        (whole.replace(b"(50, 3), }", b"(50000000000000, 3), }"), "announced"),
    ):
        (tmp_path / "y.npy").write_bytes(body)
        with pytest.raises(data.DataError, match=says):
            read(tmp_path / "y.npy")
    with pytest.raises(data.DataError, match="no such file"):
        read(tmp_path / "none.npy")


def test_numbers_that_do_not_fit_the_memory(tmp_path, monkeypatch):
    saved(tmp_path, RNG.uniform(-1, 1, (50, 3)))
    monkeypatch.setattr(memory, "container", lambda: (1000, "this container"))
    with pytest.raises(data.DataError, match=r"its numbers take .* this container has"):
        arrays.load(tmp_path / "x.npy")


def test_archives_without_samples(tmp_path):
    np.savez(tmp_path / "a.npz", left=np.ones((2, 2)), right=np.ones((2, 2)))
    with pytest.raises(data.DataError, match="its arrays are left, right, none of them named"):
        arrays.load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x=np.eye(2), y=np.array([0, 1, 1]))
    with pytest.raises(data.DataError, match="3 labels for 2 samples"):
        arrays.load(tmp_path / "a.npz")
    for wrong in (np.array([0.5, 1]), np.array([-1, 0]), np.eye(2, dtype=int)):
        np.savez(tmp_path / "a.npz", x=np.eye(2), y=wrong)
        with pytest.raises(data.DataError, match=r"expected whole numbers \[N\] from 0 on"):
            arrays.load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x_train=np.eye(2), x_test=np.eye(3))
    with pytest.raises(data.DataError, match=r"held-out part has shape \[3, 3\]"):
        arrays.load(tmp_path / "a.npz")
    # A member that says it is larger than it is.
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        out = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            out, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 2)}
        )
        archive.writestr("x.npy", out.getvalue())
    with pytest.raises(data.DataError, match="truncated"):
        arrays.load(tmp_path / "b.npz")


@pytest.mark.parametrize(
    "found",
    [
        None,
        {},
        {"low": [0], "high": [0]},
        {"low": [0, 1], "high": [2]},
        {"low": [], "high": []},
        {"low": [True], "high": [2]},
        {"low": ["0"], "high": [2]},
        {"low": [0], "high": [float("nan")]},
        {"low": [0], "high": [10**400]},
        {"low": 0, "high": 1},
    ],
)
def test_a_strangers_scaler_is_checked(found):
    with pytest.raises(ValueError, match="its data's scaler"):
        scalers.from_dict(found)


def test_what_cannot_be_scaled():
    with pytest.raises(ValueError, match=r"not finite, in \(row, channel\) is \[1, 0\]"):
        scalers.fit(np.array([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match=r"constant channels is \[1\]"):
        scalers.fit(np.array([[1.0, 2.0], [3.0, 2.0]]))
