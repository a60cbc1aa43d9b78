"""What messages tell a user to do can be done: each option, function, command and extra exists."""

import ast
import functools
import importlib
import importlib.util
import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
FILES = [*(ROOT / "jwgan").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]
# Options of other programs: git, and the custom properties of a style sheet.
OTHER_PROGRAMS = {"report/provenance.py", "report/html.py", "report/film.py", "report/article.py"}

# Options read by hand, placeholders, and arguments of programs that are called or named (pip).
NOT_DECLARED = {"--pages", "--readme", "--option", "--no", "--no-deps", "--fibers", "--layout"}


@functools.cache
def nodes(path):
    """All nodes of a file's syntax tree."""
    return list(ast.walk(ast.parse(path.read_text())))


def docstrings(path):
    """The constants that are docstrings: examples in them are tested elsewhere."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in nodes(path):
        if isinstance(node, kinds) and node.body and isinstance(node.body[0], ast.Expr):
            yield node.body[0].value


def texts(path):
    """(line, text) of every string of a file that is no docstring."""
    skipped = {id(node) for node in docstrings(path)}
    for node in nodes(path):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in skipped:
            yield node.lineno, node.value


def options():
    """Every option that some command has: fields of its dataclass, arguments of its parser."""
    found = {"--help", *NOT_DECLARED}
    for path in FILES:
        for node in nodes(path):
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call):
                function = node.value.func
                if getattr(function, "id", getattr(function, "attr", "")) == "option":
                    name = node.target.id.replace("_", "-")
                    found |= {f"--{name}", f"--no-{name}"}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add("--" + node.target.id.replace("_", "-"))
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
                found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return found


def mentioned(pattern):
    for path in FILES:
        name = path.relative_to(ROOT)
        if str(path.relative_to(ROOT / name.parts[0])) in OTHER_PROGRAMS:
            continue
        for line, text in texts(path):
            for match in re.finditer(pattern, text):
                yield f"{name}:{line}", match


def test_every_option_that_a_message_names_exists():
    known = options()
    found = [
        (place, match[0])
        for place, match in mentioned(r"(?<![\w(-])--[a-z][a-z-]*[a-z]")
        if not match[0].startswith("--xla")
    ]
    assert len(found) > 60  # the pattern still finds them
    assert [(place, option) for place, option in found if option not in known] == []


def parts():
    """The modules of the library that a message may name without its package."""
    return {path.stem for path in (ROOT / "jwgan").glob("*.py") if path.stem[0] != "_"}


def test_every_function_that_a_message_names_exists():
    names = sorted(parts() - {"lazy"})
    pattern = rf"(?<![\w./])(?:jwgan\.)?({'|'.join(names)})\.([a-z_]\w+)(?![\w/])"
    found = [(place, match[1], match[2]) for place, match in mentioned(pattern)]
    assert len(found) >= 2
    lost = [
        (place, f"{module}.{name}")
        for place, module, name in found
        # A file's suffix is no function: "report.html", "sources.py".
        if name not in ("html", "json", "py", "jsonl", "md", "npz", "npy")
        and not hasattr(importlib.import_module(f"jwgan.{module}"), name)
    ]
    assert lost == []


def test_every_command_that_a_message_names_exists():
    found = list(mentioned(r"python3? -m ((?:experiments|jwgan)(?:\.[a-z]\w*)+)"))
    assert len(found) >= 3
    lost = [
        (place, match[1]) for place, match in found if importlib.util.find_spec(match[1]) is None
    ]
    assert lost == []


def test_every_extra_that_a_message_names_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    found = list(mentioned(r"jwgan\[([a-z0-9,]+)\]"))
    lost = [(place, match[0]) for place, match in found if not set(match[1].split(",")) <= extras]
    assert lost == []


@pytest.mark.parametrize("option", ["--resume", "--critic-width", "--no-json"])
def test_the_list_of_options_knows_what_is_one(option):
    assert (option in options()) == (option != "--critic-width")
