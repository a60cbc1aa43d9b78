"""Trains critics and discriminators between two fixed laws, many in one program.

The exact answer is known there, so pictures and claims can compare what they report with it: a
family of fakes moves with one number theta, and every value of it has its own critic in every seed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jwgan import critics, divergences, networks, objectives, penalties
from jwgan.models import lipschitz, mlp
from jwgan.run.options import option
from jwgan.types import score_gap

# Claims C1 and C2 take the penalty's known bias, 1 + W / (2 WEIGHT), from here.
WEIGHT = 10.0  # of the gradient penalty, the papers'
ESTIMATORS = ("wgan_gp", "lipschitz", "discriminator")
NAMES = {
    "wgan_gp": "WGAN-GP critic",
    "lipschitz": "1-Lipschitz critic",
    "discriminator": "discriminator",
}


class Family(NamedTuple):
    """A real law, and fakes that move.

    Attributes:
      real: `(key, num) -> x [num, D]`.
      fake: `(key, num, theta) -> x [num, D]`, differentiable in theta [].
    """

    real: Callable[[Any, int], Any]
    fake: Callable[[Any, int, Any], Any]


class Estimator(NamedTuple):
    """A critic with the way it is trained, and what a generator would minimise against it.

    Attributes:
      critic: network, [B, D] -> [B].
      objective, penalty: what it is trained with.
      report: `(real scores [B], fake scores [B]) -> []`, its estimate of a distance.
      losses: {name: objective}, of whose generator losses the gradient in theta is taken.
    """

    critic: Any
    objective: Any
    penalty: Any
    report: Callable[[Any, Any], Any]
    losses: dict[str, Any]


def make_estimator(name: str) -> Estimator:
    """Builds one of ESTIMATORS, with small networks, for laws in a few dimensions."""
    wasserstein = objectives.wasserstein()
    small = networks.from_linen(mlp.MLPCritic((32, 32)))
    if name == "wgan_gp":
        # A critic has one loss for the generator, a discriminator two.
        losses = {"wasserstein": wasserstein}
        return Estimator(small, wasserstein, penalties.gradient_penalty(WEIGHT), score_gap, losses)
    if name == "lipschitz":
        # This critic's layers cannot have a slope above 1, so it needs no penalty.
        hard = networks.from_linen(lipschitz.LipschitzCritic((16, 16), iterations=6))
        return Estimator(
            hard, wasserstein, penalties.none(), score_gap, {"wasserstein": wasserstein}
        )
    # One discriminator, trained as in the original game, serves both generator losses.
    minimax, other = objectives.minimax(), objectives.non_saturating()
    losses = {"saturating": minimax, "non_saturating": other}
    return Estimator(small, minimax, penalties.none(), divergences.js_lower_bound, losses)


def fit(
    key: Any,
    estimator: Estimator,
    sample_real: Any,
    sample_fake: Any,
    *,
    steps: int,
    batch: int,
    critic_tx: Any = None,
) -> Any:
    """Trains a critic alone, on samples of two laws that stay as they are.

    Args:
      key: of everything random in it.
      estimator: what is trained.
      sample_real, sample_fake: `(key, num) -> x [num, D]`.
      steps: critic updates.
      batch: samples of each law in one.
      critic_tx: its optimizer; Adam from 0.003 to 0 along a cosine if None.

    Returns:
      `x [B, D] -> scores [B]` of the trained critic.
    """
    algorithm = critics.build(
        estimator.critic,
        fake=sample_fake,
        critic_tx=critic_tx or optax.adam(optax.cosine_decay_schedule(3e-3, steps), b1=0.5, b2=0.9),
        objective=estimator.objective,
        penalty=estimator.penalty,
    )
    key_init, key_data = jax.random.split(key)
    draw = lambda key: sample_real(key, batch)[None]  # one critic update in a step
    state = algorithm.init(key_init, jax.eval_shape(draw, key_data))
    keys = jax.random.split(key_data, steps)
    state, _ = jax.lax.scan(
        lambda state, key: (algorithm.step(state, draw(key))[0], None), state, keys
    )
    return lambda x: algorithm.score(state, x)


def evaluate(
    key: Any, estimator: Estimator, score: Any, family: Family, theta: Any, num: int
) -> dict[str, Any]:
    """Finds what a trained critic reports on fresh samples, and the gradients a generator gets.

    Args:
      key: of the samples.
      estimator: how the critic was trained.
      score: the trained critic, from `fit`.
      family, theta: the laws, [].
      num: samples of each law.

    Returns:
      {"estimate": [], "NAME_gradient": [] in theta, for each of its losses}.
    """
    key_real, key_fake = jax.random.split(key)
    of_real = score(family.real(key_real, num))
    # theta moves the samples and the critic stays: what a generator's gradient goes through.
    of_fake = lambda theta: score(family.fake(key_fake, num, theta))
    slope = lambda loss: jax.grad(lambda t: loss.generator_loss((), of_real, of_fake(t)))(theta)
    found = {"estimate": estimator.report(of_real, of_fake(theta))}
    return found | {f"{name}_gradient": slope(loss) for name, loss in estimator.losses.items()}


def train_grid(
    estimator: Estimator,
    family: Family,
    thetas: Any,
    seeds: Any,
    *,
    steps: int,
    batch: int = 64,
    num: int = 2048,
) -> dict[str, Any]:
    """Trains an estimator at each of the thetas [T] with each of the seeds [S].

    Returns:
      What `evaluate` finds of each, {name: [T, S]}.
    """

    def one(seed: Any, theta: Any) -> dict[str, Any]:
        key_fit, key_evaluate = jax.random.split(jax.random.key(seed))
        fake = lambda key, num: family.fake(key, num, theta)
        score = fit(key_fit, estimator, family.real, fake, steps=steps, batch=batch)
        return evaluate(key_evaluate, estimator, score, family, theta, num)

    # The inner map is over seeds, the outer one over thetas: all T S critics train in one program.
    grid = jax.vmap(jax.vmap(one, in_axes=(0, None)), in_axes=(None, 0))
    return jax.device_get(jax.jit(grid)(jnp.asarray(seeds), jnp.asarray(thetas, jnp.float32)))


def spread(values: Any) -> dict[str, list[float]]:
    """Summarises [T, S] over the seeds: {"median", "least", "largest": [T]}."""
    rounded = lambda x: np.asarray(x, np.float64).round(5).tolist()
    return {
        "median": rounded(np.median(values, axis=1)),
        "least": rounded(np.min(values, axis=1)),
        "largest": rounded(np.max(values, axis=1)),
    }


# Two commands have these options, experiments.parallel_lines and experiments.divergences.
SEEDS = option(16, "critics for each distance, with keys 0, 1, 2, ...", at_least=1)
FIRST_SEED = option(0, "the first key; settings were chosen on 1000 and later")
