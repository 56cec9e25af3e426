"""Reviewing from a browser: a link opens a session once, and nobody else's page can use it."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends
from fastapi.testclient import TestClient
from test_api_writing import Clock

from api.app import create_app
from api.security import COOKIE, CSRF_HEADER, reviewer
from models.database import Database
from models.keys import Scope
from services.keys import create_key, create_link, list_keys, list_sessions, revoke_key

ME = "/v1/session"
OURS = "/probe"


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def browser(database: Database, clock: Clock) -> Iterator[TestClient]:
    """A browser without a session; beside our routes there is one that a reviewer may use."""
    app = create_app(database, clock=clock)

    @app.api_route(OURS, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def probe(name: Annotated[str, Depends(reviewer)]) -> str:
        return name

    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as found:
        yield found


@pytest.fixture
def anna(database: Database, browser: TestClient, clock: Clock) -> TestClient:
    """The browser once anna has opened her link."""
    assert browser.get(link(database, "anna", clock.now)).status_code == 200
    return browser


def link(database: Database, name: str, now: datetime) -> str:
    with database.write() as session:
        return f"/open?code={create_link(session, name, now=now)}"


def bearer(database: Database, name: str, scope: Scope, now: datetime) -> dict[str, str]:
    with database.write() as session:
        return {"Authorization": f"Bearer {create_key(session, name, scope=scope, now=now)}"}


def csrf(browser: TestClient) -> dict[str, str]:
    return {CSRF_HEADER: browser.get(ME).json()["csrf"]}


def last_used_at(database: Database, now: datetime) -> datetime | None:
    with database.read() as session:
        return list_sessions(session, now=now)[0].last_used_at


# -- the link ---------------------------------------------------------------------------------------------------------


def test_a_link_opens_a_session_and_leads_to_the_reviews(
    database: Database, browser: TestClient, now: datetime
) -> None:
    answer = browser.get(link(database, "anna", now))
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/review">' in answer.text
    assert '<a href="/review">' in answer.text
    assert "<script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    parts = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert parts == {"httponly", "samesite=strict", "path=/", "max-age=2592000"}
    told = browser.get(ME)
    assert told.json() == {
        "reviewer": "anna",
        "record": told.json()["record"],
        "csrf": told.json()["csrf"],
        "scope": "review",
    }
    assert re.fullmatch("[0-9a-f]{64}", told.json()["csrf"])
    assert told.headers["cache-control"] == "no-store"


def test_over_https_the_cookie_never_travels_in_clear(database: Database, browser: TestClient, now: datetime) -> None:
    answer = browser.get(f"https://localhost{link(database, 'anna', now)}")
    assert "Secure" in answer.headers["set-cookie"]


def test_a_link_opens_once(database: Database, browser: TestClient, now: datetime) -> None:
    path = link(database, "anna", now)
    assert browser.get(path).status_code == 200
    browser.cookies.clear()
    again = browser.get(path)
    assert_refused(again.status_code, again.text, "This link was used already")
    assert "set-cookie" not in again.headers
    assert browser.get(ME).status_code == 401


def test_a_link_opens_within_a_day(database: Database, browser: TestClient, clock: Clock) -> None:
    path = link(database, "anna", clock.now)
    clock.now += timedelta(hours=24)
    answer = browser.get(path)
    assert_refused(answer.status_code, answer.text, "This link is too old")


def test_a_revoked_link_opens_nothing(database: Database, browser: TestClient, clock: Clock) -> None:
    path = link(database, "anna", clock.now)
    with database.write() as session:
        revoke_key(session, "anna", now=clock.now)
    answer = browser.get(path)
    assert_refused(answer.status_code, answer.text, "This link was revoked")


@pytest.mark.parametrize("query", ["", "?code=", "?code=abc", "?code=%3Cscript%3E", "?code=é", "?code=%FF"])
def test_a_link_that_was_never_made_opens_nothing(browser: TestClient, query: str) -> None:
    answer = browser.get(f"/open{query}")
    assert_refused(answer.status_code, answer.text, "There is no such link")
    assert "<script" not in answer.text


def assert_refused(status: int, page: str, told: str) -> None:
    assert status == 401
    assert told in page
    assert "<code>storyshift keys link NAME</code>" in page
    assert "http-equiv" not in page


def test_nothing_secret_lies_in_the_database_s_files(
    sqlite_url: str, clock: Clock, tmp_path: Path, now: datetime
) -> None:
    database = Database(sqlite_url)
    path = link(database, "anna", now)
    with TestClient(create_app(database, clock=clock), base_url="http://localhost") as browser:
        browser.get(path)
        secret, token = browser.cookies[COOKIE], browser.get(ME).json()["csrf"]
    files = b"".join(file.read_bytes() for file in tmp_path.glob("storyshift.db*"))
    database.close()
    assert b"anna" in files
    for told in (path.rpartition("=")[2], secret, token):
        assert told.encode() not in files


# -- who reviews ------------------------------------------------------------------------------------------------------


def test_nobody_reviews_without_a_key_or_a_session(browser: TestClient) -> None:
    for method, path in (("GET", ME), ("DELETE", ME), ("GET", OURS), ("POST", OURS)):
        answer = browser.request(method, path, headers={"Content-Length": "0"})
        assert (answer.status_code, answer.json()["error"]) == (401, "not_allowed")
        assert "`storyshift keys link NAME`" in answer.json()["detail"]
    browser.cookies.set(COOKIE, "guessed")
    assert "has ended, or is not known here" in browser.get(ME).json()["detail"]


@pytest.mark.parametrize("scope", ["review", "admin"])
def test_a_key_of_either_scope_reviews_without_more(
    database: Database, browser: TestClient, now: datetime, scope: Scope
) -> None:
    headers = bearer(database, "desk", scope, now)
    told = browser.get(ME, headers=headers).json()
    assert {name: told[name] for name in ("reviewer", "csrf", "scope")} == {
        "reviewer": "desk",
        "csrf": None,
        "scope": scope,
    }
    assert browser.post(OURS, headers=headers).json() == "desk"
    with database.read() as session:
        assert list_keys(session)[0].last_used_at == now


def test_a_key_goes_before_the_session_and_a_dead_one_is_not_passed_over(
    database: Database, anna: TestClient, now: datetime
) -> None:
    assert anna.get(OURS, headers=bearer(database, "desk", "admin", now)).json() == "desk"
    assert anna.get(OURS, headers={"Authorization": "Bearer ss_wrong"}).status_code == 401
    assert anna.get(OURS, headers={"Authorization": "Basic bGFwdG9wOnNz"}).json() == "anna"  # a proxy's own


def test_a_session_ends_when_its_name_is_revoked_and_when_it_is_thirty_days_old(
    database: Database, anna: TestClient, clock: Clock
) -> None:
    clock.now += timedelta(days=30) - timedelta(seconds=1)
    assert anna.get(OURS).json() == "anna"
    with database.write() as session:
        revoke_key(session, "anna", now=clock.now)
    assert anna.get(OURS).status_code == 401
    anna.get(link(database, "anna", clock.now))
    assert anna.get(OURS).json() == "anna"
    clock.now += timedelta(days=30)
    assert anna.get(OURS).status_code == 401


def test_whoever_signs_out_is_out_and_the_cookie_is_gone(database: Database, anna: TestClient, now: datetime) -> None:
    secret = anna.cookies[COOKIE]
    assert anna.delete(ME).status_code == 403
    gone = anna.delete(ME, headers=csrf(anna))
    assert (gone.status_code, gone.content) == (204, b"")
    assert "Max-Age=0" in gone.headers["set-cookie"]
    assert COOKIE not in anna.cookies
    anna.cookies.set(COOKIE, secret)
    assert anna.get(ME).status_code == 401
    with database.read() as session:
        assert list_sessions(session, now=now)[0].revoked_at == now


def test_a_key_has_no_session_to_end(database: Database, browser: TestClient, now: datetime) -> None:
    answer = browser.delete(ME, headers=bearer(database, "desk", "review", now))
    assert answer.status_code == 404
    assert "`storyshift keys revoke desk` ends the key" in answer.json()["detail"]


def test_a_session_s_last_use_is_noted_to_the_minute(database: Database, anna: TestClient, clock: Clock) -> None:
    began = clock.now
    assert last_used_at(database, began) is None
    seen = []
    for second in (0, 59, 60, 61):
        clock.now = began + timedelta(seconds=second)
        anna.get(OURS)
        seen.append(last_used_at(database, began))
    assert seen == [began, began, began + timedelta(seconds=60), began + timedelta(seconds=60)]


# -- whose page asked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_changes_something_needs_what_only_our_page_can_read(
    database: Database, anna: TestClient, now: datetime, method: str
) -> None:
    good = csrf(anna)[CSRF_HEADER]
    assert anna.request(method, OURS, headers={CSRF_HEADER: good, "Content-Length": "0"}).json() == "anna"
    for wrong in (None, "", good[:-1], good.upper() + "x", anna.cookies[COOKIE], "é"):
        headers = {} if wrong is None else {CSRF_HEADER.encode(): wrong.encode("latin-1")}
        answer = anna.request(method, OURS, headers=headers | {b"Content-Length": b"0"})
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
        assert f"needs the header {CSRF_HEADER} with the `csrf` of GET /v1/session" in answer.json()["detail"]


def test_the_token_of_another_session_does_not_fit(database: Database, anna: TestClient, now: datetime) -> None:
    hers = csrf(anna)
    anna.get(link(database, "bert", now))
    assert anna.post(OURS, headers=hers).status_code == 403
    assert anna.post(OURS, headers=csrf(anna)).json() == "bert"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost:9999", "http://localhost.evil.example", "null", "", "http://["]
)
def test_a_page_of_another_origin_changes_nothing(anna: TestClient, origin: str) -> None:
    answer = anna.post(OURS, headers=csrf(anna) | {"Origin": origin})
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert "only pages of localhost may change something" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost", "localhost"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("https://localhost", "LOCALHOST"),  # a proxy with TLS in front
    ],
)
def test_our_own_page_changes_what_it_may(anna: TestClient, origin: str, host: str) -> None:
    headers = csrf(anna) | {"Origin": origin, "Host": host, "Cookie": f"{COOKIE}={anna.cookies[COOKIE]}"}
    assert anna.post(OURS, headers=headers).json() == "anna"


def test_reading_needs_the_cookie_only_and_no_other_origin_gets_leave_to_read(anna: TestClient) -> None:
    answer = anna.get(ME, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_forged_request_is_no_use_of_the_session(database: Database, anna: TestClient, now: datetime) -> None:
    assert anna.post(OURS).status_code == 403
    assert last_used_at(database, now) is None
