"""/metrics, read as Prometheus reads it."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from fakes import found_article
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from models.database import Database
from models.events import Delivery, Event, Webhook
from models.feeds import Feed
from models.prices import FoundBar, FoundPoint
from models.store.articles import add_articles
from models.store.prices import add_bars, add_points

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
UNITS = ("_seconds", "_bytes", "_total", "_info", "_bucket", "_count", "_sum")
COUNTED = {"storyshift_up", "storyshift_articles", "storyshift_untagged_revisions", "storyshift_feeds"}
COUNTED |= {"storyshift_http_requests_in_flight", "storyshift_deliveries_waiting"}


@pytest.fixture
def client(database: Database, now: datetime) -> Iterator[TestClient]:
    app = create_app(database, clock=lambda: now)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as found:
        yield found


def scraped(client: TestClient) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"storyshift_{name}", frozenset(labels.items())]


def test_the_record_is_told_as_it_is(database: Database, client: TestClient, now: datetime) -> None:
    hours = timedelta(hours=1)
    with database.write() as session:
        add_articles(session, [found_article(f"Gold {n}", now - 3 * hours) for n in range(2)], now=now)
        add_bars(session, "BTC", [FoundBar("BTC", now - 5 * hours, 90_000.0)], source="record", now=now)
        points = [FoundPoint("DFII10", now.date(), 2.0, now - 7 * hours)]
        add_points(session, "DFII10", points, source="record", now=now)
        for n, failures in enumerate((0, 3)):
            at = now - (n + 1) * hours
            session.add(
                Feed(
                    url=f"https://example.org/{n}",
                    outlet="The Wire",
                    added_at=at,
                    last_fetched_at=at,
                    next_fetch_at=now,
                    failures=failures,
                )
            )
        words = {"title": "t", "sentence": "s", "link": "/", "happened_at": now, "detected_at": now, "recorded_at": now}
        session.add(Event(id=1, kind="shift", key="k", **words))
        session.add(Webhook(id=1, kind="json", url="https://example.org/hook", created_at=now))
        session.flush()
        session.add(Delivery(webhook_id=1, event_id=1, next_attempt_at=now))
    samples = scraped(client)
    assert value(samples, "up") == 1
    assert value(samples, "articles") == 2
    assert value(samples, "untagged_revisions") == 2
    assert [value(samples, "feeds", health=name) for name in ("fine", "failing", "silent")] == [1, 1, 0]
    assert value(samples, "last_fetch_age_seconds") == 3_600
    assert value(samples, "last_article_age_seconds") == 3 * 3_600
    assert value(samples, "price_age_seconds", asset="BTC", interval="day") == 5 * 3_600
    assert value(samples, "macro_age_seconds", series="DFII10") == 7 * 3_600
    assert value(samples, "deliveries_waiting") == 1


def test_what_there_is_none_of_has_no_age(client: TestClient) -> None:
    samples = scraped(client)
    assert value(samples, "articles") == 0
    assert not [name for name, _ in samples if "_age_" in name]


def test_requests_are_counted_by_the_template_of_their_path(client: TestClient) -> None:
    for path in ("/v1/articles/1", "/v1/articles/2", "/v1/narratives", "/nowhere/1", "/nowhere/2", "/static/style.css"):
        client.get(path)
    client.request("BREW", "/v1/narratives")
    client.get("/v1/narratives", headers={"Host": "evil.example"})
    samples = scraped(client)
    counted = {
        tuple(sorted(labels)): count for (name, labels), count in samples.items() if name.endswith("requests_total")
    }
    assert counted == {
        (("method", "GET"), ("route", "/v1/articles/{article_id}"), ("status", "404")): 2,
        (("method", "GET"), ("route", "/v1/narratives"), ("status", "200")): 1,
        (("method", "GET"), ("route", "none"), ("status", "404")): 2,
        (("method", "GET"), ("route", "/static"), ("status", "200")): 1,
        (("method", "GET"), ("route", "none"), ("status", "400")): 1,
        (("method", "other"), ("route", "/v1/narratives"), ("status", "405")): 1,
    }
    assert value(samples, "http_request_duration_seconds_count", method="GET", route="/v1/articles/{article_id}") == 2
    assert value(samples, "http_requests_in_flight") == 1  # the scrape itself


def test_what_breaks_is_counted_as_500(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.catalog.narratives", lambda: 1 / 0)
    assert client.get("/v1/narratives").status_code == 500
    assert value(scraped(client), "http_requests_total", method="GET", route="/v1/narratives", status="500") == 1


def test_without_a_database_it_still_answers_and_says_so(now: datetime) -> None:
    gone = Database("postgresql://127.0.0.1:1/nothing")
    with TestClient(create_app(gone, clock=lambda: now), base_url="http://localhost") as client:
        samples = scraped(client)
    assert value(samples, "up") == 0
    assert not [name for name, _ in samples if name == "storyshift_articles"]


def test_names_follow_the_conventions_and_no_label_is_without_bounds(client: TestClient) -> None:
    """Base units, a total for what only grows, help for each, no name that repeats its type."""
    families = list(text_string_to_metric_families(client.get("/metrics").text))
    for family in families:
        assert family.documentation, family.name
        assert re.fullmatch(r"(storyshift|process|python)_[a-z_]+", family.name)
        assert not family.name.endswith(("_counter", "_gauge", "_histogram", "_milliseconds"))
        for sample in family.samples:
            if sample.name.startswith("storyshift_"):
                assert sample.name in COUNTED or sample.name.endswith((*UNITS, "_created")), sample.name
            labels = set(sample.labels)
            assert labels <= {"method", "route", "status", "le", "health", "asset", "interval", "series", "version"}
    assert len({family.name for family in families}) == len(families)


def test_two_servers_in_one_process_count_apart(client: TestClient, database: Database, now: datetime) -> None:
    client.get("/v1/narratives")
    with TestClient(create_app(database, clock=lambda: now), base_url="http://localhost") as other:
        assert not [name for name, _ in scraped(other) if name.endswith("requests_total")]
