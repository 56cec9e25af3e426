"""`storyshift doctor`: how the record and what works on it stand, and which sources of prices answer from here."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from storyshift.output import put_json, say
from storyshift.shell import Report, TextFormat, now, open_database

if TYPE_CHECKING:
    from services.measures import About, Measures

SHOWN_SET_ASIDE = 5
DAY, HOUR, MINUTE = 86_400, 3_600, 60


def doctor(form: Report = TextFormat.text) -> None:
    """Say how the record stands, and which sources of prices answer from here."""
    from config.definitions import feeds
    from ingest.sources import open_one_by_one
    from jobs.doctor import check_sources
    from jobs.prices import by_error
    from services import catalog, sources
    from services.measures import about, measures

    database = open_database()
    with database.read() as session:
        record, prices = catalog.record(session), sources.list_prices(session)
        collected = sources.list_feeds(session, now=now())
        aside = catalog.set_aside(session)
        server, found = about(session), measures(session, now=now())
    failing = [feed for feed in collected if feed.last_error]
    silent = [feed for feed in collected if feed.health == "silent"]
    _say_database(str(database), server, found)
    say(f"articles   {record.articles}, of which {record.untagged} untagged{_ago(found.article_age, '; the latest')}")
    if aside:
        say(f"set aside  {len(aside)} wordings the tagger cannot read; `storyshift tag --retry-set-aside` tries again")
    for one in aside[:SHOWN_SET_ASIDE]:
        say(f"           {one.revision_id}, after {one.tries} tries: {one.reason}")
    waiting = len(feeds()) if not collected else sum(feed.last_fetched_at is None for feed in collected)
    asked = _ago(found.fetch_age, "; last asked")
    say(f"feeds      {len(collected) or waiting}, of which {len(failing)} failing and {waiting} not visited yet{asked}")
    for feed in failing:
        say(f"           {feed.outlet}: {feed.last_error}")
    for feed in silent:
        say(f"           {feed.outlet}: answers, but brought nothing new since {feed.last_news_at:%Y-%m-%d %H:%M}")
    held = [series for series in prices if series.n]
    say(f"prices     {len(held)} series with values, {sum(bool(s.last_error) for s in prices)} failing")
    for series in prices:
        for before, after in series.gaps:
            say(f"           {series.key} by the {series.interval}: nothing from {before:%Y-%m-%d} to {after:%Y-%m-%d}")
    for said, names in by_error((s.last_error, f"{s.key} by the {s.interval}") for s in prices).items():
        say(f"           {said} Series: {', '.join(names)}.")
    say(f"events     {found.deliveries_waiting} on their way to webhooks")
    checks = []
    for check in check_sources(open_one_by_one(), now=now()):
        checks.append(check)
        answer = "answers" if check.answers else "FAILS"
        say(f"source     {check.source}: {answer} in {check.seconds:.1f} s. {check.symbol}: {check.said}")
    say(f"{sum(check.answers for check in checks)} of {len(checks)} sources answer.")
    if form is TextFormat.json:
        put_json(
            {
                "database": str(database),
                "server": asdict(server) | {"bytes": found.data_bytes, "free_bytes": found.free_bytes},
                "record": asdict(record),
                "set_aside": [asdict(one) for one in aside],
                "jobs": found.jobs,
                "ages": {"fetch": found.fetch_age, "article": found.article_age, "worker": found.worker_age},
                "deliveries_waiting": found.deliveries_waiting,
                "feeds": [asdict(feed) for feed in failing],
                "prices": [asdict(series) for series in prices],
                "sources": [asdict(check) for check in checks],
            }
        )


def _say_database(name: str, server: "About", found: "Measures") -> None:
    say(f"database   {name}, at the newest schema ({server.schema}); {server.version}")
    free = "" if found.free_bytes is None else f"; {_size(found.free_bytes)} are free on its disk"
    say(f"size       {_size(found.data_bytes)}{free}")
    if found.jobs is not None:
        told = ", ".join(f"{count} {state}" for state, count in found.jobs.items())
        say(f"workers    {told}{_ago(found.worker_age, '; last heard')}")


def _size(bytes_: int) -> str:
    return f"{bytes_ / 1e9:,.1f} GB" if bytes_ >= 1e9 else f"{bytes_ / 1e6:,.1f} MB"


def _ago(seconds: float | None, what: str) -> str:
    if seconds is None:
        return ""
    unit, name = next(
        ((u, n) for u, n in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")) if seconds >= 2 * u), (1, "s")
    )
    return f"{what} {seconds / unit:.0f} {name} ago"
