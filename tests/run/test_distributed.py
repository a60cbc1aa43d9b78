"""Several processes on loopback train the run of one; killed, they stop and resume.

Every process has one CPU device. What two processes compute differs from one by the order of
float32 sums, see test_parallel.py.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from experiments import sample, toy2d
from jwgan.run import launch, reading

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOLERANCE = 1e-4
COMMON = ["--batch-size", "8", "--n-critic", "2", "--chunk-steps", "5", "--no-quality", "--json"]
COMMON += ["--checkpoint-every", "10"]
RUNS = {
    "on the device": ["toy2d", "--width", "8"],
    "streamed": ["wgan_gp", "--width", "2", "--stream"],  # 8x8 digits
}
QUICK = ("on the device", 2)  # the others are minutes long


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(folder, kind, num, steps, *extra):
    """The processes of a run; one alone needs no coordinator."""
    module, *options = RUNS[kind]
    command = [sys.executable, "-m", f"experiments.{module}", *options, *COMMON, *extra]
    command += ["--run-dir", str(folder), "--steps", str(steps)]
    joined = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", str(num)]
    return [
        subprocess.Popen(
            [*command, *([*joined, "--process-id", str(i)] if num > 1 else [])],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "JAX_NUM_CPU_DEVICES": "1"},
        )
        for i in range(num)
    ]


def finish(processes):
    """The first process's result; the others print none."""
    outputs = [process.communicate(timeout=300) for process in processes]
    for process, (_, err) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, err
    assert all("{" not in out for out, _ in outputs[1:])  # gloo greets on stdout
    return json.loads(outputs[0][0].strip().splitlines()[-1])


def parameters(folder):
    _, _, state = reading.read_run(folder, sample.find)
    return jax.tree.leaves(jax.device_get((state.critic.params, state.generator.params)))


def difference(a, b):
    pairs = zip(parameters(a), parameters(b), strict=True)
    return max(float(np.abs(x - y).max()) for x, y in pairs)


@pytest.mark.parametrize(
    ("kind", "num"),
    [
        pytest.param(kind, num, marks=() if (kind, num) == QUICK else pytest.mark.rare)
        for kind in RUNS
        for num in (2, 4)
    ],
)
@pytest.mark.slow
def test_several_processes_are_one(kind, num, tmp_path):
    """And a run of several processes goes on with one, and the other way round."""
    finish(start(tmp_path / "one", kind, 1, 20))
    many = finish(start(tmp_path / "many", kind, num, 20))
    assert many["steps"] == 20
    assert difference(tmp_path / "one", tmp_path / "many") < TOLERANCE
    rows = (tmp_path / "many/metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == list(range(21))
    for name, before, after in (("down", num, 1), ("up", 1, num)):
        finish(start(tmp_path / name, kind, before, 10))
        finish(start(tmp_path / name, kind, after, 20, "--resume"))
        assert difference(tmp_path / "one", tmp_path / name) < TOLERANCE


@pytest.mark.slow
def test_a_lost_process_ends_the_others_and_the_run_resumes(tmp_path):
    folder = tmp_path / "run"
    processes = start(folder, "on the device", 2, 100_000)
    deadline = time.monotonic() + 200
    while not list(folder.glob("checkpoints/*.json")) and time.monotonic() < deadline:
        assert all(process.poll() is None for process in processes)
        time.sleep(0.1)
    processes[1].kill()
    lost = time.monotonic()
    _, err = processes[0].communicate(timeout=100)
    assert time.monotonic() - lost < 60
    assert processes[0].returncode != 0
    assert "start all of them again with --resume" in err, err
    processes[1].communicate()
    step = max(int(path.stem) for path in folder.glob("checkpoints/*.json"))
    resumed = finish(start(folder, "on the device", 2, step + 10, "--resume"))
    assert resumed["steps"] == step + 10


@pytest.mark.slow
def test_asked_to_stop_together(tmp_path):
    """SIGTERM to one of two: both end at the same chunk, the state is saved."""
    folder = tmp_path / "run"
    processes = start(folder, "on the device", 2, 100_000)
    deadline = time.monotonic() + 200
    while not list(folder.glob("checkpoints/*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGTERM)
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [128 + signal.SIGTERM] * 2, outputs
    result = json.loads(outputs[0][0].strip().splitlines()[-1])
    saved = max(int(path.stem) for path in folder.glob("checkpoints/*.json"))
    assert saved == result["steps"] < 100_000
    assert result["stopped_by"] == "SIGTERM"


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--distributed"], "run_dir is None: give --run-dir"),
        (["--num-processes", "2", "--run-dir", "x"], "give all three, or only --distributed"),
        (["--devices", "99"], "devices is 99: there are"),
        (["--devices", "3", "--batch-size", "8"], "give a multiple of the 3 devices"),
        (["--precision", "float8"], "choose one of float32, bfloat16"),
    ],
)
def test_bad_options(extra, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        launch.main(toy2d.EXPERIMENT, extra)
    assert end.value.code == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_several_devices_and_low_precision_from_the_command_line(tmp_path, capsys, monkeypatch):
    """Four devices train one's run; bfloat16 another one, and both resume to the bit."""
    monkeypatch.chdir(tmp_path)
    options = ["--width", "8", *COMMON]

    def run(name, *extra):
        argv = [*options, "--run-dir", name, *extra]
        launch.main(toy2d.EXPERIMENT, argv)
        return json.loads(capsys.readouterr().out.strip().splitlines()[-1])["state_sha256"]

    run("one", "--steps", "10")
    four = run("four", "--steps", "10", "--devices", "4")
    assert difference(tmp_path / "one", tmp_path / "four") < TOLERANCE
    run("half", "--steps", "5", "--devices", "4")
    assert run("half", "--steps", "10", "--devices", "4", "--resume") == four
    low = run("low", "--steps", "10", "--precision", "bfloat16")
    assert TOLERANCE < difference(tmp_path / "one", tmp_path / "low") < 0.1
    run("lower", "--steps", "5", "--precision", "bfloat16")
    assert run("lower", "--steps", "10", "--precision", "bfloat16", "--resume") == low
