"""The gate itself: a floor cannot fall silently, and holds only for the labels it was measured on."""

import tomllib

from quality.gate import FLOORS, current, faults_of, history_faults, new_pins, written

HASHES = {"briefs": "a1"}


def pin(floor: float, **more: str) -> dict[str, object]:
    return {"labels": "briefs", "sha256": "a1", "figure": "tone", "floor": floor, "on": "2026-11-25", "why": "x"} | more


def test_what_is_below_its_floor_is_a_fault() -> None:
    assert faults_of([pin(0.8)], {"briefs": {"tone": 0.801}}, HASHES) == []
    assert faults_of([pin(0.8)], {"briefs": {"tone": 0.799}}, HASHES) == [
        "briefs.tone is 0.799, below its floor of 0.8."
    ]


def test_other_labels_and_figures_without_a_floor_are_faults() -> None:
    assert "pinned on" in faults_of([pin(0.8, sha256="b2")], {"briefs": {"tone": 0.9}}, HASHES)[0]
    assert "has no floor" in faults_of([], {"briefs": {"tone": 0.9}}, HASHES)[0]


def test_a_floor_rises_by_pinning_and_falls_only_with_a_reason() -> None:
    better, worse = {"briefs": {"tone": 0.857}}, {"briefs": {"tone": 0.7}}
    (raised,) = new_pins([pin(0.8)], better, HASHES, why="new weights", lower=False)
    assert (raised["floor"], raised.get("lowered")) == (0.85, None)
    assert new_pins([pin(0.8)], worse, HASHES, why="new weights", lower=False) == []
    (lowered,) = new_pins([pin(0.8)], worse, HASHES, why="the labels were wrong", lower=True)
    assert (lowered["floor"], lowered["lowered"]) == (0.7, "the labels were wrong")
    assert history_faults([pin(0.8), lowered]) == []
    assert history_faults([pin(0.8), pin(0.7)]) == ["briefs.tone was lowered from 0.8 to 0.7 without `lowered`."]


def test_a_pin_is_written_as_it_is_read() -> None:
    said = pin(0.8, lowered='"why", with a quote')
    assert tomllib.loads(written(said))["pins"] == [said]


def test_the_shipped_floors_are_in_order() -> None:
    pins = tomllib.loads(FLOORS.read_text())["pins"]
    assert history_faults(pins) == []
    assert {labels for labels, _ in current(pins)} == {"briefs", "mentions", "dev"}
