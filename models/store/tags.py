"""Tags: which revisions a tagger has not read, saving what it said, and the tags of given revisions."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import ColumnElement, and_, false, func, or_, select
from sqlmodel import Session, col

from models.articles import Article, Revision
from models.store import rollups
from models.store.sql import chunks, insert_new, one_at_a_time
from models.tags import AssetMention, NarrativeTag, Tagged, Tagging


def untagged(
    session: Session, tagger: str, *, after: int, limit: int, languages: Sequence[str] = ("en",)
) -> Sequence[Revision]:
    """Up to `limit` revisions with an id above `after` that the tagger has not read, by id; in these languages only."""
    query = (
        select(Revision)
        .join(Article, col(Article.id) == col(Revision.article_id))
        .outerjoin(Tagging, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .where(col(Tagging.revision_id).is_(None), col(Revision.id) > after, _written_in(languages))
        .order_by(col(Revision.id))
        .limit(limit)
    )
    return session.scalars(query).all()


def _written_in(languages: Sequence[str]) -> ColumnElement[bool]:
    """en means en and en-GB."""
    language = func.lower(col(Article.language))
    return or_(false(), *(or_(language == name, language.like(f"{name}-%")) for name in languages))


def count_untagged(session: Session, tagger: str, *, languages: Sequence[str] = ("en",)) -> int:
    """Revisions in these languages that the tagger has not read."""
    read = session.scalar(select(func.count()).select_from(Tagging).where(col(Tagging.tagger) == tagger)) or 0
    query = select(func.count()).select_from(Revision).join(Article, col(Article.id) == col(Revision.article_id))
    return max(0, (session.scalar(query.where(_written_in(languages))) or 0) - read)


def count_other_languages(session: Session, languages: Sequence[str]) -> int:
    """Articles that are kept and not tagged."""
    return session.scalar(select(func.count()).select_from(Article).where(~_written_in(languages))) or 0


def taggers(session: Session) -> list[str]:
    """The taggers that have read anything, by name."""
    return sorted(session.scalars(select(col(Tagging.tagger)).distinct()))


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
