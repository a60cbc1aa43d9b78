"""The members on their papers' models at their papers' sizes: shapes for export and for the plan.

Where a paper's own network is not among `jwgan.models`, the nearest one stands in and `model` says
so. Nothing is trained from here; the experiments beside this file have sizes for small machines.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jwgan
from jwgan import networks, priors
from jwgan.models import autoencoder, dcgan, norms, resnet, sngan
from jwgan.run.options import require_choice
from jwgan.types import Algorithm, Network

Shape = tuple[int, int, int]
CIFAR, FACES = (32, 32, 3), (64, 64, 3)


class Setting(NamedTuple):
    """A member's networks and sizes in its paper.

    Attributes:
      model: the networks, in words, and what of them is not the paper's.
      players: `(shape) -> (critic, generator)`.
      shape: (H, W, C) of an image.
      batch_size: images in a batch.
      n_critic: critic updates in a step.
      latent: dimensions of the noise.
      uniform: whether it is uniform in [-1, 1], else normal.
      options: of the member.
    """

    model: str
    players: Callable[[Shape], tuple[Network, Network]]
    shape: Shape
    batch_size: int
    n_critic: int
    latent: int
    uniform: bool = False
    options: dict[str, Any] = {}  # noqa: RUF012  never changed


def _network(module: Any) -> Network:
    """Makes the network of a module that takes `train`."""
    return networks.from_linen(module, **networks.TRAIN_ARGUMENT)


def _dcgan(
    shape: Shape, *, width: int = 64, kernel: int = 5, critic_norm: Any = norms.batch_norm
) -> tuple[Network, Network]:
    init = dcgan.PAPER_INIT
    critic = dcgan.DCGANCritic(shape, width, kernel, critic_norm, kernel_init=init)
    generator = dcgan.DCGANGenerator(shape, width, kernel, norms.batch_norm, kernel_init=init)
    return _network(critic), _network(generator)


def _resnet(
    shape: Shape, *, width: int = 128, downs: int = 2, norm: Any = norms.batch_norm
) -> tuple[Network, Network]:
    critic = resnet.ResNetCritic(shape, width, downs=downs)
    return _network(critic), _network(resnet.ResNetGenerator(shape, width, norm=norm))


def _sn_cnn(shape: Shape) -> tuple[Network, Network]:
    return _network(sngan.SNGANCritic(shape)), _network(sngan.SNGANGenerator(shape))


def _ebgan(shape: Shape) -> tuple[Network, Network]:
    # EBGAN's generator is DCGAN's; the critic has no batch norm, and so no argument `train`.
    return networks.from_linen(autoencoder.EBGANConvCritic(shape)), _dcgan(shape)[1]


def _began(shape: Shape) -> tuple[Network, Network]:
    critic = autoencoder.BEGANCritic(shape, n=128, h=64)
    return networks.from_linen(critic), networks.from_linen(autoencoder.BEGANDecoder(shape, n=128))


# 128 channels first make DCGAN's 1024 at the smallest scale.
_WIDE_DCGAN = functools.partial(_dcgan, width=128)
# Batch norm would mix the samples whose gradients are penalised.
_PENALISED_DCGAN = functools.partial(_dcgan, critic_norm=None)
_CIFAR_RESNET = Setting(
    "ResNet of WGAN-GP for CIFAR-10; the authors' generator batch is twice as large",
    _resnet, CIFAR, 64, 5, 128, options={"learning_rate": 2e-4},
)  # fmt: skip
_IMAGENET_RESNET = Setting(
    "ResNet without batch norm; the paper's channels double with depth, here all are 64",
    functools.partial(_resnet, width=64, downs=4, norm=None), (128, 128, 3), 128, 1, 256,
)  # fmt: skip

# gan, lsgan: their papers' networks (maxout layers; 112 x 112 images) are not in jwgan.models
_SETTINGS = {
    "gan_minimax": Setting("DCGAN's in place of maxout layers", _WIDE_DCGAN, FACES, 128, 1, 100),
    "gan": Setting("DCGAN's in place of maxout layers", _WIDE_DCGAN, FACES, 128, 1, 100),
    "dcgan": Setting("DCGAN, 128 to 1024 channels", _WIDE_DCGAN, FACES, 128, 1, 100, uniform=True),
    "lsgan": Setting(
        "DCGAN's at 64 x 64 in place of 112 x 112", _dcgan, FACES, 64, 1, 1024,
        options={"critic_learning_rate": 1e-3, "generator_learning_rate": 1e-3},
    ),
    "wgan": Setting(
        "DCGAN, 64 to 512 channels", functools.partial(_dcgan, kernel=4), FACES, 64, 5, 100
    ),
    "wgan_gp": _CIFAR_RESNET,
    "wgan_lp": _CIFAR_RESNET,
    "wgan_hinge": _CIFAR_RESNET,
    # n_critic and rate are this paper's own; the rate is the member's default.
    "wgan_div": _CIFAR_RESNET._replace(n_critic=4, options={}),
    "sngan": Setting("standard CNN for CIFAR-10", _sn_cnn, CIFAR, 64, 1, 128),
    "ebgan": Setting(
        "convolutional auto-encoder for 64 x 64 photographs, without batch norm",
        _ebgan, FACES, 64, 1, 100,
    ),
    "began": Setting("auto-encoder, n 128, h 64", _began, (128, 128, 3), 16, 1, 64, uniform=True),
    "dragan": Setting("DCGAN, critic without batch norm", _PENALISED_DCGAN, FACES, 64, 1, 100),
    "r1_gan": _IMAGENET_RESNET,
    "r1_r2_gan": _IMAGENET_RESNET,
    "rpgan": Setting(
        "ResNet of WGAN-GP without batch norm in place of R3GAN's grouped blocks",
        functools.partial(_resnet, norm=None), CIFAR, 512, 1, 128,
    ),
}  # fmt: skip
MEMBERS = tuple(_SETTINGS)


def setting(member: str) -> Setting:
    """Looks up a member's row.

    Raises:
      ValueError: for a name that is no member's.
    """
    return _SETTINGS[require_choice("member", member, MEMBERS)]


def build(
    member: str, *, network: Callable[[Network], Network] = lambda network: network
) -> Algorithm:
    """Builds the member on its paper's networks.

    Args:
      member: its name.
      network: put around both players, for example `networks.in_dtype`.
    """
    row = setting(member)
    players = map(network, row.players(row.shape))
    latents = (priors.uniform if row.uniform else priors.normal)(row.latent)
    return getattr(jwgan, member)(*players, prior=latents, **row.options)


def batch(member: str) -> jax.ShapeDtypeStruct:
    """Makes the shape of a step's real data, [n_critic, B, H, W, C]."""
    row = setting(member)
    return jax.ShapeDtypeStruct((row.n_critic, row.batch_size, *row.shape), jnp.float32)


def state(member: str) -> Any:
    """Finds the shapes of the state before the first step; nothing is allocated."""
    algorithm = build(member)
    # `eval_shape` traces `init` without running it: some of these states are large.
    return jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch(member)))
