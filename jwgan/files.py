"""A file is written whole or not at all."""

import os
from pathlib import Path

AnyPath = str | os.PathLike[str]


# --- files


def replace(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".tmp")
    draft.unlink(missing_ok=True)
    with draft.open("xb") as file:  # a link or a pipe of that name is not written through
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
