"""Every example in the library's docstrings runs, and prints what it says.

An example assumes the imports that its reader has made: jax, jax.numpy as jnp, numpy as np, optax,
jwgan and, by their names, the modules of jwgan (`from jwgan import penalties`) and the module that
the example stands in (`from jwgan.run import alarms`). What the example in a module's own docstring
defines, the examples of that module's functions use; what the docstring of a room defines (that of
`jwgan.run`: a finished run), the examples of all its modules. The working directory, and the folder
in which `tempfile` makes others, is an empty one.
"""

import ast
import doctest
import functools
import importlib
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jwgan

LIBRARY = pathlib.Path(jwgan.__file__).parent
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def module_name(path):
    parts = ("jwgan", *path.relative_to(LIBRARY).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TEXTS = {module_name(path): path.read_text() for path in sorted(LIBRARY.rglob("*.py"))}


def own_example(name):
    """The text of a module's own docstring if it has an example, and none otherwise."""
    doc = ast.get_docstring(ast.parse(TEXTS[name])) or ""
    return doc if ">>>" in doc else ""


# The rooms whose docstring defines what the examples of their modules use.
READY = [
    name
    for name in TEXTS
    if (LIBRARY.parent / name.replace(".", "/")).is_dir() and own_example(name)
]
WITH_EXAMPLES = [name for name, text in TEXTS.items() if ">>>" in text and name not in READY]


def imports_of_a_reader():
    """What an example may use without importing it; `mlp` is `from jwgan.models import mlp`."""
    islands = ("jwgan.models.", "jwgan.metrics.", "jwgan.problems.")
    named = [name for name in TEXTS if name.count(".") == 1 or name.startswith(islands)]
    modules = {name.rpartition(".")[2]: importlib.import_module(name) for name in named}
    return {"jax": jax, "jnp": jnp, "np": np, "optax": optax, "jwgan": jwgan, **modules}


def rooms():
    found = {}
    for name in TEXTS:
        if name.count(".") == 2:
            found.setdefault(name.split(".")[1], []).append(name.rpartition(".")[2])
    return found


# Rooms whose modules examples name without their room: `from jwgan.models import mlp`.
ROOMS = {
    room: names for room, names in rooms().items() if room in ("models", "metrics", "problems")
}


@functools.cache
def names_of_room(room):
    """What a reader may use in a room: imports, and what the room's own docstring defines."""
    names = imports_of_a_reader()
    test = doctest.DocTestParser().get_doctest(own_example(room), names, room, None, None)
    failed = doctest.DocTestRunner(optionflags=FLAGS).run(test, clear_globs=False).failed
    assert not failed, f"the example of {room} itself"
    return test.globs


def run_examples(name):
    """(examples tried, a report of those that failed) of one module."""
    module, failures = importlib.import_module(name), []
    room = name.rpartition(".")[0]
    names = dict(names_of_room(room)) if name.count(".") == 2 else imports_of_a_reader()
    names[name.rpartition(".")[2]] = module
    # Examples of one file share what the module's own example defines: that one runs first.
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    tests = doctest.DocTestFinder(exclude_empty=True).find(module, name, globs={})
    for test in sorted(tests, key=lambda test: test.name != name):  # the module's own first
        test.globs = dict(names)
        runner.run(test, out=failures.append, clear_globs=False)
        if test.name == name:
            names = test.globs
    return runner.tries, "".join(failures)


def together(name):
    """A module's name; modules that share what their room has made stay in one process."""
    room = ".".join(name.split(".")[:2])
    marks = [pytest.mark.xdist_group(f"examples of {room}")] if room in READY else []
    return pytest.param(name, marks=marks)


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("name", [together(name) for name in READY])
def test_examples_of_a_room_print_what_they_say(name, empty_folder):
    names_of_room(name)


@pytest.mark.parametrize("name", [together(name) for name in WITH_EXAMPLES])
def test_examples_print_what_they_say(name, empty_folder):
    tried, failures = run_examples(name)
    assert tried > 0
    assert not failures, failures


# --- who must have one ----------------------------------------------------------------------------

# Public names without an example, and why none would show what they do: as few as can be.
EXEMPT: dict[str, str] = {
    "jwgan.report.trackers.WeightsAndBiases": "wandb is not among what the tests need",
    "jwgan.report.trackers.MLflow": "mlflow is not among what the tests need",
    "jwgan.run.evaluate.fit_classifier": "it compiles for seconds; metrics.classifier.fit shows it",
    "jwgan.run.export.to_onnx": "jax2onnx is installed by hand, past its own requirements",
    "jwgan.run.export.save_onnx": "as to_onnx",
    "jwgan.run.xla.let_every_process_write": "it changes a private function of JAX, for jobs of "
    "several processes",
}


def is_shown_elsewhere(node):
    """NamedTuples and errors: the functions that return or raise them show them."""
    bases = [ast.unparse(base) for base in getattr(node, "bases", ())]
    return any(base == "NamedTuple" or base.endswith("Error") for base in bases)


def without_example(module):
    """Dotted names of a module's public functions and classes that no example shows."""
    return {
        f"{module}.{node.name}"
        for node in ast.parse(TEXTS[module]).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and node.name[0] != "_"
        and not is_shown_elsewhere(node)
        and ">>>" not in (ast.get_docstring(node) or "")
    }


@pytest.mark.parametrize("name", TEXTS)
def test_every_public_name_is_shown(name):
    """A name in a core that nobody shows is a name that nobody can try out."""
    assert not without_example(name) - EXEMPT.keys()


@pytest.mark.parametrize("name", EXEMPT)
def test_what_is_exempt_has_no_example(name):
    """A name that is gone, or has an example by now, needs no excuse."""
    assert name in without_example(name.rpartition(".")[0])
