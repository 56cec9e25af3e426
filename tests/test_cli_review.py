"""`storyshift review export` and `import`, and the same over HTTP."""

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from test_cli import Shell
from test_services_review_files import EXPORT, HAVEN, labelled, review, rows_of, say, tell

from api.app import create_app
from models.database import Database
from models.keys import Scope
from models.reviews import Judgement
from services.keys import create_key


@pytest.fixture
def shell(tmp_path: Path, sqlite_url: str) -> Shell:
    return Shell(tmp_path, sqlite_url)


@pytest.fixture
def filled(shell: Shell, sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    tell(database)
    yield database
    database.close()


def test_what_is_exported_comes_in_once(shell: Shell, filled: Database, tmp_path: Path) -> None:
    said = Judgement({"safe_haven": HAVEN}, {"XAU": 1})
    say(filled, review(1, said, uid="a"), review(2, Judgement(), uid="b", skipped="?"))
    out, err = shell("review", "export")
    assert ([json.loads(line)["id"] for line in out.splitlines()], err) == (["a"], "")
    assert len(shell("review", "export", "--all")[0].splitlines()) == 2
    (tmp_path / "reviews.jsonl").write_text(out.replace('"id": "a"', '"id": "c"'))
    (tmp_path / "reviews.jsonl.gz").write_bytes(gzip.compress((tmp_path / "reviews.jsonl").read_bytes()))
    assert "1 reviews: 1 new, 0 known, 0 refused, in" in shell("review", "import", "reviews.jsonl")[1]
    assert "1 reviews: 0 new, 1 known, 0 refused, in" in shell("review", "import", "reviews.jsonl.gz")[1]
    tasks = json.loads(shell("review", "export", "--format", "label-studio")[0])
    assert [len(task["annotations"]) for task in tasks] == [2]
    assert shell("review", "export", "--format", "label-studio-config")[0].startswith("<View>\n")


def test_an_empty_store_is_an_empty_file(shell: Shell) -> None:
    assert shell("review", "export") == ("", "")
    assert shell("review", "export", "--format", "label-studio")[0] == "[]\n"


def test_an_export_of_label_studio(shell: Shell, filled: Database) -> None:
    out, err = shell("review", "import", str(EXPORT), "--report", "json")
    found = json.loads(out)
    assert (found["unit"], found["rows"], found["imported"], found["known"], found["no_article"]) == (
        "task",
        5,
        4,
        0,
        0,
    )
    assert found["refused"] == [{"line": 2, "reason": "Liquidity needs a modality: actual or expected."}]
    assert f"refused: {EXPORT}, task 2: Liquidity needs a modality" in err


def test_whose_they_are(shell: Shell, filled: Database, tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text(labelled())
    _, err = shell("review", "import", "labels.jsonl", code=2)
    assert "error: labels.jsonl does not say who reviewed. Name them: --reviewer NAME" in err
    shell("review", "import", "labels.jsonl", "--reviewer", "anna")
    assert json.loads(shell("review", "export")[0])["reviewer"] == "anna"


def test_refusals_are_shown_up_to_a_point(shell: Shell, filled: Database, tmp_path: Path) -> None:
    lines = [labelled(id=str(n), text=f"Nobody wrote number {n}") for n in range(60)]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    out, err = shell("review", "import", "labels.jsonl", "--reviewer", "anna", "--report", "json", code=1)
    assert "refused: labels.jsonl, line 50: No article here reads so: 'Nobody wrote number 49'." in err
    assert "refused: … and 10 more; --report json lists them all." in err
    assert "60 refused (60 of texts that are not here)" in err
    assert len(json.loads(out)["refused"]) == 60


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("page.html", b"<html>", "holds no reviews: it begins with '<html>'"),
        ("x.jsonl.gz", b"no gzip at all", "cannot be read further (Not a gzipped file"),
        ("cut.jsonl.gz", gzip.compress(labelled().encode())[:-9], "cannot be read further"),
        ("cut.json", EXPORT.read_bytes()[:-9], "is not JSON"),
        ("folder", None, "is a folder"),
        ("none.jsonl", None, "there is no such file"),
    ],
)
def test_a_file_that_cannot_be_read(
    shell: Shell, filled: Database, tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    (tmp_path / "folder").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    out, err = shell("review", "import", name, "--reviewer", "anna", code=1)
    assert (out, len(err.splitlines())) == ("", 1)
    assert f"error: {name}: " in err
    assert told in err


# -- HTTP ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def anyone(database: Database, now: datetime) -> Iterator[TestClient]:
    tell(database)
    app = create_app(database, clock=lambda: now)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as found:
        yield found


def with_key(database: Database, now: datetime, scope: Scope) -> dict[str, str]:
    with database.write() as session:
        return {"Authorization": f"Bearer {create_key(session, scope, scope=scope, now=now)}"}


def test_over_http_reviews_go_out_to_reviewers(anyone: TestClient, database: Database, now: datetime) -> None:
    say(database, review(1, Judgement({"safe_haven": HAVEN}), uid="a"), review(1, Judgement(), uid="b", skipped="?"))
    assert anyone.get("/v1/reviews/export").status_code == 401
    anyone.headers |= with_key(database, now, "review")
    answer = anyone.get("/v1/reviews/export")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line) for line in answer.text.splitlines()] == rows_of(database, now)
    assert len(anyone.get("/v1/reviews/export?all=true").text.splitlines()) == 2
    assert len(anyone.get("/v1/reviews/export?format=label-studio").json()) == 1
    assert anyone.get("/v1/reviews/export?format=csv").status_code == 422


def test_over_http_reviews_come_in_with_an_admins_key(anyone: TestClient, database: Database, now: datetime) -> None:
    body = f"{labelled()}\n{labelled(id='b', narratives={'moon': {'direction': 1}})}"
    assert anyone.post("/v1/reviews/import", content=body).status_code == 401
    reviewers = with_key(database, now, "review")
    assert anyone.post("/v1/reviews/import", content=body, headers=reviewers).status_code == 403
    anyone.headers |= with_key(database, now, "admin")
    refused = anyone.post("/v1/reviews/import", content=body)
    assert (refused.status_code, refused.json()["error"]) == (422, "bad_input")
    answer = anyone.post("/v1/reviews/import?reviewer=anna", content=body).json()
    assert {name: answer[name] for name in ("imported", "known", "no_article")} == {
        "imported": 1,
        "known": 0,
        "no_article": 0,
    }
    assert [one["line"] for one in answer["refused"]] == [2]
    assert anyone.post("/v1/reviews/import?reviewer=anna", content=body).json()["known"] == 1
    assert rows_of(database, now)[0]["reviewer"] == "anna"


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/plain", ""])
def test_over_http_a_file_may_be_called_anything(
    anyone: TestClient, database: Database, now: datetime, kind: str
) -> None:
    anyone.headers |= with_key(database, now, "admin") | ({"Content-Type": kind} if kind else {})
    answer = anyone.post("/v1/reviews/import", content=EXPORT.read_bytes())
    assert (answer.status_code, answer.json()["imported"]) == (200, 4)
    html = anyone.post("/v1/reviews/import", content=b"<html>")
    assert (html.status_code, html.json()["detail"][:60]) == (
        422,
        "The body: holds no reviews: it begins with '<html>'. It must",
    )
