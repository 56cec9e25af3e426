"""The Python client: each question a method, each answer a typed pandas frame. `from storyshift import Client`.

client = Client("http://127.0.0.1:8000")
client.shift(start="2020-01-01", end="2020-07-01", bucket="week")["index"].plot()

Parameters are named as the API's, and one that the server does not know is refused. A frame's index is what goes along
the x-axis: aware UTC where rows have a time. Numbers that are not known are NaN or NA, never 0; an answer without rows
has all columns. `.attrs` holds `meta`, what the numbers rest on, and `units`, by column. Every method raises `Refused`
with a sentence that says what is wrong. docs/client.md.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Unpack
from uuid import uuid4

import httpx

from storyshift.client.asking import TIMEOUT, Refused, Server
from storyshift.client.frames import RowType, quoted_in
from storyshift.client.questions import (
    ArticlesQuestion,
    EventStudyQuestion,
    Instant,
    IntensityQuestion,
    Known,
    LeadLagQuestion,
    QueueQuestion,
    SeriesQuestion,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Client", "Refused"]

PAGE = 200
Names = str | list[str]
Said = int | tuple[int, str] | None


class Client:
    """One server, which threads may share.

    key: what `storyshift keys create NAME --scope review` printed; reading needs none. timeout: of one answer, in
    seconds. A server that is busy or restarts is asked again for some seconds; what it said before is not sent twice.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Nothing is asked yet. Raises: Refused where `url` is not an address."""
        self._server = Server(url, key, timeout, transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.http.close()

    # -- series ------------------------------------------------------------------------------------------------------
    # Each takes start, end, bucket, as_of, tagger, outlet, weighting and prior_rates (storyshift.client.questions).

    def intensity(self, narrative: Names | None = None, **question: Unpack[IntensityQuestion]) -> "pd.DataFrame":
        """How much of the news carries each narrative, by bucket_start; all narratives if none is named.

        Also takes asset, direction, modality, measure and beside.
        One column each: `.pivot(columns="narrative", values="intensity")`.
        """
        return self._series("/v1/intensity", {"narrative": narrative, **question})

    def tone(self, asset: str = "BTC", **question: Unpack[SeriesQuestion]) -> "pd.DataFrame":
        """What the stories about an asset say of it, from -1 to 1, by bucket_start."""
        return self._series("/v1/tone", {"asset": asset, **question})

    def shift(self, **question: Unpack[SeriesQuestion]) -> "pd.DataFrame":
        """θ (the column `index`) between panic and devaluation, with its interval and the state, by bucket_start."""
        return self._series("/v1/shift", question)

    def joined(self, asset: str = "BTC", **question: Unpack[SeriesQuestion]) -> "pd.DataFrame":
        """θ and the core intensities beside what an asset did in each bucket and next, by bucket_start."""
        frame = self._series("/v1/joined", {"asset": asset, **question})
        units = self.assets()["unit"]  # the answer itself does not say it
        frame.attrs["units"]["close"] = quoted_in(units.get(asset), asset)
        return frame

    def prices(self, asset: str, **question: Unpack[SeriesQuestion]) -> "pd.DataFrame":
        """Closes of an asset by the day, or by the hour with bucket="hour", by closed_at."""
        return self._table("/v1/prices/{asset}", question, index="closed_at", asset=asset)

    def shift_events(self, **question: Unpack[SeriesQuestion]) -> "pd.DataFrame":
        """When the story shifted, by detected_at: when it could be known. All shifts if no start is named."""
        return self._table("/v1/shift/events", question, index="detected_at")

    def shift_why(self, **question: Unpack[SeriesQuestion]) -> "pd.DataFrame":
        """What moved θ from the day before `start` to the last day before `end`, by narrative and outlet."""
        return self._table("/v1/shift/why", question)

    def shift_history(self, **question: Unpack[SeriesQuestion]) -> "pd.DataFrame":
        """The record cut into spells, by start; in hindsight: for looking back, never for testing."""
        return self._table("/v1/shift/history", question, index="start")

    # -- statements --------------------------------------------------------------------------------------------------

    def triggers(self, **question: Unpack[Known]) -> "pd.DataFrame":
        """The six triggers by their keys: state, since when, why, with the data and the stories behind each."""
        return self._table("/v1/triggers", question, index="trigger")

    def lead_lag(self, driver: Names, asset: Names = "BTC", **question: Unpack[LeadLagQuestion]) -> "pd.DataFrame":
        """Correlations of drivers with assets by lag (above 0 the driver comes first). Several pairs are one family.

        driver: narrative:KEY, tone:ASSET, theta, asset:ASSET or macro:SERIES. Also takes target, max_lag and seed.
        `.attrs["pairs"]` says of each pair its verdict, the sentence for it, n and what stands beside.
        """
        answer = self._server.get("/v1/lead-lag", {"driver": driver, "asset": asset, **question})
        pairs = [pair.pop("lead_lag") | pair for pair in answer["data"]]  # the verdict is that over all pairs
        rows = [{"driver": pair["driver"], "asset": pair["asset"]} | lag for pair in pairs for lag in pair.pop("lags")]
        lags = self._rows("/v1/lead-lag", "lead_lag", "lags")
        lags.dtypes = {"driver": "string", "asset": "string"} | lags.dtypes
        return lags.frame(rows, "lag", {"meta": answer["meta"], "pairs": pairs})

    def event_study(
        self, event: str | None = None, asset: str = "BTC", **question: Unpack[EventStudyQuestion]
    ) -> "pd.DataFrame":
        """What an asset does around events, by weeks after them, against other days of the same years.

        event: shift:STATE, trigger:KEY or high:ASSET; instead, date: one or more days. Also takes seed.
        `.attrs["study"]` says the verdict, the sentence for it, n and each event.
        """
        answer = self._server.get("/v1/event-study", {"event": event, "asset": asset, **question})
        (study,) = answer["data"]
        rows = study.pop("weeks")
        return self._rows("/v1/event-study", "weeks").frame(rows, "week", {"meta": answer["meta"], "study": study})

    # -- articles ----------------------------------------------------------------------------------------------------

    def articles(self, *, limit: int | None = 1_000, **question: Unpack[ArticlesQuestion]) -> "pd.DataFrame":
        """Articles, newest first, by id, with their narratives, assets and evidence as lists.

        Takes q (words that it must hold), start, end, narrative, direction, asset, outlet, fold, as_of and tagger.
        limit: of articles in all; None for every one.
        """
        rows = list(islice(self.each_article(**question), limit))
        return self._rows("/v1/articles").frame(rows, "id", {"meta": {}})

    def each_article(self, **question: Unpack[ArticlesQuestion]) -> Iterator[dict[str, Any]]:
        """The same one by one, as the API gives them, fetched as they are taken."""
        return self._pages("/v1/articles", question)

    def article(self, article_id: int, **question: Unpack[Known]) -> dict[str, Any]:
        """One article with its text and every wording that was seen."""
        return self._dict("/v1/articles/{article_id}", question, article_id=article_id)

    def story(self, story_id: int, **question: Unpack[Known]) -> dict[str, Any]:
        """One story: the copies of a text, the one that was known first before its echoes."""
        return self._dict("/v1/stories/{story_id}", question, story_id=story_id)

    # -- what there is -----------------------------------------------------------------------------------------------

    def narratives(self) -> "pd.DataFrame":
        """The narratives by their keys, with definition and pole."""
        return self._table("/v1/narratives", {}, index="narrative")

    def assets(self) -> "pd.DataFrame":
        """The assets by their keys, with unit and the closes there are."""
        return self._table("/v1/assets", {}, index="asset")

    def price_sources(self) -> "pd.DataFrame":
        """Which closes and macro values there are, where they are missing, and what their sources last said."""
        return self._table("/v1/prices", {})

    def feeds(self) -> "pd.DataFrame":
        """Every feed that is collected, with its health and what its server last said."""
        return self._table("/v1/feeds", {})

    def coverage(
        self, *, start: Instant | None = None, end: Instant | None = None, bucket: str = "day"
    ) -> "pd.DataFrame":
        """The record of collecting by feed and bucket_start: visits, articles received and expected, a status."""
        return self._series("/v1/coverage", {"start": start, "end": end, "bucket": bucket})

    def health(self) -> dict[str, Any]:
        """How much the record holds; Refused while the database does not answer."""
        return self._dict("/v1/health/ready", {})

    # -- reviewing ---------------------------------------------------------------------------------------------------

    def review_queue(self, **question: Unpack[QueueQuestion]) -> list[dict[str, Any]]:
        """What to read next. Takes slice, blind, limit, search, narrative, article_id and tagger."""
        found: list[dict[str, Any]] = self._server.get("/v1/review/queue", question)["data"]
        return found

    def review(
        self,
        item: Mapping[str, Any],
        *,
        narratives: Mapping[str, Said] | None = None,
        assets: Mapping[str, int] | None = None,
        skipped: str | None = None,
        note: str = "",
        uid: str | None = None,
    ) -> dict[str, Any]:
        """Say what an item of the queue says: the whole of it, what is not named is not there.

        narratives: the direction of each that holds (-1, 0, +1), for liquidity with its modality: (+1, "expected").
        assets: the tone of each that is named. uid: the same again keeps it once; drawn at random if none is given.
        """
        said = {
            "uid": uid or str(uuid4()),
            "revision_id": item["article"]["revision_id"],
            "slice": item["slice"],
            "blind": item["blind"],
            "narratives": {key: _said(one) for key, one in (narratives or {}).items()},
            "assets": dict(assets or {}),
            "skipped": skipped,
            "note": note,
        }
        kept: dict[str, Any] = self._server.send("POST", "/v1/reviews", json=said, again=True)
        return kept

    def undo(self, review_id: int) -> dict[str, Any]:
        """Take one of your own reviews back."""
        kept: dict[str, Any] = self._server.send("DELETE", f"/v1/reviews/{int(review_id)}")
        return kept

    def reviews(self, *, by: str | None = None, as_of: Instant | None = None) -> "pd.DataFrame":
        """Every review by its id, in the order in which they came in; by="me" for your own."""
        rows = list(self._pages("/v1/reviews", {"by": by, "as_of": as_of}))
        return self._rows("/v1/reviews").frame(rows, "id", {"meta": {}})

    def progress(self) -> dict[str, Any]:
        """How much was reviewed, and what that has bought so far."""
        return self._dict("/v1/review/progress", {})

    # -- quality -----------------------------------------------------------------------------------------------------

    def quality(
        self,
        by: Literal["narrative", "asset", "outlet"] = "narrative",
        bucket: Literal["all", "month", "quarter", "year"] = "all",
        **question: Unpack[Known],
    ) -> "pd.DataFrame":
        """Precision and recall by narrative, asset or outlet, of all or by month, quarter or year of publication."""
        return self._table("/v1/quality", {"by": by, "bucket": bucket, **question})

    def calibration(self, narrative: Names | None = None, **question: Unpack[Known]) -> "pd.DataFrame":
        """The tagger's scores against what is so."""
        return self._table("/v1/quality/calibration", {"narrative": narrative, **question})

    def confusions(self, **question: Unpack[Known]) -> "pd.DataFrame":
        """Where the tagger and what reviewers say differ, with examples."""
        return self._table("/v1/quality/confusions", question)

    def agreement(self, *, as_of: Instant | None = None) -> "pd.DataFrame":
        """How far reviewers of the same texts agree."""
        return self._table("/v1/quality/agreement", {"as_of": as_of})

    # -- asking ------------------------------------------------------------------------------------------------------

    def _series(self, path: str, question: Mapping[str, Any]) -> "pd.DataFrame":
        return self._table(path, question, index="bucket_start")

    def _table(
        self, path: str, question: Mapping[str, Any], *, index: str | None = None, **names: str
    ) -> "pd.DataFrame":
        answer = self._server.get(path, question, **names)
        return self._rows(path).frame(answer["data"], index, {"meta": answer.get("meta", {})})

    def _rows(self, path: str, *within: str) -> RowType:
        return RowType(self._server.described, path, *within)

    def _dict(self, path: str, question: Mapping[str, Any], **names: int) -> dict[str, Any]:
        found: dict[str, Any] = self._server.get(path, question, **names)
        return found

    def _pages(self, path: str, question: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            page = self._server.get(path, {**question, "cursor": cursor, "limit": PAGE})
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


def _said(one: Said) -> dict[str, Any] | None:
    if one is None:
        return None
    direction, modality = one if isinstance(one, tuple) else (one, None)
    return {"direction": direction} if modality is None else {"direction": direction, "modality": modality}
