"""The reference: every public name of the library and the commands' pages, as a static web site.

    python -m experiments.reference                         # a folder runs/reference-1
    python -m experiments.reference --out site --json

Open its index.html in a browser: the site works offline, its search too. It holds the docstrings,
rendered by pdoc (`pip install 'jwgan[reference]'`) with mathematics as MathML, and README.md and
the pages of the commands. The exit code is 1 if a link leads nowhere. It takes a minute on one
core.
"""

import contextlib
import dataclasses
import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import warnings
from collections.abc import Iterator
from typing import Any

import jwgan
from experiments import results
from experiments.reference import links, mathematics, pages
from jwgan import check, files
from jwgan.report import html
from jwgan.run import options, output, study
from jwgan.run.options import option

# What a public name may have beside its docstring: a name -> what its text holds.
PARTS = {"arguments": "Args:", "errors": "Raises:", "example": ">>>"}


@dataclasses.dataclass(frozen=True)
class Config:
    out: str | None = option(None, "folder to write into (default: runs/reference-K)")
    json: bool = option(False, "print one line of JSON at the end")


def module_names() -> list[str]:
    """Lists the library's modules, the package itself first."""
    found = [module.name for module in pkgutil.walk_packages(jwgan.__path__, "jwgan.")]
    # A __main__ is a command, not a module to import names from.
    return ["jwgan", *(name for name in found if not name.rpartition(".")[2].startswith("_"))]


def public_names(module: str) -> dict[str, Any]:
    """Lists the functions and classes that a module defines: {name: object}."""
    inside = vars(importlib.import_module(module)).items()
    return {
        name: thing
        for name, thing in inside
        if name[0] != "_" and inspect.isroutine(thing) | inspect.isclass(thing)
        # What a module has imported is documented where it is defined.
        if getattr(thing, "__module__", None) == module
        # A function that another one made, as `chain(...)` does, has the docstring of none.
        and thing.__qualname__ == name
    }


def counts() -> dict[str, int]:
    """Counts public names, and those with a docstring, arguments, errors, an example."""
    texts = [inspect.getdoc(x) or "" for m in module_names() for x in public_names(m).values()]
    with_parts = {f"with_{name}": sum(p in t for t in texts) for name, p in PARTS.items()}
    return {"names": len(texts), "with_docstring": sum(map(bool, texts)), **with_parts}


@contextlib.contextmanager
def mathematical() -> Iterator[None]:
    """Lets pdoc convert mathematics, on its pages and in what its search finds."""
    import pdoc.render
    import pdoc.search

    search: Any = pdoc.search
    plain = search.to_html
    convert = lambda text: mathematics.convert(text, plain)
    pdoc.render.env.filters["to_html"] = search.to_html = convert
    try:
        yield
    finally:
        pdoc.render.env.filters["to_html"] = search.to_html = plain


def write_names(folder: pathlib.Path) -> None:
    """Writes a page for each module, and the search's index."""
    import pdoc
    import pdoc.render

    pdoc.render.configure(
        docformat="google", logo_link="", footer_text=f"jwgan {jwgan.__version__}", search=True
    )
    with mathematical(), warnings.catch_warnings():
        # Types in Flax's own signatures that pdoc cannot look up are shown by their names; and it
        # warns of every module that it has found by itself, which are some of the names.
        warnings.simplefilter("ignore", UserWarning)
        pdoc.pdoc(*module_names(), output_directory=folder)
    for page in folder.rglob("*.html"):
        # A class that extends a private one is linked to it, and private names have no place.
        text = re.sub(
            r' href="[^"]*#(?:\w+\.)*_[A-Za-z][^"]*"', "", page.read_text(encoding="utf-8")
        )
        files.replace(page, text.encode())


def front(paths: list[pathlib.Path]) -> str:
    """Renders the site's first page: the commands' pages, then the modules."""
    relative = [path.relative_to(results.ROOT) for path in paths]
    entry = lambda to, title: f'<li><a href="{to}">{html.text(title)}</a></li>'
    listed = [
        entry(pages.target_of(path), pages.title_of((results.ROOT / path).read_text()))
        for path in relative
    ]
    modules = [
        f'<tr><th scope="row"><a href="{name.replace(".", "/")}.html">{name}</a></th>'
        f"<td>{html.text(first_line(name))}</td></tr>"
        for name in module_names()
    ]
    body = (
        f'<style>{pages.STYLE}</style><div class="md"><h1>jwgan {jwgan.__version__}</h1>'
        f"<h2>Pages</h2><ul>{''.join(listed)}</ul><h2>Modules</h2>"
        "<p>Search stands above the list of names on the page of every module.</p>"
        f"<table>{''.join(modules)}</table></div>"
    )
    return html.document("jwgan: reference", body, "Made by python -m experiments.reference.")


def first_line(module: str) -> str:
    """The first line of a module's docstring."""
    return (inspect.getdoc(importlib.import_module(module)) or "").split("\n")[0]


def write(folder: pathlib.Path) -> dict[str, Any]:
    """Writes the site into an empty folder.

    Returns:
      its figures: modules, names, pages, files, bytes, and the links that lead nowhere.
    """
    experiments, library = results.ROOT / "experiments", results.ROOT / "jwgan"
    paths = [
        *(results.ROOT / "README.md", library / "COOKBOOK.md", experiments / "README.md"),
        *(*sorted(experiments.glob("*/README.md")), library / "CHANGELOG.md"),
    ]
    write_names(folder)
    pages.Site(results.ROOT, folder, paths).write()
    files.replace(folder / "index.html", front(paths).encode())
    written = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "modules": len(module_names()),
        "pages": len(paths),
        **counts(),
        "files": len(written),
        "bytes": sum(path.stat().st_size for path in written),
        "dead_links": links.dead(folder),
    }


def main(argv: list[str] | None = None) -> None:
    config = options.parse(Config, argv, __doc__ or "")
    try:
        check.require_package("pdoc", "reference")
        check.require_package("latex2mathml", "reference")
        folder = study.new_folder(config.out, "reference")
        found = write(folder)
    except (ValueError, OSError, check.MissingPackageError) as error:
        options.fail(error)
    output.show(json.dumps(found) if config.json else json.dumps(found, indent=1))
    if found["dead_links"]:
        options.fail(f"{len(found['dead_links'])} links lead nowhere", code=1)
    if not config.json:
        output.show(f"site: {folder / 'index.html'}")


if __name__ == "__main__":
    main()
