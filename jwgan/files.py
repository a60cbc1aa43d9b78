"""A file is written whole or not at all.

>>> import pathlib, tempfile
>>> folder = pathlib.Path(tempfile.mkdtemp())
"""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

AnyPath = str | os.PathLike[str]
_REMEDIES = {
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.ENOSPC: "free space on its disk",
    errno.EDQUOT: "free space in your quota of its disk",
}


@contextlib.contextmanager
def named(path: AnyPath) -> Iterator[None]:
    """Names the file, and a remedy, in an OSError that names no file.

    The system names the file that it cannot open; of one that it cannot write to the end it says
    only "File too large" or "No space left on device".

    Raises:
      OSError: what was raised inside, with its number if it has one.

    >>> with files.named("grid.png"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] grid.png cannot be written: No space left on device; free space on its disk
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        # NumPy has no number and no reason: "9000 requested and 20 written".
        remedy = _REMEDIES.get(error.errno or errno.ENOSPC, "mend its disk")
        what = f"{os.fspath(path)} cannot be written: {error.strerror or error}; {remedy}"
        raise (OSError(error.errno, what) if error.errno else OSError(what)) from error


def replace(path: Path, content: bytes | bytearray | Iterable[bytes]) -> None:
    """Writes a file whole or not at all; makes its folder. `content` may come in pieces.

    The content is on the disk before the file gets its name, in one rename: whoever reads the file,
    also after a kill, finds the old content or the new one.

    Raises:
      OSError: the disk is full, or the folder cannot be written; the old file is as it was, and
        nothing of the new one is left.

    >>> files.replace(folder / "new" / "note.txt", [b"whole ", b"or not"])
    >>> [(path.name, path.read_bytes()) for path in (folder / "new").iterdir()]
    [('note.txt', b'whole or not')]
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.unlink(missing_ok=True)
    try:
        # "x": a link or a pipe of that name is not written through.
        with named(path), unfinished.open("xb") as file:
            file.writelines([content] if isinstance(content, bytes | bytearray) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError:
        # A part of it would keep a full disk full.
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
