"""The model versions that the registry announced, for jobs that name one."""

import sqlalchemy as sa
from alembic import op

revision = "trainer_0003"
down_revision = "trainer_0002"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "trainer_model_versions",
        sa.Column("model", KEY, primary_key=True),
        sa.Column("version", KEY, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
    )
