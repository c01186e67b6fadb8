"""The scheduler's own table: what it knows of each workload."""

import sqlalchemy as sa
from alembic import op

revision = "scheduler_0001"
down_revision = None
branch_labels = ("scheduler",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scheduler_workloads",
        sa.Column("uid", sa.Text, primary_key=True),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("cpu_milli", sa.BigInteger),
        sa.Column("memory_bytes", sa.BigInteger),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("arrival", sa.BigInteger, nullable=False),
        sa.Column("told", sa.Text, nullable=False),
    )
    op.create_index("scheduler_workloads_phase", "scheduler_workloads", ["phase"])
    op.create_index("scheduler_workloads_arrival", "scheduler_workloads", ["arrival"])
