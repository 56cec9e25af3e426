"""Feeds and their health: listing, adding, removing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args
from urllib.parse import urlsplit

from sqlmodel import Session

from config.definitions import FeedDefinition, FeedKind
from models.errors import BadInput, NotFound, UnknownName
from models.feeds import REPLAY, Feed
from models.store import feeds as feed_store

MAX_ADDRESS, MAX_NAME = 2_000, 200


@dataclass(frozen=True, slots=True)
class FeedView:
    url: str
    outlet: str
    title: str
    kind: str
    language: str
    verified: str
    articles: int
    last_fetched_at: datetime | None
    last_status: int | None
    last_error: str | None
    failures: int
    next_fetch_at: datetime


def seed_feeds(session: Session, definitions: Sequence[FeedDefinition], *, now: datetime) -> int:
    """Bring feeds.toml into the database, which then decides. Returns how many were new to it."""
    return feed_store.seed_feeds(
        session,
        [
            Feed(
                url=found.url,
                outlet=found.outlet,
                kind=found.kind,
                language=found.language,
                verified=found.verified,
                added_at=now,
                next_fetch_at=now,
            )
            for found in definitions
        ],
    )


def list_feeds(session: Session) -> list[FeedView]:
    return [
        FeedView(
            url=health.feed.url,
            outlet=health.feed.outlet,
            title=health.feed.title,
            kind=health.feed.kind,
            language=health.feed.language,
            verified=health.feed.verified,
            articles=health.articles,
            last_fetched_at=health.feed.last_fetched_at,
            last_status=health.feed.last_status,
            last_error=health.feed.last_error,
            failures=health.feed.failures,
            next_fetch_at=health.feed.next_fetch_at,
        )
        for health in feed_store.list_feeds(session)
    ]


def add_feed(session: Session, url: str, *, outlet: str, kind: str, language: str, now: datetime) -> bool:
    """Add a feed, or take a removed one back. False if it is there already. Raises: BadInput for a bad address."""
    url, host = _address(url)
    if kind not in (*get_args(FeedKind), REPLAY):
        raise UnknownName("kind of feed", kind, list(get_args(FeedKind)))
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", language):
        raise BadInput(f"--language {language!r} is not a code like en or de.")
    if len(outlet) > MAX_NAME or not outlet.isprintable():
        raise BadInput(f"An outlet's name is at most {MAX_NAME} printable characters.")
    feed = feed_store.get_feed(session, url)
    if feed is not None and feed.removed_at is None:
        return False
    if feed is None:
        name = outlet or host.removeprefix("www.")
        feed = Feed(url=url, outlet=name, kind=kind, language=language, added_at=now, next_fetch_at=now)
    feed.removed_at, feed.next_fetch_at = None, now
    session.add(feed)
    return True


def _address(url: str) -> tuple[str, str]:
    """The address with its scheme in lower case, and its host. Raises: BadInput saying what is wrong."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise BadInput(f"{url[:80]!r} is not a feed's address: {error}.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(f"{url[:80]!r} is not a feed's address: it must start with http:// or https:// and name a host.")
    if parts.username or parts.password:
        raise BadInput(
            "A feed's address must not hold a user name or password: every reader of /v1/feeds would see it."
        )
    if len(url) > MAX_ADDRESS or not url.isascii() or not url.isprintable() or " " in url:
        raise BadInput(f"{url[:80]!r} is not a feed's address: at most {MAX_ADDRESS} ASCII characters without spaces.")
    return parts._replace(scheme=parts.scheme.lower()).geturl(), host


def remove_feed(session: Session, url: str, *, now: datetime) -> None:
    """Stop collecting a feed; its articles stay. The removal is remembered against feeds.toml. Raises: NotFound."""
    feed = feed_store.get_feed(session, url)
    if feed is None or feed.removed_at is not None:
        raise NotFound(f"There is no feed {url}. `storyshift feeds list` shows those there are.")
    feed.removed_at = now
