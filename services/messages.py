"""What a receiver is sent: an event as signed JSON (Standard Webhooks), in the form of Slack, or as a mail."""

import hmac
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from models.events import Event, Webhook
from services.answers import plain
from services.events import view
from services.webhooks import MARK

SLACK_CHARACTERS = 500
"""Of one text, before it is escaped; a block of Slack takes 3,000."""


@dataclass(frozen=True, slots=True)
class Post:
    """A body for an address, with the headers that say who sends it."""

    url: str
    body: bytes
    headers: dict[str, str]


def message_id(delivery_id: int) -> str:
    """The same at each attempt, so that a receiver knows what it has had."""
    return f"msg_{delivery_id}"


def signature(secret: str, message: str, at: datetime, body: bytes) -> str:
    """In the form of Standard Webhooks: v1, and the HMAC-SHA256 of id, seconds and body, in base64."""
    signed = f"{message}.{int(at.timestamp())}.".encode() + body
    digest = hmac.digest(b64decode(secret.removeprefix(MARK)), signed, "sha256")
    return f"v1,{b64encode(digest).decode()}"


def post_of(webhook: Webhook, event: Event, delivery_id: int, *, now: datetime) -> Post:
    """For the kinds json and slack."""
    message, url = message_id(delivery_id), webhook.url or ""
    told = _slack(event) if webhook.kind == "slack" else plain(view(event))
    body = json.dumps(told, ensure_ascii=False, allow_nan=False).encode()
    headers = {"webhook-id": message, "webhook-timestamp": str(int(now.timestamp()))}
    if webhook.secret is not None:
        headers["webhook-signature"] = signature(webhook.secret, message, now, body)
    return Post(url, body, headers)


def mail_of(webhook: Webhook, event: Event, delivery_id: int, *, mail_from: str, now: datetime) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = mail_from, webhook.mail_to
    message["Subject"] = _one_line(event.title)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{message_id(delivery_id)}@{mail_from.partition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"{event.sentence}\n\nHappened {plain(event.happened_at)}, detected {plain(event.detected_at)}.\n"
        f"The numbers, as they were known then, are at {event.link} of your Storyshift.\n"
    )
    return message


def _slack(event: Event) -> dict[str, object]:
    title, sentence = _escaped(event.title), _escaped(event.sentence)
    detected = f"Detected {plain(event.detected_at)} · {_escaped(event.link)}"
    return {
        "text": f"{title}: {sentence}",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": f"*{title}*\n{sentence}"}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": detected}]},
        ],
    }


def _escaped(text: str) -> str:
    """As Slack demands: only & < > mean something that could not be meant, such as <!channel>."""
    return _one_line(text)[:SLACK_CHARACTERS].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
