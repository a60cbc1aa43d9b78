"""Turns the networks of any library into pure functions, and wraps them: Network -> Network.

Flax comes with the caller's module: this file imports it only inside `from_nnx`.
"""

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jwgan import numerics
from jwgan.check import one_line, require, require_package
from jwgan.types import Array, Key, ModelState, Network, Params, depends, require_networks

# For a Linen module that is called as `module(x, train=True)` in training and with `train=False`
# afterwards, as those with batch norm are: `from_linen(module, **TRAIN_ARGUMENT)`.
TRAIN_ARGUMENT: dict[str, Any] = {"train": {"train": True}, "evaluate": {"train": False}}


def from_fn(
    init: Callable[..., Params], apply: Callable[..., Any], rowwise: bool = False
) -> Network:
    """A network from two plain functions, without model state.

    Args:
      init: `(key, x [B, *D]) -> params`; of a conditional network `(key, x, label [B])`.
      apply: `(params, x [B, *D]) -> y`; or `(params, x, label [B])`.
      rowwise: whether each row of y is computed from that row of x alone, see `Network`.

    A critic D(x) = <w, x> on points of the plane:

    >>> critic = networks.from_fn(lambda key, x: jnp.array([3.0, 4.0]), lambda w, x: x @ w)
    >>> params, model_state = critic.init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> critic.evaluate(params, model_state, jnp.ones((1, 2))).tolist()
    [7.0]
    """

    def init_network(key: Key, *inputs: Array) -> tuple[Params, ModelState]:
        return init(key, *inputs), {}

    def apply_network(params: Params, state: ModelState, *inputs: Array) -> tuple[Any, ModelState]:
        return apply(params, *inputs), state

    def evaluate(params: Params, state: ModelState, *inputs: Array) -> Any:
        del state
        return apply(params, *inputs)

    return Network(init_network, apply_network, evaluate, rowwise=rowwise)


def from_linen(
    module: Any,
    train: Mapping[str, Any] | None = None,
    evaluate: Mapping[str, Any] | None = None,
    rngs: Sequence[str] = (),
    rowwise: bool | None = None,
) -> Network:
    """A network from a flax.linen module.

    Every collection but "params" is model state. A module that draws noise in training (dropout)
    has its random keys there too, under "rngs": each `apply` draws anew and moves them on, and
    `evaluate` has none.

    Args:
      module: the Linen module; it is called as `module(x, **kwargs)`, or `module(x,
        label=label, **kwargs)` on labelled data.
      train: keyword arguments of the call in training, for example `{"train": True}`.
      evaluate: keyword arguments of the call after training, for example `{"train": False}`; a
        module with batch norm or dropout needs it.
      rngs: names of the random streams that the module draws from in training: `("dropout",)`.
      rowwise: whether each row of its output is computed from that row of x alone in training, see
        `Network`; None: what the module says in an attribute of that name, as those of
        `jwgan.models` do, and else False.

    Raises:
      ValueError: at the first use, if the module draws from a stream that is not in `rngs`.

    >>> import flax.linen as nn
    >>> network = networks.from_linen(nn.Dense(3))
    >>> params, model_state = network.init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> jax.tree.map(jnp.shape, params), model_state
    ({'bias': (3,), 'kernel': (2, 3)}, {})
    """
    train, evaluate = dict(train or {}), dict(evaluate or {})

    def init(key: Key, x: Array, *label: Array) -> tuple[Params, ModelState]:
        if not rngs:
            with _told_of_streams(module):
                variables = dict(module.init(key, x, **train, **_named(label)))
            return variables.pop("params", {}), variables
        key_init, *keys = jax.random.split(key, 1 + len(rngs))
        streams = dict(zip(rngs, keys, strict=True))
        with _told_of_streams(module):
            variables = dict(
                module.init({"params": key_init, **streams}, x, **train, **_named(label))
            )
        return variables.pop("params", {}), {**variables, "rngs": streams}

    def apply(params: Params, state: ModelState, x: Array, *label: Array) -> tuple[Any, ModelState]:
        collections = {name: value for name, value in state.items() if name != "rngs"}
        # Of each key one half is drawn from now, the other is the next state.
        halves = {name: jax.random.split(key) for name, key in state.get("rngs", {}).items()}
        now = {"rngs": {name: both[0] for name, both in halves.items()}} if halves else {}
        after = {"rngs": {name: both[1] for name, both in halves.items()}} if halves else {}
        variables = {"params": params, **collections}
        with _told_of_streams(module):
            if not collections:  # no collection can change, so Linen returns y alone
                return module.apply(variables, x, **train, **_named(label), **now), after
            y, moved = module.apply(
                variables, x, **train, **_named(label), **now, mutable=list(collections)
            )
        return y, {**moved, **after}

    def evaluate_network(params: Params, state: ModelState, x: Array, *label: Array) -> Any:
        variables = {name: value for name, value in state.items() if name != "rngs"}
        with _told_of_streams(module):
            return module.apply({"params": params, **variables}, x, **evaluate, **_named(label))

    said = getattr(module, "rowwise", False) if rowwise is None else rowwise
    return Network(init, apply, evaluate_network, rowwise=said and not rngs)


def _named(label: tuple[Array, ...]) -> dict[str, Array]:
    """The label as modules are given it: by its name, whatever the order of their arguments."""
    return {"label": label[0]} if label else {}


@contextlib.contextmanager
def _told_of_streams(module: Any) -> Iterator[None]:
    """Turns Linen's error of a missing random stream into one line with the remedy."""
    try:
        yield
    except Exception as error:
        # By its name, for this file does not import Flax.
        if type(error).__name__ != "InvalidRngError":
            raise
        raise ValueError(
            f"module is a {type(module).__name__}, which draws noise: name its streams, "
            'from_linen(module, train={...}, evaluate={...}, rngs=("dropout",)), and have it draw '
            f"none in `evaluate` (Flax: {one_line(error)})"
        ) from error


def from_nnx(make: Callable[[Any], Any]) -> Network:
    """A network from a flax.nnx module.

    Everything that is not an `nnx.Param` (batch statistics, random streams) is model state; the
    module is put into `train()` and `eval()` mode for `apply` and `evaluate`.

    Args:
      make: `(rngs: nnx.Rngs) -> nnx.Module`, for example `lambda rngs: Critic(64, rngs=rngs)`, or
        the module's class where it takes `rngs` alone. The module is called as `module(x)`, or
        `module(x, label=label)` on labelled data.

    Raises:
      ValueError: make is a module already, or a class that needs more than `rngs`.

    >>> from flax import nnx
    >>> network = networks.from_nnx(lambda rngs: nnx.Linear(2, 3, rngs=rngs))
    >>> params, model_state = network.init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> network.evaluate(params, model_state, jnp.zeros((5, 2))).shape
    (5, 3)
    """
    require_package("flax", "flax")
    from flax import nnx

    if isinstance(make, nnx.Module):
        name = type(make).__name__
        # Its parameters would be the same for every key, and part of the program.
        raise ValueError(f"make is a {name}: give what makes it, lambda rngs: {name}(rngs=rngs)")
    if isinstance(make, type):
        make = _maker(make)

    def graph(mode: str) -> Any:
        # The mode is part of the graph, not of the parameters: both graphs are made once, from
        # shapes, and the parameters come in at each call.
        abstract = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
        getattr(abstract, mode)()
        return nnx.split(abstract, nnx.Param, ...)[0]

    training, evaluation = graph("train"), graph("eval")

    def init(key: Key, *inputs: Array) -> tuple[Params, ModelState]:
        del inputs  # nnx modules know their shapes
        parts: Any = nnx.split(make(nnx.Rngs(key)), nnx.Param, ...)
        return parts[1], parts[2]

    def apply(params: Params, state: ModelState, x: Array, *label: Array) -> tuple[Any, ModelState]:
        # Under scan and grad the variables must belong to the innermost trace: hence the copy.
        module = nnx.merge(training, params, state, copy=True)
        y = module(x, **_named(label))
        parts: Any = nnx.split(module, nnx.Param, ...)
        return y, parts[2]

    def evaluate(params: Params, state: ModelState, x: Array, *label: Array) -> Any:
        return nnx.merge(evaluation, params, state, copy=True)(x, **_named(label))

    return Network(init, apply, evaluate)


def _maker(kind: type) -> Callable[[Any], Any]:
    """`rngs -> module` of an nnx module's class.

    Raises:
      ValueError: the class needs more than `rngs`.
    """
    try:
        # Of `__init__`: the class itself takes anything, through its metaclass.
        inspect.signature(kind.__init__).bind(None, rngs=None)  # type: ignore[misc]
    except TypeError as error:
        name = kind.__name__
        raise ValueError(
            f"make is the class {name}: give lambda rngs: {name}(..., rngs=rngs) ({error})"
        ) from error
    return lambda rngs: kind(rngs=rngs)


def map_init(network: Network, transform: Callable[[Params], Params]) -> Network:
    """The same network with `transform` applied to its initial parameters.

    Training with `clip_weights(0.5)` should start inside the box:

    >>> critic = networks.from_fn(lambda key, x: jnp.array([3.0, -4.0]), lambda w, x: x @ w)
    >>> clipped = networks.map_init(critic, lambda w: constraints.project_box(w, 0.5))
    >>> clipped.init(jax.random.key(0), jnp.zeros((1, 2)))[0].tolist()
    [0.5, -0.5]
    """
    require_networks(network=network)

    def init(key: Key, *inputs: Array) -> tuple[Params, ModelState]:
        params, state = network.init(key, *inputs)
        return transform(params), state

    return network._replace(init=init)


def map_output(network: Network, transform: Callable[[Array, Any], Any]) -> Network:
    """The same network with output `transform(x, y)`.

    It is not `rowwise` unless `._replace(rowwise=True)` says so: the transform may mix rows.

    `map_output(net, lambda x, y: y[:, 0])` turns [B, 1] into scores [B]. An auto-encoder becomes an
    energy critic by its reconstruction error; this one halves its input:

    >>> autoencoder = networks.from_fn(lambda key, x: {}, lambda params, x: x / 2)
    >>> critic = networks.map_output(autoencoder, lambda x, y: jnp.abs(x - y).mean(axis=1))
    >>> critic.evaluate({}, {}, jnp.array([[2.0, 4.0]])).tolist()
    [1.5]
    """
    require_networks(network=network)

    def mapped(apply: Callable) -> Callable:
        def run(
            params: Params, state: ModelState, x: Array, *label: Array
        ) -> tuple[Any, ModelState]:
            y, state = apply(params, state, x, *label)
            return transform(x, y), state

        return run

    def evaluate(params: Params, state: ModelState, x: Array, *label: Array) -> Any:
        return transform(x, network.evaluate(params, state, x, *label))

    precise = network.precise and mapped(network.precise)
    return Network(network.init, mapped(network.apply), evaluate, precise)


def map_input(network: Network, transform: Callable[[Array], Array]) -> Network:
    """The same network on `transform(x)`, for example to centre the data.

    It is not `rowwise` unless `._replace(rowwise=True)` says so: the transform may mix rows.

    >>> identity = networks.from_fn(lambda key, x: {}, lambda params, x: x)
    >>> centred = networks.map_input(identity, lambda x: x - 0.5)
    >>> centred.evaluate({}, {}, jnp.array([[0.5, 1.5]])).tolist()
    [[0.0, 1.0]]
    """
    require_networks(network=network)

    def mapped(apply: Callable) -> Callable:
        return lambda params, state, x, *label: apply(params, state, transform(x), *label)

    return Network(
        lambda key, x, *label: network.init(key, transform(x), *label),
        mapped(network.apply),
        mapped(network.evaluate),
        network.precise and mapped(network.precise),
    )


def concat_label(network: Network, classes: int, *, planes: bool = True) -> Network:
    """The same network on x with its label beside it: a conditional network of any other.

    The label is one-hot: K columns beside the columns of vectors [B, D], K planes beside the
    channels of images [B, H, W, C]; what the first layer makes of them is a learned embedding of
    the label. With a single class there is nothing to tell apart and nothing is added.

    Args:
      network: without labels.
      classes: K >= 1; a label outside of 0 to K - 1 makes the output NaN.
      planes: False makes columns [B, H W C + K] of images, for networks that flatten them anyway.

    Raises:
      ValueError: if the network is no `Network`, or classes is below 1.

    Reference: Mirza and Osindero, 2014, Conditional Generative Adversarial Nets.

    >>> identity = networks.from_fn(lambda key, x, *label: {}, lambda params, x: x)
    >>> conditional = networks.concat_label(identity, classes=3)
    >>> conditional.evaluate({}, {}, jnp.array([[0.5], [0.25]]), jnp.array([2, 0])).tolist()
    [[0.5, 0.0, 0.0, 1.0], [0.25, 1.0, 0.0, 0.0]]
    """
    require_networks(network=network)
    require(classes >= 1, "classes", classes, "give at least one class")

    def joined(x: Array, label: Array) -> Array:
        if classes == 1:
            return x
        x = x if planes else x.reshape(x.shape[0], -1)
        hot = numerics.one_hot(label, classes, x.dtype)  # [B, K]
        hot = hot.reshape(x.shape[0], *[1] * (x.ndim - 2), classes)
        return jnp.concatenate([x, jnp.broadcast_to(hot, (*x.shape[:-1], classes))], axis=-1)

    def mapped(apply: Callable) -> Callable:
        return lambda params, state, x, label: apply(params, state, joined(x, label))

    return Network(
        lambda key, x, label: network.init(key, joined(x, label)),
        mapped(network.apply),
        mapped(network.evaluate),
        network.precise and mapped(network.precise),
        network.rowwise,
    )


def in_dtype(network: Network, dtype: Any) -> Network:
    """The same network computing in `dtype` (for example bfloat16) over float32 parameters.

    Parameters and inputs are cast on the way in, the output back to float32 on the way out, so
    losses and optimizers stay in float32. A penalty uses the network as it was (`precise`): in a
    trained critic it is the small difference of a gradient norm and its target, which bfloat16 gets
    wrong by some per cent. With `._replace(precise=None)` the penalty is computed in `dtype` too,
    which is faster.

    bfloat16 keeps 8 bits, so 257 becomes 256:

    >>> identity = networks.from_fn(lambda key, x: {}, lambda params, x: x)
    >>> networks.in_dtype(identity, jnp.bfloat16).evaluate({}, {}, jnp.array([257.0])).tolist()
    [256.0]
    """
    require_networks(network=network)

    def cast(tree: Any, to: Any) -> Any:
        def one(leaf: Array) -> Array:
            return leaf.astype(to) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

        return jax.tree.map(one, tree)

    def apply(params: Params, state: ModelState, *inputs: Array) -> tuple[Any, ModelState]:
        y, moved = network.apply(cast(params, dtype), state, *cast(inputs, dtype))
        # Model state keeps the precision it came in with; random keys have no astype.
        keep = lambda new, old: new if new.dtype == old.dtype else new.astype(old.dtype)
        moved = jax.tree.map(keep, moved, state)
        return cast(y, jnp.float32), moved

    def evaluate(params: Params, state: ModelState, *inputs: Array) -> Any:
        y = network.evaluate(cast(params, dtype), state, *cast(inputs, dtype))
        return cast(y, jnp.float32)

    precise = network.precise or network.apply
    return Network(network.init, apply, evaluate, precise, network.rowwise)


def in_parts(network: Network, parts: int) -> Network:
    r"""The same network on a batch in `parts`, one after another: gradient accumulation.

    For batches that do not fit the memory: activations are held of one part at a time, and made
    again on the way back (`jax.checkpoint`), so an update takes about a third longer. Since losses
    and penalties still see the whole batch, its noise and all of its scores, every objective and
    every penalty is that of the whole batch up to the order of float32 sums, those that couple
    samples included (pulling away, relativistic pairs, BEGAN's balance). Give it to both players.

    It is not `rowwise`: several batches in one call would take the memory that parts save.

    What couples samples inside of the network is excepted: batch norm normalises each part by
    itself, its averages move towards the mean over the parts, and `init` warns of it. A network
    that draws noise (dropout) draws other noise.

    Args:
      network: any network whose output has one row for each sample.
      parts: K >= 1; part i is the rows i, K + i, 2 K + i, ..., so that a batch that is divided over
        devices stays so. It must divide the batch.

    Raises:
      ValueError: parts is below 1, or, when the network is traced, does not divide the batch.

    >>> identity = networks.from_fn(lambda key, x: {}, lambda params, x: x)
    >>> networks.in_parts(identity, 2).apply({}, {}, jnp.arange(4.0))[0].tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    require_networks(network=network)
    require(parts >= 1, "parts", parts, "give the whole batch as 1 part, or more parts")
    if parts == 1:
        return network

    def divided(x: Array) -> Array:  # [B, *D] -> [K, B / K, *D]
        remedy = f"give a batch that {parts} parts divide (--accumulate)"
        require(x.shape[0] % parts == 0, "batch's number of rows", x.shape[0], remedy)
        return jnp.swapaxes(x.reshape(-1, parts, *x.shape[1:]), 0, 1)

    def joined(y: Array) -> Array:  # [K, B / K, *D] -> [B, *D]
        return jnp.swapaxes(y, 0, 1).reshape(-1, *y.shape[2:])

    def mapped(apply: Callable) -> Callable:
        def run(params: Params, state: ModelState, *inputs: Array) -> tuple[Any, ModelState]:
            @jax.checkpoint
            def one(part: tuple[Array, Any]) -> tuple[Any, ModelState]:
                i, rows = part
                # Random keys in the model state: each part draws noise of its own.
                own = lambda x: jax.random.fold_in(x, i) if _is_key(x) else x
                return apply(params, jax.tree.map(own, state), *rows)

            rows = jax.tree.map(divided, inputs)
            y, moved = jax.lax.map(one, (jnp.arange(parts), rows))
            return jax.tree.map(joined, y), jax.tree.map(_mean_over_parts, moved)

        return run

    def init(key: Key, *inputs: Array) -> tuple[Params, ModelState]:
        params, state = network.init(key, *inputs)
        if depends(lambda *x: network.apply(params, state, *x)[1], *inputs):
            warnings.warn(
                f"a network that is applied in {parts} parts keeps statistics of its batches: "
                "batch norm sees one part at a time, unlike the whole batch",
                stacklevel=2,
            )
        return params, state

    precise = network.precise and mapped(network.precise)
    return Network(init, mapped(network.apply), network.evaluate, precise)


def _is_key(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _mean_over_parts(leaf: Array) -> Array:
    """Model state after all parts [K, ...]: the mean; of keys and counters the last one."""
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):
        return leaf[-1]
    return leaf.mean(axis=0).astype(leaf.dtype)


def with_spectral_norm(network: Network, iterations: int = 1, eps: float = 1e-12) -> Network:
    r"""The same network with every weight W divided by its spectral norm.

    A weight is any parameter leaf with two or more axes, taken as the matrix [-1, last axis] (for
    a convolution kernel HWIO the reshaping of the paper's code; that is the norm of a matrix, not
    of the convolution). Biases and scales are left alone. The largest singular value is
    $v^\top W u$ after power iteration on stored vectors, no gradient passing through u and v.

    Algorithm 1 takes the v of which the moved u was made; here v is made anew of the moved u, half
    an iteration more. A norm that has not settled is then nearer the true one, by some per cent.

    The vectors are model state, `{"network": ..., "u": ...}`. They move by `iterations` in every
    training `apply` whose model state is kept, so that it is not `rowwise`: in `adversarial.step`
    twice in a critic update (real, then fake), and neither in the penalty nor in the generator's
    update; `evaluate` uses them as they are.

    Args:
      network: any network with array parameters.
      iterations: power iterations in an `apply`, >= 1.
      eps: a weight with a smaller norm (zeros) is left as it is.

    Raises:
      ValueError: if the network is no `Network`, or iterations is below 1.

    Reference: Miyato et al., 2018, Spectral Normalization for GANs, Algorithm 1.

    The one weight (3, 4) has spectral norm 5, so the slopes become 0.6 and 0.8:

    >>> linear = networks.from_fn(lambda key, x: jnp.array([[3.0], [4.0]]), lambda w, x: x @ w)
    >>> network = networks.with_spectral_norm(linear)
    >>> params, model_state = network.init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> np.array(network.evaluate(params, model_state, jnp.eye(2))).round(4).tolist()
    [[0.6...], [0.8...]]
    """
    require_networks(network=network)
    require(iterations >= 1, "iterations", iterations, "give at least one power iteration")

    def init(key: Key, *inputs: Array) -> tuple[Params, ModelState]:
        key_network, key_u = jax.random.split(key)
        params, state = network.init(key_network, *inputs)
        leaves = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim >= 2]
        keys = jax.random.split(key_u, max(len(leaves), 1))
        u = [
            jax.random.normal(k, leaf.shape[-1:], leaf.dtype)
            for k, leaf in zip(keys, leaves, strict=False)
        ]
        u = [leaf / jnp.linalg.norm(leaf) for leaf in u]
        # A random u would give a poor first estimate: start from vectors that have settled.
        settle = lambda i, u: [_iterate(w, v, eps)[1] for w, v in zip(leaves, u, strict=True)]
        return params, {"network": state, "u": jax.lax.fori_loop(0, 20, settle, u)}

    def normalised(inner: Callable) -> Callable:
        def run(params: Params, state: ModelState, *inputs: Array) -> tuple[Any, ModelState]:
            params, u = _normalised(params, state["u"], iterations, eps)
            y, moved = inner(params, state["network"], *inputs)
            return y, {"network": moved, "u": u}

        return run

    def evaluate(params: Params, state: ModelState, *inputs: Array) -> Any:
        params, _ = _normalised(params, state["u"], 0, eps)
        return network.evaluate(params, state["network"], *inputs)

    precise = network.precise and normalised(network.precise)
    return Network(init, normalised(network.apply), evaluate, precise)


def _normalised(
    params: Params, vectors: list[Array], iterations: int, eps: float
) -> tuple[Params, list[Array]]:
    """Parameters with every weight over its spectral norm, and the moved vectors."""
    leaves, structure = jax.tree.flatten(params)
    rest, moved = iter(vectors), []
    for i, leaf in enumerate(leaves):
        if leaf.ndim < 2:
            continue
        u = next(rest)
        fixed = jax.lax.stop_gradient(leaf)
        for _ in range(iterations):
            _, u = _iterate(fixed, u, eps)
        v, _ = _iterate(fixed, u, eps)
        u, v = jax.lax.stop_gradient((u, v))
        sigma = v @ (_matrix(leaf) @ u)
        sigma = jnp.where(sigma > eps, sigma, 1.0)  # else the gradient at zeros is 1 / eps
        leaves[i] = (leaf / sigma).astype(leaf.dtype)
        moved.append(u)
    return jax.tree.unflatten(structure, leaves), moved


def _matrix(leaf: Array) -> Array:
    return leaf.reshape(-1, leaf.shape[-1])


def _iterate(leaf: Array, u: Array, eps: float) -> tuple[Array, Array]:
    """One power iteration: v = W u, u = W^T v, both scaled to unit length.

    Where W^T v is zero, u stays as it was: no later iteration would move a zero vector.
    """
    v = _matrix(leaf) @ u
    v = v / jnp.maximum(jnp.linalg.norm(v), eps)
    moved = _matrix(leaf).T @ v
    norm = jnp.linalg.norm(moved)
    return v, jnp.where(norm > eps, moved / jnp.maximum(norm, eps), u)
