"""Rollups: stories already counted"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "story_rollups",
        *_keys("tagger", "scope", "asset", "narrative", "outlet", "event_hour", "known_hour", "direction", "modality"),
        *_counts("n_stories", "n_articles", "n_squared", "n_split", "n_nth"),
        sa.CheckConstraint("scope in ('all', 'lead', 'own')", name=op.f("ck_story_rollups_scope_known")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "breadth_rollups",
        *_keys(
            "tagger",
            "asset",
            "narrative",
            "event_hour",
            "outlet",
            "brought_hour",
            "known_hour",
            "direction",
            "modality",
        ),
        *_counts("n_stories"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tone_rollups",
        *_keys("tagger", "scope", "asset", "outlet", "event_hour", "known_hour"),
        *_counts("n_stories", "n_articles", "n_squared"),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("tone", "tone_squared", "tone_by_article", "tone_squared_by_article")
        ),
        sa.CheckConstraint("scope in ('all', 'own')", name=op.f("ck_tone_rollups_scope_known")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_articles_known_at", "articles", ["known_at"])
    op.create_index("ix_revisions_seen_at", "revisions", ["seen_at"])


def _keys(*names: str) -> "list[sa.Column[Any] | sa.PrimaryKeyConstraint]":
    whole = {"event_hour", "brought_hour", "known_hour", "direction"}
    columns = [
        sa.Column(name, sa.Integer() if name in whole else sa.String(), nullable=False, autoincrement=False)
        for name in names
    ]
    return [*columns, sa.PrimaryKeyConstraint(*names)]


def _counts(*names: str) -> "list[sa.Column[Any]]":
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def downgrade() -> None:
    op.drop_index("ix_revisions_seen_at", "revisions")
    op.drop_index("ix_articles_known_at", "articles")
    for name in ("tone_rollups", "breadth_rollups", "story_rollups"):
        op.drop_table(name)
