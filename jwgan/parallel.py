"""Runs the same step on many devices and hosts: jit with shardings, shard_map, or pmap.

All three run the one adversarial step on the global batch, with the random numbers of the global
sample index, so 1, 2, 4 and 8 devices give the same run up to the order of float32 sums.

* `loop.train(..., mesh=data_mesh())`, or `sharded_step`: one program for the global batch, which
  the compiler divides. Batch statistics are global by construction. The default.
* `shard_map_step`, `pmap_step`: the program of one device, written out. Build the algorithm with
  networks wrapped by `per_device`: each device runs its own rows and gathers the outputs; all that
  is small (losses, penalties' norms, optimizers) is computed on every device.

The examples run on however many devices there are:

    >>> devices = jax.device_count()
    >>> critic = networks.from_fn(lambda key, x: jnp.array([3.0, 4.0]), lambda w, x: x @ w)
    >>> generator = networks.from_fn(lambda key, z: jnp.zeros((1, 2)), lambda shift, z: z + shift)
    >>> batch = jnp.ones((1, 2 * devices, 2))  # n_critic 1
    >>> def member(wrap=lambda network: network):
    ...     return jwgan.wgan_gp(wrap(critic), wrap(generator), prior=priors.normal(2))
    >>> state = member().init(jax.random.key(0), batch)
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jwgan.check import require
from jwgan.types import Algorithm, Array, Data, ModelState, Network, Params

Step = Callable[[Any, Data], tuple[Any, Any]]
AXIS = "data"


def data_mesh(devices: Any = None) -> Mesh:
    """Makes a mesh with the single axis "data" over the given devices, all by default.

    >>> parallel.data_mesh(jax.devices()[:1]).axis_names
    ('data',)
    """
    devices = np.asarray(jax.devices() if devices is None else devices)
    return Mesh(devices, (AXIS,), axis_types=(AxisType.Auto,))


def seeds_mesh(seed_groups: int, devices: Any = None) -> Mesh:
    """Makes a mesh with axes "seed" and "data": K seeds divided among groups of devices.

    Args:
      seed_groups: how many groups; each trains its part of the seeds, on batches split within it.
      devices: all by default.

    Raises:
      ValueError: if the groups do not divide the devices.

    >>> parallel.seeds_mesh(1, jax.devices()[:1]).axis_names
    ('seed', 'data')
    """
    devices = np.asarray(jax.devices() if devices is None else devices)
    remedy = f"give a divisor of the {devices.size} devices"
    good = seed_groups >= 1 and devices.size % seed_groups == 0
    require(good, "seed_groups", seed_groups, remedy)
    grid = devices.reshape(seed_groups, -1)
    return Mesh(grid, ("seed", AXIS), axis_types=(AxisType.Auto,) * 2)


def _check_rows(num: int, devices: int) -> None:
    require(num % devices == 0, "batch size", num, f"give a multiple of the {devices} devices")


def sharded_step(algorithm: Algorithm, mesh: Mesh) -> Step:
    """Compiles the step with the batch axis split over the mesh and the state replicated.

    The program is the single-device one. Results agree up to the order of float32 sums.

    Args:
      algorithm: any member.
      mesh: from `data_mesh`.

    Returns:
      `(state, batch [n_critic, B, *D]) -> (state, info)`.

    Raises:
      ValueError: when called with a batch size that the devices do not divide.

    >>> step = parallel.sharded_step(member(), parallel.data_mesh())
    >>> _, info = step(state, batch)
    >>> round(info.penalty.item(), 2)  # 10 (5 - 1)^2
    160.0
    """
    whole, split = NamedSharding(mesh, P()), NamedSharding(mesh, P(None, AXIS))
    # With the state whole and the batch split the compiler divides the rest and adds the sums.
    jitted = jax.jit(algorithm.step, in_shardings=(whole, split), out_shardings=(whole, whole))

    def step(state: Any, batch: Data) -> tuple[Any, Any]:
        _check_rows(batch.shape[1], mesh.shape[AXIS])
        with jax.set_mesh(mesh):
            return jitted(state, batch)

    return step


def sharded_seeds_step(algorithm: Algorithm, mesh: Mesh) -> Step:
    """Compiles the step of K runs side by side on a `seeds_mesh`.

    Args:
      algorithm: any member.
      mesh: from `seeds_mesh`.

    Returns:
      `(states [K, ...], batches [K, n_critic, B, *D]) -> (states, infos [K])`.

    Raises:
      ValueError: when called with K or a batch size that the mesh does not divide.

    >>> step = parallel.sharded_seeds_step(member(), parallel.seeds_mesh(1))
    >>> states = jax.vmap(member().init, (0, None))(many.keys([0, 1]), batch)
    >>> _, infos = step(states, jnp.stack([batch, batch]))
    >>> np.round(infos.penalty, 2).tolist()
    [160.0, 160.0]
    """
    by_seed = NamedSharding(mesh, P("seed"))
    split = NamedSharding(mesh, P("seed", None, AXIS))
    jitted = jax.jit(
        # spmd_axis_name: the constraints inside the step leave the axis of the seeds divided.
        jax.vmap(algorithm.step, spmd_axis_name="seed"),
        in_shardings=(by_seed, split),
        out_shardings=(by_seed, by_seed),
    )

    def step(states: Any, batches: Data) -> tuple[Any, Any]:
        groups = mesh.shape["seed"]
        remedy = f"give a multiple of the {groups} groups"
        require(batches.shape[0] % groups == 0, "number of seeds", batches.shape[0], remedy)
        _check_rows(batches.shape[2], mesh.shape[AXIS])
        with jax.set_mesh(mesh):
            return jitted(states, batches)

    return step


@jax.custom_vjp
def _shared(x: Any) -> Any:
    """The identity on a value that is the same on every device; its gradient is the devices' mean.

    Every device computes the whole loss. The gradients of N devices therefore add up to N times the
    right one, unevenly spread over the devices: their mean is right, and the same, on each of them.
    """
    return x


def _shared_backward(_: None, gradient: Any) -> tuple[Any]:
    return (jax.lax.pmean(gradient, AXIS),)


_shared.defvjp(lambda x: (x, None), _shared_backward)


def per_device(network: Network) -> Network:
    """The same network, run on this device's rows inside `shard_map_step` or `pmap_step`.

    It takes and returns the global batch: rows are cut on the way in and gathered on the way out.
    Layers with statistics over the batch must be told to take them over the axis "data", for
    example flax's `BatchNorm(axis_name="data")`.

    >>> parallel.per_device(critic).init(jax.random.key(0), batch[0])  # outside it is as before
    (Array([3., 4.], dtype=float32), {})
    """

    def on_rows(apply: Callable) -> Callable:
        def run(
            params: Params, state: ModelState, x: Array, *label: Array
        ) -> tuple[Any, ModelState]:
            devices = jax.lax.axis_size(AXIS)
            _check_rows(len(x), devices)
            rows = len(x) // devices
            first = jax.lax.axis_index(AXIS) * rows
            cut = lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, rows)
            # What enters is the same on every device, so its gradient must be made the same too;
            # labels have none.
            y, state = apply(_shared(params), state, cut(_shared(x)), *map(cut, label))
            gather = lambda leaf: jax.lax.all_gather(leaf, AXIS, tiled=True)
            return jax.tree.map(gather, y), state

        return run

    precise = network.precise and on_rows(network.precise)
    return network._replace(apply=on_rows(network.apply), precise=precise)


def _on_global_batch(algorithm: Algorithm) -> Step:
    """The step as a function of this device's rows of the batch."""

    def step(state: Any, rows: Data) -> tuple[Any, Any]:
        # The step draws its noise for the global batch and so needs the global batch; `per_device`
        # cuts it again, so the networks run on this device's rows alone.
        return algorithm.step(state, jax.lax.all_gather(rows, AXIS, axis=1, tiled=True))

    return step


def shard_map_step(algorithm: Algorithm, mesh: Mesh) -> Step:
    """Compiles the step as a program for each device.

    Args:
      algorithm: a member whose networks are wrapped by `per_device`.
      mesh: from `data_mesh`.

    Returns:
      `(state, batch [n_critic, B, *D]) -> (state, info)`.

    Raises:
      ValueError: when called with a batch size that the devices do not divide.

    >>> step = parallel.shard_map_step(member(parallel.per_device), parallel.data_mesh())
    >>> _, info = step(state, batch)
    >>> round(info.penalty.item(), 2)
    160.0
    """
    # With check_vma JAX would sum the gradients of replicated parameters by itself. `_shared` does
    # it here, in the way that is also right under pmap.
    mapped = jax.shard_map(
        _on_global_batch(algorithm),
        mesh=mesh,
        in_specs=(P(), P(None, AXIS)),
        out_specs=P(),
        check_vma=False,
    )
    jitted = jax.jit(mapped)

    def step(state: Any, batch: Data) -> tuple[Any, Any]:
        _check_rows(batch.shape[1], mesh.shape[AXIS])
        return jitted(state, batch)

    return step


def pmap_step(algorithm: Algorithm, devices: Any = None) -> Step:
    """Compiles the step under `jax.pmap`, which JAX keeps in maintenance.

    States have a leading device axis: `replicate` makes it, `state[0]` of every leaf undoes it.

    Args:
      algorithm: a member whose networks are wrapped by `per_device`.
      devices: all by default.

    Returns:
      `(states [devices, ...], batch [n_critic, B, *D]) -> (states, infos [devices])`.

    Raises:
      ValueError: when called with a batch size that the devices do not divide.

    >>> step = parallel.pmap_step(member(parallel.per_device))
    >>> _, infos = step(parallel.replicate(state, devices), batch)
    >>> round(infos.penalty[0].item(), 2)
    160.0
    """
    devices = list(jax.devices() if devices is None else devices)
    mapped = jax.pmap(_on_global_batch(algorithm), axis_name=AXIS, devices=devices)

    def step(states: Any, batch: Data) -> tuple[Any, Any]:
        _check_rows(batch.shape[1], len(devices))
        n_critic, num = batch.shape[:2]
        shape = (n_critic, len(devices), num // len(devices))
        # [n_critic, B, ...] -> [devices, n_critic, B / devices, ...]
        cut = lambda leaf: jnp.moveaxis(leaf.reshape(*shape, *leaf.shape[2:]), 1, 0)
        return mapped(states, jax.tree.map(cut, batch))

    return step


def replicate(state: Any, num: int) -> Any:
    """Copies a state along a new leading axis of `num` devices, for `pmap_step`.

    >>> parallel.replicate({"w": jnp.array([1.0, 2.0])}, 3)["w"].shape
    (3, 2)
    """
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * num), state)
