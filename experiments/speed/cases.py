"""Defines the cases that experiments.speed times: networks, data, arithmetic of an iteration.

toy_mlp    8 Gaussians, players 3x512, batch 256, WGAN-GP, weight 0.1, n_critic 5
small_mlp  the same, 3x128
tiny_mlp   the same, 3x32, batch 64
dcgan32    32x32x1, convolutions 5x5 of 64, 128, 256 channels, batch 64, WGAN-GP, n_critic 5
resnet32   32x32x3, the WGAN-GP paper's CIFAR-10 ResNets, 128 channels, batch 16, n_critic 5
began32    32x32x1, BEGAN, n = h = z = 64, batch 16, one update of each player
dcgan64    64x64x3, WGAN-GP, convolutions 5x5 of 32, 64, 128, 256 channels, batch 16, n_critic 5
dcgan128   128x128x3, as dcgan64, one more convolution of 256 channels
dcgan256   256x256x3, as dcgan64, two more convolutions of 256 channels

Operations are counted in forward passes of the networks as they are written down: a critic update
with a gradient penalty is 10 forwards of the critic and 1 of the generator, without one 6 and 1; a
generator update is 2 forwards of the critic and 3 of the generator.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

import jwgan
from jwgan import priors, sources
from jwgan.models import autoencoder, dcgan, mlp, resnet
from jwgan.problems import gaussians

N_CRITIC = 5
MLPS = {"toy_mlp": (512, 256), "small_mlp": (128, 256), "tiny_mlp": (32, 64)}  # width, batch
# BEGAN, the last of those that a peer has as well, has no penalty.
PENALISED = (*MLPS, "dcgan32", "resnet32")
SIDES = {"dcgan64": 64, "dcgan128": 128, "dcgan256": 256}  # pixels; no peer has these
CASES = (*PENALISED, "began32", *SIDES)

_WIDTH = 32  # channels of the first convolution in the cases of SIDES


class Players(NamedTuple):
    """What a case is made of, before a member joins the parts."""

    critic: Any  # jwgan networks
    generator: Any
    prior: Any
    weight: float  # of the gradient penalty
    source: Any


class Layer(NamedTuple):
    """A convolution of images side x side (output), or with side 1 a dense layer.

    `less` is the share of the multiplications that are left when a 3x3 convolution is computed
    together with the upsampling before it or the pooling after it (`models.scaling`).
    """

    side: int
    kernel: int
    c_in: int
    c_out: int
    less: float = 1.0


def players(name: str, convolution: str = "jwgan") -> Players:
    """Makes the parts of a case; `convolution` "lax" is for dcgan32 only."""
    if name in MLPS:
        critic, generator, latent, weight, source = _mlp(*MLPS[name])
    else:
        makers: dict[str, Callable[[], Any]] = {
            **{"dcgan32": _dcgan, "resnet32": _resnet, "began32": _began},
            **{case: functools.partial(_wide, side) for case, side in SIDES.items()},
        }
        make = makers[name]
        critic, generator, latent, shape, batch = make()
        if convolution == "lax":
            critic, generator = lax_players()
        # BEGAN has one update of each player; it ignores the weight.
        weight, source = 10.0, _images(shape, batch, 1 if name == "began32" else N_CRITIC)
    prior = priors.uniform(latent) if name == "began32" else priors.normal(latent)
    after = {"train": False} if name == "resnet32" else {}  # its generator has batch norm
    networks = (jwgan.from_linen(critic), jwgan.from_linen(generator, evaluate=after))
    return Players(*networks, prior, weight, source)


def member(name: str, parts: Players) -> Any:
    """Builds the case's algorithm, a public one."""
    networks = (parts.critic, parts.generator)
    if name == "began32":
        return jwgan.began(*networks, prior=parts.prior, b2=0.9)
    return jwgan.wgan_gp(*networks, prior=parts.prior, b1=0.5, weight=parts.weight)


def _mlp(width: int, batch: int) -> tuple[Any, Any, int, float, Any]:
    critic, generator = mlp.MLPCritic((width,) * 3), mlp.MLPGenerator((2,), (width,) * 3)
    sample = gaussians.eight_gaussians().sample
    source = sources.from_sampler(sample, n_critic=N_CRITIC, batch_size=batch)
    # Latents have 2 dimensions, and the weight is the authors' on 2-D worlds.
    return critic, generator, 2, 0.1, source


def _images(shape: tuple[int, ...], batch: int, n_critic: int) -> Any:
    """Draws 2048 images of noise, held on the device; of wide ones as many as take 128 MiB."""
    # What the images show has no part in the time of a step.
    count = min(2048, 2**25 // math.prod(shape))
    images = jax.random.uniform(jax.random.key(0), (count, *shape), minval=-1.0)
    return sources.from_array(images, n_critic=n_critic, batch_size=batch)


def _dcgan() -> tuple[Any, Any, int, tuple[int, ...], int]:
    shape = (32, 32, 1)
    return dcgan.DCGANCritic(shape), dcgan.DCGANGenerator(shape), 128, shape, 64


def _wide(side: int) -> tuple[Any, Any, int, tuple[int, ...], int]:
    shape = (side, side, 3)
    critic = dcgan.DCGANCritic(shape, _WIDTH)
    return critic, dcgan.DCGANGenerator(shape, _WIDTH), 128, shape, 16


def _resnet() -> tuple[Any, Any, int, tuple[int, ...], int]:
    shape = (32, 32, 3)
    return resnet.ResNetCritic(shape), resnet.ResNetGenerator(shape), 128, shape, 16


def _began() -> tuple[Any, Any, int, tuple[int, ...], int]:
    shape = (32, 32, 1)
    return autoencoder.BEGANCritic(shape), autoencoder.BEGANDecoder(shape), 64, shape, 16


def lax_players() -> tuple[Any, Any]:
    """Makes dcgan32's players on flax.linen's convolutions, which JAX differentiates itself."""

    # The layers are those of `dcgan.DCGANCritic`, so only the convolution's derivatives differ.
    class Critic(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for features in (64, 128, 256):
                x = nn.leaky_relu(nn.Conv(features, (5, 5), (2, 2))(x), 0.2)
            return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]

    class Generator(nn.Module):
        @nn.compact
        def __call__(self, z: Any) -> Any:
            x = nn.relu(nn.Dense(4 * 4 * 256)(z)).reshape(-1, 4, 4, 256)
            for features in (128, 64):
                x = nn.relu(nn.ConvTranspose(features, (5, 5), (2, 2))(x))
            return jnp.tanh(nn.ConvTranspose(1, (5, 5), (2, 2))(x))

    return Critic(), Generator()


# ---- arithmetic ----------------------------------------------------------------------------------


def _dense(c_in: int, c_out: int) -> Layer:
    return Layer(1, 1, c_in, c_out)


def _mlp_layers(width: int, n_out: int) -> list[Layer]:
    return [_dense(2, width), _dense(width, width), _dense(width, width), _dense(width, n_out)]


def _wide_layers(side: int) -> tuple[list[Layer], list[Layer]]:
    shape = (side, side, 3)
    channels = [3, *dcgan.widths(shape, _WIDTH)]
    sides = [height for height, _ in dcgan.sizes(shape)[1:]]
    pairs = itertools.pairwise(channels)
    convolutions = [Layer(side, 5, *pair) for side, pair in zip(sides, pairs, strict=True)]
    last = sides[-1] ** 2 * channels[-1]
    return [*convolutions, _dense(last, 1)], [*convolutions, _dense(128, last)]


def _resnet_layers() -> tuple[list[Layer], list[Layer]]:
    # A 3x3 convolution joined to a scaling by two has 4 taps for each of 9.
    c, fused = 128, 4 / 9
    # The first two lines are blocks that pool; their 1x1 shortcuts come after the pooling, on the
    # smaller side.
    critic = [
        *(Layer(32, 3, 3, c), Layer(32, 3, c, c, fused), Layer(16, 1, 3, c)),
        *(Layer(16, 3, c, c), Layer(16, 3, c, c, fused), Layer(8, 1, c, c)),
        *(Layer(8, 3, c, c),) * 4,
        _dense(c, 1),
    ]
    generator = [_dense(128, 16 * c), Layer(32, 3, c, 3)]
    # Each block doubles the side. Its 1x1 shortcut can be taken before the upsampling, on a quarter
    # of the pixels.
    for side in (8, 16, 32):
        generator += [
            *(Layer(side, 3, c, c, fused), Layer(side, 3, c, c), Layer(side, 1, c, c, 1 / 4)),
        ]
    return critic, generator


def _began_layers() -> tuple[list[Layer], list[Layer]]:
    n = h = 64
    decoder = [_dense(h, 64 * n), *(Layer(8, 3, n, n),) * 2, Layer(32, 3, n, 1)]
    for side in (16, 32):
        decoder += [Layer(side, 3, n, n, 4 / 9), Layer(side, 3, n, n)]
    encoder = [
        *(Layer(32, 3, 1, n), Layer(32, 3, n, n)),
        *(Layer(16, 3, n, 2 * n), Layer(16, 3, 2 * n, 2 * n)),
        *(Layer(8, 3, 2 * n, 3 * n), Layer(8, 3, 3 * n, 3 * n), Layer(8, 3, 3 * n, 3 * n)),
        _dense(64 * 3 * n, h),
    ]
    return encoder + decoder, decoder


def layers(name: str) -> tuple[list[Layer], list[Layer], int]:
    """Lists (the critic's layers, the generator's, samples in a batch) of a case."""
    if name in MLPS:
        width, batch = MLPS[name]
        return _mlp_layers(width, 1), _mlp_layers(width, 2), batch
    if name == "dcgan32":
        # A transposed convolution multiplies as often as the convolution it mirrors.
        convolutions = [Layer(16, 5, 1, 64), Layer(8, 5, 64, 128), Layer(4, 5, 128, 256)]
        return [*convolutions, _dense(4096, 1)], [*convolutions, _dense(128, 4096)], 64
    if name in SIDES:
        return (*_wide_layers(SIDES[name]), 16)
    return (*(_resnet_layers if name == "resnet32" else _began_layers)(), 16)


def iteration_gflop(name: str, less: bool = False) -> float:
    """Counts an iteration's operations in billions; `less` counts what fusing leaves of them."""
    *networks, batch = layers(name)

    def forward(network: list[Layer]) -> float:
        share: Callable[[Layer], float] = lambda layer: layer.less if less else 1.0
        cost = lambda v: v.side**2 * v.kernel**2 * v.c_in * v.c_out * share(v)
        # A product counts 2, a multiplication and an addition; the result is in billions.
        return 2e-9 * batch * sum(map(cost, network))

    critic, generator = map(forward, networks)
    updates = 6 * critic + generator  # a critic's update
    if name != "began32":
        updates = N_CRITIC * (10 * critic + generator)
    # The rest is the generator's update, see the module's docstring.
    return updates + 2 * critic + 3 * generator


# (case, seeds) -> what the ratio to PyTorch should be, set before it was measured.
GOALS = {
    ("toy_mlp", 1): 1.15,
    ("small_mlp", 1): 1.5,
    ("tiny_mlp", 1): 15,
    ("dcgan32", 1): 1.15,
    ("resnet32", 1): 1.2,
    ("began32", 1): 1.3,
    ("small_mlp", 16): 2.5,
    ("tiny_mlp", 64): 40,
}
# Short steps come many in one program, or their dispatch would show.
CHUNK_STEPS = {"toy_mlp": 10, "small_mlp": 50, "tiny_mlp": 200, "dcgan32": 4, "began32": 8}


def result_name(case: str, seeds: int) -> str:
    """Names a case's recorded result."""
    return f"speed-{case}" + (f"-{seeds}" if seeds > 1 else "")
