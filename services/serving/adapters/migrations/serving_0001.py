"""Serving's own projection of the registry's model versions."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0001"
down_revision = None
branch_labels = ("serving",)
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "known_versions",
        sa.Column("model", KEY, primary_key=True),
        sa.Column("version", KEY, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("known_versions")
