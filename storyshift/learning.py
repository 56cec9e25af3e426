"""The commands that make and judge taggers: train, evaluate."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadFile, BadInput, ConfigError, UnknownName
from storyshift.output import progress, put_json, say
from storyshift.shell import Report, TextFormat, now, open_database

if TYPE_CHECKING:
    from nlp.evaluation import Figures, Paired, Reads
    from nlp.units import Unit
    from services.learning import Reviewed

Labels = Annotated[Path, typer.Argument(help="Labelled texts as JSON lines: id, text, narratives, assets.")]
MOST_UNLABELLED = 16_000
LESSONS = Path(__file__).parents[1] / "nlp" / "lessons"


def train(
    labels: Labels,
    encoder: Annotated[Path, typer.Option(help="A folder with a transformers encoder, e.g. all-MiniLM-L6-v2.")],
    output: Annotated[Path, typer.Option(help="Where the weights go; nlp/weights are those that are shipped.")],
    work: Annotated[Path, typer.Option(help="Where each stage leaves its result; what lies there is not done again.")],
    lessons: Annotated[
        Path, typer.Option(help="A folder of labelled texts (.jsonl) that teach, and that nothing is judged by.")
    ] = LESSONS,
    unlabelled: Annotated[list[Path] | None, typer.Option(help="News archives to learn from; repeat for more.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights on the same machine.")] = 7,
    reviews: Annotated[
        bool,
        typer.Option(
            "--reviews", help="Learn from the reviews in the database too; write to OUTPUT only what is then better."
        ),
    ] = False,
) -> None:
    """Train the tagger minilm. Takes hours on a laptop; may be stopped, and goes on at the stage it was in.

    With --reviews, what was drawn at random for audit is not learned from: by it the tagger in use and the new one are
    compared.
    """
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
    known = {*definitions.narratives(), *definitions.assets()}
    for unit in (*units, *taught):
        for key in (*unit.narratives, *unit.assets):
            if key not in known:
                raise UnknownName("narrative or asset (in a labelled text)", key, sorted(known))
    texts = unlabelled_texts(unlabelled or [], seed=seed)
    if not texts:
        raise BadInput("Training needs news without labels to calibrate on: --unlabelled FILE, once or more.")
    taken = _take_reviews(units, taught, work) if reviews else None
    if taken is not None:
        units, taught = taken.units, taken.lessons
    say(
        f"{len(units)} labelled units, {len(taught)} lessons, {len(texts)} unlabelled texts; stages are kept in {work}."
    )
    target = output if taken is None else work / "candidate"
    with progress("training", "steps") as told:
        card = train_tagger(
            units,
            taught,
            texts,
            encoder=encoder,
            definitions=definitions.narratives(),
            assets=definitions.assets(),
            output=target,
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
    if taken is None:
        say(f"{card['name']} lies in {output}.")
    else:
        _put_to_use_if_better(target, output, taken)


@dataclass(frozen=True, slots=True)
class Taken:
    """Labelled units and lessons without what is examined, reviews among the units; and the reviews themselves."""

    units: "list[Unit]"
    lessons: "list[Unit]"
    reviewed: "Reviewed"
    as_of: datetime
    left_out: int
    """Labelled texts and lessons that the exam has too."""


def _take_reviews(units: "list[Unit]", lessons: "list[Unit]", work: Path) -> Taken:
    """As reviews were when the training that `work` holds began. Raises: BadInput where they do not suffice."""
    from config.definitions import CORE_NARRATIVES
    from nlp.evaluation import check_exam
    from services.learning import reviewed_units, without_reviewed

    began = work / "reviews-as-of"
    as_of = datetime.fromisoformat(began.read_text().strip()) if began.exists() else now()
    with open_database().read() as session:
        reviewed = reviewed_units(session, now=as_of)
    if not reviewed.learn:
        raise BadInput(
            "There is no review to learn from: no text that was not drawn at random has been judged as a whole."
        )
    positives = check_exam(reviewed.exam_units, CORE_NARRATIVES)
    kept, examined, retold = without_reviewed(units, reviewed)
    taught, examined_lessons, retold_lessons = without_reviewed(lessons, reviewed)
    work.mkdir(parents=True, exist_ok=True)
    began.write_text(as_of.isoformat())
    say(
        f"{len(reviewed.learn)} reviewed texts to learn from, as of {as_of:%Y-%m-%d %H:%M} UTC; {len(reviewed.exam)} "
        f"drawn at random and read are the exam ({sum(positives.values())} carry a core narrative)."
    )
    left_out = examined + examined_lessons
    if left_out or retold or retold_lessons:
        say(
            f"Of the labelled texts and lessons {left_out} are left out because they were drawn for the exam, "
            f"{retold + retold_lessons} because a review tells of them."
        )
    return Taken([*kept, *reviewed.learn], taught, reviewed, as_of, left_out)


def _put_to_use_if_better(candidate: Path, output: Path, taken: Taken) -> None:
    """Compare the tagger in use and the candidate on what was drawn at random; say what came of it."""
    from config import definitions
    from jobs.tag import live_tagger
    from nlp.evaluation import compare
    from nlp.export import put_to_use, tell_more
    from nlp.minilm import Encoder, MiniLMTagger

    new = MiniLMTagger(definitions.narratives(), definitions.assets(), Encoder(candidate))
    exam = taken.reviewed
    found = compare(live_tagger(), new, exam.exam_units, exam.exam_weights, core=definitions.CORE_NARRATIVES)
    told = asdict(found) | {"new": "these weights"}  # their name is a hash of what is said here, too
    more = {"learned_from": len(exam.learn), "as_of": taken.as_of.isoformat(), "left_out": taken.left_out}
    card = tell_more(candidate, {"reviews": more | {"exam": told}})
    if found.better:
        put_to_use(candidate, output)
    say(_told_of(found, card["name"]))
    if found.better:
        say(f"It lies in {output}. `STORYSHIFT_WEIGHTS={output} storyshift retag` reads the record by it.")
    else:
        say(f"It stays in {candidate}; {output} is as it was.")


def _told_of(found: "Paired", name: str) -> str:
    return (
        f"{name} is {'better than' if found.better else 'not shown to be better than'} {found.old} on {found.n} texts "
        f"drawn at random: macro-F1 {found.old_f1:.3f} -> {found.new_f1:.3f}, {found.difference:+.3f} (90 % interval "
        f"{found.low:+.3f} to {found.high:+.3f}, p = {found.p:.3f}); of decisions in which one alone is right, "
        f"{found.only_new_right} are the new one's, {found.only_old_right} the old one's (p = {found.mcnemar_p:.3f})."
    )


def _needs_train(error: ModuleNotFoundError) -> ConfigError:
    return ConfigError(
        f"This needs the extra `train` ({error.name} is not installed): pip install 'storyshift[train]'."
    )


def unlabelled_texts(paths: list[Path], *, seed: int) -> list[str]:
    """Titles and summaries of archives, and windows of bodies; a sample, in an order that the seed gives."""
    from random import Random

    from ingest.archives import read_article
    from ingest.rows import RowFile
    from models.errors import BadRow
    from models.tags import Text
    from nlp.windows import windows

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
    from config.definitions import weights_card
    from nlp.evaluation import Figures, NarrativeFigures

    card = weights_card()
    told = card.get("about", {}).get("out_of_fold")
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
