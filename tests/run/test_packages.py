"""Optional packages: what `--help` does not import, and what a command says that misses one."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Runs a module as `python -m` does, without some packages, and prints what it imported.
PROGRAM = """
import runpy, sys
missing, module, *argv = sys.argv[1:]
for name in missing.split(","):
    sys.modules[name] = None
sys.argv = ["-m", *argv]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    print("imported", *(name for name, found in sys.modules.items() if found))
"""
# orbax itself is an empty namespace, which looking for orbax.checkpoint imports.
HEAVY = {
    *("orbax.checkpoint", "matplotlib", "sklearn", "scipy", "ot", "PIL", "tensorboardX"),
    *("grain", "array_record", "tensorflow_datasets"),
}


def run(missing, module, *argv):
    """(exit code, stdout but for its last line, stderr, the packages that were imported)."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, missing, module, *argv],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    *out, last = done.stdout.splitlines()
    return done.returncode, "\n".join(out), done.stderr, set(last.split()[1:])


@pytest.mark.parametrize("module", ["experiments.wgan_gp", "experiments.toy2d"])
def test_help_imports_little_more_than_jax_and_flax(module):
    code, out, _, imported = run("nothing", module, "--help")
    assert code == 0
    assert "--learning-rate" in out
    assert "optax" in imported
    assert not HEAVY & imported


def test_help_needs_no_optional_package():
    everything = ",".join(("flax", "rich", *sorted(HEAVY)))
    code, out, err, _ = run(everything, "jwgan.run", "wgan_gp", "--help")
    assert (code, err) == (0, "")
    assert "--learning-rate" in out


@pytest.mark.parametrize(
    ("missing", "module", "argv", "said"),
    [
        ("flax", "jwgan.run", "wgan_gp", "flax is not installed: pip install 'jwgan[run]'"),
        ("PIL", "jwgan.run", "wgan_gp", "Pillow is not installed: pip install 'jwgan[run]'"),
        (
            *("sklearn", "jwgan.run", "wgan_gp"),
            "scikit-learn is not installed: pip install 'jwgan[data]'",
        ),
        (
            *("ot", "jwgan.run", "wgan_gp --dataset ring"),
            "POT is not installed: pip install 'jwgan[transport]'",
        ),
        (
            *("flatbuffers", "jwgan.run", "export FOLDER"),
            "flatbuffers is not installed: pip install 'jwgan[run]'",
        ),
        (
            *("orbax", "experiments.toy2d", ""),
            "orbax-checkpoint is not installed: pip install -e '.[experiments]'",
        ),
    ],
    ids=lambda value: value.split()[0] if value else "",
)
def test_a_missing_package_is_one_line_and_nothing_is_written(
    missing, module, argv, said, tmp_path
):
    folder = tmp_path / "run"
    trains = () if argv.startswith("export") else ("--run-dir", str(folder))
    code, _, err, _ = run(missing, module, *argv.split(), *trains)
    assert (code, err) == (2, f"error: {said}\n")
    assert not folder.exists()
