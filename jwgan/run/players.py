"""The two networks that the image experiments share: one architecture for every member.

With --conditional they read labels. The critic does so by a head of its own (projection,
auxiliary) or has the label beside its input (concat). The generator has conditional batch norm
where it has batch norm, and else, and with concat, the label beside its latents.

The examples build networks for grey pictures of 8 x 8 pixels, and look at shapes alone:

    >>> config = run.ImageConfig(width=2, latent=3, batch_size=4)
    >>> labelled = run.ImageConfig(width=2, latent=3, conditional="projection", classes=10)
    >>> def outputs(network, *x):
    ...     variables = jax.eval_shape(network.init, jax.random.key(0), *x)
    ...     return jax.eval_shape(network.apply, *variables, *x)[0]
    >>> x, z, label = jnp.zeros((4, 8, 8, 1)), jnp.zeros((4, 3)), jnp.zeros(4, jnp.int32)
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jwgan
from jwgan import check, models, networks, priors
from jwgan.run.options import require_choice
from jwgan.run.tasks import is_conditional
from jwgan.types import Prior

Shape = tuple[int, ...]


def player(module: Any, config: Any, **kwargs: Any) -> Any:
    """A Linen module as a network of the run's precision, in the parts of --accumulate.

    >>> outputs(players.player(jwgan.models.mlp.MLPCritic((16,)), config), x).shape
    (4,)
    """
    network = jwgan.from_linen(module, **kwargs)
    # The parameters stay float32, and penalties run in float32: see `networks.in_dtype`.
    if config.precision == "bfloat16":
        network = networks.in_dtype(network, "bfloat16")
    # Benches build with options of their own, which have no --accumulate.
    return networks.in_parts(network, getattr(config, "accumulate", 1))


def _classes(config: Any) -> int:
    """How many classes the labels have.

    Raises:
      ValueError: nobody has said so.
    """
    if config.classes < 1:
        raise ValueError(
            f"classes is {config.classes}: with --conditional {config.conditional} give how many "
            "there are; runs take it from their data"
        )
    return config.classes


def prior(latents: Prior, config: Any) -> Prior:
    """The prior of a run: with --conditional its latents have a class each, all equally likely.

    Raises:
      ValueError: with --conditional nobody has said how many classes there are.

    >>> latents = jwgan.priors.normal(3)
    >>> players.prior(latents, config) is latents
    True
    >>> z = jax.eval_shape(lambda: players.prior(latents, labelled)(jax.random.key(0), 4))
    >>> z.shape, z.label.shape
    ((4, 3), (4,))
    """
    if not is_conditional(config):
        return latents
    found: Any = priors.labelled(latents, _classes(config))
    return found


def critic(
    make: Callable[[Shape, Any], Any],
    shape: Shape,
    config: Any,
    flat: bool = False,
    **kwargs: Any,
) -> Any:
    """A critic that reads labels as --conditional says.

    Args:
      make: `(shape of its input, head or None) -> Linen module`; see `models.labels` for heads.
      shape: (H, W, C), of the images.
      config: of the run.
      flat: whether it flattens images, which then come with K columns and not with K planes of
        their labels: the first layer of an MLP would be K + 1 times as large for them.
      **kwargs: of `from_linen`.

    Raises:
      ValueError: with --conditional nobody has said how many classes there are.

    >>> make = lambda shape, head: jwgan.models.mlp.MLPCritic((16,), head=head)
    >>> outputs(players.critic(make, (8, 8, 1), config), x).shape
    (4,)
    >>> outputs(players.critic(make, (8, 8, 1), labelled), x, label).shape
    (4,)
    """
    if not is_conditional(config):
        return player(make(shape, None), config, **kwargs)
    classes = _classes(config)
    if config.conditional != "concat":
        head = getattr(models.labels, config.conditional)(classes)
        return player(make(shape, head), config, **kwargs)
    more = classes if classes > 1 and not flat else 0
    network = player(make((*shape[:-1], shape[-1] + more), None), config, **kwargs)
    return networks.concat_label(network, classes, planes=not flat)


def energy(
    make: Callable[[Shape], Any], shape: Shape, config: Any, flat: bool = False, **kwargs: Any
) -> Any:
    """An auto-encoder as a critic; with labels it reconstructs their planes or columns too.

    Args:
      make: `(shape of its input) -> Linen module`.
      shape: (H, W, C), of the images.
      config: of the run.
      flat: as of `critic`.
      **kwargs: of `from_linen`.

    Raises:
      ValueError: --conditional asks for what needs a score.

    >>> make = lambda shape: jwgan.models.autoencoder.EBGANMLPCritic((16, 2))
    >>> found = outputs(players.energy(make, (8, 8, 1), config), x)
    >>> found.score.shape, found.code.shape
    ((4,), (4, 2))
    >>> players.energy(make, (8, 8, 1), labelled)
    Traceback (most recent call last):
    ValueError: conditional is 'projection': the critic is an auto-encoder, ...
    """
    if is_conditional(config) and config.conditional != "concat":
        raise ValueError(
            f"conditional is {config.conditional!r}: the critic is an auto-encoder, whose energy "
            "is no score of features; give --conditional concat"
        )
    return critic(lambda shape, head: make(shape), shape, config, flat, **kwargs)


def generator(make: Callable[[Any], Any], config: Any, norm: Any = None, **kwargs: Any) -> Any:
    """A generator that reads labels if --conditional says so.

    Args:
      make: `(norm) -> Linen module`.
      config: of the run.
      norm: None, or a `models.norms.Norm`.
      **kwargs: of `from_linen`.

    Raises:
      ValueError: with --conditional nobody has said how many classes there are.

    >>> make = lambda norm: jwgan.models.mlp.MLPGenerator((8, 8, 1), (16,))
    >>> outputs(players.generator(make, config), z).shape
    (4, 8, 8, 1)
    """
    if not is_conditional(config):
        return player(make(norm), config, **kwargs)
    classes = _classes(config)
    if config.conditional != "concat" and norm is models.norms.batch_norm:
        return player(make(models.norms.conditional_batch_norm(classes)), config, **kwargs)
    return networks.concat_label(player(make(norm), config, **kwargs), classes)


def _resnet_critic(config: Any, norm: Any = None) -> Callable[[Shape, Any], Any]:
    resnet = models.resnet
    return lambda shape, head: resnet.ResNetCritic(
        shape, config.width, resnet.downs_for(shape), norm=norm, head=head
    )


def _resnet_generator(shape: Shape, config: Any) -> Any:
    """Only batch norm, which it has, needs to be told whether it trains."""
    make = lambda norm: models.resnet.ResNetGenerator(shape, config.width, norm)
    return generator(make, config, models.norms.batch_norm, **networks.TRAIN_ARGUMENT)


def norms_of(config: Any) -> tuple[Any, Any]:
    """(critic's, generator's) norm of the options; None where there is none.

    >>> players.norms_of(run.ImageConfig(critic_norm="layer"))[0] is models.norms.layer_norm
    True
    """
    # Configs of benches and of runs made before these options have neither.
    names = [getattr(config, f"{player}_norm", "none") for player in ("critic", "generator")]
    kinds = {"none": None, "layer": models.norms.layer_norm, "batch": models.norms.batch_norm}
    return kinds[names[0]], kinds[names[1]]


def require_no_norm(config: Any, why: str, *which: str) -> None:
    """Raises ValueError if a norm is asked for where the networks take none.

    Args:
      config: of the run.
      why: "DCGAN's networks have their own", for the message.
      *which: "critic", "generator"; both if none is named.

    >>> players.require_no_norm(run.ImageConfig(critic_norm="layer"), "this one has none")
    Traceback (most recent call last):
    ValueError: critic_norm is 'layer': this one has none; leave it out
    """
    for one in which or ("critic", "generator"):
        name = f"{one}_norm"
        value = getattr(config, name, "none")
        check.require(value == "none", name, value, f"{why}; leave it out")


def told(norm: Any) -> dict[str, Any]:
    """What `from_linen` needs: batch norm has to be told whether it trains or is sampled from.

    >>> players.told(None), players.told(models.norms.batch_norm)["evaluate"]
    ({}, {'train': False})
    """
    return {} if norm is None else networks.TRAIN_ARGUMENT


def batch_norm_players(shape: Shape, config: Any) -> tuple[Any, Any]:
    """(critic, generator) for images [H, W, C] with batch norm in both, as DCGAN has it.

    Args:
      shape: (H, W, C).
      config: as for `image_players`; `network` is "auto" or "dcgan" (DCGAN's layers and initial
        weights), or "resnet".

    Raises:
      ValueError: as `image_players`.

    >>> critic, generator = players.batch_norm_players((8, 8, 1), config)
    >>> outputs(critic, x).shape, outputs(generator, z).shape
    ((4,), (4, 8, 8, 1))
    """
    require_no_norm(config, "DCGAN's networks have their own")
    norm, init, width = models.norms.batch_norm, models.dcgan.PAPER_INIT, config.width
    kind = require_choice("network", config.network, ("auto", "dcgan", "resnet"))
    train = told(norm)
    if kind == "resnet":
        return (
            critic(_resnet_critic(config, norm), shape, config, **train),
            _resnet_generator(shape, config),
        )
    of_images = lambda shape, head: models.dcgan.DCGANCritic(
        shape, width, norm=norm, kernel_init=init, head=head
    )
    to_images = lambda norm: models.dcgan.DCGANGenerator(shape, width, norm=norm, kernel_init=init)
    return (
        critic(of_images, shape, config, **train),
        generator(to_images, config, norm, **train),
    )


def image_players(shape: Shape, config: Any) -> tuple[Any, Any]:
    """(critic, generator) for images [H, W, C], which need not be square.

    Nothing is normalised unless --critic-norm or --generator-norm say so, but in the ResNet's
    generator, which has the paper's batch norm.

    Args:
      shape: (H, W, C).
      config: has `network`, "dcgan", "resnet" (WGAN-GP's blocks, one more for each doubling of the
        image), "mlp", or "auto" (an MLP for images under 16 pixels a side, where there is little to
        convolve, and DCGAN above); `width`, channels of the critic's first convolution (a ResNet
        has as many everywhere, an MLP 8 times as many units a layer); and `precision`.

    Raises:
      ValueError: for an unknown network or a shape it cannot be built for.

    >>> critic, generator = players.image_players((8, 8, 1), config)
    >>> outputs(critic, x).shape, outputs(generator, z).shape
    ((4,), (4, 8, 8, 1))
    """
    # Samples that are no images have nothing to convolve.
    width, small = config.width, len(shape) != 3 or min(shape[:2]) < 16
    critic_norm, norm = norms_of(config)
    kinds = ("auto", "mlp", "dcgan", "resnet") if len(shape) == 3 else ("auto", "mlp")
    kind = require_choice("network", config.network, kinds)
    if kind == "resnet":
        scorer = _resnet_critic(config, critic_norm)
        of_batch_norm = config.generator_norm in ("none", "batch")
        remedy = "a ResNet's generator has batch norm; leave it out"
        check.require(of_batch_norm, "generator_norm", config.generator_norm, remedy)
        return (
            critic(scorer, shape, config, **told(critic_norm)),
            _resnet_generator(shape, config),
        )
    flat = kind == "mlp" or (kind == "auto" and small)
    if flat:
        hidden, mlp = (8 * width,) * 3, models.mlp
        leaky = lambda x: jax.nn.leaky_relu(x, 0.2)
        of_images = lambda shape, head: mlp.MLPCritic(
            hidden, activation=leaky, head=head, norm=critic_norm
        )
        to_images = lambda norm: mlp.MLPGenerator(
            shape, hidden, final_activation=jnp.tanh, norm=norm
        )
    else:
        dcgan = models.dcgan
        of_images = lambda shape, head: dcgan.DCGANCritic(
            shape, width=width, norm=critic_norm, head=head
        )
        to_images = lambda norm: dcgan.DCGANGenerator(shape, width=width, norm=norm)
    return (
        critic(of_images, shape, config, flat, **told(critic_norm)),
        generator(to_images, config, norm, **told(norm)),
    )


def shallow_players(shape: Shape, config: Any, code: int) -> tuple[Any, Any]:
    """(auto-encoder, generator) of `models.shallow` for images [H, W, C] in [-1, 1].

    Inside both, pixels are in [0, 1] and end in sigmoids, as in the public code that has all
    classes with them (`models.shallow`).

    Args:
      shape: (H, W, C).
      config: has `width`, channels, of which InfoGAN's generator has 64 and 1024 units before
        them; `critic_norm` and `generator_norm`.
      code: h, dimensions of the auto-encoder's code.

    >>> critic, _ = players.shallow_players((8, 8, 1), run.ImageConfig(width=2), code=3)
    >>> black = -jnp.ones((1, 8, 8, 1))
    >>> params, state = critic.init(jax.random.key(0), black)
    >>> critic.evaluate(params, state, black).score.tolist()  # sigmoids know nothing of it: 1/2
    [0.5]
    """
    critic_norm, norm = norms_of(config)
    width, shallow = config.width, models.shallow
    encoder_decoder = lambda shape: shallow.ShallowCritic(shape, width, code, norm=critic_norm)
    to_images = lambda norm: shallow.ShallowGenerator(shape, width, 16 * width, norm=norm)
    return (
        networks.map_input(
            energy(encoder_decoder, shape, config, **told(critic_norm)), lambda x: (x + 1) / 2
        ),
        networks.map_output(
            generator(to_images, config, norm, **told(norm)), lambda z, y: 2 * y - 1
        ),
    )
