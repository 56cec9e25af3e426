"""The Python client, against a real application in this process."""

import functools
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from conftest import NOW
from fakes import found_article
from fastapi.testclient import TestClient
from record import DAYS, PANIC_FROM, fill, tag
from record import FIRST as START

from api.app import create_app
from models import units
from models.database import Database
from models.store.articles import add_articles
from services.keys import create_key
from storyshift import Client
from storyshift.client import Refused, asking, questions
from storyshift.client.frames import RowType

FIRST = datetime(2020, 1, 1, 9, tzinfo=UTC)
SERIES: dict[str, Callable[[Client], pd.DataFrame]] = {
    "/v1/intensity": lambda client: client.intensity(["safe_haven", "liquidity"], bucket="week"),
    "/v1/tone": lambda client: client.tone("BTC", bucket="week"),
    "/v1/shift": lambda client: client.shift(bucket="week"),
    "/v1/joined": lambda client: client.joined("BTC", bucket="week"),
    "/v1/prices/{asset}": lambda client: client.prices("BTC"),
    "/v1/shift/events": lambda client: client.shift_events(),
    "/v1/coverage": lambda client: client.coverage(),
}
OTHERS: dict[str, Callable[[Client], pd.DataFrame]] = {
    "/v1/articles": lambda client: client.articles(limit=3),
    "/v1/narratives": lambda client: client.narratives(),
    "/v1/assets": lambda client: client.assets(),
    "/v1/prices": lambda client: client.price_sources(),
    "/v1/feeds": lambda client: client.feeds(),
    "/v1/reviews": lambda client: client.reviews(),
    "/v1/triggers": lambda client: client.triggers(),
    "/v1/quality": lambda client: client.quality(),
    "/v1/quality/calibration": lambda client: client.calibration(),
    "/v1/quality/confusions": lambda client: client.confusions(),
    "/v1/quality/agreement": lambda client: client.agreement(),
}


@dataclass
class InProcess(httpx.BaseTransport):
    """A way to the application that keeps what was sent on it, and first fails as it is told to."""

    served: TestClient
    failing: list[int | Exception] = field(default_factory=list)
    wait: str = "0"
    sent: list[httpx.Request] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        if self.failing:
            failure = self.failing.pop(0)
            if isinstance(failure, Exception):
                raise failure
            told = {"error": "busy", "detail": "The database is busy."}
            return httpx.Response(failure, json=told, headers={"Retry-After": self.wait})
        answer = self.served.request(
            request.method, str(request.url), headers=list(request.headers.items()), content=request.read()
        )
        headers = {name: value for name, value in answer.headers.items() if name in ("content-type", "etag")}
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[tuple[TestClient, str]]:
    """Over the small record, with a key."""
    path = tmp_path_factory.mktemp("client") / "record.db"
    path.write_bytes(_sqlite_template.read_bytes())
    database = Database(f"sqlite:///{path}")
    fill(database, NOW)
    with database.write() as session:
        key = create_key(session, "bob", now=NOW, scope="review")
    with TestClient(create_app(database, clock=lambda: NOW), base_url="http://localhost") as served:
        yield served, key
    database.close()


@pytest.fixture
def way(application: tuple[TestClient, str]) -> InProcess:
    return InProcess(application[0])


@pytest.fixture
def record(way: InProcess, application: tuple[TestClient, str]) -> Iterator[Client]:
    with Client("http://localhost", key=application[1], transport=way) as found:
        yield found


@pytest.fixture
def nothing(sqlite_url: str, now: datetime) -> Iterator[Client]:
    """Over an empty record."""
    database = Database(sqlite_url)
    with database.write() as session:
        key = create_key(session, "cleo", now=now, scope="review")
    with TestClient(create_app(database, clock=lambda: now), base_url="http://localhost") as served:
        yield Client("http://localhost", key=key, transport=InProcess(served))
    database.close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(asking, "sleep", found.append)
    return found


# -- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SERIES)
def test_a_series_stands_on_aware_utc_times_with_a_unit_for_each_column(record: Client, path: str) -> None:
    frame = SERIES[path](record)
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert str(frame.index.dtype) == "datetime64[us, UTC]"
    assert set(frame.attrs["units"]) == {*frame.columns, frame.index.name}
    assert "number" not in frame.attrs["units"].values()
    assert path == "/v1/coverage" or len(frame)


def test_an_answer_without_rows_has_all_columns_as_what_they_are(record: Client, nothing: Client) -> None:
    for ask in (SERIES | OTHERS).values():
        full, empty = ask(record), ask(nothing)
        pd.testing.assert_series_equal(empty.dtypes.astype(str), full.dtypes.astype(str))
        assert empty.index.dtype == full.index.dtype
        assert empty.attrs["units"].keys() == full.attrs["units"].keys()


def test_what_is_counted_is_whole_and_what_is_not_known_is_missing(record: Client) -> None:
    shift = record.shift(start=START, end=START + timedelta(days=DAYS))
    assert {str(shift[name].dtype) for name in ("panic", "index", "low", "progress")} == {"float64"}
    assert (str(shift["n_stories"].dtype), str(shift["thin"].dtype)) == ("Int64", "boolean")
    assert shift["state"].dtype == "category"
    assert shift["index"].isna().any()
    assert not (shift["index"] == 0).any()
    assert shift.loc["2020-06-15", "state"] == "panic"
    assert shift.index[0] == START


def test_every_number_of_every_row_has_a_unit_and_no_unit_is_of_a_column_that_is_not_there(record: Client) -> None:
    described = record._server.described
    rows = [RowType(described, path) for path in SERIES | OTHERS]
    rows += [RowType(described, path) for path in ("/v1/shift/why", "/v1/shift/history")]
    rows += [RowType(described, "/v1/lead-lag", "lead_lag", "lags"), RowType(described, "/v1/event-study", "weeks")]
    seen = set()
    for row in rows:
        numbers = {name for name, dtype in row.dtypes.items() if dtype in ("float64", "Int64")}
        assert numbers <= units.units_of(row.name).keys(), row.name
        assert units.OF.get(row.name, {}).keys() <= numbers, row.name
        seen |= numbers
    assert units.OF.keys() <= {row.name for row in rows}
    assert units.EVERYWHERE.keys() <= seen


def test_a_unit_is_of_what_was_asked_for(record: Client) -> None:
    assert record.intensity("liquidity", bucket="week").attrs["units"]["low"] == "share of stories, 0 to 1"
    assert record.intensity("liquidity", start="2020-06-01", weighting="article").attrs["units"]["low"] == (
        "share of articles, 0 to 1"
    )
    assert "100 is usual" in record.intensity("liquidity", measure="index", bucket="week").attrs["units"]["intensity"]
    assert (
        record.prices("BTC").attrs["units"]["close"]
        == record.joined("BTC", bucket="week").attrs["units"]["close"]
        == "USD per BTC"
    )


def test_what_a_frame_rests_on_goes_with_it_into_a_file(record: Client, tmp_path: Path) -> None:
    week = record.shift(bucket="week")
    assert week.attrs["meta"]["baseline_needs_days"] == 120
    week.to_parquet(tmp_path / "shift.parquet")
    again = pd.read_parquet(tmp_path / "shift.parquet")
    assert again.attrs == week.attrs
    pd.testing.assert_frame_equal(again, week)


def test_narratives_are_made_wide_by_one_line(record: Client) -> None:
    wide = record.intensity(bucket="week").pivot(columns="narrative", values="intensity")
    assert list(wide.columns) == sorted(record.narratives().index)
    assert wide.index.name == "bucket_start"


def test_a_lead_is_told_by_lag_with_a_verdict_for_each_pair(record: Client) -> None:
    lags = record.lead_lag(["narrative:safe_haven", "asset:BTC"], "BTC", start="2020-01-02", end="2020-07-01")
    told = {pair["driver"]: pair for pair in lags.attrs["pairs"]}
    assert (lags.index.name, lags.index.dtype) == ("lag", "int64")
    for driver, of_it in lags.groupby("driver"):
        assert len(of_it) == 2 * told[driver]["max_lag"] + 1
        assert told[driver]["verdict"] in ("none", "news_leads", "price_leads", "same_time")
        assert told[driver]["sentence"]
    assert lags.attrs["units"]["estimate"] == "correlation, -1 to 1"


def test_a_study_of_events_is_told_by_week_with_its_verdict(record: Client) -> None:
    weeks = record.event_study(date=[date(2020, 3, 9), date(2020, 4, 1)])
    assert list(weeks.index) == list(range(-8, 27))
    assert weeks.attrs["study"]["verdict"] == "too_small"
    assert [event["day"] for event in weeks.attrs["study"]["events"]] == ["2020-03-09", "2020-04-01"]


def test_what_moved_the_story_and_when_it_shifted_are_frames(record: Client) -> None:
    why = record.shift_why(start="2020-05-20", end="2020-07-01")
    assert set(why["narrative"]) >= {"safe_haven"}
    assert why["change"].sum() == pytest.approx(why.attrs["meta"]["change"], abs=0.001)
    (first, *_) = record.shift_events().itertuples()
    assert first.state == "panic"
    assert first.Index > START + timedelta(days=PANIC_FROM)


def test_pages_are_turned_unseen_and_only_as_far_as_they_are_read(record: Client, way: InProcess) -> None:
    record.health()
    way.sent.clear()
    assert len(record.articles(narrative="safe_haven", limit=450)) == 450
    assert len(way.sent) == 3
    way.sent.clear()
    newest = next(record.each_article())
    assert len(way.sent) == 1
    assert record.article(newest["id"])["article"] == newest
    assert record.story(newest["story_id"])["articles"][0]["id"] == newest["id"]
    assert record.articles(start="2020-06-01", end="2020-06-11", limit=None).index.nunique() == 250


# -- questions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "named", "besides"),
    [
        ("/v1/intensity", questions.IntensityQuestion, {"narrative"}),
        ("/v1/tone", questions.SeriesQuestion, {"asset"}),
        ("/v1/shift", questions.SeriesQuestion, set()),
        ("/v1/joined", questions.SeriesQuestion, {"asset"}),
        ("/v1/prices/{asset}", questions.SeriesQuestion, set()),
        ("/v1/shift/events", questions.SeriesQuestion, set()),
        ("/v1/lead-lag", questions.LeadLagQuestion, {"driver", "asset"}),
        ("/v1/event-study", questions.EventStudyQuestion, {"event", "asset"}),
        ("/v1/triggers", questions.Known, set()),
        ("/v1/articles", questions.ArticlesQuestion, {"limit", "cursor"}),
        ("/v1/review/queue", questions.QueueQuestion, set()),
        ("/v1/quality", questions.Known, {"by", "bucket"}),
    ],
)
def test_what_the_api_can_be_asked_the_client_can_be_asked(
    record: Client, path: str, named: type[Any], besides: set[str]
) -> None:
    parameters = record._server.described["paths"][path]["get"]["parameters"]
    asked = {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}
    assert asked.keys() - {"format"} == named.__annotations__.keys() | besides
    for name, kind in typing.get_type_hints(named).items():
        choices = [one.get("enum") for one in asked[name].get("anyOf", [asked[name]]) if one.get("enum")]
        words = [word for option in (kind, *typing.get_args(kind)) for word in typing.get_args(option)]
        assert not choices or set(choices[0]) - {"1", "-1", "0"} == {word for word in words if isinstance(word, str)}


def test_a_parameter_that_the_server_does_not_know_is_refused_and_not_ignored(record: Client) -> None:
    with pytest.raises(Refused, match="/v1/shift takes no 'buckets'. It takes: start, end, bucket"):
        record.shift(buckets="week")  # type: ignore[call-arg]


def test_instants_are_dates_aware_datetimes_or_text_and_nothing_that_could_be_two_times(record: Client) -> None:
    by_text = record.shift(start="2020-03-01", end="2020-03-10")
    by_date = record.shift(start=date(2020, 3, 1), end=pd.Timestamp("2020-03-10", tz="UTC"))
    pd.testing.assert_frame_equal(by_text, by_date)
    east = datetime.fromisoformat("2020-03-01T05:00:00+05:00")
    pd.testing.assert_frame_equal(by_text, record.shift(start=east, end=date(2020, 3, 10)))
    with pytest.raises(Refused, match="start is 2020-03-01T00:00:00, of no time zone"):
        record.shift(start=datetime(2020, 3, 1))
    with pytest.raises(Refused, match="date is 2020-03-01T00:00:00, of no time zone"):
        record.event_study(date=[datetime(2020, 3, 1)])


def test_the_past_is_asked_for_by_what_was_known_then(record: Client) -> None:
    assert record.shift(as_of="2020-06-01").index[-1] < pd.Timestamp("2020-06-02", tz="UTC")


def test_every_block_of_the_page_of_the_client_runs(
    way: InProcess, application: tuple[TestClient, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parent.parent / "docs" / "client.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    here = functools.partial(Client, transport=way)
    monkeypatch.setattr("storyshift.client.Client", lambda url, **other: here("http://localhost", **other))
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(block.replace("ss_…", application[1]), namespace)  # noqa: S102
    assert len(blocks) > 5
    assert (tmp_path / "shift.parquet").exists()


# -- the way to the server -------------------------------------------------------------------------------------------


def test_a_busy_server_is_asked_again_after_as_long_as_it_says(
    record: Client, way: InProcess, slept: list[float]
) -> None:
    record.health()
    way.failing, way.wait = [503, httpx.ConnectError("refused"), 429], "5"
    assert len(record.narratives()) == 9
    assert slept == [5.0, 0.5, 5.0]


def test_a_server_that_stays_busy_is_believed_in_the_end(record: Client, way: InProcess, slept: list[float]) -> None:
    record.health()
    way.failing = [503] * 9
    with pytest.raises(Refused, match="The database is busy") as refused:
        record.narratives()
    assert (refused.value.status, len(way.sent), slept) == (503, 7, list(asking.WAITS))
    way.failing, way.wait = [429], "3600"
    with pytest.raises(Refused, match="busy"):
        record.narratives()
    assert slept == list(asking.WAITS)


def test_what_could_be_done_twice_is_not_sent_twice(record: Client, way: InProcess, slept: list[float]) -> None:
    record.health()
    way.failing = [503]
    with pytest.raises(Refused, match="busy"):
        record.undo(1)
    assert slept == []


def test_a_review_that_nobody_acknowledged_is_sent_again_and_kept_once(
    record: Client, way: InProcess, slept: list[float]
) -> None:
    (item,) = record.review_queue(limit=1, slice="audit")
    before = record.intensity("debasement", bucket="week").attrs["meta"]["audit"]
    way.failing = [httpx.RemoteProtocolError("gone"), 503]
    kept = record.review(item, narratives={"debasement": 1})
    assert record.intensity("debasement", bucket="week").attrs["meta"]["audit"] != before
    assert list(record.reviews(by="me")["uid"]).count(kept["uid"]) == 1
    assert len({request.content for request in way.sent if request.method == "POST"}) == 1


def test_an_answer_that_has_not_changed_is_not_sent_again(
    record: Client, way: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_KEPT", 2)
    first = record.shift(bucket="week")
    kept = first.copy()
    first["index"] = 0.0
    first.attrs["meta"].clear()
    again = record.shift(bucket="week")
    assert way.sent[-1].headers["if-none-match"]
    pd.testing.assert_frame_equal(again, kept)
    assert again.attrs["meta"]["bucket"] == "week"
    for week in range(2):
        record.prices("BTC", start=START + timedelta(weeks=week))
    record.shift(bucket="week")
    assert "if-none-match" not in way.sent[-1].headers


def test_threads_share_a_client(record: Client) -> None:
    with ThreadPoolExecutor(4) as pool:
        weeks = list(pool.map(lambda n: record.prices("BTC", start=START + timedelta(weeks=n % 3)), range(12)))
    assert [len(week) for week in weeks] == [DAYS - 7 * (n % 3) for n in range(12)]


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", "http://[::1", "not an address"])
def test_what_is_no_address_is_told_before_anything_is_asked(url: str) -> None:
    with pytest.raises(Refused, match="is not the address of a server"):
        Client(url)


def answering(answer: httpx.Response | Exception) -> Client:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Client("http://localhost:9", transport=httpx.MockTransport(handle))


def test_a_server_that_is_not_there_is_named(slept: list[float]) -> None:
    client = answering(httpx.ConnectError("refused"))
    with client, pytest.raises(Refused, match="http://localhost:9 does not answer .*Is it running") as refused:
        client.quality()
    assert refused.value.status is None
    assert slept == list(asking.WAITS)


def test_a_server_that_takes_too_long_is_not_asked_for_the_same_again(slept: list[float]) -> None:
    with answering(httpx.ReadTimeout("slow")) as client, pytest.raises(Refused, match="has not answered .* for 60 s"):
        client.triggers()
    assert slept == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<h1>Welcome</h1>"),
        httpx.Response(404, html="<h1>Not here</h1>"),
        httpx.Response(302, headers={"Location": "/login"}),
        httpx.Response(200, json={"info": {"title": "Another"}}),
        httpx.Response(200, json=[1, 2]),
        httpx.Response(500, text="Internal Server Error"),
    ],
)
def test_another_server_at_the_address_is_told_apart(answer: httpx.Response) -> None:
    with answering(answer) as client, pytest.raises(Refused, match="at http://localhost:9 is not a Storyshift server"):
        client.shift()


def test_an_older_server_says_what_it_does_not_answer_yet() -> None:
    client = answering(httpx.Response(200, json={"info": {"title": "Storyshift"}, "paths": {}}))
    with client, pytest.raises(Refused, match="does not answer /v1/shift; it is an older Storyshift"):
        client.shift()


def test_names_in_an_address_stay_names(record: Client) -> None:
    with pytest.raises(Refused, match="There is nothing at /v1/prices/BTC/../../articles"):
        record.prices("BTC/../../articles")
    with pytest.raises(Refused, match=r"no asset named 'BTC\?bucket=hour'"):
        record.prices("BTC?bucket=hour")


def test_the_client_is_there_at_once_and_loads_pandas_when_it_is_needed() -> None:
    program = "import sys; from storyshift import Client; Client(); print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", program], text=True).split())
    assert "httpx" in loaded
    assert not loaded & {"pandas", "numpy", "pyarrow", "sqlalchemy", "pydantic", "fastapi", "typer"}


# -- reviewing -------------------------------------------------------------------------------------------------------


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
        yield Client("http://localhost", key=key, transport=InProcess(served))
    database.close()


def test_the_queue_is_reviewed_and_quality_comes_as_a_frame(client: Client) -> None:
    for item in client.review_queue(limit=50):
        haven = item["article"]["title"].startswith("safe_haven")
        client.review(item, narratives={"safe_haven": 1} if haven else {}, assets={"XAU": 1} if haven else {})
    quality = client.quality()
    assert quality.attrs["meta"]["n"] == 40
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
