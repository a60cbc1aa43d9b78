r"""Augmentation of what the critic sees, for small data: DiffAugment, ADA, and mirrored data.

A transform is `(key, x [B, H, W, C]) -> x`, each sample by noise of its own: pure, differentiable
in x, images in [-1, 1]. Applied to real and generated images alike, in both players' updates, it
does not leak into the samples: a generator whose augmented samples have the law of augmented data
has the law of the data, as long as the transform can be undone in law (Karras et al., 2020,
section 2.2: one that is left out often enough can). `with_mirror` is another matter: mirrored
images are new *data*, and the generator learns to make them.

    >>> key = jax.random.key(0)
    >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)  # rows (0, 1) and (2, 3)

A member is wrapped:

    >>> critic = networks.from_fn(lambda key, x: jnp.ones(4), lambda w, x: x.reshape(-1, 4) @ w)
    >>> generator = networks.from_fn(lambda key, z: x, lambda image, z: image + 0 * z)
    >>> noise = lambda key, num: jnp.zeros((num, 2, 2, 1))
    >>> member = jwgan.gan(critic, generator, prior=noise)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jwgan.check import require
from jwgan.types import (
    MIRROR_FOLD,
    Algorithm,
    Array,
    Info,
    Key,
    Objective,
    Ragged,
    inputs,
    score_of,
    with_label_of,
)

Transform = Callable[[Key, Array], Array]  # (key, x [B, H, W, C]) -> x


def _own(x: Array) -> tuple[int, int, int, int]:
    """The shape [B, 1, 1, 1] of one number for each image.

    Raises:
      ValueError: x are no images.
    """
    require(x.ndim == 4, "the samples' shape", x.shape[1:], "augment images [H, W, C] alone")
    return (x.shape[0], 1, 1, 1)


def mirror(key: Key, x: Array) -> Array:
    """Mirrors every other image, at random, left to right.

    >>> sorted(augment.mirror(key, jnp.tile(x, (9, 1, 1, 1)))[:, 0, 0, 0].tolist())[::8]
    [0.0, 1.0]
    """
    return jnp.where(jax.random.bernoulli(key, 0.5, _own(x)), x[:, :, ::-1], x)


def turn(key: Key, x: Array) -> Array:
    """Turns each image by a random multiple of 90 degrees; of 180, if its sides differ.

    >>> sorted(set(augment.turn(key, jnp.tile(x, (32, 1, 1, 1)))[:, 0, 0, 0].tolist()))
    [0.0, 1.0, 2.0, 3.0]
    """
    num, step = x.shape[0], 1 if x.shape[1] == x.shape[2] else 2
    turned = jnp.stack([jnp.rot90(x, k, axes=(1, 2)) for k in range(0, 4, step)])
    which = jax.random.randint(key, _own(x)[:1], 0, len(turned))
    return turned[which, jnp.arange(num)]


def colour(key: Key, x: Array) -> Array:
    """Brightness by up to 0.5 either way, saturation times 0 to 2, contrast times 0.5 to 1.5.

    Reference: Zhao et al., 2020, Differentiable Augmentation for Data-Efficient GAN Training.

    Of a grey image saturation is nothing, and of a constant one contrast:

    >>> grey = augment.colour(key, jnp.zeros((1, 2, 2, 3)))
    >>> bool((grey == grey[0, 0, 0, 0]).all()), bool(abs(grey).max() <= 0.5)
    (True, True)
    """
    one, two, three = jax.random.split(key, 3)
    x = x + jax.random.uniform(one, _own(x), x.dtype, -0.5, 0.5)
    grey = x.mean(axis=3, keepdims=True)
    x = grey + jax.random.uniform(two, _own(x), x.dtype, 0.0, 2.0) * (x - grey)
    level = x.mean(axis=(1, 2, 3), keepdims=True)
    return level + jax.random.uniform(three, _own(x), x.dtype, 0.5, 1.5) * (x - level)


def translation(key: Key, x: Array, ratio: float = 0.125) -> Array:
    """Moves each image by up to `ratio` of its sides, whole pixels; what comes in is 0.

    Reference: Zhao et al., 2020, as `colour`.

    >>> moved = augment.translation(key, jnp.ones((64, 8, 8, 1)))
    >>> sorted(set(moved.sum(axis=(1, 2, 3)).tolist()))  # of 64 pixels by none, one side, both
    [49.0, 56.0, 64.0]
    """
    own = _own(x)[:1]
    ways = zip(jax.random.split(key), x.shape[1:3], strict=True)
    far = [jax.random.randint(k, own, -round(ratio * n), round(ratio * n) + 1) for k, n in ways]

    def moved(image: Array, down: Array, right: Array) -> Array:  # [H, W, C]
        height, width, _ = image.shape
        rows, columns = jnp.arange(height) - down, jnp.arange(width) - right
        inside = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
        there = jnp.clip(rows, 0, height - 1), jnp.clip(columns, 0, width - 1)
        taken = image[there[0]][:, there[1]]
        return jnp.where((inside[0][:, None] & inside[1][None, :])[..., None], taken, 0)

    return jax.vmap(moved)(x, *far)


def cutout(key: Key, x: Array, ratio: float = 0.5) -> Array:
    """Puts 0 into a rectangle of `ratio` of the sides, its middle anywhere in the image.

    Reference: DeVries and Taylor, 2017, Cutout; Zhao et al., 2020.

    >>> left = augment.cutout(key, jnp.ones((64, 8, 8, 1))).sum(axis=(1, 2, 3))
    >>> left.min().item(), bool(left.max() < 64)  # 16 of 64 pixels at most, and 4 in a corner
    (48.0, True)
    """
    own = _own(x)
    height, width = x.shape[1:3]
    one, two = jax.random.split(key)
    inside = []
    for k, n, axis in ((one, height, 1), (two, width, 2)):
        size = round(ratio * n)
        first = jax.random.randint(k, own, 0, n + 1) - size // 2
        at = jnp.arange(n).reshape([n if i == axis else 1 for i in range(4)])
        inside.append((at >= first) & (at < first + size))
    return jnp.where(inside[0] & inside[1], 0, x)


def chain(*transforms: Transform) -> Transform:
    """One transform after the other, each with noise of its own.

    >>> augment.chain(augment.mirror, augment.colour)(key, x).shape
    (1, 2, 2, 1)
    """

    def chained(key: Key, x: Array) -> Array:
        for k, transform in zip(jax.random.split(key, len(transforms)), transforms, strict=True):
            x = transform(k, x)
        return x

    return chained


diff_augment = chain(colour, translation, cutout)  # the policy of Zhao et al., 2020
PIPELINE = (mirror, turn, translation, colour)  # of `with_ada`


def sometimes(transform: Transform, p: float | Array) -> Transform:
    """Transforms each image with probability p, by a coin of its own.

    >>> bool((augment.sometimes(augment.colour, 0.0)(key, x) == x).all())
    True
    """

    def gated(key: Key, x: Array) -> Array:
        key_coin, key_own = jax.random.split(key)
        return jnp.where(jax.random.bernoulli(key_coin, p, _own(x)), transform(key_own, x), x)

    return gated


# --- wrappers -------------------------------------------------------------------------------------


def _rebuilt(algorithm: Algorithm, **changes: Callable[[Any], Any]) -> Algorithm:
    if algorithm.rebuilt is None:
        raise ValueError("algorithm has no parts to change: augment each trial before many.over")
    return algorithm.rebuilt(**changes)


def with_augment(algorithm: Algorithm, transform: Transform = diff_augment) -> Algorithm:
    """The member whose critic sees transformed images, real and generated ones, in both updates.

    A penalty is taken on transformed images, too, since those are the critic's data.

    Args:
      algorithm: a member of the family, or one in a wrapper.
      transform: `(key, x [B, H, W, C]) -> x`; by default DiffAugment's.

    Raises:
      ValueError: the algorithm is of several trials; at `init`, the data are no images.

    Reference: Zhao et al., 2020, Differentiable Augmentation for Data-Efficient GAN Training.

    >>> algorithm = augment.with_augment(member, augment.diff_augment)
    >>> batch = jnp.tile(x, (1, 3, 1, 1, 1))
    >>> state, info = jax.jit(algorithm.step)(algorithm.init(key, batch), batch)
    >>> state.step.item()
    1
    """
    return _rebuilt(algorithm, augment=lambda _: lambda key, state, x: transform(key, x))


class ADAState(NamedTuple):
    """An objective's state and the probability that ADA moves."""

    inner: Any
    p: Array  # [], of each transform of each image


def require_zero(objective: Objective) -> None:
    """Raises ValueError unless the sign of a score says on which side the critic puts a sample.

    So it is for `gan`, `gan_minimax`, `dcgan`, `dragan`, `r1_gan`, `r1_r2_gan`, `sngan` (hinge) and
    `lsgan` with targets -1 and 1. Scores of the Wasserstein members and of `rpgan` may be shifted
    by any number, those of `ebgan` and `began` are energies, those of `lsgan` lie around 1/2.

    >>> augment.require_zero(objectives.non_saturating())
    >>> augment.require_zero(objectives.wasserstein())
    Traceback (most recent call last):
    ValueError: objective cannot steer ADA, its sign says nothing: use with_augment (--augment diff)
    """
    real, fake, state = jnp.array([2.0, 1.0]), jnp.array([0.5, -1.0]), objective.init()
    loss = lambda real, fake: objective.critic_loss(state, real, fake)
    level = lambda c: loss(jnp.full(2, c), jnp.full(2, c))  # of a critic that knows nothing
    turned = objective.separation(real, fake) < 0
    shifted = jnp.abs(loss(real + 1, fake + 1) - loss(real, fake)) < 1e-5
    elsewhere = jnp.abs(jax.grad(level)(0.0)) > 1e-5  # that critic would say something else than 0
    wrong = turned | shifted | elsewhere
    if not isinstance(wrong, jax.core.Tracer) and wrong:
        raise ValueError(
            "objective cannot steer ADA, its sign says nothing: use with_augment (--augment diff)"
        )


def adaptive(
    objective: Objective, target: float = 0.6, images: float = 500_000, n_critic: int | Array = 1
) -> Objective:
    r"""The objective with ADA's p in its state: $p \leftarrow p \pm \text{batch} / \text{images}$.

    p rises where $r_t = E\,\mathrm{sign}\,D(x)$, of the real batch, is above the target, and
    falls where it is below. Info: `augment_p` (used in this step) and `augment_sign`, r_t.

    Args:
      objective: one whose scores' sign means something, see `require_zero`.
      target: of r_t, in (-1, 1).
      images: real images that the critic sees while p goes from 0 to 1.
      n_critic: critic updates a step, of a batch each.

    Raises:
      ValueError: a number out of its range, or an objective whose scores' sign means nothing.

    Reference: Karras et al., 2020, Training GANs with Limited Data, section 3.

    >>> objective = augment.adaptive(objectives.hinge(), images=10)
    >>> state, info = objective.update(objective.init(), jnp.ones(2), jnp.zeros(2))
    >>> state.p.item(), info["augment_sign"].item()  # up by 2 of 10 images
    (0.20000..., 1.0)
    """
    require(-1 < target < 1, "target", target, "give a mean sign in (-1, 1), such as 0.6")
    require(images > 0, "images", images, "give the images in which p goes from 0 to 1")
    require_zero(objective)

    def update(state: ADAState, real: Any, fake: Any) -> tuple[ADAState, Info]:
        inner, info = objective.update(state.inner, real, fake)
        sign = jnp.sign(score_of(real)).mean()
        step = n_critic * score_of(real).shape[0] / images
        p = jnp.clip(state.p + step * jnp.sign(sign - target), 0.0, 1.0)
        return ADAState(inner, p), {**info, "augment_p": state.p, "augment_sign": sign}

    return objective._replace(
        init=lambda: ADAState(objective.init(), jnp.zeros(())),
        critic_loss=lambda state, *both: objective.critic_loss(state.inner, *both),
        generator_loss=lambda state, *both: objective.generator_loss(state.inner, *both),
        update=update,
    )


def with_ada(
    algorithm: Algorithm,
    transforms: tuple[Transform, ...] = PIPELINE,
    target: float = 0.6,
    images: float = 500_000,
    n_critic: int | Array = 1,
) -> Algorithm:
    """`with_augment`, each transform with a probability p that follows the critic's overfitting.

    p is in the state (`state.objective.p`) and in the metrics. The paper has 18 transforms, of
    which these are the pixel blits and the colour.

    Args:
      algorithm: a member whose scores' sign means something, see `require_zero`.
      transforms: each is made or left out for each image by itself.
      target, images, n_critic: as of `adaptive`.

    Raises:
      ValueError: as `adaptive` and `with_augment`.

    Reference: Karras et al., 2020, Training GANs with Limited Data.

    >>> state = augment.with_ada(member).init(key, jnp.zeros((1, 3, 2, 2, 1)))
    >>> state.objective.p.item()
    0.0
    """

    def transform(key: Key, state: ADAState, x: Array) -> Array:
        return chain(*(sometimes(one, state.p) for one in transforms))(key, x)

    steered = lambda objective: adaptive(objective, target, images, n_critic)
    return _rebuilt(algorithm, objective=steered, augment=lambda _: transform)


def with_mirror(algorithm: Algorithm) -> Algorithm:
    """The member on data that are mirrored at random: twice the data, and mirrored samples.

    For pictures without writing. Real images alone are mirrored, so the generator makes both.

    Raises:
      ValueError: at a step, the batch is of no images.

    >>> algorithm = augment.with_mirror(member)
    >>> batch = jnp.zeros((1, 3, 2, 2, 1))
    >>> state, _ = jax.jit(algorithm.step)(algorithm.init(key, batch), batch)
    """

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        key = jax.random.fold_in(jax.random.fold_in(state.key, MIRROR_FOLD), state.step)
        rows = batch.rows if isinstance(batch, Ragged) else batch
        x = inputs(rows)[0]
        x = mirror(key, x.reshape(-1, *x.shape[2:])).reshape(x.shape)
        flat = with_label_of(rows, x)
        return algorithm.step(state, batch._replace(rows=flat) if rows is not batch else flat)

    again = algorithm.rebuilt
    return algorithm._replace(
        step=step, rebuilt=again and (lambda **changes: with_mirror(again(**changes)))
    )
