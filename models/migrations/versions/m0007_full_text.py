"""Full text: what became of the page of each article"""

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "page_fetches",
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("at", models.base.UTCDateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("next_at", models.base.UTCDateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "outcome in ('ok', 'refused_by_robots', 'no_text', 'failed')", name=op.f("ck_page_fetches_outcome_known")
        ),
        sa.CheckConstraint("attempts >= 1", name=op.f("ck_page_fetches_attempts_positive")),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_page_fetches_article_id")),
        sa.PrimaryKeyConstraint("article_id", name=op.f("pk_page_fetches")),
    )


def downgrade() -> None:
    op.drop_table("page_fetches")
