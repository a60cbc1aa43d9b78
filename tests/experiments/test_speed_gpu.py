"""The ten minutes on a GPU: their order, what is kept of them, and the parts, small, on a CPU."""

import json
import os
import pathlib
import sys
import time
import types

import jax
import jax.numpy as jnp
import pytest

from experiments.speed import __main__ as speed
from experiments.speed import gpu, kernels
from jwgan.run import xla

OURS = [name for name, part in gpu.PARTS.items() if not part.torch]


def fake_clock(monkeypatch, seconds_of_a_part):
    now = [0.0]
    monkeypatch.setattr(gpu, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    left = []

    def apart(name, dry, peer, seconds):
        left.append(seconds)
        now[0] += seconds_of_a_part
        return {"case": name, "dry": dry, "peer": peer}

    monkeypatch.setattr(gpu, "_apart", apart)
    return left


def test_what_has_not_begun_in_time_is_left_out(monkeypatch):
    """A part has its own limit, or what is left of the time."""
    left = fake_clock(monkeypatch, 270.0)
    found = gpu.run(dry=False)
    limits = [gpu.PARTS[name].seconds for name in OURS]
    assert left == [limits[0], limits[1], min(limits[2], 60.0)]
    assert list(found["parts"]) == OURS[:3]
    assert found["left_out"] == OURS[3:]
    assert found["parts"]["resnet"] == {"case": "resnet", "dry": False, "peer": ""}


def test_pytorch_has_its_turns_if_it_is_there(monkeypatch):
    fake_clock(monkeypatch, 1.0)
    found = gpu.run(dry=True, peer="python peer.py")
    assert list(found["parts"]) == list(gpu.PARTS)
    assert found["parts"]["resnet_torch_graph"]["peer"] == "python peer.py"
    with pytest.raises(ValueError, match=r"peer is 'peer.py': with --gpu give 'PYTHON FILE.py'"):
        gpu.run(dry=True, peer="peer.py")


def test_what_was_timed_is_kept_when_it_is_stopped(monkeypatch, capsys, tmp_path):
    """On the screen, and after every part in the file, which a kill leaves whole."""
    out, files = tmp_path / "timings.json", []

    def apart(name, *_):
        files.append(list(json.loads(out.read_text())["parts"]) if out.exists() else [])
        if name == "tiny_mlp":
            raise KeyboardInterrupt
        return {"iterations_per_second": 2.0}

    monkeypatch.setattr(gpu, "_apart", apart)
    speed.main(["--gpu", "--json", "--out", str(out)])
    found = json.loads(capsys.readouterr().out)
    names = ["resnet", "resnet_bfloat16", "resnet_graphs", "resnet_apart"]
    assert files == [names[:i] for i in range(5)]
    assert list(found["parts"]) == names
    assert found["left_out"][0] == "tiny_mlp"
    assert found["dry_run"] is False
    assert found == json.loads(out.read_text())


def test_a_part_is_a_process_with_its_words():
    """Ours in this Python; PyTorch's in its own."""
    words = [sys.executable, "-m", "experiments.speed", "--gpu-part", "resnet_graphs", "--json"]
    assert gpu._command("resnet_graphs", True, "") == [*words, "--dry-run"]
    found = gpu._command("resnet_256_torch_graph", False, "'/my python' peer.py")
    assert found == [
        *("/my python", str(gpu.TORCH), "peer.py", "resnet", "--way", "graph"),
        *("--precision", "float32", "--batch-size", "256"),
    ]
    assert "bfloat16" in gpu._command("resnet_torch_graph_bfloat16", False, "python peer.py")
    assert gpu.TORCH.exists()


def test_a_part_that_fails_costs_itself_alone(monkeypatch):
    def python(code):
        monkeypatch.setattr(gpu, "_command", lambda *_: [sys.executable, "-c", code])
        return gpu._apart("resnet", False, "", 60.0)

    assert python("print('noise'); print('{\"rate\": 1}')") == {"rate": 1}
    assert python("import sys; sys.exit('Traceback\\nerror: out of memory')") == {
        "failed": "error: out of memory"
    }
    assert python("import sys; sys.exit(3)") == {"failed": "no word"}
    monkeypatch.setattr(gpu, "_command", lambda *_: ["/no/such/python"])
    assert "No such file" in gpu._apart("resnet", False, "", 9.0)["failed"]


def test_a_part_that_takes_too_long_leaves_nothing_behind(monkeypatch, tmp_path):
    """Not even the process that it started itself."""
    child = "import time; time.sleep(60)"
    code = (
        "import pathlib, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
        "child.wait()"
    )
    monkeypatch.setattr(gpu, "_command", lambda *_: [sys.executable, "-c", code])

    # The limit is over when the child is there, on however busy a machine.
    class Popen(gpu.subprocess.Popen):
        def communicate(self, timeout=None):
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
                time.sleep(0.01)
            raise gpu.subprocess.TimeoutExpired(self.args, timeout)

    monkeypatch.setattr(gpu.subprocess, "Popen", Popen)
    assert gpu._apart("resnet", False, "", 9.0) == {"failed": "it took more than 9 s"}
    status = pathlib.Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    gone = lambda: not status.exists() or status.read_text().split()[2] == "Z"
    end = time.monotonic() + 30
    while not gone() and time.monotonic() < end:  # its end is not ours to await
        time.sleep(0.01)
    assert gone()


def test_goals_are_read_from_what_was_timed():
    rows = {
        "resnet": {"iterations_per_second": 110.0},
        "resnet_torch_graph": {"iterations_per_second": 100.0},
        "tiny_mlp": {"iterations_per_second": 5.0},
        "tiny_mlp_torch_graph": {"failed": "out of memory"},
        "first_picture": {"cold_seconds": 14.0, "warm_seconds": 7.0},
    }
    assert gpu.goals(rows) == [
        {"what": "resnet iterations_per_second >= 100", "is": 110.0, "met": True},
        {"what": "resnet over resnet_torch_graph >= 1.3", "is": 1.1, "met": False},
        {"what": "first_picture cold_seconds <= 15", "is": 14.0, "met": True},
        {"what": "first_picture warm_seconds <= 6", "is": 7.0, "met": False},
    ]
    assert gpu.goals({}) == []
    known = [*gpu.PARTS, "", "cold_seconds", "warm_seconds"]
    assert all(name in known for goal in gpu.GOALS for name in goal[:2])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--dry-run"], "dry_run is True: give --gpu beside it"),
        (["tiny_mlp", "--out", "x.json"], "out is 'x.json': give --gpu beside it"),
        (["--gpu-part", "resnt"], "part is 'resnt': did you mean resnet?"),
    ],
)
def test_bad_requests_are_one_line(capsys, words, says):
    with pytest.raises(SystemExit) as end:
        speed.main(words)
    assert end.value.code == 2
    assert says in capsys.readouterr().err


# --- the profile ----------------------------------------------------------------------------------


def named(kind, name, pid, tid=0):
    return {"ph": "M", "name": f"{kind}_name", "pid": pid, "tid": tid, "args": {"name": name}}


def event(name, pid, tid, ts, dur):
    return {"ph": "X", "name": name, "pid": pid, "tid": tid, "ts": ts, "dur": dur}


GPU_TRACE = [
    named("process", "/device:GPU:0", 1),
    named("thread", "Stream #1(Compute)", 1, 1),
    named("thread", "Stream #2(Memcpy)", 1, 2),
    named("thread", "XLA Ops", 1, 3),
    named("process", "/host:CPU", 2),
    named("thread", "tf_XLAEigen", 2, 1),
    event("sgemm", 1, 1, 100.0, 40.0),
    event("relu", 1, 1, 160.0, 20.0),
    event("copy", 1, 2, 130.0, 20.0),  # half of it beside the product
    event("sgemm", 1, 1, 190.0, 10.0),
    event("whole step", 1, 3, 0.0, 1000.0),
    event("host", 2, 1, 0.0, 500.0),
]


def test_the_share_of_kernels_in_a_trace():
    """From 100 to 200 us; 40 + 10 + 20 + 10 of them are busy."""
    assert kernels.summary(GPU_TRACE, longest=1) == {
        "kernel_share": 0.8, "kernels": 4, "milliseconds": 0.1, "longest": {"sgemm": 0.05}
    }  # fmt: skip
    assert kernels.summary(GPU_TRACE[:6])["kernel_share"] is None


def test_a_trace_that_was_recorded_here_is_read(tmp_path):
    with pytest.raises(ValueError, match="has no trace"):
        kernels.read(tmp_path)
    program = jax.jit(lambda x: jnp.sin(x @ x).sum())
    x = jnp.ones((200, 200))
    program(x).block_until_ready()
    with jax.profiler.trace(str(tmp_path)):
        for _ in range(3):
            program(x).block_until_ready()
    found = kernels.summary(kernels.read(tmp_path), longest=99)
    assert 0 < found["kernel_share"] <= 1
    assert any("sine" in name for name in found["longest"])
    assert found["kernels"] >= 6  # a product and a sum, at least, each time


# --- parts ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("part", ["resnet", "resnet_bfloat16", "dcgan32_8_seeds", "tiny_mlp"])
def test_parts_are_timed_small(part):
    began = time.perf_counter()
    found = gpu.measure(part, dry=True)
    assert found["finite"]
    assert len(found["each"]) == 3
    assert found["iterations_per_second"] > 0
    assert found["compile_seconds"] <= time.perf_counter() - began
    assert ("profile" in found) == gpu.PARTS[part].profile
    if gpu.PARTS[part].profile:
        assert 0 < found["profile"]["kernel_share"] <= 1
        assert found["profile"]["steps"] == 20


def test_a_part_sets_its_flags(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_own=1")
    monkeypatch.setattr(xla, "is_too_late", lambda: False)
    monkeypatch.setattr(
        gpu, "made", lambda part, dry: seen.append(os.environ["XLA_FLAGS"]) or 1 / 0
    )
    seen = []
    for part in ("resnet", "resnet_graphs"):
        with pytest.raises(ZeroDivisionError):
            gpu.measure(part, dry=True)
    assert seen == ["--xla_own=1", " ".join(["--xla_own=1", *xla.GPU_FLAGS["graphs"]])]
