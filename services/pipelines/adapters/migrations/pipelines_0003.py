"""Steps that named a queue, with what the scheduler said to them, and why steps wait."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0003"
down_revision = "pipelines_0002"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pipeline_seats",
        sa.Column("uid", KEY, primary_key=True),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "pipeline_waits",
        sa.Column("task_uid", KEY, primary_key=True),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
    )
    op.create_index("pipeline_waits_run", "pipeline_waits", ["run_id"])
