"""What a page consists of, as a parser sees it."""

from html.parser import HTMLParser


class Outline(HTMLParser):
    """Fails on tags that do not nest; collects text, tags, attributes, and both as elements."""

    VOID = frozenset({"meta", "wbr", "input", "line", "path", "br", "img"})

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.elements = []  # (tag, {attribute: value})
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
