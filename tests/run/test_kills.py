"""A training process killed with SIGKILL at any moment, and asked to stop with SIGTERM and Ctrl-C.

The moments are seeded delays after the process has trained a step of its own; checkpoints follow
each other so closely that about half of the kills fall into a save.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments import toy2d
from jwgan import checkpoint, report

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OPTIONS = ["--width", "8", "--batch-size", "8", "--n-critic", "1", "--no-quality", "--json"]
OPTIONS += ["--chunk-steps", "2", "--checkpoint-every", "2"]
STEPS_A_KILL = 40  # so many that the last kill finds it still training


def command(folder, steps, *extra):
    run = ["--run-dir", str(folder), "--steps", str(steps), *extra]
    return [sys.executable, "-m", "experiments.toy2d", *OPTIONS, *run]


def start(folder, steps, *extra):
    return subprocess.Popen(
        command(folder, steps, *extra),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "80"},
        text=True,
    )


def rows(folder):
    """The whole lines of metrics.jsonl: what a reader of a running run sees."""
    path = folder / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def wait_for_a_step(process, folder):
    """Returns once the process itself has written figures."""
    known, deadline = rows(folder), time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        now = rows(folder)
        if now > known:
            return
        known = min(known, now)  # on a resume what is later than the checkpoint goes first
        time.sleep(0.01)
    out, err = process.communicate()
    raise AssertionError(f"no step was trained: {out} {err}")


def figures(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out.strip().splitlines()[-1])


def check_what_is_left(folder):
    """The newest complete checkpoint restores, and the figures can be read."""
    import jax

    config = toy2d.Config(**json.loads((folder / "config.json").read_text())["config"])
    algorithm = toy2d.build(config, (2,))
    batch = jax.ShapeDtypeStruct((config.n_critic, config.batch_size, 2), np.float32)
    target = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), batch))
    if checkpoint.steps(folder / "checkpoints"):
        restored = checkpoint.restore(folder / "checkpoints", target)
        assert restored.skipped == ()  # a kill never leaves a damaged one
        assert restored.step == checkpoint.steps(folder / "checkpoints")[-1]
        assert rows(folder) >= restored.step  # figures reach the file before the state does
    steps = report.read_metrics(folder)["step"]
    assert (steps == np.arange(len(steps))).all()


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.rare)])
@pytest.mark.slow
def test_killed_and_resumed_is_never_killed(kills, tmp_path):
    folder, steps = tmp_path / "killed", kills * STEPS_A_KILL
    rng = np.random.default_rng(kills)
    for kill in range(kills):
        process = start(folder, steps, *(["--resume"] if kill else []))
        wait_for_a_step(process, folder)
        time.sleep(rng.uniform(0, 0.4))
        assert process.poll() is None, "it ended before it could be killed: raise STEPS_A_KILL"
        process.kill()
        process.communicate()
        check_what_is_left(folder)
    ended = figures(start(folder, steps, "--resume"))
    whole = figures(start(tmp_path / "whole", steps))
    assert ended["state_sha256"] == whole["state_sha256"]
    assert ended["best"] == whole["best"]
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "killed")]
    assert texts[0] == texts[1]
    assert texts[0].count("\n") == steps + 1  # the last evaluation has a row of its own


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_asked_to_stop(sent, tmp_path):
    """The chunk ends, state and report are written, the exit code says why: within 10 seconds."""
    folder = tmp_path / "run"
    process = start(folder, 100_000)
    wait_for_a_step(process, folder)
    asked = time.monotonic()
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert process.returncode == 128 + sent
    assert "Traceback" not in err
    result = json.loads(out.strip().splitlines()[-1])
    assert result["stopped_by"] == sent.name
    assert checkpoint.steps(folder / "checkpoints")[-1] == result["steps"]
    # One more where the last step's samples were measured before the signal.
    assert result["steps"] <= rows(folder) <= result["steps"] + 1
    assert f"Stopped by {sent.name}" in (folder / "report.html").read_text()
    check_what_is_left(folder)
