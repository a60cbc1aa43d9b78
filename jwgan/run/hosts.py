"""One run on several devices and processes: who they are, where arrays lie, when all of them stop.

Every process runs the same program on the same global arrays. Only the first writes; the run's
directory must be one that all of them see.

>>> mesh = parallel.data_mesh(jax.devices())
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jwgan import check, numerics, parallel
from jwgan.run import xla

HEARTBEAT = 20  # seconds without a sign of life until a process counts as lost


def start(config: Any) -> None:
    """Joins the run's processes, if the options say that there are several.

    Raises:
      ValueError: if an option is missing, or the launcher cannot be recognised.

    >>> hosts.start(run.Config())  # a process alone joins nobody
    >>> hosts.start(run.Config(distributed=True))
    Traceback (most recent call last):
    ValueError: run_dir is None: give --run-dir, a directory that all processes see
    """
    # If all are None, the launcher (Slurm, mpirun, ...) tells JAX who the processes are.
    given = (config.coordinator, config.num_processes, config.process_id)
    if not config.distributed and given == (None, None, None):
        return
    if None in given and given != (None, None, None):
        raise ValueError(
            f"coordinator, num_processes, process_id are {given}: give all three, or only "
            "--distributed under Slurm, Open MPI, GKE or on a Cloud TPU"
        )
    # Without --run-dir each process would number a directory of its own.
    if not config.run_dir:
        raise ValueError("run_dir is None: give --run-dir, a directory that all processes see")
    try:
        jax.distributed.initialize(
            coordinator_address=config.coordinator,
            num_processes=config.num_processes,
            process_id=config.process_id,
            # JAX's own limits are 100 and 300 seconds: so long the others would wait for a process
            # that was lost.
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=HEARTBEAT,
        )
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"the processes cannot be joined: {check.one_line(error)}") from error
    if jax.default_backend() == "cpu":
        xla.let_every_process_write()
    # The error of a lost neighbour reaches us as an exception in the middle of a step.
    sys.excepthook = _leave


def _leave(kind: type, error: BaseException, trace: Any) -> None:
    """Ends a process at once: an orderly end would wait minutes for those that are gone."""
    del kind, trace
    print(
        f"error: process {jax.process_index()} stops: {check.one_line(error)}; "
        "if another process was lost, start all of them again with --resume",
        file=sys.stderr,
        flush=True,
    )
    # os._exit runs no exit handlers: JAX's own waits at a barrier for all processes.
    os._exit(1)


def make_mesh(config: Any) -> Any:
    """The mesh of the run's devices; None for a single one.

    Without --devices the most are used that divide the batch, as many of each process; one line on
    stderr says if some are left idle.

    Raises:
      ValueError: if there are fewer devices than asked for, or they do not divide the batch.

    >>> print(hosts.make_mesh(run.Config(devices=1)))
    None
    >>> hosts.make_mesh(run.Config(devices=0))
    Traceback (most recent call last):
    ValueError: devices is 0: there are ...; give at most so many
    """
    there, processes = jax.devices(), jax.process_count()
    if config.devices is None:
        return _mesh_that_divides(config.batch_size, there, processes)
    num = config.devices
    # Several processes use all their devices: one that is left out would have no part of the
    # arrays.
    if not 1 <= num <= len(there) or (processes > 1 and num != len(there)):
        raise ValueError(f"devices is {num}: there are {len(there)}; give at most so many")
    # The batch axis is divided evenly: `sharding.over_data` refuses anything else, in the middle of
    # a trace.
    if config.batch_size % num:
        raise ValueError(f"batch_size is {config.batch_size}: give a multiple of the {num} devices")
    return parallel.data_mesh(there[:num]) if num > 1 else None


def _mesh_that_divides(batch_size: int, there: Sequence[Any], processes: int) -> Any:
    """The mesh of the most devices, equally many of each process, that divide the batch."""
    # Several CPU devices exist only where a flag made them, to try things out: they are used when
    # --devices asks for them.
    if processes == 1 and jax.default_backend() == "cpu":
        return None
    groups = [[d for d in there if d.process_index == p] for p in range(processes)]
    divides = lambda each: batch_size % (each * processes) == 0
    each = max(filter(divides, range(1, min(map(len, groups)) + 1)), default=0)
    if not each:
        raise ValueError(
            f"batch_size is {batch_size}: give a multiple of the {processes} processes"
        )
    used = [device for group in groups for device in group[:each]]
    if len(used) < len(there) and is_first():
        idle = f"{len(used)} of {len(there)} devices are used: more do not divide"
        print(f"{idle} --batch-size {batch_size}", file=sys.stderr)
    return parallel.data_mesh(used) if len(used) > 1 else None


def placed(state: Any, mesh: Any) -> Any:
    """A state, equal in every process, whole on every device of the mesh.

    >>> state = hosts.placed({"w": jnp.array([1.0, 2.0])}, mesh)
    >>> state["w"].sharding.is_fully_replicated, state["w"].tolist()
    (True, [1.0, 2.0])
    """
    if mesh is None:
        return state
    # PartitionSpec() divides no axis: every device has all of the state.
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    # Typed keys do not travel through NumPy: their numbers do, and are wrapped again inside.
    host = jax.device_get(jax.tree.map(_data, state))

    def rebuild(tree: Any) -> Any:
        return jax.tree.map(_like, tree, state)

    # A program whose outputs lie on the mesh places them on the devices of all processes.
    return jax.jit(rebuild, out_shardings=whole)(host)


def _data(leaf: Any) -> Any:
    """The numbers of an array or a typed key."""
    return jax.random.key_data(leaf) if numerics.is_key(leaf) else leaf


def _like(data: Any, leaf: Any) -> Any:
    """The inverse of `_data`: a typed key again where `leaf` is one."""
    impl = jax.random.key_impl(leaf) if numerics.is_key(leaf) else None
    return jax.random.wrap_key_data(data, impl=impl) if impl else data


def local(state: Any, mesh: Any) -> Any:
    """This process's copy of a replicated state, for programs it runs alone.

    >>> hosts.local(hosts.placed({"w": jnp.array([1.0, 2.0])}, mesh), mesh)["w"].tolist()
    [1.0, 2.0]
    """
    if mesh is None:
        return state

    # Every device has the whole state, so the first shard of this process is all of it. A program
    # on a global array would need every process to run it.
    return jax.tree.map(lambda leaf: _like(_data(leaf).addressable_data(0), leaf), state)


def is_first() -> bool:
    """Whether this process is the one that writes.

    >>> hosts.is_first()  # a process alone
    True
    """
    return jax.process_index() == 0


def largest(number: int) -> int:
    """Maximum of `number` over all processes. A collective: every process must call it.

    >>> hosts.largest(7)  # a process alone
    7
    """
    if jax.process_count() == 1:
        return number
    return int(np.max(multihost_utils.process_allgather(np.array(number))))


def wait_for_all(name: str) -> None:
    """Waits until every process has called it with this name.

    >>> hosts.wait_for_all("saved")  # a process alone goes on at once
    """
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
