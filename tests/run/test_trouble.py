"""What a machine does to a long run: folders that go, disks that fill, clocks that go back.

Each ends in one line and the right exit code, loses nothing that a checkpoint has, and goes on when
its advice is followed.
"""

import errno
import gc
import itertools
import json
import os
import shutil
import time

import numpy as np
import pytest
from disks import full_disk

from experiments import sample, toy2d
from jwgan import checkpoint, files, report
from jwgan.run import launch, lifecycle, reading, session
from jwgan.run import sample as run_sample

OPTIONS = ["--width", "4", "--batch-size", "8", "--n-critic", "1", "--chunk-steps", "2"]
OPTIONS += ["--no-quality", "--json", "--steps", "12", "--checkpoint-every", "4"]


@pytest.fixture(autouse=True, scope="module")
def one_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        # no pictures: they are most of such a run's time
        patch.setattr(session.Session, "draw", lambda self, state: np.zeros((4, 4, 1), np.uint8))
        yield


def train(folder, *extra):
    launch.main(toy2d.EXPERIMENT, [*OPTIONS, "--run-dir", str(folder), *extra])
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def whole(one_cache, tmp_path_factory):
    """The result of a run to which nothing happens."""
    return train(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def ends(capsys):
    def ended(code, *args):
        with pytest.raises(SystemExit) as end:
            train(*args)
        assert end.value.code == code
        err = capsys.readouterr().err
        assert "Traceback" not in err
        return err.strip().splitlines()[-1]

    return ended


def before_step(monkeypatch, step, do):
    """Calls `do()` before the figures of the chunk from `step` on are written."""
    record = session.Session.record

    def recorded(self, first, info):
        if first == step:
            self.checkpoints.wait()
            do()
        record(self, first, info)

    monkeypatch.setattr(session.Session, "record", recorded)


def refuse(monkeypatch, number):
    """A file system that takes no new file."""

    def replace(path, content):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(files, "replace", replace)


def same_end(folder, whole):
    result = json.loads((folder / "result.json").read_text())
    assert result["state_sha256"] == whole["state_sha256"]
    assert result["wasserstein_estimate"] == whole["wasserstein_estimate"]
    steps = report.read_metrics(folder)["step"].tolist()
    assert steps[:12] == list(range(12))
    assert steps[12:] in ([12], [])  # of the last evaluation, where it could be made
    assert checkpoint.steps(folder / "checkpoints")[-1] == 12
    assert (folder / "report.html").exists()


def test_a_folder_that_is_moved_can_be_moved_back(tmp_path, ends, whole, monkeypatch):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    with monkeypatch.context() as patch:
        before_step(patch, 6, lambda: folder.rename(elsewhere))
        line = ends(1, folder)
    assert f"{folder} was moved or removed while the run went on: move it back" in line
    assert not folder.exists()
    assert checkpoint.steps(elsewhere / "checkpoints") == [4]
    elsewhere.rename(folder)
    train(folder, "--resume")
    same_end(folder, whole)


@pytest.mark.parametrize("instead", [None, "folder", "file"])
def test_a_folder_that_vanishes(instead, tmp_path, ends, monkeypatch):
    folder = tmp_path / "run"

    def vanish():
        shutil.rmtree(folder)
        # a number that the file system has just freed may be given to the next folder
        (tmp_path / "takes the number").mkdir()
        if instead == "folder":
            folder.mkdir()
        elif instead == "file":
            folder.write_text("")

    with monkeypatch.context() as patch:
        before_step(patch, 6, vanish)
        line = ends(1, folder)
    assert "was moved or removed while the run went on" in line
    assert f"nothing of the run is in {folder}" in line
    assert not instead or not list(folder.iterdir() if instead == "folder" else ())


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_takes_nothing_any_more(number, tmp_path, ends, whole, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        before_step(patch, 6, lambda: refuse(patch, number))
        line = ends(1, folder)
    assert os.strerror(number) in line
    assert f"what was saved is in {folder}" in line
    assert checkpoint.steps(folder / "checkpoints") == [4]
    train(folder, "--resume")
    same_end(folder, whole)


def test_a_limit_below_the_first_file(tmp_path, ends, whole, monkeypatch):
    """The run is what it was; a new one leaves nothing in the way of the next try."""
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "false")
    for more in ((), ("--resume",)):
        folder = tmp_path / f"run{len(more)}"
        if more:
            train(folder, "--steps", "4")
        before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        with full_disk(100):
            line = ends(2, folder, *more)
        assert f"{folder}/config.json cannot be written: {os.strerror(errno.EFBIG)}; raise" in line
        assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
        train(folder, "--steps", "12", *more)
        same_end(folder, whole)


def test_a_disk_that_fills_during_the_report(tmp_path, ends, whole, monkeypatch, capsys):
    folder = tmp_path / "run"

    def full(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "report.html")

    with monkeypatch.context() as patch:
        patch.setattr(report, "write_report", full)
        line = ends(1, folder)
    assert "No space left on device" in line
    assert not (folder / "report.html").exists()
    ends(0, folder, "--resume")  # nothing is left to train, and the page is written
    same_end(folder, whole)
    written = (folder / "report.html").stat().st_mtime_ns
    ends(0, folder, "--resume")
    assert (folder / "report.html").stat().st_mtime_ns == written


def test_a_disk_that_fills_before_the_result(tmp_path, ends, whole, monkeypatch):
    folder, write = tmp_path / "run", report.write_json

    def full(path, value):
        if path.name == "result.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(report, "write_json", full)
        assert "No space left on device" in ends(1, folder)
    train(folder, "--resume")
    same_end(folder, whole)


def test_a_clock_that_goes_back(tmp_path, whole, monkeypatch):
    now = itertools.count(1e9, -3600)  # an hour back at each look
    monkeypatch.setattr(time, "time", lambda: next(now))
    result = train(tmp_path / "run")
    same_end(tmp_path / "run", whole)
    assert min(result["seconds"], result["steps_per_second"]) > 0
    assert result["seconds_to_first_picture"] >= 0


@pytest.mark.parametrize(
    "error", [ValueError("no such\nnumber"), MemoryError(), RuntimeError("a device is busy")]
)
@pytest.mark.parametrize("what", ["evaluate", "draw"])
def test_what_cannot_be_measured_does_not_cost_the_run(what, error, tmp_path, whole, monkeypatch):
    def fails(self, *args):
        raise error

    fails.__name__ = what
    monkeypatch.setattr(session.Session, what, fails)
    result = train(tmp_path / "run")
    same_end(tmp_path / "run", whole)
    (line,) = result["not_measured"]
    assert line.startswith(f"{'picture' if what == 'draw' else what} failed at step 12: ")
    assert "\n" not in line
    assert "not_measured" not in whole


def test_a_defect_of_ours_is_not_hidden(tmp_path, monkeypatch):
    def fails(self, *args):
        raise KeyError("a name that we forgot")

    monkeypatch.setattr(session.Session, "evaluate", fails)
    with pytest.raises(KeyError):
        train(tmp_path / "run")


# --- the best checkpoint --------------------------------------------------------------------------


def distances(monkeypatch, values):
    """Has the evaluations find these sliced distances, in this order."""
    left = iter(values)

    def metrics_of(state):
        found = next(left)
        return {} if found is None else {"sliced_distance": found}

    monkeypatch.setattr(lifecycle, "_make_sample_metrics", lambda run: metrics_of)


@pytest.mark.parametrize(
    ("found", "best"), [([0.5, 0.1, 0.3], 8), ([0.0, 0.1, 0.3], 4), ([None, 3.0, None], 8)]
)
def test_the_best_checkpoint_is_sampled(found, best, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    distances(monkeypatch, found)
    train(folder, "--keep", "1")
    assert checkpoint.steps(folder / "checkpoints") == [best, 12]
    assert reading.best_step(folder) == best
    for extra, step in ((["--best"], best), ([], 12)):
        out = str(tmp_path / "x.npy")
        run_sample.main(sample.find, [str(folder), "--num", "3", "--out", out, *extra])
        assert f"from step {step} " in capsys.readouterr().out


def test_without_an_evaluation_there_is_no_best(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    distances(monkeypatch, [None] * 3)
    train(folder)
    argv = [str(folder), "--num", "3", "--out", str(tmp_path / "x.npy")]
    with pytest.raises(SystemExit):
        run_sample.main(sample.find, [*argv, "--best"])
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.endswith("leave --best out for the newest")
    run_sample.main(sample.find, argv)  # the advice, followed


# --- memory ---------------------------------------------------------------------------------------


def resident():
    """Bytes of memory that this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("steps", [10_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_memory_of_the_host_is_flat(steps, tmp_path, monkeypatch):
    """A straight line through the memory of the last three quarters of the run hardly rises."""
    seen, record = [], session.Session.record

    def recorded(self, first, info):
        record(self, first, info)
        gc.collect(0)
        seen.append((first, resident()))

    monkeypatch.setattr(session.Session, "record", recorded)
    monkeypatch.setattr(report, "write_report", lambda folder: folder)
    options = ["--steps", str(steps), "--chunk-steps", str(steps // 200), "--batch-size", "2"]
    train(tmp_path / "run", *options, "--checkpoint-every", str(steps // 20))
    at, bytes_ = np.array(seen[len(seen) // 4 :], float).T
    rise = np.polyfit(at, bytes_, 1)[0] * steps
    assert rise < 16 * 2**20, f"{rise / 2**20:.1f} MB more after {steps} steps"
