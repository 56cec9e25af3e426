"""What every test may lean on: an empty migrated database on SQLite and on PostgreSQL, and an injected clock.

PostgreSQL tests run where one answers at STORYSHIFT_TEST_POSTGRES_URL (default: 127.0.0.1:5432, database `test`), each
worker in a schema of its own; elsewhere they are skipped, unless STORYSHIFT_TEST_REQUIRE names `postgresql`.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from config import definitions
from models import articles, events, feeds, keys, pages, prices, reviews, rollups, tags  # noqa: F401 - so that all tables are known
from models.database import Database

POSTGRES = os.environ.get("STORYSHIFT_TEST_POSTGRES_URL", "postgresql://127.0.0.1:5432/test")
REQUIRED = os.environ.get("STORYSHIFT_TEST_REQUIRE", "").split(",")
MANY = 5_000
os.environ["STORYSHIFT_TAGGER"] = "keywords"
"""At all times: a server that outlives a test answers between two of them too, and keeps what it has read of this."""
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def needs(module: str) -> ModuleType:
    """A module that imports torch or scikit-learn. The tests are skipped where they are missing, if not required."""
    return import_module(module) if "torch" in REQUIRED else pytest.importorskip(module)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the machine reaches a test, and none of a test the next. Feeds may lie on loopback; phrases tag."""
    for name in [name for name in os.environ if name.startswith("STORYSHIFT_") and name != "STORYSHIFT_TAGGER"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STORYSHIFT_ALLOW_PRIVATE_ADDRESSES", "true")
    monkeypatch.setenv("STORYSHIFT_TAGGER", "keywords")
    definitions.forget()
    yield
    definitions.forget()


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "empty.db"
    database = Database.open(f"sqlite:///{path}")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("commit")
        connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
    database.close()
    return path


@contextmanager
def own_schema(schema: str) -> Iterator[sa.URL]:
    """The address of an empty schema, dropped at the end; where no PostgreSQL answers, the test is skipped."""
    engine = sa.create_engine(sa.make_url(POSTGRES).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"drop schema if exists {schema} cascade")
            connection.exec_driver_sql(f"create schema {schema}")
    except sa.exc.OperationalError:
        if "postgresql" in REQUIRED:
            raise
        pytest.skip(f"no PostgreSQL answers at {POSTGRES}")
    yield sa.make_url(POSTGRES).update_query_dict({"options": f"-csearch_path={schema}"})
    with engine.begin() as connection:
        connection.exec_driver_sql(f"drop schema {schema} cascade")
    engine.dispose()


@pytest.fixture(scope="session")
def _postgresql(worker_id: str) -> Iterator[Database]:
    with own_schema(f"storyshift_{worker_id}") as url:
        options = f"{url.query['options']} -csynchronous_commit=off"
        database = Database.open(url.update_query_dict({"options": options}).render_as_string(hide_password=False))
        yield database
        database.close()


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """The address of an empty, migrated SQLite file."""
    shutil.copy(_sqlite_template, tmp_path / "storyshift.db")
    return f"sqlite:///{tmp_path / 'storyshift.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty, migrated database; the test runs once on each kind."""
    if request.param == "sqlite":
        found = Database(request.getfixturevalue("sqlite_url"))
        yield found
        found.close()
        return
    found = request.getfixturevalue("_postgresql")
    _empty(found)
    yield found


def _empty(database: Database) -> None:
    """As if just migrated. Few rows are deleted: to truncate, PostgreSQL makes every table's files anew, in 0.5 s."""
    tables = [table.name for table in reversed(SQLModel.metadata.sorted_tables)]
    with database.engine.begin() as connection:
        if connection.exec_driver_sql("select count(*) from articles").scalar_one() > MANY:
            connection.exec_driver_sql(f"truncate {', '.join(tables)} cascade")
        for table in tables:
            connection.exec_driver_sql(f"delete from {table}")  # noqa: S608
        connection.exec_driver_sql(
            "select setval(sequencename::text::regclass, 1, false)"
            " from pg_sequences where schemaname = current_schema() and sequencename <> 'writes_id_seq'"
        )


def analyze(database: Database) -> None:
    """To be told after much came at once: PostgreSQL's planner would guess wrongly, and compare each row with each."""
    if not database.is_sqlite:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("analyze")


FILLERS = [f"word{n}" for n in range(100)]
PLANTED = "fright printing easing auction rises falls expected gold coin panic oddity".split()


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny BERT of random weights, for which each of PLANTED has a direction of its own."""
    torch = needs("torch")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *PLANTED, *FILLERS])}
    torch.manual_seed(1)
    network = BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=6,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=96,
        )
    )
    with torch.no_grad():
        words = network.embeddings.word_embeddings.weight
        words.normal_()[:, : len(PLANTED)] = 0
        words[4 : 4 + len(PLANTED)] = torch.eye(len(PLANTED), 32)
    network.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    marks = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
    return folder
