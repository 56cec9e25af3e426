"""Rollups: stories already counted, so that a series costs by its buckets and not by its articles.

Each row adds to what is known from its known hour on: what was known at an instant is the sum of all rows up to it.
Hours are whole ones since 1900 (models.store.rollups.hour_number). They are made of the raw rows alone, and can be
made again at any time. Of what most questions ask, whole UTC days since 1900 are summed once more.
"""

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

PANIC_POLE = ("safe_haven",)
DEVALUATION_POLE = ("debasement", "fiscal_stress", "liquidity")
"""A story that builds both poles is `split` between them."""

BREADTH = ["n_outlets", "n", "n_squared"]
"""Outlets, stories they brought, and the squares of that: the inverse Simpson index of their shares follows."""


class StoryRollup(SQLModel, table=True):
    """Stories by the hour in which they were published.

    scope: `all` (a story stands where its first known copy does; no outlet), `lead` (the same, by the outlet of that
    copy; no asset), `own` (each outlet's own copies alone: a story stands where the outlet's first known one does).
    narrative: empty for all stories; asset: empty for any; direction 0 and modality empty where there is none.
    """

    __tablename__ = "story_rollups"
    __table_args__ = (
        sa.CheckConstraint("scope in ('all', 'lead', 'own')", name="scope_known"),
        {"sqlite_with_rowid": False},
    )

    tagger: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    asset: str = Field(primary_key=True)
    narrative: str = Field(primary_key=True)
    outlet: str = Field(primary_key=True)
    event_hour: int = Field(primary_key=True)
    known_hour: int = Field(primary_key=True)
    direction: int = Field(primary_key=True)
    modality: str = Field(primary_key=True)
    n_stories: int
    n_articles: int
    """Their copies."""
    n_squared: int
    """The sum of their squared copies, from which the effective n of article weighting follows."""
    n_split: int
    """Stories that build both poles."""
    n_nth: int
    """Of scope `own`: 2 i - 1 for the i-th outlet with the story: a text that n outlets bring sums to n squared."""


class StoryDay(SQLModel, table=True):
    """StoryRollup by days, of any asset."""

    __tablename__ = "story_days"
    __table_args__ = (
        sa.CheckConstraint("scope in ('all', 'lead', 'own')", name="scope_known"),
        {"sqlite_with_rowid": False},
    )

    tagger: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    narrative: str = Field(primary_key=True)
    outlet: str = Field(primary_key=True)
    event_day: int = Field(primary_key=True)
    known_day: int = Field(primary_key=True)
    direction: int = Field(primary_key=True)
    modality: str = Field(primary_key=True)
    n_stories: int
    n_articles: int
    n_squared: int
    n_split: int
    n_nth: int


class BreadthRollup(SQLModel, table=True):
    """Which outlets brought the stories that carry a narrative: by the story's hour and that of the outlet's copy."""

    __tablename__ = "breadth_rollups"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tagger: str = Field(primary_key=True)
    asset: str = Field(primary_key=True)
    narrative: str = Field(primary_key=True)
    event_hour: int = Field(primary_key=True)
    outlet: str = Field(primary_key=True)
    brought_hour: int = Field(primary_key=True)
    known_hour: int = Field(primary_key=True)
    direction: int = Field(primary_key=True)
    modality: str = Field(primary_key=True)
    n_stories: int


class BreadthDay(SQLModel, table=True):
    """BreadthRollup by days, of any asset, whatever the direction and modality."""

    __tablename__ = "breadth_days"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tagger: str = Field(primary_key=True)
    narrative: str = Field(primary_key=True)
    event_day: int = Field(primary_key=True)
    outlet: str = Field(primary_key=True)
    brought_day: int = Field(primary_key=True)
    known_day: int = Field(primary_key=True)
    n_stories: int


class NarrativeDay(SQLModel, table=True):
    """What is known of a day by now, of any asset: a row for all stories (narrative empty), and one for each narrative.

    n_outlets, n_brought, n_brought_squared: BREADTH of the outlets that brought them by the day's end.
    """

    __tablename__ = "narrative_days"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tagger: str = Field(primary_key=True)
    narrative: str = Field(primary_key=True)
    event_day: int = Field(primary_key=True)
    n_stories: int
    n_articles: int
    n_squared: int
    n_outlets: int
    n_brought: int
    n_brought_squared: int


class ToneRollup(SQLModel, table=True):
    """Tones of the stories about an asset; scope as in StoryRollup. Tones are whole ten-thousandths, squares 1e-8."""

    __tablename__ = "tone_rollups"
    __table_args__ = (
        sa.CheckConstraint("scope in ('all', 'own')", name="scope_known"),
        {"sqlite_with_rowid": False},
    )

    tagger: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    asset: str = Field(primary_key=True)
    outlet: str = Field(primary_key=True)
    event_hour: int = Field(primary_key=True)
    known_hour: int = Field(primary_key=True)
    n_stories: int
    n_articles: int
    n_squared: int
    tone: int = Field(sa_type=sa.BigInteger)
    tone_squared: int = Field(sa_type=sa.BigInteger)
    tone_by_article: int = Field(sa_type=sa.BigInteger)
    """Each story's tone as often as it has copies."""
    tone_squared_by_article: int = Field(sa_type=sa.BigInteger)
