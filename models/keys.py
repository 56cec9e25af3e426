"""Keys for writing over HTTP. A secret is never stored, only its SHA-256 and the start by which people know it."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from models.base import UTCDateTime

LIVING = text("revoked_at is null")


class ApiKey(SQLModel, table=True):
    """A key with a name, which no other living key has. A revoked one stays, so that it can be told who had it."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("ix_api_keys_living_name", "name", unique=True, sqlite_where=LIVING, postgresql_where=LIVING),
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str
    prefix: str
    secret_hash: str = Field(unique=True)
    """SHA-256 of the secret, in hexadecimal. The secret is drawn at random, so that no salt is needed."""
    created_at: datetime = Field(sa_type=UTCDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """To the minute: a use within a minute of this one is not written down."""
    revoked_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
