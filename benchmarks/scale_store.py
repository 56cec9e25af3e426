"""Made-up stores of any size over the same five years, for benchmarks/scale.py: raw rows, and what is counted of them.

python benchmarks/scale_store.py [ARTICLES] [DATABASE_URL]

Drawn with numpy, seeded; made into rows and sums by DuckDB; loaded by COPY into PostgreSQL (as a superuser: triggers
rest meanwhile, and keys and indexes are made at the end), by inserts into SQLite. Run by itself it builds a small store
(5,000 articles, SQLite) and compares all that is counted with what the store itself would count: they must be equal.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlmodel import Session

from config.definitions import live_tagger_name, narratives
from models.database import Database
from models.migrations.versions.m0015_rollups_by_day import FILL_DAYS
from models.migrations.versions.m0019_days_as_known import FILL_KNOWN
from models.rollups import DEVALUATION_POLE, PANIC_POLE
from models.store.rollups import COUNTED, EPOCH, TONE_UNITS, rebuild
from models.store.sql import table_of

FIRST, END = datetime(2021, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
OUTLETS, MOST_COPIES = 40, 6
COPIED, LATE = 0.1, 0.1
"""The share of articles that repeat an earlier one, and of those that become known hours or days late."""
SHARES = (0.05, 0.025, 0.06, 0.03, 0.04, 0.02, 0.005, 0.006, 0.006)
"""Of stories, by narrative in the order of the codebook; they wax and wane by half within about a year."""
ASSETS = {"BTC": 0.08, "XAU": 0.05, "USD": 0.08, "OIL": 0.05, "EQ_US": 0.12, "UST": 0.06}
VOCABULARY, PHRASES, WORDS, TITLE, SUMMARY = 8_000, 65_536, 5, 2, 4
"""Words, made-up phrases of a few of them, and how many phrases a title and a summary have."""
KNOWN = "rates stocks fed dollar gold yields debt inflation bitcoin silver tariff haven liquidity palladium".split()
SYLLABLES = "ba ke li mo nu pa ri so ta ve do fi ga he jo ku la me ni po".split()
PART = 500_000
SEED = 20
INSTANT = "strftime(timestamp '1900-01-01' + to_seconds({}), '%Y-%m-%d %H:%M:%S.%f')"
NULL = "\\N"


def log(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


# -- drawing ----------------------------------------------------------------------------------------------------------


def draw(count: int, work: duckdb.DuckDBPyConnection) -> None:
    """Tables articles, stories, labels and mentions; instants are whole seconds since 1900."""
    rng = np.random.default_rng(SEED)
    extra = _extra_copies(count, rng)
    stories = len(extra)
    story = np.repeat(np.arange(stories, dtype=np.int32), extra + 1)
    place = np.arange(count) - np.repeat(np.cumsum(extra + 1) - (extra + 1), extra + 1)
    outlet = _outlets(extra, place, rng)
    event = _published(stories, rng)[story] + (place > 0) * rng.exponential(7_200, count).astype(np.int64)
    event = np.minimum(event, _seconds(END) - 1)
    late = rng.random(count) < LATE
    known = event + np.where(
        late, np.minimum(rng.lognormal(np.log(21_600), 1.2, count), 432_000), rng.exponential(240, count)
    ).astype(np.int64)
    order = np.argsort(known, kind="stable")
    story, outlet, event, known = story[order], outlet[order], event[order], known[order]
    lead = np.full(stories, count, dtype=np.int32)
    np.minimum.at(lead, story, np.arange(count, dtype=np.int32))
    named = np.empty(stories, dtype=np.int32)
    named[np.argsort(lead)] = np.arange(1, stories + 1, dtype=np.int32)
    ids = np.arange(1, count + 1, dtype=np.int32)
    _keep(work, "articles", id=ids, story=named[story], outlet=outlet, event=event, known=known)
    lead = np.sort(lead)
    _keep(
        work,
        "stories",
        story=np.arange(1, stories + 1, dtype=np.int32),
        lead=lead + 1,
        outlet=outlet[lead],
        event=event[lead],
        known=known[lead],
    )
    _draw_tags(event[lead], rng, work)


def _extra_copies(count: int, rng: np.random.Generator) -> np.ndarray:
    """Of each story, how many articles repeat its first."""
    wanted = int(count * COPIED)
    drawn = rng.choice(np.arange(1, MOST_COPIES), wanted, p=(0.5, 0.25, 0.13, 0.08, 0.04))
    several = int(np.searchsorted(np.cumsum(drawn), wanted)) + 1
    drawn = drawn[:several]
    drawn[-1] -= drawn.sum() - wanted
    extra = np.zeros(count - wanted, dtype=np.int64)
    extra[rng.permutation(len(extra))[:several]] = drawn
    return extra


def _outlets(extra: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A few outlets bring most; no outlet brings a story twice."""
    often = 1 / np.arange(3, OUTLETS + 3)
    often /= often.sum()
    outlet = rng.choice(OUTLETS, len(place), p=often).astype(np.int16)
    several = np.flatnonzero(extra)
    turns = np.log(often) + rng.gumbel(size=(len(several), OUTLETS))
    first = np.argsort(-turns, axis=1)[:, :MOST_COPIES]
    outlet[np.repeat(extra > 0, extra + 1)] = np.concatenate(
        [first[n, : extra[at] + 1] for n, at in enumerate(several)] or [np.empty(0, dtype=np.int64)]
    )
    return outlet


def _published(stories: int, rng: np.random.Generator) -> np.ndarray:
    """Half as much at weekends, most by day."""
    hours = np.arange((END - FIRST) // timedelta(hours=1))
    weekday = (hours // 24 + FIRST.weekday()) % 7 < 5
    weight = (1.2 + np.sin((hours % 24 - 8) / 24 * 2 * np.pi)) * np.where(weekday, 1, 0.5)
    at = np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(stories)).clip(max=len(hours) - 1)
    return _seconds(FIRST) + 3_600 * at + rng.integers(0, 3_600, stories)


def _draw_tags(published: np.ndarray, rng: np.random.Generator, work: duckdb.DuckDBPyConnection) -> None:
    """Copies are tagged as their story is."""
    years = (published - published.min()) / (400 * 86_400)
    labels: list[pa.Table] = []
    for n, (narrative, share) in enumerate(zip(narratives(), SHARES, strict=True)):
        told = np.flatnonzero(rng.random(len(published)) < share * (1 + 0.5 * np.sin(2 * np.pi * years + n)))
        expected = np.where(rng.random(len(told)) < 0.4, "expected", "actual")
        labels.append(
            pa.table(
                {
                    "story": pa.array(told + 1, pa.int32()),
                    "narrative": pa.array([narrative]).take(pa.array(np.zeros(len(told), dtype=np.int8))),
                    "direction": rng.choice(np.array([1, -1, 0], dtype=np.int8), len(told), p=(0.6, 0.25, 0.15)),
                    "modality": pa.array(expected if narrative == "liquidity" else np.full(len(told), "")),
                }
            )
        )
    mentions: list[pa.Table] = []
    for asset, share in ASSETS.items():
        named = np.flatnonzero(rng.random(len(published)) < share)
        units = np.clip(rng.normal(0, 0.3, len(named)) * TONE_UNITS, -TONE_UNITS, TONE_UNITS).astype(np.int32)
        mentions.append(
            pa.table(
                {
                    "story": pa.array(named + 1, pa.int32()),
                    "asset": pa.array([asset]).take(pa.array(np.zeros(len(named), dtype=np.int8))),
                    "units": pa.array(units, mask=rng.random(len(named)) < 0.1),
                }
            )
        )
    for name, tables in (("labels", labels), ("mentions", mentions)):
        work.register("drawn", pa.concat_tables(tables))
        work.execute(f"create table {name} as select * from drawn order by story")
        work.unregister("drawn")


def _seconds(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(seconds=1)


def _keep(work: duckdb.DuckDBPyConnection, name: str, **columns: np.ndarray) -> None:
    work.register("drawn", pa.table(columns))
    work.execute(f"create table {name} as select * from drawn")
    work.unregister("drawn")


# -- raw rows ---------------------------------------------------------------------------------------------------------

RAW = {
    "feeds": """select o + 1 as id, format('https://feeds.outlet-{:02d}.example/news.xml', o) as url, outlet_name(o) as
        outlet, 'general' as kind, 'en' as language, '2026-01-01' as verified, '' as title, added_at,
        added_at as next_fetch_at, 0 as failures, 0 as floor_seconds, 0 as moved_times
        from range($outlets) r(o), (select '2021-01-01 00:00:00.000000' as added_at) where $part = 0""",
    "stories": """select story as id, lead as lead_id, instant(event) as event_at, instant(known) as known_at
        from stories where lead between $low and $high order by story""",
    "articles": """select id, 'u:' || substr(sha256('i' || id), 1, 38) as identity, story as story_id,
        outlet + 1 as feed_id, outlet_name(outlet) as outlet,
        format('https://www.outlet-{:02d}.example/', outlet) || strftime(timestamp '1900-01-01' + to_seconds(event),
        '%Y/%m/%d/') || replace(substr(title, 1, 48), ' ', '-') || '-' || id as url, 'en' as language,
        'live' as origin, instant(event) as event_at, instant(known) as known_at, 'observed' as knowledge
        from part join worded using (id) order by id""",
    "revisions": """select id, id as article_id, instant(known) as seen_at, title, summary, '' as body,
        md5('w' || id) as content_hash from part join worded using (id) order by id""",
    "taggings": """select id as revision_id, $tagger as tagger, instant(known + 30) as tagged_at
        from part order by id""",
    "narrative_tags": """select id as revision_id, $tagger as tagger, narrative,
        0.5::double + (id % 500) / 1000 as score, true as label, direction, nullif(modality, '') as modality,
        '[{"field": "title", "start": 0, "end": ' || length(split_part(title, ' ', 1)) || ', "text": "' ||
        split_part(title, ' ', 1) || '"}]' as evidence
        from part join worded using (id) join labels using (story) order by id""",
    "asset_mentions": """select id as revision_id, $tagger as tagger, asset, units / $units as tone,
        1::double as salience,
        '[{"field": "title", "start": 0, "end": ' || length(split_part(title, ' ', 1)) || ', "text": "' ||
        split_part(title, ' ', 1) || '"}]' as spans
        from part join worded using (id) join mentions using (story) order by id""",
}
"""The rows of each table that are not null, for the articles of one part."""


def raw_rows(
    count: int, work: duckdb.DuckDBPyConnection, stems: dict[str, str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Table after table, part after part: a table, the query of its rows, the query's values.

    With stems of the words also what the triggers of PostgreSQL would make of the texts.
    """
    banks = _banks(stems)
    for low in range(1, count + 1, PART):
        high = min(low + PART - 1, count)
        chosen = "create or replace temp table part as select * from articles where id between ? and ?"
        work.execute(chosen, [low, high])
        work.register("drawn", _texts(work.table("part").fetchnumpy(), *banks))
        work.execute("create or replace temp table worded as select * from drawn")
        work.unregister("drawn")
        values = {"low": low, "high": high, "tagger": live_tagger_name(), "outlets": OUTLETS, "part": low // PART}
        for name, query in RAW.items():
            wanted = {key: value for key, value in (values | {"units": TONE_UNITS}).items() if f"${key}" in query}
            yield name, query, wanted
        if stems:
            yield "revision_words", "select id as revision_id, words from worded order by id", {}


def vocabulary() -> list[str]:
    return KNOWN + [_made_up(n) for n in range(VOCABULARY - len(KNOWN))]


def _banks(stems: dict[str, str]) -> tuple[pa.Array, list[pa.Array]]:
    """Made-up phrases; and for each place in a text that a phrase may stand at, its stems with their positions."""
    rng, words = np.random.default_rng(SEED), vocabulary()
    often = 1 / (np.arange(VOCABULARY) + 5)
    drawn = rng.choice(VOCABULARY, (PHRASES, WORDS), p=often / often.sum())
    phrases = pa.array([" ".join(words[n] for n in row) for row in drawn])
    first = [WORDS * place + 1 + (place >= TITLE) for place in range(TITLE + SUMMARY)] if stems else []
    stemmed = [
        pa.array([" ".join(f"{stems[words[n]]}:{at + k}" for k, n in enumerate(row)) for row in drawn]) for at in first
    ]
    return phrases, stemmed


def _made_up(n: int) -> str:
    return "".join(SYLLABLES[n // 20**place % 20] for place in range(3)) + ("x" if n >= 20**3 else "")


def _texts(part: dict[str, np.ndarray], phrases: pa.Array, stemmed: list[pa.Array]) -> pa.Table:
    """A story's copies have the same words."""
    story = part["story"].astype(np.uint64)
    odd = [np.uint64((0x9E3779B97F4A7C15 + 2 * 0x632BE59BD9B4E019 * n) % 2**64 | 1) for n in range(TITLE + SUMMARY)]
    drawn = [pa.array(((story * by) >> np.uint64(48)).astype(np.int32) % PHRASES) for by in odd]
    texts = {"title": _joined([phrases.take(one) for one in drawn[:TITLE]])}
    texts["summary"] = _joined([phrases.take(one) for one in drawn[TITLE:]])
    if stemmed:
        texts["words"] = _joined([bank.take(one) for bank, one in zip(stemmed, drawn, strict=True)])
    return pa.table({"id": part["id"]} | texts | {"title": pc.utf8_capitalize(texts["title"])})


def _joined(parts: list[pa.Array]) -> pa.Array:
    return pc.binary_join_element_wise(*parts, " ")


# -- rollups ----------------------------------------------------------------------------------------------------------

PLACED = """
create table said as
    select story, '' as narrative, 0 as direction, '' as modality, 0 as halved from stories union all
    select story, narrative, direction, modality, (splits and direction > 0 and (panic or devaluation))::int from (
        select *, bool_or(panic and direction > 0) over (partition by story)
            and bool_or(devaluation and direction > 0) over (partition by story) as splits
        from (select *, narrative in $panic as panic, narrative in $devaluation as devaluation from labels));
create table named as select story, '' as asset from stories union all select story, asset from mentions;
create table placed as
    select a.id, a.story, a.outlet, a.event, a.event // 3600 as event_hour, a.known // 3600 as known_hour,
        case when a.id = s.lead then 0 else row_number() over (partition by a.story order by a.id) - 1 end as place,
        s.outlet as lead_outlet, s.event // 3600 as lead_hour
    from articles a join stories s using (story);
create table behind as
    select later.id, earlier.story, earlier.outlet, earlier.event_hour, later.known_hour,
        (later.event, later.outlet) < (earlier.event, earlier.outlet) as sooner
    from placed later join placed earlier on later.place > 0 and earlier.story = later.story and earlier.id < later.id;
create table steps as
    select 'all' as scope, story, null::smallint as outlet, lead_hour as event_hour, known_hour,
        (place = 0)::int as n_stories, 1 as n_articles, 2 * place + 1 as n_squared, 0 as n_nth from placed union all
    select 'lead', story, lead_outlet, lead_hour, known_hour, (place = 0)::int, 1, 2 * place + 1, 0
    from placed union all
    select 'own', story, outlet, event_hour, known_hour, 1, 1, 1, 2 * (place - coalesce(n, 0)) + 1
    from placed left join (select id, count(*) as n from behind where sooner group by id) using (id) union all
    select 'own', story, outlet, event_hour, known_hour, 0, 0, 0, 2 from behind where sooner;
"""
"""What each article adds to its story. An outlet has a story once here, and copies say what their story does."""
ROLLUP_ROWS = {
    "story_rollups": """select $tagger as tagger, scope, asset, narrative, coalesce(outlet_name(place), '') as outlet,
        event_hour, known_hour, direction, modality, sum(n_stories) as n_stories, sum(n_articles) as n_articles,
        sum(n_squared) as n_squared, sum(n_stories * halved) as n_split, sum(n_nth) as n_nth
        from (select scope, asset, narrative, outlet as place, event_hour, known_hour, direction, modality, n_stories,
            n_articles, n_squared, halved, n_nth from steps join named using (story) join said using (story)
            where asset = '' or scope <> 'lead')
        group by scope, asset, narrative, place, event_hour, known_hour, direction, modality
        order by 1, 2, 3, 4, 5, 6, 7, 8, 9""",
    "breadth_rollups": """select $tagger as tagger, asset, narrative, lead_hour as event_hour,
        outlet_name(outlet) as outlet, event_hour as brought_hour, known_hour, direction, modality,
        count(*) as n_stories
        from placed join labels using (story) join named using (story)
        group by asset, narrative, lead_hour, outlet, event_hour, known_hour, direction, modality
        order by 1, 2, 3, 4, 5, 6, 7, 8, 9""",
    "tone_rollups": """select $tagger as tagger, scope, asset, coalesce(outlet_name(steps.outlet), '') as outlet,
        event_hour, known_hour, sum(n_stories) as n_stories, sum(n_articles) as n_articles, sum(n_squared) as n_squared,
        sum(n_stories * units) as tone, sum(n_stories * units * units) as tone_squared,
        sum(n_articles * units) as tone_by_article, sum(n_articles * units * units) as tone_squared_by_article
        from steps join (select story, asset, units::bigint as units from mentions where units is not null)
        using (story)
        where scope <> 'lead' and n_articles > 0
        group by scope, asset, steps.outlet, event_hour, known_hour order by 1, 2, 3, 4, 5, 6""",
}


def rollup_rows(work: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str, dict[str, Any]]]:
    poles = {"panic": list(PANIC_POLE), "devaluation": list(DEVALUATION_POLE)}
    for statement in PLACED.split(";"):
        if statement.strip():
            work.execute(statement, {name: pole for name, pole in poles.items() if f"${name}" in statement})
    for name, query in ROLLUP_ROWS.items():
        yield name, query, {"tagger": live_tagger_name()}


# -- loading ----------------------------------------------------------------------------------------------------------


def build(database: Database, count: int) -> None:
    """Fill an empty store, migrated, with `count` articles."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        work = duckdb.connect(str(Path(folder) / "work.duckdb"), config={"memory_limit": "4GB", "threads": 2})
        work.execute("create macro outlet_name(o) as format('Outlet {:02d}', o)")
        work.execute(f"create macro instant(s) as {INSTANT.format('s')}")
        draw(count, work)
        log(f"{count:,} articles drawn in {time.perf_counter() - began:.0f} s")
        load = _into_sqlite if database.is_sqlite else _into_postgresql
        load(database, count, work, Path(folder))
    with database.write() as session:
        for summed in (*FILL_DAYS, FILL_KNOWN):
            session.execute(sa.text(summed))
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("analyze" if database.is_sqlite else "vacuum analyze")
    log(f"{count:,} articles stored in {time.perf_counter() - began:.0f} s")


def _all_rows(
    count: int, work: duckdb.DuckDBPyConnection, stems: dict[str, str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield from raw_rows(count, work, stems)
    log("raw rows loaded")
    yield from rollup_rows(work)
    log("rollups loaded")


def _into_sqlite(database: Database, count: int, work: duckdb.DuckDBPyConnection, _: Path) -> None:
    with database.write() as session:
        connection = session.connection()
        found = connection.exec_driver_sql(
            "select type, name, sql from sqlite_master where sql is not null and type in ('index', 'trigger')"
        ).all()
        for kind, name, _sql in found:
            connection.exec_driver_sql(f"drop {kind} {name}")
        for table, query, values in _all_rows(count, work, {}):
            rows = work.execute(query, values or None)
            columns = [column[0] for column in rows.description]
            statement = f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"
            while some := rows.fetchmany(20_000):
                connection.exec_driver_sql(statement, some)
        connection.exec_driver_sql("insert into revision_words (revision_words) values ('rebuild')")
        for _kind, _name, sql in found:
            connection.exec_driver_sql(sql)
    log("indexes made")


CONSTRAINTS = """
select conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) from pg_constraint
where contype in ('f', 'p', 'u') and (conrelid::regclass::text = any(%s) or confrelid::regclass::text = any(%s))
order by contype = 'f' desc
"""
INDEXES = "select quote_ident(indexname), indexdef from pg_indexes where schemaname = 'public' and tablename = any(%s)"
STEMS = "select word, words_of(word, '', '')::text from unnest(%s::text[]) word"


def _into_postgresql(database: Database, count: int, work: duckdb.DuckDBPyConnection, folder: Path) -> None:
    filled = [*RAW, *ROLLUP_ROWS, "revision_words"]
    with database.engine.begin() as connection:
        cursor = connection.connection.driver_connection.cursor()
        cursor.execute("set local session_replication_role = replica")
        cursor.execute("set local maintenance_work_mem = '768MB'")
        constraints = cursor.execute(CONSTRAINTS, [filled, filled]).fetchall()
        for table, name, _ in constraints:
            cursor.execute(f"alter table {table} drop constraint {name}")
        indexes = cursor.execute(INDEXES, [filled]).fetchall()
        for name, _ in indexes:
            cursor.execute(f"drop index {name}")
        cursor.execute(f"truncate {', '.join(filled)}")  # what follows in the same transaction may come in frozen
        stems = {word: told.split(":")[0] for word, told in cursor.execute(STEMS, [vocabulary()])}
        file = folder / "rows.csv"
        for table, query, values in _all_rows(count, work, stems):
            work.execute(f"copy ({query}) to '{file}' (format csv, nullstr '{NULL}')", values or None)
            with file.open("rb") as source:
                columns = source.readline().decode().strip()
                with cursor.copy(f"copy {table} ({columns}) from stdin (format csv, freeze, null '{NULL}')") as target:
                    while block := source.read(1 << 20):
                        target.write(block)
        file.unlink()
        for table, name, told in reversed(constraints):
            cursor.execute(f"alter table {table} add constraint {name} {told}")
        for _, told in indexes:
            cursor.execute(told)
        for table in ("feeds", "stories", "articles", "revisions"):
            last = f"(select max(id) from {table})"
            cursor.execute(f"select setval(pg_get_serial_sequence('{table}', 'id'), {last})")
    log("keys and indexes made")


# -- the proof --------------------------------------------------------------------------------------------------------


WRONG_WORDS = """
select (select count(*) from revision_words), count(*) from revisions
left join revision_words on id = revision_id where words is distinct from words_of(title, summary, body)
"""


def differences(database: Database) -> dict[str, tuple[int, int]]:
    """Of each table that is counted here: how many rows it has, and how many are not as the store makes them."""
    tables = [table_of(model) for model in COUNTED]

    def held(session: Session) -> list[set[Any]]:
        return [{tuple(row) for row in session.execute(sa.select(table))} for table in tables]

    with database.read() as session:  # so nothing is kept
        ours = held(session)
        rebuild(session)
        theirs = held(session)
        found = {
            table.name: (len(one), len(one ^ other)) for table, one, other in zip(tables, ours, theirs, strict=True)
        }
        if not database.is_sqlite:
            found["revision_words"] = tuple(session.execute(sa.text(WRONG_WORDS)).one())
    return found


def main() -> None:
    count, *urls = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000, *sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        for url in urls or [f"sqlite:///{folder}/small.db"]:
            database = Database.open(url)
            build(database, count)
            found = differences(database)
            print(", ".join(f"{name}: {wrong} of {rows:,} rows differ" for name, (rows, wrong) in found.items()))
            database.close()
            if any(wrong for _, wrong in found.values()):
                sys.exit(1)


if __name__ == "__main__":
    main()
