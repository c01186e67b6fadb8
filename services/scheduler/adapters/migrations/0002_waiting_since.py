"""Since when a workload waits, for the figures of the queue; unknown for those that waited before this revision."""

import sqlalchemy as sa
from alembic import op

revision = "scheduler_0002"
down_revision = "scheduler_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("scheduler_workloads", sa.Column("waiting_since", sa.Text))
