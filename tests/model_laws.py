"""What every image critic and generator in jwgan.models must obey, whatever its layers."""

import jax
import jax.numpy as jnp
import numpy as np

from jwgan import networks
from jwgan.types import score_of

BATCH, LATENT = 3, 5


def network(module, train_argument):
    if not train_argument:
        return networks.from_linen(module)
    return networks.from_linen(module, **networks.TRAIN_ARGUMENT)


def shapes(module, x):
    """Path of every parameter -> its shape; nothing is computed."""
    variables = jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct(x, "float32"))
    return {name: leaf.shape for name, leaf in named(variables["params"]).items()}


def named(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(p, simple=True, separator="/"): leaf for p, leaf in leaves}


def images(image_shape, batch=BATCH):
    return jax.random.uniform(jax.random.key(1), (batch, *image_shape), minval=-1, maxval=1)


def shaken(params):
    """Biases and scales away from their initial 0 and 1, where some gradients would vanish."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(7, impl="rbg"), len(leaves))
    noise = [
        leaf + 0.1 * jax.random.normal(k, leaf.shape) if leaf.ndim < 2 else leaf
        for k, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, noise)


def assert_alive(gradient, cancelled=()):
    """Every leaf's gradient is finite and not zero; `cancelled` ones are zero but for rounding."""
    norms = {k: float(jnp.abs(leaf).max()) for k, leaf in named(gradient).items()}
    assert all(np.isfinite(n) for n in norms.values()), norms
    scale = float(np.median(list(norms.values())))
    assert scale > 0
    dead = {name for name, n in norms.items() if n < 1e-5 * scale}
    assert dead == set(cancelled)


# What optimizing a program costs is not worth it for one run: this compiles 2 to 3 times faster.
QUICKLY: dict[str, bool | int] = {"xla_backend_optimization_level": 0}
if jax.version.__version_info__ < (0, 11):  # later ones have no such option
    QUICKLY["xla_cpu_use_fusion_emitters"] = False


def run(function, *args):
    """`function(*args)`, compiled for one run."""
    return jax.jit(function, compiler_options=QUICKLY)(*args)


def check_critic(module, image_shape, *, train_argument=True, cancelled=()):
    """Shape and dtype; per-sample; a penalised loss trains every leaf, by second derivatives."""
    net, x = network(module, train_argument), images(image_shape)
    weights = jnp.arange(1.0, BATCH + 1)

    def loss(params, state):
        def score(x):
            output = net.apply(params, state, x)[0]
            return score_of(output), output

        y, pull, output = jax.vjp(score, x, has_aux=True)
        (first,) = pull(jnp.zeros(BATCH).at[0].set(1.0))  # gradient of the first score
        penalty = (jnp.sqrt((first**2).sum() + 1e-12) - 1) ** 2
        return (weights * y).sum() + penalty, (output, first)

    def everything(key):
        params, state = net.init(key, x)
        return jax.grad(loss, has_aux=True)(shaken(params), state)

    gradient, (output, first) = run(everything, jax.random.key(0, impl="rbg"))
    y = score_of(output)
    assert y.shape == (BATCH,)
    assert y.dtype == jnp.float32
    assert float(jnp.ptp(y)) > 0
    assert float(jnp.abs(first[1:]).max()) == 0 < float(jnp.abs(first[0]).max())
    assert net.rowwise  # as was just seen
    assert_alive(gradient, cancelled)
    return output


def check_generator(
    module, image_shape, *, train_argument=True, batch_norm=True, bounded=True, cancelled=()
):
    """Shape, range and dtype; every leaf trains; with batch norm the stored averages are used."""
    net = network(module, train_argument)
    z = jax.random.normal(jax.random.key(2), (BATCH, LATENT))
    direction = jax.random.normal(jax.random.key(3), (BATCH, *image_shape))

    def loss(params, state):
        x, moved = net.apply(params, state, z)
        return (direction * x).sum(), (x, moved)

    def everything(key):
        params, state = net.init(key, z)
        params = shaken(params)
        gradient, (x, moved) = jax.grad(loss, has_aux=True)(params, state)
        evaluated = (net.evaluate(params, moved, z), net.evaluate(params, moved, z[:2]))
        return x, state, moved, gradient, evaluated

    x, state, moved, gradient, (all_three, first_two) = run(
        everything, jax.random.key(0, impl="rbg")
    )
    assert x.shape == (BATCH, *image_shape)
    assert x.dtype == jnp.float32
    assert float(jnp.abs(x).max()) <= 1 or not bounded
    assert float(jnp.abs(x[0] - x[1]).max()) > 1e-4
    np.testing.assert_allclose(all_three[:2], first_two, atol=1e-6)
    assert (float(jnp.abs(x - all_three).max()) > 1e-4) == batch_norm
    assert bool(jax.tree.leaves(state)) == batch_norm
    if batch_norm:
        for before, after in zip(jax.tree.leaves(state), jax.tree.leaves(moved), strict=True):
            assert float(jnp.abs(before - after).max()) > 0
    assert_alive(gradient, cancelled)


def check_lowers_for_accelerators(module, x_shape):
    """The gradient of a function of the output, lowered from here for machines that are not."""
    x = jax.ShapeDtypeStruct(x_shape, "float32")
    variables = jax.eval_shape(module.init, jax.random.key(0), x)

    def loss(variables, x):
        return score_of(module.apply(variables, x, mutable=list(variables))[0]).sum()

    def gradients(variables, x):
        params = variables["params"]
        return jax.grad(lambda p, x: loss({**variables, "params": p}, x), (0, 1))(params, x)

    traced = jax.jit(gradients).trace(variables, x)
    for platform in ("tpu", "cuda"):
        assert "convolution" in traced.lower(lowering_platforms=(platform,)).as_text()
