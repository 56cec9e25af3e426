"""Every page in a real Chromium over a record whose feeds are full of script: nothing runs or leaves, all can read.

Each page is opened once and looked at by all tests. axe-core is told to a page by the debugger, which no policy stops;
/docs is Swagger's own page, shows no text from feeds, and is left out of axe, of the frame and of the phone.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from html import escape
from typing import Any

import pytest
import test_page
from axe_playwright_python.sync_playwright import Axe
from fakes import FeedServer, found_article
from fakes import Page as Served
from playwright.sync_api import Browser, BrowserContext, Page, expect
from record import FIRST, fill, tag
from test_lead_lag_page import close_restlessly

from ingest.guard import LOOPBACK
from jobs.collect import collect
from models.database import Database
from models.feeds import Feed
from models.found import FoundArticle
from models.store.articles import add_articles
from services.keys import create_link

pytestmark = pytest.mark.browser
browser, serving = test_page.browser, test_page.serving
LAST = FIRST + timedelta(days=199)
NOW = LAST + timedelta(hours=20)
SCRIPT = '<img src=x onerror="alert(1)"><script>window.hurt=1</script>'
INJECTIONS = (
    SCRIPT,
    '<svg/onload=window.hurt=2><a href="javascript:window.hurt=3">here</a>',
    '"><iframe srcdoc="<script>parent.hurt=4</script>"></iframe>',
    "&lt;script&gt;window.hurt=5&lt;/script&gt; &amp;amp; &#x202e;",
    "\u202e\u2067right to left\u2069 {{7*7}} ${7*7} <b>bold</b>",
    "</title></textarea></script><style>*{display:none}</style>",
)
OUTLET = f"Wire {SCRIPT}"
RUNS_SCRIPT = (
    "[onerror], [onload], [srcdoc], iframe, img[src='x'], a[href^='javascript' i], script:not([src]), main style, "
    "main title:not(svg title)"
)
PLACED = f"start={FIRST + timedelta(days=120):%Y-%m-%d}&end={FIRST + timedelta(days=200):%Y-%m-%d}&bucket=day"
PAGES = {
    "now": "/",
    "story": f"/story#{PLACED}&at={LAST:%Y-%m-%d}T00:00:00Z",
    "lead-lag": "/lead-lag?driver=narrative:safe_haven&bucket=day&max_lag=5&event=shift:panic",
    "articles": "/articles",
    "article": "/articles/{article}",
    "review": "/review#article={article}",
    "quality": "/quality#by=outlet",
    "sources": "/sources",
    "docs": "/docs",
}
OURS = [name for name in PAGES if name != "docs"]
SHOW_FEEDS = {"story": SCRIPT, "articles": SCRIPT, "article": SCRIPT, "review": SCRIPT, "sources": OUTLET}
LOOKS = [("light", 1280), ("dark", 1280), ("light", 390)]
SERIOUS = ("serious", "critical")
IS_AT_OR_AFTER = """(target) => {
    const [now, place] = [document.activeElement, document.getElementById(target)];
    if (now === document.body || now.matches(".skip")) return true; // nothing comes after it: begun from the front
    return place.contains(now) || Boolean(place.compareDocumentPosition(now) & Node.DOCUMENT_POSITION_FOLLOWING);
}"""
WIDER = """(width) => document.documentElement.scrollWidth <= width ? [] : [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > width + 1).map((one) => one.outerHTML.slice(0, 120))"""


@dataclass
class Shown:
    """A page that is open, and what went wrong on it so far."""

    name: str
    page: Page
    policy: str
    wrong: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, int]]:
    """The record with a planted panic, at whose end come the injections: by a feed that is collected, and raw."""
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('hostile') / 'record.db'}")
    fill(database, NOW)
    close_restlessly(database, NOW)
    with FeedServer({"feed": Served(_feed())}) as server:
        with database.write() as session:
            session.add(Feed(url=server.url("feed?<script>"), outlet=OUTLET, added_at=NOW, next_fetch_at=NOW))
        with ThreadPoolExecutor() as apart:  # playwright runs a loop in this thread
            visit = apart.submit(collect, database, clock=lambda: NOW, every=True, reach=LOOPBACK)
        assert visit.result().new_articles == len(INJECTIONS)
    with database.write() as session:
        gone = {"outlet": OUTLET, "added_at": NOW, "next_fetch_at": NOW, "title": SCRIPT, "last_fetched_at": NOW}
        session.add(Feed(url=f"https://gone.example/{SCRIPT}", last_error=f"The server answered {SCRIPT}", **gone))
        raw = [_raw(n, one) for n, one in enumerate(INJECTIONS)]
        add_articles(session, raw, now=NOW)
        again = [_raw(n, one, "revised ") for n, one in enumerate(INJECTIONS)]
        add_articles(session, again, now=NOW + timedelta(minutes=1))
    tag(database, NOW)
    with database.read() as session:
        (article,) = session.connection().exec_driver_sql("select max(id) - 5 from articles").one()
    yield database, article
    database.close()


def _raw(n: int, one: str, more: str = "") -> FoundArticle:
    return found_article(
        f"safe_haven+ XAU=1: {more}{one} {n}",
        LAST + timedelta(hours=12, minutes=n),
        identity=f"raw {n}",
        outlet=OUTLET,
        summary=f"{more}{one}",
        body=f"{more}{one}\n{one}",
        url="javascript:window.hurt=6" if n % 2 else f"https://example.org/{n}?{SCRIPT}",
    )


def _feed() -> bytes:
    items = "".join(
        f"<item><title>{escape(f'safe_haven+ XAU=1: fed {n} {escape(one)}')}</title>"
        f"<description><![CDATA[<p>{one}</p> {escape(one)}]]></description><link>https://example.org/fed/{n}</link>"
        f"<pubDate>{LAST + timedelta(hours=10, minutes=n):%a, %d %b %Y %H:%M:00} GMT</pubDate></item>"
        for n, one in enumerate(INJECTIONS)
    )
    head = f"<title>{escape(escape(SCRIPT))}</title><link>javascript:window.hurt=7</link>"
    return f'<?xml version="1.0"?><rss version="2.0"><channel>{head}{items}</channel></rss>'.encode()


@pytest.fixture(scope="module")
def served(record: tuple[Database, int]) -> Iterator[str]:
    with serving(record[0], NOW + timedelta(minutes=2)) as address:
        yield address


@pytest.fixture(scope="module")
def context(browser: Browser, served: str, record: tuple[Database, int]) -> Iterator[BrowserContext]:
    """A browser with the session of a reviewer. It hears of no news: the stream ends."""
    database, _ = record
    with database.write() as session:
        code = create_link(session, "ann", now=NOW)
    found = browser.new_context(viewport={"width": 1280, "height": 900})
    quiet = {"content_type": "text/event-stream", "body": test_page.QUIET_STREAM}
    found.route("**/v1/events", lambda route: route.fulfill(**quiet))  # type: ignore[arg-type]
    page = found.new_page()
    page.goto(f"{served}/open?code={code}")
    page.wait_for_url("**/review")
    page.wait_for_load_state("networkidle")
    page.close()
    yield found
    found.close()


@pytest.fixture(scope="module", params=PAGES)
def shown(request: pytest.FixtureRequest, context: BrowserContext, served: str, record: Any) -> Iterator[Shown]:
    page = context.new_page()
    found = Shown(request.param, page, "")
    wrong = found.wrong
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda r: None if r.url.startswith((served, "data:", "blob:")) else wrong.append(r.url))
    answer = page.goto(served + PAGES[request.param].format(article=record[1]))
    assert answer is not None
    assert answer.status == 200
    found.policy = answer.headers["content-security-policy"]
    page.wait_for_load_state("networkidle")
    expect(page.locator("[aria-busy=true]:visible")).to_have_count(0, timeout=20_000)
    yield found
    page.wait_for_load_state("networkidle")
    page.close()
    assert wrong == []


@pytest.fixture
def ours(shown: Shown) -> Page:
    """A page of ours, as wide and light as it was opened."""
    if shown.name not in OURS:
        pytest.skip("Swagger's own page")
    shown.page.set_viewport_size({"width": 1280, "height": 900})
    shown.page.emulate_media(color_scheme="light")
    expect(shown.page.locator("[aria-busy=true]:visible")).to_have_count(0, timeout=20_000)
    return shown.page


def test_it_takes_the_focus_from_nobody_and_its_skip_link_leads_past_the_head(ours: Page, shown: Shown) -> None:
    skip = ours.locator(".skip")
    if shown.name == "review":  # where the keys of the article work from the first
        expect(ours.locator("#title")).to_be_focused()
        skip.focus()
    else:
        assert ours.evaluate("document.activeElement === document.body"), "nothing is focused that was not chosen"
        ours.keyboard.press("Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    target, address = (skip.get_attribute("href") or "")[1:], ours.url
    ours.keyboard.press("Enter")
    assert ours.url == address, "the address is what the page shows, and stays"
    expect(ours.locator(f"#{target}")).to_be_in_viewport()
    ours.keyboard.press("Tab")
    assert ours.evaluate(IS_AT_OR_AFTER, target)
    ours.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def test_no_script_of_a_feed_has_run_and_its_text_is_text(shown: Shown) -> None:
    page = shown.page
    assert page.evaluate("window.hurt === undefined")
    if shown.name in OURS:
        assert page.locator(RUNS_SCRIPT).count() == 0
    if said := SHOW_FEEDS.get(shown.name):
        expect(page.locator("main")).to_contain_text(said)


def test_its_policy_lets_no_inline_script_run(shown: Shown) -> None:
    scripts = re.search(r"script-src ([^;]*)", shown.policy)
    allowed = scripts[1] if scripts else (re.search(r"default-src ([^;]*)", shown.policy) or [""])[0]
    if shown.name in OURS:  # Swagger's page starts itself by an inline script
        assert "unsafe" not in allowed
    assert "'self'" in allowed
    assert not re.search(r"https?:|\*", allowed)


def test_it_has_one_heading_a_main_part_a_title_and_the_way_to_all_others(ours: Page) -> None:
    assert ours.locator("h1").count() == 1
    assert ours.locator("main").count() == 1
    assert re.fullmatch(r"(?s)Storyshift: \S.*|\S.* · Storyshift", ours.title())
    links = [link.get_attribute("href") for link in ours.locator("header nav a").all()]
    assert links == ["/", "/story", "/lead-lag", "/articles", "/review", "/quality", "/sources", "/docs"]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_axe_finds_nothing_serious(ours: Page, scheme: Any, width: int) -> None:
    ours.set_viewport_size({"width": width, "height": 900})
    ours.emulate_media(color_scheme=scheme)
    found = Axe().run(ours).response["violations"]
    told = [
        f"{one['id']}: {node['html'][:160]} ({node['failureSummary'].splitlines()[1].strip()[:160]})"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
    assert told == []


def test_nothing_is_wider_than_a_phone(ours: Page) -> None:
    ours.set_viewport_size({"width": 390, "height": 900})
    assert ours.evaluate(WIDER, 390) == []


def test_every_page_has_a_title_of_its_own(context: BrowserContext, served: str, record: tuple[Database, int]) -> None:
    page = context.request
    html = [page.get(served + address.format(article=record[1])).text() for address in PAGES.values()]
    titles = [found[1] for one in html if (found := re.search(r"(?s)<title>(.*?)</title>", one))]
    assert len(set(titles)) == len(PAGES)
    for one in html[:-1]:
        assert re.search(r"<script(?![^>]*\ssrc=)", one) is None
        assert re.search(r"<style|\sstyle=|\son\w+=", one) is None
