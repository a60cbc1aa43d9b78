"""The compilation cache after kills, and with several processes."""

import os
import subprocess
import sys
import types
import zlib

import jax
import pytest

from jwgan.run import xla

WHOLE = zlib.compress(bytes(range(256)) * 50)
ZSTANDARD = b"\x28\xb5\x2f\xfd" + b"anything"


@pytest.mark.parametrize("size", range(0, len(WHOLE) + 1, 7))
def test_a_program_that_ends_early_is_torn(size):
    assert xla.is_whole(WHOLE[:size]) == (size == len(WHOLE))


def test_whole_programs_pass():
    assert xla.is_whole(WHOLE)
    assert xla.is_whole(zlib.compress(b""))
    assert xla.is_whole(ZSTANDARD)
    assert not xla.is_whole(b"neither")


def test_torn_programs_are_removed_and_others_read_once(tmp_path, monkeypatch):
    (tmp_path / "a-cache").write_bytes(WHOLE)
    (tmp_path / "b-cache").write_bytes(WHOLE[:-1])
    (tmp_path / "notes").write_bytes(b"of the user")
    xla.remove_torn(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a-cache", "notes", xla.CHECKED}
    # what was there before the last look is not read again: the cache may have a gigabyte
    read = []
    monkeypatch.setattr(xla, "is_whole", lambda program: read.append(program) or True)
    (tmp_path / "new-cache").write_bytes(b"new")
    os.utime(tmp_path / "a-cache", (1, 1))
    xla.remove_torn(tmp_path)
    assert read == [b"new"]


def test_the_users_cache_is_looked_through_too(tmp_path, monkeypatch):
    (tmp_path / "b-cache").write_bytes(WHOLE[:-1])
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    xla.use_compilation_cache()
    assert not (tmp_path / "b-cache").exists()
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "none_yet"))
    xla.use_compilation_cache()  # a folder that is not there is no error


def test_every_process_writes_as_the_first_and_stays_itself(monkeypatch):
    state, seen = types.SimpleNamespace(process_id=3), []

    def write(fails):
        seen.append(state.process_id)
        if fails:
            raise RuntimeError

    parts = types.SimpleNamespace(
        compiler=types.SimpleNamespace(_cache_write=write),
        distributed=types.SimpleNamespace(global_state=state),
    )
    monkeypatch.setattr(xla, "jax", types.SimpleNamespace(_src=parts))
    xla.let_every_process_write()
    once = parts.compiler._cache_write
    xla.let_every_process_write()
    assert parts.compiler._cache_write is once
    once(False)
    with pytest.raises(RuntimeError):
        once(True)
    assert seen == [0, 0]
    assert state.process_id == 3


def test_a_jax_without_that_function_is_left_alone(monkeypatch):
    monkeypatch.setattr(xla, "jax", types.SimpleNamespace())
    xla.let_every_process_write()


def test_the_wrapped_function_is_there():
    if xla.is_measured_jaxlib():
        assert callable(jax._src.compiler._cache_write)
        assert hasattr(jax._src.distributed.global_state, "process_id")


# --- the same bits on a GPU -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("", " ".join(xla.DETERMINISM)),
        ("--xla_a=1", " ".join(["--xla_a=1", *xla.DETERMINISM])),
        ("--xla_gpu_autotune_level=4", f"--xla_gpu_autotune_level=4 {xla.DETERMINISM[0]}"),
    ],
)
def test_determinism_is_asked_for_beside_the_users_flags(monkeypatch, own, expected):
    monkeypatch.setenv("XLA_FLAGS", own)
    monkeypatch.setattr(xla, "is_too_late", lambda: False)
    xla.use_determinism()
    assert os.environ["XLA_FLAGS"] == expected
    xla.use_determinism()
    assert os.environ["XLA_FLAGS"] == expected


def test_determinism_that_comes_too_late_is_said_on_a_gpu_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(xla, "is_too_late", lambda: True)
    xla.use_determinism()  # a CPU gives the same bits anyway
    assert os.environ["XLA_FLAGS"] == ""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(ValueError, match=r"deterministic is True.*exclude_nondeterministic_ops"):
        xla.use_determinism()


# --- flags that may make a GPU faster -------------------------------------------------------------

GRAPHS = xla.GPU_FLAGS["graphs"]


@pytest.mark.parametrize(
    ("own", "names", "expected"),
    [
        ("", "", ""),
        ("", "graphs", " ".join(GRAPHS)),
        ("--xla_a=1", "nchw graphs nchw", " ".join(["--xla_a=1", *xla.GPU_FLAGS["nchw"], *GRAPHS])),
        (
            "--xla_gpu_enable_command_buffer=",
            "graphs",
            f"--xla_gpu_enable_command_buffer= {GRAPHS[1]}",
        ),
    ],
)
def test_flags_to_try_stand_beside_the_users(monkeypatch, own, names, expected):
    monkeypatch.setenv("XLA_FLAGS", own)
    monkeypatch.setattr(xla, "is_too_late", lambda: False)
    xla.use_gpu_flags(names)
    assert os.environ["XLA_FLAGS"] == expected


def test_flags_to_try_are_set_for_known_versions_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(xla, "is_too_late", lambda: False)
    with pytest.raises(ValueError, match=r"gpu_flags is 'graph': did you mean graphs\?"):
        xla.use_gpu_flags("graph")
    monkeypatch.setattr(xla.importlib.metadata, "version", lambda name: "0.13.2")
    xla.use_gpu_flags("")
    with pytest.raises(ValueError, match=r"tried with jaxlib 0.10 and 0.11, here is 0.13.2; leave"):
        xla.use_gpu_flags("nchw")
    assert os.environ["XLA_FLAGS"] == ""
    assert xla.KNOWN_TO.keys() == xla.GPU_FLAGS.keys()


def test_this_xla_knows_the_flags_to_try():
    """XLA ends the process at a flag that it does not know."""
    flags = " ".join(xla.gpu_flags(" ".join(xla.GPU_FLAGS)))
    code = "import jax; print(jax.jit(lambda x: x + 1)(1.0))"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.stdout.strip() == "2.0", done.stderr
