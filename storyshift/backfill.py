"""`storyshift backfill`: archives of any size, tagged in processes beside each other, as Parquet and into the store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadRow
from storyshift.output import progress, put_json, say
from storyshift.shell import Report, TextFormat, files_in, find_copies, now, open_database

if TYPE_CHECKING:
    from jobs.backfill import BackfillReport, FileReport, Plan
    from jobs.backfill_parts import StoredReport
    from models.database import Database

SHOWN_REFUSALS = 50


class EngineName(StrEnum):
    local = "local"
    ray = "ray"


def backfill(
    paths: Annotated[list[Path], typer.Argument(help="Files (.parquet, .jsonl, .csv; also .gz), or folders of them.")],
    engine: Annotated[
        EngineName, typer.Option(help="local: processes of this machine. ray: Ray Data, on a cluster too.")
    ] = EngineName.local,
    output: Annotated[
        Path | None, typer.Option(help="The folder that FILE.tags goes into. Default: where the file lies.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that tag; each holds the tagger. Default: one a core.", min=1)
    ] = None,
    into_store: Annotated[
        bool, typer.Option("--into-store/--parquet-only", help="Bring articles and tags into the store too, or not.")
    ] = True,
    form: Report = TextFormat.text,
) -> None:
    """Tag archives of any size, block by block, as Parquet and into the store; stopped, it goes on where it was."""
    from os import cpu_count

    from jobs.backfill import backfill as tag_all
    from jobs.backfill import plan_of
    from jobs.backfill_local import run_locally
    from jobs.backfill_ray import run_ray

    run = run_ray if engine is EngineName.ray else run_locally
    files = list(dict.fromkeys(files_in(paths)))
    database = open_database() if into_store else None
    plan = plan_of(now=now(), output=output)
    with _rows_per_second(f"tagging with {plan.tagger}") as told:
        report = tag_all(plan, files, run, workers=workers or cpu_count() or 1, progress=told)
    for file in report.files:
        _say(file)
    rows = sum(file.rows for file in report.files)
    before = sum(file.before for file in report.files)
    tagged = sum(file.tagged for file in report.files) - before
    rate = f", {tagged / report.seconds:,.0f} texts/s" if tagged and report.seconds else ""
    say(f"{rows} rows, {tagged} texts tagged by {plan.tagger} in {report.seconds:.1f} s{rate}.")
    stored = _store(database, plan, report) if database is not None else {}
    if form is TextFormat.json:
        put_json(
            asdict(report)
            | {
                "files": [
                    asdict(file)
                    | {"parts": len(file.parts)}
                    | {"refused": [{"line": line, "reason": reason} for line, reason in file.refused]}
                    | {"stored": asdict(stored[file.file]) if file.file in stored else None}
                    for file in report.files
                ]
            }
        )
    if any(file.failed or (file.rows and file.refused_rows == file.rows) for file in report.files):
        raise typer.Exit(1)


def _say(file: "FileReport") -> None:
    for line, reason in file.refused[:SHOWN_REFUSALS]:
        say(f"refused: {BadRow(file.file, line, reason)}")
    if file.refused_rows > SHOWN_REFUSALS:
        say(f"refused: … and {file.refused_rows - SHOWN_REFUSALS} more rows; --format json lists more of them.")
    for reason in file.failed:
        say(f"error: {file.file}: {reason}")
    others = f", {file.other_languages} in other languages" if file.other_languages else ""
    if file.rows:
        say(
            f"{file.file}: {file.rows} rows: {file.tagged} tagged, {file.before} of them before{others}, "
            f"{file.refused_rows} refused. Their tags lie in {file.folder}."
        )


def _store(database: "Database", plan: "Plan", report: "BackfillReport") -> dict[str, "StoredReport"]:
    """What became of each file's parts."""
    from jobs.backfill_parts import store_parts
    from jobs.cluster import Clusterer

    clusterer = Clusterer(database)
    found = {}
    for file in report.files:
        with progress(f"storing {Path(file.file).name}", "parts") as told:
            parts = [plan.part(Path(file.file), number) for number in file.parts]
            stored = found[file.file] = store_parts(database, plan.tagger, parts, clock=now, progress=told)
        rate = f", {stored.articles / stored.seconds:,.0f} articles/s" if stored.seconds else ""
        say(
            f"{database}: {stored.new} new articles, {stored.revised} revised, {stored.known} known; {stored.tagged} "
            f"with their tags, in {stored.seconds:.1f} s{rate}."
        )
        find_copies(clusterer)
    return found


@contextmanager
def _rows_per_second(title: str) -> Iterator[Callable[[int, int, int], None]]:
    """A progress bar on stderr, told (bytes done, of, rows tagged); silent where stderr is not a terminal."""
    import sys
    from time import perf_counter

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"))
    began = perf_counter()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, said="")

        def told(done: int, of: int, rows: int) -> None:
            rate = rows / max(perf_counter() - began, 1e-9)
            bar.update(task, completed=done, total=of, said=f"{rows:,} rows, {rate:,.0f}/s")

        yield told
