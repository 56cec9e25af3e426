"""`storyshift event-study`, as a person calls it."""

import json
from datetime import date, timedelta

import numpy as np
import pytest
from test_cli import Shell, shell  # noqa: F401 - a fixture

FIRST = date(2015, 1, 1)


@pytest.fixture
def filled(shell: Shell) -> Shell:  # noqa: F811
    """Five years of bitcoin, and of silver, which rises a little every day."""
    rng = np.random.default_rng(1)
    for asset, moves in (("BTC", 0.02 * rng.standard_normal(1_826)), ("XAG", np.full(1_826, 0.001))):
        days = [(FIRST + timedelta(days=n), close) for n, close in enumerate(100 * np.exp(np.cumsum(moves)))]
        rows = [f"{day},{close:.6f}" for day, close in days if asset == "BTC" or day.weekday() < 5]
        (shell.folder / f"{asset}.csv").write_text("\n".join(["date,close", *rows]))
    shell("import", "prices", "BTC.csv", "XAG.csv")
    return shell


def test_records_days_and_a_file_of_days(filled: Shell) -> None:
    out, err = filled("event-study", "--event", "high:XAG", "--asset", "BTC", "--format", "json")
    answer = json.loads(out)
    assert err == ""
    assert (answer["event"], answer["asset"], answer["seed"], answer["draws"]) == ("high:XAG", "BTC", 0, 999)
    assert [row["week"] for row in answer["weeks"]] == list(range(-8, 27))
    assert answer["n"] + answer["n_left_out"] == len(answer["events"])
    assert answer["n"] > answer["n_effective"] >= 3
    assert answer["verdict"] in ("none", "above", "below")

    days = [event["day"] for event in answer["events"]]
    (filled.folder / "days.csv").write_text("\n".join(["date", *days, "yesterday"]))
    out, err = filled("event-study", "--dates", "days.csv", "--format", "json")
    again = json.loads(out)
    assert again["weeks"] == answer["weeks"]
    assert f"line {len(days) + 2}: date is 'yesterday'; write a date like 2020-03-09." in err

    out, err = filled("event-study", "--event", "high:XAG", "--asset", "BTC", "--format", "csv")
    lines = out.splitlines()
    assert err == ""
    assert lines[0] == "week,car,low,high,placebo_mean,placebo_low,placebo_high,percentile,p"
    assert [line.split(",")[0] for line in lines[1:]] == [str(week) for week in range(-8, 27)]
    assert lines[-1].split(",")[1] == str(answer["weeks"][-1]["car"])

    out, _ = filled("event-study", "--date", "2017-03-09", "--date", "2018-06-01")
    assert "too_small  n = 2, 2 without overlap, 0 left out" in out
    assert "n too small to say what BTC does after the dates given: 2 events have the year before" in out
    assert "percentile" in out
    assert "+26" in out


def test_what_cannot_be_asked_is_told_in_one_sentence(filled: Shell) -> None:
    (filled.folder / "empty.csv").write_text("date\n")
    for words, code, told in (
        ((), 2, "Name one of --event"),
        (("--event", "high:XAG", "--date", "2020-01-01"), 2, "Name one of --event"),
        (("--date", "01/02/2020"), 2, "--date is '01/02/2020'; write a date like 2020-03-09."),
        (("--dates", "missing.csv"), 1, "there is no such file"),
        (("--dates", "empty.csv"), 2, "empty.csv holds no usable row"),
        (("--event", "shift:joy"), 2, "There is no event named 'shift:joy'"),
        (("--event", "high:XAG", "--asset", "XAU"), 2, "There is no close of XAU"),
    ):
        out, err = filled("event-study", *words, code=code)
        assert out == ""
        assert told in err
