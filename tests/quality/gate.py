"""The quality gate: the shipped tagger is not worse than it was. Part of `make check`.

    python tests/quality/gate.py                    hold every figure against its floor
    python tests/quality/gate.py --pin WHY          raise floors to what is measured
    python tests/quality/gate.py --lower WHY        let floors fall to what is measured, and say why

Floors stand in floors.toml, each with the hash of the labels it was measured on; pins are only ever added, and one that
is lower than that before it needs its reason under `lowered`. Labels that are not there (../shared) are passed over.
"""

import argparse
import json
import math
import os
import sys
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FLOORS = HERE / "floors.toml"
LABELS = {
    "briefs": HERE / "brief_labels.jsonl",
    "mentions": HERE / "asset_mentions.jsonl",
    "dev": HERE.parents[2] / "shared" / "labels" / "dev.jsonl",
}
Pin = dict[str, Any]
"""labels, sha256, figure, floor, on, why, and lowered where it is lower than that before it."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Hold the shipped tagger against its floors.")
    parser.add_argument("--pin", metavar="WHY", help="raise floors to what is measured")
    parser.add_argument("--lower", metavar="WHY", help="let floors fall to what is measured")
    asked = parser.parse_args()
    pins = tomllib.loads(FLOORS.read_text()).get("pins", []) if FLOORS.exists() else []
    there = {name: path for name, path in LABELS.items() if path.exists()}
    hashes = {name: sha256(path.read_bytes()).hexdigest() for name, path in there.items()}
    os.environ["STORYSHIFT_TAGGER"] = "minilm"
    found = {name: measured(name, path) for name, path in there.items()}
    if asked.pin or asked.lower:
        new = new_pins(pins, found, hashes, why=asked.pin or asked.lower, lower=bool(asked.lower))
        with FLOORS.open("a") as file:
            file.writelines(written(pin) for pin in new)
        print(f"{len(new)} floors pinned.")
        return 0
    faults = [*history_faults(pins), *faults_of(pins, found, hashes)]
    for fault in faults:
        print(f"quality gate: {fault}", file=sys.stderr)
    held = len(current(pins).keys() & {(name, figure) for name, row in found.items() for figure in row})
    print(f"{held} floors hold ({', '.join(there)})." if not faults else f"{len(faults)} faults.")
    return 1 if faults else 0


def measured(name: str, path: Path) -> dict[str, float]:
    """The figures of one set of labels."""
    from config import definitions
    from jobs.replay.briefs import briefs
    from jobs.tag import live_tagger
    from models.tags import Text
    from nlp.evaluation import judge
    from nlp.units import Judgement, Unit

    rows = [json.loads(line) for line in path.read_text().splitlines()]
    units = [
        Unit(
            row["id"],
            row.get("text", ""),
            {key: Judgement(int(j["direction"]), j.get("modality")) for key, j in row.get("narratives", {}).items()},
            row["assets"],
        )
        for row in rows
    ]
    texts = {unit.id: Text(unit.id, {"text": unit.text}) for unit in units}
    if name == "briefs":
        texts = {brief.id: Text(brief.id, {"title": brief.title, "summary": brief.summary}) for brief in briefs()}
    tagger = live_tagger()
    said = list(tagger.tag(texts[unit.id] for unit in units))
    figures = judge(
        tagger.name, units, said, core=definitions.CORE_NARRATIVES, narratives=list(definitions.narratives())
    )
    wanted: dict[str, float | None] = {"assets_f1": figures.assets_f1, "tone": figures.tone}
    if name != "mentions":
        wanted |= {f"f1.{row.narrative}": row.f1 for row in figures.narratives if row.n >= 15}
        wanted |= {"direction": figures.direction, "modality": figures.modality, "core_f1": figures.macro_f1_core}
        wanted |= {"core_ap": figures.macro_ap_core, "context_f1": figures.macro_f1_context}
    return {figure: value for figure, value in wanted.items() if value is not None}


def current(pins: Iterable[Pin]) -> dict[tuple[str, str], Pin]:
    """The latest pin of each figure."""
    return {(pin["labels"], pin["figure"]): pin for pin in pins}


def history_faults(pins: Iterable[Pin]) -> list[str]:
    """Where a floor was lowered without saying why."""
    faults, before = [], {}
    for pin in pins:
        key = pin["labels"], pin["figure"]
        if key in before and pin["floor"] < before[key] and not pin.get("lowered"):
            faults.append(f"{'.'.join(key)} was lowered from {before[key]} to {pin['floor']} without `lowered`.")
        before[key] = pin["floor"]
    return faults


def faults_of(pins: Iterable[Pin], found: Mapping[str, Mapping[str, float]], hashes: Mapping[str, str]) -> list[str]:
    """What is below its floor, measured on other labels than it was pinned on, or not pinned at all."""
    faults, latest = [], current(pins)
    for name, row in found.items():
        for figure, value in row.items():
            pin = latest.get((name, figure))
            if pin is None:
                faults.append(f"{name}.{figure} ({value:.3f}) has no floor; pin it.")
            elif pin["sha256"] != hashes[name]:
                faults.append(f"{name}.{figure}: the labels are not those it was pinned on; pin it anew.")
            elif value < pin["floor"]:
                faults.append(f"{name}.{figure} is {value:.3f}, below its floor of {pin['floor']}.")
    return faults


def new_pins(
    pins: Iterable[Pin],
    found: Mapping[str, Mapping[str, float]],
    hashes: Mapping[str, str],
    *,
    why: str,
    lower: bool,
) -> list[Pin]:
    """Pins that are higher than those before, or new; lower ones only where asked for, and marked."""
    latest, new = current(pins), []
    for name, row in found.items():
        for figure, value in row.items():
            floor = math.floor(value * 100) / 100
            before = latest.get((name, figure))
            pin = {"labels": name, "sha256": hashes[name], "figure": figure, "floor": floor}
            pin |= {"on": f"{datetime.now(UTC):%Y-%m-%d}", "why": why}
            if before is None or floor > before["floor"]:
                new.append(pin)
            elif lower and floor < before["floor"]:
                new.append(pin | {"lowered": why})
            elif before["sha256"] != hashes[name]:
                new.append(pin | {"floor": before["floor"]})
    return new


def written(pin: Pin) -> str:
    return "[[pins]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in pin.items()) + "\n"


if __name__ == "__main__":
    sys.exit(main())
