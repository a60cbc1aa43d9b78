"""A run that goes on: what it knows of itself, what may change, who else is there, what it says."""

import json
import pathlib
import shlex
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from experiments import sample, toy2d, wgan_gp
from jwgan import data
from jwgan.run import directory, evaluate, launch, lifecycle, tasks
from jwgan.run import sample as run_sample

TINY = ["--chunk-steps", "2", "--batch-size", "8", "--n-critic", "1", "--width", "4"]
TOY = [*TINY, "--steps", "4", "--checkpoint-every", "2", "--no-quality", "--run-dir", "run"]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def toy(*argv, **parts):
    launch.main(toy2d.EXPERIMENT._replace(name="toy2d", **parts), list(argv))


def result(folder="run"):
    return json.loads((pathlib.Path(folder) / "result.json").read_text())


def described(folder="run"):
    return json.loads((pathlib.Path(folder) / "config.json").read_text())


@pytest.fixture
def ends(capsys):
    """Runs what must end early; returns its exit code and the last line of stderr."""

    def run(function, *args, **parts):
        with pytest.raises(SystemExit) as end:
            function(*args, **parts)
        err = capsys.readouterr().err
        assert "Traceback" not in err
        return end.value.code, err.strip().splitlines()[-1]

    return run


def test_a_resume_knows_the_runs_options():
    odd = ["--member", "wgan_lp", "--learning-rate", "0.003", "--latent", "3", "--seed", "5"]
    toy(*TOY, *odd, "--steps", "6", "--run-dir", "whole")
    toy(*TOY, *odd)
    toy("--run-dir", "run", "--resume", "--steps", "6")
    assert result()["state_sha256"] == result("whole")["state_sha256"]
    assert described()["config"]["learning_rate"] == 0.003


@pytest.mark.slow
def test_a_changed_rate_is_refused_and_the_advice_works(ends):
    toy(*TOY)
    change = ["--run-dir", "run", "--resume", "--steps", "6", "--learning-rate", "1e-5"]
    code, line = ends(toy, *change)
    assert code == 2
    assert "learning_rate was None and is 1e-05" in line
    assert "add --allow learning_rate to change it on purpose" in line
    before = described()
    toy(*change, "--allow", "learning-rate")
    after = described()
    assert before["config"]["learning_rate"] is None
    assert after["config"]["learning_rate"] == 1e-5
    assert after["changes"] == [{"step": 4, "changed": {"learning_rate": [None, 1e-5]}}]
    page = (pathlib.Path("run") / "report.html").read_text()
    assert "At step 4 learning rate was changed from None to 1e-05" in page
    # and from there it needs no word more
    toy("--run-dir", "run", "--resume", "--steps", "8")
    assert described()["config"]["learning_rate"] == 1e-5
    assert len(described()["changes"]) == 1


@pytest.mark.slow
def test_a_resume_finds_the_options_of_the_last_start(ends):
    """Extended, stopped in between by a failure, and gone on with by the bare command."""
    toy(*TOY)
    longer = ["--run-dir", "run", "--resume", "--steps", "8", "--keep", "2"]
    code, _ = ends(toy, *longer, build=failing(6))
    assert code == 1
    toy("--run-dir", "run", "--resume")
    assert result()["steps"] == 8
    now = described()
    assert (now["config"]["steps"], now["config"]["keep"]) == (8, 2)
    assert [row["step"] for row in now["resumes"]] == [4, 6]
    assert "changes" not in now
    # the page repeats the run by all of its commands, and the first one is still the first
    page = (pathlib.Path("run") / "report.html").read_text()
    repeat = page[page.index("To repeat this run") :].split("</pre>")[0]
    assert repeat.count("python -m experiments.toy2d") == 3


def test_a_run_that_began_while_the_data_were_loaded(tmp_path, ends):
    def load(config):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "config.json").write_text("{}")
        return toy2d.load(config)

    code, line = ends(toy, *TOY, load=load)
    assert code == 2
    assert "another process has started a run there meanwhile" in line
    assert (tmp_path / "run" / "config.json").read_text() == "{}"


@pytest.mark.slow
def test_a_moved_folder_of_images_is_the_same_data(tmp_path):
    images(tmp_path / "images", 20)
    pictures(*PICTURES)
    (tmp_path / "images").rename(tmp_path / "moved")
    pictures("--run-dir", "run", "--resume", "--steps", "4", "--data-dir", "moved")
    assert result()["steps"] == 4


def test_what_can_be_allowed_is_named(ends):
    toy(*TOY)
    code, line = ends(toy, "--run-dir", "run", "--resume", "--allow", "learning_rat")
    assert code == 2
    assert "did you mean learning_rate?" in line
    assert "run_dir" not in line
    code, line = ends(launch.main, wgan_gp.EXPERIMENT, ["--run-dir", "run", "--resume"])
    assert code == 2
    assert "experiment was 'toy2d', is 'wgan_gp': resume the run with the command that" in line


def images(folder, count, seed=0):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{i:03d}.png")


PICTURES = [*TINY, "--steps", "2", "--dataset", "folder", "--data-dir", "images"]
PICTURES += ["--image-size", "8", "--latent", "2", "--run-dir", "run"]


def pictures(*argv):
    launch.main(wgan_gp.EXPERIMENT, list(argv))


def test_changed_data_are_refused_and_the_advice_works(tmp_path, ends):
    images(tmp_path / "images", 20)
    pictures(*PICTURES)
    (tmp_path / "images" / "007.png").unlink()
    again = ["--run-dir", "run", "--resume", "--steps", "4"]
    code, line = ends(pictures, *again)
    assert code == 2
    assert "with other data: data sha256 was" in line
    assert "add --allow data" in line
    pictures(*again, "--allow", "data")
    assert result()["steps"] == 4
    assert list(described()["changes"][0]["changed"]) == ["data sha256"]


def test_auto_starts_goes_on_and_rests(capsys, ends):
    command = [*TOY, "--resume", "auto"]
    toy(*command)
    assert result()["steps"] == 4
    done = (pathlib.Path("run") / "result.json").read_bytes()
    code, line = ends(toy, *command)
    assert code == 0
    assert line.startswith("nothing is left to do: the run in run has its 4 steps; give more")
    assert (pathlib.Path("run") / "result.json").read_bytes() == done
    toy(*command, "--steps", "6")
    assert result()["steps"] == 6
    code, line = ends(toy, *command)
    assert code == 2
    assert "steps is 4: the run in run has 6 already" in line
    assert result()["steps"] == 6


def test_auto_after_a_kill_before_the_first_checkpoint(monkeypatch, ends):
    def killed(run):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "_first_state", killed)
        code, line = ends(toy, *TOY)
    assert code == 130
    assert "no checkpoint was saved yet; --run-dir run --resume begins again" in line
    assert [p.name for p in pathlib.Path("run").iterdir()] == ["config.json"]
    code, line = ends(run_sample.main, sample.find, ["run"])
    assert code == 2
    assert "run has no checkpoint yet: wait for the first, or go on with it" in line
    toy(*TOY, "--resume", "auto")
    assert result()["steps"] == 4


def test_a_run_that_lost_its_end_gets_it(tmp_path):
    toy(*TOY)
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run" / "report.html").unlink()
    toy("--run-dir", "run", "--resume")
    assert result()["steps"] == 4
    assert (tmp_path / "run" / "report.html").exists()


def test_two_in_one_directory(tmp_path, ends):
    toy(*TOY)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with directory.lock(tmp_path / "run"):
        code, line = ends(toy, *TOY, "--resume", "--steps", "6")
        assert code == 2
        assert "run_dir is run: another process is running there" in line
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert before == after
    toy(*TOY, "--resume", "--steps", "6")
    assert result()["steps"] == 6


def test_a_lock_does_not_survive_a_kill(tmp_path):
    code = "import sys, time; from jwgan.run import directory\n"
    code += f"with directory.lock({str(tmp_path)!r}):\n    print('locked', flush=True)\n"
    code += "    time.sleep(600)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(ValueError, match="another process"), directory.lock(tmp_path):
            pass
        process.kill()
    with directory.lock(tmp_path):
        pass


@pytest.mark.parametrize("place", ["gs://bucket/run", "s3://bucket", "file:///tmp/x"])
def test_a_place_that_is_no_folder(place, ends, tmp_path):
    code, line = ends(toy, *TOY, "--run-dir", place)
    assert code == 2
    assert f"run_dir is {place!r}: give a folder of this machine or a mount" in line
    assert not any(tmp_path.rglob("*bucket*"))


def failing(at):
    """toy2d's build, whose loss is NaN in one step unless a rate was given."""

    def build(config, shape):
        algorithm = toy2d.build(config, shape)

        def step(state, batch):
            after, info = algorithm.step(state, batch)
            bad = (state.step == at) & (config.learning_rate is None)
            return after, info._replace(critic_loss=jnp.where(bad, jnp.nan, info.critic_loss))

        return algorithm._replace(step=step)

    return build


@pytest.mark.slow
def test_the_advice_after_what_is_not_finite_works(ends):
    code, line = ends(toy, *TOY, build=failing(1))
    assert code == 1
    assert "critic_loss is nan at step 1" in line
    assert "no checkpoint was saved before it: lower the learning rate and start anew" in line
    argv = [*TOY, "--steps", "8", "--run-dir", "late"]
    code, line = ends(toy, *argv, build=failing(5))
    assert code == 1
    assert "critic_loss is nan at step 5" in line
    advice = line.partition("lower the learning rate: ")[2].partition("; or")[0]
    assert advice.startswith("go on from step 4, the last finite checkpoint, with --resume --allow")
    words = shlex.split(advice.partition(" with ")[2].replace("RATE", "1e-6"))
    toy(*words, "--run-dir", "late", build=failing(5))
    assert result("late")["steps"] == 8


def test_the_advice_when_another_key_does_not_help(ends, monkeypatch):
    monkeypatch.setattr(lifecycle, "MAX_RETRIES", 1)
    argv = [*TOY, "--steps", "8", "--on-nonfinite", "restore"]
    code, line = ends(toy, *argv, build=failing(5))
    assert code == 1
    assert "another key did not help 1 times: lower the learning rate: go on from step 4" in line
    assert "on-nonfinite restore" not in line


def test_samples_need_no_data(tmp_path, ends):
    images(tmp_path / "images", 20)
    pictures(*PICTURES)
    (tmp_path / "images").rename(tmp_path / "moved")
    run_sample.main(sample.find, ["run", "--num", "3", "--out", "x.NPY"])
    assert np.load(tmp_path / "x.NPY", allow_pickle=False).shape == (3, 8, 8, 1)
    run_sample.main(sample.find, ["run", "--num", "3", "--out", "x.PNG"])
    with PIL.Image.open(tmp_path / "x.PNG") as image:
        assert min(image.size) > 8
    assert not (tmp_path / "x.NPY.npy").exists()
    code, line = ends(launch.main, wgan_gp.EXPERIMENT, ["measure", "run"])
    assert code == 2
    assert "no such folder" in line


def test_a_missing_folder_is_named_before_anything_is_read(ends):
    code, line = ends(run_sample.main, sample.find, ["nowhere", "--out", "nosuch/a.npy"])
    assert code == 2
    assert "there is no folder nosuch; make it" in line


def labelled(count, classes=2, test=None, **changed):
    """Black and white images of two classes."""
    labels = np.arange(count) % classes
    part = lambda labels: np.tile(2.0 * labels[:, None, None, None] - 1, (1, 8, 8, 1))
    parts = (
        {} if test is None else {"test_images": part(labels[:test]), "test_labels": labels[:test]}
    )
    made = data.Dataset(
        "made", part(labels).astype(np.float32), labels, **parts, class_names=("a", "b")
    )
    return made._replace(**changed)


def bars(dataset):
    parts = {"load": lambda config: tasks.image_task(dataset), "name": "wgan_gp"}
    argv = [*TINY, "--steps", "2", "--latent", "2", "--run-dir", "run"]
    launch.main(wgan_gp.EXPERIMENT._replace(**parts), argv)
    return result()


@pytest.mark.slow
def test_quality_without_a_held_out_part():
    found = bars(labelled(40))["quality"]
    assert found["not_measured"].startswith("the data have no held-out images")
    assert {"classes_present", "smallest_class_share", "confident_share"} <= found.keys()
    assert "frechet_distance" not in found


@pytest.mark.slow
@pytest.mark.parametrize("count", [10, 100])
def test_quality_of_few_rows(count):
    found = bars(labelled(count, test=8))["quality"]
    assert found["classifier_held_out_accuracy"] == 1.0
    assert np.isfinite(found["frechet_distance"])


@pytest.mark.parametrize("labels", [np.full(40, -1), np.full(40, 2), np.arange(40)])
def test_labels_that_are_none_do_not_cost_the_run_its_end(labels, capsys):
    found = bars(labelled(40, test=8, labels=labels))
    assert "labels are not all in 0 to 1" in found["quality_not_measured"]
    assert (pathlib.Path("run") / "report.html").exists()
    assert "quality was not measured" in capsys.readouterr().err


def test_a_metric_that_fails_does_not_cost_the_run_its_end(monkeypatch):
    def fails(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(evaluate, "quality", fails)
    toy(*TOY, "--quality")
    assert "out of memory" in result()["quality_not_measured"]
    assert result()["steps"] == 4
