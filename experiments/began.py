"""BEGAN on images: an auto-encoder as the critic, held in balance by k_t.

Paper: Berthelot, Schumm and Metz, 2017, Boundary Equilibrium Generative Adversarial Networks.

    python -m experiments.began                             # real handwritten digits, 8x8
    python -m experiments.began --dataset fashion_mnist --minutes 10 --steps 100000
    python -m experiments.began --gamma 0.5                 # less diversity
    python -m experiments.began --network auto              # the paper's auto-encoders

On small pictures with a black background the paper's deep auto-encoders collapse to a few images.
What works, and is the default, is the pair of `models.shallow` with batch norm and a critic that
learns fast: `experiments.began_ablation` takes each part of that back by itself. The curves `k`,
`convergence` (M) and `learning_rate_scale` (halved when M stalls, down to 0.01) are in the report.

The first command trains about 31 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 4.1.
"""

import dataclasses
import math
from typing import Any

import jwgan
from jwgan import networks, priors, run
from jwgan.models import autoencoder
from jwgan.run import option

CODE = 32


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    # Networks are smaller than the paper's, rates are higher and k faster: for minutes on a CPU.
    steps: int = option(8000, "updates of both players, those of a resumed run included")
    n_critic: int = option(1)
    network: str = option(
        "shallow",
        "shallow: the pair of models.shallow, with --code, --critic-norm and --generator-norm; "
        "auto: the paper's auto-encoders",
    )
    critic_norm: str = option("batch")
    generator_norm: str = option("batch")
    width: int = option(16, "n, channels of the convolutions (the paper's 64 or 128)")
    code: int | None = option(
        None,
        "h, dimensions of the auto-encoder's code (default: 32, with --network shallow at most a "
        "quarter of the pixels)",
        at_least=1,
    )
    latent: int = option(32, "dimensions of the uniform latents (the paper: h)")
    learning_rate: float = option(1e-3, "of both players' Adam (the paper's 1e-4)", above=0)
    critic_learning_rate: float | None = option(
        None, "of the critic's optimizer (default: learning_rate)", above=0
    )
    gamma: float = option(0.9, "diversity ratio, E L(G(z)) / E L(x) (the paper studies 0.3 to 0.7)")
    lambda_k: float = option(1e-2, "gain of k_t (the paper's 1e-3)")
    k_min: float = option(-1.0, "smallest k_t, 0 (the paper's) or below")
    zero: float = option(
        -1.0, "pixel value that the paper's networks see as 0: here the images' background"
    )
    skips: bool = option(False, "join h0 to every scale of the paper's decoder and generator")
    vanishing: int = option(
        0, "steps in which the paper's vanishing residuals go to 0; 0: none", at_least=0
    )


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    # Both players are the paper's auto-encoder's parts.
    kind = run.require_choice("network", config.network, ("auto", "shallow"))
    if kind == "shallow":
        for name in ("skips", "vanishing"):
            if value := getattr(config, name):
                raise ValueError(f"{name} is {value}: --network shallow has none; leave it out")
        # A code that holds most of a small picture reconstructs fakes as well as data.
        code = config.code or max(1, min(CODE, math.prod(shape) // 4))
        critic, generator = run.shallow_players(shape, config, code)
        # BEGAN's objective takes the energies alone.
        return _with_numbers(config, networks.map_output(critic, lambda x, y: y.score), generator)
    run.require_no_norm(config, "the paper's networks have none (--network shallow has)")
    # The residuals count a network's applications in training, two in a step, see `BEGANCritic`.
    vanishing = 2 * config.vanishing
    skips, zero = config.skips, config.zero

    def encoder_decoder(shape: tuple[int, ...]) -> autoencoder.BEGANCritic:
        code = config.code or CODE
        return autoencoder.BEGANCritic(shape, config.width, code, skips=skips, vanishing=vanishing)

    decoder = autoencoder.BEGANDecoder(shape, config.width, skips=skips, vanishing=vanishing)
    critic = run.energy(encoder_decoder, shape, config)
    generator = run.generator(lambda norm: decoder, config)
    # Both players are shifted: the critic's input and what the generator puts out from 0.
    critic = networks.map_input(critic, lambda x: x - zero)._replace(rowwise=critic.rowwise)
    generator = networks.map_output(generator, lambda z, y: y + zero)
    return _with_numbers(config, critic, generator)


def _with_numbers(config: Config, critic: Any, generator: Any) -> jwgan.Algorithm:
    """BEGAN of two networks and the options' numbers."""
    algorithm = jwgan.began(
        critic,
        generator,
        prior=run.prior(priors.uniform(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        gamma=config.gamma,
        lambda_k=config.lambda_k,
        k_min=config.k_min,
    )
    return jwgan.with_ema(algorithm, config.ema)


# What goes with the paper's auto-encoders: they have no norms, and learn at a lower rate.
OF_AUTO = {
    **{"critic_norm": "none", "generator_norm": "none"},
    **{"learning_rate": 3e-4, "k_min": 0.0},
}
# Section 4: the paper's auto-encoders, images centred on 0.
PAPER = {
    **OF_AUTO,
    **{"network": "auto", "width": 64, "code": 64, "latent": 64, "batch_size": 16, "zero": 0.0},
    **{"learning_rate": 1e-4, "gamma": 0.5, "lambda_k": 1e-3, "ema": 0.0},
}


def tuned(given: dict[str, Any]) -> dict[str, Any]:
    """The settings that go with the networks asked for, where they are not those of `Config`."""
    return OF_AUTO if given.get("network") == "auto" else {}


BEFORE = {"network": "auto", "critic_norm": "none", "generator_norm": "none", "k_min": 0.0}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=PAPER, tuned=tuned, before=BEFORE)

if __name__ == "__main__":
    run.main(EXPERIMENT)
