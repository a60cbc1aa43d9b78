"""A file is written whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path

AnyPath = str | os.PathLike[str]


def replace(path: Path, content: bytes | bytearray | Iterable[bytes]) -> None:
    """Writes a file whole or not at all; makes its folder. `content` may come in pieces.

    The content is on the disk before the file gets its name, in one rename: whoever reads the file,
    also after a kill, finds the old content or the new one.

    Raises:
      OSError: the disk is full, or the folder cannot be written; the old file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = draft(path)
    unfinished.unlink(missing_ok=True)
    with unfinished.open("xb") as file:  # a link or a pipe of that name is not written through
        file.writelines([content] if isinstance(content, bytes | bytearray) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def draft(path: Path) -> Path:
    """The name that a file has until it is whole."""
    return path.with_name(path.name + ".tmp")
