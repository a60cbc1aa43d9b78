"""What makes no sense is refused where it is given: the argument, its value, the remedy."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jwgan
from jwgan import networks, priors, sources
from jwgan.metrics import coverage, sliced
from jwgan.models import mlp

CRITIC = jwgan.from_linen(mlp.MLPCritic((4,)))
GENERATOR = jwgan.from_linen(mlp.MLPGenerator((2,), (4,)))
PRIOR = priors.normal(2)
# each takes one learning rate
MEMBERS = [
    "gan_minimax",
    "gan",
    "dcgan",
    "wgan",
    "wgan_gp",
    "wgan_lp",
    "wgan_hinge",
    "wgan_div",
    "sngan",
    "ebgan",
    "began",
    "dragan",
    "r1_gan",
    "r1_r2_gan",
    "rpgan",
]
POINTS = np.zeros((8, 2), np.float32)


@pytest.mark.parametrize("rate", [-1e-4, float("nan"), "1e-4", None])
@pytest.mark.parametrize("name", MEMBERS)
def test_a_rate_is_not_below_zero(name, rate):
    with pytest.raises(
        ValueError, match=f"learning_rate is {re.escape(repr(rate))}: give a number >= 0"
    ):
        getattr(jwgan, name)(CRITIC, GENERATOR, prior=PRIOR, learning_rate=rate)


@pytest.mark.parametrize(
    ("name", "setting"),
    [("wgan_gp", "b1"), ("rpgan", "b2"), ("wgan", "decay"), ("r1_gan", "decay"), ("lsgan", "b1")],
)
@pytest.mark.parametrize("value", [-0.1, 1.0, 2.0, "0.5"])
def test_betas_and_decays_are_below_one(name, setting, value):
    with pytest.raises(ValueError, match=rf"{setting} is {value!r}: give a number in \[0, 1\)"):
        getattr(jwgan, name)(CRITIC, GENERATOR, prior=PRIOR, **{setting: value})


@pytest.mark.parametrize("which", ["critic_learning_rate", "generator_learning_rate"])
def test_lsgan_has_two_rates(which):
    with pytest.raises(ValueError, match=f"{which} is -1"):
        jwgan.lsgan(CRITIC, GENERATOR, prior=PRIOR, **{which: -1})


def test_a_schedule_and_a_traced_rate_are_rates():
    batch = jax.ShapeDtypeStruct((1, 4, 2), jnp.float32)
    schedule = optax.constant_schedule(1e-3)
    made = jwgan.wgan_gp(CRITIC, GENERATOR, prior=PRIOR, learning_rate=schedule)
    assert made.init(jax.random.key(0), batch).step == 0

    @jax.jit
    def first(rate):
        made = jwgan.wgan_gp(CRITIC, GENERATOR, prior=PRIOR, learning_rate=rate, b1=rate)
        return made.init(jax.random.key(0), batch).step

    assert first(1e-3) == 0


def test_began_averages_over_some_updates():
    with pytest.raises(ValueError, match="window is 0"):
        jwgan.began(CRITIC, GENERATOR, prior=PRIOR, window=0)


@pytest.mark.parametrize("name", [*MEMBERS, "lsgan"])
def test_a_flax_module_is_no_network(name):
    make = getattr(jwgan, name)
    with pytest.raises(
        ValueError, match=r"is a MLPCritic: wrap it, for example with jwgan\.from_linen"
    ):
        make(mlp.MLPCritic((4,)), GENERATOR, prior=PRIOR)
    with pytest.raises(ValueError, match="generator is a MLPGenerator: wrap it"):
        make(CRITIC, mlp.MLPGenerator((2,)), prior=PRIOR)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: networks.map_init(x, lambda p: p),
        lambda x: networks.map_input(x, lambda x: x),
        lambda x: networks.map_output(x, lambda x, y: y),
        lambda x: networks.in_dtype(x, jnp.bfloat16),
        networks.with_spectral_norm,
    ],
)
def test_what_wraps_a_network_wants_one(wrap):
    with pytest.raises(ValueError, match="network is a MLPCritic: wrap it"):
        wrap(mlp.MLPCritic((4,)))


class WithBatchNorm(nn.Module):
    out: int

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.Dense(self.out)(nn.BatchNorm(use_running_average=not train)(x))
        return x if self.out > 1 else x[:, 0]


def test_batch_norm_without_a_way_to_sample_is_found_before_training():
    batch = jax.ShapeDtypeStruct((1, 4, 2), jnp.float32)
    bad = jwgan.from_linen(WithBatchNorm(2), train={"train": True})
    with pytest.raises(ValueError, match="generator trains but cannot be evaluated"):
        jwgan.gan(CRITIC, bad, prior=PRIOR).init(jax.random.key(0), batch)
    evaluated = jwgan.from_linen(WithBatchNorm(2), evaluate={"train": False})
    good = jwgan.gan(jwgan.from_linen(WithBatchNorm(1)), evaluated, prior=PRIOR)
    state = good.init(jax.random.key(0), batch)
    assert good.sample(jax.random.key(1), state, 3).shape == (3, 2)
    with pytest.raises(ValueError, match="num is 0: give at least one sample"):
        good.sample(jax.random.key(1), state, 0)


def test_bytes_are_no_images_yet():
    with pytest.raises(
        ValueError, match="array's dtype is 'uint8': give floats in the generator's"
    ):
        sources.from_array(np.zeros((8, 2), np.uint8), n_critic=1, batch_size=4)


@pytest.mark.parametrize("value", [0, 2.0, "2"])
@pytest.mark.parametrize("which", ["n_critic", "batch_size"])
def test_counts_are_whole_numbers(which, value):
    counts = {"n_critic": 1, "batch_size": 4, which: value}
    for make in (
        lambda **counts: sources.from_array(POINTS, **counts),
        lambda **counts: sources.from_sampler(PRIOR, **counts),
    ):
        with pytest.raises(ValueError, match=f"{which} is {value!r}: give at least one"):
            make(**counts)


def test_a_priors_axes_are_whole_numbers():
    assert priors.normal(np.int64(3))(jax.random.key(0), 2).shape == (2, 3)
    assert priors.uniform([np.int64(3), 2])(jax.random.key(0), 2).shape == (2, 3, 2)
    for shape in (2.5, (2.5,), (), 0, None):
        with pytest.raises(ValueError, match=r"shape is .*: give whole numbers"):
            priors.normal(shape)


@pytest.mark.parametrize("shape", [2, (), (0,)])
def test_a_generators_shape_is_a_shape(shape):
    with pytest.raises(ValueError, match="data_shape is"):
        mlp.MLPGenerator(shape)


def test_metrics_say_what_they_need():
    line, modes = np.zeros((8, 1), np.float32), np.zeros((3, 2), np.float32)
    for x in (line, POINTS[:0], POINTS[0]):
        with pytest.raises(ValueError, match="x, modes is"):
            coverage.mode_coverage(x, modes, 0.1)
    with pytest.raises(ValueError, match=r"std is -0\.1"):
        coverage.mode_coverage(POINTS, modes, -0.1)
    with pytest.raises(ValueError, match="num_std is 0"):
        coverage.mode_coverage(POINTS, modes, 0.1, num_std=0)
    for k in (0, 8):
        with pytest.raises(ValueError, match=f"num_neighbours is {k}: give 1 to 7"):
            coverage.neighbour_coverage(POINTS, POINTS, k)
    with pytest.raises(ValueError, match="fake is"):
        coverage.neighbour_coverage(POINTS, POINTS[:0])
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="num_projections is 0"):
        sliced.sliced_w1(key, POINTS, POINTS, 0)
    for x in (line, POINTS[:0]):
        with pytest.raises(ValueError, match="real, fake is"):
            sliced.sliced_w1(key, POINTS, x)


def test_a_forgotten_axis_of_critic_updates_is_named():
    """Images [B, H, W, C] have as many axes as vectors [n_critic, B, D] and one more."""
    critic = networks.from_fn(lambda key, x: jnp.ones(()), lambda w, x: w * x.mean(axis=(1, 2, 3)))
    generator = networks.from_fn(
        lambda key, z: jnp.zeros((1, 8, 8, 1)), lambda w, z: jnp.tile(w, (len(z), 1, 1, 1))
    )
    member = jwgan.wgan(critic, generator, prior=priors.normal(2))
    with pytest.raises(ValueError, match=r"the batch lacks its first axis, n_critic; give batch\["):
        jax.eval_shape(lambda: member.init(jax.random.key(0), jnp.zeros((4, 8, 8, 1))))
    jax.eval_shape(lambda: member.init(jax.random.key(0), jnp.zeros((1, 4, 8, 8, 1))))
