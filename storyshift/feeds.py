"""The commands about feeds, and the one about single articles."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadInput, UnknownName
from storyshift.output import put_json, say
from storyshift.shell import Report, TextFormat, now, open_database

if TYPE_CHECKING:
    from services.sources import FeedView

feeds_app = typer.Typer(help="The feeds that are collected.", no_args_is_help=True)
articles_app = typer.Typer(help="Single articles.", no_args_is_help=True)


def _collected() -> "list[FeedView]":
    """The feeds of the database, those of feeds.toml brought in."""
    from config.definitions import feeds
    from services.sources import list_feeds, seed_feeds

    database = open_database()
    with database.write() as session:
        seed_feeds(session, feeds(), now=now())
    with database.read() as session:
        return list_feeds(session, now=now())


@feeds_app.command("list")
def feeds_list(form: Report = TextFormat.text) -> None:
    """Every feed with what its server last said."""
    from dataclasses import asdict

    found = _collected()
    if form is TextFormat.json:
        put_json([asdict(feed) for feed in found])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("outlet", "kind", "health", "articles", "last", "next", "url", box=None, header_style="bold")
    for feed in found:
        said = feed.last_error or (str(feed.last_status) if feed.last_status else "never fetched")
        table.add_row(
            feed.outlet, feed.kind, feed.health, str(feed.articles), said, f"{feed.next_fetch_at:%m-%d %H:%M}", feed.url
        )
    Console().print(table)


@feeds_app.command("add")
def feeds_add(
    url: Annotated[str, typer.Argument(help="The feed's own address.")],
    outlet: Annotated[str, typer.Option(help="Who publishes it. Default: the host's name.")] = "",
    kind: Annotated[str, typer.Option(help="general, markets, macro, metals, crypto or central_bank.")] = "general",
    language: Annotated[str, typer.Option(help="The language it is written in, as a two-letter code.")] = "en",
) -> None:
    """Collect one more feed. Adding it again changes nothing; adding a removed one takes it back."""
    from services.sources import add_feed

    with open_database().write() as session:
        added = add_feed(session, url, outlet=outlet, kind=kind, language=language, now=now())
    say(f"{url}: " + ("added; it is fetched at the next collecting." if added else "is collected already."))


@feeds_app.command("remove")
def feeds_remove(url: Annotated[str, typer.Argument(help="The feed's address, as `feeds list` shows it.")]) -> None:
    """Stop collecting a feed. Its articles stay."""
    from services.sources import remove_feed

    with open_database().write() as session:
        remove_feed(session, url, now=now())
    say(f"{url}: removed; its articles stay.")


@feeds_app.command("check")
def feeds_check(
    urls: Annotated[list[str] | None, typer.Argument(help="Addresses. Default: every feed that is collected.")] = None,
    form: Report = TextFormat.text,
) -> None:
    """Visit feeds and say what each answers, storing nothing."""
    from jobs.collect import check
    from models.feeds import Feed

    at = now()
    if urls:
        wanted = [Feed(url=url, outlet=url, added_at=at, next_fetch_at=at) for url in urls]
    else:
        wanted = [Feed(url=f.url, outlet=f.outlet, added_at=at, next_fetch_at=at) for f in _collected()]
    rows = []
    for feed, attempt in zip(wanted, check(wanted, clock=now), strict=True):
        articles = attempt.parsed.articles if attempt.parsed else []
        rows.append(
            {
                "outlet": feed.outlet,
                "url": feed.url,
                "answers": attempt.error is None,
                "entries": len(articles),
                "refused": len(attempt.parsed.refused) if attempt.parsed else 0,
                "newest": max((article.event_at for article in articles), default=None),
                "seconds": round(attempt.seconds, 2),
                "error": str(attempt.error) if attempt.error else None,
            }
        )
    if form is TextFormat.json:
        put_json(rows)
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table("outlet", "entries", "newest", "seconds", "says", box=None, header_style="bold")
        for row in rows:
            newest = f"{row['newest']:%Y-%m-%d %H:%M}" if row["newest"] else ""
            says = row["error"] or (f"{row['refused']} entries refused" if row["refused"] else "fine")
            table.add_row(str(row["outlet"]), str(row["entries"]), newest, str(row["seconds"]), str(says))
        Console().print(table)
    say(f"{sum(bool(row['answers']) for row in rows)} of {len(rows)} feeds answer.")


@feeds_app.command("import-opml")
def feeds_import_opml(
    path: Annotated[Path, typer.Argument(help="A list of feeds as another reader exports it.")],
    kind: Annotated[str, typer.Option(help="The kind of all of them; see `feeds add`.")] = "general",
) -> None:
    """Collect every feed of an OPML file."""
    from ingest.opml import read_opml
    from services.sources import add_feed

    added = known = refused = 0
    with open_database().write() as session:
        for feed in read_opml(path):
            try:
                new = add_feed(session, feed.url, outlet=feed.title[:200], kind=kind, language="en", now=now())
            except UnknownName:
                raise
            except BadInput as error:
                say(f"refused: {error}")
                refused += 1
                continue
            added, known = added + new, known + (not new)
    say(f"{path}: {added} feeds added, {known} collected already, {refused} refused.")


@feeds_app.command("export-opml")
def feeds_export_opml() -> None:
    """Write the feeds that are collected to stdout, as OPML, by kind."""
    from ingest.opml import ListedFeed, write_opml

    print(write_opml(ListedFeed(feed.url, feed.outlet, feed.kind) for feed in _collected()), end="")


@articles_app.command("remove")
def articles_remove(ids: Annotated[list[int], typer.Argument(help="The ids, as /v1/articles shows them.")]) -> None:
    """Take the text of articles down. What was counted stays counted, and no later visit brings the text back."""
    from services.articles import remove_article

    with open_database().write() as session:
        for article_id in ids:
            remove_article(session, article_id, now=now())
    say(f"{len(ids)} taken down: text, evidence and address are deleted.")
