"""Polite fetching: each feed's own pace, the hash of its last body, where it moved to, and that it is gone"""

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("feeds") as table:
        table.add_column(sa.Column("interval_seconds", sa.Float(), nullable=True))
        table.add_column(sa.Column("floor_seconds", sa.Float(), nullable=False, server_default="0"))
        table.add_column(sa.Column("body_hash", sa.String(), nullable=True))
        table.add_column(sa.Column("moved_to", sa.String(), nullable=True))
        table.add_column(sa.Column("moved_times", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("retired_at", models.base.UTCDateTime(timezone=True), nullable=True))
        table.create_check_constraint(op.f("ck_feeds_pace_not_negative"), "interval_seconds > 0 and floor_seconds >= 0")


def downgrade() -> None:
    with op.batch_alter_table("feeds") as table:
        table.drop_constraint(op.f("ck_feeds_pace_not_negative"), type_="check")
        for column in ("interval_seconds", "floor_seconds", "body_hash", "moved_to", "moved_times", "retired_at"):
            table.drop_column(column)
