"""Trains: the only Python loop of the library, around compiled chunks of steps.

The host is asked once a chunk, and the next chunk is dispatched before it looks at the last one.

The examples train a shift towards data around (1, 0):

    >>> critic = networks.from_fn(lambda key, x: jnp.zeros(2), lambda w, x: x @ w)
    >>> generator = networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda shift, z: z + shift)
    >>> algorithm = jwgan.wgan(
    ...     critic, generator, prior=priors.normal(2), learning_rate=0.05, c=1.0
    ... )
    >>> data = lambda key, num: jax.random.normal(key, (num, 2)) + jnp.array([[1.0, 0.0]])
    >>> source = sources.from_sampler(data, n_critic=5, batch_size=64)
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jwgan import sharding
from jwgan.check import require
from jwgan.sources import Source
from jwgan.types import RETRY_FOLD, Algorithm


def _nothing(*args: Any) -> None:
    del args


def _never(step: int) -> bool:
    del step
    return False


def chunk_program(
    algorithm: Algorithm, source: Source, mesh: Mesh | None = None
) -> Callable[[Any, Any, int], Any]:
    """Compiles a chunk: `(state, operand, length) -> (state, info [length])`; donates the state.

    With a mesh the batches are divided over its axis "data", see `parallel`.

    Args:
      algorithm: the member.
      source: batches; the operand is what `source.fetch(first_step, length)` returns.
      mesh: as of `train`.

    >>> chunk = loop.chunk_program(algorithm, source)
    >>> state = algorithm.init(jax.random.key(0), source.batch)
    >>> state, info = chunk(state, source.fetch(0, 10), 10)
    >>> state.step.item(), info.critic_loss.shape
    (10, (10,))
    """

    def chunk(state: Any, operand: Any, length: int) -> tuple[Any, Any]:
        xs, take = source.batches(operand, state.key, length)

        def body(state: Any, x: Any) -> tuple[Any, Any]:
            # Without this the compiler may leave parts of the state divided over the devices.
            return sharding.replicated(algorithm.step(state, take(x)))

        return jax.lax.scan(body, state, xs, length=length)

    program = jax.jit(chunk, static_argnums=2, donate_argnums=0)
    if mesh is None:
        return program

    def divided(state: Any, operand: Any, length: int) -> tuple[Any, Any]:
        with jax.set_mesh(mesh):
            return program(state, operand, length)

    return divided


def with_fresh_key(state: Any, number: int) -> Any:
    """Changes the base key of a state, so that it goes on with other noise and other data.

    For a checkpoint whose future ended badly. The same number gives the same key.

    Args:
      state: a state whose base key is an attribute `key`, of itself or of what it wraps; of keys
        [K] of K trials side by side, each is renewed.
      number: 0, 1, 2, ... for the first, second, third retry.

    >>> state = algorithm.init(jax.random.key(0), source.batch)
    >>> retried = loop.with_fresh_key(state, 0)
    >>> bool(retried.key == state.key), bool((retried.critic.params == state.critic.params).all())
    (False, True)
    """

    def renew(path: Any, leaf: Any) -> Any:
        if jax.tree_util.keystr(path[-1:]) != ".key":
            return leaf
        fold = lambda key: jax.random.fold_in(jax.random.fold_in(key, RETRY_FOLD), number)
        return jax.vmap(fold)(leaf) if leaf.ndim else fold(leaf)

    return jax.tree_util.tree_map_with_path(renew, state)


def require_finite(first_step: int, info: Any) -> None:
    """Raises at the first metric that is NaN or infinite: `train(..., record=require_finite)`.

    Without it `train` goes on with such a state to the end. Of your own `record` it can be the
    first line.

    Args:
      first_step: of the chunk.
      info: the chunk's metrics, arrays [length, ...] in any tree.

    Raises:
      FloatingPointError: it names the metric, its value and the step.

    >>> loop.require_finite(50, {"critic_loss": np.array([0.5, 0.25]), "penalty": np.zeros(2)})
    >>> loop.require_finite(50, {"critic_loss": np.array([0.5, np.nan])})
    Traceback (most recent call last):
    FloatingPointError: critic_loss is nan at step 51: look at the data, or lower the learning rate
    """
    found: list[tuple[int, int, str, Any]] = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(info):
        rows = np.reshape(leaf, (len(leaf), -1))
        bad = ~np.isfinite(rows).all(axis=1)
        if bad.any():
            # The first step counts, and in it the metrics' own order.
            row = int(np.argmax(bad))
            value = rows[row][~np.isfinite(rows[row])][0]
            found.append((row, len(found), jax.tree_util.keystr(path, simple=True), value))
    if found:
        row, _, name, value = min(found)
        raise FloatingPointError(
            f"{name} is {value} at step {first_step + row}: look at the data, or lower the "
            "learning rate"
        )


def _hand_over(
    pending: list[tuple[int, Any]], record: Callable[[int, Any], Any], keep: int
) -> None:
    """Gives `record` the metrics of all pending chunks but the newest `keep`, oldest first."""
    while len(pending) > keep:
        first, info = pending.pop(0)
        record(first, jax.device_get(info))


def train(
    algorithm: Algorithm,
    state: Any,
    source: Source,
    *,
    steps: int,
    chunk_steps: int = 50,
    record: Callable[[int, Any], Any] = _nothing,
    due: Callable[[int], bool] = _never,
    observe: Callable[[int, Any], Any] = _nothing,
    stop: Callable[[int], bool] = _never,
    rescue: Callable[[int, Any], Any] = _nothing,
    mesh: Mesh | None = None,
) -> Any:
    """Trains until the state's step counter reaches `steps`.

    The next chunk is dispatched before the metrics of the last one are fetched, so that the device
    does not wait for the host; except where `observe` is due, which sees a finished chunk.

    Args:
      algorithm: the member; its state has a `key` and a `step`.
      state: from `algorithm.init` or a checkpoint. It is donated: keep no reference to it.
      source: batches; see `sources`.
      steps: total number of steps, those already in the state included.
      chunk_steps: steps in one compiled program; a chunk ends at each multiple of it, and the
        last one may be shorter.
      record: `(first_step, info)`, called with a chunk's metrics as NumPy arrays [length];
        `require_finite` is one that stops at NaN.
      due: `(step) -> bool`, asked at every chunk boundary, the first and the last included.
      observe: `(step, state)`, called where due, when everything before `step` is recorded and
        the state is still alive; it may save or sample from it.
      stop: `(step) -> bool`, asked at every chunk boundary.
      rescue: `(step, state)`, called when the source fails (an unreadable file, a lost connection)
        with the state so far, before the error goes on to the caller.
      mesh: devices to divide the batches over (`parallel.data_mesh`); the state must lie whole on
        each of them.

    Returns:
      The final state.

    Raises:
      ValueError: if chunk_steps is below 1.

    >>> state = algorithm.init(jax.random.key(0), source.batch)
    >>> first_losses = []
    >>> state = loop.train(
    ...     algorithm, state, source, steps=200,
    ...     record=lambda first, info: first_losses.append((first, info.critic_loss[0].item())),
    ... )
    >>> [first for first, _ in first_losses]  # a chunk is 50 steps
    [0, 50, 100, 150]
    >>> distance = abs(state.generator.params - jnp.array([[1.0, 0.0]])).max()
    >>> bool(distance < 0.5)  # a clipped linear critic makes it circle around the answer
    True
    """
    require(chunk_steps >= 1, "chunk_steps", chunk_steps, "give at least one step a chunk")
    run_chunk = chunk_program(algorithm, source, mesh)
    step = int(np.ravel(np.asarray(state.step))[0])
    pending: list[tuple[int, Any]] = []  # metrics that are still on the device

    while True:
        if due(step):
            _hand_over(pending, record, keep=0)
            observe(step, state)
        if step >= steps or stop(step):
            break
        # A chunk ends at the next multiple of chunk_steps, wherever the run was resumed: so a
        # resumed run is observed after the same steps as one that was never stopped.
        length = min(chunk_steps - step % chunk_steps, steps - step)
        try:
            operand = source.fetch(step, length)
        except Exception:
            _hand_over(pending, record, keep=0)
            rescue(step, state)
            raise
        state, info = run_chunk(state, operand, length)
        pending.append((step, info))
        step += length
        _hand_over(pending, record, keep=1)  # the device is at work on the newest
    _hand_over(pending, record, keep=0)
    return state
