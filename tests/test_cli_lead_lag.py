"""`storyshift lead-lag` on plain files, as a person calls it."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from test_cli import Shell, shell  # noqa: F401 - a fixture

from analysis.synthetic import driver, led


def written(path: Path, column: str, values: np.ndarray, first: date = date(2020, 1, 1)) -> str:
    rows = [f"{first + timedelta(days=n)},{value:.6f}" for n, value in enumerate(values)]
    path.write_text("\n".join([f"date,{column}", *rows]))
    return str(path)


@pytest.fixture
def files(shell: Shell) -> tuple[str, str]:  # noqa: F811
    """A driver that leads by five days."""
    rng = np.random.default_rng(4)
    values, returns = led(driver("ar80", 370, rng), 5, 0.5, rng)
    series = written(shell.folder / "series.csv", "value", values)
    return series, written(shell.folder / "prices.csv", "close", 100 * np.exp(np.cumsum(0.01 * returns)))


def test_the_contract_of_the_json(shell: Shell, files: tuple[str, str]) -> None:  # noqa: F811
    out, err = shell("lead-lag", "--series", files[0], "--prices", files[1], "--format", "json")
    answer = json.loads(out)
    assert err == ""
    assert (answer["verdict"], answer["peak_lag"], answer["n"], answer["max_lag"]) == ("news_leads", 5, 364, 20)
    assert [row["lag"] for row in answer["lags"]] == list(range(-20, 21))
    assert {"estimate", "low", "high", "p"} <= answer["lags"][0].keys()
    assert {"p_family", "sentence", "method", "seed"} <= answer.keys()
    beside = answer["beside"]
    assert beside["out_of_sample"]["r2"] > 0
    assert beside["granger_driver_to_price"]["p"] < beside["granger_price_to_driver"]["p"]
    assert [row["horizon"] for row in beside["projections"]] == list(range(1, 21))


def test_a_person_reads_a_table_and_one_sentence(shell: Shell, files: tuple[str, str]) -> None:  # noqa: F811
    out, _ = shell("lead-lag", "--series", files[0], "--prices", files[1], "--max-lag", "6", "--target", "volatility")
    assert "lag (days)" in out
    assert "No lead or lag can be told" in out


def test_rows_that_cannot_be_used_are_named_and_the_rest_is_read(shell: Shell, files: tuple[str, str]) -> None:  # noqa: F811
    series, prices = files
    with Path(series).open("a") as more:
        more.write("\n2020-01-01,3\nyesterday,1\n2021-06-01,much\n2021-06-02,")
    with Path(prices).open("a") as more:
        more.write("\n2021-06-01,-37.63")
    out, err = shell("lead-lag", "--series", series, "--prices", prices, "--format", "json")
    assert json.loads(out)["verdict"] == "news_leads"
    assert "line 367: a value of 2020-01-01 23:59Z stands in line 2 already" in err
    assert "line 368: date is 'yesterday'" in err
    assert "line 369: value is 'much', which is not a number." in err
    assert "line 367: close is -37.63, which has no return" in err


@pytest.mark.parametrize(
    ("series", "prices", "code", "told"),
    [
        ("date,value\n2020-01-01,1\n2020-01-02,2", "date,close\n2022-01-01,1\n2022-01-02,2", 2, "no time in common"),
        ("date,value\n2020-01-01,1", "date,price\n2020-01-01,1", 1, "has no column 'close'"),
        ("date,value\n", "date,close\n2020-01-01,1", 2, "holds no usable row"),
        ("", "date,close\n2020-01-01,1", 1, "has no column 'date'"),
    ],
)
def test_files_that_cannot_be_used_are_told_in_one_sentence(
    shell: Shell,  # noqa: F811
    series: str,
    prices: str,
    code: int,
    told: str,
) -> None:
    (shell.folder / "s.csv").write_text(series)
    (shell.folder / "p.csv").write_text(prices)
    paths = ("--series", str(shell.folder / "s.csv"), "--prices", str(shell.folder / "p.csv"))
    out, err = shell("lead-lag", *paths, code=code)
    assert out == ""
    assert told in err
    assert "Traceback" not in err


def test_ten_days_are_too_few_and_so_is_no_lag(shell: Shell, files: tuple[str, str]) -> None:  # noqa: F811
    short = written(shell.folder / "short.csv", "value", np.arange(10.0))
    assert "Only 9 rows have both" in shell("lead-lag", "--series", short, "--prices", files[1], code=2)[1]
    assert "max_lag is 0" in shell("lead-lag", "--series", files[0], "--prices", files[1], "--max-lag", "0", code=2)[1]
    assert "no such file" in shell("lead-lag", "--series", "missing.csv", "--prices", files[1], code=1)[1]
