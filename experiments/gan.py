"""GANs with the logistic loss on images: the original GAN, and penalties that stabilise it.

    python -m experiments.gan                               # real handwritten digits, 8x8
    python -m experiments.gan --member gan_minimax          # the saturating game
    python -m experiments.gan --member r1_gan

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

# What each member is given beside its defaults: penalties as fit data of 64 pixels in [-1, 1].
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
    n_critic: int = option(1)
    learning_rate: float = option(2e-4, "of both players' optimizer", above=0)
    critic_learning_rate: float | None = option(
        None, "of the critic's optimizer (default: learning_rate)", above=0
    )

    @property
    def title(self) -> str:
        return f"{self.member} on {self.dataset}".replace("_", " ")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    # The option's value becomes an attribute of `jwgan` below: only these names may.
    run.require_choice("member", config.member, MEMBERS)
    critic, generator = run.image_players(shape, config)
    algorithm = getattr(jwgan, config.member)(
        critic,
        generator,
        prior=run.prior(priors.normal(config.latent), config),
        learning_rate=config.learning_rate,
        critic_learning_rate=config.critic_learning_rate,
        # Without them the penalties have their papers' weights.
        **({} if config.paper else MEMBERS[config.member]),
    )
    return jwgan.with_ema(algorithm, config.ema)


def paper(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of the member's paper: those of the library's function of its name."""
    member = run.require_choice("member", given.get("member", Config.member), MEMBERS)
    rate = inspect.signature(getattr(jwgan, member)).parameters["learning_rate"].default
    return {"learning_rate": rate, "ema": 0.0}


EXPERIMENT = run.Experiment(Config, build, __doc__, paper=paper)

if __name__ == "__main__":
    run.main(EXPERIMENT)
