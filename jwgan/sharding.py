"""Where arrays lie on the ambient mesh; nothing at all where there is none.

`with jax.set_mesh(parallel.data_mesh()):` is what turns these on. They only say where a value is
kept: the program and its numbers are the same on one device and on many.
"""

from typing import Any

import jax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from jwgan.check import require
from jwgan.types import Array


def _ambient() -> Any:
    """The mesh around the traced program, if it has a "data" axis the compiler divides by."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or "data" not in mesh.axis_names:
        return None
    kind = mesh.axis_types[mesh.axis_names.index("data")]
    return mesh if kind == AxisType.Auto else None  # not inside shard_map or pmap


def over_data(x: Array, axis: int = 0) -> Array:
    """`x` with one axis split over the mesh's axis "data".

    Noise has to be told: drawn where it is needed, it is drawn whole on every device, and every
    device then runs the whole generated batch.

    Raises:
      ValueError: if the devices do not divide the axis.
    """
    mesh = _ambient()
    if mesh is None:
        return x
    size = mesh.shape["data"]
    remedy = f"give a multiple of the {size} devices"
    require(x.shape[axis] % size == 0, "batch size", x.shape[axis], remedy)
    spec: list[Any] = [P.UNCONSTRAINED] * x.ndim
    spec[axis] = "data"
    return jax.lax.with_sharding_constraint(x, P(*spec))


def replicated(tree: Any) -> Any:
    """Every array of the tree whole on every device of the data axis."""
    mesh = _ambient()
    return tree if mesh is None else jax.lax.with_sharding_constraint(tree, P())
