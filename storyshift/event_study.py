"""`storyshift event-study`: what does a price do around events?"""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadInput, BadRow
from storyshift.output import put, put_json, say
from storyshift.questions import AsOf, BucketName, Outlet, PriorRates, Tagger, question_of
from storyshift.shell import TableFormat, now, open_database

if TYPE_CHECKING:
    from models.derived import EventStudy


def event_study(
    event: Annotated[
        str | None,
        typer.Option(
            help="shift:STATE (panic, transition, devaluation), trigger:KEY (it turns on), high:ASSET (record closes)."
        ),
    ] = None,
    day: Annotated[list[str] | None, typer.Option("--date", help="Instead of --event: a day; repeat.")] = None,
    dates: Annotated[
        Path | None, typer.Option(help="Instead of --event: a file with the column date (CSV, JSONL or Parquet).")
    ] = None,
    asset: Annotated[str, typer.Option(help="Whose returns are looked at.")] = "BTC",
    seed: Annotated[int, typer.Option(help="Of the placebo dates; the same seed gives the same answer.", min=0)] = 0,
    start: Annotated[str | None, typer.Option(help="Only events from this day on. Default: all.")] = None,
    end: Annotated[str | None, typer.Option(help="Only events before this day. Default: all.")] = None,
    as_of: AsOf = None,
    tagger: Tagger = None,
    outlet: Outlet = None,
    prior_rates: PriorRates = False,
    form: Annotated[
        TableFormat, typer.Option("--format", help="text, one JSON document, or the weeks as a table; all on stdout.")
    ] = TableFormat.text,
) -> None:
    """What an asset does in the 26 weeks after events, against random days of the same years."""
    from services.event_study import event_study as answer_of

    days = [_day(text, "--date") for text in day or []] + (_days_of(dates) if dates else [])
    if (event is None) == (not days):
        raise BadInput("Name one of --event (e.g. high:XAG) and days (--date 2020-03-09, repeated, or --dates FILE).")
    question = question_of(start, end, BucketName.day, as_of, tagger, outlet, prior_rates=prior_rates)
    with open_database().read() as session:
        answer = answer_of(session, event, asset, question, days=days, seed=seed, now=now())
    if form is TableFormat.text:
        _show(answer.row)
    elif form is TableFormat.json:
        put_json(asdict(answer.row) | {"as_of": answer.meta["as_of"]})
    else:
        put(answer.table(), "csv" if form is TableFormat.csv else "parquet")


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{where} is {text!r}; write a date like 2020-03-09.") from None


def _days_of(path: Path) -> list[date]:
    """Rows that cannot be used are told, the others go on. Raises: BadFile; BadInput if none can be used."""
    from ingest.rows import RowFile

    found: list[date] = []
    for line, row in RowFile(path, needs=("date",)):
        try:
            if isinstance(row, BadRow):
                raise row
            found.append(_day(str(row.get("date") or ""), "date"))
        except BadRow as error:
            say(f"refused: {error}")
        except BadInput as error:
            say(f"refused: {BadRow(str(path), line, str(error))}")
    if not found:
        raise BadInput(f"{path} holds no usable row.")
    return found


def _show(answer: "EventStudy") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("week", "CAR", "90 %", "placebo", "percentile", "p", box=None, header_style="bold")
    for row in answer.weeks:
        style = "bold" if row.week == answer.peak_week else None
        table.add_row(
            f"{row.week:+d}" if row.week else "0",
            _percent(row.car),
            f"{_percent(row.low)} … {_percent(row.high)}",
            f"{_percent(row.placebo_low)} … {_percent(row.placebo_high)}",
            "-" if row.percentile is None else f"{row.percentile:.0f}",
            "-" if row.p is None else f"{row.p:.3f}",
            style=style,
        )
    console = Console()
    if answer.n:
        console.print(table)
    p = "" if answer.p_family is None else f", p over weeks 1 to {answer.weeks[-1].week} = {answer.p_family:.3f}"
    console.print(
        f"[bold]{answer.verdict}[/bold]  n = {answer.n}, {answer.n_effective} without overlap, "
        f"{answer.n_left_out} left out{p}"
    )
    console.print(answer.sentence, soft_wrap=True)
    for one in answer.events:
        told = _percent(one.car) if one.left_out is None else one.left_out
        console.print(f"[dim]{one.day}  {told}[/dim]", soft_wrap=True)


def _percent(log_return: float | None) -> str:
    from math import expm1

    return "-" if log_return is None else f"{expm1(log_return):+.1%}"
