"""The reference: mathematics without a network, pages with links that lead somewhere."""

import inspect
import pathlib
import re
import xml.etree.ElementTree as ET

import pytest

from experiments.reference import __main__ as reference
from experiments.reference import links, mathematics, pages
from jwgan import check
from jwgan.run import options

ROOT = pathlib.Path(reference.__file__).parents[2]
plain = lambda text: text  # no Markdown
MATH = "http://www.w3.org/1998/Math/MathML"


# --- mathematics ----------------------------------------------------------------------------------


def formulas(text):
    """What is between dollar signs, as `convert` finds it."""
    found = [part["display"] or part["inline"] for part in mathematics.PARTS.finditer(text)]
    return [latex for latex in found if latex]


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a $x_i$, b", ["x_i"]),
        ("$a$ and $b$", ["a", "b"]),
        ("$$ a\n+ b $$", [" a\n+ b "]),
        ("over\nlines $a\n+ b$.", ["a\n+ b"]),
        ("`$a$` and ``$b$``", []),
        ("```\n$a$\n```\n$b$", ["b"]),
        (">>> f('$a$')\n'$b$'\n", ["b"]),
        ("    x = '$a$'\n$b$", ["b"]),
        ("costs 5$ and 6$", []),
        ("$ 5 and $ 6", []),
        (r"\$a\$", []),
    ],
)
def test_mathematics_is_found_and_code_is_not(text, latex):
    if text.startswith(">>>"):
        latex = ["b"]  # of an example only the lines that are typed are known to be code
    assert formulas(text) == latex


def test_a_formula_is_mathml():
    tree = ET.fromstring(mathematics.to_mathml(r"\frac{a}{b_1}", display=True))
    assert tree.tag == f"{{{MATH}}}math"
    assert tree.get("display") == "block"
    (fraction,) = tree.iter(f"{{{MATH}}}mfrac")
    above, below = fraction
    assert "".join(above.itertext()) == "a"
    assert [part.tag for part in below.iter()].count(f"{{{MATH}}}msub") == 1


def test_what_the_converter_does_not_know_is_refused():
    with pytest.raises(ValueError, match=r"mathematics is '\\\\nonsense x'"):
        mathematics.to_mathml(r"\nonsense x")


def test_markdown_does_not_see_mathematics():
    seen = []

    def to_html(text):
        seen.append(text)
        return text.upper()

    made = mathematics.convert("a_b $k_{t+1} * k_t$ `$c$`", to_html)
    assert "$k" not in seen[0]
    assert "_{" not in seen[0]
    assert "`$c$`" in seen[0]
    assert made.startswith("A_B <math")
    assert made.endswith("`$C$`")


def docstrings():
    """{where: text} of every docstring of the library with a dollar sign."""
    texts = {}
    for path in sorted((ROOT / "jwgan").rglob("*.py")):
        for i, text in enumerate(re.findall(r'r?"""(.*?)"""', path.read_text(), re.DOTALL)):
            if "$" in text:
                texts[f"{path.relative_to(ROOT)}:{i}"] = inspect.cleandoc(text)
    return texts


DOCSTRINGS = docstrings()


@pytest.mark.parametrize("where", DOCSTRINGS)
def test_every_formula_of_the_library_can_be_shown(where):
    made = mathematics.convert(DOCSTRINGS[where], plain)
    assert "<math" in made
    assert "$" not in re.sub(r"`[^`]*`", "", made)


# --- pages and links ------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    """A small repository and its site: (the folder of the site, its pages' files)."""
    root, folder = tmp_path / "repository", tmp_path / "site"
    texts = {
        "README.md": "# Top\n[speed](experiments/speed/README.md#how-fast) [code](jwgan/loop.py)\n"
        "[test](tests/cases.py) ![a](experiments/a.png) [far](https://example.org) [here](#top)\n",
        "experiments/speed/README.md": "# Speed\n\n## How fast?\n\n[up](../../README.md) $a_1$\n"
        "<!-- table t -->\n| a | b |\n| --- | --- |\n| 1 | 2 |\n<!-- end -->\n",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "experiments/a.png").write_bytes(b"png")
    (folder / "jwgan").mkdir(parents=True)
    (folder / "jwgan/loop.html").write_text("<p id=train>")
    (folder / "index.html").write_text('<a href="pages/README.html">')
    pages.Site(root, folder, [root / name for name in texts]).write()
    return folder


def test_pages_link_to_each_other(site):
    top = (site / "pages/README.html").read_text()
    assert 'href="../pages/experiments/speed.html#how-fast"' in top
    assert 'href="../jwgan/loop.html"' in top
    assert 'src="data:image/png;base64,cG5n"' in top
    assert 'href="https://example.org"' in top
    assert "cases.py" not in top
    assert ">test</a>" in top
    speed = (site / "pages/experiments/speed.html").read_text()
    assert 'href="../../pages/README.html"' in speed
    assert "<table>" in speed
    assert "<math" in speed
    assert "<!--" not in speed
    assert links.dead(site) == []


def test_dead_links_are_found(site):
    page = site / "pages/README.html"
    page.write_text(page.read_text() + '<a href="gone.html"><a href="experiments/speed.html#no">')
    (site / "jwgan/loop.html").unlink()
    assert links.dead(site) == [
        "pages/README.html: ../jwgan/loop.html",
        "pages/README.html: experiments/speed.html#no",
        "pages/README.html: gone.html",
    ]


# --- the command ----------------------------------------------------------------------------------


def test_every_module_is_in_it_and_no_command():
    names = reference.module_names()
    assert {"jwgan", "jwgan.penalties", "jwgan.models.dcgan", "jwgan.run"} <= set(names)
    assert "jwgan.run.__main__" not in names
    assert len(set(names)) == len(names)
    assert "gradient_penalty" in reference.public_names("jwgan.penalties")
    assert "Array" not in reference.public_names("jwgan.penalties")
    assert "with_augment" in reference.public_names("jwgan.augment")
    assert "diff_augment" not in reference.public_names("jwgan.augment")
    assert reference.counts()["with_docstring"] == reference.counts()["names"] > 400


def test_a_missing_package_is_one_line(monkeypatch, capsys, tmp_path):
    def missing(module, extra):
        raise check.MissingPackageError(f"{module} is not installed: pip install 'jwgan[{extra}]'")

    monkeypatch.setattr(reference.check, "require_package", missing)
    with pytest.raises(SystemExit):
        reference.main(["--out", str(tmp_path / "site")])
    assert "pdoc is not installed: pip install 'jwgan[reference]'" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()
    assert options.parse(reference.Config, [], "").json is False
