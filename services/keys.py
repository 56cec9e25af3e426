"""Keys: who may write over HTTP."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe

from sqlmodel import Session

from models.errors import BadInput, NotAllowed, NotFound
from models.keys import ApiKey
from models.store import keys as key_store

MARK = "ss_"
"""What every secret begins with, so that one that lies where it should not is found."""
RANDOM_BYTES = 30
"""40 characters of a secret."""
SHOWN = len(MARK) + 6
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KeyView:
    name: str
    prefix: str
    """How its secret begins."""
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def create_key(session: Session, name: str, *, now: datetime) -> str:
    """The secret of a new key; it cannot be had again. Raises: BadInput for a bad name, or one that a key has."""
    if not re.fullmatch(r"[\w.@-]{1,60}", name):
        raise BadInput(f"A key's name is 1 to 60 letters, digits or any of . _ - @, which {name[:80]!r} is not.")
    secret = MARK + token_urlsafe(RANDOM_BYTES)
    key = ApiKey(name=name, prefix=secret[:SHOWN], secret_hash=_hash(secret), created_at=now)
    if not key_store.add_key(session, key):
        raise BadInput(
            f"There is a key named {name} already. Choose another name, or end that key first: "
            f"`storyshift keys revoke {name}`."
        )
    return secret


def list_keys(session: Session) -> list[KeyView]:
    """Every key, revoked ones too, oldest first."""
    return [
        KeyView(key.name, key.prefix, key.created_at, key.last_used_at, key.revoked_at)
        for key in key_store.list_keys(session)
    ]


def revoke_key(session: Session, name: str, *, now: datetime) -> None:
    """From now on nobody writes with it. Raises: NotFound."""
    key = key_store.living_key(session, name)
    if key is None:
        raise NotFound(f"There is no living key named {name}. `storyshift keys list` shows those there are.")
    key.revoked_at = now


def has_key(session: Session) -> bool:
    """Whether anyone may write."""
    return bool(key_store.living_keys(session))


def check_key(session: Session, secret: str | None) -> ApiKey:
    """The living key that the secret is of. Every key is compared, each in constant time. Raises: NotAllowed."""
    if not secret:
        raise NotAllowed(
            "Writing needs a key. `storyshift keys create NAME` prints one; send it as `Authorization: Bearer ss_…`."
        )
    given = _hash(secret)
    same = [key for key in key_store.living_keys(session) if compare_digest(key.secret_hash, given)]
    if not same:
        raise NotAllowed(
            "There is no living key with this secret. `storyshift keys list` shows which were revoked; "
            "`storyshift keys create NAME` prints a new one."
        )
    return same[0]


def use_is_noted(key: ApiKey, *, now: datetime) -> bool:
    """Whether a use now needs no write, because one less than a minute ago is written down."""
    return key.last_used_at is not None and now - key.last_used_at < USE_NOTED_EVERY


def note_use(session: Session, key: ApiKey, *, now: datetime) -> None:
    key_store.note_use(session, key.id or 0, now=now)


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
