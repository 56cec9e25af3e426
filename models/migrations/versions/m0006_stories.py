"""Stories: assigned after an article is stored, told by their lead; and the other feeds in which an article was seen"""

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LEAD = "select {what} from articles where story_id = stories.id order by known_at, id limit 1"


def upgrade() -> None:
    instant = models.base.UTCDateTime(timezone=True)
    op.create_table(
        "sightings",
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("seen_at", instant, nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_sightings_article_id")),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"], name=op.f("fk_sightings_feed_id")),
        sa.PrimaryKeyConstraint("article_id", "feed_id", name=op.f("pk_sightings")),
    )
    with op.batch_alter_table("articles") as table:
        table.alter_column("story_id", existing_type=sa.Integer(), nullable=True)
    with op.batch_alter_table("stories") as table:
        table.drop_index("ix_stories_title_key_event_at")
        table.add_column(sa.Column("lead_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("known_at", instant, nullable=True))
    for column, what in (("lead_id", "id"), ("event_at", "event_at"), ("known_at", "known_at")):
        op.execute(f"update stories set {column} = ({LEAD.format(what=what)})")  # noqa: S608 - names of ours
    with op.batch_alter_table("stories") as table:
        table.drop_column("title_key")
        table.alter_column("lead_id", existing_type=sa.Integer(), nullable=False)
        table.alter_column("known_at", existing_type=instant, nullable=False)
        table.create_index(op.f("ix_stories_event_at"), ["event_at"])


def downgrade() -> None:
    with op.batch_alter_table("stories") as table:
        table.drop_index(op.f("ix_stories_event_at"))
        table.add_column(sa.Column("title_key", sa.String(), nullable=False, server_default=""))
        table.drop_column("lead_id")
        table.drop_column("known_at")
        table.create_index("ix_stories_title_key_event_at", ["title_key", "event_at"])
    op.execute("delete from articles where story_id is null")
    with op.batch_alter_table("articles") as table:
        table.alter_column("story_id", existing_type=sa.Integer(), nullable=False)
    op.drop_table("sightings")
