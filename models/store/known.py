"""Closes and stories as they were first known, for what is told of each day by what was known at its end."""

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import and_, func, select
from sqlmodel import Session, col

from models.articles import Article, Revision
from models.store.prices import known_bars
from models.store.reviews import carried_labels
from models.store.sql import utc_hour
from models.tags import Tagging

LATE = timedelta(days=7)
"""A story that became known later than this after it was published is not news of the day it became known."""


def first_bars(session: Session, asset: str, *, as_of: datetime) -> list[tuple[datetime, float]]:
    """(known at, close) of each daily bar as it was first known by `as_of`, ascending."""
    first: dict[datetime, tuple[datetime, float]] = {}
    for bar in known_bars(session, asset, as_of=as_of):
        first.setdefault(bar.closed_at, (bar.known_at, bar.close))
    return list(first.values())


def known_stories(
    session: Session, *, as_of: datetime, tagger: str, narratives: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stories by the UTC hour in which they became known: by their first copy, in its first wording that was read.

    Returns: how many, columns hour, outlet (of that copy), n_stories; and one row per (story, narrative) that is
    labelled, columns story_id, hour, outlet, narrative, direction, modality. Those known later than LATE are left out.
    """
    wording = (
        select(col(Revision.article_id).label("article_id"), func.min(col(Revision.id)).label("revision_id"))
        .join(Tagging, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .where(col(Revision.seen_at) <= as_of)
        .group_by(col(Revision.article_id))
        .subquery()
    )
    copies = (
        select(
            col(Article.story_id),
            utc_hour(col(Article.event_at)).label("published"),
            utc_hour(col(Revision.seen_at)).label("hour"),
            col(Article.outlet),
            wording.c.revision_id,
            func.row_number()
            .over(partition_by=col(Article.story_id), order_by=(col(Revision.seen_at), col(Article.id)))
            .label("place"),
        )
        .join(wording, wording.c.article_id == Article.id)
        .join(Revision, col(Revision.id) == wording.c.revision_id)
        .where(col(Article.story_id).is_not(None), col(Article.known_at) <= as_of)
        .subquery()
    )
    leads = select(copies).where(copies.c.place == 1).cte("leads")
    place = leads.c.published, leads.c.hour, leads.c.outlet
    totals = select(*place, func.count()).group_by(*place)
    labels = carried_labels(tagger, narratives, as_of=as_of).subquery()
    carried = (
        select(
            leads.c.story_id,
            leads.c.published,
            leads.c.hour,
            leads.c.outlet,
            labels.c.narrative,
            labels.c.direction,
            labels.c.modality,
        )
        .join(labels, labels.c.revision_id == leads.c.revision_id)
        .order_by(leads.c.story_id, labels.c.narrative)
    )
    counted = _in_time(session, totals, ["published", "hour", "outlet", "n_stories"])
    by_hour = counted.astype({"n_stories": "int64"}).groupby(["hour", "outlet"])["n_stories"].sum().reset_index()
    names = ["story_id", "published", "hour", "outlet", "narrative", "direction", "modality"]
    return by_hour, _in_time(session, carried, names).astype({"story_id": "int64", "direction": "int64"})


def _in_time(session: Session, query: Any, names: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame([tuple(row) for row in session.execute(query)], columns=names)
    for name in ("published", "hour"):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    return frame[frame["hour"] - frame["published"] <= LATE].drop(columns="published").reset_index(drop=True)
