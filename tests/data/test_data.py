"""Loaders: real files, files written here byte by byte, and damaged ones."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_data import IMAGES, LABELS, RNG, idx_bytes, write_idx, write_tfds
from PIL import Image
from sklearn.datasets import load_digits

from jwgan import data
from jwgan.data import datasets


def one_line(error):
    message = str(error.value)
    assert "\n" not in message
    return message


# digits


def test_digits_are_scikit_learns_split_into_two_stratified_parts():
    digits = data.digits()
    assert digits.images.shape == (1442, 8, 8, 1)
    assert digits.test_images.shape == (355, 8, 8, 1)
    assert digits.images.dtype == digits.test_images.dtype == np.float32
    assert digits.labels.dtype == digits.test_labels.dtype == np.int32
    both = np.concatenate([digits.images, digits.test_images])
    assert (both.min(), both.max()) == (-1, 1)
    original = load_digits()
    ours = sorted(map(bytes, np.rint((both[..., 0] + 1) * 8).astype(np.uint8)))
    assert ours == sorted(map(bytes, original.images.astype(np.uint8)))  # each exactly once
    shares = np.bincount(digits.test_labels) / np.bincount(original.target)
    np.testing.assert_allclose(shares, 0.2, atol=0.01)


def test_digits_keep_image_and_label_together():
    digits, original = data.digits(), load_digits()
    label_of = dict(zip(map(bytes, original.images.astype(np.uint8)), original.target, strict=True))
    images = np.concatenate([digits.images, digits.test_images])
    pixels = np.rint((images[..., 0] + 1) * 8).astype(np.uint8)
    labels = [*digits.labels.tolist(), *digits.test_labels.tolist()]
    assert [label_of[bytes(image)] for image in pixels] == labels


# IDX


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("below", [".", "mnist", "MNIST/raw"])
def test_mnist_is_found_under_its_conventional_names(tmp_path, below, separator, gz):
    write_idx(tmp_path / below, separator=separator, gz=gz)
    mnist = data.mnist(tmp_path)
    np.testing.assert_array_equal(np.rint((mnist.images[..., 0] + 1) * 127.5), IMAGES)
    np.testing.assert_array_equal(mnist.labels, LABELS)
    np.testing.assert_array_equal(mnist.test_images, mnist.images[:10])
    np.testing.assert_array_equal(mnist.test_labels, LABELS[:10])
    assert mnist.images.shape == (30, 28, 28, 1)
    assert mnist.images.dtype == np.float32
    assert mnist.labels.dtype == np.int32
    assert (mnist.images.min(), mnist.images.max()) == (-1, 1)


def test_the_data_sets_own_folder_comes_before_the_folder_itself(tmp_path):
    write_idx(tmp_path / "mnist")
    write_idx(tmp_path, train_labels=LABELS[::-1].copy())
    np.testing.assert_array_equal(data.mnist(tmp_path).labels, LABELS)


def test_nothing_found_says_where_it_looked_and_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(data.DataError) as error:
        data.fashion_mnist(tmp_path)
    assert str(tmp_path / "fashion_mnist") in one_line(error)
    assert "apt-get install dataset-fashion-mnist" in one_line(error)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    with pytest.raises(data.DataError) as error:
        data.mnist()
    assert str(tmp_path / "tfds" / "mnist") in one_line(error)
    assert "python -m jwgan.run convert mnist" in one_line(error)
    with pytest.raises(data.DataError, match="no such folder"):
        data.mnist(tmp_path / "absent")


RAW = idx_bytes(IMAGES)
GZ = gzip.compress(RAW)
DAMAGE = {
    "empty": (b"", True, "magic number none"),
    "text": (b"<html>404</html>", True, "magic number 3c68746d"),
    "labels' magic": (idx_bytes(LABELS), True, "magic number 00000801, expected 00000803"),
    "int32 entries": (b"\0\0\x0c\x03" + RAW[4:], True, "magic number 00000c03"),
    "header cut": (RAW[:10], True, "header ends after 10 bytes"),
    "cut": (RAW[:-1], True, "truncated: expected 23520 bytes of data after the header, got 23519"),
    "too long": (RAW + b"\0", True, "too long: expected 23520 bytes"),
    "32 x 32": (idx_bytes(np.zeros((3, 32, 32), np.uint8)), True, "[3, 32, 32], expected [N, 28"),
    "gzip cut": (GZ[:-100], True, "end-of-stream"),
    "gzip CRC": (GZ[:-8] + bytes([GZ[-8] ^ 1]) + GZ[-7:], True, "CRC"),
    "gzip length": (GZ[:-1] + b"\x7f", True, "length"),
    "gzip header": (GZ[:2] + b"\x07" + GZ[3:], True, "compression method"),
    "gzip of too little": (gzip.compress(RAW[:-9]), True, "truncated: expected 23520"),
    "no images": (idx_bytes(IMAGES[:0]), False, "30 labels for the 0 images"),
    "fewer images": (idx_bytes(IMAGES[:29]), False, "30 labels for the 29 images"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, damage):
    content, names_images, expected = DAMAGE[damage]
    write_idx(tmp_path, train_images=content)
    with pytest.raises(data.DataError) as error:
        data.mnist(tmp_path)
    message = one_line(error)
    part = "train-images-idx3" if names_images else "train-labels-idx1"
    assert message.startswith(str(tmp_path / f"{part}-ubyte.gz"))
    assert expected in message


def test_labels_out_of_range_and_a_missing_file_are_named(tmp_path):
    write_idx(tmp_path / "a", t10k_labels=LABELS[:10] + 1)
    with pytest.raises(data.DataError, match="label 10, expected 0 to 9"):
        data.mnist(tmp_path / "a")
    (write_idx(tmp_path / "b") / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(data.DataError, match=r"t10k-labels-idx1-ubyte\[.gz\] is missing"):
        data.mnist(tmp_path / "b")


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("num", "says"), [(80_000, "truncated: expected 62720000"), (2**32 - 1, "announces 33672543")]
)
def test_a_header_that_lies_does_not_allocate(tmp_path, num, says, compress):
    path = tmp_path / "images"
    header = b"\0\0\x08\x03" + num.to_bytes(4, "big") + b"\0\0\0\x1c" * 2
    path.write_bytes(compress(header + b"\0" * 1000))
    tracemalloc.start()
    with pytest.raises(data.DataError, match=says):
        datasets.read_idx(path, (28, 28))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_gzip_bomb_is_refused_before_it_grows(tmp_path):
    path = tmp_path / "images.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"\0\0\x08\x03" + (200_000).to_bytes(4, "big") + b"\0\0\0\x1c" * 2)
        for _ in range(200):
            file.write(bytes(784_000))
    assert path.stat().st_size < 10**6
    tracemalloc.start()
    with pytest.raises(data.DataError, match="announces 156800000 bytes"):
        datasets.read_idx(path, (28, 28))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("kind", ["pipe", "folder", "nothing"])
def test_an_idx_file_that_is_no_file_is_not_waited_for(tmp_path, kind):
    make = {"pipe": os.mkfifo, "folder": os.mkdir, "nothing": lambda path: None}
    make[kind](tmp_path / "images")
    with pytest.raises(data.DataError, match="no such file, or no regular one"):
        datasets.read_idx(tmp_path / "images", (28, 28))


def test_a_name_with_a_line_end_stays_one_line(tmp_path):
    with pytest.raises(data.DataError, match="no such folder") as error:
        data.mnist(tmp_path / "two\nlines\x1b[31m")
    assert "two\\nlines\\x1b[31m" in one_line(error)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(at=st.integers(0, len(GZ) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_in_a_gzip_file_never_changes_the_images(tmp_path_factory, at, bit):
    path = tmp_path_factory.mktemp("flip") / "images.gz"
    path.write_bytes(GZ[:at] + bytes([GZ[at] ^ 1 << bit]) + GZ[at + 1 :])
    try:  # gzip's header has bits that say nothing about the content
        read = datasets.read_idx(path, (28, 28))
    except data.DataError:
        return
    np.testing.assert_array_equal(read, IMAGES)


def test_fashion_mnist_is_the_real_one():
    # Debian's package; .ci/run installs it.  Not there: DataError says how to install it.
    fashion = data.fashion_mnist()
    assert fashion.images.shape == (60_000, 28, 28, 1)
    assert fashion.test_images.shape == (10_000, 28, 28, 1)
    assert np.bincount(fashion.labels).tolist() == [6_000] * 10
    assert np.bincount(fashion.test_labels).tolist() == [1_000] * 10
    assert fashion.class_names[fashion.labels[0]] == "Ankle boot"
    # Mean and deviation of the training pixels, as its authors' repository states them.
    pixels = (fashion.images[:, :, :, 0] + 1) / 2
    assert pixels.mean(dtype=np.float64) == pytest.approx(0.2860, abs=5e-5)
    assert pixels.std(dtype=np.float64) == pytest.approx(0.3530, abs=5e-5)


# TFDS


@pytest.fixture(scope="module")
def fashion_tfds(tmp_path_factory):
    """A small fashion_mnist prepared by TFDS, and what was written."""
    folder = tmp_path_factory.mktemp("tfds")
    small = data.fashion_mnist(write_idx(folder / "idx"))
    write_tfds(small, folder / "tfds")
    return folder / "tfds", small


def test_fashion_mnist_is_read_from_a_tfds_folder(fashion_tfds):
    data_dir, written = fashion_tfds
    read = data.fashion_mnist(data_dir)
    for name in ("images", "labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
        assert getattr(read, name).dtype == getattr(written, name).dtype
    assert read.class_names == written.class_names
    assert read.source.endswith("3.0.1 (TFDS)")


def test_it_is_the_folder_that_tfds_itself_opens(fashion_tfds):
    import tensorflow_datasets as tfds

    data_dir, written = fashion_tfds
    options = {"split": "train", "data_dir": str(data_dir), "download": False}
    source = tfds.data_source("fashion_mnist", **options)
    assert len(source) == len(written.images)
    np.testing.assert_array_equal(source[3]["image"][..., 0], IMAGES[3])
    assert source[3]["label"] == LABELS[3]


def test_tfds_default_folder_comes_from_its_environment_variable(fashion_tfds, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(fashion_tfds[0]))
    assert len(data.from_tfds("fashion_mnist").images) == 30


def test_digits_through_tfds_by_name_and_the_newest_version(tmp_path):
    digits = data.digits()
    folder = write_tfds(digits, tmp_path)
    folder.rename(folder.parent / "10.0.0")
    (folder.parent / "9.0.0").mkdir()
    (folder.parent / "9.0.0" / "dataset_info.json").write_text("not json")
    read = data.from_tfds("digits", tmp_path)
    np.testing.assert_allclose(read.images, digits.images, atol=0.5 / 127.5 + 1e-6)
    np.testing.assert_array_equal(read.test_labels, digits.test_labels)


def test_a_damaged_tfds_folder_is_named(fashion_tfds, tmp_path):
    with pytest.raises(data.DataError, match="no prepared TFDS data set"):
        data.from_tfds("cifar10", tmp_path)
    folder = write_tfds(fashion_tfds[1], tmp_path)
    record = next(folder.glob("*train*"))
    record.write_bytes(record.read_bytes()[:1000])
    with pytest.raises(data.DataError, match="TFDS cannot read it") as error:
        data.fashion_mnist(tmp_path)
    assert str(folder) in one_line(error)


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def broken_tfds(fashion_tfds, tmp_path):
    """The prepared folder of a copy to spoil."""
    shutil.copytree(fashion_tfds[0], tmp_path / "tfds")
    return tmp_path / "tfds" / "fashion_mnist" / "3.0.1"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("features.json", lambda f: f.update(pythonClassName="jwgan_trap.Feature")),
        ("features.json", lambda f: f.update(python_class_name="jwgan_trap.Feature")),
        ("features.json", lambda f: f.update(type="jwgan_trap.Feature", content={})),
        ("dataset_info.json", lambda f: f.update(features={"pythonClassName": "jwgan_trap.X"})),
    ],
)
def test_a_tfds_folder_cannot_have_a_module_imported(broken_tfds, monkeypatch, name, change):
    trap = broken_tfds.parent.parent
    (trap / "jwgan_trap.py").write_text("")
    monkeypatch.syspath_prepend(str(trap))
    edit(broken_tfds / name, change)
    with pytest.raises(data.DataError, match="is no feature of TFDS's own"):
        data.fashion_mnist(trap)
    assert "jwgan_trap" not in sys.modules


@pytest.mark.parametrize("length", [1, 29, 31, 10**12])
def test_a_tfds_folder_that_miscounts_its_records(broken_tfds, length):
    change = lambda info: info["splits"][0].update(shardLengths=[str(length)])
    edit(broken_tfds / "dataset_info.json", change)
    with pytest.raises(data.DataError, match=f"holds 30 records, .* says {length};"):
        data.fashion_mnist(broken_tfds.parent.parent)


def test_a_tfds_folder_cannot_read_beside_itself(broken_tfds):
    shutil.copy(next(broken_tfds.glob("*train*")), broken_tfds.parent / "x")
    change = lambda info: info["splits"][0].update(filepathTemplate="../x")
    edit(broken_tfds / "dataset_info.json", change)
    with pytest.raises(data.DataError, match="is not in the folder"):
        data.fashion_mnist(broken_tfds.parent.parent)
    for name in ("../tfds/fashion_mnist", str(broken_tfds), "", "fashion_mnist/.."):
        with pytest.raises(data.DataError, match="name is"):
            data.from_tfds(name, broken_tfds.parent.parent)


@pytest.mark.parametrize("part", ["test", "label"])
def test_mnist_from_tfds_is_whole(broken_tfds, part):
    if part == "test":
        edit(broken_tfds / "dataset_info.json", lambda info: info["splits"].pop())
    else:
        change = lambda features: features["featuresDict"]["features"].pop("label")
        edit(broken_tfds / "features.json", change)
    with pytest.raises(data.DataError, match="no labels, or no split test"):
        data.fashion_mnist(broken_tfds.parent.parent)


def test_class_names_do_not_come_from_a_file_that_may_be_damaged(broken_tfds):
    (broken_tfds / "label.labels.txt").write_text("cat\n" * 10)
    assert data.fashion_mnist(broken_tfds.parent.parent).class_names[9] == "Ankle boot"
    (broken_tfds / "label.labels.txt").write_text("cat\n" * 3)
    with pytest.raises(data.DataError, match="label 9 in split train, expected 0 to 2"):
        data.fashion_mnist(broken_tfds.parent.parent)


def test_a_tfds_folder_with_a_pipe_is_not_waited_for(broken_tfds):
    (broken_tfds / "features.json").unlink()
    os.mkfifo(broken_tfds / "features.json")
    with pytest.raises(data.DataError, match=r"features.json is no regular file"):
        data.fashion_mnist(broken_tfds.parent.parent)


# folders


def save(path, color, size=(8, 8), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)


def test_folder_reads_the_tree_in_path_order(tmp_path):
    save(tmp_path / "b.JPG", (255, 255, 255))
    save(tmp_path / "a" / "c.png", (255, 0, 0))
    save(tmp_path / "a" / "d.jpeg", (0, 0, 0))
    save(tmp_path / "a" / ".hidden.png", (9, 9, 9))
    (tmp_path / "notes.txt").write_text("not an image")
    read = data.folder(tmp_path, image_size=4)
    assert read.images.shape == (3, 4, 4, 3)
    assert (read.images.dtype, read.labels) == (np.float32, None)
    np.testing.assert_array_equal(read.images[0], np.broadcast_to([1, -1, -1], (4, 4, 3)))
    np.testing.assert_array_equal(read.images[1], -np.ones((4, 4, 3)))
    np.testing.assert_array_equal(read.images[2], np.ones((4, 4, 3)))


def test_folder_crops_the_centre_and_keeps_the_orientation(tmp_path):
    wide = np.full((8, 24), 7, np.uint8)
    wide[:4, 8:16], wide[4:, 8:16] = 0, 255  # the centre: black above white
    Image.fromarray(wide).save(tmp_path / "wide.png")
    image = data.folder(tmp_path, image_size=8, channels=1).images[0, :, :, 0]
    np.testing.assert_array_equal(image[:4], -1)
    np.testing.assert_array_equal(image[4:], 1)


def test_folder_turns_grey_into_rgb_and_rgb_into_grey(tmp_path):
    save(tmp_path / "rgb.png", (255, 0, 0))
    save(tmp_path / "grey.png", 51, mode="L")
    rgb = data.folder(tmp_path, image_size=2).images[0]
    np.testing.assert_allclose(rgb, 51 / 127.5 - 1, atol=1e-6)
    grey = data.folder(tmp_path, image_size=2, channels=1).images[1]
    np.testing.assert_allclose(grey, 76 / 127.5 - 1, atol=1e-6)  # .299 red


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_an_unreadable_image_is_named(tmp_path, content):
    Image.fromarray(IMAGES[0]).save(tmp_path / "good.png")
    if content is None:
        content = (tmp_path / "good.png").read_bytes()[:-60]
    (tmp_path / "poor.png").write_bytes(content)
    with pytest.raises(data.DataError, match="unreadable image") as error:
        data.folder(tmp_path, image_size=4)
    assert one_line(error).startswith(str(tmp_path / "poor.png"))


def test_links_out_of_the_folder_are_refused(tmp_path):
    save(tmp_path / "outside" / "a.png", (0, 0, 0))
    inside = tmp_path / "inside"
    save(inside / "a.png", (0, 0, 0))
    (inside / "again.png").symlink_to(inside / "a.png")
    assert len(data.folder(inside, image_size=2).images) == 2
    for name, target in (("b.png", tmp_path / "outside" / "a.png"), ("c", tmp_path / "outside")):
        (inside / name).symlink_to(target)
        with pytest.raises(data.DataError, match=f"{name}: links to a place outside"):
            data.folder(inside, image_size=2)
        (inside / name).unlink()


def test_a_link_to_itself_is_an_unreadable_image(tmp_path):
    save(tmp_path / "good.png", (0, 0, 0))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert len(data.folder(tmp_path, image_size=2).images) == 1
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(data.DataError, match=r"loop.png: unreadable image"):
        data.folder(tmp_path, image_size=2)


@pytest.mark.parametrize("kind", ["pipe", "broken link"])
def test_an_image_that_is_no_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / "a.png"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(tmp_path / "gone")
    with pytest.raises(data.DataError, match=r"a.png: unreadable image: no regular file"):
        data.folder(tmp_path, image_size=2)
    with pytest.raises(data.DataError, match="no regular file"):
        datasets.read_image(path, 2, 3)


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path, monkeypatch):
    save(tmp_path / "a.png", (0, 0, 0))
    save(tmp_path / "locked" / "b.png", (0, 0, 0))
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root reads everything
    with pytest.raises(data.DataError, match=r"locked: .*Permission denied.*make it readable"):
        data.folder(tmp_path, image_size=2)


def test_hidden_folders_are_passed_over(tmp_path):
    save(tmp_path / "a.png", (0, 0, 0))
    save(tmp_path / ".thumbnails" / "a.png", (0, 0, 0))
    assert len(data.folder(tmp_path, image_size=2).images) == 1


def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    read = data.folder(tmp_path, image_size=8, channels=1).images[0, :, :, 0]
    np.testing.assert_array_equal(np.rint((read + 1) * 127.5), ramp >> 8)


@pytest.mark.parametrize("side", [8200, 2**31 - 1])
def test_an_image_that_announces_too_much_is_not_decoded(tmp_path, side):
    save(tmp_path / "a.png", 0, mode="L")
    png = bytearray((tmp_path / "a.png").read_bytes())
    png[16:24] = side.to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(data.DataError, match=r"8200 x 8200 pixels|exceeds limit"):
        data.folder(tmp_path, image_size=2)


def test_what_the_memory_cannot_hold_is_not_asked_for(tmp_path):
    save(tmp_path / "a.png", (0, 0, 0))
    with pytest.raises(data.DataError, match="image_size=10000000: 1 images of 3 channels take"):
        data.folder(tmp_path, image_size=10**7)
    with pytest.raises(data.DataError, match="give a smaller image_size"):
        data.resize(np.zeros((3, 8, 8, 1), np.float32), 10**7)


def test_folder_without_images_or_with_bad_arguments(tmp_path):
    with pytest.raises(data.DataError, match="no such folder"):
        data.folder(tmp_path / "absent", image_size=4)
    with pytest.raises(data.DataError, match=r"no .png, .jpg or .jpeg file"):
        data.folder(tmp_path, image_size=4)
    with pytest.raises(data.DataError, match="channels=2"):
        data.folder(tmp_path, image_size=4, channels=2)


# arrays


def test_resize_pads_with_black_and_averages_blocks():
    images = RNG.uniform(-1, 1, (3, 28, 28, 2)).astype(np.float32)
    padded = data.resize(images, 32)
    np.testing.assert_array_equal(padded[:, 2:30, 2:30], images)
    assert padded.sum() == pytest.approx(images.sum() - 3 * 2 * (32**2 - 28**2), rel=1e-4)
    halved = data.resize(images, 14)
    np.testing.assert_allclose(halved[:, 0, 0], images[:, :2, :2].mean((1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(data.resize(images, 28), images)
    assert padded.dtype == halved.dtype == np.float32
    for bad in (13, 0):
        with pytest.raises(data.DataError, match=f"size={bad}"):
            data.resize(images, bad)


def test_checksum_sees_bytes_shape_and_dtype():
    array = np.arange(6, dtype=np.float32)
    expected = hashlib.sha256(b"<f4 (6,)" + array.tobytes()).hexdigest()
    assert data.checksum(array) == expected
    assert data.checksum(np.repeat(array, 2)[::2]) == expected
    others = [array.reshape(2, 3), array.view(np.int32), array[::-1], array[:0]]
    assert len({expected, *map(data.checksum, others)}) == 5


def test_importing_it_is_light():
    heavy = ("sklearn", "PIL", "tensorflow_datasets", "flax")
    code = f"import sys, jwgan.data; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
