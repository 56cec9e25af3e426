"""`storyshift tag` by the shipped weights, `evaluate` and `train`, as a person calls them."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import needs
from test_cli import Shell, shell  # noqa: F401 - a fixture

from config.definitions import WEIGHTS_CARD
from jobs.tag import baseline_tagger, tag_untagged
from models.database import Database
from storyshift.shell import now

CARD = json.loads(WEIGHTS_CARD.read_text())
NAME = CARD["name"]
OUT_OF_FOLD = [f"{NAME} out of fold"] if "out_of_fold" in CARD["about"] else []
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
    assert [figures["tagger"] for figures in json.loads(out)] == [NAME, "keywords@1", *OUT_OF_FOLD]
    assert "macro-F1 core" in minilm("evaluate", str(labels))[1]
    labels.write_text("nothing of the kind")
    assert "line 1: is not a labelled text" in minilm("evaluate", str(labels), code=1)[1]


def without(library: str, shell: Shell) -> None:  # noqa: F811
    """As if it were not installed: the folder in which a command runs is where Python looks first."""
    error = f"raise ModuleNotFoundError({f'No module named {library!r}'!r}, name={library!r})"
    (shell.folder / f"{library}.py").write_text(error)


def test_train_names_the_extra_that_it_needs(minilm: Shell) -> None:
    without("torch", minilm)
    options = ("--encoder", "encoder", "--output", "out", "--work", "work")
    _, err = minilm.process("train", "labels.jsonl", *options, code=2)
    assert "the extra `train` (torch is not installed): pip install 'storyshift[train]'" in err


def labels(folder: Path) -> tuple[str, str]:
    """Files to judge by and to learn from: 6 texts each of a haven, of easing, and of neither."""
    rows = [
        {"id": str(n), "text": f"{word} in round {n} of it", "narratives": narratives, "assets": {}}
        for n in range(6)
        for word, narratives in (
            ("fright", {"safe_haven": {"direction": 1}}),
            ("easing", {"liquidity": {"direction": 1, "modality": "actual"}}),
            ("museum", {}),
        )
    ]
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return "labels.jsonl", "train.jsonl"


def test_evaluate_stands_beside_regressions_that_learn_from_other_labels(shell: Shell, encoder: Path) -> None:  # noqa: F811
    judged, learned = labels(shell.folder)
    out, _ = shell("evaluate", judged, "--learn-from", learned, "--encoder", str(encoder), "--format", "json")
    phrases, words, tiny = json.loads(out)
    assert [one["tagger"] for one in (phrases, words, tiny)] == ["keywords@1", "tfidf@1", "encoder+logistic@1"]
    assert (words["units"], words["macro_f1_core"], words["assets_f1"]) == (18, 1.0, 0.0)
    assert [row["narrative"] for row in words["narratives"]] == [row["narrative"] for row in phrases["narratives"]]


def test_evaluate_shows_regressions_and_says_what_cannot_be_learned_from(shell: Shell) -> None:  # noqa: F811
    needs("nlp.baselines")
    judged, learned = labels(shell.folder)
    _, err = shell("evaluate", judged, "--learn-from", learned)
    assert "tfidf@1, 18 units: macro-F1 core 1.000" in err
    assert "nowhere: cannot be read" in shell("evaluate", judged, "--learn-from", "nowhere", code=1)[1]
    _, err = shell("evaluate", judged, "--learn-from", learned, "--encoder", "nowhere", code=1)
    assert "nowhere: is no folder with an encoder" in err
    (shell.folder / learned).write_text(json.dumps(LABELLED))
    assert "Nothing can be learned from 1 lab" in shell("evaluate", judged, "--learn-from", learned, code=2)[1]


def test_evaluate_names_the_extra_that_regressions_need(shell: Shell) -> None:  # noqa: F811
    judged, learned = labels(shell.folder)
    without("sklearn", shell)
    _, err = shell.process("evaluate", judged, "--learn-from", learned, code=2)
    assert "the extra `train` (sklearn is not installed): pip install 'storyshift[train]'" in err


def test_an_encoder_without_labels_to_learn_from_is_refused(shell: Shell) -> None:  # noqa: F811
    judged, _ = labels(shell.folder)
    _, err = shell("evaluate", judged, "--encoder", "encoder", code=2)
    assert "--encoder needs --learn-from LABELS" in err


def test_a_tagger_that_is_none_is_a_setting_that_is_wrong(minilm: Shell) -> None:
    minilm.environment["STORYSHIFT_TAGGER"] = "oracle"
    assert "STORYSHIFT_TAGGER='oracle' cannot be used" in minilm("tag", code=2)[1]


def test_retag_reads_all_history_and_leaves_what_others_said(minilm: Shell) -> None:
    news = minilm.folder / "news.jsonl"
    row = {"published_at": "2020-03-09", "title": LABELLED["text"], "outlet": "Wire"}
    news.write_text(json.dumps(row))
    minilm("import", "news", str(news))
    minilm("tag")
    assert "1 texts tagged by keywords@1" in minilm("retag", "--tagger", "keywords")[1]
    assert "0 texts tagged by keywords@1" in minilm("retag", "--tagger", "keywords")[1]
    assert f"0 texts tagged by {NAME}" in minilm("retag")[1]
    for tagger in ("keywords@1", NAME):
        out, _ = minilm("series", "--narrative", "safe_haven", "--tagger", tagger, "--format", "json")
        assert [row["intensity"] for row in json.loads(out)["data"] if row["n_stories"]] == [1.0]
    assert "'oracle' is no tagger; it must be minilm" in minilm("retag", "--tagger", "oracle", code=2)[1]


@pytest.fixture
def other_weights(tmp_path: Path) -> Path:
    """Weights that say that everything tells of safe havens, as another card names them."""
    folder = tmp_path / "other"
    shutil.copytree(WEIGHTS_CARD.parent, folder)
    card = CARD | {"name": "minilm@other", "thresholds": CARD["thresholds"] | {"safe_haven": 0.0}}
    card |= {"first_look_from": -1e9, "first_look_body_from": -1e9}
    card["calibration"] = CARD["calibration"] | {"shift": [9.0, *CARD["calibration"]["shift"][1:]]}
    assert CARD["narratives"][0] == "safe_haven"
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_other_weights_read_the_record_beside_what_the_first_said(minilm: Shell, other_weights: Path) -> None:
    titles = [LABELLED["text"], "Museum opens a new wing"]
    rows = [{"published_at": "2020-03-09", "title": title, "outlet": "Wire"} for title in titles]
    (minilm.folder / "news.jsonl").write_text("\n".join(map(json.dumps, rows)))
    minilm("import", "news", "news.jsonl")
    minilm("tag")
    minilm.environment["STORYSHIFT_WEIGHTS"] = str(other_weights)
    assert "2 texts tagged by minilm@other" in minilm("retag")[1]
    assert "0 texts tagged by minilm@other" in minilm("retag")[1]

    def carrying(*words: str) -> tuple[str, list[int]]:
        out, _ = minilm("series", "--narrative", "safe_haven", *words, "--format", "json")
        answer = json.loads(out)
        return answer["meta"]["tagger"], [row["n_carrying"] for row in answer["data"] if row["n_stories"]]

    assert carrying() == ("minilm@other", [2])
    assert carrying("--tagger", NAME) == (NAME, [1])
    del minilm.environment["STORYSHIFT_WEIGHTS"]
    assert carrying() == (NAME, [1])
    assert carrying("--tagger", "minilm@other") == ("minilm@other", [2])


def test_weights_that_are_not_there_are_a_setting_that_is_wrong(minilm: Shell) -> None:
    minilm.environment["STORYSHIFT_WEIGHTS"] = "nowhere"
    _, err = minilm("tag", code=2)
    assert "(FileNotFoundError at nowhere/card.json). Set STORYSHIFT_WEIGHTS to their folder" in err


def test_retag_that_is_killed_goes_on_where_it_was(minilm: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"published_at": "2020-03-09", "title": f"Fear in town {n}", "outlet": "Wire"} for n in range(7)]
    (minilm.folder / "news.jsonl").write_text("\n".join(map(json.dumps, rows)))
    minilm("import", "news", "news.jsonl")
    monkeypatch.setattr("jobs.tag.BATCH", 2)
    database = Database.open(minilm.environment["STORYSHIFT_DATABASE_URL"])
    tagger = baseline_tagger()
    told: list[tuple[int, int]] = []

    class Killed(Exception):
        pass

    def until_killed(done: int, of: int) -> None:
        told.append((done, of))
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        tag_untagged(database, tagger, clock=now, progress=until_killed)
    told_then = list(told)
    told.clear()
    assert tag_untagged(database, tagger, clock=now, progress=lambda *pair: told.append(pair)) == 3
    database.close()
    assert (told_then, told) == ([(2, 7), (4, 7)], [(2, 3), (3, 3)])
    assert "0 texts tagged by keywords@1" in minilm("retag", "--tagger", "keywords")[1]
