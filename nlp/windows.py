"""A text cut into what the encoder reads at once: a title, or some sentences in a row."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from models.tags import Text

WINDOW_WORDS = 45
"""Sentences are put together up to so many words; units of training are as long."""
MAX_CHARACTERS = 100_000
"""Of one field; the rest is not read."""
BREAK = re.compile(r"[.!?][\"'”’)\]]{0,3}(?P<gap>\s{1,50})(?=[\"'“‘(\[]?[A-Z0-9])|(?P<line>\n)")
"""The end of a sentence; what is matched as gap or line stands between two."""
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Window:
    """A place in the named field; offsets count Unicode code points, half-open."""

    field: str
    start: int
    end: int


def windows(text: Text) -> list[Window]:
    """In reading order. Fields without a letter or digit have none."""
    return [window for field, content in text.fields.items() for window in _windows(field, content[:MAX_CHARACTERS])]


def _windows(field: str, content: str) -> Iterator[Window]:
    if field == "title":
        if WORD.search(content):
            yield Window(field, 0, len(content))
        return
    start = end = words = 0
    for first, last in _sentences(content):
        last = first + len(content[first:last].rstrip())
        found = len(WORD.findall(content, first, last))
        if not found:
            continue
        if words and words + found > WINDOW_WORDS:
            yield Window(field, start, end)
            words = 0
        if not words:
            start = first
        end, words = last, words + found
    if words:
        yield Window(field, start, end)


def _sentences(content: str) -> Iterator[tuple[int, int]]:
    """Where each sentence or line begins and ends."""
    start = 0
    for found in BREAK.finditer(content):
        between = found.span("gap" if found["gap"] else "line")
        yield start, between[0]
        start = between[1]
    yield start, len(content)
