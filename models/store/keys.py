"""Keys for writing: those there are, and those that live."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlmodel import Session, col

from models.keys import ApiKey
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


def note_use(session: Session, key_id: int, *, now: datetime) -> None:
    session.get_one(ApiKey, key_id).last_used_at = now
