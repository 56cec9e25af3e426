"""From markup to the text a person would read. The markup is read by nh3 (html5ever), in linear time."""

import html
import re

import nh3

BREAKS = frozenset("p br div li tr h1 h2 h3 h4 h5 h6 blockquote section article ul ol table pre hr".split())
SILENT = frozenset(("script", "style", "noscript", "template", "svg", "math", "iframe", "object", "title", "textarea"))
UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Control characters and lone surrogates, which no database or JSON document should meet."""
TAG = re.compile(r"<[^>]*>")
TITLE_CHARACTERS, OUTLET_CHARACTERS = 1_000, 200
"""Longer ones are cut: no headline is, and an index must hold them."""
MAX_MARKUP = 1_000_000
"""Characters of markup that are read; the rest is not."""


def plain_text(markup: str) -> str:
    """Markup as text: tags dropped, entities resolved, spaces folded, one line a paragraph."""
    text = storable(markup[:MAX_MARKUP])
    if "<" in text or "&" in text:
        # what is left is well-formed: block tags without attributes, and text whose < and & are escaped
        cleaned = nh3.clean(text, tags=set(BREAKS), attributes={}, clean_content_tags=set(SILENT))
        text = storable(html.unescape(TAG.sub("\n", cleaned)))
    return folded(text)


def folded(text: str) -> str:
    """Spaces folded, and lines without any word left out."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def one_line(markup: str) -> str:
    """A title: plain text on one line. Twice-escaped entities (`&amp;amp;`), common in titles, are resolved too."""
    if "<" in markup or "&" in markup:
        markup = html.unescape(plain_text(markup))
    return " ".join(storable(markup[:MAX_MARKUP]).split())


def shortened(text: str, most: int) -> str:
    """The text, or its beginning up to a word's end and an ellipsis, in at most `most` characters."""
    if len(text) <= most:
        return text
    return (text[: most - 1].rsplit(" ", 1)[0] or text[: most - 1]) + "…"


def storable(text: str) -> str:
    """The text with a space in place of what cannot be stored."""
    return UNSTORABLE.sub(" ", text)
