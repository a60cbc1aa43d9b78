"""GANs with the logistic loss on images: the original GAN, and penalties that stabilise it.

    python -m experiments.gan                               # real handwritten digits, 8x8
    python -m experiments.gan --member gan_minimax          # the saturating game
    python -m experiments.gan --member r1_gan

Rates, betas and norms are each member's own, found by `experiments.created_equal` or kept where
they did as well; --paper has the papers'.

Papers: Goodfellow et al., 2014, Generative Adversarial Nets (gan, gan_minimax); Kodali et al., 2017
(dragan); Mescheder et al., 2018 (r1_gan, r1_r2_gan); Huang et al., 2024, R3GAN (rpgan).

The first command trains about 55 s on 2 CPU cores. Expected: 10 of 10 classes, a Frechet distance
of about 24; without a penalty some classes are rare, and the losses say nothing about quality.
"""

import dataclasses
import inspect
from typing import Any

import jwgan
from jwgan import priors, run
from jwgan.run import option

# What each member is given beside its options: penalties as fit data of 64 pixels in [-1, 1].
MEMBERS: dict[str, dict[str, Any]] = {
    "gan": {},
    "gan_minimax": {},
    "dragan": {},
    "r1_gan": {"weight": 1.0},
    "r1_r2_gan": {"weight": 1.0},
    "rpgan": {"weight": 1.0},
}


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

    @property
    def title(self) -> str:
        return f"{self.member} on {self.dataset}".replace("_", " ")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    # The option's value becomes an attribute of `jwgan` below: only these names may.
    run.require_choice("member", config.member, MEMBERS)
    critic, generator = run.image_players(shape, config)
    make = getattr(jwgan, config.member)
    if config.b1 is not None and "b1" not in inspect.signature(make).parameters:
        raise ValueError(f"b1 is {config.b1}: {config.member} has RMSProp; leave it out")
    algorithm = make(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        **({} if config.b1 is None else {"b1": config.b1}),
        # Without them the penalties have their papers' weights.
        **({} if config.paper else MEMBERS[config.member]),
    )
    return jwgan.with_ema(algorithm, config.ema)


PLAIN = {
    **{"n_critic": 1, "width": 32, "generator_norm": "none"},
    **{"learning_rate": 2e-4, "critic_learning_rate": None},
}
# The options of members that differ from those of `gan`.
TUNED: dict[str, dict[str, Any]] = {
    "gan": {},
    "gan_minimax": {
        **{"n_critic": 3, "width": 8, "critic_norm": "layer", "generator_norm": "none"},
        **{"learning_rate": 3.4e-3, "critic_learning_rate": 7.4e-4, "b1": 0.0},
    },
    **dict.fromkeys(("dragan", "r1_gan", "r1_r2_gan", "rpgan"), PLAIN),
}


def tuned(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of the member asked for, where they are not those of `Config`."""
    return TUNED.get(given.get("member", Config.member), {})


def paper(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of the member's paper: those of the library's function of its name."""
    member = run.require_choice("member", given.get("member", Config.member), MEMBERS)
    rate = inspect.signature(getattr(jwgan, member)).parameters["learning_rate"].default
    return {**PLAIN, "learning_rate": rate, "ema": 0.0}


BEFORE = {"critic_norm": "none", "generator_norm": "none", "critic_learning_rate": None}
EXPERIMENT = run.Experiment(Config, build, __doc__, paper=paper, tuned=tuned, before=BEFORE)

if __name__ == "__main__":
    run.main(EXPERIMENT)
