"""Placing the same step on many devices: one global-view program, sharded over the batch."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jwgan.check import require
from jwgan.types import Algorithm, Array, Key, Prior


def data_mesh(devices: Any = None) -> Mesh:
    """A mesh with the single axis "data" over the given devices (all by default)."""
    devices = np.asarray(jax.devices() if devices is None else devices)
    return Mesh(devices, ("data",), axis_types=(AxisType.Auto,))


def sharded_prior(prior: Prior, mesh: Mesh) -> Prior:
    """The same latents, each device making its own rows.

    Without it the noise is replicated, and every device then runs the whole generated batch.
    """

    def sample(key: Key, num: int) -> Array:
        return jax.lax.with_sharding_constraint(prior(key, num), NamedSharding(mesh, P("data")))

    return sample


def sharded_step(algorithm: Algorithm, mesh: Mesh) -> Callable[[Any, Array], tuple[Any, Any]]:
    """The compiled step with the batch axis split over the mesh and the state replicated.

    The program is the single-device one: same random numbers, batch statistics over the global
    batch. Results agree up to the order of float32 sums. Build the algorithm with
    `sharded_prior(prior, mesh)`.

    Raises:
      ValueError: when called with a batch size that the devices do not divide.
    """
    replicated, split = NamedSharding(mesh, P()), NamedSharding(mesh, P(None, "data"))
    jitted = jax.jit(
        algorithm.step, in_shardings=(replicated, split), out_shardings=(replicated, replicated)
    )

    def step(state: Any, batch: Array) -> tuple[Any, Any]:
        num, devices = batch.shape[1], mesh.devices.size
        remedy = f"give a multiple of the {devices} devices"
        require(num % devices == 0, "batch size", num, remedy)
        return jitted(state, batch)

    return step
