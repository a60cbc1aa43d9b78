"""Several runs in one program: --seeds K, --sweep NAME=A,B,C, and the grid of both.

A trial is one run: a seed and one value of each number that is swept. Trials train side by side
(`jwgan.many`); each is the run that its own options would be alone.

The examples use the trials of one command:

    >>> config = run.ImageConfig(seeds=2, sweep="ema=0.9,0.999 n_critic=1,5")
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jwgan import many
from jwgan.run import options

MOST = 4096  # trials of one run


class Trial(NamedTuple):
    """One of the runs."""

    label: str  # "seed 3, weight 10"
    setting: str  # "weight 10"; "" without a sweep
    config: Any  # its own options, as if it were run alone

    def described(self, swept: Sequence[str]) -> dict[str, Any]:
        """The trial as config.json keeps it."""
        numbers = {name: getattr(self.config, name) for name in swept}
        return {"label": self.label, "setting": self.setting, "seed": self.config.seed, **numbers}


def several(config: Any) -> bool:
    """Whether the options ask for more than one run, or for one in a sweep.

    >>> sweep.several(run.Config()), sweep.several(run.Config(seeds=2))
    (False, True)
    """
    return config.seeds > 1 or bool(config.sweep)


def candidates(config: Any) -> list[str]:
    """Names of the options that a sweep may name: real numbers, and n_critic.

    >>> "ema" in sweep.candidates(config), "width" in sweep.candidates(config)  # a shape
    (True, False)
    """
    fixed = options.may_change(type(config))  # how long and where: the same for all trials
    kinds = options.types_of(type(config))
    names = [
        field.name
        for field in dataclasses.fields(config)
        if options.value_type(kinds[field.name]) is float and field.name not in fixed
    ]
    # n_critic is an integer and no shape: steps beyond it are masked (`wrappers.with_n_critic`).
    return ["n_critic", *names]


def parse_sweep(config: Any) -> dict[str, list[Any]]:
    """{option: values} of "weight=1,10 n_critic=1,5".

    Raises:
      ValueError: an option cannot be swept, occurs twice, or a value is no number.

    >>> sweep.parse_sweep(config)
    {'ema': [0.9, 0.999], 'n_critic': [1, 5]}
    """
    found: dict[str, list[Any]] = {}
    for part in config.sweep.split():
        name, equals, text = part.partition("=")
        # Names may be written as options are: learning-rate is learning_rate.
        name = name.lstrip("-").replace("-", "_")
        if not equals or not text:
            raise ValueError(f"sweep is {part!r}: give NAME=VALUE,VALUE,..., as in weight=1,10")
        if name not in candidates(config):
            raise ValueError(f"sweep names {name!r}: {can_be_swept(candidates(config))}")
        if name in found:
            raise ValueError(f"sweep names {name!r} twice: give all its values at once")
        kind = int if name == "n_critic" else float
        try:
            found[name] = [kind(value) for value in text.split(",")]
        except ValueError as error:
            raise ValueError(f"sweep is {part!r}: give numbers, as in {name}=1,10") from error
        # Two trials of one label could not be told apart on the page.
        if len(set(found[name])) < len(found[name]):
            raise ValueError(f"sweep is {part!r}: give each value once")
    return found


def count(config: Any) -> int:
    """How many trials the options make.

    >>> sweep.count(config)  # 2 seeds, 2 values of ema, 2 of n_critic
    8
    """
    return config.seeds * math.prod(map(len, parse_sweep(config).values()))


def devices(config: Any) -> int | None:
    """Devices asked for, None for automatic.

    With --at-once the default is 1: one group of trials already fills a CPU (measured).

    >>> sweep.devices(run.Config(at_once=4)), sweep.devices(run.Config(at_once=4, devices=2))
    (1, 2)
    """
    return 1 if config.devices is None and config.at_once else config.devices


def can_be_swept(names: Sequence[str]) -> str:
    """The end of a message: what --sweep may name.

    >>> sweep.can_be_swept(["n_critic", "weight"])
    'what can be swept here is n_critic, weight; other options give shapes or files'
    """
    return f"what can be swept here is {', '.join(names)}; other options give shapes or files"


def trials(config: Any) -> list[Trial]:
    """The trials, the seeds of a setting one after another.

    Raises:
      ValueError: the sweep is none, or a trial's options are.

    >>> found = sweep.trials(config)
    >>> [trial.label for trial in found[:2]]
    ['seed 0, ema 0.9, n_critic 1', 'seed 1, ema 0.9, n_critic 1']
    >>> found[-1].setting, found[-1].config.seed, found[-1].config.n_critic
    ('ema 0.999, n_critic 5', 1, 5)
    """
    swept = parse_sweep(config)
    found = []
    # The count is checked before the grid is made: a slip like 10 values of 6 options is a million
    # trials.
    if count(config) > MOST:
        raise ValueError(f"seeds and sweep make {count(config)} trials: give at most {MOST}")
    axes = many.grid(seed=range(config.seed, config.seed + config.seeds), **swept)
    for row in zip(*axes.values(), strict=True):
        numbers = dict(zip(axes, row, strict=True))
        # Each trial has the options of a run alone: `reading.restore` builds from them, and their
        # values are checked one by one.
        own = dataclasses.replace(config, seeds=1, sweep="", **numbers)
        options.check(own)
        words = [f"{name} {value:g}" for name, value in numbers.items() if name != "seed"]
        # A label names what differs; with a single trial there must be one all the same.
        seed = [f"seed {own.seed}"] if config.seeds > 1 or not words else []
        found.append(Trial(", ".join(seed + words), ", ".join(words), own))
    return found


def check(config: Any) -> None:
    """Raises ValueError for options that a sweep cannot have.

    >>> sweep.check(config)
    >>> sweep.check(run.Config(seeds=2, w1_every=25))
    Traceback (most recent call last):
    ValueError: w1_every is 25 with --seeds or --sweep: it measures a single run; ...
    """
    alone = "or run them one by one"
    refused = {
        "stream": (config.stream, f"a stream's order is one seed's; hold the data, {alone}"),
        "distributed": (config.distributed or config.coordinator, f"use one machine, {alone}"),
        "init_from": (config.init_from, f"it begins a single run; leave it out, {alone}"),
        "w1_every": (config.w1_every, f"it measures a single run; leave it out, {alone}"),
        "on_nonfinite": (
            config.on_nonfinite != "stop",
            f"a trial whose metrics are not finite is marked and the others go on; {alone}",
        ),
    }
    for name, (given, remedy) in refused.items():
        if given:
            value = getattr(config, name)
            raise ValueError(f"{name} is {value!r} with --seeds or --sweep: {remedy}")
