"""Reads exported generators that have a description beside them: NAME.bin and NAME.json.

NAME.bin is what `export` writes. NAME.json says what its bytes cannot: how latents are drawn
("latents", normal or uniform) and what the checksum of the bytes is ("sha256"); whatever else is in
it is for people. Reading and drawing need no run, no data and no networks: flax may be missing.

In the examples `folder` has the generator of the finished run as dots.bin:

>>> import hashlib, json, pathlib, tempfile
>>> from jwgan.run import export, reading
>>> _, algorithm, state = reading.read_run(finished, reading.only(mine), with_data=False)
>>> artifact = export.export_generator(algorithm, state).serialize()
>>> said = {"latents": "normal", "sha256": hashlib.sha256(artifact).hexdigest()}
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> _ = (folder / "dots.bin").write_bytes(artifact)
>>> _ = (folder / "dots.json").write_text(json.dumps(said))
"""

import hashlib
import json
import pathlib
from typing import Any, NamedTuple, NoReturn

import jax.export

from jwgan import check, priors
from jwgan.run import options, tasks
from jwgan.types import Algorithm

PRIORS = {"normal": priors.normal, "uniform": priors.uniform}


def find(name: str, folder: pathlib.Path | None = None) -> pathlib.Path:
    """Finds a generator's file.

    Args:
      name: the path of a file FILE.bin, or a name in `folder`.
      folder: where generators with names are; None where there is none.

    Raises:
      ValueError: there is no such file or name; the names are listed.

    >>> generators.find("dots", folder).name
    'dots.bin'
    """
    if name.endswith(".bin") or folder is None:
        path = pathlib.Path(name)
        if path.suffix != ".bin" or not path.is_file():
            raise ValueError(f"generator is {name!r}: give a file FILE.bin, beside its FILE.json")
        return path
    options.require_choice("generator", name, sorted(path.stem for path in folder.glob("*.json")))
    return folder / f"{name}.bin"


def _described(path: pathlib.Path) -> tuple[str, str]:
    """Reads a description: (name in `PRIORS`, sha256 of the generator's bytes).

    Raises:
      ValueError: there is none, or a part of it is missing or of another kind.
    """
    said = check.printable(str(path))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        latents, sha256 = str(found["latents"]), str(found["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{said} describes no generator ({check.one_line(error)}): bring the file that lay "
            "beside the generator"
        ) from error
    # The file may be a stranger's: it may hold anything.
    if latents not in PRIORS:
        raise ValueError(f"{said}: latents is {latents[:80]!r}: give one of {', '.join(PRIORS)}")
    return latents, sha256


class State(NamedTuple):
    """Stands where a run has its state: the weights are in the program."""


def opened(artifact: bytes | bytearray, latents: str, name: str = "") -> tuple[Any, Algorithm]:
    """The (task, algorithm) of a generator's bytes; it draws samples and cannot be trained.

    Its latents are those of a run: with one key both make the same samples.

    Args:
      artifact: the bytes of NAME.bin; a generator without labels.
      latents: a name in `PRIORS`.
      name: of the task.

    >>> task, algorithm = generators.opened(artifact, "normal")
    >>> task.shape, algorithm.prior(jax.random.key(0), 3).shape
    ((2, 2, 1), (3, 4))
    """
    exported = jax.export.deserialize(bytearray(artifact))

    def untrained(*args: Any) -> NoReturn:
        raise ValueError("an exported generator has no critic and no optimizers: train a run")

    algorithm = Algorithm(
        init=untrained,
        step=untrained,
        prior=PRIORS[latents](exported.in_avals[0].shape[1:]),
        generate=lambda state, z: exported.call(z),
        score=untrained,
    )
    shape = list(exported.out_avals[0].shape[1:])
    return tasks.without_data({"name": name, "shape": shape}), algorithm


def read(path: pathlib.Path) -> tuple[Any, Algorithm, Any]:
    """The (task, algorithm, state) of a generator, as `reading.read_run` has them of a run.

    Args:
      path: of NAME.bin; NAME.json lies beside it.

    Raises:
      ValueError: its description is missing or damaged, or belongs to other bytes.
      MissingPackageError: flatbuffers is not installed.

    >>> task, algorithm, state = generators.read(folder / "dots.bin")
    >>> algorithm.sample(jax.random.key(0), state, 3).shape
    (3, 2, 2, 1)
    """
    check.require_package("flatbuffers", "run")  # jax.export needs it and does not declare it
    latents, sha256 = _described(path.with_suffix(".json"))
    artifact = path.read_bytes()
    found = hashlib.sha256(artifact).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{check.printable(str(path))} is damaged: its sha256 is {found[:12]}..., its "
            f"description says {check.printable(sha256[:12])}...; bring both files anew"
        )
    return *opened(artifact, latents, path.stem), State()
