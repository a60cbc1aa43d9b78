"""Refuses arrays that this machine, its container or its accelerator can never hold.

>>> import pathlib, tempfile, types
>>> from jwgan.data import memory
"""

import os
from pathlib import Path
from typing import Any

import jax

from jwgan.data import errors

_GIB = 2**30


def require(num_bytes: int, what: str, remedy: str) -> None:
    """Raises DataError for an array that this machine cannot hold, before it is allocated.

    The whole memory counts, not what is free of it: this refuses what can never fit and says
    nothing about what is tight today.

    Args:
      num_bytes: of the array.
      what: names it, in the plural: "the images".
      remedy: what to do, after a semicolon.

    >>> memory.require(1000, "the images", "take fewer")
    >>> memory.require(2**60, "the images", "take fewer")
    Traceback (most recent call last):
    jwgan.data.errors.DataError: the images take 1073741824.0 GiB, this ... has ... GiB; take fewer
    """
    limits = [(there, name) for there, name in (_machine(), container()) if there is not None]
    if limits and num_bytes > min(limits)[0]:
        there, name = min(limits)
        sizes = f"{num_bytes / _GIB:.1f} GiB, {name} has {there / _GIB:.1f} GiB"
        raise errors.DataError(f"{what} take {sizes}; {remedy}")


def require_on_device(num_bytes: int, what: str, remedy: str, device: Any = None) -> None:
    """Raises DataError for arrays that an accelerator cannot hold, where its memory is known.

    Args:
      num_bytes: on one device.
      what: names them, in the plural.
      remedy: what to do, after a semicolon.
      device: a `jax.Device`; the first local one unless given.

    >>> device = types.SimpleNamespace(
    ...     device_kind="tiny", memory_stats=lambda: {"bytes_limit": 2**30}
    ... )
    >>> memory.require_on_device(2**31, "the images", "take fewer", device)
    Traceback (most recent call last):
    jwgan.data.errors.DataError: the images take 2.0 GiB, a device (tiny) has 1.0 GiB; take fewer
    """
    device = device or jax.local_devices()[0]
    # None on a CPU, and on accelerators whose driver does not tell.
    there = (device.memory_stats() or {}).get("bytes_limit")
    if there and num_bytes > there:
        sizes = (
            f"{num_bytes / _GIB:.1f} GiB, a device ({device.device_kind}) has {there / _GIB:.1f}"
        )
        raise errors.DataError(f"{what} take {sizes} GiB; {remedy}")


def _machine() -> tuple[int | None, str]:
    """(bytes, name) of the machine's memory; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "this machine"
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None, "this machine"


def container(root: str | os.PathLike = "/") -> tuple[int | None, str]:
    """(bytes, name) of the smallest limit of the control groups around this process.

    Linux, Control Group v2 (/sys/fs/cgroup/.../memory.max) and v1
    (/sys/fs/cgroup/memory/.../memory.limit_in_bytes). None without a limit.

    Args:
      root: where /proc and /sys are.

    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> for name, text in {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "1024"}.items():
    ...     (root / name).parent.mkdir(parents=True)
    ...     _ = (root / name).write_text(text)
    >>> memory.container(root)
    (1024, 'this container')
    """
    root, limits = Path(root), []
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        lines = []  # no Linux
    # Each line is "number:controllers:path"; version 2 names no controllers.
    for controllers, path in (line.split(":", 2)[1:] for line in lines if line.count(":") >= 2):
        if controllers and "memory" not in controllers.split(","):
            continue
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        top = root / ("sys/fs/cgroup/memory" if controllers else "sys/fs/cgroup")
        folder = top / path.lstrip("/")
        # A limit of any group above holds as well. Inside a container the path may name groups
        # that are not shown there: then the top is the container's own group.
        for group in (folder, *folder.parents):
            if group.is_relative_to(top):
                limits.append(_number(group / name))
    found = [limit for limit in limits if limit is not None]
    return min(found, default=None), "this container"


def _number(path: Path) -> int | None:
    """The number in a file; None if there is no file, or "max" in it."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
