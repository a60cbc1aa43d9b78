"""Trains a critic alone between two samplers: the family's critic update without a generator.

The second sampler takes the generator's place, as a prior behind a network that returns its input.
So every objective, penalty, constraint and network of the library works, and `loop.train` runs it:
it measures a Wasserstein distance, or any other divergence that a critic estimates.
"""

from typing import Any

import jax
import optax

from jwgan import adversarial
from jwgan.adversarial import AdversarialState
from jwgan.types import (
    Algorithm,
    Array,
    Data,
    Info,
    Key,
    Labelled,
    Network,
    Objective,
    OwnLabels,
    Penalty,
    Prior,
    inputs,
)

# The generator z -> z, without parameters; a label is the critic's business.
IDENTITY = Network(
    lambda key, z, *label: ({}, {}),
    lambda params, state, z, *label: (z, state),
    lambda params, state, z, *label: z,
)


def build(
    critic: Network,
    *,
    fake: Prior,
    critic_tx: optax.GradientTransformation,
    objective: Objective,
    penalty: Penalty,
) -> Algorithm:
    """Assembles a critic of what `fake` samples; the batches of its steps are the real data.

    A step is n_critic critic updates, each with fresh fakes. Its info is a dict of scalars, of the
    last update: "critic_loss" without the penalty, "penalty", "wasserstein_estimate",
    "real_score", "fake_score", "critic_gradient_norm".

    Args:
      critic: [B, *D] -> [B].
      fake: `(key, num) -> x [num, *D]`, for example a `Pair`'s `sample_fake`; `Labelled` samples
        keep their labels.
      critic_tx: optax transform.
      objective: see `objectives`; its state never moves.
      penalty: see `penalties`.

    Returns:
      An Algorithm whose `init` raises ValueError as `adversarial.init` does.

    A linear critic with weights in [-1, 1] measures the distance of two points (2, 0) and (0, 0):

    >>> linear = networks.from_fn(lambda key, x: jnp.zeros(2), lambda w, x: x @ w)
    >>> algorithm = critics.build(
    ...     linear,
    ...     fake=lambda key, num: jnp.zeros((num, 2)),
    ...     critic_tx=optax.chain(optax.sgd(0.5), constraints.clip_weights(1.0)),
    ...     objective=objectives.wasserstein(),
    ...     penalty=penalties.none(),
    ... )
    >>> points = lambda key, num: jnp.tile(jnp.array([[2.0, 0.0]]), (num, 1))
    >>> source = sources.from_sampler(points, n_critic=1, batch_size=4)
    >>> state = algorithm.init(jax.random.key(0), source.batch)
    >>> estimates = []
    >>> record = lambda first, info: estimates.extend(info["wasserstein_estimate"].tolist())
    >>> state = loop.train(algorithm, state, source, steps=3, record=record)
    >>> estimates
    [0.0, 2.0, 2.0]
    """
    parts: dict[str, Any] = {"critic": critic, "critic_tx": critic_tx, "objective": objective}
    players = {**parts, "generator": IDENTITY, "prior": _with_own_labels(fake)}

    def init(key: Key, batch: Any) -> AdversarialState:
        # The generator has no parameters, so the identity is its optimizer.
        return adversarial.init(key, batch, generator_tx=optax.identity(), **players)

    def step(state: AdversarialState, batch: Data) -> tuple[AdversarialState, Info]:
        # As in `adversarial.step`, but the whole key is the critic's: there is no generator update.
        key = jax.random.fold_in(state.key, state.step)
        player, _, (_, metrics) = adversarial.critic_updates(
            state, batch, key, penalty=penalty, **players
        )
        return state._replace(step=state.step + 1, critic=player), metrics

    def generate(state: AdversarialState, z: Data) -> Array:
        del state
        return inputs(z)[0]

    def score(state: AdversarialState, x: Data) -> Array:
        return adversarial.score(state, x, critic=critic)

    return Algorithm(init, step, fake, generate, score)


def _with_own_labels(fake: Prior) -> Prior:
    """A sampler whose labels belong to its samples, where a prior's make way for the real ones."""

    def sample(key: Key, num: int) -> Data:
        x = fake(key, num)
        return OwnLabels(*x) if isinstance(x, Labelled) else x

    return sample
