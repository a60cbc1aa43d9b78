"""Many BEGANs on the 8x8 digits, looked at on the way: what C16 and C17 are measured on."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import jwgan
from experiments.claims import worlds
from jwgan import loop, many, networks, priors, sources
from jwgan.models import autoencoder, mlp
from jwgan.run import tasks

# rate, gain of k, code and latent are those of experiments.began; so is what the networks see as 0
WIDTH, CODE, LATENT, BATCH = 64, 32, 32, 32
LEARNING_RATE, LAMBDA_K, ZERO = 3e-4, 1e-2, -1.0


class Trace(NamedTuple):
    """K members looked at T times.

    Attributes:
      steps: [T] updates so far.
      figures: {name: [T, K]}, means of the step's figures over the stretch before each look.
      real_loss: [T, K, N] per-image loss L(x) of the held-out digits.
      fake_loss: [T, K, N] the same of as many generated ones, with the same latents at every look.
      samples: [T, K, N, 64] those.
    """

    steps: list[int]
    figures: dict[str, Any]
    real_loss: Any
    fake_loss: Any
    samples: Any


def member(gamma: Any) -> Any:
    """BEGAN with fully connected networks: auto-encoder 64-64-32-64-64, generator 32-64-64-64."""
    critic = jwgan.from_linen(
        autoencoder.EBGANMLPCritic((WIDTH, CODE), energy=autoencoder.mean_absolute)
    )
    critic = networks.map_output(critic, lambda x, scored: scored.score)
    generator = jwgan.from_linen(mlp.MLPGenerator((8, 8, 1), (WIDTH,) * 2))
    return jwgan.began(
        networks.map_input(critic, lambda x: x - ZERO),
        networks.map_output(generator, lambda z, x: x + ZERO),
        prior=priors.uniform(LATENT),
        learning_rate=LEARNING_RATE,
        gamma=gamma,
        lambda_k=LAMBDA_K,
    )


def _looker(together: Any, settings: Any, held_out: Any) -> Any:
    """`(states) -> (losses of held_out [K, N], of as many samples [K, N], those [K, N, 64])`."""
    z = together.prior(jax.random.key(13), len(held_out))

    @jax.jit
    def look(states: Any) -> Any:
        fake = together.generate(states, z)
        score = many.each(member, settings)
        of_fake = score(lambda one, state, x: one.score(state, x), states, fake)
        return together.score(states, held_out), of_fake, fake.reshape(*of_fake.shape, -1)

    return look


def noisy(images: Any, noise: float) -> Any:
    """Images [N, 8, 8, 1] with fixed normal noise of that standard deviation in every pixel."""
    more = noise * np.random.default_rng(0).normal(size=images.shape)
    return (images + more).astype(np.float32)


def play(
    gammas: Sequence[float],
    seeds: int,
    *,
    steps: int,
    looks: int,
    noise: float = 0.0,
) -> Trace:
    """Trains every gamma with every seed in one program; member i has gammas[i // seeds].

    Args:
      gammas: diversity ratios.
      seeds: runs of each, with seeds 0 and on.
      steps: updates.
      looks: evenly spaced over them.
      noise: standard deviation of noise on the training images, see `noisy`.
    """
    dataset = tasks.load_images("digits").dataset
    stretch = max(1, steps // looks)
    settings = many.grid(seed=range(seeds), gamma=gammas)
    keys = many.keys(settings.pop("seed"))
    together = many.over(member, settings)
    images = noisy(dataset.images, noise)
    one = lambda n: sources.from_array(images, n_critic=n, batch_size=BATCH)
    source = many.drawn(one, [1] * len(keys))
    look = _looker(together, settings, dataset.test_images)
    rows: list[Any] = []
    means: list[dict[str, Any]] = []

    loop.train(
        together,
        jax.jit(lambda keys: together.init(keys, source.batch))(keys),
        source,
        steps=stretch * looks,
        chunk_steps=stretch,
        record=lambda first, info: means.append(worlds.means_of(info)),
        due=lambda step: step > 0,
        observe=lambda step, states: rows.append(jax.device_get(look(states))),
    )
    real_loss, fake_loss, samples = (np.stack(part) for part in zip(*rows, strict=True))
    return Trace(
        steps=[stretch * (i + 1) for i in range(looks)],
        figures=worlds.stacked(means),
        real_loss=real_loss,
        fake_loss=fake_loss,
        samples=samples,
    )
