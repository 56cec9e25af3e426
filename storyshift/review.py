"""The commands that write reviews to files and bring them in from files."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from storyshift.output import progress, put_json, say
from storyshift.shell import TextFormat, now, open_database

if TYPE_CHECKING:
    from services.review_files import FileFormat, ImportedReviews

SHOWN_REFUSALS = 50
review_app = typer.Typer(help="Reviews: to files and from files.", no_args_is_help=True)


class FileForm(StrEnum):
    jsonl = "jsonl"
    label_studio = "label-studio"


class ExportForm(StrEnum):
    jsonl = "jsonl"
    label_studio = "label-studio"
    label_studio_config = "label-studio-config"


@review_app.command("export")
def review_export(
    form: Annotated[
        ExportForm,
        typer.Option("--format", help="JSON lines, tasks for Label Studio, or the configuration of a project there."),
    ] = ExportForm.jsonl,
    every: Annotated[
        bool, typer.Option("--all", help="Skipped and undone reviews, and those of texts taken down, too.")
    ] = False,
) -> None:
    """Write all reviews to stdout, oldest first. The JSON lines are labelled texts that `train` and `evaluate` read."""
    from services import label_studio, review_files

    sys.stdout.flush()
    if form is ExportForm.label_studio_config:
        _put(label_studio.config().encode())
        return
    kind: FileFormat = "jsonl" if form is ExportForm.jsonl else "label-studio"
    for piece in review_files.export(open_database(), kind, now=now(), every=every):
        _put(piece)


@review_app.command("import")
def review_import(
    file: Annotated[Path, typer.Argument(help="JSON lines as `review export` writes them, or labelled texts; or .gz.")],
    form: Annotated[
        FileForm | None, typer.Option("--format", help="Told by how the file begins, if not by you.")
    ] = None,
    reviewer: Annotated[
        str, typer.Option(help="Whose reviews they are, where the file does not say it. E.g. anna.")
    ] = "",
    report: Annotated[
        TextFormat, typer.Option("--report", help="text on stderr, or one JSON document on stdout.")
    ] = TextFormat.text,
) -> None:
    """Bring reviews in from a file. They count from now on; the same file again adds nothing."""
    from services.review_files import import_reviews, open_file

    database = open_database()
    with open_file(file) as (lines, position), progress(f"importing {file.name}") as told:
        found = import_reviews(
            database,
            lines,
            name=str(file),
            clock=now,
            form=form.value if form else None,
            reviewer=reviewer,
            progress=lambda: told(*position()),
        )
    _say_what_came(found)
    if report is TextFormat.json:
        _put_report(found)
    if found.rows and len(found.refused) == found.rows:
        raise typer.Exit(1)


def _put(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _say_what_came(found: "ImportedReviews") -> None:
    for refusal in found.refused[:SHOWN_REFUSALS]:
        say(f"refused: {found.file}, {found.unit} {refusal.line}: {refusal.reason}")
    if len(found.refused) > SHOWN_REFUSALS:
        say(f"refused: … and {len(found.refused) - SHOWN_REFUSALS} more; --report json lists them all.")
    rate = f", {found.rows / found.seconds:,.0f} reviews/s" if found.rows > 1000 and found.seconds else ""
    missing = f" ({found.no_article} of texts that are not here)" if found.no_article else ""
    say(
        f"{found.file}: {found.rows} reviews: {found.imported} new, {found.known} known, "
        f"{len(found.refused)} refused{missing}, in {found.seconds:.1f} s{rate}."
    )


def _put_report(found: "ImportedReviews") -> None:
    from dataclasses import asdict

    put_json(asdict(found))
