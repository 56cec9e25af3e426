"""`storyshift lead-lag`: does one series lead a price?"""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadInput
from storyshift.output import put_json, say
from storyshift.questions import AsOf, BucketName, BucketOption, End, Outlet, Start, Tagger, question_of
from storyshift.shell import TextFormat, now, open_database

if TYPE_CHECKING:
    from models.derived import Beside, LeadLag, PairLeadLag
    from models.errors import BadRow
    from services.series import Question

SHOWN_REFUSALS = 20


class TargetName(StrEnum):
    returns = "return"
    volatility = "volatility"


def lead_lag(
    series: Annotated[
        Path | None, typer.Option(help="A file with the columns date and value (CSV, JSONL or Parquet); no database.")
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="With --series: a file with the columns date and close.")] = None,
    driver: Annotated[
        list[str] | None,
        typer.Option(help="Out of the store: narrative:KEY, tone:ASSET, theta, asset:ASSET, macro:SERIES; repeat."),
    ] = None,
    asset: Annotated[list[str] | None, typer.Option(help="With --driver: which assets; repeat. Default: BTC.")] = None,
    max_lag: Annotated[int, typer.Option(help="Lags looked at to either side; never more than a quarter of n.")] = 20,
    target: Annotated[TargetName, typer.Option(help="What of the price: its log return or log volatility.")] = (
        TargetName.returns
    ),
    seed: Annotated[int, typer.Option(help="Of the surrogates; the same seed gives the same answer.")] = 0,
    start: Start = None,
    end: End = None,
    bucket: BucketOption = BucketName.day,
    as_of: AsOf = None,
    tagger: Tagger = None,
    outlet: Outlet = None,
    form: Annotated[TextFormat, typer.Option("--format", help="text, or one JSON document; both on stdout.")] = (
        TextFormat.text
    ),
) -> None:
    """Whether a driver leads a price, follows it, or neither: all lags at once, held against chance.

    On two files, or on the store; several drivers and assets are judged together.
    """
    if driver:
        if series or prices:
            raise BadInput("--driver reads the store, --series and --prices read files; give one or the other.")
        question = question_of(start, end, bucket, as_of, tagger, outlet)
        _from_store(driver, asset or ["BTC"], question, target=target, max_lag=max_lag, seed=seed, form=form)
        return
    if series is None or prices is None:
        raise BadInput(
            "Name two files (--series FILE --prices FILE), or what to read of the store (--driver, --asset)."
        )
    from analysis.forecast import beside
    from analysis.lead_lag import align
    from analysis.lead_lag import lead_lag as judge
    from ingest.prices import read_values

    values, closes = read_values(series, "value"), read_values(prices, "close", above_zero=True)
    for path, found in ((series, values), (prices, closes)):
        _report(found.refused)
        if not found.found:
            raise BadInput(f"{path} holds no usable row.")
    rows = align(values.found, closes.found)
    answer = judge(rows, target=target.value, max_lag=max_lag, seed=seed)
    also = beside(rows.driver, rows.wanted(target.value), max_lag=answer.max_lag)
    if form is TextFormat.json:
        put_json(asdict(answer) | {"beside": asdict(also)})
    else:
        _show(answer, also)


def _from_store(
    drivers: list[str],
    assets: list[str],
    question: "Question",
    *,
    target: TargetName,
    max_lag: int,
    seed: int,
    form: TextFormat,
) -> None:
    """One pair as files are answered; several as a list of pairs."""
    from services.lead_lag import lead_lag as answer_of

    with open_database().read() as session:
        answer = answer_of(
            session, drivers, assets, question, target=target.value, max_lag=max_lag, seed=seed, now=now()
        )
    for pair in answer.meta["left_out"]:
        say(f"left out: {pair.why}")
    pairs = [
        {"driver": pair.driver, "asset": pair.asset, "p_adjusted": pair.p_adjusted}
        | asdict(pair.lead_lag)
        | {"verdict": pair.verdict}
        | ({"beside": asdict(pair.beside)} if pair.beside else {})
        for pair in answer.rows
    ]
    if form is TextFormat.json:
        put_json(pairs[0] if len(pairs) == 1 else pairs)
    elif (also := answer.rows[0].beside) is not None:
        _show(answer.rows[0].lead_lag, also)
    else:
        _show_pairs(answer.rows)


def _report(refused: "list[BadRow]") -> None:
    for bad in refused[:SHOWN_REFUSALS]:
        say(f"refused: {bad}")
    if len(refused) > SHOWN_REFUSALS:
        say(f"… and {len(refused) - SHOWN_REFUSALS} rows more.")


def _show_pairs(rows: "list[PairLeadLag]") -> None:
    from rich.console import Console
    from rich.table import Table

    from analysis.lead_lag import ALPHA

    table = Table(
        "driver", "asset", "verdict", "lag", "r", "p, this pair", "p, all pairs", "n", box=None, header_style="bold"
    )
    for pair in sorted(rows, key=lambda pair: pair.p_adjusted):
        found = pair.lead_lag
        peak = next(row for row in found.lags if row.lag == found.peak_lag)
        told = pair.p_adjusted <= ALPHA
        table.add_row(
            pair.driver,
            pair.asset,
            pair.verdict,
            f"{found.peak_lag:+d} {found.step}s",
            f"{peak.estimate:+.2f}",
            f"{found.p_family:.3f}",
            f"{pair.p_adjusted:.3f}",
            str(found.n),
            style="bold" if told else None,
        )
    Console().print(table)
    say(f"{len(rows)} pairs asked about at once: a verdict stands only where p over all pairs is at most {ALPHA}.")


def _show(answer: "LeadLag", also: "Beside") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(f"lag ({answer.step}s)", "r", "90 %", "p", "", box=None, header_style="bold")
    for row in answer.lags:
        bar = ("▇" * round(20 * abs(row.estimate))) or "·"
        peak = "bold" if row.lag == answer.peak_lag else None
        spread = f"{row.low:+.2f} … {row.high:+.2f}"
        table.add_row(
            f"{row.lag:+d}" if row.lag else "0", f"{row.estimate:+.2f}", spread, f"{row.p:.3f}", bar, style=peak
        )
    console = Console()
    console.print(table)
    console.print(f"[bold]{answer.verdict}[/bold]  n = {answer.n}, p over all lags = {answer.p_family:.3f}")
    console.print(answer.sentence, soft_wrap=True)
    console.print(f"[dim]Beside it: {_told(also, answer.step)}[/dim]", soft_wrap=True)


def _told(also: "Beside", step: str) -> str:
    forward, back, forecast = also.granger_driver_to_price, also.granger_price_to_driver, also.out_of_sample
    told = [
        f"Granger p {name} {'not told' if found.p is None else f'{found.p:.3f} ({found.lags} lags)'}"
        for name, found in (("series to price", forward), ("price to series", back))
    ]
    if also.projections:
        last = also.projections[-1]
        told.append(
            f"a series one deviation higher goes with {last.estimate:+.4f} ({last.low:+.4f} … {last.high:+.4f}) "
            f"over the next {last.horizon} {step}s"
        )
    if forecast.r2 is None:
        told.append("too few rows to forecast")
    else:
        told.append(
            f"forecasts beat the mean by {forecast.r2:+.1%} of squared error (p = {forecast.p:.3f}, n = {forecast.n})"
        )
    return "; ".join(told) + "."
