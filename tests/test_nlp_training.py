"""Training the tagger minilm, on a tiny encoder and units whose truth is planted. Needs the extra `train`."""

import json
import random
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from conftest import FILLERS, needs
from fakes import found_article
from test_cli import Shell, shell  # noqa: F401 - a fixture
from test_services_learning import FIRST, draw, judge

from config import definitions
from config.definitions import Asset, Narrative
from jobs.cluster import Clusterer
from models.database import Database
from models.errors import BadFile, BadInput
from models.reviews import SaidNarrative
from models.store.articles import add_articles
from models.tags import NarrativeScore, Tagged, Text
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


STEPS = {"EPOCHS": 24, "BATCH": 24, "RATE": 1e-3, "HEAD_RATE": 2e-2, "DIRECTION_LOSS": 3.0, "MODALITY_LOSS": 3.0}
"""So tiny a network, of random weights, learns in fewer and greater steps."""


@pytest.fixture(scope="module")
def trained(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in STEPS.items():
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


def inputs(folder: Path, encoder: Path, **other: object) -> object:
    """The work folder of a training, claimed for its inputs."""
    found = {"units": UNITS[:9], "lessons": LESSONS[:3], "unlabelled": UNLABELLED[:3], "seed": SEED} | other
    seed = found.pop("seed")
    trainer = training.Trainer(encoder, list(NARRATIVES), list(ASSETS), seed=seed, work=folder)
    trainer.claim(**found)
    return trainer


@pytest.mark.parametrize(
    "other",
    [
        {"units": UNITS[:8]},
        {"units": [*UNITS[:8], replace(UNITS[8], text="other words")]},
        {"units": [*UNITS[:8], replace(UNITS[8], narratives={"liquidity": Judgement(-1)})]},
        {"lessons": []},
        {"unlabelled": UNLABELLED[:2]},
        {"seed": SEED + 1},
    ],
)
def test_stages_that_were_made_of_other_inputs_are_refused(
    encoder: Path, tmp_path: Path, other: dict[str, object]
) -> None:
    inputs(tmp_path, encoder)
    inputs(tmp_path, encoder)
    with pytest.raises(BadFile, match="holds stages of other texts, labels, lessons, seed or encoder; name another"):
        inputs(tmp_path, encoder, **other)
    inputs(tmp_path, encoder)


def test_stages_of_which_nobody_knows_what_they_were_made_of_are_refused(encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "fold-0.pt").write_bytes(b"of an earlier version")
    with pytest.raises(BadFile, match="holds stages of other"):
        inputs(tmp_path, encoder)
    (tmp_path / "fold-0.pt").unlink()
    inputs(tmp_path, encoder)


def test_a_stage_that_is_killed_while_it_is_written_is_not_there(tmp_path: Path) -> None:
    def torn(file: IO[bytes]) -> None:
        file.write(b"half")
        raise Stopped

    for before in (None, b"whole"):
        with pytest.raises(Stopped):
            training.write_whole(tmp_path / "fold-0.pt", torn)
        assert (tmp_path / "fold-0.pt").exists() == (before is not None)
        training.write_whole(tmp_path / "fold-0.pt", lambda file: file.write(b"whole"))
    assert (tmp_path / "fold-0.pt").read_bytes() == b"whole"


def test_weights_are_put_to_use_whole_and_what_else_lies_there_stays(tmp_path: Path) -> None:
    candidate, output = tmp_path / "candidate", tmp_path / "in" / "use"
    candidate.mkdir()
    (candidate / "card.json").write_text("new")
    needs("nlp.export").put_to_use(candidate, output)
    (output / "MODEL_CARD.md").write_text("ours")
    (output / "card.json").write_text("old")
    output.rename(tmp_path / "in" / "use.old")  # killed between the renames
    (tmp_path / "in" / "use.new").mkdir()
    needs("nlp.export").put_to_use(candidate, output)
    assert {file.name: file.read_text() for file in output.iterdir()} == {"card.json": "new", "MODEL_CARD.md": "ours"}
    assert [folder.name for folder in output.parent.iterdir()] == ["use"]


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


# -- storyshift train --reviews ---------------------------------------------------------------------------------------

LEARNED, EXAMINED = range(300, 330), range(400, 410)
"""Texts by their n: reviewed, and drawn at random and read; these twelve times each, with a number of its own."""


def tell(url: str, *, read: int) -> None:
    """A store in which LEARNED are reviewed, and of the exam the first `read`."""
    exam = [f"{text(n)} in round {part}" for n in EXAMINED for part in range(12)]
    texts = [*(text(n) for n in LEARNED), *exam]
    database = Database.open(url)
    with database.write() as session:
        found = [found_article(words, FIRST + timedelta(hours=n)) for n, words in enumerate(texts)]
        add_articles(session, found, now=FIRST)
    Clusterer(database).cluster()
    with database.write() as session:
        places = [(len(LEARNED) + n + 1, 1.0) for n in range(len(exam))]
        draw(session, "keywords@1", *places, of=len(exam))
        for n, words in enumerate(texts[: len(LEARNED) + read]):
            rule = unit("", words)
            held = {key: SaidNarrative(said.direction, said.modality) for key, said in rule.narratives.items()}
            judge(session, n + 1, dict.fromkeys(definitions.narratives()) | held, rule.assets)
    database.close()


def learn(files: Path, encoder: Path, **other: object) -> None:
    options = {"labels": files / "labels.jsonl", "encoder": encoder, "output": files / "out", "work": files / "work"}
    options |= {"lessons": files / "lessons", "unlabelled": [files / "news.jsonl"], "seed": SEED}
    learning.train(**options | other, reviews=True)


class Knows:
    """A tagger that says what the rule says."""

    name = "knows@1"

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        for one in texts:
            told = unit("", one.fields["text"]).narratives
            yield Tagged(one.id, tuple(NarrativeScore(key, 0.9, True, 1, None, ()) for key in told), ())


@pytest.mark.filterwarnings("ignore:invalid value encountered")  # of narratives and assets that no unit carries
def test_a_tagger_that_learns_from_reviews_is_put_to_use_if_it_is_better_on_what_was_drawn_at_random(
    files: Path, encoder: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in STEPS.items():
        monkeypatch.setattr(training, name, value)
    monkeypatch.setenv("STORYSHIFT_DATABASE_URL", sqlite_url)
    definitions.forget()
    tell(sqlite_url, read=120)
    exam = asdict(unit("examined", f"{text(400)} in round 3"))
    retold = asdict(replace(unit("retold", text(LEARNED[0])), narratives={}))
    with (files / "labels.jsonl").open("a") as labels:
        labels.writelines(f"\n{json.dumps(row)}" for row in (exam, retold))
    learn(files, encoder)
    err = capsys.readouterr().err
    assert "30 reviewed texts to learn from, as of" in err
    assert "120 drawn at random and read are the exam (72 carry a core narrative)." in err
    assert "1 are left out because they were drawn for the exam, 1 because a review tells of them." in err
    assert "69 labelled units, 1 lessons" in err
    candidate, card = files / "work" / "candidate", Encoder(files / "out").card
    assert f"{card['name']} is better than keywords@1 on 120 texts drawn at random: macro-F1 0.0" in err
    assert f"It lies in {files / 'out'}. `STORYSHIFT_WEIGHTS={files / 'out'} storyshift retag` reads" in err
    told = card["about"]["reviews"]
    assert (told["learned_from"], told["left_out"], told["exam"]["n"], told["exam"]["better"]) == (30, 1, 120, True)
    assert json.loads((candidate / "card.json").read_text()) == card

    (files / "out" / "card.json").write_text("in use")
    monkeypatch.setattr("jobs.tag.live_tagger", Knows)
    database = Database.open(sqlite_url)
    with database.write() as session:  # what came since the training began is not taken in
        judge(session, 1, dict.fromkeys(definitions.narratives()), {}, at=datetime.now(UTC))
    database.close()
    learn(files, encoder)
    err = capsys.readouterr().err
    assert "is not shown to be better than knows@1 on 120 texts" in err
    assert f"It stays in {candidate}; {files / 'out'} is as it was." in err
    assert (files / "out" / "card.json").read_text() == "in use"


def test_reviews_that_do_not_suffice_are_told_before_anything_is_trained(
    files: Path, encoder: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORYSHIFT_DATABASE_URL", sqlite_url)
    definitions.forget()
    with pytest.raises(BadInput, match="There is no review to learn from"):
        learn(files, encoder)
    tell(sqlite_url, read=60)
    with pytest.raises(
        BadInput, match="The exam is too small .*: 36 of 60 texts that carry a core narrative, among 60"
    ):
        learn(files, encoder)
    assert not (files / "work").exists()
