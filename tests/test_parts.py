"""A batch in parts (gradient accumulation) trains as the whole one, batch norm excepted."""

import warnings

import cases
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jwgan
from jwgan import networks, priors

# A member -> its critic; together they have every way in which samples are coupled: the
# pulling-away term, BEGAN's balance, relativistic pairs, DRAGAN's standard deviation of the batch.
MEMBERS = {
    "wgan_gp": cases.critic,
    "ebgan": lambda: cases.energy_critic(codes=True),
    "began": cases.energy_critic,
    "sngan": cases.critic,
    "rpgan": cases.critic,
    "dragan": cases.critic,
}
FAST = ("wgan_gp",)
PARAMS = [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow, id=name) for name in MEMBERS
]


def trained(name, parts, steps=3):
    """The state after some steps, and all infos."""
    critic = networks.in_parts(MEMBERS[name](), parts)
    generator = networks.in_parts(cases.generator(), parts)
    member = getattr(jwgan, name)(critic, generator, prior=priors.normal(cases.LATENT))
    batches = 1.0 + jax.random.normal(jax.random.key(5), (steps, 2, 8, cases.DATA))
    state = member.init(jax.random.key(0), batches[0])
    return jax.jit(lambda state: jax.lax.scan(member.step, state, batches))(state)


@pytest.mark.parametrize("name", PARAMS)
def test_a_batch_in_parts_is_the_whole_batch_up_to_float32_sums(name):
    (whole, info), (parted, same) = trained(name, 1), trained(name, 4)
    for a, b in zip(jax.tree.leaves(info), jax.tree.leaves(same), strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-6)
    for player in ("critic", "generator"):
        one, other = getattr(whole, player), getattr(parted, player)
        # Adam's first updates are the gradients' signs: those are the same, too.
        for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=2e-6)
        assert jax.tree.structure(one) == jax.tree.structure(other)


def test_activations_of_one_part_are_held():
    """With a penalty, whose second derivative passes through the parts once more."""
    batch = jax.ShapeDtypeStruct((1, 4096, cases.DATA), jnp.float32)

    def scratch(parts):
        both = (networks.in_parts(make(), parts) for make in (cases.critic, cases.generator))
        member = jwgan.wgan_gp(*both, prior=priors.normal(cases.LATENT))
        state = jax.eval_shape(lambda: member.init(jax.random.key(0), batch))
        compiled = jax.jit(member.step).lower(state, batch).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert scratch(8) < scratch(1) / 2


class Normalised(nn.Module):
    @nn.compact
    def __call__(self, x, train=True):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(x)
        return x


def test_batch_norm_is_excepted_aloud():
    network = jwgan.from_linen(Normalised(), **networks.TRAIN_ARGUMENT)
    x = jnp.array([[0.0], [10.0], [2.0], [14.0]])  # the parts are 0, 2 and 10, 14
    parted = networks.in_parts(network, 2)
    with pytest.warns(UserWarning, match="batch norm sees one part at a time") as warned:
        params, state = parted.init(jax.random.key(0), x)
    assert [w.filename for w in warned] == [__file__]  # where it was asked for
    y, moved = parted.apply(params, state, x)
    np.testing.assert_allclose(y, [[-1], [-1], [1], [1]], atol=1e-3)  # each part by itself
    # The mean of the parts' means is the batch's; that of their variances (1 and 4) is not (32.8).
    stats = moved["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], [0.5 * x.mean()], rtol=1e-6)
    np.testing.assert_allclose(stats["var"], [0.5 * 1.0 + 0.5 * 2.5], rtol=1e-5)
    np.testing.assert_allclose(
        parted.evaluate(params, moved, x), network.evaluate(params, moved, x)
    )


class Noisy(nn.Module):
    @nn.compact
    def __call__(self, x, train=True):
        return nn.Dropout(0.5, deterministic=not train)(x)


def test_every_part_draws_noise_of_its_own_and_its_keys_move_on():
    network = jwgan.from_linen(Noisy(), **networks.TRAIN_ARGUMENT, rngs=("dropout",))
    parted = networks.in_parts(network, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # noise is no batch statistic
        params, state = parted.init(jax.random.key(0), jnp.ones((2, 64)))
    y, moved = parted.apply(params, state, jnp.ones((2, 64)))
    again, _ = parted.apply(params, moved, jnp.ones((2, 64)))
    assert np.any(y[0] != y[1])
    assert np.any(y != again)


def test_parts_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="parts is 0"):
        networks.in_parts(cases.critic(), 0)
    member = jwgan.wgan_gp(
        networks.in_parts(cases.critic(), 3), cases.generator(), prior=priors.normal(cases.LATENT)
    )
    batch = jax.ShapeDtypeStruct((1, 8, cases.DATA), jnp.float32)
    with pytest.raises(ValueError, match="batch's number of rows is 8: give a batch that 3 parts"):
        jax.eval_shape(lambda: member.init(jax.random.key(0), batch))
