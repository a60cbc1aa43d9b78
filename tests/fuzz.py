"""Trying bad input: cases, each from a seed of its own, damage, and what a refusal must be like.

The property everywhere: it works and gives the right thing, or it is refused in one clear line.
Whatever is typed or lies on the disk, there is no other exception, no hang, no run overwritten,
nothing written or read outside its folder and nothing unpickled. A failure names the case that
repeats it: `np.random.default_rng([crc32(kind), number])`.
"""

import collections
import contextlib
import functools
import json
import math
import os
import pathlib
import shutil
import signal
import socket
import traceback
import zlib

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# kind: (by default, in the slow suite)
CASES = {
    "configurations": (40, 1200),
    "command lines": (300, 3000),
    "damaged config.json on a resume": (30, 300),
    "IDX files": (150, 2800),
    "image folders": (120, 1500),
    "TFDS folders": (40, 500),
    "emoji fonts": (60, 1500),
    "checkpoints": (40, 700),
    "metrics": (60, 900),
    "pages": (40, 400),
    "what a resume reads": (150, 6000),
    "seals": (60, 2000),
    "compilation caches": (40, 700),
}
LONG = {"configurations"}  # whose many cases take minutes
PATIENCE = 30  # seconds for one case, on a busy machine


class Hang(BaseException):
    """No Exception: what is tried may catch those."""


def ring(*_):
    raise Hang(f"no end after {PATIENCE} s")


def both_counts(kind):
    """Runs a test with both counts of its kind."""
    by_default, slow = CASES[kind]
    marks = [pytest.mark.slow, *([pytest.mark.rare] if kind in LONG else [])]
    cases = [(kind, by_default), pytest.param(kind, slow, marks=marks)]
    return pytest.mark.parametrize(("kind", "count"), cases)


def tried(kind, count, case):
    """Calls `case(rng)` -> outcome `count` times; the tally of the outcomes."""
    tally = collections.Counter()
    before = signal.signal(signal.SIGALRM, ring)
    try:
        for number in range(count):
            rng = np.random.default_rng([zlib.crc32(kind.encode()), number])
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            try:
                tally[case(rng)] += 1
            except BaseException as error:
                error.add_note(f"case {number} of {kind}")
                raise
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert tally.total() == count
    print(f"{count} {kind}: {dict(tally)}")
    return tally


def attempt(function, *args, named="", known=(), **keywords):
    """(what it returns, "works"), or (None, "refused") once the one line is found to be good."""
    try:
        return function(*args, **keywords), "works"
    except known:
        return None, "known defect"
    except (ValueError, OSError) as error:
        text = str(error)
        assert text.strip()
        assert text.isprintable(), repr(text)
        assert named in text, text
        assert "MemoryError" not in text
        if not isinstance(error, OSError):  # which names its file itself
            where = traceback.extract_tb(error.__traceback__)[-1].filename
            assert where.startswith(str(ROOT)), f"{where}: {text}"
        return None, "refused"


def pick(rng, choices):
    return choices[rng.integers(len(choices))]


def tree(folder):
    """Everything below a folder and its content, to see that nothing else was touched."""
    paths = sorted(folder.rglob("*"))
    return {p: p.read_bytes() if p.is_file() and not p.is_symlink() else None for p in paths}


@contextlib.contextmanager
def little_memory(extra=1 << 30):
    """No more address space than there is now and a GiB; where the system can tell."""
    resource = pytest.importorskip("resource")
    statm = pathlib.Path("/proc/self/statm")
    if not statm.exists():
        yield
        return
    now = int(statm.read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + extra, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


# --- damage


def flip(rng, content):
    content = bytearray(content or b"\0")
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    return bytes(content)


def cut(rng, content):
    return content[: rng.integers(len(content) + 1)]


def wipe(rng, content):
    start = rng.integers(len(content) + 1)
    return content[:start] + bytes(len(content[start : start + 64])) + content[start + 64 :]


def garbage(rng, content):
    del content
    return rng.bytes(rng.integers(400))


def grow(rng, content):
    return content + rng.bytes(1 + rng.integers(40))


def shift(rng, content):
    start = rng.integers(len(content) + 1)
    return content[:start] + content[start + 1 + rng.integers(4) :]


DAMAGE = (flip, flip, cut, wipe, garbage, grow, shift)


def remove(path):
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def replace_by_something_else(rng, path, outside):
    """A path that is no file any more, or not this folder's; `outside` is a file elsewhere."""
    kinds = ("nothing", "folder", "pipe", "socket", "loop", "broken link", "link out", "moved out")
    kind = pick(rng, kinds)
    if kind == "moved out" and path.is_file():
        outside = path.replace(outside.with_name(f"moved{path.suffix}"))
    else:
        remove(path)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))  # sockets have short names: sometimes there is nothing
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "broken link":
        path.symlink_to("nowhere")
    elif kind in ("link out", "moved out"):
        path.symlink_to(outside)


JSON_VALUES = (
    *(None, True, False, 0, 1, -1, 7, 2**31, 2**63, -(10**30), 0.5, -0.0, 1e308, 5e-324),
    *(math.nan, math.inf, -math.inf, 10**400, "", "a", "7", "NaN", "..", "../x", "/etc/passwd"),
    *("\0", "\ud800", "é\u2028\x1b[31m", "<script>", "x" * 100_000, [], {}, [[]], [1, 2, 3]),
    *([None], {"": {}}, {"a": 1, "b": 0.5, "c": 0}, functools.reduce(lambda v, _: [v], range(450))),
)


def places(value, path=()):
    """The paths of all values inside a JSON value."""
    children = []
    if isinstance(value, dict | list):
        children = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in children:
        yield (*path, name)
        yield from places(inner, (*path, name))


def edit(rng, value):
    """One value of a JSON value replaced or removed; in place."""
    *path, name = pick(rng, list(places(value)))
    inside = functools.reduce(lambda inner, key: inner[key], path, value)
    if rng.random() < 0.2:
        del inside[name]
    else:
        inside[name] = pick(rng, JSON_VALUES)


def damaged_json(rng, value):
    """The text of a JSON value after an edit or two, or after damage to its bytes."""
    if rng.random() < 0.3:
        return pick(rng, DAMAGE)(rng, json.dumps(value).encode())
    if rng.random() < 0.2:
        return json.dumps(pick(rng, JSON_VALUES)).encode()
    value = json.loads(json.dumps(value))
    for _ in range(rng.integers(1, 3)):
        if list(places(value)):
            edit(rng, value)
    return json.dumps(value).encode()
