"""Scopes of keys, and browser sessions"""

import sqlalchemy as sa
from alembic import op

from models.base import UTCDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("scope", sa.String(), nullable=False, server_default="admin"))
        keys.create_check_constraint(op.f("ck_api_keys_scope_known"), "scope in ('review', 'admin')")
    with op.batch_alter_table("api_keys") as keys:
        keys.alter_column("scope", server_default=None)
    op.create_table(
        "browser_sessions",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String()),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("opened_at", UTCDateTime()),
        sa.Column("last_used_at", UTCDateTime()),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime()),
        sa.UniqueConstraint("code_hash", name=op.f("uq_browser_sessions_code_hash")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_browser_sessions_token_hash")),
    )


def downgrade() -> None:
    op.drop_table("browser_sessions")
    with op.batch_alter_table("api_keys") as keys:
        keys.drop_constraint(op.f("ck_api_keys_scope_known"), type_="check")
        keys.drop_column("scope")
