"""What the project says of real press: panic of 2020, changes of state, published indices, three crises of crypto.

    python benchmarks/real_history.py SHARED [--keep FOLDER] [--titles]

SHARED has data/news, data/prices, data/indices. --keep: the stores stay in FOLDER (press.db, crypto.db), so that a
second run does not tag again. --titles: the headlines behind each change too; they are their publishers', so never
commit what that prints. Reuters and CNBC 2018-03 to 2020-07, crypto press 2021-11 to 2023-12, each read by `minilm`
and by `keywords@1`. What it found: docs/methods/real-history.md.

This is validation, not forecasting: the indices are today's, and their own dates of publication play no part.
"""

import argparse
import gzip
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sqlalchemy import and_, func, select
from sqlmodel import Session, col

from config.definitions import BASELINE_TAGGER, CORE_NARRATIVES, live_tagger_name
from jobs.cluster import Clusterer
from jobs.imports import import_news, import_prices
from jobs.tag import tag_untagged, tagger_named
from models.articles import Article, Revision
from models.database import Database
from models.derived import ShiftPoint
from models.tags import NarrativeTag, Tagging
from services.articles import ArticleQuestion, search_articles
from services.series import Direction, Question, intensity, prices, shift

Array = NDArray[np.float64]
NOW = datetime.now(UTC)
ARCHIVES = {
    "press": (("reuters-2018-2020", "cnbc-2017-2020"), date(2018, 3, 1), date(2020, 8, 1)),
    "crypto": (("crypto-2021-2022", "bitcoin-2021-2024"), date(2021, 11, 1), date(2024, 1, 1)),
}
ASSETS = ("BTC", "XAU", "XAG", "VIX")
PANIC_FROM, ROUT, WITHIN = date(2020, 2, 1), date(2020, 2, 24), 5
"""The panic is looked for from the first of these on; Monday the second is the day of the first great fall."""
FOLLOWED = (
    ("safe_haven", "VIX"),
    ("safe_haven", "VIX / usual"),
    ("trade_conflict", "EPU"),
    ("geopolitical_risk", "GPR"),
    ("fiscal_stress", "EPU"),
)
USUAL_DAYS = 60
"""Trading days whose median the VIX is also held against."""
BEFORE_VIRUS = date(2020, 1, 31)
WINDOW, FEWEST, RESAMPLES, HALVES = 5, 50, 1_999, 50
"""Trading days of a share, and the stories that it needs; draws of the bootstrap, and of halves."""
CRISES = {"Luna": date(2022, 5, 9), "FTX": date(2022, 11, 8), "SVB": date(2023, 3, 10)}
MEASURES = ("stories", "building stories", "scores")
TOLD_OF_CRYPTO = (*CORE_NARRATIVES, "btc_monetary_hedge", "btc_risk_asset")
POLE = {"panic": ["safe_haven"], "devaluation": ["debasement", "fiscal_stress"], "transition": list(CORE_NARRATIVES)}
"""The narratives behind a change to each state."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--titles", action="store_true")
    asked = parser.parse_args()
    data = asked.shared / "data"
    with tempfile.TemporaryDirectory() as own:
        folder = asked.keep or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        with filled(data, folder, "press").read() as session:
            panic(session)
            changes(session, "press", titles=asked.titles)
            correlations(session, data / "indices")
        with filled(data, folder, "crypto").read() as session:
            crises(session)
            changes(session, "crypto", titles=asked.titles)


def filled(data: Path, folder: Path, name: str) -> Database:
    """The store with its archives, in stories, with prices, read by both taggers.

    Rows whose title is a summary in an earlier file are left out: both crypto files hold Cointelegraph's articles.
    """
    database = Database.open(f"sqlite:///{folder / name}.db")
    files, first, end = ARCHIVES[name]
    left_out, earlier = 0, set[str]()
    with tempfile.TemporaryDirectory() as own:
        cut = Path(own) / f"{name}.jsonl.gz"
        with gzip.open(cut, "wt", encoding="utf-8") as out:
            for file in files:
                with gzip.open(data / "news" / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
                    rows = {line: json.loads(line) for line in lines}
                here = {line: row for line, row in rows.items() if first <= _day(row) < end}
                kept = [line for line, row in here.items() if words(row["title"]) not in earlier]
                out.writelines(kept)
                left_out += len(here) - len(kept)
                earlier |= {words(row["summary"]) for row in rows.values() if row.get("summary")}
        report = import_news(database, cut, now=NOW)
    Clusterer(database).cluster()
    for asset in ASSETS:
        import_prices(database, data / "prices" / f"{asset}.csv", asset=None, now=NOW)
    read = [
        tag_untagged(database, tagger_named(tagger), clock=lambda: datetime.now(UTC))
        for tagger in ("keywords", "minilm")
    ]
    counts = f"{report.rows:,} rows, {report.new:,} new, {len(report.refused)} refused"
    print(f"\n# {name}: {counts}, {left_out:,} left out that another file has as a summary; tagged now: {read}")
    return database


def _day(row: dict[str, str]) -> date:
    return date.fromisoformat(row["published_at"][:10])


def words(text: str) -> str:
    """What two files have of one article: the one its summary, the other the same as its title."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))[:80]


def table(title: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    names = list(header)
    print(f"\n## {title}\n")
    for cells in (names, ["---"] * len(names), *rows):
        print("| " + " | ".join(map(str, cells)) + " |")
    print(flush=True)


# Panic, calm and what stands between


def daily(
    session: Session, tagger: str, *, archive: str = "press", outlet: str | None = None
) -> dict[date, ShiftPoint]:
    _, first, end = ARCHIVES[archive]
    question = Question(start=instant(first), end=instant(end), tagger=tagger, outlet=outlet)
    return {row.bucket_start.date(): row for row in shift(session, question, now=NOW).rows}


def instant(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def theta(point: ShiftPoint) -> str:
    return "" if point.index is None else f"{point.index:.2f} ({point.low:.2f}-{point.high:.2f})"


def closes(session: Session, asset: str) -> "pd.Series[float]":
    """By the day of the close."""
    rows = prices(session, asset, Question(), now=NOW).rows
    days = [(row.closed_at - timedelta(hours=1)).date() for row in rows]  # bitcoin's close is the next midnight
    return pd.Series([row.close for row in rows], index=pd.DatetimeIndex(days)).sort_index()


def panic(session: Session) -> None:
    live = live_tagger_name()
    read = {
        live: daily(session, live),
        f"{live}, Reuters alone": daily(session, live, outlet="Reuters"),
        BASELINE_TAGGER: daily(session, BASELINE_TAGGER),
    }
    trading = [day.date() for day in closes(session, "VIX").index]

    def away(day: date | None) -> str:
        """Trading days from the rout; a day without trading counts as the next one with it."""
        if day is None:
            return "never"
        steps = sum(ROUT <= one < day for one in trading) - sum(day <= one < ROUT for one in trading)
        return f"{day} ({steps:+d}: {'met' if abs(steps) <= WITHIN else 'missed'})"

    rows = []
    for name, points in read.items():
        found = [day for day, point in points.items() if point.state == "panic"]
        begun = [day for day in found if points[day - timedelta(days=1)].state != "panic"]
        rows.append(
            [
                name,
                away(next((day for day in found if day >= PANIC_FROM), None)),
                away(next((day for day in begun if day >= PANIC_FROM), None)),
                months(points, "2019-07"),
                months(points, "2020-03"),
            ]
        )
    header = ["read by", "first day of panic from 1 Feb", "first that begins from then", "July 2019", "March 2020"]
    table(
        f"a. Panic in 2020 (target: within {WITHIN} trading days of {ROUT}), and the days of two months", header, rows
    )
    days = [date(2020, 2, 17) + timedelta(days=n) for n in range(59)]
    main_points = read[live]
    table(
        "a. Day by day",
        ["day", "stories", "panic p", "devaluation d", "θ (90 %)", *read],
        [
            [
                f"{day:%a %d %b}",
                main_points[day].n_stories,
                number(main_points[day].panic),
                number(main_points[day].devaluation),
                theta(main_points[day]),
                *(points[day].state for points in read.values()),
            ]
            for day in days
        ],
    )


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def months(points: dict[date, ShiftPoint], month: str) -> str:
    """The states of a month's days with stories, in per cent."""
    states = Counter(p.state for day, p in points.items() if f"{day:%Y-%m}" == month and p.state != "unknown")
    return ", ".join(f"{state} {100 * n / states.total():.0f} %" for state, n in states.most_common())


# Every change of state


def changes(session: Session, archive: str, *, titles: bool) -> None:
    found = daily(session, live_tagger_name(), archive=archive)
    points = [point for point in found.values() if point.state != "unknown"]
    turns = [now for before, now in pairwise(points) if now.state != before.state]
    state_before = {now.bucket_start: before.state for before, now in pairwise(points)}
    bars = {asset: closes(session, asset) for asset in ("BTC", "XAU", "XAG")}
    ends = [turn.bucket_start for turn in turns[1:]] + [points[-1].bucket_start]
    rows = []
    for turn, end in zip(turns, ends, strict=True):
        day = turn.bucket_start
        told, headlines = leading(session, day, turn.state)
        held = [f"{moved(series, day, end):+.0f} %" for series in bars.values()]
        days = (end - day).days
        rows.append(
            [day.date(), days, state_before[day], turn.state, theta(turn), turn.n_stories, told, *held]
            + ([" / ".join(headlines)] if titles else [])
        )
    header = ["day", "days", "from", "to", "θ (90 %)", "stories", "building, 3 days", "BTC", "gold", "silver"]
    title = f"b. {archive}: every change of state, and what prices did until the next"
    table(title, header + ["headlines"] * titles, rows)
    table(f"b. {archive}: days in each state", *days_in([point.state for point in points]))


def days_in(states: list[str]) -> tuple[list[str], list[list[int]]]:
    counts = Counter(states)
    return list(counts), [list(counts.values())]


def leading(session: Session, day: datetime, state: str) -> tuple[str, list[str]]:
    """What the day and the two before it told, by narrative, and the surest headlines of what the state rests on."""
    question = ArticleQuestion(
        start=day - timedelta(days=2), end=day + timedelta(days=1), narratives=CORE_NARRATIVES, limit=200
    )
    found = search_articles(session, question, now=NOW).data
    tags = [(tag, article) for article in found for tag in article.narratives if tag.label and tag.direction > 0]
    counts = Counter(tag.narrative for tag, _ in tags)
    told = ", ".join(f"{key} {counts[key]}" for key in CORE_NARRATIVES if counts[key])
    behind = [(tag.score, article.title) for tag, article in tags if tag.narrative in POLE.get(state, CORE_NARRATIVES)]
    return told or "none", [title for _, title in sorted(behind, reverse=True)[:6]]


def moved(series: "pd.Series[float]", start: datetime, end: datetime) -> float:
    """Per cent from the last close before the start's day to the last before the end's."""
    of = [series[: pd.Timestamp(day.date()) - pd.Timedelta(days=1)].iloc[-1] for day in (start, end)]
    return float(100 * (of[1] / of[0] - 1))


# Beside published indices


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's, with a 90 % interval; `block` is the mean length of the bootstrap's blocks."""

    estimate: float
    low: float
    high: float
    n: int
    block: float

    def __str__(self) -> str:
        return f"{self.estimate:.2f} ({self.low:.2f} to {self.high:.2f}; n {self.n}, block {self.block:.0f})"


def spearman(pair: pd.DataFrame, *, seed: int = 0) -> Correlation:
    """Of both columns, where both are known. Pairs are drawn in blocks (Politis & Romano 1994) whose mean length is the
    longer of both columns' (Politis & White 2004)."""
    known = pair.dropna()
    ranks = rankdata(known.to_numpy("float64"), axis=0)
    n = len(ranks)
    block = min(max(1.0, *(block_length(column) for column in ranks.T)), n / 3)
    rng = np.random.default_rng(seed)
    places = rng.integers(0, n, size=(RESAMPLES, n))
    goes_on = rng.random((RESAMPLES, n)) >= 1 / block
    for step in range(1, n):
        places[:, step] = np.where(goes_on[:, step], (places[:, step - 1] + 1) % n, places[:, step])
    x, y = (rankdata(ranks[places, side], axis=1) for side in (0, 1))
    x, y = (side - side.mean(axis=1, keepdims=True) for side in (x, y))
    drawn = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    low, high = np.nanquantile(drawn, [0.05, 0.95])
    return Correlation(float(np.corrcoef(ranks.T)[0, 1]), float(low), float(high), n, block)


def block_length(series: Array) -> float:
    """The mean block of the stationary bootstrap by Politis and White, as corrected by Patton, Politis and White."""
    x = series - series.mean()
    n = len(x)
    in_row = max(5, int(np.sqrt(np.log10(n))))
    most = int(np.ceil(np.sqrt(n))) + in_row
    covariances = np.array([x[: n - lag] @ x[lag:] / n for lag in range(most + 1)])
    small = np.abs(covariances[1:] / covariances[0]) < 2 * np.sqrt(np.log10(n) / n)
    quiet = next((lag for lag in range(most - in_row + 1) if small[lag : lag + in_row].all()), most // 2)
    lags = np.arange(1, min(2 * max(quiet, 1), most) + 1)
    weighted = covariances[lags] * np.minimum(1, 2 * (1 - lags / lags[-1]))
    slope, spectrum = 2 * (lags * weighted).sum(), covariances[0] + 2 * weighted.sum()
    return float(min((slope**2 / spectrum**2 * n) ** (1 / 3), np.ceil(min(3 * np.sqrt(n), n / 3))))


def correlations(session: Session, folder: Path) -> None:
    vix = closes(session, "VIX")
    trading = pd.DatetimeIndex(vix.index)
    relative = vix / vix.rolling(USUAL_DAYS).median()
    epu, gpr = (
        pd.read_csv(folder / name, index_col="date", parse_dates=True)[column]
        for name, column in (("epu_us_daily.csv", "daily_policy_index"), ("gpr_daily.csv", "GPRD"))
    )
    indices = {"VIX": vix, "VIX / usual": relative, "EPU": epu, "GPR": gpr}
    taggers = live_tagger_name(), BASELINE_TAGGER
    told = {(key, tagger): measures(session, key, tagger) for key in dict(FOLLOWED) for tagger in taggers}
    rows = []
    for key, name in FOLLOWED:
        for measure in MEASURES:
            for how, of in PAIRS.items():
                pairs = [of(told[key, tagger][measure], indices[name], trading) for tagger in taggers]
                early = [pair[: pd.Timestamp(BEFORE_VIRUS)] for pair in pairs]
                rows.append([key, name, measure, how, *map(spearman, pairs + early)])
    header = ["narrative", "index", "share of", "how", *taggers, *(f"{one} to {BEFORE_VIRUS}" for one in taggers)]
    table("c. Spearman correlation with published indices (90 %, stationary bootstrap)", header, rows)
    rows = []
    for tagger in taggers:
        points = daily(session, tagger)
        p = pd.Series({pd.Timestamp(day): point.panic for day, point in points.items()}, dtype="float64")
        sides = [pd.DataFrame({"p": p, "index": index}).dropna() for index in (vix, relative)]
        sure = reliability(articles(session, "safe_haven", tagger), trading)
        rows.append([tagger, *map(spearman, sides), f"{sure:.2f}", f"{np.sqrt(sure):.2f}"])
    header = ["read by", "p of θ with VIX", "with VIX / usual", "reliability of 5 days' share", "so at most"]
    table("c. The panic mass, and how sure the share of safe haven itself is", header, rows)


def measures(session: Session, key: str, tagger: str) -> dict[str, pd.DataFrame]:
    """By day: columns carrying, stories."""
    _, first, end = ARCHIVES["press"]
    directions: tuple[Direction | None, ...] = (None, "building")
    found = []
    for direction in directions:
        question = Question(start=instant(first), end=instant(end), tagger=tagger, direction=direction)
        rows = intensity(session, [key], question, now=NOW).rows
        days = pd.DatetimeIndex([row.bucket_start.date() for row in rows])
        told = {"carrying": [row.n_carrying for row in rows], "stories": [row.n_stories for row in rows]}
        frame = pd.DataFrame(told, index=days)
        found.append(frame[: frame.index[frame["stories"] > 0].max()])
    return dict(zip(MEASURES, [*found, by_day(articles(session, key, tagger), "score")], strict=True))


def articles(session: Session, key: str, tagger: str) -> pd.DataFrame:
    """Each wording that was read: its day, and the narrative's score and label, 0 where it was not told."""
    query = (
        select(col(Article.event_at), func.coalesce(NarrativeTag.score, 0.0), func.coalesce(NarrativeTag.label, False))
        .join(Revision, col(Revision.article_id) == Article.id)
        .join(Tagging, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .outerjoin(
            NarrativeTag,
            and_(
                col(NarrativeTag.revision_id) == Revision.id,
                col(NarrativeTag.tagger) == tagger,
                col(NarrativeTag.narrative) == key,
            ),
        )
    )
    rows = [(at.date(), float(score), float(label)) for at, score, label in session.execute(query)]
    return pd.DataFrame(rows, columns=["day", "score", "label"])


def by_day(read: pd.DataFrame, column: str) -> pd.DataFrame:
    days = read.groupby(pd.DatetimeIndex(read["day"]))[column]
    return pd.DataFrame({"carrying": days.sum(), "stories": days.size()})


def reliability(read: pd.DataFrame, trading: pd.DatetimeIndex) -> float:
    """Spearman's correlation of the five days' shares of two halves of the articles, corrected for halving (Brown)."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(HALVES):
        half = rng.random(len(read)) < 0.5
        pair = {side: _five_days(by_day(read[half == side], "label"), trading, least=25) for side in (True, False)}
        ranks = rankdata(pd.DataFrame(pair).dropna().to_numpy("float64"), axis=0)
        found.append(np.corrcoef(ranks.T)[0, 1])
    mean = float(np.mean(found))
    return 2 * mean / (1 + mean)


def _five_days(told: pd.DataFrame, trading: pd.DatetimeIndex, *, least: int = FEWEST) -> "pd.Series[float]":
    """The share in the last five trading days and the days between, on each trading day; weekends go to Monday."""
    place = trading.searchsorted(told.index)
    sums = told.groupby(trading[np.minimum(place, len(trading) - 1)]).sum().rolling(WINDOW).sum().iloc[WINDOW - 1 :]
    return sums["carrying"] / sums["stories"].where(sums["stories"] >= least)


def five_to_the_day(told: pd.DataFrame, index: "pd.Series[float]", trading: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame({"share": _five_days(told, trading), "index": index}).dropna()


def five_to_five(told: pd.DataFrame, index: "pd.Series[float]", trading: pd.DatetimeIndex) -> pd.DataFrame:
    return five_to_the_day(told, index.reindex(trading).rolling(WINDOW).mean(), trading)


def weeks(told: pd.DataFrame, index: "pd.Series[float]", _: pd.DatetimeIndex) -> pd.DataFrame:
    sums = told.resample("W").sum()
    share = sums["carrying"] / sums["stories"].where(sums["stories"] >= FEWEST)
    return pd.DataFrame({"share": share, "index": index.resample("W").mean()}).dropna()


PAIRS = {"5 days, index of the day": five_to_the_day, "5 days, both": five_to_five, "weeks": weeks}


# Crypto press


def crises(session: Session) -> None:
    tagger = live_tagger_name()
    points = daily(session, tagger, archive="crypto")
    bitcoin = closes(session, "BTC")
    for name, event in CRISES.items():
        rows = []
        for start in (event + timedelta(weeks=week) for week in range(-2, 4)):
            end = start + timedelta(weeks=1)
            span = [points[start + timedelta(days=n)] for n in range(7)]
            last = next((point for point in reversed(span) if point.n_stories), span[-1])
            states = Counter(point.state for point in span)
            question = Question(start=instant(start), end=instant(end), tagger=tagger)
            told = intensity(session, list(TOLD_OF_CRYPTO), question, now=NOW).rows
            stories = sum(point.n_stories for point in span)
            shares = [sum(r.n_carrying for r in told if r.narrative == key) for key in TOLD_OF_CRYPTO]
            rows.append(
                [
                    f"{start} +7",
                    stories,
                    ", ".join(f"{state} {n}" for state, n in states.most_common()),
                    f"{number(last.panic)} / {number(last.devaluation)}",
                    theta(last),
                    *(f"{100 * n / max(stories, 1):.1f} % ({n})" for n in shares),
                    f"{moved(bitcoin, instant(start), instant(end)):+.1f} %",
                ]
            )
        header = ["week from", "stories", "days in", "p / d at the end", "θ at the end", *TOLD_OF_CRYPTO, "BTC"]
        whole = moved(bitcoin, instant(event - timedelta(weeks=2)), instant(event + timedelta(weeks=4)))
        table(f"d. {name}, {event}: BTC {whole:+.1f} % over the six weeks", header, rows)


if __name__ == "__main__":
    main()
