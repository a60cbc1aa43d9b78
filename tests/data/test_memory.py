"""What cannot fit is refused before it is asked for: by the machine, its container, a device."""

import pytest

from jwgan import data
from jwgan.data import memory

GIB = 2**30


def groups(root, lines, **limits):
    """A /proc and a /sys with control groups; limits: {path with __ for /: text}."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(lines)
    for path, text in limits.items():
        file = root / "sys/fs/cgroup" / path.replace("__", "/")
        file = file.with_name({"max": "memory.max", "v1": "memory.limit_in_bytes"}[file.name])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("lines", "limits", "found"),
    [
        ("0::/\n", {"max": f"{GIB}\n"}, GIB),
        ("0::/job/step\n", {"job__step__max": "max\n", "job__max": "4096\n"}, 4096),  # above it
        ("0::/job\n", {"job__max": "8192\n", "max": "4096\n"}, 4096),
        ("0::/job\n", {"job__max": "max\n"}, None),
        ("0::/not/shown/here\n", {"max": "4096\n"}, 4096),  # inside a container
        ("4:memory:/a\n2:cpu:/a\n", {"memory__a__v1": "4096\n"}, 4096),  # version 1
        ("4:cpu,memory:/a\n", {"memory__v1": "4096\n"}, 4096),
        ("2:cpu:/a\n", {"memory__a__v1": "4096\n", "max": "1\n"}, None),
        ("9:name=systemd:/\n0::/\n4:memory:/a\n", {"memory__a__v1": "4096\n"}, 4096),  # both
        ("", {}, None),
        ("torn", {"max": "7\n"}, None),
        ("0::/\n", {"max": "text\n"}, None),
    ],
)
def test_a_containers_limit_is_the_smallest_of_its_groups(tmp_path, lines, limits, found):
    assert memory.container(groups(tmp_path, lines, **limits))[0] == found


def test_no_control_groups_at_all(tmp_path):
    assert memory.container(tmp_path)[0] is None


@pytest.mark.parametrize(
    ("machine", "container", "refused_by"),
    [
        (8, 4, "this container has 4.0 GiB"),
        (4, 8, "this machine has 4.0"),
        (4, None, "this machine has 4.0"),
        (None, 4, "this container has 4.0"),
        (None, None, None),
        (8, 8, None),
    ],
)
def test_the_smaller_limit_counts(monkeypatch, machine, container, refused_by):
    bytes_of = lambda gib: None if gib is None else gib * GIB
    monkeypatch.setattr(memory, "_machine", lambda: (bytes_of(machine), "this machine"))
    monkeypatch.setattr(memory, "container", lambda: (bytes_of(container), "this container"))
    memory.require(4 * GIB, "images", "give fewer")
    if refused_by is None:
        memory.require(5 * GIB, "images", "give fewer")
    else:
        with pytest.raises(data.DataError, match=f"images take 5.0 GiB, {refused_by}.*give fewer"):
            memory.require(5 * GIB, "images", "give fewer")


class Device:
    device_kind = "made up"

    def __init__(self, stats):
        self.memory_stats = lambda: stats


@pytest.mark.parametrize("stats", [None, {}, {"bytes_in_use": 1}, {"bytes_limit": 4 * GIB}])
def test_a_device_is_asked_where_it_tells(stats):
    memory.require_on_device(4 * GIB, "the images", "add --stream", Device(stats))
    if stats and "bytes_limit" in stats:
        with pytest.raises(data.DataError, match=r"5.0 GiB, a device \(made up\) has 4.0 GiB; add"):
            memory.require_on_device(5 * GIB, "the images", "add --stream", Device(stats))
    else:
        memory.require_on_device(2**60, "the images", "add --stream", Device(stats))
