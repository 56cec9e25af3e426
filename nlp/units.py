"""Labelled texts for training and evaluation: our JSONL, as ../shared/labels and exported reviews are written."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import BadFile, BadRow


@dataclass(frozen=True, slots=True)
class Judgement:
    """direction in {-1, 0, +1}; modality 'actual' or 'expected' for liquidity, else None."""

    direction: int
    modality: str | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A text with what a reader said of it. assets: tone in {-1, 0, +1} by key."""

    id: str
    text: str
    narratives: dict[str, Judgement]
    assets: dict[str, int]


def read_units(path: Path) -> list[Unit]:
    """Lines {"id", "text", "narratives": {KEY: {"direction", "modality"?}}, "assets": {KEY: tone}}.

    Raises: BadFile; BadRow naming the first line that cannot be used - labels are not to be guessed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(str(path), f"cannot be read ({error}).") from None
    units = [_unit(str(path), number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not units:
        raise BadFile(str(path), "holds no labelled text.")
    return units


def _unit(path: str, number: int, line: str) -> Unit:
    try:
        row: Any = json.loads(line)
        narratives = {
            key: Judgement(int(said["direction"]), said.get("modality")) for key, said in row["narratives"].items()
        }
        assets = {key: int(tone) for key, tone in row["assets"].items()}
        unit = Unit(str(row["id"]), str(row["text"]), narratives, assets)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRow(path, number, f"is not a labelled text ({type(error).__name__}: {error}).") from None
    said = [judgement.direction for judgement in narratives.values()] + list(assets.values())
    if any(value not in (-1, 0, 1) for value in said):
        raise BadRow(path, number, "has a direction or tone that is not -1, 0 or 1.")
    return unit
