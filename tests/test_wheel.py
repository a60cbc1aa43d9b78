"""The package as a user gets it: built, installed into a fresh environment, used from a folder.

Nothing here imports jwgan: what is tested is the installed wheel, never the checkout. Programs run
in folders of their own, where the checkout is not on the path.
"""

import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import zipfile

import numpy as np
import PIL.Image
import pytest

# The environments take minutes to install: one worker runs all of these tests.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

ROOT = pathlib.Path(__file__).resolve().parent.parent

# An experiment of a user's own: DESIGN's document with a critic of its own.
MINE = '''"""Spheres of mine: WGAN-GP with a small critic.

    python mine.py --dataset folder --data-dir images --image-size 8
"""

import dataclasses

import flax.linen as nn
import jax
import jwgan
from jwgan import run
from jwgan.run import option


class Critic(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):  # [B, H, W, C] -> [B]
        x = nn.tanh(nn.Dense(self.width)(x.reshape(len(x), -1)))
        return nn.Dense(1)(x)[:, 0]


@dataclasses.dataclass(frozen=True)
class Config(run.ImageConfig):
    learning_rate: float = option(1e-3, "of both players' Adam")
    weight: float = option(10.0, "of the gradient penalty")


def build(config: Config, shape: tuple[int, ...]) -> jwgan.Algorithm:
    _, generator = run.image_players(shape, config)
    return jwgan.wgan_gp(
        jwgan.from_linen(Critic(config.width)),
        generator,
        prior=jwgan.priors.normal(config.latent),
        learning_rate=config.learning_rate,
        weight=config.weight,
    )


EXPERIMENT = run.Experiment(Config, build, __doc__)
if __name__ == "__main__":
    run.main(EXPERIMENT)
'''

# The loader of jwgan.run.export's docstring, in a process that imports nothing of jwgan.
LOAD = """
import sys
import jax.export
import numpy as np

with open("generator.bin", "rb") as file:
    generator = jax.export.deserialize(bytearray(file.read()))
size = generator.in_avals[0].shape[1:]
z = np.random.default_rng(0).standard_normal((3, *size), np.float32)
x = np.asarray(generator.call(z))
assert not {"jwgan", "flax"} & set(sys.modules)
print(x.shape, bool(np.abs(x).max() <= 1))
"""

SMALL = ["--width", "4", "--batch-size", "8", "--n-critic", "1"]
OWN_DATA = ["--dataset", "folder", "--data-dir", "images", "--image-size", "8"]
CLOSE = ["--chunk-steps", "2", "--checkpoint-every", "2"]  # half of all moments fall into a save
STEPS = 120


class Environment:
    """A virtual environment beside the checkout, and a folder to work in."""

    def __init__(self, folder):
        self.bin, self.folder = folder / "venv" / "bin", folder / "work"
        self.folder.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        # what the suite's own conftest sets, and a checkout on the path, must not reach a user
        ours = ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES", "JAX_NUMPY_RANK_PROMOTION", "PYTHONPATH")
        ours = (*ours, "PYTHONDONTWRITEBYTECODE")  # without bytecode every start is slow
        self.environ = {name: value for name, value in os.environ.items() if name not in ours}
        self.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "cache")
        self.environ["COLUMNS"] = "80"

    def install(self, wheel, extra=""):
        self.run("python", "-m", "pip", "install", "-q", f"{wheel}{extra}")

    def start(self, program, *arguments):
        return subprocess.Popen(
            [self.bin / program, *arguments],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, program, *arguments, code=0):
        """(stdout, stderr) of a command that must end with this exit code."""
        process = self.start(program, *arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, f"{arguments}: {process.returncode}\n{out}\n{err}"
        return out, err

    def result(self, program, *arguments):
        out, _ = self.run(program, *arguments, "--json")
        return json.loads(out.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the source archive, so a file that the archive forgets is missing in the wheel.

    setuptools works in the folder it builds: it gets a copy, and no build of before.
    """
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "jwgan", source / "jwgan")
    command = [sys.executable, "-m", "build", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """The wheel with what it depends on: jax and optax."""
    environment = Environment(tmp_path_factory.mktemp("bare"))
    environment.install(wheel)
    return environment


@pytest.fixture(scope="module")
def full(wheel, tmp_path_factory):
    """The wheel with the extra `run`; an experiment and pictures of a user's own."""
    environment = Environment(tmp_path_factory.mktemp("full"))
    environment.install(wheel, "[run]")
    (environment.folder / "mine.py").write_text(MINE)
    images = environment.folder / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(8)))
    for i in range(40):  # a bright disc somewhere in the picture
        far = np.linalg.norm(grid - rng.uniform(2, 5, (2, 1, 1)), axis=0)
        pixels = (255 * (far < rng.uniform(1.5, 3))).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(images / f"{i:03}.png")
    return environment


# --- what is in it --------------------------------------------------------------------------------


def test_the_wheel_holds_every_module_and_text(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "jwgan").rglob("*.py")}
    texts = {f"jwgan/{text.name}" for text in (ROOT / "jwgan").glob("*.md")}
    texts |= {"jwgan/LICENSE", "jwgan/py.typed"}
    packed = {name for name in names if ".dist-info/" not in name}
    assert packed == modules | texts
    version = importlib.metadata.version("jwgan")
    assert f"jwgan-{version}.dist-info/licenses/jwgan/LICENSE" in names


# --- without any extra ----------------------------------------------------------------------------


def one_error_line(err):
    (line,) = err.strip().splitlines()
    return line


def test_the_bare_wheel_is_the_core(bare):
    code = "import jwgan, sys; print(jwgan.__file__, 'flax' in sys.modules, jwgan.__version__)"
    out, _ = bare.run("python", "-c", code)
    file, flax, version = out.split()
    assert pathlib.Path(file).is_relative_to(bare.bin.parent)
    assert flax == "False"
    assert version == importlib.metadata.version("jwgan")


def test_without_flax_a_command_says_so_in_one_line(bare):
    said = "error: flax is not installed: pip install 'jwgan[run]'"
    assert one_error_line(bare.run("jwgan", "wgan_gp", code=2)[1]) == said
    assert one_error_line(bare.run("python", "-m", "jwgan.run", "wgan_gp", code=2)[1]) == said
    assert not list(bare.folder.iterdir())
    assert "--learning-rate" in bare.run("jwgan", "wgan_gp", "--help")[0]
    err = bare.run("python", "-c", "from jwgan.models import mlp", code=1)[1]
    assert err.strip().endswith("flax is not installed: pip install 'jwgan[flax]'")


# --- with the extra `run` -------------------------------------------------------------------------


def wait_for_row(process, folder, row):
    """Returns once the process has written so many lines of metrics."""
    path, deadline = folder / "metrics.jsonl", time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if path.exists() and path.read_text().count("\n") >= row:
            return
        time.sleep(0.01)
    raise AssertionError(f"row {row} was not written: {process.communicate()}")


@pytest.fixture(scope="module")
def killed(full):
    """(a run killed with SIGKILL and resumed, its result)."""
    options = [*OWN_DATA, *SMALL, *CLOSE, "--steps", str(STEPS), "--run-dir", "runs/killed"]
    process = full.start("python", "mine.py", *options)
    wait_for_row(process, full.folder / "runs" / "killed", STEPS // 3)
    assert process.poll() is None, "it ended before it could be killed: raise STEPS"
    process.kill()
    process.communicate()
    rows = (full.folder / "runs" / "killed" / "metrics.jsonl").read_text().count("\n")
    assert rows < STEPS
    return "runs/killed", full.result("python", "mine.py", *options, "--resume")


def test_an_own_experiment_killed_and_resumed_is_never_killed(full, killed):
    folder, ended = killed
    whole = full.result(
        "python", "mine.py", *OWN_DATA, *SMALL, *CLOSE, "--steps", str(STEPS), "--run-dir", "runs/a"
    )
    assert ended["steps"] == whole["steps"] == STEPS
    assert ended["state_sha256"] == whole["state_sha256"]
    texts = [(full.folder / name / "metrics.jsonl").read_text() for name in (folder, "runs/a")]
    assert texts[0] == texts[1]
    assert "Spheres of mine" in (full.folder / folder / "report.html").read_text()
    described = json.loads((full.folder / folder / "config.json").read_text())
    assert described["environment"]["jwgan"] == importlib.metadata.version("jwgan")


def test_an_own_experiment_sweeps_samples_and_exports(full, killed):
    folder, _ = killed
    swept = [*OWN_DATA, *SMALL, "--steps", "4", "--chunk-steps", "2", "--seeds", "2"]
    full.run("python", "mine.py", *swept, "--run-dir", "runs/seeds")
    full.run("python", "mine.py", "sample", "runs/seeds", "--trial", "1", "--out", "one.npy")
    full.run("python", "mine.py", "sample", folder, "--num", "4", "--out", "x.png")
    full.run("python", "mine.py", "export", folder, "--out", "generator.bin")
    assert np.load(full.folder / "one.npy").shape == (100, 8, 8, 1)
    with PIL.Image.open(full.folder / "x.png") as image:
        assert image.size[0] >= 16  # four pictures of 8 x 8
    assert full.run("python", "-c", LOAD)[0].strip() == "(3, 8, 8, 1) True"


def test_measuring_needs_one_more_extra_and_says_which(full, wheel, killed):
    folder, _ = killed
    err = full.run("python", "mine.py", "measure", folder, code=2)[1]
    assert one_error_line(err) == "error: POT is not installed: pip install 'jwgan[transport]'"
    full.install(wheel, "[transport]")
    found = full.result("python", "mine.py", "measure", folder)
    assert found["step"] == STEPS
    assert found["transport"]["sample_w1"] > found["transport"]["sample_w1_of_real"] > 0


def test_the_installed_command_needs_no_file(full):
    assert "Members: gan_minimax" in full.run("jwgan", "--help")[0]
    options = [*SMALL, "--steps", "4", "--chunk-steps", "2", "--no-quality"]
    result = full.result("jwgan", "wgan_gp", *options, "--run-dir", "runs/digits")
    assert re.fullmatch("[0-9a-f]{64}", result["state_sha256"])
    full.run("jwgan", "sample", "runs/digits", "--num", "4", "--out", "digits.png")
    assert (full.folder / "digits.png").stat().st_size > 0
    err = full.run("jwgan", "wgan_gpp", code=2)[1]
    assert "did you mean wgan_gp?" in one_error_line(err)


def test_all_of_it_ran_from_the_wheel(full):
    code = "import jwgan.run; print(jwgan.run.__file__)"
    assert pathlib.Path(full.run("python", "-c", code)[0].strip()).is_relative_to(full.bin.parent)
