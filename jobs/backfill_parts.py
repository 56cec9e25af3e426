"""What a part of a backfill holds, a row an article with what the tagger said of it, and its way into the store."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from jobs.imports import BATCH
from models.database import Database
from models.errors import BadFile
from models.found import FoundArticle
from models.store.articles import add_articles, wordings_of
from models.store.tags import save_tags
from models.tags import AssetScore, NarrativeScore, Span, Tagged


@dataclass(slots=True)
class StoredReport:
    articles: int = 0
    new: int = 0
    revised: int = 0
    known: int = 0
    tagged: int = 0
    seconds: float = 0.0


def schema() -> Any:
    """The columns of a part, as pyarrow has them."""
    import pyarrow as pa

    text = pa.string()
    spans = pa.list_(pa.struct([("field", text), ("start", pa.int32()), ("end", pa.int32()), ("text", text)]))
    narrative = [("narrative", text), ("score", pa.float64()), ("label", pa.bool_()), ("direction", pa.int8())]
    narrative += [("modality", text), ("evidence", spans)]
    asset = [("asset", text), ("tone", pa.float64()), ("salience", pa.float64()), ("spans", spans)]
    instant = pa.timestamp("us", tz="UTC")
    return pa.schema(
        [
            ("line", pa.int64()),
            ("identity", text),
            ("published_at", instant),
            ("known_at", instant),
            ("knowledge", text),
            ("date_note", text),
            ("outlet", text),
            ("language", text),
            ("url", text),
            ("title", text),
            ("summary", text),
            ("body", text),
            ("tagger", text),
            ("narratives", pa.list_(pa.struct(narrative))),
            ("assets", pa.list_(pa.struct(asset))),
        ]
    )


def part_row(line: int, article: FoundArticle, tagged: Tagged | None, tagger: str) -> dict[str, Any]:
    """Without tagger, narratives and assets where it was not read: it is in another language."""
    return {
        "line": line,
        "identity": article.identity,
        "published_at": article.event_at,
        "known_at": article.known_at,
        "knowledge": article.knowledge,
        "date_note": article.date_note,
        "outlet": article.outlet,
        "language": article.language,
        "url": article.url,
        "title": article.title,
        "summary": article.summary,
        "body": article.body,
        "tagger": tagger if tagged is not None else None,
        "narratives": [asdict(tag) for tag in tagged.narratives] if tagged is not None else None,
        "assets": [asdict(mention) for mention in tagged.assets] if tagged is not None else None,
    }


def _article(row: dict[str, Any]) -> FoundArticle:
    kept = ("identity", "outlet", "title", "summary", "body", "url", "language", "known_at", "knowledge", "date_note")
    return FoundArticle(**{name: row[name] for name in kept}, origin="archive", event_at=row["published_at"])


def _tagged(row: dict[str, Any]) -> Tagged | None:
    if row["tagger"] is None:
        return None

    def spans(found: list[dict[str, Any]]) -> tuple[Span, ...]:
        return tuple(Span(**span) for span in found)

    narratives = (NarrativeScore(**tag | {"evidence": spans(tag["evidence"])}) for tag in row["narratives"])
    assets = (AssetScore(**mention | {"spans": spans(mention["spans"])}) for mention in row["assets"])
    return Tagged(str(row["line"]), tuple(narratives), tuple(assets))


def store_parts(
    database: Database,
    tagger: str,
    parts: Sequence[Path],
    *,
    clock: Callable[[], datetime],
    progress: Callable[[int, int], None] | None = None,
) -> StoredReport:
    """Bring the articles of these parts and their tags into the store, in order, one commit a batch.

    Twice adds nothing. `progress` is told (parts, of). Raises: BadFile if a part is no longer there.
    """
    import pyarrow
    import pyarrow.parquet

    began = perf_counter()
    stored = StoredReport()
    for done, part in enumerate(parts, 1):
        try:
            with pyarrow.parquet.ParquetFile(part) as table:
                for batch in table.iter_batches(batch_size=BATCH):
                    _store(database, tagger, batch.to_pylist(), stored, now=clock())
        except (OSError, pyarrow.ArrowException) as error:
            raise BadFile(str(part), f"cannot be read ({error}). Run the backfill again.") from None
        if progress is not None:
            progress(done, len(parts))
    stored.seconds = round(perf_counter() - began, 3)
    return stored


def _store(database: Database, tagger: str, rows: list[dict[str, Any]], stored: StoredReport, *, now: datetime) -> None:
    articles = [_article(row) for row in rows]
    with database.write() as session:
        added = add_articles(session, articles, now=now)
        said = zip(wordings_of(session, articles), map(_tagged, rows), strict=True)
        pairs = [(wording, tagged) for wording, tagged in said if wording is not None and tagged is not None]
        save_tags(session, tagger, pairs, now=now)
    stored.articles += len(articles)
    stored.new += added.new
    stored.revised += added.revised
    stored.known += added.known
    stored.tagged += len(pairs)
