"""The house's rules: who imports whom, what the top level holds, what an import costs."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEAVES = ("networks", "priors", "objectives", "penalties", "constraints")

# module -> the jwgan modules it may import (at any depth of the file)
ALLOWED = {
    "types": set(),
    "check": set(),
    "split": {"types", "check"},
    **{leaf: {"types", "check", "split"} for leaf in LEAVES},
    "adversarial": {"types"},
    "wrappers": {"types", "check"},
    "many": {"types", "check", "sources"},
    "sources": {"types", "check", "split"},
    "algorithms": {"types", "check", "adversarial", *LEAVES},
    "critics": {"types", "adversarial"},
    "loop": {"types", "check", "sources", "split"},
    "parallel": {"types", "check"},
    "diagnostics": {"types", "check"},
    "transport": {"types", "check"},
    "divergences": {"types", "check"},
    "readers": {"types", "check"},
    "data": {"types", "check", "readers"},
    "streams": {"types", "check", "data", "readers", "sources", "split"},
    "alarms": {"types", "check"},
    "leaves": {"types", "check"},
    "checkpoint": {"types", "check", "leaves"},
    "chart": {"types", "check"},
    "bands": {"types", "check", "chart"},
    "page": {"types", "check", "chart", "bands"},
    "article": {"types", "check", "page"},
    "rows": {"types", "check"},
    "report": {"types", "check", "page", "rows"},
}
# islands: their own folder, types and check; metrics may use our convolution
ISLANDS = {"models": {"models"}, "problems": {"problems"}, "metrics": {"metrics", "models"}}


def imports(path):
    """Names of the jwgan modules (first component) that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {tuple(name.split(".")[:2]) for name in names}
    return {pair[1] if pair[0] == "jwgan" else f"!{pair[0]}" for pair in found if len(pair) > 1} | {
        f"!{pair[0]}" for pair in found if len(pair) == 1
    }


MODULES = sorted(set((ROOT / "jwgan").rglob("*.py")) - {ROOT / "jwgan" / "__init__.py"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_import_arrows(path):
    parts = path.relative_to(ROOT / "jwgan").with_suffix("").parts
    if len(parts) == 1:
        allowed = ALLOWED[parts[0]]  # a new module must be given its arrows here
    else:
        allowed = ISLANDS[parts[0]] | {"types", "check"}
    found = {name for name in imports(path) if not name.startswith("!")}
    assert found <= allowed
    assert "!experiments" not in imports(path)


@pytest.mark.parametrize("module", ["adversarial", "types", "algorithms", *LEAVES])
def test_the_core_needs_only_jax_and_optax(module):
    foreign = {n for n in imports(ROOT / "jwgan" / f"{module}.py") if n.startswith("!")}
    assert foreign <= {"!jax", "!optax", "!collections", "!typing", "!math", "!flax"}
    if module != "networks":  # from_nnx imports flax when it is called
        assert "!flax" not in foreign


def test_importing_jwgan_is_light():
    code = "import jwgan, sys; print(*(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"flax", "orbax", "tensorflow_datasets", "matplotlib", "PIL", "sklearn", "grain"}
    assert not heavy & set(loaded)
    assert "optax" in loaded


def test_help_does_not_import_jax():
    code = (
        "import sys, runpy\n"
        "sys.argv = ['x', '--help']\n"
        "try:\n"
        "    runpy.run_module('experiments.wgan_gp', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules\n"
        "print('light')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip().endswith("light"), done.stderr


def test_top_level_is_exactly_what_was_agreed():
    tracked = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.splitlines()
    top = {name.split("/")[0] for name in tracked}
    assert {name for name in top if not name.startswith(".")} == {
        "jwgan",
        "experiments",
        "tests",
        "pyproject.toml",
        "README.md",
    }


def code_lines(function):
    """Lines of a function without its docstring."""
    documented = ast.get_docstring(function) is not None
    first = function.body[1 if documented and len(function.body) > 1 else 0]
    return function.end_lineno - first.lineno + 1


def test_files_and_functions_stay_short():
    long = {}
    for path in [*(ROOT / "jwgan").rglob("*.py"), *(ROOT / "experiments").glob("*.py")]:
        text = path.read_text()
        if len(text.splitlines()) > 400:
            long[path.name] = len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and code_lines(node) > 40:
                long[f"{path.name}:{node.name}"] = code_lines(node)
    assert not long


def test_public_names_have_docstrings():
    missing = []
    for path in (ROOT / "jwgan").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"
            if public and not ast.get_docstring(node):
                missing.append(f"{path.name}:{node.name}")
    assert not missing
