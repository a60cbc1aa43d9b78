"""The box: every parameter inside it after every update, and nothing else changed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jwgan import adversarial, constraints, diagnostics, networks, objectives, penalties, priors

C = 0.3


def bits(tree):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]


def apply(tx, params, gradient):
    updates, _ = tx.update(gradient, tx.init(params), params)
    return optax.apply_updates(params, updates)


def test_clips_the_sum_not_the_update():
    tx = optax.chain(optax.sgd(1.0), constraints.clip_weights(0.5))
    params = {"w": jnp.array([0.4, -0.4, 0.0, 0.5])}
    gradient = {"w": jnp.array([-0.3, 0.3, 0.25, 2.0])}
    moved = apply(tx, params, gradient)
    np.testing.assert_allclose(moved["w"], [0.5, -0.5, -0.25, -0.5], rtol=1e-6)


def test_a_parameter_outside_comes_in():
    moved = apply(constraints.clip_weights(0.5), jnp.array([3.0, -7.0]), jnp.zeros(2))
    np.testing.assert_allclose(moved, [0.5, -0.5], rtol=1e-6)


def test_infinite_box_is_plain_rmsprop_bit_for_bit():
    """Update and addition in two programs: in one, the compiler may fuse the addition with a
    multiplication, which rounds once less; there they agree to rounding."""
    plain = optax.rmsprop(5e-5, decay=0.99)
    boxed = optax.chain(plain, constraints.clip_weights(jnp.inf))
    # from far below the learning rate, where (w + u) - w is not u, to far above
    params = jax.random.normal(jax.random.key(0), (200,)) * jnp.geomspace(1e-8, 1.0, 200)
    gradients = jax.random.normal(jax.random.key(1), (30, 200))

    def run(tx):
        update, moved, state = jax.jit(tx.update), params, tx.init(params)
        for gradient in gradients:
            updates, state = update(gradient, state, moved)
            moved = optax.apply_updates(moved, updates)
        return moved

    def run_compiled(tx):
        def body(carry, gradient):
            updates, state = tx.update(gradient, carry[1], carry[0])
            return (optax.apply_updates(carry[0], updates), state), None

        return jax.jit(lambda: jax.lax.scan(body, (params, tx.init(params)), gradients)[0][0])()

    assert bits(run(boxed)) == bits(run(plain)) != bits(params)
    np.testing.assert_allclose(run_compiled(boxed), run_compiled(plain), rtol=1e-5, atol=1e-9)


def test_inside_the_box_nothing_changes():
    params, updates = jnp.array([0.1, -0.2]), jnp.array([1e-9, -0.05])
    tx = constraints.clip_weights(0.5)
    assert bits(tx.update(updates, tx.init(params), params)[0]) == bits(updates)


def test_masked_leaves_out_the_norm_scales():
    params = {"dense": {"kernel": jnp.ones((2, 2))}, "norm": {"scale": jnp.ones(2)}}
    mask = {"dense": {"kernel": True}, "norm": {"scale": False}}
    tx = optax.masked(constraints.clip_weights(0.01), mask)
    moved = apply(tx, params, jax.tree.map(jnp.zeros_like, params))
    np.testing.assert_allclose(moved["dense"]["kernel"], 0.01, rtol=1e-5)
    assert bits(moved["norm"]) == bits(params["norm"])
    # and by default they are in, as in the authors' code
    default = apply(constraints.clip_weights(0.01), params, jax.tree.map(jnp.zeros_like, params))
    np.testing.assert_allclose(default["norm"]["scale"], 0.01, rtol=1e-5)


def test_project_box():
    params = [jnp.array([-2.0, 0.25]), {"b": jnp.array([0.75])}]
    inside = constraints.project_box(params, 0.5)
    np.testing.assert_array_equal(inside[0], [-0.5, 0.25])
    np.testing.assert_array_equal(inside[1]["b"], [0.5])


@pytest.mark.parametrize("c", [0.0, -0.01, float("nan")])
def test_bad_half_width(c):
    with pytest.raises(ValueError, match=r"c is .*: give a half-width > 0"):
        constraints.clip_weights(c)


def test_inside_the_box_after_every_critic_update(key):
    """critic_update by critic_update, with steps far longer than the box is wide."""
    tx = optax.chain(optax.rmsprop(0.1), constraints.clip_weights(C))
    critic = networks.from_fn(
        lambda key, x: {"w": jnp.zeros(2), "v": jnp.zeros(2)},
        lambda p, x: jnp.tanh(x) @ p["w"] + (x**2) @ p["v"],
    )
    params, model_state = critic.init(key, jnp.zeros((1, 2)))
    player = adversarial.PlayerState(params, model_state, tx.init(params))
    update = jax.jit(
        lambda player, real, fake: adversarial.critic_update(
            player,
            real,
            fake,
            key,
            critic=critic,
            critic_tx=tx,
            objective=objectives.wasserstein(),
            objective_state=(),
            penalty=penalties.none(),
        )[0]
    )
    largest = 0.0
    for i in range(20):
        real, fake = jax.random.normal(jax.random.key(i), (2, 8, 2))
        player = update(player, real, fake + 1)
        assert diagnostics.outside_box(player.params, C) == {}
        largest = max(largest, *(float(jnp.abs(x).max()) for x in jax.tree.leaves(player.params)))
    assert largest == pytest.approx(C)  # the box was reached


def bias_generator():
    """x = b for every z: by SGD it moves by exactly the linear critic's weights it saw."""
    return networks.from_fn(
        lambda key, z: jnp.zeros(2), lambda b, z: jnp.broadcast_to(b, (z.shape[0], 2))
    )


@pytest.mark.parametrize("n_critic", [1, 3])
def test_the_generator_sees_the_clipped_critic(n_critic, key):
    algorithm = adversarial.build(
        critic=networks.from_fn(lambda key, x: jnp.zeros(2), lambda w, x: x @ w),
        generator=bias_generator(),
        critic_tx=optax.chain(optax.sgd(10.0), constraints.clip_weights(C)),
        generator_tx=optax.sgd(1.0),
        objective=objectives.wasserstein(),
        penalty=penalties.none(),
        prior=priors.normal(1),
    )
    batch = jnp.broadcast_to(jnp.array([5.0, -5.0]), (n_critic, 4, 2))
    state, _ = algorithm.step(algorithm.init(key, batch), batch)
    seen = state.generator.params  # b - grad = 0 + w
    np.testing.assert_allclose(seen, [C, -C], rtol=1e-6)
    assert bits(seen) == bits(state.critic.params)


# ---- orthonormal matrices ------------------------------------------------------------------------

SHAPES = {"tall": (7, 3), "wide": (3, 8), "square": (5, 5), "column": (6, 1), "bias": (4,)}


def orthonormal_params():
    keys = jax.random.split(jax.random.key(3), len(SHAPES))
    draw = lambda key, shape: jax.random.normal(key, shape)
    params = {name: draw(k, s) for k, (name, s) in zip(keys, SHAPES.items(), strict=True)}
    return constraints.project_orthonormal(params)


def off_orthonormal(w):
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    return float(jnp.abs(gram - jnp.eye(len(gram))).max())


def test_matrices_stay_orthonormal_and_the_rest_is_free():
    params = orthonormal_params()
    tx = constraints.keep_orthonormal(optax.adam(0.05))
    plain, update = optax.adam(0.05), jax.jit(tx.update)
    state, free, free_state = tx.init(params), params["bias"], plain.init(params["bias"])
    for i in range(12):
        gradient = jax.tree.map(lambda p: jax.random.normal(jax.random.key(i), p.shape), params)
        updates, state = update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        free_updates, free_state = plain.update(gradient["bias"], free_state)
        free = optax.apply_updates(free, free_updates)
        assert all(off_orthonormal(w) < 3e-6 for w in params.values() if w.ndim == 2)
    np.testing.assert_allclose(params["bias"], free, rtol=1e-5)


def test_a_short_step_goes_to_the_nearest_orthonormal_matrix():
    params = orthonormal_params()
    gradient = jax.tree.map(lambda p: jax.random.normal(jax.random.key(9), p.shape), params)
    short = apply(constraints.keep_orthonormal(optax.sgd(1e-3)), params, gradient)
    nearest = constraints.project_orthonormal(
        jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient)
    )
    for name, p in params.items():  # equal to first order in the step
        assert float(jnp.abs(short[name] - p).max()) > 3e-4
        np.testing.assert_allclose(short[name], nearest[name], atol=2e-5)


def test_steps_are_not_spent_on_what_is_undone():
    """A gradient that mostly scales W: the step that is left after undoing that is a fraction."""
    target = jnp.array([[0.0], [1.0], [0.0]])
    start = jnp.array([[1.0], [1e-2], [0.0]])
    loss = lambda w: -(w * target).sum() - 100 * (w**2).sum()

    def turned(tx):
        w = constraints.project_orthonormal(start)
        state = tx.init(w)
        for _ in range(50):
            updates, state = tx.update(jax.grad(loss)(w), state, w)
            w = constraints.project_orthonormal(optax.apply_updates(w, updates))
        return float((w * target).sum())

    tx = optax.chain(optax.normalize_by_update_norm(), optax.sgd(0.05))
    assert turned(constraints.keep_orthonormal(tx)) > 0.9
    assert turned(tx) < 0.2


def test_orthonormal_needs_iterations():
    with pytest.raises(ValueError, match="iterations is 0"):
        constraints.keep_orthonormal(optax.sgd(0.1), iterations=0)


def test_on_the_edge_of_the_box_an_update_is_untouched():
    """1 - 4e-8 is the float below 1: from there the projected update would be another one."""
    w, update = jnp.float32(4e-8), jnp.float32(1.0)
    assert w + update == 1
    tx = constraints.clip_weights(1.0)
    updates, _ = tx.update(update, tx.init(w), w)
    assert updates == update


def test_one_iteration_is_enough_and_three_are_the_default():
    tx = constraints.keep_orthonormal(optax.sgd(0.1), iterations=1)
    w, gradient = jnp.eye(2), jnp.array([[0.0, 1.0], [-1.0, 0.0]])
    once, _ = tx.update(gradient, tx.init(w), w)
    moved = w - 0.1 * gradient
    np.testing.assert_allclose(w + once, 1.5 * moved - 0.5 * moved @ moved.T @ moved, atol=1e-6)
    three = constraints.keep_orthonormal(optax.sgd(0.1), iterations=3)
    default = constraints.keep_orthonormal(optax.sgd(0.1))
    updates = [tx.update(4 * gradient, tx.init(w), w)[0] for tx in (three, default)]
    np.testing.assert_array_equal(*updates)
