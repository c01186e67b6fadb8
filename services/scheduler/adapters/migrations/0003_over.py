"""Owners whose end was told and whose Workload is gone: a letter that comes late must not bring one back."""

import sqlalchemy as sa
from alembic import op

revision = "scheduler_0003"
down_revision = "scheduler_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scheduler_over",
        sa.Column("uid", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, nullable=False, index=True),
    )
