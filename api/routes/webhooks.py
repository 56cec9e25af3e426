"""Who is told of events: webhooks, the log of their deliveries, and trying one. It takes a key of scope admin."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.routes.articles import NO_KEY, NONE_THERE
from api.routes.review import FORBIDDEN
from api.schemas import ErrorAnswer, Listed
from api.security import may_write
from models.events import Receiver
from services import webhooks
from services.webhooks import DeliveryPage, DeliveryView, Terms, WebhookView

router = APIRouter(
    prefix="/v1",
    tags=["events"],
    dependencies=[Depends(may_write)],
    responses=NO_KEY | FORBIDDEN | {422: {"model": ErrorAnswer}, 503: {"model": ErrorAnswer}},
)
MAX_ID = 2**31 - 1
WebhookId = Annotated[int, Path(ge=1, le=MAX_ID)]
Telling = Literal["shift", "trigger"]


class Threshold(BaseModel):
    model_config = ConfigDict(extra="forbid")

    series: str = Field(
        description="narrative:KEY, tone:ASSET or theta, by the day.", examples=["narrative:safe_haven"]
    )
    above: float | None = Field(
        None, strict=True, allow_inf_nan=False, description="Tell when it comes to lie above this."
    )
    below: float | None = Field(None, strict=True, allow_inf_nan=False, description="Or below this.")


class QuietHours(BaseModel):
    model_config = ConfigDict(extra="forbid")

    begins: str = Field(alias="from", max_length=8, examples=["22:00"])
    ends: str = Field(alias="until", max_length=8, examples=["07:00"])
    zone: str = Field("UTC", max_length=80, description="Whose clock: Europe/Berlin.")


class ChangedWebhook(BaseModel):
    """What is not named stays as it is."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(None, description="Of json and slack: where to.")
    to: str | None = Field(None, description="Of mail: one address.")
    events: list[Telling] = Field(["shift", "trigger"], description="Which kinds; none if only a threshold tells.")
    triggers: list[str] = Field([], description="Only these triggers; all if none is named.")
    states: list[str] = Field(
        [], description="Only shifts to, or triggers that turn to, one of these; all if none of the kind is named."
    )
    threshold: Threshold | None = Field(None, description="One's own: told when a series crosses it.")
    quiet_hours: QuietHours | None = Field(None, description="What happens then is delivered afterwards.")
    active: bool = Field(True, strict=True)

    def terms(self, before: Terms) -> Terms:
        """Those of before, and what was named."""
        said: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        for name, value in said.items():
            if isinstance(value, BaseModel):
                said[name] = value.model_dump(by_alias=True)
            elif isinstance(value, list):
                said[name] = tuple(dict.fromkeys(value))
        return replace(before, **said)


class NewWebhook(ChangedWebhook):
    kind: Receiver = "json"


@router.post("/webhooks", status_code=201)
def add_webhook(request: Request, webhook: NewWebhook) -> WebhookView:
    """Be told of events at an address. The answer holds the secret that signs them, this once."""
    state = request.app.state
    terms = webhooks.checked(webhook.terms(Terms()))
    with state.database.write() as session:
        return webhooks.create(session, terms, now=state.clock())


@router.get("/webhooks")
def list_webhooks(request: Request) -> Listed[WebhookView]:
    """Every webhook, without its secret."""
    with request.app.state.database.read() as session:
        return Listed[WebhookView](data=webhooks.list_webhooks(session))


@router.get("/webhooks/{webhook_id}", responses=NONE_THERE)
def get_webhook(request: Request, webhook_id: WebhookId) -> WebhookView:
    """One webhook, without its secret."""
    with request.app.state.database.read() as session:
        return webhooks.get_webhook(session, webhook_id)


@router.patch("/webhooks/{webhook_id}", responses=NONE_THERE)
def change_webhook(request: Request, webhook_id: WebhookId, webhook: ChangedWebhook) -> WebhookView:
    """Change what is named. Switched off (`active` false), it is told nothing, and what waits is given up."""
    state = request.app.state
    with state.database.read() as session:
        before = webhooks.terms_of(session, webhook_id)
    terms = webhooks.checked(webhook.terms(before))
    with state.database.write() as session:
        return webhooks.change(session, webhook_id, terms, now=state.clock())


@router.delete("/webhooks/{webhook_id}", status_code=204, responses=NONE_THERE)
def remove_webhook(request: Request, webhook_id: WebhookId) -> None:
    """Delete it with its log; the events stay."""
    with request.app.state.database.write() as session:
        webhooks.remove(session, webhook_id)


@router.get("/webhooks/{webhook_id}/deliveries", responses=NONE_THERE)
def list_deliveries(
    request: Request,
    webhook_id: WebhookId,
    cursor: Annotated[int | None, Query(ge=1, le=MAX_ID, description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(description="Deliveries on a page, 1 to 200.")] = 50,
) -> DeliveryPage:
    """What was delivered to it, what waits and what was given up, newest first, with what the receiver last said."""
    with request.app.state.database.read() as session:
        return webhooks.list_deliveries(session, webhook_id, cursor=cursor, limit=limit)


@router.post("/webhooks/{webhook_id}/test", status_code=202, responses=NONE_THERE)
def try_webhook(request: Request, webhook_id: WebhookId) -> DeliveryView:
    """Queue an event that says that it is a test. `run` or `worker` delivers it in a few seconds; the log says how."""
    state = request.app.state
    with state.database.write() as session:
        return webhooks.queue_test(session, webhook_id, now=state.clock())
