"""Many runs in one program: K seeds, settings or both of a member, side by side.

::

    settings = many.grid(seed=range(8), weight=[1.0, 10.0])
    keys = many.keys(settings.pop("seed"))
    make = lambda weight: jwgan.wgan_gp(critic, generator, prior=prior, weight=weight)
    algorithm = many.over(make, settings)
    source = many.drawn(lambda n: sources.from_array(x, n_critic=n, batch_size=64), [5] * 16)
    state = jax.jit(lambda keys: algorithm.init(keys, source.batch))(keys)
    state = loop.train(algorithm, state, source, steps=1000)
    fourth = many.trial(state, 3)

Trial i is the run that `make` of its own numbers, its own key and its own source would be alone,
up to the order of float32 sums (`tests/test_many.py` states how far): states, figures and samples
have a leading axis [K], and a trial whose numbers are no longer finite leaves the others alone.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jwgan.check import require
from jwgan.sources import Source
from jwgan.types import Algorithm, Array, Key

Settings = Mapping[str, Sequence[float]]  # the K values of each number
Mapped = Callable[[Callable[..., Any]], Callable[..., Any]]  # as jax.vmap: over leading axes


def in_turn(at_once: int = 1) -> Mapped:
    """`at_once` trials at a time, the groups one after another (`jax.lax.map`).

    In place of `jax.vmap`, which runs all K at a time: for memory, and where the vmapped form of a
    layer is slow, as convolutions other than `models.conv` are on a CPU.
    """
    require(at_once >= 1, "at_once", at_once, "run at least one trial at a time")

    def mapped(fn: Callable[..., Any]) -> Callable[..., Any]:
        size = None if at_once == 1 else at_once
        return lambda *args: jax.lax.map(lambda one: fn(*one), args, batch_size=size)

    return mapped


def divided(mesh: Mesh, mapped: Mapped = jax.vmap) -> Mapped:
    """Every device of a mesh its own trials, `mapped` there; give it to `over` and `drawn`.

    Trials say nothing to each other, so K of them on N devices take the time of K / N on one: on
    accelerators, and on the cores of a CPU (XLA_FLAGS=--xla_force_host_platform_device_count=2),
    where one small program keeps one core busy.

    Args:
      mesh: with one axis; its size must divide K.
      mapped: on each device: `jax.vmap` or `in_turn()`.

    Raises:
      ValueError: when called with a K that the devices do not divide.
    """
    part = jax.sharding.PartitionSpec(mesh.axis_names[0])

    def over_devices(fn: Callable[..., Any]) -> Callable[..., Any]:
        run = jax.shard_map(mapped(fn), mesh=mesh, in_specs=part, out_specs=part, check_vma=False)

        def checked(*args: Any) -> Any:
            trials = jax.tree.leaves(args)[0].shape[0]
            remedy = f"give a multiple of the {mesh.size} devices"
            require(trials % mesh.size == 0, "trials", trials, remedy)
            return run(*args)

        return checked

    return over_devices


def grid(**axes: Iterable[Any]) -> dict[str, list[Any]]:
    """Every combination of the axes' values as K columns; the first axis varies fastest.

    `grid(seed=[0, 1], weight=[1.0, 10.0])` is {"seed": [0, 1, 0, 1], "weight": [1, 1, 10, 10]}.
    """
    values = [list(axis) for axis in reversed(axes.values())]
    rows = list(itertools.product(*values))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * len(axes)
    return dict(zip(axes, reversed(columns), strict=True))


def keys(seeds: Iterable[int]) -> Key:
    """`jax.random.key` of each seed, [K]."""
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def trial(tree: Any, i: int) -> Any:
    """Trial i's part of states, figures or samples."""
    return jax.tree.map(lambda leaf: leaf[i], tree)


def each(
    make: Callable[..., Algorithm], settings: Settings, mapped: Mapped = jax.vmap
) -> Callable[..., Any]:
    """`apply(fn, *args)`: `fn(algorithm of trial i, *args[i])` for every i, stacked."""
    columns = {name: jnp.asarray(values) for name, values in settings.items()}

    def apply(fn: Callable[..., Any], *args: Any) -> Any:
        return mapped(lambda numbers, *mine: fn(make(**numbers), *mine))(columns, *args)

    return apply


def over(
    make: Callable[..., Algorithm], settings: Settings | None = None, mapped: Mapped = jax.vmap
) -> Algorithm:
    """K trials side by side as one Algorithm.

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
    """
    settings = settings or {}
    lengths = {name: len(values) for name, values in settings.items()}
    require(len(set(lengths.values())) <= 1, "settings", lengths, "give each number K values")
    rows = [dict(zip(settings, row, strict=True)) for row in zip(*settings.values(), strict=True)]
    # a traced number cannot be checked, so each trial is made once with its own
    trials = [make(**row) for row in rows or [{}]]
    apply = each(make, settings, mapped)

    def init(keys: Key, batch: Any) -> Any:
        return apply(lambda one, key: one.init(key, batch), keys)

    def step(states: Any, batches: Array) -> tuple[Any, Any]:
        return apply(lambda one, state, batch: one.step(state, batch), states, batches)

    def generate(states: Any, z: Array) -> Array:
        return apply(lambda one, state: one.generate(state, z), states)

    def score(states: Any, x: Array) -> Array:
        return apply(lambda one, state: one.score(state, x), states)

    return Algorithm(init, step, trials[0].prior, generate, score)


def drawn(
    make: Callable[[int], Source], n_critic: Sequence[int], mapped: Mapped = jax.vmap
) -> Source:
    """What each of K trials would draw alone, for `over`: batches [K, n_critic, B, *D].

    A trial's batches follow from its own key. A stream (`from_iterator`) has no key: every trial
    is given the same rows, as K runs reading that stream would be.

    Args:
      make: `(n_critic) -> Source`; called once for each number that occurs.
      n_critic: of each trial. Where they differ, the batches are as long as the longest, those of
        the others are followed by zeros, and the trials need `wrappers.with_n_critic`.
      mapped: `jax.vmap`, or what `over` was given, so that every device draws its own trials'.

    Raises:
      ValueError: if a source is not of the n_critic it was asked for.
    """
    require(len(n_critic) >= 1, "n_critic", n_critic, "give one for each trial")
    numbers, most = sorted(set(n_critic)), max(n_critic)
    sources = {n: make(n) for n in numbers}
    for n, one in sources.items():
        remedy = f"make the source for n_critic {n}; a stream serves trials of one n_critic"
        require(one.batch.shape[0] == n, "the source's batch", one.batch.shape, remedy)
    places = {n: jnp.array([i for i, m in enumerate(n_critic) if m == n]) for n in numbers}
    back = jnp.argsort(jnp.concatenate([places[n] for n in numbers]))
    # without a gather where it would be of all: a divided array stays divided
    of_those = lambda keys, n: keys if len(numbers) == 1 else keys[places[n]]

    def fetch(first_step: int, length: int) -> Any:
        return {n: one.fetch(first_step, length) for n, one in sources.items()}

    def batches(operand: Any, keys: Key, length: int) -> tuple[Any, Callable[[Any], Array]]:
        def of(n: int, key: Key) -> tuple[Any, Callable[[Any], Array]]:
            return sources[n].batches(operand[n], key, length)

        def take(xs: Any) -> Array:
            rows = [
                mapped(lambda key, x, n=n: _padded(of(n, key)[1](x), most))(
                    of_those(keys, n), xs[n]
                )
                for n in numbers
            ]
            return rows[0] if len(rows) == 1 else jnp.concatenate(rows)[back]

        # the steps' axis stays in front, for the scan
        xs = {
            n: jax.vmap(lambda key, n=n: of(n, key)[0], out_axes=1)(of_those(keys, n))
            for n in numbers
        }
        return xs, take

    return Source(sources[most].batch, fetch, batches)


def _padded(batch: Array, n_critic: int) -> Array:
    """[n, B, *D] followed by zeros up to [n_critic, B, *D]."""
    missing = n_critic - batch.shape[0]
    return jnp.pad(batch, [(0, missing)] + [(0, 0)] * (batch.ndim - 1))
