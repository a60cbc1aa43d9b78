"""Trained critics and discriminators against the truth, for the claims with an exact answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.claims import ledger
from experiments.divergences import fitting

FIRST_SEED = 16  # keys that the recorded runs of parallel_lines and divergences have not seen


def train(
    family: Any, thetas: Sequence[float], seeds: int, steps: int, quick: bool
) -> dict[str, Any]:
    """{judge: {figure: [T, K]}} of `fitting`'s critics at each theta, keys FIRST_SEED and on.

    A quick run trains none, their programs alone take longer to compile than it has: all is NaN,
    which leaves their bars open.
    """
    keys, judges = [FIRST_SEED + i for i in range(seeds)], fitting.JUDGES
    if quick:
        blank = np.full((len(thetas), seeds), np.nan)
        figures = lambda name: ["estimate", *(f"{x}_gradient" for x in _losses(name))]
        return {name: dict.fromkeys(figures(name), blank) for name in judges}
    return {
        name: fitting.over(fitting.make_judge(name), family, thetas, keys, steps=steps)
        for name in judges
    }


def _losses(name: str) -> list[str]:
    return list(fitting.make_judge(name).losses)


def worst(values: Any, truth: Any, relative: bool) -> tuple[float, float, float]:
    """Largest error over theta of the median over seeds, with its interval over the seeds.

    Args:
      values: [T, K].
      truth: [T].
      relative: divide each error by the truth's size.
    """
    values, truth = np.asarray(values, float), np.asarray(truth, float)[:, None]

    def statistic(index: Any) -> Any:  # [..., K] -> [...]
        columns = values[:, index.astype(int)]
        middle = np.median(columns, axis=-1).reshape(len(values), -1)
        error = np.abs(middle - truth) / (np.abs(truth) if relative else 1.0)
        return error.max(axis=0).reshape(index.shape[:-1])

    return ledger.interval(np.arange(values.shape[1]), statistic)
