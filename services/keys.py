"""Keys and browser sessions: who may read, review and write over HTTP."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Literal

from sqlmodel import Session

from models.errors import BadInput, NotAllowed, NotFound
from models.keys import ApiKey, BrowserSession, Scope
from models.store import keys as key_store

MARK = "ss_"
"""What every key begins with, so that one that lies where it should not is found."""
SECRET = re.compile(r"ss_[\w-]{32,200}", re.ASCII)
RANDOM_BYTES = 30
"""40 characters of a secret."""
SHOWN = len(MARK) + 6
USE_NOTED_EVERY = timedelta(minutes=1)
LINK_LIVES = timedelta(hours=24)
SESSION_LIVES = timedelta(days=30)
"""From when its link is opened, however often it is used."""
NEW_LINK = "`storyshift keys link NAME` prints a link that opens one."
NEW_KEY = {
    "Reading": "`storyshift keys create NAME --scope read` prints a key, to send as `Authorization: Bearer ss_…`.",
    "Reviewing": "`storyshift keys create NAME --scope review` prints a key.",
}


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key, or a browser session; a link that waits to be opened is a session without `opened_at`."""

    name: str
    prefix: str | None
    """How the key begins; of a session nothing is shown."""
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    """When it was revoked, or the session was ended."""
    scope: str
    kind: Literal["key", "session"] = "key"
    opened_at: datetime | None = None
    expires_at: datetime | None = None
    """Keys do not expire. Of a link until it is opened, then of the session."""


@dataclass(frozen=True, slots=True)
class Revoked:
    key: bool
    """Whether there was a living key of this name."""
    sessions: int
    """How many sessions and links of this name were ended."""


def create_key(session: Session, name: str, *, scope: Scope = "admin", now: datetime) -> str:
    """The secret of a new key; it cannot be had again. Raises: BadInput for a bad name, or one that a key has."""
    _check_name(name, "key's")
    secret = MARK + token_urlsafe(RANDOM_BYTES)
    key = ApiKey(name=name, scope=scope, prefix=secret[:SHOWN], secret_hash=_hash(secret), created_at=now)
    if not key_store.add_key(session, key):
        raise BadInput(
            f"There is a key named {name} already. Choose another name, or end that key first: "
            f"`storyshift keys revoke {name}`."
        )
    return secret


def bring_key(session: Session, name: str, secret: str, *, scope: Scope = "admin", now: datetime) -> bool:
    """See to it that the living key of this name has this secret and scope; a former one is revoked.

    False if it was so already. Raises: BadInput for a bad name, a secret that can be guessed, or one that was revoked.
    """
    _check_name(name, "key's")
    if not SECRET.fullmatch(secret):
        raise BadInput(
            "The secret of a key must be ss_ and at least 32 letters, digits, - or _, drawn at random. "
            "`storyshift keys create NAME` draws one."
        )
    former = next((key for key in key_store.list_keys(session) if compare_digest(key.secret_hash, _hash(secret))), None)
    if former is not None and (former.revoked_at is not None or (former.name, former.scope) != (name, scope)):
        state = "was revoked" if former.revoked_at is not None else f"is that of the key {former.name} ({former.scope})"
        raise BadInput(f"This secret {state}. Draw a new one at random.")
    if former is not None:
        return False
    if key_store.living_key(session, name) is not None:
        revoke_key(session, name, now=now)
        session.flush()
    key = ApiKey(name=name, scope=scope, prefix=secret[:SHOWN], secret_hash=_hash(secret), created_at=now)
    return key_store.add_key(session, key)


def list_keys(session: Session) -> list[KeyView]:
    """Every key, revoked ones too, oldest first."""
    return [
        KeyView(key.name, key.prefix, key.created_at, key.last_used_at, key.revoked_at, key.scope)
        for key in key_store.list_keys(session)
    ]


def list_sessions(session: Session, *, now: datetime) -> list[KeyView]:
    """Every browser session, ended and expired ones too, and every link that can still be opened; oldest first."""
    return [
        KeyView(
            name=found.reviewer,
            prefix=None,
            created_at=found.created_at,
            last_used_at=found.last_used_at,
            revoked_at=found.ended_at,
            scope="review",
            kind="session",
            opened_at=found.opened_at,
            expires_at=found.expires_at,
        )
        for found in key_store.list_sessions(session)
        if found.opened_at or (found.ended_at is None and now < found.expires_at)
    ]


def revoke_key(session: Session, name: str, *, now: datetime) -> Revoked:
    """From now on nobody does anything with the key, the sessions and the links of this name. Raises: NotFound."""
    key = key_store.living_key(session, name)
    sessions = [found for found in key_store.living_sessions(session, now=now) if found.reviewer == name]
    if key is None and not sessions:
        raise NotFound(f"There is no living key or session named {name}. `storyshift keys list` shows those there are.")
    if key is not None:
        key.revoked_at = now
    for found in sessions:
        found.ended_at = now
    return Revoked(key is not None, len(sessions))


def has_key(session: Session) -> bool:
    """Whether anyone has a living key."""
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


def create_link(session: Session, reviewer: str, *, now: datetime) -> str:
    """The code of a new link, good for one opening within LINK_LIVES. Raises: BadInput for a bad name."""
    _check_name(reviewer, "reviewer's")
    key_store.forget_links(session, before=now - SESSION_LIVES)
    code = token_urlsafe(RANDOM_BYTES)
    link = BrowserSession(reviewer=reviewer, code_hash=_hash(code), created_at=now, expires_at=now + LINK_LIVES)
    session.add(link)
    return code


def check_code(session: Session, code: str, *, now: datetime) -> BrowserSession:
    """The link that the code is of, if it can be opened. Raises: NotAllowed saying why not."""
    given = _hash(code)
    same = [link for link in key_store.list_sessions(session) if compare_digest(link.code_hash, given)]
    if not same:
        raise NotAllowed("There is no such link.")
    link = same[0]
    if link.ended_at is not None:
        raise NotAllowed("This link was revoked.")
    if link.opened_at is not None:
        raise NotAllowed("This link was used already; each opens one session, once.")
    if now >= link.expires_at:
        raise NotAllowed("This link is too old: it was to be opened within 24 hours.")
    return link


def open_session(session: Session, code: str, *, now: datetime) -> str:
    """The secret of the session that the link opens; it cannot be had again. Raises: NotAllowed."""
    key_store.open_one_at_a_time(session)
    link = check_code(session, code, now=now)
    secret = token_urlsafe(RANDOM_BYTES)
    link.token_hash, link.opened_at, link.expires_at = _hash(secret), now, now + SESSION_LIVES
    return secret


def check_session(
    session: Session, secret: str | None, *, now: datetime, wanted: Literal["Reading", "Reviewing"] = "Reviewing"
) -> BrowserSession:
    """The living session that the secret is of. Each is compared in constant time. Raises: NotAllowed."""
    if not secret:
        raise NotAllowed(f"{wanted} needs a key, or in a browser a session. {NEW_LINK} {NEW_KEY[wanted]}")
    given = _hash(secret)
    same = [
        found for found in key_store.living_sessions(session, now=now) if compare_digest(found.token_hash or "", given)
    ]
    if not same:
        raise NotAllowed(f"This browser's session has ended, or is not known here. {NEW_LINK}")
    return same[0]


def end_session(session: Session, session_id: int, *, now: datetime) -> None:
    """From now on nobody reviews with it."""
    key_store.end_session(session, session_id, now=now)


def csrf_token(secret: str) -> str:
    """What a page of ours sends beside the cookie, and a page of another origin cannot know."""
    return _hash(f"csrf:{secret}")


def use_is_noted(row: ApiKey | BrowserSession, *, now: datetime) -> bool:
    """Whether a use now needs no write, because one less than a minute ago is written down."""
    return row.last_used_at is not None and now - row.last_used_at < USE_NOTED_EVERY


def note_use(session: Session, row: ApiKey | BrowserSession, *, now: datetime) -> None:
    key_store.note_use(session, row, now=now)


def _check_name(name: str, whose: str) -> None:
    if not re.fullmatch(r"[\w.@-]{1,60}", name):
        raise BadInput(f"A {whose} name is 1 to 60 letters, digits or any of . _ - @, which {name[:80]!r} is not.")


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
