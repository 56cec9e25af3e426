"""Which publications are copies of one another: the agency's text in twelve outlets, cut, re-headlined or credited.

    wording -> sketches (MinHash of its shingles) -> CopyIndex: what may be a copy -> are_copies: whether it is one

Texts are compared by the share of the shorter one's shingles that stand in the longer, so that a cut copy is found;
where one has no text, titles must be the same. Two wordings of one event are no copies. Does not: fetch or store.
docs/methods/copies.md gives the figures behind the constants.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from rensa import RMinHash, RMinHashLSH

TEXT_WITHIN, TITLE_WITHIN = timedelta(hours=48), timedelta(hours=12)
"""How far apart copies are published, as told by their texts, or by their titles alone."""
TITLE_WORDS = 4
"""Shorter titles ("Market wrap") say too little to make two articles copies of one another."""
TEXT_WORDS = 20
"""Shorter texts are told by their titles."""
MOST_WORDS = 3_000
"""Of a text that are compared."""
LEAD_WORDS = 50
CONTAINED = 0.75
OTHER_NUMBERS = 0.3
"""Templates (market wraps, share buy-backs) differ in their numbers. One other may be that of an agency's dateline."""
ALIKE = 0.5
"""Of the words of two titles. What an outlet repeats under another is what surrounds all its articles, or a column."""
PERMUTATIONS, BANDS = 63, 21
"""Bands of 3: texts that share 3 of 10 shingles are compared in one case of two, those that share 6 of 10 always."""
SLUG = re.compile(
    r"^(?:(?:update|wrapup|rpt|refile|corrected|correct|exclusive|breaking|analysis|factbox|live|watch|video|just in)"
    r"(?: \d+)? ?[-:–—] ?)+",
    re.IGNORECASE,
)
CREDIT = re.compile(r" (?:-|–|—|\|) [^-–—|]{2,30}$")
"""The outlet's or agency's name behind a title."""


def title_key(title: str) -> str:
    """A title without case, punctuation and spacing, agency slugs before it and a credit behind it."""
    bare = CREDIT.sub("", SLUG.sub("", title.strip()))
    return " ".join(words(bare) or words(title))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


@dataclass(frozen=True)
class Wording:
    """An article as it was first worded, by whom, and when it was published (aware UTC)."""

    outlet: str
    title: str
    summary: str
    body: str
    event_at: datetime

    @cached_property
    def key(self) -> str:
        return title_key(self.title)

    @cached_property
    def text(self) -> list[str]:
        """Its words, body before summary; empty where they are too few."""
        body = words(self.body[: MOST_WORDS * 12])
        summary = words(self.summary[: MOST_WORDS * 12])
        found = (body if body[: len(summary)] == summary else body + summary)[:MOST_WORDS]
        return found if len(found) >= TEXT_WORDS else []

    @cached_property
    def _sequence(self) -> list[str]:
        found = self.text
        return [f"{one} {two} {three}" for one, two, three in zip(found, found[1:], found[2:], strict=False)]

    @cached_property
    def shingles(self) -> frozenset[str]:
        return frozenset(self._sequence)

    @cached_property
    def numbers(self) -> frozenset[str]:
        return frozenset(word for word in self.text if word[0].isdecimal())

    @cached_property
    def sketches(self) -> list[RMinHash]:
        """Of the whole text and, as a copy may be cut, of its beginning; none where there is no text."""
        parts = [self._sequence] if self.text else []
        if len(self.text) > LEAD_WORDS:
            parts.append(self._sequence[:LEAD_WORDS])
        found = []
        for part in parts:
            sketch = RMinHash(num_perm=PERMUTATIONS, seed=1)
            sketch.update(part)
            found.append(sketch)
        return found


def are_copies(one: Wording, other: Wording) -> bool:
    """Whether one text was published twice. Symmetric; says nothing of who was first."""
    apart = abs(one.event_at - other.event_at)
    if not (one.text and other.text):
        same = one.key == other.key and one.key.count(" ") >= TITLE_WORDS - 1
        return same and apart <= TITLE_WITHIN
    if apart > TEXT_WITHIN or (one.outlet == other.outlet and not _same_matter(one, other)):
        return False
    shorter, longer = sorted((one, other), key=lambda wording: len(wording.shingles))
    if len(shorter.shingles & longer.shingles) < CONTAINED * len(shorter.shingles):
        return False
    return len(shorter.numbers - longer.numbers) <= max(1, OTHER_NUMBERS * len(shorter.numbers))


def _same_matter(one: Wording, other: Wording) -> bool:
    """Whether two titles of one outlet may stand over the same text, and not over what it repeats every day."""
    first, second = set(one.key.split()), set(other.key.split())
    if len(first & second) < ALIKE * len(first | second):
        return False
    return not ((first - second).difference(other.text) and (second - first).difference(one.text))


class CopyIndex:
    """What may be a copy of a wording, among those added: by day, as copies lie within two days of one another."""

    def __init__(self) -> None:
        self._texts: dict[date, RMinHashLSH] = {}
        self._titles: dict[date, dict[str, list[int]]] = {}

    def __contains__(self, day: date) -> bool:
        return day in self._texts

    def open(self, day: date) -> None:
        """From now on wordings of that day are kept."""
        self._texts[day] = RMinHashLSH(threshold=0.5, num_perm=PERMUTATIONS, num_bands=BANDS)
        self._titles[day] = defaultdict(list)

    def add(self, number: int, wording: Wording) -> None:
        """Keep a wording under a number of the caller's. Its day must be open."""
        day = wording.event_at.date()
        self._titles[day][wording.key].append(number)
        for sketch in wording.sketches:
            self._texts[day].insert(number, sketch)

    def near(self, wording: Wording) -> set[int]:
        """The numbers of those that may be copies, on days that are open."""
        found: set[int] = set()
        for day in days_around(wording.event_at):
            if day in self:
                found.update(self._titles[day].get(wording.key, ()))
                for sketch in wording.sketches:
                    found.update(self._texts[day].query(sketch))
        return found

    def keep_only(self, newest: int) -> None:
        """Forget all but so many of the newest days."""
        for day in sorted(self._texts)[:-newest]:
            del self._texts[day], self._titles[day]


def days_around(at: datetime) -> list[date]:
    """The UTC days on which a copy of what was published then may lie."""
    return [at.date() + timedelta(days=n) for n in range(-TEXT_WITHIN.days, TEXT_WITHIN.days + 1)]
