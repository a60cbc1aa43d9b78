"""GANs with the logistic loss on images: the original GAN, and penalties that stabilise it.

    python -m experiments.gan                               # real handwritten digits, 8x8
    python -m experiments.gan --member gan_minimax          # the saturating game
    python -m experiments.gan --member r1_gan

Rates, betas and norms are each member's own, found by `experiments.created_equal`; --paper has the
papers'.

Papers: Goodfellow et al., 2014, Generative Adversarial Nets (gan, gan_minimax); Kodali et al., 2017
(dragan); Mescheder et al., 2018 (r1_gan, r1_r2_gan); Huang et al., 2024, R3GAN (rpgan).

The first command trains about 25 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 4.5, with other seeds up to 16; the losses say nothing about quality.
"""

import dataclasses
import inspect
from typing import Any

import jwgan
from jwgan import priors, run
from jwgan.run import option

MEMBERS = ("gan", "gan_minimax", "dragan", "r1_gan", "r1_r2_gan", "rpgan")
OWN = ("b1", "b2", "weight")  # numbers that only some of the members have


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    member: str = option("gan", "one of " + ", ".join(MEMBERS))
    steps: int = option(10000)
    # These are the settings of `gan`; for other members' see TUNED.
    n_critic: int = option(2)
    width: int = option(16)
    generator_norm: str = option("batch")
    learning_rate: float = option(3.4e-4, "of the generator's optimizer", above=0)
    critic_learning_rate: float | None = option(9.6e-5, "of the critic's optimizer", above=0)
    b1: float | None = option(
        None, "Adam's first beta (default: the member's own)", at_least=0, below=1
    )
    b2: float | None = option(
        None, "Adam's second beta (default: the member's own)", at_least=0, below=1
    )
    weight: float | None = option(None, "of the penalty (default: the member's own)")

    @property
    def title(self) -> str:
        return f"{self.member} on {self.dataset}".replace("_", " ")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    # The option's value becomes an attribute of `jwgan` below: only these names may.
    run.require_choice("member", config.member, MEMBERS)
    critic, generator = run.image_players(shape, config)
    make = getattr(jwgan, config.member)
    own = {name: value for name in OWN if (value := getattr(config, name)) is not None}
    for name in own.keys() - inspect.signature(make).parameters.keys():
        raise ValueError(f"{name} is {own[name]}: {config.member} has none; leave it out")
    algorithm = make(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        **own,
    )
    return jwgan.with_ema(algorithm, config.ema)


# The options of members that differ from those of `gan`.
TUNED: dict[str, dict[str, Any]] = {
    "gan": {},
    "gan_minimax": {
        **{"n_critic": 3, "width": 8, "critic_norm": "layer", "generator_norm": "none"},
        **{"learning_rate": 3.4e-3, "critic_learning_rate": 7.4e-4, "b1": 0.0},
    },
    "dragan": {
        **{"learning_rate": 1.5e-3, "critic_learning_rate": 6.5e-4},
        **{"b1": 0.5, "b2": 0.99, "weight": 10.0},
    },
    "r1_gan": {
        **{"n_critic": 5, "width": 8},
        **{"learning_rate": 3.3e-3, "critic_learning_rate": 2.1e-3, "weight": 5.6},
    },
    "r1_r2_gan": {
        **{"n_critic": 3, "width": 8, "generator_norm": "none"},
        **{"learning_rate": 1.4e-3, "critic_learning_rate": 6.6e-4, "weight": 2.4},
    },
    "rpgan": {
        **{"n_critic": 3, "width": 8, "learning_rate": 1.8e-3, "critic_learning_rate": 4.8e-3},
        **{"b1": 0.9, "b2": 0.9, "weight": 0.2},
    },
}


def tuned(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of the member asked for, where they are not those of `Config`."""
    return TUNED.get(given.get("member", Config.member), {})


def paper(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of the member's paper: those of the library's function of its name."""
    member = run.require_choice("member", given.get("member", Config.member), MEMBERS)
    rate = inspect.signature(getattr(jwgan, member)).parameters["learning_rate"].default
    return {
        **{"n_critic": 1, "width": 32, "generator_norm": "none"},
        **{"learning_rate": rate, "critic_learning_rate": None, "ema": 0.0},
    }


def before(chosen: dict[str, Any]) -> dict[str, Any]:
    """The settings of runs that are too old to have options for them."""
    weight = 1.0 if chosen.get("member") in ("r1_gan", "r1_r2_gan", "rpgan") else None
    norms = {"critic_norm": "none", "generator_norm": "none"}
    # --paper left the weight to the member.
    weight = None if chosen.get("paper") else weight
    return {**norms, "critic_learning_rate": None, "weight": weight}


EXPERIMENT = run.Experiment(Config, build, __doc__, paper=paper, tuned=tuned, before=before)

if __name__ == "__main__":
    run.main(EXPERIMENT)
