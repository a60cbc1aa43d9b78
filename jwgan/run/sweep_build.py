"""A sweep as one algorithm, with one source, on one mesh."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import many, wrappers
from jwgan.run import sweep, xla


def make_mesh(trials: int, num: int | None) -> Any:
    """`num` devices that so many trials are divided among; None for a single one.

    By default as many as divide the trials: of the accelerators, or of the CPU's devices, which
    `xla.use_cores` makes.

    Raises:
      ValueError: if there are fewer devices than asked for, or they do not divide the trials.

    >>> print(sweep_build.make_mesh(trials=4, num=1))
    None
    """
    there = jax.devices()
    # A flag may have made more CPU devices than there are cores: they would only take turns.
    at_most = len(there) if jax.default_backend() != "cpu" else min(len(there), xla.cores())
    if num is None:
        num = xla.largest_divisor(trials, at_most)
    if not 1 <= num <= len(there):
        raise ValueError(f"devices is {num}: there are {len(there)}; give at most so many")
    if trials % num:
        raise ValueError(f"devices is {num}: give a divisor of the {trials} trials")
    return jax.sharding.Mesh(there[:num], ("trial",)) if num > 1 else None


class Sweep(NamedTuple):
    """All trials as one run: what it has beside what a single one has."""

    task: Any
    trials: list[sweep.Trial]
    swept: list[str]  # names of the options
    algorithm: Any  # `many.over`
    each: Callable[..., Any]  # `many.each`
    source: Any
    keys: Any  # [K]
    mesh: Any = None  # of the devices among which they are divided
    make_source: Callable[[], Any] | None = None  # the source once more, its data read anew


def assemble(config: Any, build: Callable, task: Any) -> Sweep:
    """Builds the trials as one algorithm, with one source.

    Raises:
      ValueError: a number cannot be swept in this experiment, or a trial's build refuses it.

    >>> config = mine.config(batch_size=4, seeds=2, sweep="n_critic=1,5")
    >>> found = sweep_build.assemble(config, mine.build, dots)
    >>> [trial.label for trial in found.trials[:2]], found.keys.shape
    (['seed 0, n_critic 1', 'seed 1, n_critic 1'], (4,))
    """
    trials, swept = sweep.trials(config), list(sweep.parse_sweep(config))
    settings = {name: [getattr(one.config, name) for one in trials] for name in swept}
    # Whatever is not swept is the same for all trials, so any of them can stand for it.
    base = trials[0].config

    def make(**numbers: Any) -> Any:
        # JAX traces this call: the numbers are those of one trial, and not known.
        algorithm = build(dataclasses.replace(base, **numbers), task.shape)
        if "n_critic" not in numbers:
            return algorithm
        return wrappers.with_n_critic(algorithm, numbers["n_critic"])

    # The devices divide the trials, not a batch: trials have nothing to say to each other.
    mesh = make_mesh(len(trials), sweep.devices(config))
    mapped = many.in_turn(config.at_once) if config.at_once else jax.vmap
    if mesh:
        mapped = many.divided(mesh, mapped)
    algorithm = many.over(make, settings, mapped)
    # Each n_critic that occurs has a source: every trial draws what it would draw alone.
    counts = [one.config.n_critic for one in trials]
    make_source = lambda: many.drawn(lambda n: task.source(n, base.batch_size), counts, mapped)
    source = make_source()
    keys = many.keys(one.config.seed for one in trials)
    if not _can_be_traced(make, swept, source.batch):
        # Single options are tried after a failure only, since each trace takes time: the message
        # names what can be swept.
        good = [n for n in sweep.candidates(config) if _can_be_traced(make, [n], source.batch)]
        bad = ", ".join(name for name in swept if name not in good)
        raise ValueError(f"sweep names {bad!r}: {sweep.can_be_swept(good)}")
    each = many.each(make, settings, mapped)
    return Sweep(task, trials, swept, algorithm, each, source, keys, mesh, make_source)


def placed(state: Any, mesh: Any) -> Any:
    """A state of all trials, as a checkpoint gives it, each part on its device.

    >>> sweep_build.placed({"step": 0}, None)  # on one device: as it is
    {'step': 0}
    """
    if mesh is None:
        return state
    spec = jax.sharding.PartitionSpec(*mesh.axis_names)  # the first axis is K, that of the trials
    return jax.device_put(state, jax.sharding.NamedSharding(mesh, spec))


def _can_be_traced(make: Callable, names: Sequence[str], batch: Any) -> bool:
    """Whether a run can be built with these numbers unknown."""

    def step(numbers: dict[str, Any]) -> Any:
        # A whole step is traced: a number may be used as a Python float anywhere in it.
        one = make(**numbers)
        x = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), batch)
        return one.step(one.init(jax.random.key(0), x), x)

    kinds = {name: jnp.int32 if name == "n_critic" else jnp.float32 for name in names}
    try:
        jax.eval_shape(step, {name: jax.ShapeDtypeStruct((), kind) for name, kind in kinds.items()})
    except (jax.errors.JAXTypeError, TypeError, ValueError):
        return False
    return True


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles.

    >>> sweep_build.summary([1.0, 2.0, 3.0, 4.0, 5.0])
    {'median': 3.0, 'lower_quartile': 2.0, 'upper_quartile': 4.0}
    """
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]).round(4).tolist()
    return {"median": middle, "lower_quartile": low, "upper_quartile": high}
