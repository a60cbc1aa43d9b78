"""Which devices a run uses: the most that divide the batch, or exactly those that are asked for."""

import types

import jax
import pytest

from jwgan.run import hosts


def config(batch_size, devices=None):
    return types.SimpleNamespace(batch_size=batch_size, devices=devices)


@pytest.fixture
def cards(monkeypatch):
    """`cards(n)`: from now on n of the CPU devices pass for accelerators."""
    everything = jax.devices()

    def make(num):
        monkeypatch.setattr(jax, "devices", lambda: everything[:num])
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")

    return make


@pytest.mark.parametrize("num", range(1, 9))
@pytest.mark.parametrize("batch_size", [1, 3, 6, 7, 60, 64, 128])
def test_without_an_option_the_most_that_divide_the_batch(cards, capsys, num, batch_size):
    cards(num)
    mesh = hosts.make_mesh(config(batch_size))
    used = 1 if mesh is None else mesh.size
    assert used == max(n for n in range(1, num + 1) if batch_size % n == 0)
    said = capsys.readouterr().err
    assert said.count("\n") == (used < num)
    assert used == num or said.startswith(f"{used} of {num} devices are used")


def test_an_option_stays_strict(cards):
    cards(3)
    assert hosts.make_mesh(config(64, 2)).size == 2
    assert hosts.make_mesh(config(64, 1)) is None
    with pytest.raises(ValueError, match="batch_size is 64: give a multiple of the 3 devices"):
        hosts.make_mesh(config(64, 3))
    for devices in (0, 4):
        with pytest.raises(ValueError, match=f"devices is {devices}: there are 3"):
            hosts.make_mesh(config(64, devices))


def test_devices_that_a_flag_made_of_a_cpu_are_used_on_request_alone():
    assert hosts.make_mesh(config(64)) is None
    assert hosts.make_mesh(config(64, 4)).size == 4


class Card:
    """A device of some process."""

    def __init__(self, number, process):
        self.id, self.process_index = number, process


@pytest.mark.parametrize(
    ("per_process", "batch_size", "used"), [([3, 3], 64, 4), ([4, 4], 64, 8), ([3, 2], 60, 4)]
)
def test_each_process_gives_as_many(monkeypatch, capsys, per_process, batch_size, used):
    there = [Card(i, p) for p, num in enumerate(per_process) for i in range(num)]
    monkeypatch.setattr(jax, "devices", lambda: there)
    monkeypatch.setattr(jax, "process_count", lambda: len(per_process))
    monkeypatch.setattr(hosts.parallel, "data_mesh", list)
    mesh = hosts.make_mesh(config(batch_size))
    processes = [card.process_index for card in mesh]
    assert processes == [0] * (used // 2) + [1] * (used // 2)
    assert bool(capsys.readouterr().err) == (used < len(there))
    with pytest.raises(ValueError, match="batch_size is 7: give a multiple of the 2 processes"):
        hosts.make_mesh(config(7))
