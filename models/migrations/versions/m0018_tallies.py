"""How many articles and wordings there are by language, and how many of them each tagger has read"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

FILL = (
    "insert into tallies select 'articles', lower(language), count(*) from articles group by 2",
    "insert into tallies select 'revisions', lower(a.language), count(*) from revisions r "
    "join articles a on a.id = r.article_id group by 2",
    "insert into tallies select 'taggings', tagger, count(*) from taggings group by 2",
)


def upgrade() -> None:
    op.create_table(
        "tallies",
        sa.Column("of", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("n", sa.Integer(), nullable=False),
    )
    for filled in FILL:
        op.execute(filled)


def downgrade() -> None:
    op.drop_table("tallies")
