"""Augmentation: what each transform does, who sees it, that samples do not, and ADA's p."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jwgan
from jwgan import augment, networks, objectives, priors
from jwgan.run.members import N_CRITIC

TRANSFORMS = {
    **{"mirror": augment.mirror, "turn": augment.turn, "colour": augment.colour},
    **{"translation": augment.translation, "cutout": augment.cutout},
    "diff_augment": augment.diff_augment,
    "sometimes": augment.sometimes(augment.colour, 0.5),
}


SLOW = [
    pytest.param(name, marks=() if name == "diff_augment" else pytest.mark.slow)
    for name in TRANSFORMS
]


@pytest.mark.parametrize("name", SLOW)
def test_transforms_are_pure_and_vmap_is_a_loop(name):
    transform, keys = jax.jit(TRANSFORMS[name]), jax.random.split(jax.random.key(3), 2)
    x = jax.random.normal(jax.random.key(1), (2, 5, 8, 8, 3))
    together = jax.vmap(transform)(keys, x)
    for i in range(2):
        np.testing.assert_allclose(together[i], transform(keys[i], x[i]), rtol=1e-5, atol=1e-6)
    assert together.shape == x.shape
    assert together.dtype == x.dtype
    assert np.any(together != x)
    assert np.any(transform(keys[0], x[0]) != transform(keys[1], x[0]))
    # An image's result is its own: other images of the batch do not matter.
    other = x[0].at[1:].add(1.0)
    np.testing.assert_array_equal(transform(keys[0], other)[0], transform(keys[0], x[0])[0])
    gradient = jax.grad(lambda x: transform(keys[0], x).sum())(x[0])
    assert np.isfinite(gradient).all()
    assert np.any(gradient)


def shifted(image, down, right):
    """The image moved by whole pixels over zeros, by slices."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((height, height), (width, width), (0, 0)))
    return padded[height - down : 2 * height - down, width - right : 2 * width - right]


def test_translation_is_a_shift_over_zeros_and_all_shifts_occur():
    x = np.asarray(jax.random.uniform(jax.random.key(1), (1, 8, 16, 1))) + 1.0
    moved = augment.translation(jax.random.key(0), jnp.tile(x, (200, 1, 1, 1)))
    ways = [(down, right) for down in (-1, 0, 1) for right in (-2, -1, 0, 1, 2)]
    found = set()
    for image in np.asarray(moved):
        (way,) = [way for way in ways if np.array_equal(shifted(x[0], *way), image)]
        found.add(way)
    assert found == set(ways)


def test_turns_and_mirrors_are_the_squares_symmetries():
    x = np.arange(12.0).reshape(1, 2, 2, 3)
    turned = np.asarray(augment.turn(jax.random.key(0), jnp.tile(x, (64, 1, 1, 1))))
    four = [np.rot90(x[0], k) for k in range(4)]
    found = {next(k for k in range(4) if np.array_equal(four[k], y)) for y in turned}
    assert found == set(range(4))
    wide = np.arange(6.0).reshape(1, 2, 3, 1)
    turned = np.asarray(augment.turn(jax.random.key(0), jnp.tile(wide, (64, 1, 1, 1))))
    assert {float(y[0, 0, 0]) for y in turned} == {0.0, 5.0}  # by 180 degrees alone
    half = np.asarray(augment.mirror(jax.random.key(0), jnp.tile(wide, (1000, 1, 1, 1))))
    flipped = np.array([np.array_equal(y, wide[0][:, ::-1]) for y in half])
    assert all(np.array_equal(y, wide[0]) for y in half[~flipped])
    assert abs(flipped.mean() - 0.5) < 0.05


def test_sometimes_is_a_coin_for_each_image():
    x = jnp.ones((2000, 1, 1, 1))
    zero = augment.sometimes(lambda key, x: 0 * x, 0.3)(jax.random.key(0), x)
    assert abs(float((zero == 0).mean()) - 0.3) < 0.03


# --- in the game ----------------------------------------------------------------------------------

SHAPE = (4, 4, 1)
LINEAR = networks.from_fn(
    lambda key, x: 0.1 * jax.random.normal(key, (16,)), lambda w, x: x.reshape(-1, 16) @ w
)
# One image, the same for all latents, is learned pixel by pixel.
IMAGE = networks.from_fn(lambda key, z: jnp.zeros((1, *SHAPE)), lambda image, z: image + 0 * z)


def noise(key, num):
    return jnp.zeros((num, *SHAPE))


def test_both_players_and_both_kinds_of_images_are_transformed():
    """Nothing is left to see: neither player has a gradient, and all scores are D(0) = 0."""
    member = jwgan.wgan(LINEAR, IMAGE, prior=noise)
    batch = jax.random.normal(jax.random.key(1), (2, 8, *SHAPE))
    for wrap in (lambda one: one, lambda one: jwgan.with_ema(one, 0.9)):
        blind = augment.with_augment(wrap(member), lambda key, x: 0 * x)
        _, info = jax.jit(blind.step)(blind.init(jax.random.key(0), batch), batch)
        assert info.real_score == info.fake_score == 0
        assert info.critic_gradient_norm == info.generator_gradient_norm == 0
    _, info = jax.jit(member.step)(member.init(jax.random.key(0), batch), batch)
    assert info.real_score * info.generator_gradient_norm != 0


def learned(wrap):
    """The generator's image, averaged over the second half of a training on one image."""
    data = jnp.zeros(SHAPE).at[1, 1].set(1.0)
    batch = jnp.tile(data, (1, 64, 1, 1, 1))
    member = wrap(jwgan.wgan(LINEAR, IMAGE, prior=noise, learning_rate=0.01, c=1.0))

    def step(state, _):
        state, _ = member.step(state, batch)
        return state, member.generate(state, jnp.zeros((1, *SHAPE)))[0]

    _, images = jax.jit(lambda s: jax.lax.scan(step, s, length=1500))(
        member.init(jax.random.key(0), batch)
    )
    return np.asarray(images[500:].mean(axis=0)), np.asarray(data)


def often_shifted(key, x):
    """To the right by one pixel, three times of ten: the mean image's blur can be undone."""
    return augment.sometimes(lambda key, x: jnp.roll(x, 1, axis=2), 0.3)(key, x)


def test_augmentation_does_not_leak_into_samples():
    """The critic sees the bright pixel in two places, and the generator still draws it in one."""
    image, data = learned(lambda member: augment.with_augment(member, often_shifted))
    assert abs(image - data).max() < 0.2
    assert abs(image[1, 2, 0]) < 0.2  # where it would be 0.3, had it leaked


def test_mirrored_data_are_data_and_samples_are_mirrored_too():
    image, data = learned(augment.with_mirror)
    both = (data + data[:, ::-1]) / 2
    assert abs(image - both).max() < 0.2


# --- ADA ------------------------------------------------------------------------------------------

STEERS = ("gan_minimax", "gan", "dcgan", "dragan", "r1_gan", "r1_r2_gan", "sngan")


@pytest.mark.parametrize("name", N_CRITIC)
def test_who_steers_ada(name):
    member = getattr(jwgan, name)(LINEAR, IMAGE, prior=priors.normal(2))
    if name in STEERS:
        assert augment.with_ada(member).rebuilt
    else:
        with pytest.raises(ValueError, match="objective cannot steer ADA"):
            augment.with_ada(member)


def test_least_squares_steer_it_with_targets_around_0():
    assert augment.adaptive(objectives.least_squares(-1.0, 1.0, 0.0))


def test_p_follows_the_sign_of_real_scores():
    objective = augment.adaptive(objectives.hinge(), target=0.5, images=100, n_critic=2)
    state = objective.init()
    up, even, down = jnp.ones(5), jnp.array([1.0, 1.0, 1.0, -1.0]), jnp.array([1.0, -1.0])
    seen = []
    for real in (up, up, even, down, *[down] * 5, *[up] * 12):
        state, info = objective.update(state, real, jnp.zeros(5))
        seen.append(float(state.p))
    # Up by 2 * 5 / 100; at the target it rests; down by 2 * 2 / 100, not below 0; up to 1.
    np.testing.assert_allclose(seen[:4], [0.1, 0.2, 0.2, 0.16], rtol=1e-5)
    assert seen[8] == 0.0
    assert seen[-1] == 1.0
    assert info["augment_sign"] == 1.0


def test_ada_carries_p_and_transforms_with_it():
    calls = (lambda key, x: 0 * x,)
    member = jwgan.gan(LINEAR, IMAGE, prior=noise, learning_rate=1e-6)
    ada = augment.with_ada(jwgan.with_ema(member, 0.9), calls, images=16, n_critic=2)
    batch = jnp.ones((2, 4, *SHAPE))
    state = ada.init(jax.random.key(0), batch)
    sign = np.sign(float(LINEAR.evaluate(state.critic.params, {}, batch[0])[0]))
    step, seen = jax.jit(ada.step), []
    for _ in range(3):
        state, info = step(state, batch)
        seen.append((float(info.objective["augment_p"]), float(info.real_score)))
    if sign > 0:  # 8 of 16 images a step; at p = 1 the critic sees nothing, and the sign is 0
        np.testing.assert_allclose([p for p, _ in seen], [0.0, 0.5, 1.0])
        assert seen[0][1] > 0
        assert seen[2][1] == 0.0
    else:
        np.testing.assert_allclose([p for p, _ in seen], 0.0)
    # Under vmap, as --seeds trains, each trial has its own.
    keys = jax.ShapeDtypeStruct((2,), jax.random.key(0).dtype)
    states = jax.eval_shape(jax.vmap(lambda key: ada.init(key, batch)), keys)
    after, _ = jax.eval_shape(jax.vmap(ada.step, (0, None)), states, batch)
    assert after.inner.objective.p.shape == (2,)


def test_only_images_and_single_trials_are_augmented():
    member = jwgan.gan(
        networks.from_fn(lambda key, x: jnp.ones(2), lambda w, x: x @ w),
        networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda w, z: z + w),
        prior=priors.normal(2),
    )
    batch = jnp.ones((1, 3, 2))
    for wrap in (augment.with_augment, augment.with_mirror):
        one = wrap(member)
        state = jax.eval_shape(lambda: one.init(jax.random.key(0), batch))
        with pytest.raises(ValueError, match=r"samples' shape is \(2,\): augment images"):
            jax.eval_shape(one.step, state, batch)
    with pytest.raises(ValueError, match="augment each trial before"):
        augment.with_augment(member._replace(rebuilt=None))
