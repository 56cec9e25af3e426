"""The commands that make and judge taggers: train, evaluate."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadFile, BadInput, ConfigError, UnknownName
from storyshift.output import progress, put_json, say
from storyshift.shell import Report, TextFormat

if TYPE_CHECKING:
    from nlp.evaluation import Figures, Reads

Labels = Annotated[Path, typer.Argument(help="Labelled texts as JSON lines: id, text, narratives, assets.")]
MOST_UNLABELLED = 16_000
LESSONS = Path(__file__).parents[1] / "nlp" / "lessons"


def train(
    labels: Labels,
    encoder: Annotated[Path, typer.Option(help="A folder with a transformers encoder, e.g. all-MiniLM-L6-v2.")],
    output: Annotated[Path, typer.Option(help="Where the weights go; nlp/weights are those in use.")],
    work: Annotated[Path, typer.Option(help="Where each stage leaves its result; what lies there is not done again.")],
    lessons: Annotated[
        Path, typer.Option(help="A folder of labelled texts (.jsonl) that teach, and that nothing is judged by.")
    ] = LESSONS,
    unlabelled: Annotated[list[Path] | None, typer.Option(help="News archives to learn from; repeat for more.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights on the same machine.")] = 7,
) -> None:
    """Train the tagger minilm. Takes hours on a laptop; may be stopped, and goes on at the stage it was in."""
    try:
        from nlp.training import train_tagger
    except ModuleNotFoundError as error:
        raise _needs_train(error) from None
    from config import definitions
    from nlp.units import read_units

    if not (encoder / "tokenizer.json").is_file():
        raise BadFile(str(encoder), "is no folder with an encoder: it has no tokenizer.json.")
    if not lessons.is_dir():
        raise BadFile(str(lessons), "is no folder; name one with lessons, or an empty one.")
    units = read_units(labels)
    taught = [unit for path in sorted(lessons.glob("*.jsonl")) for unit in read_units(path)]
    texts = _unlabelled(unlabelled or [], seed=seed)
    if not texts:
        raise BadInput("Training needs news without labels to calibrate on: --unlabelled FILE, once or more.")
    known = {*definitions.narratives(), *definitions.assets()}
    for unit in (*units, *taught):
        for key in (*unit.narratives, *unit.assets):
            if key not in known:
                raise UnknownName("narrative or asset (in a labelled text)", key, sorted(known))
    say(
        f"{len(units)} labelled units, {len(taught)} lessons, {len(texts)} unlabelled texts; stages are kept in {work}."
    )
    with progress("training", "steps") as told:
        card = train_tagger(
            units,
            taught,
            texts,
            encoder=encoder,
            definitions=definitions.narratives(),
            assets=definitions.assets(),
            output=output,
            work=work,
            seed=seed,
            about={
                "units": len(units),
                "lessons": len(taught),
                "unlabelled": len(texts),
                "labels": labels.name,
                "seed": seed,
                "codebook": 1,
            },
            told=lambda _, done, of: told(done, of),
        )
    say(f"{card['name']} lies in {output}.")


def _needs_train(error: ModuleNotFoundError) -> ConfigError:
    return ConfigError(
        f"This needs the extra `train` ({error.name} is not installed): pip install 'storyshift[train]'."
    )


def _unlabelled(paths: list[Path], *, seed: int) -> list[str]:
    """Titles and summaries of archives, and windows of bodies; a sample, in an order that the seed gives."""
    from random import Random

    from ingest.archives import read_article
    from ingest.rows import RowFile
    from models.errors import BadRow
    from models.tags import Text
    from nlp.windows import windows
    from storyshift.shell import now

    found: dict[str, None] = {}
    for path in paths:
        for _, row in RowFile(path, needs=("title",)):
            if isinstance(row, BadRow):
                continue
            try:
                article = read_article(row, now=now())
            except ValueError:
                continue
            text = Text("", {"title": article.title, "summary": article.summary, "body": article.body})
            found.update((text.fields[w.field][w.start : w.end], None) for w in windows(text)[:6])
    order = list(found)
    Random(seed).shuffle(order)  # noqa: S311 - a sample
    return order[:MOST_UNLABELLED]


def evaluate(
    labels: Labels,
    learn_from: Annotated[
        Path | None, typer.Option(help="Labelled texts from which plain logistic regressions learn, to stand beside.")
    ] = None,
    encoder: Annotated[Path | None, typer.Option(help="With --learn-from: an encoder for one of them.")] = None,
    form: Report = TextFormat.text,
) -> None:
    """Say how well the live tagger does on labelled texts, beside phrases and, with --learn-from, plain regressions."""
    from config import definitions
    from jobs.tag import baseline_tagger, live_tagger
    from nlp.evaluation import evaluate as judge
    from nlp.units import read_units

    units = read_units(labels)
    live = live_tagger()
    taggers = {tagger.name: tagger for tagger in (live, baseline_tagger(), *_regressions(learn_from, encoder))}
    found = [
        judge(tagger, units, core=definitions.CORE_NARRATIVES, narratives=list(definitions.narratives()))
        for tagger in taggers.values()
    ]
    if live.name.startswith("minilm@"):
        found += _out_of_fold()
    if form is TextFormat.json:
        put_json([asdict(figures) for figures in found])
        return
    _show(found)


def _out_of_fold() -> "list[Figures]":
    """What the card says of the training units themselves, each judged by a network that has not seen it."""
    from config.definitions import WEIGHTS_CARD
    from nlp.evaluation import Figures, NarrativeFigures

    card = json.loads(WEIGHTS_CARD.read_text())
    told = card["about"].get("out_of_fold")
    if told is None:
        return []
    rows = [NarrativeFigures(**row) for row in told["narratives"]]
    return [Figures(**told | {"tagger": f"{card['name']} out of fold", "narratives": rows})]


def _regressions(learn_from: Path | None, encoder: Path | None) -> "list[Reads]":
    if learn_from is None:
        if encoder is not None:
            raise BadInput("--encoder needs --learn-from LABELS: what its regression is to learn from.")
        return []
    from config import definitions
    from nlp.units import read_units

    units, narratives = read_units(learn_from), list(definitions.narratives())
    try:
        from nlp.baselines import by_encoder, by_words

        found: list[Reads] = [by_words(units, narratives)]
        return found if encoder is None else [*found, by_encoder(encoder, units, narratives)]
    except ModuleNotFoundError as error:
        raise _needs_train(error) from None


def _show(found: "Sequence[Figures]") -> None:
    from rich.console import Console
    from rich.table import Table

    for figures in found:
        table = Table(
            "narrative",
            "n",
            "precision",
            "recall",
            "F1 (90 %)",
            "AP",
            "direction",
            "slope",
            "ECE",
            box=None,
            header_style="bold",
        )
        for row in figures.narratives:
            spread = f"{row.f1:.2f} ({row.f1_low:.2f}-{row.f1_high:.2f})"
            beside = [row.ap, row.direction, row.slope, row.calibration_error]
            cells = [f"{row.precision:.2f}", f"{row.recall:.2f}", spread]
            told = ["" if value is None else f"{value:.2f}" for value in beside]
            table.add_row(row.narrative, str(row.n), *(cells if row.n else [""] * 3), *told)
        Console().print(table)
        rest = {"direction": figures.direction, "modality": figures.modality, "tone": figures.tone}
        said = ", ".join(f"{name} {value:.2f}" for name, value in rest.items() if value is not None)
        say(
            f"{figures.tagger}, {figures.units} units: macro-F1 core {figures.macro_f1_core:.3f}, context "
            f"{figures.macro_f1_context:.3f}; AP core {figures.macro_ap_core:.3f}; assets F1 {figures.assets_f1:.3f} "
            f"(n = {figures.n_assets}); {said}"
        )
