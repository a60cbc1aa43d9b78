"""Reads what a program costs and holds from its traced and its lowered form; nothing runs here.

The operations counted are those of matrix products and convolutions, from their operands' shapes,
after dead code is gone; loops of known length count as often as they run. Taps that meet padding,
or the zeros that a stride stuffs into a gradient, are not counted.
"""

import collections
import hashlib
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.interpreters import partial_eval

from jwgan import numerics

# --- flat programs --------------------------------------------------------------------------------


def plain_leaves(tree: Any) -> list[Any]:
    """Lists the leaves of arrays or shapes, typed keys as their uint32 data."""

    def plain(leaf: Any) -> Any:
        if not numerics.is_key(leaf):
            return leaf
        # `key_data` needs an array; of a shape it is traced.
        shape = isinstance(leaf, jax.ShapeDtypeStruct)
        return jax.eval_shape(jax.random.key_data, leaf) if shape else jax.random.key_data(leaf)

    return [plain(leaf) for leaf in jax.tree.leaves(tree)]


def flat(function: Callable[..., Any], *examples: Any) -> tuple[Callable[..., list[Any]], list]:
    """Makes `function` take lists of plain arrays and return one: (that, its arguments' shapes).

    What is exported must not need the classes of this package, of flax or optax to be called.
    """
    trees: list[tuple[list, Any]] = [jax.tree.flatten(example) for example in examples]

    def wrapped(*lists: Any) -> list[Any]:
        arguments = [
            structure.unflatten(
                [
                    jax.random.wrap_key_data(x) if numerics.is_key(leaf) else x
                    for x, leaf in zip(values, leaves, strict=True)
                ]
            )
            for values, (leaves, structure) in zip(lists, trees, strict=True)
        ]
        return plain_leaves(function(*arguments))

    return wrapped, [plain_leaves(example) for example in examples]


def num_bytes(tree: Any) -> int:
    """Counts the bytes of all leaves."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in plain_leaves(tree))


# --- work, from the traced program ----------------------------------------------------------------


class Work(NamedTuple):
    """What a program does in one call.

    Attributes:
      flops: multiplications and additions of matrix products and convolutions, by operand dtype.
      traffic: bytes of the operands and results of those, each read or written once.
      peak: bytes alive at the worst moment beside the program's inputs, every result of every
        operation in memory until its last use: nothing fused, hence an upper estimate.
    """

    flops: dict[str, float]
    traffic: float
    peak: float

    @property
    def gflop(self) -> float:
        return sum(self.flops.values()) / 1e9


def work(traced: Any, platform: str) -> Work:
    """Counts the work of `jax.jit(f).trace(...)` when it is lowered for `platform`."""
    jaxpr = traced.jaxpr.jaxpr
    # XLA would remove dead code, so it costs nothing; all results stay.
    jaxpr, _ = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars), instantiate=True)
    return _work(jaxpr, platform)


def _size(variable: Any) -> int:
    aval = variable.aval
    shape = getattr(aval, "shape", None)
    return 0 if shape is None else math.prod(shape) * getattr(aval.dtype, "itemsize", 4)


def _add_flops(works: Iterable[Work], times: int = 1) -> dict[str, float]:
    flops: dict[str, float] = {}
    for dtype, count in (item for work in works for item in work.flops.items()):
        flops[dtype] = flops.get(dtype, 0.0) + times * count
    return flops


def _work(jaxpr: core.Jaxpr, platform: str) -> Work:
    # `last` is the equation after which a variable is dead; results outlive all.
    last = {v: i for i, eqn in enumerate(jaxpr.eqns) for v in eqn.invars if type(v) is core.Var}
    last |= {v: len(jaxpr.eqns) for v in jaxpr.outvars if type(v) is core.Var}
    # Inputs are the caller's memory, and not counted as alive here.
    inputs = {*jaxpr.invars, *jaxpr.constvars}
    works, live, peak = [], 0.0, 0.0
    for i, eqn in enumerate(jaxpr.eqns):
        works.append(_equation_work(eqn, platform))
        made = sum(map(_size, eqn.outvars))
        # While an inner program runs, its own peak is alive beside ours.
        peak = max(peak, live + max(made, works[-1].peak))
        # A result that nobody reads is freed at once.
        live += made - sum(_size(v) for v in eqn.outvars if v not in last)
        dead = {v for v in eqn.invars if type(v) is core.Var and last[v] == i and v not in inputs}
        live -= sum(map(_size, dead))
    return Work(_add_flops(works), sum(w.traffic for w in works), peak)


def _equation_work(eqn: Any, platform: str) -> Work:
    name = eqn.primitive.name
    if name in ("dot_general", "conv_general_dilated"):
        dtype = jnp.promote_types(*(v.aval.dtype for v in eqn.invars))
        count = _dot_flops(eqn) if name == "dot_general" else _convolution_flops(eqn)
        return Work({str(dtype): count}, sum(map(_size, (*eqn.invars, *eqn.outvars))), 0.0)
    inner = [_work(sub, platform) for sub in _called(eqn, platform)]
    if not inner:
        return Work({}, 0.0, 0.0)
    if name == "cond":  # Which branch runs is not known: the most expensive one is counted.
        return max(inner, key=lambda work: work.gflop)
    # A while loop's length is not in the program: its body counts once.
    times = eqn.params["length"] if name == "scan" else 1
    traffic = times * sum(work.traffic for work in inner)
    return Work(_add_flops(inner, times), traffic, max(work.peak for work in inner))


def _called(eqn: Any, platform: str) -> list[core.Jaxpr]:
    """Lists the jaxprs that an equation runs; of a choice by platform, the platform's own."""
    values = eqn.params.values()
    # `jax.lax.platform_dependent`, which `models.conv` uses, sets this: only one branch is run.
    by_platform = eqn.params.get("branches_platforms")
    if by_platform is not None:
        # The default branch has None in place of names.
        own = [i for i, names in enumerate(by_platform) if names is None or platform in names]
        values = [eqn.params["branches"][own[0]]]
    # Parameters hold jaxprs bare, closed, or several in a tuple.
    items = [x for v in values for x in (v if isinstance(v, (tuple, list)) else (v,))]
    jaxprs = [getattr(x, "jaxpr", x) for x in items]
    return [x for x in jaxprs if isinstance(x, core.Jaxpr)]


def _dot_flops(eqn: Any) -> float:
    (contracted, _), _ = eqn.params["dimension_numbers"]
    left = eqn.invars[0].aval.shape
    return 2.0 * math.prod(eqn.outvars[0].aval.shape) * math.prod(left[d] for d in contracted)


def _convolution_flops(eqn: Any) -> float:
    x, w, y = (v.aval.shape for v in (*eqn.invars, *eqn.outvars))
    p, numbers = eqn.params, eqn.params["dimension_numbers"]
    x, w, y = (
        [shape[d] for d in spec] for shape, spec in zip((x, w, y), numbers, strict=True)
    )  # (batch or out, channels, space ...)
    # `taps` counts pairs of an output place and a tap that meet an input value, the product over
    # the axes.
    taps = 1.0
    for i, (low, _) in enumerate(p["padding"]):
        at = p["window_strides"][i] * np.arange(y[i + 2])[:, None] - low
        at = at + p["rhs_dilation"][i] * np.arange(w[i + 2])[None]
        # A dilated input has values at multiples of the dilation, and zeros between.
        hole, reach = p["lhs_dilation"][i], (x[i + 2] - 1) * p["lhs_dilation"][i]
        taps *= ((at >= 0) & (at <= reach) & (at % hole == 0)).sum()
    # The channels of w are those of one group already.
    return float(2 * taps * y[0] * y[1] * w[1] / p["batch_group_count"])


# --- the lowered program's text -------------------------------------------------------------------

# Custom calls of a platform's own lowering, which its source promises to keep.
_KNOWN_CALLS = {"cuda": {"cu_threefry2x32_ffi"}}
# Calls of these names note how arrays are divided, and cost nothing by themselves.
_ANNOTATIONS = {"Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape"}


def portability_problems(text: str, platform: str) -> list[str]:
    """Finds in a program's StableHLO what would slow or stop it on `platform`.

    These are calls into the host, other custom calls that the platform may not know, 64-bit
    floating point (on a TPU emulated, on GPUs slow), and shapes that are not known when compiling.
    """
    found = []
    allowed = _KNOWN_CALLS.get(platform, set()) | _ANNOTATIONS
    for target in sorted(set(re.findall(r"custom_call @([\w.$]+)", text)) - allowed):
        kind = "host callback" if "callback" in target else "custom call"
        found.append(f"{kind} {target}")
    for op in ("send", "recv", "infeed", "outfeed"):
        # An operation is printed in its generic or in its pretty form.
        if f'"stablehlo.{op}"(' in text or f"stablehlo.{op}(" in text:
            found.append(f"host transfer {op}")
    doubles = len(re.findall(r"[<x](?:f64|complex<f64>)>", text))
    if doubles:
        found.append(f"float64 in {doubles} types")
    # "?" is a length that is not known when compiling.
    dynamic = len(re.findall(r"tensor<(?:\d+x)*\?", text))
    if dynamic:
        found.append(f"dynamic shapes in {dynamic} types")
    return found


def operations(text: str) -> dict[str, int]:
    """Counts every StableHLO operation in a lowered program's text."""
    return dict(sorted(collections.Counter(re.findall(r"\bstablehlo\.(\w+)", text)).items()))


def fingerprint(text: str) -> str:
    """Computes the sha256 of a lowered program without source locations and Python's names for it.

    `text` is `lowered.as_text()`. The module is named after a function and results after fields;
    neither changes what is computed.
    """
    # Source locations are a table, and references to it in the lines.
    text = re.sub(r"^#loc.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r" loc\((?:[^()\"]|\"[^\"]*\"|\([^()]*\))*\)", "", text)
    # The rest are names that Python gave to the module and to the results.
    text = re.sub(r"module @\S+", "module", text)
    text = re.sub(r" ?\{jax\.result_info = \"(?:[^\"\\]|\\.)*\"\}", "", text)
    return hashlib.sha256(text.encode()).hexdigest()
