"""/metrics, read as Prometheus reads it, and the alerts that are made of it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from conftest import REQUIRED
from fakes import found_article
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from models.database import Database
from models.events import Delivery, Event, Webhook
from models.feeds import Feed
from models.prices import FoundBar, FoundPoint, Watch
from models.store.articles import add_articles
from models.store.prices import add_bars, add_points

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
UNITS = ("_seconds", "_bytes", "_total", "_info", "_bucket", "_count", "_sum")
COUNTED = {"storyshift_up", "storyshift_articles", "storyshift_untagged_revisions", "storyshift_feeds"}
COUNTED |= {"storyshift_http_requests_in_flight", "storyshift_deliveries_waiting", "storyshift_set_aside_revisions"}
COUNTED |= {"storyshift_jobs", "storyshift_series_failing"}
LABELS = {"method", "route", "status", "le", "health", "asset", "interval", "series", "version", "state"}
OF_SQLITE = {"storyshift_disk_free_bytes"}
OF_POSTGRESQL = {"storyshift_jobs", "storyshift_worker_heartbeat_age_seconds"}
ROOT = Path(__file__).parent.parent
ALERTS = ROOT / "docs" / "alerts"


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
        session.add_all(
            Watch(kind="price", key=key, interval="day", next_at=now, failures=failures)
            for key, failures in (("BTC", 0), ("XAU", 2))
        )
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
    assert value(samples, "series_failing") == 1


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
            assert labels <= LABELS
    assert len({family.name for family in families}) == len(families)


def test_two_servers_in_one_process_count_apart(client: TestClient, database: Database, now: datetime) -> None:
    client.get("/v1/narratives")
    with TestClient(create_app(database, clock=lambda: now), base_url="http://localhost") as other:
        assert not [name for name, _ in scraped(other) if name.endswith("requests_total")]


# -- what it takes, and the work that is shared -----------------------------------------------------------------------


def test_the_size_of_the_database_is_told_and_of_a_file_what_is_free_beside_it(
    database: Database, client: TestClient, now: datetime
) -> None:
    before = scraped(client)
    with database.write() as session:
        texts = [Random(n).randbytes(2_000).hex() for n in range(500)]  # such that nothing can be packed
        found = [found_article(f"Gold {n}", now, body=text) for n, text in enumerate(texts)]
        add_articles(session, found, now=now)
    after = scraped(client)
    assert value(after, "database_bytes") - value(before, "database_bytes") > 500 * 2_000
    if database.is_sqlite:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
        file = Path(database.url.database or "")
        assert value(scraped(client), "database_bytes") == file.stat().st_size
        assert 0 < value(after, "disk_free_bytes") <= shutil.disk_usage(file.parent).total
    else:
        assert ("storyshift_disk_free_bytes", frozenset()) not in after  # it is another machine's


@contextmanager
def shared_work(database: Database, now: datetime) -> Iterator[None]:
    """On PostgreSQL a job that failed, two that wait, and a worker that was heard 20 seconds ago."""
    if database.is_sqlite:
        yield
        return
    with database.engine.begin() as connection:
        for state in ("failed", "todo", "todo"):
            add = "insert into procrastinate_jobs (queue_name, task_name, status) values ('q', 't', %s)"
            connection.exec_driver_sql(add, (state,))
        heard = now - timedelta(seconds=20)
        connection.exec_driver_sql("insert into procrastinate_workers (last_heartbeat) values (%s)", (heard,))
    try:
        yield
    finally:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("delete from procrastinate_jobs")
            connection.exec_driver_sql("delete from procrastinate_workers")


def test_jobs_that_workers_share_are_told_by_state_and_the_last_sign_of_life(
    database: Database, client: TestClient, now: datetime
) -> None:
    with shared_work(database, now):
        samples = scraped(client)
    if database.is_sqlite:
        assert not [name for name, _ in samples if name in OF_POSTGRESQL]
        return
    told = {state: value(samples, "jobs", state=state) for state in ("todo", "doing", "failed", "succeeded")}
    assert told == {"todo": 2, "doing": 0, "failed": 1, "succeeded": 0}
    assert value(samples, "worker_heartbeat_age_seconds") == 20
    assert ("storyshift_worker_heartbeat_age_seconds", frozenset()) not in scraped(client)


# -- alerts -----------------------------------------------------------------------------------------------------------


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((ALERTS / "storyshift.rules.yml").read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_every_metric_that_an_alert_is_made_of_is_told(database: Database, client: TestClient, now: datetime) -> None:
    used = {name for rule in rules() for name in re.findall(r"storyshift_[a-z_]+", rule["expr"])}
    client.get("/v1/narratives")
    with database.write() as session:
        add_bars(session, "BTC", [FoundBar("BTC", now, 90_000.0)], source="record", now=now)
        session.add(Feed(url="https://a/", outlet="A", added_at=now, last_fetched_at=now, next_fetch_at=now))
    with shared_work(database, now):
        told = {name for name, _ in scraped(client)}
    assert used - told == (OF_POSTGRESQL if database.is_sqlite else OF_SQLITE)


def test_each_alert_says_what_it_is_and_what_to_do_and_stands_in_the_documents() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "description"} == set(rule["annotations"])
        assert f"`{rule['alert']}`" in page
    assert set(re.findall(r"`(Storyshift[A-Z]\w+)`", page)) == {rule["alert"] for rule in rules()}


def test_every_metric_stands_in_the_documents(database: Database, client: TestClient, now: datetime) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    with shared_work(database, now):
        told = {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}
    documented = {name.removesuffix("_total") for name in re.findall(r"`(storyshift_\w+)", page)}
    assert {name for name in told if name.startswith("storyshift_")} <= documented


def promtool(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    found = shutil.which("promtool")
    if found is None:
        if "promtool" in REQUIRED:
            pytest.fail("promtool is not here: apt-get install prometheus")
        pytest.skip("promtool is not here")
    return subprocess.run([found, *words], cwd=folder, text=True, capture_output=True, check=False)


def test_prometheus_takes_the_alerts() -> None:
    checked = promtool("check", "rules", "storyshift.rules.yml", folder=ALERTS)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules())} rules found" in checked.stdout


def test_each_alert_is_raised_when_it_should_be_and_not_otherwise() -> None:
    told = promtool("test", "rules", "storyshift.test.yml", folder=ALERTS)
    assert told.returncode == 0, told.stdout + told.stderr
    text = (ALERTS / "storyshift.test.yml").read_text(encoding="utf-8")
    for rule in rules():
        assert f'alertname="{rule["alert"]}",alertstate="firing"' in text
        assert f"alertname: {rule['alert']}, exp_alerts: []" in text


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules()])
def test_the_test_of_an_alert_notices_when_it_is_missing(alert: str, tmp_path: Path) -> None:
    shutil.copy(ALERTS / "storyshift.test.yml", tmp_path)
    left = [rule for rule in rules() if rule["alert"] != alert]
    (tmp_path / "storyshift.rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "storyshift", "rules": left}]}))
    told = promtool("test", "rules", "storyshift.test.yml", folder=tmp_path)
    assert told.returncode == 1
    assert alert in told.stdout + told.stderr
