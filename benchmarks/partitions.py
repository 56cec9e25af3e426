"""What monthly partitions would cost and bring: the store's own lookups on plain tables and on partitioned copies.

    python benchmarks/partitions.py postgresql://…/a-store-of-scale.py

Copies `articles` and `narrative_tags` into a schema of its own, partitioned by the month of publication as PostgreSQL
can: the month is part of every key. Then the statements that collecting, tagging and reading send, in turn on both,
medians of 15 in ms; the schema is dropped at the end. docs/decisions/0011 rests on it.
"""

import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import sqlalchemy as sa

SCHEMA, TIMES, MANY = "storyshift_partitions", 15, 500
Rows = list[tuple[object, ...]]


def build(connection: sa.Connection) -> int:
    """The partitioned copies; returns how many months there are."""
    run = connection.exec_driver_sql
    run(f"drop schema if exists {SCHEMA} cascade")
    run(f"create schema {SCHEMA}")
    first, last = run("select date_trunc('month', min(event_at), 'UTC'), max(event_at) from articles").one()
    months = run(
        "select m::timestamptz, (m + interval '1 month')::timestamptz "
        "from generate_series(%s, %s, interval '1 month') m",
        (first, last),
    ).all()
    run(f"create table {SCHEMA}.articles (like articles including defaults) partition by range (event_at)")
    run(
        f"create table {SCHEMA}.narrative_tags (like narrative_tags, event_at timestamptz) "
        "partition by range (event_at)"
    )
    for number, (start, end) in enumerate(months):
        for table in ("articles", "narrative_tags"):
            run(
                f"create table {SCHEMA}.{table}_{number} partition of {SCHEMA}.{table} "
                f"for values from ('{start}') to ('{end}')"
            )
    run(f"insert into {SCHEMA}.articles select * from articles")
    run(
        f"insert into {SCHEMA}.narrative_tags select t.*, a.event_at from narrative_tags t "
        "join revisions r on r.id = t.revision_id join articles a on a.id = r.article_id"
    )
    for key in ("id, event_at", "identity", "story_id", "event_at, id", "known_at", "outlet", "feed_id"):
        run(f"create index on {SCHEMA}.articles ({key})")
    run(f"create unique index on {SCHEMA}.narrative_tags (revision_id, tagger, narrative, event_at)")
    run(f"create index on {SCHEMA}.narrative_tags (tagger, narrative)")
    run(f"analyze {SCHEMA}.articles")
    run(f"analyze {SCHEMA}.narrative_tags")
    run("analyze articles")
    run("analyze narrative_tags")
    return len(months)


def questions(connection: sa.Connection) -> dict[str, Callable[[str], Rows]]:
    """By name: what to ask of the tables in a schema."""

    def some(column: str, table: str) -> str:
        found = connection.exec_driver_sql(
            f"select {column} from {table} tablesample bernoulli (1) order by random() limit {MANY}"
        )
        return ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for (value,) in found)

    def ask(statement: str, *given: str) -> Callable[[str], Rows]:
        def one(schema: str) -> Rows:
            fresh = dict(zip(("some",), (some(*given),), strict=True)) if given else {}
            began = perf_counter()
            found = connection.exec_driver_sql(statement.format(s=schema, **fresh)).all()
            return [(perf_counter() - began, len(found))]

        return one

    return {
        "collecting: 500 identities, are they known": ask(
            "select id from {s}.articles where identity in ({some})", "identity", "articles"
        ),
        "counting: the copies of 500 stories": ask(
            "select id from {s}.articles where story_id in ({some})", "story_id", "articles"
        ),
        "joining: 500 articles by id": ask("select outlet from {s}.articles where id in ({some})", "id", "articles"),
        "tags of 500 revisions": ask(
            "select score from {s}.narrative_tags where revision_id in ({some})", "revision_id", "narrative_tags"
        ),
        "reading: the latest 50 of a month": ask(
            "select id from {s}.articles where event_at >= '2024-03-01' and event_at < '2024-04-01' "
            "order by event_at desc, id desc limit 50"
        ),
        "reading: the latest 50 of an outlet in a year": ask(
            "select id from {s}.articles where event_at >= '2024-01-01' and event_at < '2025-01-01' "
            "and outlet = (select outlet from {s}.articles limit 1) order by event_at desc, id desc limit 50"
        ),
    }


def main(url: str) -> None:
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        articles = connection.exec_driver_sql("select count(*) from articles").scalar_one()
        months = build(connection)
        print(f"{articles:,} articles, {months} months; median of {TIMES}, ms\n{'':50}{'plain':>9}{'by month':>10}")
        for name, ask in questions(connection).items():
            took: dict[str, list[float]] = {"public": [], SCHEMA: []}
            for turn in range(TIMES + 1):
                for schema in took:
                    ((seconds, _),) = ask(schema)
                    if turn:  # the first one reads what is not in memory
                        took[schema].append(1000 * seconds)
            plain, parted = (median(times) for times in took.values())
            print(f"{name:50}{plain:9.1f}{parted:10.1f}", flush=True)
        sizes = [
            connection.exec_driver_sql(
                "select sum(pg_total_relation_size(c.oid)) from pg_class c "
                "join pg_namespace n on n.oid = c.relnamespace "
                f"where n.nspname = '{schema}' and c.relkind = 'r' and c.relname ~ '^(articles|narrative_tags)'"
            ).scalar_one()
            for schema in ("public", SCHEMA)
        ]
        print(f"{'bytes an article, with indexes':50}{sizes[0] / articles:9.0f}{sizes[1] / articles:10.0f}")
        connection.rollback()


if __name__ == "__main__":
    main(sys.argv[1])
