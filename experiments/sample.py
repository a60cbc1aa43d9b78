"""Draws samples from a finished or running run, or from a generator of the gallery.

    python -m experiments.sample RUN_DIR --num 1000 --out samples.npy
    python -m experiments.sample RUN_DIR --num 100 --out grid.png
    python -m experiments.sample RUN_DIR --num 100 --out pictures     # single ones, in a folder
    python -m experiments.sample RUN_DIR --num 8 --interpolate 10 --out path.png
    python -m experiments.sample RUN_DIR --trial 3          # of a run with --seeds or --sweep
    python -m experiments.sample --generator wgan_gp-fashion_mnist --num 64 --out grid.png

`.npy` holds float32 [num, *D], images in [-1, 1]; `.png` is a grid of images, or a scatter plot of
points. With --interpolate K each of the num rows is a path of K samples from one latent to another:
along a great circle for normal latents (every point of it is as likely as its ends), along a
straight line for bounded ones. The samples come from the newest whole checkpoint.

--generator takes a trained generator in place of a run: a name of experiments/gallery/generators
(each member has one of the digits and one of Fashion-MNIST, listed in experiments/gallery), or a
file FILE.bin that has its FILE.json beside it. Nothing is trained.
"""

import importlib
import pathlib
from typing import Any

from jwgan import check, run
from jwgan.run import sample

GENERATORS = pathlib.Path(__file__).parent / "gallery" / "generators"


def find(described: dict[str, Any]) -> run.Experiment:
    """Finds the experiment of this folder that made a run.

    Raises:
      ValueError: it was none of this folder.
    """
    # config.json is untrusted: it may name only experiments of this folder. They are found by their
    # text, because importing each file to look would run all of them.
    here = pathlib.Path(__file__).parent
    names = [path.stem for path in here.glob("*.py") if "\nEXPERIMENT = " in path.read_text()]
    name = run.require_choice("experiment", described["experiment"], sorted(names))
    experiment: run.Experiment = importlib.import_module(f"experiments.{name}").EXPERIMENT.named()
    # Another program can have an experiment of the same name, with other options.
    program = described.get("program", experiment.program)
    if program != experiment.program:
        command = check.printable(str(program))  # a stranger's file may hold anything
        raise ValueError(f"program is {program!r}: read the run by `{command} sample RUN_DIR`")
    return experiment


if __name__ == "__main__":
    sample.main(find, doc=__doc__, named=GENERATORS)
