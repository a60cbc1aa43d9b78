"""Checkpoints of a whole state, each byte checked before it is used.

`store` writes and restores them (through orbax); `leaves` takes a state apart and puts it together.
"""

from jwgan.checkpoint.leaves import CheckpointError, state_sha256
from jwgan.checkpoint.store import Checkpoints, Found, Restored, extras, read, restore, steps

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "Found",
    "Restored",
    "extras",
    "read",
    "restore",
    "state_sha256",
    "steps",
]
