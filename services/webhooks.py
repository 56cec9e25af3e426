"""Webhooks: who is told of which events, in what form, and when not. docs/webhooks.md."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from secrets import token_bytes
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlmodel import Session

from analysis.shift_events import STATES as SHIFT_STATES
from config.definitions import Triggers
from config.settings import ADDRESS, get_settings
from ingest.guard import Reach
from ingest.posting import check_address
from models.errors import BadInput, NotFound, UnknownName
from models.events import RECEIVERS, Delivery, Event, Webhook
from models.store import events as event_store
from services.noticing import TRIGGER_STATES, check_series

MARK = "whsec_"
SECRET_BYTES = 32
MAX_ADDRESS = 2_000
TELLING = ("shift", "trigger")
"""Kinds of events that a webhook asks for; a threshold of its own tells by itself."""
TRIGGERS = tuple(Triggers.model_fields)
MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class Terms:
    """What somebody wants to be told, and how."""

    kind: str = "json"
    url: str | None = None
    to: str | None = None
    events: tuple[str, ...] = TELLING
    triggers: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    threshold: dict[str, Any] | None = None
    """series, and above or below."""
    quiet_hours: dict[str, str] | None = None
    """from, until (hours and minutes), zone."""
    active: bool = True


@dataclass(frozen=True, slots=True)
class WebhookView:
    id: int
    kind: str
    url: str | None
    """Of Slack's only the host: whoever knows the rest may write there."""
    to: str | None
    events: list[str]
    triggers: list[str]
    states: list[str]
    threshold: dict[str, Any] | None
    quiet_hours: dict[str, str] | None
    active: bool
    off_reason: str | None
    """Why it is off, where nobody switched it off."""
    failing_since: datetime | None
    """The first failure since something got through."""
    created_at: datetime
    secret: str | None = None
    """Only in the answer that creates it, and only of kind json."""


@dataclass(frozen=True, slots=True)
class DeliveryView:
    id: int
    event_id: int
    event_key: str
    title: str
    state: str
    """waiting, delivered or given_up."""
    attempts: int
    next_attempt_at: datetime | None
    """None where there is none."""
    last_attempt_at: datetime | None
    last_status: int | None
    last_reason: str | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    data: list[DeliveryView]
    next_cursor: int | None = field(default=None)


def checked(terms: Terms) -> Terms:
    """The terms, if they can be kept to; its address is looked up. Raises: BadInput saying which word is wrong."""
    if terms.kind not in RECEIVERS:
        raise UnknownName("kind of webhook", terms.kind, list(RECEIVERS))
    _check_known("kind of event", terms.events, TELLING)
    _check_known("trigger", terms.triggers, TRIGGERS)
    _check_known("state", terms.states, (*SHIFT_STATES, *TRIGGER_STATES))
    if terms.threshold is not None:
        check_series(terms.threshold["series"])
        if (terms.threshold["above"] is None) == (terms.threshold["below"] is None):
            raise BadInput("threshold takes `above` or `below`, one of them.")
    elif not terms.events:
        raise BadInput("events is empty and there is no threshold: this webhook would never be told anything.")
    if terms.quiet_hours is not None:
        _check_quiet(terms.quiet_hours)
    return _checked_mail(terms) if terms.kind == "mail" else _checked_url(terms)


def create(session: Session, terms: Terms, *, now: datetime) -> WebhookView:
    """A new webhook on terms that were checked. The view holds its secret; it cannot be had again."""
    secret = MARK + b64encode(token_bytes(SECRET_BYTES)).decode() if terms.kind == "json" else None
    webhook = Webhook(kind=terms.kind, secret=secret, created_at=now)
    _apply(webhook, terms, now)
    session.add(webhook)
    session.flush()
    return replace(_view(webhook), secret=secret)


def change(session: Session, webhook_id: int, terms: Terms, *, now: datetime) -> WebhookView:
    """The webhook on new terms, which were checked. Switched off, what waits is given up. Raises: NotFound."""
    webhook = _found(session, webhook_id)
    if terms.quiet_hours != webhook.quiet_hours:
        event_store.wake(session, webhook_id, now=now)
    _apply(webhook, terms, now)
    webhook.off_reason = webhook.failing_since = None
    if not terms.active:
        event_store.give_up_waiting(session, webhook_id)
    return _view(webhook)


def remove(session: Session, webhook_id: int) -> None:
    """With its log. Raises: NotFound."""
    event_store.delete_webhook(session, _found(session, webhook_id))


def list_webhooks(session: Session) -> list[WebhookView]:
    return [_view(webhook) for webhook in event_store.list_webhooks(session)]


def get_webhook(session: Session, webhook_id: int) -> WebhookView:
    """Raises: NotFound."""
    return _view(_found(session, webhook_id))


def terms_of(session: Session, webhook_id: int) -> Terms:
    """Raises: NotFound."""
    webhook = _found(session, webhook_id)
    return Terms(
        kind=webhook.kind,
        url=webhook.url,
        to=webhook.mail_to,
        events=tuple(webhook.events),
        triggers=tuple(webhook.triggers),
        states=tuple(webhook.states),
        threshold=webhook.threshold,
        quiet_hours=webhook.quiet_hours,
        active=webhook.active,
    )


def list_deliveries(session: Session, webhook_id: int, *, cursor: int | None, limit: int) -> DeliveryPage:
    """The log of a webhook, the newest first. Raises: NotFound, BadInput for a limit that is none."""
    if not 1 <= limit <= MAX_PAGE:
        raise BadInput(f"limit is {limit}; a page holds from 1 to {MAX_PAGE} deliveries.")
    _found(session, webhook_id)
    rows = event_store.deliveries_before(session, webhook_id, cursor, limit=limit + 1)
    views = [_delivery_view(delivery, event) for delivery, event in rows[:limit]]
    return DeliveryPage(views, views[-1].id if len(rows) > limit else None)


def queue_test(session: Session, webhook_id: int, *, now: datetime) -> DeliveryView:
    """An event that says that it is a test, for this webhook alone; it waits for no quiet hours.

    Raises: NotFound; BadInput where the webhook is switched off.
    """
    webhook = _found(session, webhook_id)
    if not webhook.active:
        raise BadInput(f"The webhook {webhook_id} is switched off. Switch it on first: PATCH it with active true.")
    event_store.notice_one_at_a_time(session)
    event = Event(
        kind="test",
        key=f"test:{webhook_id}:{uuid4()}",
        happened_at=now,
        detected_at=now,
        recorded_at=now,
        title="A test of Storyshift",
        sentence="This is a test: somebody tries this webhook. Nothing has happened.",
        payload={"webhook": webhook_id},
        link=f"/v1/webhooks/{webhook_id}",
    )
    event_store.add_event(session, event)
    event_store.queue(session, event, [webhook], now=now)
    ((delivery, _), *_) = event_store.deliveries_before(session, webhook_id, None, limit=1)
    return _delivery_view(delivery, event)


def quiet_until(quiet: dict[str, str] | None, now: datetime) -> datetime | None:
    """When the quiet hours end that `now` lies in; None if it lies in none.

    They are hours of the wall clock: an hour that a clock goes through twice is quiet both times.
    """
    if quiet is None:
        return None
    zone = ZoneInfo(quiet["zone"])
    begins, ends = time.fromisoformat(quiet["from"]), time.fromisoformat(quiet["until"])
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        start = datetime.combine(day, begins, zone).astimezone(UTC)
        last = day if begins < ends else day + timedelta(days=1)
        end = max(datetime.combine(last, ends.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1))
        if start <= now < end:
            return end
    return None


def _apply(webhook: Webhook, terms: Terms, now: datetime) -> None:
    if terms.threshold != webhook.threshold:
        webhook.threshold_set_at = now if terms.threshold else None
        webhook.threshold_day = webhook.threshold_met = None
    webhook.url, webhook.mail_to, webhook.active = terms.url, terms.to, terms.active
    webhook.events, webhook.triggers, webhook.states = list(terms.events), list(terms.triggers), list(terms.states)
    webhook.threshold, webhook.quiet_hours = terms.threshold, terms.quiet_hours


def _check_known(what: str, names: Iterable[str], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise UnknownName(what, name, list(known))


def _check_quiet(quiet: dict[str, str]) -> None:
    try:
        begins, ends = time.fromisoformat(quiet["from"]), time.fromisoformat(quiet["until"])
    except ValueError:
        begins = ends = time()
    if begins.tzinfo or ends.tzinfo or begins == ends:
        raise BadInput("quiet_hours takes two different times as `from` and `until`, like 22:00 and 07:00.")
    try:
        ZoneInfo(quiet["zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput(
            f"quiet_hours: {quiet['zone'][:80]!r} is no time zone. Write one like Europe/Berlin, or UTC."
        ) from None


def _checked_url(terms: Terms) -> Terms:
    url = (terms.url or "").strip()
    if not url or terms.to is not None:
        raise BadInput(f"A webhook of kind {terms.kind} takes `url`, and not `to`.")
    if len(url) > MAX_ADDRESS:
        raise BadInput(f"url is longer than {MAX_ADDRESS} characters.")
    check_address(url, Reach.from_settings())
    return replace(terms, url=url)


def _checked_mail(terms: Terms) -> Terms:
    if not terms.to or terms.url is not None:
        raise BadInput("A webhook of kind mail takes `to`, and not `url`.")
    if not ADDRESS.fullmatch(terms.to):
        raise BadInput("to must be one mail address, like anna@example.org.")
    if get_settings().mail_server() is None:
        raise BadInput(
            "This server cannot send mail: STORYSHIFT_SMTP_URL and STORYSHIFT_MAIL_FROM say through which server and "
            "from whom. Set them where it runs."
        )
    return terms


def _found(session: Session, webhook_id: int) -> Webhook:
    webhook = event_store.get_webhook(session, webhook_id)
    if webhook is None:
        raise NotFound(f"There is no webhook {webhook_id}.")
    return webhook


def _view(webhook: Webhook) -> WebhookView:
    return WebhookView(
        id=webhook.id or 0,
        kind=webhook.kind,
        url=_shown(webhook),
        to=webhook.mail_to,
        events=webhook.events,
        triggers=webhook.triggers,
        states=webhook.states,
        threshold=webhook.threshold,
        quiet_hours=webhook.quiet_hours,
        active=webhook.active,
        off_reason=webhook.off_reason,
        failing_since=webhook.failing_since,
        created_at=webhook.created_at,
    )


def _shown(webhook: Webhook) -> str | None:
    if webhook.kind != "slack" or webhook.url is None:
        return webhook.url
    parts = urlsplit(webhook.url)
    return f"{parts.scheme}://{parts.netloc}/…"


def _delivery_view(delivery: Delivery, event: Event) -> DeliveryView:
    return DeliveryView(
        id=delivery.id or 0,
        event_id=delivery.event_id,
        event_key=event.key,
        title=event.title,
        state=delivery.state,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at if delivery.state == "waiting" else None,
        last_attempt_at=delivery.last_attempt_at,
        last_status=delivery.last_status,
        last_reason=delivery.last_reason,
        delivered_at=delivery.delivered_at,
    )
