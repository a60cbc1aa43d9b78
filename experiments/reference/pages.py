"""The commands' pages (Markdown files of the repository) as pages of the site."""

import base64
import pathlib
import re
import shutil
from collections.abc import Sequence
from typing import Any

from experiments.reference import mathematics
from jwgan import check, files
from jwgan.report import article, html

LINK = re.compile(r'(?P<attribute>href|src)="(?P<to>[^"]*)"')
EXTRAS = ("fenced-code-blocks", "tables", "header-ids", "code-friendly", "cuddled-lists")


def target_of(path: pathlib.PurePath) -> pathlib.PurePath:
    """Where a page lies on the site: README.md of a folder is that folder's index.

    >>> str(target_of(pathlib.PurePath("experiments/speed/README.md")))
    'pages/experiments/speed.html'
    >>> str(target_of(pathlib.PurePath("README.md")))
    'pages/README.html'
    """
    if path.name == "README.md" and path.parent.name:
        return pathlib.PurePath("pages", path.parent.with_suffix(".html"))
    return pathlib.PurePath("pages", path.with_suffix(".html"))


def module_page(path: pathlib.PurePath) -> pathlib.PurePath | None:
    """The site's page about a source file of the library; None for any other file.

    >>> str(module_page(pathlib.PurePath("jwgan/run/__init__.py")))
    'jwgan/run.html'
    """
    if path.suffix != ".py" or path.parts[0] != "jwgan":
        return None
    return (path.parent if path.name == "__init__.py" else path).with_suffix(".html")


class Site:
    """Writes pages of the repository `root` into `folder`, with the links between them."""

    def __init__(self, root: pathlib.Path, folder: pathlib.Path, paths: Sequence[pathlib.Path]):
        self.root, self.folder = root, folder
        self.paths = [path.relative_to(root) for path in paths]

    def link(self, to: str, page: pathlib.PurePath) -> str | None:
        """Where a link of a page leads on the site; None if the site has not got it.

        Notebooks are copied when they are linked.
        """
        name, _, anchor = to.partition("#")
        if re.match(r"\w+:", to) or not name:
            return to
        path = _resolved(page.parent / name)
        if path in self.paths:
            there: pathlib.PurePath | None = target_of(path)
        elif path.suffix == ".ipynb":
            there = pathlib.PurePath("pages", path)
            copy = self.folder / there
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.root / path, copy)
        else:
            there, anchor = module_page(path), ""
        if there is None:
            return None
        up = "../" * len(target_of(page).parent.parts)
        return f"{up}{there.as_posix()}" + (f"#{anchor}" if anchor else "")

    def write(self) -> None:
        """Writes every page."""
        for path in self.paths:
            text = (self.root / path).read_text(encoding="utf-8")
            up = "../" * len(target_of(path).parent.parts)
            body = mathematics.convert(_without_marks(text), _markdown)
            back = f'<p class="over"><a href="{up}index.html">jwgan: reference and pages</a></p>'
            inside = f'<style>{article.STYLE}{STYLE}</style><div class="md">{back}'
            page = html.document(title_of(text), f"{inside}{self._linked(body, path)}</div>", "")
            files.replace(self.folder / target_of(path), page.encode())

    def _linked(self, body: str, page: pathlib.PurePath) -> str:
        def replaced(found: re.Match[str]) -> str:
            if found["attribute"] == "src":
                # Inside the page: its policy lets a browser load nothing.
                picture = (self.root / page.parent / found["to"]).read_bytes()
                return f'src="data:image/png;base64,{base64.b64encode(picture).decode()}"'
            to = self.link(found["to"], page)
            # A file of the repository that the site has not got: its name stays, without a link.
            return f'{found["attribute"]}="{to}"' if to is not None else ""

        return LINK.sub(replaced, body)


STYLE = """
.md p,.md li{max-width:46em}.md table{width:auto;display:block;overflow-x:auto}
.md th,.md td{padding:5px 16px 5px 0;width:auto}.md img{max-width:100%;height:auto}
.md tr>th:first-child{overflow-wrap:normal;white-space:nowrap}
.md h2{margin-top:44px}.md a{color:var(--c0)}
"""


def title_of(text: str) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found[1] if found else "jwgan"


def _without_marks(text: str) -> str:
    """Takes the comments away that say which number or table of a page comes from a result."""
    return re.sub(r"<!--.*?-->\n?", lambda found: "\n" if found[0][-1] == "\n" else "", text)


def _markdown(text: str) -> str:
    check.require_package("markdown2", "reference")
    import markdown2

    return str(markdown2.markdown(text, extras=list(EXTRAS)))


def _resolved(path: pathlib.PurePath) -> pathlib.PurePath:
    """Takes ".." out of a path, without looking at a disk."""
    parts: list[Any] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return pathlib.PurePath(*parts)
