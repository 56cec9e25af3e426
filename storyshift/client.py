"""The Python client: reviewing, and how good the tags are, as frames. `from storyshift import Client`.

client = Client("http://127.0.0.1:8000", key="ss_…")
for item in client.review_queue(limit=20):
    client.review(item, narratives={"safe_haven": +1}, assets={"XAU": +1})
client.quality()                      # a pandas frame; what it rests on stands in .attrs
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

from models.errors import StoryshiftError

if TYPE_CHECKING:
    import pandas as pd

TIMEOUT = 60.0
Said = int | tuple[int, str] | None


class Refused(StoryshiftError):
    """The server did not do what was asked. `status`: its HTTP status, or None where it could not be reached."""

    def __init__(self, detail: str, status: int | None) -> None:
        self.status = status
        super().__init__(detail)


class Client:
    """One server. `key`: what `storyshift keys create NAME --scope review` printed; reading needs none."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, transport=transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # -- reviewing ---------------------------------------------------------------------------------------------------

    def review_queue(self, **question: Any) -> list[dict[str, Any]]:
        """What to read next; the parameters are those of GET /v1/review/queue (slice, blind, limit, search …)."""
        found: list[dict[str, Any]] = self._ask("GET", "/v1/review/queue", params=question)["data"]
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

        Raises: Refused.
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
        kept: dict[str, Any] = self._ask("POST", "/v1/reviews", json=said)
        return kept

    def undo(self, review_id: int) -> dict[str, Any]:
        """Take one of your own reviews back. Raises: Refused."""
        kept: dict[str, Any] = self._ask("DELETE", f"/v1/reviews/{review_id}")
        return kept

    def reviews(self, **question: Any) -> "pd.DataFrame":
        """Every review, in the order in which they came in; by="me" for your own."""
        import pandas as pd

        frame = pd.DataFrame(list(self._pages("/v1/reviews", question)))
        for name in ("given_at", "undone_at") if len(frame) else ():
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        return frame

    def progress(self) -> dict[str, Any]:
        """How much was reviewed, and what that has bought so far."""
        found: dict[str, Any] = self._ask("GET", "/v1/review/progress")
        return found

    # -- quality -----------------------------------------------------------------------------------------------------

    def quality(self, by: str = "narrative", bucket: str = "all", **question: Any) -> "pd.DataFrame":
        """Precision and recall by narrative, asset or outlet, of all or by month, quarter or year of publication."""
        return self._table("/v1/quality", {"by": by, "bucket": bucket} | question)

    def calibration(self, **question: Any) -> "pd.DataFrame":
        """The tagger's scores against what is so."""
        return self._table("/v1/quality/calibration", question)

    def confusions(self, **question: Any) -> "pd.DataFrame":
        """Where the tagger and what reviewers say differ, with examples."""
        return self._table("/v1/quality/confusions", question)

    def agreement(self, **question: Any) -> "pd.DataFrame":
        """How far reviewers of the same texts agree."""
        return self._table("/v1/quality/agreement", question)

    # -- asking ------------------------------------------------------------------------------------------------------

    def _table(self, path: str, question: Mapping[str, Any]) -> "pd.DataFrame":
        """Rows as a frame, what they rest on in .attrs; instants are aware UTC."""
        import pandas as pd

        answer = self._ask("GET", path, params=question)
        frame = pd.DataFrame(answer["data"])
        if "bucket_start" in frame:
            frame["bucket_start"] = pd.to_datetime(frame["bucket_start"], utc=True)
        frame.attrs = answer["meta"]
        return frame

    def _pages(self, path: str, question: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        cursor: Any = None
        while True:
            page = self._ask("GET", path, params=dict(question) | ({"cursor": cursor} if cursor else {"limit": 200}))
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _ask(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None) -> Any:
        asked = {name: _plain(value) for name, value in (params or {}).items() if value is not None}
        try:
            answer = self._http.request(method, path, params=asked, json=json)
        except httpx.HTTPError as error:
            raise Refused(
                f"The server at {self._http.base_url} does not answer ({type(error).__name__}). Is it running?", None
            ) from None
        if answer.is_success:
            return answer.json() if answer.content else None
        try:
            detail = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):
            detail = f"The server answered {answer.status_code} to {method} {path}."
        raise Refused(detail, answer.status_code)


def _said(one: Said) -> dict[str, Any] | None:
    if one is None:
        return None
    direction, modality = one if isinstance(one, tuple) else (one, None)
    return {"direction": direction} if modality is None else {"direction": direction, "modality": modality}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else value
