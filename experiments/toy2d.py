"""Any member on any 2-D world: samples, critic level lines, modes covered, exact W1.

Paper: Gulrajani et al., 2017, Improved Training of Wasserstein GANs, figure 1: a critic with
weights clipped draws nearly straight level lines, one with a gradient penalty follows the data.

    python -m experiments.toy2d --member wgan_gp --dataset eight_gaussians
    python -m experiments.toy2d --member wgan --dataset swiss_roll --steps 20000

Networks are the authors': MLPs of three hidden layers of 512 ReLU units (here 128 by default,
which a small CPU trains in minutes). Settings are each member's own, but for the penalty weight,
0.1 as in the authors' code. Expected: wgan_gp covers most modes of eight_gaussians, clipping few or
none; experiments.modes measures it over many seeds, with smaller networks.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jwgan
from jwgan import many, networks, priors, run
from jwgan.models import autoencoder, mlp
from jwgan.run import option

# What each member is given beside its defaults; the worlds are small, so are the weights.
MEMBERS: dict[str, dict[str, Any]] = {
    "gan_minimax": {"learning_rate": 1e-4},
    "gan": {"learning_rate": 1e-4},
    "lsgan": {},
    "wgan": {},
    # The authors' code has b1 0.5 and weight 0.1 on the 2-D worlds, the paper neither.
    "wgan_gp": {"learning_rate": 1e-4, "b1": 0.5, "weight": 0.1},
    "wgan_lp": {"learning_rate": 1e-4, "b1": 0.5, "weight": 0.1},
    "wgan_hinge": {"learning_rate": 1e-4, "b1": 0.5, "weight": 0.1},
    "wgan_div": {"learning_rate": 1e-4},
    "sngan": {"learning_rate": 1e-4},
    # The paper's margin 10 belongs to images.
    "ebgan": {"learning_rate": 1e-4, "margin": 1.0},
    "began": {},
    "dragan": {},
    "r1_gan": {"weight": 0.1},
    "r1_r2_gan": {"weight": 0.1},
    "rpgan": {"learning_rate": 1e-4},
}


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    member: str = option("wgan_gp", "one of " + ", ".join(MEMBERS))
    dataset: str = option("eight_gaussians", "eight_gaussians, twenty_five_gaussians, ring, ...")
    steps: int = option(10000)
    batch_size: int = option(256)
    width: int = option(
        128, "units in each of the three hidden layers", group="networks", at_least=1
    )
    latent: int = option(2, "dimensions of the normal latents", group="networks", at_least=1)
    learning_rate: float | None = option(
        None, "of both players (default: the member's own)", above=0
    )
    critic_learning_rate: float | None = option(
        None, "of the critic (default: learning_rate, or the member's own)", above=0
    )
    b1: float | None = option(None, "of Adam (default: the member's own)")
    b2: float | None = option(None, "of Adam (default: the member's own)")
    weight: float | None = option(None, "of the penalty (default: the member's own)")
    c: float | None = option(None, "wgan's half-width of the box (default: the member's own)")
    gamma: float | None = option(None, "began's diversity ratio (default: the member's own)")
    margin: float | None = option(None, "ebgan's margin (default: the member's own)")
    chunk_steps: int = option(250)
    checkpoint_every: int = option(5000)

    @property
    def title(self) -> str:
        member, dataset = self.member.replace("_", "-").upper(), self.dataset.replace("_", " ")
        return f"{member} on {dataset.replace('gaussian', 'Gaussian')}"


# Where a member has them.
NUMBERS = (
    *("learning_rate", "critic_learning_rate", "b1", "b2"),
    *("weight", "c", "gamma", "margin"),
)


def numbers_of(config: Any, member: Callable) -> dict[str, Any]:
    """Reads the member's numbers that the options give.

    Raises:
      ValueError: the member has none of that name.
    """
    # A number that the member lacks would be passed on and end in a TypeError.
    there = [name for name in NUMBERS if name in inspect.signature(member).parameters]
    # None is an option that was not given; a config without the field is `claims.worlds`' one.
    given = {name: x for name in NUMBERS if (x := getattr(config, name, None)) is not None}
    for name in given:
        run.require_choice(f"{config.member}'s number", name, there)
    return given


def load(config: Config) -> Any:
    return run.load_world(config.dataset)


def build(config: Any, shape: tuple[int, ...], **kwargs: Any) -> Any:
    """Builds the member that the options name; `kwargs` come before its settings here."""
    run.require_choice("member", config.member, MEMBERS)
    critic = run.player(mlp.MLPCritic((config.width,) * 3), config)
    if config.member in ("ebgan", "began"):  # an auto-encoder's error is the energy
        critic = run.player(autoencoder.EBGANMLPCritic((config.width,) * 2), config)
    # EBGAN's pulling-away term needs the codes; BEGAN's objective takes the scores alone.
    if config.member == "began":
        critic = networks.map_output(critic, lambda x, y: y.score)._replace(rowwise=critic.rowwise)
    member = getattr(jwgan, config.member)
    return member(
        critic,
        run.player(mlp.MLPGenerator(shape, (config.width,) * 3), config),
        prior=priors.normal(config.latent),
        # The later wins: settings of this file, then the options, then the caller.
        **MEMBERS[config.member] | numbers_of(config, member) | kwargs,
    )


def trials(config: Any, task: Any, **kwargs: Any) -> many.Trials:
    """Sets up the seeds of a member as one program, each on its own data.

    Args:
      config: the options, --seed and --seeds among them.
      task: a world, from `load`.
      **kwargs: as `build` takes them.
    """
    return many.trials(
        lambda: build(config, task.shape, **kwargs),
        lambda n_critic: task.source(n_critic, config.batch_size),
        seeds=range(config.seed, config.seed + config.seeds),
        n_critic=config.n_critic,
    )


EXPERIMENT = run.Experiment(Config, build, __doc__, load=load)

if __name__ == "__main__":
    run.main(EXPERIMENT)
