"""Lists of feeds as other readers write and read them (OPML 2.0): the one door to listparser."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from models.errors import BadFile

MAX_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ListedFeed:
    url: str
    title: str
    category: str = ""


def read_opml(path: Path) -> list[ListedFeed]:
    """The feeds of an OPML file, in its order, each address once. Raises: BadFile."""
    import listparser

    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadFile(str(path), f"cannot be read ({error.strerror}).") from None
    if len(content) > MAX_BYTES:
        raise BadFile(str(path), f"is larger than {MAX_BYTES // 2**20} MiB, which no list of feeds is.")
    try:
        found = listparser.parse(content)
    except Exception as error:
        raise BadFile(str(path), f"cannot be read as OPML ({type(error).__name__}).") from None
    if not found.feeds:
        reason = f" ({found.bozo_exception})" if found.get("bozo") and found.get("bozo_exception") else ""
        raise BadFile(str(path), f"names no feed; is it OPML?{reason}")
    listed = [
        ListedFeed(feed.url, feed.title or "", feed.categories[0][-1] if feed.categories else "")
        for feed in found.feeds
    ]
    return list({feed.url: feed for feed in reversed(listed)}.values())[::-1]


def write_opml(feeds: Iterable[ListedFeed]) -> str:
    """An OPML document, the feeds grouped by category."""
    root = Element("opml", version="2.0")
    SubElement(SubElement(root, "head"), "title").text = "Storyshift's feeds"
    body = SubElement(root, "body")
    groups: dict[str, Element] = {}
    for feed in feeds:
        if feed.category not in groups:
            groups[feed.category] = SubElement(body, "outline", text=feed.category or "feeds")
        SubElement(groups[feed.category], "outline", type="rss", text=feed.title, title=feed.title, xmlUrl=feed.url)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"
