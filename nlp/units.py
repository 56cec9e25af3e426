"""Labelled texts for training and evaluation: our JSONL, as ../shared/labels and exported reviews are written."""

import json
import re
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


def same_words(text: str) -> str:
    """Equal for texts that are equal but for case, space and punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def read_units(path: Path) -> list[Unit]:
    """Lines {"id", "text", "narratives": {KEY: {"direction", "modality"?}}, "assets": {KEY: tone}}.

    A line with "whole": false (of exported reviews, one that judges some labels only) or with "skipped" says nothing of
    the labels it does not name, and is passed over.
    Raises: BadFile; BadRow naming the first line that cannot be used - labels are not to be guessed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(str(path), f"cannot be read ({error}).") from None
    found = [_unit(str(path), number, line) for number, line in enumerate(lines, 1) if line.strip()]
    units = [unit for unit in found if unit is not None]
    if not units:
        raise BadFile(str(path), "holds no labelled text" + (" that was judged as a whole." if found else "."))
    return units


def _unit(path: str, number: int, line: str) -> Unit | None:
    """None where only some of the labels were judged."""
    try:
        row: Any = json.loads(line)
        if row.get("whole") is False or row.get("skipped") is not None:
            return None
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
