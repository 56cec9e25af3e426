"""The baseline tagger `keywords@1`: phrases of narratives.toml and assets.toml, found by spaCy's matchers.

    text -> tokens (spacy.blank) -> phrase matches, those inside an exception dropped
         -> per narrative: score from the hits, direction from the rising and falling phrases, evidence spans
         -> per asset: spans and salience

It stays for ever as what better taggers are held against. It does not judge tone, and reads no grammar.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import spacy
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc

from config.definitions import BASELINE_TAGGER, Asset, Narrative
from models.tags import AssetScore, NarrativeScore, Span, Tagged, Text
from nlp.windows import MAX_CHARACTERS

LABEL_FROM = 0.5
"""A score at or above this is a label."""
LEAD_FIELDS = ("title", "summary")
LEAD_CHARACTERS = 600
"""In other fields (body, text) only the beginning counts as lead."""
LEAD_WEIGHT, BODY_WEIGHT = 0.5, 0.13
"""What one distinct phrase adds: one in the lead is a label, a body needs five."""
NO_WORD = re.compile(r"\S{100,}")

EXPECTED = (
    "expect expects expected expecting expectation expectations may might could should would will likely bet bets "
    "betting focus hope hopes hoping seen seeks call calls calling urge urges urged forecast forecasts predict "
    "predicts predicted signal signals signaled signalled signaling hint hints hinted flag flags flagged plan "
    "plans planned pledge pledges pledged vow vows vowed consider considers considering weigh weighs weighing "
    "mull mulls eye eyes eyed ahead await awaits awaiting outlook prospect prospects wagers priced pricing ready "
    "poised set before upcoming looming if whether needs must wants want possible potential speculation view "
    "views see sees"
).split()


@dataclass(frozen=True, slots=True)
class Hit:
    """A phrase found: what it stands for, and where (token and character offsets)."""

    what: str
    field: str
    start: int
    end: int
    first: int
    last: int
    text: str


class KeywordTagger:
    """Tags texts with the phrases of the definitions it is given. Deterministic; keeps nothing between texts."""

    name = BASELINE_TAGGER

    def __init__(self, narratives: dict[str, Narrative], assets: dict[str, Asset]) -> None:
        self._nlp = spacy.blank("en")
        self._nlp.max_length = MAX_CHARACTERS + 1
        self._narratives = narratives
        self._lower = PhraseMatcher(self._nlp.vocab, attr="LOWER")
        self._exact = PhraseMatcher(self._nlp.vocab, attr="ORTH")
        self._expected = frozenset(EXPECTED)
        for key, narrative in narratives.items():
            self._add(self._lower, f"n|{key}|except", narrative.exceptions)
            self._add(self._lower, f"n|{key}|keyword", narrative.keywords)
            self._add(self._lower, f"n|{key}|rising", narrative.rising)
            self._add(self._lower, f"n|{key}|falling", narrative.falling)
            for group, lists in enumerate(narrative.together):
                for part, phrases in enumerate(lists):
                    self._add(self._lower, f"n|{key}|{group}.{part}", phrases)
        for key, asset in assets.items():
            self._add(self._lower, f"a|{key}|except", asset.exceptions)
            self._add(self._lower, f"a|{key}|name", asset.aliases)
            self._add(self._exact, f"a|{key}|name", asset.exact)

    def _add(self, matcher: PhraseMatcher, label: str, phrases: list[str]) -> None:
        if phrases:
            # upper case too: "U.S. debt" and "u.s. debt" are not cut into the same tokens
            written = {variant for phrase in phrases for variant in (phrase, phrase.upper())}
            matcher.add(label, [self._nlp.make_doc(phrase) for phrase in sorted(written)])

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        """One result per text, in order; an empty text gives an empty result."""
        for text in texts:
            yield self._tag(text)

    def _tag(self, text: Text) -> Tagged:
        hits: dict[str, list[Hit]] = defaultdict(list)
        expected = False
        for field, content in text.fields.items():
            if not content or content.isspace():
                continue
            doc = self._nlp.make_doc(_readable(content))
            if field in LEAD_FIELDS or not expected:
                expected = expected or any(
                    token.lower_ in self._expected or token.lower_ == "?"
                    for token in doc
                    if field in LEAD_FIELDS or token.idx < LEAD_CHARACTERS
                )
            for hit in self._find(doc, field, content):
                hits[hit.what].append(hit)
        touched = {what.split("|")[1] for what in hits if what.startswith("n|")}
        narratives = [self._narrative(key, hits, expected) for key in self._narratives if key in touched]
        assets = [_asset(key, found) for key, found in _named_assets(hits).items()]
        return Tagged(
            id=text.id,
            narratives=tuple(tag for tag in narratives if tag is not None),
            assets=tuple(sorted(assets, key=lambda mention: -mention.salience)),
        )

    def _find(self, doc: Doc, field: str, content: str) -> Iterator[Hit]:
        strings = self._nlp.vocab.strings
        for match, first, last in [*self._lower(doc), *self._exact(doc)]:
            start, end = doc[first].idx, doc[last - 1].idx + len(doc[last - 1])
            yield Hit(strings[match], field, start, end, first, last, content[start:end])

    def _narrative(self, key: str, hits: dict[str, list[Hit]], expected: bool) -> NarrativeScore | None:
        exceptions = hits.get(f"n|{key}|except", [])
        found = _outside(hits.get(f"n|{key}|keyword", []), exceptions)
        for group, lists in enumerate(self._narratives[key].together):
            labels = [f"n|{key}|{group}.{part}" for part in range(len(lists))]
            if not all(label in hits for label in labels):
                continue
            parts = [_outside(hits[label], exceptions) for label in labels]
            for field in sorted({hit.field for hit in parts[0]}):
                found.extend(_one_of_each([[hit for hit in part if hit.field == field] for part in parts]))
        if not found:
            return None
        missing = 1.0
        for weight in _distinct(found).values():
            missing *= 1 - weight
        score = round(1 - missing, 4)
        return NarrativeScore(
            narrative=key,
            score=score,
            label=score >= LABEL_FROM,
            direction=_direction(hits, key),
            modality=("expected" if expected else "actual") if key == "liquidity" else None,
            evidence=_spans(found),
        )


def _readable(content: str) -> str:
    """The text as the tokenizer shall read it, every character in its place.

    A run without any space is no word, and the tokenizer's time grows with the square of its length: it is blanked.
    """
    text = content[:MAX_CHARACTERS].replace("’", "'")
    return NO_WORD.sub(lambda run: " " * len(run[0]), text)


def _weight(hit: Hit) -> float:
    return LEAD_WEIGHT if hit.field in LEAD_FIELDS or hit.start < LEAD_CHARACTERS else BODY_WEIGHT


def _distinct(hits: list[Hit]) -> dict[str, float]:
    """The largest weight of each distinct phrase: the same word ten times says no more than once."""
    weights: dict[str, float] = {}
    for hit in hits:
        phrase = hit.text.lower()
        weights[phrase] = max(weights.get(phrase, 0.0), _weight(hit))
    return weights


def _outside(hits: list[Hit], exceptions: list[Hit]) -> list[Hit]:
    """The hits that do not lie inside an exception. A text that repeats both a thousand times costs a moment only."""
    reached: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for found in sorted(exceptions, key=lambda found: found.first):
        before = reached[found.field]
        before.append((found.first, max(found.last, before[-1][1] if before else 0)))

    def is_inside(hit: Hit) -> bool:
        begun = reached.get(hit.field, [])
        place = bisect_right(begun, hit.first, key=lambda one: one[0])
        return place > 0 and begun[place - 1][1] >= hit.last

    return [hit for hit in hits if not is_inside(hit)]


def _one_of_each(parts: list[list[Hit]]) -> list[Hit]:
    """One hit of every part, all in the lead and none overlapping another; empty if a part has none."""
    chosen: list[Hit] = []
    for part in parts:
        apart = (
            hit
            for hit in part
            if _weight(hit) == LEAD_WEIGHT and all(hit.last <= c.first or c.last <= hit.first for c in chosen)
        )
        hit = next(apart, None)
        if hit is None:
            return []
        chosen.append(hit)
    return chosen


def _direction(hits: dict[str, list[Hit]], key: str) -> int:
    """The sign of rising against falling phrases, the longer of two that overlap. Grammar is not read."""
    rising, falling = f"n|{key}|rising", f"n|{key}|falling"
    said = _longest([*hits.get(rising, []), *hits.get(falling, [])])
    up = sum(_distinct([hit for hit in said if hit.what == rising]).values())
    down = sum(_distinct([hit for hit in said if hit.what == falling]).values())
    return (up > down) - (up < down)


def _longest(hits: list[Hit]) -> list[Hit]:
    """Of hits that overlap only the longest; an exception before a name of the same length."""
    taken: set[tuple[str, int]] = set()
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.first - hit.last, hit.what.endswith("|name"), hit.start)):
        places = [(hit.field, token) for token in range(hit.first, hit.last)]
        if taken.isdisjoint(places):
            taken.update(places)
            kept.append(hit)
    return kept


def _spans(hits: list[Hit]) -> tuple[Span, ...]:
    """Where the hits stand, in reading order, an overlapping shorter one left out."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.field, hit.start, -hit.end)):
        if not kept or kept[-1].field != hit.field or hit.start >= kept[-1].end:
            kept.append(hit)
    return tuple(Span(hit.field, hit.start, hit.end, hit.text) for hit in kept)


def _named_assets(hits: dict[str, list[Hit]]) -> dict[str, list[Hit]]:
    """The hits of each asset; where names or exceptions overlap, the longest wins."""
    named: dict[str, list[Hit]] = defaultdict(list)
    for hit in _longest([hit for what, found in hits.items() if what.startswith("a|") for hit in found]):
        if hit.what.endswith("|name"):
            named[hit.what.split("|")[1]].append(hit)
    return named


def _asset(key: str, hits: list[Hit]) -> AssetScore:
    """Salience: 1 in a title or the beginning of a text, less the later the first mention stands."""
    first = min(hits, key=lambda hit: (hit.field != "title", hit.field != "summary", hit.start))
    if first.field == "title" or (first.field == "text" and first.start < LEAD_CHARACTERS):
        salience = 1.0
    else:
        salience = 0.6 if _weight(first) == LEAD_WEIGHT else 0.2
    return AssetScore(asset=key, tone=None, salience=salience, spans=_spans(hits))
