"""Writing over HTTP: only with a key, and what it does to the record."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes import FeedServer, Page, rss
from fastapi.testclient import TestClient
from record import fill, tag
from sqlalchemy import text

from api.app import create_app
from api.security import COOKIE, CSRF_HEADER
from config.definitions import FeedDefinition
from jobs.collect import collect
from models.database import Database
from services.keys import create_key, create_link, list_keys, open_session, revoke_key
from services.sources import seed_feeds

FEED = "https://example.org/feed"
WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("DELETE", "/v1/articles/1", {}),
    ("POST", "/v1/feeds", {"json": {"url": FEED}}),
    ("DELETE", f"/v1/feeds?url={FEED}", {}),
    ("POST", "/v1/webhooks", {"json": {"url": FEED}}),
    ("PATCH", "/v1/webhooks/1", {"json": {"active": False}}),
]


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def key(database: Database, now: datetime) -> str:
    with database.write() as session:
        return create_key(session, "laptop", now=now)


@pytest.fixture
def anyone(database: Database, clock: Clock) -> Iterator[TestClient]:
    """Someone without a key."""
    app = create_app(database, clock=clock)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as found:
        yield found


@pytest.fixture
def writer(anyone: TestClient, key: str) -> TestClient:
    """Someone with a key."""
    anyone.headers["Authorization"] = f"Bearer {key}"
    return anyone


def feeds(client: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/v1/feeds").json()["data"]
    return found


def last_used_at(database: Database) -> datetime | None:
    with database.read() as session:
        return list_keys(session)[0].last_used_at


def everything(client: TestClient) -> list[Any]:
    """All that is counted in the two months that the tests write about."""
    questions = ("/v1/intensity?", "/v1/intensity?weighting=article&", "/v1/shift?", "/v1/joined?asset=BTC&")
    months = ("start=2020-01-01&end=2020-02-01", "start=2026-11-01&end=2026-12-01")
    return [client.get(question + month).json()["data"] for question in questions for month in months]


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
@pytest.mark.parametrize(
    ("header", "told"),
    [
        (None, "Writing needs a key. `storyshift keys create NAME` prints one"),
        ("Bearer ", "Writing needs a key"),
        ("Basic bGFwdG9wOnNz", "Writing needs a key"),
        ("Bearer ss_wrong", "There is no living key with this secret"),
        ("Bearer sé", "There is no living key with this secret"),
    ],
)
def test_nothing_is_written_without_a_living_key(
    database: Database, anyone: TestClient, key: str, method: str, path: str, body: Any, header: str | None, told: str
) -> None:
    headers = {"Authorization": header.encode("latin-1")} if header is not None else {}
    answer = anyone.request(method, path, headers=headers, **body)
    assert (answer.status_code, answer.json()["error"]) == (401, "not_allowed")
    assert told in answer.json()["detail"]
    assert answer.headers["www-authenticate"] == "Bearer"
    assert feeds(anyone) == []
    assert last_used_at(database) is None


def test_a_revoked_key_writes_nothing_any_more(database: Database, writer: TestClient, clock: Clock) -> None:
    assert writer.post("/v1/feeds", json={"url": FEED}).status_code == 201
    with database.write() as session:
        revoke_key(session, "laptop", now=clock.now)
    assert writer.delete(f"/v1/feeds?url={FEED}").status_code == 401
    assert [feed["url"] for feed in feeds(writer)] == [FEED]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_page_of_another_origin_gets_no_leave_to_write(anyone: TestClient, method: str, path: str, body: Any) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": method}
    asked["Access-Control-Request-Headers"] = "authorization"
    assert not [name for name in anyone.options(path, headers=asked).headers if name.startswith("access-control")]
    assert anyone.request(method, path, headers={"Origin": "https://evil.example"}, **body).status_code == 401


def test_reading_needs_no_key_and_notes_none(database: Database, writer: TestClient) -> None:
    assert feeds(writer) == []
    assert last_used_at(database) is None
    del writer.headers["Authorization"]
    assert writer.get("/v1/articles").status_code == 200


def test_a_key_s_last_use_is_noted_to_the_minute(database: Database, writer: TestClient, clock: Clock) -> None:
    began = clock.now
    seen = []
    for second in (0, 59, 60, 61):
        clock.now = began + timedelta(seconds=second)
        writer.post("/v1/feeds", json={"url": FEED})
        seen.append(last_used_at(database))
    assert seen == [began, began, began + timedelta(seconds=60), began + timedelta(seconds=60)]


def test_a_key_for_reviews_writes_nothing_else(database: Database, anyone: TestClient, now: datetime) -> None:
    with database.write() as session:
        secret = create_key(session, "phone", scope="review", now=now)
    for method, path, body in WRITES:
        answer = anyone.request(method, path, headers={"Authorization": f"Bearer {secret}"}, **body)
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
        assert "The key phone may only review." in answer.json()["detail"]
        assert "`storyshift keys create NAME --scope admin`" in answer.json()["detail"]
    assert feeds(anyone) == []


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_browser_s_session_writes_nothing_but_reviews(
    database: Database, anyone: TestClient, now: datetime, method: str, path: str, body: Any
) -> None:
    with database.write() as session:
        secret = open_session(session, create_link(session, "anna", now=now), now=now)
    anyone.cookies.set(COOKIE, secret)
    headers = {CSRF_HEADER: anyone.get("/v1/session").json()["csrf"]}
    answer = anyone.request(method, path, headers=headers, **body)
    assert (answer.status_code, answer.json()["error"]) == (401, "not_allowed")
    assert feeds(anyone) == []


def test_openapi_asks_for_a_key_where_something_is_written_and_nowhere_else(anyone: TestClient) -> None:
    """For what is the reviewer's own, a browser's session does as well."""
    document = anyone.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    (name, scheme), (session, cookie) = schemes.items()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert (cookie["type"], cookie["in"], cookie["name"]) == ("apiKey", "cookie", COOKIE)
    asks = {
        (method, path): route.get("security")
        for path, routes in document["paths"].items()
        for method, route in routes.items()
    }
    writes = {("delete", "/v1/articles/{article_id}"), ("post", "/v1/feeds"), ("delete", "/v1/feeds")}
    writes.add(("post", "/v1/reviews/import"))  # it speaks in other people's names
    webhook = "/v1/webhooks/{webhook_id}"
    writes |= {("post", "/v1/webhooks"), ("post", f"{webhook}/test"), ("patch", webhook), ("delete", webhook)}
    reads = {("get", "/v1/webhooks"), ("get", webhook), ("get", f"{webhook}/deliveries")}  # addresses are secrets
    own = {at for at, security in asks.items() if security == [{name: []}, {session: []}]}
    assert {("get", "/v1/session"), ("delete", "/v1/session")} <= own
    assert {at for at in asks if at[0] != "get"} - own == writes
    assert {at for at, security in asks.items() if security == [{name: []}]} == writes | reads
    assert {at for at, security in asks.items() if security} == writes | reads | own
    for method, path in writes | reads | own:
        assert "401" in document["paths"][path][method]["responses"]
        assert document["paths"][path][method]["description"]


# -- feeds ------------------------------------------------------------------------------------------------------------


def test_a_feed_is_added_once_removed_and_taken_back(database: Database, writer: TestClient, now: datetime) -> None:
    asked = {"url": " HTTPS://example.org/feed?a=1 ", "outlet": "The Wire", "kind": "macro", "language": "de"}
    first = writer.post("/v1/feeds", json=asked)
    assert first.status_code == 201
    told = {name: first.json()[name] for name in ("url", "outlet", "kind", "language", "health", "articles")}
    url = "https://example.org/feed?a=1"
    assert told == {"url": url, "outlet": "The Wire", "kind": "macro", "language": "de", "health": "new", "articles": 0}
    again = writer.post("/v1/feeds", json={"url": url, "outlet": "Another name"})
    assert (again.status_code, again.json()) == (200, first.json())
    assert feeds(writer) == [first.json()]
    gone = writer.delete("/v1/feeds", params={"url": url})
    assert (gone.status_code, gone.content) == (204, b"")
    assert feeds(writer) == []
    with database.write() as session:
        seed_feeds(session, [FeedDefinition(url=url, outlet="The Wire", kind="macro")], now=now)
    assert feeds(writer) == []
    assert writer.delete("/v1/feeds", params={"url": url}).status_code == 404
    assert writer.post("/v1/feeds", json={"url": url}).status_code == 201
    assert [feed["url"] for feed in feeds(writer)] == [url]


def test_an_outlet_is_named_after_its_host_when_nobody_says(writer: TestClient) -> None:
    answer = writer.post("/v1/feeds", json={"url": "https://www.example.org/feed"}).json()
    assert (answer["outlet"], answer["kind"], answer["language"]) == ("example.org", "general", "en")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "url: Field required"),
        ({"url": "example.org/feed"}, "must start with http:// or https://"),
        ({"url": "file:///etc/passwd"}, "must start with http:// or https://"),
        ({"url": "https://[::1/feed"}, "is not a feed's address"),
        ({"url": "https://me:secret@example.org/"}, "must not hold a user name or password"),
        ({"url": FEED + "\0"}, "is not a feed's address"),
        ({"url": FEED, "outlet": "\ud800"}, "printable"),
        ({"url": FEED, "kind": "gossip"}, "kind: Input should be 'general'"),
        ({"url": FEED, "kind": "replay"}, "kind: Input should be 'general'"),
        ({"url": FEED, "language": "English"}, "'English' is not a code like en or de"),
        ({"url": FEED, "lang": "en"}, "lang: Extra inputs are not permitted"),
        ({"url": FEED, "\ud800": "en"}, "body: Input should be a valid string"),
        ([], "body: Input should be a valid dictionary"),
        ("{", "body: JSON decode error"),
    ],
)
def test_what_is_no_feed_is_refused_with_one_sentence(writer: TestClient, body: Any, told: str) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    answer = writer.post("/v1/feeds", headers={"Content-Type": "application/json"}, content=content)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert set(answer.json()) == {"error", "detail"}
    assert feeds(writer) == []


def test_a_feed_that_is_not_there_cannot_be_removed(writer: TestClient) -> None:
    answer = writer.delete(f"/v1/feeds?url={FEED}")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert f"There is no feed {FEED}" in answer.json()["detail"]
    assert writer.delete("/v1/feeds").status_code == 422


# -- takedown ---------------------------------------------------------------------------------------------------------


def test_what_was_counted_stays_counted_when_articles_are_taken_down(
    database: Database, writer: TestClient, now: datetime
) -> None:
    fill(database, now, days=30)
    before = everything(writer)
    assert any(row["n_carrying"] for row in before[0])
    carrying = writer.get("/v1/articles?start=2020-01-01&narrative=safe_haven&narrative=debasement&limit=30").json()
    taken = [article["id"] for article in carrying["data"]]
    assert taken
    for article_id in (*taken, 1, 2, 3):
        assert writer.delete(f"/v1/articles/{article_id}").status_code == 204
    assert everything(writer) == before
    after = writer.get("/v1/articles?start=2020-01-01&narrative=safe_haven&narrative=debasement&limit=30").json()
    assert [article["id"] for article in after["data"]] == taken  # each number still leads to its articles
    assert {article["title"] for article in after["data"]} == {""}


def test_an_article_taken_down_says_when_and_nothing_else(database: Database, writer: TestClient, clock: Clock) -> None:
    began = clock.now
    with FeedServer({"a": Page(rss("safe_haven+ XAU: fear of the unheard", "liquidity+ : easing ahead"))}) as server:
        writer.post("/v1/feeds", json={"url": server.url("a"), "outlet": "The Wire"})
        collect(database, clock=clock, every=True)
        server.pages["a"] = Page(rss("safe_haven+ XAU: fear of the unheard, revised", "liquidity+ : easing ahead"))
        clock.now += timedelta(hours=1)
        collect(database, clock=clock, every=True)
        tag(database, clock.now)
        (article,) = writer.get("/v1/articles?narrative=safe_haven").json()["data"]
        path = f"/v1/articles/{article['id']}"
        whole = writer.get(path).json()
        assert (len(whole["history"]), article["removed_at"]) == (2, None)
        assert article["url"]
        before = everything(writer)
        assert any(row["n_carrying"] for row in before[1])

        clock.now += timedelta(hours=1)
        assert writer.delete(path).status_code == 204
        removed = writer.get(path).json()
        assert removed["article"]["removed_at"] == "2026-11-21T14:00:00Z"
        assert (removed["article"]["url"], removed["article"]["title"], removed["article"]["summary"]) == (None, "", "")
        assert removed["body"] == ""
        assert {(w["title"], w["summary"], w["body"]) for w in removed["history"]} == {("", "", "")}
        assert [(tag["narrative"], tag["evidence"]) for tag in removed["article"]["narratives"]] == [("safe_haven", [])]
        assert [(mention["asset"], mention["spans"]) for mention in removed["article"]["assets"]] == [("XAU", [])]
        assert writer.get(f"{path}?as_of={began.isoformat().replace('+00:00', 'Z')}").json()["article"]["title"] == ""
        for tables in ("articles", "revisions", "stories", "narrative_tags", "asset_mentions"):
            with database.read() as session:
                rows = session.connection().execute(text(f"select * from {tables}")).all()  # noqa: S608
            assert "unheard" not in str(rows)

        clock.now += timedelta(hours=1)
        assert writer.delete(path).status_code == 204
        for title in ("safe_haven+ XAU: fear of the unheard", "safe_haven+ XAU: fear of the unheard, again"):
            server.pages["a"] = Page(rss(title, "liquidity+ : easing ahead"))
            clock.now += timedelta(hours=1)
            report = collect(database, clock=clock, every=True)
            assert (report.fetched, report.new_articles, report.revised_articles) == (1, 0, 0)
        tag(database, clock.now)
    assert writer.get(path).json() == removed  # also what it says about when
    assert everything(writer) == before
    assert len(writer.get("/v1/articles").json()["data"]) == 2


def test_an_article_that_is_not_there_cannot_be_taken_down(writer: TestClient) -> None:
    answer = writer.delete("/v1/articles/7")
    assert (answer.status_code, answer.json()) == (404, {"error": "not_found", "detail": "There is no article 7."})
    assert writer.delete("/v1/articles/0").status_code == 422
    assert writer.delete(f"/v1/articles/{2**31}").status_code == 422


def test_a_body_beyond_the_limit_or_of_unknown_length_is_not_read(writer: TestClient) -> None:
    assert writer.post("/v1/feeds", content=b" " * 1_000_001).json()["error"] == "too_large"
    assert writer.post("/v1/feeds", content=iter([b"{}"])).status_code == 413
