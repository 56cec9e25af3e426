"""The command line. Each command: read the question, open the database, call a job or a service, print.

Exit codes: 0 the job ran (items that failed are counted on stderr), 1 it failed, 2 it was called wrongly,
130 it was stopped by Ctrl-C. Heavy libraries are imported inside the commands that need them.
"""

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadFile, BadInput, ConfigError, StoryshiftError
from storyshift.backfill import backfill
from storyshift.doctor import doctor
from storyshift.event_study import event_study
from storyshift.feeds import articles_app, feeds_app
from storyshift.keys import keys_app
from storyshift.lead_lag import lead_lag
from storyshift.learning import evaluate, train
from storyshift.mcp import mcp
from storyshift.moving import backup, move, restore
from storyshift.narratives import narratives_app
from storyshift.output import progress, put, put_json, say, say_audit
from storyshift.quality import quality
from storyshift.questions import (
    AsOf,
    BucketName,
    BucketOption,
    End,
    Outlet,
    PriorRates,
    Start,
    Tagger,
    Weighting,
    WeightingName,
    question_of,
    refuse_strays,
)
from storyshift.review import review_app
from storyshift.shell import DEMO_DATABASE, Report, TextFormat, files_in, find_copies, now, open_database, open_record
from storyshift.triggers import triggers
from storyshift.working import scheduler, worker

if TYPE_CHECKING:
    from jobs.imports import ImportReport
    from nlp.evaluation import Reads

app = typer.Typer(
    help="When the story in financial news shifts from panic to devaluation, and what bitcoin does around it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
import_app = typer.Typer(help="Bring archives in: news, prices, macro series.", no_args_is_help=True)
app.add_typer(feeds_app, name="feeds")
app.add_typer(articles_app, name="articles")
app.add_typer(import_app, name="import")
app.add_typer(narratives_app, name="narratives")
app.add_typer(keys_app, name="keys")
app.add_typer(review_app, name="review")

SHOWN_REFUSALS = 50
STOPPED = 130


class MeasureName(StrEnum):
    share = "share"
    by_outlet = "index"


class DirectionName(StrEnum):
    building = "building"
    fading = "fading"
    neither = "neither"


class ModalityName(StrEnum):
    actual = "actual"
    expected = "expected"


class BesideName(StrEnum):
    keywords = "keywords"


class SeriesFormat(StrEnum):
    csv = "csv"
    json = "json"
    parquet = "parquet"


Narratives = Annotated[list[str] | None, typer.Option("--narrative", help="Its key; repeat for several. Default: all.")]
Asset = Annotated[str, typer.Option(help="The asset's key, e.g. BTC, XAU, XAG.")]
Format = Annotated[SeriesFormat, typer.Option("--format", help="How the rows are written to stdout.")]
Port = Annotated[int, typer.Option(help="Where the page is served.", min=1, max=65535)]
Host = Annotated[
    str, typer.Option(help="The address to listen on; beyond loopback set STORYSHIFT_ALLOWED_HOSTS and make a key.")
]


# -- running ----------------------------------------------------------------------------------------------------------


@app.command()
def run(port: Port = 8000, host: Host = "127.0.0.1") -> None:
    """Collect, tag and serve the page, all in one process."""
    from storyshift.serving import serve_page

    serve_page(open_database(), host=host, port=port, clock=now, with_worker=True)


@app.command()
def demo(port: Port = 8000, host: Host = "127.0.0.1") -> None:
    """Play the bundled replay of 2019-21 and 2025-26 into a database of its own, and serve it. Needs no network."""
    from jobs.replay.play import play
    from models.database import Database
    from storyshift.serving import serve_page

    database = Database.open(DEMO_DATABASE)
    with progress("replaying", "days") as told:
        days = play(database, now=now(), progress=told)
    say(f"{days} days replayed." if days else "The replay is complete already.")
    serve_page(database, host=host, port=port, clock=now, with_worker=False, replay=True)


@app.command()
def serve(port: Port = 8000, host: Host = "127.0.0.1") -> None:
    """Serve the page and the API only."""
    from storyshift.serving import serve_page

    serve_page(open_database(), host=host, port=port, clock=now, with_worker=False)


app.command()(worker)
app.command()(scheduler)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema. Every other command does so too when it opens it."""
    from config.settings import get_settings
    from models.database import Database

    database = Database(get_settings().database_url)
    say(f"{database}: " + ("migrated." if database.migrate() else "is at the newest schema already."))


# -- collecting and importing -----------------------------------------------------------------------------------------


@app.command()
def collect(
    once: Annotated[bool, typer.Option("--once", help="Visit the feeds that are due, then stop.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Visit all feeds, due or not, then stop.")] = False,
    form: Report = TextFormat.text,
) -> None:
    """Fetch the feeds that are due; without --once or --all, again and again (as `worker` does, without tagging)."""
    from dataclasses import asdict
    from time import sleep

    from config.definitions import feeds
    from jobs.cluster import Clusterer
    from jobs.collect import collect as collect_feeds
    from jobs.scheduler import LOOK_EVERY_SECONDS
    from services.sources import seed_feeds

    database = open_database()
    clusterer = Clusterer(database)
    while True:
        with database.write() as session:
            seed_feeds(session, feeds(), now=now())
        with progress("collecting", "feeds") as told:
            report = collect_feeds(database, clock=now, every=every, progress=told)
        for failure in report.errors:
            say(f"failed: {failure['url']}: {failure['error']}")
        if report.feeds or once or every:
            say(
                f"{report.feeds} feeds due: {report.fetched} fetched, {report.not_modified} not modified, "
                f"{report.failed} failed; {report.new_articles} new articles, {report.revised_articles} revised, "
                f"{report.refused_entries} entries refused, in {report.seconds:.1f} s."
            )
        find_copies(clusterer)
        if once or every:
            if form is TextFormat.json:
                put_json(asdict(report))
            return
        sleep(LOOK_EVERY_SECONDS)


@app.command("load-prices")
def load_prices(
    every: Annotated[bool, typer.Option("--all", help="Ask for every series, due or not.")] = False,
    form: Report = TextFormat.text,
) -> None:
    """Bring the prices and macro series that are due up to date from their sources (as `run` does), then stop."""
    from dataclasses import asdict

    from ingest.sources import open_sources
    from jobs.prices import load_prices as load

    database = open_database()
    with progress("loading", "series") as told:
        report = load(database, open_sources(), clock=now, every=every, progress=told)
    for loaded in report.series:
        if loaded.told_by:
            say(f"{loaded.name}: {loaded.new} new, {loaded.corrected} corrected ({loaded.told_by}).")
    for said, series in report.failures.items():
        say(f"failed: {said} Series: {', '.join(series)}.")
    failed = sum(map(len, report.failures.values()))
    say(f"{len(report.series)} series were due" + (f", of which {failed} failed." if failed else "."))
    if form is TextFormat.json:
        put_json([asdict(loaded) for loaded in report.series])


app.command()(doctor)


Files = Annotated[list[Path], typer.Argument(help="Files (.jsonl, .csv, .parquet; also .gz), or folders of them.")]


@import_app.command("news")
def import_news(paths: Files, form: Report = TextFormat.text) -> None:
    """Bring news archives in: columns published_at, title; also summary, body, url, outlet, first_seen_at."""
    from jobs.cluster import Clusterer
    from jobs.imports import import_news as bring

    database = open_database()
    clusterer = Clusterer(database)

    def one(path: Path) -> "ImportReport":
        with progress(f"importing {path.name}") as told:
            report = bring(database, path, now=now(), progress=told)
        find_copies(clusterer)
        return report

    _import_all(paths, one, "articles", form)


@import_app.command("prices")
def import_prices(
    paths: Files,
    asset: Annotated[str | None, typer.Option(help="The asset's key. Default: the file's name (BTC.csv).")] = None,
    form: Report = TextFormat.text,
) -> None:
    """Bring daily closes in: columns date and close. A corrected close is kept beside the old one."""
    from jobs.imports import import_prices as bring

    database = open_database()
    _import_all(paths, lambda path: bring(database, path, asset=asset, now=now()), "closes", form)


@import_app.command("macro")
def import_macro(
    paths: Files,
    series: Annotated[str | None, typer.Option(help="The series' key. Default: the file's name (DFII10.csv).")] = None,
    form: Report = TextFormat.text,
) -> None:
    """Bring macro series in: columns date and the series' key (or value), as FRED writes them."""
    from jobs.imports import import_macro as bring

    database = open_database()
    _import_all(paths, lambda path: bring(database, path, series=series, now=now()), "values", form)


def _import_all(paths: list[Path], one: Callable[[Path], "ImportReport"], what: str, form: TextFormat) -> None:
    """Import each file; one that cannot be read does not stop the others, but the exit code tells."""
    from dataclasses import asdict

    reports, failed = [], 0
    for path in files_in(paths):
        try:
            report = one(path)
        except (BadFile, BadInput) as error:
            say(f"error: {error}")
            failed += 1
            continue
        reports.append(report)
        for refusal in report.refused[:SHOWN_REFUSALS]:
            say(f"refused: {refusal}")
        if len(report.refused) > SHOWN_REFUSALS:
            say(f"refused: … and {len(report.refused) - SHOWN_REFUSALS} more rows; --format json lists them all.")
        rate = f", {report.rows / report.seconds:,.0f} rows/s" if report.rows > 1000 and report.seconds else ""
        empty = f", {report.empty} without a value" if report.empty else ""
        say(
            f"{path}: {report.rows} rows: {report.new} new {what}, {report.revised} revised, {report.known} known"
            f"{empty}, {len(report.refused)} refused, in {report.seconds:.1f} s{rate}."
        )
        failed += bool(report.rows and len(report.refused) == report.rows)
    if form is TextFormat.json:
        put_json(
            [asdict(r) | {"refused": [{"line": bad.line, "reason": bad.reason} for bad in r.refused]} for r in reports]
        )
    if failed:
        raise typer.Exit(1)


# -- tagging ----------------------------------------------------------------------------------------------------------


@app.command()
def tag(
    source: Annotated[str | None, typer.Option("--input", help="Texts as JSON lines; - is stdin. No database.")] = None,
    target: Annotated[str, typer.Option("--output", help="Where the tags go, with --input; - is stdout.")] = "-",
    retry: Annotated[
        bool, typer.Option("--retry-set-aside", help="Try again what could not be read and was set aside.")
    ] = False,
) -> None:
    """Tag what the store has untagged; with --input, tag a file and touch no database."""
    from jobs.tag import live_tagger

    if source is None and target != "-":
        raise BadInput("--output goes with --input; without it, tags go into the database.")
    if source is not None and retry:
        raise BadInput("--retry-set-aside is about the database; with --input nothing is set aside.")
    if source is not None:
        from storyshift.tagging import tag_stream

        tag_stream(source, target)
        return
    _tag_all(live_tagger(), retry=retry)


@app.command()
def retag(
    tagger: Annotated[
        str | None, typer.Option(help="minilm, keywords or hf:OWNER/NAME@REVISION. Default: that of the settings.")
    ] = None,
) -> None:
    """Read all history with a tagger. What others said stays beside it; stopped, it goes on where it was."""
    from jobs.tag import live_tagger, tagger_named

    _tag_all(tagger_named(tagger) if tagger else live_tagger())


def _tag_all(tagger: "Reads", *, retry: bool = False) -> None:
    from time import perf_counter

    from jobs.cluster import Clusterer
    from jobs.tag import read_by_others, retry_set_aside, tag_untagged

    database = open_database()
    if retry:
        say(f"{retry_set_aside(database, tagger)} wordings that were set aside are tried again.")
    find_copies(Clusterer(database))
    began = perf_counter()
    with progress(f"tagging with {tagger.name}", "texts") as told:
        read = tag_untagged(database, tagger, clock=now, progress=told)
    seconds = perf_counter() - began
    say(
        f"{read} texts tagged by {tagger.name} in {seconds:.1f} s"
        + (f", {read / seconds:,.0f} texts/s." if read else ".")
    )
    if left := read_by_others(database, tagger):
        say(
            f"{left} more are being read by another process, or could not be read just now. If nothing else runs, this "
            "command tries them again in a minute."
        )


app.command()(backfill)
app.command()(train)
app.command()(evaluate)


# -- series -----------------------------------------------------------------------------------------------------------


@app.command(context_settings={"allow_extra_args": True})
def series(
    context: typer.Context,
    narrative: Narratives = None,
    start: Start = None,
    end: End = None,
    bucket: BucketOption = BucketName.day,
    as_of: AsOf = None,
    tagger: Tagger = None,
    outlet: Outlet = None,
    weighting: Weighting = WeightingName.story,
    measure: Annotated[
        MeasureName, typer.Option(help="index: by outlet against its usual share and its swings; 100 is usual.")
    ] = MeasureName.share,
    direction: Annotated[
        DirectionName | None, typer.Option(help="Count only stories in which the narrative's force is so.")
    ] = None,
    modality: Annotated[
        ModalityName | None, typer.Option(help="Count only easing that is so; with --narrative liquidity.")
    ] = None,
    asset: Annotated[str | None, typer.Option(help="Only stories that name this asset are in scope.")] = None,
    beside: Annotated[
        BesideName | None, typer.Option(help="The numbers by keywords@1 beside those of one narrative.")
    ] = None,
    form: Format = SeriesFormat.csv,
) -> None:
    """How much of the news carries each narrative, as a share or an index, with its 90 % interval."""
    from dataclasses import replace

    from services.series import intensity

    refuse_strays(context)
    question = replace(
        question_of(start, end, bucket, as_of, tagger, outlet, weighting),
        measure=measure.value,
        direction=direction.value if direction else None,
        modality=modality.value if modality else None,
        asset=asset,
    )
    with open_record().read() as session:
        found = intensity(session, narrative or [], question, now=now(), beside_keywords=beside is not None)
    if told := found.meta.get("keywords_correlation"):
        say("correlation with keywords@1: {estimate:.2f} ({low:.2f} to {high:.2f}), n = {n}.".format(**told))
    elif note := found.meta.get("keywords_note"):
        say(f"note: no correlation with keywords@1. {note}")
    say_audit(found)
    put(found, form.value)


@app.command()
def tone(
    asset: Asset = "BTC",
    start: Start = None,
    end: End = None,
    bucket: BucketOption = BucketName.day,
    as_of: AsOf = None,
    tagger: Tagger = None,
    outlet: Outlet = None,
    weighting: Weighting = WeightingName.story,
    form: Format = SeriesFormat.csv,
) -> None:
    """Mean tone of the stories about an asset, with its 90 % interval and their disagreement."""
    from services.series import tone as answer

    question = question_of(start, end, bucket, as_of, tagger, outlet, weighting)
    with open_record().read() as session:
        found = answer(session, asset, question, now=now())
    say_audit(found)
    put(found, form.value)


@app.command()
def shift(
    start: Start = None,
    end: End = None,
    bucket: BucketOption = BucketName.day,
    as_of: AsOf = None,
    tagger: Tagger = None,
    outlet: Outlet = None,
    prior_rates: PriorRates = False,
    events: Annotated[
        bool, typer.Option("--events", help="Instead: when the story shifted, as it was detected; from the first on.")
    ] = False,
    why: Annotated[
        bool, typer.Option("--why", help="Instead: what moved θ from start to end, by narrative and outlet.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Instead: the record cut into spells, in hindsight. Never test with it.")
    ] = False,
    form: Format = SeriesFormat.csv,
) -> None:
    """θ between panic (0) and devaluation (1), with its interval and the state of the story."""
    from services.series import shift as points
    from services.shift_events import shift_events, shift_history
    from services.shift_events import why as causes

    if events + why + history > 1:
        raise BadInput("Ask for one of --events, --why and --history at a time.")
    answer = shift_events if events else causes if why else shift_history if history else points
    question = question_of(start, end, bucket, as_of, tagger, outlet, prior_rates=prior_rates)
    with open_record().read() as session:
        found = answer(session, question, now=now())
    if why:
        say(found.meta["sentence"])
    say_audit(found)
    put(found, form.value)


@app.command()
def joined(
    asset: Asset = "BTC",
    start: Start = None,
    end: End = None,
    bucket: BucketOption = BucketName.day,
    as_of: AsOf = None,
    tagger: Tagger = None,
    outlet: Outlet = None,
    prior_rates: PriorRates = False,
    form: Format = SeriesFormat.csv,
) -> None:
    """θ and the core intensities beside what an asset did in each bucket and next."""
    from services.series import joined as answer

    question = question_of(start, end, bucket, as_of, tagger, outlet, prior_rates=prior_rates)
    with open_record().read() as session:
        found = answer(session, asset, question, now=now())
    if not found.meta["n_bars"]:
        say(f"note: there are no closes of {found.meta['instrument']} yet; `storyshift import prices` brings them in.")
    say_audit(found)
    put(found, form.value)


app.command("lead-lag")(lead_lag)
app.command("event-study")(event_study)
app.command()(triggers)
app.command()(quality)
app.command()(mcp)
app.command()(move)
app.command()(backup)
app.command()(restore)


def main() -> None:
    """The console script: runs a command and turns our errors into one sentence and an exit code."""
    if any("\udc80" <= char <= "\udcff" for word in sys.argv for char in word):
        say("error: the command line holds bytes that are not UTF-8 text.")
        sys.exit(2)
    try:
        app()
    except SystemExit as ended:  # Typer turns Ctrl-C into exit code 130, silently
        if ended.code == STOPPED:
            say("stopped; what was committed is kept, and the same command completes it.")
        raise
    except OSError as error:  # a full disk, a closed pipe
        say(f"error: cannot write ({error.strerror or error}).")
        sys.exit(1)
    except StoryshiftError as error:
        say(f"error: {error}")
        usage = isinstance(error, BadInput | ConfigError) and not isinstance(error, BadFile)
        sys.exit(2 if usage else 1)


if __name__ == "__main__":
    main()
