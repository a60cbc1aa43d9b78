"""What a run depends on is recorded, and nothing private with it."""

import json
import os
import re
import subprocess
import sys

import jax

from jwgan import report


def test_environment_names_versions_and_no_places(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/home/me/dump --xla_cpu_enable_fast_math=false")
    found = report.environment()
    assert found["jax"] == jax.__version__
    assert found["device_count"] == len(jax.devices())
    assert found["xla_flags"] == "--xla_cpu_enable_fast_math=false"
    assert found["git_revision"] is None or re.match("[0-9a-f]{40}", found["git_revision"])
    text = json.dumps(found)
    for private in (os.path.expanduser("~"), os.uname().nodename, os.getcwd(), "/home"):
        assert private not in text


def test_import_is_light():
    heavy = "matplotlib", "tensorboardX", "PIL", "flax", "orbax"
    code = f"import sys, jwgan.report.page; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
