"""The ten minutes on a GPU: their order, what is kept of them, and the parts, small, on a CPU."""

import json
import os
import subprocess
import time
import types

import pytest

from experiments.speed import __main__ as speed
from experiments.speed import gpu


def fake_clock(monkeypatch, seconds_of_a_part):
    now = [0.0]
    monkeypatch.setattr(gpu, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    left = []

    def apart(name, dry, seconds):
        left.append(seconds)
        now[0] += min(seconds_of_a_part, seconds)
        return {"case": name, "dry": dry}

    monkeypatch.setattr(gpu, "_apart", apart)
    return left


def test_what_has_not_begun_in_time_is_left_out(monkeypatch):
    left = fake_clock(monkeypatch, 250.0)
    found = gpu.run(dry=True)
    assert left == [600.0, 350.0, 100.0]
    assert list(found["parts"]) == list(gpu.PARTS)[:3]
    assert found["left_out"] == list(gpu.PARTS)[3:]
    assert found["parts"]["resnet"] == {"case": "resnet", "dry": True}


def test_what_was_timed_is_kept_when_it_is_stopped(monkeypatch, capsys):
    def apart(name, *_):
        if name == "tiny_mlp":
            raise KeyboardInterrupt
        return {"rate": 2.0}

    monkeypatch.setattr(gpu, "_apart", apart)
    speed.main(["--gpu", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert list(found["parts"]) == ["resnet", "resnet_bfloat16", "resnet_graphs"]
    assert found["left_out"][0] == "tiny_mlp"
    assert found["dry_run"] is False


@pytest.mark.parametrize("part", ["resnet", "resnet_graphs"])
def test_a_part_is_a_process_with_its_flags(monkeypatch, part):
    monkeypatch.setenv("XLA_FLAGS", "--xla_own=1")
    seen = []

    def run(words, *, env, timeout, **_):
        seen.append((words[2:], env["XLA_FLAGS"], timeout))
        return subprocess.CompletedProcess(words, 0, 'noise\n{"rate": 1}\n', "")

    monkeypatch.setattr(subprocess, "run", run)
    assert gpu._apart(part, True, 9.0) == {"rate": 1}
    flags = f"--xla_own=1 {gpu.GRAPHS}" if part == "resnet_graphs" else "--xla_own=1"
    words = ["experiments.speed", "--gpu-part", part, "--json", "--dry-run"]
    assert seen == [(words, flags, 9.0)]
    assert os.environ["XLA_FLAGS"] == "--xla_own=1"


def test_a_part_that_fails_costs_itself_alone(monkeypatch):
    def run(words, **_):
        return subprocess.CompletedProcess(words, 1, "", "Traceback\nerror: out of memory\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert gpu._apart("resnet", False, 9.0) == {"failed": "error: out of memory"}

    def late(words, timeout, **_):
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(subprocess, "run", late)
    assert gpu._apart("resnet", False, 9.0) == {"failed": "the time was up"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--dry-run"], "dry_run is True: give --gpu beside it"),
        (["--gpu-part", "resnt"], "part is 'resnt': did you mean resnet?"),
    ],
)
def test_bad_requests_are_one_line(capsys, words, says):
    with pytest.raises(SystemExit) as end:
        speed.main(words)
    assert end.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("part", ["resnet_bfloat16", "dcgan32_8_seeds", "tiny_mlp"])
def test_parts_are_timed_small(part):
    began = time.perf_counter()
    found = gpu.measure(part, dry=True)
    assert found["finite"]
    assert len(found["each"]) == 3
    assert found["iterations_per_second"] > 0
    assert found["compile_seconds"] <= time.perf_counter() - began
