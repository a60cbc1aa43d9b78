"""The page of text, figures and tables: whole, escaped, self-contained."""

import numpy as np
import pytest
from outline import Outline

from jwgan import report
from jwgan.report import article


@pytest.fixture
def png(tmp_path):
    report.save_png(tmp_path / "a.png", np.zeros((3, 5, 3), np.uint8))
    return (tmp_path / "a.png").read_bytes()


def test_all_blocks_in_order_and_nothing_from_elsewhere(png):
    blocks = [
        article.Heading("First"),
        article.Paragraph("a < b & c"),
        article.Figure(png, "seen", 'said "so"'),
        article.Table(("name", "value"), [("w1", 0.5), ("js", "<b>")], "below"),
        article.Code("python -m x"),
    ]
    text = article.render("<Title>", "over", blocks)
    page = Outline(text)
    assert "://" not in text
    assert not {"script", "link", "iframe", "b"} & set(page.tags)
    places = [page.text.index(part) for part in ("First", "a < b & c", "seen", "below", "w1", "js")]
    assert places == sorted(places)
    image = next(attrs for tag, attrs in page.elements if tag == "img")
    assert (image["width"], image["height"], image["alt"]) == ("5", "3", 'said "so"')
    assert image["src"].startswith("data:image/png;base64,")
    scopes = [attrs["scope"] for tag, attrs in page.elements if tag == "th"]
    assert scopes == ["col", "col", "row", "row"]


def test_what_cannot_be_shown_is_refused(png):
    with pytest.raises(ValueError, match="give a whole PNG file"):
        article.render("t", "o", [article.Figure(png[:-4], "torn")])
    with pytest.raises(ValueError, match="give 2 cells"):
        article.render("t", "o", [article.Table(("a", "b"), [("c",)])])
