"""Eight CPU devices, strict broadcasting, cheap compilation and a cache of the checkout's own."""

import os
import pathlib

_CACHE = pathlib.Path(__file__).resolve().parent.parent / ".cache" / "jax"
# Nearly all of the suite's time is compiling small programs that run once: LLVM's cheap passes do.
_FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
os.environ.setdefault("XLA_FLAGS", _FLAGS)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

import zlib  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402  jax must not be imported before the settings

SETTINGS = ("jax_enable_compilation_cache", "jax_compilation_cache_dir", "jax_platforms")


@pytest.fixture(autouse=True)
def settings_of_the_suite(monkeypatch):
    """Undoes what a command that ran in this process has set of jax and XLA."""
    import jax

    before = {name: getattr(jax.config, name) for name in SETTINGS}
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"])
    yield
    for name, value in before.items():
        if getattr(jax.config, name) != value:
            jax.config.update(name, value)


@pytest.fixture
def key():
    import jax

    return jax.random.key(0)


@pytest.fixture
def rng(request):
    """Random numbers of one test's own, so that its data do not depend on what ran before it."""
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))
