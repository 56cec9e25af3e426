"""Who may write: whoever sends a living key that may, `Authorization: Bearer ss_…`. Who may review: also a browser
whose cookie is of a living session. Reading is open on loopback, and takes one of both where others can reach it.

That holds on loopback too, because a page elsewhere can make a browser send requests to a server on its own machine.
It cannot make it send a key: a browser adds that header to nothing by itself, and asks first before a page of another
origin may set it, which this server never grants. So a request with a key was meant. A cookie it does add by itself,
to a page on another port of this machine even with SameSite=Strict: a request that changes something needs the header
X-Storyshift-CSRF beside it, with what only a page of ours can read (`GET /v1/session`), and an Origin that is ours, if
the browser names one.
"""

from contextlib import suppress
from dataclasses import dataclass
from hmac import compare_digest
from typing import Annotated, cast

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from models.errors import DatabaseUnavailable, Forbidden, NotAllowed
from models.keys import ApiKey, BrowserSession, Scope
from services import keys

COOKIE = "storyshift_session"
CSRF_HEADER = "X-Storyshift-CSRF"
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
bearer = HTTPBearer(auto_error=False, scheme_name="key", description="What `storyshift keys create NAME` printed.")
cookie = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    scheme_name="session",
    description=f"Set by the link that `storyshift keys link NAME` printed; writing also takes {CSRF_HEADER}.",
)
Given = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
Secret = Annotated[str | None, Depends(cookie)]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, by a key or from a browser's session."""

    name: str
    scope: Scope
    csrf: str | None = None
    """What the header X-Storyshift-CSRF must hold; None with a key, which needs none."""
    session_id: int | None = None
    """None with a key."""


def may_read(request: Request, given: Given, secret: Secret) -> None:
    """For routes that read, where others can reach them: a key of any scope, or a session. Raises: NotAllowed."""
    if given:
        _key_of(request, given)
        return
    with request.app.state.database.read() as session:
        found = keys.check_session(session, secret, now=request.app.state.clock(), wanted="Reading")
    _note_use(request, found)


def may_write(request: Request, given: Given) -> None:
    """For routes that write anything but reviews. Raises: NotAllowed, Forbidden for a key that may not."""
    key = _key_of(request, given)
    if key.scope != "admin":
        raise Forbidden(
            f"The key {key.name} may only {key.scope}. This takes a key of scope admin: "
            "`storyshift keys create NAME --scope admin` prints one."
        )


def caller(request: Request, given: Given, secret: Secret) -> Caller:
    """Whose key it is, else whose session. Raises: NotAllowed, Forbidden for a forged request."""
    if given:
        key = _key_of(request, given)
        return Caller(key.name, cast(Scope, key.scope))
    with request.app.state.database.read() as session:
        found = keys.check_session(session, secret, now=request.app.state.clock())
    csrf = keys.csrf_token(secret or "")
    if request.method not in SAFE_METHODS:
        _check_meant(request, csrf)
    _note_use(request, found)
    return Caller(found.reviewer, "review", csrf, found.id)


def reviewer(who: Annotated[Caller, Depends(caller)]) -> str:
    """The name of who reviews. Raises: NotAllowed, Forbidden for a forged request, and for a key that only reads."""
    if who.scope == "read":
        raise Forbidden(
            f"The key {who.name} may only read. This takes a key of scope review or admin: "
            "`storyshift keys create NAME --scope review` prints one."
        )
    return who.name


def set_cookie(request: Request, response: Response, secret: str) -> None:
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(keys.SESSION_LIVES.total_seconds()),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def clear_cookie(request: Request, response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=request.url.scheme == "https", httponly=True, samesite="strict")


def _key_of(request: Request, given: HTTPAuthorizationCredentials | None) -> ApiKey:
    """The living key that was sent; its use is noted. Raises: NotAllowed, TooManyRequests for one that guesses."""
    secret, limits = given.credentials if given else "", request.app.state.limits
    limits.check_guesses(request, secret)
    try:
        with request.app.state.database.read() as session:
            key = keys.check_key(session, secret)
    except NotAllowed:
        if secret:
            limits.note_wrong(request)
        raise
    limits.note_living(secret, key.name)
    _note_use(request, key)
    return key


def _note_use(request: Request, row: ApiKey | BrowserSession) -> None:
    """If the database can be written just now; else the next use is noted."""
    now = request.app.state.clock()
    if not keys.use_is_noted(row, now=now):
        with suppress(DatabaseUnavailable), request.app.state.database.write(waits=False) as session:
            keys.note_use(session, row, now=now)


def _check_meant(request: Request, csrf: str) -> None:
    """Whether a page of ours sent it. Raises: Forbidden."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        raise Forbidden(
            f"This request comes from a page of {origin[:200]}, and with a session only pages of {host[:200]} may "
            "change something. Open the page of this server and do it there."
        )
    if not compare_digest(request.headers.get(CSRF_HEADER, "").encode(), csrf.encode()):
        raise Forbidden(
            f"With a session, a request that changes something needs the header {CSRF_HEADER} with the `csrf` of "
            "GET /v1/session, which this one has not. Reload the page and try again."
        )
