"""Trackers: what a writer hands on, to one of our own, to Weights & Biases, to MLflow."""

import json
import pathlib

import numpy as np
import pytest
from disks import full_disk

from experiments import wgan_gp
from jwgan import check, report
from jwgan.report import trackers
from jwgan.run import options, tracking


class Noting:
    """A tracker that remembers what it was given."""

    def __init__(self):
        self.rows, self.images, self.closed = [], [], False

    def scalars(self, step, values):
        self.rows.append((step, dict(values)))

    def image(self, name, step, image):
        self.images.append((name, step, image.shape))

    def close(self):
        self.closed = True


def write(folder, shown, step=0, **options):
    """Three steps, an evaluation before them, one after them, and a picture."""
    with report.Writer(folder, step, trackers=shown, **options) as writer:
        writer.scalars(step, {"loss": [3.0, 2.0, 1.0 + step]}, {"coverage": 0.5})
        writer.image("samples", step + 3, np.zeros((4, 6, 1), np.uint8))
        writer.evaluation(step + 3, {"coverage": 0.75})


def test_a_writer_hands_on_rows_and_pictures(tmp_path):
    shown = [Noting(), Noting()]
    write(tmp_path, shown)
    for one in shown:
        assert one.rows == [(2, {"loss": 1.0}), (0, {"coverage": 0.5}), (3, {"coverage": 0.75})]
        assert one.images == [("samples", 3, (4, 6, 1))]
        assert one.closed
    assert not (tmp_path / "tensorboard").exists()  # unless it is asked for
    assert len(report.read_metrics(tmp_path)["step"]) == 4


def test_trials_have_a_curve_each(tmp_path):
    one = Noting()
    with report.Writer(tmp_path, trials=["a", "b"], trackers=[one]) as writer:
        writer.scalars(0, {"loss": np.array([[1.0, 2.0], [3.0, 4.0]])})
    assert one.rows == [(1, {"loss/a": 3.0, "loss/b": 4.0})]


def test_the_options_name_them():
    named = lambda text: tracking.names(wgan_gp.Config(tracker=text))
    assert named("tensorboard") == ["tensorboard"]
    assert named("wandb mlflow wandb") == ["wandb", "mlflow"]
    assert named("none") == []
    with pytest.raises(ValueError, match="did you mean wandb"):
        named("wand")
    with pytest.raises(ValueError, match="give none alone"):
        named("none wandb")
    words = ["--tracker", "wandb", "--tracker", "tensorboard"]
    config = options.parse(wgan_gp.Config, words, "")
    assert tracking.names(config) == ["wandb", "tensorboard"]


def test_a_missing_package_is_said_before_anything_is_written(monkeypatch):
    def missing(module, extra):
        raise check.MissingPackageError(f"{module}: pip install 'jwgan[{extra}]'")

    monkeypatch.setattr(check, "require_package", missing)
    tracking.require(wgan_gp.Config())
    for name in ("wandb", "mlflow"):
        with pytest.raises(check.MissingPackageError, match=r"jwgan\[trackers\]"):
            tracking.require(wgan_gp.Config(tracker=name))


def test_numbers_of_a_run_are_remembered_and_a_damaged_file_is_made_anew(tmp_path):
    remembered = lambda name, value: trackers._remembered(tmp_path, name, lambda: value)
    assert remembered("wandb", "a") == "a"
    assert remembered("wandb", "b") == "a"
    assert remembered("mlflow", "c") == "c"
    assert json.loads((tmp_path / "trackers.json").read_text()) == {"wandb": "a", "mlflow": "c"}
    (tmp_path / "trackers.json").write_text("[3")
    assert remembered("wandb", "b") == "b"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_tensorboard_on_a_full_disk_is_an_error_and_no_wait(tmp_path):
    """Its thread ends there; whoever then filled its queue waited for ever."""
    board = trackers.TensorBoard(tmp_path)

    def fill():
        board.scalars(0, {f"loss/{trial}": 1.0 for trial in range(2000)})
        board._board.file_writer.event_writer._worker.join(60)
        board.scalars(1, {"loss": 1.0})

    with full_disk(100):
        with pytest.raises(OSError, match=r"tensorboard cannot be written.*--tracker none"):
            fill()
        with pytest.raises(OSError, match="tensorboard cannot be written"):
            board.close()


# --- the programs themselves, where they are installed --------------------------------------------


@pytest.fixture
def settings(monkeypatch, tmp_path):
    for name, value in {
        **{"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(tmp_path)},
        **{"WANDB_CONFIG_DIR": str(tmp_path / "config"), "WANDB_CACHE_DIR": str(tmp_path / "c")},
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # theirs
def test_weights_and_biases_offline(tmp_path, settings):
    pytest.importorskip("wandb")
    folder = tmp_path / "run"
    tracking.require(wgan_gp.Config(tracker="wandb"))
    for step in (0, 3):  # the second one goes on with the first
        write(folder, [trackers.WeightsAndBiases(folder, step, {"weight": 10.0})], step)
    files = sorted((folder / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 2
    number = json.loads((folder / "trackers.json").read_text())["wandb"]
    assert {path.stem for path in files} == {f"run-{number}"}
    written = b"".join(path.read_bytes() for path in files)
    for word in (b"loss", b"coverage", b"weight", b"samples"):
        assert word in written
    assert list(folder.rglob("media/images/*.png"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # theirs
def test_mlflow_in_a_folder(tmp_path, settings):
    mlflow = pytest.importorskip("mlflow")
    folder = tmp_path / "run"
    for step in (0, 3):
        shown = [trackers.MLflow(folder, step, {"weight": 10.0})]
        write(folder, shown, step, trials=())
    client = mlflow.MlflowClient(tracking_uri=(folder / "mlruns").as_uri())
    number = json.loads((folder / "trackers.json").read_text())["mlflow"]
    found = client.get_run(number)
    assert found.data.params == {"weight": "10.0"}
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "run"
    rows = [(m.step, m.value) for m in client.get_metric_history(number, "loss")]
    assert sorted(rows) == [(2, 1.0), (5, 4.0)]
    names = [one.path for one in client.list_artifacts(number, "samples")]
    assert [pathlib.Path(name).name for name in names] == ["00000003.png", "00000006.png"]
