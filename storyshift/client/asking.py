"""How the client talks with a server: what is asked again and when, what is kept, and what an answer means."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import date, datetime
from functools import cached_property
from json import loads
from threading import Lock
from time import sleep
from typing import Any
from urllib.parse import quote

import httpx

from models.errors import StoryshiftError

TIMEOUT = 60.0
WAITS = (0.2, 0.5, 1.0, 2.0)
"""Seconds before each further attempt; more where the server says so."""
LONGEST_WAIT = 30.0
"""Seconds; a server that wants to be left alone for longer is believed."""
BUSY = (429, 503)
MOST_KEPT, LARGEST_KEPT = 32, 4_000_000
"""Answers that are kept with their ETags, and the bytes of each."""


class Refused(StoryshiftError):
    """What was asked was not done; the message says why. `status`: of HTTP, None where no answer of a server came."""

    def __init__(self, detail: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(detail)


class Server:
    """One Storyshift server, asked over kept connections. Threads may share it."""

    def __init__(self, url: str, key: str | None, timeout: float, transport: httpx.BaseTransport | None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self.http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, transport=transport)
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise Refused(f"{url!r} is not the address of a server, or the key is not one: {error}.") from None
        if self.http.base_url.scheme not in ("http", "https") or not self.http.base_url.host:
            raise Refused(f"{url!r} is not the address of a server; write it like http://127.0.0.1:8000.")
        self._kept: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._lock = Lock()

    @cached_property
    def described(self) -> dict[str, Any]:
        """What the server says of itself (OpenAPI): its questions, their parameters, and the types of its rows."""
        found = self._json(self._answer("GET", "/openapi.json", again=True), "GET", "/openapi.json")
        if not isinstance(found, dict) or found.get("info", {}).get("title") != "Storyshift":
            raise Refused(f"What answers at {self.url} is not a Storyshift server.", 200)
        return found

    def get(self, path: str, question: Mapping[str, Any], **names: Any) -> Any:
        """The answer to a question. path: as the API writes it, `names` fill its braces. Raises: Refused."""
        self._check(path, question)
        asked = {name: _plain(name, value) for name, value in question.items() if value is not None}
        filled = path.format_map({name: quote(str(value), safe="") for name, value in names.items()})
        request = self.http.build_request("GET", filled, params=asked)
        address = str(request.url)
        with self._lock:
            etag, kept = self._kept.get(address, ("", b""))
        answer = self._answer("GET", address, again=True, headers={"If-None-Match": etag} if etag else {})
        if answer.status_code == 304:
            return loads(kept)
        told = self._json(answer, "GET", filled)
        self._keep(address, answer)
        return told

    def send(self, method: str, path: str, *, json: Any = None, again: bool = False) -> Any:
        """Have something done. again: it may be sent twice, because the server keeps it once. Raises: Refused."""
        done = self._json(self._answer(method, path, again=again, json=json), method, path)
        with self._lock:
            self._kept.clear()  # a review changes what stands in `meta`, of which an ETag knows nothing
        return done

    def _check(self, path: str, question: Mapping[str, Any]) -> None:
        """A name that the server does not know would be ignored by it, and its answer taken for another's."""
        operation = self.described["paths"].get(path, {}).get("get")
        if operation is None:
            raise Refused(f"The server at {self.url} does not answer {path}; it is an older Storyshift.")
        known = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
        for name in question:
            if name not in known:
                raise Refused(f"{path} takes no {name!r}. It takes: {', '.join(known) or 'nothing'}.")

    def _keep(self, address: str, answer: httpx.Response) -> None:
        if "etag" not in answer.headers or len(answer.content) > LARGEST_KEPT:
            return
        with self._lock:
            self._kept[address] = answer.headers["etag"], answer.content
            self._kept.move_to_end(address)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def _answer(self, method: str, path: str, *, again: bool, **sent: Any) -> httpx.Response:
        waits = list(WAITS if again else ())
        while True:
            try:
                answer = self.http.request(method, path, **sent)
            except httpx.ReadTimeout:
                raise Refused(
                    f"The server at {self.url} has not answered {method} {path} for {self.http.timeout.read:g} s."
                ) from None
            except httpx.HTTPError as error:
                if not waits:
                    raise Refused(
                        f"The server at {self.url} does not answer ({type(error).__name__}). Is it running?"
                    ) from None
                sleep(waits.pop(0))
                continue
            wait = _asked_to_wait(answer)
            if answer.status_code not in BUSY or not waits or wait > LONGEST_WAIT:
                return answer
            sleep(max(waits.pop(0), wait))

    def _json(self, answer: httpx.Response, method: str, path: str) -> Any:
        """Raises: Refused with the server's own sentence, or with what is strange about what answered."""
        if answer.status_code == 204:
            return None
        try:
            told = answer.json()
        except ValueError:
            told = None
        if answer.is_success and told is not None:
            return told
        if isinstance(told, dict) and isinstance(told.get("detail"), str):
            raise Refused(told["detail"], answer.status_code)
        kind = answer.headers.get("content-type", "no type").partition(";")[0]
        raise Refused(
            f"What answers at {self.url} is not a Storyshift server: {answer.status_code}, {kind}, to {method} {path}.",
            answer.status_code,
        )


def _asked_to_wait(answer: httpx.Response) -> float:
    """Seconds of Retry-After; 0 where it names none."""
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else 0.0


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise Refused(f"{name} is {value.isoformat()}, of no time zone. Say which: tzinfo=datetime.UTC, or a date.")
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [_plain(name, one) for one in value]
    return value.isoformat() if isinstance(value, date) else value
