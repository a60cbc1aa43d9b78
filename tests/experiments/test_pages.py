"""What the pages say is true: tables, numbers, links, commands, and every Python block."""

import argparse
import ast
import os
import re
import runpy
import shlex
import socket
import subprocess
import sys
import warnings

import cases
import pytest

from experiments import __main__ as listing
from experiments import readme, results
from jwgan import run

ROOT = results.ROOT
COOKBOOK = ROOT / "jwgan" / "COOKBOOK.md"
COMING_FROM = ROOT / "jwgan" / "COMING_FROM.md"
PAGES = [*readme.pages(), COOKBOOK, COMING_FROM]
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(text, language):
    """The fenced blocks of a language."""
    return [body for name, body in FENCED.findall(text) if name == language]


def literal_blocks(doc):
    """What follows "::" in a docstring, without its indentation."""
    found = re.findall(r"::\n\n((?:    .*\n|\n)+)", doc)
    return ["".join(line[4:] or "\n" for line in body.splitlines(True)) for body in found]


GUIDE = literal_blocks(run.__doc__)  # the runner's document first, then commands


# --- tables and numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
def test_a_page_shows_what_is_recorded(name):
    assert readme.render(TEXTS[name], readme.TABLES, readme.VALUES) == TEXTS[name]


def test_every_table_and_number_is_on_a_page():
    used = {match.groups() for text in TEXTS.values() for match in readme.PLACE.finditer(text)}
    there = {("table", name) for name in readme.TABLES} | {("value", n) for n in readme.VALUES}
    assert used == there


@pytest.mark.parametrize("name", readme.TABLES)
def test_a_tables_heads_tell_its_columns_apart(name):
    head, *rows = (line.strip("|").split(" | ") for line in readme.TABLES[name]().splitlines())
    heads = [cell.strip() for cell in head]
    assert all(heads)
    assert len(set(heads)) == len(heads)
    assert len(rows) > 1


def test_the_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 150


# --- links ----------------------------------------------------------------------------------------


def anchors(text):
    """The names that GitHub gives to a page's headings."""
    titles = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(path, text):
    """Links of a page to a file or a heading that is not there."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text)):
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if re.match(r"\w+:", link):
            continue
        there = target.exists()
        if there and anchor:
            there = anchor in anchors(target.read_text(encoding="utf-8"))
        if not there:
            dead.append(link)
    return dead


@pytest.mark.parametrize("path", PAGES, ids=TEXTS)
def test_no_link_is_dead(path):
    assert not dead_links(path, path.read_text(encoding="utf-8"))


def test_dead_links_are_found(tmp_path):
    text = "# A? b\n[a](#a-b) [b](#c) [c](page.md#a-b) [d](gone.md) ![e](page.md) [f](https://x)\n"
    (tmp_path / "page.md").write_text(text)
    assert dead_links(tmp_path / "page.md", text) == ["#c", "gone.md"]


# --- commands -------------------------------------------------------------------------------------

# What a command line may begin with beside this package's own commands.
FOREIGN = ("pip", "apt-get", "python3")


class ParsedError(Exception):
    """The command line was understood; nothing was run."""


def programs(words):
    """(module or file, options) of the programs of this package that a command line starts."""
    words = words[1:] if words[0] == "srun" else words
    while re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    words = [words[0].removeprefix(".venv/bin/"), *words[1:]]
    if words[0] in FOREIGN or words[:3] == ["python", "-m", "pytest"]:
        return []
    if words[0] == "jwgan":
        return [("jwgan.run", words[1:])]
    assert words[0] == "python", words
    name, *options = words[2:] if words[1] == "-m" else words[1:]
    if name == "experiments.record":  # it has no parser: its two forms are these
        if options[1:2] == ["--"]:
            return programs(options[2:])
        assert options in (["--pages"], ["--readme"])
        return []
    if name == "experiments":
        assert not options
        return []
    assert name == "mine.py" or name.startswith(("experiments.", "jwgan.run"))
    return [(name, options)]


@pytest.fixture
def parse_only(monkeypatch, tmp_path):
    """A function that hands a command line to its own parser and runs nothing."""
    parse_args = argparse.ArgumentParser.parse_args
    (tmp_path / "mine.py").write_text(documents()[0])

    def parsed(self, *args, **kwargs):
        parse_args(self, *args, **kwargs)
        raise ParsedError

    def start(name, options):
        with monkeypatch.context() as patch, warnings.catch_warnings():
            patch.setattr(argparse.ArgumentParser, "parse_args", parsed)
            patch.setattr(sys, "argv", [name, *options])
            warnings.simplefilter("ignore")  # runpy's, of modules that are imported already
            if name == "mine.py":
                runpy.run_path(str(tmp_path / name), run_name="__main__")
            else:
                runpy.run_module(name, run_name="__main__", alter_sys=True)

    def check(words):
        for name, options in programs(words):
            expected = SystemExit if "--help" in options else ParsedError
            try:
                with pytest.raises(expected):
                    start(name, options)
            except SystemExit:
                pytest.fail(f"is not understood: {shlex.join(words)}")

    return check


def commands(text):
    """The command lines of a shell block, one list of words each."""
    lines = text.replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines]
    for words in found:
        while "&&" in words:
            yield words[: words.index("&&")]
            words = words[words.index("&&") + 1 :]
        if words:
            yield words


def commands_of_page(text):
    """Command lines of shell blocks, of code in sentences and tables, and of columns "run"."""
    for body in blocks(text, "sh"):
        yield from commands(body)
    prose = FENCED.sub("", text)
    for code in re.findall(r"`([^`]+)`", prose):
        code = " ".join(code.split())
        if re.match(r"python -m (experiments\.[a-z]|jwgan)", code) and "..." not in code:
            yield from commands(code)
    for table in re.findall(r"((?:^\|.*\n)+)", prose, re.MULTILINE):
        head, _, *rows = ([c.strip() for c in line.split(" | ")] for line in table.splitlines())
        head = [cell.strip("| ") for cell in head]
        for row in rows if "run" in head else ():
            cell = row[head.index("run")].strip("| `")
            if cell and re.match(r"[a-z_0-9]+($| --)", cell):
                yield from commands(f"python -m experiments.{cell}")


def documents_commands():
    """Command lines of the docstrings of the commands and of the runner's guide."""
    for name, path in listing.commands().items():
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        for line in re.findall(
            r"^    (python -m (?:experiments|jwgan)\S+ ?.*)$", doc, re.MULTILINE
        ):
            yield name, line
    for body in GUIDE[1:]:
        for line in body.splitlines():
            if line.strip():
                yield "jwgan.run", line


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_on_a_page_is_understood(name, parse_only, capsys):
    for words in commands_of_page(TEXTS[name]):
        parse_only(words)


def test_every_command_of_a_docstring_is_understood(parse_only, capsys):
    found = list(documents_commands())
    assert len({name for name, _ in found}) == len(listing.commands()) + 1
    for _, line in found:
        for words in commands(line):
            parse_only(words)


@pytest.mark.parametrize(
    "line",
    [
        "python -m experiments.wgan_gp --stepz 3",
        "jwgan wgan_gp --steps x",
        "python -m experiments.x",
    ],
)
def test_a_command_that_is_wrong_is_found(line, parse_only, capsys):
    with pytest.raises((pytest.fail.Exception, ImportError)):
        parse_only(shlex.split(line))


def test_the_list_of_commands_is_complete(capsys, monkeypatch):
    groups = listing.groups()
    assert "Others" not in groups
    assert sorted(name for names in groups.values() for name in names) == sorted(listing.commands())
    monkeypatch.setattr(sys, "argv", ["experiments"])
    listing.main()
    shown = capsys.readouterr().out
    assert re.search(r"^  wgan_gp +WGAN-GP on images", shown, re.MULTILINE)
    monkeypatch.setattr(sys, "argv", ["experiments", "wgan_gp"])
    with pytest.raises(SystemExit):
        listing.main()


# --- Python blocks --------------------------------------------------------------------------------

THEIRS = blocks(COMING_FROM.read_text(encoding="utf-8"), "python")
FROM = ("PyTorch-GAN", "mimicry", "StudioGAN", "TF-GAN")
PREAMBLE, *EXAMPLES, TWO_HOSTS = blocks(COOKBOOK.read_text(encoding="utf-8"), "python")


def documents():
    """Blocks that are experiments of a user's own."""
    found = [*blocks(TEXTS["README.md"], "python"), GUIDE[0]]
    return [body for body in found if "__main__" in body]


@pytest.fixture(scope="module")
def prepared():
    """The names that the cookbook's first block leaves behind."""
    names = {}
    exec(compile(PREAMBLE, "COOKBOOK.md", "exec"), names)
    return names


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_cookbooks_examples_run(number, prepared, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"COOKBOOK.md, example {number}", "exec"), dict(prepared))


def test_lines_for_those_who_come_from_elsewhere_run():
    """The blocks follow one another; the page's commands are parsed with those of all pages."""
    names = {}
    for number, body in enumerate(THEIRS):
        exec(compile(body, f"COMING_FROM.md, block {number}", "exec"), names)
    assert names["pictures"].shape == (16, 8, 8, 1)
    # The ten things: each has its four rows, and lines of ours.
    parts = COMING_FROM.read_text(encoding="utf-8").split("\n## ")[1:]
    assert len(parts) == 10
    for part in parts:
        assert [part.count(f"\n| {name} |") for name in FROM] == [1] * 4, part
        assert "```" in part


def test_the_readmes_example_runs():
    body, *_ = blocks(TEXTS["README.md"], "python")
    assert body.count("steps=2000") == 1
    names = {}
    exec(compile(body.replace("steps=2000", "steps=10"), "README.md", "exec"), names)
    assert names["points"].shape == (1000, 2)


def test_no_python_block_is_left_out():
    per_page = {name: len(blocks(text, "python")) for name, text in TEXTS.items()}
    counted = {name: count for name, count in per_page.items() if count}
    cookbook = {"jwgan/COOKBOOK.md": len(EXAMPLES) + 2}
    assert counted == {"README.md": 2, **cookbook, "jwgan/COMING_FROM.md": len(THEIRS)}


@pytest.mark.parametrize("number", cases.slow_but(range(2), 0))
def test_an_experiment_of_ones_own_trains_in_any_folder(number, tmp_path):
    body = documents()[number]
    doc = "" if body.startswith('"""') else '"""Mine."""\n'
    (tmp_path / "mine.py").write_text(doc + body)
    options = "--steps 2 --chunk-steps 2 --width 1 --no-quality --run-dir runs/mine"
    done = subprocess.run(
        [sys.executable, "mine.py", *options.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "mine" / "report.html").exists()


@pytest.mark.slow
def test_two_hosts_train_together(tmp_path):
    (tmp_path / "two_hosts.py").write_text(TWO_HOSTS)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
    shared = {**os.environ, "COORDINATOR": address, "PROCESSES": "2", "JAX_NUM_CPU_DEVICES": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "two_hosts.py"],
            cwd=tmp_path,
            env={**shared, "PROCESS": str(i)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    told = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    lines = [[x for x in out.splitlines() if not x.startswith("[Gloo]")] for out, _ in told]
    assert lines == [["done 20 2"], []]
