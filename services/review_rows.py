"""Reviews as rows of a file, JSON objects, read and written without a database.

Ours, as `storyshift review export` writes them, say what was judged not to hold ("absent"). Plain labelled texts
({"id", "text", "narratives", "assets"}) do not: there, all that is not named does not hold. See docs/label-studio.md.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from config import definitions
from ingest.dates import EARLIEST, parse_instant
from models.reviews import SLICES, Judgement, SaidNarrative
from models.store.review_files import Reviewed
from services.answers import plain

Row = dict[str, Any]
DASH = " — "
"""Between title and summary, where one text is made of both."""
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
LINE_ENDS = re.compile("[\x85\u2028\u2029]")
LONGEST_TEXT, LONGEST_NAME = 1_000_000, 200
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that cannot be used. `line` is the number of a line, or of a task; it counts from 1."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Sought:
    """The wording a review is of, as a file describes it; what is empty was not told."""

    content_hash: str
    text: str
    title: str
    summary: str
    url: str
    outlet: str
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """A review as a file tells it, its wording not yet found.

    `uid` is empty unless the file has it from a store; `id` is what the file calls it. given_at: None if not told.
    """

    line: int
    uid: str
    id: str
    sought: Sought
    reviewer: str
    given_at: datetime | None
    judgement: Judgement
    whole: bool
    slice: str
    blind: bool
    tagger: str
    skipped: str | None
    note: str
    undone: bool


# -- writing ---------------------------------------------------------------------------------------------------------


def write_row(found: Reviewed, probability: float | None) -> Row:
    """The row of a review. `whole`: all narratives that are defined now were judged, and assets."""
    review = found.review
    holds = {key: _said(said) for key, said in review.narratives.items() if said is not None}
    absent = sorted(key for key, said in review.narratives.items() if said is None)
    whole = review.assets is not None and set(definitions.narratives()) <= set(review.narratives)
    row: Row = {
        "id": review.uid,
        "text": text_of(found.title, found.summary),
        "title": found.title,
        "summary": found.summary,
        "content_hash": found.content_hash,
        "url": found.url,
        "outlet": found.outlet,
        "published_at": plain(found.published_at),
        "narratives": {key: holds[key] for key in sorted(holds)},
        "absent": absent,
        "assets": None if review.assets is None else {key: review.assets[key] for key in sorted(review.assets)},
        "whole": whole,
        "reviewer": review.reviewer,
        "given_at": plain(review.given_at),
        "slice": review.slice,
        "blind": review.blind,
        "tagger": review.tagger,
        "skipped": review.skipped,
        "note": review.note,
        "inclusion_probability": probability,
    }
    if review.undone_at is not None:
        row["undone_at"] = plain(review.undone_at)
    return row


def _said(said: dict[str, Any]) -> dict[str, Any]:
    modality = said.get("modality")
    return {"direction": said["direction"]} | ({"modality": modality} if modality is not None else {})


def text_of(title: str, summary: str) -> str:
    return f"{title}{DASH}{summary}" if summary else title


def json_line(row: Row) -> bytes:
    """The row on a line of its own, whatever a reader takes for the end of a line."""
    written = json.dumps(row, ensure_ascii=False, allow_nan=False)
    return LINE_ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", written).encode() + b"\n"


# -- reading ---------------------------------------------------------------------------------------------------------


def read_lines(lines: Iterable[bytes], reviewer: str) -> Iterator[Told | Refusal]:
    """Each line's review, or why there is none. `reviewer` is whose they are where a line does not say."""
    seen: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            told = read_row(parse(line), number, reviewer)
        except ValueError as error:
            yield Refusal(number, str(error))
            continue
        known = ("", told.uid) if told.uid else (told.reviewer, told.id)
        first = seen.setdefault(known, number)
        yield told if first == number else Refusal(number, f"has the id {told.id!r}, as line {first} has.")


def parse(text: bytes) -> Any:
    """The JSON of a line or file. Raises: ValueError saying why it is none."""
    try:
        return json.loads(text.decode("utf-8-sig"), parse_constant=_no_number)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text.") from None
    except RecursionError:
        raise ValueError("is not JSON that can be read (it is nested too deep).") from None
    except ValueError as error:
        raise ValueError(f"is not JSON ({error}).") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def read_row(row: Any, line: int, reviewer: str) -> Told:
    """Raises: ValueError saying why the row cannot be used."""
    if not isinstance(row, dict):
        raise ValueError("is not a JSON object {…}.")
    if "narratives" not in row and ("annotations" in row or "completions" in row):
        raise ValueError("is a task of Label Studio; export it there as JSON, all tasks in one list.")
    ours = "absent" in row
    judgement, whole = _judgement(row, ours)
    identity = _identity(row)
    return Told(
        line=line,
        uid=identity if ours else "",
        id=identity,
        sought=sought(row),
        reviewer=name_of(row.get("reviewer"), "reviewer") or reviewer,
        given_at=instant(row, "given_at"),
        judgement=judgement,
        whole=whole,
        slice=row["slice"] if row.get("slice") in SLICES else "chosen",
        blind=_flag(row, "blind"),
        tagger=name_of(row.get("tagger"), "tagger"),
        skipped=None if row.get("skipped") is None else text(row, "skipped"),
        note=text(row, "note"),
        undone=instant(row, "undone_at") is not None,
    )


def _identity(row: Row) -> str:
    value = row.get("id")
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or not value:
        raise ValueError("has no id." if value in (None, "") else f"id is {shown(value)}; it must be text.")
    return text({"id": value}, "id", LONGEST_NAME)


def sought(row: Row) -> Sought:
    """Raises: ValueError if nothing in it tells of which text it is."""
    found = Sought(
        content_hash=text(row, "content_hash", LONGEST_NAME).lower(),
        text=text(row, "text"),
        title=text(row, "title"),
        summary=text(row, "summary"),
        url=text(row, "url"),
        outlet=text(row, "outlet"),
        published_at=instant(row, "published_at", check=False),
    )
    if not (found.content_hash or found.text or found.title):
        raise ValueError("has no text.")
    return found


def _judgement(row: Row, ours: bool) -> tuple[Judgement, bool]:
    """What is said, and whether all that is not named does not hold."""
    skipped, assets = row.get("skipped") is not None, row.get("assets")
    if "narratives" not in row and not skipped:
        raise ValueError("has no narratives; {} says that none holds.")
    narratives: dict[str, SaidNarrative | None] = dict(_narratives(row.get("narratives") or {}))
    tones = None if assets is None else _tones(assets)
    if ours:
        for key in _absent(row["absent"]):
            if key in narratives:
                raise ValueError(f"{key} is among those that hold and among the absent.")
            narratives[key] = None
        known = definitions.narratives()  # one that is not defined any more, and does not hold, says nothing here
        kept = {key: said for key, said in narratives.items() if said or key in known or row.get("slice") == "search"}
        return Judgement(kept, tones), False
    whole = _flag(row, "whole", default=True)
    if whole and tones is None:  # of assets it says nothing
        return Judgement(dict.fromkeys(definitions.narratives()) | narratives), False
    return Judgement(narratives, tones), whole


def _narratives(given: Any) -> Iterator[tuple[str, SaidNarrative]]:
    if not isinstance(given, dict):
        raise ValueError(f"narratives is {shown(given)}; it must be an object by key.")
    for key, said in given.items():
        _check_key(key)
        if not isinstance(said, dict) or "direction" not in said:
            raise ValueError(f'{key} is {shown(said)}; it must be {{"direction": -1, 0 or 1}}.')
        modality = said.get("modality")
        if modality is not None and not isinstance(modality, str):
            raise ValueError(f"The modality of {key} is {shown(modality)}; it must be actual or expected.")
        yield key, SaidNarrative(_sign(f"The direction of {key}", said["direction"]), modality)


def _tones(given: Any) -> dict[str, int]:
    if not isinstance(given, dict):
        raise ValueError(f"assets is {shown(given)}; it must be an object by key, or null.")
    for key in given:
        _check_key(key)
    return {key: _sign(f"The tone of {key}", tone) for key, tone in given.items()}


def _absent(given: Any) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(key, str) for key in given):
        raise ValueError(f"absent is {shown(given)}; it must be a list of keys.")
    for key in given:
        _check_key(key)
    return given


def _check_key(key: str) -> None:
    if len(key) > LONGEST_NAME or UNSTORABLE.search(key):
        raise ValueError(f"{shown(key)} is no key of a narrative or asset.")


def _sign(what: str, value: Any) -> int:
    if type(value) is not int or value not in (-1, 0, 1):
        raise ValueError(f"{what} is {shown(value)}; it must be -1, 0 or 1.")
    return value


def _flag(row: Row, name: str, *, default: bool = False) -> bool:
    value = row.get(name)
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{name} is {shown(value)}; it must be true or false.")
    return default if value is None else value


def text(row: Row, name: str, most: int = LONGEST_TEXT) -> str:
    """A field, "" where it is missing. Raises: ValueError if it is no text that can be stored."""
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name} is {shown(value)}; it must be text.")
    if len(value) > most:
        raise ValueError(f"{name} has {len(value)} characters; at most {most} are read.")
    if UNSTORABLE.search(value):
        raise ValueError(f"{name} holds a character that cannot be stored (NUL, or half of a pair).")
    return value


def name_of(value: Any, name: str) -> str:
    """A name, on one line; "" where there is none. Raises: ValueError."""
    found = text({name: value}, name, LONGEST_NAME).strip()
    if not found.isprintable():
        raise ValueError(f"{name} is {shown(found)}; it must be one line of visible characters.")
    return found


def instant(row: Row, name: str, *, check: bool = True) -> datetime | None:
    """An instant, aware UTC. Raises: ValueError if it cannot be understood; without `check` it is None then."""
    try:
        written = text(row, name).strip()
        found = parse_instant(written) if written else None
    except ValueError as error:
        if not check:
            return None
        raise ValueError(str(error) if str(error).startswith(name) else f"{name}: {error}.") from None
    if check and found is not None and found < EARLIEST:
        raise ValueError(f"{name} {found:%Y-%m-%d} is before {EARLIEST:%Y}.")
    return found


def shown(value: Any) -> str:
    """A value as it is quoted in a sentence: its beginning, if it is long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    found = repr(value[:SHOWN]) if isinstance(value, str) else json.dumps(value)
    return found if len(found) <= 2 * SHOWN else f"{found[:SHOWN]}…"


def made_uid(told: Told, content_hash: str) -> str:
    """The same for the same review of the same wording, whenever it is read; another where it says something else."""
    holds = {key: (one.direction, one.modality) for key, one in told.judgement.narratives.items() if one is not None}
    said = [holds, told.judgement.assets, told.skipped]
    whose = json.dumps([told.reviewer, told.id, content_hash, said], sort_keys=True)
    return "file-" + hashlib.sha256(whose.encode()).hexdigest()[:32]
