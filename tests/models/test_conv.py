"""The closed convolution family against lax and JAX's own derivatives of it."""

import inspect
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.sharding import PartitionSpec as P

from jwgan.models import conv, conv_kernels

LAYOUT = ("NHWC", "HWIO", "NHWC")

# size, kernel, strides, padding, C, O
CASES = {
    "3x3": ((6, 6), (3, 3), (1, 1), "SAME", 5, 6),
    "3x3 to fewer channels": ((6, 5), (3, 3), (1, 1), "SAME", 6, 5),
    "3x3 to one channel": ((5, 6), (3, 3), (1, 1), "SAME", 5, 1),
    "first layer": ((8, 8), (5, 5), (2, 2), "SAME", 1, 5),
    "5x5 stride 2, odd size": ((7, 9), (5, 5), (2, 2), "SAME", 5, 6),
    "kernel above the image": ((4, 4), (5, 5), (2, 2), "SAME", 5, 6),
    "kernel above the image, stride 1": ((2, 2), (3, 3), (1, 1), "SAME", 6, 5),
    "valid, pixels left over": ((8, 10), (3, 4), (2, 3), "VALID", 5, 6),
    "kernel below the stride": ((8, 9), (2, 1), (3, 2), "SAME", 5, 5),
    "explicit, lopsided": ((5, 6), (4, 2), (3, 1), ((4, 0), (1, 3)), 5, 6),
    "1x1": ((4, 5), (1, 1), (1, 1), "SAME", 5, 6),
}
by_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def operands(case, dtype=jnp.float32, batch=2):
    size, kernel, _, _, c_in, c_out = case
    x, w, v = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(x, (batch, *size, c_in), dtype)
    shape = (*kernel, c_in, c_out)
    return x, jax.random.normal(w, shape, dtype) / 3, jax.random.normal(v, shape, dtype)


def functions(case):
    """The convolution in question and lax's."""
    _, _, strides, padding, *_ = case

    def ours(x, w):
        return conv.convolve(x, w, strides, padding)

    def native(x, w):
        return lax.conv_general_dilated(x, w, strides, padding, dimension_numbers=LAYOUT)

    return ours, native


def penalty(f, x, w):
    """mean over samples of |grad_x sum tanh f(x, w)|^2: two derivatives deep in its gradient."""
    gradient = jax.grad(lambda x: jnp.tanh(f(x, w)).sum())(x)
    return (gradient**2).sum((1, 2, 3)).mean()


def penalty_gradient(f, x, w):
    return jax.grad(lambda w: penalty(f, x, w))(w)


def derivatives(f, x, w, v):
    """Value, both gradients, the penalty's gradients and its Hessian-vector product."""
    y, pull = jax.vjp(f, x, w)
    slope = jax.grad(lambda x, w: penalty(f, x, w), (0, 1))

    def along(x, w):
        return jnp.vdot(slope(x, w)[1], v)

    return y, pull(jnp.cos(y)), slope(x, w), jax.grad(along, (0, 1))(x, w)


def assert_close(a, b, tolerance):
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    for left, right in leaves:
        assert left.shape == right.shape
        assert left.dtype == right.dtype
        scale = 1 + np.abs(right).max()
        np.testing.assert_allclose(left / scale, right / scale, atol=tolerance, rtol=0)


def compare(case, dtype, tolerance):
    both = jax.jit(lambda *args: [derivatives(f, *args) for f in functions(case)])
    ours, native = both(*operands(case, dtype))
    assert jax.tree.leaves(ours)[0].dtype == dtype
    assert_close(ours, native, tolerance)


@by_case
def test_values_and_derivatives_to_the_third_equal_those_of_lax(case):
    compare(case, jnp.float32, 1e-5)


def test_in_float64_they_are_equal_to_its_rounding():
    with jax.enable_x64(True):  # slow to compile: one case, with all phases of different sizes
        compare(CASES["first layer"], jnp.float64, 1e-14)


LARGE_KERNEL = ((8, 8), (4, 4), (2, 2), "SAME", 5, 6)  # of as many pixels as the result


@pytest.mark.parametrize("case", [*CASES.values(), LARGE_KERNEL], ids=[*CASES, "large kernel"])
def test_gradients_of_accelerators_are_laxs(case):
    """What their kernels add for XLA:GPU's sake changes no value; here they run on the CPU."""
    size, kernel, strides, padding, *_ = case
    g = conv.geometry(size, kernel, strides, padding)

    @jax.jit
    def both(x, w):
        y, pull = jax.vjp(functions(case)[1], x, w)
        dy = jnp.cos(y)
        native = conv_kernels.dgrad_native(g, dy, w), conv_kernels.wgrad_native(g, x, dy)
        return native, pull(dy)

    assert_close(*both(*operands(case)[:2]), 1e-5)


sides = st.tuples(st.integers(1, 8), st.integers(1, 5), st.integers(1, 3))


@settings(max_examples=4, deadline=None, derandomize=True, database=None)
@given(
    rows=sides,
    columns=sides,
    padding=st.sampled_from(["SAME", "VALID", ((0, 3), (4, 1))]),
    channels=st.tuples(st.sampled_from([1, 3, 5, 6]), st.sampled_from([1, 5, 7])),
)
def test_any_geometry_has_the_values_and_gradients_of_lax(rows, columns, padding, channels):
    size, kernel, strides = zip(rows, columns, strict=True)
    if padding == "VALID":
        kernel = tuple(min(k, n) for k, n in zip(kernel, size, strict=True))
    elif padding != "SAME":
        kernel = tuple(min(k, n + 3) for k, n in zip(kernel, size, strict=True))
    case = (size, kernel, strides, padding, *channels)

    def both(x, w, v):
        ours, native = functions(case)
        y, pull = jax.vjp(native, x, w)
        dy = jnp.cos(y)
        family = (
            conv.input_gradient(dy, w, size, strides, padding),
            conv.kernel_gradient(x, dy, kernel, strides, padding),
        )
        return (ours(x, w), family), (y, pull(dy))

    assert_close(*jax.jit(both)(*operands(case)), 1e-5)


@pytest.mark.parametrize("channels", [(6, 5), (5, 7)])
@pytest.mark.parametrize(
    ("kernel", "strides", "padding"),
    [(3, 1, "SAME"), (4, 2, ((1, 1), (1, 1))), ((5, 2), (2, 3), "SAME"), (2, 3, "VALID")],
)
def test_eigens_weight_gradient_is_laxs(monkeypatch, kernel, strides, padding, channels):
    """Sizes 9x7, so that VALID with stride 3 crops."""
    monkeypatch.setattr(conv_kernels, "_eigen_convolutions", lambda: True)
    g = conv.geometry((9, 7), kernel, strides, padding)
    x = jax.random.normal(jax.random.key(0), (2, 9, 7, channels[0]))
    dy = jax.random.normal(jax.random.key(1), (2, *g.output, channels[1]))
    program = jax.jit(lambda x, dy: conv_kernels.wgrad_cpu(g, x, dy))
    text = program.lower(x, dy).as_text()
    assert "stablehlo.convolution" in text
    assert "dot_general" not in text
    assert_close(program(x, dy), conv_kernels.wgrad_native(g, x, dy), 1e-6)


CASE = CASES["5x5 stride 2, odd size"]


def seeds(num=3):
    x, w, _ = operands(CASE)
    scale = 1 + jnp.arange(num, dtype=jnp.float32).reshape(num, 1, 1, 1, 1) / num
    return jnp.stack([x] * num) * scale, jnp.stack([w] * num) / scale


def one_by_one(x_axis, w_axis):
    xs, ws = seeds()
    native = jax.jit(lambda x, w: penalty_gradient(functions(CASE)[1], x, w))
    return jnp.stack([native(xs[i * x_axis], ws[i * w_axis]) for i in range(len(xs))])


@pytest.mark.parametrize(("x_axis", "w_axis"), [(1, 0), (0, 1), (1, 1)])
def test_vmap_equals_a_loop(x_axis, w_axis):
    xs, ws = seeds()
    axes = (0 if x_axis else None, 0 if w_axis else None)
    run = jax.jit(jax.vmap(lambda x, w: penalty_gradient(functions(CASE)[0], x, w), axes))
    got = run(xs if x_axis else xs[0], ws if w_axis else ws[0])
    assert_close(got, one_by_one(x_axis, w_axis), 1e-5)


def test_scan_and_map_equal_a_loop():
    pairs = seeds()

    def gradient(pair):
        return penalty_gradient(functions(CASE)[0], *pair)

    scanned = jax.jit(lambda p: lax.scan(lambda n, pair: (n + 1, gradient(pair)), 0, p)[1])(pairs)
    assert_close(scanned, one_by_one(1, 1), 1e-5)
    assert_close(lax.map(gradient, pairs), one_by_one(1, 1), 1e-5)


def test_without_jit():
    x, w, _ = operands(CASE)
    ours, native = functions(CASE)
    assert_close(ours(x, w), native(x, w), 1e-5)


@pytest.mark.parametrize("check_vma", [True, False])
def test_shard_map_with_replicated_kernel(check_vma):
    x, w, _ = operands(CASE, batch=4)
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))

    def gradient(x, w):
        g = penalty_gradient(functions(CASE)[0], x, w)  # check_vma: already summed
        return g if check_vma else lax.psum(g, "data")

    specs = {"in_specs": (P("data"), P()), "out_specs": P(), "check_vma": check_vma}
    got = jax.jit(jax.shard_map(gradient, mesh=mesh, **specs))(x, w) / 2
    assert_close(got, jax.jit(penalty_gradient, static_argnums=0)(functions(CASE)[1], x, w), 1e-5)


# ---- what is lowered ---------------------------------------------------------------------------

CONVOLUTION = re.compile(
    r"dim_numbers = (?P<layout>\S+ .*?\]->\[.*?\]), window = \{(?P<window>.*?)\} "
    r"\{batch_group_count = (?P<batch_groups>\d+) : i64, feature_group_count = (?P<groups>\d+)"
    r".*: \(tensor<\d+x(?P<height>\d+)x(?P<width>\d+)x\d+x\w+>, "
    r"tensor<(?P<rows>\d+)x(?P<columns>\d+)x"
)
PLAIN = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"


def lowered(case, platform, wrap=lambda f: f, stack=(), dtype=jnp.float32):
    ours = functions(case)[0]
    x, w, _ = operands(case, dtype)
    x, w = (jnp.broadcast_to(a, (*stack, *a.shape)) for a in (x, w))
    traced = jax.jit(wrap(lambda x, w: penalty_gradient(ours, x, w))).trace(x, w)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    found = [m.groupdict() for m in CONVOLUTION.finditer(text)]
    assert len(found) == text.count("stablehlo.convolution")
    return found, text


def is_fast_on_cpu(found):
    dilations = re.findall(r"(?:lhs|rhs)_dilate = \[(\d+), (\d+)\]", found["window"])
    area = int(found["height"]) * int(found["width"])
    return (
        found["layout"] == PLAIN
        and set(dilations) <= {("1", "1")}
        and "true" not in found["window"]
        and (found["batch_groups"], found["groups"]) == ("1", "1")
        and int(found["rows"]) * int(found["columns"]) <= area
    )


@by_case
def test_cpu_programs_hold_plain_forward_convolutions_only(case):
    found, text = lowered(case, "cpu")
    assert found or "dot_general" in text
    assert [f for f in found if not is_fast_on_cpu(f)] == []


def test_cpu_programs_of_many_seeds_hold_no_grouped_convolutions():
    found, _ = lowered(CASE, "cpu", jax.vmap, (3,))
    assert found
    assert all(map(is_fast_on_cpu, found))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerator_programs_hold_the_native_convolutions(platform):
    found, text = lowered(CASE, platform)
    assert "dot_general" not in text
    assert sum(map(is_fast_on_cpu, found)) == 2  # the forward one, and its like in the penalty
    layouts = {f["layout"] for f in found}
    assert "[b, 0, 1, f]x[0, 1, o, i]->[b, 0, 1, f]" in layouts  # the gradient in x
    assert "[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]" in layouts  # the gradient in w
    assert any("lhs_dilate = [2, 2]" in f["window"] for f in found)
    assert any("rhs_dilate = [2, 2]" in f["window"] for f in found)


# ---- types -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [CASES["3x3"], CASES["first layer"]], ids=["3x3", "first"])
def test_bfloat16_stays_bfloat16_and_is_as_good_as_its_rounding(case):
    x, w, v = operands(case, jnp.bfloat16)
    run = jax.jit(lambda *args: derivatives(functions(case)[0], *args)[:2])
    exact = run(*(a.astype(jnp.float32) for a in (x, w, v)))
    got = run(x, w, v)
    assert {a.dtype for a in jax.tree.leaves(got)} == {jnp.dtype(jnp.bfloat16)}
    assert_close(jax.tree.map(lambda a: a.astype(jnp.float32), got), exact, 0.01)


@pytest.mark.parametrize("case", [CASES["first layer"], CASES["kernel above the image"]])
def test_bfloat16_sums_are_kept_in_float32(case):
    """By the program: XLA:CPU keeps them so of its own accord, but need not."""
    _, text = lowered(case, "cpu", dtype=jnp.bfloat16)
    products = re.findall(r"(?:dot_general|convolution)\b.* -> tensor<\S*x(\w+)>", text)
    assert products
    assert set(products) == {"f32"}


# ---- errors ------------------------------------------------------------------------------------

X, W, DY = jnp.ones((2, 8, 8, 3)), jnp.ones((5, 5, 3, 4)), jnp.ones((2, 4, 4, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv.convolve(X[0], W), r"x.shape is \(8, 8, 3\): must have four axes"),
        (lambda: conv.convolve(X, W[:, :, :2]), r"w.shape .*as many input channels as x"),
        (lambda: conv.convolve(X, W.astype(jnp.bfloat16)), r"x.dtype .*bfloat16; cast one"),
        (lambda: conv.convolve(X, W, 0), r"strides is 0: give a positive int"),
        (lambda: conv.convolve(X, W, (1, 2, 3)), r"strides is \(1, 2, 3\)"),
        (lambda: conv.convolve(X, W, 2, "same"), r'padding is .same.: give "SAME"'),
        (lambda: conv.convolve(X, W, 2, ((1, -1), (0, 0))), r"padding is .*>= 0"),
        (lambda: conv.convolve(X[:, :3], W, 1, "VALID"), r"kernel_size is \(5, 5\): must fit"),
        (lambda: conv.input_gradient(DY, W, 9, 2), r"input_size is \(9, 9\): .*size \(5, 5\)"),
        (lambda: conv.input_gradient(DY, W[..., :2], 8, 2), r"w.shape .*output channels as dy"),
        (lambda: conv.kernel_gradient(X, DY, 5, 1), r"dy.shape is .*must be \[2, 8, 8, O\]"),
    ],
)
def test_errors_name_argument_value_and_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- modules -----------------------------------------------------------------------------------


def initialised(module, x, seed=0):
    """(output, variables)"""
    return jax.jit(module.init_with_output)(jax.random.key(seed), x)


def test_conv_module_is_linens():
    x = operands(CASE)[0]
    y, variables = initialised(conv.Conv(6, 5, 2, bias_init=nn.initializers.ones), x)
    linens = nn.Conv(6, (5, 5), (2, 2), bias_init=nn.initializers.ones)
    assert_close((y, variables), initialised(linens, x), 1e-6)


@pytest.mark.parametrize("size", [7, 8])
def test_conv_transpose_module_is_the_gradient_of_conv(size):
    x = jax.random.normal(jax.random.key(0), (2, size, size, 3))
    y = jax.random.normal(jax.random.key(1), (2, 4, 4, 6))
    up = conv.ConvTranspose(3, 5, 2, output_size=size, use_bias=False)
    got, variables = initialised(up, y)
    assert variables["params"]["kernel"].shape == (5, 5, 3, 6)
    assert got.shape == x.shape
    down = jax.jit(conv.Conv(6, 5, 2, use_bias=False).apply)(variables, x)
    np.testing.assert_allclose(jnp.vdot(x, got), jnp.vdot(down, y), rtol=1e-5)


@pytest.mark.parametrize(
    ("padding", "expected"), [("SAME", (8, 12)), ("VALID", (11, 9)), (((1, 1), (0, 2)), (9, 7))]
)
def test_conv_transpose_default_output_size(padding, expected):
    up = conv.ConvTranspose(3, (5, 3), (2, 3) if padding == "SAME" else 2, padding)
    y, _ = jax.eval_shape(up.init_with_output, jax.random.key(0), jnp.ones((1, 4, 4, 2)))
    assert y.shape == (1, *expected, 3)


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("module", [conv.Conv, conv.ConvTranspose])
def test_default_kernels_keep_the_variance(module, strides):
    """Unit input gives unit output in the interior, whatever the stride."""
    x = jax.random.normal(jax.random.key(0), (8, 16, 16, 32))
    y, _ = initialised(module(64, 4, strides), x)
    assert 0.85 < y[:, 3:-3, 3:-3].var() < 1.15


@pytest.mark.parametrize("module", [conv.Conv, conv.ConvTranspose])
def test_modules_compute_in_the_given_type(module):
    y, variables = jax.eval_shape(
        module(3, 3, 2, dtype=jnp.bfloat16).init_with_output,
        jax.random.key(0),
        jnp.ones((1, 4, 4, 2)),
    )
    assert y.dtype == jnp.bfloat16
    assert variables["params"]["kernel"].dtype == jnp.float32


def test_strides_are_1_and_padding_same_by_default():
    for make in (conv.geometry, conv.convolve, conv.input_gradient, conv.kernel_gradient):
        defaults = {name: p.default for name, p in inspect.signature(make).parameters.items()}
        assert (defaults["strides"], defaults["padding"]) == (1, "SAME")
    for module in (conv.Conv(2, 3), conv.ConvTranspose(2, 3)):
        assert (module.strides, module.padding, module.use_bias) == (1, "SAME", True)
        assert (module.dtype, module.param_dtype) == (None, jnp.float32)


def test_a_kernel_as_large_as_the_padded_input_fits():
    assert conv.geometry(3, 3, padding="VALID").output == (1, 1)
    assert conv.geometry(1, 3, padding=((1, 1), (0, 2))).output == (1, 1)
    with pytest.raises(ValueError, match="kernel_size"):
        conv.geometry((3, 2), 3, padding="VALID")
    for padding in ("FULL", ((1, 1), (0, -1)), ((1, 1),), ((1,), (1, 1))):
        with pytest.raises(ValueError, match="padding is"):
            conv.geometry(3, 3, padding=padding)
    for size in (0, (1, 0), (1, 1, 1), 1.5):
        with pytest.raises((ValueError, TypeError)):
            conv.geometry(size, 1)


def test_layers_in_a_loop_have_second_derivatives():
    """A gradient penalty through `lax.scan` over kernels is the one through layers in turn."""
    w = 0.3 * jax.random.normal(jax.random.key(0), (2, 3, 3, 4, 4))  # two layers
    x = jax.random.normal(jax.random.key(1), (3, 5, 5, 4))
    layer = lambda x, w: (x + conv.convolve(jnp.tanh(x), w), None)

    def in_turn(w, x):
        for one in w:
            x, _ = layer(x, one)
        return (x**2).sum()

    in_a_loop = lambda w, x: (jax.lax.scan(layer, x, w)[0] ** 2).sum()

    def penalty_gradient(f):
        return jax.grad(lambda w: (jax.grad(f, 1)(w, x) ** 2).sum())(w)

    expected = penalty_gradient(in_turn)
    np.testing.assert_allclose(penalty_gradient(in_a_loop), expected, rtol=1e-4)
    both = jax.vmap(lambda w: jax.grad(in_a_loop)(w, x))(jnp.stack([w, 2 * w]))  # as of two seeds
    np.testing.assert_allclose(both[0], jax.grad(in_turn)(w, x), rtol=1e-4, atol=1e-4)
