"""What the API refuses to whom: too many requests, wrong keys, ranges that are too long, reading where others can."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import create_app
from api.routes.metrics import OPEN_METRICS
from api.security import COOKIE
from config.settings import get_settings
from models.database import Database
from models.errors import ConfigError
from models.keys import SCOPES, Scope
from services.keys import create_key, create_link, list_keys, open_session

FEED = "https://example.org/feed"
ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""What no database has a part in."""
Serve = Callable[..., TestClient]


@pytest.fixture
def serve(database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """serve(rate, open_to_read=, client=): someone at that address before a server with that STORYSHIFT_RATE_LIMIT."""
    clients: list[TestClient] = []

    def start(rate: str = "", address: str = "192.0.2.1", *, open_to_read: bool = True, app: Any = None) -> TestClient:
        if rate:
            monkeypatch.setenv("STORYSHIFT_RATE_LIMIT", rate)
            get_settings.cache_clear()
        app = app or create_app(database, clock=lambda: now, open_to_read=open_to_read)
        clients.append(TestClient(app, base_url="http://localhost", client=(address, 50_000)))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def key_of(database: Database, name: str, now: datetime, scope: Scope = "admin") -> dict[str, str]:
    with database.write() as session:
        return {"Authorization": f"Bearer {create_key(session, name, scope=scope, now=now)}"}


# -- how often --------------------------------------------------------------------------------------------------------


@ON_SQLITE
def test_who_asks_too_often_is_told_when_to_come_again(serve: Serve) -> None:
    client = serve("3/minute")
    assert [client.get("/v1/narratives").headers["ratelimit"].partition(";t=")[0] for _ in range(3)] == [
        '"default";r=2',
        '"default";r=1',
        '"default";r=0',
    ]
    refused = client.get("/v1/narratives")
    assert (refused.status_code, refused.json()["error"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "More than 3 per 1 minute came from 192.0.2.1" in refused.json()["detail"]
    assert f"answered in {refused.headers['retry-after']} seconds." in refused.json()["detail"]


@ON_SQLITE
def test_after_the_window_the_next_request_is_answered(serve: Serve) -> None:
    client = serve("1/second")
    client.get("/v1/narratives")
    while (refused := client.get("/v1/narratives")).status_code == 200:  # a slow machine is not over the limit
        pass
    time.sleep(float(refused.headers["retry-after"]))
    assert client.get("/v1/narratives").status_code == 200


@ON_SQLITE
def test_each_address_is_counted_apart_and_is_not_what_a_header_says(serve: Serve) -> None:
    client = serve("1/minute")
    assert client.get("/v1/narratives").status_code == 200
    for forwarded in ("198.51.100.7", "127.0.0.1"):
        assert client.get("/v1/narratives", headers={"X-Forwarded-For": forwarded}).status_code == 429
    assert serve(address="192.0.2.2", app=client.app).get("/v1/narratives").status_code == 200
    assert serve(address="2001:db8::1", app=client.app).get("/v1/narratives").status_code == 200
    assert serve(address="2001:db8::2", app=client.app).get("/v1/narratives").status_code == 429


def test_a_key_is_counted_by_its_name_wherever_it_is_sent_from(database: Database, serve: Serve, now: datetime) -> None:
    headers = key_of(database, "laptop", now)
    client = serve("2/minute")
    assert client.get("/v1/session", headers=headers).status_code == 200  # nobody knew it before: the address's
    elsewhere = serve(address="192.0.2.2", app=client.app)
    assert elsewhere.get("/v1/session", headers=headers).status_code == 200
    assert client.get("/v1/session", headers=headers).status_code == 200
    refused = elsewhere.get("/v1/session", headers=headers)
    assert "came from the key laptop" in refused.json()["detail"]
    assert elsewhere.get("/v1/narratives").status_code == 200


@ON_SQLITE
def test_a_probe_of_health_is_never_refused(serve: Serve) -> None:
    client = serve("1/minute")
    assert [client.get("/v1/health/live").status_code for _ in range(3)] == [200, 200, 200]
    assert "ratelimit" not in client.get("/v1/health/ready").headers


@ON_SQLITE
def test_the_limit_can_be_switched_off_and_is_generous_by_default(serve: Serve) -> None:
    assert '"default";q=12000;w=60' in serve().get("/v1/narratives").headers["ratelimit-policy"]
    assert "ratelimit" not in serve("off").get("/v1/narratives").headers


@pytest.mark.parametrize("rate", ["0/minute", "many", "5/fortnight", "-1/second", ""])
def test_a_limit_that_is_none_is_one_sentence(monkeypatch: pytest.MonkeyPatch, rate: str) -> None:
    monkeypatch.setenv("STORYSHIFT_RATE_LIMIT", rate)
    get_settings.cache_clear()
    with pytest.raises(ConfigError, match=r"STORYSHIFT_RATE_LIMIT=.*must look like 12000/minute, or be off"):
        get_settings()


# -- wrong keys -------------------------------------------------------------------------------------------------------


def test_who_guesses_keys_is_not_listened_to_for_a_minute(database: Database, serve: Serve, now: datetime) -> None:
    living, unused = key_of(database, "laptop", now), key_of(database, "desk", now)
    client = serve()
    assert client.get("/v1/session", headers=living).status_code == 200
    guesses = [client.get("/v1/session", headers={"Authorization": f"Bearer ss_{n}"}) for n in range(12)]
    assert [answer.status_code for answer in guesses] == [401] * 10 + [429] * 2
    assert "Too many wrong keys came from 192.0.2.1." in guesses[-1].json()["detail"]
    assert 1 <= int(guesses[-1].headers["retry-after"]) <= 60
    assert client.get("/v1/session", headers=unused).status_code == 429  # else a guess would be told from a key
    assert client.get("/v1/session", headers=living).status_code == 200
    assert client.get("/v1/session").status_code == 401
    assert client.get("/v1/narratives").status_code == 200
    assert serve(address="192.0.2.2", app=client.app).get("/v1/session", headers=unused).status_code == 200


# -- reading ----------------------------------------------------------------------------------------------------------

READ = ["/v1/narratives", "/v1/intensity", "/v1/articles", "/v1/feeds", "/v1/quality", "/v1/events/log", "/metrics"]
READ += ["/v1/annotations", "/v1/prices/BTC", "/widgets.json", "/openbb/assets", "/v1/events", "/v1/shift?format=csv"]
OPEN = ["/", "/articles", "/review", "/static/style.css", "/docs", "/openapi.json", "/v1/health/live"]


def test_beyond_loopback_reading_takes_a_key_or_a_session(database: Database, serve: Serve, now: datetime) -> None:
    client = serve(open_to_read=False)
    for path in READ:
        refused = client.get(path)
        assert (path, refused.status_code) == (path, 401)
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "`storyshift keys link NAME` prints a link" in refused.json()["detail"]
        assert "`storyshift keys create NAME --scope read` prints a key" in refused.json()["detail"]
    assert [client.get(path).status_code for path in (*OPEN, "/v1/health/ready")] == [200] * (len(OPEN) + 1)
    for scope in SCOPES:
        headers = key_of(database, scope, now, scope)
        assert client.get("/v1/narratives", headers=headers).status_code == 200
    assert client.get("/v1/narratives", headers={"Authorization": "Bearer ss_wrong"}).status_code == 401
    with database.write() as session:
        client.cookies.set(COOKIE, open_session(session, create_link(session, "anna", now=now), now=now))
    assert client.get("/v1/narratives").status_code == 200


def test_a_key_that_reads_does_nothing_else(database: Database, serve: Serve, now: datetime) -> None:
    client, headers = serve(open_to_read=False), key_of(database, "notebook", now, "read")
    assert client.get("/v1/session", headers=headers).json()["scope"] == "read"
    for method, path, body in (
        ("POST", "/v1/feeds", {"url": FEED}),
        ("DELETE", "/v1/articles/1", None),
        ("GET", "/v1/webhooks", None),
        ("GET", "/v1/review/queue", None),
        ("GET", "/v1/reviews", None),
        ("DELETE", "/v1/reviews/1", None),
    ):
        refused = client.request(method, path, json=body, headers=headers)
        assert (path, refused.status_code, refused.json()["error"]) == (path, 403, "forbidden")
        assert "The key notebook may only read." in refused.json()["detail"]
    assert client.get("/v1/feeds", headers=headers).json()["data"] == []


def test_noting_a_key_s_use_waits_for_nobody(database: Database, serve: Serve, now: datetime) -> None:
    """SQLite has one writer, and a reader with a key is none."""
    client, headers = serve(open_to_read=False), key_of(database, "notebook", now, "read")
    client.get("/v1/narratives")

    def used_at() -> datetime | None:
        with database.read() as session:
            return list_keys(session)[0].last_used_at

    with database.write() as session:
        session.connection().execute(text("update api_keys set scope = scope"))
        began = time.monotonic()
        assert client.get("/v1/narratives", headers=headers).status_code == 200
        assert time.monotonic() - began < 5
        assert used_at() is None
    assert client.get("/v1/narratives", headers=headers).status_code == 200
    assert used_at() == now
    with database.write() as session:  # and those who do wait still do
        session.connection().execute(text("update api_keys set scope = scope"))


# -- ranges -----------------------------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("/v1/intensity?start=2020-01-01&end=2020-07-01&bucket=hour", "By hour, at most 92 days are answered at once."),
        ("/v1/joined?start=1990-01-01&end=2020-07-01", "Ask for a shorter range, or ask by week."),
        ("/v1/prices/BTC?start=2020-01-01&bucket=hour", "By hour, at most 92 days are answered at once."),
        ("/v1/coverage?start=2020-01-01&end=2024-01-01", "By day, at most 731 days are answered at once."),
        ("/v1/intensity?start=2000-01-01&end=2019-12-31&narrative=" + "&narrative=", "rows, and at most 100000 are"),
    ],
)
def test_a_range_that_is_too_long_is_refused_with_what_to_do(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, question: str, told: str
) -> None:
    if question.endswith("narrative="):
        monkeypatch.setattr("services.series.MOST_ROWS", 50_000)
        question, told = question.partition("&narrative")[0], "rows, and at most 50000 are"
    refused = serve().get(question)
    assert (refused.status_code, refused.json()["error"]) == (422, "bad_range")
    assert told in refused.json()["detail"]


@ON_SQLITE
def test_closes_by_the_hour_are_those_of_three_months_unless_a_start_is_named(serve: Serve) -> None:
    client = serve()
    assert client.get("/v1/prices/BTC?bucket=hour").status_code == 200
    assert client.get("/v1/prices/BTC?bucket=hour&end=2020-03-01").status_code == 200


# -- methods and hosts ------------------------------------------------------------------------------------------------


@ON_SQLITE
def test_head_is_answered_as_get_without_a_body_but_opens_no_link(serve: Serve) -> None:
    client = serve()
    for path in ("/v1/narratives", "/", "/v1/shift?format=csv", "/static/style.css"):
        head, got = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    assert [client.head(path).status_code for path in ("/open?code=x", "/v1/events")] == [405, 405]


@ON_SQLITE
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/feeds", "DELETE, GET, POST"),
        ("OPTIONS", "/v1/articles/1", "DELETE, GET"),
        ("DELETE", "/v1/reviews/export", "GET"),
        ("POST", "/v1/narratives", "GET"),
    ],
)
def test_another_method_is_refused_with_those_there_are(serve: Serve, method: str, path: str, allowed: str) -> None:
    refused = serve().request(method, path, headers={"Content-Length": "0"})
    assert (refused.status_code, refused.json()["error"]) == (405, "method_not_allowed")
    assert refused.headers["allow"] == allowed
    assert set(refused.json()) == {"error", "detail"}


@ON_SQLITE
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.2:8000", 200),
        ("[::1]:8000", 200),
        ("localhost", 200),
        ("127.0.0.1.evil.example", 400),
        ("8.8.8.8", 400),
    ],
)
def test_every_address_of_this_machine_alone_is_ours(serve: Serve, host: str, status: int) -> None:
    answer = serve().get("/v1/narratives", headers={"Host": host})
    assert answer.status_code == status
    assert "cache-control" in answer.headers or status == 400


@ON_SQLITE
def test_openmetrics_is_named_so(serve: Serve) -> None:
    answer = serve().get("/metrics", headers={"Accept": f"{OPEN_METRICS}; version=1.0.0"})
    assert answer.headers["content-type"].startswith(OPEN_METRICS)
    assert answer.text.endswith("# EOF\n")
