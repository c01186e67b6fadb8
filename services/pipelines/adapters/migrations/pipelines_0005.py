"""Environments that steps asked for: who makes one, how large it is, and when it was used last."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0005"
down_revision = "pipelines_0004"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pipeline_environments",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("maker", KEY, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("used_ms", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
