"""The house's rules: who imports whom, what stands where, how long it may be, what it costs."""

import ast
import importlib.metadata
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# --- the tree as it stands ------------------------------------------------------------------------


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {module_name(p): p for top in ("jwgan", "experiments") for p in (ROOT / top).rglob("*.py")}
TREES = {name: ast.parse(path.read_text()) for name, path in PATHS.items()}


def imported(node):
    """Dotted names that an import statement names; `from a import b` names a.b."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def module_of(name):
    """The module of the house that a dotted name lies in: the longest one; None for others."""
    while name and name not in PATHS:
        name = name.rpartition(".")[0]
    return name or None


def arrows(tree):
    """The house's modules that a file imports, hidden imports included."""
    names = [name for node in ast.walk(tree) for name in imported(node)]
    return {found for name in names if (found := module_of(name))}


ARROWS = {name: arrows(tree) - {name} for name, tree in TREES.items()}


def circles(graph):
    """Strongly connected components of more than one module (Tarjan, 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(name):
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == index[name]:
            part = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(part) > 1:
                found.append(sorted(part))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "c"}}
    assert circles(graph) == [["b", "c"]]


def test_no_circle_anywhere():
    assert not circles(ARROWS)


# --- arrows by room -------------------------------------------------------------------------------

LEAVES = (
    *("networks", "priors", "objectives", "penalties", "constraints", "schedules", "augment"),
)
GROUND = ("types", "check", "numerics", "files", "sharding", "lazy")
CORE = (
    *GROUND,
    *LEAVES,
    *("adversarial", "critics", "wrappers", "algorithms", "sources", "loop", "many", "parallel"),
    "joined",
)
# A module of the core or an oracle -> what else of the house it may import.
MAY_IMPORT = {
    **{name: set() for name in ("types", "check", "files", "lazy")},
    "numerics": {"types"},
    "sharding": {"types", "check"},
    **{leaf: {"types", "check", "numerics", "sharding"} for leaf in LEAVES},
    "adversarial": {"types", "check"},
    "critics": {"types", "check", "adversarial"},
    "wrappers": {"types", "check"},
    "joined": {"types"},
    "algorithms": {"types", "check", "adversarial", *LEAVES},
    "sources": {"types", "check", "numerics", "sharding"},
    "loop": {"types", "check", "sources", "sharding"},
    "many": {"types", "check", "sources", "wrappers"},
    "parallel": {"types", "check"},
    "diagnostics": {"types", "check"},
    "transport": {"types", "check", "numerics"},
    "divergences": {"types", "check"},
}
# A room -> the rooms it may import beside its own; `core` stands for every module of the core.
ROOMS = {
    "jwgan.models": {"types", "check", "numerics", "lazy"},
    "jwgan.problems": {"types", "check", "numerics", "lazy"},
    "jwgan.metrics": {"types", "check", "numerics", "lazy", "jwgan.models"},
    "jwgan.data": {"core"},
    "jwgan.checkpoint": {"core"},
    "jwgan.report": {"types", "check", "files", "adversarial"},
}
ORACLES = {"diagnostics", "transport", "divergences"}


def room_of(name):
    """`jwgan.models` of jwgan.models.conv; the module's own name for one that stands alone."""
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 or PATHS[name].name == "__init__.py" else name


def allowed_beside(room):
    """Rooms and modules that a room of jwgan may import beside its own."""
    full = lambda names: {name if "." in name else f"jwgan.{name}" for name in names}
    if room == "jwgan.run":  # the runner stands on all of it
        return {room_of(name) for name in PATHS if name.startswith("jwgan.")} | {"jwgan"}
    if room in ROOMS:
        names = ROOMS[room]
        return full(names - {"core"}) | (full(CORE) if "core" in names else set())
    return full(MAY_IMPORT[room.removeprefix("jwgan.")])  # a new module is given its arrows here


@pytest.mark.parametrize("name", sorted(n for n in PATHS if n.startswith("jwgan.")))
def test_arrows_of_the_library_point_down(name):
    room = room_of(name)
    found = {room_of(other) if other != "jwgan" else other for other in ARROWS[name]} - {room}
    assert found <= allowed_beside(room)


def test_the_top_of_the_library_imports_the_core_alone():
    allowed = {f"jwgan.{name}" for name in (*CORE, *ORACLES)}
    assert ARROWS["jwgan"] <= allowed


# Benches measure several documents; what one imports of the others stands before it in this list.
BENCHES = ("export", "speed", "plan", "growth", "divergences", "w1_benchmark", "claims", "alarm")
BENCHES += ("alarm_images",)
# Benches that may import documents as well: they measure what documents build.
READS_DOCUMENTS = ("claims", "growth", "alarm_images")


def document_of(name):
    """The command that a file of experiments/ belongs to."""
    return name.split(".")[1] if "." in name else None


DOCUMENTS = sorted({document_of(name) for name in PATHS if name.startswith("experiments.")})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_arrows_between_documents(name):
    """A document imports the one it extends at most; benches and claims may read documents."""
    mine = [module for module in PATHS if document_of(module) == name and "experiments" in module]
    found = {document_of(other) for module in mine for other in ARROWS[module] if "experi" in other}
    found -= {name, "results", None}
    if name == "results":
        assert not found
    elif name == "record":
        assert found <= {"readme"}
    elif name == "readme":
        assert "record" not in found
    elif name in BENCHES:
        documents = found - set(BENCHES)
        assert not documents or name in READS_DOCUMENTS or len(documents) == 1
        assert found & set(BENCHES) <= set(BENCHES[: BENCHES.index(name)])
        assert not found & {"readme", "record"}
    else:
        assert len(found) <= 1
        assert not found & {"readme", "record", "claims"}


def test_nothing_below_imports_an_experiment():
    wrong = {n: a for n, a in ARROWS.items() if n.startswith("jwgan")}
    assert not {n for n, a in wrong.items() if any(other.startswith("experiments") for other in a)}


def has_main_guard(path):
    return any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        for node in ast.parse(path.read_text()).body
    )


# Data and its loader, and the renderer: the design names them as what is no command.
NO_COMMANDS = ("results", "gallery", "readme")


def test_everything_in_experiments_is_a_command():
    wrong = []
    for path in (ROOT / "experiments").rglob("*.py"):
        folder = path.relative_to(ROOT / "experiments").parts[0]
        if folder in NO_COMMANDS or path == ROOT / "experiments" / "__init__.py":
            continue
        if path.parent == ROOT / "experiments":
            wrong += [] if has_main_guard(path) else [path.name]
        else:
            door = ROOT / "experiments" / folder / "__main__.py"
            wrong += [] if door.exists() and has_main_guard(door) else [str(path)]
    assert not wrong


# --- imports inside functions ---------------------------------------------------------------------

# What a user may not have; `import jwgan` must work without it.
OPTIONAL = {
    *("flax", "orbax", "tensorflow_datasets", "grain", "matplotlib", "PIL", "sklearn", "scipy"),
    *("ot", "tensorboardX", "rich", "array_record", "wandb", "mlflow", "jax2onnx", "onnxruntime"),
    *("pdoc", "latex2mathml", "markdown2", "fontTools"),
}


def hidden_imports(tree):
    """(line, package) of every import that stands inside a function or a class."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    functions = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return {
        (node.lineno, name.split(".")[0])
        for function in functions
        for node in ast.walk(function)
        for name in imported(node)
    }


def test_hidden_imports_are_found():
    source = "import a\ntry:\n    import b\nexcept ImportError:\n    b = None\n"
    source += "def f():\n    if a:\n        from c.d import e\n    def g():\n        import h\n"
    source += "class C:\n    import i\nasync def k():\n    import m\n"
    assert hidden_imports(ast.parse(source)) == {(8, "c"), (10, "h"), (12, "i"), (14, "m")}


@pytest.mark.parametrize("name", sorted(PATHS))
def test_imports_inside_functions_guard_optional_packages(name):
    assert not {pair for pair in hidden_imports(TREES[name]) if pair[1] not in OPTIONAL}


@pytest.mark.parametrize("module", CORE)
def test_the_core_needs_only_jax_and_optax(module):
    tree = TREES[f"jwgan.{module}"]
    foreign = {n.split(".")[0] for node in ast.walk(tree) for n in imported(node)}
    foreign -= {"jwgan", "jax", "optax", "numpy", *sys.stdlib_module_names}
    assert foreign <= ({"flax"} if module == "networks" else set())  # from_nnx, when it is called


def test_importing_jwgan_is_light():
    code = "import jwgan, sys; print(*(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"flax", "orbax", "tensorflow_datasets", "matplotlib", "PIL", "sklearn", "grain"}
    assert not heavy & set(loaded)
    assert "optax" in loaded


def test_submodules_are_reachable_after_import_jwgan():
    names = ("checkpoint", "data", "report", "run", "transport", "models", "metrics", "problems")
    code = (
        f"import jwgan\nassert jwgan.__version__ == {importlib.metadata.version('jwgan')!r}\n"
        f"for name in {names}:\n    assert getattr(jwgan, name).__name__ == 'jwgan.' + name\n"
        "assert jwgan.models.dcgan.DCGANCritic and jwgan.metrics.frechet.frechet_distance\n"
        f"assert set({names}) <= set(dir(jwgan))\n"
        "try:\n    jwgan.nothing\nexcept AttributeError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "module 'jwgan' has no attribute 'nothing'", done.stderr


# --- size, names ----------------------------------------------------------------------------------


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


def code_lines(text):
    """Numbers of the lines that hold code: no docstring, no comment, no blank line."""
    documented = set()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                documented |= set(range(body[0].lineno, body[0].end_lineno + 1))
    return {
        number
        for number, line in enumerate(text.splitlines(), 1)
        if number not in documented and line.strip() and not line.strip().startswith("#")
    }


def test_code_lines_by_hand():
    text = '"""Doc\n\nmore."""\n\n# why\nx = 1  # here\n\ndef f():\n    """Doc."""\n    return 2\n'
    assert code_lines(text) == {6, 8, 10}


def test_files_and_functions_stay_short():
    long = {}
    for name, path in PATHS.items():
        lines = code_lines(path.read_text())
        if len(lines) > 400:
            long[name] = len(lines)
        for node in ast.walk(TREES[name]):
            if isinstance(node, ast.FunctionDef):
                # its body: a signature that names every part, one a line, is what a reader wants
                count = len(lines & set(range(node.body[0].lineno, node.end_lineno + 1)))
                if count > 40:
                    long[f"{name}:{node.name}"] = count
    assert not long


def public_definitions(tree):
    """(name, node) of public functions, classes and methods."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef) and inner.name[0] != "_":
                    yield f"{node.name}.{inner.name}", inner


def test_public_names_have_docstrings():
    missing = [
        f"{name}:{what}"
        for name, tree in TREES.items()
        if name.startswith("jwgan")
        for what, node in public_definitions(tree)
        if not ast.get_docstring(node)
    ]
    assert not missing


def test_no_function_has_its_modules_name():
    wrong = [
        name
        for name, tree in TREES.items()
        if name.startswith("jwgan")
        for what, _ in public_definitions(tree)
        if what == name.rpartition(".")[2]
    ]
    assert not wrong


VAGUE = re.compile(r"(^|/)(utils?|helpers?|common|misc)\.py$")


def test_no_file_is_called_utils():
    assert not [name for name, path in PATHS.items() if VAGUE.search(str(path))]
