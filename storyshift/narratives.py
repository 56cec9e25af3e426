"""The commands about narratives: what articles are tagged with, and narratives of one's own, told by examples."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadFile, BadInput, BadRow
from storyshift.output import put_json, say
from storyshift.shell import Report, TextFormat, now, open_database

if TYPE_CHECKING:
    from config.definitions import Narrative
    from nlp.evaluation import NarrativeFigures, Reads
    from nlp.own import Assessment, Share

narratives_app = typer.Typer(help="The narratives that articles are tagged with.", no_args_is_help=True)
Key = Annotated[str, typer.Argument(help="Its key, e.g. ai_bubble: small letters, digits and _.")]
RECENT, SHOWN = 1_000, 10


class PoleName(StrEnum):
    panic = "panic"
    devaluation = "devaluation"
    context = "context"


@dataclass(frozen=True, slots=True)
class WouldTag:
    score: float
    label: bool
    event_at: datetime
    outlet: str
    title: str


@narratives_app.command("list")
def narratives_list(form: Report = TextFormat.text) -> None:
    """The narratives, what each means, and what the tagger minilm tells it by: network, examples or phrases."""
    from services.catalog import narratives

    if form is TextFormat.json:
        put_json([asdict(found) for found in narratives()])
        return
    for found in narratives():
        print(f"{found.narrative}  ({found.pole})  {found.name}, told by {found.told_by}\n    {found.definition}")


@narratives_app.command("test")
def narratives_test(
    key: Key,
    labels: Annotated[Path | None, typer.Option(help="Labelled texts that use the key, as for evaluate.")] = None,
    form: Report = TextFormat.text,
) -> None:
    """Say how well a narrative is told by its examples, and show what it would tag of the latest articles."""
    from config import definitions
    from nlp.minilm import Encoder, MiniLMTagger
    from nlp.own import assess

    narrative = definitions.narrative(key)
    if key in definitions.trained_narratives() or not narrative.examples:
        raise BadInput(f"{key} is not told by examples; `storyshift evaluate LABELS` judges it.")
    encoder = Encoder()
    assessment = assess(narrative, encoder)
    tagger = MiniLMTagger({key: narrative}, {}, encoder)
    judged = _judged(key, narrative, tagger, labels) if labels is not None else None
    would_tag = _would_tag(key, tagger)
    if form is TextFormat.json:
        figures = asdict(judged) if judged is not None else None
        latest = [asdict(article) for article in would_tag]
        put_json({"narrative": key, "left_out": asdict(assessment), "labels": figures, "would_tag": latest})
        return
    _show(key, assessment)
    if judged is not None:
        say(
            f"labelled texts that carry it: {judged.n}; precision {judged.precision:.2f}, recall {judged.recall:.2f}, "
            f"F1 {judged.f1:.2f} ({judged.f1_low:.2f}-{judged.f1_high:.2f})"
        )
    for article in would_tag:
        mark = "tagged" if article.label else "not   "
        print(f"{article.score:.2f}  {mark}  {article.event_at:%Y-%m-%d}  {article.outlet}: {article.title}")


@narratives_app.command("add")
def narratives_add(
    key: Key,
    name: Annotated[str, typer.Option(help="What people call it, e.g. 'AI bubble'.")],
    definition: Annotated[str, typer.Option(help="What a text must tell to carry it, in a sentence.")],
    examples: Annotated[
        Path | None, typer.Option(help="Texts that tell it, one a line; or .jsonl with a text in each line.")
    ] = None,
    counterexamples: Annotated[Path | None, typer.Option(help="Texts that only look like it, as --examples.")] = None,
    pole: Annotated[PoleName, typer.Option(help="For reading only: θ is made of the core narratives.")] = (
        PoleName.context
    ),
    reviewed: Annotated[
        bool, typer.Option("--reviewed", help="The examples are texts of which reviewers said whether they tell it.")
    ] = False,
    form: Report = TextFormat.text,
) -> None:
    """Add a narrative told by examples to narratives.toml, if it finds at least half of those left out."""
    from config import definitions
    from nlp.minilm import Encoder
    from nlp.own import assess

    definitions.refuse_narrative(key)
    given = _reviewed(key) if reviewed else ([], [])
    narrative = _narrative(key, name, definition, pole.value, examples, counterexamples, given)
    assessment = assess(narrative, Encoder())
    enough = 2 * assessment.found.count >= assessment.found.n
    place = definitions.add_narrative(key, narrative) if enough else None
    if form is TextFormat.json:
        added = str(place) if place is not None else None
        put_json({"narrative": key, "left_out": asdict(assessment), "added_to": added})
    else:
        _show(key, assessment)
    if place is None:
        say(
            f"error: {key} is not added: only {assessment.found.count} of {assessment.found.n} examples were found "
            "when left out; give more of them, or such as resemble each other."
        )
        raise typer.Exit(1)
    say(f"{key} stands in {place}. `storyshift tag` reads the record anew, as {definitions.live_tagger_name()}.")
    if not definitions.live_tagger_name().startswith("minilm@"):
        say("note: the tagger in use reads no examples; STORYSHIFT_TAGGER=minilm does.")


def _narrative(
    key: str,
    name: str,
    definition: str,
    pole: str,
    examples: Path | None,
    counterexamples: Path | None,
    reviewed: tuple[list[str], list[str]],
) -> "Narrative":
    """Raises: BadInput, BadFile."""
    from config.definitions import LEAST_EXAMPLES, Narrative, distinct

    for option, value in (("--name", name), ("--definition", definition)):
        if not value.strip():
            raise BadInput(f"{option} is empty; say something that people will understand.")
    told, near = reviewed
    if examples is None and not (told or near):
        raise BadInput("Name a file with --examples, or --reviewed for what reviewers have said.")
    told = told + (_texts(examples) if examples is not None else [])
    near = near + (_texts(counterexamples) if counterexamples is not None else [])
    n = len(distinct(told))
    if n < LEAST_EXAMPLES and examples is not None and not reviewed[0]:
        raise BadFile(str(examples), f"holds {n} distinct texts; a narrative needs {LEAST_EXAMPLES} examples.")
    if n < LEAST_EXAMPLES:
        beside = f", with {examples}," if examples is not None else ""
        raise BadInput(
            f"Of {n} distinct texts reviewers have said{beside} that they tell {key}; a narrative needs "
            f"{LEAST_EXAMPLES} examples."
        )
    said = {"name": name, "definition": definition, "pole": pole, "examples": told, "counterexamples": near}
    return Narrative.model_validate(said)


def _reviewed(key: str) -> tuple[list[str], list[str]]:
    """Texts that tell the narrative as reviewers say, and such as do not. Raises: BadInput."""
    from config.definitions import distinct
    from services.learning import examples_of

    with open_database().read() as session:
        found = examples_of(session, key, now=now())
    told, near = (distinct(" ".join(text.split()) for text in texts) for texts in found)
    if not told:
        raise BadInput(
            f"No reviewer has said of a text that it tells {key}. Search for such texts on the page of reviews first."
        )
    say(
        f"Reviewers said of {len(told)} texts that they tell {key}: its examples; and of {len(near)} that they do not: "
        "its counterexamples."
    )
    return told, near


def _texts(path: Path) -> list[str]:
    """Lines, or what JSON lines hold as "text". Raises: BadFile, BadRow."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(str(path), f"cannot be read ({error}).") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found.append(_text(str(path), number, line) if path.suffix == ".jsonl" else " ".join(line.split()))
    return found


def _text(path: str, number: int, line: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError, RecursionError):
        text = None
    if not isinstance(text, str):
        raise BadRow(path, number, 'is no JSON object with a "text".')
    return " ".join(text.split())


def _judged(key: str, narrative: "Narrative", tagger: "Reads", labels: Path) -> "NarrativeFigures":
    """On labelled texts that are none of the narrative's own."""
    from config.definitions import distinct
    from nlp.evaluation import evaluate
    from nlp.units import read_units

    own = [*narrative.examples, *narrative.counterexamples]
    known = len(distinct(own))
    units = read_units(labels)
    new = [unit for unit in units if len(distinct([*own, unit.text])) > known]
    if len(new) < len(units):
        say(f"{len(units) - len(new)} labelled texts are examples or without a word, and are left out.")
    if not new:
        raise BadFile(str(labels), "holds no labelled text that is not an example.")
    (figures,) = evaluate(tagger, new, core=(), narratives=[key]).narratives
    return figures


def _would_tag(key: str, tagger: "Reads") -> list[WouldTag]:
    """Of the latest articles those that resemble it most, the likeliest first."""
    from models.tags import Text
    from services.articles import MAX_LIMIT, ArticleQuestion, ArticleView, search_articles

    articles: list[ArticleView] = []
    cursor = None
    with open_database().read() as session:
        while len(articles) < RECENT:
            page = search_articles(session, ArticleQuestion(cursor=cursor, limit=MAX_LIMIT), now=now())
            articles += page.data
            cursor = page.next_cursor
            if cursor is None:
                break
    texts = [Text(str(one.id), {"title": one.title, "summary": one.summary}) for one in articles]
    found = [
        WouldTag(tag.score, tag.label, one.event_at, one.outlet, one.title)
        for one, tagged in zip(articles, tagger.tag(texts), strict=True)
        for tag in tagged.narratives
        if tag.narrative == key
    ]
    return sorted(found, key=lambda one: -one.score)[:SHOWN]


def _show(key: str, found: "Assessment") -> None:
    if found.repeated:
        say(f"{found.repeated} examples say the same as another, or nothing, and are not counted.")
    say(f"{key}, each text judged without itself (90 % intervals):")
    say(f"  examples found            {_told(found.found)}")
    if found.counterexamples is not None:
        say(f"  counterexamples labelled  {_told(found.counterexamples)}")
    say(f"  background labelled       {_told(found.background)}; true ones may be among them")
    say(f"  examples among background AP {found.ap:.2f}, AUC {found.auc:.3f}")
    if found.few:
        say(f"note: with {found.examples} examples these figures say little; 20 or more say and find more.")


def _told(share: "Share") -> str:
    return f"{share.count} of {share.n}, {share.share:.1%} ({share.low:.1%}-{share.high:.1%})"
