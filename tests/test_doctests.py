"""Every example in the library's docstrings runs, and prints what it says.

An example assumes the imports that its reader has made: jax, jax.numpy as jnp, numpy as np, optax,
jwgan and, by their names, the modules of jwgan (`from jwgan import penalties`). What the example in
a module's own docstring defines, the examples of that module's functions use.
"""

import ast
import doctest
import importlib
import pathlib

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
WITH_EXAMPLES = [name for name, text in TEXTS.items() if ">>>" in text]


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


def run_examples(name):
    """(examples tried, a report of those that failed) of one module."""
    module, names, failures = importlib.import_module(name), imports_of_a_reader(), []
    # Examples of one file share what the module's own example defines: that one runs first.
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    tests = doctest.DocTestFinder(exclude_empty=True).find(module, name, globs={})
    for test in sorted(tests, key=lambda test: test.name != name):  # the module's own first
        test.globs = dict(names)
        runner.run(test, out=failures.append, clear_globs=False)
        if test.name == name:
            names = test.globs
    return runner.tries, "".join(failures)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_print_what_they_say(name):
    tried, failures = run_examples(name)
    assert tried > 0
    assert not failures, failures


# --- who must have one ----------------------------------------------------------------------------

CORE = (
    *("types", "check", "numerics", "sharding", "networks", "priors", "objectives", "penalties"),
    *(
        "augment",
        "constraints",
        "adversarial",
        "critics",
        "algorithms",
        "wrappers",
        "sources",
        "loop",
        "many",
    ),
    *("parallel", "diagnostics", "transport", "divergences", "augment"),
)
SHOWN = [
    *(f"jwgan.{name}" for name in CORE),
    *(name for name in TEXTS if name.startswith(("jwgan.metrics.", "jwgan.problems."))),
    *(
        f"jwgan.models.{name}"
        for name in ("conv", "dcgan", "labels", "lipschitz", "mlp", "norms", "scaling")
    ),
    *(f"jwgan.models.{name}" for name in ("autoencoder", "resnet", "sngan", "sorting")),
]


def is_shown_elsewhere(node):
    """NamedTuples and errors: the functions that return or raise them show them."""
    bases = [ast.unparse(base) for base in getattr(node, "bases", ())]
    return any(base == "NamedTuple" or base.endswith("Error") for base in bases)


@pytest.mark.parametrize("name", SHOWN)
def test_every_public_name_is_shown(name):
    """A name in a core that nobody shows is a name that nobody can try out."""
    missing = [
        node.name
        for node in ast.parse(TEXTS[name]).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and node.name[0] != "_"
        and not is_shown_elsewhere(node)
        and ">>>" not in (ast.get_docstring(node) or "")
    ]
    assert not missing
