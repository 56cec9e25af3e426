"""Under which key the same publication is recognised again.

A feed's entry is its canonical address, else its guid, else its title on that day; the same for archives. Beside an
address the guid is kept as a second key: an entry whose address has changed is found by it, if its title is alike.
"""

import hashlib
import re
from datetime import date
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from ingest.text import UNSTORABLE

TRACKING = re.compile(
    r"utm_.*|fbclid|gclid|dclid|msclkid|yclid|igshid|mc_cid|mc_eid|mkt_tok|cmpid|cmp|ref|ref_src|src|source|ftag|guccounter"
    r"|guce_.*|ns_.*|at_.*|ito|xtor|smid|feedtype|feedname|rss|__twitter_impression|amp|_amp"
)
TWIN_PARAMETERS = frozenset((("outputtype", "amp"), ("output", "amp"), ("type", "amp"), ("view", "mobile"), ("m", "1")))
TWIN_HOSTS = re.compile(r"^(?:(?:www\d?|m|mobile|amp)\.)+(?=[^.]+\.)")
TWIN_PATHS = re.compile(r"^/amp(?=/)|/amp/?$|\.amp(?=\.html?$)|\.amp$|/amp\.html$")


def canonical_url(url: str) -> str | None:
    """The address without what does not tell articles apart.

    That is scheme, host case, www, tracking, fragment, final slash, the ways to write the same character, and what
    leads to the mobile or AMP twin of the same page. None if it is not an http(s) address.
    """
    if UNSTORABLE.search(url):
        return None
    try:
        parts = urlsplit(url.strip())
        host = TWIN_HOSTS.sub("", (parts.hostname or "").rstrip("."))
        host = f"[{host}]" if ":" in host else host
        port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not host:
        return None
    path = parts.path
    if "amp" in path:
        path = TWIN_PATHS.sub("", path)
    if "%" in path:
        path = quote(unquote(path, errors="surrogateescape"), safe="/:@!$&'()*+,;=~-._", errors="surrogateescape")
    query = _query(parts.query) if parts.query else ""
    return urlunsplit(("https", host + port, path.rstrip("/ ") or "/", query, ""))


def _query(query: str) -> str:
    return urlencode(
        [
            (name, value)
            for name, value in parse_qsl(query, keep_blank_values=True)
            if not TRACKING.fullmatch(name.lower()) and (name.lower(), value.lower()) not in TWIN_PARAMETERS
        ]
    )


def guid_key(guid: str | None, canonical: str | None, outlet: str) -> str | None:
    """The second key of an entry that has an address; None where the guid is that address again."""
    if not guid or canonical is None or ("://" in guid and canonical_url(guid) == canonical):
        return None
    return "g:" + _digest(outlet, guid)


def identity(*, canonical: str | None, guid: str | None, outlet: str, title: str, day: date | None) -> str:
    """A key of at most 40 characters. `day` is the one that the source names, never the one we first saw it."""
    if canonical is not None:
        return "u:" + _digest(canonical)
    if guid:
        return "g:" + _digest(outlet, guid)
    return "t:" + _digest(outlet, " ".join(title.casefold().split()), day.isoformat() if day else "undated")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:38]
