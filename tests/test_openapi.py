"""/openapi.json: every example in it is sent as it stands, and what comes back is what the document says."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from conftest import NOW
from fakes import found_article
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from record import fill
from sqlalchemy import text

from api.app import create_app
from api.security import COOKIE, CSRF_HEADER
from models.database import Database
from models.store.articles import add_articles
from services.keys import create_key, create_link, open_session

ORDER = ("post", "get", "patch", "delete")
"""What is made first can be asked for, changed and deleted."""
BESIDE_NOTHING = {"/v1/event-study": ("event", "date")}
"""Of these each is asked without the others."""
Operation = dict[str, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A filled store, served to someone with a key for all."""
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('openapi') / 'storyshift.db'}")
    fill(database, NOW, days=230)
    with database.write() as session:
        key = create_key(session, "laptop", now=NOW)
        add_articles(session, [found_article("Gold rises", datetime(2020, 3, 9, tzinfo=UTC))], now=NOW)
        for table in ("articles", "story_rollups", "breadth_rollups", "tone_rollups"):
            session.connection().execute(text(f"update {table} set outlet = 'The Wire' where outlet = 'A'"))  # noqa: S608
    app = create_app(database, clock=lambda: NOW)
    app.state.live.close()  # as when a server stops: a stream of events ends at once
    with (
        pytest.MonkeyPatch.context() as patched,
        TestClient(app, base_url="http://localhost", headers={"Authorization": f"Bearer {key}"}) as client,
    ):
        patched.setattr("ingest.posting.socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("127.0.0.1", 443))])
        yield client
    database.close()


@pytest.fixture(scope="module")
def document(served: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = served.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, Operation]]:
    found = [(method, path, said) for path, of in document["paths"].items() for method, said in of.items()]
    return sorted(found, key=lambda operation: (ORDER.index(operation[0]), operation[1] == "/v1/session"))


def test_every_operation_says_what_it_does_what_it_is_asked_and_what_it_answers(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for method, path, said in operations(document):
        assert said["summary"], path
        assert set(said["tags"]) <= tags, path
        assert {"400", "422", "429", "503"} <= said["responses"].keys(), path
        assert ("requestBody" in said) == ("413" in said["responses"]), path
        assert ("security" in said) == ("401" in said["responses"]), path
        for parameter in said.get("parameters", []):
            assert parameter.get("description") or parameter["in"] == "path", (path, parameter["name"])
            assert parameter["schema"]["examples"], (method, path, parameter["name"])
        for status, told in said["responses"].items():
            content = told.get("content", {})
            if "application/json" in content and "application/x-ndjson" not in content:  # but for files of reviews
                assert content["application/json"]["schema"], (method, path, status)
        for kind, content in said.get("requestBody", {"content": {}})["content"].items():
            assert "example" in content, (method, path, kind)


def test_every_example_is_answered_as_the_document_says(served: TestClient, document: dict[str, Any]) -> None:
    for method, path, said in operations(document):
        if (method, path) == ("delete", "/v1/session"):
            continue
        for asked in questions(path, said):
            for kind, body in bodies(said):
                headers = {"Content-Type": kind} if kind else {}
                sent = body if isinstance(body, str) or body is None else json.dumps(body)
                where = path.format(**asked["path"])
                answer = served.request(method.upper(), where, params=asked["query"], content=sent, headers=headers)
                check(document, said, answer, f"{method} {answer.url}")


def test_a_browser_ends_its_session_as_the_document_says(served: TestClient, document: dict[str, Any]) -> None:
    database: Database = served.app.state.database  # type: ignore[attr-defined]
    with database.write() as session:
        secret = open_session(session, create_link(session, "anna", now=NOW), now=NOW)
    with TestClient(served.app, base_url="http://localhost", cookies={COOKIE: secret}) as browser:
        csrf = browser.get("/v1/session").json()["csrf"]
        answer = browser.delete("/v1/session", headers={CSRF_HEADER: csrf})
    check(document, document["paths"]["/v1/session"]["delete"], answer, "delete /v1/session")


def test_a_server_that_others_reach_asks_for_a_key_in_its_document_too(database: Database) -> None:
    app = create_app(database, clock=lambda: NOW, open_to_read=False)
    with TestClient(app, base_url="http://localhost") as client:
        paths = client.get("/openapi.json").json()["paths"]
    for path, of in paths.items():
        for said in of.values():
            assert bool(said.get("security")) != path.startswith("/v1/health/"), path


def questions(path: str, said: Operation) -> list[dict[str, dict[str, Any]]]:
    """All but the format, and all."""
    given, sets = said.get("parameters", []), []
    apart = BESIDE_NOTHING.get(path, ("",))
    for name in apart:
        others = [p for p in given if p["name"] == name or p["name"] not in apart]
        sets += [[p for p in others if p["name"] != "format"], others]
    found = []
    for parameters in sets:
        asked: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
        for parameter in parameters:
            asked[parameter["in"]][parameter["name"]] = parameter["schema"]["examples"][0]
        if asked not in found:
            found.append(asked)
    return found


def bodies(said: Operation) -> list[tuple[str, Any]]:
    content = said.get("requestBody", {"content": {}})["content"]
    return [(kind, told["example"]) for kind, told in content.items()] or [("", None)]


def check(document: dict[str, Any], said: Operation, answer: Any, what: str) -> None:
    assert 200 <= answer.status_code < 300, (what, answer.text)
    expected = said["responses"][str(answer.status_code)]
    if answer.status_code == 204:
        assert answer.content == b""
        return
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in expected["content"], what
    schema = expected["content"][kind].get("schema")
    if kind == "application/json":
        errors = list(Draft202012Validator({**schema, "components": document["components"]}).iter_errors(answer.json()))
        assert not errors, (what, errors[0].message, list(errors[0].absolute_path))
