"""Full-text search: what a person types, as words that a wording must hold, on SQLite (FTS5) and PostgreSQL (tsvector).

The index `revision_words` is kept by triggers on `revisions`: see the migration 0012.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, column, func, literal_column, select, table
from sqlalchemy.orm import Mapped
from sqlmodel import Session

from models.errors import BadInput

LONGEST = 1_000
LONGEST_WORD = 200
"""Letters of a word that are looked at; PostgreSQL refuses one of more than 2 kB."""
MANY = 2_000
"""With so many found it is quicker to go through the articles, newest first, than through what is found."""
QUOTES = str.maketrans("“”„«»", '"' * 5)
TERM = re.compile(r'(?P<minus>-*)(?:"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+))')
Phrase = tuple[str, ...]
"""Words that must stand side by side."""


@dataclass(frozen=True, slots=True)
class Search:
    """A wording is found that holds one phrase of each of `all_of`, and none of `without`."""

    all_of: tuple[tuple[Phrase, ...], ...]
    without: tuple[Phrase, ...] = ()


def parse(text: str) -> Search:
    """In the manner of a web search: gold "safe haven" -silver bitcoin OR BTC. Whatever else is typed separates words.

    OR, in capitals, lets one of its two neighbours do; AND says what is so anyway. Raises: BadInput if it is longer
    than LONGEST characters or names no word that must be there.
    """
    if len(text) > LONGEST:
        raise BadInput(f"The search has {len(text):,} characters; write at most {LONGEST:,}.")
    all_of: list[tuple[Phrase, ...]] = []
    without: list[Phrase] = []
    either = False
    for term in TERM.finditer(text.translate(QUOTES)):
        phrase = _words(term["word"] if term["phrase"] is None else term["phrase"])
        if term["word"] in ("OR", "AND"):
            either = term["word"] == "OR"
        elif phrase and term["minus"]:
            without.append(phrase)
            either = False
        elif phrase and either and all_of:
            all_of[-1] = (*all_of[-1], phrase)
            either = False
        elif phrase:
            all_of.append((phrase,))
    if not all_of:
        raise BadInput(
            "The search says only what must not be there; add a word that must."
            if without
            else 'The search holds no word; write one or more, e.g. gold, or "safe haven" -silver.'
        )
    return Search(tuple(all_of), tuple(without))


def _words(text: str) -> Phrase:
    """Runs of letters, digits and their marks; of what stands between them nothing is kept."""
    kept = (char if unicodedata.category(char)[0] in "LNM" else " " for char in unicodedata.normalize("NFC", text))
    return tuple(word[:LONGEST_WORD] for word in "".join(kept).split() if any(char.isalnum() for char in word))


def holds(session: Session, search: Search, revision_id: Mapped[Any]) -> ColumnElement[bool]:
    """Of the revision with this id: whether it is found."""
    if session.get_bind().dialect.name == "postgresql":
        query = func.to_tsquery(literal_column("'storyshift'"), _tsquery(search))
        words = table("revision_words", column("revision_id"), column("words"))
        return revision_id.in_(select(words.c.revision_id).where(words.c.words.op("@@")(query)))
    found = select(column("rowid", Integer)).select_from(table("revision_words"))
    found = found.where(literal_column("revision_words").op("match")(_match(search)))
    many = len(session.execute(found.limit(MANY)).all()) == MANY
    # SQLite does not know how many there are; a sum keeps it from looking up, and sorting, each of many
    return (revision_id + 0 if many else revision_id).in_(found)


def forget_words(session: Session) -> None:
    """Leave nothing in SQLite's index of words whose text is gone; otherwise they would only be marked as such."""
    if session.get_bind().dialect.name == "sqlite":
        session.flush()
        session.connection().exec_driver_sql("insert into revision_words (revision_words) values ('optimize')")


def _match(search: Search) -> str:
    """For FTS5, every phrase quoted."""
    all_of = " AND ".join(f"({_match_any(phrases)})" for phrases in search.all_of)
    return f"({all_of}) NOT ({_match_any(search.without)})" if search.without else all_of


def _match_any(phrases: tuple[Phrase, ...]) -> str:
    return " OR ".join(f'"{" ".join(phrase)}"' for phrase in phrases)


def _tsquery(search: Search) -> str:
    """For to_tsquery, every word quoted."""
    all_of = " & ".join(f"({_tsquery_any(phrases)})" for phrases in search.all_of)
    return f"{all_of} & !({_tsquery_any(search.without)})" if search.without else all_of


def _tsquery_any(phrases: tuple[Phrase, ...]) -> str:
    return " | ".join("(" + " <-> ".join(f"'{word}'" for word in phrase) + ")" for phrase in phrases)
