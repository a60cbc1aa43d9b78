"""Many runs in one program: K seeds, settings or both of a member, side by side.

::

    make = lambda weight: jwgan.wgan_gp(critic, generator, prior=prior, weight=weight)
    draw = lambda n: sources.from_array(x, n_critic=n, batch_size=64)
    runs = many.trials(make, draw, seeds=range(8), weight=[1.0, 10.0])
    states = loop.train(runs.algorithm, runs.init(), runs.source, steps=1000)
    fourth = runs.trial(states, 3)

Trial i is the run that `make` of its own numbers, its own key and its own source would be alone,
up to the order of float32 sums (`tests/test_many.py` states how far): states, infos and samples
have a leading axis [K], and a trial whose numbers are no longer finite leaves the others alone.

`trials` puts `grid`, `keys`, `over` and `drawn` together; take those where it does not fit.

The examples sweep the weight of a penalty, whose value for the critic 3 x_1 + 4 x_2 is
weight (5 - 1)^2 = 16 weight:

    >>> critic = networks.from_fn(lambda key, x: jnp.array([3.0, 4.0]), lambda w, x: x @ w)
    >>> generator = networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda shift, z: z + shift)
    >>> def make(weight):
    ...     return jwgan.wgan_gp(critic, generator, prior=priors.normal(2), weight=weight)
    >>> def draw(n_critic):
    ...     normal = lambda key, num: jax.random.normal(key, (num, 2))
    ...     return sources.from_sampler(normal, n_critic=n_critic, batch_size=4)
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jwgan import wrappers
from jwgan.check import require
from jwgan.sources import Source
from jwgan.types import Algorithm, Array, Data, Key

Settings = Mapping[str, Sequence[float]]  # the K values of each number
Mapped = Callable[[Callable[..., Any]], Callable[..., Any]]  # as jax.vmap: over leading axes


class Trials(NamedTuple):
    """K runs as one, ready for `loop.train`; see `trials`.

    Attributes:
      algorithm: all of them as one `Algorithm`, see `over`.
      source: their batches [K, n_critic, B, *D], see `drawn`.
      keys: [K], the base key of each.
      settings: {name: K values}, what tells them apart: "seed", and the numbers of the grid.
    """

    algorithm: Algorithm
    source: Source
    keys: Key
    settings: dict[str, list[Any]]

    def init(self) -> Any:
        """The states [K, ...] before the first step, computed by one compiled program."""
        # The keys are an argument: of constants XLA would draw the weights while it compiles.
        return jax.jit(lambda keys: self.algorithm.init(keys, self.source.batch))(self.keys)

    def trial(self, states: Any, i: int) -> Any:
        """Trial i's part of states, infos or samples; `settings` says which run that is."""
        return trial(states, i)


def trials(
    make: Callable[..., Algorithm],
    draw: Callable[[int], Source],
    *,
    seeds: Iterable[int],
    n_critic: int | Sequence[int] = 5,
    mapped: Mapped = jax.vmap,
    **axes: Iterable[Any],
) -> Trials:
    """Sets up every seed with every combination of numbers as one program.

    The seed varies fastest: first all seeds of the first setting, then all of the second.

    Args:
      make: `(**numbers) -> Algorithm`, see `over`; it is given one value of each axis.
      draw: `(n_critic) -> Source`, what a single run would train on, see `drawn`.
      seeds: trials of each setting; a trial's key is `jax.random.key(seed)`.
      n_critic: critic updates a step; several values are one more axis of the grid.
      mapped: `jax.vmap`, `in_turn()` or `divided(mesh)`.
      **axes: the values of each number, for example `weight=[1.0, 10.0]`.

    Raises:
      ValueError: there is no trial, a number is called "seed", `make` refuses a trial's numbers, or
        a source is not of the n_critic it was asked for.

    >>> runs = many.trials(make, draw, seeds=[0, 1], n_critic=1, weight=[1.0, 10.0])
    >>> runs.settings
    {'seed': [0, 1, 0, 1], 'weight': [1.0, 1.0, 10.0, 10.0]}
    >>> infos = []
    >>> record = lambda first_step, info: infos.append(info)
    >>> states = loop.train(runs.algorithm, runs.init(), runs.source, steps=1, record=record)
    >>> np.array(infos[0].penalty[0]).round(2).tolist()  # of step 0: one for each trial
    [16.0, 16.0, 160.0, 160.0]
    """
    require("seed" not in axes, "seed", axes.get("seed"), "give the seeds as `seeds`")
    if isinstance(n_critic, Iterable):
        axes["n_critic"] = n_critic
    for name, given in axes.items():
        axes[name] = values = list(given)
        remedy = "give each value once; they make a grid, and every seed is trained with each"
        require(len({float(value) for value in values}) == len(values), name, values, remedy)
    settings = grid(seed=seeds, **axes)
    count = len(settings["seed"])
    require(count >= 1, "trials", count, "give a seed, and a value of each number")

    def one(n_critic: Any = None, **numbers: Any) -> Algorithm:
        algorithm = make(**numbers)
        return algorithm if n_critic is None else wrappers.with_n_critic(algorithm, n_critic)

    numbers = {name: values for name, values in settings.items() if name != "seed"}
    return Trials(
        algorithm=over(one, numbers, mapped),
        source=drawn(draw, settings.get("n_critic", [n_critic] * count), mapped),
        keys=keys(settings["seed"]),
        settings=settings,
    )


def in_turn(at_once: int = 1) -> Mapped:
    """Maps over `at_once` trials at a time, the groups one after another (`jax.lax.map`).

    In place of `jax.vmap`, which runs all K at a time: for memory, and where the vmapped form of a
    layer is slow, as convolutions other than `models.conv` are on a CPU.

    Args:
      at_once: trials that are vmapped together; the last group may be smaller.

    Raises:
      ValueError: at_once is below 1.

    >>> many.in_turn(2)(lambda x: 2 * x)(jnp.arange(3)).tolist()
    [0, 2, 4]
    """
    require(at_once >= 1, "at_once", at_once, "run at least one trial at a time")

    def mapped(fn: Callable[..., Any]) -> Callable[..., Any]:
        size = None if at_once == 1 else at_once
        return lambda *args: jax.lax.map(lambda one: fn(*one), args, batch_size=size)

    return mapped


def divided(mesh: Mesh, mapped: Mapped = jax.vmap) -> Mapped:
    """Gives every device of a mesh its own trials, `mapped` there; for `over` and `drawn`.

    Trials say nothing to each other, so K of them on N devices take the time of K / N on one: on
    accelerators, and on the cores of a CPU (XLA_FLAGS=--xla_force_host_platform_device_count=2),
    where one small program keeps one core busy.

    Args:
      mesh: with one axis; its size must divide K.
      mapped: on each device: `jax.vmap` or `in_turn()`.

    Raises:
      ValueError: when called with a K that the devices do not divide.

    >>> mapped = many.divided(parallel.data_mesh())
    >>> doubled = mapped(lambda x: 2 * x)(jnp.arange(jax.device_count()))
    >>> doubled.tolist() == [2 * i for i in range(jax.device_count())]
    True
    """
    part = jax.sharding.PartitionSpec(mesh.axis_names[0])

    def over_devices(fn: Callable[..., Any]) -> Callable[..., Any]:
        run = jax.shard_map(mapped(fn), mesh=mesh, in_specs=part, out_specs=part, check_vma=False)

        def checked(*args: Any) -> Any:
            count = jax.tree.leaves(args)[0].shape[0]
            remedy = f"give a multiple of the {mesh.size} devices"
            require(count % mesh.size == 0, "trials", count, remedy)
            return run(*args)

        return checked

    return over_devices


def grid(**axes: Iterable[Any]) -> dict[str, list[Any]]:
    """Combines the axes' values in every way, as K columns; the first axis varies fastest.

    >>> many.grid(seed=[0, 1], weight=[1.0, 10.0])
    {'seed': [0, 1, 0, 1], 'weight': [1.0, 1.0, 10.0, 10.0]}
    """
    values = [list(axis) for axis in reversed(axes.values())]
    rows = list(itertools.product(*values))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * len(axes)
    return dict(zip(axes, reversed(columns), strict=True))


def keys(seeds: Iterable[int]) -> Key:
    """Makes the `jax.random.key` of each seed, [K].

    >>> many.keys(range(3)).shape
    (3,)
    """
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def trial(tree: Any, i: int) -> Any:
    """Takes trial i's part of states, infos or samples, whose leaves have a leading axis [K].

    >>> many.trial({"w": jnp.array([[0.0, 1.0], [2.0, 3.0]])}, 1)["w"].tolist()
    [2.0, 3.0]
    """
    return jax.tree.map(lambda leaf: leaf[i], tree)


def each(
    make: Callable[..., Algorithm], settings: Settings, mapped: Mapped = jax.vmap
) -> Callable[..., Any]:
    """Returns `apply(fn, *args)`: `fn(algorithm of trial i, *args[i])` for every i, stacked.

    Args: as of `over`.

    >>> apply = many.each(make, {"weight": [1.0, 10.0]})
    >>> states = apply(lambda one, key: one.init(key, draw(1).batch), many.keys([0, 1]))
    >>> apply(lambda one, state: one.score(state, jnp.eye(2)), states).tolist()
    [[3.0, 4.0], [3.0, 4.0]]
    """
    columns = {name: jnp.asarray(values) for name, values in settings.items()}

    def apply(fn: Callable[..., Any], *args: Any) -> Any:
        return mapped(lambda numbers, *mine: fn(make(**numbers), *mine))(columns, *args)

    return apply


def over(
    make: Callable[..., Algorithm], settings: Settings | None = None, mapped: Mapped = jax.vmap
) -> Algorithm:
    """Puts K trials side by side as one Algorithm.

    `init(keys [K], batch [n_critic, B, *D])`, `step(states, batches [K, n_critic, B, *D])`,
    `score(states, x [B, *D]) -> [K, B]`, and `generate` and `sample` that give every trial the
    same latents: x [K, num, *D]. States keep the attributes `key` and `step`, now [K].

    Args:
      make: `(**numbers) -> Algorithm`, with the numbers of one trial, which are traced; networks
        and all that gives shapes must not depend on them. `wrappers.with_n_critic` in it lets
        n_critic be one of them.
      settings: {number: K values}; none at all for seeds alone, which the keys tell apart.
      mapped: `jax.vmap`, or `in_turn()`.

    Raises:
      ValueError: the columns differ in length, or `make` refuses a trial's numbers.

    >>> algorithm = many.over(make, {"weight": [1.0, 10.0]})
    >>> states = algorithm.init(many.keys([0, 0]), draw(1).batch)
    >>> algorithm.sample(jax.random.key(1), states, 5).shape
    (2, 5, 2)
    """
    settings = settings or {}
    lengths = {name: len(values) for name, values in settings.items()}
    require(len(set(lengths.values())) <= 1, "settings", lengths, "give each number K values")
    rows = [dict(zip(settings, row, strict=True)) for row in zip(*settings.values(), strict=True)]
    # A traced number cannot be checked, so each trial is made once with its own numbers.
    checked = [make(**row) for row in rows or [{}]]
    apply = each(make, settings, mapped)

    def init(keys: Key, batch: Any) -> Any:
        return apply(lambda one, key: one.init(key, batch), keys)

    def step(states: Any, batches: Data) -> tuple[Any, Any]:
        count = states.key.shape[0]
        there = {leaf.shape[0] for leaf in jax.tree.leaves(batches)}
        remedy = f"give {count} trials a batch each, [K, n_critic, B, *D], as many.drawn does"
        require(there == {count}, "batches' first axis", sorted(there), remedy)
        return apply(lambda one, state, batch: one.step(state, batch), states, batches)

    def generate(states: Any, z: Data) -> Array:
        return apply(lambda one, state: one.generate(state, z), states)

    def score(states: Any, x: Data) -> Array:
        return apply(lambda one, state: one.score(state, x), states)

    return Algorithm(init, step, checked[0].prior, generate, score)


def drawn(
    make: Callable[[int], Source], n_critic: Sequence[int], mapped: Mapped = jax.vmap
) -> Source:
    """Makes the source of what each of K trials would draw alone: [K, n_critic, B, *D], for `over`.

    A trial's batches follow from its own key. A stream (`from_iterator`) has no key: every trial
    is given the same rows, as K runs reading that stream would be.

    Args:
      make: `(n_critic) -> Source`; called once for each number that occurs.
      n_critic: of each trial. Where they differ, the batches are as long as the longest, those of
        the others are followed by zeros, and the trials need `wrappers.with_n_critic`.
      mapped: `jax.vmap`, or what `over` was given, so that every device draws its own trials'.

    Raises:
      ValueError: if a source is not of the n_critic it was asked for.

    >>> source = many.drawn(draw, n_critic=[1, 3])
    >>> xs, take = source.batches(source.fetch(0, 1), many.keys([0, 1]), 1)  # one step
    >>> batches = take(jax.tree.map(lambda x: x[0], xs))
    >>> batches.shape, bool((batches[0, 1:] == 0).all())  # the first trial has one batch
    ((2, 3, 4, 2), True)
    """
    require(len(n_critic) >= 1, "n_critic", n_critic, "give one for each trial")
    numbers, most = sorted(set(n_critic)), max(n_critic)
    sources = {n: make(n) for n in numbers}
    for n, one in sources.items():
        remedy = f"make the source for n_critic {n}; a stream serves trials of one n_critic"
        require(one.batch.shape[0] == n, "the source's batch", one.batch.shape, remedy)
    places = {n: jnp.array([i for i, m in enumerate(n_critic) if m == n]) for n in numbers}
    back = jnp.argsort(jnp.concatenate([places[n] for n in numbers]))
    # With a single n_critic all keys are selected: skip the gather, it would undo their sharding.
    of_those = lambda keys, n: keys if len(numbers) == 1 else keys[places[n]]

    def fetch(first_step: int, length: int) -> Any:
        return {n: one.fetch(first_step, length) for n, one in sources.items()}

    def batches(operand: Any, keys: Key, length: int) -> tuple[Any, Callable[[Any], Data]]:
        def of(n: int, key: Key) -> tuple[Any, Callable[[Any], Data]]:
            return sources[n].batches(operand[n], key, length)

        def take(xs: Any) -> Data:
            rows = [
                mapped(lambda key, x, n=n: _padded(of(n, key)[1](x), most))(
                    of_those(keys, n), xs[n]
                )
                for n in numbers
            ]
            if len(rows) == 1:
                return rows[0]
            return jax.tree.map(lambda *parts: jnp.concatenate(parts)[back], *rows)

        # The axis of the steps stays in front, for the scan.
        xs = {
            n: jax.vmap(lambda key, n=n: of(n, key)[0], out_axes=1)(of_those(keys, n))
            for n in numbers
        }
        return xs, take

    return Source(sources[most].batch, fetch, batches)


def _padded(batch: Data, n_critic: int) -> Data:
    """Pads a batch [n, B, *D] with zeros up to [n_critic, B, *D]."""
    missing = n_critic - batch.shape[0]
    pad = lambda leaf: jnp.pad(leaf, [(0, missing)] + [(0, 0)] * (leaf.ndim - 1))
    return jax.tree.map(pad, batch)
