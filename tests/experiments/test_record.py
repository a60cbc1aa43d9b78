"""Recorded results, and how pages are rendered from them."""

import json
import re
import subprocess
import sys

import pytest

from experiments import readme, record, results
from experiments.results import markdown


def test_every_result_says_where_it_comes_from():
    paths = sorted(results.RESULTS.glob("*.json"))
    assert paths
    for path in paths:
        result = json.loads(path.read_text())
        # a run of another library names its program in place of an experiment
        peer = {"peer"} & set(result)
        assert set(result) == {"command", "date", "revision", "machine", "figures"} | peer
        assert result["command"].startswith("python -m experiments.") or peer
        # no place on a machine; a data set may be called tfds/NAME
        assert not re.search(r"(^|[\s=:\"'])(/|~|\.(?!\d))", result["command"])
        assert "run_dir" not in result["figures"]


def test_record_takes_the_last_line(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    program = 'print(\'noise\'); print(\'{"run_dir": "x", "steps": 3}\')'
    result = results.record("a", [sys.executable, "-c", program])
    assert result["figures"] == {"steps": 3}
    assert json.loads((tmp_path / "a.json").read_text()) == result
    assert result["command"].startswith("python -c")


@pytest.mark.parametrize("program", ["print('no json')", "import sys; sys.exit(3)", ""])
def test_a_failed_command_is_not_recorded(tmp_path, monkeypatch, program):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match="no JSON at the end"):
        results.record("a", [sys.executable, "-c", program])
    assert not list(tmp_path.iterdir())


def test_table_and_spread():
    assert markdown.table(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    value = {"median": 1.0, "lower_quartile": 0.5, "upper_quartile": 1.25}
    assert markdown.spread(value, 1) == "1.0 (0.5, 1.2)"


def test_marked_places_are_filled_anew():
    tables, numbers = {"t": lambda: "| new |"}, {"v": lambda: "2"}
    text = "x\n<!-- table t -->\nold\n<!-- end -->\ny <!-- value v -->1<!-- end --> z"
    filled = readme.render(text, tables, numbers)
    assert filled == (
        "x\n<!-- table t -->\n| new |\n<!-- end -->\ny <!-- value v -->2<!-- end --> z"
    )
    assert readme.render(filled, tables, numbers) == filled
    with pytest.raises(ValueError, match="value is 't': give one of v"):
        readme.render("<!-- value t --><!-- end -->", tables, numbers)


@pytest.mark.parametrize("option", ["--pages", "--readme"])
def test_pages_are_rendered_where_they_lie(option, tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text("<!-- value v -->1<!-- end -->")
    monkeypatch.setattr(readme, "pages", lambda: [page])
    monkeypatch.setattr(readme, "VALUES", {"v": lambda: "2"})
    monkeypatch.setattr("sys.argv", ["record", option])
    record.main()
    assert page.read_text() == "<!-- value v -->2<!-- end -->"


def test_a_revision_is_marked_by_changes_of_code_not_of_results(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ROOT", tmp_path)
    git = lambda *args: subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *args],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    result, code = tmp_path / "experiments" / "results" / "a.json", tmp_path / "pyproject.toml"
    result.parent.mkdir(parents=True)
    for path in (result, code):
        path.write_text("1")
    git("init")
    git("add", "-A")
    git("commit", "-m", "a")
    assert re.fullmatch("[0-9a-f]+", clean := results.revision())
    result.write_text("2")
    assert results.revision() == clean
    code.write_text("2")
    assert results.revision() == f"{clean}+"
