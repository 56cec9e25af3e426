import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import escape
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from record import fill
from sqlalchemy import text
from sqlmodel import select

from api.app import create_app
from api.errors import STATUS
from config import definitions
from models import errors
from models.database import Database
from models.derived import IntensityPoint, JoinedPoint, PricePoint, ShiftPoint, TonePoint, columns
from models.feeds import Feed, Fetch
from models.prices import FoundBar
from models.store.prices import add_bars

SERIES = {
    "/v1/intensity?narrative=liquidity": IntensityPoint,
    "/v1/shift": ShiftPoint,
    "/v1/tone?asset=XAU": TonePoint,
    "/v1/prices/BTC": PricePoint,
    "/v1/joined?asset=BTC": JoinedPoint,
}


def client_of(database: Database, now: datetime) -> TestClient:
    app = create_app(database, clock=lambda: now)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


@pytest.fixture
def client(database: Database, now: datetime) -> Iterator[TestClient]:
    fill(database, now, days=140)
    with client_of(database, now) as found:
        yield found


@pytest.fixture
def empty(database: Database, now: datetime) -> Iterator[TestClient]:
    with client_of(database, now) as found:
        yield found


def with_query(path: str, query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{query}"


def test_prior_rates_are_labelled_and_only_on_when_asked_for(database: Database, now: datetime) -> None:
    fill(database, now, days=30)
    with client_of(database, now) as client:
        young, started = (client.get(f"/v1/shift{query}").json() for query in ("", "?prior_rates=true"))
        assert {row["state"] for row in young["data"]} <= {"warming_up", "unknown"}
        assert young["meta"]["prior_rates"] is None
        assert {row["baseline"] for row in started["data"] if row["n_stories"]} == {"prior"}
        assert "archives" in started["meta"]["prior_rates"]
        assert all(row["index"] is not None for row in started["data"] if row["n_stories"])


def test_coverage_tells_each_feed_s_visits_and_health_tells_silence_from_failure(
    database: Database, now: datetime
) -> None:
    hour = timedelta(hours=1)
    with database.write() as session:
        for name, failures in (("Steady", 0), ("Silent", 0), ("Failing", 2), ("Young", 0)):
            url = f"https://{name}.example/feed"
            visited = None if name == "Young" else now
            session.add(
                Feed(url=url, outlet=name, added_at=now, next_fetch_at=now, last_fetched_at=visited, failures=failures)
            )
    with database.write() as session:
        ids = {feed.outlet: feed.id or 0 for feed in session.exec(select(Feed))}
        for n in range(1, 13 * 24):
            steady = Fetch(feed_id=ids["Steady"], at=now - n * hour, outcome="ok", entries_new=n % 4 == 0)
            silent = Fetch(feed_id=ids["Silent"], at=now - n * hour, outcome="ok", entries_new=n > 120)
            failing = Fetch(feed_id=ids["Failing"], at=now - n * hour, outcome="ok" if n > 2 else "failed")
            session.add_all([steady, silent, failing])
    with client_of(database, now) as client:
        health = {feed["outlet"]: feed["health"] for feed in client.get("/v1/feeds").json()["data"]}
        assert health == {"Steady": "fine", "Silent": "silent", "Failing": "failing", "Young": "new"}
        rows = client.get("/v1/coverage?start=2026-11-20&end=2026-11-22").json()["data"]
        last = {row["outlet"]: row for row in rows if row["bucket_start"] == "2026-11-21T00:00:00Z"}
        assert (last["Steady"]["attempts"], last["Steady"]["entries_new"]) == (12, 3)
        assert (last["Failing"]["attempts"], last["Failing"]["answered"], last["Failing"]["coverage"]) == (
            12,
            10,
            0.8333,
        )
        assert {name: row["status"] for name, row in last.items()} == {
            "Steady": "fine",
            "Silent": "silent",
            "Failing": "fine",
        }
        expected = ("entries_expected", "expected_low", "expected_high", "expected_days")
        assert [last["Steady"][name] for name in expected] == [3.0, 1, 6, 12]  # of the twelve hours of today
        assert client.get("/v1/coverage?start=2026-11-22&end=2026-11-20").status_code == 422


def test_prices_by_the_hour_are_kept_apart_from_the_days(database: Database, client: TestClient, now: datetime) -> None:
    hours = [FoundBar("BTC", now - timedelta(hours=h), 7.0) for h in range(3)]
    with database.write() as session:
        add_bars(session, "BTC", hours, source="t", now=now, interval="hour")
    assert [bar["close"] for bar in client.get("/v1/prices/BTC?bucket=hour").json()["data"]] == [7.0] * 3
    daily = client.get("/v1/prices/BTC").json()
    assert daily["meta"]["interval"] == "day"
    assert 7.0 not in [bar["close"] for bar in daily["data"]]
    listed = {(view["key"], view["interval"]): view for view in client.get("/v1/prices").json()["data"]}
    assert listed["BTC", "hour"]["n"] == 3
    assert listed["BTC", "day"]["n"] == daily["meta"]["n"]
    assert listed["BTC", "day"]["source"] == "ccxt:BTC/USD"


@pytest.mark.parametrize(("path", "row_type"), SERIES.items())
def test_every_series_is_the_same_rows_as_json_csv_and_parquet(
    client: TestClient, path: str, row_type: type[Any]
) -> None:
    json = client.get(path).json()
    assert set(json) == {"meta", "data"}
    assert list(json["data"][0]) == columns(row_type)
    csv = client.get(with_query(path, "format=csv"))
    assert csv.headers["content-type"].startswith("text/csv")
    lines = csv.text.splitlines()
    assert lines[0].split(",") == columns(row_type)
    assert len(lines) == len(json["data"]) + 1
    parquet = client.get(path, headers={"Accept": "application/vnd.apache.parquet"})
    frame = pd.read_parquet(io.BytesIO(parquet.content))
    assert list(frame.columns) == columns(row_type)
    assert len(frame) == len(json["data"])
    time = frame.columns[0]
    assert str(frame[time].dt.tz) == "UTC"


@pytest.mark.parametrize("path", SERIES)
def test_an_unchanged_series_is_not_sent_twice(client: TestClient, path: str) -> None:
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (
        client.get(with_query(path, "format=csv"), headers={"If-None-Match": first.headers["etag"]}).status_code == 200
    )


@pytest.mark.parametrize(
    ("path", "status", "error", "told"),
    [
        ("/v1/intensity?narrative=fear", 422, "unknown_name", "no narrative named 'fear'"),
        ("/v1/intensity?start=2020-05-01&end=2020-01-01", 422, "bad_range", "must be before end"),
        ("/v1/intensity?start=soon", 422, "bad_range", "start is 'soon'"),
        ("/v1/intensity?bucket=year", 422, "bad_input", "bucket"),
        ("/v1/intensity?bucket=hour&start=2019-01-01&end=2020-03-01", 422, "bad_range", "at most 92 days"),
        ("/v1/shift?bucket=hour", 422, "bad_range", "daily statistic"),
        ("/v1/shift?as_of=2030-01-01", 422, "bad_range", "future"),
        ("/v1/intensity?end=0001-01-01", 422, "bad_range", "years 1900 to 2200"),
        ("/v1/joined?start=9999-12-31", 422, "bad_range", "years 1900 to 2200"),
        ("/v1/shift?outlet=%00", 422, "bad_input", "NUL"),
        ("/v1/articles?cursor=MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCAx", 422, "bad_input", "cursor"),
        ("/v1/articles?cursor=MjAyMC0wMS0wMVQwMDowMDowMCswMDowMCAzMDAwMDAwMDAw", 422, "bad_input", "cursor"),
        ("/v1/shift?tagger=none@1", 422, "unknown_name", "no tagger"),
        ("/v1/joined?asset=DOGE", 422, "unknown_name", "no asset"),
        ("/v1/prices/DOGE", 422, "unknown_name", "no asset"),
        ("/v1/articles?limit=0", 422, "bad_input", "from 1 to 200"),
        ("/v1/articles?cursor=abc", 422, "bad_input", "cursor"),
        ("/v1/articles?asset=DOGE", 422, "unknown_name", "no asset"),
        ("/v1/articles/999999", 404, "not_found", "no article 999999"),
        ("/v1/articles/0", 422, "bad_input", "article_id"),
        ("/nowhere", 404, "not_found", "/nowhere"),
    ],
)
def test_a_bad_question_gets_one_sentence_and_the_right_status(
    empty: TestClient, path: str, status: int, error: str, told: str
) -> None:
    answer = empty.get(path)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert told in answer.json()["detail"]
    assert set(answer.json()) == {"error", "detail"}


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/nosuch", "/articles/abc", "/story/<b>2020</b>"])
def test_a_browser_at_no_page_reads_one_that_says_so(empty: TestClient, path: str) -> None:
    answer = empty.get(path, headers=BROWSER)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert f"There is no page at {escape(path)}." in answer.text
    assert '<a href="/story">' in answer.text
    assert "<b>2020" not in answer.text
    assert "script-src" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/v1/nosuch", "/v1/articles/7", "/static/nosuch.js"])
def test_whoever_asks_for_data_gets_no_page(empty: TestClient, path: str) -> None:
    assert empty.get(path, headers=BROWSER).json()["error"] == "not_found"
    assert empty.get("/nosuch").json()["error"] == "not_found"


def test_every_error_of_ours_has_a_status() -> None:
    ours = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(any(parent in STATUS for parent in kind.__mro__) for kind in ours)


def test_a_narrative_asked_for_twice_is_answered_once(empty: TestClient) -> None:
    once, twice = (
        empty.get("/v1/intensity" + query).json()["data"]
        for query in ("?narrative=liquidity", "?narrative=liquidity&narrative=liquidity")
    )
    assert once == twice


def test_columns_of_nothing_keep_their_type_in_parquet(empty: TestClient) -> None:
    frame = pd.read_parquet(io.BytesIO(empty.get("/v1/joined?format=parquet").content))
    assert {str(frame[name].dtype) for name in ("index", "close", "return_next", "liquidity")} == {"float64"}
    assert str(frame["next_from"].dtype) == "datetime64[us, UTC]"


def test_a_wrong_method_is_refused(empty: TestClient) -> None:
    assert empty.post("/v1/shift").json()["error"] == "method_not_allowed"


def test_articles_lead_from_a_number_to_its_sentences(client: TestClient) -> None:
    query = "/v1/articles?start=2020-01-01&end=2020-02-01&narrative=safe_haven&narrative=debasement&limit=31"
    first = client.get(query).json()
    assert len(first["data"]) == 31
    rest = client.get(with_query(query, f"cursor={first['next_cursor']}")).json()
    ids = [article["id"] for article in first["data"] + rest["data"]]
    assert len(ids) == len(set(ids)) == 46 + 15  # haven stories 1, 2, 1, … and debasement on every second day
    assert rest["next_cursor"] is None
    article = first["data"][0]
    evidence = article["narratives"][0]["evidence"][0]
    assert article[evidence["field"]][evidence["start"] : evidence["end"]] == evidence["text"]
    whole = client.get(f"/v1/articles/{article['id']}").json()
    assert whole["article"] == article
    assert [wording["title"] for wording in whole["history"]] == [article["title"]]
    assert client.get(f"/v1/articles/{article['id']}?as_of=2020-01-02").status_code == 404


def test_definitions_and_health_tell_what_there_is(client: TestClient) -> None:
    narratives = client.get("/v1/narratives").json()["data"]
    assert [item["narrative"] for item in narratives] == list(definitions.narratives())
    bitcoin = next(item for item in client.get("/v1/assets").json()["data"] if item["asset"] == "BTC")
    assert (bitcoin["n_bars"], bitcoin["instrument"]) == (140, "BTC")
    assert client.get("/v1/health/live").json() == {"status": "alive"}
    assert client.get("/v1/health/ready").json() == {
        "articles": 25 * 140,
        "untagged": 0,
        "other_languages": 0,
        "fetches": 0,
    }
    assert client.get("/v1/feeds").json() == {"data": []}


def test_the_server_answers_only_under_its_own_name(empty: TestClient) -> None:
    for host in ("localhost", "127.0.0.1:8000", "[::1]:8000"):
        assert empty.get("/v1/health/live", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example:8000"):
        refused = empty.get("/v1/health/live", headers={"Host": host})
        assert (refused.status_code, refused.json()["error"]) == (400, "unknown_host")


def test_a_name_is_allowed_by_a_setting(database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORYSHIFT_ALLOWED_HOSTS", "shift.example, other.example")
    definitions.forget()
    with client_of(database, now) as client:
        assert client.get("/v1/health/live", headers={"Host": "Other.example:443"}).status_code == 200


def test_pages_ask_no_one_else_for_anything(empty: TestClient) -> None:
    pages = ("/", "/sources", "/story", "/docs")
    for path in (*pages, "/static/now.js", "/static/story.js", "/static/sources.js", "/static/style.css"):
        answer = empty.get(path)
        assert answer.status_code == 200
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "https://" not in answer.text.replace("https?:", "")
    assert empty.get("/vendor/plotly.min.js").status_code == 200
    assert empty.get("/swagger/swagger-ui-bundle.js").status_code == 200


def test_every_route_says_in_openapi_what_it_does(empty: TestClient) -> None:
    paths = empty.get("/openapi.json").json()["paths"]
    wanted = {
        "/v1/narratives",
        "/v1/assets",
        "/v1/intensity",
        "/v1/shift",
        "/v1/prices",
        "/v1/prices/{asset}",
        "/v1/joined",
        "/v1/tone",
        "/v1/lead-lag",
        "/v1/event-study",
        "/v1/event-study/events",
        "/v1/triggers",
    }
    wanted |= {
        "/v1/annotations",
        "/v1/coverage",
        "/v1/shift/events",
        "/v1/shift/why",
        "/v1/shift/history",
        "/v1/articles",
        "/v1/articles/{article_id}",
        "/v1/stories/{story_id}",
        "/v1/feeds",
        "/v1/events",
        "/v1/events/log",
        "/v1/webhooks",
        "/v1/webhooks/{webhook_id}",
        "/v1/webhooks/{webhook_id}/deliveries",
        "/v1/webhooks/{webhook_id}/test",
        "/metrics",
        "/v1/health/live",
        "/v1/health/ready",
        "/v1/session",
        "/v1/review/queue",
        "/v1/reviews",
        "/v1/reviews/{review_id}",
        "/v1/reviews/export",
        "/v1/reviews/import",
        "/v1/review/progress",
        "/v1/quality",
        "/v1/quality/calibration",
        "/v1/quality/confusions",
        "/v1/quality/agreement",
    }
    assert set(paths) == wanted
    assert all(route["description"] for routes in paths.values() for route in routes.values())


def test_a_database_that_does_not_answer_is_a_503_and_not_a_crash(now: datetime) -> None:
    away = Database("postgresql://127.0.0.1:1/none")
    with client_of(away, now) as client:
        answer = client.get("/v1/health/ready")
        assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")
        assert client.get("/v1/health/live").status_code == 200


def test_an_unexpected_error_is_one_sentence_without_a_secret(database: Database, now: datetime) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("alter table price_bars rename column close to closing"))
    try:
        with client_of(database, now) as client:
            answer = client.get("/v1/prices/BTC")
        assert answer.status_code in (500, 503)
        assert set(answer.json()) == {"error", "detail"}
        assert "select" not in answer.json()["detail"].lower()
    finally:
        with database.engine.begin() as connection:
            connection.execute(text("alter table price_bars rename column closing to close"))
