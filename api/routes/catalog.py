"""What can be asked about, and whether the server is well."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api.schemas import ErrorAnswer, Listed
from services import catalog, event_study, sources
from services.catalog import AssetView, NarrativeView, RecordView
from services.event_study import EventView
from services.sources import PricesView

router = APIRouter(prefix="/v1", responses={503: {"model": ErrorAnswer}})
health = APIRouter(prefix="/v1/health", tags=["health"], responses={503: {"model": ErrorAnswer}})
"""Open to whoever can reach it."""


class Alive(BaseModel):
    status: str = "alive"


@router.get("/narratives", tags=["definitions"])
def narratives() -> Listed[NarrativeView]:
    """The narratives that articles are tagged with; pole tells which way they move θ."""
    return Listed[NarrativeView](data=catalog.narratives())


@router.get("/assets", tags=["definitions"])
def assets(request: Request) -> Listed[AssetView]:
    """The assets that are recognised or priced, and which closes there are."""
    with request.app.state.database.read() as session:
        return Listed[AssetView](data=catalog.assets(session))


@router.get("/prices", tags=["definitions"])
def prices(request: Request) -> Listed[PricesView]:
    """Which closes and macro values there are, where they are missing, and what their sources last said."""
    with request.app.state.database.read() as session:
        return Listed[PricesView](data=sources.list_prices(session))


@router.get("/event-study/events", tags=["definitions"])
def known_events(request: Request) -> Listed[EventView]:
    """The events that `event-study` can be asked about: turns of the story, triggers, and record closes."""
    with request.app.state.database.read() as session:
        return Listed[EventView](data=event_study.known_events(session))


@health.get("/live")
def live() -> Alive:
    """200 while the process runs."""
    return Alive()


@health.get("/ready")
def ready(request: Request) -> RecordView:
    """200 when the database answers, with how much the record holds; else 503."""
    with request.app.state.database.read() as session:
        return catalog.record(session)
