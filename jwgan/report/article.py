"""A page of text, figures and tables: one HTML file without scripts, links or requests.

    article.render("Two lines", "jwgan · example 1", [article.Paragraph("Real data ...")])

`page` is the report of a run, made from its files; an article is made from blocks that a program
gives.

>>> import re
>>> words_of = lambda page: [word.strip() for word in re.split("<[^>]*>", page) if word.strip()]
"""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

from jwgan import check
from jwgan.report import html

STYLE = """
.article p,.article>pre{max-width:46em}
.article .wide{margin:18px 0}
.article .wide th,.article .wide td{padding:5px 16px 5px 0;vertical-align:baseline}
.article caption,.article figcaption{caption-side:bottom;text-align:left;color:var(--soft);
font-size:12.5px;margin-top:8px;max-width:60em}
.article figure{margin:26px 0}
.article img{display:block;max-width:100%;height:auto;border-radius:3px;background:#fff}
.article h2{margin-top:44px}
@media(max-width:720px){.article .wide img{max-width:none;width:720px}}
"""


class Heading(NamedTuple):
    """The title of the blocks that follow."""

    text: str


class Paragraph(NamedTuple):
    """Plain text."""

    text: str


class Code(NamedTuple):
    """A command or a few lines of a program."""

    text: str


class Figure(NamedTuple):
    """A picture (a whole PNG file), its caption, and a text for those who cannot see it."""

    png: bytes
    caption: str
    alt: str = ""


class Table(NamedTuple):
    """Rows of cells under a head; each cell is written by `str`, the first one names its row."""

    head: Sequence[Any]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


Block = Heading | Paragraph | Code | Figure | Table


def render(title: str, over: str, blocks: Sequence[Block], footer: str = "Made by jwgan.") -> str:
    """Renders the page as HTML text.

    Args:
      title: of the page.
      over: a line in small print above it.
      blocks: what the page shows, in order; all text is plain and is escaped here.
      footer: a line below.

    Raises:
      ValueError: a figure is no whole PNG file, or a row is longer or shorter than its head.

    >>> blocks = [article.Paragraph("1 < 2"), article.Table(["run", "W1"], [["a", 0.5]])]
    >>> page = article.render("Two runs", "jwgan", blocks)
    >>> words_of(page[page.index("<header>") :])
    ['jwgan', 'Two runs', '1 &lt; 2', 'run', 'W1', 'a', '0.5', 'Made by jwgan.']
    """
    body = "\n".join(_block(block) for block in blocks)
    header = f'<header><p class="over">{html.text(over)}</p><h1>{html.text(title)}</h1></header>'
    inside = f'<style>{STYLE}</style>{header}\n<section class="article">\n{body}\n</section>'
    return html.document(title, inside, footer)


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h2>{html.text(block.text)}</h2>"
    if isinstance(block, Paragraph):
        return f"<p>{html.text(block.text)}</p>"
    if isinstance(block, Code):
        return f"<pre>{html.text(block.text)}</pre>"
    return _figure(block) if isinstance(block, Figure) else _table(block)


def _figure(figure: Figure) -> str:
    # Width and height in the HTML keep the text from jumping while a browser decodes the picture.
    size = html.png_size(figure.png)
    if size is None:
        raise ValueError(f"png is {figure.png[:8]!r}...: give a whole PNG file")
    # The picture lies in the page itself: a page that is mailed or moved keeps it.
    data = base64.b64encode(figure.png).decode()
    alt = html.text(figure.alt or figure.caption)
    return (
        f'<figure><div class="wide"><img width="{size[0]}" height="{size[1]}" alt="{alt}" '
        f'src="data:image/png;base64,{data}"></div>'
        f"<figcaption>{html.text(figure.caption)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    # A browser draws a short row without complaint, its cells under the wrong titles.
    for row in table.rows:
        check.require(len(row) == len(table.head), "row", row, f"give {len(table.head)} cells")
    return html.table(table.head, table.rows, table.caption)
