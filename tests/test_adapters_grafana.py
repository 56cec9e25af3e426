"""Grafana: the dashboard as Grafana and the Infinity plug-in document it, asked of a served record; annotations."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import test_services_triggers as triggers_planted
from fastapi.testclient import TestClient
from record import fill

from api.app import create_app
from models.database import Database

DASHBOARD = Path(__file__).parent.parent / "docs" / "grafana" / "storyshift.json"
FILLED_IN = {
    "${__from:date:iso}": "2020-01-01T00:00:00.000Z",
    "${__to:date:iso}": "2020-07-19T12:30:00.000Z",
    "$bucket": "week",
    "$asset": "BTC",
    "$narrative": "safe_haven",
}
PANELS = {"stat", "timeseries", "state-timeline", "table", "text"}
KINDS = {"string", "number", "timestamp", "timestamp_epoch", "timestamp_epoch_s", "boolean"}
MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def filled(database: Database, now: datetime) -> Iterator[TestClient]:
    yield from serving(database, now)


@pytest.fixture
def served(sqlite_url: str, now: datetime) -> Iterator[TestClient]:
    yield from serving(Database(sqlite_url), now)


def serving(database: Database, now: datetime) -> Iterator[TestClient]:
    fill(database, now)
    with TestClient(create_app(database, clock=lambda: now), base_url="http://localhost") as client:
        yield client


def targets(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """All that is asked: by panels, annotations and variables."""
    asked = [target for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked += [one["target"] for one in dashboard["annotations"]["list"] if "target" in one]
    asked += [one["query"]["infinityQuery"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    return asked


def test_the_dashboard_is_one_that_grafana_takes(dashboard: dict[str, Any]) -> None:
    assert dashboard["id"] is None, "Grafana gives it one"
    assert re.fullmatch(r"[\w-]{1,40}", dashboard["uid"])
    assert dashboard["title"]
    assert isinstance(dashboard["schemaVersion"], int)
    assert set(dashboard["time"]) == {"from", "to"}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in PANELS
        assert panel["title"]
        place = panel["gridPos"]
        assert min(place["x"], place["y"]) >= 0
        assert min(place["w"], place["h"]) >= 1
        assert place["x"] + place["w"] <= 24
        assert panel["type"] == "text" or panel["targets"]
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_every_question_is_one_that_infinity_takes_of_the_data_source_that_was_chosen(
    dashboard: dict[str, Any],
) -> None:
    plugin = "yesoreyeram-infinity-datasource"
    (chosen,) = [one for one in dashboard["templating"]["list"] if one["type"] == "datasource"]
    assert chosen["query"] == plugin
    source = {"type": plugin, "uid": f"${{{chosen['name']}}}"}
    asked = targets(dashboard)
    assert len(asked) > 15
    for target in asked:
        assert target["datasource"] == source
        assert target["refId"]
        assert (target["type"], target["source"], target["parser"]) == ("json", "url", "backend")
        assert target["format"] in {"table", "timeseries", "dataframe"}
        assert target["url"].startswith("/v1/"), "the data source has the address of the server"
        assert target["url_options"]["method"] == "GET"
        for column in target["columns"]:
            assert set(column) == {"selector", "text", "type"}
            assert column["type"] in KINDS
    for panel in dashboard["panels"]:
        assert panel.get("datasource", source) == source
        if panel["type"] in {"timeseries", "state-timeline"}:
            assert all("timestamp" in {column["type"] for column in one["columns"]} for one in panel["targets"])
    for one in dashboard["annotations"]["list"][1:]:
        assert one["target"]["format"] == "dataframe"
        assert {"time", "text", "title", "tags"} == {column["text"] for column in one["target"]["columns"]}
    named = {one["name"] for one in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$(?:\{)?([a-z]\w*)", json.dumps(dashboard))) - {"__from", "__to"}
    assert used == named


def test_every_question_is_answered_with_the_columns_it_names(dashboard: dict[str, Any], filled: TestClient) -> None:
    empty, answers = set(), {}
    for target in targets(dashboard):
        url = target["url"]
        for name, value in FILLED_IN.items():
            url = url.replace(name, value)
        assert "$" not in url
        answer = answers[url] if url in answers else answers.setdefault(url, filled.get(url))
        assert answer.status_code == 200, (url, answer.text)
        rows = answer.json()[target["root_selector"]]
        empty |= set() if rows else {target["url"].partition("?")[2].rpartition("&")[2] or target["url"]}
        for column in target["columns"]:
            found = [row[column["selector"]] for row in rows]
            told = [value for value in found if value is not None]
            match column["type"]:
                case "number":
                    assert all(isinstance(value, int | float) for value in told)
                case "string":
                    assert all(isinstance(value, str) for value in told)
                case "timestamp":
                    assert len(told) == len(rows)
                    assert all(datetime.fromisoformat(value).tzinfo for value in told)
    assert empty == {"kind=trigger"}, "the record of this test holds no macro series"


def test_a_shift_is_annotated_from_when_it_was_detected_on_and_not_before(filled: TestClient) -> None:
    events = filled.get("/v1/shift/events").json()["data"]
    rows = filled.get("/v1/annotations?kind=shift").json()["data"]
    assert events
    assert [row["time"] for row in rows] == [event["detected_at"] for event in events]
    assert [row["happened_at"] for row in rows] == [event["happened_at"] for event in events]
    assert [row["time_end"] for row in rows] == [*(event["detected_at"] for event in events[1:]), None]
    first, event = rows[0], events[0]
    assert first["title"] == f"The story shifts from {event['before']} to {event['state']}"
    assert first["tags"] == f"shift,{event['state']}"
    assert f"n = {event['n_stories']} stories" in first["text"]
    assert first["link"].startswith("/story#start=")
    detected = datetime.fromisoformat(event["detected_at"])
    before = filled.get("/v1/annotations", params={"kind": "shift", "as_of": (detected - MILLISECOND).isoformat()})
    then = filled.get("/v1/annotations", params={"kind": "shift", "as_of": detected.isoformat()}).json()["data"]
    assert before.json()["data"] == []
    assert then == [first | {"time_end": None}], "and what came next was not known yet"
    spans = {"start": event["detected_at"]}, {"end": event["detected_at"]}
    in_span, past = (filled.get("/v1/annotations", params={"kind": "shift"} | span).json()["data"] for span in spans)
    assert (in_span, past) == (rows, [])


def test_a_trigger_is_annotated_when_it_changes_and_not_when_it_falls_silent(sqlite_url: str, now: datetime) -> None:
    database = Database(sqlite_url)
    triggers_planted.fill(database, now)
    with TestClient(create_app(database, clock=lambda: now), base_url="http://localhost") as client:
        as_of = {"as_of": triggers_planted.AS_OF.isoformat()}
        now_on = {one["trigger"]: one for one in client.get("/v1/triggers", params=as_of).json()["data"]}
        rows = client.get("/v1/annotations", params=as_of | {"kind": "trigger"}).json()["data"]
        today = client.get("/v1/annotations", params={"kind": "trigger"}).json()["data"]
        (stress, *_) = [row for row in rows if "fiscal_pressure,on" in row["tags"]][::-1]
        assert stress["title"] == f"{now_on['fiscal_pressure']['name']}: on"
        since = datetime.fromisoformat(now_on["fiscal_pressure"]["since"] + "T00:00:00Z")
        assert datetime.fromisoformat(stress["time"]) == since + timedelta(days=1), "at the end of that day"
        assert datetime.fromisoformat(stress["happened_at"]) == since
        assert all(row["time"] <= as_of["as_of"].replace("+00:00", "Z") for row in rows)
        assert [row | {"time_end": None} for row in rows] == [row | {"time_end": None} for row in today[: len(rows)]]
        assert not [row for row in today if "unknown" in row["tags"]], "stale series are no change of a trigger"


def test_annotations_come_as_csv_and_are_not_sent_twice(served: TestClient) -> None:
    rows = served.get("/v1/annotations").json()
    assert rows["meta"]["kinds"] == ["shift", "trigger"]
    assert rows["meta"]["n"] == len(rows["data"])
    first = served.get("/v1/annotations?kind=shift&format=csv")
    lines = first.text.splitlines()
    assert lines[0] == "time,time_end,kind,title,text,tags,happened_at,link"
    assert len(lines) == len(rows["data"]) + 1
    again = served.get("/v1/annotations?kind=shift&format=csv", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for query in ("kind=fear", "start=2020-05-01&end=2020-01-01", "as_of=2099-01-01", "tagger=none@1"):
        assert served.get(f"/v1/annotations?{query}").status_code == 422
