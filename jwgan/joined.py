r"""Fewer and larger calls of the networks, with the same results: for a GPU.

A step calls the critic on the real batch and once more on the fakes, and the generator in each
critic update. A small call does not fill a GPU, and each of its kernels takes a start. So

* the critic is called once for both, if it is declared `rowwise` (see `types.Network`);
* the fakes of all critic updates of a step are made in one call, since the generator stays as it is
  meanwhile. Batch norm keeps one batch for each update: the call is vmapped.

Losses, gradients and model states are those of the calls one after another, up to the order of
float32 sums. What cannot be joined is done as before: a critic with batch norm, spectral norm or
dropout; under `penalties.r1` and `r2` any critic, since the compiler lets the score of a batch and
the slope at it share their forward pass, which a call of both would do again; fakes of a generator
that draws noise or whose output depends on its model state.

Memory: the fakes of all updates are there at once, and the generator's activations with them.

    >>> def linear(inputs, outputs):
    ...     init = lambda key, x: jax.random.normal(key, (inputs, outputs))
    ...     return networks.from_fn(init, lambda w, x: x @ w, rowwise=True)
    >>> score = networks.map_output(linear(2, 1), lambda x, y: y[:, 0])._replace(rowwise=True)
    >>> member = jwgan.wgan_gp(score, linear(3, 2), prior=priors.normal(3))
"""

from typing import Any

import jax
import jax.numpy as jnp

from jwgan.types import (
    Algorithm,
    Array,
    Calls,
    Data,
    Key,
    ModelState,
    Network,
    Output,
    Params,
    depends,
    inputs,
    scores_apart,
)


def scores(
    critic: Network, params: Params, model_state: ModelState, real: Data, fake: Data
) -> tuple[Output, Output, ModelState]:
    """As `types.scores_apart`, in one call of a critic that is `rowwise`.

    >>> rows = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> real, fake, _ = joined.scores(score, jnp.array([[3.0], [4.0]]), {}, rows, 2 * rows)
    >>> real.tolist(), fake.tolist()
    ([3.0, 4.0], [6.0, 8.0])
    """
    if not critic.rowwise:
        return scores_apart(critic, params, model_state, real, fake)

    # Row by row, and not one batch behind the other: a batch that is divided over devices stays so.
    def both(a: Array, b: Array) -> Array:  # [B, *D], [B, *D] -> [2 B, *D]
        return jnp.stack([a, b], axis=1).reshape(-1, *a.shape[1:])

    pairs = zip(inputs(real), inputs(fake), strict=True)
    output, model_state = critic.apply(params, model_state, *(both(a, b) for a, b in pairs))

    def of(i: int) -> Output:
        return jax.tree.map(lambda y: y.reshape(-1, 2, *y.shape[1:])[:, i], output)

    return of(0), of(1), model_state


def fakes(make: Any, model_state: ModelState, keys: Key, rows: Data) -> Any:
    """The fakes of all critic updates in one call, and the generator's model state after them.

    Args: as of `types.Calls`.

    Returns:
      (fakes, model_state), or None if they must be made one after another.

    >>> make = lambda state, key, real: (0 * real, state)
    >>> rows = jnp.ones((2, 4, 3))  # n_critic 2, B 4
    >>> joined.fakes(make, {}, jax.random.split(jax.random.key(0), 2), rows)[0].shape
    (2, 4, 3)
    """
    firsts = jax.vmap(lambda key: jax.random.split(key)[0])(keys)
    first = jax.tree.map(lambda leaf: leaf[0], (firsts, rows))
    if not _can_be_joined(make, model_state, first):
        return None
    made, moved = jax.vmap(make, in_axes=(None, 0, 0))(model_state, firsts, rows)
    if not jax.tree.leaves(model_state):
        return made, model_state
    # Each update moved the first state; they follow one another. A state s that enters in place of
    # the first one, s_0, comes out moved by J (s - s_0) more, since moving is affine.
    _, move = jax.linearize(lambda state: make(state, *first)[1], model_state)
    at = lambda i: jax.tree.map(lambda leaf: leaf[i], moved)
    state = at(0)
    for i in range(1, len(keys)):
        further = move(jax.tree.map(jnp.subtract, state, model_state))
        state = jax.tree.map(jnp.add, at(i), further)
    return made, state


def _can_be_joined(make: Any, model_state: ModelState, first: tuple[Key, Data]) -> bool:
    """Whether fakes do not depend on the model state, and it moves affinely, whatever the batch.

    Both by tracing alone. Averages of batch statistics move so; counters and random keys do not.
    """
    leaves = jax.tree.leaves(model_state)
    if not leaves:
        return True
    if not all(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves):
        return False
    if depends(lambda state: make(state, *first)[0], model_state):
        return False
    ones = jax.tree.map(jnp.ones_like, model_state)

    def slope(state: ModelState, key: Key, real: Data) -> ModelState:
        return jax.jvp(lambda state: make(state, key, real)[1], (state,), (ones,))[1]

    return not depends(slope, model_state, *first)


JOINED = Calls(scores, fakes)


def with_joined_calls(algorithm: Algorithm) -> Algorithm:
    """The member with its networks called as seldom as they can be; see the module.

    Raises:
      ValueError: the algorithm has no parts to change.

    >>> batch = jnp.ones((2, 4, 2))  # n_critic 2, B 4
    >>> state = member.init(jax.random.key(0), batch)
    >>> one, _ = jax.jit(member.step)(state, batch)
    >>> other, _ = jax.jit(joined.with_joined_calls(member).step)(state, batch)
    >>> jnp.allclose(one.critic.params, other.critic.params, atol=1e-6).item()
    True
    """
    if algorithm.rebuilt is None:
        raise ValueError("algorithm has no parts to change: join each trial before many.over")
    return algorithm.rebuilt(calls=lambda _: JOINED)
