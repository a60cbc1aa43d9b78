"""Checkpoints of a whole state, each byte checked before it is used.

`store` writes and restores them (through orbax); `leaves` takes a state apart and puts it together.
"""

from jwgan.checkpoint.leaves import CheckpointError, state_sha256
from jwgan.checkpoint.store import Checkpoints, Restored, extras, restore, steps

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "Restored",
    "extras",
    "restore",
    "state_sha256",
    "steps",
]
