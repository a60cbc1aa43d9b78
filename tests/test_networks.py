"""Networks of any library as pure functions, and what the wrappers do to them."""

import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jwgan
from jwgan import adversarial, diagnostics, networks, objectives, penalties, priors
from jwgan.types import Scored

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32) + 1


def leaves_equal(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


class Dense(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(x)


class Normed(nn.Module):
    """Batch norm alone, with the train / eval argument of user code."""

    @nn.compact
    def __call__(self, x, train):
        return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x).sum(axis=-1)


class NNXNormed(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(3, momentum=0.9, rngs=rngs)

    def __call__(self, x):
        return self.norm(x).sum(axis=-1)


def normed(library):
    if library == "nnx":
        return networks.from_nnx(lambda rngs: NNXNormed(rngs))
    return networks.from_linen(Normed(), **networks.TRAIN_ARGUMENT)


def statistics(state):
    """Mean and variance, wherever the library keeps them."""
    by_name = {
        jax.tree_util.keystr(path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }
    return tuple(next(x for n, x in by_name.items() if name in n) for name in ("mean", "var"))


def test_from_fn(key):
    network = networks.from_fn(lambda key, x: jnp.ones(x.shape[1]), lambda w, x: x @ w)
    params, state = network.init(key, X)
    y, state = network.apply(params, state, X)
    assert state == {}
    np.testing.assert_allclose(y, X.sum(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(network.evaluate(params, state, X), y)


def test_from_linen_without_model_state(key):
    network = networks.from_linen(Dense())
    params, state = network.init(key, X)
    assert state == {}
    y, state = network.apply(params, state, X)
    assert state == {}
    dense = params["Dense_0"]
    np.testing.assert_allclose(y, X @ dense["kernel"] + dense["bias"][None], rtol=1e-5)
    np.testing.assert_array_equal(network.evaluate(params, state, X), y)


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_batch_norm_in_training_and_after(library, key):
    network = normed(library)
    params, state = network.init(key, X)
    y, moved = network.apply(params, state, X)
    # training: the batch's own statistics, and the averages move by a tenth
    standard = (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5)
    np.testing.assert_allclose(y, standard.sum(axis=1), atol=1e-4)
    mean, var = statistics(moved)
    np.testing.assert_allclose(mean, 0.1 * X.mean(0), rtol=1e-5)
    np.testing.assert_allclose(var, 0.9 + 0.1 * X.var(0), rtol=1e-5)
    # after: the stored averages, sample by sample
    stored = (X - np.asarray(mean)) / np.sqrt(np.asarray(var) + 1e-5)
    np.testing.assert_allclose(
        network.evaluate(params, moved, X), stored.sum(axis=1), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        network.evaluate(params, moved, X[:1]), network.evaluate(params, moved, X)[:1], rtol=1e-5
    )
    # the argument is untouched
    np.testing.assert_array_equal(statistics(state)[0], np.zeros(3))


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_batch_norm_under_jit_scan_and_grad(library, key):
    """State through a scan whose body differentiates: as NumPy's running average."""
    network = normed(library)
    batches = np.random.default_rng(1).normal(size=(4, 6, 3)).astype(np.float32)

    @jax.jit
    def run(params, state):
        def body(state, x):
            def loss(params):
                y, moved = network.apply(params, state, x)
                return (y**2).mean(), moved

            gradient, state_after = jax.grad(loss, has_aux=True)(params)
            return state_after, gradient

        return jax.lax.scan(body, state, batches)

    params, state = network.init(key, X)
    state, gradient = run(params, state)
    mean = np.zeros(3)
    for x in batches:
        mean = 0.9 * mean + 0.1 * x.mean(0)
    np.testing.assert_allclose(statistics(state)[0], mean, rtol=1e-4, atol=1e-6)
    assert diagnostics.dead_parameters(gradient) == []


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_a_generator_with_batch_norm_trains_and_samples(library, key):
    """Its averages move n_critic + 1 times a step, and sampling reads them."""
    inner = normed(library)
    generator = networks.map_output(inner, lambda z, y: z[:, :2] + y[:, None])
    critic = networks.from_fn(lambda key, x: jnp.ones(2), lambda w, x: x @ w)
    algorithm = jwgan.wgan_gp(critic, generator, prior=priors.normal(3))
    batch = jax.random.normal(key, (2, 6, 2))
    state = algorithm.init(key, batch)
    z = jax.random.normal(key, (4, 3))
    before = algorithm.generate(state, z)
    state, _ = jax.jit(algorithm.step)(state, batch)
    _, var = statistics(state.generator.model_state)
    # from 1 towards the batches' variance: three moves leave 0.9^3 of the start
    assert np.all(np.asarray(var) > 0.9**3)
    assert not leaves_equal(before, algorithm.generate(state, z))
    np.testing.assert_allclose(
        algorithm.generate(state, z[:1]), algorithm.generate(state, z)[:1], rtol=1e-5
    )


def test_nnx_random_streams_are_model_state(key):
    class Noisy(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(3, 3, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return self.drop(self.linear(x))

    network = networks.from_nnx(lambda rngs: Noisy(rngs))
    params, state = network.init(key, X)
    first, state = network.apply(params, state, X)
    second, state = network.apply(params, state, X)
    assert not leaves_equal(first, second)
    assert (np.asarray(first) == 0).any()
    assert not (np.asarray(network.evaluate(params, state, X)) == 0).any()
    half, state = networks.in_dtype(network, jnp.bfloat16).apply(params, state, X)
    assert half.dtype == jnp.float32


class Noisy(nn.Module):
    """Half of the inputs are dropped in training; `norm` adds a collection of its own."""

    norm: bool = False

    @nn.compact
    def __call__(self, x, train):
        if self.norm:
            x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(1, kernel_init=nn.initializers.ones)(x)[:, 0]


@pytest.mark.parametrize("norm", [False, True])
def test_dropout_in_linen_draws_anew_in_every_apply_and_not_after_training(norm, key):
    network = jwgan.from_linen(Noisy(norm), **networks.TRAIN_ARGUMENT, rngs=("dropout",))
    x = jnp.ones((4, 64)) + jnp.arange(4)[:, None]
    params, state = network.init(key, x)
    outputs = []
    for _ in range(3):
        y, state = jax.jit(network.apply)(params, state, x)
        outputs.append(np.asarray(y))
    assert len({y.tobytes() for y in outputs}) == 3  # other units are dropped every time
    first = network.init(key, x)[1]
    again, moved = jax.jit(network.apply)(params, first, x)
    np.testing.assert_array_equal(again, outputs[0])  # a function of the key
    # No key is both drawn from and kept: one half of the split is drawn from, the other kept.
    kept = jax.random.split(first["rngs"]["dropout"])[1]
    assert moved["rngs"]["dropout"] == kept
    assert set(state) == ({"rngs", "batch_stats"} if norm else {"rngs"})
    if not norm:  # what is kept is doubled: each output is an even multiple of its row's value
        assert np.all(outputs[0] % (2 * x[:, 0]) == 0)
        np.testing.assert_allclose(network.evaluate(params, state, x), x.sum(axis=1))


def test_a_critic_with_dropout_trains_in_linen(key):
    critic = jwgan.from_linen(Noisy(), **networks.TRAIN_ARGUMENT, rngs=("dropout",))
    generator = jwgan.from_linen(nn.Dense(2))
    algorithm = jwgan.wgan_gp(critic, generator, prior=priors.normal(2))
    batch = jax.random.normal(key, (3, 8, 2))
    state = algorithm.init(key, batch)
    after, info = jax.jit(algorithm.step)(state, batch)
    assert np.isfinite(info.penalty)
    before = jax.random.key_data(state.critic.model_state["rngs"]["dropout"])
    assert (before != jax.random.key_data(after.critic.model_state["rngs"]["dropout"])).any()


@pytest.mark.parametrize("use", ["apply", "evaluate"])
def test_a_linen_module_that_draws_unasked_is_one_line(use, key):
    x = jnp.ones((4, 2))
    network = jwgan.from_linen(Noisy(), {"train": True}, {"train": True})
    params, model_state = network.init(key, x)  # Linen's init has keys for every stream
    with pytest.raises(ValueError, match=r'Noisy, which draws noise: .*rngs=\("dropout",\)'):
        getattr(network, use)(params, model_state, x)


class Small(nnx.Module):
    def __init__(self, *, rngs):
        self.layer = nnx.Linear(2, 1, rngs=rngs)

    def __call__(self, x):
        return self.layer(x)[:, 0]


class Sized(Small):
    def __init__(self, size, *, rngs):
        self.layer = nnx.Linear(size, 1, rngs=rngs)


def test_an_nnx_class_makes_its_own_modules(key):
    x = jnp.ones((3, 2))
    by_class, by_hand = (
        network.evaluate(*network.init(key, x), x)
        for network in (jwgan.from_nnx(Small), jwgan.from_nnx(lambda rngs: Small(rngs=rngs)))
    )
    np.testing.assert_array_equal(by_class, by_hand)


def test_an_nnx_module_or_a_class_with_arguments_is_refused_with_what_to_write():
    with pytest.raises(ValueError, match=r"make is a Small: .*lambda rngs: Small\(rngs=rngs"):
        jwgan.from_nnx(Small(rngs=nnx.Rngs(0)))
    with pytest.raises(
        ValueError, match=r"make is the class Sized: give lambda rngs: Sized\(\.\.\."
    ):
        jwgan.from_nnx(Sized)
    with pytest.raises(ValueError, match="make is the class Linear"):
        jwgan.from_nnx(nnx.Linear)


def test_map_init_and_map_output(key):
    network = networks.from_linen(Dense())
    doubled = networks.map_init(network, lambda p: jax.tree.map(lambda w: 2 * w, p))
    params, _ = network.init(key, X)
    assert leaves_equal(doubled.init(key, X)[0], jax.tree.map(lambda w: 2 * w, params))
    energy = networks.map_output(network, lambda x, y: jnp.abs(x[:, :2] - y).mean(axis=1))
    expected = np.abs(X[:, :2] - np.asarray(network.evaluate(params, {}, X))).mean(axis=1)
    np.testing.assert_allclose(energy.evaluate(params, {}, X), expected, rtol=1e-6)
    np.testing.assert_allclose(energy.apply(params, {}, X)[0], expected, rtol=1e-6)


# in_dtype


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_in_dtype_computes_low_and_hands_out_float32(library, key):
    seen = []

    def watch(x, y):
        seen.append((x.dtype, y.dtype))
        return Scored(y, x)

    network = networks.in_dtype(networks.map_output(normed(library), watch), jnp.bfloat16)
    params, state = network.init(key, X)
    output, moved = network.apply(params, state, X)
    assert seen[-1][0] == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(output)} == {jnp.dtype("float32")}
    assert jax.tree.map(lambda x: x.dtype, moved) == jax.tree.map(lambda x: x.dtype, state)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    assert network.evaluate(params, moved, X).score.dtype == jnp.float32


def test_model_state_keeps_its_precision(key):
    """A running mean of bfloat16 activations stays float32, so a scan can carry it."""
    mean = networks.Network(
        lambda key, x: (jnp.ones(3), {"mean": jnp.zeros(3)}),
        lambda w, state, x: (x @ w, {"mean": x.mean(axis=0)}),
        lambda w, state, x: x @ w,
    )
    network = networks.in_dtype(mean, jnp.bfloat16)
    params, state = network.init(key, X)
    _, moved = network.apply(params, state, X)
    assert moved["mean"].dtype == jnp.float32
    np.testing.assert_allclose(moved["mean"], X.mean(axis=0), rtol=0.02)


def test_in_dtype_rounds_and_gradients_are_float32(key):
    network = networks.from_fn(lambda key, x: jnp.full((3,), 1.001), lambda w, x: x @ w)
    half = networks.in_dtype(network, jnp.bfloat16)
    w, _ = half.init(key, X)
    gradient = jax.grad(lambda w: half.apply(w, {}, X)[0].sum())(w)
    assert gradient.dtype == jnp.float32
    y = half.apply(w, {}, jnp.eye(3))[0]
    np.testing.assert_array_equal(y, np.ones(3))  # 1.001 is 1 in bfloat16
    tokens = networks.in_dtype(networks.from_fn(lambda k, x: w, lambda w, x: w[x]), jnp.bfloat16)
    assert tokens.apply(w, {}, jnp.array([0, 2]))[0].shape == (2,)  # integers are left alone


# with_spectral_norm


class Conv(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


class NNXDense(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(3, 5, rngs=rngs)
        self.last = nnx.Linear(5, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.first(x)))[:, 0]


def relu_init(key, x):
    sizes = (x.shape[1], 16, 16, 1)
    keys = jax.random.split(key, 3)
    return [
        {"w": jax.random.normal(k, (m, n)), "b": jnp.zeros(n)}
        for k, m, n in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def relu_apply(params, x):
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["w"] + layer["b"][None])
    return (x @ params[-1]["w"])[:, 0]


IMAGES = np.random.default_rng(2).normal(size=(4, 5, 5, 2)).astype(np.float32)
PLAIN = {
    "from_fn": (lambda: networks.from_fn(relu_init, relu_apply), X),
    "linen": (lambda: networks.from_linen(Conv()), IMAGES),
    "nnx": (lambda: networks.from_nnx(lambda rngs: NNXDense(rngs)), X),
}
libraries = pytest.mark.parametrize("library", PLAIN)


def settled(network, params, state, x, applies=60):
    body = lambda state, _: (network.apply(params, state, x)[1], None)
    return jax.jit(lambda s: jax.lax.scan(body, s, None, length=applies)[0])(state)


def divided_by_svd(params):
    def one(w):
        if w.ndim < 2:
            return w
        return w / np.linalg.norm(np.asarray(w).reshape(-1, w.shape[-1]), ord=2)

    return jax.tree.map(one, params)


@libraries
def test_spectral_norm_is_the_svd(library, key):
    """Dense and convolution kernels, after enough applies; biases and scales are left alone."""
    make, x = PLAIN[library]
    plain = make()
    network = networks.with_spectral_norm(plain)
    params, state = network.init(key, x)
    state = settled(network, params, state, x)
    expected = plain.evaluate(divided_by_svd(params), state["network"], x)
    np.testing.assert_allclose(network.evaluate(params, state, x), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network.apply(params, state, x)[0], expected, rtol=1e-4, atol=1e-5)


@libraries
def test_the_first_estimate_is_within_a_few_percent(library, key):
    make, x = PLAIN[library]
    network = networks.with_spectral_norm(make())
    params, state = network.init(key, x)
    first = network.evaluate(params, state, x)
    last = network.evaluate(params, settled(network, params, state, x), x)
    np.testing.assert_allclose(first, last, rtol=0.1, atol=0.02)


@libraries
def test_spectral_norm_does_not_see_the_scale_of_the_weights(library, key):
    make, x = PLAIN[library]
    network = networks.with_spectral_norm(make())
    params, state = network.init(key, x)
    state = settled(network, params, state, x)
    scaled = jax.tree.map(lambda w: 100 * w if w.ndim >= 2 else w, params)
    np.testing.assert_allclose(
        network.evaluate(scaled, state, x), network.evaluate(params, state, x), rtol=1e-4, atol=1e-5
    )


def test_vectors_move_in_training_applies_and_not_in_evaluate(key):
    plain = networks.from_fn(relu_init, relu_apply)
    network = networks.with_spectral_norm(plain)
    _, state = network.init(key, X)
    assert len(state["u"]) == 3
    other, _ = network.init(jax.random.key(1), X)  # new weights: the vectors are off
    moved = network.apply(other, state, X)[1]
    assert not leaves_equal(moved["u"], state["u"])
    # evaluate divides by |W u| of the stored u, as poor as it is for these weights
    norms = [jnp.linalg.norm(layer["w"] @ u) for layer, u in zip(other, state["u"], strict=True)]
    divided = [layer | {"w": layer["w"] / n} for layer, n in zip(other, norms, strict=True)]
    np.testing.assert_allclose(
        network.evaluate(other, state, X), relu_apply(divided, X), rtol=1e-4, atol=1e-5
    )
    for u in moved["u"]:
        np.testing.assert_allclose(jnp.linalg.norm(u), 1.0, rtol=1e-5)
    # two iterations in one apply are two applies
    twice = networks.with_spectral_norm(plain, iterations=2).apply(other, state, X)[1]
    once_more = network.apply(other, moved, X)[1]
    for a, b in zip(twice["u"], once_more["u"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_gradient_flows_through_sigma(key):
    """Along W itself the normalised score does not change, so the gradient is orthogonal to W."""
    network = networks.with_spectral_norm(networks.from_fn(relu_init, relu_apply))
    params, state = network.init(key, X)
    state = settled(network, params, state, X)
    gradient = jax.grad(lambda p: network.apply(p, state, X)[0].sum())(params)
    for g, p in zip(gradient, params, strict=True):
        inner = jnp.vdot(g["w"], p["w"])
        assert abs(inner) < 1e-3 * jnp.linalg.norm(g["w"]) * jnp.linalg.norm(p["w"])
        assert jnp.linalg.norm(g["w"]) > 0


def test_a_dense_relu_critic_becomes_1_lipschitz(key):
    network = networks.with_spectral_norm(networks.from_fn(relu_init, relu_apply))
    params, state = network.init(key, X)
    assert diagnostics.layer_norm_product(params) > 10
    state = settled(network, params, state, X)
    x = 3 * jax.random.normal(key, (300, 3))
    report = diagnostics.lipschitz_report(lambda x: network.evaluate(params, state, x), x, -x, key)
    assert 0.1 < report.constant <= 1 + 1e-3


def test_in_training_the_lipschitz_constant_stays_near_1(key):
    """Two power iterations a critic update keep up with the weights."""
    critic = networks.from_fn(relu_init, relu_apply)
    generator = networks.from_fn(lambda key, z: jnp.zeros(3), lambda b, z: z + b[None])
    algorithm = jwgan.sngan(critic, generator, prior=priors.normal(3), learning_rate=1e-2)
    batches = 2 + jax.random.normal(key, (100, 1, 16, 3))
    state, _ = jax.jit(lambda s: jax.lax.scan(algorithm.step, s, batches))(
        algorithm.init(key, batches[0])
    )
    x = 3 * jax.random.normal(key, (300, 3))
    report = diagnostics.lipschitz_report(lambda x: algorithm.score(state, x), x, -x, key)
    assert 0.3 < report.constant < 1.02


def test_spectral_norm_of_a_zero_weight(key):
    """It stays zero with a plain weight's gradient, and is normalised once it moves."""
    network = networks.with_spectral_norm(
        networks.from_fn(lambda key, x: jnp.zeros((3, 2)), lambda w, x: (x @ w).sum(axis=1))
    )
    params, state = network.init(key, X)
    np.testing.assert_allclose(jnp.linalg.norm(state["u"][0]), 1.0, rtol=1e-6)
    y, state = network.apply(params, state, X)
    np.testing.assert_array_equal(y, np.zeros(6))
    gradient = jax.grad(lambda w: network.apply(w, state, X)[0].sum())(params)
    np.testing.assert_allclose(gradient, X.sum(axis=0)[:, None] * np.ones(2), rtol=1e-5)
    moved = 5 * jax.random.normal(key, (3, 2))
    state = settled(network, moved, state, X)
    expected = (X @ (moved / np.linalg.norm(moved, 2))).sum(axis=1)
    np.testing.assert_allclose(network.apply(moved, state, X)[0], expected, rtol=1e-4)


def test_spectral_norm_inside_the_step_moves_twice_a_critic_update(key):
    """In a step with n_critic = 2: four applies keep their state, the others do not."""
    plain = networks.from_fn(relu_init, relu_apply)
    network = networks.with_spectral_norm(plain)
    algorithm = adversarial.build(
        critic=network,
        generator=networks.from_fn(lambda key, z: jnp.zeros(3), lambda b, z: z + b[None]),
        critic_tx=optax.sgd(0.0),  # the weights stand still, so the vectors' path is known
        generator_tx=optax.sgd(0.1),
        objective=objectives.wasserstein(),
        penalty=penalties.gradient_penalty(1.0),
        prior=priors.normal(3),
    )
    batch = jax.random.normal(key, (2, 6, 3))
    state = algorithm.init(key, batch)
    off = networks.with_spectral_norm(plain).init(jax.random.key(8), X)[1]  # unsettled vectors
    state = state._replace(critic=state.critic._replace(model_state=off))
    after, _ = algorithm.step(state, batch)
    expected = settled(network, state.critic.params, off, X, applies=4)
    for a, b in zip(after.critic.model_state["u"], expected["u"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("order", ["norm inside", "norm outside"])
def test_spectral_norm_and_low_precision_in_either_order(order, key):
    """The layers compute in bfloat16 and the norm is right to its rounding."""
    seen = []

    def apply(w, x):
        seen.append(jnp.result_type(x @ w))
        return (x @ w).sum(axis=1)

    plain = networks.from_fn(lambda key, x: 5 * jax.random.normal(key, (3, 4)), apply)
    low, norm = lambda n: networks.in_dtype(n, jnp.bfloat16), networks.with_spectral_norm
    network = low(norm(plain)) if order == "norm inside" else norm(low(plain))
    params, state = network.init(key, X)
    state = settled(network, params, state, X)
    y, _ = network.apply(params, state, X)
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}
    assert {u.dtype for u in state["u"]} == {jnp.dtype("float32")}
    exact = (X @ np.asarray(divided_by_svd(params))).sum(axis=1)
    np.testing.assert_allclose(y, exact, atol=0.03 * np.abs(exact).max())


def test_the_first_vectors_have_settled_for_twenty_iterations(key):
    """Of diag(1, 0.9) each iteration takes 0.81 of the second component; of the identity none."""
    start = lambda w: networks.with_spectral_norm(
        networks.from_fn(lambda key, x: jnp.diag(jnp.array(w)), lambda w, x: x @ w)
    ).init(key, X[:, :2])[1]["u"]
    ((one, other),), ((first, second),) = start([1.0, 1.0]), start([1.0, 0.9])
    np.testing.assert_allclose(second / first, other / one * 0.81**20, rtol=1e-4)


def test_a_network_without_matrices_has_nothing_to_normalise(key):
    plain = networks.from_fn(lambda key, x: jnp.ones(3), lambda w, x: x @ w)
    network = networks.with_spectral_norm(plain)
    params, state = network.init(key, X)
    assert state["u"] == []
    np.testing.assert_array_equal(network.apply(params, state, X)[0], plain.evaluate(params, {}, X))


def test_bad_iterations():
    with pytest.raises(ValueError, match=r"iterations is 0: give at least one power iteration"):
        networks.with_spectral_norm(networks.from_fn(relu_init, relu_apply), iterations=0)


def test_map_input_shifts_what_every_form_of_the_network_sees(key):
    plain = networks.in_dtype(networks.from_fn(relu_init, relu_apply), jnp.bfloat16)
    shifted = networks.map_input(plain, lambda x: x - 2)
    params, state = shifted.init(key, X)
    for form in ("apply", "precise", "evaluate"):
        expected = getattr(plain, form)(params, state, X - 2)
        got = getattr(shifted, form)(params, state, X)
        assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), got, expected))
    seen = []
    watch = networks.from_fn(lambda key, x: seen.append(x), relu_apply)
    networks.map_input(watch, lambda x: x - 2).init(key, X)
    np.testing.assert_array_equal(seen[0], X - 2)


def test_defaults():
    parameters = inspect.signature(networks.with_spectral_norm).parameters
    assert (parameters["iterations"].default, parameters["eps"].default) == (1, 1e-12)


# concat_label, in_parts

IDENTITY = networks.from_fn(lambda key, x: {}, lambda params, x: x)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_a_label_is_one_hot_beside_the_channels(shape):
    x = jnp.arange(2.0 * np.prod(shape)).reshape(2, *shape)
    label, hot = jnp.array([2, 0]), np.eye(5, dtype=np.float32)[[2, 0]]
    y = networks.concat_label(IDENTITY, 5).evaluate({}, {}, x, label)
    np.testing.assert_array_equal(y[..., :4], x)
    for place in np.ndindex(shape[:-1]):
        np.testing.assert_array_equal(y[(slice(None), *place)][:, 4:], hot)
    y = networks.concat_label(IDENTITY, 5, planes=False).evaluate({}, {}, x, label)
    np.testing.assert_array_equal(y, np.concatenate([x.reshape(2, -1), hot], axis=1))


def test_of_random_keys_the_last_parts_is_kept_and_one_part_is_the_network(key):
    keyed = networks.Network(lambda key, x: ({}, key), lambda params, key, x: (x, key), None)
    for parts in (2, 3):  # of 6 rows with 3 columns
        y, kept = networks.in_parts(keyed, parts).apply({}, key, X)
        np.testing.assert_array_equal(y, X)
        assert kept == jax.random.fold_in(key, parts - 1)
    assert networks.in_parts(keyed, 1) is keyed
    assert networks.in_parts(keyed, 3).precise is None
