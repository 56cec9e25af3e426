"""Webhooks over HTTP: with a key of scope admin, a secret that is shown once, and a log."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_api_writing import Clock, anyone, clock, key, writer  # noqa: F401 - fixtures
from test_jobs_deliver import Receiver, deliverer, one_round

from config import definitions
from models.database import Database
from models.events import Webhook
from services.keys import create_key

PATH = "/v1/webhooks"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


def added(writer: TestClient, receiver: Receiver, **terms: Any) -> dict[str, Any]:  # noqa: F811
    answer = writer.post(PATH, json={"url": receiver.url} | terms)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_webhook_is_made_listed_changed_and_deleted(writer: TestClient, receiver: Receiver) -> None:  # noqa: F811
    threshold = {"series": "narrative:safe_haven", "above": 0.25, "below": None}
    quiet = {"from": "22:00", "until": "07:00", "zone": "Europe/Berlin"}
    made = added(writer, receiver, threshold={"series": "narrative:safe_haven", "above": 0.25}, quiet_hours=quiet)
    assert made["secret"].startswith("whsec_")
    told = made | {"secret": None}
    assert writer.get(PATH).json() == {"data": [told]}
    assert writer.get(f"{PATH}/1").json() == told
    assert (told["threshold"], told["quiet_hours"], told["events"]) == (threshold, quiet, ["shift", "trigger"])
    changed = writer.patch(f"{PATH}/1", json={"states": ["devaluation"], "threshold": None, "events": ["shift"]}).json()
    assert changed == told | {"states": ["devaluation"], "threshold": None, "events": ["shift"]}
    assert writer.patch(f"{PATH}/1", json={}).json() == changed
    assert writer.patch(f"{PATH}/1", json={"active": False}).json()["active"] is False
    assert writer.post(f"{PATH}/1/test").json()["detail"].startswith("The webhook 1 is switched off.")
    assert writer.delete(f"{PATH}/1").status_code == 204
    for method, path in (
        ("GET", "/1"),
        ("PATCH", "/1"),
        ("DELETE", "/1"),
        ("GET", "/1/deliveries"),
        ("POST", "/1/test"),
    ):
        answer = writer.request(method, PATH + path, json={} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is no webhook 1.")


def test_a_test_is_delivered_and_stands_in_the_log_page_by_page(
    database: Database,
    writer: TestClient,  # noqa: F811
    receiver: Receiver,
    clock: Clock,  # noqa: F811
) -> None:
    added(writer, receiver)
    queued = [writer.post(f"{PATH}/1/test") for _ in range(3)]
    assert {(answer.status_code, answer.json()["state"]) for answer in queued} == {(202, "waiting")}
    worker = deliverer(database, clock)
    assert [one_round(worker) for _ in range(4)] == [1, 1, 1, 0]
    first = writer.get(f"{PATH}/1/deliveries?limit=2").json()
    assert [(entry["id"], entry["state"], entry["last_status"]) for entry in first["data"]] == [
        (3, "delivered", 204),
        (2, "delivered", 204),
    ]
    assert first["data"][0]["delivered_at"] == "2026-11-21T12:00:00Z"
    rest = writer.get(f"{PATH}/1/deliveries?limit=2&cursor={first['next_cursor']}").json()
    assert ([entry["id"] for entry in rest["data"]], rest["next_cursor"]) == ([1], None)
    assert writer.get(f"{PATH}/1/deliveries?limit=0").status_code == 422
    assert writer.get("/v1/events/log").json() == {"data": [], "next_cursor": None}  # a test is nothing that happened


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"url": "http://127.0.0.1:1/", "colour": "red"}, "colour"),
        ({"url": "file:///etc/passwd"}, "begins with https:// or http://"),
        ({"url": 7}, "url"),
        ({"url": "http://127.0.0.1:1/", "kind": "pager"}, "kind"),
        ({"url": "http://127.0.0.1:1/", "events": ["news"]}, "events"),
        ({"url": "http://127.0.0.1:1/", "quiet_hours": {"from": "22:00"}}, "until"),
        ({"url": "http://127.0.0.1:1/", "threshold": {"series": "theta", "above": "NaN"}}, "above"),
        ({"kind": "mail", "to": "anna@example.org"}, "This server cannot send mail"),
    ],
)
def test_a_wrong_webhook_is_a_422_in_one_sentence(writer: TestClient, body: Any, told: str) -> None:  # noqa: F811
    answer = writer.post(PATH, json=body)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert writer.get(PATH).json() == {"data": []}


def test_an_address_inside_is_refused_when_it_is_made_and_when_it_is_changed(
    writer: TestClient,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    added(writer, receiver)
    monkeypatch.delenv("STORYSHIFT_ALLOW_PRIVATE_ADDRESSES")
    definitions.forget()
    for answer in (
        writer.post(PATH, json={"url": receiver.url}),
        writer.patch(f"{PATH}/1", json={"url": "http://169.254.169.254/latest/meta-data"}),
    ):
        assert answer.status_code == 422
        assert "is not a public address. If that is meant, name its network" in answer.json()["detail"]
    assert writer.get(f"{PATH}/1").json()["url"] == receiver.url


def test_only_a_key_of_scope_admin_sees_or_changes_webhooks(
    database: Database,
    anyone: TestClient,  # noqa: F811
    clock: Clock,  # noqa: F811
) -> None:
    with database.write() as session:
        review = create_key(session, "phone", scope="review", now=clock.now)
    for headers, status in (({}, 401), ({"Authorization": f"Bearer {review}"}, 403)):
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/1"), ("PATCH", "/1"), ("DELETE", "/1")):
            assert anyone.request(method, PATH + path, headers=headers, json={}).status_code == status
        for method, path in (("GET", "/1/deliveries"), ("POST", "/1/test")):
            assert anyone.request(method, PATH + path, headers=headers).status_code == status


def test_a_secret_is_in_no_repr(writer: TestClient, receiver: Receiver) -> None:  # noqa: F811
    secret = added(writer, receiver)["secret"]
    assert secret not in repr(Webhook(kind="json", secret=secret))
    assert secret not in writer.get(PATH).text + writer.post(f"{PATH}/1/test").text
