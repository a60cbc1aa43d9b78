"""train: the only Python loop. Compiled chunks of steps, one host crossing a chunk."""

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
    """The compiled `(state, operand, length) -> (state, info [length])`; donates the state.

    With a mesh the batches are divided over its axis "data", see `parallel`.
    """

    def chunk(state: Any, operand: Any, length: int) -> tuple[Any, Any]:
        xs, take = source.batches(operand, state.key, length)

        def body(state: Any, x: Any) -> tuple[Any, Any]:
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
    """The state with another base key, so that what follows is other noise and other data.

    For going on from a checkpoint whose future ended badly. The same number gives the same key.

    Args:
      state: a state whose base key is an attribute `key`, of itself or of what it wraps; keys
        [K] of K seeds side by side are renewed each.
      number: 0, 1, 2, ... for the first, second, third retry.
    """

    def renew(path: Any, leaf: Any) -> Any:
        if jax.tree_util.keystr(path[-1:]) != ".key":
            return leaf
        fold = lambda key: jax.random.fold_in(jax.random.fold_in(key, RETRY_FOLD), number)
        return jax.vmap(fold)(leaf) if leaf.ndim else fold(leaf)

    return jax.tree_util.tree_map_with_path(renew, state)


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

    The next chunk is dispatched before the last one's figures are fetched, so the device does not
    wait for the host; except where `observe` is due, which sees a finished chunk.

    Args:
      algorithm: the member; its state has a `key` and a `step`.
      state: from `algorithm.init` or a checkpoint. It is donated: keep no reference to it.
      source: batches; see `sources`.
      steps: total number of steps, those already in the state included.
      chunk_steps: steps in one compiled program; a chunk ends at each multiple of it, and the
        last one may be shorter.
      record: `(first_step, info)`, called with a chunk's figures as NumPy arrays [length].
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
    """
    require(chunk_steps >= 1, "chunk_steps", chunk_steps, "give at least one step a chunk")
    run_chunk = chunk_program(algorithm, source, mesh)
    step = int(np.ravel(np.asarray(state.step))[0])
    pending: list[tuple[int, Any]] = []  # figures still on the device

    def flush(keep: int) -> None:
        while len(pending) > keep:
            first, info = pending.pop(0)
            record(first, jax.device_get(info))

    while True:
        if due(step):
            flush(keep=0)
            observe(step, state)
        if step >= steps or stop(step):
            break
        # chunks end at multiples of chunk_steps wherever a run goes on, so that what is looked at
        # there is looked at after the same steps
        length = min(chunk_steps - step % chunk_steps, steps - step)
        try:
            operand = source.fetch(step, length)
        except Exception:
            flush(keep=0)
            rescue(step, state)
            raise
        state, info = run_chunk(state, operand, length)
        pending.append((step, info))
        step += length
        flush(keep=1)
    flush(keep=0)
    return state
