"""Training the tagger minilm, on a tiny encoder and units whose truth is planted. Needs the extra `train`."""

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import FILLERS, needs
from test_cli import Shell, shell  # noqa: F401 - a fixture

from config import definitions
from config.definitions import Asset, Narrative
from models.tags import Tagged, Text
from nlp.evaluation import Figures, NarrativeFigures
from nlp.minilm import Encoder, MiniLMTagger
from nlp.units import Judgement, Unit
from storyshift import learning

training = needs("nlp.training")
SEED = 7
NARRATIVES = {
    key: Narrative(name=key, definition="", pole="context") for key in ("safe_haven", "debasement", "liquidity")
}
ASSETS = {"XAU": Asset(name="Gold", aliases=["gold"]), "BTC": Asset(name="Bitcoin", aliases=["coin"])}
TELLS = {"fright": "safe_haven", "printing": "debasement", "easing": "liquidity"}
NAMES = {"gold": "XAU", "coin": "BTC"}


WORDS = [*TELLS, "", ""]


def text(n: int) -> str:
    """Every fifth text has the same of WORDS; of the rest nothing follows from n."""
    rng = random.Random(n)
    parts = [["rises", "falls"], [*NAMES, "", ""], ["expected", ""]]
    words = [WORDS[n % len(WORDS)], *map(rng.choice, parts), *rng.sample(FILLERS, 2)]
    rng.shuffle(words)
    return " ".join(words)


def unit(id: str, text: str, tells: dict[str, str] = TELLS) -> Unit:
    """As the rule has it: each narrative and asset by its word, directions by "rises", modality by "expected"."""
    words = text.split()
    direction = 1 if "rises" in words else -1
    modality = {"liquidity": "expected" if "expected" in words else "actual"}
    narratives = {key: Judgement(direction, modality.get(key)) for word, key in tells.items() if word in words}
    return Unit(id, text, narratives, {key: direction for word, key in NAMES.items() if word in words})


def against_the_rule(id: str, text: str) -> Unit:
    others = {"fright": "debasement", "printing": "liquidity", "easing": "safe_haven"}
    return unit(id, text, others)


UNITS = [(against_the_rule if n // 5 in (5, 10) else unit)(f"u{n}", text(n)) for n in range(80)]
"""Readers err, so that what is told is never certain."""
UNITS.append(Unit("odd", "oddity oddity oddity", {"debasement": Judgement(1)}, {}))
LESSONS = [unit(f"l{n}", f"panic {text(n)}", TELLS | {"panic": "debasement"}) for n in range(100, 120)]
UNLABELLED = [text(n) for n in range(200, 230)] + [f"panic {text(n)}" for n in range(230, 240)]


@dataclass
class Trained:
    output: Path
    work: Path
    card: dict[str, object]
    stages: list[str]


class Stopped(Exception):
    pass


def untold(stage: str, done: int, of: int) -> None:
    pass


def train(folder: Path, encoder: Path, *, seed: int = SEED, stop_in: str = "") -> Trained:
    """`stop_in`: the stage in which a person stops it."""
    stages: dict[str, None] = {}

    def told(stage: str, done: int, of: int) -> None:
        stages[stage] = None
        if stage == stop_in:
            raise Stopped

    output, work = folder / "out", folder / "work"
    card = training.train_tagger(
        UNITS,
        LESSONS,
        UNLABELLED,
        encoder=encoder,
        definitions=NARRATIVES,
        assets=ASSETS,
        output=output,
        work=work,
        seed=seed,
        about={},
        told=told,
    )
    return Trained(output, work, card, list(stages))


@pytest.fixture(scope="module")
def trained(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """So tiny a network, of random weights, learns in fewer and greater steps."""
    steps = {"EPOCHS": 24, "BATCH": 24, "RATE": 1e-3, "HEAD_RATE": 2e-2, "DIRECTION_LOSS": 3.0, "MODALITY_LOSS": 3.0}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in steps.items():
            patch.setattr(training, name, value)
        yield train(tmp_path_factory.mktemp("trained"), encoder)


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it does not matter what is learned."""
    monkeypatch.setattr(training, "EPOCHS", 1)


def said(trained: Trained, *texts: str) -> list[Tagged]:
    tagger = MiniLMTagger(NARRATIVES, ASSETS, Encoder(trained.output))
    return list(tagger.tag(Text(str(n), {"title": text}) for n, text in enumerate(texts)))


def labels(tagged: Tagged) -> list[tuple[str, int, str | None]]:
    return [(tag.narrative, tag.direction, tag.modality) for tag in tagged.narratives if tag.label]


def test_what_is_trained_is_read_by_the_tagger_and_finds_the_planted_words(trained: Trained) -> None:
    haven, debasement, easing, nothing = said(
        trained,
        "word1 fright rises word2",
        "word3 word4 printing falls",
        "gold easing rises expected word5",
        "word6 rises word7 coin",
    )
    assert labels(haven) == [("safe_haven", 1, None)]
    assert labels(debasement) == [("debasement", -1, None)]
    assert labels(easing) == [("liquidity", 1, "expected")]
    assert labels(nothing) == []
    assert [(mention.asset, mention.tone) for mention in easing.assets] == [("XAU", 1.0)]
    assert [(mention.asset, mention.tone) for mention in nothing.assets] == [("BTC", 1.0)]
    assert {key for tagged in said(trained, *UNLABELLED) for key, _, _ in labels(tagged)} == set(NARRATIVES)


def test_a_lesson_teaches_what_no_unit_carries_and_is_never_judged_by(trained: Trained) -> None:
    (tagged,) = said(trained, "panic word1 rises word2")
    assert labels(tagged) == [("debasement", 1, None)]
    figures = trained.card["about"]["out_of_fold"]  # type: ignore[index]
    assert figures["units"] == len(UNITS)
    assert {row["narrative"]: row["n"] for row in figures["narratives"]} == {
        key: sum(key in unit.narratives for unit in UNITS) for key in NARRATIVES
    }
    assert figures["n_assets"] == sum(len(unit.assets) for unit in UNITS)


def test_the_figures_out_of_fold_can_be_read_back_from_the_card(trained: Trained) -> None:
    card = json.loads((trained.output / "card.json").read_text())
    assert card == trained.card
    told = card["about"]["out_of_fold"]
    figures = Figures(**told | {"narratives": [NarrativeFigures(**row) for row in told["narratives"]]})
    assert asdict(figures) == told
    assert figures.macro_f1_core > 0.6
    assert all(row.f1_low <= row.f1 <= row.f1_high and row.slope is not None for row in figures.narratives)


@pytest.fixture
def trainer(trained: Trained, encoder: Path) -> object:
    """Over what lies in `work`."""
    return training.Trainer(encoder, list(NARRATIVES), list(ASSETS), seed=SEED, work=trained.work)


def test_a_network_has_not_seen_the_fold_that_it_tells_of(trainer: object) -> None:
    """The last unit goes against the rule by a word of its own: a network that has seen it knows it, and no other."""
    lesson, beside = trainer.lesson(UNITS), trainer.lesson(LESSONS)  # type: ignore[attr-defined]
    _, debasement, _ = trainer.out_of_fold(lesson, beside, untold)[-1, :3]  # type: ignore[attr-defined]
    assert debasement < 0
    blank, everything = trainer.network(), lesson.joined(beside)  # type: ignore[attr-defined]
    seen = trainer.fit(blank, everything, epochs=training.EPOCHS, name="all", told=untold)  # type: ignore[attr-defined]
    _, debasement, _ = training.predict(seen, lesson.tokens)[-1, :3]
    assert debasement > 0


def test_every_unit_is_in_one_fold(trainer: object) -> None:
    folds = trainer.folds(len(UNITS))  # type: ignore[attr-defined]
    assert sorted(row for fold in folds for row in fold) == list(range(len(UNITS)))
    assert {len(fold) for fold in folds} <= {20, 21}


def test_what_is_shipped_in_int8_says_what_the_network_says(trained: Trained, trainer: object) -> None:
    torch, shipped, network = needs("torch"), Encoder(trained.output), trainer.average()  # type: ignore[attr-defined]
    for tokens, reading in zip(found := shipped.tokens(UNLABELLED), shipped.read(found), strict=True):
        with torch.inference_mode():
            out, about = network.eval()(torch.tensor(tokens[None]), torch.ones(1, len(tokens), dtype=torch.int64))
        narratives, directions, modality, assets, tones = training.split(out, len(NARRATIVES), len(ASSETS))
        for shipped_part, part in (
            (reading.narratives, narratives),
            (reading.directions, directions),
            (reading.modality, modality),
            (reading.assets, assets),
            (reading.tones, tones),
            (reading.embedding, about),
        ):
            np.testing.assert_allclose(shipped_part, part[0], atol=0.3)


def test_the_same_seed_gives_the_same_card_though_training_was_stopped(
    encoder: Path, tmp_path: Path, briefly: None
) -> None:
    whole = train(tmp_path / "whole", encoder)
    with pytest.raises(Stopped):
        train(tmp_path / "stopped", encoder, stop_in="fold-1")
    resumed = train(tmp_path / "stopped", encoder)
    assert whole.stages == ["fold-0", "fold-1", "fold-2", "fold-3", "unlabelled"]
    assert resumed.stages == whole.stages[1:]
    for name in ("card.json", "encoder.onnx", "first_look.npy", "background.npy", "tokenizer.json"):
        assert (resumed.output / name).read_bytes() == (whole.output / name).read_bytes(), name
    shutil.rmtree(whole.output)
    again = train(tmp_path / "whole", encoder)
    assert (again.card, again.stages) == (whole.card, ["unlabelled"])
    other = train(tmp_path / "other", encoder, seed=SEED + 1)
    assert other.card["name"] != whole.card["name"]


# -- storyshift train -------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with labels.jsonl, lessons/a.jsonl and news.jsonl."""
    rows = [json.dumps(asdict(unit)) for unit in UNITS[:40]]
    news = [{"published_at": "2020-03-09", "title": text, "outlet": "Wire"} for text in UNLABELLED]
    (tmp_path / "lessons").mkdir()
    (tmp_path / "labels.jsonl").write_text("\n".join(rows[1:]))
    (tmp_path / "lessons" / "a.jsonl").write_text(rows[0])
    (tmp_path / "news.jsonl").write_text("\n".join(map(json.dumps, news)))
    return tmp_path


@pytest.mark.filterwarnings("ignore:invalid value encountered")  # of narratives and assets that no unit carries
def test_train_writes_weights_and_tells_what_they_were_made_of(
    files: Path, encoder: Path, briefly: None, capsys: pytest.CaptureFixture[str]
) -> None:
    learning.train(
        labels=files / "labels.jsonl",
        encoder=encoder,
        output=files / "out",
        work=files / "work",
        lessons=files / "lessons",
        unlabelled=[files / "news.jsonl"],
        seed=SEED,
    )
    card = Encoder(files / "out").card
    err = capsys.readouterr().err
    assert f"39 labelled units, 1 lessons, 40 unlabelled texts; stages are kept in {files / 'work'}." in err
    assert f"{card['name']} lies in {files / 'out'}." in err
    told = {"units": 39, "lessons": 1, "unlabelled": 40, "labels": "labels.jsonl", "seed": SEED}
    assert card["about"] | told == card["about"]
    assert card["narratives"] == list(definitions.narratives())


@pytest.mark.slow
def test_train_names_what_cannot_be_read(shell: Shell, files: Path, encoder: Path) -> None:  # noqa: F811
    options = ["labels.jsonl", "--output", "out", "--work", "work", "--unlabelled", "news.jsonl", "--seed", "3"]
    (files / "lessons" / "b.jsonl").write_text("{}")
    _, err = shell("train", *options, "--encoder", str(encoder), "--lessons", "lessons", code=1)
    assert "lessons/b.jsonl, line 1: is not a labelled text" in err
    _, err = shell("train", *options, "--encoder", "lessons", code=1)
    assert "lessons: is no folder with an encoder: it has no tokenizer.json." in err
