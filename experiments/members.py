"""Several runs in one program: --seeds K, --sweep NAME=A,B,C, and the grid of both.

A member is one run: a seed and one value of each number that is swept. Members train side by side
(`jwgan.many`); each is the run that its own options would be alone.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from experiments import options

MOST = 4096  # members of one run


class Member(NamedTuple):
    """One of the runs."""

    label: str  # "seed 3, weight 10"
    setting: str  # "weight 10"; "" without a sweep
    config: Any  # its own options, as if it were run alone

    def described(self, swept: Sequence[str]) -> dict[str, Any]:
        """As config.json keeps it."""
        numbers = {name: getattr(self.config, name) for name in swept}
        return {"label": self.label, "setting": self.setting, "seed": self.config.seed, **numbers}


def several(config: Any) -> bool:
    """Whether the options ask for more than one run, or for one in a sweep."""
    return config.seeds > 1 or bool(config.sweep)


def candidates(config: Any) -> list[str]:
    """Names of the options that a sweep may name: real numbers, and n_critic."""
    names = [
        field.name
        for field in dataclasses.fields(config)
        if options.value_type(field.type) is float and field.name not in options.FREE
    ]
    return ["n_critic", *names]


def parse_sweep(config: Any) -> dict[str, list[Any]]:
    """{option: values} of "weight=1,10 n_critic=1,5".

    Raises:
      ValueError: an option cannot be swept, occurs twice, or a value is no number.
    """
    found: dict[str, list[Any]] = {}
    for part in config.sweep.split():
        name, equals, text = part.partition("=")
        name = name.lstrip("-").replace("-", "_")
        if not equals or not text:
            raise ValueError(f"sweep is {part!r}: give NAME=VALUE,VALUE,..., as in weight=1,10")
        if name not in candidates(config):
            raise ValueError(f"sweep names {name!r}: {_can_be_swept(candidates(config))}")
        if name in found:
            raise ValueError(f"sweep names {name!r} twice: give all its values at once")
        kind = int if name == "n_critic" else float
        try:
            found[name] = [kind(value) for value in text.split(",")]
        except ValueError as error:
            raise ValueError(f"sweep is {part!r}: give numbers, as in {name}=1,10") from error
        if len(set(found[name])) < len(found[name]):
            raise ValueError(f"sweep is {part!r}: give each value once")
    return found


def count(config: Any) -> int:
    """How many members the options make."""
    return config.seeds * math.prod(map(len, parse_sweep(config).values()))


def devices(config: Any) -> int | None:
    """How many are asked for. Members in turn have one: on a CPU each fills it (measured)."""
    return 1 if config.devices is None and config.at_once else config.devices


def make_mesh(members: int, num: int | None) -> Any:
    """`num` devices that so many members are divided among; None for a single one.

    By default as many as divide the members: of the accelerators, or of the CPU's devices, which
    `launch.use_cores` makes.

    Raises:
      ValueError: if there are fewer devices than asked for, or they do not divide the members.
    """
    import jax

    there = jax.devices()
    at_most = len(there) if jax.default_backend() != "cpu" else min(len(there), cores())
    if num is None:
        num = largest_divisor(members, at_most)
    if not 1 <= num <= len(there):
        raise ValueError(f"devices is {num}: there are {len(there)}; give at most so many")
    if members % num:
        raise ValueError(f"devices is {num}: give a divisor of the {members} members")
    return jax.sharding.Mesh(there[:num], ("member",)) if num > 1 else None


def largest_divisor(number: int, at_most: int) -> int:
    """The largest divisor of a number that is at most so much."""
    return next(n for n in range(max(at_most, 1), 0, -1) if number % n == 0)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_be_swept(names: Sequence[str]) -> str:
    return f"what can be swept here is {', '.join(names)}; other options give shapes or files"


def of(config: Any) -> list[Member]:
    """The members, the seeds of a setting one after another.

    Raises:
      ValueError: the sweep is none, or a member's options are.
    """
    from jwgan import many

    swept = parse_sweep(config)
    found = []
    if count(config) > MOST:
        raise ValueError(f"seeds and sweep make {count(config)} members: give at most {MOST}")
    axes = many.grid(seed=range(config.seed, config.seed + config.seeds), **swept)
    for row in zip(*axes.values(), strict=True):
        numbers = dict(zip(axes, row, strict=True))
        own = dataclasses.replace(config, seeds=1, sweep="", **numbers)
        options.check(own)
        words = [f"{name} {value:g}" for name, value in numbers.items() if name != "seed"]
        seed = [f"seed {own.seed}"] if config.seeds > 1 or not words else []
        found.append(Member(", ".join(seed + words), ", ".join(words), own))
    return found


def check(config: Any) -> None:
    """Raises ValueError for options that several runs in one program do not have."""
    alone = "or run them one by one"
    refused = {
        "stream": (config.stream, f"a stream's order is one seed's; hold the data, {alone}"),
        "distributed": (config.distributed or config.coordinator, f"use one machine, {alone}"),
        "w1_every": (config.w1_every, f"it looks at a single run; leave it out, {alone}"),
        "on_nonfinite": (
            config.on_nonfinite != "stop",
            f"a member whose figures are not finite is marked and the others go on; {alone}",
        ),
    }
    for name, (given, remedy) in refused.items():
        if given:
            value = getattr(config, name)
            raise ValueError(f"{name} is {value!r} with --seeds or --sweep: {remedy}")


class Many(NamedTuple):
    """All members as one; what their run has beside what a single one has."""

    task: Any
    members: list[Member]
    swept: list[str]  # names of the options
    algorithm: Any  # `many.over`
    each: Callable[..., Any]  # `many.each`
    source: Any
    keys: Any  # [K]
    mesh: Any = None  # of the devices among which they are divided


def assemble(config: Any, build: Callable, task: Any) -> Many:
    """Builds the members as one algorithm, with one source.

    Raises:
      ValueError: a number cannot be swept in this experiment, or a member's build refuses it.
    """
    from jwgan import many, wrappers

    members, swept = of(config), list(parse_sweep(config))
    settings = {name: [getattr(m.config, name) for m in members] for name in swept}
    base = members[0].config

    def make(**numbers: Any) -> Any:
        algorithm = build(dataclasses.replace(base, **numbers), task.shape)
        if "n_critic" not in numbers:
            return algorithm
        return wrappers.with_n_critic(algorithm, numbers["n_critic"])

    import jax

    mesh = make_mesh(len(members), devices(config))
    mapped = many.in_turn(config.at_once) if config.at_once else jax.vmap
    if mesh:
        mapped = many.divided(mesh, mapped)
    algorithm = many.over(make, settings, mapped)
    source = many.drawn(
        lambda n: task.source(n, base.batch_size), [m.config.n_critic for m in members], mapped
    )
    keys = many.keys(m.config.seed for m in members)
    if not _can_be_traced(make, swept, source.batch):
        good = [n for n in candidates(config) if _can_be_traced(make, [n], source.batch)]
        bad = ", ".join(name for name in swept if name not in good)
        raise ValueError(f"sweep names {bad!r}: {_can_be_swept(good)}")
    each = many.each(make, settings, mapped)
    return Many(task, members, swept, algorithm, each, source, keys, mesh)


def placed(state: Any, mesh: Any) -> Any:
    """A state of all members, as a checkpoint gives it, each part on its device."""
    import jax

    if mesh is None:
        return state
    spec = jax.sharding.PartitionSpec(*mesh.axis_names)
    return jax.device_put(state, jax.sharding.NamedSharding(mesh, spec))


def _can_be_traced(make: Callable, names: Sequence[str], batch: Any) -> bool:
    """Whether a run can be built with these numbers unknown."""
    import jax
    import jax.numpy as jnp

    def step(numbers: dict[str, Any]) -> Any:
        one, x = make(**numbers), jnp.zeros(batch.shape, batch.dtype)
        return one.step(one.init(jax.random.key(0), x), x)

    kinds = {name: jnp.int32 if name == "n_critic" else jnp.float32 for name in names}
    try:
        jax.eval_shape(step, {name: jax.ShapeDtypeStruct((), kind) for name, kind in kinds.items()})
    except (jax.errors.JAXTypeError, TypeError, ValueError):
        return False
    return True


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    import numpy as np

    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]).round(4).tolist()
    return {"median": middle, "lower_quartile": low, "upper_quartile": high}
