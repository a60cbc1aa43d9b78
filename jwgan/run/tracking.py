"""--tracker: which programs are shown a run while it trains."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

from jwgan import check, report
from jwgan.report import trackers
from jwgan.run.options import require_choice

TRACKERS: dict[str, Callable[..., report.Tracker]] = {
    "tensorboard": trackers.TensorBoard,
    "wandb": trackers.WeightsAndBiases,
    "mlflow": trackers.MLflow,
}
_PACKAGES = {"wandb": "wandb", "mlflow": "mlflow"}  # beside those that every run needs


def names(config: Any) -> list[str]:
    """The trackers that the options name, each once.

    Raises:
      ValueError: one is unknown, or "none" is not alone.

    >>> tracking.names(run.Config(tracker="wandb tensorboard wandb"))
    ['wandb', 'tensorboard']
    >>> tracking.names(run.Config(tracker="none"))
    []
    """
    found = list(dict.fromkeys(config.tracker.split()))
    for name in found:
        require_choice("tracker", name, [*TRACKERS, "none"])
    if "none" in found and len(found) > 1:
        raise ValueError(f"tracker is {config.tracker!r}: give none alone, or leave it out")
    return [name for name in found if name != "none"]


def require(config: Any) -> None:
    """Asks for packages and a login now, and not when the run has begun.

    Raises:
      ValueError: a tracker is unknown, or nobody is logged in to Weights & Biases.
      MissingPackageError: its package is not installed.

    >>> tracking.require(run.Config(tracker="tensorboard"))
    >>> tracking.require(run.Config(tracker="wandbb"))
    Traceback (most recent call last):
    ValueError: tracker is 'wandbb': did you mean wandb? choose one of ...
    """
    for name in names(config):
        if name in _PACKAGES:
            check.require_package(_PACKAGES[name], "trackers")
    if "wandb" not in names(config) or os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return
    import wandb

    if not wandb.Api().api_key:
        raise ValueError(
            "tracker is 'wandb': nobody is logged in; log in with `wandb login`, or set "
            "WANDB_MODE=offline"
        )


def make(config: Any, folder: pathlib.Path, step: int) -> list[report.Tracker]:
    """The trackers of a run, opened at a step.

    Raises:
      ValueError: as of `names`.

    >>> import pathlib, tempfile
    >>> [tracker] = tracking.make(run.Config(), pathlib.Path(tempfile.mkdtemp()), step=0)
    >>> type(tracker).__name__
    'TensorBoard'
    >>> tracker.close()
    """
    chosen = dataclasses.asdict(config)
    return [TRACKERS[name](folder, step, chosen) for name in names(config)]
