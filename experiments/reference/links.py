"""Finds links of a site that lead nowhere."""

import html.parser
import pathlib
import re
import urllib.parse


class _Anchors(html.parser.HTMLParser):
    """Collects a page's ids, and what its links and pictures lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in ("href", "src") and value:
                self.links.append(value)


def _read(path: pathlib.Path) -> _Anchors:
    found = _Anchors()
    found.feed(path.read_text(encoding="utf-8"))
    return found


def dead(folder: pathlib.Path) -> list[str]:
    """Lists the links between the pages of a folder that lead to no file or to no place in it.

    Links to other sites are not followed.

    Returns:
      "page: link", sorted.
    """
    pages = {path.resolve(): _read(path) for path in folder.rglob("*.html")}
    wrong = []
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"[\w+.-]+:", link):  # https:, data:, mailto:
                continue
            name, _, anchor = urllib.parse.unquote(link).partition("#")
            target = (path.parent / name).resolve() if name else path
            known = target in pages
            there = known or target.is_file()
            if not there or (anchor and known and anchor not in pages[target].ids):
                wrong.append(f"{path.relative_to(folder.resolve())}: {link}")
    return sorted(set(wrong))
