r"""The W1 benchmark's pairs: uniform in a box, and the same moved down a minimum of distance cones.

The potential $u(x) = \min_n |x - a_n| + b_n$ is 1-Lipschitz. From the tip of its own cone each
point x sits at length L on a ray of length R, which ends at the box or where another cone takes
over; moved to length $(L / R)^p R$ it stays on its ray and in its cell, so u falls by exactly the
distance moved and W1 is the mean of that distance. Real is the moved law, fake the uniform one: the
optimal critic is -u, its gradient at a moved point minus the ray's direction.

Reference: Korotin, Kolesov and Burnaev, 2022, Kantorovich Strikes Back! Wasserstein GANs are not
Optimal Transport?

The examples use one cone on the line, with its tip at 0 and power 3:

    >>> cone = funnels.make(centres=[[0.0]], heights=[0.0], half_width=1.0, power=3.0)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import numerics
from jwgan.check import require
from jwgan.problems import Pair
from jwgan.types import Array, Key

PUBLISHED_SEED = 987

# (D, N) -> W1 and its standard error of the 28 published pairs: truth(benchmark(D, N), 2**20).
TRUTHS = {
    (2, 4): (0.82064, 0.00041),
    (2, 16): (0.46373, 0.00024),
    (2, 64): (0.22801, 0.00011),
    (2, 256): (0.13124, 0.00007),
    (4, 4): (1.38831, 0.00063),
    (4, 16): (1.01304, 0.00049),
    (4, 64): (0.71109, 0.00034),
    (4, 256): (0.49579, 0.00023),
    (8, 4): (1.87315, 0.00101),
    (8, 16): (1.59028, 0.00086),
    (8, 64): (1.25274, 0.00067),
    (8, 256): (1.01084, 0.00054),
    (16, 4): (1.95230, 0.00130),
    (16, 16): (1.73786, 0.00116),
    (16, 64): (1.55014, 0.00103),
    (16, 256): (1.37834, 0.00091),
    (32, 4): (1.85246, 0.00145),
    (32, 16): (1.64607, 0.00128),
    (32, 64): (1.51854, 0.00118),
    (32, 256): (1.42832, 0.00111),
    (64, 4): (1.44777, 0.00125),
    (64, 16): (1.39503, 0.00120),
    (64, 64): (1.32429, 0.00114),
    (64, 256): (1.26528, 0.00109),
    (128, 4): (1.13774, 0.00104),
    (128, 16): (1.07402, 0.00098),
    (128, 64): (1.04822, 0.00096),
    (128, 256): (1.02175, 0.00093),
}


class Funnels(NamedTuple):
    """A minimum of N distance cones in a box; a pytree, so it can be an argument under `jit`.

    Attributes:
      centres: [N, D] tips a_n.
      heights: [N] b_n.
      gaps: [N, N] |a_n - a_m|^2 - (b_n - b_m)^2, by differences in float64.
      half_width: The box is [-half_width, half_width]^D.
      power: p; 1 moves nothing.
    """

    centres: Any
    heights: Any
    gaps: Any
    half_width: Any
    power: Any


class Moved(NamedTuple):
    """A batch of the box's points, moved.

    Attributes:
      x: [B, D] moved points.
      direction: [B, D] unit vectors up the rays: u's gradient at the start and at the moved point.
        Near a tip it cannot be recovered from `x`, which rounds onto the tip.
      distance: [B] how far each was moved; its mean is W1.
    """

    x: Array
    direction: Array
    distance: Array


def make(centres: Any, heights: Any, half_width: float = 2.5, power: float = 8.0) -> Funnels:
    """Makes funnels at `centres` [N, D] with `heights` [N].

    Args:
      centres: tips of the cones.
      heights: the potential at each tip, unless another cone is lower there.
      half_width: of the box [-half_width, half_width]^D.
      power: p >= 1, how far mass is moved towards the tips; 1 moves nothing.

    Raises:
      ValueError: Shapes that do not fit, centres outside the box, or a power below 1.

    >>> funnels.make([[0.0, 0.0], [3.0, 4.0]], [0.0, 1.0], half_width=5.0).gaps[0, 1].item()
    24.0
    """
    centres, heights = np.asarray(centres, np.float64), np.asarray(heights, np.float64)
    shapes = (centres.shape, heights.shape)
    fits = centres.ndim == 2 and len(centres) and heights.shape == centres.shape[:1]
    require(fits, "centres, heights", shapes, "give [N, D] and [N]")
    inside = (abs(centres) <= half_width).all()
    require(inside, "centres", abs(centres).max(), f"stay within {half_width}")
    require(power >= 1, "power", power, "give at least 1: below, mass would leave its cell")
    squares = np.stack([((centres - tip) ** 2).sum(axis=1) for tip in centres])
    gaps = squares - (heights[:, None] - heights[None]) ** 2
    return Funnels(centres.astype(np.float32), heights.astype(np.float32), gaps, half_width, power)


def benchmark(dim: int, num: int, pair_seed: int = PUBLISHED_SEED, power: float = 8.0) -> Funnels:
    """Makes the benchmark's `num` funnels in `dim` dimensions; another seed makes another pair.

    Centres uniform in the box, heights N(0, .1^2), regenerated as PyTorch's CPU generator draws
    them in float32: two draws discarded, then the centres, then the heights.

    Raises:
      ValueError: Numbers whose draws PyTorch pairs otherwise (num and num * dim must be below 16 or
        multiples of 16; num even), or a seed outside 32 bits.

    >>> published = funnels.benchmark(dim=2, num=4)
    >>> w1, standard_error = funnels.truth(published, num=2**12)
    >>> bool(abs(w1 - funnels.TRUTHS[2, 4][0]) < 4 * standard_error)
    True
    """
    for name, size in (("num", num), ("num * dim", num * dim)):
        paired = size > 0 and size % (2 if size < 16 else 16) == 0
        require(paired, name, size, "give an even number below 16 or a multiple of 16")
    require(0 <= pair_seed < 2**32, "pair_seed", pair_seed, "give 0 to 2^32 - 1")
    words = np.random.MT19937()
    state = np.random.RandomState(pair_seed).get_state(legacy=False)
    words.state = state  # type: ignore[assignment]  # numpy's stubs do not know they fit
    _torch_randn(words, num * dim)
    _torch_randn(words, num)
    centres = np.float32(2.5) * (2 * _torch_rand(words, num * dim) - 1)
    heights = np.float32(0.1) * _torch_randn(words, num)
    return make(centres.reshape(num, dim), heights, power=power)


def sample_box(funnels: Funnels, key: Key, num: int) -> Array:
    """Draws uniform points [num, D] in the box.

    >>> x = funnels.sample_box(cone, jax.random.key(0), 1000)
    >>> x.shape, bool((abs(x) <= 1).all())
    ((1000, 1), True)
    """
    h = funnels.half_width
    return jax.random.uniform(key, (num, funnels.centres.shape[1]), minval=-h, maxval=h)


def move(funnels: Funnels, x: Array) -> Moved:
    """Carries points [B, D] of the box down their rays.  Jittable; memory B * (N + D).

    >>> moved = funnels.move(cone, jnp.array([[0.5], [-1.0]]))  # |x| becomes |x|^3
    >>> moved.x.tolist(), moved.direction.tolist(), moved.distance.tolist()
    ([[0.125], [-1.0]], [[1.0], [-1.0]], [0.375, 0.0])
    """
    with jax.default_matmul_precision("highest"):  # an accelerator's default keeps 10 bits
        return _move(jnp, Funnels(*map(jnp.asarray, funnels)), x)


def potential(funnels: Funnels, x: Array) -> Array:
    """The potential u(x) = min_n |x - a_n| + b_n: x [B, D] -> [B].

    It is 1-Lipschitz; its gradient is a unit vector, or 0 at a tip. The optimal critic is -u.

    >>> funnels.potential(cone, jnp.array([[0.5], [-1.0]])).tolist()
    [0.5, 1.0]
    """
    with jax.default_matmul_precision("highest"):
        tip, height = _own(jnp, Funnels(*map(jnp.asarray, funnels)), x)[1:]
    return numerics.safe_sqrt(((x - tip) ** 2).sum(axis=1)) + height


def pair(funnels: Funnels, w1: float | None = None, w1_se: float = 0.0) -> Pair:
    """Makes a `Pair` of the funnels, real moved and fake uniform.

    Args:
      funnels: from `make` or `benchmark`.
      w1, w1_se: from `truth`.

    >>> funnels.pair(cone, *funnels.truth(cone)).potential(jnp.array([[0.5]])).tolist()
    [-0.5]
    """

    def moved(key: Key, num: int) -> Moved:
        return move(funnels, sample_box(funnels, key, num))

    def sample_with_gradient(key: Key, num: int) -> tuple[Array, Array]:
        real = moved(key, num)
        return real.x, -real.direction

    return Pair(
        name="funnels",
        sample_real=lambda key, num: moved(key, num).x,
        sample_fake=lambda key, num: sample_box(funnels, key, num),
        w1=w1,
        w1_se=w1_se,
        potential=lambda x: -potential(funnels, x),
        sample_with_gradient=sample_with_gradient,
    )


def truth(funnels: Funnels, num: int = 2**17, seed: int = 0) -> tuple[float, float]:
    """Measures W1 and its standard error from `num` draws in float64, on the host.

    One core takes 2 s for 131,072 draws at D = 128, N = 256.

    Raises:
      ValueError: num below 2.

    The integral of x - x^3 over [0, 1] is 1/4:

    >>> w1, standard_error = funnels.truth(cone, num=2**14)
    >>> bool(abs(w1 - 0.25) < 4 * standard_error), standard_error < 0.002
    (True, True)
    """
    require(num >= 2, "num", num, "give at least 2 draws")
    exact = Funnels(*(np.asarray(part, np.float64) for part in funnels))
    rng, h = np.random.default_rng(seed), exact.half_width
    distances = []
    for start in range(0, num, 4096):  # in pieces: a point needs memory for all N cones
        size = (min(4096, num - start), exact.centres.shape[1])
        distances.append(_move(np, exact, rng.uniform(-h, h, size)).distance)
    distance = np.concatenate(distances)
    return float(distance.mean()), float(distance.std(ddof=1) / np.sqrt(num))


def _own(xp: Any, funnels: Funnels, x: Any) -> tuple[Any, Any, Any]:
    """Finds index, centre and height of the cone that each point is on.

    `xp` is jax.numpy, or numpy for float64. The expanded square loses its digits near a tip, so it
    chooses the cone and no length is taken from it.
    """
    a, b = funnels.centres, funnels.heights
    square = (x**2).sum(axis=1)[:, None] + (a**2).sum(axis=1)[None] - 2 * (x @ a.T)
    own = xp.argmin(xp.sqrt(xp.maximum(square, 0)) + b[None], axis=1)
    return own, a[own], b[own]


def _move(xp: Any, funnels: Funnels, x: Any) -> Moved:
    """Moves points; on a ray x = a_n + r v cone m takes over where |x - a_m| + b_m = r + b_n.

    With e = a_n - a_m and d = b_n - b_m that is r = (|e|^2 - d^2) / 2 (d - <v, e>), if d > <v, e>:
    the length from the tip depends on x by v alone, and nothing large is subtracted.
    """
    a, b, gaps, h, power = funnels
    own, tip, height = _own(xp, funnels, x)
    offset = x - tip
    # Not 0 at a tip, where the direction is then 0 and the point stays.
    length = xp.maximum(xp.sqrt((offset**2).sum(axis=1)), 1e-30)
    v = offset / length[:, None]
    # The ray ends at the box's nearest wall or where another cone becomes the lower one.
    wall = ((h - xp.sign(v) * x) / xp.maximum(abs(v), 1e-30)).min(axis=1)
    lean = (v * tip).sum(axis=1)[:, None] - v @ a.T  # <v, e>
    closing = height[:, None] - b[None] - lean
    gap = gaps[own]  # 0 exactly for the own cone, whose closing is rounding noise
    meets = (closing > 0) & (gap > 0)
    other = xp.where(meets, gap / xp.where(meets, 2 * closing, 1.0), xp.inf).min(axis=1)
    # A cone chosen by rounding at a tie meets the other one behind x: such a point stays.
    reach = xp.maximum(xp.minimum(length + wall, other), length)
    part = length / reach
    kept = part**power
    return Moved(tip + (kept * reach)[:, None] * v, v, reach * (part - kept))


def _torch_rand(words: Any, size: int) -> np.ndarray:
    """Uniform float32 numbers as PyTorch makes them of 24 bits of each word."""
    return (words.random_raw(size) & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)


def _torch_randn(words: Any, size: int) -> np.ndarray:
    """Normal numbers by Box-Muller, uniforms paired as in PyTorch: in blocks of 16, or singly."""
    if size < 16:
        high, low = words.random_raw(2 * size).reshape(-1, 2).T
        uniform = (((high << 32) | low) & (2**53 - 1)) * 2.0**-53
        angle, radius = 2 * np.pi * uniform[0::2], np.sqrt(-2 * np.log1p(-uniform[1::2]))
        pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return pairs.ravel().astype(np.float32)
    first, second = _torch_rand(words, size).reshape(-1, 2, 8).swapaxes(0, 1)
    radius, angle = np.sqrt(-2 * np.log(1 - first)), np.float32(2 * np.pi) * second
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()
