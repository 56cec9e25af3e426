"""Delivering to real receivers on loopback: at least once, never all at the mercy of one, and never astray."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from time import perf_counter
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Verifier
from test_api_writing import Clock
from test_hostile_servers import HOST, ONLY_HOST, RawServer, endless, http, to

from config import definitions
from ingest import posting
from ingest.guard import Reach
from jobs.deliver import AT_ONCE, CLAIM, JITTER, OFF_AFTER, WAITS, Deliverer, wait_after
from models.database import Database
from models.events import Event
from models.store import events as event_store
from services import webhooks
from services.webhooks import DeliveryView, Terms, WebhookView

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
ANYWHERE = Reach(everything=True)


class Receiver:
    """Real HTTP on loopback: `statuses` in turn, then 204. `got` holds the headers and the body of each POST."""

    def __init__(
        self, *statuses: int, headers: dict[str, str] | None = None, before: Callable[[], object] = int
    ) -> None:
        self.statuses, self.headers, self.before = list(statuses), headers or {}, before
        self.got: list[tuple[dict[str, str], bytes]] = []
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: Receiver

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.owner.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.owner.before()
        self.send_response(self.owner.statuses.pop(0) if self.owner.statuses else 204)
        for name, value in self.owner.headers.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


def deliverer(database: Database, clock: Clock, reach: Reach = ANYWHERE) -> Deliverer:
    return Deliverer(database, clock=clock, luck=lambda: 0.0, reach=reach)


def hook(database: Database, now: datetime, url: str | None, **terms: Any) -> WebhookView:
    with database.write() as session:
        return webhooks.create(session, Terms(url=url, **terms), now=now)


def tried(database: Database, webhook: WebhookView, now: datetime) -> None:
    with database.write() as session:
        webhooks.queue_test(session, webhook.id, now=now)


def happens(database: Database, webhook: WebhookView, now: datetime, **told: Any) -> None:
    """Something that is no test, for this webhook."""
    event = Event(
        kind="threshold",
        key=told.get("key", f"threshold:{now.isoformat()}"),
        happened_at=now,
        detected_at=now,
        recorded_at=now,
        title=told.get("title", "theta is above 0.6"),
        sentence=told.get("sentence", "theta was 0.7."),
        payload={"webhook": webhook.id},
        link="/v1/shift",
    )
    with database.write() as session:
        event_store.notice_one_at_a_time(session)
        assert event_store.add_event(session, event)
        found = event_store.get_webhook(session, webhook.id)
        assert found is not None
        event_store.queue(session, event, [found], now=now)


def one_round(worker: Deliverer) -> int:
    begun = worker.deliver()
    worker.wait()
    return begun


def log_of(database: Database, webhook: WebhookView) -> list[DeliveryView]:
    with database.read() as session:
        return webhooks.list_deliveries(session, webhook.id, cursor=None, limit=50).data


def seen(database: Database, webhook: WebhookView) -> WebhookView:
    with database.read() as session:
        return webhooks.get_webhook(session, webhook.id)


# -- what is sent -----------------------------------------------------------------------------------------------------


def test_an_event_is_delivered_signed_as_standard_webhooks_verifies(database: Database) -> None:
    clock = Clock(datetime.now(UTC))  # by which the library judges whether it is old
    with Receiver() as receiver:
        webhook = hook(database, clock.now, receiver.url)
        tried(database, webhook, clock.now)
        assert one_round(deliverer(database, clock)) == 1
    ((headers, body),) = receiver.got
    told = Verifier(webhook.secret or "").verify(body, headers)
    assert told["kind"] == "test"
    assert list(told) == [
        *("id", "kind", "key", "happened_at", "detected_at", "recorded_at", "title", "sentence", "payload", "link"),
        "past",
    ]
    with pytest.raises(Exception, match="No matching signature"):
        Verifier(webhook.secret or "").verify(body + b" ", headers)
    assert headers["content-type"] == "application/json"
    (entry,) = log_of(database, webhook)
    assert (entry.state, entry.attempts, entry.last_status, entry.delivered_at) == ("delivered", 1, 204, clock.now)


def test_slack_gets_its_form_with_what_means_something_to_it_escaped(database: Database, clock: Clock) -> None:
    with Receiver() as receiver:
        webhook = hook(database, clock.now, receiver.url, kind="slack")
        happens(database, webhook, clock.now, title="Gold & <!channel>\r\nnext", sentence="x" * 9_000)
        one_round(deliverer(database, clock))
    ((headers, body),) = receiver.got
    told = json.loads(body)
    assert told["text"].startswith("Gold &amp; &lt;!channel&gt; next: xxx")
    assert [block["type"] for block in told["blocks"]] == ["section", "context"]
    assert all(len(text) < 3_000 for text in (told["text"], told["blocks"][0]["text"]["text"]))
    assert (webhook.secret, "webhook-signature" in headers) == (None, False)
    assert webhook.url == f"{receiver.url.removesuffix('hook')}…"  # the rest is a secret


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, _: object, __: object, envelope: Envelope) -> str:
        self.mails.append((envelope.mail_from or "", envelope.rcpt_tos, envelope.content or b""))  # type: ignore[arg-type]
        return "250 taken"


@contextmanager
def mail_server(monkeypatch: pytest.MonkeyPatch, user: str = "") -> Iterator[Mailbox]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setenv("STORYSHIFT_SMTP_URL", f"smtp://{user}127.0.0.1:{port}")
    monkeypatch.setenv("STORYSHIFT_MAIL_FROM", "storyshift@example.org")
    definitions.forget()
    try:
        yield box
    finally:
        controller.stop()


def test_a_mail_is_handed_over_and_no_title_becomes_a_header(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(monkeypatch) as box:
        webhook = hook(database, clock.now, None, kind="mail", to="anna@example.org")
        happens(database, webhook, clock.now, title="θ rises\r\nBcc: eve@example.org", sentence="θ was 0.7.")
        one_round(deliverer(database, clock))
    ((sender, receivers, content),) = box.mails
    assert (sender, receivers) == ("storyshift@example.org", ["anna@example.org"])
    head, _, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    assert not [line for line in head.split(b"\n") if line.lower().startswith(b"bcc")]
    assert b"Auto-Submitted: auto-generated" in head
    assert b"Message-ID: <msg_1@example.org>" in head
    assert b"/v1/shift" in body
    assert log_of(database, webhook)[0].state == "delivered"


def test_a_password_does_not_travel_where_nothing_is_encrypted(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(monkeypatch, user="me:s3cret@") as box:
        webhook = hook(database, clock.now, None, kind="mail", to="anna@example.org")
        tried(database, webhook, clock.now)
        one_round(deliverer(database, clock))
    assert box.mails == []
    (entry,) = log_of(database, webhook)
    assert entry.state == "waiting"
    assert "offers no STARTTLS" in (entry.last_reason or "")
    assert "s3cret" not in str(entry)


def test_a_mail_server_that_was_taken_away_is_a_failure_like_another(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(monkeypatch):
        webhook = hook(database, clock.now, None, kind="mail", to="anna@example.org")
    tried(database, webhook, clock.now)
    worker = deliverer(database, clock)
    for url, said in (("", "STORYSHIFT_SMTP_URL is not set"), ("nowhere", "STORYSHIFT_SMTP_URL cannot be used")):
        monkeypatch.setenv("STORYSHIFT_SMTP_URL", url)
        definitions.forget()
        clock.now += WAITS[0]
        one_round(worker)
        assert said in (log_of(database, webhook)[0].last_reason or "")


# -- again, and when not ----------------------------------------------------------------------------------------------


def test_what_fails_is_sent_again_under_the_same_id_and_then_delivered(database: Database, clock: Clock) -> None:
    worker = deliverer(database, clock)
    with Receiver(500, 503) as receiver:
        webhook = hook(database, clock.now, receiver.url)
        tried(database, webhook, clock.now)
        for wait in (timedelta(0), *WAITS[:2]):
            clock.now += wait - SECOND
            assert one_round(worker) == 0
            clock.now += SECOND
            assert one_round(worker) == 1
    ids = {headers["webhook-id"] for headers, _ in receiver.got}
    stamps = [headers["webhook-timestamp"] for headers, _ in receiver.got]
    assert (len(ids), len(set(stamps))) == (1, 3)
    (entry,) = log_of(database, webhook)
    assert (entry.state, entry.attempts) == ("delivered", 3)
    assert seen(database, webhook).failing_since is None


def test_after_the_last_attempt_it_is_given_up_and_after_days_the_webhook_is_switched_off(
    database: Database, clock: Clock
) -> None:
    worker, began = deliverer(database, clock), clock.now
    with Receiver(*[500] * 50) as receiver:
        webhook = hook(database, clock.now, receiver.url)
        for n in range(3):
            tried(database, webhook, clock.now)
            for wait in (timedelta(0), *WAITS):
                clock.now += wait
                assert one_round(worker) == (1 if n < 3 else 0)
            assert log_of(database, webhook)[0].state == "given_up"
            assert seen(database, webhook).active is (clock.now - began < OFF_AFTER)
    off = seen(database, webhook)
    assert not off.active
    assert (off.off_reason or "").startswith("Nothing has got through since 2026-11-21 12:00 UTC. The last attempt:")
    assert len(receiver.got) == 3 * (len(WAITS) + 1)


def test_a_receiver_that_is_gone_is_not_asked_again(database: Database, clock: Clock) -> None:
    with Receiver(410) as receiver:
        webhook = hook(database, clock.now, receiver.url)
        tried(database, webhook, clock.now)
        tried(database, webhook, clock.now)
        worker = deliverer(database, clock)
        one_round(worker)
        clock.now += 48 * HOUR
        assert one_round(worker) == 0
    assert len(receiver.got) == 1
    assert "gone for good (410)" in (seen(database, webhook).off_reason or "")
    assert [entry.state for entry in log_of(database, webhook)] == ["given_up", "given_up"]


def test_a_receiver_is_left_alone_as_long_as_it_asks(database: Database, clock: Clock) -> None:
    with Receiver(429, headers={"Retry-After": "7200"}) as receiver:
        webhook = hook(database, clock.now, receiver.url)
        tried(database, webhook, clock.now)
        one_round(deliverer(database, clock))
    assert log_of(database, webhook)[0].next_attempt_at == clock.now + 2 * HOUR


@given(st.integers(1, 20), st.floats(0, 1, exclude_max=True), st.none() | st.timedeltas(timedelta(0), 24 * HOUR))
def test_waits_grow_are_spread_a_little_and_end(attempts: int, luck: float, asked: timedelta | None) -> None:
    wait = wait_after(attempts, asked, luck)
    if attempts > len(WAITS):
        assert wait is None
        return
    assert wait is not None
    usual = WAITS[attempts - 1]
    assert max(usual, asked or usual) <= wait <= max(usual * (1 + JITTER), asked or usual)
    later = wait_after(attempts + 1, None, luck)
    assert asked is not None or later is None or later > wait


def test_quiet_hours_hold_back_what_happens_and_not_a_test(database: Database, clock: Clock) -> None:
    clock.now = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    worker = deliverer(database, clock)
    with Receiver() as receiver:
        quiet = {"from": "22:00", "until": "07:00", "zone": "Europe/Berlin"}
        webhook = hook(database, clock.now, receiver.url, quiet_hours=quiet)
        happens(database, webhook, clock.now, key="one")
        happens(database, webhook, clock.now, key="two")
        assert [one_round(worker) for _ in range(3)] == [0, 0, 0]
        tried(database, webhook, clock.now)
        assert one_round(worker) == 1
        clock.now = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
        assert [one_round(worker) for _ in range(3)] == [1, 1, 0]
    assert [json.loads(body)["key"] for _, body in receiver.got[1:]] == ["one", "two"]
    assert [entry.attempts for entry in log_of(database, webhook)] == [1, 1, 1]


# -- each apart from the others ---------------------------------------------------------------------------------------


def test_one_slow_receiver_keeps_no_other_waiting(database: Database, clock: Clock) -> None:
    leave = threading.Event()
    with Receiver(before=lambda: leave.wait(20)) as slow, Receiver() as quick:
        slow_hook, quick_hook = (hook(database, clock.now, receiver.url) for receiver in (slow, quick))
        for webhook in (slow_hook, slow_hook, quick_hook, quick_hook):
            tried(database, webhook, clock.now)
        worker = deliverer(database, clock)
        began = perf_counter()
        while [entry.state for entry in log_of(database, quick_hook)] != ["delivered", "delivered"]:
            worker.deliver()
            assert perf_counter() - began < 15
        assert [entry.state for entry in log_of(database, slow_hook)] == ["waiting", "waiting"]
        assert worker.deliver() == 0  # a second one is not sent there while the first is on its way
        leave.set()
        worker.wait()
    assert AT_ONCE > 1


def test_two_workers_never_send_the_same(database: Database, clock: Clock) -> None:
    with Receiver() as receiver:
        hooks = [hook(database, clock.now, receiver.url) for _ in range(6)]
        for webhook in hooks:
            tried(database, webhook, clock.now)
        workers = [deliverer(database, clock) for _ in range(3)]
        threads = [threading.Thread(target=one_round, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for worker in workers:  # what another held for a moment
            one_round(worker)
    assert sorted(headers["webhook-id"] for headers, _ in receiver.got) == [f"msg_{n}" for n in range(1, 7)]


def test_a_worker_killed_between_sending_and_settling_is_followed_by_another(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as receiver:
        webhook = hook(database, clock.now, receiver.url)
        tried(database, webhook, clock.now)
        killed = deliverer(database, clock)
        with monkeypatch.context() as patched:
            patched.setattr(killed, "_settle", lambda *_: None)
            one_round(killed)
        other = deliverer(database, clock)
        assert one_round(other) == 0
        clock.now += CLAIM
        assert one_round(other) == 1
    assert [headers["webhook-id"] for headers, _ in receiver.got] == ["msg_1", "msg_1"]
    assert [(entry.state, entry.attempts) for entry in log_of(database, webhook)] == [("delivered", 2)]


def test_a_webhook_deleted_or_switched_off_while_it_is_told_stays_so(database: Database, clock: Clock) -> None:
    for goes in ("deleted", "off"):
        with Receiver(500) as receiver:
            webhook = hook(database, clock.now, receiver.url)

            def gone(webhook: WebhookView = webhook, goes: str = goes) -> None:
                with database.write() as session:
                    if goes == "deleted":
                        webhooks.remove(session, webhook.id)
                    else:
                        terms = Terms(url="http://127.0.0.1/", active=False)
                        webhooks.change(session, webhook.id, terms, now=clock.now)

            receiver.before = gone
            tried(database, webhook, clock.now)
            one_round(deliverer(database, clock))
    assert [(entry.state, entry.last_reason) for entry in log_of(database, webhook)] == [
        ("given_up", "The webhook was switched off.")
    ]


# -- receivers that mean no good --------------------------------------------------------------------------------------

SECRET = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HOSTILE = {
    "a body without end": (endless(b"HTTP/1.1 500 No\r\n\r\n", b"x" * 4096), f"answered 500: {'x' * 200}"),
    "a good answer with a body without end": (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096), "answered 200"),
    "a byte now and then": (endless(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.05), "did not answer within"),
    "no word at all": (endless(b"", b"", 0.05), "did not answer within"),
    "headers without end": (endless(b"HTTP/1.1 200 OK\r\n", b"X-Filler: y\r\n" * 100), "broke off"),
    "a redirect to a private network": (to("http://169.254.169.254/latest"), "redirects (302), which is not followed"),
    "a redirect to itself": (to("/other"), "redirects (302)"),
    "no HTTP": (b"220 smtp.example.org ready\r\n", "broke off"),
    "a close at once": (b"", "broke off"),
    "control characters": (http(b"\x1b[2Jgone\x00\r\n\xff", status="500 No"), "answered 500: [2Jgone \ufffd"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_receiver_answers_the_attempt_ends_and_says_how(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "TOTAL_SECONDS", 0.6)
    answer, said = HOSTILE[name]
    with RawServer({"/feed": answer, "/other": SECRET}) as server:
        began = perf_counter()
        outcome = posting.post(f"http://{HOST}:{server.port}/feed", b"{}", {}, reach=ONLY_HOST)
        assert perf_counter() - began < 10
        assert len(server.asked) == 1  # no redirect was followed
    assert said in outcome.said
    assert outcome.delivered is ("good" in name)
    assert outcome.said.isprintable()


def test_an_address_that_has_come_to_lead_inside_is_refused_before_a_byte_is_sent(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver() as receiver, caplog.at_level(logging.INFO):
        webhook = hook(database, clock.now, receiver.url)
        tried(database, webhook, clock.now)
        one_round(deliverer(database, clock, Reach((ip_network("10.0.0.0/8"),))))
    assert receiver.got == []
    (entry,) = log_of(database, webhook)
    assert entry.last_reason is not None
    assert "127.0.0.1 is not a public address" in entry.last_reason
    assert (webhook.secret or "-") not in caplog.text
