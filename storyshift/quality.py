"""`storyshift quality`: how good the tags are, by what was drawn at random and read."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import BadInput
from storyshift.output import put, say
from storyshift.questions import AsOf, Tagger
from storyshift.shell import TableFormat, now, open_database

if TYPE_CHECKING:
    from rich.table import Table

    from services.answers import Answer

WIDEST = 1_000
"""Columns of a window in which every table fits."""


class ByName(StrEnum):
    narrative = "narrative"
    asset = "asset"
    outlet = "outlet"


class PeriodName(StrEnum):
    all = "all"
    month = "month"
    quarter = "quarter"
    year = "year"


def quality(
    by: Annotated[ByName, typer.Option(help="A row for each narrative, asset or outlet.")] = ByName.narrative,
    bucket: Annotated[PeriodName, typer.Option(help="And for each period of publication.")] = PeriodName.all,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="Instead: the tagger's scores against what is so.")
    ] = False,
    confusions: Annotated[
        bool, typer.Option("--confusions", help="Instead: where tagger and reviewers differ, with examples.")
    ] = False,
    agreement: Annotated[
        bool, typer.Option("--agreement", help="Instead: how far two reviewers of the same texts agree.")
    ] = False,
    as_of: AsOf = None,
    tagger: Tagger = None,
    form: Annotated[TableFormat, typer.Option("--format", help="How to print.")] = TableFormat.text,
) -> None:
    """Precision and recall of the tags, by stories that were drawn at random and reviewed, with 90 % intervals."""
    from config.definitions import live_tagger_name
    from services import quality as service
    from services.instants import parse_as_of

    if calibration + confusions + agreement > 1:
        raise BadInput("Ask for one of --calibration, --confusions and --agreement at a time.")
    question = service.QualityQuestion(tagger or live_tagger_name(), parse_as_of(as_of))
    with open_database().read() as session:
        if calibration:
            found = service.calibration(session, question, [], now=now())
        elif confusions:
            found = service.confusions(session, question, now=now())
        elif agreement:
            found = service.reviewers_agree(session, as_of=question.as_of, now=now())
        else:
            found = service.quality(session, question, by=by.value, bucket=bucket.value, now=now())
    if form is not TableFormat.text:
        put(found, "json" if form is TableFormat.json else "csv" if form is TableFormat.csv else "parquet")
        return
    if not found.rows:
        say("Nothing to tell yet: articles are reviewed on the page Review (`storyshift run` prints its link).")
        return
    _show(found)
    if "n_drawn" in found.meta:
        say(f"{found.meta['tagger']}: {found.meta['n']} of {found.meta['n_drawn']} stories drawn at random were read.")
    if not confusions:
        say("With 90 % intervals.")
    if any(getattr(row, "thin", False) for row in found.rows):
        say(f"Too few: fewer than {found.meta['needed']} of those read carry it.")


def _show(found: "Answer") -> None:
    from rich.console import Console

    from models.derived import CalibrationRow, ConfusionRow, QualityRow

    told = {QualityRow: _quality, CalibrationRow: _calibration, ConfusionRow: _confusion}.get(
        found.row_type, _agreement
    )
    console = Console()
    table = _table([told(row) for row in found.rows])
    if (
        found.row_type is QualityRow
        and console.measure(table, options=console.options.update(width=WIDEST)).maximum > console.width
    ):
        table = _table([_folded(row) for row in found.rows])
    console.print(table)


def _table(rows: "list[dict[str, str]]") -> "Table":
    """What is longer than its column goes on in the next line; nothing is cut off."""
    from rich.table import Column, Table

    table = Table(*(Column(name, overflow="fold") for name in rows[0]), box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row.values())
    return table


def _folded(row: Any) -> dict[str, str]:
    """The same for a narrow window: notes below the name, intervals below the estimates."""
    whole = _quality(row)
    beside = [whole.pop("from", ""), whole.pop("")]
    name = "\n".join(filter(None, (row.key, ", ".join(filter(None, beside)))))
    folded = {title.replace(" ", "\n"): value.replace(" (", "\n").rstrip(")") for title, value in whole.items()}
    return folded | {row.by: name}


def _quality(row: Any) -> dict[str, str]:
    period = {} if row.bucket_start is None else {"from": f"{row.bucket_start:%Y-%m-%d}"}
    return {
        row.by: row.key,
        **period,
        "read": str(row.n),
        "labelled": str(row.n_labelled),
        "carrying": str(row.n_positive),
        "precision": _between(row.precision, row.precision_low, row.precision_high),
        "recall": _between(row.recall, row.recall_low, row.recall_high),
        "tone right" if row.by == "asset" else "direction right": _between(
            row.right_way, row.right_way_low, row.right_way_high
        ),
        "": "below its floor" if row.below_floor else "too few" if row.thin else "",
    }


def _calibration(row: Any) -> dict[str, str]:
    return {
        "narrative": row.narrative,
        "scores": f"{row.low_score:.2f}-{row.high_score:.2f}",
        "read": str(row.n),
        "told": f"{row.told:.2f}",
        "is so": _between(row.holds, row.low, row.high),
    }


def _confusion(row: Any) -> dict[str, str]:
    return {
        "kind": row.kind,
        "said": row.said or "",
        "is": row.truth or "",
        "n": str(row.n),
        "at random": str(row.n_audited),
        "e.g.": row.examples[0].title[:70] if row.examples else "",
    }


def _agreement(row: Any) -> dict[str, str]:
    return {
        "of": row.of,
        "key": row.key,
        "alpha": _between(row.alpha, row.low, row.high),
        "texts": str(row.n),
        "reviewers": str(row.n_reviewers),
        "agreed": "" if row.agreed is None else f"{row.agreed:.0%}",
    }


def _between(estimate: float | None, low: float | None, high: float | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate:.2f}" if low is None or high is None else f"{estimate:.2f} ({low:.2f}-{high:.2f})"
