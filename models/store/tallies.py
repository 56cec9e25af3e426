"""How much there is, counted as it is added: to count ten million rows takes longer than most questions.

Articles and wordings are added by one writer at a time, and so are taggings: nobody waits for a count.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from sqlalchemy import ColumnElement, SQLColumnExpression, false, func, or_, select
from sqlmodel import Session, col

from models.articles import Tally
from models.store.sql import add_to

Of = Literal["articles", "revisions", "taggings"]
"""By language in small letters; taggings by tagger."""


def tally(session: Session, of: Of, keys: Iterable[str]) -> None:
    """One more for each."""
    add_to(session, Tally, ["n"], [{"of": of, "key": key, "n": n} for key, n in Counter(keys).items()])


def total(session: Session, of: Of, *among: ColumnElement[bool]) -> int:
    return session.scalar(select(func.coalesce(func.sum(col(Tally.n)), 0)).where(col(Tally.of) == of, *among)) or 0


def written_in(language: SQLColumnExpression[str], languages: Sequence[str]) -> ColumnElement[bool]:
    """en means en and en-GB. The language is in small letters."""
    return or_(false(), *(or_(language == name, language.like(f"{name}-%")) for name in languages))
