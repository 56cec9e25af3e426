"""From markup to the text a person would read."""

import html
import re
from html.parser import HTMLParser

BREAKS = frozenset("p br div li tr h1 h2 h3 h4 h5 h6 blockquote section article ul ol table pre hr".split())
SILENT = frozenset(("script", "style", "noscript", "template", "svg", "math", "iframe", "object"))
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
MARKUP = re.compile(r"<[a-zA-Z/!?]|&[#a-zA-Z]")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self._silent += tag in SILENT
        if tag in BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent = max(0, self._silent - 1)
        if tag in BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def plain_text(markup: str) -> str:
    """Markup as text: tags dropped, entities resolved, spaces folded, one line a paragraph."""
    text = markup
    if MARKUP.search(text):
        reader = _Reader()
        reader.feed(text)
        reader.close()
        text = "".join(reader.parts)
    text = CONTROL.sub(" ", text)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def one_line(markup: str) -> str:
    """A title: plain text on one line. Twice-escaped entities (`&amp;amp;`), common in titles, are resolved too."""
    return " ".join(html.unescape(plain_text(markup)).split())
