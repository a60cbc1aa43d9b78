"""Runs whose state has grown since they were written: refused by name, brought over on request."""

import json
import pathlib
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import sample, toy2d
from jwgan import checkpoint
from jwgan.run import launch, reading, upgrade

OLD = pathlib.Path(__file__).parent / "old_runs"
OPTIONS = ["--width", "8", "--chunk-steps", "10", "--checkpoint-every", "20", "--no-quality"]


def grown(config, shape):
    """toy2d's algorithm in a version that keeps one number more in its state."""
    algorithm = toy2d.build(config, shape)

    def init(key, batch):
        return algorithm.init(key, batch)._replace(objective={"scale": jnp.float32(1.5)})

    def step(state, batch):
        after, info = algorithm.step(state._replace(objective=()), batch)
        return after._replace(objective={"scale": state.objective["scale"] * 2}), info

    return algorithm._replace(init=init, step=step)


EXPERIMENT = toy2d.EXPERIMENT._replace(build=grown, name="toy2d")


@pytest.fixture
def old(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    shutil.copytree(OLD / "toy", tmp_path / "run")
    return tmp_path / "run"


def fails(capsys, function, *args):
    with pytest.raises(SystemExit) as end:
        function(*args)
    assert end.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_the_advice_is_followed_and_the_run_goes_on(old, capsys):
    resume = [*OPTIONS, "--steps", "50", "--run-dir", str(old), "--resume"]
    line = fails(capsys, launch.main, EXPERIMENT, resume)
    assert "leaf .objective['scale'] is not in the checkpoint" in line
    assert "python -m experiments.upgrade RUN" in line
    before = checkpoint.restore(old / "checkpoints", reading.read_run(old, sample.find)[2])
    launch.main(EXPERIMENT, ["upgrade", str(old)])
    assert "1 new parts, .objective['scale'] first" in capsys.readouterr().out
    # what was there is there bit for bit, and so are the old files
    _, _, state = reading.read_run(old, lambda described: EXPERIMENT)
    assert float(state.objective["scale"]) == 1.5
    same = checkpoint.state_sha256(state._replace(objective=()))
    assert same == before.state_sha256
    assert (
        checkpoint.steps(old / "checkpoints.old") == checkpoint.steps(old / "checkpoints") == [40]
    )
    changes = json.loads((old / "config.json").read_text())["changes"]
    assert changes[0]["step"] == 40
    assert ".objective['scale']" in changes[0]["changed"]["state"][1]
    launch.main(EXPERIMENT, resume)
    assert ".objective" in (old / "report.html").read_text()
    _, _, state = reading.read_run(old, lambda described: EXPERIMENT)
    assert float(state.objective["scale"]) == 1.5 * 2**10


def test_a_run_that_fits_is_left_alone(old, capsys):
    before = (old / "config.json").read_bytes()
    upgrade.main(sample.find, [str(old)])
    assert "nothing to bring over" in capsys.readouterr().out
    assert (old / "config.json").read_bytes() == before
    assert not (old / "checkpoints.old").exists()


def test_a_state_that_has_lost_a_part_or_its_shape_is_refused(old, capsys):
    described = json.loads((old / "config.json").read_text())
    described["config"]["width"] = 9
    (old / "config.json").write_text(json.dumps(described))
    line = fails(capsys, upgrade.main, sample.find, [str(old)])
    assert "float32[8] in the checkpoint and float32[9] here" in line
    described["config"]["width"] = 8
    (old / "config.json").write_text(json.dumps(described))
    launch.main(EXPERIMENT, ["upgrade", str(old)])
    line = fails(capsys, upgrade.main, sample.find, [str(old)])
    assert "leaf .objective['scale'] is in the checkpoint and not here" in line
    assert "upgrade" not in line  # which would not help


def test_killed_between_the_renames_it_is_finished_by_the_next(old, capsys):
    launch.main(EXPERIMENT, ["upgrade", str(old)])
    (old / "checkpoints").rename(old / "checkpoints.new")
    capsys.readouterr()
    launch.main(EXPERIMENT, ["upgrade", str(old)])
    assert "nothing to bring over" in capsys.readouterr().out
    assert checkpoint.steps(old / "checkpoints") == [40]


def test_what_is_no_run_is_one_line(tmp_path, capsys):
    assert "is no run's description" in fails(capsys, upgrade.main, sample.find, [str(tmp_path)])


def test_every_whole_checkpoint_is_brought_over(old, capsys):
    fresh = {"a": np.zeros(2, np.float32), "b": np.ones(3, np.float32)}
    folder = old / "several"
    with checkpoint.Checkpoints(folder / "checkpoints", keep=9) as checkpoints:
        for step in (1, 2, 3):
            a = np.full(2, step, np.float32)
            checkpoints.save(step, {"a": a}, {"sliced_distance": step})
    (folder / "checkpoints" / "00000002.json").write_text("{}")  # damaged
    step, added = upgrade._bring_over(folder, fresh)
    assert (step, added) == (3, ("['b']",))
    found = checkpoint.extras(folder / "checkpoints")
    assert found == {1: {"sliced_distance": 1}, 3: {"sliced_distance": 3}}
    assert "passed over" in capsys.readouterr().err
    one = checkpoint.restore(folder / "checkpoints", fresh, 1).state
    assert one["a"].tolist() == [1, 1]
    assert one["b"].tolist() == [1, 1, 1]
