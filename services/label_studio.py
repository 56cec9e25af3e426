"""Reviews as tasks of Label Studio: https://labelstud.io/guide/task_format. Read and written without a database.

A narrative that holds is a choice (building, neither, fading) of the control named by its key, an asset one (up,
neither, down) of its own; a control without a choice says that it does not hold, or is not named. Label Studio drops
who annotated an imported task, and when, but keeps a task's `meta`: there each annotation's review stands in full, by
the annotation's id, so that it is known again when it comes back.
"""

import html
from collections.abc import Iterator, Sequence
from typing import Any

from config import definitions
from config.definitions import Asset
from ingest.text import storable
from models.errors import BadInput
from models.reviews import Judgement, SaidNarrative
from models.store.review_files import Reviewed
from models.tags import AssetMention, NarrativeTag
from services.answers import plain
from services.review_rows import (
    Refusal,
    Row,
    Told,
    instant,
    name_of,
    read_row,
    shown,
    sought,
    write_row,
)

TEXT, MODALITY, OURS = "text", "modality", "storyshift"
WAYS = {1: "building", 0: "neither", -1: "fading"}
TONES = {1: "up", 0: "neither", -1: "down"}
MODALITIES = ("actual", "expected")
SKIPPED = "Skipped in Label Studio."
TASK_FIELDS = ("text", "title", "summary", "url", "outlet", "published_at", "content_hash")


# -- writing ---------------------------------------------------------------------------------------------------------


def write_task(
    revision_id: int,
    found: Sequence[Reviewed],
    probability: float | None,
    tagger: str,
    told: tuple[Sequence[NarrativeTag], Sequence[AssetMention]] | None,
) -> Row:
    """A wording with all its reviews. `told`: what the tagger says of it; None if it has not read it."""
    rows = {str(one.review.id): write_row(one, probability) for one in found}
    data = {name: next(iter(rows.values()))[name] for name in TASK_FIELDS}
    own = {key: {name: row[name] for name in row if name not in TASK_FIELDS} for key, row in rows.items()}
    return {
        "id": revision_id,
        "data": data,
        "meta": {OURS: own},
        "predictions": [] if told is None else [{"model_version": tagger, "result": _predicted(revision_id, *told)}],
        "annotations": [_annotation(one) for one in found],
    }


def _annotation(found: Reviewed) -> Row:
    """Without `completed_by`: Label Studio refuses a whole file for the address of somebody it does not know."""
    review = found.review
    ways = {key: (said["direction"], said.get("modality")) for key, said in review.narratives.items() if said}
    return {
        "id": review.id,
        "meta": {"reviewer": review.reviewer},
        "created_at": plain(review.given_at),
        "was_cancelled": review.skipped is not None,
        "ground_truth": False,
        "result": _result(f"r{review.id}", ways, review.assets or {}),
    }


def _predicted(revision_id: int, narratives: Sequence[NarrativeTag], assets: Sequence[AssetMention]) -> list[Row]:
    ways = {tag.narrative: (tag.direction, tag.modality) for tag in narratives if tag.label}
    tones = {one.asset: 0 if one.tone is None else round(one.tone) for one in assets}
    return _result(f"p{revision_id}", ways, tones)


def _result(prefix: str, ways: dict[str, tuple[int, str | None]], tones: dict[str, int]) -> list[Row]:
    chosen = [(key, WAYS[direction]) for key, (direction, _) in sorted(ways.items())]
    chosen += [(MODALITY, modality) for _, modality in ways.values() if modality is not None]
    chosen += [(key, TONES[tone]) for key, tone in sorted(tones.items())]
    return [
        {
            "id": f"{prefix}-{name}",
            "from_name": name,
            "to_name": TEXT,
            "type": "choices",
            "value": {"choices": [choice]},
        }
        for name, choice in chosen
    ]


def check_names() -> None:
    """Whether every control can have a name of its own. Raises: BadInput."""
    names = [TEXT, MODALITY, *definitions.narratives(), *definitions.assets()]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(
            f"Label Studio needs a name of its own for each control, and {twice!r} would be two. Rename the narrative "
            f"or asset {twice!r}."
        )


def config() -> str:
    """The labelling configuration, XML, for the narratives and assets that are defined now. Raises: BadInput."""
    check_names()
    lines = ["<View>", f'  <Text name="{TEXT}" value="$text"/>', '  <Header value="Narratives that it tells"/>']
    for key, narrative in definitions.narratives().items():
        lines += _choices(key, f"{narrative.name}: {narrative.definition}", WAYS.values())
        if key == "liquidity":
            only = f' required="true" visibleWhen="choice-selected" whenTagName="{_quoted(key)}"'
            lines += _choices(MODALITY, "Liquidity: taken, or expected", MODALITIES, only)
    lines.append('  <Header value="Assets that it names, and where they go"/>')
    for key, asset in definitions.assets().items():
        if _is_named(asset):
            lines += _choices(key, asset.name, TONES.values())
    return "\n".join([*lines, "</View>", ""])


def _is_named(asset: Asset) -> bool:
    """Whether news name it: others are only priced."""
    return bool(asset.aliases or asset.exact)


def _choices(name: str, title: str, values: Any, more: str = "") -> list[str]:
    shown_where = more.replace(' required="true"', "")
    return [
        f"  <View{shown_where}>",
        f'    <Header value="{_quoted(title)}" size="5"/>',
        f'    <Choices name="{_quoted(name)}" toName="{TEXT}" choice="single" showInline="true"{more}>',
        *(f'      <Choice value="{value}"/>' for value in values),
        "    </Choices>",
        "  </View>",
    ]


def _quoted(value: str) -> str:
    return html.escape(" ".join(storable(value).split()), quote=True)


# -- reading ---------------------------------------------------------------------------------------------------------


def read_tasks(document: Any, reviewer: str) -> Iterator[Told | Refusal]:
    """The review of each annotation, or why there is none. `line` is the task's place, from 1.

    `reviewer` is whose they are where the file has at most a number for who annotated.
    """
    tasks = document if isinstance(document, list) else [document]
    seen: dict[str, int] = {}
    for number, task in enumerate(tasks, 1):
        try:
            annotations = _annotations(task)
        except ValueError as error:
            yield Refusal(number, str(error))
            continue
        for place, annotation in enumerate(annotations, 1):
            try:
                told = _told(task, annotation, number, reviewer)
            except ValueError as error:
                yield Refusal(number, f"annotation {place}: {error}")
                continue
            name = told.uid or told.id
            if name and name in seen:
                yield Refusal(number, f"annotation {place}: has the id {name!r}, as one of task {seen[name]} has.")
                continue
            if name:
                seen[name] = number
            yield told


def _annotations(task: Any) -> list[Any]:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise ValueError('is not a task of Label Studio {"data": {…}, "annotations": […]}.')
    found = task.get("annotations", [])
    if not isinstance(found, list):
        raise ValueError(f"annotations is {shown(found)}; it must be a list.")
    return found


def _told(task: Row, annotation: Any, number: int, reviewer: str) -> Told:
    """Raises: ValueError."""
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
        raise ValueError("is not an annotation with a list of results.")
    cancelled = annotation.get("was_cancelled") is True
    judgement = Judgement() if cancelled else _judgement(annotation["result"])
    own = _own(task, annotation)
    if own is not None:
        ours = read_row({**_of_text(task["data"]), **own}, number, reviewer)
        if _same(ours, judgement, cancelled):
            return ours
    return Told(
        line=number,
        uid="",
        id=_identity(task, annotation),
        sought=sought(task["data"]),
        reviewer=_who(annotation, reviewer),
        given_at=instant(annotation, "created_at"),
        judgement=judgement,
        whole=True,
        slice="chosen",
        blind=False,
        tagger="",
        skipped=SKIPPED if cancelled else None,
        note="",
        undone=False,
    )


def _of_text(data: Row) -> Row:
    return {name: data.get(name) for name in TASK_FIELDS}


def _own(task: Row, annotation: Row) -> Row | None:
    """The review of ours that an annotation was written from, if it was: Label Studio keeps its id as import_id."""
    meta = task.get("meta")
    rows = meta.get(OURS) if isinstance(meta, dict) else None
    key = annotation.get("import_id") if "import_id" in annotation else annotation.get("id")
    row = rows.get(_plain(key)) if isinstance(rows, dict) else None
    return row if isinstance(row, dict) else None


def _same(ours: Told, judgement: Judgement, cancelled: bool) -> bool:
    """Whether an annotation still says what the review of ours said."""
    if cancelled or ours.skipped is not None:
        return cancelled and ours.skipped is not None
    holds = {key: said for key, said in ours.judgement.narratives.items() if said is not None}
    return holds == judgement.narratives and (ours.judgement.assets or {}) == judgement.assets


def _identity(task: Row, annotation: Row) -> str:
    """What Label Studio calls it: unique_id if there is one (it outlives a move), else the numbers of both."""
    unique = _plain(annotation.get("unique_id"))
    if unique or not _plain(annotation.get("id")):
        return name_of(unique, "unique_id")
    return name_of(
        "/".join(_plain(one.get(name)) for one, name in ((task, "project"), (task, "id"), (annotation, "id"))), "id"
    )


def _plain(value: Any) -> str:
    """A number or text as text; "" for anything else."""
    return str(value) if type(value) in (int, str) else ""


def _who(annotation: Row, reviewer: str) -> str:
    """Whose it is: completed_by is an object, a number or missing; a file of ours has a name in meta."""
    meta, by = annotation.get("meta"), annotation.get("completed_by")
    if by is None and isinstance(meta, dict):
        return name_of(meta.get("reviewer"), "reviewer") or reviewer
    if isinstance(by, dict):
        named = name_of(by.get("email"), "email")
        full = " ".join(filter(None, (name_of(by.get(part), part) for part in ("first_name", "last_name"))))
        by = named or full or by.get("id")
    if isinstance(by, str):
        return name_of(by, "completed_by") or reviewer
    if type(by) is int:
        return reviewer or f"label-studio-{by}"
    if by is None:
        return reviewer
    raise ValueError(f"completed_by is {shown(by)}; it must be an object, a number or a name.")


def _judgement(result: Sequence[Any]) -> Judgement:
    chosen: dict[str, str] = {}
    for item in result:
        name, choice = _choice(item)
        if name in chosen:
            raise ValueError(f"says two things of {name}.")
        chosen[name] = choice
    modality = chosen.pop(MODALITY, None)
    narratives: dict[str, SaidNarrative | None] = {}
    assets: dict[str, int] = {}
    for key, choice in chosen.items():
        if key in definitions.narratives():
            narratives[key] = SaidNarrative(_number(WAYS, key, choice), modality if key == "liquidity" else None)
        else:
            assets[key] = _number(TONES, key, choice)
    return Judgement(narratives, assets)


def _choice(item: Any) -> tuple[str, str]:
    """The name of the control, and what was chosen. Raises: ValueError, also for a project of other labels."""
    if not isinstance(item, dict) or not isinstance(item.get("from_name"), str):
        raise ValueError(f"has a result that is {shown(item)}, not a choice.")
    name, value = item["from_name"], item.get("value")
    known = name == MODALITY or name in definitions.narratives() or name in definitions.assets()
    if not known or item.get("type") != "choices":
        raise ValueError(
            f"has a label of another project: {shown(name)} is no narrative or asset here, or is not one of choices. "
            "`storyshift review export --format label-studio-config` writes the configuration that is read."
        )
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], str):
        raise ValueError(f"needs one choice for {name}, and has {shown(choices)}.")
    if name == MODALITY and choices[0] not in MODALITIES:
        raise ValueError(f"The modality is {shown(choices[0])}; it must be one of {', '.join(MODALITIES)}.")
    return name, choices[0]


def _number(known: dict[int, str], key: str, choice: str) -> int:
    number = next((number for number, name in known.items() if name == choice), None)
    if number is None:
        raise ValueError(f"{key} is {shown(choice)}; it must be one of {', '.join(known.values())}.")
    return number
