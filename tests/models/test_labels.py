"""Heads that read labels, and batch norm whose scale and bias are the label's."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jwgan
from jwgan import networks
from jwgan.models import dcgan, labels, mlp, norms, resnet, sngan
from jwgan.types import Classified

KEY = jax.random.key(0)
LABEL = jnp.array([0, 2, 1, 2])
SHAPE = (16, 16, 1)
X = jax.random.normal(jax.random.key(1), (4, *SHAPE))
CRITICS = {
    "mlp": lambda head: mlp.MLPCritic((5,), head=head),
    "dcgan": lambda head: dcgan.DCGANCritic(SHAPE, 2, head=head),
    "sngan": lambda head: sngan.SNGANCritic(SHAPE, 2, head=head),
    "resnet": lambda head: resnet.ResNetCritic(SHAPE, 2, head=head),
}


@pytest.mark.parametrize("name", cases.slow_but(CRITICS, "mlp", "dcgan"))
def test_projection_adds_a_product_with_the_labels_vector(name):
    """D(x, y) - D(x, y') is linear in the table: zero it, and the label has no effect."""
    module = CRITICS[name](labels.projection(3))
    plain = CRITICS[name](None)
    params = jax.jit(lambda: module.init(KEY, X, label=LABEL)["params"])()
    table = params["projection"]["kernel"]
    rest = {layer: value for layer, value in params.items() if layer != "projection"}
    assert table.shape[1] == 3
    score = jax.jit(lambda table: module.apply(
        {"params": {**rest, "projection": {"kernel": table}}}, X, label=LABEL
    ))  # fmt: skip
    without = plain.apply({"params": rest}, X)
    np.testing.assert_allclose(score(0 * table), without, rtol=1e-5, atol=1e-5)
    # Only the columns of the labels count, each in its own sample.
    one = jnp.zeros_like(table).at[:, 2].set(table[:, 2])
    moved = np.abs(score(one) - without)
    assert (moved[np.asarray(LABEL) != 2] < 1e-5).all()
    assert (moved[np.asarray(LABEL) == 2] > 1e-4).all()
    np.testing.assert_allclose(
        score(2 * table) - without, 2 * (score(table) - without), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", ["mlp", "dcgan"])
def test_the_auxiliary_head_leaves_the_score_alone(name):
    module, plain = CRITICS[name](labels.auxiliary(3)), CRITICS[name](None)
    params = module.init(KEY, X, label=LABEL)["params"]
    rest = {layer: value for layer, value in params.items() if layer != "classifier"}
    out = module.apply({"params": params}, X, label=LABEL)
    assert isinstance(out, Classified)
    np.testing.assert_allclose(out.output, plain.apply({"params": rest}, X), rtol=1e-5, atol=1e-6)
    assert (out.real_loss > 0).all()
    np.testing.assert_allclose(out.generator_loss, 0.1 * out.real_loss, rtol=1e-6)
    assert (out.fake_loss == 0).all()


def test_a_certain_classifier_costs_nothing():
    """Logits (0, 100) for class 1: cross-entropies 0, and 100 for class 0."""
    module = mlp.MLPCritic((), head=labels.auxiliary(2))
    x, label = jnp.ones((2, 1)), jnp.array([1, 0])
    params = module.init(KEY, x, label=label)["params"]
    params["classifier"] = {"kernel": jnp.array([[0.0, 100.0]]), "bias": jnp.zeros(2)}
    out = module.apply({"params": params}, x, label=label)
    np.testing.assert_allclose(out.real_loss, [0.0, 100.0], atol=1e-5)


def test_conditional_batch_norm_is_one_batch_norm_with_the_labels_rows():
    layer = norms.conditional_batch_norm(3)(use_running_average=False)
    scale = jnp.array([[1.0], [2.0], [3.0]])
    bias = jnp.array([[0.0], [10.0], [20.0]])
    variables = layer.init(KEY, X, LABEL)
    y, moved = layer.apply(
        {**variables, "params": {"scale": scale, "bias": bias}}, X, LABEL, mutable="batch_stats"
    )
    plain = (X - X.mean()) / jnp.sqrt(X.var() + 1e-5)
    at = lambda table: table[LABEL].reshape(4, 1, 1, 1)
    np.testing.assert_allclose(y, plain * at(scale) + at(bias), rtol=1e-4, atol=1e-4)
    # Averages are those of all classes together.
    [mean] = [x for x in jax.tree.leaves(moved) if abs(x - 0.1 * X.mean()).max() < 1e-6]
    assert mean.shape == (1,)


GENERATORS = {
    "dcgan": lambda norm: dcgan.DCGANGenerator(SHAPE, 2, norm=norm),
    "sngan": lambda norm: sngan.SNGANGenerator(SHAPE, 2, norm=norm),
    "resnet": lambda norm: resnet.ResNetGenerator(SHAPE, 2, norm=norm),
}


@pytest.mark.parametrize("name", cases.slow_but(GENERATORS, "dcgan"))
def test_generators_with_conditional_batch_norm(name):
    """One class is the generator with batch norm, bit for bit; of three the label matters."""
    train = networks.TRAIN_ARGUMENT
    make = lambda norm: jwgan.from_linen(GENERATORS[name](norm), **train)
    z, zeros = jax.random.normal(KEY, (4, 3)), jnp.zeros(4, jnp.int32)
    plain, one, three = map(
        make, (norms.batch_norm, norms.conditional_batch_norm(1), norms.conditional_batch_norm(3))
    )
    params, state = jax.jit(plain.init)(KEY, z)
    same = jax.jit(one.init)(KEY, z, zeros)
    assert jax.tree.structure(same) == jax.tree.structure((params, state))
    a, b = jax.jit(plain.apply)(params, state, z), jax.jit(one.apply)(*same, z, zeros)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)
    params, state = jax.jit(three.init)(KEY, z, LABEL)
    # All classes begin alike; a class whose bias moves is told from the others.
    move = lambda path, x: x.at[2].add(1.0) if "bias" in str(path[-1]) and x.ndim == 2 else x
    moved = jax.tree_util.tree_map_with_path(move, params)
    run = jax.jit(lambda params: three.apply(params, state, z, LABEL)[0])
    assert abs(run(moved) - run(params)).max() > 1e-2
    alone = jax.jit(lambda params: three.evaluate(params, state, z, LABEL))
    same_class = np.abs(alone(moved) - alone(params)).reshape(4, -1).max(axis=1)
    assert (same_class[[0, 2]] == 0).all()
    assert (same_class[[1, 3]] > 1e-3).all()
    with pytest.raises(ValueError, match="the norm reads none"):
        plain.evaluate(params, state, z, LABEL)
    with pytest.raises(ValueError, match="a conditional norm needs one for each"):
        three.evaluate(params, state, z)


@pytest.mark.parametrize(
    "make", [labels.projection, labels.auxiliary, norms.conditional_batch_norm]
)
def test_classes_below_one(make):
    with pytest.raises(ValueError, match="classes is 0: give at least one class"):
        make(0)


def test_weights_below_zero():
    with pytest.raises(ValueError, match=r"weights is .*give weights >= 0"):
        labels.auxiliary(3, generator_weight=-0.1)
