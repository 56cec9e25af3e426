"""The Python client, against a real application in this process."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pandas as pd
import pytest
from fakes import found_article
from fastapi.testclient import TestClient
from record import tag

from api.app import create_app
from models.database import Database
from models.store.articles import add_articles
from services.keys import create_key
from storyshift import Client
from storyshift.client import Refused

FIRST = datetime(2020, 1, 1, 9, tzinfo=UTC)


@pytest.fixture
def client(sqlite_url: str, now: datetime) -> Iterator[Client]:
    database = Database(sqlite_url)
    titles = [f"safe_haven+ XAU=1: fear {n}" if n % 3 else f"weather {n} is fine" for n in range(40)]
    with database.write() as session:
        found = [found_article(title, FIRST + timedelta(hours=n)) for n, title in enumerate(titles)]
        add_articles(session, found, now=now)
        key = create_key(session, "ann", now=now, scope="review")
    tag(database, now)
    with TestClient(create_app(database, clock=lambda: now), base_url="http://localhost") as served:
        found_client = Client("http://localhost", key=key)
        found_client._http.close()
        found_client._http = served
        served.headers["Authorization"] = f"Bearer {key}"
        yield found_client
    database.close()


def test_the_queue_is_reviewed_and_quality_comes_as_a_frame(client: Client) -> None:
    for item in client.review_queue(limit=50):
        haven = item["article"]["title"].startswith("safe_haven")
        client.review(item, narratives={"safe_haven": 1} if haven else {}, assets={"XAU": 1} if haven else {})
    quality = client.quality()
    assert quality.attrs["n"] == 40
    haven = quality.set_index("key").loc["safe_haven"]
    assert (haven["precision"], haven["n_positive"]) == (1.0, 26)
    by_month = client.quality(bucket="month")
    assert isinstance(by_month["bucket_start"].dtype, pd.DatetimeTZDtype)
    assert len(client.reviews()) == 40
    assert client.progress()["audited"] == 40
    assert len(client.calibration(narrative="safe_haven"))
    assert client.confusions().empty
    assert client.agreement().empty


def test_a_review_is_sent_twice_and_taken_back_once(client: Client) -> None:
    (item,) = client.review_queue(limit=1)
    kept = [client.review(item, narratives={"liquidity": (1, "expected")}, uid="u") for _ in range(2)]
    assert kept[0]["id"] == kept[1]["id"]
    assert client.undo(kept[0]["id"])["undone_at"]
    assert list(client.reviews(by="me")["uid"]) == ["u"]


def test_what_the_server_refuses_is_its_own_sentence(client: Client) -> None:
    (item,) = client.review_queue(limit=1)
    with pytest.raises(Refused, match="actual or expected") as refused:
        client.review(item, narratives={"liquidity": 1})
    assert refused.value.status == 422


def test_a_server_that_is_not_there_is_named() -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    client = Client("http://localhost:9", transport=httpx.MockTransport(nobody))
    with client, pytest.raises(Refused, match="http://localhost:9 does not answer") as refused:
        client.quality()
    assert refused.value.status is None
