"""The session of a browser: whose it is, and its end. The page /open begins one."""

from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from api.schemas import ErrorAnswer
from api.security import Caller, caller, clear_cookie
from models.errors import NotFound
from models.keys import Scope
from services import keys

router = APIRouter(
    prefix="/v1",
    tags=["review"],
    responses={
        401: {"model": ErrorAnswer, "description": "No living key or session."},
        503: {"model": ErrorAnswer},
    },
)


class SessionAnswer(BaseModel):
    reviewer: str
    record: str = Field(description="Which database answers: what a browser has not sent yet is kept for it alone.")
    csrf: str | None = Field(description="What the header X-Storyshift-CSRF must hold; null with a key.")
    scope: Scope


@router.get("/session")
def session(request: Request, who: Annotated[Caller, Depends(caller)], response: Response) -> SessionAnswer:
    """Who reviews here, by key or by the browser's session, and what its writing requests must carry."""
    response.headers["Cache-Control"] = "no-store"
    record = sha256(str(request.app.state.database).encode()).hexdigest()[:16]
    return SessionAnswer(reviewer=who.name, record=record, csrf=who.csrf, scope=who.scope)


@router.delete(
    "/session",
    status_code=204,
    responses={
        403: {"model": ErrorAnswer, "description": "Not sent by a page of this server."},
        404: {"model": ErrorAnswer, "description": "Sent with a key, which has no session."},
    },
)
def end_session(request: Request, who: Annotated[Caller, Depends(caller)], response: Response) -> None:
    """End the session of this browser and clear its cookie."""
    if who.session_id is None:
        raise NotFound(f"A key has no session to end. `storyshift keys revoke {who.name}` ends the key.")
    with request.app.state.database.write() as database_session:
        keys.end_session(database_session, who.session_id, now=request.app.state.clock())
    clear_cookie(request, response)
