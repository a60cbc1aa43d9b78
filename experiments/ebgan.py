"""EBGAN on images: an auto-encoder's reconstruction error as energy, with a margin.

Paper: Zhao, Mathieu and LeCun, 2017, Energy-based Generative Adversarial Network.

    python -m experiments.ebgan                             # real handwritten digits, 8x8
    python -m experiments.ebgan --dataset fashion_mnist --minutes 10 --steps 100000
    python -m experiments.ebgan --network auto              # deeper, as in the paper
    python -m experiments.ebgan --pulling-away 0            # without the pulling-away term

The auto-encoder is the shallow one of `models.shallow`, whose energy is the mean absolute error of
pixels in [0, 1]. Those of --network auto have the paper's Euclidean norm as energy, and a margin to
go with that: the paper's 10 belongs to 28x28 images. The first command trains about 39 s on 2 CPU
cores. Expected: 10 of 10 classes, a Frechet distance of about 2.7.
"""

import dataclasses
from typing import Any

import jwgan
from jwgan import priors, run
from jwgan.models import autoencoder
from jwgan.run import option


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    steps: int = option(10000, "updates of both players, those of a resumed run included")
    n_critic: int = option(1)
    network: str = option(
        "shallow",
        "shallow: the pair of models.shallow, with --code, --critic-norm and "
        "--generator-norm; or mlp, dcgan, resnet, the generator beside the usual auto-encoder; "
        "auto: mlp for images under 16 pixels a side, else dcgan",
    )
    critic_norm: str = option("batch")
    generator_norm: str = option("batch")
    width: int = option(16)
    latent: int = option(32)
    learning_rate: float = option(2e-3, "of the generator's Adam (the paper's 1e-3)", above=0)
    critic_learning_rate: float | None = option(
        1e-3, "of the critic's Adam (with other networks: learning_rate)", above=0
    )
    code: int = option(32, "dimensions of the code of --network shallow", at_least=1)
    margin: float = option(0.07, "m, in units of the energy (with other networks: 3)")
    pulling_away: float = option(0.1, "weight of the pulling-away term")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    if config.network == "shallow":
        critic, generator = run.shallow_players(shape, config, config.code)
        return _with_numbers(config, critic, generator)
    run.require_no_norm(config, "this auto-encoder has none (--network shallow has)", "critic")
    # Only the generator is the other members' one: EBGAN's critic is an auto-encoder.
    _, generator = run.image_players(shape, config)

    # Below 16 pixels there is little to convolve, see `run.image_players`.
    flat = shape[0] < 16

    def auto_encoder(shape: tuple[int, ...]) -> Any:
        if flat:
            return autoencoder.EBGANMLPCritic((8 * config.width, config.width))
        return autoencoder.EBGANConvCritic(shape, (config.width, 2 * config.width))

    return _with_numbers(config, run.energy(auto_encoder, shape, config, flat), generator)


def _with_numbers(config: Config, critic: Any, generator: Any) -> jwgan.Algorithm:
    """EBGAN of two networks and the options' numbers."""
    algorithm = jwgan.ebgan(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        margin=config.margin,
        pulling_away_weight=config.pulling_away,
    )
    return jwgan.with_ema(algorithm, config.ema)


# What goes with other networks than the shallow pair: no norms, and energies that are norms.
OF_OTHERS = {
    **{"critic_norm": "none", "generator_norm": "none", "width": 32, "latent": 16},
    **{"learning_rate": 3e-4, "critic_learning_rate": None, "margin": 3.0},
}
# Section 4.1: a margin of 10 for images of 28 x 28.
PAPER = {
    **OF_OTHERS,
    **{"network": "auto", "learning_rate": 1e-3, "margin": 10.0, "pulling_away": 0.1, "ema": 0.0},
}


def tuned(given: dict[str, Any]) -> dict[str, Any]:
    """The settings that go with the networks asked for, where they are not those of `Config`."""
    return {} if given.get("network", "shallow") == "shallow" else OF_OTHERS


BEFORE = {
    **{"network": "auto", "critic_norm": "none", "generator_norm": "none"},
    "critic_learning_rate": None,
}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER, tuned=tuned, before=BEFORE)

if __name__ == "__main__":
    run.main(EXPERIMENT)
