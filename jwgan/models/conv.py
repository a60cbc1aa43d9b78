"""Two-dimensional convolution that is fast to differentiate, any number of times.

A convolution y = conv(x, w) is linear in each argument. Its gradient in x and its gradient in w are
bilinear as well, and the derivatives of the three are the three again:

    conv(x, w)    -> y    d/dx: dgrad(dy, w)    d/dw: wgrad(x, dy)
    dgrad(dy, w)  -> x    d/ddy: conv(dx, w)    d/dw: wgrad(dx, dy)
    wgrad(x, dy)  -> w    d/dx: dgrad(dy, dw)   d/ddy: conv(x, dw)

So three kernels give reverse-mode derivatives of any order, and a gradient penalty (whose training
gradient is a second derivative) costs what its arithmetic costs. That matters on the CPU, where XLA
runs a plain forward convolution as fast as a matrix product, and the dilated, batch-grouped or
spatially swapped convolutions that JAX's own differentiation makes from it tens of times slower.
Accelerators have good kernels for those: there the three are the native ones. The choice is made
when a program is lowered, by `jax.lax.platform_dependent`.

Forward-mode differentiation (`jax.jvp`, `jax.jacfwd`) is not defined; a Hessian-vector product is
`jax.grad(lambda w: vdot(jax.grad(f)(w), v))`.

Letters: B batch, H, W input size, OH, OW output size, C input channels, O output channels, KH, KW
kernel size. Images are [B, H, W, C], kernels [KH, KW, C, O].

The examples use a column of four pixels and a kernel that adds each pixel to its upper neighbour:

    >>> x = jnp.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1)
    >>> w = jnp.ones((2, 1, 1, 1))
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jwgan.check import require
from jwgan.models import conv_kernels
from jwgan.models.conv_kernels import Geometry

Array = jax.Array
Pair = tuple[int, int]
Padding = str | Sequence[Sequence[int]]
Initializer = Callable[[Array, Sequence[int], Any], Array]


def _pair(name: str, value: int | Sequence[int]) -> Pair:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    good = len(pair) == 2 and all(isinstance(v, int) and v >= 1 for v in pair)
    require(good, name, value, "give a positive int or a pair (height, width) of them")
    return pair


def _same(size: int, kernel: int, stride: int) -> Pair:
    """Padding (before, after) of one axis for an output of ceil(size / stride)."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def geometry(
    size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
) -> Geometry:
    """Works out the geometry of a convolution of a (H, W) input.

    Args:
      size: (H, W) of the convolution's input; an int stands for a square, here and below.
      kernel_size: (KH, KW).
      strides: (vertical, horizontal).
      padding: "SAME" (output size is ceil(input size / stride); an odd pixel goes to the bottom and
        right), "VALID" (none), or ((top, bottom), (left, right)), not negative.

    Raises:
      ValueError: on sizes below 1, an unknown padding, or a kernel larger than the padded input.

    >>> conv.geometry(size=28, kernel_size=5, strides=2).output
    (14, 14)
    """
    size, kernel = _pair("size", size), _pair("kernel_size", kernel_size)
    strides = _pair("strides", strides)
    if padding == "SAME":
        pads = tuple(map(_same, size, kernel, strides))
    elif padding == "VALID":
        pads = ((0, 0), (0, 0))
    else:
        remedy = 'give "SAME", "VALID" or ((top, bottom), (left, right)) of ints >= 0'
        require(not isinstance(padding, str), "padding", padding, remedy)
        pads = tuple(tuple(p) for p in padding)
        good = [len(p) for p in pads] == [2, 2] and all(v >= 0 for p in pads for v in p)
        require(good, "padding", padding, remedy)
    result = Geometry(strides, pads, kernel, size)
    fits = all(n + sum(p) >= k for n, p, k in zip(size, pads, kernel, strict=True))
    remedy = f"must fit into the input {size} with padding {pads}; pad more or take a smaller one"
    require(fits, "kernel_size", kernel, remedy)
    return result


# ---- the closed family ---------------------------------------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conv(g: Geometry, x: Array, w: Array) -> Array:
    return _by_platform(g, x, w, cpu=conv_kernels.conv_cpu, default=conv_kernels.conv_native)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _dgrad(g: Geometry, dy: Array, w: Array) -> Array:
    return _by_platform(g, dy, w, cpu=conv_kernels.dgrad_cpu, default=conv_kernels.dgrad_native)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _wgrad(g: Geometry, x: Array, dy: Array) -> Array:
    return _by_platform(g, x, dy, cpu=conv_kernels.wgrad_cpu, default=conv_kernels.wgrad_native)


def _by_platform(g: Geometry, a: Array, b: Array, *, cpu: Callable, default: Callable) -> Array:
    return _chosen_at_lowering(_traced_once(cpu, g), _traced_once(default, g))(a, b)


@functools.cache
def _traced_once(kernel: Callable, g: Geometry) -> Callable[[Array, Array], Array]:
    """`kernel(g, ...)`, traced once for all: a step applies its networks several times."""
    # inline=True: the program is the same as without jit, only its tracing is shared.
    return jax.jit(functools.partial(kernel, g), inline=True)


def _chosen_at_lowering(cpu: Callable, default: Callable) -> Callable[[Array, Array], Array]:
    """One of the two kernels, by the platform that the program is lowered for.

    A `jax.vmap` over both arguments (seeds, as a rule) runs the CPU's kernel in a loop: `jax.vmap`
    alone would make grouped convolutions, which are 4 to 7 times slower on the CPU.

    The choice is within the custom rule for vmap, and not around it, since second derivatives of a
    `lax.scan` mix up the operands of a bare `lax.platform_dependent` (jax 0.10).
    """

    @jax.custom_batching.custom_vmap
    def run(a: Array, b: Array) -> Array:
        return lax.platform_dependent(a, b, cpu=cpu, default=default)

    @run.def_vmap
    def rule(axis_size: int, batched: list[bool], a: Array, b: Array) -> tuple[Array, bool]:
        del axis_size
        axes = [0 if flag else None for flag in batched]
        one_by_one = lambda a, b: lax.map(lambda pair: cpu(*pair), (a, b))
        mapped = one_by_one if all(batched) else jax.vmap(cpu, axes)
        return _chosen_at_lowering(mapped, jax.vmap(default, axes))(a, b), True

    return run


# The table at the top of the file, each rule (forward pass and what it saves, backward pass).
_conv.defvjp(
    lambda g, x, w: (_conv(g, x, w), (x, w)),
    lambda g, saved, dy: (_dgrad(g, dy, saved[1]), _wgrad(g, saved[0], dy)),
)
_dgrad.defvjp(
    lambda g, dy, w: (_dgrad(g, dy, w), (dy, w)),
    lambda g, saved, dx: (_conv(g, dx, saved[1]), _wgrad(g, dx, saved[0])),
)
_wgrad.defvjp(
    lambda g, x, dy: (_wgrad(g, x, dy), (x, dy)),
    lambda g, saved, dw: (_dgrad(g, saved[1], dw), _conv(g, saved[0], dw)),
)


# ---- public functions ----------------------------------------------------------------------------


def _check(a: Array, name_a: str, b: Array, name_b: str) -> None:
    for value, name in ((a, name_a), (b, name_b)):
        require(value.ndim == 4, f"{name}.shape", value.shape, "must have four axes")
    remedy = f"must equal {name_b}.dtype {b.dtype}; cast one of them"
    require(a.dtype == b.dtype, f"{name_a}.dtype", a.dtype, remedy)


def _alike(a: Array, b: Array) -> tuple[Array, Array]:
    """Casts both, under `jax.shard_map`, to values that vary over the same mesh axes.

    A custom derivative rule may not sum over devices by itself; the derivative of this cast does.
    """

    def varying(v: Array) -> frozenset:
        return getattr(getattr(jax.typeof(v), "manual_axis_type", None), "varying", frozenset())

    axes = varying(a) | varying(b)
    return tuple(lax.pcast(v, tuple(axes - varying(v)), to="varying") for v in (a, b))


def convolve(
    x: Array, w: Array, strides: int | Sequence[int] = 1, padding: Padding = "SAME"
) -> Array:
    """Convolves (cross-correlates) images: x [B, H, W, C] -> [B, OH, OW, O].

    y[b, i, j, o] = sum_{u, v, c} x[b, i*s - top + u, j*s - left + v, c] w[u, v, c, o].

    Args:
      x: images.
      w: kernel [KH, KW, C, O], of the same dtype.
      strides: an int or (vertical, horizontal).
      padding: "SAME", "VALID" or ((top, bottom), (left, right)); see `geometry`.

    Raises:
      ValueError: on shapes or dtypes that do not fit.

    >>> conv.convolve(x, w, padding="VALID").ravel().tolist()
    [3.0, 5.0, 7.0]
    """
    _check(x, "x", w, "w")
    remedy = f"must have as many input channels as x {x.shape}; w is [KH, KW, C, O]"
    require(w.shape[2] == x.shape[3], "w.shape", w.shape, remedy)
    return _conv(geometry(x.shape[1:3], w.shape[:2], strides, padding), *_alike(x, w))


def input_gradient(
    dy: Array,
    w: Array,
    input_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
) -> Array:
    """Convolves transposed: dy [B, OH, OW, O], w [KH, KW, C, O] -> [B, H, W, C].

    It is the gradient of sum(dy * convolve(x, w, strides, padding)) in x.

    Args:
      dy: as the convolution's output.
      w: the convolution's kernel.
      input_size: (H, W); with a stride several sizes belong to one (OH, OW).
      strides: the convolution's.
      padding: the convolution's.

    Raises:
      ValueError: on shapes or dtypes that do not fit, among them an `input_size` whose convolution
        does not have the output size of `dy`.

    >>> conv.input_gradient(jnp.ones((1, 3, 1, 1)), w, (4, 1), padding="VALID").ravel().tolist()
    [1.0, 2.0, 2.0, 1.0]
    """
    _check(dy, "dy", w, "w")
    remedy = f"must have as many output channels as dy {dy.shape}; w is [KH, KW, C, O]"
    require(w.shape[3] == dy.shape[3], "w.shape", w.shape, remedy)
    g = geometry(input_size, w.shape[:2], strides, padding)
    remedy = f"its convolution has output size {g.output}, but dy has {dy.shape[1:3]}; change one"
    require(g.output == dy.shape[1:3], "input_size", g.size, remedy)
    return _dgrad(g, *_alike(dy, w))


def kernel_gradient(
    x: Array,
    dy: Array,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
) -> Array:
    """Correlates input and output: x [B, H, W, C], dy [B, OH, OW, O] -> [KH, KW, C, O].

    It is the gradient of sum(dy * convolve(x, w, strides, padding)) in w.

    Args:
      x: the convolution's input.
      dy: as the convolution's output, of the same dtype.
      kernel_size: (KH, KW); with a stride several sizes belong to one (OH, OW).
      strides: the convolution's.
      padding: the convolution's.

    Raises:
      ValueError: on shapes or dtypes that do not fit.

    >>> dy = jnp.ones((1, 3, 1, 1))
    >>> conv.kernel_gradient(x, dy, (2, 1), padding="VALID").ravel().tolist()  # 1+2+3, 2+3+4
    [6.0, 9.0]
    """
    _check(x, "x", dy, "dy")
    g = geometry(x.shape[1:3], kernel_size, strides, padding)
    remedy = f"must be [{x.shape[0]}, {g.output[0]}, {g.output[1]}, O] for x {x.shape}"
    require(dy.shape[:3] == (x.shape[0], *g.output), "dy.shape", dy.shape, remedy)
    return _wgrad(g, *_alike(x, dy))


# ---- modules -------------------------------------------------------------------------------------


class Conv(nn.Module):
    """A convolution with bias: [B, H, W, C] -> [B, OH, OW, features].

    Parameters: "kernel" [KH, KW, C, features] and "bias" [features].

    Attributes:
      features: output channels.
      kernel_size: an int or (KH, KW).
      strides: an int or (vertical, horizontal).
      padding: "SAME", "VALID" or ((top, bottom), (left, right)); see `geometry`.
      use_bias: whether to add a bias.
      kernel_init: initialiser; the default is LeCun's, of variance 1 / (KH * KW * C).
      bias_init: initialiser.
      dtype: of the computation; None promotes the input's and the parameters'.
      param_dtype: of the parameters.

    >>> layer = conv.Conv(features=8, kernel_size=5, strides=2)
    >>> images = jnp.zeros((1, 7, 7, 3))
    >>> y, variables = jax.eval_shape(layer.init_with_output, jax.random.key(0), images)
    >>> y.shape, variables["params"]["kernel"].shape
    ((1, 4, 4, 8), (5, 5, 3, 8))
    """

    features: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (*_pair("kernel_size", self.kernel_size), x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = _bias(self)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return _add(convolve(x, kernel, self.strides, self.padding), bias)


class ConvTranspose(nn.Module):
    """A transposed convolution with bias: [B, OH, OW, C] -> [B, *output_size, features].

    It is exactly the input gradient of a `Conv` with the same kernel, strides and padding whose
    input has `output_size`. Parameters: "kernel" [KH, KW, features, C], the layout of that `Conv`,
    and "bias" [features].

    Attributes:
      features: output channels.
      kernel_size: an int or (KH, KW).
      strides: an int or (vertical, horizontal): the upsampling factors.
      padding: of the `Conv`: "SAME", "VALID" or ((top, bottom), (left, right)).
      output_size: an int or (H, W); None is input size * strides with "SAME", else the smallest
        size that fits, (input size - 1) * strides + KH - top - bottom. With stride 2, 4 pixels
        become 7 or 8.
      use_bias: whether to add a bias.
      kernel_init: initialiser, called with the shape [KH, KW, C, features] so that its fan-in is
        right; the last two axes are exchanged afterwards. The default is LeCun's with the fan-in of
        one output pixel, which sees one in sh * sw of the taps: variance sh * sw / (KH * KW * C).
      bias_init: initialiser.
      dtype: of the computation; None promotes the input's and the parameters'.
      param_dtype: of the parameters.

    >>> layer = conv.ConvTranspose(features=8, kernel_size=5, strides=2, output_size=7)
    >>> images = jnp.zeros((1, 4, 4, 3))
    >>> y, variables = jax.eval_shape(layer.init_with_output, jax.random.key(0), images)
    >>> y.shape, variables["params"]["kernel"].shape
    ((1, 7, 7, 8), (5, 5, 8, 3))
    """

    features: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] = 1
    padding: Padding = "SAME"
    output_size: int | Sequence[int] | None = None
    use_bias: bool = True
    kernel_init: Initializer | None = None
    bias_init: Initializer = nn.initializers.zeros
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", self._init_kernel, x.shape[-1])
        bias = _bias(self)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        size = self._default_size(x.shape[1:3]) if self.output_size is None else self.output_size
        return _add(input_gradient(x, kernel, size, self.strides, self.padding), bias)

    def _init_kernel(self, key: Array, c_in: int) -> Array:
        strides = _pair("strides", self.strides)
        # An output pixel meets one in sh * sw of the taps: the others meet no input pixel.
        scale = float(strides[0] * strides[1])
        init = self.kernel_init
        if init is None:
            init = nn.initializers.variance_scaling(scale, "fan_in", "truncated_normal")
        # Drawn as [KH, KW, C, features], so that an initialiser sees the right fan-in.
        shape = (*_pair("kernel_size", self.kernel_size), c_in, self.features)
        return init(key, shape, self.param_dtype).swapaxes(2, 3)

    def _default_size(self, size: Pair) -> Pair:
        strides, kernel = _pair("strides", self.strides), _pair("kernel_size", self.kernel_size)
        if self.padding == "SAME":
            return tuple(n * s for n, s in zip(size, strides, strict=True))
        pads = ((0, 0), (0, 0)) if self.padding == "VALID" else self.padding
        return tuple(
            (n - 1) * s + k - sum(p) for n, s, k, p in zip(size, strides, kernel, pads, strict=True)
        )


def _bias(module: Conv | ConvTranspose) -> Array | None:
    if not module.use_bias:
        return None
    return module.param("bias", module.bias_init, (module.features,), module.param_dtype)


def _add(y: Array, bias: Array | None) -> Array:
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)
