"""Behaviour around any member of the family: Algorithm -> Algorithm.

The examples wrap a member that moves a shift towards data at (1, 0):

    >>> critic = networks.from_fn(lambda key, x: jnp.array([3.0, 4.0]), lambda w, x: x @ w)
    >>> generator = networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda shift, z: z + shift)
    >>> member = jwgan.wgan_gp(critic, generator, prior=priors.normal(2), learning_rate=0.1)
    >>> batch = jnp.tile(jnp.array([1.0, 0.0]), (3, 4, 1))  # n_critic 3, B 4
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.types import EMA_FOLD, Algorithm, Array, Data, Key, ModelState, Params, Ragged


class EMAState(NamedTuple):
    """A member's state, the running average of its generator's parameters, and what goes with it.

    The properties are what the loop and other wrappers read of a state.

    Attributes:
      inner: the member's own state.
      average: tree like the generator's params.
      statistics: tree like the generator's model_state; its batch statistics are those of
        generators with averaged parameters. {} without model state.
    """

    inner: Any
    average: Params
    statistics: ModelState

    @property
    def key(self) -> Key:
        """The run's base key []."""
        return self.inner.key

    @property
    def step(self) -> Array:
        """[] int32, generator updates so far."""
        return self.inner.step

    @property
    def critic(self) -> Any:
        """The member's critic, as it is."""
        return self.inner.critic

    @property
    def generator(self) -> Any:
        """The generator with averaged parameters: what is sampled from."""
        generator = self.inner.generator
        return generator._replace(params=self.average, model_state=self.statistics)


def with_ema(algorithm: Algorithm, decay: float | Array) -> Algorithm:
    r"""Samples from an exponential moving average of the generator's parameters.

    $\bar\theta_t = d_t \bar\theta_{t-1} + (1 - d_t)\theta_t$ with
    $d_t = \min(d, (1 + t)/(10 + t))$, so the average forgets the initial parameters quickly.
    Training is untouched.

    Batch statistics of the current parameters would not belong to the averaged ones. So a generator
    with model state has a second one: in every step a batch of latents passes through the averaged
    generator as in training, and moves it. That costs one forward pass of the generator a step.

    Args:
      algorithm: any member with a `generator.params` in its state.
      decay: d in [0, 1); 0 is the current generator.

    Raises:
      ValueError: decay outside [0, 1).

    Reference: Yazici et al., 2019, The Unusual Effectiveness of Averaging in GAN Training.

    >>> algorithm = wrappers.with_ema(member, decay=0.999)
    >>> state, _ = jax.jit(algorithm.step)(algorithm.init(jax.random.key(0), batch), batch)
    >>> ratio = state.average / state.inner.generator.params  # from 0, d_1 = 2 / 11
    >>> round(ratio[0, 0].item(), 4)
    0.8182
    """
    remedy = "give a number in [0, 1), for example 0.999"
    require((decay >= 0) & (decay < 1), "decay", decay, remedy)

    def init(key: Key, batch: Any) -> EMAState:
        inner = algorithm.init(key, batch)
        # Copies: the loop donates the state, and two leaves must not share one buffer.
        own = jax.tree.map(jnp.copy, (inner.generator.params, inner.generator.model_state))
        return EMAState(inner, *own)

    def step(state: EMAState, batch: Any) -> tuple[EMAState, Any]:
        inner, info = algorithm.step(state.inner, batch)
        t = inner.step.astype(jnp.float32)
        d = jnp.minimum(decay, (1 + t) / (10 + t))
        average = jax.tree.map(
            lambda a, p: _moved(a, p, 1 - d), state.average, inner.generator.params
        )
        after = EMAState(inner, average, inner.generator.model_state)
        if algorithm.settle and jax.tree.leaves(after.statistics):
            # At first they follow the member's own, which forget the initial values sooner.
            young = (9 / (10 + t)) ** 2
            statistics = jax.tree.map(
                lambda own, now: _moved(own, now, young), state.statistics, after.statistics
            )
            key = jax.random.fold_in(jax.random.fold_in(inner.key, EMA_FOLD), inner.step)
            rows = batch.rows if isinstance(batch, Ragged) else batch
            z = algorithm.prior(key, rows.shape[1])
            generator = after.generator._replace(model_state=statistics)
            after = after._replace(statistics=algorithm.settle(generator, z))
        return after, info

    def generate(state: EMAState, z: Data) -> Array:
        return algorithm.generate(state.inner._replace(generator=state.generator), z)

    def score(state: EMAState, x: Data) -> Array:
        return algorithm.score(state.inner, x)

    again = algorithm.rebuilt
    return algorithm._replace(
        init=init,
        step=step,
        generate=generate,
        score=score,
        rebuilt=again and (lambda **changes: with_ema(again(**changes), decay)),
    )


def _moved(old: Array, new: Array, part: Array) -> Array:
    """`old`, moved a part of the way to `new`; what has no ways between (counters, keys) is `new`.

    Not (1 - part) old + part new: equal parameters then stay equal, bit by bit.
    """
    if not jnp.issubdtype(new.dtype, jnp.inexact):
        return new
    return (old + part * (new - old)).astype(new.dtype)


def with_n_critic(algorithm: Algorithm, n_critic: int | Array) -> Algorithm:
    """Uses the first n_critic batches of a step's [n, B, *D] alone, as if there were no more.

    So the trials of one program may differ in their number of critic updates, see `many`. A step
    takes the time of its own updates; vmapped, that of the trial with the most of them.

    Args:
      algorithm: any member.
      n_critic: 1 <= n_critic <= n, may be traced.

    Raises:
      ValueError: n_critic below 1, or a batch with fewer rows.

    >>> state = member.init(jax.random.key(0), batch)
    >>> first, _ = jax.jit(wrappers.with_n_critic(member, 1).step)(state, batch)
    >>> alone, _ = jax.jit(member.step)(state, batch[:1])
    >>> jnp.allclose(first.critic.params, alone.critic.params).item()
    True
    """
    require(n_critic >= 1, "n_critic", n_critic, "give at least one critic update a step")

    def step(state: Any, batch: Data) -> tuple[Any, Any]:
        rows = batch.shape[0]
        require(n_critic <= rows, "n_critic", n_critic, f"the batch has {rows}")
        return algorithm.step(state, Ragged(batch, jnp.asarray(n_critic)))

    again = algorithm.rebuilt
    return algorithm._replace(
        step=step, rebuilt=again and (lambda **changes: with_n_critic(again(**changes), n_critic))
    )
