"""Tags: which revisions a tagger has not read, who reads them, saving what it said, and the tags of given revisions."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlmodel import Session, col

from models.articles import Article, Revision, Tally
from models.rollups import StoryDay
from models.store import rollups
from models.store.sql import chunks, insert_new, one_at_a_time
from models.store.tallies import tally, total, written_in
from models.tags import AssetMention, NarrativeTag, TagAttempt, Tagged, Tagging

DEAD_AFTER = timedelta(minutes=1)
"""Whoever was not known to live for so long reads no more."""
TRIES = 3
"""After so many that failed, a revision is set aside."""
DIED = "Whoever read it died without a word, each time."


def untagged(
    session: Session, tagger: str, *, after: int, limit: int, languages: Sequence[str] = ("en",)
) -> Sequence[Revision]:
    """Up to `limit` revisions with an id above `after` that the tagger has not read, by id; in these languages only.

    Those that are set aside are passed over.
    """
    aside = select(col(TagAttempt.first_id)).where(_is_aside(tagger))
    query = _untagged(tagger, after, languages, Revision).where(col(Revision.id).not_in(aside)).limit(limit)
    return session.scalars(query).all()


def _untagged(tagger: str, after: int, languages: Sequence[str], *columns: Any) -> Any:
    return (
        select(*columns)
        .select_from(Revision)
        .join(Article, col(Article.id) == col(Revision.article_id))
        .outerjoin(Tagging, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .where(col(Tagging.revision_id).is_(None), col(Revision.id) > after, _written_in(languages))
        .order_by(col(Revision.id))
    )


def _written_in(languages: Sequence[str]) -> ColumnElement[bool]:
    """en means en and en-GB."""
    return written_in(func.lower(col(Article.language)), languages)


def count_untagged(session: Session, tagger: str, *, languages: Sequence[str] = ("en",)) -> int:
    """Revisions in these languages that the tagger has not read, without those that are set aside."""
    written = total(session, "revisions", written_in(col(Tally.key), languages))
    read = total(session, "taggings", col(Tally.key) == tagger)
    return max(0, written - read - count_set_aside(session, tagger))


def count_other_languages(session: Session, languages: Sequence[str]) -> int:
    """Articles that are kept and not tagged."""
    return total(session, "articles", ~written_in(col(Tally.key), languages))


def taggers(session: Session) -> list[str]:
    """The taggers that have read a story, by name: step by step along the key, whatever the record holds."""
    found: list[str] = []
    after = select(func.min(col(StoryDay.tagger)))
    while (name := session.scalar(after.where(col(StoryDay.tagger) > (found[-1] if found else "")))) is not None:
        found.append(name)
    return found


def save_tags(session: Session, tagger: str, tagged: Sequence[tuple[int, Tagged]], *, now: datetime) -> None:
    """Keep what the tagger said of each (revision id, result), and count it. What it has said before stays as it is."""
    one_at_a_time(session, "stories")
    said = {revision for revision, _ in tagged}
    for part in chunks(sorted(said)):
        read = select(col(Tagging.revision_id)).where(col(Tagging.revision_id).in_(part), col(Tagging.tagger) == tagger)
        said.difference_update(session.scalars(read))
    tagged = [(revision, result) for revision, result in tagged if revision in said]
    insert_new(
        session,
        Tagging,
        [{"revision_id": revision, "tagger": tagger, "tagged_at": now} for revision, _ in tagged],
    )
    tally(session, "taggings", (tagger for _ in tagged))
    insert_new(
        session,
        NarrativeTag,
        [
            {
                "revision_id": revision,
                "tagger": tagger,
                "narrative": tag.narrative,
                "score": tag.score,
                "label": tag.label,
                "direction": tag.direction,
                "modality": tag.modality,
                "evidence": [asdict(span) for span in tag.evidence],
            }
            for revision, result in tagged
            for tag in result.narratives
        ],
    )
    insert_new(
        session,
        AssetMention,
        [
            {
                "revision_id": revision,
                "tagger": tagger,
                "asset": mention.asset,
                "tone": mention.tone,
                "salience": mention.salience,
                "spans": [asdict(span) for span in mention.spans],
            }
            for revision, result in tagged
            for mention in result.assets
        ],
    )
    rollups.count_tagged(session, tagger, said)


# -- who reads what ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """Revisions that nobody else reads, as long as the note says that its reader lives."""

    note: TagAttempt
    revisions: Sequence[Revision]
    """By id; what the tagger has not read of them."""
    one_by_one: bool
    """Who read them before died or failed."""


def claim_untagged(
    session: Session,
    tagger: str,
    *,
    after: int,
    upto: int | None,
    limit: int,
    languages: Sequence[str],
    now: datetime,
) -> Batch | None:
    """What is to be read next; None if there is nothing that nobody reads.

    First whatever was left by one who died or failed; else up to `limit` revisions with ids in (after, upto].
    """
    one_at_a_time(session, "tagging")
    for note in session.scalars(_left(tagger, now)).all():
        of_note = _untagged(tagger, note.first_id - 1, languages, Revision).where(col(Revision.id) <= note.last_id)
        if revisions := session.scalars(of_note).all():
            note.begun_at = note.alive_at = now
            note.tries += note.first_id == note.last_id
            return Batch(note, revisions, one_by_one=True)
        session.delete(note)
    query = _unread(tagger, after, languages, Revision).limit(limit)
    if upto is not None:
        query = query.where(col(Revision.id) <= upto)
    revisions = session.scalars(query).all()
    if not revisions:
        return None
    note = TagAttempt(
        tagger=tagger, first_id=revisions[0].id or 0, last_id=revisions[-1].id or 0, begun_at=now, alive_at=now
    )
    session.add(note)
    session.flush()
    return Batch(note, revisions, one_by_one=False)


def first_unread(session: Session, tagger: str, *, languages: Sequence[str]) -> int:
    """The lowest id of a revision that is to be read; where all are read, the next one."""
    found = untagged(session, tagger, after=0, limit=1, languages=languages)
    return (found[0].id or 0) if found else (session.scalar(select(func.max(col(Revision.id)))) or 0) + 1


def unread_ranges(
    session: Session, tagger: str, *, after: int, size: int, most: int, languages: Sequence[str], now: datetime
) -> list[tuple[int, int]]:
    """(first id, last id) of what is to be read and nobody reads, `size` revisions each, up to `most` of them.

    What was left by those who died or failed, and what has an id above `after`.
    """
    left = [(note.first_id, note.last_id) for note in session.scalars(_left(tagger, now).limit(most))]
    ids = session.scalars(_unread(tagger, after, languages, col(Revision.id)).limit(size * (most - len(left)))).all()
    return (left + [(part[0], part[-1]) for part in chunks(ids, size)])[:most]


def set_dead_aside(session: Session, tagger: str, *, now: datetime) -> list[TagAttempt]:
    """Set aside what killed its last reader too. Which those are."""
    one_at_a_time(session, "tagging")
    left = session.scalars(_left(tagger, now)).all()
    given_up = [note for note in left if note.first_id == note.last_id and note.tries >= TRIES]
    for note in given_up:
        note.set_aside_at, note.reason = now, note.reason or DIED
    return given_up


def begin_one(session: Session, note: TagAttempt, revision_id: int, *, now: datetime) -> int:
    """The id of a note that this revision, out of those of the note, is read by itself: its second try at least.

    The note is then of the revisions after it.
    """
    if note.first_id == note.last_id and note.tries > 1:
        return note.id or 0
    alone = TagAttempt(
        tagger=note.tagger, first_id=revision_id, last_id=revision_id, begun_at=now, alive_at=now, tries=2
    )
    session.add(alone)
    if revision_id < note.last_id:
        rest = update(TagAttempt).where(col(TagAttempt.id) == note.id)
        session.execute(rest.values(first_id=revision_id + 1))
    else:
        forget_notes(session, [note.id or 0])
    session.flush()
    return alone.id or 0


def note_failure(session: Session, note_id: int, reason: str, *, now: datetime) -> bool:
    """Why the revision of this note could not be read; whether it is set aside by that."""
    note = session.get(TagAttempt, note_id)
    if note is None:  # someone else has read it meanwhile
        return False
    note.reason, note.alive_at = reason, now
    if note.tries >= TRIES:
        note.set_aside_at = now
    return note.tries >= TRIES


def keep_alive(session: Session, note_ids: Collection[int], *, now: datetime) -> None:
    """Who wrote these notes lives."""
    session.execute(update(TagAttempt).where(col(TagAttempt.id).in_(note_ids)).values(alive_at=now))


def forget_notes(session: Session, note_ids: Collection[int]) -> None:
    session.execute(delete(TagAttempt).where(col(TagAttempt.id).in_(note_ids)))


def set_aside(session: Session, tagger: str) -> Sequence[TagAttempt]:
    """What the tagger could not read and does not try any more, by revision."""
    return session.scalars(select(TagAttempt).where(_is_aside(tagger)).order_by(col(TagAttempt.first_id))).all()


def count_set_aside(session: Session, tagger: str) -> int:
    return session.scalar(select(func.count()).select_from(TagAttempt).where(_is_aside(tagger))) or 0


def _is_aside(tagger: str) -> ColumnElement[bool]:
    return and_(col(TagAttempt.tagger) == tagger, col(TagAttempt.set_aside_at).is_not(None))


def _left(tagger: str, now: datetime) -> Any:
    """Notes of those who died or failed, oldest revisions first. One that lives later than now is of another clock."""
    dead = or_(col(TagAttempt.alive_at) < now - DEAD_AFTER, col(TagAttempt.alive_at) > now + DEAD_AFTER)
    mine = col(TagAttempt.tagger) == tagger, col(TagAttempt.set_aside_at).is_(None)
    return select(TagAttempt).where(*mine, dead).order_by(col(TagAttempt.first_id), col(TagAttempt.id))


def _unread(tagger: str, after: int, languages: Sequence[str], *columns: Any) -> Any:
    """What the tagger has not read and no note is of."""
    noted = select(col(TagAttempt.id)).where(
        col(TagAttempt.tagger) == tagger,
        col(TagAttempt.first_id) <= col(Revision.id),
        col(TagAttempt.last_id) >= col(Revision.id),
    )
    return _untagged(tagger, after, languages, *columns).where(~noted.exists())


# -- what was said ----------------------------------------------------------------------------------------------------


def tags_of(
    session: Session, revision_ids: Sequence[int], tagger: str
) -> tuple[dict[int, list[NarrativeTag]], dict[int, list[AssetMention]]]:
    """Narratives (highest score first) and assets (most salient first) by revision id."""
    narratives: dict[int, list[NarrativeTag]] = {}
    assets: dict[int, list[AssetMention]] = {}
    for part in chunks(revision_ids):
        tags = select(NarrativeTag).where(col(NarrativeTag.revision_id).in_(part), col(NarrativeTag.tagger) == tagger)
        for tag in session.scalars(tags.order_by(col(NarrativeTag.score).desc(), col(NarrativeTag.narrative))):
            narratives.setdefault(tag.revision_id, []).append(tag)
        mentions = select(AssetMention).where(
            col(AssetMention.revision_id).in_(part), col(AssetMention.tagger) == tagger
        )
        for mention in session.scalars(mentions.order_by(col(AssetMention.salience).desc(), col(AssetMention.asset))):
            assets.setdefault(mention.revision_id, []).append(mention)
    return narratives, assets
