"""What is one article, and what are two: entries as feeds give them on two visits, and what is to be kept.

Each case: what happened, the entries of each visit as (title, link, guid[, day]), and (articles, revisions) after them.
"""

from datetime import datetime, timedelta
from html import escape

import pytest
from sqlmodel import select

from ingest.parser import parse_feed
from models.articles import Article, Revision
from models.database import Database
from models.store.articles import add_articles

A, B, C = "https://x.org/a", "https://x.org/b", "https://x.org/c"
GOLD, EDIT, FED = "Gold rises to a record high", "Gold rises to another record high", "Fed leaves its rate alone"
Entry = tuple[str, str, str] | tuple[str, str, str, int]

CASES: list[tuple[str, list[list[Entry]], tuple[int, int]]] = [
    ("seen again as it was", [[(GOLD, A, "1")], [(GOLD, A, "1")]], (1, 1)),
    ("title edited", [[(GOLD, A, "1")], [(EDIT, A, "1")]], (1, 2)),
    ("title rewritten, same address", [[(GOLD, A, "1")], [(FED, A, "1")]], (1, 2)),
    ("two entries", [[(GOLD, A, "1"), (FED, B, "2")]], (2, 2)),
    ("the same entry twice in one document", [[(GOLD, A, "1"), (GOLD, A, "1")]], (1, 1)),
    ("http, then https", [[(GOLD, "http://x.org/a", "1")], [(GOLD, A, "1")]], (1, 1)),
    ("with www, then without", [[(GOLD, "https://www.x.org/a", "1")], [(GOLD, A, "1")]], (1, 1)),
    ("host in capitals", [[(GOLD, "https://X.ORG/a", "1")], [(GOLD, A, "1")]], (1, 1)),
    ("slash at the end", [[(GOLD, A + "/", "1")], [(GOLD, A, "1")]], (1, 1)),
    ("tracked", [[(GOLD, A + "?utm_source=rss", "1")], [(GOLD, A + "?fbclid=2&gclid=3", "1")]], (1, 1)),
    ("tracking in capitals", [[(GOLD, A + "?UTM_Source=rss", "")], [(GOLD, A, "")]], (1, 1)),
    ("fragment", [[(GOLD, A + "#comments", "1")], [(GOLD, A, "1")]], (1, 1)),
    ("port said", [[(GOLD, "https://x.org:443/a", "1")], [(GOLD, A, "1")]], (1, 1)),
    ("dot after the host", [[(GOLD, "https://x.org./a", "")], [(GOLD, A, "")]], (1, 1)),
    ("mobile twin", [[(GOLD, "https://m.x.org/a", "")], [(GOLD, A, "")]], (1, 1)),
    ("mobile twin, long", [[(GOLD, "https://mobile.x.org/a", "")], [(GOLD, "https://www.x.org/a", "")]], (1, 1)),
    ("AMP host", [[(GOLD, "https://amp.x.org/a", "")], [(GOLD, A, "")]], (1, 1)),
    ("AMP at the end", [[(GOLD, A + "/amp/", "")], [(GOLD, A, "")]], (1, 1)),
    ("AMP at the beginning", [[(GOLD, "https://x.org/amp/a", "")], [(GOLD, A, "")]], (1, 1)),
    ("AMP before the ending", [[(GOLD, A + ".amp.html", "")], [(GOLD, A + ".html", "")]], (1, 1)),
    ("AMP asked for", [[(GOLD, A + "?amp=1", "")], [(GOLD, A + "?outputType=amp", "")], [(GOLD, A, "")]], (1, 1)),
    ("escaped in small letters", [[(GOLD, A + "%c3%a9", "")], [(GOLD, A + "%C3%A9", "")]], (1, 1)),
    ("escaped, then written out", [[(GOLD, A + "%2Db", "")], [(GOLD, A + "-b", "")]], (1, 1)),
    ("blanks around the address", [[(GOLD, "  " + A + " ", "1")], [(GOLD, A, "1")]], (1, 1)),
    ("user name in the address", [[(GOLD, "https://me:secret@x.org/a", "")], [(GOLD, A, "")]], (1, 1)),
    ("www2", [[(GOLD, "https://www2.x.org/a", "")], [(GOLD, A, "")]], (1, 1)),
    ("another page of it", [[(GOLD, A + "?page=1", "")], [(GOLD, A + "?page=2", "")]], (2, 2)),
    ("another case in the path", [[(GOLD, A, "")], [(GOLD, "https://x.org/A", "")]], (2, 2)),
    ("another port", [[(GOLD, A, "")], [(GOLD, "https://x.org:8443/a", "")]], (2, 2)),
    ("another sub-domain", [[(GOLD, A, "")], [(GOLD, "https://markets.x.org/a", "")]], (2, 2)),
    ("another ending", [[(GOLD, A + ".html", "")], [(GOLD, A + ".htm", "")]], (2, 2)),
    ("a word that begins with amp", [[(GOLD, "https://x.org/ample", "")], [(GOLD, "https://x.org/le", "")]], (2, 2)),
    ("a site named m", [[(GOLD, "https://m.co/a", "")], [(GOLD, "https://www.co/a", "")]], (2, 2)),
    ("an id in the query", [[(GOLD, "https://x.org/?id=1", ""), (GOLD, "https://x.org/?id=2", "")]], (2, 2)),
    ("guid reused for another story", [[(GOLD, A, "1")], [(FED, B, "1")]], (2, 2)),
    ("guid reused in one document", [[(GOLD, A, "1"), (FED, B, "1"), ("Oil slips after a week", C, "1")]], (3, 3)),
    ("guid rotating, same address", [[(GOLD, A, "1")], [(GOLD, A, "2")], [(GOLD, A, "3")]], (1, 1)),
    ("guid missing", [[(GOLD, A, "")], [(GOLD, A, "")]], (1, 1)),
    ("guid added later", [[(GOLD, A, "")], [(GOLD, A, "1")]], (1, 1)),
    ("address moved, guid and title the same", [[(GOLD, A, "1")], [(GOLD, B, "1")]], (1, 1)),
    ("address moved and title edited", [[(GOLD, A, "1")], [(EDIT, B, "1")]], (1, 2)),
    ("moved twice", [[(GOLD, A, "1")], [(GOLD, B, "1")], [(GOLD, C, "1")]], (1, 1)),
    ("moved and back", [[(GOLD, A, "1")], [(GOLD, B, "1")], [(GOLD, A, "1")]], (1, 1)),
    ("the address is the guid", [[(GOLD, A, A)], [(GOLD, A, A)]], (1, 1)),
    ("the address is the guid, and both moved", [[(GOLD, A, A)], [(GOLD, B, B)]], (2, 2)),
    ("only a guid", [[(GOLD, "", "1")], [(GOLD, "", "1")]], (1, 1)),
    ("only a guid, title edited", [[(GOLD, "", "1")], [(EDIT, "", "1")]], (1, 2)),
    ("only guids, two of them", [[(GOLD, "", "1")], [(GOLD, "", "2")]], (2, 2)),
    ("only a guid, used for all", [[(GOLD, "", "feed"), (FED, "", "feed")]], (2, 2)),
    ("neither address nor guid", [[(GOLD, "", "")], [(GOLD, "", "")]], (1, 1)),
    ("neither, title in capitals", [[(GOLD, "", "")], [(GOLD.upper(), "", "")]], (1, 2)),
    ("neither, the same title next day", [[(GOLD, "", "", 19)], [(GOLD, "", "", 20)]], (2, 2)),
    ("neither, two titles", [[(GOLD, "", ""), (FED, "", "")]], (2, 2)),
    ("relative address", [[(GOLD, "/a", "")], [(GOLD, A, "")]], (1, 1)),
    ("address without a scheme", [[(GOLD, "//x.org/a", "")], [(GOLD, A, "")]], (1, 1)),
    ("an address that is none", [[(GOLD, "javascript:alert(1)", "1")], [(GOLD, "mailto:a@x.org", "1")]], (1, 1)),
    ("a live blog that grows", [[(GOLD, A, "1")], [(GOLD + " - live", A, "1")], [(EDIT + " - live", A, "1")]], (1, 3)),
    ("a wording that comes back", [[(GOLD, A, "1")], [(EDIT, A, "1")], [(GOLD, A, "1")]], (1, 2)),
    ("dropped and back", [[(GOLD, A, "1")], [(FED, B, "2")], [(GOLD, A, "1")]], (2, 2)),
    ("a column under one title every day", [[("Market wrap", A, "1", 19)], [("Market wrap", B, "2", 20)]], (2, 2)),
    ("markup in the title", [[("Gold <b>rises</b>", A, "1")], [("Gold rises", A, "1")]], (1, 1)),
    ("blanks in the title", [[("Gold  rises ", A, "1")], [("Gold rises", A, "1")]], (1, 1)),
    ("a guid in capitals is another", [[(GOLD, "", "abc")], [(GOLD, "", "ABC")]], (2, 2)),
    ("a guid with a very long text", [[(GOLD, "", "g" * 5_000)], [(GOLD, "", "g" * 5_000)]], (1, 1)),
]


def document(entries: list[Entry]) -> bytes:
    items = "".join(
        f"<item><title>{escape(entry[0])}</title>"
        + (f"<link>{escape(entry[1])}</link>" if entry[1] else "")
        + (f'<guid isPermaLink="false">{escape(entry[2])}</guid>' if entry[2] else "")
        + f"<pubDate>{entry[3] if len(entry) == 4 else 20} Nov 2026 08:00:00 GMT</pubDate></item>"
        for entry in entries
    )
    return f'<rss version="2.0"><channel><title>X</title>{items}</channel></rss>'.encode()


def test_there_are_sixty_cases() -> None:
    assert len({name for name, _, _ in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize(("name", "visits", "expected"), CASES, ids=[name for name, _, _ in CASES])
def test_one_article_or_two(
    database: Database, now: datetime, name: str, visits: list[list[Entry]], expected: tuple[int, int]
) -> None:
    for hours, entries in enumerate(visits):
        at = now + timedelta(hours=hours)
        parsed = parse_feed(document(entries), url="https://x.org/feed", outlet="X", language="en", seen_at=at)
        assert parsed.refused == []
        with database.write() as session:
            add_articles(session, parsed.articles, now=at)
    with database.read() as session:
        kept = len(session.exec(select(Article.id)).all()), len(session.exec(select(Revision.id)).all())
    assert kept == expected


def test_the_same_article_in_another_outlet_s_feed_is_an_article_of_its_own_address(
    database: Database, now: datetime
) -> None:
    for outlet in ("X", "Y"):
        parsed = parse_feed(
            document([(GOLD, A, "1")]), url="https://x.org/feed", outlet=outlet, language="en", seen_at=now
        )
        with database.write() as session:
            add_articles(session, parsed.articles, now=now)
    with database.read() as session:
        assert [article.outlet for article in session.exec(select(Article))] == ["X"]
