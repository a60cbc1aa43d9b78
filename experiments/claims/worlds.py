"""Trains many seeds of a member on a 2-D world and evaluates them on the way, for most claims."""

import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import jwgan
from experiments import toy2d
from jwgan import adversarial, loop, many, sources, transport
from jwgan.metrics import coverage
from jwgan.models import mlp
from jwgan.run import tasks

W1_POINTS = 500  # samples in an exact W1 on the way
WIDTH, LATENT, BATCH = 64, 2, 64  # units a hidden layer, dimensions of the noise, samples

# The paper's box and rate (0.01, 5e-5) hardly move networks this small.
CLIPPING: dict[str, Any] = {"c": 0.1, "learning_rate": 1e-3}

QUICK = ("wgan_gp", "gan")  # members of a quick run
# Every quick run has windows of this length, so that claims share compiled programs.
QUICK_EVALUATIONS, QUICK_WINDOW = 2, 20


def length(quick: bool, steps: int, evaluations: int = 16, skip: bool = False) -> dict[str, Any]:
    """Makes keyword arguments for `play`: the given ones, or a quick run's (0 steps if `skip`)."""
    if quick:
        steps = 0 if skip else QUICK_EVALUATIONS * QUICK_WINDOW
        return {"steps": steps, "evaluations": QUICK_EVALUATIONS}
    return {"steps": steps, "evaluations": evaluations}


class Trace(NamedTuple):
    """K seeds evaluated T times; a window is the steps from one evaluation to the next.

    Attributes:
      steps: [T] generator updates so far.
      means: {name: [T, K]}, means of the step's scalars over the window before each evaluation.
      largest: {name: [K]}, the largest absolute value of each in any step.
      w1_before: [K] `w1` before the first update.
      w1: [T, K] exact W1 of 500 samples to 500 held-out points; infinite once not finite.
      modes: [T, K] share of the modes that are covered; None for a world without modes.
      high_quality: [T, K] share of samples near a mode; None likewise.
      w1_of_real: the same W1 of real points, what a perfect generator would have.
      extra: [T, ...] what `also` found at each evaluation; None without it.
      states, algorithm: after training; leaves of the states are [K, ...].
    """

    steps: list[int]
    means: dict[str, Any]
    largest: dict[str, Any]
    w1_before: Any
    w1: Any
    modes: Any
    high_quality: Any
    w1_of_real: float
    extra: Any
    states: Any
    algorithm: Any


def member(name: str, *, width: int = WIDTH, latent: int = LATENT, **kwargs: Any) -> Any:
    """Builds a member on 2-D points with toy2d's settings; `kwargs` come before those."""
    # `toy2d.build` reads only these four; numbers that are not given stay the member's own.
    config = types.SimpleNamespace(member=name, width=width, latent=latent, precision="float32")
    return toy2d.build(config, (2,), **kwargs)


def players(critic: Any = None, width: int = WIDTH, depth: int = 3) -> tuple[Any, Any]:
    """Makes (critic, generator): MLPs of `depth` hidden layers, or another Linen critic."""
    critic = mlp.MLPCritic((width,) * depth) if critic is None else critic
    return jwgan.from_linen(critic), jwgan.from_linen(mlp.MLPGenerator((2,), (width,) * depth))


def trials(algorithm: Any, sample: Any, seeds: Sequence[int], n_critic: int) -> many.Trials:
    """Sets up the seeds in one program, each on its own samples."""
    return many.trials(
        lambda: algorithm,
        # Every batch is drawn fresh: a world has no end of samples.
        lambda n: sources.from_sampler(sample, n_critic=n, batch_size=BATCH),
        seeds=seeds,
        n_critic=n_critic,
    )


def window_means(info: Any) -> dict[str, Any]:
    """Means {name: [K]} of a window's infos [length, K]."""
    return {name: np.mean(x, axis=0) for name, x in adversarial.scalars(info).items()}


def window_largest(info: Any) -> dict[str, Any]:
    """Largest absolute values {name: [K]} of a window's infos [length, K]."""
    return {name: np.abs(x).max(axis=0) for name, x in adversarial.scalars(info).items()}


def stacked(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Stacks T rows {name: [K]} into {name: [T, K]}."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def train(
    runs: many.Trials, states: Any, evaluate: Callable[[Any], Any], window: int, windows: int
) -> tuple[Any, list[Any], list[Any]]:
    """Trains window after window and evaluates the states [K, ...] after each.

    Returns:
      (final states, what `evaluate` found [windows], infos of each window [windows]).
    """
    rows: list[Any] = []
    infos: list[Any] = []
    states = loop.train(
        runs.algorithm,
        states,
        runs.source,
        steps=window * windows,
        # A chunk is a window: it ends where the states are evaluated.
        chunk_steps=window,
        record=lambda first, info: infos.append(info),
        # `loop.train` asks before the first step, too; that one is `w1_before`'s.
        due=lambda step: step > 0,
        observe=lambda step, states: rows.append(evaluate(states)),
    )
    return states, rows, infos


def play(
    algorithm: Any,
    world: str,
    seeds: Sequence[int],
    *,
    steps: int,
    n_critic: int = 5,
    evaluations: int = 16,
    also: Callable[[Any], Any] | None = None,
) -> Trace:
    """Trains many seeds of a member in one program and evaluates them on the way.

    With 0 steps nothing is trained or compiled and all is NaN, which leaves conditions open.

    Args:
      algorithm: the member.
      world: name of a 2-D world, see `tasks.load_world`.
      seeds: of the runs.
      steps: generator updates.
      n_critic: critic updates for each of them.
      evaluations: evenly spaced over the steps, the last one at the end.
      also: `(states [K, ...]) -> array`, what to find at each evaluation beside the usual.
    """
    if steps == 0:
        return _untrained(algorithm, len(seeds), evaluations)
    task = tasks.load_world(world)
    window = max(1, steps // evaluations)
    runs = trials(algorithm, task.problem.sample, seeds, n_critic)
    evaluate, of_real = _make_evaluate(task, algorithm, len(seeds), also)
    states = runs.init()
    # W1 before training comes first, for `train` donates these states.
    before = evaluate(states)["w1"]
    states, rows, infos = train(runs, states, evaluate, window, evaluations)
    found, largest = stacked(rows), stacked([window_largest(info) for info in infos])
    return Trace(
        steps=[window * (i + 1) for i in range(evaluations)],
        means=stacked([window_means(info) for info in infos]),
        largest={name: values.max(axis=0) for name, values in largest.items()},
        w1_before=before,
        w1=found["w1"],
        modes=found.get("modes"),
        high_quality=found.get("high_quality"),
        w1_of_real=of_real,
        extra=found.get("extra"),
        states=states,
        algorithm=algorithm,
    )


def _untrained(algorithm: Any, count: int, evaluations: int) -> Trace:
    """Makes a trace of NaN, for what a quick run leaves out."""
    blank = np.full((evaluations, count), np.nan)
    # The steps are those of the members that a quick run trains, so that one picture has both.
    times = [QUICK_WINDOW * (i + 1) for i in range(evaluations)]
    return Trace(times, {}, {}, blank[0], blank, blank, blank, np.nan, None, None, algorithm)


def _make_evaluate(
    task: Any, algorithm: Any, count: int, also: Callable[[Any], Any] | None
) -> tuple[Callable[[Any], dict[str, Any]], float]:
    """Makes (`states -> {"w1", "modes", "high_quality": [K], "extra": ...}`, W1 of real points).

    The keys are there as far as the world has modes, and there is something `also` to find.
    """
    # The two sets of real points are disjoint: W1 of a set to itself is 0, which none reaches.
    real, other = task.held_out[:W1_POINTS], task.held_out[W1_POINTS : 2 * W1_POINTS]
    # Every seed has its own latents, and the same ones at every evaluation.
    keys = jax.random.split(jax.random.key(13), count)
    problem = task.problem

    @jax.jit
    def sample(states: Any) -> Any:
        # Modes are counted in 2,000 samples, exact W1 takes the first 500 of them.
        x = jax.vmap(lambda key, state: algorithm.sample(key, state, 2000))(keys, states)
        if problem.modes is None:
            return x, None
        found = jax.vmap(lambda x: coverage.mode_coverage(x, problem.modes, problem.mode_std))(x)
        return x, (found.modes_covered / len(problem.modes), found.high_quality_share)

    def evaluate(states: Any) -> dict[str, Any]:
        x, found = jax.device_get(sample(states))
        row = {"w1": np.array([_exact_w1(real, points[:W1_POINTS]) for points in x])}
        if found is not None:
            row["modes"], row["high_quality"] = found
        if also is not None:
            row["extra"] = also(states)
        return row

    def _exact_w1(a: Any, b: Any) -> float:
        # A run that diverged is infinitely far away, and not missing: NaN is what was not trained.
        return transport.exact_w1(a, b) if np.isfinite(b).all() else np.inf

    return evaluate, transport.exact_w1(real, other)


def area(w1: Any) -> Any:
    """Means of W1 [T, K] over training, [K]: low for runs that are good early."""
    return w1.mean(axis=0)


def difference(a: Any, b: Any) -> Any:
    """Differences a - b by seed, [K]; a run that diverged counts as a W1 of 1000."""
    # Infinity minus infinity would be NaN, which is what was not trained; that NaN stays.
    bounded = lambda x: np.minimum(x, 1e3)
    return bounded(a) - bounded(b)
