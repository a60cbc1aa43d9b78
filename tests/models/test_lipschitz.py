"""Hard-Lipschitz critics: orthonormal weights, the bound on pairs of points, what they can fit."""

import functools
import inspect

import cases
import jax
import jax.numpy as jnp
import model_laws
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwgan import networks
from jwgan.models import lipschitz
from jwgan.models.mlp import MLPCritic

ACTIVATIONS = {
    "maxmin": lipschitz.maxmin,
    "group_sort": lipschitz.group_sort(4),
    "full_sort": lipschitz.full_sort,
}


def nearest_orthonormal(w):
    """U V^T of the singular value decomposition."""
    u, _, vt = np.linalg.svd(w, full_matrices=False)
    return u @ vt


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (5, 1)])
def test_bjorck_finds_the_nearest_orthonormal_matrix(shape):
    # Singular values within a factor of 4: those that 20 iterations bring to 1.
    rng = np.random.default_rng(0)
    u, _, vt = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    w = (u * np.linspace(0.5, 2.0, min(shape))) @ vt
    ours = jax.jit(lipschitz.bjorck)(w.astype(np.float32))
    np.testing.assert_allclose(ours, nearest_orthonormal(w), atol=2e-6)
    gram = ours.T @ ours if shape[0] >= shape[1] else ours @ ours.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=2e-6)


@pytest.mark.parametrize("iterations", [1, 3, 20])
def test_bjorck_never_passes_spectral_norm_1(iterations):
    rng = np.random.default_rng(1)
    for scale in (1e-6, 1.0, 1e6):
        w = (scale * rng.normal(size=(12, 8))).astype(np.float32)
        assert np.linalg.norm(lipschitz.bjorck(w, iterations), 2) <= 1 + 2e-6


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_what_is_made_of_a_weight_does_not_depend_on_its_scale(scale):
    """A floor under the norms keeps zeros from 0 / 0 and must not touch a weight."""
    w = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    scaled = np.float32(scale) * w
    np.testing.assert_allclose(lipschitz.bjorck(scaled, 2), lipschitz.bjorck(w, 2), rtol=1e-5)
    score = lambda w: lipschitz.UnitDense().apply({"params": {"kernel": w, "bias": 0.0}}, np.eye(4))
    np.testing.assert_allclose(score(scaled[:, 0]), score(w[:, 0]), rtol=1e-5)


def test_bjorck_scales_by_index():
    """The derivative of `max` divides by how many entries equal it, on GPUs at times by none."""
    traced = jax.make_jaxpr(jax.grad(lambda w: lipschitz.bjorck(w).sum()))(jnp.eye(3))
    assert "argmax" in str(traced)
    assert "reduce_max" not in str(traced)


def test_bjorck_survives_zeros():
    w = jnp.zeros((3, 2))
    assert float(jnp.abs(lipschitz.bjorck(w)).max()) == 0
    gradient = jax.grad(lambda w: lipschitz.bjorck(w).sum())(w)
    assert bool(jnp.isfinite(gradient).all())


def test_sorting_activations():
    x = jnp.array([[1.0, 3.0, 2.0, -1.0, 0.0, 5.0, 4.0, 4.0]])
    assert lipschitz.maxmin(x).tolist() == [[3, 1, 2, -1, 5, 0, 4, 4]]
    assert lipschitz.group_sort(2)(x).tolist() == [[1, 3, -1, 2, 0, 5, 4, 4]]
    assert lipschitz.group_sort(1)(x).tolist() == x.tolist()
    assert lipschitz.group_sort(4)(x).tolist() == [[-1, 1, 2, 3, 0, 4, 4, 5]]
    assert lipschitz.full_sort(x).tolist() == [[-1, 0, 1, 2, 3, 4, 4, 5]]


@functools.cache
def trained_away(name):
    """A critic whose parameters are far from their initial, orthogonal values."""
    critic = lipschitz.LipschitzCritic((8, 12, 4), ACTIVATIONS[name])
    params = jax.eval_shape(critic.init, jax.random.key(0), jnp.zeros((1, 5)))
    keys = jax.random.split(jax.random.key(1), len(jax.tree.leaves(params)))
    noise = [
        3 * jax.random.normal(k, p.shape)
        for k, p in zip(keys, jax.tree.leaves(params), strict=True)
    ]
    params = jax.tree.unflatten(jax.tree.structure(params), noise)
    return jax.jit(lambda x: critic.apply(params, x))


points = st.lists(st.floats(-10, 10, width=32), min_size=5, max_size=5)


@pytest.mark.parametrize("name", ACTIVATIONS)
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(a=points, direction=points, size=st.floats(2**-7, 16, width=32))
def test_no_pair_of_points_breaks_the_bound(name, a, direction, size):
    # Distances are bounded below: under them the difference of two scores is rounding.
    a, direction = np.float32(a), np.float32(direction)
    if np.linalg.norm(direction) < 1e-3:
        direction = np.eye(5, dtype=np.float32)[0]
    b = a + np.float32(size) * direction / np.linalg.norm(direction)
    score = np.asarray(trained_away(name)(np.stack([a, b])), np.float64)
    distance = np.linalg.norm(a.astype(np.float64) - b)
    rounding = 4e-6 * (1 + np.linalg.norm(a) + np.linalg.norm(b))
    assert abs(score[0] - score[1]) <= distance * (1 + 1e-5) + rounding


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradient_norm_is_one_where_no_layer_widens(name):
    critic = lipschitz.LipschitzCritic((8, 8, 4), ACTIVATIONS[name])
    x = jax.random.normal(jax.random.key(0), (64, 2, 4))

    def program(key):
        params = critic.init(key, x)
        return critic.apply(params, x), jax.grad(lambda x: critic.apply(params, x).sum())(x)

    y, gradient = model_laws.run(program, jax.random.key(1))
    assert y.shape == (64,)
    assert y.dtype == jnp.float32
    norms = jnp.sqrt((gradient**2).sum((1, 2)))
    np.testing.assert_allclose(norms, 1, rtol=1e-5)
    directions = gradient.reshape(64, 8) @ gradient.reshape(64, 8).T
    assert float(directions.min()) < 0.9  # and it is not linear


def fit(network, x, y, steps=200):
    """Mean squared error of a regression by Adam, its rate falling to 0."""
    tx = optax.adam(optax.cosine_decay_schedule(2e-2, steps))

    def loss(params, state):
        out, state = network.apply(params, state, x)
        return ((out - y) ** 2).mean(), state

    def step(carry, _):
        params, state, opt_state = carry
        gradient, state = jax.grad(loss, has_aux=True)(params, state)
        updates, opt_state = tx.update(gradient, opt_state)
        return (optax.apply_updates(params, updates), state, opt_state), None

    def program(key):
        params, state = network.init(key, x)
        (params, state, _), _ = jax.lax.scan(step, (params, state, tx.init(params)), length=steps)
        return ((network.evaluate(params, state, x) - y) ** 2).mean()

    return float(model_laws.run(program, jax.random.key(0)))


@pytest.mark.parametrize("dim", cases.slow_but([1, 2], 1))
def test_a_cone_needs_activations_that_keep_the_norm(dim):
    """|x|, the critic between a point mass and a sphere: its gradient has norm 1 everywhere."""
    x = jax.random.uniform(jax.random.key(3), (256, dim), minval=-2, maxval=2)
    y = jnp.linalg.norm(x, axis=1)
    ours = networks.from_linen(lipschitz.LipschitzCritic((12, 12, 12)))
    orthonormal_relu = networks.from_linen(lipschitz.LipschitzCritic((12, 12, 12), jax.nn.relu))
    spectral_relu = networks.with_spectral_norm(networks.from_linen(MLPCritic((12, 12, 12))))
    error = fit(ours, x, y)
    assert error < 4e-3
    assert fit(orthonormal_relu, x, y) > 10 * error
    assert fit(spectral_relu, x, y) > 10 * error


def test_derivatives_are_finite_and_train_every_leaf():
    critic = lipschitz.LipschitzCritic((6, 4))
    x = jax.random.normal(jax.random.key(0), (5, 3))

    def loss(params):
        y, pull = jax.vjp(lambda x: critic.apply(params, x), x)
        (first,) = pull(jnp.eye(5)[0])
        return (jnp.arange(5.0) * y).sum() + (first**2).sum(), first

    gradient, first = model_laws.run(
        lambda key: jax.grad(loss, has_aux=True)(critic.init(key, x)), jax.random.key(1)
    )
    leaves = jax.tree.leaves(gradient)
    assert all(bool(jnp.isfinite(g).all()) and float(jnp.abs(g).max()) > 1e-6 for g in leaves)
    assert float(jnp.abs(first[1:]).max()) == 0 < float(jnp.abs(first[0]).max())


def test_the_weight_gradient_is_the_functions():
    """Against finite differences in float64, through the scaling and few iterations."""
    with jax.enable_x64(True):
        w = jax.random.normal(jax.random.key(0), (4, 3), jnp.float64)
        direction = jax.random.normal(jax.random.key(1), (4, 3), jnp.float64)
        f = lambda w: jnp.sin(jnp.arange(12.0).reshape(4, 3) * lipschitz.bjorck(w, 3)).sum()
        f = jax.jit(f)
        slope = (f(w + 1e-6 * direction) - f(w - 1e-6 * direction)) / 2e-6
        assert float((jax.grad(f)(w) * direction).sum()) == pytest.approx(float(slope), rel=1e-6)


def test_lowers_for_accelerators_with_exact_products():
    critic = lipschitz.LipschitzCritic((4, 4))
    x = jax.ShapeDtypeStruct((2, 3), "float32")
    params = jax.eval_shape(critic.init, jax.random.key(0), x)
    traced = jax.jit(jax.grad(lambda p, x: critic.apply(p, x).sum())).trace(params, x)
    for platform in ("tpu", "cuda"):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        products = [line for line in text.splitlines() if "dot_general" in line]
        assert products
        assert all("HIGHEST" in line for line in products)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"x.shape is \(2, 3\): MaxMin pairs"):
        lipschitz.maxmin(jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match="divisible by group_size 4"):
        lipschitz.group_sort(4)(jnp.zeros((2, 6)))
    with pytest.raises(ValueError, match="group_size is 0"):
        lipschitz.group_sort(0)
    with pytest.raises(ValueError, match="iterations is 0"):
        lipschitz.OrthonormalDense(4, iterations=0)
    with pytest.raises(ValueError, match=r"x.shape is \(3,\): must be \[B, \*D\]"):
        lipschitz.LipschitzCritic().init(jax.random.key(0), jnp.zeros(3))


def test_defaults():
    critic, layer = lipschitz.LipschitzCritic(), lipschitz.OrthonormalDense(4)
    assert (critic.widths, critic.iterations, layer.iterations) == ((128, 128, 128), 20, 20)
    assert critic.activation is lipschitz.maxmin
    assert inspect.signature(lipschitz.bjorck).parameters["iterations"].default == 20
    assert lipschitz.OrthonormalDense(4, iterations=1).iterations == 1
    with pytest.raises(ValueError, match="give a matrix"):
        lipschitz.bjorck(jnp.zeros((2, 2, 2)))


def test_the_score_starts_as_a_standard_normal_direction():
    params = lipschitz.UnitDense().init(jax.random.key(0), jnp.zeros((1, 4096)))["params"]
    assert float(params["kernel"].std()) == pytest.approx(1, abs=0.05)
    assert float(params["bias"]) == 0


def test_a_zero_kernel_scores_0_with_a_finite_slope():
    apply = lambda w, x: lipschitz.UnitDense().apply({"params": {"kernel": w, "bias": 0.0}}, x)
    x = jnp.ones((2, 3))
    assert not np.any(apply(jnp.zeros(3), x))
    assert np.isfinite(jax.grad(lambda w: apply(w, x).sum())(jnp.zeros(3))).all()
