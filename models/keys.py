"""Keys for reading, reviewing and writing over HTTP, and the sessions of browsers.

A secret is never stored, only its SHA-256 and, of a key, the start by which people know it. Secrets are drawn at
random, so that no salt is needed.
"""

from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from models.base import UTCDateTime

Scope = Literal["read", "review", "admin"]
"""What a key may do: read only; read and review; or all, also what is written over HTTP."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
LIVING = text("revoked_at is null")


class ApiKey(SQLModel, table=True):
    """A key with a name, which no other living key has. A revoked one stays, so that it can be told who had it."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint(f"scope in ({', '.join(map(repr, SCOPES))})", name="scope_known"),
        Index("ix_api_keys_living_name", "name", unique=True, sqlite_where=LIVING, postgresql_where=LIVING),
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str
    scope: str = "admin"
    prefix: str
    secret_hash: str = Field(unique=True)
    """SHA-256 of the secret, in hexadecimal."""
    created_at: datetime = Field(sa_type=UTCDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """To the minute: a use within a minute of this one is not written down."""
    revoked_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class BrowserSession(SQLModel, table=True):
    """A one-time link, and from when it was opened the session of the browser that did. It may read and review.

    An ended one stays, as a revoked key does.
    """

    __tablename__ = "browser_sessions"

    id: int | None = Field(default=None, primary_key=True)
    reviewer: str
    code_hash: str = Field(unique=True)
    """SHA-256 of the code in the link, in hexadecimal."""
    token_hash: str | None = Field(default=None, unique=True)
    """SHA-256 of the secret in the browser's cookie, in hexadecimal; null until the link is opened."""
    created_at: datetime = Field(sa_type=UTCDateTime)
    opened_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """To the minute, as a key's."""
    expires_at: datetime = Field(sa_type=UTCDateTime)
    """Of the link until it is opened, then of the session."""
    ended_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
