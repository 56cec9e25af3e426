"""`storyshift tag` by the shipped weights, `evaluate` and `train`, as a person calls them."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_cli import Shell, shell  # noqa: F401 - a fixture

from config.definitions import WEIGHTS_CARD

NAME = json.loads(WEIGHTS_CARD.read_text())["name"]
LABELLED = {
    "id": "1",
    "text": "Gold soars as investors flee to safety on war fears",
    "narratives": {"safe_haven": {"direction": 1}, "geopolitical_risk": {"direction": 1}},
    "assets": {"XAU": 1},
}


@pytest.fixture
def minilm(shell: Shell) -> Shell:  # noqa: F811
    del shell.environment["STORYSHIFT_TAGGER"]
    return shell


def test_tag_writes_what_the_weights_say_and_whose_it_is(minilm: Shell) -> None:
    lines = "\n".join(json.dumps({"id": n, "title": LABELLED["text"], "body": ""}) for n in range(3))
    out, err = minilm("tag", "--input", "-", given=lines)
    rows = [json.loads(line) for line in out.splitlines()]
    assert ([row["id"] for row in rows], err) == (["0", "1", "2"], "")
    assert {row["tagger"] for row in rows} == {NAME}
    haven = rows[0]["narratives"]["safe_haven"]
    assert (haven["label"], haven["direction"], haven["evidence"][0]["text"]) == (True, 1, LABELLED["text"])
    assert [(found["asset"], found["tone"]) for found in rows[0]["assets"]] == [("XAU", 1.0)]


def test_the_store_is_tagged_by_the_weights_and_series_are_theirs(minilm: Shell) -> None:
    news = minilm.folder / "news.jsonl"
    news.write_text(json.dumps({"published_at": "2020-03-09", "title": LABELLED["text"], "outlet": "Wire"}))
    minilm("import", "news", str(news))
    assert f"1 texts tagged by {NAME}" in minilm("tag")[1]
    out, _ = minilm("series", "--narrative", "safe_haven", "--format", "json")
    answer = json.loads(out)
    assert answer["meta"]["tagger"] == NAME
    assert [row["intensity"] for row in answer["data"] if row["n_stories"]] == [1.0]


def test_evaluate_stands_beside_the_baseline(minilm: Shell) -> None:
    labels = minilm.folder / "labels.jsonl"
    labels.write_text(json.dumps(LABELLED))
    out, _ = minilm("evaluate", str(labels), "--format", "json")
    assert [figures["tagger"] for figures in json.loads(out)] == [NAME, "keywords@1"]
    assert "macro-F1 core" in minilm("evaluate", str(labels))[1]
    labels.write_text("nothing of the kind")
    assert "line 1: is not a labelled text" in minilm("evaluate", str(labels), code=1)[1]


def test_train_names_what_is_missing(minilm: Shell, tmp_path: Path) -> None:
    options = ("--encoder", str(tmp_path), "--output", str(tmp_path / "out"), "--work", str(tmp_path / "work"))
    if find_spec("torch") is None:
        assert "storyshift[train]" in minilm("train", "labels.jsonl", *options, code=2)[1]
    else:
        assert "has no tokenizer.json" in minilm("train", "labels.jsonl", *options, code=1)[1]


def test_a_tagger_that_is_none_is_a_setting_that_is_wrong(minilm: Shell) -> None:
    minilm.environment["STORYSHIFT_TAGGER"] = "oracle"
    assert "STORYSHIFT_TAGGER='oracle' cannot be used" in minilm("tag", code=2)[1]
