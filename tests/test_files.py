"""A file is written whole or not at all; what cannot be written is named, with a remedy."""

import errno
import os

import numpy as np
import pytest
from disks import full_disk

from jwgan import files


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EFBIG, "ulimit -f"),
        (errno.ENOSPC, "free space on its disk"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "mend its disk"),
    ],
)
def test_a_write_that_fails_names_the_file_and_a_remedy(number, remedy, tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def fails(descriptor):
        raise OSError(number, os.strerror(number))  # as the system says it: without the file

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match=remedy) as caught:
        files.replace(path, b"new")
    assert caught.value.errno == number
    assert f"{path} cannot be written: {os.strerror(number)}; " in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.json"]  # no part of the new one is left


def test_an_error_that_names_a_file_is_left_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, files.named(tmp_path / "a"):
        (tmp_path / "b").read_bytes()
    assert caught.value.filename == str(tmp_path / "b")
    with pytest.raises(ValueError, match="other"), files.named("a"):
        raise ValueError("other")


def test_an_array_that_does_not_fit(tmp_path):
    """NumPy counts what it could not write, and gives neither a number nor a reason."""
    with (
        full_disk(1000),
        pytest.raises(OSError, match=r"x\.npy cannot be written: .*; (free|raise)"),
        files.named(tmp_path / "x.npy"),
        open(tmp_path / "x.npy", "wb") as file,
    ):
        np.save(file, np.zeros(9000))
