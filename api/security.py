"""Who may write: whoever sends a living key that may, `Authorization: Bearer ss_…`. Who may review: also a browser
whose cookie is of a living session.

That holds on loopback too, because a page elsewhere can make a browser send requests to a server on its own machine.
It cannot make it send a key: a browser adds that header to nothing by itself, and asks first before a page of another
origin may set it, which this server never grants. So a request with a key was meant. A cookie it does add by itself,
to a page on another port of this machine even with SameSite=Strict: a request that changes something needs the header
X-Storyshift-CSRF beside it, with what only a page of ours can read (`GET /v1/session`), and an Origin that is ours, if
the browser names one. Reading needs neither key nor session, but for what is the reviewer's own.
"""

from dataclasses import dataclass
from hmac import compare_digest
from typing import Annotated, cast

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from models.errors import Forbidden
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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, by a key or from a browser's session."""

    name: str
    scope: Scope
    csrf: str | None = None
    """What the header X-Storyshift-CSRF must hold; None with a key, which needs none."""
    session_id: int | None = None
    """None with a key."""


def may_write(request: Request, given: Given) -> None:
    """For routes that write anything but reviews. Raises: NotAllowed, Forbidden for a key that may only review."""
    key = _key_of(request, given)
    if key.scope != "admin":
        raise Forbidden(
            f"The key {key.name} may only review. This takes a key of scope admin: "
            "`storyshift keys create NAME --scope admin` prints one."
        )


def caller(request: Request, given: Given, secret: Annotated[str | None, Depends(cookie)]) -> Caller:
    """Who may review: by a key of any scope, else by a session. Raises: NotAllowed, Forbidden for a forged request."""
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
    """The name of who reviews. Raises: NotAllowed, Forbidden."""
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
    """The living key that was sent; its use is noted. Raises: NotAllowed."""
    with request.app.state.database.read() as session:
        key = keys.check_key(session, given.credentials if given else None)
    _note_use(request, key)
    return key


def _note_use(request: Request, row: ApiKey | BrowserSession) -> None:
    now = request.app.state.clock()
    if not keys.use_is_noted(row, now=now):
        with request.app.state.database.write() as session:
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
