"""Who may write: whoever sends a living key, `Authorization: Bearer ss_…`.

That holds on loopback too, because a page elsewhere can make a browser send requests to a server on its own machine.
It cannot make it send this header: a browser adds it to nothing by itself, as it would a cookie (there are none here),
and asks first before a page of another origin may set it, which this server never grants. So a request with the header
was meant, and the header is all the protection against forged requests (CSRF) that is needed. Reading needs no key.
"""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services import keys

bearer = HTTPBearer(auto_error=False, scheme_name="key", description="What `storyshift keys create NAME` printed.")


def may_write(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
    """For routes that write. Raises: NotAllowed."""
    database, now = request.app.state.database, request.app.state.clock()
    with database.read() as session:
        key = keys.check_key(session, given.credentials if given else None)
    if not keys.use_is_noted(key, now=now):
        with database.write() as session:
            keys.note_use(session, key, now=now)
