"""The commands about keys: who may write over HTTP."""

from typing import Annotated

import typer

from storyshift.output import put_json, say
from storyshift.shell import Report, TextFormat, now, open_database

keys_app = typer.Typer(help="The keys with which programs may write over HTTP.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Whose it is, or what for, e.g. laptop.")]


@keys_app.command("create")
def keys_create(name: Name) -> None:
    """Make a key and print its secret, once: only a hash of it is kept."""
    from services.keys import create_key

    with open_database().write() as session:
        secret = create_key(session, name, now=now())
    print(secret, flush=True)
    say(f"The key {name}, shown this once. Send it as `Authorization: Bearer KEY`; `keys revoke {name}` ends it.")


@keys_app.command("list")
def keys_list(form: Report = TextFormat.text) -> None:
    """Every key with how it begins, when it was last used and when it was revoked."""
    from dataclasses import asdict

    from services.keys import list_keys

    with open_database().read() as session:
        found = list_keys(session)
    if form is TextFormat.json:
        put_json([asdict(key) for key in found])
        return
    if not found:
        say("There is no key yet. `storyshift keys create NAME` makes one.")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "begins with", "created", "last used", "revoked", box=None, header_style="bold")
    for key in found:
        instants = (key.created_at, key.last_used_at, key.revoked_at)
        table.add_row(key.name, key.prefix, *(f"{at:%Y-%m-%d %H:%M}" if at else "" for at in instants))
    Console().print(table)


@keys_app.command("revoke")
def keys_revoke(name: Name) -> None:
    """End a key: from now on nobody writes with it. Its name is free again."""
    from services.keys import revoke_key

    with open_database().write() as session:
        revoke_key(session, name, now=now())
    say(f"The key {name} is revoked.")
