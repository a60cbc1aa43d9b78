"""Many seeds of a member on a 2-D world, looked at on the way: what most claims are measured on."""

import types
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import jwgan
from experiments import toy2d
from jwgan import loop, many, sources, transport
from jwgan.metrics import coverage
from jwgan.models import mlp
from jwgan.run import tasks

LOOK_POINTS = 500  # samples in an exact W1 on the way
WIDTH, LATENT, BATCH = 64, 2, 64
UNSEEN = 16  # the first key that the recorded runs of experiments.modes have not seen


QUICK_LOOKS, QUICK_STRETCH = 2, 20  # one stretch for all, so that claims share compiled programs


def length(quick: bool, steps: int, looks: int = 16, skip: bool = False) -> dict[str, Any]:
    """`play`'s steps and looks: these, or a quick run's, which trains nothing if `skip`."""
    if quick:
        return {"steps": 0 if skip else QUICK_LOOKS * QUICK_STRETCH, "looks": QUICK_LOOKS}
    return {"steps": steps, "looks": looks}


class Trace(NamedTuple):
    """K seeds looked at T times.

    Attributes:
      steps: [T] generator updates so far.
      figures: {name: [T, K]}, means of the step's figures over the stretch before each look.
      largest: {name: [K]}, the largest absolute value of each in any step.
      w1_before: [K] `w1` before the first update.
      w1: [T, K] exact W1 of 500 samples to 500 held-out points; infinite once not finite.
      modes: [T, K] share of the modes that are covered; None for a world without modes.
      high_quality: [T, K] share of samples near a mode; None likewise.
      w1_of_real: the same W1 of real points, what a perfect generator would have.
      seen: [T, ...] what `also` found at each look; None without it.
      states, algorithm: after training; leaves of the states are [K, ...].
    """

    steps: list[int]
    figures: dict[str, Any]
    largest: dict[str, Any]
    w1_before: Any
    w1: Any
    modes: Any
    high_quality: Any
    w1_of_real: float
    seen: Any
    states: Any
    algorithm: Any


def member(name: str, *, width: int = WIDTH, latent: int = LATENT, **kwargs: Any) -> Any:
    """A member on 2-D points with experiments.toy2d's settings; `kwargs` come before those."""
    config = types.SimpleNamespace(member=name, width=width, latent=latent, precision="float32")
    return toy2d.build(config, (2,), **kwargs)


def players(critic: Any = None, width: int = WIDTH) -> tuple[Any, Any]:
    """(critic, generator): MLPs of three hidden layers, or another Linen critic."""
    critic = mlp.MLPCritic((width,) * 3) if critic is None else critic
    return jwgan.from_linen(critic), jwgan.from_linen(mlp.MLPGenerator((2,), (width,) * 3))


def side_by_side(
    algorithm: Any, sample: Any, seeds: int, n_critic: int, first_seed: int = 0
) -> tuple[Any, Any, Any]:
    """(algorithm, source, states [K, ...]): seeds from the first on, each alone on its data."""
    one = lambda n_critic: sources.from_sampler(sample, n_critic=n_critic, batch_size=BATCH)
    together, source = many.over(lambda: algorithm), many.drawn(one, [n_critic] * seeds)
    keys = many.keys(range(first_seed, first_seed + seeds))
    states = jax.jit(lambda keys: together.init(keys, source.batch))(keys)
    return together, source, states


def figures_of(info: Any) -> dict[str, Any]:
    """{figure: [T, K]}, a stretch's step figures, the objective's among them."""
    scalars = {**info._asdict(), **info.objective}
    del scalars["objective"]
    return {name: np.asarray(value) for name, value in scalars.items()}


def means_of(info: Any) -> dict[str, Any]:
    """{figure: [K]}, means of a stretch's step figures."""
    return {name: value.mean(axis=0) for name, value in figures_of(info).items()}


def stacked(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """{figure: [T, K]} of T rows {figure: [K]}."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def play(
    algorithm: Any,
    world: str,
    seeds: int,
    *,
    steps: int,
    n_critic: int = 5,
    looks: int = 16,
    first_seed: int = 0,
    also: Callable[[Any], Any] | None = None,
) -> Trace:
    """Trains seeds of a member in one program, from the first on, and looks at them `looks` times.

    With 0 steps nothing is trained or compiled and all is NaN, which leaves a claim's bars open.
    `also` is what to find of the states [K, ...] at each look beside the usual.
    """
    if steps == 0:
        blank = np.full((looks, seeds), np.nan)
        times = [QUICK_STRETCH * (i + 1) for i in range(looks)]
        return Trace(times, {}, {}, blank[0], blank, blank, blank, np.nan, None, None, algorithm)
    task = tasks.load_world(world)
    stretch = max(1, steps // looks)
    sample = task.problem.sample
    many, source, states = side_by_side(algorithm, sample, seeds, n_critic, first_seed)
    rows: list[dict[str, Any]] = []
    means: list[dict[str, Any]] = []
    largest: list[dict[str, Any]] = []
    seen: list[Any] = []
    look, of_real = _looker(task, algorithm, seeds)
    before = look(states)["w1"]

    def record(first: int, info: Any) -> None:
        means.append(means_of(info))
        largest.append({k: np.abs(v).max(axis=0) for k, v in figures_of(info).items()})

    def observe(step: int, states: Any) -> None:
        rows.append(look(states))
        if also is not None:
            seen.append(also(states))

    states = loop.train(
        many,
        states,
        source,
        steps=stretch * looks,
        chunk_steps=stretch,
        record=record,
        due=lambda step: step > 0,
        observe=observe,
    )
    with_modes = task.problem.modes is not None
    return Trace(
        steps=[stretch * (i + 1) for i in range(looks)],
        figures=stacked(means),
        largest={name: of.max(axis=0) for name, of in stacked(largest).items()},
        w1_before=before,
        w1=np.stack([row["w1"] for row in rows]),
        modes=np.stack([row["modes"] for row in rows]) if with_modes else None,
        high_quality=np.stack([row["high_quality"] for row in rows]) if with_modes else None,
        w1_of_real=of_real,
        seen=None if also is None else np.stack(seen),
        states=states,
        algorithm=algorithm,
    )


def _looker(task: Any, algorithm: Any, seeds: int) -> tuple[Callable[[Any], dict[str, Any]], float]:
    """(`states -> {"w1": [K], "modes": [K], "high_quality": [K]}`, W1 of real points)."""
    real, other = task.held_out[:LOOK_POINTS], task.held_out[LOOK_POINTS : 2 * LOOK_POINTS]
    keys = jax.random.split(jax.random.key(13), seeds)
    problem = task.problem

    @jax.jit
    def sample(states: Any) -> Any:
        x = jax.vmap(lambda key, state: algorithm.sample(key, state, 2000))(keys, states)
        if problem.modes is None:
            return x, None
        found = jax.vmap(lambda x: coverage.mode_coverage(x, problem.modes, problem.mode_std))(x)
        return x, (found.modes_covered / len(problem.modes), found.high_quality_share)

    def look(states: Any) -> dict[str, Any]:
        x, found = jax.device_get(sample(states))
        row = {"w1": np.array([_exact_w1(real, points[:LOOK_POINTS]) for points in x])}
        if found is not None:
            row["modes"], row["high_quality"] = found
        return row

    def _exact_w1(a: Any, b: Any) -> float:
        return transport.exact_w1(a, b) if np.isfinite(b).all() else np.inf

    return look, transport.exact_w1(real, other)


def area(w1: Any) -> Any:
    """[T, K] -> [K]: mean of W1 over training, low for runs that are good early."""
    return w1.mean(axis=0)


def difference(a: Any, b: Any) -> Any:
    """a - b by seed [K]; a run that diverged (infinite) counts as a distance of 1000."""
    bounded = lambda x: np.minimum(x, 1e3)  # NaN, of what was not trained, stays
    return bounded(a) - bounded(b)


CLIPPING: dict[str, Any] = {
    "c": 0.1,
    "learning_rate": 1e-3,
}  # the paper's hardly move such small networks


QUICK = ("wgan_gp", "gan")  # members of a quick run
