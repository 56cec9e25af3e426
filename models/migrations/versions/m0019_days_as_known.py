"""What is known of each day by now, in one row for a narrative"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

FILL_KNOWN = (
    "insert into narrative_days select stories.*, coalesce(n_outlets, 0), coalesce(n_brought, 0), "
    "coalesce(n_brought_squared, 0) from (select tagger, narrative, event_day, sum(n_stories), sum(n_articles), "
    "sum(n_squared) from story_days where scope = 'all' group by 1, 2, 3) as stories "
    "left join (select tagger, narrative, event_day, count(*) as n_outlets, sum(n) as n_brought, "
    "sum(n * n) as n_brought_squared from (select tagger, narrative, event_day, outlet, sum(n_stories) as n "
    "from breadth_days where brought_day <= event_day group by 1, 2, 3, 4) as outlets where n <> 0 group by 1, 2, 3) "
    "as breadth using (tagger, narrative, event_day)"
)


def upgrade() -> None:
    op.create_table(
        "narrative_days",
        sa.Column("tagger", sa.String(), primary_key=True),
        sa.Column("narrative", sa.String(), primary_key=True),
        sa.Column("event_day", sa.Integer(), primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("n_stories", "n_articles", "n_squared")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("n_outlets", "n_brought", "n_brought_squared")),
        sqlite_with_rowid=False,
    )
    op.execute(FILL_KNOWN)


def downgrade() -> None:
    op.drop_table("narrative_days")
