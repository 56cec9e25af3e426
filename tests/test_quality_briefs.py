"""The quality gate on the replay's briefs, read one by one against the codebook (quality/brief_labels.jsonl).

A floor may only be raised. The labels are one reader's single pass; train and dev of the shared labels are others.
"""

import json
from pathlib import Path

import pytest

from config.definitions import CORE_NARRATIVES, assets, narratives
from jobs.replay.briefs import briefs
from jobs.tag import baseline_tagger
from models.tags import Text

LABELS = {
    row["id"]: row
    for row in map(json.loads, (Path(__file__).parent / "quality" / "brief_labels.jsonl").read_text().splitlines())
}
FLOORS = {"safe_haven": 0.67, "debasement": 0.65, "liquidity": 0.87, "fiscal_stress": 0.90}
"""F1 of keywords@1."""


def test_every_brief_is_labelled_and_by_names_that_exist() -> None:
    assert list(LABELS) == [brief.id for brief in briefs()]
    assert {name for row in LABELS.values() for name in row["narratives"]} == set(narratives())
    assert {name for row in LABELS.values() for name in row["assets"]} <= set(assets())


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    texts = (Text(brief.id, {"title": brief.title, "summary": brief.summary}) for brief in briefs())
    return {
        tagged.id: {tag.narrative for tag in tagged.narratives if tag.label} for tagged in baseline_tagger().tag(texts)
    }


@pytest.mark.parametrize("narrative", CORE_NARRATIVES)
def test_the_baseline_does_not_fall_below_what_it_was(found: dict[str, set[str]], narrative: str) -> None:
    given = {key for key, row in LABELS.items() if narrative in row["narratives"]}
    got = {key for key, names in found.items() if narrative in names}
    f1 = 2 * len(given & got) / (len(given) + len(got))
    assert round(f1, 2) >= FLOORS[narrative], f"{narrative}: F1 {f1:.3f}"
