"""The commands that make and judge taggers: train, evaluate."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadFile, ConfigError
from storyshift.output import progress, put_json, say
from storyshift.shell import Report, TextFormat

if TYPE_CHECKING:
    from nlp.evaluation import Figures

Labels = Annotated[Path, typer.Argument(help="Labelled texts as JSON lines: id, text, narratives, assets.")]
MOST_UNLABELLED = 16_000


def train(
    labels: Labels,
    encoder: Annotated[Path, typer.Option(help="A folder with a transformers encoder, e.g. all-MiniLM-L6-v2.")],
    output: Annotated[Path, typer.Option(help="Where the weights go; nlp/weights are those in use.")],
    work: Annotated[Path, typer.Option(help="Where each stage leaves its result; what lies there is not done again.")],
    unlabelled: Annotated[list[Path] | None, typer.Option(help="News archives to learn from; repeat for more.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights on the same machine.")] = 7,
) -> None:
    """Train the tagger minilm. Takes hours on a laptop; may be stopped, and goes on at the stage it was in."""
    try:
        from nlp.training import train_tagger
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Training needs the extra `train` ({error.name} is not installed): pip install 'storyshift[train]'."
        ) from None
    from config import definitions
    from nlp.units import read_units

    if not (encoder / "tokenizer.json").is_file():
        raise BadFile(str(encoder), "is no folder with an encoder: it has no tokenizer.json.")
    units = read_units(labels)
    texts = _unlabelled(unlabelled or [], seed=seed)
    say(f"{len(units)} labelled units, {len(texts)} unlabelled texts; stages are kept in {work}.")
    with progress("training", "steps") as told:
        card = train_tagger(
            units,
            texts,
            encoder=encoder,
            definitions=definitions.narratives(),
            assets=definitions.assets(),
            output=output,
            work=work,
            seed=seed,
            about={"units": len(units), "unlabelled": len(texts), "labels": labels.name, "seed": seed, "codebook": 1},
            told=lambda _, done, of: told(done, of),
        )
    say(f"{card['name']} lies in {output}.")


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


def evaluate(labels: Labels, form: Report = TextFormat.text) -> None:
    """Say how well the live tagger does on labelled texts, beside the baseline of phrases."""
    from config import definitions
    from jobs.tag import baseline_tagger, live_tagger
    from nlp.evaluation import evaluate as judge
    from nlp.units import read_units

    units = read_units(labels)
    taggers = {tagger.name: tagger for tagger in (live_tagger(), baseline_tagger())}
    found = [
        judge(tagger, units, core=definitions.CORE_NARRATIVES, narratives=list(definitions.narratives()))
        for tagger in taggers.values()
    ]
    if form is TextFormat.json:
        put_json([asdict(figures) for figures in found])
        return
    _show(found)


def _show(found: "Sequence[Figures]") -> None:
    from rich.console import Console
    from rich.table import Table

    for figures in found:
        table = Table(
            "narrative", "n", "precision", "recall", "F1 (90 %)", "AP", "direction", box=None, header_style="bold"
        )
        for row in figures.narratives:
            spread = f"{row.f1:.2f} ({row.f1_low:.2f}-{row.f1_high:.2f})"
            direction = "" if row.direction is None else f"{row.direction:.2f}"
            ap = "" if row.ap is None else f"{row.ap:.2f}"
            cells = [row.narrative, str(row.n), f"{row.precision:.2f}", f"{row.recall:.2f}", spread, ap]
            table.add_row(*(cells if row.n else [row.narrative, "0", "", "", "", ""]), direction)
        Console().print(table)
        rest = {"direction": figures.direction, "modality": figures.modality, "tone": figures.tone}
        said = ", ".join(f"{name} {value:.2f}" for name, value in rest.items() if value is not None)
        say(
            f"{figures.tagger}, {figures.units} units: macro-F1 core {figures.macro_f1_core:.3f}, context "
            f"{figures.macro_f1_context:.3f}; AP core {figures.macro_ap_core:.3f}; assets F1 {figures.assets_f1:.3f} "
            f"(n = {figures.n_assets}); {said}"
        )
