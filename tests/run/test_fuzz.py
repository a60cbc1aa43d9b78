"""Bad input, typed: options, command lines, a run's description; what the package never does."""

import ast
import contextlib
import dataclasses
import functools
import importlib
import io
import json
import re
import shutil

import jax
import numpy as np
import pytest
from fuzz import CASES, ROOT, attempt, both_counts, damaged_json, pick, tree, tried
from made_data import write_idx
from PIL import Image

from experiments import sample
from jwgan import data, report
from jwgan.data import datasets
from jwgan.run import lifecycle, options, reading

FOLDER = ROOT / "experiments"
SOURCES = {
    **{path.stem: path.read_text() for path in FOLDER.glob("*.py")},
    **{f"{path.parent.name}.__main__": path.read_text() for path in FOLDER.glob("*/__main__.py")},
    **{f"run.{path.stem}": path.read_text() for path in (ROOT / "jwgan" / "run").glob("*.py")},
}
MODULES = {
    name: importlib.import_module(f"{'jwgan' if name.startswith('run.') else 'experiments'}.{name}")
    for name, source in sorted(SOURCES.items())
    if "\nclass Config" in source and name != "run.options"
}
POSITIONAL = {n: (re.findall(r'positional="(\w+)"', SOURCES[n]) or [""])[0] for n in MODULES}
RUNS = [
    name
    for name, module in MODULES.items()
    if issubclass(module.Config, options.Config) and hasattr(module, "build")
]

INTEGERS = (
    *("-1", "0", "1", "2", "3", "4", "5", "8", "9", "16", "17", "31", "64", "1_0", "٣"),
    *(str(2**31 - 1), str(2**31), str(2**32 - 1), str(2**32), str(2**63 - 1), str(2**63)),
    *("1" + "0" * 12, "1" + "0" * 30, "-1" + "0" * 18, "many", "1e3", "0x10", "", " 7 ", "nan"),
)
FLOATS = (
    *("nan", "inf", "-inf", "-1", "0", "-0.0", "1e-320", "1e-30", "1e38", "1e39", "1e308", "1e999"),
    *("0.5", "1", "0.999", "2", "10", "1e-4", "much", ""),
)
NASTY = ("", "..", "a/b", "/", "**", "[", "\0", "\n", "a\nb", "\udcff", "é" * 50, "x" * 5000, "~")
STRINGS = {
    "dataset": (
        "digits",
        "digits",
        "mnist",
        "fashion_mnist",
        "folder",
        "eight_gaussians",
        "ring",
        "array",
        "csv",
        "diabetes",
        "sines",
    ),
    "data_dir": ("idx", "images", "rows.npy", "rows.csv", "nowhere", "/dev/null", "idx/mnist", "."),
    "network": ("auto", "mlp", "dcgan", "resnet", "shallow"),
    "critic_norm": ("none", "layer", "batch"),
    "generator_norm": ("none", "layer", "batch"),
    "join": ("auto", "no", "yes"),
    "gpu_flags": ("", "graphs", "nchw"),
    "augment": ("none", "diff", "ada"),
    "decay": ("none", "linear", "cosine"),
    "conditional": ("none", "projection", "concat", "auxiliary"),
    "member": ("gan", "wgan_gp", "wgan", "began", "ebgan", "sngan", "r1_gan", "init", "__doc__"),
    "on_nonfinite": ("stop", "restore"),
    "resume": ("no", "yes", "auto"),
    "precision": ("float32", "bfloat16"),
    "coordinator": ("127.0.0.1:1", "nowhere", "127.0.0.1:port"),
}


def typed(rng, field):
    """`--option=value` for a field of a Config."""
    flag, kind = "--" + field.name.replace("_", "-"), options.value_type(field.type)
    if kind is bool:
        return pick(rng, (flag, "--no-" + flag[2:]))
    # One in three is what it is by default, or hardly any line of several options would be right.
    if field.default is not None and rng.random() < 1 / 3:
        return f"{flag}={field.default}"
    if kind in (int, float):
        return f"{flag}={pick(rng, INTEGERS if kind is int else FLOATS)}"
    common = STRINGS.get(field.name, ("auto",))
    return f"{flag}={pick(rng, common if rng.random() < 0.8 else NASTY)}"


def parsed(module, argv, positional=""):
    """(config, stderr), (None, stderr) where the line was refused, (None, "") after --help."""
    err, out = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
            return options.parse(module.Config, argv, module.__doc__, positional), err.getvalue()
    except SystemExit as end:
        if end.code == 0:
            assert out.getvalue().startswith("usage: ")
            return None, ""
        assert end.code == 2  # noqa: PT017  either it parses or it ends
        assert err.getvalue().startswith("error: ")
        assert err.getvalue().count("\n") == 1
        assert err.getvalue().endswith("\n")
        assert out.getvalue() == ""
        return None, err.getvalue()


def nobody_there(*_, **__):
    raise RuntimeError("nobody answers")


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    """A directory with small data sets; programs are traced and not compiled."""
    write_idx(tmp_path / "idx" / "mnist")
    write_idx(tmp_path / "idx" / "fashion_mnist")
    for i in range(9):
        pixels = np.full((8, 8, 3), 28 * i, np.uint8)
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
    np.save(tmp_path / "rows.npy", np.linspace(-9, 9, 60).reshape(5, 6, 2))
    (tmp_path / "rows.csv").write_text(
        "a,b\n" + "".join(f"{i / 2},{'xy'[i % 2]}\n" for i in range(9))
    )
    environment = report.environment()
    monkeypatch.setattr(report, "environment", lambda: environment)
    monkeypatch.setattr(data, "digits", functools.cache(data.digits))
    monkeypatch.setattr(datasets, "_FASHION_MNIST", datasets._FASHION_MNIST._replace(installed=()))
    jit = jax.jit  # what is inlined is a part of what is traced
    nothing = lambda f, **options: jit(f, **options) if "inline" in options else lambda *args: None
    monkeypatch.setattr(jax, "jit", nothing)
    monkeypatch.setattr(jax.distributed, "initialize", nobody_there)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "no tfds"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(name, config):
    experiment = MODULES[name].EXPERIMENT.named()
    with contextlib.ExitStack() as stack:
        chosen = lifecycle.options_of(experiment, dataclasses.asdict(config))
        return lifecycle.prepare(experiment, chosen, stack)


@both_counts("configurations")
def test_configurations(kind, count, sandbox):
    run = sandbox / "run"
    before = tree(sandbox)

    def case(rng):
        name = pick(rng, RUNS)
        fields = [f for f in dataclasses.fields(MODULES[name].Config) if f.name in CHOSEN]
        fields += [f for f in dataclasses.fields(MODULES[name].Config) if f.name not in SHARED]
        chosen = rng.permutation(len(fields))[: rng.integers(6)]
        argv = [f"--run-dir={run}", *(typed(rng, fields[i]) for i in chosen)]
        config, refused = parsed(MODULES[name], argv)
        if config is None:
            assert refused
            return "refused"
        taken = rng.random() < 0.1
        if taken:
            run.mkdir()
            (run / "notes.txt").write_text("mine")
        _, outcome = attempt(prepare, name, config)
        after = tree(sandbox)
        if taken:
            assert outcome == "refused"
            assert after.pop(run / "notes.txt") == b"mine"
            assert after.pop(run, "") is None
        elif outcome == "works":
            described = json.loads(after.pop(run / "config.json"))
            assert after.pop(run, "") is None
            assert described["config"]["seed"] == config.seed
        assert after == before
        shutil.rmtree(run, ignore_errors=True)
        return outcome

    tally = tried(kind, count, case)
    assert min(tally["works"], tally["refused"]) > count / 10


SHARED = {field.name for field in dataclasses.fields(options.Config)} - {"dataset", "steps"}
CHOSEN = SHARED - {"run_dir", "resume", "json"}

TOO_LARGE = str(2**63)
UNTOLD = [
    ("wgan_gp", "--width=-1"),
    ("wgan_gp", "--width=0"),
    ("toy2d", f"--width={TOO_LARGE}"),
    ("dcgan", "--width=-1"),
    ("sngan", f"--latent={TOO_LARGE}"),
    ("began", f"--code={TOO_LARGE}"),
    ("began", f"--vanishing={2**31}"),
    ("began", "--zero=1e39"),  # a warning, and infinity
]


@pytest.mark.parametrize(("name", "option"), UNTOLD)
def test_sizes_are_refused_before_jax_sees_them(name, option, sandbox):
    config, _ = parsed(MODULES[name], [option, "--run-dir=run"])
    assert attempt(prepare, name, config)[1] == "refused"


WORDS = (
    *("--", "-", "---", "--steps", "--stepz", "--steps=", "--steps=5", "5", "-5", "1e5", "--seed"),
    *(
        "--json",
        "--no-json",
        "--json=1",
        "-h",
        "--help",
        "--run-dir",
        "a b",
        "",
        "\n",
        "\r\n",
        "\0",
    ),
    *("\udcff", "é", "٣", "--é", "%", "%s", "%(prog)s", "{}", "@file", "-1", "--dataset", "digits"),
    *("--width", "--widht", "--member", "x" * 10000, "9" * 5000, "--" + "a" * 5000, "--no-resume"),
    *(
        "--lat",
        "nan",
        "inf",
        "--minutes",
        "=",
        "--=",
        "--steps==3",
        "-s",
        "-steps",
        "\u202e",
        "--c",
    ),
    *("\x1b[31m", "'", '"', "1_000", " 7 ", "0x10", "True", "None", "\u2028", "\x85", "--no-seed"),
)


@both_counts("command lines")
def test_command_lines(kind, count):
    def case(rng):
        name = pick(rng, list(MODULES))
        module, positional = MODULES[name], POSITIONAL[name]
        if rng.random() < 0.3:
            return valid_line(rng, module.Config, positional, module)
        argv = [pick(rng, WORDS) for _ in range(rng.integers(7))]
        config, refused = parsed(module, argv, positional)
        if config is None:
            return "refused" if refused else "help"
        assert refused == ""
        for field in dataclasses.fields(config):
            assert isinstance(getattr(config, field.name), field.type), field
        return "works"

    tally = tried(kind, count, case)
    assert min(tally["works"], tally["refused"]) > count / 10


def valid_line(rng, config_type, positional, module):
    """Good options, some of them twice: the last one counts."""
    expected, argv = {}, ["here"] if positional else []
    if positional:
        expected[positional] = "here"
    fields = [f for f in dataclasses.fields(config_type) if f.name != positional]
    known = options.described(config_type)
    for field in (pick(rng, fields) for _ in range(rng.integers(1, 8))):
        kind, flag = options.value_type(field.type), "--" + field.name.replace("_", "-")
        value = {
            bool: lambda: bool(rng.integers(2)),
            int: lambda: int(rng.integers(-(10**6), 10**6)),
            float: lambda: float(rng.normal()),
            str: lambda: pick(rng, ("a", "a b", "é", "", "a=b", "--a", "-1", "\n")),
        }[kind]()
        if kind is bool:
            argv.append(flag if value else "--no-" + flag[2:])
        else:
            argv.append(f"{flag}={value}")
        if known[field.name].repeated and field.name in expected:  # all count, joined by spaces
            value = f"{expected[field.name]} {value}"
        expected[field.name] = value
    for field in fields:
        if known[field.name].repeated and field.name in expected:
            expected[field.name] = expected[field.name].strip()
    config, refused = parsed(module, argv, positional)
    assert config == dataclasses.replace(config_type(**_needed(config_type)), **expected), refused
    return "works"


def _needed(config_type):
    missing = dataclasses.MISSING
    return {f.name: "here" for f in dataclasses.fields(config_type) if f.default is missing}


@both_counts("damaged config.json on a resume")
def test_resume_from_a_damaged_description(kind, count, sandbox):
    argv = ["--run-dir=run", "--width=4", "--batch-size=4", "--n-critic=1"]
    config, _ = parsed(MODULES["toy2d"], argv)
    prepare("toy2d", config)
    path = sandbox / "run" / "config.json"
    good = json.loads(path.read_text())
    config = dataclasses.replace(config, resume="yes")

    def case(rng):
        content = damaged_json(rng, good)
        path.write_bytes(content)
        with contextlib.redirect_stderr(io.StringIO()):
            _, outcome = attempt(prepare, "toy2d", config)
            _, drawn = attempt(reading.read_run, path.parent, sample.find)
        assert drawn != "works", "there is no checkpoint"
        after = tree(path.parent)
        if outcome == "works":  # this start is added to the description, which is whole again
            assert after.keys() == {path}
            assert json.loads(after[path])["resumes"][-1]["step"] == 0
        else:
            assert after == {path: content}
        return outcome

    tally = tried(kind, count, case)
    assert tally["refused"] > 0


UNREADABLE = {
    "resume": ["", "[]", "null", '{"config": 3}', '{"config": {}, "data": null}', "[" * 100_000],
    "sample": ['{"experiment": "toy2d", "config": 3}', '{"experiment": "launch", "config": {}}'],
}
UNREADABLE["sample"] += ['{"experiment": "toy2d", "config": {"bogus": 1}}', "[" * 100_000]
UNREADABLE["sample"] += ['{"experiment": "toy2d", "config": {"width": "a"}}']


@pytest.mark.parametrize(
    ("use", "content"),
    [(use, content) for use, contents in UNREADABLE.items() for content in contents],
)
def test_a_damaged_description_is_refused(use, content, sandbox):
    (sandbox / "run").mkdir()
    (sandbox / "run" / "config.json").write_text(content)
    config, _ = parsed(MODULES["toy2d"], ["--run-dir=run", "--width=4", "--resume"])
    with contextlib.redirect_stderr(io.StringIO()):
        if use == "resume":
            assert attempt(prepare, "toy2d", config)[1] == "refused"
        else:
            assert attempt(reading.read_run, sandbox / "run", sample.find)[1] == "refused"


# --- the suite and the package


def test_the_slow_suite_tries_twenty_thousand():
    assert sum(slow for _, slow in CASES.values()) >= 20_000


UNPICKLING = {"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "yaml"}


def dangers(source):
    """What a source does that would run, unpickle or unpack what a stranger wrote."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = [module, *(alias.name for alias in node.names)]
            yield from {name.split(".")[0] for name in names} & (UNPICKLING | {"torch"})
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if called in ("eval", "exec", "compile", "__import__", "os.system", "os.popen"):
            yield called
        if called.rpartition(".")[2] in ("extractall", "extract", "unpack_archive", "read_pickle"):
            yield called
        loads = called in ("np.load", "numpy.load", "jnp.load", "torch.load")
        if loads and keywords.get("allow_pickle") != "False":
            yield called
        if keywords.get("shell", "False") != "False" or keywords.get("allow_pickle") == "True":
            yield called


@pytest.mark.parametrize("folder", ["jwgan", "experiments"])
def test_nothing_is_unpickled_unpacked_or_evaluated(folder):
    found = {p.name: list(dangers(p.read_text())) for p in (ROOT / folder).rglob("*.py")}
    # PyTorch's side of the GPU table runs in PyTorch's own environment, on data that it draws.
    peer = {"torch_gpu.py": ["torch"]}
    dangerous = {name: sorted(set(what)) for name, what in found.items() if what}
    assert dangerous == (peer if folder == "experiments" else {})


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from yaml import load", "import torch.nn", "eval(x)", "exec('x')"),
        *("np.load(p)", "np.load(p, allow_pickle=True)", "a.extractall()", "run(x, shell=True)"),
    ],
)
def test_the_search_finds_what_it_should(line):
    assert list(dangers(line))
    assert not list(dangers("np.load(p, allow_pickle=False); re.compile(x); jax.eval_shape(f)"))
