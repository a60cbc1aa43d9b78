"""Trains members on the architectures of WGAN-GP's robustness test in miniature, for C11.

The architectures are `jwgan.models.robustness`'s, on scikit-learn's 8 x 8 digits. Such an image is
halved once where the paper's are halved three times or more, so beside each strided convolution
stands one that keeps the size: without it no layer of the critic would be normalised. The ResNets
have 26 layers instead of 101, whose compilation alone takes minutes a member on one core.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jwgan
from jwgan import loop, many, networks, priors, sources
from jwgan.metrics import frechet
from jwgan.models import mlp, norms, robustness
from jwgan.run import evaluate

SHAPE = (8, 8, 1)
WIDTH, LATENT, BATCH = 16, 16, 32
MLP_WIDTH, DEPTH = 128, 26  # the paper's: 512, 101
SAMPLES = 1000  # in a Frechet distance
FASTER = 5.0  # every rate is the paper's times this: a run is a hundred times shorter
NOT_FINITE = -1.0  # the quality of such a run, below that of all others


class Member(NamedTuple):
    """How a member is trained.

    Attributes:
      make: its name in `jwgan`.
      numbers: beside its defaults; the rates before `FASTER`.
      n_critic: critic updates for each generator update.
      norm: of a critic that normalises, a name in `jwgan.models.norms`; "" for none.
    """

    make: str
    numbers: dict[str, float]
    n_critic: int
    norm: str


# Rates are those of the papers; the critic's norm is what each came with.
_PENALISED = {"learning_rate": 1e-4, "b1": 0.5, "b2": 0.9}  # the authors' DCGAN-like networks
MEMBERS = {
    # gan is dcgan's game and optimizer on wgan_gp's networks
    "gan": Member("gan", {"learning_rate": 2e-4, "b1": 0.5}, 1, "layer_norm"),
    "dcgan": Member("dcgan", {"learning_rate": 2e-4, "b1": 0.5}, 1, "batch_norm"),
    "lsgan": Member(
        "lsgan", {"critic_learning_rate": 2e-4, "generator_learning_rate": 2e-4}, 1, "batch_norm"
    ),
    "wgan": Member("wgan", {"learning_rate": 5e-5, "c": 0.01}, 5, "batch_norm"),
    "wgan_gp": Member("wgan_gp", _PENALISED, 5, "layer_norm"),
    "wgan_lp": Member("wgan_lp", _PENALISED, 5, "layer_norm"),
    "sngan": Member("sngan", {"learning_rate": 2e-4}, 1, ""),
}
# name shown -> function of robustness.py
ARCHITECTURES = {
    "baseline": "baseline",
    "no normalisation": "no_normalisation",
    "tanh everywhere": "tanh_everywhere",
    "MLP generator": "mlp_generator",
    "constant filters": "constant_filters",
    "gated everywhere": "gated_everywhere",
    f"{DEPTH} layers": "resnet_101",
}
RANDOM_DEPTHS, RANDOM_FILTERS = (2, 3, 4), (5, 10, 20)  # the paper's: (4, ..., 20), (32, ...)


def norm_of(member: str) -> Any:
    """Looks up the norm of a member's critic in `jwgan.models.norms`; None for none."""
    name = MEMBERS[member].norm
    return getattr(norms, name) if name else None


def pair(architecture: str, member: str) -> Any:
    """Makes (critic, generator), Linen modules of one of `ARCHITECTURES` for a member."""
    name, norm = ARCHITECTURES[architecture], norm_of(member)
    # Three of the functions have arguments of their own, the others have these three.
    if name == "no_normalisation":
        players = robustness.no_normalisation(SHAPE, WIDTH)
    elif name == "mlp_generator":
        players = robustness.mlp_generator(SHAPE, WIDTH, norm, features=(MLP_WIDTH,) * 4)
    elif name == "resnet_101":
        return robustness.resnet_101(SHAPE, WIDTH, norm, depth=DEPTH)
    else:
        players = getattr(robustness, name)(SHAPE, WIDTH, norm)
    # Only convolutions have a size to keep; the MLP generator has none.
    with_plain = (robustness.ConvCritic, robustness.ConvGenerator)
    return tuple(p.clone(plain=(1,)) if isinstance(p, with_plain) else p for p in players)


def random_pair(seed: int, member: str) -> Any:
    """Draws (critic, generator) at random: the same for every member but for the critic's norm."""
    return robustness.random_architecture(
        seed,
        SHAPE,
        critic_norm=norm_of(member),
        filters=RANDOM_FILTERS,
        depths=RANDOM_DEPTHS,
    )


def plain_pair(member: str) -> Any:
    """Makes (critic, generator) that compile in a second, for a quick run: small MLPs."""
    del member
    return mlp.MLPCritic((16,)), mlp.MLPGenerator(SHAPE, (16,), final_activation=jnp.tanh)


def build(member: str, players: Any) -> Any:
    """Builds a member on two Linen modules."""

    def network(module: Any) -> Any:
        # MLPs have no norm, and so no argument `train`.
        if isinstance(module, mlp.MLPCritic | mlp.MLPGenerator):
            return jwgan.from_linen(module)
        return jwgan.from_linen(module, **networks.TRAIN_ARGUMENT)

    settings = MEMBERS[member]
    numbers = {
        name: value * FASTER if name.endswith("rate") else value
        for name, value in settings.numbers.items()
    }
    critic, generator = map(network, players)
    make = getattr(jwgan, settings.make)
    return make(critic, generator, prior=priors.normal(LATENT), **numbers)


def _compiled(function: Any, *args: Any) -> Any:
    """Compiles a jitted function with less optimisation: in a third of the time, and as fast."""
    options = {"xla_backend_optimization_level": 1}
    return function.lower(*args).compile(compiler_options=options)


def samples(member: str, players: Any, images: Any, seeds: Sequence[int], steps: int) -> Any:
    """Trains the seeds in one program and draws `SAMPLES` images of each.

    Args:
      member: one of `MEMBERS`.
      players: (critic, generator), Linen modules.
      images: [N, *SHAPE] to train on.
      seeds: K of them; the rates were chosen on seeds below 16.
      steps: generator updates.

    Returns:
      [K, SAMPLES, *SHAPE], as NumPy has it.
    """
    algorithm = build(member, players)
    runs = many.trials(
        lambda: algorithm,
        lambda n: sources.from_array(images, n_critic=n, batch_size=BATCH),
        seeds=seeds,
        n_critic=MEMBERS[member].n_critic,
    )
    # Not `runs.init`: a hundred programs are compiled, each of them with less optimisation.
    init = jax.jit(lambda keys: runs.algorithm.init(keys, runs.source.batch))
    states = _compiled(init, runs.keys)(runs.keys)
    operand = runs.source.fetch(0, steps)
    program = _compiled(loop.chunk_program(runs.algorithm, runs.source), states, operand, steps)
    states, _ = program(states, operand)
    # The key is `evaluate.quality`'s; latents are the same for every member and seed.
    key = jax.random.key(13)
    draw = jax.jit(lambda states: runs.algorithm.sample(key, states, SAMPLES))
    return np.asarray(_compiled(draw, states)(states))


# ---- how good the images are ---------------------------------------------------------------------


def make_quality(dataset: Any, features: Callable[[Any], Any]) -> Callable[[Any], float]:
    """Makes `images [N, *D] -> quality`, from 0 for uniform noise to 1 for real images.

    (F(noise) - F(images)) / (F(noise) - F(real)), F the Frechet distance to held-out images; real
    are training images. Images worse than noise are below 0, numbers that are not finite -1.

    Args:
      dataset: with held-out images.
      features: `images [N, *D] -> [N, F]`.
    """
    rng = np.random.default_rng(0)
    held_out = frechet.moments(features(dataset.test_images))

    def distance(x: Any) -> float:
        return frechet.distance_of_moments(*held_out, *frechet.moments(features(x)))

    # There are as many noise and real images as samples: the Frechet distance's bias depends on
    # their number.
    shape = (SAMPLES, *dataset.images.shape[1:])
    chosen = rng.choice(len(dataset.images), min(SAMPLES, len(dataset.images)), replace=False)
    real = distance(dataset.images[chosen])
    noise = distance(rng.uniform(-1, 1, shape).astype(np.float32))

    def quality(x: Any) -> float:
        if not np.isfinite(x).all():
            return NOT_FINITE
        return max((noise - distance(x)) / (noise - real), NOT_FINITE)

    return quality


def classifier_features(dataset: Any) -> Callable[[Any], Any]:
    """Fits the classifier that training runs on digits are evaluated with: its features."""
    fitted = evaluate.fit_classifier(dataset)
    compute = jax.jit(fitted.features)
    return lambda x: np.asarray(compute(fitted.params, x))


def pixels(x: Any) -> Any:
    """Takes the images themselves, flat, as features: [N, *D] -> [N, F]; for a quick run."""
    return x.reshape(len(x), -1)
