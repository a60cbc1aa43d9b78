"""Says where arrays lie on the ambient mesh, the one that `with jax.set_mesh(mesh):` has set.

`loop.train(..., mesh=parallel.data_mesh())` and `parallel.sharded_step` set one. Without a mesh
both functions return their argument: a value's place changes neither the program nor its numbers.
"""

from typing import Any

import jax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from jwgan.check import require
from jwgan.types import Array


def _ambient() -> Any:
    """The mesh around the traced program, if it has an axis "data" that the compiler divides."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or "data" not in mesh.axis_names:
        return None
    kind = mesh.axis_types[mesh.axis_names.index("data")]
    return mesh if kind == AxisType.Auto else None  # not inside shard_map or pmap


def over_data(x: Any, axis: int = 0) -> Any:
    """`x` with one axis split over the mesh's axis "data".

    Apply this to noise. Otherwise every device draws the whole batch and runs the whole generator
    on it.

    Args:
      x: array of any shape, or a tree of arrays.
      axis: which axis holds the samples.

    Raises:
      ValueError: if the devices do not divide the axis.

    >>> noise = jnp.zeros((4, 2))
    >>> sharding.over_data(noise) is noise  # no mesh is set
    True
    >>> with jax.set_mesh(parallel.data_mesh()):
    ...     noise = jax.jit(sharding.over_data)(jnp.zeros(3 * jax.device_count()))
    >>> {shard.data.shape for shard in noise.addressable_shards}  # 3 samples on each device
    {(3,)}
    """
    mesh = _ambient()
    if mesh is None:
        return x
    size = mesh.shape["data"]
    remedy = f"give a multiple of the {size} devices"

    def divided(leaf: Array) -> Array:
        require(leaf.shape[axis] % size == 0, "batch size", leaf.shape[axis], remedy)
        spec: list[Any] = [P.UNCONSTRAINED] * leaf.ndim
        spec[axis] = "data"
        return jax.lax.with_sharding_constraint(leaf, P(*spec))

    return jax.tree.map(divided, x)


def replicated(tree: Any) -> Any:
    """The same tree, every array of it whole on every device of the data axis.

    >>> with jax.set_mesh(parallel.data_mesh()):
    ...     jax.jit(sharding.replicated)({"w": jnp.zeros(2)})["w"].is_fully_replicated
    True
    """
    mesh = _ambient()
    return tree if mesh is None else jax.lax.with_sharding_constraint(tree, P())
