"""Brings an old run up to date: what its checkpoints lack gets the value of a run's start.

    python -m experiments.upgrade RUN_DIR

Whatever a checkpoint has is kept bit for bit; a part that it lacks gets the value that it has at
the start of a run. The old checkpoints stay in checkpoints.old, and config.json names what was
added. A run whose states have parts that are gone, or of another shape, is refused.
"""

from experiments import sample
from jwgan.run import upgrade

if __name__ == "__main__":
    upgrade.main(sample.find, doc=__doc__)
