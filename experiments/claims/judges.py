"""Compares trained critics and discriminators with the truth, for claims with an exact answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.claims import ledger
from experiments.divergences import fitting


def train(
    family: Any, thetas: Sequence[float], seeds: Sequence[int], steps: int, quick: bool
) -> dict[str, Any]:
    """Trains each of `fitting`'s estimators at each theta, with each of the seeds.

    A quick run trains none, since their programs alone take longer to compile than it has: all is
    NaN, which leaves their conditions open.

    Returns:
      {estimator: {metric: [T, K]}}, see `fitting.evaluate`.
    """
    found = {}
    for name in fitting.ESTIMATORS:
        estimator = fitting.make_estimator(name)
        if quick:
            metrics = ["estimate", *(f"{loss}_gradient" for loss in estimator.losses)]
            found[name] = dict.fromkeys(metrics, np.full((len(thetas), len(seeds)), np.nan))
        else:
            found[name] = fitting.train_grid(estimator, family, thetas, list(seeds), steps=steps)
    return found


def worst(values: Any, truth: Any, relative: bool) -> tuple[float, float, float]:
    """Finds the largest error over theta of the median over seeds, with its interval over seeds.

    Args:
      values: [T, K].
      truth: [T].
      relative: divide each error by the truth's size.
    """
    values, truth = np.asarray(values, float), np.asarray(truth, float)[:, None]

    # Seeds are resampled, not values: a seed's critics at all thetas stay together.
    def statistic(index: Any) -> Any:  # [..., K] -> [...]
        columns = values[:, index.astype(int)]
        middle = np.median(columns, axis=-1).reshape(len(values), -1)
        error = np.abs(middle - truth) / (np.abs(truth) if relative else 1.0)
        return error.max(axis=0).reshape(index.shape[:-1])

    return ledger.interval(np.arange(values.shape[1]), statistic)
