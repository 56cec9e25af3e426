"""`storyshift triggers`: how the six triggers stand."""

from typing import TYPE_CHECKING, Annotated

import typer

from storyshift.output import put
from storyshift.questions import AsOf, Tagger
from storyshift.shell import TableFormat, now, open_database

if TYPE_CHECKING:
    from models.derived import TriggerState

STYLES = {"on": "bold", "forming": "", "off": "dim", "unknown": "dim"}


def triggers(
    as_of: AsOf = None,
    tagger: Tagger = None,
    form: Annotated[
        TableFormat,
        typer.Option("--format", help="text, one JSON document, or a table without data and stories; all on stdout."),
    ] = TableFormat.text,
) -> None:
    """The six triggers: off, forming, on or unknown, since when, and why."""
    from config.definitions import live_tagger_name
    from services.instants import parse_as_of
    from services.series import Question
    from services.triggers import triggers as answer_of

    question = Question(as_of=parse_as_of(as_of), tagger=tagger or live_tagger_name())
    with open_database().read() as session:
        answer = answer_of(session, question, now=now())
    if form is TableFormat.text:
        _show(answer.rows)
    else:
        put(answer, "json" if form is TableFormat.json else "csv" if form is TableFormat.csv else "parquet")


def _show(rows: "list[TriggerState]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("trigger", "state", "since", "why", box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(row.name, row.state, row.since.isoformat(), row.sentence, style=STYLES[row.state])
    Console().print(table)
