"""Knows the chips of the plan, and estimates how long a counted load takes on one of them."""

from typing import Any, NamedTuple

# The shares are assumed and not measured, see the document of experiments.plan.
COMPUTE_SHARE, MEMORY_SHARE, LINK_SHARE = 0.4, 0.7, 0.7
COLLECTIVE_SECONDS = 10e-6


class Chip(NamedTuple):
    """The peaks of one chip; rates are in bytes and operations a second."""

    flops: dict[str, float]  # by operand type
    memory_rate: float
    memory_size: float
    link_rate: float = 0.0  # that it can send in a ring through all chips


STEPS = 100_000  # in a whole training
CHIPS = 8  # in a TPU slice


def _tpu(tflops: float, memory_rate: float, memory_size: float, links: float) -> Chip:
    peak = tflops * 1e12
    # JAX multiplies float32 in one bfloat16 pass on a TPU, so both have its peak. A ring through
    # the slice uses two of a chip's four links, whose data sheet counts both directions together: a
    # quarter is what a chip can send.
    return Chip({"float32": peak, "bfloat16": peak}, memory_rate, memory_size, links / 4)


# TF32 is JAX's default for float32 on an H100. Dense peaks: the data sheet lists twice that.
_H100 = Chip({"float32": 494.7e12, "bfloat16": 989.4e12}, 3.35e12, 80e9)
GPUS = {"H100": _H100, "H100 without TF32": _H100._replace(flops={"float32": 67e12})}
TPUS = {
    "v5e": _tpu(197, 819e9, 16e9, 400e9),
    "v6e": _tpu(918, 1640e9, 32e9, 800e9),
}


# --- a row ----------------------------------------------------------------------------------------


class Load(NamedTuple):
    """What one chip has to do in one step; None where it is not known."""

    flops: dict[str, float]
    memory: float | None = None  # bytes moved
    network: float = 0.0  # bytes that all chips combine
    collectives: int = 0


def seconds(load: Load, chip: Chip, chips: int) -> dict[str, float | None]:
    """Estimates the time of each kind of work, at the assumed shares of the peaks.

    A ring of N chips sends 2 (N - 1) / N times the bytes that are combined.
    """
    sent = 2 * (chips - 1) / chips * load.network
    network = 0.0 if chips == 1 else sent / (chip.link_rate * LINK_SHARE)
    return {
        # Products of different types are taken to follow one another: their times add up.
        "compute": sum(n / chip.flops[dtype] for dtype, n in load.flops.items()) / COMPUTE_SHARE,
        "memory": None if load.memory is None else load.memory / chip.memory_rate / MEMORY_SHARE,
        "network": network + COLLECTIVE_SECONDS * load.collectives,
    }


def row(
    what: dict[str, Any], load: Load, chip: Chip, chips: int, resident: float | None
) -> dict[str, Any]:
    """Estimates one line of the plan; `resident` is the memory in use on a chip, in bytes."""
    times = seconds(load, chip, chips)
    known = {name: value for name, value in times.items() if value is not None}
    # Arithmetic and memory overlap; the network waits for both.
    step = max(known["compute"], known.get("memory", 0.0)) + known["network"]
    rounded = lambda value, digits: None if value is None else round(value, digits)
    return {
        **what,
        "gflop_per_chip": round(sum(load.flops.values()) / 1e9, 1),
        # `x and ...` keeps a None that is not known.
        "memory_traffic_gb_per_chip": rounded(load.memory and load.memory / 1e9, 3),
        "network_mb": round(load.network / 1e6, 1),
        "collectives": load.collectives,
        "resident_gb_per_chip": rounded(resident and resident / 1e9, 3),
        "resident_share": rounded(resident and resident / chip.memory_size, 3),
        "milliseconds": {name: rounded(value and 1e3 * value, 3) for name, value in times.items()},
        "limit": max(known, key=lambda name: known[name]),
        "steps_per_second": round(1 / step, 1),
        f"hours_of_{STEPS}_steps": round(STEPS * step / 3600, 2),
    }
