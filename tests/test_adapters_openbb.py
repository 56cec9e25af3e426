"""OpenBB Workspace: its two files against its documentation, and each widget as the Workspace would ask for it."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from fakes import found_article
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from record import DAYS, FIRST, fill, tag

from api.adapters.openbb import ORIGINS
from api.adapters.untrusted import as_markdown, visible
from api.adapters.widgets import READ
from api.app import create_app
from models.database import Database
from models.store.articles import add_articles

SCHEMAS = Path(__file__).parent / "data" / "openbb"
WORKSPACE = {"Origin": "https://pro.openbb.co"}
PREFLIGHT = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization,content-type"}
HOSTILE = "[click](https://evil.example) ![x](https://evil.example/p.png) <img src=x onerror=alert(1)> **b** `c` # h"


def check(document: Any, name: str, part: str = "") -> None:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    wrong = Draft202012Validator(schema | ({"$ref": f"#/$defs/{part}"} if part else {})).iter_errors(document)
    assert [f"{list(error.absolute_path)}: {error.message}"[:300] for error in wrong] == []


@pytest.fixture
def empty(sqlite_url: str, now: datetime) -> Iterator[TestClient]:
    with TestClient(create_app(Database(sqlite_url), clock=lambda: now), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def filled(sqlite_url: str, now: datetime) -> Iterator[TestClient]:
    database = Database(sqlite_url)
    fill(database, now)
    with database.write() as session:
        title, last = f"safe_haven+ XAU: {HOSTILE}\u202e", FIRST + timedelta(days=DAYS, hours=-1)
        add_articles(session, [found_article(title, last, summary=HOSTILE)], now=now)
    tag(database, now)
    with TestClient(create_app(database, clock=lambda: now), base_url="http://localhost") as client:
        yield client


def asked_by_default(widget: dict[str, Any]) -> dict[str, Any]:
    """What the Workspace sends before anybody has chosen anything: no parameter that is null."""
    return {one["paramName"]: one["value"] for one in widget["params"] if one["value"] is not None}


def test_the_two_files_are_as_openbb_documents_them(empty: TestClient) -> None:
    widgets, apps = (empty.get(path, headers=WORKSPACE).json() for path in ("/widgets.json", "/apps.json"))
    check(widgets, "widgets")
    check(apps, "apps")
    assert all(key == widget["endpoint"].replace("/", "_") for key, widget in widgets.items())
    for app in apps:
        laid = [place for tab in app["tabs"].values() for place in tab["layout"]]
        assert {place["i"] for place in laid} == set(widgets), "every widget has its place"
        assert {name for place in laid for name in place["groups"]} == {group["name"] for group in app["groups"]}
        for tab in app["tabs"].values():
            assert all(place["x"] + place["w"] <= 40 for place in tab["layout"])
            for one, other in combinations(tab["layout"], 2):
                apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
                assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        for group in app["groups"]:
            named = {param["paramName"]: param["value"] for param in widgets[group["widgetIds"][0]]["params"]}
            assert named[group["paramName"]] == group["defaultValue"]


def test_each_widget_answers_in_its_own_shape_to_the_workspace_and_to_no_other_page(filled: TestClient) -> None:
    for key, widget in filled.get("/widgets.json").json().items():
        path, query = f"/{widget['endpoint']}", asked_by_default(widget)
        answer = filled.get(path, params=query | {"theme": "light"}, headers=WORKSPACE)
        assert answer.status_code == 200, (key, answer.text)
        assert answer.headers["access-control-allow-origin"] == WORKSPACE["Origin"]
        assert "access-control-allow-credentials" not in answer.headers
        assert "origin" in answer.headers["vary"].lower()
        body = answer.json()
        if widget["type"] == "chart":
            check(body, "answers", "chart")
            assert go.Figure(body).data, "plotly itself takes it for a figure"
            body = filled.get(path, params=query | {"raw": True}).json()
            check(body, "answers", "table")
        elif widget["type"] == "table":
            body = body[widget["data"]["dataKey"]] if "dataKey" in widget["data"] else body
            check(body, "answers", "table")
            fields = {column["field"] for column in widget["data"]["table"]["columnsDefs"]}
            assert all(fields <= set(row) for row in body), key
        else:
            check(body, "answers", widget["type"])
        assert body, f"{key} shows something on a filled record"
        for param in widget["params"]:
            if "optionsEndpoint" in param:
                options = filled.get(f"/{param['optionsEndpoint']}", headers=WORKSPACE)
                assert options.headers["access-control-allow-origin"] == WORKSPACE["Origin"]
                check(options.json(), "answers", "options")
                assert param["value"] in {None, *(option["value"] for option in options.json())}


def test_the_rows_are_those_of_http_and_as_of_is_kept_to(filled: TestClient) -> None:
    query = {"as_of": "2020-06-20", "bucket": "week"}
    rows = filled.get("/v1/shift", params=query).json()["data"]
    assert filled.get("/openbb/shift", params=query | {"raw": True}).json() == rows
    metrics = {one["label"]: one for one in filled.get("/openbb/now", params={"as_of": "2020-06-20"}).json()}
    day = filled.get("/v1/shift", params={"as_of": "2020-06-20"}).json()["data"][-1]
    assert metrics["State"] == {"label": "State", "value": day["state"], "subvalue": "2020-06-20, open"}
    assert metrics["θ (0 panic, 1 devaluation)"]["value"] == f"{day['index']:.2f}"
    assert metrics["What moved it"]["subvalue"].startswith("θ "), "on the last whole day, while this one is open"
    assert metrics["Stories"]["value"] == str(day["n_stories"])
    assert filled.get("/openbb/shift?start=&end=&as_of=&raw=true").json() == filled.get("/openbb/shift?raw=true").json()


def test_what_a_publisher_wrote_is_shown_as_text_in_the_newsfeed(filled: TestClient) -> None:
    news = filled.get("/openbb/articles?limit=1").json()[0]
    assert "\u202e" not in news["title"]
    assert news["excerpt"] == HOSTILE
    for markup in ("[click](", "![x](", "<img", "**b**", "`c`"):
        assert markup not in news["body"]
    assert as_markdown(HOSTILE) in news["body"]


def test_what_is_invisible_is_gone_and_what_is_written_stays() -> None:
    assert visible("a\u202eb\u2066c\u200bd\ufeff\U000e0041\ufe0f\x07") == "abcd"
    assert visible("Zürich, 東京,\n№ 5 – ₿\tθ") == "Zürich, 東京,\n№ 5 – ₿ θ"


@pytest.mark.parametrize("origin", ORIGINS)
def test_the_workspace_may_ask_and_is_told_that_it_may_only_read(empty: TestClient, origin: str) -> None:
    for path in READ:
        answer = empty.options(path, headers=PREFLIGHT | {"Origin": origin})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-methods"] == "GET"
        assert "authorization" in answer.headers["access-control-allow-headers"].lower()
        assert "*" not in "".join(answer.headers.values())
        assert "access-control-allow-credentials" not in answer.headers
    refused = empty.options(
        "/openbb/now", headers=PREFLIGHT | {"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    assert refused.status_code == 400


def test_no_other_page_and_no_other_path_is_opened(empty: TestClient) -> None:
    for origin in ("https://evil.example", "https://pro.openbb.co.evil.example", "null", "http://pro.openbb.co"):
        for answer in (
            empty.get("/widgets.json", headers={"Origin": origin}),
            empty.options("/widgets.json", headers=PREFLIGHT | {"Origin": origin}),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]
    for path in ("/v1/session", "/v1/feeds", "/v1/review/queue", "/v1/shift", "/", "/openapi.json"):
        for answer in (empty.get(path, headers=WORKSPACE), empty.options(path, headers=PREFLIGHT | WORKSPACE)):
            assert not [name for name in answer.headers if name.startswith("access-control")], path
    assert "access-control-allow-origin" not in empty.get("/widgets.json").headers


def test_an_empty_record_is_told_and_a_wrong_word_is_one_sentence(empty: TestClient) -> None:
    for widget in empty.get("/widgets.json").json().values():
        answer = empty.get(f"/{widget['endpoint']}", params=asked_by_default(widget), headers=WORKSPACE)
        expected = 422 if widget["endpoint"] == "openbb/lead-lag" else 200
        assert answer.status_code == expected, (widget["endpoint"], answer.text)
    metrics = {one["label"]: one["value"] for one in empty.get("/openbb/now").json()}
    assert metrics["θ"] == metrics["What moved it"] == "unknown"
    for path, told in (
        ("/openbb/shift?start=soon", "start is 'soon'"),
        ("/openbb/shift?bucket=hour", "bucket"),
        ("/openbb/intensity?narrative=fear", "no narrative named 'fear'"),
        ("/openbb/articles?limit=0", "from 1 to 200"),
        ("/openbb/lead-lag?asset=DOGE", "no asset named 'DOGE'"),
        ("/openbb/now?as_of=2099-01-01", "future"),
    ):
        answer = empty.get(path, headers=WORKSPACE)
        assert answer.status_code == 422
        assert told in answer.json()["detail"]
        assert answer.headers["access-control-allow-origin"] == WORKSPACE["Origin"], "so that the Workspace can show it"
