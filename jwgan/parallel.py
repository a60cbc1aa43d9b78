"""The same step on many devices and hosts: jit with shardings, shard_map, or pmap.

All three run the one adversarial step on the global batch, with the random numbers of the global
sample index, so 1, 2, 4 and 8 devices give the same run up to the order of float32 sums.

* `jax.set_mesh(data_mesh())` around `loop.train`, or `sharded_step`: one global-view program, which
  the compiler divides. Batch statistics are global by construction. The default.
* `shard_map_step`, `pmap_step`: the program of one device, written out. Build the algorithm with
  networks wrapped by `per_device`: each runs its own rows and gathers the outputs; all that is
  small (losses, penalties' norms, optimizers) is computed everywhere.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jwgan.check import require
from jwgan.types import Algorithm, Array, ModelState, Network, Params

Step = Callable[[Any, Array], tuple[Any, Any]]
AXIS = "data"


def data_mesh(devices: Any = None) -> Mesh:
    """A mesh with the single axis "data" over the given devices (all by default)."""
    devices = np.asarray(jax.devices() if devices is None else devices)
    return Mesh(devices, (AXIS,), axis_types=(AxisType.Auto,))


def seeds_mesh(seed_groups: int, devices: Any = None) -> Mesh:
    """A mesh with axes "seed" and "data": K seeds divided among groups of devices.

    Args:
      seed_groups: how many groups; each trains its part of the seeds, on batches split within it.
      devices: all by default.

    Raises:
      ValueError: if the groups do not divide the devices.
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
    """The compiled step with the batch axis split over the mesh and the state replicated.

    The program is the single-device one. Results agree up to the order of float32 sums.

    Raises:
      ValueError: when called with a batch size that the devices do not divide.
    """
    whole, split = NamedSharding(mesh, P()), NamedSharding(mesh, P(None, AXIS))
    jitted = jax.jit(algorithm.step, in_shardings=(whole, split), out_shardings=(whole, whole))

    def step(state: Any, batch: Array) -> tuple[Any, Any]:
        _check_rows(batch.shape[1], mesh.shape[AXIS])
        with jax.set_mesh(mesh):
            return jitted(state, batch)

    return step


def sharded_seeds_step(algorithm: Algorithm, mesh: Mesh) -> Step:
    """K runs side by side on a `seeds_mesh`: states [K, ...], batches [K, n_critic, B, *D].

    Raises:
      ValueError: when called with K or a batch size that the mesh does not divide.
    """
    by_seed = NamedSharding(mesh, P("seed"))
    split = NamedSharding(mesh, P("seed", None, AXIS))
    jitted = jax.jit(
        jax.vmap(algorithm.step, spmd_axis_name="seed"),
        in_shardings=(by_seed, split),
        out_shardings=(by_seed, by_seed),
    )

    def step(states: Any, batches: Array) -> tuple[Any, Any]:
        groups = mesh.shape["seed"]
        remedy = f"give a multiple of the {groups} groups"
        require(batches.shape[0] % groups == 0, "number of seeds", batches.shape[0], remedy)
        _check_rows(batches.shape[2], mesh.shape[AXIS])
        with jax.set_mesh(mesh):
            return jitted(states, batches)

    return step


@jax.custom_vjp
def _shared(x: Any) -> Any:
    """The same value on every device; its gradient is the mean over them.

    Every device computes the whole loss, so the devices' gradients add up to as many times the
    right one as there are devices, spread unevenly: their mean is right everywhere.
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
    """

    def on_rows(apply: Callable) -> Callable:
        def run(params: Params, state: ModelState, x: Array) -> tuple[Any, ModelState]:
            devices = jax.lax.axis_size(AXIS)
            _check_rows(len(x), devices)
            rows = len(x) // devices
            mine = jax.lax.dynamic_slice_in_dim(_shared(x), jax.lax.axis_index(AXIS) * rows, rows)
            y, state = apply(_shared(params), state, mine)
            gather = lambda leaf: jax.lax.all_gather(leaf, AXIS, tiled=True)
            return jax.tree.map(gather, y), state

        return run

    precise = network.precise and on_rows(network.precise)
    return network._replace(apply=on_rows(network.apply), precise=precise)


def _on_global_batch(algorithm: Algorithm) -> Step:
    """The step given this device's rows of the batch."""

    def step(state: Any, rows: Array) -> tuple[Any, Any]:
        return algorithm.step(state, jax.lax.all_gather(rows, AXIS, axis=1, tiled=True))

    return step


def shard_map_step(algorithm: Algorithm, mesh: Mesh) -> Step:
    """The compiled step as a program for each device; networks wrapped by `per_device`.

    Raises:
      ValueError: when called with a batch size that the devices do not divide.
    """
    # check_vma would sum the gradients of replicated parameters by itself; `_shared` does it here,
    # in the way that is also right under pmap
    mapped = jax.shard_map(
        _on_global_batch(algorithm),
        mesh=mesh,
        in_specs=(P(), P(None, AXIS)),
        out_specs=P(),
        check_vma=False,
    )
    jitted = jax.jit(mapped)

    def step(state: Any, batch: Array) -> tuple[Any, Any]:
        _check_rows(batch.shape[1], mesh.shape[AXIS])
        return jitted(state, batch)

    return step


def pmap_step(algorithm: Algorithm, devices: Any = None) -> Step:
    """The step under `jax.pmap`, which JAX keeps in maintenance; networks wrapped by `per_device`.

    States have a leading device axis: `replicate` makes it, `state[0]` of every leaf undoes it.

    Raises:
      ValueError: when called with a batch size that the devices do not divide.
    """
    devices = list(jax.devices() if devices is None else devices)
    mapped = jax.pmap(_on_global_batch(algorithm), axis_name=AXIS, devices=devices)

    def step(states: Any, batch: Array) -> tuple[Any, Any]:
        _check_rows(batch.shape[1], len(devices))
        n_critic, num = batch.shape[:2]
        rows = batch.reshape(n_critic, len(devices), num // len(devices), *batch.shape[2:])
        return mapped(states, jnp.moveaxis(rows, 1, 0))

    return step


def replicate(state: Any, num: int) -> Any:
    """A state with a leading axis of `num` devices, for `pmap_step`."""
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * num), state)
