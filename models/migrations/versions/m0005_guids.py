"""Guids: by which an article is found again whose address has changed"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "guids",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name=op.f("fk_guids_article_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_guids")),
    )


def downgrade() -> None:
    op.drop_table("guids")
