"""Trains the small generators of the gallery: every member on the digits and on Fashion-MNIST.

    python -m experiments.generators                        # all that are missing
    python -m experiments.generators wgan_gp-digits,wgan-digits
    python -m experiments.generators --check wgan_gp-digits # trains it again, compares the bytes
    python -m experiments.generators --picture              # draws all of them

experiments/gallery/generators/NAME.bin is the generator with its weights, as `experiments.export`
writes it. NAME.json beside it has the commands that made it, their seed, date, revision and
machine, the checksum of the bytes, and figures of samples drawn from these very bytes: classes,
Frechet distance. The same commands give the same bytes on the same machine with the same jax.
`experiments.sample --generator NAME` draws from them.

Networks are small and steps few: a training takes seconds or minutes on 2 CPU cores (NAME.json
says how long), and all files together are a few megabytes. What a member can do is shown by its own
experiment, not here. The number of steps is fixed, and not the time: with a time limit the bytes
would depend on the machine's load. A training that was interrupted goes on where it was; its run
stays in runs/generators/NAME.
"""

import dataclasses
import datetime
import functools
import hashlib
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import results
from experiments.results import markdown
from experiments.sample import GENERATORS
from jwgan import files, report
from jwgan.run import evaluate, generators, options, output, tasks, xla
from jwgan.run.options import option

PICTURE = GENERATORS.parent / "generators.png"
SEED = 0
# What all have in common on each data set; a recipe may say more.
DATASETS = {"digits": "--width 16", "fashion_mnist": "--dataset fashion_mnist --width 8"}


class Recipe(NamedTuple):
    """How a member's two generators are trained.

    Attributes:
      run: the command line after `python -m experiments.`.
      digits: its steps on the digits.
      fashion: its steps on Fashion-MNIST.
      more: further options on Fashion-MNIST.
      latents: how they are drawn.
    """

    run: str
    digits: int
    fashion: int
    more: str = ""
    latents: str = "normal"


# On Fashion-MNIST there are a few thousand updates, at a higher rate than many have by default; the
# experiments' own settings are those of the digits.
PLAIN = "--n-critic 1 --generator-norm none --learning-rate 5e-4 --critic-learning-rate 5e-4"
LP = "--generator-norm none --learning-rate 1e-3 --critic-learning-rate 1e-3 --b1 0.5 --weight 10"
CLIPPED = "--generator-norm none --learning-rate 1e-3 --critic-learning-rate 1e-3 --c 0.03"
GP = "--n-critic 3 --learning-rate 1e-3 --b1 0.5 --b2 0.9"
DIV = "--n-critic 3 --learning-rate 1e-3 --critic-learning-rate 1e-3 --b1 0.5 --b2 0.999 --weight 2"
RECIPES = {
    "gan_minimax": Recipe(
        "gan --member gan_minimax", 8000, 2500, f"{PLAIN} --critic-norm none --b1 0.5"
    ),
    "gan": Recipe("gan", 8000, 2500, PLAIN),
    "dcgan": Recipe("dcgan", 5000, 1500, "--learning-rate 5e-4"),
    "lsgan": Recipe("lsgan", 8000, 2500, PLAIN),
    "wgan": Recipe("wgan", 5000, 1500, CLIPPED),
    "wgan_gp": Recipe("wgan_gp", 6000, 1500, GP),
    "wgan_lp": Recipe("wgan_lp", 6000, 1000, LP),
    "wgan_hinge": Recipe("wgan_lp --linear", 6000, 500, LP),
    "wgan_div": Recipe("wgan_div", 6000, 1000, DIV),
    "sngan": Recipe("sngan", 8000, 2500, f"{PLAIN} --b1 0.5 --b2 0.999"),
    "ebgan": Recipe("ebgan", 8000, 4000),
    "began": Recipe("began", 8000, 4000, latents="uniform"),
    "dragan": Recipe("gan --member dragan", 8000, 2500, f"{PLAIN} --b2 0.9"),
    "r1_gan": Recipe("gan --member r1_gan", 8000, 2500, f"{PLAIN} --weight 1"),
    "r1_r2_gan": Recipe("gan --member r1_r2_gan", 8000, 2500, f"{PLAIN} --weight 1"),
    "rpgan": Recipe("gan --member rpgan", 8000, 1000, f"{PLAIN} --weight 1 --b1 0 --b2 0.99"),
}
NAMES = [f"{member}-{dataset}" for dataset in DATASETS for member in RECIPES]


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the command."""

    names: str = option("", "which, separated by commas (default: all)", optional=True)
    check: str = option("", "train this one again, and compare the bytes")
    picture: bool = option(False, f"write {PICTURE.name} in the gallery")


# --- what is run ----------------------------------------------------------------------------------


def _parts(name: str) -> tuple[Recipe, str]:
    """(recipe, data set) of a name."""
    member, _, dataset = name.rpartition("-")
    return RECIPES[member], dataset


def commands(name: str, run_dir: pathlib.PurePath, out: pathlib.PurePath) -> list[str]:
    """The two commands that make a generator's bytes, to be run in the checkout's root."""
    recipe, dataset = _parts(name)
    on_digits = dataset == "digits"
    words = [recipe.run, DATASETS[dataset], "" if on_digits else recipe.more]
    words += [f"--steps {recipe.digits if on_digits else recipe.fashion} --seed {SEED}"]
    train = shlex.split(f"python -m experiments.{' '.join(words)} --no-quality --tracker none")
    train += ["--run-dir", str(run_dir), "--resume", "auto"]
    export = ["python", "-m", "experiments.export", "--save", str(run_dir), "--out", str(out)]
    return [shlex.join(train), shlex.join(export)]


def _run_dir(name: str) -> pathlib.PurePath:
    return pathlib.PurePath("runs", "generators", name)


def recorded_command(name: str) -> str:
    """What NAME.json has as the command, in paths from the checkout's root."""
    out = pathlib.PurePath("experiments", "gallery", "generators", f"{name}.bin")
    return " && ".join(commands(name, _run_dir(name), out))


def _run(line: str) -> None:
    """Runs one of the commands.

    Raises:
      ValueError: it failed; it has said itself why.
    """
    words = [sys.executable, *shlex.split(line)[1:]]
    code = subprocess.run(words, cwd=results.ROOT, check=False).returncode
    if code:
        raise ValueError(f"exit code {code}: {line}")


# --- a generator and what is beside it ------------------------------------------------------------


def load(name: str) -> dict[str, Any]:
    """Reads NAME.json; {} where it is missing."""
    path = GENERATORS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def is_made(name: str) -> bool:
    """Whether a generator is there, whole, and made by today's command."""
    path, found = GENERATORS / f"{name}.bin", load(name)
    if not (found and path.exists() and found["command"] == recorded_command(name)):
        return False
    return found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def make(name: str) -> dict[str, Any]:
    """Trains, exports and measures a generator; returns what NAME.json has.

    Raises:
      ValueError: the training or the export failed.
    """
    where, latents = results.machine(), _parts(name)[0].latents  # the load before it is ours
    path = GENERATORS / f"{name}.bin"
    GENERATORS.mkdir(exist_ok=True)
    for line in commands(name, _run_dir(name), path):
        _run(line)
    artifact = path.read_bytes()
    task, algorithm = generators.opened(artifact, latents)
    run = json.loads((results.ROOT / _run_dir(name) / "result.json").read_text(encoding="utf-8"))
    found = {
        "command": recorded_command(name),
        "seed": SEED,
        "date": datetime.date.today().isoformat(),
        "revision": results.revision(),
        "machine": {**where, "jax": jax.__version__},
        "latents": latents,
        "shape": list(task.shape),
        "bytes": len(artifact),
        "sha256": hashlib.sha256(artifact).hexdigest(),
        "figures": {
            "steps": run["steps"],
            "seconds": run["seconds"],
            **quality(_parts(name)[1], task.shape[0], algorithm),
        },
    }
    files.replace(path.with_suffix(".json"), (json.dumps(found, indent=1) + "\n").encode())
    return found


@functools.cache
def _judge(dataset: str, image_size: int) -> tuple[tasks.Task, Any]:
    """The data set, and the classifier that all runs on it are measured with."""
    task = tasks.load_images(dataset, image_size=image_size)
    return task, evaluate.fit_classifier(task.dataset)


def quality(dataset: str, image_size: int, algorithm: Any) -> dict[str, Any]:
    """Measures samples of a generator as a run measures its own."""
    task, fitted = _judge(dataset, image_size)
    fake, _ = evaluate.samples(task, algorithm, generators.State())
    return evaluate.image_quality(task, fake, fitted)


def check(name: str) -> str:
    """Trains a generator again, elsewhere, and compares the bytes; says that they are the same.

    Raises:
      ValueError: the bytes differ, or the generator was made by another command.
    """
    found = load(name)
    if not found or found["command"] != recorded_command(name):
        remedy = f"make it by python -m experiments.generators {name}"
        raise ValueError(f"check is {name!r}: it was not made by today's command; {remedy}")
    with tempfile.TemporaryDirectory(prefix="generators-") as folder:
        out = pathlib.Path(folder, "again.bin")
        for line in commands(name, pathlib.Path(folder, "run"), out):
            _run(line)
        again = hashlib.sha256(out.read_bytes()).hexdigest()
    if again != found["sha256"]:
        raise ValueError(
            f"{name}: the sha256 was {found['sha256'][:12]}... with jax {found['machine']['jax']} "
            f"on {found['machine']['architecture']}, is {again[:12]}... with jax {jax.__version__}"
        )
    return f"{name}: the same {found['bytes']} bytes, sha256 {again}"


# --- what is shown --------------------------------------------------------------------------------


def table() -> str:
    """Makes a row for each generator, for the gallery's page."""
    rows = []
    for name in NAMES:
        found = load(name)
        figures = found.get("figures", {})
        distance = lambda key: f"{figures[key]:.2f}" if key in figures else ""
        rows.append(
            [
                f"`{name}`",
                figures.get("classes_present", ""),
                distance("frechet_distance"),
                distance("frechet_distance_of_real"),
                figures.get("steps", ""),
                f"{figures['seconds']:.0f}" if figures else "",
                f"{found['bytes'] / 1000:.0f}" if found else "",
            ]
        )
    head = ["generator", "classes (of 10)", "Frechet distance", "Frechet distance of real data"]
    return markdown.table([*head, "generator updates", "training, s", "size, kB"], rows)


COLUMNS, SIDE = 10, 32  # of each of a row's two halves; pixels of a sample's side


def _shown(name: str) -> np.ndarray:
    """Samples [COLUMNS, SIDE, SIDE, 1] of a generator; black where it is missing."""
    if not load(name):
        return np.full((COLUMNS, SIDE, SIDE, 1), -1.0)
    _, algorithm, state = generators.read(GENERATORS / f"{name}.bin")
    x = np.asarray(algorithm.sample(jax.random.key(SEED), state, COLUMNS))
    x = x.repeat(SIDE // x.shape[1], axis=1).repeat(SIDE // x.shape[2], axis=2)
    margin = (SIDE - x.shape[1]) // 2
    pads = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    return np.pad(x, pads, constant_values=-1.0)


def picture() -> np.ndarray:
    """Draws a row of samples for each member: digits on the left, Fashion-MNIST on the right."""
    rows = []
    for member in RECIPES:
        x = np.concatenate([_shown(f"{member}-{dataset}") for dataset in DATASETS])
        rows.append(report.image_grid(x, columns=len(x), scale=1))
    return report.labelled(rows, list(RECIPES), columns=1)


# --- the command ----------------------------------------------------------------------------------


def lines(config: Config) -> Iterator[str]:
    """Does what the options ask for; yields a line for each generator when it is done.

    Raises:
      ValueError: a name is unknown, a training failed, or bytes differ.
    """
    names = config.names.split(",") if config.names else NAMES
    for name in (*names, *filter(None, [config.check])):
        options.require_choice("generator", name, NAMES)
    if config.check:
        yield check(config.check)
    elif config.picture:
        report.save_png(PICTURE, picture())
        yield f"{PICTURE.relative_to(results.ROOT)} is drawn"
    else:
        for name in names:
            there = is_made(name)
            figures = (load(name) if there else make(name))["figures"]
            yield (
                f"{name}{' is there' if there else ''}: {figures['classes_present']} classes, "
                f"Frechet distance {figures['frechet_distance']:.4g} (real data: "
                f"{figures['frechet_distance_of_real']:.4g})"
            )


def main(argv: list[str] | None = None) -> None:
    config = options.parse(Config, argv, __doc__ or "", positional="names")
    xla.use_compilation_cache()
    xla.use_eigen()
    try:
        for line in lines(config):
            output.show(line)
    except (ValueError, OSError) as error:
        options.fail(error)


if __name__ == "__main__":
    main()
