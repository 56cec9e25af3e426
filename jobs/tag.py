"""Tagging: revisions that the tagger has not read are read in batches, one commit a batch."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Protocol

from config import definitions
from config.settings import OTHER_MODEL, get_settings
from models.articles import Revision
from models.database import Database
from models.errors import BadInput, BadRow
from models.store import tags as tag_store
from models.tags import NarrativeScore, Tagged, Text

BATCH = 1_000


class Tagger(Protocol):
    name: str

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]: ...


def live_tagger() -> Tagger:
    """The tagger of the settings. Raises: ConfigError."""
    definitions.live_tagger_name()  # weights that are not there are named
    tagger, sentiment = get_settings().tagger, get_settings().sentiment
    if not sentiment:
        return tagger_named(tagger)
    from nlp.huggingface import WithSentiment

    told = definitions.sentiment_model(sentiment)
    return WithSentiment(tagger_named(tagger), sentiment, told)


def tagger_named(name: str) -> Tagger:
    """minilm, keywords or hf:OWNER/NAME@REVISION. Raises: BadInput, ConfigError."""
    if name == "keywords":
        return baseline_tagger()
    if name == "minilm":
        from nlp.minilm import MiniLMTagger

        return MiniLMTagger(definitions.narratives(), definitions.assets())
    if not OTHER_MODEL.fullmatch(name):
        raise BadInput(f"{name!r} is no tagger; it must be minilm, keywords or hf:OWNER/NAME@REVISION.")
    from nlp.huggingface import HuggingFaceTagger

    return HuggingFaceTagger(name, definitions.tagger_model(name), definitions.narratives(), definitions.assets())


def baseline_tagger() -> Tagger:
    from nlp.keywords import KeywordTagger

    return KeywordTagger(definitions.narratives(), definitions.assets())


def tag_untagged(
    database: Database,
    tagger: Tagger,
    *,
    clock: Callable[[], datetime],
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Read what the tagger has not read yet. `progress` is told (done, of). Returns how many revisions were read."""
    languages = get_settings().tagged_languages()
    waiting = 0
    if progress is not None:
        with database.read() as session:
            waiting = tag_store.count_untagged(session, tagger.name, languages=languages)
    done, after = 0, 0
    while True:
        with database.read() as session:
            batch = tag_store.untagged(session, tagger.name, after=after, limit=BATCH, languages=languages)
        if not batch:
            return done
        results = list(tagger.tag(_text(revision) for revision in batch))
        with database.write() as session:
            pairs = [(revision.id or 0, result) for revision, result in zip(batch, results, strict=True)]
            tag_store.save_tags(session, tagger.name, pairs, now=clock())
        done += len(batch)
        after = batch[-1].id or after
        if progress is not None:
            progress(done, max(waiting, done))


def _text(revision: Revision) -> Text:
    return Text(str(revision.id), {"title": revision.title, "summary": revision.summary, "body": revision.body})


def read_line(path: str, number: int, line: str) -> Text:
    """A line {"id", "text"} or {"id", "title", "summary", "body"} as a text. Raises: BadRow."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRow(path, number, f"is not JSON ({error}).") from None
    if not isinstance(row, dict) or "id" not in row:
        raise BadRow(path, number, 'is not an object with an "id".')
    fields = {name: row[name] for name in ("title", "summary", "body", "text") if row.get(name) is not None}
    if not fields:
        raise BadRow(path, number, 'has neither "text" nor any of "title", "summary", "body".')
    wrong = [name for name, value in fields.items() if not isinstance(value, str)]
    if wrong:
        raise BadRow(path, number, f"{wrong[0]} is not text.")
    return Text(_whole(str(row["id"])), {name: _whole(value) for name, value in fields.items()})


def _whole(text: str) -> str:
    """Halves of characters (lone surrogates) replaced one for one, so that offsets hold."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def result_line(tagged: Tagged, tagger: str) -> dict[str, Any]:
    """What `storyshift tag --input` writes for one text."""
    return {
        "id": tagged.id,
        "narratives": {tag.narrative: _narrative(tag) for tag in tagged.narratives},
        "assets": [
            {
                "asset": mention.asset,
                "tone": mention.tone,
                "salience": mention.salience,
                "spans": [{"field": s.field, "start": s.start, "end": s.end} for s in mention.spans],
            }
            for mention in tagged.assets
        ],
        "tagger": tagger,
    }


def _narrative(tag: NarrativeScore) -> dict[str, Any]:
    evidence = [{"field": s.field, "start": s.start, "end": s.end, "text": s.text} for s in tag.evidence]
    said = {"score": tag.score, "label": tag.label, "direction": tag.direction, "evidence": evidence}
    return said if tag.modality is None else said | {"modality": tag.modality}
