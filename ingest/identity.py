"""Under which key the same publication is recognised again.

A feed's entry is its canonical address, else its guid, else its title on that day; the same for archives.
"""

import hashlib
import re
from datetime import date
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ingest.text import UNSTORABLE

TRACKING = re.compile(r"^(utm_.*|fbclid|gclid|mc_cid|mc_eid|cmpid|cmp|ref|ref_src|src|ftag|guccounter|ns_.*|at_.*)$")


def canonical_url(url: str) -> str | None:
    """The address without what does not tell articles apart: scheme, host case, www, tracking, fragment, final slash.

    None if it is not an http(s) address.
    """
    if UNSTORABLE.search(url):
        return None
    try:
        parts = urlsplit(url.strip())
        host = re.sub(r"^(www\.)+", "", parts.hostname or "")
        host = f"[{host}]" if ":" in host else host
        port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not host:
        return None
    query = urlencode([(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not TRACKING.match(k)])
    return urlunsplit(("https", host + port, parts.path.rstrip("/ ") or "/", query, ""))


def identity(*, canonical: str | None, guid: str | None, outlet: str, title: str, day: date | None) -> str:
    """A key of at most 40 characters. `day` is the one that the source names, never the one we first saw it."""
    if canonical is not None:
        return "u:" + _digest(canonical)
    if guid:
        return "g:" + _digest(outlet, guid)
    return "t:" + _digest(outlet, " ".join(title.casefold().split()), day.isoformat() if day else "undated")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:38]
