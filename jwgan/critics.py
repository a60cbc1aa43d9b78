"""A critic alone between two samplers: the family's critic update with nobody to fool.

The second sampler stands where the generator's would be, as a prior behind a generator that passes
it through. So any objective, penalty, constraint and network goes, and `loop.train` runs it.
"""

from typing import Any

import jax
import optax

from jwgan import adversarial
from jwgan.adversarial import AdversarialState
from jwgan.types import Algorithm, Array, Info, Key, Network, Objective, Penalty, Prior

# Without parameters: z -> z.
IDENTITY = Network(
    lambda key, z: ({}, {}), lambda params, state, z: (z, state), lambda params, state, z: z
)


def build(
    critic: Network,
    *,
    fake: Prior,
    critic_tx: optax.GradientTransformation,
    objective: Objective,
    penalty: Penalty,
) -> Algorithm:
    """A critic of what `fake` samples; the batches it is stepped with are the real data.

    A step is n_critic critic updates, each with fresh fakes. Its info is a dict of scalars, of the
    last update: "critic_loss" without the penalty, "penalty", "wasserstein_estimate",
    "real_score", "fake_score", "critic_gradient_norm".

    Args:
      critic: [B, *D] -> [B].
      fake: `(key, num) -> x [num, *D]`, for example a `Pair`'s `sample_fake`.
      critic_tx: optax transform.
      objective: see `objectives`; its state never moves.
      penalty: see `penalties`.

    Returns:
      An Algorithm whose `init` raises ValueError as `adversarial.init` does.
    """
    parts: dict[str, Any] = {"critic": critic, "critic_tx": critic_tx, "objective": objective}
    players = {**parts, "generator": IDENTITY, "prior": fake}

    def init(key: Key, batch: Any) -> AdversarialState:
        return adversarial.init(key, batch, generator_tx=optax.identity(), **players)

    def step(state: AdversarialState, batch: Array) -> tuple[AdversarialState, Info]:
        key = jax.random.fold_in(state.key, state.step)
        player, _, (_, figures) = adversarial.critic_updates(
            state, batch, key, penalty=penalty, **players
        )
        return state._replace(step=state.step + 1, critic=player), figures

    def generate(state: AdversarialState, z: Array) -> Array:
        del state
        return z

    def score(state: AdversarialState, x: Array) -> Array:
        return adversarial.score(state, x, critic=critic)

    return Algorithm(init, step, fake, generate, score)
