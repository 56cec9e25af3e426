"""What can be asked about, and how much there is of it."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from config import definitions
from config.definitions import CORE_NARRATIVES
from config.settings import get_settings
from models.store import articles as article_store
from models.store import feeds as feed_store
from models.store import prices as price_store
from models.store import tags as tag_store


@dataclass(frozen=True, slots=True)
class NarrativeView:
    narrative: str
    name: str
    definition: str
    pole: str
    core: bool
    told_by: str
    """What the tagger minilm tells it by: network, examples or phrases."""


@dataclass(frozen=True, slots=True)
class AssetView:
    asset: str
    name: str
    unit: str
    mentioned: bool
    """Whether news is searched for it; otherwise it is only priced."""
    instrument: str
    """Whose bars stand for it."""
    n_bars: int
    first_close: datetime | None
    last_close: datetime | None


@dataclass(frozen=True, slots=True)
class RecordView:
    """How much the record holds."""

    articles: int
    untagged: int
    other_languages: int
    """Articles that are kept and not tagged."""
    fetches: int


def narratives() -> list[NarrativeView]:
    trained = definitions.trained_narratives()
    return [
        NarrativeView(
            key,
            found.name,
            found.definition,
            found.pole,
            key in CORE_NARRATIVES,
            "network" if key in trained else "examples" if found.examples else "phrases",
        )
        for key, found in definitions.narratives().items()
    ]


def assets(session: Session) -> list[AssetView]:
    priced = price_store.priced_assets(session)
    return [
        AssetView(
            key,
            found.name,
            found.unit,
            bool(found.aliases or found.exact),
            definitions.priced_as(key),
            *priced.get(definitions.priced_as(key), (0, None, None)),
        )
        for key, found in definitions.assets().items()
    ]


def is_empty(session: Session) -> bool:
    return article_store.count_articles(session) == 0


def record(session: Session) -> RecordView:
    languages = get_settings().tagged_languages()
    return RecordView(
        articles=article_store.count_articles(session),
        untagged=tag_store.count_untagged(session, definitions.live_tagger_name(), languages=languages),
        other_languages=tag_store.count_other_languages(session, languages),
        fetches=feed_store.count_fetches(session),
    )


@dataclass(frozen=True, slots=True)
class SetAside:
    """A revision that the live tagger could not read, and does not try any more."""

    revision_id: int
    tries: int
    reason: str
    since: datetime


def set_aside(session: Session) -> list[SetAside]:
    """By revision."""
    return [
        SetAside(note.first_id, note.tries, note.reason or "", note.set_aside_at)
        for note in tag_store.set_aside(session, definitions.live_tagger_name())
        if note.set_aside_at is not None
    ]
