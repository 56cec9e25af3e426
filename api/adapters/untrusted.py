"""Text of publishers, on its way to where it might be taken for more than text."""

import html
import re
import unicodedata
from dataclasses import fields, is_dataclass
from typing import Any

from models.derived import ToldArticle, ToldStory
from services.answers import plain
from services.articles import ArticleView, RevisionView, SightingView, SpanView, WholeArticle
from services.changes import Part

HIDDEN = frozenset(("Cc", "Cf", "Co", "Cs", "Cn"))
"""Control and format characters (bidirectional and zero-width marks, tags), and what has no meaning."""
SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Variation selectors: invisible, and any bytes can be written with them."""
MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:@^$=])")


def visible(text: str) -> str:
    """Without what a reader does not see; lines stay lines, and other white space is a space."""
    shown = SELECTORS.sub("", text)
    return "".join(
        char if char == "\n" else " " if char in "\t\r" else "" if unicodedata.category(char) in HIDDEN else char
        for char in shown
    )


def as_markdown(text: str) -> str:
    """The text as Markdown that shows just this text: no link, picture, heading or markup."""
    return html.escape(MARKDOWN.sub(r"\\\1", visible(text)), quote=False)


WRITTEN_BY_PUBLISHERS: dict[type[Any], tuple[str, ...]] = {
    ArticleView: ("title", "summary", "url"),
    Part: ("text",),
    RevisionView: ("title", "summary", "body"),
    SightingView: ("url",),
    SpanView: ("text",),
    ToldArticle: ("title",),
    ToldStory: ("title",),
    WholeArticle: ("body",),
}


def told(value: Any) -> Any:
    """Plain values, as services.answers.plain gives them, with what publishers wrote apart in `untrusted_text`.

    All text is `visible`; offsets of evidence count in the text as it is stored.
    """
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list | tuple):
        return [told(one) for one in value]
    if isinstance(value, dict):
        return {name: told(one) for name, one in value.items()}
    if not is_dataclass(value) or isinstance(value, type):
        return plain(value)
    theirs = WRITTEN_BY_PUBLISHERS.get(type(value), ())
    record = {field.name: told(getattr(value, field.name)) for field in fields(value)}
    ours = {name: one for name, one in record.items() if name not in theirs}
    return ours | ({"untrusted_text": {name: record[name] for name in theirs}} if theirs else {})
