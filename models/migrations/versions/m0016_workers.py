"""What is being tagged and what was set aside; on PostgreSQL the queue of work that workers share"""

import sqlalchemy as sa
from alembic import op

from models.base import UTCDateTime
from models.store import queue

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tag_attempts",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("tagger", sa.String(), nullable=False),
        sa.Column("first_id", sa.Integer(), nullable=False),
        sa.Column("last_id", sa.Integer(), nullable=False),
        sa.Column("begun_at", UTCDateTime(), nullable=False),
        sa.Column("alive_at", UTCDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("set_aside_at", UTCDateTime()),
        sa.CheckConstraint("first_id <= last_id", name=op.f("ck_tag_attempts_ids_ascend")),
        sa.CheckConstraint("tries >= 1", name=op.f("ck_tag_attempts_tries_from_one")),
        sa.CheckConstraint("set_aside_at is null or first_id = last_id", name=op.f("ck_tag_attempts_set_aside_alone")),
    )
    op.create_index("ix_tag_attempts_tagger_first_id", "tag_attempts", ["tagger", "first_id"])
    if op.get_bind().dialect.name == "postgresql":
        queue.create(op.get_bind())


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        queue.drop(op.get_bind())
    op.drop_table("tag_attempts")
