"""The Inception network's weights: from PyTorch's file to one of ours, and from there to a figure.

    python -m experiments.convert_weights pt_inception-2015-12-05-6726825d.pth

PyTorch's file is read as data: no program in it runs, PyTorch is not needed, and what is no set of
tensors of this network is refused before anything is written. What is written, a safetensors file
at ~/.cache/jwgan/inception.safetensors unless --out says otherwise, carries the checksum of the
file that it comes from; `measure` finds it there, and states that checksum beside every figure.
The file itself is on the release pages of pytorch-fid and, under another name, of torch-fidelity.
"""

import dataclasses
import json
import pathlib
from typing import Any, NamedTuple

from jwgan import check, files, metrics
from jwgan.metrics import tensor_files
from jwgan.run import options, output
from jwgan.run.options import option


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `convert_weights`.

    >>> weights.Config("pt_inception-2015-12-05-6726825d.pth").out  # "": see default_file
    ''
    """

    file: str = option("", "PyTorch's weight file")
    out: str = option("", "file to write (default: ~/.cache/jwgan/inception.safetensors)")
    json: bool = option(False, "print one line of JSON")


class Weights(NamedTuple):
    """A weight file that has been read.

    Attributes:
      params: of `jwgan.metrics.inception`.
      about: file, checksum, and whether they are the published ones.
      published: whether they are.
    """

    params: Any
    about: dict[str, Any]
    published: bool


def default_file() -> pathlib.Path:
    """Where converted weights lie unless a user says otherwise.

    >>> weights.default_file().parts[-3:]
    ('.cache', 'jwgan', 'inception.safetensors')
    """
    return pathlib.Path.home() / ".cache" / "jwgan" / "inception.safetensors"


def load(file: str = "") -> Weights:
    """Reads the network's weights, converted or PyTorch's own.

    Args:
      file: of the weights; "" for the one that was converted.

    Raises:
      ValueError: no such file, damaged, hostile, or of another network.

    >>> weights.load("nowhere.pth")
    Traceback (most recent call last):
    jwgan.metrics.tensor_files.WeightsError: nowhere.pth: there is no such file; give a .pth or ...
    """
    path = pathlib.Path(file) if file else default_file()
    if not file and not path.is_file():
        raise ValueError(
            f"there are no Inception weights at {path}: give --weights FILE.pth, or bring them "
            "there by python -m experiments.convert_weights FILE.pth; or give another --space"
        )
    return _checked(path, tensor_files.read(path))


def _checked(path: pathlib.Path, found: tensor_files.TensorFile) -> Weights:
    try:
        params = metrics.inception.params_of(found.tensors)
    except ValueError as error:
        raise tensor_files.WeightsError(path, str(error)) from error
    sha256 = found.metadata.get("source_sha256", found.sha256)
    published = metrics.inception.is_published(sha256)
    known = "those of published figures" if published else "not those of published figures"
    about = {"file": path.name, "sha256": sha256, "are": known}
    return Weights(params, about, published)


def _convert(file: str, out: str = "") -> dict[str, Any]:
    """Writes PyTorch's weight file as a safetensors file; says what it did.

    Raises:
      ValueError: as `load`, or a name that does not end in .safetensors.
    """
    path = pathlib.Path(out) if out else default_file()
    if path.suffix.lower() != ".safetensors":
        raise ValueError(f"out is {out!r}: give a name ending in .safetensors")
    found = tensor_files.read(file)
    about = _checked(pathlib.Path(file), found).about
    kept = {name: found.tensors[name] for name in metrics.inception.tensor_shapes()}
    words = {"source": about["file"], "source_sha256": about["sha256"]}
    files.replace(path, tensor_files.to_bytes(kept, words))
    return {"out": str(path), "tensors": len(kept), "weights": about}


def main(argv: list[str] | None = None, doc: str | None = __doc__) -> None:
    """The command `convert_weights FILE`.

    Raises:
      SystemExit: bad input; its code is 2, after one line on stderr.

    >>> import contextlib, sys
    >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
    ...     weights.main(["inception.pth", "--out", "inception.npz"])
    error: out is 'inception.npz': give a name ending in .safetensors
    """
    program = options.program_name(argv, "convert_weights")
    config = options.parse(Config, argv, doc or "", "file", program)
    try:
        found = _convert(config.file, config.out)
    except (ValueError, OSError, check.MissingPackageError) as error:
        options.fail(error)
    output.show(json.dumps(found) if config.json else json.dumps(found, indent=1))
