"""The notebooks: no output is kept that could be stale, and every one runs from a fresh kernel."""

import json
import pathlib
import re
import time

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "experiments" / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
LONG = ("04", "09", "10")  # left out by .ci/run
RUNS = [
    pytest.param(p, id=p.stem, marks=[pytest.mark.rare] if p.stem.startswith(LONG) else [])
    for p in PATHS
]
# Of one notebook: what a reader waits for. The limit is a minute on two idle cores; here it only
# ends what hangs, since other tests may run beside it.
SECONDS = 600


def cells(path, kind):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [c for c in notebook["cells"] if c["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_there_are_notebooks():
    assert len(PATHS) >= 4


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_output_is_kept(path):
    code = cells(path, "code")
    assert code
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_can_be_read_alone(path):
    texts = [source(c) for c in cells(path, "markdown")]
    assert re.match(r"# \w", texts[0])
    assert len(texts[0]) > 200  # it says what it is about
    # What it claims is checked where it runs.
    assert any("assert " in source(c) for c in cells(path, "code"))
    assert "from experiments" not in "".join(map(source, cells(path, "code")))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_links_of_a_notebook_lead_somewhere(path):
    text = "\n".join(source(c) for c in cells(path, "markdown"))
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert (FOLDER / link).exists(), link


@pytest.mark.slow
@pytest.mark.parametrize("path", RUNS)
@pytest.mark.filterwarnings("default")  # of the kernel's own packages
def test_a_notebook_runs(path, capsys):
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    began = time.perf_counter()
    client = nbclient.NotebookClient(
        notebook, timeout=SECONDS, resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()
    with capsys.disabled():
        print(f"\n{path.stem}: {time.perf_counter() - began:.0f} s")
    pictures = [
        output
        for c in notebook.cells
        for output in c.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert pictures or "Image" not in path.read_text()
