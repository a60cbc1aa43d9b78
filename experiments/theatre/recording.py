"""Trains a member and records frames of it: samples, the critic's landscape, numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import toy2d
from jwgan import loop, metrics, transport

CHUNK_STEPS = 10  # steps in one compiled program: frames lie at multiples of it
POINTS = 300  # samples of a frame, and real points beside them
GRID = 41  # heights along an axis of the frame
ARROWS = 13  # arrows along an axis of the frame
ROOM = 1.5  # half of the frame's side, in units of the farthest coordinate of the real points
BALANCE = ("k", "convergence")  # BEGAN's, of its objective's own metrics
# No key that a step draws from: what is shown are latents and points of the page's own.
SHOWN_KEY = 16


class World(NamedTuple):
    """What all members are shown on.

    Attributes:
      task: the world, see `run.load_world`.
      real: [POINTS, 2] real points, of which no member has seen one.
      half: the frame is [-half, half]^2.
      floor: exact W1 between `real` and as many other real points: what perfect samples would have.
    """

    task: Any
    real: np.ndarray
    half: float
    floor: float


class Frames(NamedTuple):
    """A member's training, as F frames.

    Attributes:
      samples: [F, POINTS, 2], of the same latents in every frame.
      heights: [F, GRID, GRID] the critic's score, high on real data; [:, 0] is the lowest row.
      arrows: [F, ARROWS, ARROWS, 2] its gradient in x.
      weights: [F, W] the weights of its layers, biases left out.
      numbers: {metric: [F] values, None where there is none}.
    """

    samples: np.ndarray
    heights: np.ndarray
    arrows: np.ndarray
    weights: np.ndarray
    numbers: dict[str, list[float | None]]


def make_world(name: str) -> World:
    """Makes a world with its real points and its frame.

    Raises:
      ValueError: there is no world of that name.
    """
    task = toy2d.load(toy2d.Config(dataset=name))
    real, other = (np.asarray(task.held_out[i * POINTS :][:POINTS]) for i in range(2))
    half = ROOM * float(np.abs(real).max())
    return World(task, real, round(half, 3), transport.exact_w1(real, other))


def frame_steps(steps: int, frames: int) -> list[int]:
    """Chooses the steps of the frames, the first and the last among them, closer at the beginning.

    Returns:
      at most `frames` different steps: multiples of CHUNK_STEPS, and the last one.

    >>> frame_steps(400, 5)
    [0, 30, 110, 230, 400]
    """
    # A power between even spacing, which misses the beginning, and squares, which miss the end.
    places = np.linspace(0, 1, frames) ** 1.9 * steps / CHUNK_STEPS
    inner = {round(place) * CHUNK_STEPS for place in places[:-1]}
    return sorted({step for step in inner if step < steps} | {0, steps})


def square(half: float, side: int) -> np.ndarray:
    """Lists the points of a square grid over [-half, half]^2, row by row from below.

    Returns:
      [side * side, 2] float32.
    """
    line = np.linspace(-half, half, side, dtype=np.float32)
    x, y = np.meshgrid(line, line)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def make_snapshot(algorithm: Any, world: World) -> Callable[[Any], dict[str, Any]]:
    """Makes `state -> what a frame shows`, compiled."""
    # An energy is low on real data: turned round, every critic is a hill that samples climb.
    sign = jnp.sign(algorithm.separation(jnp.ones(1), jnp.zeros(1)))
    key = jax.random.key(SHOWN_KEY)
    places, ends = square(world.half, GRID), square(world.half, ARROWS)

    @jax.jit
    def snapshot(state: Any) -> dict[str, Any]:
        height = lambda x: sign * algorithm.score(state, x)
        uphill = jax.grad(lambda x: height(x).sum())
        real = jnp.asarray(world.real)
        fake = algorithm.sample(key, state, len(real))
        between = jax.random.uniform(key, (len(real), 1))
        slopes = lambda x: jnp.linalg.norm(uphill(x), axis=1)
        on_lines = slopes(fake + between * (real - fake))
        every = jnp.concatenate([slopes(real), slopes(fake), on_lines, slopes(jnp.asarray(ends))])
        return {
            "samples": fake,
            "heights": height(jnp.asarray(places)).reshape(GRID, GRID),
            "arrows": uphill(jnp.asarray(ends)).reshape(ARROWS, ARROWS, 2),
            "estimate": height(real).mean() - height(fake).mean(),
            "slope": jnp.median(on_lines),
            "steepest": every.max(),
        }

    return snapshot


def numbers_of(world: World, shot: dict[str, Any], own: dict[str, float]) -> dict[str, float]:
    """Computes a frame's numbers: exact W1, the critic's estimate, slopes, modes, `own`."""
    fake = np.asarray(shot["samples"])
    found = {name: float(shot[name]) for name in ("estimate", "slope", "steepest")}
    # Divided by its slope a critic is 1-Lipschitz, whatever its units: by duality not above W1.
    found["bound"] = found["estimate"] / found["steepest"] if found["steepest"] > 0 else np.nan
    finite = bool(np.isfinite(fake).all())
    found["w1"] = transport.exact_w1(world.real, fake) if finite else np.nan
    found["outside"] = float((np.abs(fake).max(axis=1) > world.half).sum())
    problem = world.task.problem
    if problem.modes is not None:
        covered = metrics.coverage.mode_coverage(jnp.asarray(fake), problem.modes, problem.mode_std)
        found["modes"] = float(covered.modes_covered)
    return {**found, **own}


def weights_of(state: Any) -> np.ndarray:
    """Takes the weights of the critic's layers [W], without biases, which begin at 0."""
    leaves = [np.ravel(leaf) for leaf in jax.tree.leaves(state.critic.params) if leaf.ndim >= 2]
    return np.concatenate(leaves)


def record(
    config: Any, world: World, steps: list[int], show: Callable[[int, float, str], None]
) -> Frames:
    """Trains the member that toy2d's `config` names and records it at `steps`.

    Members differ in nothing but themselves: the seed's noise, data and first generator are the
    same for all.

    Args:
      config: `toy2d.Config`, or whatever has its fields.
      world: see `make_world`.
      steps: see `frame_steps`.
      show: `(step, estimate, warning)`, for a progress bar.
    """
    algorithm = toy2d.build(config, world.task.shape)
    source = world.task.source(config.n_critic, config.batch_size)
    snapshot = make_snapshot(algorithm, world)
    shots: list[dict[str, Any]] = []
    weights: list[np.ndarray] = []
    numbers: list[dict[str, float]] = []
    last: dict[str, float] = {}  # the objective's own metrics, means over the last chunk

    def keep(first: int, info: Any) -> None:
        del first
        last.update({name: float(np.mean(values)) for name, values in info.objective.items()})

    def observe(step: int, state: Any) -> None:
        shot = jax.device_get(snapshot(state))
        own = {name: value for name, value in last.items() if name in BALANCE}
        shots.append(shot)
        weights.append(weights_of(state))
        numbers.append(numbers_of(world, shot, own))
        show(step, numbers[-1]["estimate"], "")

    state = jax.jit(algorithm.init)(jax.random.key(config.seed), source.batch)
    loop.train(
        algorithm,
        state,
        source,
        steps=steps[-1],
        chunk_steps=CHUNK_STEPS,
        record=keep,
        due=set(steps).__contains__,
        observe=observe,
    )
    stacked = lambda name: np.stack([shot[name] for shot in shots])
    names = numbers[-1]
    columns = {name: [_finite(row.get(name)) for row in numbers] for name in names}
    return Frames(
        samples=stacked("samples"),
        heights=stacked("heights"),
        arrows=stacked("arrows"),
        weights=np.stack(weights),
        numbers=columns,
    )


def _finite(value: float | None) -> float | None:
    """A number as JSON can hold it: None for what is missing, infinite or NaN; four digits."""
    return float(f"{value:.4g}") if value is not None and np.isfinite(value) else None
