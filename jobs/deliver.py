"""Delivering events: what is due is claimed, sent and settled, each receiver apart from the others.

    store: the oldest due delivery of each webhook -> claimed for a while, one commit -> sent, in a thread of its own
           -> delivered, put off or given up, one commit

At least once: whoever is killed after sending and before settling leaves a claim that runs out, and it is sent again,
under the same webhook-id.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from random import random
from threading import Lock, Thread

from config.settings import get_settings
from ingest.guard import Reach
from ingest.posting import Outcome, post, send_mail
from models.database import Database
from models.errors import ConfigError
from models.events import Delivery, Event, Webhook
from models.store import events as event_store
from services.messages import mail_of, post_of
from services.webhooks import quiet_until

WAITS = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(hours=24),
)
"""After each failed attempt; after one more it is given up."""
JITTER = 0.2
CLAIM = timedelta(minutes=2)
"""Longer than an attempt can take."""
AT_ONCE = 8
OFF_AFTER = timedelta(days=3)
"""A webhook is switched off when a delivery is given up and nothing got through for so long."""
log = logging.getLogger("storyshift.worker")


def wait_after(attempts: int, retry_after: timedelta | None, luck: float) -> timedelta | None:
    """Until the next attempt, after so many (from 1); None if there is none. `luck` is from [0, 1).

    At least what the receiver asks for, which is bounded to a day.
    """
    if attempts > len(WAITS):
        return None
    return max(WAITS[attempts - 1] * (1 + JITTER * luck), retry_after or timedelta(0))


class Deliverer:
    """Sends what is due, a delivery of each webhook at a time and up to AT_ONCE of them beside each other."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime],
        luck: Callable[[], float] = random,
        reach: Reach | None = None,
    ) -> None:
        """`reach` is what may be connected to besides the public internet; by default what the settings allow."""
        self._database, self._clock, self._luck = database, clock, luck
        self._reach = reach or Reach.from_settings()
        self._sending: dict[int, Thread] = {}
        """By webhook."""
        self._lock = Lock()

    def deliver(self) -> int:
        """Begin to send what is due, and return at once: how many were begun. Raises: DatabaseUnavailable."""
        with self._lock:
            busy = list(self._sending)
        if len(busy) >= AT_ONCE:
            return 0
        with self._database.read() as session:  # so that no writer waits where nothing is due
            if not event_store.is_due(session, now=self._clock()):
                return 0
        claimed = self._claim(busy)
        for delivery, webhook, event in claimed:
            thread = Thread(target=self._send, args=(delivery, webhook, event), daemon=True)
            with self._lock:
                self._sending[delivery.webhook_id] = thread
            thread.start()
        return len(claimed)

    def wait(self) -> None:
        """Until what was begun has come to its end."""
        with self._lock:
            threads = list(self._sending.values())
        for thread in threads:
            thread.join()

    def _claim(self, busy: list[int]) -> list[tuple[Delivery, Webhook, Event]]:
        """Nobody else takes these until the claim runs out; what falls into quiet hours is put off to their end."""
        now = self._clock()
        claimed = []
        with self._database.write() as session:
            for delivery, webhook, event in event_store.due(session, now=now, beside=busy, limit=AT_ONCE - len(busy)):
                ends = None if event.kind == "test" else quiet_until(webhook.quiet_hours, now)
                if ends is not None:
                    delivery.next_attempt_at = ends
                    continue
                delivery.attempts += 1
                delivery.last_attempt_at, delivery.next_attempt_at = now, now + CLAIM
                claimed.append((delivery, webhook, event))
        return claimed

    def _send(self, delivery: Delivery, webhook: Webhook, event: Event) -> None:
        try:
            self._settle(delivery, self._outcome(delivery, webhook, event))
        except Exception:  # the claim runs out, and it is sent again
            log.exception("delivery could not be settled delivery=%d", delivery.id)
        finally:
            with self._lock:
                del self._sending[delivery.webhook_id]

    def _outcome(self, delivery: Delivery, webhook: Webhook, event: Event) -> Outcome:
        try:
            return self._sent(delivery, webhook, event)
        except ConfigError as error:
            return Outcome(False, str(error))
        except Exception:
            log.exception("delivery failed unexpectedly delivery=%d", delivery.id)
            return Outcome(False, "Something went wrong on our side; the log of the worker says what.")

    def _sent(self, delivery: Delivery, webhook: Webhook, event: Event) -> Outcome:
        now, delivery_id = self._clock(), delivery.id or 0
        if webhook.kind != "mail":
            sent = post_of(webhook, event, delivery_id, now=now)
            return post(sent.url, sent.body, sent.headers, reach=self._reach)
        server = get_settings().mail_server()
        if server is None:
            return Outcome(False, "This server cannot send mail any more: STORYSHIFT_SMTP_URL is not set.")
        return send_mail(server, mail_of(webhook, event, delivery_id, mail_from=server.mail_from, now=now))

    def _settle(self, claimed: Delivery, outcome: Outcome) -> None:
        """Unless the claim has run out and another attempt was begun, or the webhook was deleted."""
        now = self._clock()
        with self._database.write() as session:
            found = event_store.get_delivery(session, claimed.id or 0)
            if found is None or found[0].state != "waiting" or found[0].attempts != claimed.attempts:
                return
            delivery, webhook = found
            delivery.last_status, delivery.last_reason = outcome.status, outcome.said
            if outcome.delivered:
                delivery.state, delivery.delivered_at, webhook.failing_since = "delivered", now, None
                return
            webhook.failing_since = webhook.failing_since or now
            wait = None if outcome.gone else wait_after(delivery.attempts, outcome.retry_after, self._luck())
            if wait is not None:
                delivery.next_attempt_at = now + wait
            else:
                delivery.state = "given_up"
                session.flush()
                reason = _off(webhook, outcome, now)
                if reason is not None:
                    event_store.switch_off(session, webhook, reason)
        log.warning(
            "delivery failed delivery=%d webhook=%d attempt=%d: %s",
            claimed.id,
            webhook.id,
            claimed.attempts,
            outcome.said,
        )


def _off(webhook: Webhook, outcome: Outcome, now: datetime) -> str | None:
    """Why the webhook is to be switched off after a delivery was given up, if it is."""
    if outcome.gone:
        return "The receiver says that it is gone for good (410)."
    since = webhook.failing_since or now
    if now - since < OFF_AFTER:
        return None
    return f"Nothing has got through since {since:%Y-%m-%d %H:%M} UTC. The last attempt: {outcome.said}"
