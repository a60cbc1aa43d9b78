"""Where a run's metrics and pictures also go: TensorBoard, Weights & Biases, MLflow.

Behind one protocol of three functions, `Tracker`; a `Writer` hands on what it writes. What another
program shows needs no more than a class with these functions::

    with report.Writer("logs", trackers=[MyTracker()]) as writer:
        writer.scalars(first, adversarial.scalars(info))

>>> import pathlib, tempfile
"""

import contextlib
import json
import os
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jwgan import check, files

PROJECT = "jwgan"  # of Weights & Biases, and the experiment of MLflow


class Tracker(Protocol):
    """What a `Writer` calls.

    >>> class Printing:
    ...     def scalars(self, step, values):
    ...         print(step, values)
    ...     def image(self, name, step, image):
    ...         print(name, image.shape)
    ...     def close(self):
    ...         print("closed")
    >>> with report.Writer(tempfile.mkdtemp(), trackers=[Printing()]) as writer:
    ...     writer.scalars(0, {"loss": [3.0, 2.0]})
    1 {'loss': 2.0}
    closed
    """

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the metrics {name: number} of a step; steps may come in any order."""

    def image(self, name: str, step: int, image: np.ndarray) -> None:
        """Takes a picture, uint8 [H, W, 1 or 3]."""

    def close(self) -> None:
        """Writes what is left."""


class TensorBoard:
    """Writes event files to `folder/tensorboard`.

    tensorboardX writes them in a thread, which ends where the disk is full; who then gives it more
    than its queue holds would wait for it for ever. So every call looks first whether it lives.

    Args:
      folder: the run directory.
      step: S of a run that goes on: what earlier sessions wrote of step S and later is forgotten.
      config: not used here.

    Raises:
      MissingPackageError: tensorboardX is not installed.
      OSError: from the other functions: the files cannot be written.

    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> board = trackers.TensorBoard(folder)
    >>> board.scalars(0, {"loss": 2.0})
    >>> board.close()
    >>> [path.suffix for path in folder.glob("tensorboard/events.*")]
    ['.0']
    """

    def __init__(
        self, folder: files.AnyPath, step: int = 0, config: Mapping[str, Any] | None = None
    ):
        del config
        check.require_package("tensorboardX", "run")
        import tensorboardX

        self._folder = Path(folder) / "tensorboard"
        self._board = tensorboardX.SummaryWriter(
            str(self._folder),
            # TensorBoard forgets what earlier sessions wrote of these steps.
            purge_step=step or None,
            filename_suffix=f".{step}",  # two sessions within a second must not share a file
            write_to_disk=True,
            max_queue=0,  # no bound: else a caller may be waiting for a place when the thread ends
        )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each metric's curve."""
        for name, value in values.items():
            self._require_writer()
            self._board.add_scalar(name, value, step)

    def image(self, name: str, step: int, image: np.ndarray) -> None:
        """Adds a picture."""
        self._require_writer()
        self._board.add_image(name, image, step, dataformats="HWC")
        with files.named(self._folder):
            self._board.flush()

    def close(self) -> None:
        """Writes what is left."""
        self._require_writer()
        with files.named(self._folder):
            self._board.close()

    def _require_writer(self) -> None:
        # None of these names is public, and a closed one has no thread.
        writer: Any = getattr(self._board.file_writer, "event_writer", None)
        worker = getattr(writer, "_worker", None)
        if worker is not None and not worker.is_alive():
            # Nor must the process wait at its end for what is still in the queue.
            writer._event_queue.cancel_join_thread()
            raise OSError(
                f"{self._folder} cannot be written, see above; free space on its disk, raise the "
                "limit on the size of files (ulimit -f), or give --tracker none"
            )


def _remembered(folder: Path, name: str, make: Callable[[], str]) -> str:
    """The number under which a tracker knows this run, the same after a resume."""
    path = folder / "trackers.json"
    known: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(path.read_text(encoding="utf-8"))
    if not (isinstance(known, dict) and isinstance(known.get(name), str)):
        known = {**(known if isinstance(known, dict) else {}), name: make()}
        files.replace(path, (json.dumps(known, indent=2) + "\n").encode())
    return known[name]


class WeightsAndBiases:
    """Logs to Weights & Biases, or with WANDB_MODE=offline to `folder/wandb`, for `wandb sync`.

    A run that goes on is the same run there. Steps that a killed start had logged, and that are
    trained again, are there twice, with the same numbers.

    Args:
      folder: the run directory; its name is the run's.
      step: not used here.
      config: options to be shown beside the run.

    Raises:
      MissingPackageError: wandb is not installed.
      OSError: it cannot start: nobody is logged in, or the network is down.
    """

    def __init__(
        self, folder: files.AnyPath, step: int = 0, config: Mapping[str, Any] | None = None
    ):
        del step
        check.require_package("wandb", "trackers")
        import wandb

        self._wandb, folder = wandb, Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run = wandb.init(
                project=PROJECT,
                name=folder.resolve().name,
                id=_remembered(folder, "wandb", lambda: uuid.uuid4().hex[:12]),
                resume="allow",
                dir=str(folder),
                config=dict(config or {}),
                settings=wandb.Settings(silent=True, console="off"),
            )
        except wandb.Error as error:
            remedy = "log in with `wandb login`, or set WANDB_MODE=offline"
            raise OSError(f"wandb cannot start ({check.one_line(error)}): {remedy}") from error
        # Its own counter may only rise; ours goes back after an evaluation.
        self._run.define_metric("*", step_metric="step")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Logs a row."""
        self._run.log({"step": step, **values})

    def image(self, name: str, step: int, image: np.ndarray) -> None:
        """Logs a picture."""
        self._run.log({"step": step, name: self._wandb.Image(image)})

    def close(self) -> None:
        """Ends the run there, and waits for what is on its way."""
        self._run.finish()


class MLflow:
    """Logs to the server of MLFLOW_TRACKING_URI, or without one to `folder/mlruns`.

    `mlflow ui --backend-store-uri RUN/mlruns` shows the latter. A run that goes on is the same run
    there.

    Args:
      folder: the run directory; its name is the run's.
      step: not used here.
      config: options, logged as parameters.

    Raises:
      MissingPackageError: neither mlflow nor mlflow-skinny is installed.
      OSError: the store cannot be written or reached.
    """

    def __init__(
        self, folder: files.AnyPath, step: int = 0, config: Mapping[str, Any] | None = None
    ):
        del step
        check.require_package("mlflow", "trackers")
        import mlflow

        self._mlflow, folder = mlflow, Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # MLflow 3 takes a folder only if it is told so; its databases need the whole of mlflow.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        uri = os.environ.get("MLFLOW_TRACKING_URI") or (folder.resolve() / "mlruns").as_uri()
        try:
            self._client = mlflow.MlflowClient(tracking_uri=uri)
            self._run = _remembered(folder, "mlflow", lambda: self._begun(folder, config or {}))
            self._client.update_run(self._run, status="RUNNING")
        except mlflow.MlflowException as error:
            raise OSError(
                f"MLflow cannot start at {uri} ({check.one_line(error)}): give another "
                "MLFLOW_TRACKING_URI, or leave --tracker mlflow out"
            ) from error

    def _begun(self, folder: Path, config: Mapping[str, Any]) -> str:
        """The number of a new run there."""
        known = self._client.get_experiment_by_name(PROJECT)
        experiment = known.experiment_id if known else self._client.create_experiment(PROJECT)
        run = self._client.create_run(experiment, run_name=folder.resolve().name).info.run_id
        for name, value in config.items():
            self._client.log_param(run, name, value)
        return run

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Logs a row."""
        now, metric = int(time.time() * 1000), self._mlflow.entities.Metric
        # A trial's name may hold what a metric's may not: "weight=1, seed 3".
        safe = {re.sub(r"[^\w./ -]", "_", name): float(value) for name, value in values.items()}
        rows = [metric(name, value, now, step) for name, value in safe.items()]
        self._client.log_batch(self._run, metrics=rows)

    def image(self, name: str, step: int, image: np.ndarray) -> None:
        """Logs a picture as an artifact, `samples/00000050.png`."""
        check.require_package("PIL", "run")
        import PIL.Image

        flat = image[..., 0] if image.shape[-1] == 1 else image
        # The client takes a file, and names the artifact after it.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{step:08d}.png"
            PIL.Image.fromarray(flat).save(path)
            self._client.log_artifact(self._run, str(path), name)

    def close(self) -> None:
        """Ends the run there."""
        self._client.set_terminated(self._run)
