"""What a run depends on: versions, device, source revision. No path and no host name."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "jwgan")


def environment() -> dict[str, Any]:
    """Collects versions, device and source revision; no path and no host name is among them.

    >>> found = report.environment()
    >>> found["jax"] == jax.__version__, found["backend"] == jax.default_backend()
    (True, True)
    """
    # Flags change what XLA computes, so they belong to the result. One with a slash (a dump folder)
    # names a place of this machine, and stays out.
    flags = os.environ.get("XLA_FLAGS", "").split()
    return {
        "python": platform.python_version(),
        **{name: version for name in PACKAGES if (version := _version(name))},
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_cores": os.cpu_count(),
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "device_count": jax.device_count(),
        "x64": bool(jax.config.jax_enable_x64),  # type: ignore[attr-defined]
        "xla_flags": " ".join(flag for flag in flags if "/" not in flag),
        "git_revision": revision(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def revision(file: str | Path = __file__, *, ignored: tuple[str, ...] = ()) -> str | None:
    """Reads the commit of the checkout that holds a file, with `+changes` if files differ from it.

    Args:
      file: a tracked file of the checkout.
      ignored: paths from the checkout's root whose changes do not count.

    Returns:
      The hash; None if no checkout tracks the file.

    >>> import pathlib, tempfile
    >>> print(provenance.revision(pathlib.Path(tempfile.mkdtemp()) / "in_no_checkout.py"))
    None
    """
    here = Path(file).resolve()

    def git(*args: str) -> str:
        command = ["git", "-C", str(here.parent), *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        # Installed in a virtual environment inside somebody's repository, this file is not tracked:
        # that repository's commit says nothing of us. git then fails, and the except below answers.
        if git("ls-files", "--error-unmatch", here.name) == "":
            return None
        # Untracked files are left out: run directories and pictures lie about in any checkout.
        where = [":/", *(f":(top,exclude){path}" for path in ignored)]
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *where)
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    # No git, no checkout, or a git that waits too long for its disk: a run must not fail for that.
    except (OSError, subprocess.SubprocessError):
        return None
