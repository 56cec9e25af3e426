"""Reviews, the labels that stand, and audits"""

import sqlalchemy as sa
from alembic import op

from models.base import UTCDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
SLICES = "('audit', 'uncertain', 'disagreement', 'second', 'search', 'chosen')"
STANDING = sa.text("stands_until is null")


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("revision_id", sa.Integer(), sa.ForeignKey("revisions.id"), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("given_at", UTCDateTime(), nullable=False),
        sa.Column("known_at", UTCDateTime(), nullable=False),
        sa.Column("undone_at", UTCDateTime()),
        sa.Column("slice", sa.String(), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("tagger", sa.String(), nullable=False),
        sa.Column("skipped", sa.String()),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("narratives", sa.JSON(), nullable=False),
        sa.Column("assets", sa.JSON()),
        sa.UniqueConstraint("uid", name=op.f("uq_reviews_uid")),
        sa.CheckConstraint(f"slice in {SLICES}", name=op.f("ck_reviews_slice_known")),
        sa.CheckConstraint("given_at <= known_at", name=op.f("ck_reviews_given_before_known")),
        sa.CheckConstraint("undone_at >= known_at", name=op.f("ck_reviews_undone_after_known")),
    )
    op.create_index("ix_reviews_revision_id", "reviews", ["revision_id"])
    op.create_index("ix_reviews_reviewer_given_at", "reviews", ["reviewer", "given_at"])
    op.create_table(
        "standing_labels",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("review_id", sa.Integer(), sa.ForeignKey("reviews.id"), nullable=False),
        sa.Column("revision_id", sa.Integer(), sa.ForeignKey("revisions.id"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("holds", sa.Boolean(), nullable=False),
        sa.Column("direction", sa.Integer()),
        sa.Column("modality", sa.String()),
        sa.Column("tone", sa.Integer()),
        sa.Column("stands_from", UTCDateTime(), nullable=False),
        sa.Column("stands_until", UTCDateTime()),
        sa.CheckConstraint("kind in ('narrative', 'asset')", name=op.f("ck_standing_labels_kind_known")),
        sa.CheckConstraint("direction in (-1, 0, 1)", name=op.f("ck_standing_labels_direction_known")),
        sa.CheckConstraint("modality in ('actual', 'expected')", name=op.f("ck_standing_labels_modality_known")),
        sa.CheckConstraint("tone in (-1, 0, 1)", name=op.f("ck_standing_labels_tone_known")),
        sa.CheckConstraint("stands_until >= stands_from", name=op.f("ck_standing_labels_ends_after_it_begins")),
    )
    for name in ("review_id", "stands_from", "stands_until"):
        op.create_index(f"ix_standing_labels_{name}", "standing_labels", [name])
    key = ["revision_id", "kind", "key"]
    op.create_index("ix_standing_labels_revision_id_kind_key", "standing_labels", key)
    op.create_index(
        "uq_standing_labels_now",
        "standing_labels",
        key,
        unique=True,
        sqlite_where=STANDING,
        postgresql_where=STANDING,
    )
    op.create_table(
        "audit_rounds",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("tagger", sa.String(), nullable=False),
        sa.Column("drawn_at", UTCDateTime(), nullable=False),
        sa.Column("n_stories", sa.Integer(), nullable=False),
        sa.Column("bands", sa.JSON(), nullable=False),
        sa.CheckConstraint("n_stories > 0", name=op.f("ck_audit_rounds_drawn_from_some")),
    )
    op.create_table(
        "audit_draws",
        sa.Column("round_id", sa.Integer(), sa.ForeignKey("audit_rounds.id"), primary_key=True),
        sa.Column("revision_id", sa.Integer(), sa.ForeignKey("revisions.id"), primary_key=True),
        sa.Column("stratum", sa.String(), nullable=False),
        sa.Column("inclusion_probability", sa.Float(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.UniqueConstraint("round_id", "place", name=op.f("uq_audit_draws_round_id_place")),
        sa.CheckConstraint(
            "inclusion_probability > 0 and inclusion_probability <= 1",
            name=op.f("ck_audit_draws_inclusion_is_probability"),
        ),
    )
    op.create_index("ix_audit_draws_revision_id", "audit_draws", ["revision_id"])
    op.create_index("ix_revisions_content_hash", "revisions", ["content_hash"])


def downgrade() -> None:
    op.drop_index("ix_revisions_content_hash", "revisions")
    for name in ("audit_draws", "audit_rounds", "standing_labels", "reviews"):
        op.drop_table(name)
