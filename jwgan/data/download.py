"""Downloads a file whose size and checksum are known; goes on where an earlier try was cut.

What has arrived lies in NAME.part until it is whole and its SHA-256 is the announced one: a file
under its own name is always the right one. Nothing beyond the announced size is written.

The functions' examples fetch this file as they would one of another machine:

>>> import hashlib, pathlib, tempfile
>>> from jwgan.data import download
>>> folder, body = pathlib.Path(tempfile.mkdtemp()), b"twenty bytes in all."
>>> _ = (folder / "there.bin").write_bytes(body)
>>> address, digest = (folder / "there.bin").as_uri(), hashlib.sha256(body).hexdigest()
>>> remote = download.Remote(address, len(body), digest)
"""

import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jwgan import check, files
from jwgan.data.errors import DataError

_PIECE = 1 << 20  # bytes
_TRIES = 3  # in a row without a single new byte
_SECONDS = 60  # without a byte until a connection counts as lost
# What a connection can end with, from the first byte to the last.
_LOST = (
    *(urllib.error.URLError, http.client.HTTPException),
    *(ConnectionError, TimeoutError, ssl.SSLError),
)


class Remote(NamedTuple):
    """A file elsewhere.

    Attributes:
      url: http, https, or file of a disk that is mounted here.
      size: in bytes.
      sha256: of its bytes, hexadecimal.
    """

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Its last part, the file's name here."""
        return self.url.rpartition("/")[2]


def fetch(
    remote: Remote, folder: Path, show: Callable[[str, int, int], None] = lambda *_: None
) -> Path:
    """The file in a folder: the one that is there, or downloaded.

    Args:
      remote: what to download.
      folder: it is made.
      show: called with (name, bytes there, bytes in all) now and then.

    Returns:
      Its path.

    Raises:
      DataError: it cannot be reached, or was cut (a later call goes on from there), or what is
        there is not that file.

    >>> path = download.fetch(remote, folder / "here")
    >>> path.relative_to(folder).as_posix(), path.read_bytes()
    ('here/there.bin', b'twenty bytes in all.')
    """
    path = folder / remote.name
    if path.exists():
        require_checksum(path, remote)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    if part.exists() and not part.is_file():
        raise DataError(f"{part}: no regular file; remove it")
    failed, there = 0, _size(part)
    while there < remote.size:
        try:
            _receive(remote, part, lambda there: show(remote.name, there, remote.size))
            error: Exception | None = None
        except _LOST as caught:  # any other OSError is this machine's: the disk is full, say
            if isinstance(caught, urllib.error.HTTPError):
                caught.close()  # it is an open answer as well
            error = caught
        failed, there = (0 if _size(part) > there else failed + 1), _size(part)
        if failed >= _TRIES:
            raise _cut(remote, part, there, error)
    if (found := _sha256(part)) != remote.sha256:
        part.unlink()
        raise DataError(
            f"{remote.url}: its SHA-256 is {found}, expected {remote.sha256}: another file, or "
            "damaged on its way; it was removed, run the command again"
        )
    os.replace(part, path)
    return path


def require_checksum(path: Path, remote: Remote) -> None:
    """Raises DataError unless a file that lies here is the announced one.

    >>> download.require_checksum(folder / "there.bin", remote)
    >>> download.require_checksum(folder / "there.bin", remote._replace(size=100))
    Traceback (most recent call last):
    jwgan.data.errors.DataError: ...there.bin: 20 bytes, expected 100: cut, or another file; remove
    it and download it again
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file, or no regular one; give the original archive")
    if (size := path.stat().st_size) != remote.size:
        raise DataError(
            f"{path}: {size} bytes, expected {remote.size}: cut, or another file; remove it and "
            "download it again"
        )
    if (found := _sha256(path)) != remote.sha256:
        raise DataError(
            f"{path}: its SHA-256 is {found}, expected {remote.sha256}: damaged, or another file; "
            "remove it and download it again"
        )


def _receive(remote: Remote, part: Path, show: Callable[[int], None]) -> None:
    """Appends what is missing of a file; returns early where the connection ends."""
    there = _size(part)
    headers = {"User-Agent": "jwgan"} | ({"Range": f"bytes={there}-"} if there else {})
    request = urllib.request.Request(remote.url, headers=headers)
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
        # A server that cannot resume sends all of it, with 200 in place of 206.
        if answer.status != 206:
            part.write_bytes(b"")
            there = 0
        while there < remote.size:
            piece = answer.read(min(_PIECE, remote.size - there))
            if not piece:
                return
            with files.named(part), open(part, "ab") as file:
                file.write(piece)
            there += len(piece)
            show(there)


def _cut(remote: Remote, part: Path, there: int, error: Exception | None) -> DataError:
    why = f" ({check.one_line(error)})" if error else ""
    if not there:
        return DataError(f"{remote.url}: cannot be downloaded{why}; try again, or give the file")
    return DataError(
        f"{remote.url}: cut after {there} of {remote.size} bytes{why}; run the command again, it "
        f"goes on from {part}"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
