"""The command line and the run directory: what is typed wrong ends in one line and exit code 2."""

import gzip
import json
import os
import stat
import subprocess
import sys

import jax
import numpy as np
import pytest

from experiments import toy2d, wgan_gp
from jwgan.run import launch, options, session, xla

TINY = ["--steps", "6", "--chunk-steps", "2", "--batch-size", "8", "--n-critic", "2", "--json"]
TOY = ["--width", "8", "--no-quality", *TINY]


def toy(run_dir, *extra, member="wgan_gp"):
    argv = [*TOY, "--member", member, "--run-dir", str(run_dir), *extra]
    launch.main(toy2d.EXPERIMENT, argv)


def images(run_dir, *extra):
    argv = ["--width", "4", "--no-quality", *TINY, "--run-dir", str(run_dir), *extra]
    launch.main(wgan_gp.EXPERIMENT, argv)


@pytest.fixture(autouse=True)
def no_cache_of_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def last_json(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.fixture
def rejected(capsys, tmp_path):
    """Runs, and returns the one line on stderr; nothing may have been written."""

    def run(function, *args):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as end:
            function(*args)
        assert end.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return err

    return run


def test_a_run_leaves_everything(tmp_path, capsys):
    toy(tmp_path / "run")
    result = last_json(capsys)
    assert result["steps"] == 6
    assert result["run_dir"] == str(tmp_path / "run")
    assert len(result["state_sha256"]) == 64
    assert result["seconds_to_first_picture"] > 0
    assert np.isfinite(result["wasserstein_estimate"])
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(7))
    assert result["wasserstein_estimate"] == pytest.approx(rows[5]["wasserstein_estimate"])
    # The last evaluation is of the state after all steps: a row of its own.
    assert {"step": 6, **rows[6]} == rows[6]
    assert {"coverage", "sliced_distance"} <= rows[6].keys()
    assert "wasserstein_estimate" not in rows[6]
    assert result["evaluation"] == rows[6]
    pictures = sorted(path.name for path in (tmp_path / "run/samples").iterdir())
    assert pictures == ["00000002.png", "00000004.png", "00000006.png"]
    described = json.loads((tmp_path / "run/config.json").read_text())
    assert described["config"]["member"] == "wgan_gp"
    page = (tmp_path / "run/report.html").read_text()
    assert "https://" not in page.replace("https://arxiv.org", "")
    assert 'src="http' not in page


def test_resumed_equals_uninterrupted(tmp_path, capsys):
    toy(tmp_path / "whole", "--steps", "8")
    whole = last_json(capsys)
    toy(tmp_path / "half", "--steps", "4")
    capsys.readouterr()
    toy(tmp_path / "half", "--steps", "8", "--resume")
    resumed = last_json(capsys)
    assert resumed["state_sha256"] == whole["state_sha256"]
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "half")]
    assert texts[0] == texts[1]


def test_same_seed_same_bits_other_seed_other_bits(tmp_path, capsys):
    digests = []
    for i, seed in enumerate((3, 3, 4)):
        toy(tmp_path / f"run{i}", "--seed", str(seed))
        digests.append(last_json(capsys)["state_sha256"])
    assert digests[0] == digests[1] != digests[2]


def test_default_run_directories_are_numbered(capsys, tmp_path):
    for k in (1, 2):
        launch.main(toy2d.EXPERIMENT, TOY)
        assert last_json(capsys)["run_dir"] == f"runs/toy2d-eight_gaussians-{k}"
    argv = [*TOY, "--resume", "--steps", "8"]
    launch.main(toy2d.EXPERIMENT, argv)
    assert last_json(capsys)["run_dir"] == "runs/toy2d-eight_gaussians-2"


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--dataset", "eight_gausians"], "did you mean eight_gaussians?"),
        (["--member", "wgan_g"], "did you mean wgan_gp?"),
        (["--widht", "3"], "did you mean --width?"),
        (["--steps", "many"], "invalid int value: 'many'"),
        (["--n-critic", "0"], "n_critic is 0: give at least 1"),
        (["--batch-size", "-1"], "batch_size is -1"),
        (["--minutes", "0"], "minutes is 0.0"),
        (["--seed", "-1"], "seed is -1"),
        (["--resume"], "no run to resume there"),
    ],
)
def test_bad_options_of_a_world(rejected, tmp_path, extra, says):
    assert says in rejected(toy, tmp_path / "run", *extra)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--dataset", "digit"], "did you mean digits?"),
        (["--batch-size", "5000"], "batch_size is 5000: there are only"),
        (["--dataset", "folder"], "give --data-dir"),
        (["--dataset", "mnist", "--data-dir", "nowhere"], "nowhere"),
        (["--image-size", "7"], "7"),
        (["--weight", "-1"], "weight is -1.0"),
        (["--ema", "1"], "ema is 1.0: give a number in [0, 1)"),
    ],
)
def test_bad_options_of_images(rejected, tmp_path, extra, says):
    assert says in rejected(images, tmp_path / "run", *extra)


def test_corrupt_data_file_is_named(rejected, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for part, n in (("train", 60), ("t10k", 10)):
        header = np.array([0x803, n, 28, 28], ">i4").tobytes()
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(header + bytes(n * 784 - 5), mtime=0)
        )
        labels = np.array([0x801, n], ">i4").tobytes() + bytes(n)
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels, mtime=0))
    says = rejected(images, tmp_path / "run", "--dataset", "mnist", "--data-dir", str(folder))
    assert "train-images-idx3-ubyte.gz" in says


def test_an_existing_run_is_never_overwritten(rejected, tmp_path, capsys):
    toy(tmp_path / "run")
    capsys.readouterr()
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert "add --resume" in rejected(toy, tmp_path / "run")
    says = rejected(toy, tmp_path / "run", "--resume", "--seed", "9", "--batch-size", "16")
    assert "seed was 0 and is 9" in says
    assert "batch_size was 8 and is 16" in says
    assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()} == before


def test_one_of_names_the_choices():
    assert options.require_choice("x", "a", {"a": 1}) == "a"
    with pytest.raises(ValueError, match=r"x is 'q': choose one of a, b"):
        options.require_choice("x", "q", ["a", "b"])


def test_pictures_come_early_and_rarer_later():
    steps = [s for s in range(0, 1000, 5) if session.is_picture_step(s, 25)]
    assert steps == [25, 50, 100, 200, 400, 800]


def test_the_compilation_cache_is_private_and_bounded(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    before = jax.config.jax_compilation_cache_dir
    xla.use_compilation_cache()
    folder = tmp_path / ".cache" / "jwgan" / "jax"
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for age, size in enumerate([50, 40, 30, 1]):  # from the newest to the oldest
        path = folder / f"{age}"
        path.write_bytes(b"x" * size)
        os.utime(path, (1e9 - age, 1e9 - age))
    jax.config.update("jax_compilation_cache_dir", before)
    xla.trim(folder, 100)
    assert sorted(path.name for path in folder.iterdir()) == [xla.CHECKED, "0", "1"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", "--{}=-individual_convolution,-individual_dot"),
        ("--xla_a=1", "--xla_a=1 --{}=-individual_convolution,-individual_dot"),
        ("--{}=individual_dot", "--{}=individual_dot"),
    ],
)
def test_eigen_is_chosen_unless_the_user_chose(monkeypatch, flags, expected):
    monkeypatch.setenv("XLA_FLAGS", flags.format(xla.FUSION))
    monkeypatch.setattr(xla, "is_measured_jaxlib", lambda: True)
    monkeypatch.setattr(xla, "is_too_late", lambda: False)
    xla.use_eigen()
    assert os.environ["XLA_FLAGS"] == expected.format(xla.FUSION)
    monkeypatch.setattr(xla, "is_measured_jaxlib", lambda: False)
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1")
    xla.use_eigen()
    assert os.environ["XLA_FLAGS"] == "--xla_a=1"


def in_a_new_process(*lines):
    """What a program prints whose environment has no setting of XLA or jax."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XLA", "JAX"))}
    code = "\n".join(("import jax", "from jwgan.run import xla", *lines))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    return done.stdout.split()


def test_flags_set_after_the_import_of_jax_are_xlas():
    """A CPU's devices and XLA's flags are read when the first array is made, not at the import."""
    lines = ["xla.use_eigen()", "xla.use_cores(8, 4)", "print(len(jax.devices()))"]
    lines += ["print(xla.FUSION in __import__('os').environ['XLA_FLAGS'])"]
    assert in_a_new_process(*lines) == ["4", "True"]
    lines = ["print(xla.is_too_late(), len(jax.devices()), xla.is_too_late())"]
    lines += ["xla.use_cores(8, 4)", "xla.use_eigen()"]
    lines += ["print(len(jax.devices()), 'XLA_FLAGS' in __import__('os').environ)"]
    assert in_a_new_process(*lines) == ["False", "1", "True", "1", "False"]
