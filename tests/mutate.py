"""Would the tests notice? Changes one token of the core at a time and runs the module's own tests.

    python tests/mutate.py mutants.jsonl                  # 440 mutants; a second call goes on
    python tests/mutate.py mutants.jsonl --only penalties,metrics/coverage
    python tests/mutate.py mutants.jsonl --again          # survivors, after a sharper test
    python tests/mutate.py mutants.jsonl --summary        # what survived, without running anything

It is no test and no part of the continuous integration: it takes an hour or two on one core. Run it
in a clean checkout, which must not change meanwhile. Each mutant runs in a forked child of this
process, which has JAX imported but has computed nothing. Of the module's tests only those run that
execute the changed line, the fastest first, until one fails; which they are is surveyed once per
module. A test that finds a trace in JAX's caches, or calls what was built at the import, executes
no line: so --again tries survivors with all tests of their module.

A mutant that no test notices is a survivor: sharpen a test, or, where the change means the same,
list it with the reason in tests/mutants_equal.json. Docstrings' examples are not run here, which
makes the figures stricter than the suite.
"""

import argparse
import ast
import collections
import copy
import gc
import json
import os
import pathlib
import random
import resource
import signal
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from typing import Any

import conftest  # noqa: F401  it makes JAX's settings, before JAX is imported
import flax.linen  # noqa: F401  what children would else import anew
import hypothesis  # noqa: F401
import optax  # noqa: F401
import ot  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
import sklearn.metrics  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parent.parent
EQUAL = ROOT / "tests" / "mutants_equal.json"
SEED, COUNT, TURN = 17, 440, 8
# Module -> its own test files.
MODULES = {
    "penalties": ("test_penalties",),
    "constraints": ("test_constraints",),
    "sources": ("test_sources",),
    "metrics/frechet": ("metrics/test_frechet",),
    "transport": ("test_transport",),
    "models/lipschitz": ("models/test_lipschitz",),
    "networks": ("test_networks", "test_parts"),
    "adversarial": ("test_adversarial", "test_labels"),
    "loop": ("test_loop",),
    "models/conv": ("models/test_conv",),
    "models/autoencoder": ("models/test_autoencoder",),
    "metrics/classifier": ("metrics/test_classifier",),
    "metrics/kernel": ("metrics/test_kernel",),
    "metrics/sliced": ("metrics/test_sliced",),
    "metrics/coverage": ("metrics/test_coverage",),
    "objectives": ("test_objectives",),
    "wrappers": ("test_wrappers",),
    "algorithms": ("test_members",),
}

# --- mutants --------------------------------------------------------------------------------------

OPERATORS = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq},
    **{ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.USub: ast.UAdd},
}
TURNED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
PAIRS = (
    *(("mean", "sum"), ("min", "max"), ("minimum", "maximum"), ("any", "all"), ("zeros", "ones")),
    *(("argmin", "argmax"), ("real", "fake"), ("ceil", "floor"), ("sin", "cos"), ("exp", "log")),
)
NAMES = {**dict(PAIRS), **{b: a for a, b in PAIRS}}


def other_constants(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 2, value / 2] if value else [1.0]
    return []


def changes(node: ast.AST) -> Iterator[Callable[[Any], None]]:
    """Edits of a copy of the node, each of one token."""

    def put(field: str, value: Any) -> Callable[[Any], None]:
        return lambda copied: setattr(copied, field, value)

    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp | ast.UnaryOp):
        if type(node.op) in OPERATORS:
            yield put("op", OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Compare):
        for table in (OPERATORS, TURNED):
            if type(node.ops[0]) in table:
                yield put("ops", [table[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.Constant):
        for value in other_constants(node.value):
            yield put("value", value)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield put("attr", NAMES[node.attr])
    elif isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        yield put("id", NAMES[node.id])


SKIPPED = ("annotation", "returns", "decorator_list")  # types say nothing at run time


def sites(node: ast.AST, path: tuple = (), scope: str = "") -> Iterator[tuple[tuple, str]]:
    """(path of fields, enclosing function) of every node that runs; f-strings are messages."""
    yield path, scope
    if isinstance(node, ast.JoinedStr):
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        scope = f"{scope}.{node.name}".strip(".")
    for field, value in ast.iter_fields(node):
        if field in SKIPPED or (field == "value" and not scope and isinstance(value, ast.BinOp)):
            continue  # the second: `Output = Array | Scored`
        for i, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST):
                yield from sites(child, (*path, (field, i)), scope)


def node_at(tree: ast.AST, path: tuple) -> Any:
    for field, i in path:
        value = getattr(tree, field)
        tree = value[i] if isinstance(value, list) else value
    return tree


def statement_of(tree: ast.AST, path: tuple) -> tuple[Any, int]:
    """The innermost expression large enough to be read, and how deep its node lies."""
    for depth in range(len(path), 0, -1):
        node = node_at(tree, path[:depth])
        if isinstance(node, ast.stmt):
            return node, depth
    return tree, 0


def mutants(module: str) -> list[dict[str, Any]]:
    """All of a module. `name` holds no line number, so that it outlives changes elsewhere."""
    tree = ast.parse((ROOT / "jwgan" / f"{module}.py").read_text())
    found: list[dict[str, Any]] = []
    seen: collections.Counter[str] = collections.Counter()
    for path, scope in sites(tree):
        for number, change in enumerate(changes(node_at(tree, path))):
            statement, depth = statement_of(tree, path)
            new = copy.deepcopy(statement)
            change(node_at(new, path[depth:]))
            where = node_at(tree, path)
            name = f"{module} {scope}: {difference(ast.unparse(statement), ast.unparse(new))}"
            seen[name] += 1
            name += f" ({seen[name]})" if seen[name] > 1 else ""
            line = getattr(where, "lineno", statement.lineno)
            found.append({"name": name, "line": line, "path": path, "number": number})
    return found


def difference(old: str, new: str) -> str:
    """What changes, with 40 characters around."""
    common = lambda a, b: next((i for i, (c, d) in enumerate(zip(a, b)) if c != d), 0)  # noqa: B905
    start = common(old, new)
    end = min(common(old[::-1], new[::-1]), min(len(old), len(new)) - start)
    # whole words
    while start and (old[start - 1].isalnum() or old[start - 1] in "._"):
        start -= 1
    while end and (old[-end].isalnum() or old[-end] in "._"):
        end -= 1
    cut = lambda text: text[start : len(text) - end]
    around = old[max(start - 40, 0) : len(old) - end + 40]
    return f"[{cut(old)} -> {cut(new)}] in `{' '.join(around.split())}`"


def mutated(source: str, mutant: dict[str, Any]) -> ast.AST:
    tree = ast.parse(source)
    node = node_at(tree, mutant["path"])
    list(changes(node))[mutant["number"]](node)
    return ast.fix_missing_locations(tree)


def sample() -> list[tuple[str, dict[str, Any]]]:
    """The mutants to try, in turns of modules, so that a run that is cut off still says something.

    Half of a module's share is the same for all, half grows with its size.
    """
    every = {module: mutants(module) for module in MODULES}
    total = sum(map(len, every.values()))
    queues = {}
    for module, all_of_it in every.items():
        share = round(COUNT / 2 / len(every) + COUNT / 2 * len(all_of_it) / total + 0.5)
        draw = random.Random(f"{SEED} {module}")
        queues[module] = draw.sample(all_of_it, min(share, len(all_of_it)))
    order = []
    while any(queues.values()):
        for module, queue in queues.items():
            order += [(module, mutant) for mutant in queue[:TURN]]
            del queue[:TURN]
    return order


# --- children -------------------------------------------------------------------------------------


def in_child(task: Callable[[], Any], limit: float) -> Any:
    """`task()` of a forked child, by way of JSON; None if it takes `limit` seconds of a core.

    Of a core, since a busy machine lets a process of low priority wait for long; one that waits for
    ever is ended after thirty times as long.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
        os.close(reader)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        with os.fdopen(writer, "w") as pipe:
            json.dump(task(), pipe)
        os._exit(0)
    os.close(writer)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, 30 * limit)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.waitpid(pid, 0)
    return json.loads(text) if text else None


def run_tests(module: str, plugin: Any) -> int:
    files = [str(ROOT / "tests" / f"{name}.py") for name in MODULES[module]]
    os.chdir(ROOT)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
    options += ["-o", "addopts=--import-mode=importlib"]  # without xdist's options
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is there already
    return int(pytest.main([*options, *files], plugins=[plugin]))


class Survey:
    """Notes of each test its seconds and the lines of a module that it executes."""

    def __init__(self) -> None:
        self.tests: dict[str, dict[str, Any]] = {}
        self.fixtures: dict[str, set[int]] = collections.defaultdict(set)
        self.lines: set[int] = set()

    def hit(self, first: int, last: int) -> None:
        self.lines.update(range(first, last + 1))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        self.lines = set()
        start = time.perf_counter()
        yield
        lines = self.lines.union(*(self.fixtures[name] for name in item.fixturenames))
        seconds = round(time.perf_counter() - start, 3)
        self.tests[item.nodeid] = {"seconds": seconds, "lines": sorted(lines)}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        # The tests that find a module's fixture made depend on these lines as the first one does.
        outer, self.lines = self.lines, set()
        yield
        self.fixtures[fixturedef.argname] |= self.lines
        self.lines |= outer


def noting(tree: Any) -> Any:
    """The module with a call before each statement, which says that its lines are executed.

    And before the body of each lambda, which may be called by a test that does not make it.
    """
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.Lambda):
            both: Any = ast.parse(f"({hit(node.body.lineno, node.body.end_lineno)}, 0)[1]").body[0]
            both.value.value.elts[1] = node.body
            node.body = both.value
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                setattr(node, field, [part for stmt in block for part in noted(stmt)])
    return ast.fix_missing_locations(tree)


def noted(stmt: Any) -> list[Any]:
    docstring = isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Constant)
    if docstring:
        return [stmt]
    last = stmt.body[0].lineno - 1 if getattr(stmt, "body", None) else stmt.end_lineno
    return [ast.parse(hit(stmt.lineno, max(last, stmt.lineno))).body[0], stmt]


def hit(first: int, last: Any) -> str:
    return f"__import__('sys').survey.hit({first}, {last})"


def survey(module: str) -> dict[str, Any]:
    sys.survey = Survey()  # type: ignore[attr-defined]
    imported_as(module, lambda source: noting(ast.parse(source)))
    assert run_tests(module, sys.survey) == 0  # type: ignore[attr-defined]
    return sys.survey.tests  # type: ignore[attr-defined]


def imported_as(module: str, change: Callable[[str], Any]) -> None:
    """From now on in this process the module's code is `change(its source)`."""
    file, original = ROOT / "jwgan" / f"{module}.py", SourceFileLoader.get_code

    def get_code(self: Any, fullname: str) -> Any:
        if self.path == str(file):
            return compile(change(file.read_text()), str(file), "exec")
        return original(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]


class Chosen:
    """Runs the given tests in the given order; keeps the name of the one that fails."""

    def __init__(self, names: list[str]):
        self.rank = {name: i for i, name in enumerate(names)}
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        chosen = [item for item in items if item.nodeid in self.rank]
        items[:] = sorted(chosen, key=lambda item: self.rank[item.nodeid])

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed = report.nodeid


def attempt(module: str, mutant: dict[str, Any], names: list[str]) -> list[Any]:
    """[pytest's exit code, the test that failed] under a mutant."""
    imported_as(module, lambda source: mutated(source, mutant))
    plugin = Chosen(names)
    return [run_tests(module, plugin), plugin.failed]


def tests_of(tests: dict[str, Any], line: int, everything: bool) -> list[str]:
    """Those that execute the line, the fastest first; all for what runs at the import."""
    hit = [name for name, test in tests.items() if line in test["lines"]]
    chosen = tests if everything or not hit else hit
    return sorted(chosen, key=lambda name: (name not in hit, tests[name]["seconds"]))


def surveyed(module: str, out: pathlib.Path) -> dict[str, Any]:
    """The survey of a module, kept beside the results as long as its files stay the same."""
    files = [ROOT / "jwgan" / f"{module}.py"]
    files += [ROOT / "tests" / f"{name}.py" for name in MODULES[module]]
    stamp = zlib.crc32(b"".join(file.read_bytes() for file in files))
    kept = out.with_name(f"{out.stem}.{module.replace('/', '.')}.{stamp:08x}.json")
    if not kept.exists():
        found = in_child(lambda: survey(module), limit=1800)
        if found is None:
            raise SystemExit(f"the tests of {module} fail or hang as they are")
        kept.write_text(json.dumps(found))
    return json.loads(kept.read_text())


def run(out: pathlib.Path, only: list[str], again: bool) -> None:
    done = {row["name"] for row in rows(out) if row["fate"] == "noticed" or not again}
    for module, mutant in sample():
        if mutant["name"] in done or (only and module not in only):
            continue
        tests = surveyed(module, out)
        names = tests_of(tests, mutant["line"], again)
        start = time.perf_counter()
        limit = 60 + 5 * sum(tests[name]["seconds"] for name in names)
        result = in_child(lambda: attempt(module, mutant, names), limit)
        # 0: all passed, 1: a test failed, 2: not even imported; none: killed, so it hung
        fate = "hung" if result is None else "survived" if result[0] in (0, 5) else "noticed"
        row = {"name": mutant["name"], "line": mutant["line"], "fate": fate}
        row |= {"by": result[1] if result else "", "tests": len(names)}
        row["seconds"] = round(time.perf_counter() - start, 1)
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row["seconds"], fate, mutant["name"], flush=True)


def rows(out: pathlib.Path) -> list[dict[str, Any]]:
    """The results so far; a mutant that was tried again counts as the last time."""
    if not out.exists():
        return []
    found = [json.loads(line) for line in out.read_text().splitlines()]
    return list({row["name"]: row for row in found}.values())


def summary(out: pathlib.Path) -> None:
    equal = json.loads(EQUAL.read_text()) if EQUAL.exists() else {}
    table = collections.defaultdict(collections.Counter)
    for row in rows(out):
        module = row["name"].split()[0]
        fate = "equal" if row["fate"] == "survived" and row["name"] in equal else row["fate"]
        table[module][fate] += 1
        table["all"][fate] += 1
        if fate == "survived":
            print(f"{row['line']:4d} {row['name']}")
    for module, fates in table.items():
        noticed, tried = fates["noticed"] + fates["hung"], sum(fates.values()) - fates["equal"]
        print(f"{module:20s} {noticed:4d} of {tried:4d} ({noticed / tried:.0%}) {dict(fates)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--only", default="", help="modules, separated by commas")
    parser.add_argument("--again", action="store_true", help="tries survivors once more")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    if options.summary:
        summary(options.out)
    else:
        os.nice(19)
        gc.freeze()  # children need not walk what is here already
        only = options.only.split(",") if options.only else []
        run(options.out.resolve(), only, options.again)
