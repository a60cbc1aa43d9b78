"""The one table of family members: every law in test_laws.py runs on every row."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest

import jwgan
from jwgan import networks, priors
from jwgan.models import labels
from jwgan.models import mlp as linen_mlp
from jwgan.types import Algorithm, Labelled, Network, Scored

LATENT, DATA, WIDTH, CLASSES = 3, 2, 8, 3
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


def conditional_critic(head: labels.Head) -> Network:
    """A critic of (x, label) that ends in a head; smooth, as `critic` is."""
    return networks.from_linen(linen_mlp.MLPCritic((WIDTH, WIDTH), jnp.tanh, head=head))


def concatenated(inputs: int, outputs: int, classes: int = CLASSES, **kwargs: Any) -> Network:
    """A network of (x, label) by concatenation: `mlp`."""
    columns = classes if classes > 1 else 0
    net = mlp(inputs + columns, WIDTH, WIDTH, outputs, **kwargs)
    return networks.concat_label(net, classes)


def conditional_generator(classes: int = CLASSES) -> Network:
    return concatenated(LATENT, DATA, classes, output_bias=True)


def concatenated_critic(classes: int = CLASSES) -> Network:
    return networks.map_output(concatenated(DATA, 1, classes), lambda x, y: y[:, 0])


class Case(NamedTuple):
    name: str
    make: Callable[[], Algorithm]
    n_critic: int = 2
    classes: int = 0  # of a conditional member; 0: none

    def batch(self, seed: int = 0, steps: int | None = None) -> Any:
        """Real data [n_critic, B, D], or [steps, n_critic, B, D]; labelled for such a member."""
        shape = (self.n_critic, BATCH, DATA)
        shape = shape if steps is None else (steps, *shape)
        key = jax.random.key(1000 + seed)
        x = 1.0 + jax.random.normal(key, shape)
        if not self.classes:
            return x
        # Every class is in every batch, so that the parameters of each have a gradient.
        label = jnp.broadcast_to(jnp.arange(BATCH) % self.classes, shape[:-1])
        label = jax.random.permutation(jax.random.fold_in(key, 1), label, axis=-1, independent=True)
        return Labelled(x, label)

    def shape(self) -> Any:
        """Shapes and dtypes of `batch()`."""
        return jax.eval_shape(self.batch)

    def rows(self, steps: int) -> tuple[Any, Any]:
        """Data of so many steps as rows: (x [N, D], label [N] or None)."""
        data = self.batch(steps=steps)
        x, label = data if self.classes else (data, None)
        return x.reshape(-1, DATA), None if label is None else label.reshape(-1)


def _member(
    name: str, n_critic: int = 2, critic: Callable[[], Network] = critic, **kwargs: Any
) -> Case:
    def make() -> Algorithm:
        member = getattr(jwgan, name)
        return member(critic(), generator(), prior=priors.normal(LATENT), **kwargs)

    return Case(name, make, n_critic)


def _conditional(
    name: str, way: str, critic: Callable[[], Network], n_critic: int = 1, **kwargs: Any
) -> Case:
    """A member that reads labels."""

    def make() -> Algorithm:
        prior = priors.labelled(priors.normal(LATENT), CLASSES)
        return getattr(jwgan, name)(critic(), conditional_generator(), prior=prior, **kwargs)

    return Case(f"{name}+{way}", make, n_critic, CLASSES)


def _conditional_with_ema() -> Algorithm:
    return jwgan.with_ema(_conditional("wgan_gp", "concat", concatenated_critic).make(), decay=0.9)


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
    _conditional("wgan_gp", "concat", concatenated_critic, n_critic=2),
    Case("wgan_gp+concat+ema", _conditional_with_ema, 2, CLASSES),
    _conditional("gan", "projection", lambda: conditional_critic(labels.projection(CLASSES))),
    _conditional("gan", "auxiliary", lambda: conditional_critic(labels.auxiliary(CLASSES))),
]


def each_of(batches: Any) -> list[Any]:
    """The batches of [steps, n_critic, B, D], labelled or not."""
    return [jax.tree.map(lambda leaf, i=i: leaf[i], batches) for i in range(batches.shape[0])]


# Laws of these run in .ci/run: in the default suite one conditional member stands for them.
SLOW = ("wgan_gp+concat+ema", "gan+projection", "gan+auxiliary")
LAWS = [
    pytest.param(case, id=case.name, marks=pytest.mark.slow if case.name in SLOW else ())
    for case in CASES
]

# Trainings of every case take long: this one stays in the default suite (a penalty) ...
DEFAULT = ("wgan_gp",)
# ... and these in .ci/run: a carried k_t, batch statistics, vectors of spectral norm, labels.
IN_CI = ("began", "dcgan", "sngan", "wgan_gp+concat")


def marks_of(case):
    """The marks of a training test of a case: none, slow, or slow and rare."""
    if case.name in DEFAULT:
        return ()
    return pytest.mark.slow if case.name in IN_CI else [pytest.mark.slow, pytest.mark.rare]


TRAINED = [pytest.param(case, id=case.name, marks=marks_of(case)) for case in CASES]
