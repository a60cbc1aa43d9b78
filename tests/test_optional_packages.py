"""Without an optional package the rest works, and what needs it says what brings it."""

import ast
import json
import pathlib
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from jwgan import check
from jwgan.data import readers

ROOT = pathlib.Path(__file__).resolve().parent.parent / "jwgan"
OPTIONAL = (
    *("flax", "orbax", "rich", "tensorboardX", "matplotlib", "PIL", "flatbuffers"),
    *("tensorflow_datasets", "importlib_resources", "grain", "array_record", "sklearn"),
    *("scipy", "ot", "fontTools"),
)

# What needs a package, and the whole message without it; `here` is a folder with a picture, an
# empty checkpoint and a TFDS data set.
CASES = {
    "data.digits()": "scikit-learn is not installed: pip install 'jwgan[data]'",
    "data.folder(here, image_size=4)": "Pillow is not installed: pip install 'jwgan[data]'",
    "streams.FolderRows(here, 4)": "Pillow is not installed: pip install 'jwgan[data]'",
    "data.emoji(here / '000.png')": "fonttools is not installed: pip install 'jwgan[data]'",
    "data.from_tfds('made', here)": (
        "tensorflow-datasets is not installed: pip install 'jwgan[data]'"
    ),
    "streams.TFDSRows('made', here, image_size=4)": (
        "tensorflow-datasets is not installed: pip install 'jwgan[data]'"
    ),
    "streams.from_rows(np.zeros((4, 2)), n_critic=1, batch_size=2)": (
        "grain is not installed: pip install 'jwgan[data]'"
    ),
    "next(convert.examples(np.zeros((1, 4, 4, 1)), None))": (
        "Pillow is not installed: pip install 'jwgan[data]'"
    ),
    "convert.prepare('x', {'train': (np.zeros((1, 4, 4, 1)), None)}, (), here)": (
        "tensorflow-datasets is not installed: pip install 'jwgan[data]'"
    ),
    "checkpoint.Checkpoints(here)": ("orbax-checkpoint is not installed: pip install 'jwgan[run]'"),
    "checkpoint.restore(here, {})": "orbax-checkpoint is not installed: pip install 'jwgan[run]'",
    "report.Writer(here)": "tensorboardX is not installed: pip install 'jwgan[run]'",
    "report.save_png('a.png', np.zeros((4, 4, 1), np.uint8))": (
        "Pillow is not installed: pip install 'jwgan[run]'"
    ),
    "report.labelled([np.zeros((4, 4, 1), np.uint8)], ['a'], 1)": (
        "Pillow is not installed: pip install 'jwgan[run]'"
    ),
    "report.scatter(np.eye(2), np.eye(2))": (
        "matplotlib is not installed: pip install 'jwgan[run]'"
    ),
    "plots.panels(2)": "matplotlib is not installed: pip install 'jwgan[run]'",
    "transport.exact_w1(np.eye(2), np.eye(2))": (
        "POT is not installed: pip install 'jwgan[transport]'"
    ),
    "transport.wp_1d(lambda u: u, lambda u: 2 * u)": (
        "scipy is not installed: pip install 'jwgan[transport]'"
    ),
    "metrics.classifier": "flax is not installed: pip install 'jwgan[flax]'",
    "metrics.inception": "flax is not installed: pip install 'jwgan[flax]'",
    "metrics.tensor_files and metrics.resizing": "works",
    "jwgan.from_nnx(lambda rngs: None)": "flax is not installed: pip install 'jwgan[flax]'",
    "models.mlp": "flax is not installed: pip install 'jwgan[flax]'",
}

PROGRAM = """
import json, os, pathlib, sys
import numpy as np
import jax
import jwgan
for name in {optional}:
    sys.modules[name] = None
from jwgan import checkpoint, data, metrics, models, report, transport
from jwgan.data import convert, streams
from jwgan.report import plots
here, found = pathlib.Path({here!r}), {{}}
for case in {cases}:
    try:
        eval(case)
        found[case] = "works"
    except jwgan.check.MissingPackageError as error:
        found[case] = str(error)
    except Exception as error:
        found[case] = repr(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """{case: what it says} in a process where no optional package can be imported."""
    here = tmp_path_factory.mktemp("here")
    PIL.Image.fromarray(np.zeros((4, 4), np.uint8)).save(here / "000.png")
    prepared = here / "made" / "1.0.0"
    prepared.mkdir(parents=True)
    (prepared / "dataset_info.json").write_text("{}")
    (here / "00000001.json").write_text("{}")
    code = PROGRAM.format(optional=OPTIONAL, here=str(here), cases=list(CASES))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in here.iterdir()) == ["000.png", "00000001.json", "made"]
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES)
def test_what_is_missing_and_what_brings_it(case, without):
    assert without[case] == CASES[case]


@pytest.mark.parametrize("name", ["array_record", "importlib_resources", "PIL"])
def test_what_tfds_needs_and_does_not_declare(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(check.MissingPackageError, match=r"pip install 'jwgan\[data\]'"):
        readers.tensorflow_datasets()


def guards(function):
    """Whether a function asks for its packages before it imports them."""
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func).endswith("require_package")
        for node in ast.walk(function)
    )


@pytest.mark.parametrize(
    "path",
    sorted(
        str(path.relative_to(ROOT))
        for path in (
            *ROOT.glob("data/*.py"),
            *ROOT.glob("checkpoint/*.py"),
            *ROOT.glob("report/*.py"),
            *ROOT.glob("*.py"),
        )
    ),
)
def test_every_import_inside_a_function_is_guarded(path):
    tree = ast.parse((ROOT / path).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    unguarded = [
        function.name
        for function in functions
        if any(isinstance(node, ast.Import | ast.ImportFrom) for node in function.body)
        and not guards(function)
    ]
    assert not unguarded
