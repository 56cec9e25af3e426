"""Attempts to fetch, counted by the hour"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

HOURS = {
    "sqlite": "cast(round((julianday(substr(at, 1, 13) || ':00:00') - julianday('1900-01-01')) * 24) as integer)",
    "postgresql": "cast(extract(epoch from date_trunc('hour', at, 'UTC') - timestamptz '1900-01-01 00:00:00+00') / 3600"
    " as integer)",
}
FILL_HOURS = {
    dialect: f"insert into fetch_hours select {hour}, count(*), "  # noqa: S608
    "sum(case when outcome = 'failed' then 0 else 1 end) from fetches group by 1"
    for dialect, hour in HOURS.items()
}


def upgrade() -> None:
    op.create_table(
        "fetch_hours",
        sa.Column("hour", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
    )
    op.execute(FILL_HOURS[op.get_bind().dialect.name])


def downgrade() -> None:
    op.drop_table("fetch_hours")
