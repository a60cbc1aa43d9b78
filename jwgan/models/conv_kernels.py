"""The kernels under `conv`: one set for CPUs, and XLA's own for every other platform.

Each takes the static `Geometry` first. Letters as in `conv`: images [B, H, W, C], outputs
[B, OH, OW, O], kernels [KH, KW, C, O]. JAX never differentiates these: `conv` states the rules.

Names: dgrad is the gradient in the data (the input x), wgrad that in the weights (the kernel w). A
tap is one entry (row, column) of a kernel.

The functions' examples are of one row of three pixels and a kernel of two taps, which takes the
difference of neighbours:

>>> geometry = conv_kernels.Geometry((1, 1), ((0, 0), (0, 0)), kernel=(1, 2), size=(1, 3))
>>> x = jnp.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1)
>>> w = jnp.array([-1.0, 1.0]).reshape(1, 2, 1, 1)
>>> dy = jnp.array([10.0, 1.0]).reshape(1, 1, 2, 1)
"""

import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
Pair = tuple[int, int]

_LAYOUT = ("NHWC", "HWIO", "NHWC")
# Up to this many output channels, a matrix product and shifted sums beat the plain convolution
# (2 to 4 times at 1 channel, 1.5 at 3, nothing at 8: 3x3 and 5x5 kernels, 64 channels, 2 cores).
_FEW_CHANNELS = 4


def _eigen_convolutions() -> bool:
    """Whether XLA:CPU was told to run convolutions in Eigen; asked when a kernel is traced.

    By default XLA:CPU hands float convolutions to YNNPACK; the environment variable says otherwise.
    """
    return "=-individual_convolution" in os.environ.get("XLA_FLAGS", "")


class Geometry(NamedTuple):
    """The static part of a convolution, the same for its three kernels; each is (height, width).

    Attributes:
      strides: distance between output samples, in input pixels.
      padding: zero pixels ((top, bottom), (left, right)) around the input.
      kernel: (KH, KW).
      size: (H, W) of the convolution's input.
    """

    strides: Pair
    padding: tuple[Pair, Pair]
    kernel: Pair
    size: Pair

    @property
    def output(self) -> Pair:
        """(OH, OW) of the convolution's output."""
        return tuple(
            (n + sum(p) - k) // s + 1
            for n, p, k, s in zip(self.size, self.padding, self.kernel, self.strides, strict=True)
        )


def _tap_pads(g: Geometry, output: Pair) -> list[Pair]:
    """Padding (or, where negative, cropping) to what the taps read for an output of such a size."""
    return [
        (p[0], (m - 1) * s + k - n - p[0])
        for p, n, m, s, k in zip(g.padding, g.size, output, g.strides, g.kernel, strict=True)
    ]


def _mirror(g: Geometry) -> Geometry:
    """The geometry of a stride-1 convolution run from y to x with the kernel turned around."""
    pads = tuple((k - 1 - p[0], k - 1 - p[1]) for k, p in zip(g.kernel, g.padding, strict=True))
    return Geometry(g.strides, pads, g.kernel, g.output)


def _turn(w: Array) -> Array:
    """Turns a kernel by 180 degrees, [KH, KW, C, O] -> [KH, KW, O, C]."""
    return w[::-1, ::-1].swapaxes(2, 3)


# ---- native kernels ------------------------------------------------------------------------------


def conv_native(g: Geometry, x: Array, w: Array) -> Array:
    """Convolves x [B, H, W, C] with w [KH, KW, C, O] as XLA does: -> y [B, OH, OW, O].

    >>> conv_kernels.conv_native(geometry, x, w).ravel()
    Array([1., 2.], dtype=float32)
    """
    return lax.conv_general_dilated(x, w, g.strides, g.padding, dimension_numbers=_LAYOUT)


def dgrad_native(g: Geometry, dy: Array, w: Array) -> Array:
    """Computes x's gradient as JAX derives it: zeros are stuffed into dy (lhs_dilation).

    XLA:GPU takes them out again, and calls cuDNN's backward-data, where the kernel is reversed. Of
    a kernel with more pixels than dy it would make the image: then dy is grown by zeros.

    >>> conv_kernels.dgrad_native(geometry, dy, w).ravel()
    Array([-10.,   9.,   1.], dtype=float32)
    """
    if g.strides != (1, 1):
        if math.prod(g.output) < math.prod(g.kernel):
            dy = _grown(dy, g.kernel)
        w = lax.optimization_barrier(w)  # or else a kernel that comes reversed loses both reversals
    pads = []
    for p, n, m, s, k in zip(g.padding, g.size, dy.shape[1:3], g.strides, g.kernel, strict=True):
        low = k - 1 - p[0]
        pads.append((low, n + k - 1 - ((m - 1) * s + 1) - low))
    layout = ("NHWC", "HWOI", "NHWC")
    return lax.conv_general_dilated(
        dy, w[::-1, ::-1], (1, 1), pads, lhs_dilation=g.strides, dimension_numbers=layout
    )


def wgrad_native(g: Geometry, x: Array, dy: Array) -> Array:
    """Computes w's gradient as JAX derives it: dy is the kernel, the batch is summed over.

    Where dy has no more rows and columns than w, XLA:GPU takes this for a forward convolution and
    stuffs zeros into dy: then dy is grown by zeros.

    >>> conv_kernels.wgrad_native(geometry, x, dy).ravel()  # [1 * 10 + 2 * 1, 2 * 10 + 4 * 1]
    Array([12., 24.], dtype=float32)
    """
    if g.strides != (1, 1) and all(m <= k for m, k in zip(g.output, g.kernel, strict=True)):
        dy = _grown(dy, (g.kernel[0] + 1, 1))
    layout = ("CHWN", "IHWO", "HWNC")
    return lax.conv_general_dilated(
        x, dy, (1, 1), _tap_pads(g, dy.shape[1:3]), rhs_dilation=g.strides, dimension_numbers=layout
    )


def _grown(dy: Array, size: Pair) -> Array:
    """Adds zeros below and to the right until dy has `size` at least; no gradient is changed."""
    pads = [(0, max(n - m, 0)) for n, m in zip(size, dy.shape[1:3], strict=True)]
    # XLA would take the zeros into the convolution, but for the barrier.
    return lax.optimization_barrier(_zero_pad(dy, pads, (1, 2)))


# ---- CPU kernels: plain convolutions and matrix products -----------------------------------------


def _accumulator(dtype: Any) -> Any:
    """The type of sums: float32 for 16-bit numbers, else the numbers' own."""
    return jnp.promote_types(dtype, jnp.float32)


def _matmul(a: Array, b: Array) -> Array:
    """Multiplies [M, N] by [N, O] -> [M, O], in the accumulator's type."""
    return jnp.dot(a, b, preferred_element_type=_accumulator(a.dtype))


def _zero_pad(x: Array, pads: Sequence[Pair], axes: Pair) -> Array:
    """Pads two axes of x with zeros, or crops them where the padding is negative."""
    config = [(0, 0, 0)] * x.ndim
    for axis, (low, high) in zip(axes, pads, strict=True):
        config[axis] = (low, high, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def _tap(size: Pair, strides: Pair, row: int, column: int) -> tuple[slice, slice]:
    """The pixels of a padded input that one kernel tap meets, for an output of `size`."""
    return tuple(
        slice(start, start + (n - 1) * s + 1, s)
        for start, n, s in zip((row, column), size, strides, strict=True)
    )


def conv_cpu(g: Geometry, x: Array, w: Array) -> Array:
    """Convolves on a CPU: a plain forward convolution, or for few channels one matrix product.

    >>> conv_kernels.conv_cpu(geometry, x, w).ravel()
    Array([1., 2.], dtype=float32)
    """
    if g.strides == (1, 1) and w.shape[3] <= _FEW_CHANNELS:
        return _dgrad_fold(_mirror(g), x, _turn(w))
    return _plain(x, w, g.strides, g.padding)


def _plain(x: Array, w: Array, strides: Pair, padding: Sequence[Pair]) -> Array:
    """A forward convolution in the form that XLA:CPU runs at the speed of a matrix product.

    Where the kernel covers more pixels than the image, XLA exchanges the two and then finds no fast
    kernel (4x4 images, 5x5 kernel: 100 times slower); there it is an explicit matrix product.
    """
    kh, kw, c_in, c_out = w.shape
    if kh * kw <= x.shape[1] * x.shape[2]:
        y = lax.conv_general_dilated(
            x, w, strides, padding, dimension_numbers=_LAYOUT,
            preferred_element_type=_accumulator(x.dtype),
        )  # fmt: skip
        return y.astype(x.dtype)
    size = Geometry(strides, tuple(padding), (kh, kw), x.shape[1:3]).output
    x = _zero_pad(x, padding, (1, 2))
    taps = [x[:, *_tap(size, strides, i, j)] for i in range(kh) for j in range(kw)]
    patches = jnp.concatenate(taps, 3).reshape(-1, kh * kw * c_in)
    y = _matmul(patches, w.reshape(-1, c_out)).astype(x.dtype)
    return y.reshape(x.shape[0], *size, c_out)


class _Phase(NamedTuple):
    """The input pixels m * stride + offset, m = 0, 1, ...: the same taps reach all of them."""

    taps: list[int]
    reach: list[int]  # tap t carries dy[m + reach]


def _phases(g: Geometry, axis: int) -> list[_Phase]:
    """The phases of one axis of the input, one for each offset below the stride."""
    stride, top, kernel = g.strides[axis], g.padding[axis][0], g.kernel[axis]
    phases = []
    for offset in range(stride):
        taps = [t for t in range(kernel) if (offset + top - t) % stride == 0]
        phases.append(_Phase(taps, [(offset + top - t) // stride for t in taps]))
    return phases


def _phase_size(g: Geometry) -> Pair:
    """The number of pixels of the longest phase, (height, width)."""
    return tuple(-(-n // s) for n, s in zip(g.size, g.strides, strict=True))


def dgrad_cpu(g: Geometry, dy: Array, w: Array) -> Array:
    """Computes x's gradient on a CPU: a stride-1 convolution for each of the stride^2 phases of x.

    A phase is reached by its own taps of w alone. So no zeros are stuffed into dy, and the
    arithmetic is that of the forward convolution.

    >>> conv_kernels.dgrad_cpu(geometry, dy, w).ravel()
    Array([-10.,   9.,   1.], dtype=float32)
    """
    if w.shape[2] <= _FEW_CHANNELS:
        return _dgrad_fold(g, dy, w)
    size, images = _phase_size(g), dy.shape[0]
    rows = [
        jnp.stack([_dgrad_phase(dy, w, r, c, size) for c in _phases(g, 1)], 3)
        for r in _phases(g, 0)
    ]
    x = jnp.stack(rows, 2)  # [B, H/s, s, W/s, s, C]
    x = x.reshape(images, size[0] * g.strides[0], size[1] * g.strides[1], -1)
    return x[:, : g.size[0], : g.size[1]]


def _dgrad_phase(dy: Array, w: Array, row: _Phase, column: _Phase, size: Pair) -> Array:
    """Computes one phase of x's gradient, [B, *size, C]."""
    if not (row.taps and column.taps):  # a kernel smaller than the stride misses some pixels
        return jnp.zeros((dy.shape[0], *size, w.shape[2]), dy.dtype)
    sub = w[jnp.ix_(jnp.array(row.taps), jnp.array(column.taps))]
    pads = [
        (-min(p.reach), max(p.reach) + n - m)
        for p, n, m in zip((row, column), size, dy.shape[1:3], strict=True)
    ]
    crop = [(min(low, 0), min(high, 0)) for low, high in pads]
    grow = [(max(low, 0), max(high, 0)) for low, high in pads]
    return _plain(_zero_pad(dy, crop, (1, 2)), _turn(sub), (1, 1), grow)


def _dgrad_fold(g: Geometry, dy: Array, w: Array) -> Array:
    """Computes x's gradient for few channels: one product for all taps, then shifted sums."""
    size, c_in = _phase_size(g), w.shape[2]
    columns = _matmul(w.reshape(-1, w.shape[3]), dy.reshape(-1, dy.shape[3]).T)
    columns = columns.reshape(*g.kernel, c_in, *dy.shape[:3])

    def phase(row: _Phase, column: _Phase) -> Array:  # [C, B, *size]
        total = jnp.zeros((c_in, dy.shape[0], *size), columns.dtype)
        for i, up in zip(row.taps, row.reach, strict=True):
            for j, left in zip(column.taps, column.reach, strict=True):
                pads = [(-up, up + size[0] - dy.shape[1]), (-left, left + size[1] - dy.shape[2])]
                total += _zero_pad(columns[i, j], pads, (2, 3))
        return total

    rows = [jnp.stack([phase(r, c) for c in _phases(g, 1)], -1) for r in _phases(g, 0)]
    x = jnp.stack(rows, -3)  # [C, B, H/s, s, W/s, s]
    x = x.reshape(c_in, -1, size[0] * g.strides[0], size[1] * g.strides[1])
    return x[:, :, : g.size[0], : g.size[1]].transpose(1, 2, 3, 0).astype(dy.dtype)


def wgrad_cpu(g: Geometry, x: Array, dy: Array) -> Array:
    """Computes w's gradient [KH, KW, C, O] on a CPU: a convolution, or products by kernel rows.

    >>> conv_kernels.wgrad_cpu(geometry, x, dy).ravel()
    Array([12., 24.], dtype=float32)
    """
    fits = all(m <= n for m, n in zip(g.output, g.size, strict=True)) and g.kernel != (1, 1)
    if _eigen_convolutions() and fits and min(x.shape[3], dy.shape[3]) > _FEW_CHANNELS:
        return _wgrad_plain(g, x, dy)
    if g.strides == (1, 1) and dy.shape[3] < x.shape[3]:  # shift the narrower of the two
        return _turn(_wgrad_rows(_mirror(g), dy, x))
    return _wgrad_rows(g, x, dy)


def _wgrad_plain(g: Geometry, x: Array, dy: Array) -> Array:
    """Computes w's gradient as a convolution whose images are the channels of x and kernel is dy.

    Eigen runs it twice as fast as `_wgrad_rows` (nothing is copied for the taps), YNNPACK up to
    three times slower.
    """
    pads = _tap_pads(g, g.output)
    x = _zero_pad(x, [tuple(min(p, 0) for p in pair) for pair in pads], (1, 2))
    w = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0), dy.transpose(1, 2, 0, 3), (1, 1),
        [tuple(max(p, 0) for p in pair) for pair in pads],
        rhs_dilation=g.strides, dimension_numbers=_LAYOUT,
        preferred_element_type=_accumulator(x.dtype),
    )  # fmt: skip
    return w.transpose(1, 2, 0, 3).astype(x.dtype)


def _wgrad_rows(g: Geometry, x: Array, dy: Array) -> Array:
    """Computes w's gradient by one product per kernel row: KW shifted views of x against dy.

    Transposing x once, before it is padded and shifted, is what makes the products fast: their
    inner dimension B * OH * OW is then contiguous.
    """
    (kh, kw), size, c_in = g.kernel, g.output, x.shape[3]
    x = _zero_pad(x.transpose(3, 0, 1, 2), _tap_pads(g, size), (2, 3))
    dy = dy.reshape(-1, dy.shape[3])
    rows = []
    for i in range(kh):
        taps = jnp.stack([x[:, :, *_tap(size, g.strides, i, j)] for j in range(kw)])
        rows.append(_matmul(taps.reshape(kw * c_in, -1), dy))
    return jnp.stack(rows).reshape(kh, kw, c_in, -1).astype(x.dtype)
