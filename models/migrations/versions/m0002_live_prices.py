"""Live prices: bars by the hour beside daily ones, and the state of each series kept up to date from outside"""

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("price_bars") as table:
        table.add_column(sa.Column("interval", sa.String(), nullable=False, server_default="day"))
        table.create_check_constraint(op.f("ck_price_bars_interval_known"), "interval in ('day', 'hour')")
        table.drop_constraint(op.f("uq_price_bars_asset_closed_at_known_at"), type_="unique")
        table.create_unique_constraint(
            op.f("uq_price_bars_asset_interval_closed_at_known_at"), ["asset", "interval", "closed_at", "known_at"]
        )
    op.create_table(
        "watches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("interval", sa.String(), nullable=False),
        sa.Column("since", models.base.UTCDateTime(timezone=True), nullable=True),
        sa.Column("whole_at", models.base.UTCDateTime(timezone=True), nullable=True),
        sa.Column("whole_to", sa.Date(), nullable=True),
        sa.Column("tried_at", models.base.UTCDateTime(timezone=True), nullable=True),
        sa.Column("loaded_at", models.base.UTCDateTime(timezone=True), nullable=True),
        sa.Column("next_at", models.base.UTCDateTime(timezone=True), nullable=False),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind in ('price', 'macro')", name=op.f("ck_watches_kind_known")),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_watches_failures_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watches")),
        sa.UniqueConstraint("kind", "key", "interval", name=op.f("uq_watches_kind_key_interval")),
    )


def downgrade() -> None:
    op.drop_table("watches")
    with op.batch_alter_table("price_bars") as table:
        table.drop_constraint(op.f("uq_price_bars_asset_interval_closed_at_known_at"), type_="unique")
        table.drop_constraint(op.f("ck_price_bars_interval_known"), type_="check")
        table.create_unique_constraint(
            op.f("uq_price_bars_asset_closed_at_known_at"), ["asset", "closed_at", "known_at"]
        )
        table.drop_column("interval")
