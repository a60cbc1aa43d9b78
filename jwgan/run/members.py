"""Any member of the family on any data, its options made from the member's own signature."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jwgan
from jwgan import algorithms, check, models, networks, priors
from jwgan.run import options, players, tasks
from jwgan.run.experiment import Experiment
from jwgan.run.options import option

# Critic updates for each generator update in the member's paper. They are no argument of a member,
# since they belong to the data source.
N_CRITIC = {
    **dict.fromkeys(("gan_minimax", "gan", "dcgan", "lsgan", "sngan", "ebgan", "began"), 1),
    **dict.fromkeys(("dragan", "r1_gan", "r1_r2_gan", "rpgan"), 1),
    **dict.fromkeys(("wgan", "wgan_gp", "wgan_lp", "wgan_hinge"), 5),
    "wgan_div": 4,
}
NAMES = tuple(N_CRITIC)
ENERGIES = ("ebgan", "began")  # whose critic is an auto-encoder
PROGRAM = "python -m jwgan.run"

# What a member's own numbers mean.
MEANINGS = {
    "learning_rate": "of both players' optimizer",
    "critic_learning_rate": "of the critic's optimizer (default: learning_rate)",
    "generator_learning_rate": "of the generator's optimizer",
    "b1": "Adam's first beta",
    "b2": "Adam's second beta",
    "rmsprop_decay": "of RMSProp's running average",
    "weight": "of the penalty",
    "power": "p of the penalty",
    "c": "half-width of the box that the critic's weights stay in",
    "margin": "m, in units of the energy",
    "pulling_away_weight": "of the pulling-away term",
    "gamma": "diversity ratio, E L(G(z)) / E L(x)",
    "lambda_k": "gain of k_t",
    "k_min": "smallest k_t, 0 or below",
    "window": "steps over which M is averaged before the rate may be halved",
    "patience": "windows without a smaller M before the rate is halved",
    "min_scale": "of the rate, below which it is not halved any more",
}
# --decay is how the rates fall: RMSProp's number of that name has another option.
OPTION_OF = {"decay": "rmsprop_decay"}
# LSGAN's letters mean other things than WGAN's.
MEANINGS_OF = {
    "lsgan": {
        "a": "the critic's target on generated data",
        "b": "the critic's target on real data",
        "c": "the generator's target",
        "critic_learning_rate": "of the critic's optimizer",
    }
}


@dataclasses.dataclass(frozen=True)
class _MemberConfig(options.ImageConfig):
    """Options of every member; its own numbers come beside them."""

    dataset: str = option(
        "digits",
        f"digits, fashion_mnist, mnist, emoji, folder, array, tfds/NAME, {', '.join(tasks.WORLDS)}",
    )


def numbers(member: str) -> dict[str, Any]:
    """{option: default} of the real numbers in a member's signature.

    >>> members.numbers("wgan")
    {'learning_rate': 5e-05, 'c': 0.01, 'rmsprop_decay': 0.99, 'critic_learning_rate': None}
    """
    # The signature is the only place where a member's defaults stand: a new argument becomes an
    # option without a line here.
    signature = inspect.signature(getattr(algorithms, member))
    return {
        OPTION_OF.get(name, name): parameter.default
        for name, parameter in signature.parameters.items()
        # True and False are ints to isinstance, and would become numbers to be swept.
        if (isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool))
        or name == "critic_learning_rate"
    }


def _option_of(member: str, name: str, default: Any) -> Any:
    """The option of one of a member's own numbers."""
    text = {**MEANINGS, **MEANINGS_OF.get(member, {})}[name]
    if name.endswith("learning_rate"):
        return option(default, text, above=0)
    if name in ("b1", "b2", "rmsprop_decay"):
        return option(default, text, at_least=0, below=1)
    return option(default, text, at_least=1 if isinstance(default, int) else None)


def config_of(member: str) -> type:
    """The dataclass of a member's options.

    >>> config = members.config_of("wgan")(c=0.02)
    >>> config.c, config.n_critic, config.dataset
    (0.02, 5, 'digits')
    """
    own: list[Any] = [
        (
            name,
            float | None if default is None else type(default),
            _option_of(member, name, default),
        )
        for name, default in numbers(member).items()
    ]
    n_critic = option(N_CRITIC[member])
    made = dataclasses.make_dataclass(
        "Config", [("n_critic", int, n_critic), *own], bases=(_MemberConfig,), frozen=True
    )
    # make_dataclass leaves "types" there, where messages and `Experiment.named` look for a file.
    made.__module__ = __name__
    return made


def _load(config: Any) -> tasks.Task:
    """The data set or the 2-D world that the options name."""
    if config.dataset in tasks.WORLDS:
        return tasks.load_world(config.dataset)
    return tasks.from_config(config)


def _energy_players(member: str, config: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """(auto-encoder, generator) for images; BEGAN's generator is the auto-encoder's second half."""
    if config.network == "shallow":
        critic, generator = players.shallow_players(shape, config, config.latent)
        if member == "began":  # its objective takes the energies alone
            critic = networks.map_output(critic, lambda x, y: y.score)._replace(
                rowwise=critic.rowwise
            )
        return critic, generator
    own = "this auto-encoder has none (--network shallow has)"
    players.require_no_norm(config, own, *(() if member == "began" else ("critic",)))
    width, energy = config.width, models.autoencoder

    def auto_encoder(shape: tuple[int, ...]) -> Any:
        if member == "began":
            return energy.BEGANCritic(shape, width, config.latent)
        # EBGAN's convolutions halve the sides twice: below 16 pixels nothing is left to convolve.
        if min(shape[:2]) < 16:
            return energy.EBGANMLPCritic((8 * width, width))
        return energy.EBGANConvCritic(shape, (width, 2 * width))

    critic = players.energy(auto_encoder, shape, config)
    if member == "began":
        decoder = energy.BEGANDecoder(shape, width)
        return critic, players.generator(lambda norm: decoder, config)
    return critic, players.image_players(shape, config)[1]


def _players(member: str, config: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """(critic, generator) for images [H, W, C] or vectors [D].

    Raises:
      ValueError: BEGAN, which has networks of its own, is given another --network, or an
        auto-encoder or vectors a norm that they do not have.
    """
    if member == "began" and config.network not in ("auto", "shallow"):
        raise ValueError(
            f"network is {config.network!r}: {member} has networks of its own; leave it out, or "
            "give shallow"
        )
    if len(shape) == 3:
        if member in ENERGIES:
            return _energy_players(member, config, shape)
        batch_norm, plain = players.batch_norm_players, players.image_players
        return (batch_norm if member == "dcgan" else plain)(shape, config)
    hidden, mlp = (8 * config.width,) * 3, models.mlp
    critic_norm, norm = players.norms_of(config)
    auto_encoder = models.autoencoder.EBGANMLPCritic(hidden[:2])
    scorer = lambda shape, head: mlp.MLPCritic(hidden, head=head, norm=critic_norm)
    if member in ENERGIES:
        players.require_no_norm(config, "an auto-encoder of vectors has none", "critic")
        critic = players.energy(lambda shape: auto_encoder, shape, config)
    else:
        critic = players.critic(scorer, shape, config, **players.told(critic_norm))
    if member == "began":  # BEGAN's energy has no code beside it
        critic = networks.map_output(critic, lambda x, y: y.score)._replace(rowwise=critic.rowwise)
    to_vectors = lambda norm: mlp.MLPGenerator(shape, hidden, norm=norm)
    return critic, players.generator(to_vectors, config, norm, **players.told(norm))


def experiment_of(member: str) -> Experiment:
    """The experiment that trains a member.

    Raises:
      ValueError: there is no such member.

    >>> experiment = members.experiment_of("lsgan")
    >>> experiment.name, experiment.program, experiment.config().n_critic
    ('lsgan', 'python -m jwgan.run lsgan', 1)
    """
    options.require_choice("member", member, NAMES)
    make: Callable[..., jwgan.Algorithm] = getattr(algorithms, member)
    said = (inspect.getdoc(make) or "").splitlines()[0]
    doc = (
        f"{member}: {said}\n\n    {PROGRAM} {member} --dataset folder --data-dir IMAGES\n\n"
        f"Its own numbers and n_critic are those of its paper, as in jwgan.{member}. Networks,\n"
        "steps and the average of the generator's weights (--ema) are general ones. Nothing is\n"
        "tuned: the project's documents in experiments/ are."
    )

    def build(config: Any, shape: tuple[int, ...]) -> jwgan.Algorithm:
        critic, generator = _players(member, config, shape)
        # Rates and weights may be traced numbers here: --sweep builds all trials at once.
        arguments = {option: name for name, option in OPTION_OF.items()}
        own = {arguments.get(name, name): getattr(config, name) for name in numbers(member)}
        # BEGAN's latents are uniform: its generator is a decoder of bounded codes.
        prior = priors.uniform if member == "began" else priors.normal
        drawn = players.prior(prior(config.latent), config)
        algorithm = make(critic, generator, prior=drawn, **own)
        return jwgan.with_ema(algorithm, config.ema)

    program = f"{PROGRAM} {member}"
    # The numbers are the paper's already; no paper averages the generator's weights.
    return Experiment(
        config_of(member), build, doc, _load, name=member, program=program, paper={"ema": 0.0}
    )


def find(described: dict[str, Any]) -> Experiment:
    """The experiment of a run that `python -m jwgan.run MEMBER` made.

    Raises:
      ValueError: something else made it.

    >>> members.find({"experiment": "wgan", "program": "python -m jwgan.run wgan"}).name
    'wgan'
    >>> members.find({"experiment": "wgan", "program": "python -m experiments.wgan"})
    Traceback (most recent call last):
    ValueError: program is 'python -m experiments.wgan': read the run by ...
    """
    name, program = described["experiment"], described.get("program")
    # The program decides and not the name: experiments.wgan_gp and the member wgan_gp have other
    # options and other networks.
    if program != f"{PROGRAM} {name}":
        command = program or f"python -m experiments.{name}"
        command = check.printable(str(command))  # a stranger's file may hold anything
        raise ValueError(f"program is {program!r}: read the run by `{command} sample RUN_DIR`")
    return experiment_of(name)
