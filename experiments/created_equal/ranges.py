"""What the search draws from: ranges written down before it was run, and the draw."""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from jwgan.run import members

# Options that give programs other shapes or another length: a few of their combinations are drawn.
N_CRITIC = (1, 2, 3, 5)
WIDTHS = (8, 16)
NORMS = {"critic_norm": ("none", "layer"), "generator_norm": ("none", "batch")}
# An auto-encoder of the shallow kind knows batch norm; DCGAN's own networks have it in both.
ENERGY_NORMS = {"critic_norm": ("none", "batch"), "generator_norm": ("none", "batch")}

# Numbers: (least, largest), drawn evenly on a logarithmic scale. Each player has its own rate.
LOGARITHMIC = {
    "learning_rate": (5e-5, 5e-3),
    "critic_learning_rate": (5e-5, 5e-3),
    "generator_learning_rate": (5e-5, 5e-3),
    "weight": (0.1, 100.0),
    "c": (3e-3, 0.3),
    # In units of the mean absolute error of pixels in [0, 1].
    "margin": (0.02, 1.0),
    "pulling_away_weight": (0.01, 1.0),
    "lambda_k": (1e-4, 1e-1),
}
# (least, largest), drawn evenly.
EVEN = {"gamma": (0.3, 1.0)}
# One of these.
ONE_OF = {"b1": (0.0, 0.5, 0.9), "b2": (0.9, 0.99, 0.999), "k_min": (-1.0, 0.0)}
# LSGAN's three targets keep the paper's values: `c` is a target there and no box.
KEPT = {"lsgan": ("a", "b", "c"), "wgan_div": ("power",)}
NOT_SEARCHED = ("rmsprop_decay", "window", "patience", "min_scale")


class Setting(NamedTuple):
    """One setting of a member.

    Attributes:
      structure: options that give the program its shape, n_critic among them.
      numbers: {option: value} of the member's own numbers that are searched.
    """

    structure: dict[str, Any]
    numbers: dict[str, float]


def structures(member: str) -> list[dict[str, Any]]:
    """Lists every combination of n_critic, width and norms that a member may be drawn with.

    >>> from experiments.created_equal import ranges
    >>> len(ranges.structures("wgan_gp")), len(ranges.structures("dcgan"))
    (32, 8)
    """
    norms = ENERGY_NORMS if member in members.ENERGIES else NORMS
    norms = {} if member == "dcgan" else norms
    axes: dict[str, Any] = {"n_critic": N_CRITIC, "width": WIDTHS, **norms}
    return [dict(zip(axes, one, strict=True)) for one in itertools.product(*axes.values())]


def searched(member: str) -> list[str]:
    """Lists the names of a member's numbers that are searched.

    >>> from experiments.created_equal import ranges
    >>> ranges.searched("wgan"), ranges.searched("lsgan")
    (['learning_rate', 'c', 'critic_learning_rate'],
     ['critic_learning_rate', 'generator_learning_rate', 'b1'])
    """
    kept = (*NOT_SEARCHED, *KEPT.get(member, ()))
    return [name for name in members.numbers(member) if name not in kept]


def draw(member: str, count: int, groups: int, seed: int = 0) -> list[list[Setting]]:
    """Draws `count` settings of a member, in `groups` of one structure each.

    Structures are drawn without replacement (as many as there are, if `groups` is more); their
    numbers independently. Members, counts and seeds that differ give other settings.

    Raises:
      ValueError: the groups do not divide the settings.

    >>> from experiments.created_equal import ranges
    >>> drawn = ranges.draw("wgan", count=4, groups=2)
    >>> [len(group) for group in drawn], drawn == ranges.draw("wgan", 4, 2)
    ([2, 2], True)
    """
    possible = structures(member)
    groups = min(groups, len(possible))
    if count % groups:
        raise ValueError(f"settings is {count}: give a multiple of the {groups} structures")
    # The name enters as numbers: the draw of a member does not depend on which others are searched.
    rng = np.random.default_rng([seed, count, groups, *member.encode()])
    places = rng.choice(len(possible), size=groups, replace=False)
    return [
        [Setting(possible[i], _numbers(rng, member)) for _ in range(count // groups)]
        for i in places
    ]


def _numbers(rng: np.random.Generator, member: str) -> dict[str, float]:
    found = {}
    for name in searched(member):
        if name in LOGARITHMIC:
            low, high = map(math.log, LOGARITHMIC[name])
            found[name] = float(f"{math.exp(rng.uniform(low, high)):.3g}")
        elif name in EVEN:
            found[name] = round(float(rng.uniform(*EVEN[name])), 3)
        else:
            found[name] = float(rng.choice(ONE_OF[name]))
    return found
