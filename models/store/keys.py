"""Keys and browser sessions: those there are, and those that live."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlmodel import Session, col

from models.keys import ApiKey, BrowserSession
from models.store.sql import one_at_a_time


def list_keys(session: Session) -> Sequence[ApiKey]:
    """Every key, revoked ones too, oldest first."""
    return session.scalars(select(ApiKey).order_by(col(ApiKey.id))).all()


def living_keys(session: Session) -> Sequence[ApiKey]:
    return session.scalars(select(ApiKey).where(col(ApiKey.revoked_at).is_(None))).all()


def living_key(session: Session, name: str) -> ApiKey | None:
    return session.scalars(select(ApiKey).where(col(ApiKey.name) == name, col(ApiKey.revoked_at).is_(None))).first()


def add_key(session: Session, key: ApiKey) -> bool:
    """False if a living key has its name."""
    one_at_a_time(session, "keys")
    if living_key(session, key.name) is not None:
        return False
    session.add(key)
    return True


def note_use(session: Session, row: ApiKey | BrowserSession, *, now: datetime) -> None:
    session.get_one(type(row), row.id or 0).last_used_at = now


def list_sessions(session: Session) -> Sequence[BrowserSession]:
    """Every session and every link, ended and expired ones too, oldest first."""
    return session.scalars(select(BrowserSession).order_by(col(BrowserSession.id))).all()


def living_sessions(session: Session, *, now: datetime) -> Sequence[BrowserSession]:
    """Those that are neither ended nor expired, links that wait to be opened too."""
    living = col(BrowserSession.ended_at).is_(None), col(BrowserSession.expires_at) > now
    return session.scalars(select(BrowserSession).where(*living)).all()


def open_one_at_a_time(session: Session) -> None:
    """Until this transaction ends no other opens a link, so that none is opened twice."""
    one_at_a_time(session, "sessions")


def end_session(session: Session, session_id: int, *, now: datetime) -> None:
    session.get_one(BrowserSession, session_id).ended_at = now


def forget_links(session: Session, *, before: datetime) -> None:
    """Delete the links that nobody opened and that expired before that instant."""
    unopened = col(BrowserSession.opened_at).is_(None), col(BrowserSession.expires_at) < before
    session.execute(delete(BrowserSession).where(*unopened))
