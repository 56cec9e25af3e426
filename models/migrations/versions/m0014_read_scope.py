"""Keys that only read"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _scopes("'read', 'review', 'admin'")


def downgrade() -> None:
    op.execute("delete from api_keys where scope = 'read'")
    _scopes("'review', 'admin'")


def _scopes(known: str) -> None:
    with op.batch_alter_table("api_keys") as keys:
        keys.drop_constraint(op.f("ck_api_keys_scope_known"), type_="check")
        keys.create_check_constraint(op.f("ck_api_keys_scope_known"), f"scope in ({known})")
