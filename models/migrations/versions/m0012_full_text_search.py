"""Full-text search: the words of every wording, kept by triggers on `revisions`

SQLite makes a table anew to change it and drops its triggers with it: a later migration that changes `revisions` in a
batch must create these again.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SQLITE = (
    """
    create virtual table revision_words using fts5(
        title, summary, body,
        content='revisions', content_rowid='id', columnsize=0, tokenize='porter unicode61 remove_diacritics 2'
    )
    """,
    """
    create trigger revision_words_added after insert on revisions begin
        insert into revision_words (rowid, title, summary, body) values (new.id, new.title, new.summary, new.body);
    end
    """,
    """
    create trigger revision_words_removed after delete on revisions begin
        insert into revision_words (revision_words, rowid, title, summary, body)
        values ('delete', old.id, old.title, old.summary, old.body);
    end
    """,
    """
    create trigger revision_words_changed after update of title, summary, body on revisions begin
        insert into revision_words (revision_words, rowid, title, summary, body)
        values ('delete', old.id, old.title, old.summary, old.body);
        insert into revision_words (rowid, title, summary, body) values (new.id, new.title, new.summary, new.body);
    end
    """,
    "insert into revision_words (revision_words) values ('rebuild')",
)
# English stems, but no stop words: "risk on" and "risk off" are not the same. Marks become blanks, as the parser would
# take gold/silver for a path and BTC-USD for one word. No phrase runs from one field into the next: a word stands
# between them that is taken out again. A vector holds at most 1 MB, which 80,000 letters never fill.
POSTGRESQL = (
    "create text search dictionary storyshift_stems (template = snowball, language = english)",
    "create text search configuration storyshift (copy = pg_catalog.english)",
    "alter text search configuration storyshift alter mapping replace english_stem with storyshift_stems",
    """
    create function words_of(title text, summary text, body text) returns tsvector language sql stable as $$
        select ts_delete(to_tsvector('storyshift', left(translate(
            title || ' endoffield0 ' || summary || ' endoffield0 ' || body,
            '!"#$%%&''()*+,-./:;<=>?@[\\]^_`{|}~‘’“”„«»‹›–—…•·', repeat(' ', 64)
        ), 80000)), 'endoffield0')
    $$
    """,
    """
    create table revision_words (
        revision_id integer primary key references revisions (id) on delete cascade,
        words tsvector not null
    )
    """,
    """
    create function keep_revision_words() returns trigger language plpgsql as $$ begin
        insert into revision_words values (new.id, words_of(new.title, new.summary, new.body))
            on conflict (revision_id) do update set words = excluded.words;
        return null;
    end $$
    """,
    """
    create trigger revision_words_kept after insert or update of title, summary, body on revisions
        for each row execute function keep_revision_words()
    """,
    "insert into revision_words select id, words_of(title, summary, body) from revisions",
    "create index ix_revision_words_words on revision_words using gin (words)",
)


def upgrade() -> None:
    bind = op.get_bind()
    for statement in SQLITE if bind.dialect.name == "sqlite" else POSTGRESQL:
        bind.exec_driver_sql(statement)


def downgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        for name in ("added", "removed", "changed"):
            bind.exec_driver_sql(f"drop trigger revision_words_{name}")
        bind.exec_driver_sql("drop table revision_words")
        return
    bind.exec_driver_sql("drop trigger revision_words_kept on revisions")
    bind.exec_driver_sql("drop table revision_words")
    bind.exec_driver_sql("drop function keep_revision_words(), words_of(text, text, text)")
    bind.exec_driver_sql("drop text search configuration storyshift")
    bind.exec_driver_sql("drop text search dictionary storyshift_stems")
