"""`storyshift narratives`, and what becomes of a narrative of one's own, by the shipped weights."""

import json
import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import found_article
from fastapi.testclient import TestClient
from sqlmodel import select
from test_cli import Shell
from test_nlp_own import BUBBLE, PlantedEncoder
from typer.testing import CliRunner

from api.app import create_app
from config import definitions
from config.definitions import WEIGHTS_CARD
from models.articles import Revision
from models.database import Database
from models.reviews import Judgement, SaidNarrative
from models.store.articles import add_articles
from models.store.tags import tags_of
from services.review import Given, QueueQuestion, queue, record_review
from storyshift.narratives import narratives_app
from storyshift.shell import now

BASE = json.loads(WEIGHTS_CARD.read_text())["name"]
PAGE = (Path(__file__).parent.parent / "docs" / "methods" / "own-narratives.md").read_text(encoding="utf-8")
ENTRY: str = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
DOCUMENTED = tomllib.loads(ENTRY)["narratives"]["ai_bubble"]
NEWS = [
    "Investors fear that the artificial intelligence boom is a bubble like the dot-com one",
    "Museum opens a new wing",
    "Wheat prices ease after rain in the plains",
]


@pytest.fixture
def shell(tmp_path: Path, sqlite_url: str) -> Shell:
    """Of someone with a folder of settings that is still empty."""
    found = Shell(tmp_path, sqlite_url)
    del found.environment["STORYSHIFT_TAGGER"]
    (tmp_path / "own").mkdir()
    found.environment["STORYSHIFT_CONFIG_DIR"] = str(tmp_path / "own")
    (tmp_path / "examples.txt").write_text("\n\n".join(DOCUMENTED["examples"]), encoding="utf-8")
    near = [json.dumps({"text": text}) for text in DOCUMENTED["counterexamples"]]
    (tmp_path / "near.jsonl").write_text("\n".join(near), encoding="utf-8")
    return found


ADD = ("narratives", "add", "ai_bubble", "--name", "AI bubble", "--definition", DOCUMENTED["definition"])
FILES = ("--examples", "examples.txt", "--counterexamples", "near.jsonl")


def test_the_documented_narrative_from_its_examples_to_its_series(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"published_at": "2026-11-09", "title": title, "outlet": "Wire"} for title in NEWS]
    (tmp_path / "news.jsonl").write_text("\n".join(map(json.dumps, rows)))
    shell("import", "news", "news.jsonl")
    out, err = shell(*ADD, *FILES)
    assert out == ""
    assert re.search(r"examples found +\d+ of 20, \d+\.\d% \(\d+\.\d%-\d+\.\d%\)", err)
    assert "counterexamples labelled" in err
    name = re.search(r"reads the record anew, as (\S+)\.\n", err)
    assert name is not None
    assert name[1].startswith(f"{BASE}+own.")
    written = tomllib.loads((tmp_path / "own" / "narratives.toml").read_text(encoding="utf-8"))["narratives"]
    assert written["ai_bubble"] == DOCUMENTED

    listed = json.loads(shell("narratives", "list", "--format", "json")[0])
    assert [(one["narrative"], one["told_by"]) for one in listed[-2:]] == [
        ("btc_risk_asset", "network"),
        ("ai_bubble", "examples"),
    ]
    assert "ai_bubble  (context)  AI bubble, told by examples" in shell("narratives", "list")[0]

    assert f"3 texts tagged by {name[1]}" in shell("tag")[1]
    answer = json.loads(shell("series", "--narrative", "ai_bubble", "--format", "json")[0])
    assert answer["meta"]["tagger"] == name[1]
    assert [(row["n_carrying"], row["n_stories"]) for row in answer["data"] if row["n_stories"]] == [(1, 3)]

    monkeypatch.setenv("STORYSHIFT_CONFIG_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("STORYSHIFT_TAGGER", "minilm")
    definitions.forget()
    database = Database.open(shell.environment["STORYSHIFT_DATABASE_URL"])
    with TestClient(create_app(database, clock=now), base_url="http://localhost") as client:
        assert client.get("/v1/narratives").json()["data"][-1]["narrative"] == "ai_bubble"
        (article,) = client.get("/v1/articles?narrative=ai_bubble").json()["data"]
        assert article["title"] == NEWS[0]
        assert [(tag["direction"], tag["evidence"][0]["text"]) for tag in article["narratives"] if tag["label"]] == [
            (0, NEWS[0])
        ]
        assert client.get("/v1/shift?prior_rates=true").status_code == 200
    database.close()


def test_a_narrative_is_tested_by_itself_by_labels_and_on_the_latest_articles(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "own" / "narratives.toml").write_text(ENTRY, encoding="utf-8")
    rows = [{"published_at": "2026-11-09", "title": title, "outlet": "Wire"} for title in NEWS]
    (tmp_path / "news.jsonl").write_text("\n".join(map(json.dumps, rows)))
    shell("import", "news", "news.jsonl")
    carrying = {"ai_bubble": {"direction": 0}}
    labels = [
        {"id": str(n), "text": text, "narratives": carrying if n == 0 else {}, "assets": {}}
        for n, text in enumerate([*NEWS, DOCUMENTED["examples"][0].upper()])
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, labels)))
    out, err = shell("narratives", "test", "ai_bubble", "--labels", "labels.jsonl")
    assert "1 labelled texts are examples or without a word, and are left out." in err
    assert "labelled texts that carry it: 1; precision 1.00, recall 1.00, F1 1.00" in err
    assert re.fullmatch(rf"0\.\d\d  tagged  2026-11-09  Wire: {NEWS[0]}", out.splitlines()[0])
    told = json.loads(shell("narratives", "test", "ai_bubble", "--format", "json")[0])
    assert list(told) == ["narrative", "left_out", "labels", "would_tag"]
    assert told["left_out"]["found"]["n"] == told["left_out"]["examples"] == 20
    assert told["would_tag"][0]["title"] == NEWS[0]


def test_examples_with_nothing_in_common_are_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlp.minilm.Encoder", PlantedEncoder)
    monkeypatch.setenv("STORYSHIFT_CONFIG_DIR", str(tmp_path))
    definitions.forget()
    examples = tmp_path / "mixed.txt"
    examples.write_text("\n".join(f"Thing number {n}" for n in range(12)))
    words = [*ADD[1:], "--examples", str(examples), "--format", "json"]
    result = CliRunner().invoke(narratives_app, words)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["added_to"], told["left_out"]["few"]) == (1, None, True)
    assert re.search(r"error: ai_bubble is not added: only [0-5] of 12 examples were found when left", result.stderr)
    assert [file.name for file in tmp_path.iterdir()] == ["mixed.txt"]
    examples.write_text("\n".join(BUBBLE.examples))
    result = CliRunner().invoke(narratives_app, words)
    assert json.loads(result.stdout)["added_to"] == str(tmp_path / "narratives.toml")
    assert definitions.narrative("ai_bubble").examples == BUBBLE.examples


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("narratives", "add", "liquidity", *ADD[3:], *FILES), 2, "There is a narrative liquidity already"),
        (("narratives", "add", "AI", *ADD[3:], *FILES), 2, "'AI' cannot be a narrative's key"),
        ((*ADD, "--examples", "nowhere.txt"), 1, "nowhere.txt: cannot be read"),
        ((*ADD, "--examples", "near.jsonl"), 1, "near.jsonl: holds 6 distinct texts; a narrative needs 10 examples"),
        ((*ADD, "--examples", "bad.jsonl"), 1, 'bad.jsonl, line 1: is no JSON object with a "text"'),
        ((*ADD[:4], " ", *ADD[5:], *FILES), 2, "--name is empty"),
        ((*ADD, *FILES, "--pole", "joy"), 2, "joy"),
        (("narratives", "test", "liquidity"), 2, "is not told by examples; `storyshift evaluate LABELS` judges it"),
        (("narratives", "test", "ai_bubble"), 2, "There is no narrative named 'ai_bubble'"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_written(
    shell: Shell, tmp_path: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    (tmp_path / "bad.jsonl").write_text("[]\n")
    out, err = shell(*words, code=code)
    assert out == ""
    assert told in err
    assert list((tmp_path / "own").iterdir()) == []


def test_to_the_tagger_of_phrases_an_entry_without_phrases_is_never_there(shell: Shell, tmp_path: Path) -> None:
    shell.environment["STORYSHIFT_TAGGER"] = "keywords"
    assert "note: the tagger in use reads no examples" in shell(*ADD, *FILES)[1]
    out, _ = shell("tag", "--input", "-", given=json.dumps({"id": "1", "title": NEWS[0]}))
    assert json.loads(out)["tagger"] == "keywords@1"
    assert "ai_bubble" not in json.loads(out)["narratives"]


# -- from what reviewers said -----------------------------------------------------------------------------------------


@pytest.fixture
def reviewed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A store of the documented texts, and the settings of the shell in this process."""
    for name in ("STORYSHIFT_CONFIG_DIR", "STORYSHIFT_DATABASE_URL"):
        monkeypatch.setenv(name, shell.environment[name])
    monkeypatch.setenv("STORYSHIFT_TAGGER", "minilm")
    definitions.forget()
    database = Database.open(shell.environment["STORYSHIFT_DATABASE_URL"])
    told, near = DOCUMENTED["examples"][:16], DOCUMENTED["counterexamples"][:4]
    with database.write() as session:
        titles = [f"{title} (AI)" for title in (*told, *near)] + NEWS
        found = [found_article(title, now() - timedelta(hours=n + 1)) for n, title in enumerate(titles)]
        add_articles(session, found, now=now())
    return database


def search_and_review(database: Database, n: int) -> None:
    """The first n that a search brings: whether they tell of ai_bubble, which nothing defines."""
    told = {f"{title} (AI)": True for title in DOCUMENTED["examples"]}
    question = QueueQuestion(slices=("search",), search="(AI)", narrative="ai_bubble", limit=50)
    with database.write() as session:
        for item in queue(session, question, "ann", now=now()).data[:n]:
            holds = told.get(item.article.title, False)
            judgement = Judgement({"ai_bubble": SaidNarrative(0) if holds else None})
            given = Given(f"u{item.article.id}", item.article.revision_id, "search", judgement, whole=False)
            record_review(session, given, "ann", now=now())


def test_a_narrative_is_added_from_what_reviewers_found_by_search_and_tags_the_record(
    shell: Shell, reviewed: Database, tmp_path: Path
) -> None:
    shell("tag")
    search_and_review(reviewed, 20)
    _, err = shell(*ADD, "--reviewed")
    assert "Reviewers said of 16 texts that they tell ai_bubble: its examples; and of 4 that they do not" in err
    written = tomllib.loads((tmp_path / "own" / "narratives.toml").read_text(encoding="utf-8"))["narratives"]
    assert set(written["ai_bubble"]["examples"]) == {f"{title} (AI)" for title in DOCUMENTED["examples"][:16]}
    assert set(written["ai_bubble"]["counterexamples"]) == {
        f"{title} (AI)" for title in DOCUMENTED["counterexamples"][:4]
    }
    definitions.forget()
    name = definitions.live_tagger_name()
    assert f"23 texts tagged by {name}" in shell("retag")[1]
    with reviewed.read() as session:
        (new,) = session.scalars(select(Revision.id).where(Revision.title == NEWS[0])).all()
        told = [tag.narrative for tag in tags_of(session, [new or 0], name)[0][new or 0] if tag.label]
    assert "ai_bubble" in told
    reviewed.close()


def test_too_few_reviews_make_no_narrative(shell: Shell, reviewed: Database, tmp_path: Path) -> None:
    assert "No reviewer has said of a text that it tells ai_bubble." in shell(*ADD, "--reviewed", code=2)[1]
    search_and_review(reviewed, 9)
    reviewed.close()
    _, err = shell(*ADD, "--reviewed", code=2)
    assert "Of 9 distinct texts reviewers have said that they tell ai_bubble; a narrative needs 10 examples" in err
    assert list((tmp_path / "own").iterdir()) == []
    assert "Name a file with --examples, or --reviewed" in shell(*ADD, code=2)[1]
    with (tmp_path / "more.txt").open("w") as more:
        more.write("\n".join(DOCUMENTED["examples"][16:]))
    shell(*ADD, "--reviewed", "--examples", "more.txt")
    assert (
        len(tomllib.loads((tmp_path / "own" / "narratives.toml").read_text())["narratives"]["ai_bubble"]["examples"])
        == 13
    )
