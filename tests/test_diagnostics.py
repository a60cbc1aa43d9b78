"""Detectors on known answers: what is sound passes, what is known to be bad is found."""

import warnings

import cases
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jwgan
from jwgan import diagnostics, many, networks, penalties, priors


class Critic(nn.Module):
    """A critic with a normalisation layer of choice."""

    norm: str = "none"

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(8)(x)
        if self.norm == "batch":
            x = nn.BatchNorm(use_running_average=False)(x)
        if self.norm == "layer":
            x = nn.LayerNorm()(x)
        return nn.Dense(1)(nn.tanh(x))[:, 0]


def critic_fn(norm, x):
    critic = networks.from_linen(Critic(norm))
    params, state = critic.init(jax.random.key(0), x)
    return lambda x: critic.apply(params, state, x)[0]


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_no_leak_without_batch_norm(norm, key):
    x = jax.random.normal(key, (5, 3))
    assert diagnostics.cross_sample_leak(critic_fn(norm, x), x) == 0


def test_batch_norm_leaks(key):
    x = jax.random.normal(key, (5, 3))
    assert diagnostics.cross_sample_leak(critic_fn("batch", x), x) > 0.05


def test_leak_of_known_size(key):
    # D(x)_i = 2 x_i + 0.5 (x_0 + ... + x_3): own slope 2.5, of the others 0.5
    x = jax.random.normal(key, (4, 1))
    leak = diagnostics.cross_sample_leak(lambda x: 2 * x[:, 0] + 0.5 * x.sum(), x)
    np.testing.assert_allclose(leak, 0.5 / 2.5, rtol=1e-6)


def test_leak_of_degenerate_critics(key):
    x = jax.random.normal(key, (4, 1))
    assert diagnostics.cross_sample_leak(lambda x: 0 * x[:, 0], x) == 0
    assert diagnostics.cross_sample_leak(lambda x: jnp.roll(x[:, 0], 1), x) == jnp.inf
    with pytest.raises(ValueError, match=r"batch size is 1: give at least two samples"):
        diagnostics.cross_sample_leak(lambda x: x[:, 0], x[:1])


def test_gradient_norms_by_path():
    gradient = {"first": {"w": jnp.array([[3.0, 4.0]]), "b": jnp.zeros(2)}, "last": [jnp.ones(9)]}
    norms = diagnostics.gradient_norms(gradient)
    assert {k: float(v) for k, v in norms.items()} == {"first/w": 5, "first/b": 0, "last/0": 3}


def test_dead_parameters_of_a_network_with_an_unused_layer(key):
    x = jax.random.normal(key, (4, 2))
    params = {"used": jnp.ones((2, 1)), "stopped": jnp.ones((1,)), "unused": jnp.ones((2, 2))}
    loss = lambda p: (x @ p["used"] + jax.lax.stop_gradient(p["stopped"])[None]).sum()
    gradient = jax.grad(loss)(params)
    assert diagnostics.dead_parameters(gradient) == ["stopped", "unused"]
    assert diagnostics.dead_parameters({"used": gradient["used"]}) == []


def test_dead_parameters_tolerance_and_nan():
    gradient = {"nan": jnp.array([1.0, jnp.nan]), "one_entry": jnp.array([0.0, -2.0])}
    assert diagnostics.dead_parameters(gradient) == ["nan"]
    assert diagnostics.dead_parameters(gradient, tolerance=2.0) == ["nan", "one_entry"]
    with pytest.raises(ValueError, match="tolerance is -1"):
        diagnostics.dead_parameters(gradient, tolerance=-1)


def test_outside_box():
    params = {"in": jnp.array([0.5, -0.5]), "rounding": jnp.array([0.5 * (1 + 5e-7)])}
    assert diagnostics.outside_box(params, 0.5) == {}
    params |= {"out": jnp.array([0.1, -0.75]), "nan": jnp.array([jnp.nan])}
    excess = diagnostics.outside_box(params, 0.5)
    assert excess["out"] == pytest.approx(0.25)
    assert set(excess) == {"out", "nan"}


def test_repeated_batches():
    data = np.arange(24.0).reshape(12, 2)
    assert diagnostics.repeated_batches(data.reshape(3, 4, 2)) == []
    same = np.stack([data[:4], data[4:8], data[:4]])
    assert diagnostics.repeated_batches(same) == [(0, 2, 1.0)]
    overlap = np.stack([data[:4], data[3:7]])
    assert diagnostics.repeated_batches(overlap) == [(0, 1, 0.25)]


def wgan_gp(prior):
    return jwgan.wgan_gp(cases.critic(), cases.generator(), prior=prior)


def test_recorded_prior_is_the_same_prior(key):
    prior, draws = diagnostics.recorded(priors.normal(3))
    z = jax.jit(lambda key: prior(key, 4))(key)
    jax.effects_barrier()
    assert len(draws) == 1
    np.testing.assert_array_equal(draws[0], z)
    np.testing.assert_array_equal(z, jax.jit(lambda key: priors.normal(3)(key, 4))(key))


def test_no_noise_is_reused(key):
    batch = jax.random.normal(key, (3, 4, cases.DATA))
    assert diagnostics.noise_reuse(wgan_gp, priors.normal(cases.LATENT), key, batch) == []


def test_a_prior_that_ignores_its_key_is_found(key):
    batch = jax.random.normal(key, (2, 4, cases.DATA))
    stuck = lambda key, num: jnp.arange(1.0 * num * cases.LATENT).reshape(num, cases.LATENT)
    found = diagnostics.noise_reuse(wgan_gp, stuck, key, batch, steps=1)
    assert found == [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0)]


def test_a_key_that_does_not_advance_is_found(key):
    def make(prior):
        algorithm = wgan_gp(prior)
        standstill = lambda state: state._replace(step=jnp.zeros((), jnp.int32))
        return algorithm._replace(step=lambda s, b: algorithm.step(standstill(s), b))

    batch = jax.random.normal(key, (1, 4, cases.DATA))
    found = diagnostics.noise_reuse(make, priors.normal(cases.LATENT), key, batch)
    assert found == [(0, 2, 1.0), (1, 3, 1.0)]  # critic with critic, generator with generator


def test_lipschitz_report_of_a_linear_critic(key):
    real, fake = jax.random.normal(key, (2, 16, 2))
    report = diagnostics.lipschitz_report(lambda x: x @ jnp.array([3.0, 4.0]), real, fake, key)
    np.testing.assert_allclose(jax.tree.leaves(report), 5.0, rtol=1e-6)
    np.testing.assert_allclose(report.constant, 5.0, rtol=1e-6)


def test_lipschitz_report_tells_the_places_apart(key):
    # one pair on the line, fake at 0 and real at 1; the slope of x^2 / 2 is |x|
    real, fake = jnp.ones((512, 1)), jnp.zeros((512, 1))
    report = diagnostics.lipschitz_report(lambda x: x[:, 0] ** 2 / 2, real, fake, key)
    assert report.real == (1.0, 1.0)
    assert report.fake == (0.0, 0.0)
    assert 0.95 < report.between.max <= 1
    assert abs(report.between.mean - 0.5) < 0.05
    # outside: |x| uniform in [0, 1] on one side and in [1, 2] on the other
    assert 1.95 < report.outside.max <= 2
    assert abs(report.outside.mean - 1.0) < 0.1
    assert report.constant == report.outside.max
    with pytest.raises(ValueError, match=r"fake's shape is \(3, 1\)"):
        diagnostics.lipschitz_report(lambda x: x[:, 0], real, fake[:3], key)


def test_layer_norm_product_of_known_matrices():
    rotation = jnp.array([[0.0, -1.0], [1.0, 0.0]])
    params = [{"w": jnp.diag(jnp.array([3.0, 1.0])), "b": 9 * jnp.ones(2)}, {"w": 2 * rotation}]
    np.testing.assert_allclose(diagnostics.layer_norm_product(params), 6.0, rtol=1e-6)


def test_layer_norm_product_bounds_the_measured_slope(key):
    x = jax.random.normal(key, (64, cases.DATA))
    critic = cases.critic()
    params, _ = critic.init(key, x)
    report = diagnostics.lipschitz_report(lambda x: critic.evaluate(params, {}, x), x, -2 * x, key)
    assert 0 < report.constant <= diagnostics.layer_norm_product(params)


def test_layer_norm_product_bounds_a_convolution(key):
    # all ones, 3 x 3: the operator's norm tends to 9 on large images, the bound is sqrt(9) * 3
    conv = nn.Conv(1, (3, 3), use_bias=False, kernel_init=nn.initializers.ones)
    x = jnp.zeros((1, 12, 12, 1))
    params = conv.init(key, x)["params"]
    jacobian = jax.jacobian(lambda x: conv.apply({"params": params}, x).ravel())(x)
    true = np.linalg.norm(np.asarray(jacobian).reshape(144, 144), ord=2)
    np.testing.assert_allclose(diagnostics.layer_norm_product(params), 9.0, rtol=1e-6)
    assert 8 < true < 9


def test_leaves_and_draws_without_entries():
    """A layer of no units has nothing to train, to clip or to repeat."""
    empty = {"none": jnp.zeros((0, 3)), "some": jnp.array([[0.0, 2.0]])}
    assert diagnostics.dead_parameters(empty) == []
    assert diagnostics.dead_parameters({"none": jnp.zeros(0), "some": jnp.zeros(1)}) == ["some"]
    assert diagnostics.outside_box(empty, 1.0) == {"some": 1.0}
    assert diagnostics.gradient_norms(empty) == {"none": 0.0, "some": 2.0}
    np.testing.assert_allclose(diagnostics.layer_norm_product(empty), 2.0, rtol=1e-6)
    assert diagnostics.repeats([np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((1, 2))]) == []
    none = jnp.zeros((0, 2))
    with pytest.raises(ValueError, match="give at least one sample"):
        diagnostics.lipschitz_report(lambda x: x[:, 0], none, none, jax.random.key(0))
    one = diagnostics.lipschitz_report(
        lambda x: x[:, 0], jnp.ones((1, 2)), jnp.zeros((1, 2)), jax.random.key(0)
    )
    assert one.constant == 1


# --- all of them in one call ----------------------------------------------------------------------


class Norm(nn.Module):
    """A critic with batch norm."""

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(4)(x))
        return nn.Dense(1)(nn.tanh(x))[:, 0]


def member(**parts):
    critic = networks.from_fn(lambda key, x: jnp.array([3.0, 4.0]), lambda w, x: x @ w)
    generator = networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda s, z: z + s)
    parts = {"critic": critic, "generator": generator, "prior": priors.normal(2), **parts}
    return jwgan.wgan_gp(parts.pop("critic"), parts.pop("generator"), **parts)


def batch_of(n_critic=2):
    return jax.random.normal(jax.random.key(3), (n_critic, 4, 2))


def test_a_sound_member_has_no_problem_also_in_a_wrapper():
    found = diagnostics.examine(jwgan.with_ema(member(), 0.9), batch_of(), jax.random.key(0))
    assert found.problems == ()
    assert found.leak == 0
    np.testing.assert_allclose(found.lipschitz.constant, 5.0, rtol=1e-5)


def test_every_defect_is_said():
    """One batch for all critic updates, one latent for all, and weights that nobody uses."""
    unused = networks.from_fn(
        lambda key, x: {"used": jnp.ones(2), "idle": jnp.ones(3)}, lambda w, x: x @ w["used"]
    )
    fixed = lambda key, num: jax.random.normal(jax.random.key(7), (num, 2))
    bad = member(critic=unused, generator=member_generator_idle(), prior=fixed)
    same = jnp.tile(batch_of(1), (2, 1, 1))
    found = diagnostics.examine(bad, same, jax.random.key(0))
    assert found.dead_critic == ["idle"]
    assert found.dead_generator == ["idle"]
    words = " ".join(found.problems)
    for said in (
        "the critic's idle have no gradient",
        "the generator's idle have no gradient",
        "latents 0 and 1 of the first two steps are the same",
        "critic updates 0 and 1 share 100 % of their real samples",
    ):
        assert said in words
    assert len(found.problems) == 4 + len(found.repeated_data) - 1


def member_generator_idle():
    return networks.from_fn(
        lambda key, z: {"used": jnp.zeros((1, 2)), "idle": jnp.ones(1)},
        lambda w, z: z + w["used"],
    )


def test_batch_norm_under_a_penalty_is_warned_of_and_found():
    critic = jwgan.from_linen(Norm(), **networks.TRAIN_ARGUMENT)
    bad = member(critic=critic)
    with pytest.warns(UserWarning, match="nothing to batch norm: give it layer norm"):
        state = bad.init(jax.random.key(0), batch_of())
    with pytest.warns(UserWarning, match="nothing to batch norm"):
        found = diagnostics.examine(bad, batch_of(), jax.random.key(0), state)
    assert found.leak > 0.05
    assert "take batch norm out" in found.problems[0]
    # Without a penalty it is no defect, and nothing is said.
    quiet = member(critic=critic, penalty=penalties.none())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = diagnostics.examine(quiet, batch_of(), jax.random.key(0), state)
    assert not [problem for problem in found.problems if "batch norm" in problem]


def test_several_trials_are_not_examined_as_one():
    several = many.over(member)
    with pytest.raises(ValueError, match="examine one trial's algorithm"):
        diagnostics.examine(several, batch_of(), jax.random.key(0), state=None)
