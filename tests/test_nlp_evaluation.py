import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from models.errors import BadFile, BadRow
from models.tags import AssetScore, NarrativeScore, Tagged, Text
from nlp.evaluation import average_precision, evaluate
from nlp.units import Judgement, Unit, read_units

ROWS = [
    {"id": "1", "text": "a", "narratives": {"liquidity": {"direction": 1, "modality": "actual"}}, "assets": {"XAU": 1}},
    {"id": "2", "text": "b", "narratives": {"safe_haven": {"direction": -1}}, "assets": {"XAU": -1, "BTC": 0}},
    {"id": "3", "text": "c", "narratives": {}, "assets": {}},
]


class Says:
    """A tagger that finds liquidity, easing and expected, and rising gold, in everything."""

    name = "says@1"

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        for text in texts:
            score = 0.9 if text.id == "1" else 0.6
            tag = NarrativeScore("liquidity", score, True, 1, "expected", ())
            yield Tagged(text.id, (tag,), (AssetScore("XAU", 1.0, 1.0, ()),))


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines))
    return path


def test_each_figure_is_what_its_name_says(tmp_path: Path) -> None:
    units = read_units(written(tmp_path / "labels.jsonl", *map(json.dumps, ROWS)))
    found = evaluate(Says(), units, core=["liquidity", "safe_haven"], narratives=["liquidity", "safe_haven", "never"])
    liquidity, haven, never = found.narratives
    assert (liquidity.n, liquidity.precision, liquidity.recall, liquidity.f1) == (1, 1 / 3, 1.0, 0.5)
    assert liquidity.f1_low <= liquidity.f1 <= liquidity.f1_high
    assert (liquidity.ap, liquidity.direction, found.modality) == (1.0, 1.0, 0.0)
    assert (haven.n, haven.f1, haven.direction) == (1, 0.0, None)
    assert (never.n, never.ap) == (0, None)
    assert found.macro_f1_core == 0.25
    assert found.macro_f1_context == 0.0
    assert (found.n_assets, found.assets_f1, found.tone) == (3, 2 * 2 / 6, 0.5)


def test_of_equal_scores_the_wrong_one_stands_first() -> None:
    assert average_precision(np.array([0.5, 0.5]), np.array([True, False])) == 0.5
    assert np.isnan(average_precision(np.array([0.5]), np.array([False])))


class Scores:
    """Finds safe_haven with the score that stands in a text."""

    name = "scores@1"

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        for text in texts:
            yield Tagged(text.id, (NarrativeScore("safe_haven", float(text.fields["text"]), True, 1, None, ()),), ())


def carried(score: float, n: int, of: int) -> list[Unit]:
    """`of` texts of one score, `n` of which carry safe_haven."""
    told = [{"safe_haven": Judgement(1)}] * n + [{}] * (of - n)
    return [Unit(f"{score}-{place}", str(score), narratives, {}) for place, narratives in enumerate(told)]


def calibration(units: list[Unit]) -> tuple[float | None, float | None]:
    (row,) = evaluate(Scores(), units, core=["safe_haven"], narratives=["safe_haven"]).narratives
    return row.slope, row.calibration_error


def test_scores_that_mean_what_they_say_have_slope_1_and_no_error() -> None:
    slope, error = calibration(carried(0.2, 4, 20) + carried(0.5, 10, 20) + carried(0.8, 16, 20))
    assert slope == pytest.approx(1.0, abs=1e-3)
    assert error == pytest.approx(0.0)


def test_scores_that_say_too_much_have_a_slope_below_1_and_those_that_say_too_little_one_above() -> None:
    """Log-odds of 9 to 1 are told, those of 3 to 1 are true: the slope is log 3 / log 9; the error 0.9 - 0.75."""
    slope, error = calibration(carried(0.1, 5, 20) + carried(0.9, 15, 20))
    assert (slope, error) == (pytest.approx(0.5, abs=1e-3), pytest.approx(0.15))
    slope, error = calibration(carried(0.25, 2, 20) + carried(0.75, 18, 20))
    assert (slope, error) == (pytest.approx(2.0, abs=1e-3), pytest.approx(0.15))


def test_the_calibration_error_is_the_mean_distance_over_bins_of_equal_width() -> None:
    """10 texts at 0.32 and 10 at 0.38 share a bin: 20 * |0.35 - 0.25|; 5 at 1.0, all true; 5 at 0.0, 3 of them true."""
    units = carried(0.32, 0, 10) + carried(0.38, 5, 10) + carried(1.0, 5, 5) + carried(0.0, 3, 5)
    assert calibration(units)[1] == pytest.approx((20 * 0.1 + 5 * 0.0 + 5 * 0.6) / 30)


def test_of_few_texts_that_carry_a_narrative_no_calibration_is_told() -> None:
    assert calibration(carried(0.3, 9, 40)) == (None, None)
    assert None not in calibration(carried(0.3, 10, 40) + carried(0.2, 0, 5))


def test_scores_that_part_all_texts_are_judged_without_a_warning() -> None:
    slope, error = calibration(carried(1.0, 20, 20) + carried(0.0, 0, 20))
    assert slope is not None
    assert slope > 1
    assert error == 0.0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("no json", "is not a labelled text"),
        ("[]", "is not a labelled text"),
        ('{"id": 1, "text": "a"}', "narratives"),
        ('{"id": 1, "text": "a", "narratives": {}, "assets": {"XAU": 3}}', "not -1, 0 or 1"),
        ('{"id": 1, "text": "a", "narratives": {"x": {}}, "assets": {}}', "direction"),
    ],
)
def test_a_label_that_cannot_be_read_is_named_by_its_line(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(BadRow, match=f"line 2: .*{told}"):
        read_units(written(tmp_path / "labels.jsonl", json.dumps(ROWS[0]), line))


def test_a_file_without_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no labelled text"):
        read_units(written(tmp_path / "empty.jsonl", ""))
    with pytest.raises(BadFile, match="cannot be read"):
        read_units(tmp_path / "missing.jsonl")
