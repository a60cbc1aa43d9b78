"""Measures a finished or running run: quality of its samples, exact W1, the critic's estimate.

    python -m experiments.measure RUN_DIR
    python -m experiments.measure RUN_DIR --trial 3 --json      # of a run with --seeds or --sweep

Metrics are those that a run measures itself: quality as at its end, W1 as with --w1-every. They are
of the newest whole checkpoint, and printed as one JSON object.
"""

from experiments import sample
from jwgan.run import measure

if __name__ == "__main__":
    measure.main(sample.find, doc=__doc__)
