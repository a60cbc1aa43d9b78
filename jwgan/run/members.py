"""Any member of the family on any data, its options made from the member's own signature."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import jwgan
from jwgan import algorithms, models, networks, priors
from jwgan.run import options, players, tasks
from jwgan.run.experiment import Experiment
from jwgan.run.options import option

NAMES = (
    *("gan_minimax", "gan", "dcgan", "lsgan", "wgan", "wgan_gp", "wgan_lp", "wgan_hinge"),
    *("wgan_div", "sngan", "ebgan", "began", "dragan", "r1_gan", "r1_r2_gan", "rpgan"),
)
ENERGIES = ("ebgan", "began")  # whose critic is an auto-encoder
PROGRAM = "python -m jwgan.run"


@dataclasses.dataclass(frozen=True)
class MemberConfig(options.ImageConfig):
    """Options of every member; its own numbers come beside them."""

    dataset: str = option(
        "digits", f"digits, fashion_mnist, mnist, folder, tfds/NAME, {', '.join(tasks.WORLDS)}"
    )
    width: int = option(32, "channels of the critic's first convolution; an MLP has 8 times that")


def numbers(member: str) -> dict[str, Any]:
    """{name: default} of the real numbers in a member's signature."""
    # The signature is the only place where a member's defaults stand: a new argument becomes an
    # option without a line here.
    signature = inspect.signature(getattr(algorithms, member))
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        # True and False are ints to isinstance, and would become numbers to be swept.
        if isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool)
    }


def papers_n_critic(member: str) -> int:
    """Critic updates for each generator update, as the member's docstring has it of its paper."""
    # n_critic belongs to the data source and is no argument of a member; its docstring states it. 5
    # is that of WGAN and WGAN-GP.
    found = re.search(r"n_critic (\d+)", inspect.getdoc(getattr(algorithms, member)) or "")
    return int(found[1]) if found else 5


def config_of(member: str) -> type:
    """The dataclass of a member's options."""
    own: list[Any] = [
        (name, type(default), option(default, f"{member}'s own, see jwgan.{member}"))
        for name, default in numbers(member).items()
    ]
    n_critic = option(papers_n_critic(member), "critic updates for each generator update")
    made = dataclasses.make_dataclass(
        "Config", [("n_critic", int, n_critic), *own], bases=(MemberConfig,), frozen=True
    )
    # make_dataclass leaves "types" there, where messages and `Experiment.named` look for a file.
    made.__module__ = __name__
    return made


def load(config: Any) -> tasks.Task:
    """The data set or the 2-D world that the options name."""
    if config.dataset in tasks.WORLDS:
        return tasks.load_world(config.dataset)
    return tasks.from_config(config)


def _players(member: str, config: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """(critic, generator) for images [H, W, C] or vectors [D]."""
    hidden = (8 * config.width,) * 3
    energy = {"ebgan": lambda x, y: y, "began": lambda x, y: y.score}
    if len(shape) == 3:
        critic, generator = players.image_players(shape, config)
    else:
        critic = players.player(models.mlp.MLPCritic(hidden), config)
        generator = players.player(models.mlp.MLPGenerator(shape, hidden), config)
    if member in ENERGIES:
        auto_encoder = players.player(models.autoencoder.EBGANMLPCritic(hidden[:2]), config)
        critic = networks.map_output(auto_encoder, energy[member])
    return critic, generator


def experiment_of(member: str) -> Experiment:
    """The experiment that trains a member.

    Raises:
      ValueError: there is no such member.
    """
    options.one_of("member", member, NAMES)
    make: Callable[..., jwgan.Algorithm] = getattr(algorithms, member)
    said = (inspect.getdoc(make) or "").splitlines()[0]
    doc = (
        f"{member}: {said}\n\n    {PROGRAM} {member} --dataset folder --data-dir IMAGES\n\n"
        f"Defaults are those of jwgan.{member}, which are the paper's, and no tuned ones."
    )

    def build(config: Any, shape: tuple[int, ...]) -> jwgan.Algorithm:
        critic, generator = _players(member, config, shape)
        # Rates and weights may be traced numbers here: --sweep builds all trials at once.
        own = {name: getattr(config, name) for name in numbers(member)}
        algorithm = make(critic, generator, prior=priors.normal(config.latent), **own)
        return jwgan.with_ema(algorithm, config.ema)

    program = f"{PROGRAM} {member}"
    return Experiment(config_of(member), build, doc, load, name=member, program=program)


def find(described: dict[str, Any]) -> Experiment:
    """The experiment of a run that `python -m jwgan.run MEMBER` made.

    Raises:
      ValueError: something else made it.
    """
    name, program = described["experiment"], described.get("program")
    # The program decides and not the name: experiments.wgan_gp and the member wgan_gp have other
    # options and other networks.
    if program != f"{PROGRAM} {name}":
        command = program or f"python -m experiments.{name}"
        raise ValueError(f"program is {program!r}: give the run to `{command} sample`")
    return experiment_of(name)
