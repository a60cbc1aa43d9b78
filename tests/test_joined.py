"""Joined calls: the same losses, gradients and model states as one batch after another."""

import importlib
import pkgutil
from types import SimpleNamespace

import cases
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jwgan
from jwgan import joined, models, networks, priors, types, wrappers
from jwgan.models import autoencoder, norms, resnet

BATCH, N_CRITIC = 4, 3


def close(a, b, **kwargs):
    """Trees of equal structure with equal values; keys are compared as numbers."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_allclose(x, y, **kwargs)


def counted(algorithm, calls):
    """The member, and a list of (player, size of the batch) of every call while it is traced."""

    def noting(name):
        def noted(network):
            def apply(params, state, x, *label):
                calls.append((name, len(x)))
                return network.apply(params, state, x, *label)

            return network._replace(apply=apply)

        return noted

    return algorithm.rebuilt(critic=noting("critic"), generator=noting("generator"))


QUICK = ("wgan_gp", "gan", "sngan", "wgan_gp+concat")
EVERY = [
    param if param.id in QUICK else pytest.param(*param.values, marks=pytest.mark.slow, id=param.id)
    for param in cases.LAWS
]


@pytest.mark.parametrize("case", EVERY)
def test_every_member_trains_the_same(case):
    """Plain SGD shows the gradients in the parameters; Adam would blow up their roundings."""
    sgd, batch = lambda _: optax.sgd(0.1), case.batch()
    apart = case.make().rebuilt(critic_tx=sgd, generator_tx=sgd)
    state = apart.init(jax.random.key(0), batch)
    if not jax.tree.leaves(state.critic.model_state):  # all but spectral norm
        apart = apart.rebuilt(critic=lambda network: network._replace(rowwise=True))
    together = joined.with_joined_calls(apart)
    one, other = (jax.jit(member.step)(state, batch) for member in (apart, together))
    close(one, other, rtol=1e-5, atol=1e-5)


def batch_norm_generator(final=lambda x: x):
    class Generator(nn.Module):
        @nn.compact
        def __call__(self, z, train=True):
            x = nn.relu(norms.batch_norm(use_running_average=not train)(nn.Dense(6)(z)))
            return final(nn.Dense(2)(norms.batch_norm(use_running_average=not train)(x)))

    return jwgan.from_linen(Generator(), **networks.TRAIN_ARGUMENT)


def rowwise_critic():
    return cases.critic()._replace(rowwise=True)


def member_with(generator, critic=None):
    return jwgan.wgan_gp(critic or rowwise_critic(), generator, prior=priors.normal(3))


def data(n_critic=N_CRITIC):
    return 1 + jax.random.normal(jax.random.key(5), (n_critic, BATCH, 2))


def stepped(algorithm, batch=None):
    batch = data() if batch is None else batch
    return jax.jit(algorithm.step)(algorithm.init(jax.random.key(0), batch), batch)


def test_batch_norm_has_a_batch_for_each_update():
    """One call of the generator; its averages are those of three batches, one after another."""
    apart, calls = member_with(batch_norm_generator()), []
    one, other = stepped(apart), stepped(joined.with_joined_calls(apart))
    close(one, other, rtol=1e-4, atol=1e-5)
    moved = other[0].generator.model_state
    assert float(jnp.abs(jax.tree.leaves(moved)[0]).max()) > 0
    batch = data()
    member = counted(apart, calls)
    state = member.init(jax.random.key(0), batch)
    for algorithm, of_critic in ((member, BATCH), (joined.with_joined_calls(member), 2 * BATCH)):
        calls.clear()
        jax.make_jaxpr(algorithm.step)(state, batch)
        assert ("critic", of_critic) in calls
    # real and fake in one; the interpolates; the generator's update sees fakes (and real ones)
    assert calls.count(("critic", 2 * BATCH)) == 1


def test_a_critic_that_is_not_declared_is_called_for_each():
    calls = []
    member = counted(
        joined.with_joined_calls(member_with(batch_norm_generator(), cases.critic())), calls
    )
    jax.make_jaxpr(member.step)(member.init(jax.random.key(0), data()), data())
    assert ("critic", 2 * BATCH) not in calls


@pytest.mark.parametrize(
    ("name", "shared"),
    [("r1_gan", True), ("r1_r2_gan", True), ("rpgan", True), ("wgan_gp", False), ("gan", False)],
)
def test_penalties_at_the_data_share_the_forward_pass_of_scores(name, shared):
    """Seen in the calls: those that are one expression to the compiler stay of one batch."""
    calls = []
    member = getattr(jwgan, name)(rowwise_critic(), cases.generator(), prior=priors.normal(3))
    member = counted(joined.with_joined_calls(member), calls)
    jax.make_jaxpr(member.step)(member.init(jax.random.key(0), data(1)), data(1))
    assert (("critic", 2 * BATCH) in calls) != shared


class Stateful(nn.Module):
    """A generator with a state of every kind: `kind` says how it moves, and what reads it."""

    kind: str

    @nn.compact
    def __call__(self, z):
        x = nn.Dense(2)(z)
        whole = self.kind == "counter"
        count = self.variable("own", "count", lambda: jnp.ones((), jnp.int32 if whole else None))
        old = count.value
        if self.kind == "read":
            x = x * old
        if self.is_mutable_collection("own") and not self.is_initializing():
            moves = {"counter": old + 1, "square": old**2 + 1.0, "read": old + 0.5}
            mixes = {"by data": old * jnp.abs(z).mean(), "average": 0.9 * old + z.mean()}
            count.value = {**moves, **mixes}[self.kind]
        return x


@pytest.mark.parametrize(
    ("kind", "can"),
    [("average", True), *((k, False) for k in ("counter", "square", "read", "by data"))],
)
def test_only_averages_can_be_moved_at_once(kind, can):
    apart = member_with(jwgan.from_linen(Stateful(kind)), cases.critic())
    together = joined.with_joined_calls(apart)
    made = []

    def fakes(*args):
        made.append(joined.fakes(*args))
        return made[-1]

    spied = apart.rebuilt(calls=lambda _: types.Calls(joined.scores, fakes))
    jax.make_jaxpr(spied.step)(spied.init(jax.random.key(0), data()), data())
    assert (made[0] is not None) == can
    close(stepped(apart), stepped(together), rtol=1e-5, atol=1e-6)


def test_noise_of_its_own_is_drawn_in_turn():
    class Dropout(nn.Module):
        @nn.compact
        def __call__(self, z, train=True):
            return nn.Dense(2)(nn.Dropout(0.5, deterministic=not train)(nn.Dense(8)(z)))

    network = jwgan.from_linen(
        Dropout(), **networks.TRAIN_ARGUMENT, rngs=("dropout",), rowwise=True
    )
    assert not network.rowwise
    apart = member_with(network)
    close(stepped(apart), stepped(joined.with_joined_calls(apart)), rtol=1e-5, atol=1e-6)


def test_fewer_updates_than_rows_move_no_more():
    """The fakes of updates that do not come must not be made."""
    apart = wrappers.with_n_critic(member_with(batch_norm_generator()), 2)
    close(stepped(apart), stepped(joined.with_joined_calls(apart)), rtol=1e-4, atol=1e-5)


def test_what_can_be_joined_is_declared():
    """By modules and the caller; wrappers hand it on where they leave rows apart."""
    shape = (8, 8, 1)
    batch_norm = resnet.ResNetCritic(shape, 4, 1, norm=norms.batch_norm)
    assert not jwgan.from_linen(batch_norm).rowwise
    assert not jwgan.from_linen(autoencoder.BEGANCritic(shape, 4, 3, vanishing=9)).rowwise
    assert not jwgan.from_linen(nn.Dense(1)).rowwise
    assert jwgan.from_linen(nn.Dense(1), rowwise=True).rowwise
    for norm in (None, norms.layer_norm, norms.instance_norm):
        plain = jwgan.from_linen(resnet.ResNetCritic(shape, 4, 1, norm=norm))
        assert plain.rowwise
    assert networks.in_dtype(plain, jnp.bfloat16).rowwise
    assert networks.concat_label(plain, 3).rowwise
    assert networks.map_init(plain, lambda params: params).rowwise
    assert not networks.map_output(plain, lambda x, y: y - y.mean()).rowwise
    assert not networks.map_input(plain, lambda x: x - x.mean()).rowwise
    assert not networks.in_parts(plain, 2).rowwise
    assert not networks.with_spectral_norm(plain).rowwise


def test_a_critic_with_a_norm_declares_what_the_norm_does():
    """In every module of jwgan.models: a constant would be wrong for batch norm."""
    seen = 0
    for found in pkgutil.iter_modules(models.__path__):
        for kind in vars(importlib.import_module(f"jwgan.models.{found.name}")).values():
            fields = getattr(kind, "__dataclass_fields__", {})
            if isinstance(kind, type) and "norm" in fields and hasattr(kind, "rowwise"):
                assert not kind.rowwise.fget(SimpleNamespace(norm=norms.batch_norm)), kind
                assert kind.rowwise.fget(SimpleNamespace(norm=norms.layer_norm)), kind
                seen += 1
    assert seen >= 5


def test_an_algorithm_without_parts_is_refused():
    whole = member_with(cases.generator())._replace(rebuilt=None)
    with pytest.raises(ValueError, match="algorithm has no parts to change: join each trial"):
        joined.with_joined_calls(whole)
