"""The registry's table of models, versions and artifacts."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0001"
down_revision = None
branch_labels = ("registry",)
depends_on = None

# SQLite counts up only in INTEGER columns.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Pages by name go by code point in every database.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "registry_records",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("family", KEY, nullable=False),
        sa.Column("parent", sa.BigInteger, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("external_id", KEY),
        sa.Column("artifact_type", sa.Text),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("job_uid", KEY, unique=True),
        sa.Column("announced", sa.Boolean, nullable=False),
        sa.UniqueConstraint("family", "parent", "name"),
        sa.UniqueConstraint("family", "external_id"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("registry_records")
