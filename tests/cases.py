"""The one table of family members: every law in test_laws.py runs on every row."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest

import jwgan
from jwgan import networks, priors
from jwgan.types import Algorithm, Network, Scored

LATENT, DATA, WIDTH = 3, 2, 8
BATCH = 8


def slow_but(names, *quick):
    """Parameters of a test: those named stay in the default suite, the others are marked slow."""
    return [
        pytest.param(name, marks=() if name in quick else pytest.mark.slow, id=str(name))
        for name in names
    ]


def mlp(*sizes: int, output_bias: bool = False) -> Network:
    """A small tanh network on vectors: smooth, so no gradient is zero by piecewise linearity.

    No output bias by default: a constant added to a critic does not change a difference of
    scores, so in the Wasserstein and relativistic games its gradient is zero by theory.
    """

    def init(key, x):
        del x
        params = []
        for k, n_in, n_out in zip(
            jax.random.split(key, len(sizes)), sizes[:-1], sizes[1:], strict=False
        ):
            w = jax.random.normal(k, (n_in, n_out)) / jnp.sqrt(n_in)
            params.append({"w": w, "b": 0.1 * jnp.ones(n_out)})
        if not output_bias:
            del params[-1]["b"]
        return params

    def apply(params, x):
        for i, layer in enumerate(params):
            x = x @ layer["w"]
            if "b" in layer:
                x = x + layer["b"][None]
            if i < len(params) - 1:
                x = jnp.tanh(x)
        return x

    return networks.from_fn(init, apply)


def critic() -> Network:
    return networks.map_output(mlp(DATA, WIDTH, WIDTH, 1), lambda x, y: y[:, 0])


def generator() -> Network:
    return mlp(LATENT, WIDTH, DATA, output_bias=True)


class Case(NamedTuple):
    name: str
    make: Callable[[], Algorithm]
    n_critic: int = 2

    def batch(self, seed: int = 0, steps: int | None = None) -> Any:
        """Real data [n_critic, B, D], or [steps, n_critic, B, D]."""
        shape = (self.n_critic, BATCH, DATA)
        shape = shape if steps is None else (steps, *shape)
        return 1.0 + jax.random.normal(jax.random.key(1000 + seed), shape)


def _member(
    name: str, n_critic: int = 2, critic: Callable[[], Network] = critic, **kwargs: Any
) -> Case:
    def make() -> Algorithm:
        member = getattr(jwgan, name)
        return member(critic(), generator(), prior=priors.normal(LATENT), **kwargs)

    return Case(name, make, n_critic)


def _with_ema() -> Algorithm:
    return jwgan.with_ema(_member("wgan_gp").make(), decay=0.9)


def energy_critic(codes: bool = False) -> Network:
    """Mean absolute reconstruction error of a one-layer auto-encoder; with its code if asked."""
    encoder, decoder = mlp(DATA, WIDTH, output_bias=True), mlp(WIDTH, DATA, output_bias=True)

    def init(key, x):
        return {
            "encoder": encoder.init(key, x)[0],
            "decoder": decoder.init(jax.random.fold_in(key, 1), x)[0],
        }

    def apply(params, x):
        code = jnp.tanh(encoder.evaluate(params["encoder"], {}, x))
        error = jnp.abs(x - decoder.evaluate(params["decoder"], {}, code)).mean(axis=1)
        return Scored(error, code) if codes else error

    return networks.from_fn(init, apply)


CASES = [
    _member("gan_minimax", n_critic=1),
    _member("gan", n_critic=1),
    _member("dcgan", n_critic=1),
    _member("lsgan", n_critic=1),
    # a wide box: with the paper's 0.01 the first critic of this size is constant in float32
    _member("wgan", c=0.5),
    _member("wgan_gp"),
    _member("wgan_lp"),
    _member("wgan_hinge"),
    _member("wgan_div"),
    _member("sngan"),
    _member("ebgan", n_critic=1, critic=lambda: energy_critic(codes=True)),
    _member("began", n_critic=1, critic=energy_critic),
    _member("dragan", n_critic=1),
    _member("r1_gan", n_critic=1),
    _member("r1_r2_gan", n_critic=1),
    _member("rpgan", n_critic=1),
    Case("wgan_gp+ema", _with_ema),
]


# Trainings of every case take long: this one stays in the default suite (a penalty) ...
DEFAULT = ("wgan_gp",)
# ... and these in .ci/run: a carried k_t, batch statistics, vectors of spectral norm.
IN_CI = ("began", "dcgan", "sngan")


def marks_of(case):
    """The marks of a training test of a case: none, slow, or slow and rare."""
    if case.name in DEFAULT:
        return ()
    return pytest.mark.slow if case.name in IN_CI else [pytest.mark.slow, pytest.mark.rare]


TRAINED = [pytest.param(case, id=case.name, marks=marks_of(case)) for case in CASES]
