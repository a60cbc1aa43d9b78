"""Compiles the critic updates of a case with the gradient penalty and with clipping."""

from collections.abc import Callable
from typing import Any

import jax
import optax

import jwgan
from experiments.speed import cases
from jwgan import adversarial, constraints, objectives, penalties


def programs(name: str) -> dict[str, Callable[[], Any]]:
    """Makes two functions that run a step's critic updates once: WGAN-GP's, and WGAN's."""
    parts = cases.players(name)
    # Rate, decay and box are those of `jwgan.wgan`, whose own chain is inside its algorithm.
    clipped = optax.chain(
        optax.rmsprop(5e-5, decay=0.99, eps_in_sqrt=False), constraints.clip_weights(0.01)
    )
    networks = (parts.critic, parts.generator)
    wasserstein = objectives.wasserstein()
    return {
        "penalty_ms": _updates(
            cases.member(name, parts),
            parts,
            critic_tx=optax.adam(1e-4, b1=0.5, b2=0.9),
            penalty=penalties.gradient_penalty(parts.weight),
            objective=wasserstein,
        ),
        "clipping_ms": _updates(
            jwgan.wgan(*networks, prior=parts.prior),
            parts,
            critic_tx=clipped,
            penalty=penalties.none(),
            objective=wasserstein,
        ),
    }


def _updates(algorithm: Any, parts: cases.Players, **rest: Any) -> Callable[[], Any]:
    # Every run has one key and one batch of noise: only the time is read.
    key, shape = jax.random.key(0), parts.source.batch
    state = jax.jit(lambda: algorithm.init(key, shape))()
    batch = jax.random.uniform(key, shape.shape, shape.dtype)

    @jax.jit
    def updates(state: Any, batch: Any) -> Any:
        # The new player is returned, or the compiler would drop its updates as dead code.
        return adversarial.critic_updates(
            state, batch, key,
            critic=parts.critic, generator=parts.generator, prior=parts.prior, **rest,
        )[0]  # fmt: skip

    # Every run begins at the same state, which is therefore not donated.
    return lambda: updates(state, batch)
