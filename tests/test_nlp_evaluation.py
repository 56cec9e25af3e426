import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from models.errors import BadFile, BadRow
from models.tags import AssetScore, NarrativeScore, Tagged, Text
from nlp.evaluation import average_precision, evaluate
from nlp.units import read_units

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
