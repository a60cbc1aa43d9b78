"""Trains many BEGANs on the 8x8 digits and evaluates them on the way, for C16 and C17."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import jwgan
from experiments.claims import worlds
from jwgan import many, networks, priors, sources
from jwgan.models import autoencoder, mlp
from jwgan.run import tasks

# Rate, gain of k, code and latent are those of experiments.began --network auto. ZERO is the pixel
# that networks see as 0: the digits' background.
WIDTH, CODE, LATENT, BATCH = 64, 32, 32, 32
LEARNING_RATE, LAMBDA_K, ZERO = 3e-4, 1e-2, -1.0


class Trace(NamedTuple):
    """K trials evaluated T times.

    Attributes:
      steps: [T] updates so far.
      means: {name: [T, K]}, means of the step's scalars over the window before each evaluation.
      real_loss: [T, K, N] per-image loss L(x) of the held-out digits.
      fake_loss: [T, K, N] per-image loss of as many generated digits.
      samples: [T, K, N, 64] these, from the same latents at every evaluation.
    """

    steps: list[int]
    means: dict[str, Any]
    real_loss: Any
    fake_loss: Any
    samples: Any


def member(gamma: Any) -> Any:
    """Builds BEGAN on MLPs: the auto-encoder 64-64-32-64-64, the generator 32-64-64-64."""
    critic = jwgan.from_linen(
        autoencoder.EBGANMLPCritic((WIDTH, CODE), energy=autoencoder.mean_absolute)
    )
    # The auto-encoder returns its codes as well, which only EBGAN needs.
    critic = networks.map_output(critic, lambda x, scored: scored.score)
    generator = jwgan.from_linen(mlp.MLPGenerator((8, 8, 1), (WIDTH,) * 2))
    return jwgan.began(
        # Both players see the background as 0; fakes then start near it, easy to reconstruct.
        networks.map_input(critic, lambda x: x - ZERO),
        networks.map_output(generator, lambda z, x: x + ZERO),
        prior=priors.uniform(LATENT),
        learning_rate=LEARNING_RATE,
        gamma=gamma,
        lambda_k=LAMBDA_K,
    )


def _make_evaluate(runs: many.Trials, held_out: Any) -> Any:
    """Makes `states -> (losses of held_out [K, N], of samples [K, N], samples [K, N, 64])`."""
    # Latents are the same at every evaluation and for every trial.
    z = runs.algorithm.prior(jax.random.key(13), len(held_out))
    # `runs.algorithm.score` gives every trial the same images; here each scores its own.
    own = many.each(member, {"gamma": runs.settings["gamma"]})

    @jax.jit
    def losses(states: Any) -> Any:
        fake = runs.algorithm.generate(states, z)  # [K, N, 8, 8, 1]
        of_fake = own(lambda one, state, x: one.score(state, x), states, fake)
        return runs.algorithm.score(states, held_out), of_fake, fake.reshape(*of_fake.shape, -1)

    return lambda states: jax.device_get(losses(states))


def noisy(images: Any, noise: float) -> Any:
    """Adds fixed normal noise of a standard deviation to every pixel of images [N, 8, 8, 1]."""
    # The seed is fixed, so an image keeps its noise over epochs, trials and gammas.
    more = noise * np.random.default_rng(0).normal(size=images.shape)
    return (images + more).astype(np.float32)


def play(
    gammas: Sequence[float],
    seeds: Sequence[int],
    *,
    steps: int,
    evaluations: int,
    noise: float = 0.0,
) -> Trace:
    """Trains every gamma with every seed in one program; trial i has gammas[i // len(seeds)].

    Args:
      gammas: diversity ratios.
      seeds: of the runs of each.
      steps: updates.
      evaluations: evenly spaced over them.
      noise: standard deviation of noise on the training images, see `noisy`.
    """
    dataset = tasks.load_images("digits").dataset
    window = max(1, steps // evaluations)
    images = noisy(dataset.images, noise)
    draw = lambda n: sources.from_array(images, n_critic=n, batch_size=BATCH)
    runs = many.trials(member, draw, seeds=seeds, n_critic=1, gamma=gammas)
    evaluate = _make_evaluate(runs, dataset.test_images)
    _, rows, infos = worlds.train(runs, runs.init(), evaluate, window, evaluations)
    real_loss, fake_loss, samples = (np.stack(part) for part in zip(*rows, strict=True))
    return Trace(
        steps=[window * (i + 1) for i in range(evaluations)],
        means=worlds.stacked([worlds.window_means(info) for info in infos]),
        real_loss=real_loss,
        fake_loss=fake_loss,
        samples=samples,
    )
