"""The commands about keys and browser sessions: who may read, review and write over HTTP."""

import getpass
import re
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadFile
from storyshift.output import put_json, say
from storyshift.shell import Report, TextFormat, now, open_database

if TYPE_CHECKING:
    from rich.table import Table

    from services.keys import KeyView


class KeyScope(StrEnum):
    read = "read"
    review = "review"
    admin = "admin"


keys_app = typer.Typer(
    help="The keys with which programs may read, review and write over HTTP, and the sessions of browsers.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="Whose it is, or what for, e.g. laptop.")]


@keys_app.command("create")
def keys_create(
    name: Name,
    scope: Annotated[
        KeyScope, typer.Option(help="read: it may only read; review: also review; admin: do all.")
    ] = KeyScope.admin,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A file that holds its secret, which is not printed. Another time: changed only if that was."
        ),
    ] = None,
) -> None:
    """Make a key and print its secret, once: only a hash of it is kept."""
    from services.keys import bring_key, create_key

    if source is not None:
        try:
            given = source.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it is not text"
            raise BadFile(str(source), f"{said}.") from None
        with open_database().write() as session:
            new = bring_key(session, name, given, scope=scope.value, now=now())
        say(f"The key {name} has the secret of {source}" + ("." if new else " already."))
        return
    with open_database().write() as session:
        secret = create_key(session, name, scope=scope.value, now=now())
    print(secret, flush=True)
    may = "" if scope is KeyScope.admin else f", which may {scope.value} only"
    say(f"The key {name}{may}, shown this once. Send it as `Authorization: Bearer KEY`; `keys revoke {name}` ends it.")


@keys_app.command("link")
def keys_link(
    name: Annotated[str, typer.Argument(help="Under whose name the reviews are kept, e.g. anna.")],
    port: Annotated[int, typer.Option(help="Where the page is served.", min=1, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="The name or address under which the browser reaches it.")] = "127.0.0.1",
) -> None:
    """Print a link that lets one browser review for 30 days. It opens once, within 24 hours."""
    from services.keys import create_link

    with open_database().write() as session:
        code = create_link(session, name, now=now())
    print(f"{address(host, port)}/open?code={code}", flush=True)
    say(f"Opens once, within 24 hours; then that browser reviews as {name} for 30 days. `keys revoke {name}` ends it.")


@keys_app.command("list")
def keys_list(form: Report = TextFormat.text) -> None:
    """Every key and browser session: what it may do, when it was last used, when it was revoked."""
    from dataclasses import asdict

    from services.keys import list_keys, list_sessions

    with open_database().read() as session:
        keys, sessions = list_keys(session), list_sessions(session, now=now())
    if form is TextFormat.json:
        put_json([asdict(row) for row in keys + sessions])
        return
    if not keys:
        say("There is no key yet. `storyshift keys create NAME` makes one.")
    from rich.console import Console

    for table in (_key_table(keys) if keys else None, _session_table(sessions) if sessions else None):
        if table is not None:
            Console().print(table)


@keys_app.command("revoke")
def keys_revoke(name: Name) -> None:
    """End the key and the browser sessions of a name: they let nobody in any more. The name is free again."""
    from services.keys import revoke_key

    with open_database().write() as session:
        revoked = revoke_key(session, name, now=now())
    if revoked.key:
        say(f"The key {name} is revoked.")
    if revoked.sessions:
        say(f"Browser sessions and links of {name} ended: {revoked.sessions}.")


def own_name() -> str:
    """The name of who runs this, in letters that a key's name may have."""
    try:
        found = getpass.getuser()
    except (ImportError, KeyError, OSError):  # nobody of this number is known to the system
        found = ""
    return re.sub(r"[^\w.@-]+", "-", found).strip("-")[:60] or "reviewer"


def address(host: str, port: int) -> str:
    """Where a browser on this machine reaches a server that listens there."""
    name = "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http://{name}:{port}"


def _key_table(keys: "list[KeyView]") -> "Table":
    from rich.table import Table

    table = Table("key", "may", "begins with", "created", "last used", "revoked", box=None, header_style="bold")
    for key in keys:
        table.add_row(
            key.name, key.scope, key.prefix, *map(_minute, (key.created_at, key.last_used_at, key.revoked_at))
        )
    return table


def _session_table(sessions: "list[KeyView]") -> "Table":
    from rich.table import Table

    table = Table("session of", "link made", "opened", "last used", "expires", "ended", box=None, header_style="bold")
    for row in sessions:
        instants = (row.created_at, row.opened_at, row.last_used_at, row.expires_at, row.revoked_at)
        table.add_row(row.name, *map(_minute, instants))
    return table


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
