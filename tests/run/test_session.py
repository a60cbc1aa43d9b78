"""Runs that fail: non-finite figures, full disks, unreadable files. Nothing saved is lost."""

import contextlib
import json
import resource

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import toy2d, wgan_gp
from jwgan import checkpoint, loop
from jwgan.run import evaluate, launch, lifecycle, session

TINY = ["--batch-size", "8", "--n-critic", "1", "--chunk-steps", "2", "--checkpoint-every", "4"]
TOY = ["--width", "8", "--no-quality", "--json", "--steps", "12", *TINY]
BAD = 9  # the step that goes wrong: checkpoints are of 4 and 8


@pytest.fixture(autouse=True)
def no_cache_of_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def build_failing(always=False, seed=0):
    """toy2d's build with a critic loss that is NaN in step BAD: of one key, or of every key."""

    def build(config, shape):
        algorithm = toy2d.build(config, shape)

        def step(state, batch):
            after, info = algorithm.step(state, batch)
            mine = jax.random.key_data(state.key) == jax.random.key_data(jax.random.key(seed))
            bad = (state.step == BAD) & (always | mine.all())
            return after, info._replace(critic_loss=jnp.where(bad, jnp.nan, info.critic_loss))

        return algorithm._replace(step=step)

    return build


def run(folder, *extra, build=toy2d.build):
    argv = [*TOY, "--run-dir", str(folder), *extra]
    launch.main(toy2d.EXPERIMENT._replace(build=build, name="toy2d"), argv)


def result(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def fails(capsys, function, *args, **kwargs):
    """The last line on stderr of a run that ends with exit code 1."""
    with pytest.raises(SystemExit) as end:
        function(*args, **kwargs)
    assert end.value.code == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    return line


def steps_of(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def target(folder):
    """A state of the run's shape, to restore into."""
    config = toy2d.Config(**json.loads((folder / "config.json").read_text())["config"])
    algorithm = toy2d.build(config, (2,))
    batch = jax.ShapeDtypeStruct((config.n_critic, config.batch_size, 2), jnp.float32)
    return jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))


def test_a_non_finite_figure_stops_the_run(tmp_path, capsys):
    line = fails(capsys, run, tmp_path / "bad", build=build_failing())
    assert "critic_loss is nan at step 9" in line
    assert "go on from step 8, the last finite checkpoint" in line
    assert checkpoint.steps(tmp_path / "bad/checkpoints") == [4, 8]
    page = (tmp_path / "bad/report.html").read_text()
    assert "critic_loss is nan at step 9" in page
    # the state for inspection is the one before the bad step, as an undisturbed run has it there
    kept = checkpoint.restore(tmp_path / "bad/nonfinite", target(tmp_path / "bad"))
    assert kept.step == BAD
    assert kept.extra == {"trouble": "critic_loss is nan at step 9"}
    run(tmp_path / "good", "--steps", str(BAD))
    assert result(capsys)["state_sha256"] == kept.state_sha256


def test_before_the_first_checkpoint_there_is_the_start(tmp_path, capsys):
    line = fails(capsys, run, tmp_path / "bad", "--checkpoint-every", "100", build=build_failing())
    assert "no checkpoint was saved before it: lower the learning rate and start anew" in line
    assert checkpoint.restore(tmp_path / "bad/nonfinite", target(tmp_path / "bad")).step == BAD


@pytest.mark.slow
def test_restore_goes_on_with_another_key(tmp_path, capsys):
    run(tmp_path / "bad", "--on-nonfinite", "restore", build=build_failing())
    bad = result(capsys)
    assert bad["steps"] == 12
    assert bad["retries"] == [{"trouble": "critic_loss is nan at step 9", "restored_step": 8}]
    assert steps_of(tmp_path / "bad") == list(range(13))
    run(tmp_path / "good")
    assert bad["state_sha256"] != result(capsys)["state_sha256"]
    # stopped in between and resumed: the same end
    run(tmp_path / "half", "--on-nonfinite", "restore", "--steps", "10", build=build_failing())
    run(tmp_path / "half", "--on-nonfinite", "restore", "--resume", build=build_failing())
    half = result(capsys)
    assert half["state_sha256"] == bad["state_sha256"]
    assert half["retries"] == bad["retries"]


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_restore(tmp_path, capsys):
    fails(capsys, run, tmp_path / "bad", build=build_failing())
    run(tmp_path / "bad", "--resume", "--on-nonfinite", "restore", build=build_failing())
    resumed = result(capsys)
    run(tmp_path / "once", "--on-nonfinite", "restore", build=build_failing())
    assert resumed["state_sha256"] == result(capsys)["state_sha256"]


@pytest.mark.slow
def test_restoring_is_given_up(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lifecycle, "MAX_RETRIES", 2)
    build = build_failing(always=True)
    argv = ("--on-nonfinite", "restore")
    with pytest.raises(SystemExit):
        run(tmp_path / "bad", *argv, build=build)
    err = capsys.readouterr().err
    assert err.count("back to step 8 with another key") == 2
    assert "critic_loss is nan at step 9" in err.splitlines()[-1]


def test_a_fresh_key_is_another_one_each_time():
    state = session.Run(*[None] * 9)._replace(state=0)  # not a state: nothing to renew
    assert loop.with_fresh_key(state, 0) == state
    algorithm = toy2d.build(toy2d.Config(width=4), (2,))
    batch = jnp.zeros((1, 8, 2))
    one = algorithm.init(jax.random.key(0), batch)
    many = jax.vmap(lambda key: algorithm.init(key, batch))(jax.random.split(jax.random.key(0), 3))
    for state in (one, many):
        keys = [state.key, *(loop.with_fresh_key(state, n).key for n in range(3))]
        data = {np.asarray(jax.random.key_data(key)).tobytes() for key in keys}
        assert len(data) == 4
        rest = loop.with_fresh_key(state, 0)._replace(key=state.key)
        assert checkpoint.state_sha256(rest) == checkpoint.state_sha256(state)


def test_the_first_of_several_bad_figures_is_named():
    ok, bad = np.zeros(4), np.array([0, 1, np.inf, np.nan])
    assert session.first_non_finite(10, {"a": ok}) is None
    found = session.first_non_finite(10, {"a": ok, "b": bad, "c": np.array([0, np.nan, 0, 0])})
    assert str(found) == "c is nan at step 11"


def test_the_best_checkpoint_stays(tmp_path, capsys, monkeypatch):
    """keep 1, and the distances 3, 1, 2: the second one is the best."""
    distances = iter([3.0, 1.0, 2.0, 5.0])
    figures = {"coverage": 1.0, "coverage_of_real": 1.0}
    probe = lambda state: {**figures, "sliced_distance": next(distances)}
    monkeypatch.setattr(evaluate, "make_sample_metrics", lambda task, algorithm: probe)
    run(tmp_path / "run", "--steps", "13", "--keep", "1")
    assert checkpoint.steps(tmp_path / "run/checkpoints") == [8, 13]
    assert result(capsys)["best"] == {"step": 8, "sliced_distance": 1.0}
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert {r["step"]: r["sliced_distance"] for r in rows if "sliced_distance" in r} == {
        4: 3.0,
        8: 1.0,
        12: 2.0,
        13: 5.0,
    }


@contextlib.contextmanager
def largest_file(size):
    """No file of this process grows beyond so many bytes: writing more is an OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))  # Python ignores SIGXFSZ
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [3500, 6000], ids=["arrays", "picture"])
def test_files_that_cannot_be_written(size, tmp_path, capsys, monkeypatch):
    """A disk without room for the next array, or picture: one line, nothing is lost."""
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "false")
    folder = tmp_path / "run"
    run(folder, "--steps", "4")
    before = {p: p.read_bytes() for p in (folder / "checkpoints").rglob("*") if p.is_file()}
    with largest_file(size):
        line = fails(capsys, run, folder, "--steps", "400", "--resume")
    assert line.endswith(f"what was saved is in {folder}")
    assert size == 3500 or f"{folder}/samples/00000008.png cannot be written: File too la" in line
    if size == 3500:
        assert {p: p.read_bytes() for p in before} == before  # the checkpoint is untouched
    run(folder, "--resume")
    assert result(capsys)["steps"] == 12
    assert steps_of(folder) == list(range(13))


@pytest.mark.slow
def test_an_unreadable_file_in_the_middle_of_the_stream(tmp_path, capsys, monkeypatch):
    """The state so far is saved, the file is named; mended and resumed, it is the same run."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{i:02d}.png")
    argv = ["--dataset", "folder", "--data-dir", str(folder), "--image-size", "8", "--stream"]
    argv += ["--width", "2", "--no-quality", "--json", "--steps", "120", *TINY]

    def train(name, *extra):
        full = [*argv, "--run-dir", str(tmp_path / name), *extra]
        launch.main(wgan_gp.EXPERIMENT, full)

    train("whole")
    whole = result(capsys)
    good, original = (folder / "17.png").read_bytes(), session.Session.save

    def save_and_break(self, step, state, distance=None):
        original(self, step, state, distance)
        (folder / "17.png").write_bytes(b"torn")

    monkeypatch.setattr(session.Session, "save", save_and_break)
    line = fails(capsys, train, "broken")
    assert "17.png: unreadable image" in line
    monkeypatch.setattr(session.Session, "save", original)
    (folder / "17.png").write_bytes(good)
    last = checkpoint.steps(tmp_path / "broken/checkpoints")[-1]
    assert last == steps_of(tmp_path / "broken")[-1] + 1  # nothing that was trained is lost
    train("broken", "--resume")
    assert result(capsys)["state_sha256"] == whole["state_sha256"]
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "broken")]
    assert texts[0] == texts[1]
