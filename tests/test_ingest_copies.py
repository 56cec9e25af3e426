from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest.copies import CopyIndex, Wording, are_copies, title_key

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
BODY = (
    "Gold rose 1.2 percent to 2,650 dollars an ounce on Friday as investors sought safety after talks between the two "
    "governments broke off in Geneva. Traders said that buyers in Asia had been waiting for a dip. Silver added 0.8 "
    "percent. The dollar index slipped to 103.4, its lowest in 3 weeks. The metal has gained for 5 sessions in a row. "
    "Analysts at two banks lifted their forecasts for the end of the year. Holdings of the largest fund grew by 4 "
    "tonnes, the most since March. Platinum was little changed, while palladium lost half a percent in thin trade."
)
AGENCY = Wording("The Agency", "Gold climbs as talks break off", "", BODY, AT)
SENTENCES = BODY.split(". ")


def test_the_text_of_an_agency_is_found_again_however_an_outlet_dresses_it() -> None:
    dressed = {
        "as it is": AGENCY,
        "another title": replace(AGENCY, title="Nervous money runs for cover in bullion"),
        "credited": replace(
            AGENCY, body=f"GENEVA, Nov 20 (The Agency) - {BODY} (Reporting by A. B.; Editing by C. D.)"
        ),
        "cut": replace(AGENCY, body=". ".join(SENTENCES[:4])),
        "its beginning as a summary": replace(AGENCY, summary=". ".join(SENTENCES[:2]), body=""),
        "a sentence less": replace(AGENCY, body=". ".join(SENTENCES[:2] + SENTENCES[3:])),
        "a summary of their own before it": replace(AGENCY, summary="What moved metals today, in one place."),
        "markup lost its case": replace(AGENCY, body=BODY.upper()),
        "a day and a half later": replace(AGENCY, event_at=AT + 36 * HOUR),
    }
    for name, copy in dressed.items():
        copy = replace(copy, outlet="The Herald")
        assert are_copies(AGENCY, copy), name
        assert are_copies(copy, AGENCY), name
        index = CopyIndex()
        index.open(AT.date())
        index.add(1, AGENCY)
        assert index.near(copy) == {1}, name


def test_what_only_looks_alike_is_no_copy() -> None:
    next_day = BODY.replace("1.2", "0.4").replace("2,650", "2,661").replace("103.4", "102.9").replace("0.8", "1.9")
    next_day = (
        next_day.replace("3 weeks", "4 weeks").replace("5 sessions", "6 sessions").replace("4 tonnes", "2 tonnes")
    )
    others = {
        "the next day's market wrap": replace(AGENCY, body=next_day, event_at=AT + 24 * HOUR),
        "the same event in other words": replace(
            AGENCY,
            outlet="The Herald",
            body="Bullion was in demand on Friday: the collapse of the Geneva negotiations sent buyers into metals, "
            "and the price of an ounce went up by more than one percent to 2,650 dollars, dealers in Zurich reported.",
        ),
        "the same text three days later": replace(AGENCY, event_at=AT + 72 * HOUR),
        "a column's own words under another title": replace(AGENCY, title="Five shares to watch on Monday"),
        "the same title over another text": replace(AGENCY, outlet="The Herald", body="Something else entirely. " * 20),
    }
    for name, other in others.items():
        assert not are_copies(AGENCY, other), name


def test_a_site_s_own_words_do_not_join_two_shares_under_one_template() -> None:
    words = "Hedge funds have been buying. " * 10 + "This article was first published by a site that we shall not name."
    first, second = (Wording("Site", f"Is {name} a good stock to buy now?", "", words, AT) for name in ("ABC", "XYZ"))
    assert not are_copies(first, second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Fed cuts rates to zero", "FED CUTS RATES TO ZERO!"),
        ("Fed cuts rates to zero", "UPDATE 2-Fed cuts rates to zero"),
        ("Fed cuts rates to zero", "Exclusive: Fed cuts rates to zero"),
        ("Fed cuts rates to zero", "Fed cuts rates to zero - The Daily Herald"),
        ("Fed cuts rates to zero", "BREAKING: Fed cuts rates to zero | The Herald"),
    ],
)
def test_titles_are_compared_without_slugs_and_credits(one: str, other: str) -> None:
    assert title_key(one) == title_key(other)


def test_without_a_text_equal_titles_within_half_a_day_tell() -> None:
    title = Wording("A", "Gold rises as investors seek safety", "", "", AT)
    assert are_copies(title, replace(title, outlet="B", event_at=AT + 11 * HOUR))
    assert are_copies(title, replace(AGENCY, title=title.title))
    assert not are_copies(title, replace(title, event_at=AT + 13 * HOUR))
    assert not are_copies(title, replace(title, title="Gold falls as investors seek safety"))
    wrap = replace(title, title="Market wrap")
    assert not are_copies(wrap, replace(wrap, outlet="B"))


@pytest.mark.parametrize("text", ["", " ", "?!", "\U0001f4a5" * 50, "a", "word " * 100_000, "金" * 5_000])
def test_any_text_has_a_defined_answer(text: str) -> None:
    one = Wording("A", text, text, text, AT)
    index = CopyIndex()
    index.open(AT.date())
    index.add(1, one)
    assert index.near(one) == {1}
    assert are_copies(one, one) in (True, False)


def test_days_that_are_forgotten_are_not_searched() -> None:
    index = CopyIndex()
    for number in range(5):
        day = AT + number * timedelta(days=1)
        index.open(day.date())
        index.add(number, replace(AGENCY, event_at=day))
    index.keep_only(2)
    assert (AT.date() in index, index.near(replace(AGENCY, event_at=AT + timedelta(days=2)))) == (False, {3, 4})
