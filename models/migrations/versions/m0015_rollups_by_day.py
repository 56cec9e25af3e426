"""Rollups by whole days, and on PostgreSQL which writes were committed"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

FILL_DAYS = (
    "insert into story_days select tagger, scope, narrative, outlet, event_hour / 24, known_hour / 24, "
    "direction, modality, sum(n_stories), sum(n_articles), sum(n_squared), sum(n_split), sum(n_nth) "
    "from story_rollups where asset = '' group by 1, 2, 3, 4, 5, 6, 7, 8",
    "insert into breadth_days select tagger, narrative, event_hour / 24, outlet, brought_hour / 24, known_hour / 24, "
    "sum(n_stories) from breadth_rollups where asset = '' group by 1, 2, 3, 4, 5, 6",
)


def upgrade() -> None:
    op.create_table(
        "story_days",
        *_keys("tagger", "scope", "narrative", "outlet", "event_day", "known_day", "direction", "modality"),
        *_counts("n_stories", "n_articles", "n_squared", "n_split", "n_nth"),
        sa.CheckConstraint("scope in ('all', 'lead', 'own')", name=op.f("ck_story_days_scope_known")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "breadth_days",
        *_keys("tagger", "narrative", "event_day", "outlet", "brought_day", "known_day"),
        *_counts("n_stories"),
        sqlite_with_rowid=False,
    )
    for summed in FILL_DAYS:
        op.execute(summed)
    if op.get_bind().dialect.name == "postgresql":
        op.create_table("writes", sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True))


def _keys(*names: str) -> "list[sa.Column[Any] | sa.PrimaryKeyConstraint]":
    whole = {"event_day", "brought_day", "known_day", "direction"}
    columns = [
        sa.Column(name, sa.Integer() if name in whole else sa.String(), nullable=False, autoincrement=False)
        for name in names
    ]
    return [*columns, sa.PrimaryKeyConstraint(*names)]


def _counts(*names: str) -> "list[sa.Column[Any]]":
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_table("writes")
    for name in ("breadth_days", "story_days"):
        op.drop_table(name)
