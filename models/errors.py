"""Every error of ours, named after the situation. The message says what, where and what to do.

StoryshiftError
├── BadInput                 what a person gave us cannot be used          (exit 2, HTTP 422)
│   ├── UnknownName          a narrative, asset, tagger … we do not have
│   ├── BadRange             start, end, bucket or as_of do not fit
│   └── BadFile              an input file as a whole cannot be read       (exit 1)
│       └── BadRow           one row of it; the others go on
├── NotFound                 the article, price … asked for is not there   (exit 1, HTTP 404)
├── NotAllowed               a request without a living key or session, where it takes one (HTTP 401)
│   └── Forbidden            … with one that may not do this               (HTTP 403)
├── TooManyRequests          someone asks more often than is allowed    (HTTP 429)
├── ConfigError              a file in config/ or a setting is wrong       (exit 2, HTTP 500)
├── FeedError                one feed failed; stored with the feed         (never stops the others)
├── SourceError              a source of prices failed; kept with its watch (never stops the others)
├── DatabaseUnavailable      no database answers at the address            (exit 1, HTTP 503)
│   └── DatabaseBusy         another process holds the database            (exit 1, HTTP 503)
└── PortBusy                 another program listens there                 (exit 1)
"""

from datetime import timedelta
from difflib import get_close_matches

SHOWN_CHARACTERS = 500
"""Of what a server made us say; commands to a terminal are left out."""


def nearest(name: str, known: list[str]) -> str | None:
    """The known name that is written most like it, in any case; None where none is."""
    by_case = {one.lower(): one for one in known}
    found = get_close_matches(name.lower().replace("-", "_"), by_case, n=1)
    return by_case[found[0]] if found else None


class StoryshiftError(Exception):
    """The root of the tree; `str(error)` is one clear sentence for a person."""


class BadInput(StoryshiftError):
    pass


class UnknownName(BadInput):
    """A name that is not among the ones we know, e.g. a narrative in a query."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        self.kind, self.name, self.known = kind, name, known
        meant = nearest(name, known)
        asked = f" Did you mean {meant!r}?" if meant else ""
        super().__init__(f"There is no {kind} named {name!r}.{asked} Known: {', '.join(known)}.")


class BadRange(BadInput):
    pass


class BadFile(BadInput):
    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class BadRow(BadFile):
    """One row that cannot be used. `line` counts from 1, the header included for CSV."""

    def __init__(self, path: str, line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}", reason)
        self.line = line
        self._told = path, line, reason

    def __reduce__(self) -> tuple[type["BadRow"], tuple[str, int, str]]:
        """Reports are copied with the rows that they refuse."""
        return BadRow, self._told


class NotFound(StoryshiftError):
    pass


class NotAllowed(StoryshiftError):
    pass


class Forbidden(NotAllowed):
    pass


class TooManyRequests(StoryshiftError):
    """`seconds` until the next one is answered."""

    def __init__(self, reason: str, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(reason)


class ConfigError(StoryshiftError):
    pass


class FeedError(StoryshiftError):
    """A feed that could not be fetched or read. `kind` is a short stable key, `status` the HTTP status if one came.

    `retry_after`: how long the server wants to be left alone, if it says so.
    """

    def __init__(self, kind: str, reason: str, status: int | None = None, retry_after: timedelta | None = None) -> None:
        self.kind, self.status, self.retry_after = kind, status, retry_after
        super().__init__("".join(char if char.isprintable() else " " for char in reason[:SHOWN_CHARACTERS]))

    def __reduce__(self) -> tuple[type["FeedError"], tuple[object, ...]]:  # it travels between processes
        return FeedError, (self.kind, str(self), self.status, self.retry_after)


class SourceError(StoryshiftError):
    """A source of prices or macro values that did not answer, or not with what was asked for.

    `away`: it is the source as a whole that does not answer now, whatever it is asked for.
    """

    def __init__(self, reason: str, *, away: bool = False) -> None:
        self.away = away
        super().__init__(reason)


class DatabaseUnavailable(StoryshiftError):
    pass


class DatabaseBusy(DatabaseUnavailable):
    pass


class PortBusy(StoryshiftError):
    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(f"Port {port} is in use by another program. Stop it, or choose another: --port {port + 1}.")
