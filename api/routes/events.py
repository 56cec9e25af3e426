"""What happened: a stream of events as they come, and the list of those that were."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse

import api.errors
from api.live import MOST_CLIENTS
from api.schemas import ErrorAnswer
from services import events as event_service
from services.events import EventPage

router = APIRouter(prefix="/v1", tags=["events"], responses={422: {"model": ErrorAnswer}, 503: {"model": ErrorAnswer}})
MAX_ID = 2**31 - 1
Kind = Literal["shift", "trigger", "threshold"]
Kinds = Annotated[list[Kind] | None, Query(description="Only events of these kinds; all if none is given.")]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Server-sent events, until you leave."}
}


@router.get("/events", response_class=Response, responses=STREAM)
async def stream(
    request: Request,
    kind: Kinds = None,
    after: Annotated[
        int | None, Query(ge=0, le=MAX_ID, description="Begin with what was recorded after this event's id.")
    ] = None,
    last_event_id: Annotated[str | None, Header(description="The same, as browsers send it.")] = None,
) -> Response:
    """Server-sent events: `shift`, `trigger` and `threshold` as they are noticed, each with its id, and `record`
    (articles, latest, tagged; without an id) whenever the record has changed.

    A comment every 15 seconds says that the connection lives.
    """
    live = request.app.state.live
    if live.is_full:
        return api.errors.answer(
            503, "too_many_listeners", f"{MOST_CLIENTS} pages listen already, and no more can. Try again later."
        )
    if last_event_id and last_event_id.isdecimal() and len(last_event_id) < len(str(MAX_ID)):
        after = int(last_event_id)
    headers = {"Cache-Control": "private, no-cache", "X-Accel-Buffering": "no"}
    return EventSourceResponse(live.stream(after=after, kinds=kind or ()), headers=headers)


@router.get("/events/log")
def log(
    request: Request,
    kind: Kinds = None,
    cursor: Annotated[int | None, Query(ge=1, le=MAX_ID, description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(description="Events on a page, 1 to 200.")] = 50,
) -> EventPage:
    """The events that were noticed, newest first. `past` ones lay in the past when looking began."""
    with request.app.state.database.read() as session:
        return event_service.list_events(session, kinds=kind or (), cursor=cursor, limit=limit)
