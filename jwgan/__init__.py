"""jwgan: the Wasserstein-GAN family in JAX. Pure step functions, short visible members.

The core (jax and optax only) is imported at once: the modules below and the members in
`algorithms`. The rest is imported when it is first used, so that `import jwgan` stays light:
`jwgan.models` (networks, needs flax), `metrics`, `problems`, `transport` and `divergences` (needs
scipy and POT for exact plans), `data`, `checkpoint`, `report` and `run` (the runner).

Examples in docstrings assume `import jax, jax.numpy as jnp, numpy as np, optax, jwgan`, and the
modules of jwgan that they name, as in `from jwgan import penalties` or `from jwgan.models import
mlp`. What the example at the top of a file defines, the examples below it use.
"""

from jwgan import (
    adversarial,
    algorithms,
    augment,
    constraints,
    diagnostics,
    joined,
    lazy,
    loop,
    many,
    networks,
    objectives,
    parallel,
    penalties,
    priors,
    schedules,
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

__version__ = "0.2.0"

__all__ = [
    "Algorithm",
    "Network",
    "Objective",
    "adversarial",
    "algorithms",
    "augment",
    "began",
    "constraints",
    "dcgan",
    "diagnostics",
    "dragan",
    "ebgan",
    "from_fn",
    "from_linen",
    "from_nnx",
    "gan",
    "gan_minimax",
    "joined",
    "loop",
    "lsgan",
    "many",
    "networks",
    "objectives",
    "parallel",
    "penalties",
    "priors",
    "r1_gan",
    "r1_r2_gan",
    "rpgan",
    "schedules",
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

# Each of these brings packages that the core does not need.
__getattr__, __dir__ = lazy.submodules(
    __name__,
    (
        *("checkpoint", "critics", "data", "divergences", "metrics", "models", "problems"),
        *("report", "run", "transport"),
    ),
    (*__all__, "__version__"),
)
