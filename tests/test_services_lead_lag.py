"""Lead and lag out of the store, on both databases: what is planted is found, and the future changes nothing."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fakes import found_article
from record import tag

from models.database import Database
from models.errors import BadInput, UnknownName
from models.prices import FoundBar
from models.store.articles import add_articles
from models.store.prices import add_bars, add_points
from services.lead_lag import lead_lag
from services.series import Question, tone

DAY = timedelta(days=1)
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
DAYS, LAG = 150, 3


def whole() -> Question:
    return Question(start=FIRST, end=FIRST + DAYS * DAY)


def fill(database: Database, now: datetime) -> None:
    """Ten stories a day, of which 0-5 tell of fear and speak well of gold; bitcoin falls three days after much fear."""
    rng = np.random.default_rng(1)
    fears = rng.integers(0, 6, DAYS)
    stories = [
        found_article(
            f"{'safe_haven+ XAU=1' if n < fear else 'XAU=-1'}: {n} of day {day}",
            FIRST + day * DAY + timedelta(hours=1 + n),
        )
        for day, fear in enumerate(fears)
        for n in range(10)
    ]
    later = np.r_[np.full(LAG, fears.mean()), fears[:-LAG]]
    moves = -0.02 * (later - fears.mean()) + 0.02 * rng.standard_normal(DAYS)
    metal = 0.01 * rng.standard_normal(DAYS)
    with database.write() as session:
        add_articles(session, stories, now=now)
        for asset, returns in (("BTC", moves), ("XAG", metal)):
            closes = 1_000 * np.exp(np.cumsum(returns))
            bars = [FoundBar(asset, FIRST + (day + 1) * DAY, float(close)) for day, close in enumerate(closes)]
            add_bars(session, asset, bars, source="record", now=now)
    tag(database, now)


@pytest.fixture
def record(database: Database, now: datetime) -> Database:
    fill(database, now)
    return database


def test_fear_is_found_to_come_before_bitcoin_and_told_with_what_stands_beside_it(
    record: Database, now: datetime
) -> None:
    with record.read() as session:
        (pair,) = lead_lag(session, ["narrative:safe_haven"], ["BTC"], whole(), now=now).rows
    found = pair.lead_lag
    assert (pair.driver, pair.asset, found.verdict, found.peak_lag) == (
        "narrative:safe_haven",
        "BTC",
        "news_leads",
        LAG,
    )
    assert "narrative:safe_haven comes first: it runs against BTC 3 days later" in found.sentence.replace("N", "n", 1)
    assert found.n == DAYS - 1
    assert pair.beside is not None
    assert pair.beside.out_of_sample.r2 > 0  # type: ignore[operator]


def test_pairs_asked_about_together_are_judged_together(record: Database, now: datetime) -> None:
    drivers = ["narrative:safe_haven", "tone:XAU", "asset:XAG", "asset:BTC"]
    with record.read() as session:
        answer = lead_lag(session, drivers, ["BTC", "XAG"], whole(), now=now)
    told = {(pair.driver, pair.asset): pair for pair in answer.rows}
    assert len(told) == answer.meta["pairs"] == 8
    for driver in ("narrative:safe_haven", "tone:XAU"):  # the tone of gold is the fear, in this record
        assert told[driver, "BTC"].p_adjusted <= 0.05
        assert told[driver, "BTC"].lead_lag.peak_lag == LAG
    assert told["asset:BTC", "BTC"].lead_lag.peak_lag == 0
    assert told["asset:XAG", "BTC"].p_adjusted > 0.05
    assert all(pair.beside is None for pair in answer.rows)


def test_of_several_pairs_those_that_cannot_be_told_are_left_out_with_the_reason(
    record: Database, now: datetime
) -> None:
    with record.read() as session:
        drivers = ["narrative:safe_haven", "macro:DFII10"]
        answer = lead_lag(session, drivers, ["BTC", "XAU"], whole(), now=now)
        (alone,) = lead_lag(session, drivers[:1], ["BTC"], whole(), now=now).rows
    assert answer.rows == [alone], "one is left, and is told as if it had been asked about alone"
    assert [(one.driver, one.asset, one.why[:41]) for one in answer.meta["left_out"]] == [
        ("narrative:safe_haven", "XAU", "There is nothing known of XAU between 202"),
        ("macro:DFII10", "BTC", "There is nothing known of macro:DFII10 be"),
        ("macro:DFII10", "XAU", "There is nothing known of macro:DFII10 be"),
    ]


def test_the_tone_of_gold_is_the_mean_of_its_stories(record: Database, now: datetime) -> None:
    with record.read() as session:
        rows = tone(session, "XAU", Question(start=FIRST, end=FIRST + 3 * DAY), now=now).rows
    fears = np.random.default_rng(1).integers(0, 6, DAYS)[:3]
    assert [row.tone for row in rows] == pytest.approx([(2 * fear - 10) / 10 for fear in fears])
    assert {row.n_stories for row in rows} == {10}


def test_what_is_known_later_changes_nothing_as_of_before(record: Database, now: datetime) -> None:
    question = Question(start=FIRST, end=FIRST + 120 * DAY, as_of=FIRST + 121 * DAY)
    drivers = ["narrative:safe_haven", "tone:XAU", "macro:DFII10", "asset:XAG"]
    points = [(FIRST + day * DAY).date() for day in range(0, DAYS, 2)]
    with record.write() as session:
        from models.prices import FoundPoint

        values = np.random.default_rng(2).standard_normal(len(points))
        found = [
            FoundPoint("DFII10", day, float(value), datetime(day.year, day.month, day.day, tzinfo=UTC) + 2 * DAY)
            for day, value in zip(points, values, strict=True)
        ]
        add_points(session, "DFII10", found, source="record", now=now)

    def asked() -> object:
        with record.read() as session:
            return [lead_lag(session, [name], ["BTC"], question, now=now).rows for name in drivers] + [
                tone(session, "XAU", question, now=now).rows
            ]

    before = asked()
    late = [
        found_article(f"safe_haven+ XAU=1: late {n}", FIRST + n * DAY, known_at=FIRST + 130 * DAY) for n in range(99)
    ]
    with record.write() as session:
        add_articles(session, late, now=now)
        add_bars(session, "BTC", [FoundBar("BTC", FIRST + 50 * DAY, 1.0)], source="correction", now=now)
        changed = [FoundPoint("DFII10", points[10], 99.0, found[10].known_at)]
        add_points(session, "DFII10", changed, source="correction", now=now)
    tag(record, now)
    assert asked() == before


def test_volatility_is_realised_where_the_store_has_hours_and_later_ones_change_nothing_as_of_before(
    record: Database, now: datetime
) -> None:
    question = Question(start=FIRST, end=FIRST + 120 * DAY, as_of=FIRST + 121 * DAY)

    def asked(asset: str) -> object:
        with record.read() as session:
            return lead_lag(session, ["narrative:safe_haven"], [asset], question, target="volatility", now=now).rows

    def hours(asset: str, level: float, first: int) -> list[FoundBar]:
        moves = np.random.default_rng(3).standard_normal((DAYS - first) * 24)
        return [
            FoundBar(asset, FIRST + first * DAY + n * timedelta(hours=1), float(level * np.exp(0.01 * move)))
            for n, move in enumerate(moves)
        ]

    assert "volatility, ln |r|" in asked("BTC")[0].lead_lag.method  # type: ignore[index]
    plain = asked("XAG")
    with record.write() as session:
        for asset in ("BTC", "XAG"):
            add_bars(session, asset, hours(asset, 1_000.0, 0), source="record", now=now, interval="hour")
    told = asked("BTC")
    assert "volatility, realised by the hour" in told[0].lead_lag.method  # type: ignore[index]
    assert asked("XAG") == plain, "silver's market rests, its hours are not all of one kind"
    with record.write() as session:
        add_bars(session, "BTC", hours("BTC", 2_000.0, 60), source="correction", now=now, interval="hour")
    assert asked("BTC") == told


def test_what_cannot_be_asked_is_told(record: Database, now: datetime) -> None:
    with record.read() as session:
        for drivers, error, told in (
            (["oracle"], UnknownName, "no driver named 'oracle'. Known: narrative:KEY"),
            (["narrative:oracle"], UnknownName, "no narrative named 'oracle'"),
            (["tone:DOGE"], UnknownName, "no asset named 'DOGE'"),
            (["macro:DFII10"], BadInput, "There is nothing known of macro:DFII10"),
            ([], BadInput, "Name at least one driver"),
            ([f"narrative:{n}" for n in range(61)], BadInput, "61 pairs are too many"),
        ):
            with pytest.raises(error, match=told):
                lead_lag(session, drivers, ["BTC"], whole(), now=now)
        with pytest.raises(BadInput, match="There is nothing known of XAU"):
            lead_lag(session, ["tone:XAU"], ["XAU"], whole(), now=now)
