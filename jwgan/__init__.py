"""jwgan: the Wasserstein-GAN family in JAX. Pure step functions, short visible members.

Core (jax and optax only): the modules below and the members in `algorithms`. Models, metrics,
problems and transport are imported by name, for example `from jwgan.models import dcgan`.
"""

from jwgan import (
    adversarial,
    algorithms,
    constraints,
    loop,
    networks,
    objectives,
    parallel,
    penalties,
    priors,
    sources,
    types,
    wrappers,
)
from jwgan.algorithms import (
    began,
    dcgan,
    dragan,
    ebgan,
    gan,
    gan_minimax,
    lsgan,
    r1_gan,
    r1_r2_gan,
    rpgan,
    sngan,
    wgan,
    wgan_div,
    wgan_gp,
    wgan_hinge,
    wgan_lp,
)
from jwgan.networks import from_fn, from_linen, from_nnx
from jwgan.types import Algorithm, Network, Objective
from jwgan.wrappers import with_ema

__all__ = [
    "Algorithm",
    "Network",
    "Objective",
    "adversarial",
    "algorithms",
    "began",
    "constraints",
    "dcgan",
    "dragan",
    "ebgan",
    "from_fn",
    "from_linen",
    "from_nnx",
    "gan",
    "gan_minimax",
    "loop",
    "lsgan",
    "networks",
    "objectives",
    "parallel",
    "penalties",
    "priors",
    "r1_gan",
    "r1_r2_gan",
    "rpgan",
    "sngan",
    "sources",
    "types",
    "wgan",
    "wgan_div",
    "wgan_gp",
    "wgan_hinge",
    "wgan_lp",
    "with_ema",
    "wrappers",
]
