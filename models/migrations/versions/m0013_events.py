"""Events, webhooks and deliveries"""

import sqlalchemy as sa
from alembic import op

from models.base import UTCDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("happened_at", UTCDateTime(), nullable=False),
        sa.Column("detected_at", UTCDateTime(), nullable=False),
        sa.Column("recorded_at", UTCDateTime(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("link", sa.String(), nullable=False),
        sa.Column("past", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("key", name=op.f("uq_events_key")),
        sa.CheckConstraint("kind in ('shift', 'trigger', 'threshold', 'test')", name=op.f("ck_events_kind_known")),
    )
    op.create_table(
        "event_looks",
        sa.Column("of", sa.String(), primary_key=True),
        sa.Column("began_at", UTCDateTime(), nullable=False),
        sa.Column("day", sa.Date()),
        sa.Column("states", sa.JSON(), nullable=False),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("url", sa.String()),
        sa.Column("mail_to", sa.String()),
        sa.Column("secret", sa.String()),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("triggers", sa.JSON(), nullable=False),
        sa.Column("states", sa.JSON(), nullable=False),
        sa.Column("threshold", sa.JSON()),
        sa.Column("threshold_set_at", UTCDateTime()),
        sa.Column("threshold_day", sa.Date()),
        sa.Column("threshold_met", sa.Boolean()),
        sa.Column("quiet_hours", sa.JSON()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("off_reason", sa.String()),
        sa.Column("failing_since", UTCDateTime()),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint("kind in ('json', 'slack', 'mail')", name=op.f("ck_webhooks_kind_known")),
        sa.CheckConstraint(
            "(kind = 'mail' and mail_to is not null) or url is not null", name=op.f("ck_webhooks_has_an_address")
        ),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("webhook_id", sa.Integer(), sa.ForeignKey("webhooks.id"), nullable=False),
        sa.Column("event_id", sa.Integer(), sa.ForeignKey("events.id"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UTCDateTime(), nullable=False),
        sa.Column("last_attempt_at", UTCDateTime()),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_reason", sa.String()),
        sa.Column("delivered_at", UTCDateTime()),
        sa.UniqueConstraint("webhook_id", "event_id", name=op.f("uq_deliveries_webhook_id_event_id")),
        sa.CheckConstraint("state in ('waiting', 'delivered', 'given_up')", name=op.f("ck_deliveries_state_known")),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_deliveries_attempts_not_negative")),
    )
    op.create_index("ix_deliveries_state_next_attempt_at", "deliveries", ["state", "next_attempt_at"])


def downgrade() -> None:
    for name in ("deliveries", "webhooks", "event_looks", "events"):
        op.drop_table(name)
