"""Worlds of time series: sines of random frequency and phase, and windows of the Lorenz attractor.

They are drawn fresh, in their own units: scale them before a network sees them.
"""

import jax
import jax.numpy as jnp

from jwgan.check import require

Array = jax.Array
Key = jax.Array


def _check(num: int, length: int) -> None:
    require(num >= 1, "num", num, "give at least one series")
    require(length >= 2, "length", length, "give at least two steps")


def sines(key: Key, num: int, length: int = 48) -> Array:
    """Sines a sin(2 pi f t / T + p): a, f and p uniform on [0.5, 1], [1, 4] and [0, 2 pi].

    Args:
      key: for a, f and p.
      num: N.
      length: T.

    Returns:
      [N, T, 1]

    Raises:
      ValueError: num is below 1, or length below 2.

    >>> x = series.sines(jax.random.key(0), 100)
    >>> x.shape, bool(abs(x).max() <= 1)
    ((100, 48, 1), True)
    """
    _check(num, length)
    low, high = jnp.array([[0.5, 1.0, 0.0]]), jnp.array([[1.0, 4.0, 2 * jnp.pi]])
    drawn = low + (high - low) * jax.random.uniform(key, (num, 3))
    amplitude, frequency, phase = (drawn[:, i : i + 1] for i in range(3))
    t = jnp.arange(length)[None] / length
    return (amplitude * jnp.sin(2 * jnp.pi * frequency * t + phase))[..., None]


def lorenz(key: Key, num: int, length: int = 64, step: float = 0.04) -> Array:
    """Windows of the Lorenz attractor, each of a trajectory of its own.

    x' = 10 (y - x), y' = x (28 - z) - y, z' = x y - 8/3 z, by Runge and Kutta's fourth order with
    steps of a quarter of `step`; the first 20 units of time, until the attractor is reached, are
    laid aside.

    Args:
      key: for the starting points.
      num: N.
      length: T.
      step: time between two values.

    Returns:
      [N, T, 3]

    Raises:
      ValueError: num is below 1, length below 2, or step not in (0, 0.1].

    Reference: Lorenz, 1963, Deterministic Nonperiodic Flow, J. Atmos. Sci.

    >>> x = series.lorenz(jax.random.key(0), 50)
    >>> x.shape, bool(abs(x).max() < 60)
    ((50, 64, 3), True)
    """
    _check(num, length)
    require(0 < step <= 0.1, "step", step, "give a time above 0 and at most 0.1")

    def slope(s: Array) -> Array:  # [N, 3]
        x, y, z = s[:, 0], s[:, 1], s[:, 2]
        return jnp.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], axis=1)

    def advance(s: Array, _: None) -> tuple[Array, Array]:
        h = step / 4
        for _quarter in range(4):
            k1 = slope(s)
            k2 = slope(s + h / 2 * k1)
            k3 = slope(s + h / 2 * k2)
            k4 = slope(s + h * k3)
            s = s + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return s, s

    start = jnp.array([[0.0, 0.0, 25.0]]) + 5 * jax.random.normal(key, (num, 3))
    settled, _ = jax.lax.scan(advance, start, None, length=int(20 / step))
    _, x = jax.lax.scan(advance, settled, None, length=length)
    return x.swapaxes(0, 1)
